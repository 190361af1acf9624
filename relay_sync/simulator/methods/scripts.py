"""Scripts that tests write for requests: what the reply is, and which events follow it at what times."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from ...errors import InvalidParameter
from ...params import values
from ..core import given
from ..core.names import EVENTS
from ..people.phone import STATES

__all__ = ["DialScript", "MethodScript", "ScriptedEvent", "ScriptedLeg", "Scripts", "check_states", "usual_event"]

#: Maximum number of scripts that wait for a request.
MOST_SCRIPTS: Final = 10_000
#: Events by method, where the event's type does not follow from the method's name.
_USUAL: Final = {
    "calling.answer": "calling.call.state",
    "calling.begin": "calling.call.state",
    "calling.end": "calling.call.state",
    "calling.pass": "calling.call.state",
    "calling.transfer": "calling.call.state",
    "calling.disconnect": "calling.call.connect",
    "calling.play_and_collect": "calling.call.collect",
    "calling.unhold": "calling.call.hold",
    "calling.send_fax": "calling.call.fax",
    "calling.receive_fax": "calling.call.fax",
    "calling.join_room": "calling.call.room",
    "calling.leave_room": "calling.call.room",
    "calling.join_conference": "calling.conference",
    "calling.leave_conference": "calling.conference",
    "calling.user_event": "calling.user_event",
    "messaging.send": "messaging.state",
}


def usual_event(method: str) -> str:
    """Return the type of the events that a method's action sends, or ``""`` if the method starts no action."""
    theme, _, name = method.partition(".")
    action = f"{theme}.{name.partition('.')[0]}"
    found = _USUAL.get(action, f"calling.call.{action.partition('.')[2]}")
    return found if found in EVENTS and theme in ("calling", "messaging") else ""


def check_states(name: str, value: Any) -> tuple[str, ...]:
    """Check a sequence of call states."""
    states = tuple(given.lines(name, value))
    for state in states:
        if state not in STATES:
            raise InvalidParameter(name, state, f"a list of the states {', '.join(STATES)}")
    return states


def _params(value: Mapping[str, Any]) -> dict[str, Any]:
    return values.json_object("params", value, optional=False) or {}


def _at(value: float) -> float:
    return given.seconds("at", value)


def _delay(value: float) -> float:
    return given.seconds("delay", value)


def _event_type(value: str) -> str:
    return given.words("event_type", value)


def _call_id(value: str | None) -> str | None:
    return None if value is None else given.name_of("call_id", value)


def _states(value: Sequence[str]) -> tuple[str, ...]:
    return check_states("states", value)


@frozen
class ScriptedEvent:
    """An event that follows the reply to a request. See :meth:`Simulator.script`.

    The simulator adds ``call_id``, ``node_id``, ``control_id`` and ``tag`` of the request, and ``message_id`` of the reply,
    unless ``params`` contains them. A ``calling.call.state`` event also changes the call's state in the simulator.

    :param params: parameters of the event, such as ``{"state": "playing"}``.
    :param at: time of the event in seconds after the reply. It does not depend on ``media`` and ``speed``.
    :param event_type: type of the event; ``""`` is the usual type of the method's events.
    :raises InvalidParameter: a value is invalid.
    """

    params: Mapping[str, Any] = field(converter=_params)
    at: float = field(default=0.0, kw_only=True, converter=_at)
    event_type: str = field(default="", kw_only=True, converter=_event_type)


@frozen
class ScriptedLeg:
    """A leg of a scripted dial. See :meth:`Simulator.script_dial`.

    :param call_id: ID of the leg's call; ``None`` generates one.
    :param states: states that the leg goes through.
    :param at: time of the first state in seconds after the reply to the dial.
    :param delay: time from one state to the next, in seconds.
    :raises InvalidParameter: a value is invalid.
    """

    call_id: str | None = field(default=None, converter=_call_id)
    states: tuple[str, ...] = field(default=("created", "ringing", "answered"), converter=_states)
    at: float = field(default=0.001, kw_only=True, converter=_at)
    delay: float = field(default=0.001, kw_only=True, converter=_delay)

    def times(self) -> list[tuple[float, str]]:
        """Return the states with their times, in seconds after the reply."""
        return [(self.at + number * self.delay, state) for number, state in enumerate(self.states)]


@frozen(kw_only=True)
class MethodScript:
    """The reply to a request and the events after it.

    :ivar reply: result of the reply; ``None`` is the method's usual acknowledgment.
    """

    events: Sequence[ScriptedEvent]
    reply: Mapping[str, Any] | None = None


@frozen(kw_only=True)
class DialScript:
    """The course of a dial.

    :ivar winner: leg that is answered; ``None`` if the dial fails.
    :ivar tag: tag in the events; ``None`` is the request's tag.
    :ivar node_id: node ID of the calls; ``None`` is the simulator's.
    :ivar device: device in the events; ``None`` is the request's first device.
    :ivar dialing: whether the dial begins with a ``dialing`` event.
    :ivar reason: reason in the dial's last event if it fails.
    :ivar delay: time from the last leg's last state to the dial's last event, in seconds.
    """

    winner: ScriptedLeg | None
    losers: Sequence[ScriptedLeg]
    tag: str | None
    node_id: str | None
    device: Mapping[str, Any] | None
    dialing: bool
    reason: str
    delay: float

    @property
    def legs(self) -> list[ScriptedLeg]:
        """All legs, the winner first."""
        return [*([self.winner] if self.winner is not None else []), *self.losers]


@define(eq=False)
class _Waiting:
    method: str
    session: str
    script: MethodScript | DialScript
    left: int | None

    def fits(self, method: str, session: str) -> bool:
        """Return whether the script is for a request."""
        return self.method == method and self.session in ("", session)


@define(eq=False)
class Scripts:
    """The scripts that wait for a request. Thread-safe.

    :ivar acknowledge_only: whether requests without a script are only validated and acknowledged.
    """

    acknowledge_only: bool = False
    _waiting: list[_Waiting] = field(factory=list, init=False, repr=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)

    def add(self, method: str, script: MethodScript | DialScript, session: str | None, times: int | None) -> None:
        """Add a script for a method.

        :param session: session ID of the requests that it applies to; ``None`` applies it to all sessions.
        :raises InvalidParameter: too many scripts wait already.
        """
        with self._lock:
            if len(self._waiting) >= MOST_SCRIPTS:
                raise InvalidParameter(
                    "method", method, f"at most {MOST_SCRIPTS} waiting scripts; call clear_scripts()"
                )
            if times is None:  # An unlimited script replaces the previous one.
                self._waiting = [
                    each
                    for each in self._waiting
                    if each.left is not None or (each.method, each.session) != (method, session or "")
                ]
            self._waiting.append(_Waiting(method, session or "", script, times))

    def has(self, method: str, session: str) -> bool:
        """Return whether there is a script for a request."""
        return any(each.fits(method, session) for each in list(self._waiting))

    def take(self, method: str, session: str) -> MethodScript | DialScript | None:
        """Return the script for a request, and count its use.

        Scripts for the session come first, then scripts for all sessions; in each group those with a limit come first.
        """
        with self._lock:
            found = [each for each in self._waiting if each.fits(method, session)]
            if not found:
                return None
            first = min(found, key=lambda each: (not each.session, each.left is None))
            if first.left is not None:
                first.left -= 1
                if not first.left:
                    self._waiting.remove(first)
            return first.script

    def clear(self, session: str | None = None) -> int:
        """Remove the scripts of a session, or all scripts, and return their number."""
        with self._lock:
            before = len(self._waiting)
            self._waiting = [each for each in self._waiting if session not in (None, each.session)]
            return before - len(self._waiting)
