"""gunicorn: a client of its own in each worker, started with the worker and ended with it.

::

    gunicorn --config python:relay_sync.contrib.gunicorn app:app

or, in a configuration file of yours::

    from relay_sync.contrib.gunicorn import post_worker_init, worker_exit

The clients are those of the applications in the worker (:mod:`relay_sync.contrib.flask`, :mod:`relay_sync.contrib.django`).
Works with all kinds of workers, and with ``preload_app``, for nothing is started before the fork.
"""

from __future__ import annotations

from typing import Any

from .hosting import start_all, stop_all

__all__ = ["post_worker_init", "worker_exit"]


def post_worker_init(worker: Any) -> None:
    """The worker has loaded the application: take calls."""
    start_all()


def worker_exit(server: Any, worker: Any) -> None:
    """The worker ends, and has answered its requests: let live calls end for most of what is left of ``graceful_timeout``."""
    stop_all(0.8 * float(worker.cfg.graceful_timeout))
