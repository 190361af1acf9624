"""Waiting for the end of several threads."""

from __future__ import annotations

import threading
import time

import pytest

from relay_sync.threads.starting import join_all
from tests.support import PATIENCE


def test_threads_that_still_run_when_the_time_is_over_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    threads = [threading.Thread(target=go_on.wait, name=f"relay-test-{n}", daemon=True) for n in range(3)]
    for thread in threads[:2]:
        thread.start()
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)  # the time is over, where the clock stands still as well
    assert join_all(threads, 0.01) == threads[:2], "one was not started"
    monkeypatch.undo()
    go_on.set()
    assert join_all(iter(threads), PATIENCE) == []
    assert not any(thread.is_alive() for thread in threads)
