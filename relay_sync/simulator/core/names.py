"""Validation of method, event and state names that tests pass to a simulator.

Misspelled names are rejected, because a fault or a wait with such a name would never match anything.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final

from ...errors import InvalidParameter
from . import given
from .method_table import METHODS

__all__ = [
    "ACTIVITIES",
    "BREAKABLE",
    "EVENTS",
    "check_activity",
    "check_breakable",
    "check_event",
    "check_method",
    "check_state",
]

_CALL_EVENTS: Final = """
ai ai_sidecar collect connect denoise detect dial echo fax hold live_transcribe live_translate pay play queue receive record
refer room send_digits state stream tap transcribe
"""
#: Types of the events that a simulator can send.
EVENTS: Final = frozenset(
    {
        *(f"calling.call.{name}" for name in _CALL_EVENTS.split()),
        "calling.conference",
        "calling.error",
        "calling.user_event",
        "messaging.receive",
        "messaging.state",
        "queuing.relay.tasks",
        "signalwire.authorization.state",
    }
)

#: States or equivalent values by event type. Events of other types have no state.
_STATES: Final = {
    line.split()[0]: frozenset(line.split()[1:])
    for line in """
calling.call.ai finished error
calling.call.collect collecting finished error digit speech no_input no_match start_of_input
calling.call.connect connecting connected disconnected failed
calling.call.detect finished error HUMAN MACHINE READY NOT_READY UNKNOWN CED CNG 0 1 2 3 4 5 6 7 8 9 * #
calling.call.dial dialing answered failed
calling.call.echo echoing finished
calling.call.fax page finished error
calling.call.hold hold unhold
calling.call.pay success error too-many-failed-attempts caller-interrupted-with-star relay-pay-stop caller-hung-up
    internal-error
calling.call.play playing paused finished error
calling.call.queue enqueue stats dequeue leave
calling.call.receive created ringing answered
calling.call.record recording paused finished no_input error
calling.call.refer inProgress success busy noAnswer cancel error
calling.call.room joined leave failed
calling.call.send_digits finished error
calling.call.state created ringing answered ending ended
calling.call.stream streaming finished error
calling.call.tap tapping finished error
calling.call.transcribe transcribing finished error
messaging.receive received
messaging.state queued initiated sent delivered undelivered failed
""".replace("\n    ", " ")
    .strip()
    .splitlines()
}
_ANY_STATE: Final = frozenset().union(*_STATES.values())

#: Methods that ``Phone.activities`` can list.
ACTIVITIES: Final = frozenset(
    {
        "calling.ai",
        "calling.ai_sidecar",
        "calling.amazon_bedrock",
        "calling.bind_digit",
        "calling.collect",
        "calling.connect",
        "calling.detect",
        "calling.echo",
        "calling.join_conference",
        "calling.join_room",
        "calling.live_transcribe",
        "calling.live_translate",
        "calling.pay",
        "calling.play",
        "calling.play_and_collect",
        "calling.queue.enter",
        "calling.receive_fax",
        "calling.record",
        "calling.refer",
        "calling.send_digits",
        "calling.send_fax",
        "calling.tap",
        "calling.transcribe",
    }
)


#: Methods whose actions can be made to fail with ``Simulator.break_action()``.
BREAKABLE: Final = (ACTIVITIES - {"calling.bind_digit"}) | {"calling.dial", "messaging.send"}


def check_breakable(value: str) -> str:
    """Return a method name if the method's action can be made to fail.

    :raises InvalidParameter: the method is unknown, or its action cannot be made to fail.
    """
    if value in BREAKABLE:
        return value
    if value == "calling.stream":
        raise InvalidParameter(
            "method", value, "a method other than calling.stream; use disturb_stream('refuse') for streams"
        )
    near = _near(value, BREAKABLE, 0.6)
    hint = f"; perhaps {near!r}" if near else ""
    raise InvalidParameter("method", value, f"a method that starts an action ({', '.join(sorted(BREAKABLE))}){hint}")


def check_method(value: str, name: str = "method") -> str:
    """Check and return a method name. Unknown names are accepted unless they appear to be misspelled.

    :raises InvalidParameter: the name is unknown and resembles a RELAY method name.
    """
    return _check(value, name, METHODS)


def check_event(value: str, name: str = "event_type") -> str:
    """Check and return an event type. Unknown types are accepted unless they appear to be misspelled.

    :raises InvalidParameter: the type is unknown and resembles a known event type.
    """
    return _check(value, name, EVENTS)


def check_state(value: str | None, event_type: str) -> None:
    """Check a state name for an event type. ``None`` matches any state. Unknown states are accepted unless they appear to be
    misspelled.

    :raises InvalidParameter: the state is unknown and resembles a known one, or only other event types have it.
    """
    if value is None:
        return
    given.name_of("state", value)
    known = _STATES.get(event_type)
    if known is None:
        _check(value, "state", _ANY_STATE)
    elif value not in known:
        _check(value, "state", known)
        if value in _ANY_STATE:
            raise InvalidParameter("state", value, f"a state of {event_type}: {', '.join(sorted(known))}")
        _check(value, "state", _ANY_STATE)


def check_activity(value: str, name: str = "method") -> str:
    """Check and return the name of a method that can appear in ``Phone.activities``.

    :raises InvalidParameter: the method cannot appear in ``Phone.activities``. For streams, use :meth:`Phone.wait_for_stream`.
    """
    if not isinstance(value, str):
        raise InvalidParameter(name, value, f"one of {', '.join(sorted(ACTIVITIES))}")
    if value in ACTIVITIES:
        return value
    near = _near(value, ACTIVITIES)
    raise InvalidParameter(
        name, value, f"a known name, perhaps {near!r}" if near else f"one of {', '.join(sorted(ACTIVITIES))}"
    )


def _check(value: str, name: str, known: Collection[str]) -> str:
    if given.name_of(name, value) not in known:
        near = _near(value, known)
        if near is not None:
            raise InvalidParameter(name, value, f"a known name, perhaps {near!r}")
    return value


def _near(value: object, known: Collection[str], alike: float = 0.85) -> str | None:
    """Return the most similar known name, or ``None`` if no name is similar enough."""
    if not isinstance(value, str):
        return None
    for prefix in ("calling.", "calling.call.", "signalwire.", "messaging."):
        if prefix + value in known:
            return prefix + value
    found = difflib.get_close_matches(value, known, 1, alike)
    return found[0] if found else None
