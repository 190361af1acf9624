"""gunicorn hooks that start and stop the client in each worker.

::

    gunicorn --config python:relay_sync.contrib.gunicorn app:app

If you have a configuration file, import the hooks there instead::

    from relay_sync.contrib.gunicorn import post_worker_init, worker_exit

Every worker process has its own client for each application that uses :mod:`relay_sync.contrib.flask` or
:mod:`relay_sync.contrib.django`. The hooks work with sync, gthread and gevent workers. You can use ``preload_app``, because
clients are started after the fork.

The gevent worker requires the gevent and packaging packages, which ``pip install 'gunicorn[gevent]'`` installs. To use gevent
together with ``preload_app``, start the configuration file with ``from gevent import monkey; monkey.patch_all()``.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from .hosting import start_all, stop_all

__all__ = ["post_worker_init", "worker_exit"]

LACKS_PACKAGING: Final = (
    "relay_sync: gunicorn's gevent worker needs the 'packaging' package: pip install 'gunicorn[gevent]'\n"
)
PATCHED_LATE: Final = (
    "gevent patched the standard library after --preload had loaded the program: locks that were created earlier block the whole"
    " worker. Start the configuration file with: from gevent import monkey; monkey.patch_all()"
)


def _is_patched() -> bool:
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # The module is loaded but has no spec.
        return True


def _asks_for_gevent() -> bool:
    """Return whether gunicorn's command line, environment variable or configuration file mentions gevent."""
    words = [*sys.argv, os.environ.get("GUNICORN_CMD_ARGS", "")]
    # gunicorn loads its configuration file as __config__.
    file = getattr(sys.modules.get("__config__"), "__file__", None)
    if file is not None:
        with suppress(OSError):
            words.append(Path(file).read_text(encoding="utf-8", errors="replace"))
    return any("gevent" in word for word in words)


def _report_missing_packaging() -> None:
    """Print an error if the gevent worker requires the packaging package but it is not installed.

    gunicorn's own traceback does not say which package to install.
    """
    if _is_there("gevent") and not _is_there("packaging") and _asks_for_gevent():
        sys.stderr.write(LACKS_PACKAGING)


#: Whether gevent patched the standard library before the program loaded.
_PATCHED_EARLY: Final = _is_patched()

_report_missing_packaging()  # gunicorn imports this module before it loads the worker class.

SHORT_TIMEOUT: Final = (
    "relay_sync: live calls get %.3g s to end when a worker exits, because gunicorn kills a worker after --timeout %g, which is"
    " shorter than --graceful-timeout %g"
)

#: Fraction of the remaining graceful timeout spent waiting for live calls. The rest is for hanging up and disconnecting.
SHARE: Final = 0.8
#: Time at which gunicorn asked this worker to exit. ``graceful_timeout`` is measured from then and includes pending requests.
_exit_requested_at: float | None = None


def _grace(worker: Any) -> float:
    """Return the maximum time between the request to exit and the exit, in seconds.

    While gunicorn itself keeps running, as after ``max_requests``, it kills an exiting worker after ``timeout``.
    """
    timeout = float(worker.cfg.timeout)  # 0 disables it.
    grace = float(worker.cfg.graceful_timeout)
    return min(timeout, grace) if timeout else grace


def _watch_for_exit(worker: Any) -> None:
    """Record the time at which gunicorn asks the worker to exit, and send a heartbeat at that time.

    An exiting worker sends no further heartbeat, and a sync worker's last one may be half of ``timeout`` old.

    gunicorn's signal handlers clear the worker's ``alive`` attribute. This function replaces the worker's class with a subclass
    that intercepts the assignment.
    """
    global _exit_requested_at
    _exit_requested_at = None
    kind: Any = type(worker)

    def set_attribute(self: Any, name: str, value: Any) -> None:
        global _exit_requested_at
        if name == "alive" and not value and _exit_requested_at is None:
            _exit_requested_at = time.monotonic()
            self.notify()
        kind.__setattr__(self, name, value)

    worker.__class__ = type(kind.__name__, (kind,), {"__setattr__": set_attribute, "__module__": kind.__module__})


def _log_to_gunicorn(worker: Any) -> None:
    """Write this package's log where gunicorn writes its own, unless the program has configured logging.

    Otherwise, Python would print warnings and errors only, and nothing would tell that the worker is connected.
    """
    ours = logging.getLogger("relay_sync")
    theirs: logging.Logger | None = getattr(worker.log, "error_log", None)
    if theirs is None or ours.hasHandlers():
        return
    for handler in theirs.handlers:
        ours.addHandler(handler)
    if ours.level == logging.NOTSET:
        ours.setLevel(theirs.getEffectiveLevel())


def post_worker_init(worker: Any) -> None:
    """Start receiving calls after the worker has loaded the application.

    If the program has not configured logging, this package's log is written to gunicorn's error log.

    :param worker: gunicorn worker.
    """
    _log_to_gunicorn(worker)
    _watch_for_exit(worker)
    if worker.cfg.preload_app and _is_patched() and not _PATCHED_EARLY:
        worker.log.error(PATCHED_LATE)
    if _grace(worker) < worker.cfg.graceful_timeout:
        worker.log.warning(SHORT_TIMEOUT, SHARE * _grace(worker), worker.cfg.timeout, worker.cfg.graceful_timeout)
    start_all()


def worker_exit(server: Any, worker: Any) -> None:
    """Wait for live calls to end, then stop this worker's clients.

    gunicorn calls this hook after the worker has completed its requests. Most of the remaining ``graceful_timeout`` is available
    to live calls, or of ``timeout`` if that is shorter.

    :param server: gunicorn arbiter. Not used.
    :param worker: gunicorn worker.
    """
    used = 0.0 if _exit_requested_at is None else time.monotonic() - _exit_requested_at
    stop_all(SHARE * max(0.0, _grace(worker) - used))
