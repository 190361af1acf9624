"""Validation of nested parameters, which describe media, recordings, taps, input, detectors, devices and payments.

An object's known keys are checked with the functions in :mod:`.values`. Unknown keys are accepted, because the platform
may support more than this SDK. Unknown types are accepted as well, unless they look like a misspelling of a known type.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, TypedDict, get_args

from ..constants import Gender, MediaDirection, SipCodec
from ..errors import InvalidParameter
from ..text.wording import either
from . import values
from .parties import without_marks

__all__ = [
    "CALLED",
    "CONNECTED",
    "DEVICES",
    "TRANSCRIPTION",
    "TRANSLATION",
    "CollectOptions",
    "DetectOptions",
    "DigitsOptions",
    "Media",
    "RecordAudio",
    "SpeechOptions",
    "collect",
    "destination",
    "detect",
    "detector",
    "device_groups",
    "digits",
    "live_action",
    "media",
    "media_item",
    "objects",
    "own_event",
    "pay_parameters",
    "pay_prompts",
    "record",
    "refer_device",
    "reset",
    "speech",
    "stream_device",
    "tap",
    "tap_device",
]

if TYPE_CHECKING:

    class AudioParams(TypedDict):
        """Audio file parameters.

        :ivar url: HTTP(S) URL of the file.
        """

        url: str

    class AudioMedia(TypedDict):
        """An audio file to play."""

        type: Literal["audio"]
        params: AudioParams

    class TTSParams(TypedDict):
        """Text-to-speech parameters.

        :ivar text: text to speak.
        :ivar language: language of the text, such as ``en-US``.
        :ivar gender: ``female`` or ``male``.
        :ivar voice: voice name.
        """

        text: str
        language: NotRequired[str]
        gender: NotRequired[Gender | str]
        voice: NotRequired[str]

    class TTSMedia(TypedDict):
        """Text to play as speech."""

        type: Literal["tts"]
        params: TTSParams

    class SilenceParams(TypedDict):
        """Silence parameters.

        :ivar duration: duration in seconds.
        """

        duration: float

    class SilenceMedia(TypedDict):
        """A pause."""

        type: Literal["silence"]
        params: SilenceParams

    class RingtoneParams(TypedDict):
        """Ringtone parameters.

        :ivar name: country code of the ringtone, such as ``us``.
        :ivar duration: duration in seconds.
        """

        name: str
        duration: NotRequired[float]

    class RingtoneMedia(TypedDict):
        """A ringtone to play."""

        type: Literal["ringtone"]
        params: RingtoneParams

    #: One item of ``play``, such as ``{"type": "tts", "params": {"text": "hello"}}``.
    Media = AudioMedia | TTSMedia | SilenceMedia | RingtoneMedia | Mapping[str, Any]
else:
    Media = Mapping[str, Any]  # creating the classes would slow down the import

Check = Callable[[str, Any], Any]


class RecordAudio(TypedDict, total=False):
    """Recording options. The platform chooses defaults for omitted options.

    :ivar beep: whether to play a beep before the recording.
    :ivar format: file format: ``mp3``, ``wav`` or ``mp4``.
    :ivar stereo: whether to record each direction on a separate channel.
    :ivar direction: audio to record: ``listen``, ``speak`` or ``both``.
    :ivar initial_timeout: maximum silence at the start, in seconds; 0 means no limit.
    :ivar end_silence_timeout: silence that ends the recording, in seconds; 0 means no limit.
    :ivar max_length: maximum length of the recording, in seconds; 0 means no limit.
    :ivar terminators: digits that end the recording.
    :ivar input_sensitivity: sensitivity of the silence detection, from 0 to 100.
    """

    beep: bool
    format: Literal["mp3", "wav", "mp4"] | str
    stereo: bool
    direction: MediaDirection | str
    initial_timeout: float
    end_silence_timeout: float
    max_length: float
    terminators: str
    input_sensitivity: float


class DigitsOptions(TypedDict, total=False):
    """Digit collection options.

    :ivar max: maximum number of digits (required).
    :ivar min: minimum number of digits after a prompt.
    :ivar digit_timeout: maximum time between two digits, in seconds.
    :ivar terminators: digits that end the input.
    """

    max: int
    min: int
    digit_timeout: float
    terminators: str


class SpeechOptions(TypedDict, total=False):
    """Speech recognition options.

    :ivar end_silence_timeout: silence that ends the input, in seconds.
    :ivar speech_timeout: maximum length of the speech, in seconds.
    :ivar language: language to recognize.
    :ivar hints: words to expect.
    :ivar model: speech recognition model.
    :ivar engine: speech recognition engine.
    """

    end_silence_timeout: float
    speech_timeout: float
    language: str
    hints: list[str]
    model: str
    engine: str


class CollectOptions(TypedDict, total=False):
    """The input for ``play_and_collect`` to collect: digits, speech, or both.

    :ivar digits: digit collection options.
    :ivar speech: speech recognition options.
    :ivar initial_timeout: maximum time to wait for the first input, in seconds.
    """

    digits: DigitsOptions
    speech: SpeechOptions
    initial_timeout: float


class DetectOptions(TypedDict, total=False):
    """A detector.

    :ivar type: type of detector: ``machine``, ``fax`` or ``digit``.
    :ivar params: the detector's options.
    """

    type: Literal["machine", "fax", "digit"] | str
    params: dict[str, Any]


def _seconds(name: str, value: Any) -> Any:
    return values.number(name, value, above=0)


def _limit(name: str, value: Any) -> Any:
    return values.number(name, value, low=0)


def _required(check: Check) -> Check:
    def checked(name: str, value: Any) -> Any:
        if value is None:
            raise InvalidParameter(name, value, "a value (this parameter is required)")
        return check(name, value)

    return checked


def _some_text(name: str, value: Any) -> str | None:
    """Check a required, non-empty string."""
    return values.text(name, value, optional=False)


def _text(name: str, value: Any) -> str | None:
    """Check a string that may be empty."""
    return "" if value == "" else values.text(name, value)


def _each(check: Check) -> Check:
    """Return a function that checks each item of a list."""

    def checked(name: str, value: Any) -> list[Any] | None:
        items = values.json_list(name, value)
        return None if items is None else [check(f"{name}[{index}]", item) for index, item in enumerate(items)]

    return checked


def _one_of(*words: str) -> Check:
    return lambda name, value: values.choice(name, value, words)


def _tap_codec(name: str, value: Any) -> str | None:
    return values.codec_choice(name, value, ("OPUS", "PCMA", "PCMU"))


def _whole(low: int) -> Check:
    return lambda name, value: values.whole(name, value, low=low)


def _kind(*known: str, elsewhere: Collection[str] = ()) -> Check:
    """Return a function that checks an object's type, ignoring case.

    A type that is not similar to any known type is accepted, because the platform may have added new types.

    :param known: accepted types.
    :param elsewhere: types that are known but not accepted here.
    """

    def checked(name: str, value: Any) -> str:
        given = values.text(name, value, optional=False) or ""
        if given.lower() in known:
            return given.lower()
        from difflib import get_close_matches  # only needed for unknown types

        if get_close_matches(given.lower(), (*known, *elsewhere), 1):
            raise InvalidParameter(name, value, either(known))
        return given

    return checked


def _shape(name: str, value: Any, members: Mapping[str, Check], *, optional: bool = False) -> dict[str, Any] | None:
    """Check a mapping's known keys, and remove keys whose value is ``None``."""
    given = values.json_object(name, value, optional=optional)
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
#: Countries with ringback tones, and ``bong``, from the vendor's schema of ``calling.play``.
RINGTONES: Final = tuple(_TONES.split(" "))

_MEDIA: Final[dict[str, dict[str, Check]]] = {
    "audio": {"url": _required(values.http_url)},
    "tts": {
        "text": _some_text,
        "language": values.text,
        "gender": _one_of("male", "female"),
        "voice": values.text,
    },
    "silence": {"duration": _required(_seconds)},
    "ringtone": {"name": _required(_one_of(*RINGTONES)), "duration": _seconds},
}


def media(name: str, value: Any, *, optional: bool = False) -> list[dict[str, Any]] | None:
    """Check a list of media to play."""
    if value is None and optional:
        return None
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise values.unseen(name, value, "a list of media, such as [{'type': 'tts', 'params': {'text': 'hello'}}]")
    items = [_typed(f"{name}[{index}]", item, _MEDIA) for index, item in enumerate(value)]
    if not items:
        raise InvalidParameter(name, value, "a list of at least one item")
    return items


def media_item(kind: str, **params: Any) -> dict[str, Any]:
    """Create a ``play`` item from a shortcut's arguments. Errors name the shortcut's argument."""
    return _from_arguments(_MEDIA, kind, params)


def _from_arguments(kinds: Mapping[str, Mapping[str, Check]], kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": kind, "params": {name: kinds[kind][name](name, value) for name, value in params.items()}}


def _typed(
    name: str, value: Any, kinds: Mapping[str, Mapping[str, Check]], elsewhere: Collection[str] = ()
) -> dict[str, Any]:
    """Check an object of the form ``{"type": ..., "params": {...}}``, whose params depend on its type."""
    found = _shape(name, value, {"type": _kind(*kinds, elsewhere=elsewhere)}) or {}
    known = kinds.get(found["type"])
    if known is not None:
        found["params"] = _shape(f"{name}.params", found.get("params"), known)
    return found


# -- recording, tapping --------------------------------------------------------------------------------------------------

_RECORD: Final[dict[str, Check]] = {
    "beep": values.flag,
    "format": _one_of("mp3", "wav", "mp4"),
    "stereo": values.flag,
    "direction": _one_of("listen", "speak", "both"),
    "initial_timeout": _limit,
    "end_silence_timeout": _limit,
    "max_length": _limit,
    "terminators": lambda name, value: value if value == "" else values.dtmf(name, value),
    "input_sensitivity": lambda name, value: values.number(name, value, low=0, high=100),
}


def record(name: str, value: Any) -> dict[str, Any]:
    """Check recording options."""
    return _shape(name, {} if value is None else value, _RECORD) or {}


_TAPPED: Final[dict[str, dict[str, Check]]] = {
    "audio": {"direction": _required(_one_of("listen", "speak", "both"))},
}


def tap(name: str, value: Any) -> dict[str, Any]:
    """Check a tap, which has the form ``{"type": "audio", "params": {"direction": ...}}``."""
    return _typed(name, value, _TAPPED)


_TAP_DEVICES: Final[dict[str, dict[str, Check]]] = {
    "rtp": {
        "addr": _some_text,
        "port": _required(lambda name, value: values.whole(name, value, low=1, high=65535)),
        "codec": _tap_codec,
        "ptime": _whole(1),
    },
    "ws": {
        "uri": _required(lambda name, value: values.stream_url(value, name)),
        "codec": _tap_codec,
    },
}


def tap_device(name: str, value: Any) -> dict[str, Any]:
    """Check a tap's target: ``rtp`` with ``addr`` and ``port``, or ``ws`` with ``uri``."""
    return _typed(name, value, _TAP_DEVICES)


# -- input ---------------------------------------------------------------------------------------------------------------

_DIGITS: Final[dict[str, Check]] = {
    "max": _required(_whole(1)),
    "min": _whole(0),
    "digit_timeout": _seconds,
    "terminators": values.dtmf,
}
_SPEECH: Final[dict[str, Check]] = {
    "end_silence_timeout": _seconds,
    "speech_timeout": _seconds,
    "language": values.text,
    "hints": values.texts,
    "model": values.text,
    "engine": values.text,
}


def digits(name: str, value: Any) -> dict[str, Any] | None:
    """Check digit collection options."""
    return _shape(name, value, _DIGITS, optional=True)


def speech(name: str, value: Any) -> dict[str, Any] | None:
    """Check speech recognition options."""
    return _shape(name, value, _SPEECH, optional=True)


def collect(name: str, value: Any) -> dict[str, Any]:
    """Check the input for ``play_and_collect`` to collect: digits, speech, or both."""
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
        "detect_interruptions": values.flag,
        "detect_message_end": values.flag,
    },
    "fax": {"tone": _one_of("CED", "CNG")},
    "digit": {"digits": values.dtmf},
}


def detect(name: str, value: Any) -> dict[str, Any]:
    """Check a detector's type and options."""
    found = _shape(name, value, {"type": _one_of("machine", "fax", "digit")}) or {}
    members = _DETECT[found.get("type", "machine")]
    inner = _shape(f"{name}.params", found.get("params"), members, optional=True)
    return found if inner is None else {**found, "params": inner}


def detector(kind: str, **params: Any) -> dict[str, Any]:
    """Create a ``detect`` value from a shortcut's arguments. Errors name the shortcut's argument."""
    return _from_arguments(_DETECT, kind, params)


# -- devices -------------------------------------------------------------------------------------------------------------


def _url_of_stream(name: str, value: Any) -> str:
    return values.stream_url(value, name)


def _codec_of_stream(name: str, value: Any) -> str | None:
    return values.codec(value, name, others=False)


def _confirm(name: str, value: Any) -> Any:
    """Check a device's ``confirm`` option, which is a document URL or a list of steps."""
    return value if isinstance(value, list) else values.http_url(name, value)


def _headers(name: str, value: Any) -> list[dict[str, str]] | None:
    """Check SIP headers, given as a mapping or as a list of ``{"name", "value"}`` objects.

    Errors do not show the headers, because they may contain credentials.
    """
    if value is None:
        return None
    accepted = "a mapping of strings, or a list of {'name': ..., 'value': ...}"
    if isinstance(value, Mapping):
        pairs: list[Any] = [{"name": header, "value": text} for header, text in value.items()]
    elif isinstance(value, (list, tuple)):
        pairs = list(value)
    else:
        raise InvalidParameter(name, value, accepted, secret=True)
    for pair in pairs:
        good = isinstance(pair, Mapping) and all(isinstance(pair.get(part), str) for part in ("name", "value"))
        if not good or any(mark in pair["name"] + pair["value"] for mark in "\r\n"):
            raise InvalidParameter(name, value, accepted, secret=True)
    return [dict(pair) for pair in pairs]


#: Params that all ringing devices share.
_RINGING: Final[dict[str, Check]] = {
    "timeout": _whole(0),
    "confirm": _confirm,
    "confirm_timeout": _whole(0),
    "call_state_url": values.http_url,
    "call_state_events": lambda name, value: values.choices(name, value, ("created", "ringing", "answered", "ended")),
}
_SIP_CODECS: Final = get_args(SipCodec)
#: Params of each device type by their names in the protocol. :mod:`relay_sync.devices` uses the same checks.
DEVICES: Final[dict[str, dict[str, Check]]] = {
    "phone": {
        "to_number": _required(values.phone_number),
        "from_number": values.phone_number,
        **_RINGING,
    },
    "fabric": {"to": _required(values.address), "from": values.address, **_RINGING},
    "sip": {
        "to": _required(values.sip_address),
        "from": values.party,
        "from_name": values.text,
        "headers": _headers,
        "codecs": lambda name, value: values.codec_choices(name, value, _SIP_CODECS),
        "encryption": _one_of("forbidden", "mandatory", "optional"),
        "webrtc_media": values.flag,
        "username": values.secret,
        "password": values.secret,
        "session_timeout": _whole(0),
        **_RINGING,
    },
    "call": {"call_id": _some_text, "node_id": _some_text},
    "queue": {
        "queue_name": _some_text,
        "node_id": _some_text,
        "queue_id": values.text,
        "execute_after_queue": values.text,
    },
    "stream": {
        "url": _required(_url_of_stream),
        "name": values.text,
        "codec": _codec_of_stream,
        "realtime": values.flag,
        "status_url": values.http_url,
        "status_url_method": _one_of("GET", "POST"),
        "authorization_bearer_token": lambda name, value: values.bearer_token(value, name),
        "custom_parameters": values.json_object,
    },
}
#: Devices that can be dialed, and devices that a call can be connected to.
CALLED: Final = ("phone", "fabric", "sip")
CONNECTED: Final = tuple(DEVICES)


def _one_device(name: str, value: Any, kinds: Collection[str]) -> dict[str, Any]:
    """Check a device as built by :mod:`relay_sync.devices`. Errors do not show the device, because it may contain a password."""
    good = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if not good or not isinstance(value.get("type"), str) or not isinstance(value.get("params"), Mapping):
        accepted = "a device: {'type': ..., 'params': {...}} (see relay_sync.devices)"
        raise InvalidParameter(name, value, accepted, secret=True)
    return _typed(name, value, {kind: DEVICES[kind] for kind in kinds}, elsewhere=DEVICES.keys() - set(kinds))


def refer_device(name: str, value: Any) -> dict[str, Any]:
    """Check a SIP REFER target, which must be a SIP device."""
    return _one_device(name, value, ("sip",))


def device_groups(name: str, value: Any, kinds: Collection[str]) -> list[list[dict[str, Any]]]:
    """Check a list of lists of devices.

    The inner lists are tried in turn, and the devices in one inner list ring at the same time.

    :param name: parameter name, for error messages.
    :param value: list of lists.
    :param kinds: accepted keys of :data:`DEVICES`.
    """
    accepted = "a non-empty list of non-empty lists of devices: [[first], [second, third]]"
    if not _is_list(value) or not all(_is_list(group) and len(group) > 0 for group in value) or len(value) == 0:
        raise InvalidParameter(name, value, accepted, secret=True)
    return [
        [_one_device(f"{name}[{at}][{index}]", device, kinds) for index, device in enumerate(group)]
        for at, group in enumerate(value)
    ]


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def stream_device(name: str, value: Any) -> dict[str, Any] | None:
    """Check a stream device's params. A complete device is also accepted."""
    if isinstance(value, Mapping) and value.get("type") == "stream" and isinstance(value.get("params"), Mapping):
        name, value = f"{name}.params", value["params"]
    return _shape(name, value, DEVICES["stream"], optional=True)


# -- payments and agents -------------------------------------------------------------------------------------------------

_PROMPT: Final[dict[str, Check]] = {
    "for": _some_text,
    "actions": _each(lambda name, value: _shape(name, value, {"type": _some_text, "phrase": _required(_text)})),
    "play": lambda name, value: media(name, value, optional=True),
    "attempt": values.text,
    "card_type": values.text,
    "error_type": values.text,
}
_RESET: Final[dict[str, Check]] = {"full_reset": values.flag, "system_prompt": _text, "user_prompt": _text}

#: Objects of the form ``{"name", "value"}`` for the payment connector.
pay_parameters: Final[Check] = _each(
    lambda name, value: _shape(name, value, {"name": _some_text, "value": _required(_text)})
)
#: The prompts of a payment.
pay_prompts: Final[Check] = _each(lambda name, value: _shape(name, value, _PROMPT))
#: Objects whose content is not checked.
objects: Final[Check] = _each(lambda name, value: values.json_object(name, value, optional=False))


def reset(name: str, value: Any) -> dict[str, Any] | None:
    """Check an AI agent's reset options."""
    return _shape(name, value, _RESET, optional=True)


# -- transfers and live actions ------------------------------------------------------------------------------------------


def destination(name: str, value: Any) -> str | dict[str, Any]:
    """Check a transfer target: a URL, a SWML document as a string or an object, or ``context:<name>``."""
    if isinstance(value, Mapping) and value:
        return values.json_object(name, value) or {}
    accepted = "a URL, a SWML document or 'context:<name>'"
    if not isinstance(value, str):
        raise values.unseen(name, value, accepted)
    if not without_marks(value):
        raise InvalidParameter(name, value, accepted)
    read = without_marks(value)
    if read.lower().startswith(("http://", "https://")):
        return values.http_url(name, read) or ""
    if "{" in read or ("\n" in read and ":" in read):
        return value  # a SWML document in JSON or YAML
    # A single word is neither a document nor an address.
    if not read.isprintable() or " " in read or read == "context:" or not (":" in read or "/" in read):
        raise InvalidParameter(name, value, accepted)
    return read


_LIVE: Final[dict[str, Check]] = {
    "direction": _required(values.texts),
    "live_events": values.flag,
    "ai_summary": values.flag,
}
#: Actions of live transcription and live translation, with their options.
TRANSCRIPTION: Final[dict[str, dict[str, Check]]] = {
    "start": {"lang": _some_text, **_LIVE},
    "stop": {},
    "summarize": {},
}
TRANSLATION: Final[dict[str, dict[str, Check]]] = {
    "start": {"from_lang": _some_text, "to_lang": _some_text, **_LIVE},
    "stop": {},
    "summarize": {},
    "inject": {
        "message": _some_text,
        "direction": _required(_one_of("local-caller", "remote-caller")),
    },
}


def live_action(name: str, value: Any, accepted: Mapping[str, Mapping[str, Check]]) -> str | dict[str, Any]:
    """Check ``stop``, ``summarize``, or an object with an action from :data:`TRANSCRIPTION` or :data:`TRANSLATION`."""
    if isinstance(value, str):
        return values.choice(name, value, ("stop", "summarize")) or ""
    action = values.json_object(name, value, optional=False) or {}
    if not action:
        raise InvalidParameter(name, value, f"'stop', 'summarize' or a mapping with {either(list(accepted))}")
    kind = _kind(*accepted)
    found = {kind(name, word): options for word, options in action.items()}
    return {
        word: _shape(f"{name}.{word}", options, accepted[word]) if accepted.get(word) else options
        for word, options in found.items()
    }


def own_event(name: str, value: Any) -> Any:
    """Check the ``user_event`` content, which is an object or a string. The vendor's documentation mentions both."""
    if value is None:
        raise InvalidParameter(name, value, "a mapping with string keys and JSON values, or a string")
    return values.text(name, value) if isinstance(value, str) else values.json_object(name, value)
