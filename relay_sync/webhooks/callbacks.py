"""What status callbacks tell, as values; and how the members of either dialect become theirs. Pure."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from ..text.json_text import finite

__all__ = ["Callback", "Dialect", "Kind", "OtherStatus", "RecordingStatus", "StreamStatus", "is_cxml", "read"]

Dialect = Literal["relay", "cxml"]
Kind = Literal["stream", "recording", "call", "message", "other"]


def _place(url: str) -> str:
    """A URL without what may be secret in it: paths and queries often are."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.partition('/')[0].rpartition('@')[2].partition('?')[0]}/..." if mark else "..."


@frozen(kw_only=True)
class Callback:
    """What all callbacks have. Each member is there in every kind, so that one handler reads them all.

    :ivar kind: what it is about: ``stream``, ``recording``, ``call``, ``message``, or ``other``.
    :ivar state: what became of that: ``finished``, ``ringing``, ``delivered`` and the like; ``""`` where it does not say.
    :ivar dialect: ``relay`` or ``cxml``.
    :ivar verified: whether the signature is right; ``None`` where that cannot be told: there is none, or no key is known.
    :ivar finding: the same in words.
    :ivar repeated: whether the same :class:`Webhooks` has read the same callback before (in Flask and Django: whether it was
        handled before, and nothing failed): one of its last 4,096 that were verified, or, where ``verified`` is ``None``, of
        its last 4,096 of those. ``False`` where the signature is wrong.
    :ivar key: the same for every delivery of one callback and different for any other: what to store under a unique
        constraint where several processes take callbacks.
    :ivar name: its type as it came: ``calling.call.stream``, ``stream-started``, ``completed``.
    :ivar call_id: of the call, or ``""``.
    :ivar control_id: of the RELAY or REST action that it is about, or ``""``.
    :ivar error: the platform's word or code for what went wrong, or ``""``.
    :ivar project_id: of the project (``AccountSid``), or ``""``.
    :ivar timestamp: when it was sent, with a time zone; ``None`` where it does not say.
    :ivar members: everything as it came: of an envelope its ``params``, of a form its fields (the last of those that are
        there more than once). Not shown by ``repr``.
    """

    kind: Kind = "other"
    state: str = ""
    dialect: Dialect
    verified: bool | None = None
    finding: str = field(default="", repr=False)
    repeated: bool = False
    key: str = field(default="", repr=False)
    name: str = ""
    call_id: str = ""
    control_id: str = ""
    error: str = ""
    project_id: str = field(default="", repr=False)
    timestamp: datetime.datetime | None = field(default=None, repr=False)
    members: Mapping[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class StreamStatus(Callback):
    """A stream started or ended.

    :ivar state: ``streaming``, ``finished`` or ``error``; another word as it came. Only ``cxml`` tells of errors.
    :ivar control_id: of a RELAY or REST stream, which has no ``stream_id``. :ivar stream_id: of a cXML stream
        (``StreamSid``), which has no ``control_id``.
    :ivar stream_name: the label, or what stands in for it. :ivar track: ``inbound_track``, ``outbound_track`` or
        ``both_tracks``; ``""`` in the ``relay`` dialect.
    :ivar url: where the audio goes; ``""`` in the ``cxml`` dialect. :ivar error: ``connection_refused`` and the like; else
        ``""``. :ivar conference_id: of a conference's stream. :ivar tag: the call's label.
    """

    kind: Kind = field(default="stream", init=False, repr=False)
    state: str
    control_id: str = ""
    stream_id: str = ""
    stream_name: str = ""
    track: str = ""
    url: str = field(default="", repr=_place)
    error: str = ""
    conference_id: str = ""
    tag: str = ""


@frozen(kw_only=True)
class RecordingStatus(Callback):
    """A recording moved.

    :ivar state: ``recording``, ``paused``, ``finished``, ``no_input`` or ``error``; another word as it came.
    :ivar url: where the recording is or will be; for :meth:`relay_sync.rest.RestClient.download`. :ivar duration: seconds.
    :ivar size: bytes; 0 where it is not told. :ivar channels: 1 or 2; 0 likewise.
    :ivar recording_id: in the platform's records. :ivar control_id: of a RELAY or REST recording.
    :ivar start_time: when it began. :ivar error: the platform's code, or ``""``. :ivar conference_id: of a conference's.
    """

    kind: Kind = field(default="recording", init=False, repr=False)
    state: str
    recording_id: str = ""
    control_id: str = ""
    url: str = field(default="", repr=_place)
    duration: float = 0.0
    size: int = 0
    channels: int = 0
    start_time: datetime.datetime | None = field(default=None, repr=False)
    error: str = ""
    conference_id: str = ""


@frozen(kw_only=True)
class OtherStatus(Callback):
    """A callback about a call, a message or something else: ``kind`` and ``name`` say what, ``members`` tell the rest.

    :ivar state: of a call ``ringing``, ``answered`` and the like, of a message ``delivered`` and the like, as it came.
    """


# The words of the cXML callbacks, and the RELAY word for the same.
_STREAM_STATES: Final = {"stream-started": "streaming", "stream-stopped": "finished", "stream-error": "error"}
_RECORDING_STATES: Final = {
    "in-progress": "recording",
    "paused": "paused",
    "completed": "finished",
    "absent": "no_input",
    "failed": "error",
}
#: The fields of other forms that say what became of something. A message's form may have the status of a call, too.
_FORM_STATES: Final[dict[str, Kind]] = {
    "MessageStatus": "message",
    "SmsStatus": "message",
    "FaxStatus": "other",
    "StatusCallbackEvent": "other",
    "CallStatus": "call",
}
#: What tells a cXML callback that is written in JSON from an event.
_CXML: Final = frozenset(
    {*_FORM_STATES, "AccountSid", "CallSid", "Unique-ID", "ConferenceSid", "MessageSid", "SmsSid", "FaxSid"}
    | {"StreamEvent", "StreamSid", "RecordingStatus", "RecordingSid"}
)
_FIRST_YEAR_S, _LAST_YEAR_S = 0.0, 253402300799.0  # what a datetime can hold


def is_cxml(members: Mapping[str, Any]) -> bool:
    """Whether these are the members of a cXML callback: no event has them at its top, whatever the body is written in."""
    return "event_type" not in members and not _CXML.isdisjoint(members)


def read(dialect: Dialect, members: Mapping[str, Any]) -> Callback:
    """The value for what came: an event's envelope, or form fields by name."""
    return _read_event(members) if dialect == "relay" else _read_form(members)


def _read_event(envelope: Mapping[str, Any]) -> Callback:
    inner = envelope.get("params")
    params: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
    name = _text(envelope, "event_type")
    about: dict[str, Any] = {
        "dialect": "relay",
        "name": name,
        "call_id": _text(params, "call_id"),
        "project_id": _text(envelope, "project_id"),
        "timestamp": _moment(envelope.get("timestamp")),
        "members": params,
        "key": _key("relay", name, envelope.get("timestamp"), params),
    }
    if name == "calling.call.stream":
        return StreamStatus(
            **about,
            state=_text(params, "state"),
            control_id=_text(params, "control_id"),
            stream_name=_text(params, "name"),
            url=_text(params, "url"),
            tag=_text(params, "tag"),
        )
    if name == "calling.call.record":
        return RecordingStatus(
            **about,
            state=_text(params, "state"),
            recording_id=_text(params, "recording_id"),
            control_id=_text(params, "control_id"),
            url=_nested(params, "url", _text),
            duration=_nested(params, "duration", _number),
            size=int(_nested(params, "size", _number)),
            start_time=_moment(params.get("start_time")),
        )
    return OtherStatus(
        **about,
        kind=_kind_of_event(name),
        state=_first(params, "state", "call_state", "message_state"),
        control_id=_text(params, "control_id"),
        error=_text(params, "error"),
    )


def _kind_of_event(name: str) -> Kind:
    kinds: dict[str, Kind] = {"calling.call": "call", "messaging": "message"}
    return next((kind for start, kind in kinds.items() if name == start or name.startswith(f"{start}.")), "other")


def _nested(params: Mapping[str, Any], name: str, take: Callable[[Mapping[str, Any], str], Any]) -> Any:
    """A member of a recording's event: in the event itself, or in its ``record``, or below ``audio`` there."""
    record = params.get("record")
    record = record if isinstance(record, dict) else {}
    audio = record.get("audio")
    for place in (params, record, audio if isinstance(audio, dict) else {}):
        if name in place:
            return take(place, name)
    return take({}, name)


def _read_form(members: Mapping[str, Any]) -> Callback:
    # In JSON numbers are numbers, and what a form would leave blank may be null.
    fields = {name: _written(value) for name, value in members.items()}
    about: dict[str, Any] = {
        "dialect": "cxml",
        "call_id": _text(fields, "CallSid") or _text(fields, "Unique-ID"),
        "project_id": _text(fields, "AccountSid"),
        "timestamp": _moment(fields.get("Timestamp")),
        "members": members,
    }
    if "StreamEvent" in fields:
        event = _text(fields, "StreamEvent")
        stream_id = _text(fields, "StreamSid")
        return StreamStatus(
            **about,
            name=event,
            key=_key("cxml", "stream", None, members),
            state=_STREAM_STATES.get(event, event),
            stream_id=stream_id,
            stream_name=_text(fields, "StreamName") or stream_id,
            track=_text(fields, "StreamTrack"),
            error=_text(fields, "StreamError"),
            conference_id=_text(fields, "ConferenceSid"),
        )
    if "RecordingStatus" in fields or "RecordingSid" in fields:
        status = _text(fields, "RecordingStatus")
        return RecordingStatus(
            **about,
            name=status,
            key=_key("cxml", "recording", None, members),
            state=_RECORDING_STATES.get(status, status),
            recording_id=_text(fields, "RecordingSid"),
            url=_text(fields, "RecordingUrl"),
            duration=_number(fields, "RecordingDuration"),
            channels=int(_number(fields, "RecordingChannels")),
            start_time=_moment(fields.get("RecordingStartTime")),
            error=_error(fields),
            conference_id=_text(fields, "ConferenceSid"),
        )
    kind, name = next(
        ((kind, _text(fields, each)) for each, kind in _FORM_STATES.items() if each in fields), ("other", "")
    )
    key = _key("cxml", "other", None, members)
    return OtherStatus(**about, kind=kind, name=name, state=name, error=_error(fields), key=key)


def _error(fields: Mapping[str, Any]) -> str:
    code = _text(fields, "ErrorCode")
    return "" if code == "0" else code


def _key(dialect: str, name: str, timestamp: Any, members: Mapping[str, Any]) -> str:
    told = json.dumps([dialect, name, timestamp, members], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _written(value: Any) -> str:
    """A value as a form has it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value)


def _first(members: Mapping[str, Any], *names: str) -> str:
    return next((text for name in names if (text := _text(members, name))), "")


def _number(members: Mapping[str, Any], name: str) -> float:
    """A number that may come as text; 0 where it is none, or none that makes sense."""
    number = finite(members.get(name))
    return number if number is not None and number >= 0 else 0.0


def _moment(value: Any) -> datetime.datetime | None:
    """Seconds since 1970, or ISO 8601; without a zone it is UTC. ``None`` where it is neither."""
    number = finite(value)
    if number is not None:
        if not _FIRST_YEAR_S <= number <= _LAST_YEAR_S:
            return None
        return datetime.datetime.fromtimestamp(number, datetime.UTC)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
