"""The hooks of gunicorn, in this process: how much time live calls get."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from relay_sync.contrib import gunicorn, hosting

GRACE = 0.5
REQUEST = 0.1


class Application:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.drains: list[float] = []

    def start(self) -> None:
        """Takes no calls."""

    def stop(self, drain: float) -> None:
        self.drains.append(drain)


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    found = Application()
    # The hooks start and stop all there are: here this one, whatever other tests have left.
    monkeypatch.setattr(hosting, "_hosted", {found})
    return found


class Worker:
    """What the hooks use of one."""

    def __init__(self) -> None:
        self.cfg = SimpleNamespace(graceful_timeout=GRACE, preload_app=False)
        self.alive = True


def test_calls_get_their_share_of_what_the_last_request_left(application: Application) -> None:
    worker = Worker()
    gunicorn.post_worker_init(worker)
    worker.alive = False
    time.sleep(REQUEST)  # the last request
    worker.alive = False  # once more, as by a second Ctrl-C: the time goes on
    gunicorn.worker_exit(None, worker)
    (drain,) = application.drains
    assert 0 <= drain <= 0.8 * (GRACE - REQUEST)
    assert isinstance(worker, Worker)
    assert not worker.alive


def test_where_nothing_is_left_calls_are_hung_up_at_once(application: Application) -> None:
    worker = Worker()
    gunicorn.post_worker_init(worker)
    worker.alive = False
    worker.cfg.graceful_timeout = 0.01
    time.sleep(0.02)
    gunicorn.worker_exit(None, worker)
    assert application.drains == [0.0]


def test_each_worker_has_its_own_time(application: Application) -> None:
    first, second = Worker(), Worker()
    gunicorn.post_worker_init(first)
    first.alive = False
    gunicorn.post_worker_init(second)
    gunicorn.worker_exit(None, second)
    assert application.drains == [0.8 * GRACE]
