"""The record of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar, cast, get_type_hints

from attrs import field, fields, frozen

__all__ = ["CallRecord", "RecordingRecord", "StreamRecord"]

T = TypeVar("T")


def _utc(value: datetime | None) -> datetime | None:
    """Return a time in UTC; without a zone it is taken as UTC."""
    if value is None or value.tzinfo is None:
        return value and value.replace(tzinfo=UTC)
    return value.astimezone(UTC)


class _Plain:
    """Base of values that convert to and from JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a dictionary for JSON; times become ISO 8601 text in UTC."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(cast(Any, type(self)))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the value from the output of :meth:`to_dict`. Unknown keys are ignored; missing ones get their default.

        :param data: the dictionary.
        :raises ValueError: a time is not ISO 8601 text.
        """
        readers = _READERS[cls]
        return cls(**{name: read(data[name]) for name, read in readers.items() if name in data})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, _Plain):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value


@frozen(kw_only=True)
class StreamRecord(_Plain):
    """An audio stream that was requested with ``call.stream()``.

    :ivar control_id: id of the action.
    :ivar name: the label of the stream.
    :ivar state: the last state received: ``streaming`` or ``finished``; ``""`` if none was received.
    :ivar track: ``inbound``, ``outbound`` or ``both``; ``""`` if it was not specified.
    :ivar codec: the requested codec.
    :ivar url: the destination without credentials; without query and fragment as well, unless ``keep`` has ``urls``.
    :ivar started_at: when the client received ``streaming``, in UTC; ``None`` if it did not.
    :ivar ended_at: when the client received ``finished``, in UTC; ``None`` if it did not.
    :ivar custom_parameters: the custom parameters that ``keep`` names.
    """

    control_id: str = ""
    name: str = ""
    state: str = ""
    track: str = ""
    codec: str = ""
    url: str = ""
    started_at: datetime | None = field(default=None, converter=_utc)
    ended_at: datetime | None = field(default=None, converter=_utc)
    custom_parameters: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class RecordingRecord(_Plain):
    """A recording of a call on the platform.

    :ivar control_id: id of the action.
    :ivar state: the last state received: ``recording``, ``paused``, ``finished`` or ``no_input``; ``""`` if none was received.
    :ivar url: the file without credentials; without query and fragment as well, unless ``keep`` has ``urls``.
    :ivar duration: length in seconds.
    :ivar size: size in bytes.
    """

    control_id: str = ""
    state: str = ""
    url: str = ""
    duration: float = 0.0
    size: int = 0


@frozen(kw_only=True)
class CallRecord(_Plain):
    """The summary of a call that has ended.

    A record contains no token, no text that was spoken, sent or raised, and, unless ``keep`` of ``observe`` names them, no custom
    parameters and no query of a URL. It lists at most 100 streams, 100 recordings and 100 errors, the earliest ones.

    If the platform sent no reason for the end, ``end_reason`` is one of these: ``ended``; ``call_gone``, the platform no longer
    knows the call; ``session_lost``; ``client_closed``; ``released``, the call was returned to the platform or handed over, or is
    an unneeded leg of a dial.

    :ivar call_id: the platform's id of the call.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_: number or address of the caller; ``""`` if the platform did not send it.
    :ivar to: number or address of the callee; ``""`` if the platform did not send it.
    :ivar context: the context on which the call arrived.
    :ivar tag: the tag with which the call was dialed.
    :ivar offered_at: when the client first received the call, in UTC; ``None`` if that was before ``observe``.
    :ivar answered_at: when the client learned that the call was answered, in UTC, or ``None``.
    :ivar ended_at: when the call ended for the client, in UTC.
    :ivar end_reason: the platform's word, such as ``hangup``, ``busy`` or ``noAnswer``, or one of the words above.
    :ivar streams: the requested audio streams.
    :ivar recordings: the recordings on the platform.
    :ivar commands: the number of commands that a thread sent for the call and waited for.
    :ivar errors: the failures without their texts, such as ``calling.play: CommandRefused 404``.
    """

    call_id: str = ""
    direction: str = ""
    from_: str = ""
    to: str = ""
    context: str = ""
    tag: str = ""
    offered_at: datetime | None = field(default=None, converter=_utc)
    answered_at: datetime | None = field(default=None, converter=_utc)
    ended_at: datetime | None = field(default=None, converter=_utc)
    end_reason: str = ""
    streams: tuple[StreamRecord, ...] = ()
    recordings: tuple[RecordingRecord, ...] = ()
    commands: int = 0
    errors: tuple[str, ...] = ()


def _time(value: Any) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"Invalid time {value!r}: expected text such as '2026-01-31T12:00:00+00:00'")
    return datetime.fromisoformat(value)


def _same(value: Any) -> Any:
    return value


def _all_of(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    return lambda values: tuple(map(read, values))


#: The reader of an attribute by its type; attributes of other types are used unchanged.
_BY_TYPE: Final[dict[Any, Callable[[Any], Any]]] = {
    datetime | None: _time,
    tuple[str, ...]: tuple,
    tuple[StreamRecord, ...]: _all_of(StreamRecord.from_dict),
    tuple[RecordingRecord, ...]: _all_of(RecordingRecord.from_dict),
    Mapping[str, Any]: dict,
}
_READERS: Final[dict[type, dict[str, Callable[[Any], Any]]]] = {
    cls: {name: _BY_TYPE.get(kind, _same) for name, kind in get_type_hints(cls).items()}
    for cls in (StreamRecord, RecordingRecord, CallRecord)
}

CallRecord.__module__ = "relay_sync"
