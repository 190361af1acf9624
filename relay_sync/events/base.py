"""How an event is read: the envelope, and members that are missing, unknown or of a wrong type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, ClassVar, Final, TypeVar, dataclass_transform

import attrs
from attrs import field

from ..constants import (
    EVENT_AUTHORIZATION_STATE,
    EVENT_CALL_AI,
    EVENT_CALL_COLLECT,
    EVENT_CALL_CONNECT,
    EVENT_CALL_DENOISE,
    EVENT_CALL_DETECT,
    EVENT_CALL_ECHO,
    EVENT_CALL_FAX,
    EVENT_CALL_HOLD,
    EVENT_CALL_PAY,
    EVENT_CALL_PLAY,
    EVENT_CALL_QUEUE,
    EVENT_CALL_RECORD,
    EVENT_CALL_REFER,
    EVENT_CALL_ROOM,
    EVENT_CALL_SEND_DIGITS,
    EVENT_CALL_STREAM,
    EVENT_CALL_TAP,
    EVENT_CALL_TRANSCRIBE,
    EVENT_CALLING_ERROR,
    EVENT_CONFERENCE,
    EVENT_MESSAGING_RECEIVE,
    EVENT_MESSAGING_STATE,
    EVENT_TASKS,
    EVENT_USER,
)
from ..text.json_text import finite
from ..text.secrecy import hide

__all__ = ["CallEvent", "RelayEvent", "event", "event_class", "parse_event"]

#: The types of event whose classes are loaded, and those classes; :func:`event_class` finds the others.
EVENT_CLASSES: Final[dict[str, type[RelayEvent]]] = {}


#: Modules whose classes are made when they are asked for, and the types of their events: together they would be a fifth of
#: what importing this package costs. Those of AI agents have ``calling.ai.`` in common.
LATER: Final[dict[str, tuple[str, ...]]] = {
    "control": (
        EVENT_CALL_AI,
        EVENT_CALL_COLLECT,
        EVENT_CALL_DETECT,
        EVENT_CALL_ECHO,
        EVENT_CALL_FAX,
        EVENT_CALL_PAY,
        EVENT_CALL_PLAY,
        EVENT_CALL_RECORD,
        EVENT_CALL_SEND_DIGITS,
        EVENT_CALL_STREAM,
        EVENT_CALL_TAP,
        EVENT_CALL_TRANSCRIBE,
    ),
    "progress": (
        EVENT_CALL_CONNECT,
        EVENT_CALL_DENOISE,
        EVENT_CALL_HOLD,
        EVENT_CALL_QUEUE,
        EVENT_CALL_REFER,
        EVENT_CALL_ROOM,
        EVENT_CALLING_ERROR,
        EVENT_CONFERENCE,
        EVENT_USER,
    ),
    "messages": (
        EVENT_AUTHORIZATION_STATE,
        EVENT_MESSAGING_RECEIVE,
        EVENT_MESSAGING_STATE,
        EVENT_TASKS,
    ),
}
_HOMES: Final = {event_type: module for module, types in LATER.items() for event_type in types}


def _text(value: Any) -> str | None:
    # Identifiers and names sometimes come as numbers; anything else is no text.
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        return str(value)
    except ValueError:  # more digits than Python will write
        return None


def _whole(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = finite(value)
    return None if number is None else int(number)


def _flag(value: Any) -> bool | None:
    # "true" is how the platform writes dial_winner.
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _texts(value: Any) -> list[str] | None:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else None


def _objects(value: Any) -> list[dict[str, Any]] | None:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else None


def _any(value: Any) -> Any:
    return value


# By the annotation of a member: the type that needs no further look, and how anything else becomes one, or None.
_READERS: Final[dict[str, tuple[type | None, Callable[[Any], Any]]]] = {
    "str": (str, _text),
    "int": (int, _whole),
    "float": (None, finite),
    "bool": (bool, _flag),
    "bool | None": (bool, _flag),
    "dict[str, Any]": (dict, _object),
    "list[str]": (None, _texts),
    "list[dict[str, Any]]": (None, _objects),
    "Any": (None, _any),
}

_Cls = TypeVar("_Cls", bound="type[Any]")
_E = TypeVar("_E", bound="RelayEvent")
_OWN: Final = frozenset({"event_type", "params", "call_id", "timestamp", "synthetic", "reason"})


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def event(cls: _Cls) -> _Cls:
    """Make an attrs class that reads its members off the wire by their names, or by ``metadata={"wire": name}``."""
    # One repr for all: fifty generated ones would be a third of what importing this package costs.
    made = attrs.define(kw_only=True, slots=True, eq=False, repr=False)(cls)
    made._MEMBERS = {
        member.metadata.get("wire", member.name): (member.name, *_READERS[str(member.type)])
        for member in attrs.fields(made)
        if member.name not in _OWN or "wire" in member.metadata
    }
    if made.TYPE:
        EVENT_CLASSES[made.TYPE] = made
    made.__module__ = "relay_sync"
    return made


@event
class RelayEvent:
    """An event that the server reported or, if :attr:`synthetic` is true, that the SDK concluded.

    The SDK creates a synthetic event for one of these reasons: ``call_ended``; ``call_gone`` (the server no longer knows the
    call or the action); ``overdue`` (the connection was down when the digits finished); ``answer_taken`` (the connection was down
    when the event of an acknowledged answer was sent); ``refused`` (an error: the server replied 404 or 410 although the call is
    live); ``session_lost``; ``client_closed``; and ``never_streamed`` (a stream finished without ever being reported as
    streaming). Messages and dials carry the server's own reason instead.

    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    TYPE: ClassVar[str] = ""
    #: By their names on the wire: the name here, the type that needs no further look, and what makes it of others.
    _MEMBERS: ClassVar[dict[str, tuple[str, type | None, Callable[[Any], Any]]]] = {}

    event_type: str
    params: dict[str, Any] = field(factory=dict, repr=False)
    call_id: str = ""
    timestamp: float = 0.0
    synthetic: bool = False
    reason: str = ""

    def __repr__(self) -> str:
        kind: Any = type(self)
        shown = (member for member in attrs.fields(kind) if member.repr)
        told = ((member.name, getattr(self, member.name)) for member in shown)
        return hide(f"{kind.__name__}({', '.join(f'{name}={value!r}' for name, value in told if value)})")

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Pick the members that this class knows from an event's params. Leave out missing and ill-typed members.

        :param params: The event's own members (``params.params`` of the frame).
        """
        found, known = {}, cls._MEMBERS
        for wire, value in params.items():
            member = known.get(wire)
            if member is None or value is None:
                continue
            name, exact, read = member
            if type(value) is not exact:
                value = read(value)
                if value is None:
                    continue
            found[name] = value
        return found

    @classmethod
    def from_params(
        cls: type[_E],
        params: dict[str, Any],
        *,
        event_type: str = "",
        timestamp: float = 0.0,
        synthetic: bool = False,
        reason: str = "",
    ) -> _E:
        """Build the event from its own members, without the envelope.

        :param params: The event's own members (``params.params`` of the frame).
        :param event_type: The event's name on the wire; by default that of the class.
        :param timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if unknown.
        :param synthetic: Whether the SDK created the event instead of the server.
        :param reason: Why the SDK created the event; replaces the reason in *params*.
        """
        members = cls.members(params)
        if reason:
            members["reason"] = reason
        call_id = params.get("call_id")
        return cls(
            event_type=event_type or cls.TYPE,
            params=params,
            call_id=call_id if type(call_id) is str else _text(call_id) or "",
            timestamp=timestamp,
            synthetic=synthetic,
            **members,
        )

    @classmethod
    def from_payload(cls: type[_E], payload: Mapping[str, Any]) -> _E:
        """Build the event from its envelope.

        :param payload: The envelope: ``{"event_type", "timestamp", "params": {...}}``.
        """
        params, event_type, timestamp = payload.get("params"), payload.get("event_type"), payload.get("timestamp")
        return cls.from_params(
            params if isinstance(params, dict) else {},
            event_type=event_type if type(event_type) is str else _text(event_type) or "",
            timestamp=timestamp if type(timestamp) is float and 0 < timestamp < 1e18 else finite(timestamp) or 0.0,
        )


@event
class CallEvent(RelayEvent):
    """An event of a call.

    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    node_id: str = ""
    segment_id: str = ""
    tag: str = ""


def from_envelope(made: _E, payload: Mapping[str, Any], *names: str) -> _E:
    """Fill members that are still empty from the envelope, where some events carry them."""
    for name in names:
        if not getattr(made, name):
            setattr(made, name, _text(payload.get(name)) or "")
    return made


def parse_event(payload: Mapping[str, Any]) -> RelayEvent:
    """Build the event of the class that belongs to its type, or a :class:`RelayEvent` if the type is unknown.

    The function accepts anything that JSON can hold: ill-typed members get their defaults.

    :param payload: The envelope: ``{"event_type", "timestamp", "params": {...}}``.
    """
    event_type = payload.get("event_type")
    if not isinstance(event_type, str):
        return RelayEvent.from_payload(payload)
    kind = EVENT_CLASSES.get(event_type) or event_class(event_type) or RelayEvent
    return kind.from_payload(payload)


def event_class(event_type: str) -> type[RelayEvent] | None:
    """Return the class of an event type, or ``None`` if the type is unknown.

    Most classes are created when the first event of their type arrives: see :data:`LATER`.

    :param event_type: The event's name on the wire.
    """
    found = EVENT_CLASSES.get(event_type)
    if found is None:
        home = "ai" if event_type.startswith("calling.ai.") else _HOMES.get(event_type)
        if home is not None:
            import_module(f".{home}", __package__)
            found = EVENT_CLASSES.get(event_type)
    return found


parse_event.__module__ = "relay_sync"
