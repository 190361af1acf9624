"""Names of the events of a call, and suggestions for misspelled names. Pure."""

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
#: Events that belong to no call, and what receives them.
_ELSEWHERE: Final = {
    EVENT_CALL_RECEIVE: "offers of calls go to client.on_call",
    EVENT_CALL_DIAL: "client.dial() reports the outcome of a dial",
    "messaging": "messages go to client.on_message, and their states to the message",
    "queuing": "tasks go to client.on_task",
    "signalwire": "the session's own events are for the client",
}
#: Other words for the states and events of a call.
_STATE_WORDS: Final = {
    **{state: state for state in CALL_STATES},
    **dict.fromkeys(("end", "hangup", "hung_up", "disconnected", "finished"), "ended"),
    "answer": "answered",
    "ring": "ringing",
    "state": "",
}
#: States of the actions of a call, as in ``stream.finished``.
_ACTION_STATES: Final = frozenset({"streaming", "playing", "recording", "paused", "finished", "error", "no_input"})
#: Similarity, 0 to 1, from which a name counts as a misspelling of another.
_ALIKE: Final = 0.8
#: Unknown names that were accepted, each with one warning.
_taken: Final[set[str]] = set()


def event_name(given: object) -> str:
    """Return the name of an event type, given by name or by class.

    :param given: The name or the class.
    :raises InvalidParameter: calls have no such event.
    """
    name = given.TYPE if isinstance(given, type) and issubclass(given, RelayEvent) and given.TYPE else given
    if not isinstance(name, str) or not name:
        raise InvalidParameter("event_type", given, "the name of an event, such as 'calling.call.state', or its class")
    _check(name)
    return name


def _check(name: str) -> None:
    """Reject a name that no event of a call has. Accept an unknown name of the right form that resembles no known one, with one
    warning, because the platform may have events that this SDK does not know yet.

    :raises InvalidParameter: calls have no such event; the error suggests the right name.
    """
    elsewhere = _ELSEWHERE.get(name) or _ELSEWHERE.get(name.partition(".")[0])
    if elsewhere is not None:
        raise InvalidParameter("event_type", name, f"an event of a call: {elsewhere}")
    if event_class(name) is not None:
        return
    meant = _meant_by(name)
    if meant or not re.fullmatch(_FORM, name):
        hint = f"; did you mean {meant}?" if meant else ", such as 'calling.call.state', or its class"
        raise InvalidParameter("event_type", name, f"the name of an event of a call{hint}")
    if name not in _taken:
        _taken.add(name)
        _log.warning("event type %r is not known to this SDK: nothing is called unless the platform sends it", name)


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
    import difflib  # few programs misspell a name

    import_module(".ai", __package__)
    # What all names begin with would make them all alike.
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
