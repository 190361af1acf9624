"""gunicorn: each worker has its own client, which starts and stops with the worker.

::

    gunicorn --config python:relay_sync.contrib.gunicorn app:app

or, in your own configuration file::

    from relay_sync.contrib.gunicorn import post_worker_init, worker_exit

The hooks start the clients of the applications in the worker (:mod:`relay_sync.contrib.flask`, :mod:`relay_sync.contrib.django`).
They support the sync, gthread and gevent workers, and ``preload_app``, since nothing starts before the fork.

The gevent worker needs the packages gevent and packaging (``pip install 'gunicorn[gevent]'``). If you combine it with
``preload_app``, the configuration file must patch before the program loads: ``from gevent import monkey; monkey.patch_all()``.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from .hosting import start_all, stop_all

__all__ = ["post_worker_init", "worker_exit"]

LACKS_PACKAGING: Final = (
    "relay_sync: gunicorn's gevent worker needs the package packaging: pip install 'gunicorn[gevent]'\n"
)
PATCHED_LATE: Final = (
    "gevent patched the standard library after --preload had loaded the program: locks created before that block the whole"
    " worker. Start the configuration file with: from gevent import monkey; monkey.patch_all()"
)


def _is_patched() -> bool:
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # the module is loaded, but has no spec
        return True


def _asks_for_gevent() -> bool:
    """Return whether the options, or the configuration file that imports this module, name the gevent worker."""
    words = [*sys.argv, os.environ.get("GUNICORN_CMD_ARGS", "")]
    file = getattr(sys.modules.get("__config__"), "__file__", None)  # gunicorn's name for the configuration file
    if file is not None:
        with suppress(OSError):
            words.append(Path(file).read_text(encoding="utf-8", errors="replace"))
    return any("gevent" in word for word in words)


def _tell_of_packaging() -> None:
    """Report that the gevent worker cannot be loaded: gunicorn's traceback does not name the package to install."""
    if _is_there("gevent") and not _is_there("packaging") and _asks_for_gevent():
        sys.stderr.write(LACKS_PACKAGING)


#: Whether gevent patched the standard library before the program loaded.
_PATCHED_EARLY: Final = _is_patched()

_tell_of_packaging()  # gunicorn loads this module before its worker class

#: The share of the remaining time for live calls; the rest is for hanging up and disconnecting.
_SHARE: Final = 0.8
#: When gunicorn first asked this worker to exit: ``graceful_timeout`` starts then and includes the last requests.
_told_at: float | None = None


def _note_the_end(worker: Any) -> None:
    """Note the time at which gunicorn asks the worker to exit: its unmodified signal handlers set ``alive``."""
    global _told_at
    _told_at = None
    kind: Any = type(worker)

    def noting(self: Any, name: str, value: Any) -> None:
        global _told_at
        if name == "alive" and not value and _told_at is None:
            _told_at = time.monotonic()
        kind.__setattr__(self, name, value)

    worker.__class__ = type(kind.__name__, (kind,), {"__setattr__": noting, "__module__": kind.__module__})


def post_worker_init(worker: Any) -> None:
    """Receive calls once the worker has loaded the application.

    :param worker: the worker.
    """
    _note_the_end(worker)
    if worker.cfg.preload_app and _is_patched() and not _PATCHED_EARLY:
        worker.log.error(PATCHED_LATE)
    start_all()


def worker_exit(server: Any, worker: Any) -> None:
    """Let live calls finish within most of the remaining ``graceful_timeout``, once the worker has served its requests.

    :param server: the arbiter, unused.
    :param worker: the worker.
    """
    used = 0.0 if _told_at is None else time.monotonic() - _told_at
    stop_all(_SHARE * max(0.0, float(worker.cfg.graceful_timeout) - used))
