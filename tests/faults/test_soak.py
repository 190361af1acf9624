"""The soak, for a minute: see :mod:`tests.support.faults.soak`; and that its balance would show what it looks for."""

from __future__ import annotations

from typing import Any

import pytest

from relay_sync.threads.lanes import Lanes
from tests.support.faults import soak as soaking
from tests.support.faults.soak import soak


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("seconds", "seed"), [(60.0, 11), pytest.param(900.0, 12, marks=pytest.mark.long)])
def test_calls_through_a_network_that_breaks_all_the_time(seconds: float, seed: int) -> None:
    balance = soak(seconds, seed, every=(1.0, 4.0), rest=15.0)
    assert balance.problems == []
    assert balance.calls > 20  # how many depends on how long the client is kept out
    assert sum(balance.faults.values()) > 15
    assert balance.connections > 3
    assert balance.delivered["call"] > 20
    assert balance.delivered["stream"] > 5
    assert set(balance.errors) <= {
        "ConnectionLost",
        "NotConnected",
        "RequestTimeout",
        "CallEnded",
        "CommandRefused",
        "DialFailed",
    }
    first, last = balance.samples[0], balance.samples[-1]
    assert last.threads <= first.threads + 2
    # A look may fall into a change of connections: client, proxy and server, all in this process, hold four sockets for each.
    assert last.descriptors <= first.descriptors + 6


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", ["twice", "never"])
def test_the_balance_shows_a_client_that_tells_twice_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, sabotage: str
) -> None:
    count = 0
    submit = Lanes.submit

    def badly(lanes: Lanes, key: Any, job: Any, *args: Any) -> None:
        nonlocal count
        count += 1
        if count % 3:  # often enough to hit some of those that are counted
            submit(lanes, key, job, *args)
        elif sabotage == "twice":
            submit(lanes, key, job, *args)
            submit(lanes, key, job, *args)

    monkeypatch.setattr(Lanes, "submit", badly)
    monkeypatch.setattr(soaking, "CALM", 1.0)
    assert soak(4.0, 3, every=(60.0, 60.0), rest=60.0).problems
