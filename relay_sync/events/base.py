"""Base classes for events, and the parser for event payloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from sys import intern
from typing import Any, ClassVar, Final, TypeAlias, TypeVar, dataclass_transform

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

#: Event classes that have been imported, by event type. :func:`event_class` imports the others.
EVENT_CLASSES: Final[dict[str, type[RelayEvent]]] = {}


#: Modules that are imported on first use, and the event types that they define. Importing them eagerly would take a fifth of the
#: import time of ``relay_sync``. Events of AI agents are not listed, because their types all start with ``calling.ai.``.
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
    # The platform sometimes sends IDs and names as numbers. Values of any other type are invalid.
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        return str(value)
    except ValueError:  # an int with more digits than Python converts to str
        return None


def _whole(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = finite(value)
    return None if number is None else int(number)


def _flag(value: Any) -> bool | None:
    # The platform sends dial_winner as the string "true".
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


_Reader: TypeAlias = tuple[type | None, Callable[[Any], Any]]
# For each annotation: the type of values that are used unchanged, and a function that converts other values or returns None.
_READERS: Final[dict[str, _Reader]] = {
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


def _reader(annotation: str) -> _Reader:
    # States are annotated with their known values, such as `Literal["hold", "unhold"] | str`.
    return _READERS["str" if annotation.endswith(" | str") else annotation]


_Cls = TypeVar("_Cls", bound="type[Any]")
_E = TypeVar("_E", bound="RelayEvent")
_OWN: Final = frozenset({"event_type", "params", "call_id", "timestamp", "synthetic", "reason"})


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
def event(cls: _Cls) -> _Cls:
    """Create an attrs class that reads its attributes from the event's params.

    Each attribute is read from the parameter with the same name, unless ``metadata={"wire": name}`` specifies another.
    """
    # All classes inherit one __repr__. Generating one for each of the 50 classes would take a third of the package's import time.
    made = attrs.define(kw_only=True, slots=True, eq=False, repr=False)(cls)
    made._MEMBERS = {
        member.metadata.get("wire", member.name): (member.name, *_reader(str(member.type)))
        for member in attrs.fields(made)
        if member.name not in _OWN or "wire" in member.metadata
    }
    if made.TYPE:
        EVENT_CLASSES[made.TYPE] = made
    made.__module__ = "relay_sync"
    return made


@event
class RelayEvent:
    """Base class of all events. Events of unknown types are instances of this class.

    Most events come from the server. When the server does not report the end of an action or the state of a call, the SDK creates
    a synthetic event. Its ``reason`` is one of the following:

    * ``call_ended``: the action ended because the call ended.
    * ``call_gone``: the call or the action no longer exists on the server.
    * ``overdue``: the digits were sent while the connection was down.
    * ``answer_taken``: the call was answered while the connection was down.
    * ``state_known``: the call was already in the requested state.
    * ``refused``: the server replied with 404 or 410 even though the call is still active.
    * ``session_lost``: the session ended.
    * ``client_closed``: the client was closed.

    If a stream finishes without ever starting, its reason is ``never_streamed``. In message and dial events, the reason usually
    comes from the server.

    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    TYPE: ClassVar[str] = ""
    #: By parameter name: the attribute, the type of values that are used unchanged, and the function that converts other values.
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
        pairs = ((member.name, getattr(self, member.name)) for member in shown)
        return hide(f"{kind.__name__}({', '.join(f'{name}={value!r}' for name, value in pairs if value)})")

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return this class's fields that are present in ``params``, keyed by attribute name.

        Parameters of the wrong type are omitted.

        :param params: Event parameters (the frame's ``params.params``).
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
        """Create an event from its parameters.

        :param params: Event parameters (the frame's ``params.params``).
        :param event_type: Event type; defaults to the class's event type.
        :param timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
        :param synthetic: Whether the SDK created the event.
        :param reason: Reason for a synthetic event. Overrides the reason in ``params``.
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
        """Create the event from a frame's payload.

        :param payload: ``{"event_type", "timestamp", "params": {...}}``.
        """
        params, event_type, timestamp = payload.get("params"), payload.get("event_type"), payload.get("timestamp")
        if event_type == cls.TYPE:
            event_type = cls.TYPE  # one string for all events, rather than one from each frame
        return cls.from_params(
            params if isinstance(params, dict) else {},
            event_type=event_type if type(event_type) is str else _text(event_type) or "",
            timestamp=timestamp if type(timestamp) is float and 0 < timestamp < 1e18 else finite(timestamp) or 0.0,
        )


def with_shared_names(params: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of an object from a frame, for an event or a reply that is kept.

    The JSON scanner makes a new string for each name in each frame. In the copy, the names are those of all other copies.
    """
    return {intern(name): value for name, value in params.items()}


@event
class CallEvent(RelayEvent):
    """An event of a call.

    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    node_id: str = ""
    segment_id: str = ""
    tag: str = ""


def from_envelope(made: _E, payload: Mapping[str, Any], *names: str) -> _E:
    """Fill in empty attributes from the payload, for events that have these values outside ``params``."""
    for name in names:
        if not getattr(made, name):
            setattr(made, name, _text(payload.get(name)) or "")
    return made


def parse_event(payload: Mapping[str, Any]) -> RelayEvent:
    """Create an event of the appropriate class from a frame's payload.

    Any JSON object is accepted. If the event type is missing or unknown, the result is a plain :class:`RelayEvent`. Parameters of
    the wrong type are replaced with the class's defaults.

    :param payload: ``{"event_type", "timestamp", "params": {...}}``.
    """
    event_type = payload.get("event_type")
    if not isinstance(event_type, str):
        return RelayEvent.from_payload(payload)
    kind = EVENT_CLASSES.get(event_type) or event_class(event_type) or RelayEvent
    return kind.from_payload(payload)


def event_class(event_type: str) -> type[RelayEvent] | None:
    """Return the class for an event type, or ``None`` if the type is unknown.

    Import the class if necessary (see :data:`LATER`).

    :param event_type: Event type, such as ``calling.call.play``.
    """
    found = EVENT_CLASSES.get(event_type)
    if found is None:
        home = "ai" if event_type.startswith("calling.ai.") else _HOMES.get(event_type)
        if home is not None:
            import_module(f".{home}", __package__)
            found = EVENT_CLASSES.get(event_type)
    return found


parse_event.__module__ = "relay_sync"
