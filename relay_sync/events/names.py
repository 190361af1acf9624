"""Validate the names of call events, and suggest corrections for misspelled names."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Final

from ..constants import CALL_STATES, EVENT_CALL_DIAL, EVENT_CALL_RECEIVE, EVENT_CALL_STATE
from ..errors import InvalidParameter
from ..threads import logs
from .base import EVENT_CLASSES, LATER, RelayEvent, event_class

__all__ = ["event_name"]

_log = logs.get("relay_sync")

_FORM: Final = r"calling(?:\.[a-z0-9_]+)+"
#: Events that do not belong to a call, and the API that delivers each of them.
_ELSEWHERE: Final = {
    EVENT_CALL_RECEIVE: "inbound calls are delivered to client.on_call",
    EVENT_CALL_DIAL: "client.dial() returns the call or raises DialFailed",
    "messaging": "messages are delivered to client.on_message, and their states to the message",
    "queuing": "tasks are delivered to client.on_task",
    "signalwire": "session events are handled by the client",
}
#: Call states, and other words that users try for them.
_STATE_WORDS: Final = {
    **{state: state for state in CALL_STATES},
    **dict.fromkeys(("end", "hangup", "hung_up", "disconnected", "finished"), "ended"),
    "answer": "answered",
    "ring": "ringing",
    "state": "",
}
#: Action states that users append to an event name, as in ``stream.finished``.
_ACTION_STATES: Final = frozenset({"streaming", "playing", "recording", "paused", "finished", "error", "no_input"})
#: Minimum similarity, from 0 to 1, of a misspelled name and the suggested name.
_ALIKE: Final = 0.8
#: Unknown names that have been accepted. Each name is logged once.
_taken: Final[set[str]] = set()


def event_name(given: object) -> str:
    """Return the event type for an event name or class.

    :param given: Event type or event class.
    :raises InvalidParameter: the value is neither, or the event does not belong to a call.
    """
    name = given.TYPE if isinstance(given, type) and issubclass(given, RelayEvent) and given.TYPE else given
    if not isinstance(name, str) or not name:
        raise InvalidParameter("event_type", given, "the name of an event, such as 'calling.call.state', or its class")
    _check(name)
    return name


def _check(name: str) -> None:
    """Raise :exc:`InvalidParameter` if a name does not identify a call event.

    Because the platform may have events newer than this SDK, an unknown name is accepted with a warning, once per name, if its
    format is valid and it is not similar to a known name.

    :raises InvalidParameter: the event does not belong to a call, or the name is misspelled. The message suggests the correct
        name.
    """
    elsewhere = _ELSEWHERE.get(name) or _ELSEWHERE.get(name.partition(".")[0])
    if elsewhere is not None:
        raise InvalidParameter("event_type", name, f"the name of a call event: {elsewhere}")
    if event_class(name) is not None:
        return
    meant = _meant_by(name)
    if meant or not re.fullmatch(_FORM, name):
        hint = f"; did you mean {meant}?" if meant else ", such as 'calling.call.state', or its class"
        raise InvalidParameter("event_type", name, f"the name of a call event{hint}")
    if name not in _taken:
        _taken.add(name)
        _log.warning("unknown event type %r: the handler is only called if the platform sends this event", name)


def _meant_by(name: str) -> str:
    *before, word = re.split(r"[.\s]", name.lower())
    action = f"calling.call.{before[-1]}" if before else ""
    if word in _ACTION_STATES and action != EVENT_CALL_STATE and event_class(action) is not None:
        return f"{action!r} with event.state == {word!r}"
    if word in _STATE_WORDS:
        reached = _STATE_WORDS[word]
        wait = f", or call.wait_for_{reached}()" if reached in CALL_STATES[1:] else ""
        state = f" with event.call_state == {reached!r}" if reached else ""
        return f"{EVENT_CALL_STATE!r}{state}{wait}"
    import difflib  # rarely needed

    import_module(".ai", __package__)
    # Compare names without their common prefix, which would make all of them similar.
    short = {_short(known): known for known in _known()}
    for text in (_short(name.lower()), word):
        near = difflib.get_close_matches(text, short, n=1, cutoff=_ALIKE)
        if near:
            return repr(short[near[0]])
    return ""


def _short(name: str) -> str:
    return name.removeprefix("calling.").removeprefix("call.")


def _known() -> list[str]:
    names = {*EVENT_CLASSES, *(name for names in LATER.values() for name in names)}
    return sorted(name for name in names if re.fullmatch(_FORM, name) and name not in _ELSEWHERE)
