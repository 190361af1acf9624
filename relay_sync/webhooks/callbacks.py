"""The status callback classes, and the functions that create callbacks from either dialect."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import field, frozen

from ..text.json_text import finite

__all__ = ["Callback", "Dialect", "Kind", "OtherStatus", "RecordingStatus", "StreamStatus", "is_cxml", "read"]

Dialect = Literal["relay", "cxml"]
Kind = Literal["stream", "recording", "call", "message", "other"]
OtherKind = Literal["call", "message", "other"]


def _place(url: str) -> str:
    """Return a URL's scheme and host for ``repr``. Credentials, path and query are omitted because they may be secret."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.partition('/')[0].rpartition('@')[2].partition('?')[0]}/..." if mark else "..."


@frozen(kw_only=True)
class Callback:
    """A status callback. These attributes are common to all kinds of callbacks.

    :class:`Webhooks` sets ``repeated`` if it remembers the callback. It remembers the last 4,096 verified callbacks, and the last
    4,096 callbacks whose ``verified`` is ``None``. The Flask and Django integrations remember a callback only after your handlers
    have succeeded. If several processes receive callbacks, store ``key`` in a database with a unique constraint instead.

    In the ``relay`` dialect, ``members`` contains the ``params`` of the event. In the ``cxml`` dialect, it contains the form
    fields. If a form field is repeated, it contains the last value.

    :ivar kind: subject of the callback: ``stream``, ``recording``, ``call``, ``message`` or ``other``.
    :ivar state: new state of the subject, such as ``finished``, ``ringing`` or ``delivered``, or ``""`` if unknown.
    :ivar dialect: ``relay`` or ``cxml``.
    :ivar verified: whether the signature is valid, or ``None`` if there is no signature or no signing key.
    :ivar finding: description of the verification result.
    :ivar repeated: whether this :class:`Webhooks` object has read the callback before. ``False`` if the signature is invalid.
    :ivar key: unique identifier of the callback. It is the same for repeated deliveries.
    :ivar name: type as sent by the platform, such as ``calling.call.stream``, ``stream-started`` or ``completed``.
    :ivar call_id: ID of the call, or ``""``.
    :ivar control_id: ID of the RELAY or REST action, or ``""``.
    :ivar error: platform's error code or description, or ``""``.
    :ivar project_id: ID of the project (``AccountSid``), or ``""``.
    :ivar timestamp: time when the platform sent the callback, with a time zone, or ``None`` if unknown.
    :ivar members: all members as sent by the platform. ``repr`` omits them.
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
    """A callback about a stream that has started, ended or failed.

    RELAY and REST streams have a ``control_id``, and cXML streams have a ``stream_id``. Only the ``cxml`` dialect reports errors.

    :ivar kind: always ``stream``.
    :ivar state: ``streaming``, ``finished`` or ``error``. Unknown states are passed on unchanged.
    :ivar dialect: ``relay`` or ``cxml``.
    :ivar verified: whether the signature is valid, or ``None`` if there is no signature or no signing key.
    :ivar finding: description of the verification result.
    :ivar repeated: whether this :class:`Webhooks` object has read the callback before. ``False`` if the signature is invalid.
    :ivar key: unique identifier of the callback. It is the same for repeated deliveries.
    :ivar name: type as sent by the platform, such as ``calling.call.stream``, ``stream-started`` or ``completed``.
    :ivar call_id: ID of the call, or ``""``.
    :ivar control_id: ID of the RELAY or REST action, or ``""``.
    :ivar stream_id: ID of a cXML stream (``StreamSid``), or ``""``.
    :ivar stream_name: stream's label. In the ``cxml`` dialect, defaults to the stream's ID.
    :ivar track: ``inbound_track``, ``outbound_track`` or ``both_tracks``, or ``""`` in the ``relay`` dialect.
    :ivar url: URL to which the platform sends the audio, or ``""`` in the ``cxml`` dialect.
    :ivar error: platform's error code or description, or ``""``.
    :ivar conference_id: ID of the conference, or ``""``.
    :ivar tag: tag of the call, or ``""``.
    :ivar project_id: ID of the project (``AccountSid``), or ``""``.
    :ivar timestamp: time when the platform sent the callback, with a time zone, or ``None`` if unknown.
    :ivar members: all members as sent by the platform. ``repr`` omits them.
    """

    kind: Literal["stream"] = field(default="stream", init=False, repr=False)
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
    """A callback about a recording whose state has changed.

    To download the recording, use :meth:`relay_sync.rest.RestClient.download`.

    :ivar kind: always ``recording``.
    :ivar state: ``recording``, ``paused``, ``finished``, ``no_input`` or ``error``. Unknown states are passed on unchanged.
    :ivar dialect: ``relay`` or ``cxml``.
    :ivar verified: whether the signature is valid, or ``None`` if there is no signature or no signing key.
    :ivar finding: description of the verification result.
    :ivar repeated: whether this :class:`Webhooks` object has read the callback before. ``False`` if the signature is invalid.
    :ivar key: unique identifier of the callback. It is the same for repeated deliveries.
    :ivar name: type as sent by the platform, such as ``calling.call.stream``, ``stream-started`` or ``completed``.
    :ivar call_id: ID of the call, or ``""``.
    :ivar recording_id: ID of the recording on the platform, or ``""``.
    :ivar control_id: ID of the RELAY or REST action, or ``""``.
    :ivar url: URL of the recording. The recording may not be available there immediately.
    :ivar duration: duration in seconds, or 0.0 if unknown.
    :ivar size: size in bytes, or 0 if unknown.
    :ivar channels: number of channels, 1 or 2, or 0 if unknown.
    :ivar start_time: time when the recording started, with a time zone, or ``None`` if unknown.
    :ivar error: platform's error code or description, or ``""``.
    :ivar conference_id: ID of the conference, or ``""``.
    :ivar project_id: ID of the project (``AccountSid``), or ``""``.
    :ivar timestamp: time when the platform sent the callback, with a time zone, or ``None`` if unknown.
    :ivar members: all members as sent by the platform. ``repr`` omits them.
    """

    kind: Literal["recording"] = field(default="recording", init=False, repr=False)
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
    """A callback about a call, a message or another subject.

    Use ``members`` to access fields that are not listed here.

    :ivar kind: subject of the callback: ``call``, ``message`` or ``other``.
    :ivar state: new state as sent by the platform, such as ``ringing`` for a call or ``delivered`` for a message.
    :ivar dialect: ``relay`` or ``cxml``.
    :ivar verified: whether the signature is valid, or ``None`` if there is no signature or no signing key.
    :ivar finding: description of the verification result.
    :ivar repeated: whether this :class:`Webhooks` object has read the callback before. ``False`` if the signature is invalid.
    :ivar key: unique identifier of the callback. It is the same for repeated deliveries.
    :ivar name: type as sent by the platform, such as ``calling.call.stream``, ``stream-started`` or ``completed``.
    :ivar call_id: ID of the call, or ``""``.
    :ivar control_id: ID of the RELAY or REST action, or ``""``.
    :ivar error: platform's error code or description, or ``""``.
    :ivar project_id: ID of the project (``AccountSid``), or ``""``.
    :ivar timestamp: time when the platform sent the callback, with a time zone, or ``None`` if unknown.
    :ivar members: all members as sent by the platform. ``repr`` omits them.
    """

    if TYPE_CHECKING:  # a second definition at run time would move the field to the end of ``repr``
        kind: OtherKind = "other"


# The states of cXML callbacks and the equivalent RELAY states.
_STREAM_STATES: Final = {"stream-started": "streaming", "stream-stopped": "finished", "stream-error": "error"}
_RECORDING_STATES: Final = {
    "in-progress": "recording",
    "paused": "paused",
    "completed": "finished",
    "absent": "no_input",
    "failed": "error",
}
#: The fields that contain the state in other forms. Earlier fields take precedence, because the form of a message may also have a
#: ``CallStatus``.
_FORM_STATES: Final[dict[str, OtherKind]] = {
    "MessageStatus": "message",
    "SmsStatus": "message",
    "FaxStatus": "other",
    "StatusCallbackEvent": "other",
    "CallStatus": "call",
}
#: The fields that distinguish a cXML callback in JSON format from an event.
_CXML: Final = frozenset(
    {*_FORM_STATES, "AccountSid", "CallSid", "Unique-ID", "ConferenceSid", "MessageSid", "SmsSid", "FaxSid"}
    | {"StreamEvent", "StreamSid", "RecordingStatus", "RecordingSid"}
)
_FIRST_YEAR_S, _LAST_YEAR_S = 0.0, 253402300799.0  # the range of datetime


def is_cxml(members: Mapping[str, Any]) -> bool:
    """Return whether a JSON object is a cXML callback. Events have no cXML fields at the top level."""
    return "event_type" not in members and not _CXML.isdisjoint(members)


def read(dialect: Dialect, members: Mapping[str, Any]) -> StreamStatus | RecordingStatus | OtherStatus:
    """Create a callback.

    :param dialect: dialect of the members.
    :param members: envelope of an event (``relay``), or the form fields by name (``cxml``).
    """
    return _read_event(members) if dialect == "relay" else _read_form(members)


def _read_event(envelope: Mapping[str, Any]) -> StreamStatus | RecordingStatus | OtherStatus:
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


def _kind_of_event(name: str) -> OtherKind:
    kinds: dict[str, OtherKind] = {"calling.call": "call", "messaging": "message"}
    return next((kind for start, kind in kinds.items() if name == start or name.startswith(f"{start}.")), "other")


def _nested(params: Mapping[str, Any], name: str, take: Callable[[Mapping[str, Any], str], Any]) -> Any:
    """Read a recording event's member from the event itself, its ``record`` or the record's ``audio``."""
    record = params.get("record")
    record = record if isinstance(record, dict) else {}
    audio = record.get("audio")
    for place in (params, record, audio if isinstance(audio, dict) else {}):
        if name in place:
            return take(place, name)
    return take({}, name)


def _read_form(members: Mapping[str, Any]) -> StreamStatus | RecordingStatus | OtherStatus:
    # A callback in JSON format may contain numbers, and null in place of blank values.
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
    identity = json.dumps([dialect, name, timestamp, members], sort_keys=True, default=str)
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _written(value: Any) -> str:
    """Return a JSON value as a form would represent it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    return str(value)


def _first(members: Mapping[str, Any], *names: str) -> str:
    return next((text for name in names if (text := _text(members, name))), "")


def _number(members: Mapping[str, Any], name: str) -> float:
    """Parse a number, which may be a string in the callback. Return 0 if it is missing, invalid or negative."""
    number = finite(members.get(name))
    return number if number is not None and number >= 0 else 0.0


def _moment(value: Any) -> datetime.datetime | None:
    """Parse a Unix timestamp or an ISO 8601 string, which is in UTC if it has no time zone. Return ``None`` if it is invalid."""
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
