"""Records of calls, streams and recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar, cast, get_type_hints

from attrs import field, fields, frozen

__all__ = ["CallRecord", "RecordingRecord", "StreamRecord"]

T = TypeVar("T")


def _utc(value: datetime | None) -> datetime | None:
    """Convert a time to UTC. A naive time is assumed to be in UTC."""
    if value is None or value.tzinfo is None:
        return value and value.replace(tzinfo=UTC)
    return value.astimezone(UTC)


class _Plain:
    """Base class for records that can be converted to and from JSON."""

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as a dictionary for JSON. Times are ISO 8601 strings in UTC."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(cast(Any, type(self)))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create a record from the output of :meth:`to_dict`. Unknown keys are ignored, and missing keys have default values.

        :param data: dictionary to read.
        :raises ValueError: a time is not in ISO 8601 format.
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
    """Record of an audio stream started with ``call.stream()``.

    :ivar control_id: ID of the action.
    :ivar name: name of the stream.
    :ivar state: last reported state, ``streaming`` or ``finished``, or ``""`` if no state was reported.
    :ivar track: ``inbound``, ``outbound``, ``both``, or ``""`` if it was not specified.
    :ivar codec: requested codec.
    :ivar url: destination URL without credentials. The query and the fragment are removed unless ``keep`` contains ``urls``.
    :ivar started_at: time at which the client received the state ``streaming``, in UTC, or ``None``.
    :ivar ended_at: time at which the client received the state ``finished``, in UTC, or ``None``.
    :ivar custom_parameters: custom parameters selected by ``keep``.
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
    """Record of a recording made by the platform.

    :ivar control_id: ID of the action.
    :ivar state: last reported state: ``recording``, ``paused``, ``finished``, ``no_input``, or ``""`` if there is none.
    :ivar url: URL of the file without credentials. The query and the fragment are removed unless ``keep`` contains ``urls``.
    :ivar duration: duration in seconds.
    :ivar size: size in bytes.
    """

    control_id: str = ""
    state: str = ""
    url: str = ""
    duration: float = 0.0
    size: int = 0


@frozen(kw_only=True)
class CallRecord(_Plain):
    """Summary of a call that has ended.

    A record does not contain tokens, spoken text, message bodies or exception messages. Custom parameters and URL query strings
    are included only if the ``keep`` argument of ``observe`` selects them. A record lists at most the first 100 streams,
    recordings and errors.

    If the platform did not report why the call ended, ``end_reason`` has one of the following values:

    * ``ended``: the call ended for an unknown reason.
    * ``call_gone``: the call no longer exists on the platform.
    * ``session_lost``: the session was lost.
    * ``client_closed``: the client was closed.
    * ``released``: the call was returned to the platform or transferred, or the call is an unused leg of a dial.

    :ivar call_id: ID of the call.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_: number or address of the caller, or ``""`` if the platform did not send it.
    :ivar to: number or address of the callee, or ``""`` if the platform did not send it.
    :ivar context: context that received the call.
    :ivar tag: tag passed to ``dial``.
    :ivar offered_at: time at which the client first received the call, in UTC, or ``None`` if it was before ``observe``.
    :ivar answered_at: time at which the client was notified that the call was answered, in UTC, or ``None``.
    :ivar ended_at: time at which the call ended for the client, in UTC.
    :ivar end_reason: reason reported by the platform, such as ``hangup`` or ``busy``, or one of the values above.
    :ivar streams: audio streams of the call.
    :ivar recordings: recordings made by the platform.
    :ivar commands: number of commands sent for the call, not counting those sent without waiting for a reply.
    :ivar errors: errors without their messages, such as ``calling.play: CommandRefused 404``.
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
        raise ValueError(f"Invalid time {value!r}: expected a string such as '2026-01-31T12:00:00+00:00'")
    return datetime.fromisoformat(value)


def _same(value: Any) -> Any:
    return value


def _all_of(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    return lambda values: tuple(map(read, values))


#: Converters for attributes by type. Attributes of other types are not converted.
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
