"""Live events in the process of the simulator."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from relay_sync import InvalidParameter, RelayClient
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, TO, line


def test_what_happens_is_told(sim: Simulator) -> None:
    with sim.live() as events, line(sim) as it:
        it.phone.hang_up()
        it.call.wait_for_ended(PATIENCE)
        sim.message(to=TO, from_=FROM, body="hi")
        sim.drop_reply("calling.play")
        sim.journal.notice("c", "", "not carried out", "why")
    told: dict[str, list[dict[str, Any]]] = {}
    while (event := events.take()) is not None:
        told.setdefault(event.kind, []).append(event.data)
    states = [data["state"] for data in told["call"]]
    assert states == ["created", "ringing", "answered", "ending", "ended"]
    assert (told["call"][0]["from"], told["call"][0]["to"], told["call"][-1]["end_reason"]) == (FROM, TO, "hangup")
    assert [data["state"] for data in told["client"]][:2] == ["connected", "authenticated"]
    assert told["frame"][0]["method"] == "signalwire.connect"
    assert [data["number"] for data in told["frame"]][:3] == [0, 1, 2]
    assert [(data["from"], data["state"], data["body"]) for data in told["message"]] == [(FROM, "received", "hi")]
    assert told["fault"] == [{"fault": "drop_reply('calling.play')", "state": "added", "times": 1}]
    assert told["notice"][-1]["text"] == "why"


def test_faults_are_told_when_they_happen(sim: Simulator) -> None:
    with line(sim) as it, sim.live() as events:
        sim.drop_event("calling.call.play", state="finished")
        sim.delay_event("calling.call.play", 0.001, state="playing")
        it.call.play_silence(0.001)
        told: list[tuple[str, str]] = []
        while ("drop_event('calling.call.play', state='finished')", "applied") not in told:
            event = events.read(PATIENCE)
            assert event is not None
            if event.kind == "fault":
                told.append((event.data["fault"], event.data["state"]))
        sim.disturb_stream("gap")
        sim.hold("calling.play")
        sim.release("calling.play")
        sim.clear_faults()
    rest = [event.data for event in events if event.kind == "fault"]
    assert [data["state"] for data in rest] == ["added", "added", "removed", "cleared"]
    assert ("delay_event('calling.call.play', state='playing')", "applied") in told


def test_a_slow_reader_loses_the_oldest(sim: Simulator) -> None:
    with sim.live(limit=3) as events:
        for number in range(5):
            sim.journal.add("in", 1, {"method": str(number)})
        assert [event.data["method"] for event in (events.read(0) for _ in range(3)) if event] == ["2", "3", "4"]
        assert events.lost == 2
        assert events.read(0) is None
        assert repr(events) == "<LiveEvents 0 waiting, 2 lost>"


def test_closing_ends_a_wait_and_iterations(sim: Simulator) -> None:
    events = sim.live()
    reading, iterating = Background(events.read, PATIENCE), Background(lambda: [*events])
    events.close()
    events.close()
    assert reading.result() is None
    assert iterating.result() == []
    sim.journal.add("in", 1, {"method": "after it"})
    assert events.take() is None


def test_news_ring_on_the_thread_where_they_happen(sim: Simulator) -> None:
    where: list[str] = []
    with sim.live(on_news=lambda: where.append(threading.current_thread().name)):
        sim.task({"a": 1})
        sim.call(to=TO, from_=FROM)
        sim.journal.notice("", "", "mine", "mine")
    assert where[0].startswith("relay-sim-")
    assert where[-1] == threading.current_thread().name


def test_events_hide_secrets_when_they_are_shown(sim: Simulator) -> None:
    with sim.live() as events, RelayClient(**sim.credentials) as client:
        client.connect()
    text = "".join(map(repr, events))
    assert "signalwire.connect" in text
    assert sim.settings.token not in text


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2", True, 10**6])
def test_limits_that_cannot_be(sim: Simulator, limit: int) -> None:
    with pytest.raises(InvalidParameter, match="limit"):
        sim.live(limit)
