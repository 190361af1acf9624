"""Parse and build the JSON messages of a media stream.

Each text frame contains one JSON object with an ``event`` member. SignalWire sends counters as strings, omits the
top-level ``streamSid``, and sends marks without a sequence number and ``stop`` without a body. The parser also accepts other
carriers' dialects: Twilio, Telnyx (snake case), Plivo (integers, ``extra_headers``, ``playedStream``), Exotel (snake case,
raw audio) and jambonz (one JSON text without ``event``, followed by binary L16). Unknown members are ignored, and unknown
events are returned as :class:`Unknown`.

Messages are built in the exact form that SignalWire documents. Nothing in this module performs I/O.
"""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import define, field, frozen

from ..text.json_text import read_leniently
from ..text.surrogates import mend_json
from .pcm_codecs import decode_base64

__all__ = [
    "LONGEST_MARK",
    "RATES",
    "BadMessage",
    "Connected",
    "Dtmf",
    "Mark",
    "Media",
    "MediaFormat",
    "Message",
    "Start",
    "Stop",
    "Unknown",
    "connected_message",
    "dtmf_message",
    "mark_message",
    "media_message",
    "parse_message",
    "start_message",
    "stop_message",
]

_LARGEST = 2**53  # larger counters are invalid
_NUMBER = re.compile(r"\s*([0-9]{1,16})(\.[0-9]{0,16})?\s*")
_TRACKS = ("", "inbound", "outbound")  # allowed in a dtmf message; "" if it names no track
_KEYS = frozenset("0123456789*#ABCD")
_STREAM_IDS = ("streamSid", "stream_sid", "streamId", "stream_id")
_CALL_IDS = ("callSid", "call_sid", "callId", "call_id", "call_control_id")
_IDS = frozenset(_STREAM_IDS + _CALL_IDS)
RATES = range(4000, 384_001)  # Hz; at a nonsensical rate such as 1 Hz, one message would last for minutes
LONGEST_MARK = 256  # characters in the name of a mark
_EXOTEL = ("base64", "raw", "raw/slin")  # Exotel's names for 16-bit PCM


class BadMessage(ValueError):
    """An invalid message. The receiver skips it and continues.

    :ivar kind: short description of the problem, used to group repeated log messages.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@frozen
class MediaFormat:
    """A stream's audio format.

    :ivar encoding: the carrier's name for the codec, such as ``audio/x-mulaw``.
    :ivar sample_rate: sample rate in Hz; 0 if the carrier does not announce it.
    :ivar channels: number of channels; currently always 1.
    """

    encoding: str
    sample_rate: int = 8000
    channels: int = 1


@frozen
class Connected:
    """A ``connected`` message, the first message on a connection."""

    protocol: str = ""
    version: str = ""


@frozen(kw_only=True)
class Start:
    """A ``start`` message, which describes the stream.

    :ivar tracks: the streamed tracks: ``inbound``, ``outbound`` or both.
    :ivar custom_parameters: the values passed to ``call.stream``.
    :ivar binary: number of channels in binary frames; 0 if audio arrives in JSON messages.
    :ivar ids: all of the stream's IDs, and all of the call's IDs.
    """

    stream_id: str = ""
    call_id: str = ""
    account_id: str = ""
    tracks: tuple[str, ...] = ()
    custom_parameters: dict[str, Any] = field(factory=dict, repr=False)
    media_format: MediaFormat = MediaFormat("audio/x-mulaw")
    sequence: int | None = None
    binary: int = 0
    ids: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()), repr=False, eq=False)


@define
class Media:
    """A ``media`` message, which contains audio from one track.

    :ivar timestamp: milliseconds since the start of the stream; ``None`` if the carrier sends no timestamp.
    :ivar chunk: number of the message within its track; ``None`` if the carrier sends no number.
    :ivar sequence: number of the message within the stream; ``None`` if the carrier sends no number.
    """

    track: str
    payload: bytes = field(repr=False)
    timestamp: int | float | None = None
    chunk: int | None = None
    sequence: int | None = None


@frozen
class Dtmf:
    """A ``dtmf`` message: the caller pressed a key.

    :ivar duration: duration as sent by the carrier, documented as milliseconds; some carriers may send samples.
    """

    digit: str
    duration: int | None = None
    track: str = ""


@frozen
class Mark:
    """A ``mark`` message. The carrier returns it once the preceding audio has been played or discarded."""

    name: str


@frozen
class Stop:
    """A ``stop`` message, the last message of a stream."""


@frozen
class Unknown:
    """A message with an unknown event."""

    event: str
    fields: dict[str, Any] = field(repr=False)


Message: TypeAlias = Connected | Start | Media | Dtmf | Mark | Stop | Unknown


# -- parsing -----------------------------------------------------------------------------------------------------------


def parse_message(text: str | bytes, *, audio_follows: bool = False, of: Start | None = None) -> Message:
    """Parse one message.

    :param text: the payload of a text or binary frame.
    :param audio_follows: accept any JSON object without ``event`` as the start of a jambonz stream.
    :param of: this stream's ``start`` message. Messages that name a different stream or call are rejected.
    :raises BadMessage: the message is invalid.
    """
    if not isinstance(text, str):
        text = _from_binary(text)
    text = mend_json(text)
    try:
        fields = read_leniently(text)
    except (ValueError, RecursionError):
        try:
            fields = read_leniently(text.removeprefix("\ufeff"))  # some clients send a byte order mark
        except (ValueError, RecursionError):
            raise BadMessage("not JSON") from None
    if type(fields) is not dict:
        raise BadMessage("not a JSON object")
    event = fields.get("event")
    if of is not None and event != "start":
        _check_ids(fields, of, event)
        if type(event) is str:
            _check_ids(fields.get(event), of, event)
    if event == "media":
        return _media(fields)
    if type(event) is not str:
        if "event" not in fields and (
            audio_follows or "mixType" in fields or ("sampleRate" in fields and "callSid" in fields)
        ):
            return _jambonz(fields)
        raise BadMessage("no event member")
    reader = _READERS.get(event)
    return reader(fields) if reader is not None else Unknown(event, fields)


def _check_ids(source: object, start: Start, event: object) -> None:
    """Reject a message that names a different stream or call than ``start``.

    The call ID of a ``stop`` message is not checked: carriers format it in several ways, and ignoring a ``stop`` would leave
    the stream open.
    """
    if type(source) is not dict or _IDS.isdisjoint(source):
        return
    found = _IDS.intersection(source)
    if len(found) == 1:  # fast path: most messages contain only the stream ID
        (name,) = found
        value = source[name]
        if type(value) is str and value in start.ids[name in _CALL_IDS]:
            return
    for names, known, what in zip((_STREAM_IDS, _CALL_IDS), start.ids, ("stream", "call"), strict=True):
        named = _ids(source, names)
        if named and known and not set(named).intersection(known) and not (what == "call" and event == "stop"):
            raise BadMessage(f"a message for another {what}")


def _ids(source: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    # A tuple, because a set with one element takes five times the memory until the stream ends.
    return tuple({name for name in (_name(source, each) for each in names) if name})


def _from_binary(data: bytes) -> str:
    """Decode a JSON message from a binary frame. Some WebSocket libraries send text that way."""
    if data[:1] != b"{":
        raise BadMessage("a binary frame")
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise BadMessage("a binary frame") from None


def _media(fields: dict[str, Any]) -> Media:
    media = fields.get("media")
    if not isinstance(media, dict):
        raise BadMessage("media without its object")
    payload = media.get("payload")
    if not isinstance(payload, str):
        raise BadMessage("media without a payload")
    try:
        data = decode_base64(payload)
    except ValueError:
        raise BadMessage("a payload that is not base64") from None
    track = media.get("track")
    return Media(
        track if track == "inbound" or track == "outbound" else _track(track),
        data,
        _number(media.get("timestamp")),
        _integer(media.get("chunk")),
        _integer(fields.get("sequenceNumber") if "sequenceNumber" in fields else fields.get("sequence_number")),
    )


def _number(value: object) -> int | float | None:
    """Convert a counter or timestamp, given as a string or a number. Return ``None`` if it is invalid."""
    number: int | float
    if type(value) is str:
        if value.isascii() and value.isdigit() and len(value) <= 16:
            number = int(value)
        else:
            match = _NUMBER.fullmatch(value)
            if match is None or not match[1].isascii():
                return None
            number = float(match[0])
    elif type(value) is int or type(value) is float:
        number = value
    else:
        return None
    if not 0 <= number <= _LARGEST:  # also rejects NaN
        return None
    return int(number) if type(number) is float and number.is_integer() else number


def _integer(value: object) -> int | None:
    """Convert a counter. Return ``None`` if it is not an integer."""
    number = _number(value)
    return number if type(number) is int else None


def _text(source: Mapping[str, Any], *names: str) -> str:
    """Return the first non-empty string or integer among the members ``names``, as a string."""
    for name in names:
        value = source.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""


def _name(source: Mapping[str, Any], *names: str) -> str:
    """Like :func:`_text`, but replace unprintable characters.

    Line breaks and escape sequences in a displayed name could be used to forge log output.
    """
    text = _text(source, *names)
    return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)


def _object(source: Mapping[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        value = source.get(name)
        if isinstance(value, dict):
            return value
    return {}


def _track(value: object) -> str:
    return value.strip().lower().removesuffix("_track") if isinstance(value, str) else ""


def _connected(fields: dict[str, Any]) -> Connected:
    return Connected(_text(fields, "protocol"), _text(fields, "version"))


def _start(fields: dict[str, Any]) -> Start:
    start = fields.get("start")
    if not isinstance(start, dict):
        raise BadMessage("start without its object")
    # Carriers send the IDs inside the start object, next to it, or both.
    both = {**fields, **{name: value for name, value in start.items() if value is not None}}
    return Start(
        stream_id=_name(both, *_STREAM_IDS),
        call_id=_name(both, *_CALL_IDS),
        account_id=_name(both, "accountSid", "account_sid", "accountId", "account_id", "user_id"),
        tracks=_tracks(both.get("tracks")),
        custom_parameters=_parameters(both),
        media_format=_media_format(both),
        sequence=_integer(fields.get("sequenceNumber", fields.get("sequence_number"))),
        ids=(
            _ids(fields, _STREAM_IDS) + _ids(start, _STREAM_IDS),
            _ids(fields, _CALL_IDS) + _ids(start, _CALL_IDS),
        ),
    )


def _tracks(value: object) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else [value]
    names = [_track(name) for name in listed]
    if "both" in names or "both_tracks" in listed:
        return "inbound", "outbound"
    return tuple(name for name in ("inbound", "outbound") if name in names)


def _media_format(both: dict[str, Any]) -> MediaFormat:
    shape = _object(both, "mediaFormat", "media_format")
    encoding = _name(shape, "encoding")
    if "stream_sid" in both and (not encoding or encoding.lower() in _EXOTEL):
        encoding = "audio/x-L16"
    rate = _integer(shape.get("sampleRate", shape.get("sample_rate")))
    return MediaFormat(
        encoding or "audio/x-mulaw",
        rate if rate is not None and rate in RATES else 0,
        _integer(shape.get("channels")) or 1,
    )


def _parameters(both: dict[str, Any]) -> dict[str, Any]:
    """Parse custom parameters, sent as an object, as JSON text, or as ``name=value`` pairs separated by ``;`` or ``,``."""
    for name in ("customParameters", "custom_parameters", "extra_headers", "extraHeaders"):
        value = both.get(name)
        if isinstance(value, dict):
            return value
        if not isinstance(value, str) or not value.strip():
            continue
        try:
            found = read_leniently(mend_json(value))
        except (ValueError, RecursionError):
            pairs = [pair.partition("=") for pair in re.split("[;,]", value)]
            return {key.strip(): text.strip() for key, sign, text in pairs if sign and key.strip()}
        if isinstance(found, dict):
            return found
    return {}


def _jambonz(fields: dict[str, Any]) -> Start:
    """Parse the first message of a jambonz ``listen`` session, which describes the call and the binary frames' format."""
    rate = _integer(fields.get("sampleRate", fields.get("sample_rate")))
    stereo = fields.get("mixType") == "stereo"
    return Start(
        stream_id=_name(fields, "streamSid", "callId"),
        call_id=_name(fields, "callSid", "callId", "call_sid", "uuid"),
        account_id=_name(fields, "accountSid", "account_sid"),
        tracks=("inbound", "outbound") if stereo else ("inbound",),
        custom_parameters=fields,
        media_format=MediaFormat("audio/x-L16", rate if rate is not None and rate in RATES else 8000),
        binary=2 if stereo else 1,
        ids=(_ids(fields, _STREAM_IDS), _ids(fields, _CALL_IDS)),
    )


def _dtmf(fields: dict[str, Any]) -> Dtmf:
    dtmf = fields.get("dtmf")
    if not isinstance(dtmf, dict):
        dtmf = {**fields, "digit": fields.get("digit", dtmf)}
        if not _text(dtmf, "digit"):
            raise BadMessage("dtmf without its object")
    digit = _text(dtmf, "digit").strip()
    if not digit:
        raise BadMessage("dtmf without a digit")
    if digit.upper() not in _KEYS:
        raise BadMessage("dtmf with an invalid digit")
    track = _track(dtmf.get("track"))
    if track not in _TRACKS:
        raise BadMessage("dtmf with an unknown track")
    return Dtmf(digit.upper(), _integer(dtmf.get("duration")), track)


def _mark(fields: dict[str, Any]) -> Mark:
    name = _text(_object(fields, "mark"), "name") or _text(fields, "name")
    if not name:
        raise BadMessage("mark without a name")
    if len(name) > LONGEST_MARK:  # mark() rejects such names, and thousands of names are kept in memory
        raise BadMessage("mark with a name that is too long")
    return Mark(name)


def _stop(_fields: dict[str, Any]) -> Stop:
    return Stop()


_READERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "connected": _connected,
    "start": _start,
    "dtmf": _dtmf,
    "mark": _mark,
    "playedStream": _mark,
    "stop": _stop,
}


# -- building, as the carrier does -------------------------------------------------------------------------------------


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))


def connected_message() -> str:
    """Return the ``connected`` message, which has no sequence number."""
    return '{"event":"connected","protocol":"Call","version":"0.2.0"}'


def start_message(
    *,
    stream_id: str,
    account_id: str,
    call_id: str,
    tracks: Sequence[str],
    media_format: MediaFormat,
    custom_parameters: Mapping[str, Any] | None = None,
    sequence: int = 1,
) -> str:
    """Return the ``start`` message. If there are no custom parameters, ``customParameters`` is omitted."""
    start: dict[str, Any] = {
        "streamSid": stream_id,
        "accountSid": account_id,
        "callSid": call_id,
        "tracks": list(tracks),
    }
    if custom_parameters:
        start["customParameters"] = dict(custom_parameters)
    start["mediaFormat"] = {
        "encoding": media_format.encoding,
        "sampleRate": media_format.sample_rate,
        "channels": media_format.channels,
    }
    return _line({"event": "start", "sequenceNumber": str(sequence), "start": start})


def media_message(*, track: str, sequence: int, chunk: int, timestamp: int, payload: bytes) -> str:
    """Return a ``media`` message.

    :param track: ``inbound`` or ``outbound``.
    :param sequence: number of the message within the stream.
    :param chunk: number of the message within its track, starting at 1.
    :param timestamp: milliseconds since the start of the stream.
    :param payload: the encoded audio.
    """
    text = b2a_base64(payload, newline=False).decode("ascii")
    return (
        f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"{track}","chunk":"{chunk}",'
        f'"timestamp":"{timestamp}","payload":"{text}"}}}}'
    )


def dtmf_message(*, sequence: int, digit: str, duration: int = 2000, stream_id: str | None = None) -> str:
    """Return a ``dtmf`` message for a key that the caller pressed.

    :param sequence: number of the message within the stream.
    :param digit: the key.
    :param duration: duration in milliseconds, sent as a JSON number.
    :param stream_id: the stream ID; used on two-way streams only.
    """
    fields: dict[str, Any] = {"event": "dtmf", "sequenceNumber": str(sequence)}
    if stream_id is not None:
        fields["streamSid"] = stream_id
    return _line({**fields, "dtmf": {"digit": digit, "duration": duration}})


def mark_message(*, name: str, stream_id: str) -> str:
    """Return a ``mark`` message, which echoes a mark on a two-way stream. It has no sequence number."""
    return _line({"event": "mark", "streamSid": stream_id, "mark": {"name": name}})


def stop_message(*, sequence: int) -> str:
    """Return the ``stop`` message, the last message of a stream."""
    return f'{{"event":"stop","sequenceNumber":"{sequence}"}}'


MediaFormat.__module__ = "relay_sync.audio"
