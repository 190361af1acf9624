"""The lane of observers by itself."""

from __future__ import annotations

import threading

import pytest

from relay_sync.observing.lane import Lane
from tests.support import PATIENCE


def test_what_does_not_fit_is_dropped_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    small, held, entered = Lane(most=3), threading.Event(), threading.Event()
    done: list[int] = []

    def hold() -> None:
        entered.set()
        held.wait(PATIENCE)

    small.join(caplog)
    assert small.put(hold)
    assert entered.wait(PATIENCE)
    taken = [number for number in range(10) if small.put(done.append, number)]
    held.set()
    assert small.leave(caplog, PATIENCE)
    assert done == taken == [0, 1, 2]
    assert caplog.text.count("observers are too slow") == 1
