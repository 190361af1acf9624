"""The class of an event follows from its name: ``mypy`` checks this file, and its functions are never called."""

from __future__ import annotations

import json
from typing import assert_type

from relay_sync import Call, CallStateEvent, Expectation, constants
from relay_sync.events import AICompletionEvent, ConferenceEvent, PlayEvent, RelayEvent, StreamEvent, event_class
from tests.support import DATA
from tests.support.event_overloads import FILE, classes, page


def test_the_overloads_are_those_of_the_known_events() -> None:
    assert FILE.read_text(encoding="utf-8") == page(), "run python -m tests.support.event_overloads"


def test_every_known_event_has_a_class_and_all_of_a_call_are_overloads() -> None:
    known = json.loads((DATA / "events.json").read_text(encoding="utf-8"))
    assert {name for name in known if event_class(name) is None} == set()
    assert set(known) - set(classes()) == {
        "calling.call.dial",
        "calling.call.receive",
        "messaging.receive",
        "messaging.state",
        "queuing.relay.tasks",
        "signalwire.authorization.state",
    }


def waits(call: Call, name: str) -> None:
    """The waits return the class of the name."""
    assert_type(call.wait_for("calling.call.state", lambda event: event.call_state == "ended"), CallStateEvent)
    assert_type(call.wait_for("calling.call.play", lambda event: event.state == "finished", timeout=5), PlayEvent)
    assert_type(call.wait_for("calling.conference"), ConferenceEvent)
    assert_type(call.wait_for(StreamEvent, lambda event: event.control_id == "S1"), StreamEvent)
    assert_type(call.wait_for(name, lambda event: event.timestamp > 0), RelayEvent)
    assert_type(call.wait_for("calling.call.unheard_of"), RelayEvent)
    assert_type(call.wait_for_ended().end_reason, constants.CallEndReason | str)
    for event in call.events():
        assert_type(event, RelayEvent)


def expectations(call: Call, name: str) -> None:
    """So does the value of an expectation; an expectation of a class is one of its bases."""
    with call.expect("calling.ai.completion", lambda event: "bye" in event.text, timeout=5) as seen:
        assert_type(seen, Expectation[AICompletionEvent])
    assert_type(seen.value, AICompletionEvent)
    with call.expect(PlayEvent, lambda event: event.state == "finished") as played:
        pass
    assert_type(played.value, PlayEvent)
    with call.expect(name) as other:
        pass
    assert_type(other.value, RelayEvent)
    any_of_them: list[Expectation[RelayEvent]] = [seen, played, other]
    assert any_of_them
    call.wait_for("calling.call.play", lambda event: event.call_state == "ended")  # type: ignore[attr-defined]


def handlers(call: Call, name: str) -> None:
    """Handlers receive the class, and keep their types."""

    @call.on("calling.call.state")
    def state_changed(event: CallStateEvent) -> str:
        return event.call_state

    assert_type(state_changed(CallStateEvent(event_type="calling.call.state")), str)

    @call.on(StreamEvent)
    def streamed(event: StreamEvent) -> None:
        """Accept the class that is named."""

    @call.on(name)
    @call.on("calling.call.play")
    def anything(event: RelayEvent) -> None:
        """Accept every event."""

    call.on("calling.call.play", lambda event: event.control_id)
    call.on(PlayEvent, lambda event: event.control_id)
    call.on(name, lambda event: event.timestamp)
    call.on("calling.call.play", lambda event: event.call_state)  # type: ignore[attr-defined]
    call.on(name, lambda event: event.call_state)  # type: ignore[attr-defined]
    call.on("calling.call.play", streamed)  # type: ignore[arg-type]
