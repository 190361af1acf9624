"""What is left of a call when it is over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar, cast, get_type_hints

from attrs import field, fields, frozen

__all__ = ["CallRecord", "RecordingRecord", "StreamRecord"]

T = TypeVar("T")


def _utc(value: datetime | None) -> datetime | None:
    """A time in UTC; one that names no zone is taken to be in it."""
    if value is None or value.tzinfo is None:
        return value and value.replace(tzinfo=UTC)
    return value.astimezone(UTC)


class _Plain:
    """A value that JSON can carry."""

    def to_dict(self) -> dict[str, Any]:
        """The same as a dictionary for JSON, by the names of the attributes; times are ISO 8601 texts in UTC."""
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
    """A stream of a call's audio that was asked for with ``call.stream()``.

    :ivar control_id: of the action.
    :ivar name: the label it was given.
    :ivar state: the last one heard of: ``streaming``, ``finished``; ``""`` where nothing was heard.
    :ivar track: ``inbound``, ``outbound`` or ``both``; ``""`` where it was left out.
    :ivar codec: as asked for.
    :ivar url: where to, without user, query and fragment, unless ``urls`` is kept.
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
    """A recording that the platform made.

    :ivar control_id: of the action.
    :ivar state: the last one heard of: ``recording``, ``paused``, ``finished``, ``no_input``; ``""`` where nothing was heard.
    :ivar url: of the file, without user, query and fragment, unless ``urls`` is kept.
    :ivar duration: seconds.
    :ivar size: bytes.
    """

    control_id: str = ""
    state: str = ""
    url: str = ""
    duration: float = 0.0
    size: int = 0


@frozen(kw_only=True)
class CallRecord(_Plain):
    """What is known of a call when it is over.

    Holds no token, no custom parameter, no text that was spoken, sent or raised, and no query of a URL, but for what
    ``keep`` of ``observe`` names.

    :ivar call_id: the platform's id.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_: number or address of the caller; ``""`` if the platform did not send it.
    :ivar to: number or address of the callee; ``""`` if the platform did not send it.
    :ivar context: the context it came in on.
    :ivar tag: the tag it was dialed with.
    :ivar offered_at: when the client first heard of it, in UTC; ``None`` where that was before ``observe``.
    :ivar answered_at: when the client heard that it is answered, or ``None``.
    :ivar ended_at: when it was over for the client.
    :ivar end_reason: the platform's word (``hangup``, ``busy``, ``noAnswer``, ...). Where it said none: ``ended``, ``call_gone``
        (the platform does not know it any more), ``session_lost``, ``client_closed``, or ``released`` (it was passed back or
        handed over, or it is a leg of a dial that is not wanted any more).
    :ivar streams: the streams of its audio that were asked for.
    :ivar recordings: those that the platform made.
    :ivar commands: how many commands a thread sent for it and waited for.
    :ivar errors: what failed, without its text: ``calling.play: CommandRefused 404``, ``the on_call handler: ValueError``.

    Of streams, recordings and errors there are at most 100 each, the first ones.
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
        raise ValueError(f"a time is a text such as 2026-01-31T12:00:00+00:00, not {value!r}")
    return datetime.fromisoformat(value)


def _same(value: Any) -> Any:
    return value


def _all_of(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    return lambda values: tuple(map(read, values))


#: How each attribute is read, by its type; of any other it is what JSON has.
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
