"""The JSON messages of a media socket: read with tolerance, written exactly as SignalWire documents them. Pure.

Facts: one JSON object per text frame with an ``event`` member. SignalWire sends counters as strings, no top-level
``streamSid``, marks without a sequence number and ``stop`` without a body. Other carriers differ in names and types;
what means the same is read the same: Twilio, Telnyx (snake case), Plivo (integers, ``extra_headers``, ``playedStream``),
Exotel (snake case, raw audio) and jambonz (one JSON text without ``event``, then binary L16). Unknown members are ignored
and unknown events handed on.
"""

from __future__ import annotations

import json
import re
from binascii import a2b_base64, b2a_base64
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
    "documented_media",
    "dtmf_message",
    "mark_message",
    "media_message",
    "parse_message",
    "start_message",
    "stop_message",
]

_LARGEST = 2**53  # of any counter; beyond it is not one
_NUMBER = re.compile(r"\s*([0-9]{1,16})(\.[0-9]{0,16})?\s*")
# A media message exactly as SignalWire documents it, which is nearly all that ever comes: three times as fast as JSON.
_DOCUMENTED = re.compile(
    rb'\{"event":"media","sequenceNumber":"([0-9]{1,15})","media":\{"track":"(?:(inbound)|outbound)","chunk":"([0-9]{1,15})",'
    rb'"timestamp":"([0-9]{1,15})","payload":"([^"\\]+)"\}\}'
)
_TRACKS = ("", "inbound", "outbound")  # of a key; "" where it names none
_KEYS = frozenset("0123456789*#ABCD")
_STREAM_IDS = ("streamSid", "stream_sid", "streamId", "stream_id")
_CALL_IDS = ("callSid", "call_sid", "callId", "call_id", "call_control_id")
_IDS = frozenset(_STREAM_IDS + _CALL_IDS)
RATES = range(4000, 384_001)  # Hz; no telephone has less, and at 1 Hz a message would be minutes of sound
LONGEST_MARK = 256  # characters of its name
_EXOTEL = ("base64", "raw", "raw/slin")  # what it calls 16-bit PCM


class BadMessage(ValueError):
    """A message that cannot be used; the stream continues without it.

    :ivar kind: the problem in two or three words, the same for every message with this problem.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@frozen
class MediaFormat:
    """The encoding of the payloads.

    :ivar encoding: the carrier's name for it, such as ``audio/x-mulaw``.
    :ivar sample_rate: sample rate in Hz; 0 if the carrier does not announce it.
    :ivar channels: number of channels; so far always 1.
    """

    encoding: str
    sample_rate: int = 8000
    channels: int = 1


@frozen
class Connected:
    """The greeting."""

    protocol: str = ""
    version: str = ""


@frozen(kw_only=True)
class Start:
    """The properties of the stream. ``custom_parameters`` are the values passed to ``call.stream``.

    ``tracks`` contains ``inbound`` and ``outbound``, if they are streamed.
    """

    stream_id: str = ""
    call_id: str = ""
    account_id: str = ""
    tracks: tuple[str, ...] = ()
    custom_parameters: dict[str, Any] = field(factory=dict, repr=False)
    media_format: MediaFormat = MediaFormat("audio/x-mulaw")
    sequence: int | None = None
    binary: int = 0  # the channels that binary frames carry; 0: the audio comes in JSON
    # All names of the stream, and all of the call.
    ids: tuple[tuple[str, ...], tuple[str, ...]] = field(default=((), ()), repr=False, eq=False)


@define
class Media:
    """Audio. ``timestamp`` is in ms since the stream began, ``chunk`` counts within the track; ``None`` if not given."""

    track: str
    payload: bytes = field(repr=False)
    timestamp: int | float | None = None
    chunk: int | None = None
    sequence: int | None = None


@frozen
class Dtmf:
    """A key. ``duration`` is as the carrier sends it: documented as ms, but perhaps in samples."""

    digit: str
    duration: int | None = None
    track: str = ""


@frozen
class Mark:
    """The echo of a mark."""

    name: str


@frozen
class Stop:
    """The last message."""


@frozen
class Unknown:
    """An event that means nothing here."""

    event: str
    fields: dict[str, Any] = field(repr=False)


Message: TypeAlias = Connected | Start | Media | Dtmf | Mark | Stop | Unknown


# -- reading -----------------------------------------------------------------------------------------------------------


def parse_message(text: str | bytes, *, audio_follows: bool = False, of: Start | None = None) -> Message:
    """Read one message.

    :param of: the ``start`` of this stream; a message that names another stream or call is refused.
    :param audio_follows: the peer sends a JSON object of any shape first, then audio in binary frames.
    :raises BadMessage: it is not a message, or lacks a required member.
    """
    if not isinstance(text, str):
        text = _from_binary(text)
    text = mend_json(text)
    try:
        fields = read_leniently(text)
    except (ValueError, RecursionError):
        try:
            fields = read_leniently(text.removeprefix("\ufeff"))  # some write a byte order mark first
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
    """Refuse a message whose ids of the stream or call are all unknown to ``start``.

    A ``stop`` is checked by its stream only, not by the call: carriers name calls in several ways there, and ignoring a
    ``stop`` would leave the stream open.
    """
    if type(source) is not dict or _IDS.isdisjoint(source):
        return
    found = _IDS.intersection(source)
    if len(found) == 1:  # nearly always: the stream's own
        (name,) = found
        value = source[name]
        if type(value) is str and value in start.ids[name in _CALL_IDS]:
            return
    for names, known, what in zip((_STREAM_IDS, _CALL_IDS), start.ids, ("stream", "call"), strict=True):
        named = _ids(source, names)
        if named and known and not set(named).intersection(known) and not (what == "call" and event == "stop"):
            raise BadMessage(f"a message of another {what}")


def _ids(source: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    # Tuples: a set of one takes five times the memory, for the life of the stream.
    return tuple({name for name in (_name(source, each) for each in names) if name})


def documented_media(text: bytes) -> Media | None:
    """The audio in a message that is exactly as SignalWire documents it; ``None`` where it is not, or is no audio at all."""
    match = _DOCUMENTED.fullmatch(text)
    if match is None:
        return None
    sequence, inbound, chunk, timestamp, payload = match.groups()
    try:
        data = a2b_base64(payload, strict_mode=True)
    except ValueError:
        return None  # not padded, perhaps
    return Media("inbound" if inbound else "outbound", data, int(timestamp), int(chunk), int(sequence))


def _from_binary(data: bytes) -> str:
    """A message that came in a binary frame, which some libraries send whatever they are given."""
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
    """A counter or a time, given as a string or as a number; ``None`` if it is not one."""
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
    if not 0 <= number <= _LARGEST:  # that is what NaN is, too
        return None
    return int(number) if type(number) is float and number.is_integer() else number


def _integer(value: object) -> int | None:
    """A counter; ``None`` if it is not one."""
    number = _number(value)
    return number if type(number) is int else None


def _text(source: Mapping[str, Any], *names: str) -> str:
    """The first of *names* that is there, as text; other scalars are turned into it."""
    for name in names:
        value = source.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
    return ""


def _name(source: Mapping[str, Any], *names: str) -> str:
    """As :func:`_text`, for what is shown to people: a line break or an escape sequence in it would forge what they see."""
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
    # Ids stand inside, beside, or in both places.
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
    """An object, or a text that holds one: as JSON, or as ``name=value`` with ``;`` or ``,`` between."""
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
    """The first text of a jambonz ``listen``: what the call is, and how the binary frames that follow are to be read."""
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
        raise BadMessage("dtmf with a key that no telephone has")
    track = _track(dtmf.get("track"))
    if track not in _TRACKS:
        raise BadMessage("dtmf of a track that no call has")
    return Dtmf(digit.upper(), _integer(dtmf.get("duration")), track)


def _mark(fields: dict[str, Any]) -> Mark:
    name = _text(_object(fields, "mark"), "name") or _text(fields, "name")
    if not name:
        raise BadMessage("mark without a name")
    if len(name) > LONGEST_MARK:  # no program has set it, and thousands are kept
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


# -- writing, as the carrier does --------------------------------------------------------------------------------------


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))


def connected_message() -> str:
    """The greeting: first, and without a number."""
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
    """What the stream is: number 1. Without parameters the member is left out."""
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
    """One packet of a track. *chunk* counts from 1 within the track, *timestamp* is in ms since the stream began."""
    text = b2a_base64(payload, newline=False).decode("ascii")
    return (
        f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"{track}","chunk":"{chunk}",'
        f'"timestamp":"{timestamp}","payload":"{text}"}}}}'
    )


def dtmf_message(*, sequence: int, digit: str, duration: int = 2000, stream_id: str | None = None) -> str:
    """A key the caller pressed; *stream_id* on two-way streams only. *duration* is a JSON number."""
    fields: dict[str, Any] = {"event": "dtmf", "sequenceNumber": str(sequence)}
    if stream_id is not None:
        fields["streamSid"] = stream_id
    return _line({**fields, "dtmf": {"digit": digit, "duration": duration}})


def mark_message(*, name: str, stream_id: str) -> str:
    """The echo of a mark, without a number; two-way streams only."""
    return _line({"event": "mark", "streamSid": stream_id, "mark": {"name": name}})


def stop_message(*, sequence: int) -> str:
    """The last message."""
    return f'{{"event":"stop","sequenceNumber":"{sequence}"}}'


MediaFormat.__module__ = "relay_sync.audio"
