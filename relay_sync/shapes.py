"""Nested parameters: the objects inside media, recordings, collectors, detectors, devices.

A shape checks the members it knows, each by one function of :mod:`.checks`, and lets the others pass: the platform
may know more than this SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypedDict

from . import checks
from .errors import InvalidParameter
from .parties import without_marks

__all__ = [
    "CollectOptions",
    "DetectOptions",
    "DigitsOptions",
    "Media",
    "RecordAudio",
    "SpeechOptions",
    "collect",
    "destination",
    "detect",
    "device_groups",
    "digits",
    "live_action",
    "media",
    "one_device",
    "own_event",
    "record",
    "speech",
    "stream_device",
    "tap",
    "tap_device",
]

#: One item of ``play``: ``{"type": "tts", "params": {"text": "hello"}}``.
Media = Mapping[str, Any]

Check = Callable[[str, Any], Any]


class RecordAudio(TypedDict, total=False):
    """Options of a recording; what is left out takes the platform's default.

    ``initial_timeout``, ``end_silence_timeout``, ``max_length``: seconds, 0 for no limit. ``input_sensitivity``: 0 to 100.
    """

    beep: bool
    format: str
    stereo: bool
    direction: str
    initial_timeout: float
    end_silence_timeout: float
    max_length: float
    terminators: str
    input_sensitivity: float


class DigitsOptions(TypedDict, total=False):
    """What keys to collect: at most ``max`` (required) and, where a prompt is played, at least ``min``; ``digit_timeout`` seconds
    between two.
    """

    max: int
    min: int
    digit_timeout: float
    terminators: str


class SpeechOptions(TypedDict, total=False):
    """How to recognise speech; ``end_silence_timeout`` and ``speech_timeout`` in seconds."""

    end_silence_timeout: float
    speech_timeout: float
    language: str
    hints: list[str]
    model: str
    engine: str


class CollectOptions(TypedDict, total=False):
    """What ``play_and_collect`` collects: digits, speech or both; ``initial_timeout`` in seconds."""

    digits: DigitsOptions
    speech: SpeechOptions
    initial_timeout: float


class DetectOptions(TypedDict, total=False):
    """A detector: ``type`` is ``machine``, ``fax`` or ``digit``, ``params`` what it listens for."""

    type: str
    params: dict[str, Any]


def _seconds(name: str, value: Any) -> Any:
    return checks.number(name, value, above=0)


def _limit(name: str, value: Any) -> Any:
    return checks.number(name, value, low=0)


def _required(check: Check) -> Check:
    def checked(name: str, value: Any) -> Any:
        if value is None:
            raise InvalidParameter(name, value, "given")
        return check(name, value)

    return checked


def _one_of(*words: str) -> Check:
    return lambda name, value: checks.choice(name, value, words)


def _tap_codec(name: str, value: Any) -> str | None:
    return checks.codec_choice(name, value, ("OPUS", "PCMA", "PCMU"))


def _whole(low: int) -> Check:
    return lambda name, value: checks.whole(name, value, low=low)


def _shape(name: str, value: Any, members: Mapping[str, Check], *, optional: bool = False) -> dict[str, Any] | None:
    """A mapping whose known members pass their checks; members that are ``None`` are left out."""
    given = checks.json_object(name, value, optional=optional)
    if given is None:
        return None
    for member, check in members.items():
        given[member] = check(f"{name}.{member}", given.get(member))
    return {member: inner for member, inner in given.items() if inner is not None}


# -- media ---------------------------------------------------------------------------------------------------------------

_TONES: Final = (
    "at au bg br be ch cl cn cz de dk ee es fi fr gr hu il in it lt jp mx my nl no nz ph pl pt ru se sg th uk us tw ve za"
    " ca cy dz eg ko pk ro rs sa tr bong"
)
#: Countries whose ringback tones the platform knows, and ``bong`` (calling.play schema).
RINGTONES: Final = tuple(_TONES.split(" "))

_MEDIA: Final[dict[str, dict[str, Check]]] = {
    "audio": {"url": _required(checks.http_url)},
    "tts": {
        "text": _required(checks.text),
        "language": checks.text,
        "gender": _one_of("male", "female"),
        "voice": checks.text,
    },
    "silence": {"duration": _required(_seconds)},
    "ringtone": {"name": _required(_one_of(*RINGTONES)), "duration": _seconds},
}


def media(name: str, value: Any, *, optional: bool = False) -> list[dict[str, Any]] | None:
    """A list of things to play. Types that are not known pass."""
    if value is None and optional:
        return None
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidParameter(name, value, "a list of media, such as [{'type': 'tts', 'params': {'text': 'hello'}}]")
    items = [_item(f"{name}[{index}]", item) for index, item in enumerate(value)]
    if not items:
        raise InvalidParameter(name, value, "a list of at least one item")
    return items


def _item(name: str, value: Any) -> dict[str, Any]:
    item = _shape(name, value, {"type": _required(checks.text)}) or {}
    known = _MEDIA.get(item["type"])
    if known is not None:
        item["params"] = _shape(f"{name}.params", item.get("params"), known)
    return item


# -- recording, tapping --------------------------------------------------------------------------------------------------

_RECORD: Final[dict[str, Check]] = {
    "beep": checks.flag,
    "format": _one_of("mp3", "wav", "mp4"),
    "stereo": checks.flag,
    "direction": _one_of("listen", "speak", "both"),
    "initial_timeout": _limit,
    "end_silence_timeout": _limit,
    "max_length": _limit,
    "terminators": lambda name, value: value if value == "" else checks.dtmf(name, value),
    "input_sensitivity": lambda name, value: checks.number(name, value, low=0, high=100),
}


def record(name: str, value: Any) -> dict[str, Any]:
    """The options of a recording."""
    return _shape(name, {} if value is None else value, _RECORD) or {}


def tap(name: str, value: Any) -> dict[str, Any]:
    """What is tapped: ``{"type": "audio", "params": {"direction": ...}}``."""
    found = _shape(name, value, {"type": _required(checks.text)}) or {}
    if found["type"] == "audio":
        sides = {"direction": _required(_one_of("listen", "speak", "both"))}
        found["params"] = _shape(f"{name}.params", found.get("params"), sides)
    return found


_TAP_DEVICES: Final[dict[str, dict[str, Check]]] = {
    "rtp": {
        "addr": _required(checks.text),
        "port": _required(lambda name, value: checks.whole(name, value, low=1, high=65535)),
        "codec": _tap_codec,
        "ptime": _whole(1),
    },
    "ws": {
        "uri": _required(lambda name, value: checks.stream_url(value, name)),
        "codec": _tap_codec,
    },
}


def tap_device(name: str, value: Any) -> dict[str, Any]:
    """Where tapped audio goes: ``rtp`` with ``addr`` and ``port``, or ``ws`` with ``uri``."""
    found = _shape(name, value, {"type": _required(checks.text)}) or {}
    known = _TAP_DEVICES.get(found["type"])
    if known is not None:
        found["params"] = _shape(f"{name}.params", found.get("params"), known)
    return found


# -- input ---------------------------------------------------------------------------------------------------------------

_DIGITS: Final[dict[str, Check]] = {
    "max": _required(_whole(1)),
    "min": _whole(0),
    "digit_timeout": _seconds,
    "terminators": checks.dtmf,
}
_SPEECH: Final[dict[str, Check]] = {
    "end_silence_timeout": _seconds,
    "speech_timeout": _seconds,
    "language": checks.text,
    "hints": checks.texts,
    "model": checks.text,
    "engine": checks.text,
}


def digits(name: str, value: Any) -> dict[str, Any] | None:
    """What keys to collect."""
    return _shape(name, value, _DIGITS, optional=True)


def speech(name: str, value: Any) -> dict[str, Any] | None:
    """How to recognise speech."""
    return _shape(name, value, _SPEECH, optional=True)


def collect(name: str, value: Any) -> dict[str, Any]:
    """What ``play_and_collect`` collects: digits, speech or both."""
    found = _shape(name, value, {"digits": digits, "speech": speech, "initial_timeout": _seconds}) or {}
    if "digits" not in found and "speech" not in found:
        raise InvalidParameter(name, value, "a mapping with 'digits', 'speech' or both")
    return found


_DETECT: Final[dict[str, dict[str, Check]]] = {
    "machine": {
        "initial_timeout": _seconds,
        "end_silence_timeout": _seconds,
        "machine_ready_timeout": _seconds,
        "machine_voice_threshold": _seconds,
        "machine_words_threshold": _whole(1),
        "detect_interruptions": checks.flag,
        "detect_message_end": checks.flag,
    },
    "fax": {"tone": _one_of("CED", "CNG")},
    "digit": {"digits": checks.dtmf},
}


def detect(name: str, value: Any) -> dict[str, Any]:
    """A detector: its type, and what it listens for."""
    found = _shape(name, value, {"type": _one_of("machine", "fax", "digit")}) or {}
    members = _DETECT[found.get("type", "machine")]
    inner = _shape(f"{name}.params", found.get("params"), members, optional=True)
    return found if inner is None else {**found, "params": inner}


# -- devices -------------------------------------------------------------------------------------------------------------


#: By the type of a device: who is called by it, and who calls.
_PARTIES: Final[dict[str, dict[str, Check]]] = {
    "phone": {"to_number": checks.phone_number, "from_number": checks.phone_number},
    "sip": {"to": checks.sip_address, "from": checks.party},
    "fabric": {"to": checks.address, "from": checks.address},
    "stream": {"url": lambda name, value: checks.stream_url(value, name)},
}


def one_device(name: str, value: Any) -> dict[str, Any]:
    """``{"type": ..., "params": {...}}``, as :mod:`relay_sync.devices` builds it. Not shown in errors: it may hold a password."""
    good = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if not good or not isinstance(value.get("type"), str) or not isinstance(value.get("params"), Mapping):
        accepted = "a device: {'type': ..., 'params': {...}}; see relay_sync.devices"
        raise InvalidParameter(name, value, accepted, secret=True)
    device = checks.json_object(name, value) or {}
    params = dict(device["params"])
    for member, check in _PARTIES.get(device["type"], {}).items():
        if params.get(member) is not None:
            params[member] = check(f"{name}.params.{member}", params[member])
    return {**device, "params": params}


def device_groups(name: str, value: Any) -> list[list[dict[str, Any]]]:
    """Lists of lists: the outer one is tried one after the other, what is in an inner one rings at the same time."""
    accepted = "a list of lists of devices, none of them empty: [[first], [then, and at the same time]]"
    if not _is_list(value) or not all(_is_list(group) and len(group) > 0 for group in value) or len(value) == 0:
        raise InvalidParameter(name, value, accepted, secret=True)
    return [
        [one_device(f"{name}[{at}][{index}]", device) for index, device in enumerate(group)]
        for at, group in enumerate(value)
    ]


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def stream_device(name: str, value: Any) -> dict[str, Any] | None:
    """The params of a stream device; the whole device is taken as well."""
    found = checks.json_object(name, value)
    if found and found.get("type") == "stream" and isinstance(found.get("params"), dict):
        found = found["params"]
    if found is not None:
        checks.stream_url(found.get("url"), f"{name}.url")
    return found


# -- what is done with a call --------------------------------------------------------------------------------------------


def destination(name: str, value: Any) -> str | dict[str, Any]:
    """Where a call is transferred to: a URL, a SWML document as text or object, or ``context:<name>``."""
    if isinstance(value, Mapping) and value:
        return checks.json_object(name, value) or {}
    accepted = "a URL, a SWML document or 'context:<name>'"
    if not isinstance(value, str) or not without_marks(value):
        raise InvalidParameter(name, value, accepted)
    read = without_marks(value)
    if read.lower().startswith(("http://", "https://")):
        return checks.http_url(name, read) or ""
    if "{" in read or ("\n" in read and ":" in read):
        return value  # SWML, as JSON or YAML
    # One word names nothing: neither a document, nor a place to fetch one from.
    if not read.isprintable() or " " in read or read == "context:" or not (":" in read or "/" in read):
        raise InvalidParameter(name, value, accepted)
    return read


def live_action(name: str, value: Any, accepted: tuple[str, ...]) -> str | dict[str, Any]:
    """``stop``, ``summarize``, or an object with an action in it."""
    if isinstance(value, str):
        return checks.choice(name, value, ("stop", "summarize")) or ""
    action = checks.json_object(name, value, optional=False) or {}
    if not action:
        raise InvalidParameter(name, value, f"'stop', 'summarize' or a mapping with one of {', '.join(accepted)}")
    return action


def own_event(name: str, value: Any) -> Any:
    """What ``user_event`` tells: an object; sources disagree, so a text is taken too."""
    if value is None:
        raise InvalidParameter(name, value, "a mapping with string keys and JSON values, or text")
    return checks.text(name, value) if isinstance(value, str) else checks.json_object(name, value)
