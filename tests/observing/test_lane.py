"""The lane of observers by itself."""

from __future__ import annotations

import threading

import pytest

from relay_sync.observing.lane import Lane
from relay_sync.threads.lanes import Lanes
from tests.support import PATIENCE
from tests.support.background import no_threads


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


def test_who_joins_while_the_last_one_leaves_has_the_thread(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the process's end none could be started any more."""
    one, close = Lane(), Lanes.close

    def joined(lanes: Lanes, timeout: float) -> bool:
        one.join(monkeypatch)
        return close(lanes, timeout)

    one.join(caplog)
    monkeypatch.setattr(Lanes, "close", joined)
    assert one.leave(caplog, PATIENCE)
    monkeypatch.undo()
    with no_threads():
        assert one.put(tuple)
        assert one.leave(monkeypatch, PATIENCE)
    assert caplog.records == []
