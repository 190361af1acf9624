"""What the record of a call holds, and what it does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from relay_sync import CallRecord, CommandRefused
from relay_sync.observing import RecordingRecord, StreamRecord
from relay_sync.observing.observers import Observers
from relay_sync.text.secrecy import Secrets, keep
from tests.support.observed import Happened, Leg, Notes, settled


def record_of(observers: Observers, notes: Notes) -> CallRecord:
    observers.call_ended(Leg(), "hangup")
    settled(observers)
    name, record = notes.told[-1]
    assert name == "ended"
    assert isinstance(record, CallRecord)
    return record


def stream_of(call: Leg, observers: Observers, custom: dict[str, Any], url: str) -> None:
    params = {
        "control_id": "s1",
        "name": "left",
        "url": url,
        "track": "both",
        "codec": "PCMU",
        "authorization_bearer_token": "bearer-4711-of-it",
        "custom_parameters": custom,
    }
    with observers.command("calling.stream", params, call.call_id, call):
        pass


def test_a_record_tells_what_happened(observers: Observers) -> None:
    notes, call, before = Notes(), Leg(), datetime.now(UTC)
    observers.add(notes)
    observers.call_offered(call)
    observers.call_event(call, Happened("calling.call.state", {"call_state": "answered"}))
    stream_of(call, observers, {"campaign": "spring"}, "wss://user:word@example.com:8443/audio?key=1#x")
    observers.call_event(call, Happened("calling.call.stream", {"control_id": "s1", "state": "streaming"}))
    observers.call_event(call, Happened("calling.call.stream", {"control_id": "s1", "state": "finished"}))
    with observers.command("calling.record", {"control_id": "r1"}, "c1", call):
        pass
    url = "https://files.example.com/r1.wav?signature=2"
    observers.call_event(
        call, Happened("calling.call.record", {"control_id": "r1", "state": "finished"}, url, 2.5, 40_000)
    )
    with pytest.raises(CommandRefused), observers.command("calling.play", {"control_id": "p1"}, "c1", call):
        raise CommandRefused(404, "a text of theirs")
    observers.callback_raised("on_call handler", "c1", ValueError("a text of the program's"))
    observers.call_event(call, Happened("calling.error", {"error": "a text"}))
    record = record_of(observers, notes)
    (stream,) = record.streams
    times = [before, record.offered_at, record.answered_at, stream.started_at, stream.ended_at, record.ended_at]
    assert times == sorted(cast("list[datetime]", times))
    assert all(each is not None and each.tzinfo is UTC for each in times)
    assert record == CallRecord(
        call_id="c1",
        direction="inbound",
        from_="+15550199",
        to="+15550100",
        context="office",
        tag="t",
        offered_at=record.offered_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        end_reason="hangup",
        streams=(
            StreamRecord(
                control_id="s1",
                name="left",
                state="finished",
                track="both",
                codec="PCMU",
                url="wss://example.com:8443/audio",
                started_at=stream.started_at,
                ended_at=stream.ended_at,
            ),
        ),
        recordings=(
            RecordingRecord(
                control_id="r1", state="finished", url="https://files.example.com/r1.wav", duration=2.5, size=40_000
            ),
        ),
        commands=3,
        errors=("calling.play: CommandRefused 404", "the on_call handler: ValueError", "calling.error"),
    )


def test_nothing_of_a_call_follows_its_end(observers: Observers) -> None:
    notes = Notes()
    observers.add(notes)
    observers.call_offered(Leg())
    for _ in range(2):
        observers.call_event(Leg(), Happened("calling.call.play"))
        observers.call_ended(Leg(), "hangup")
    settled(observers)
    assert [what for what, _ in notes.told] == ["offered", "event", "ended"]


def test_a_call_that_nobody_told_of_when_its_observer_was_added_is_observed_all_the_same(observers: Observers) -> None:
    # As one that just ends: it is off the client's table already, and this event of it is still to be told.
    events, ended = Notes(), Notes()
    observers.add(events)
    observers.add(ended)
    observers.call_event(Leg(), Happened("calling.call.state", {"call_state": "ended"}))
    observers.call_ended(Leg(), "hangup")
    observers.call_event(Leg(), Happened("calling.call.play"))
    settled(observers)
    for notes in (events, ended):
        assert [what for what, _ in notes.told] == ["event", "ended"]


def test_a_call_that_comes_in_again_after_its_end_is_observed_again(observers: Observers) -> None:
    notes = Notes()
    observers.add(notes)
    for _ in range(2):
        observers.call_offered(Leg())
        observers.call_event(Leg(), Happened("calling.call.play"))
        observers.call_ended(Leg(), "released")
    settled(observers)
    assert [what for what, _ in notes.told] == ["offered", "event", "ended"] * 2


def test_a_call_that_began_before_has_a_record_of_what_is_known(observers: Observers) -> None:
    notes = Notes()
    observers.add(notes, calls=lambda: [Leg()])
    with observers.command("calling.answer", {}, "c1", Leg()):
        pass
    record = record_of(observers, notes)
    assert (record.call_id, record.offered_at, record.answered_at, record.commands) == ("c1", None, None, 1)


@pytest.mark.parametrize(
    ("kept", "custom", "query"),
    [
        ((), {}, ""),
        (("urls",), {}, "?key=1"),
        (("custom_parameters.campaign",), {"campaign": "spring"}, ""),
        (
            ("custom_parameters",),
            {
                "campaign": "spring",
                "token": "***",
                "said": "the *** word",
                "more": {"Password": "***", "n": [1, "***"]},
            },
            "",
        ),
        ("custom_parameters.token", {"token": "***"}, ""),
    ],
)
def test_only_what_is_named_is_kept_and_no_secret(
    observers: Observers, kept: Any, custom: dict[str, Any], query: str
) -> None:
    secrets = keep(Secrets("known-secret-1"))
    notes = Notes()
    observers.add(notes, keep=kept)
    observers.call_offered(Leg())
    given = {
        "campaign": "spring",
        "token": "one-time-4711",
        "said": "the known-secret-1 word",
        "more": {"Password": "abc", "n": [1, "known-secret-1"]},
    }
    stream_of(Leg(), observers, given, "wss://user:word@example.com/known-secret-1?key=1")
    (stream,) = record_of(observers, notes).streams
    assert stream.custom_parameters == custom
    assert stream.url == f"wss://example.com/***{query}"
    assert secrets is not None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://example.com/a?key=1&Token=t-4711&x", "wss://example.com/a?key=1&Token=***&x"),
        ("wss://example.com/a?%74oken=a=b&token", "wss://example.com/a?%74oken=***&token"),
        ("wss://example.com/a#jwt_token=t-4711", "wss://example.com/a#jwt_token=***"),
    ],
)
def test_what_is_secret_by_name_is_left_out_of_a_whole_url(observers: Observers, url: str, shown: str) -> None:
    notes = Notes()
    observers.add(notes, keep=["urls"])
    observers.call_offered(Leg())
    stream_of(Leg(), observers, {}, url)
    (stream,) = record_of(observers, notes).streams
    assert stream.url == shown


def test_what_the_program_does_with_its_parameters_later_changes_no_record(observers: Observers) -> None:
    notes = Notes()
    observers.add(notes, keep=["custom_parameters"])
    observers.call_offered(Leg())
    given: dict[Any, Any] = {"campaign": ["spring"], 7: "seven"}
    stream_of(Leg(), observers, given, "wss://example.com")
    given["campaign"].append("summer")
    given.clear()
    (stream,) = record_of(observers, notes).streams
    assert stream.custom_parameters == {"campaign": ["spring"], "7": "seven"}


def test_each_observer_has_what_it_asked_for(observers: Observers) -> None:
    one, two = Notes(), Notes()
    observers.add(one)
    observers.add(two, keep=["custom_parameters"])
    observers.call_offered(Leg())
    stream_of(Leg(), observers, {"campaign": "spring"}, "wss://example.com")
    observers.call_ended(Leg(), "hangup")
    settled(observers)
    assert one.told[-1][1].streams[0].custom_parameters == {}
    assert two.told[-1][1].streams[0].custom_parameters == {"campaign": "spring"}


def test_a_call_of_hours_makes_no_record_of_any_size(observers: Observers) -> None:
    notes = Notes()
    observers.add(notes)
    observers.call_offered(Leg())
    for number in range(150):
        control = {"control_id": f"a{number}", "state": "finished", "url": "http://[bad"}
        observers.call_event(Leg(), Happened("calling.call.stream", control))
        observers.call_event(Leg(), Happened("calling.call.record", control))
        observers.callback_raised("listener", "c1", ValueError())
    record = record_of(observers, notes)
    assert len(record.streams) == len(record.recordings) == len(record.errors) == 100
    assert record.streams[0] == StreamRecord(control_id="a0", state="finished", ended_at=record.streams[0].ended_at)
