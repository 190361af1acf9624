"""Schemas for objects in parameters, such as media, devices and collectors.

The table has the same format as the table in ``method_table``; its first column contains the object's name. Objects are
validated like method parameters: missing members and wrong types cause error -32602, and invalid values are refused with code
400. Unknown members are accepted unless the simulator is strict. Objects with client-defined contents, such as custom
parameters and AI prompts, have no schema.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field

from ...params.parties import is_party, is_phone_number, is_sip_address
from .method_table import parse_table

__all__ = ["Findings"]

_SHAPES = parse_table("""
tts | | | text!:s language:s gender:s voice:s
audio | | | url!:s
silence | | | duration!:n(0..]
ringtone | | | name!:s duration:n?(0..]

record | | | audio!:o
record.audio | | | beep:b? direction:s?{listen,speak,both} format:s?{mp3,wav,mp4} stereo:b? terminators:s?
    initial_timeout:n?[0..] end_silence_timeout:n?[0..] max_length:n?[0..] input_sensitivity:n?[0..100]

prompt | | | digits:o? speech:o? initial_timeout:n?(0..]
prompt.digits | | | max!:i[1..] min:i?[0..] digit_timeout:n?(0..] terminators:s?
collect.digits | | | max!:i[1..] digit_timeout:n?(0..] terminators:s?
collect.speech | | | end_silence_timeout:n?(0..] speech_timeout:n?(0..] language:s? hints:as? engine:s? model:s?

detect | | | type:s{machine,fax,digit} params:o?
detect.params | | | initial_timeout:n?(0..] end_silence_timeout:n?(0..] machine_ready_timeout:n?(0..]
    machine_voice_threshold:n?(0..] machine_words_threshold:i?(0..] detect_interruptions:b? detect_message_end:b?
    tone:s?{CED,CNG} digits:s?

phone | | | to_number!:s from_number:s timeout:i?[0..] headers:ao? call_state_events:as call_state_url:s confirm:s|a
    confirm_timeout:i?[0..]
sip | | | to!:s from:s from_name:s timeout:i?[0..] headers:ao? codecs:as? username:s password:s session_timeout:i?[0..]
    encryption:s webrtc_media:b call_state_events:as call_state_url:s confirm:s|a confirm_timeout:i?[0..]
header | | | name!:s value!:s
fabric | | | to!:s from:s timeout:i?[0..] call_state_events:as call_state_url:s confirm:s|a confirm_timeout:i?[0..]
call | | | call_id!:s node_id!:s
queue | | | queue_name!:s node_id!:s queue_id:s execute_after_queue:s
refer | | | to!:s from:s headers:ao? username:s password:s
stream | | | url!:s codec:s? name:s? realtime:b? custom_parameters:o? status_url:s status_url_method:s{GET,POST}
    authorization_bearer_token:s

tap | | | type!:s{audio} params!:o
tap.params | | | direction:s{listen,speak,both}
tap.rtp | | | addr!:s port!:i[1..65535] codec:s{OPUS,PCMA,PCMU} ptime:i
tap.ws | | | uri!:s codec:s{OPUS,PCMA,PCMU}

pay.parameter | | | name!:s value!:s
pay.prompt | | | for!:s actions:ao play:ao attempt:s card_type:s error_type:s require_matching_inputs:s
pay.action | | | type!:s phrase!:s

connect.version | | | major:x minor:x revision:x
connect.authentication | | | project:x token:x jwt_token:x
ai.reset | | | full_reset:b system_prompt:s user_prompt:s

transcribe.start | | | direction!:as lang!:s live_events:b? ai_summary:b?
translate.start | | | direction!:as from_lang!:s to_lang!:s live_events:b? ai_summary:b?
translate.inject | | | direction!:s{local-caller,remote-caller} message!:s
""")

_WITH_HEADERS = frozenset({"phone", "sip", "refer"})

#: Members that contain a phone number or an address, by schema: a predicate, and the expected kind of value for error messages.
PARTIES: Mapping[str, Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "phone": {
        "to_number": (is_phone_number, "telephone number"),
        "from_number": (is_phone_number, "telephone number"),
    },
    "sip": {"to": (is_sip_address, "SIP address"), "from": (is_party, "SIP address")},
    "refer": {"to": (is_sip_address, "SIP address"), "from": (is_party, "SIP address")},
}


@define
class Findings:
    """Problems found in a request's parameters. Falsy if there are none.

    :ivar strict: whether unknown members are reported.
    :ivar malformed: error messages for schema violations.
    :ivar impossible: error messages for invalid values, by path.
    """

    strict: bool = False

    malformed: list[str] = field(factory=list)
    impossible: dict[str, str] = field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self.malformed or self.impossible)

    def look(self, shape: str, value: Any, where: str = "") -> bool:
        """Validate an object against a schema.

        :param where: the object's path for error messages; ``""`` for the request's parameters.
        :return: whether the members have the right types, so that the caller can validate them further.
        """
        if not isinstance(value, Mapping):
            self.malformed.append(f"{where} must be an object")
            return False
        dot = f"{where}." if where else ""
        problems = _SHAPES[shape].malformed(value, strict=self.strict)
        self.malformed += [f"{dot}{problem}" for problem in problems]
        if not problems:
            self.impossible.update(
                {f"{dot}{name}": f"{dot}{why}" for name, why in _SHAPES[shape].impossible(value).items()}
            )
            self._look_at_parties(shape, value, dot)
            self.look_at_all("header", value.get("headers") if shape in _WITH_HEADERS else None, f"{dot}headers")
        return not problems

    def look_at_all(self, shape: str, items: Sequence[Any] | None, where: str) -> None:
        """Validate each object in a list against a schema. ``None`` is treated as an empty list."""
        for index, item in enumerate(items or ()):
            self.look(shape, item, f"{where}[{index}]")

    def _look_at_parties(self, shape: str, value: Mapping[str, Any], dot: str) -> None:
        for name, (good, accepted) in PARTIES.get(shape, {}).items():
            if value.get(name) is not None and not good(value[name]):
                self.impossible[f"{dot}{name}"] = f"{dot}{name} is not a {accepted}"

    def look_at_one_of(self, shapes: Mapping[str, str] | Iterable[str], value: Any, where: str) -> bool:
        """Validate an object with the members ``type`` and ``params``. The schema of ``params`` depends on the type.

        :param shapes: schema names by type, or a list of types, which are also the schema names.
        :return: same as for :meth:`look`.
        """
        known = shapes if isinstance(shapes, Mapping) else {name: name for name in shapes}
        if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
            self.malformed.append(f"{where}.type is required")
            return False
        if self.strict:
            self.malformed += [f"{where}.{name} is unknown" for name in value if name not in ("type", "params")]
        if value["type"] not in known:
            self.impossible[f"{where}.type"] = f"{where}.type must be one of {', '.join(known)}"
            return False
        return self.look(known[value["type"]], value.get("params"), f"{where}.params")

    def look_at_media(self, items: Sequence[Any], where: str = "play") -> None:
        """Validate a list of media."""
        for index, item in enumerate(items):
            self.look_at_one_of(("tts", "audio", "silence", "ringtone"), item, f"{where}[{index}]")

    def look_at_devices(self, groups: Sequence[Sequence[Any]], kinds: Iterable[str]) -> None:
        """Validate a list of device groups."""
        for number, group in enumerate(groups):
            for index, device in enumerate(group):
                self.look_at_one_of(kinds, device, f"devices[{number}][{index}]")
        if not any(groups):
            self.impossible["devices"] = "devices must not be empty"
