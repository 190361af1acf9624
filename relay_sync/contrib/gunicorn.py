"""gunicorn: a client of its own in each worker, started with the worker and ended with it.

::

    gunicorn --config python:relay_sync.contrib.gunicorn app:app

or, in a configuration file of yours::

    from relay_sync.contrib.gunicorn import post_worker_init, worker_exit

The clients are those of the applications in the worker (:mod:`relay_sync.contrib.flask`, :mod:`relay_sync.contrib.django`).
Works with the sync, gthread and gevent workers, and with ``preload_app``, for nothing is started before the fork.

The gevent worker needs the packages gevent and packaging (``pip install 'gunicorn[gevent]'``). With it *and* ``preload_app``, the
configuration file has to patch before the program is loaded: ``from gevent import monkey; monkey.patch_all()``.
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
    "gevent has patched the standard library after --preload had loaded the program: locks that were made before block the"
    " whole worker. Let the configuration file begin with: from gevent import monkey; monkey.patch_all()"
)


def _is_patched() -> bool:
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # it is loaded, and was not found in the usual way
        return True


def _asks_for_gevent() -> bool:
    """Whether the gevent worker is named, in the options or in the configuration file that loads this one."""
    words = [*sys.argv, os.environ.get("GUNICORN_CMD_ARGS", "")]
    file = getattr(sys.modules.get("__config__"), "__file__", None)  # gunicorn's name for it
    if file is not None:
        with suppress(OSError):
            words.append(Path(file).read_text(encoding="utf-8", errors="replace"))
    return any("gevent" in word for word in words)


def _tell_of_packaging() -> None:
    """Say that the gevent worker cannot be loaded, which gunicorn tells with a traceback that names no package to install."""
    if _is_there("gevent") and not _is_there("packaging") and _asks_for_gevent():
        sys.stderr.write(LACKS_PACKAGING)


#: Whether gevent was there before the program.
_PATCHED_EARLY: Final = _is_patched()

_tell_of_packaging()  # gunicorn loads this file before the class of its workers

#: The share of what is left of the time that goes to live calls; the rest is for hanging up and disconnecting.
_SHARE: Final = 0.8
#: When this worker was first told to end: gunicorn's time runs from then, through the last requests.
_told_at: float | None = None


def _note_the_end(worker: Any) -> None:
    """Have the moment noted at which the worker is told to end: its signal handlers, which stay as they are, set ``alive``."""
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
    """The worker has loaded the application: take calls."""
    _note_the_end(worker)
    if worker.cfg.preload_app and _is_patched() and not _PATCHED_EARLY:
        worker.log.error(PATCHED_LATE)
    start_all()


def worker_exit(server: Any, worker: Any) -> None:
    """The worker ends, and has answered its requests: let live calls end for most of what is left of ``graceful_timeout``."""
    used = 0.0 if _told_at is None else time.monotonic() - _told_at
    stop_all(_SHARE * max(0.0, float(worker.cfg.graceful_timeout) - used))
