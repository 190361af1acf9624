"""The names that a test hands to a simulator: methods and types of events. A misspelt one would be waited for in vain. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from typing import Final

from ..errors import InvalidParameter
from .methods import METHODS

__all__ = ["ACTIVITIES", "EVENTS", "check_activity", "check_event", "check_method", "check_state"]

_CALL_EVENTS: Final = """
ai ai_sidecar collect connect denoise detect dial echo fax hold live_transcribe live_translate pay play queue receive record
refer room send_digits state stream tap transcribe
"""
#: The types of events that a simulator sends, or may be told to send.
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

_STATES: Final = """
answered busy connected connecting created delivered dialing dequeue disconnected ended ending enqueue error failed finished
initiated leave no_input paused playing queued received recording ringing sent streaming undelivered
"""

#: The methods that start what ``Phone.activities`` tells of.
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


def check_method(value: str, name: str = "method") -> str:
    """A name that is not taken for a misspelt one: methods that are not known yet pass.

    :raises InvalidParameter: it resembles a method of RELAY, and is none.
    """
    return _check(value, name, METHODS)


def check_event(value: str, name: str = "event_type") -> str:
    """As :func:`check_method`, for the type of an event."""
    return _check(value, name, EVENTS)


def check_state(value: str | None) -> str | None:
    """As :func:`check_method`, for the state that an event tells of; ``None`` is any."""
    return None if value is None else _check(value, "state", _STATES.split())


def check_activity(value: str, name: str = "method") -> str:
    """The name of something that goes on on a call.

    :raises InvalidParameter: it is none. Streams are not among them: :meth:`Phone.wait_for_stream` waits for those.
    """
    if value in ACTIVITIES:
        return value
    near = _near(value, ACTIVITIES)
    raise InvalidParameter(name, value, f"{near!r}, perhaps" if near else f"one of {', '.join(sorted(ACTIVITIES))}")


def _check(value: str, name: str, known: Collection[str]) -> str:
    if not isinstance(value, str):
        raise InvalidParameter(name, value, "text")
    if value not in known:
        near = _near(value, known)
        if near is not None:
            raise InvalidParameter(name, value, f"{near!r}, perhaps: there is no {value!r}")
    return value


def _near(value: object, known: Collection[str]) -> str | None:
    """The name that was probably meant."""
    if not isinstance(value, str):
        return None
    for prefix in ("calling.", "calling.call.", "signalwire.", "messaging."):
        if prefix + value in known:
            return prefix + value
    found = difflib.get_close_matches(value, known, 1, 0.85)
    return found[0] if found else None
