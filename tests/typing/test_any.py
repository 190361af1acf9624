"""Types that say nothing are few in the public API: the checks of completeness count ``Any`` as a known type."""

from __future__ import annotations

from typing import Any

from tests.support.fields import public_callables

#: What takes or returns any value, or values that have no common type, by reason.
ANYTHING = {
    "a value of JSON": {
        "relay_sync.Call.amazon_bedrock prompt",
        "relay_sync.TaskEvent message",
        "relay_sync.events.TaskEvent message",
        "relay_sync.simulator.Entry frame",
        "relay_sync.simulator.Journal.add frame",
        "relay_sync.simulator.Phone.sent params",
        "relay_sync.simulator.Simulator.fail data",
        "relay_sync.simulator.Simulator.refuse data",
        "relay_sync.simulator.Simulator.send_frame frame",
        "relay_sync.simulator.Simulator.send_event members",
        "relay_sync.simulator.Stream custom_parameters",
        "relay_sync.simulator.TwoWayStream custom_parameters",
    },
    "the overloads have the types": {
        "relay_sync.Call.on handler",
        "relay_sync.Call.on return",
        "relay_sync.Call.wait_for return",
    },
    "like dict.get": {
        *(
            f"relay_sync.{action}.get {name}"
            for action in ("QueueAction", "SendDigitsAction")
            for name in ("default", "return")
        ),
    },
    "observing does not import calls, messages and streams": {
        *(
            f"{home}.Observer.{name}"
            for home in ("relay_sync", "relay_sync.observing")
            for name in (
                "around_command call",
                "around_handler call",
                "call_event call",
                "call_event event",
                "call_offered call",
                "call_started call",
                "message_changed message",
                "stream_ended stream",
                "stream_started stream",
            )
        ),
    },
}


def untold(name: str, function: Any) -> set[str]:
    """The parameters of a callable, and ``return``, whose type is ``Any``."""
    return {
        f"{name} {parameter}"
        for parameter, kind in function.__annotations__.items()
        if kind is Any or str(kind) in ("Any", "typing.Any", "Any | None")
    }


def test_no_other_type_is_any() -> None:
    found = set().union(*(untold(name, function) for name, function, _ in public_callables()))
    assert found == set().union(*ANYTHING.values())


def test_any_is_found() -> None:
    def planted(first: int, second: Any) -> Any:
        """Take anything."""

    assert untold("planted", planted) == {"planted second", "planted return"}
