"""Faults that tests inject into the simulator.

Pending faults are kept in a list. A fault is removed once it has been applied as often as requested.
"""

from __future__ import annotations

import re
import threading
from typing import Any, TypeVar

from attrs import define, field, frozen

from ...errors import InvalidParameter
from . import given
from .journal import Tell
from .names import check_breakable, check_event, check_method, check_state

__all__ = ["EventFault", "Faults", "MediaFault", "RequestFault", "tell_of_faults"]

# Paths at which an event may contain its state or an equivalent value. The path depends on the event type.
_STATES = (
    ("call_state",),
    ("state",),
    ("dial_state",),
    ("connect_state",),
    ("message_state",),
    ("status",),
    ("join_status",),
    ("result",),
    ("result", "type"),
    ("detect", "params", "event"),
    ("fax", "type"),
    ("sidecar_event", "type"),
)


#: Names of the ``Controls`` methods that create request faults, by kind.
_ORDERS = {"refuse": "refuse", "fail": "fail", "drop": "drop_reply", "hold": "hold", "break": "break_action"}


def _is_code(value: object) -> bool:
    """Return whether a value is an integer of at most 15 digits, as a number or a string."""
    if isinstance(value, str):
        return re.fullmatch("-?[0-9]{1,15}", value) is not None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e15 and value == int(value)


def _at(params: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        params = params.get(name) if isinstance(params, dict) else None
    return params


@frozen(kw_only=True)
class RequestFault:
    """Fault in responses to requests for a method.

    :ivar kind: ``refuse`` (reply with an error code in the result), ``fail`` (reply with a JSON-RPC error), ``drop`` (execute
        the request without replying), ``hold`` (execute the request and hold the reply until it is released) or ``break``
        (acknowledge the request, then make the action fail).
    :raises InvalidParameter: the method is misspelled or does not start an action, or the code does not indicate an error.
    """

    kind: str
    method: str = field(converter=check_method)
    code: int | str = 0
    message: str = ""
    data: Any = None

    def __str__(self) -> str:
        return f"{_ORDERS[self.kind]}({self.method!r})"

    def __attrs_post_init__(self) -> None:
        given.words("message", self.message)
        if self.kind == "break":
            check_breakable(self.method)
        if self.kind in ("refuse", "fail"):
            if not _is_code(self.code):
                raise InvalidParameter("code", self.code, "a whole number, or a string of its digits")
            if self.kind == "refuse" and 200 <= int(self.code) < 300:
                raise InvalidParameter("code", self.code, "an error code (2xx means success)")


@frozen(kw_only=True)
class EventFault:
    """Fault in delivering events of a type.

    :ivar kind: ``drop``, ``duplicate`` or ``delay``.
    :ivar state: event state to match; ``None`` matches any state.
    :ivar copies: number of additional copies.
    :ivar same_id: whether copies reuse the original frame's ID.
    :raises InvalidParameter: the event type or the state is misspelled, or another value is invalid.
    """

    kind: str
    event_type: str = field(converter=check_event)
    state: str | None = None
    seconds: float = 0.0
    copies: int = 1
    same_id: bool = True

    def __str__(self) -> str:
        state = "" if self.state is None else f", state={self.state!r}"
        return f"{self.kind}_event({self.event_type!r}{state})"

    def __attrs_post_init__(self) -> None:
        check_state(self.state, self.event_type)
        given.seconds("seconds", self.seconds)
        given.number("copies", self.copies, 1)
        given.yes("same_id", self.same_id)

    def meets(self, event_type: str, params: dict[str, Any]) -> bool:
        """Return whether the fault applies to an event."""
        if event_type != self.event_type:
            return False
        return self.state is None or any(_at(params, path) == self.state for path in _STATES)


@frozen(kw_only=True)
class MediaFault:
    """Fault in a stream's audio.

    :ivar kind: kind of fault; see ``Controls.disturb_stream``.
    :ivar at: first frame interval affected, counted from 0.
    :ivar count: number of frame intervals affected.
    :ivar error: ``StreamError`` value for a refused stream.
    """

    kind: str
    at: int = 0
    count: int = 1
    error: str = ""

    def __str__(self) -> str:
        return f"disturb_stream({self.kind!r}, at={self.at})"


_Fault = TypeVar("_Fault", bound="RequestFault | EventFault | MediaFault")


@define(eq=False)
class _Rule:
    fault: RequestFault | EventFault | MediaFault
    left: int | None
    used: int = 0

    def unmet(self) -> str:
        """Return a description of the fault if it was not applied as often as requested, else ``""``."""
        if self.left is None:
            return f"{self.fault} (always): never" if not self.used else ""
        return f"{self.fault}: {self.used} of {self.left + self.used} times" if self.left else ""


@define(eq=False)
class Faults:
    """Pending faults. Thread-safe."""

    _rules: list[_Rule] = field(factory=list, init=False)
    _missed: list[str] = field(factory=list, init=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)
    _tell: Tell = field(default=lambda kind, members: None, init=False, repr=False)

    def add(self, fault: RequestFault | EventFault | MediaFault, times: int | None) -> None:
        """Add a fault that is applied ``times`` times, or always if ``times`` is ``None``. Faults are applied in the order they
        were added.
        """
        times = given.times(times)
        with self._lock:
            self._rules.append(_Rule(fault, times))
        self._tell("fault", lambda: {"fault": str(fault), "state": "added", "times": times})

    def unused(self) -> list[str]:
        """Return descriptions of the faults that were not applied as often as requested.

        Removed faults are not included. Tests can assert that the list is empty to verify that each injected fault occurred.
        """
        with self._lock:
            return [*filter(None, (rule.unmet() for rule in self._rules)), *self._missed]

    def missed(self, fault: MediaFault) -> None:
        """Record that a stream ended before its fault could be applied."""
        with self._lock:
            if not any(rule.fault is fault and rule.left is None for rule in self._rules):
                self._missed.append(f"{fault}: the stream ended before")

    def _use(self, rule: _Rule) -> None:
        rule.used += 1
        if rule.left is not None:
            rule.left -= 1
            if rule.left == 0:
                self._rules.remove(rule)

    def for_request(self, method: str) -> RequestFault | None:
        """Return the first pending fault for a request and count its use, or return ``None``."""
        with self._lock:
            for rule in self._rules:
                if isinstance(rule.fault, RequestFault) and rule.fault.method == method:
                    self._use(rule)
                    break
            else:
                return None
        return self._applied(rule.fault)

    def for_event(self, event_type: str, params: dict[str, Any]) -> EventFault | None:
        """Return the first pending fault for an event and count its use, or return ``None``."""
        with self._lock:
            for rule in self._rules:
                if isinstance(rule.fault, EventFault) and rule.fault.meets(event_type, params):
                    self._use(rule)
                    break
            else:
                return None
        return self._applied(rule.fault)

    def for_stream(self) -> list[MediaFault]:
        """Return all pending faults for a new stream and count their use."""
        with self._lock:
            rules = [rule for rule in self._rules if isinstance(rule.fault, MediaFault)]
            for rule in rules:
                self._use(rule)
        return [self._applied(rule.fault) for rule in rules if isinstance(rule.fault, MediaFault)]

    def _applied(self, fault: _Fault) -> _Fault:
        self._tell("fault", lambda: {"fault": str(fault), "state": "applied"})
        return fault

    def lift(self, kind: str, name: str | None = None) -> None:
        """Remove all faults of a kind, or only the faults for one method or event type."""
        with self._lock:
            self._rules = [rule for rule in self._rules if rule.fault.kind != kind or name not in (None, _name(rule))]
        self._tell("fault", lambda: {"fault": kind if name is None else f"{kind} {name}", "state": "removed"})

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self._rules.clear()
            self._missed.clear()
        self._tell("fault", lambda: {"fault": "", "state": "cleared"})


def tell_of_faults(faults: Faults, tell: Tell) -> None:
    """Register a function to call when a fault is added, applied or removed."""
    faults._tell = tell


def _name(rule: _Rule) -> str:
    fault = rule.fault
    if isinstance(fault, MediaFault):
        return "calling.stream"
    return fault.method if isinstance(fault, RequestFault) else fault.event_type
