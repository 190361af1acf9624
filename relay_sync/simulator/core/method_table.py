"""RELAY methods with their parameters and acknowledgments.

The table in this module was written from the vendor's JSON schemas and AsyncAPI description. A parameter is required if either
source requires it. Acknowledgment texts are copied from AsyncAPI, or from the porting guide if AsyncAPI has none. The table is
intentionally independent of the SDK, because a mistake in a shared definition would go unnoticed.

Each entry has the form ``name | acknowledgment | scope | parameters``. Indented lines continue the previous line.

* The scope is ``call`` for methods that are addressed to a call. They require ``node_id`` and ``call_id``, which the table does
  not repeat, and their reply echoes ``call_id`` and ``control_id``. The scope ``mute`` is the same, except that the documented
  reply echoes neither. Other methods have an empty scope.
* A parameter consists of its name, ``!`` if it is required, ``:`` and a type, ``?`` if it is nullable, the allowed values
  ``{a,b}``, and limits ``[low..high]``, or ``(low..high]`` to exclude the lower limit. Limits apply to a number's value and to
  the length of a string or list.
* The types are ``s`` string, ``d`` string of decimal digits, ``i`` integer (``1.0`` is read as ``1``, see ``frames``), ``n``
  number, ``b`` boolean, ``o`` object, ``a`` list, ``as`` list of strings, ``ao`` list of objects, ``aao`` list of lists of
  objects and ``x`` any type. ``a|o|s`` is a union.

Because the schemas are open, parameters that are not in the table are accepted unless the simulator was started with
``strict=True``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

__all__ = ["METHODS", "Method", "Parameter", "parse_table"]

_TABLE = """
signalwire.connect | | | version!:o authentication!:o agent:s event_acks:b contexts:as topics:as protocol:s
    authorization_state:s dpop_token:s eventing:as identity:s host:s params:o protocols:ao
signalwire.reauthenticate | | | authentication!:o dpop_token:s
signalwire.ping | | | timestamp:n? payload:s
signalwire.receive | Receiving events | | context:s contexts:as
signalwire.unreceive | Unreceiving events | | contexts!:as[1..]
calling.receive | Receiving events | | context:s contexts:as
provisioning.configure | OK | | external_endpoint!:s local_endpoint!:s relay_connector_id!:s target!:s
messaging.send | Message accepted | | context:s[1..] from_number!:s to_number!:s body:s media:as[..8] tags:as tag:s
    region:s send_as_mms:b status_callback:s template_id:s body_template_parameters:a|o|s
    button_template_parameters:a|o|s header_template_parameters:a|o|s message_type:s{whatsapp_media_text,
    whatsapp_media_contacts, whatsapp_media_audio, whatsapp_media_document, whatsapp_media_image,
    whatsapp_media_sticker, whatsapp_media_video, whatsapp_media_reaction, whatsapp_media_location,
    whatsapp_interactive_cta, whatsapp_interactive_flow, whatsapp_interactive_list,
    whatsapp_interactive_location_request_message, whatsapp_interactive_reply_button}
calling.dial | Dialing | | tag!:s devices!:aao[1..] max_duration:i[0..] max_price_per_minute:n?[0..] timeout:n(0..]
    send_digits:s dest_swml:o|s node_id:s region:s
calling.begin | Call started | | device!:o max_duration:i?[0..] region:s tag:s

calling.answer | Answering call | mute | codecs:as max_duration:i?[0..]
calling.end | Ending call | mute | reason:s{hangup,cancel,busy,noAnswer,decline,error}
calling.pass | Passing call to another application | call |
calling.connect | Connecting call | mute | devices!:aao[1..] max_duration:i?[0..] max_price_per_minute:n?[0..]
    ringback:ao send_digits:s status_url:s tag:s timeout:n(0..]
calling.disconnect | Disconnecting call | mute | reason:s
calling.refer | Starting SIP REFER | mute | device!:o status_url:s
calling.transfer | Transferring | call | dest!:s|o
calling.hold | Call on hold | mute |
calling.unhold | Call off hold | mute |

calling.stream | Starting stream | call | control_id!:s url!:s name:s codec:s
    track:s{inbound_track,outbound_track,both_tracks} status_url:s status_url_method:s{GET,POST}
    authorization_bearer_token:s custom_parameters:o async:b? swml:b?
calling.stream.stop | Stopping stream | call | control_id!:s async:b? swml:b?
calling.tap | Tapping call | call | control_id!:s device!:o tap!:o status_url:s
calling.tap.stop | Stopping tap | call | control_id!:s
calling.record | Recording | call | control_id!:s record!:o status_url:s
calling.record.pause | Pausing recording | call | control_id!:s behavior:s{skip,silence}
calling.record.resume | Resuming recording | call | control_id!:s
calling.record.stop | Stopping recording | call | control_id!:s
calling.transcribe | Transcribing | call | control_id!:s status_url:s
calling.transcribe.stop | Stopping transcribe | call | control_id!:s

calling.play | Playing | call | control_id!:s play!:ao[1..] direction:s{listen,speak,both} gender:s{male,female}
    language:s loop:i[0..] status_url:s voice:s volume:n?[-40..40]
calling.play.pause | Paused play | call | control_id!:s
calling.play.resume | Resumed play | call | control_id!:s
calling.play.stop | Stopping | call | control_id!:s
calling.play.volume | Changed play volume | call | control_id!:s volume!:n[-40..40]
calling.play_and_collect | Playing and collecting | call | control_id!:s play!:ao[1..] collect!:o status_url:s
    volume:n?[-40..40]
calling.play_and_collect.stop | Stopping | call | control_id!:s
calling.play_and_collect.volume | Changed play and collect volume | call | control_id!:s volume!:n[-40..40]
calling.collect | Collecting | call | control_id!:s digits:o speech:o initial_timeout:n?(0..] partial_results:b?
    continuous:b? continue:b? send_start_of_input:b? start_input_timers:b? status_url:s
calling.collect.start_input_timers | Starting input timers | call | control_id!:s
calling.collect.stop | Stopping | call | control_id!:s
calling.detect | Detecting | call | control_id!:s detect!:o timeout:n?[0..] status_url:s
calling.detect.stop | Stopping detect | call | control_id!:s
calling.send_digits | Sending | call | control_id!:s digits!:s
calling.bind_digit | Digit binding created | call | digits!:s bind_method!:s params:x realm:s max_triggers:i?[1..]
    swml:b?
calling.clear_digit_bindings | Digit bindings cleared | call | realm:s swml:b?
calling.echo | Echoing | call | timeout:n?[5..120] status_url:s swml:b?
calling.denoise | Denoiser on | call |
calling.denoise.stop | Denoiser off | call |

calling.join_conference | Joining conference | call | name!:s acl:s{private,public-read}
    beep:s{true,false,onEnter,onExit} coach:s emit_call_quality:b end_on_exit:b? max_participants:i?(0..250] muted:b?
    record:s{do-not-record,record-from-start} recording_status_callback:s recording_status_callback_event:s
    recording_status_callback_event_type:s{relay,cxml,laml} recording_status_callback_method:s{GET,POST}
    region:s{global,us,eu,ch} start_on_enter:b? status_callback:s status_callback_event:s
    status_callback_event_type:s{relay,cxml,laml} status_callback_method:s{GET,POST} stream:x
    trim:s{trim-silence,do-not-trim} wait_url:s swml:b?
calling.leave_conference | Leaving conference | call | conference_id!:s async:b?
calling.join_room | Joining room | call | name!:s status_url:s hagrid_json_api_url:s hagrid_node_id:s swml:b?
calling.leave_room | Leaving room | call | async:b?
calling.queue.enter | Entering queue | call | control_id!:s queue_name!:s wait_time:i[1..] wait_url:s whisper_url:s
    execute_after_queue:s status_url:s
calling.queue.leave | Leaving queue | call | control_id!:s queue_name!:s queue_id:s status_url:s

calling.send_fax | Sending fax | call | control_id!:s document!:s identity:s header_info:s status_url:s
calling.send_fax.stop | Stopping fax | call | control_id!:s
calling.receive_fax | Receiving fax | call | control_id!:s status_url:s
calling.receive_fax.stop | Stopping fax | call | control_id!:s
calling.pay | Processing payment | call | control_id!:s payment_connector_url!:s
    bank_account_type:s{consumer-checking,consumer-savings,commercial-checking} charge_amount:s currency:s
    description:s input:s{dtmf,voice} language:s max_attempts:d min_postal_code_length:d parameters:ao
    payment_method:s{credit-card} postal_code:s prompts:ao say_voice:s security_code:s status_url:s timeout:d
    token_type:s{one-time,reusable} valid_card_types:s voice:s
calling.pay.stop | Stopping payment | call | control_id!:s

calling.ai | AI started | call | control_id!:s agent:s prompt:o post_prompt:o post_prompt_url:s post_prompt_auth_user:s
    post_prompt_auth_password:s global_data:o hints:a languages:a params:o pronounce:a SWAIG:o
calling.ai.stop | +OK | call | control_id!:s
calling.ai_hold | +OK | call | prompt:s timeout:s async:b? swml:b?
calling.ai_unhold | +OK | call | prompt:s async:b? swml:b?
calling.ai_message | +OK | call | message_text:s role:s{system,user,assistant} reset:x global_data:x async:b? swml:b?
calling.ai_sidecar | +OK | call | lang!:s[1..] prompt:o action:o customer_role:s{remote-caller,local-caller}
    direction:a global_data:o hints:a[1..] model:s params:o permissions:o url:s SWAIG:o
calling.ai_sidecar.ask | queued | call | text!:s
calling.ai_sidecar.poke | +OK | call | text!:s
calling.ai_sidecar.status | +OK | call |
calling.ai_sidecar.stop | +OK | call |
calling.amazon_bedrock | success | call | prompt:x post_prompt:x post_prompt_url:s params:x global_data:x SWAIG:x
    async:b? swml:b?
calling.live_transcribe | +OK | call | action!:x async:b? swml:b?
calling.live_translate | +OK | call | action!:x status_url:s async:b? swml:b?
calling.user_event | Sending user event | call | event!:x async:b? swml:b?
"""

_PARAMETER = re.compile(
    r"(?P<name>\w+)(?P<required>!)?:(?P<types>[a-z|]+)(?P<nullable>\?)?(?:\{(?P<choices>[^}]*)\})?"
    r"(?:(?P<bracket>[\[(])(?P<low>-?\d*)\.\.(?P<high>\d*)\])?"
)


def _is_list_of(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


# Types by their code in the table: a predicate, and the type's name in error messages. JSON booleans are not numbers,
# although bool is a subclass of int in Python.
_TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "s": (_is_text, "a string"),
    "d": (lambda value: isinstance(value, str) and value.isascii() and value.isdigit(), "a string of digits"),
    "i": (lambda value: isinstance(value, int) and not isinstance(value, bool), "an integer"),
    "n": (lambda value: isinstance(value, int | float) and not isinstance(value, bool), "a number"),
    "b": (lambda value: isinstance(value, bool), "a boolean"),
    "o": (_is_object, "an object"),
    "a": (lambda value: isinstance(value, list), "an array"),
    "as": (_is_list_of(_is_text), "an array of strings"),
    "ao": (_is_list_of(_is_object), "an array of objects"),
    "aao": (_is_list_of(_is_list_of(_is_object)), "an array of arrays of objects"),
    "x": (lambda value: True, "anything"),
}


@frozen(kw_only=True)
class Parameter:
    """A method's parameter and the constraints on its value."""

    name: str
    types: tuple[str, ...]
    required: bool = False
    nullable: bool = False
    choices: tuple[str, ...] = ()
    low: int | None = None
    high: int | None = None
    open_low: bool = False

    def malformed(self, value: Any) -> str | None:
        """Return an error message if the value has the wrong type, else ``None``."""
        if value is None:
            return None if self.nullable else f"{self.name} must not be null"
        if any(_TYPES[name][0](value) for name in self.types):
            return None
        return f"{self.name} must be {' or '.join(_TYPES[name][1] for name in self.types)}"

    def impossible(self, value: Any) -> str | None:
        """Return an error message if the value violates a constraint, else ``None``. The value must have the right type."""
        if value is None:
            return None
        if self.choices and value not in self.choices:
            return f"{self.name} must be one of {', '.join(self.choices)}"
        if self.required and value == "":
            return f"{self.name} must not be empty"
        size = value if isinstance(value, int | float) else len(value) if isinstance(value, str | list) else None
        if size is None:
            return None
        if self.low is not None and (size < self.low or (self.open_low and size == self.low)):
            return f"{self.name} is below its limit"
        if self.high is not None and size > self.high:
            return f"{self.name} is above its limit of {self.high}"
        return None


@frozen(kw_only=True)
class Method:
    """RELAY method and its parameters.

    :ivar message: acknowledgment text.
    :ivar on_call: whether the method is addressed to a call.
    :ivar echoes: whether the acknowledgment echoes ``call_id`` and ``control_id``.
    """

    name: str
    message: str
    on_call: bool
    echoes: bool
    parameters: Mapping[str, Parameter] = field(repr=False)

    @property
    def schema_error(self) -> str:
        """The error message for malformed parameters.

        Only ``Invalid CallTapParams`` is documented. The messages for other methods follow the same pattern.
        """
        room, _, name = self.name.partition(".")
        words = name.replace(".", "_").split("_")
        return f"Invalid {'Call' if room == 'calling' else room.title()}{''.join(map(str.title, words))}Params"

    def malformed(self, params: Mapping[str, Any], *, strict: bool = False) -> list[str]:
        """Return error messages for parameters that are missing or have the wrong type.

        If ``strict`` is set, unknown parameters are also reported, with the most similar known name as a suggestion.
        """
        problems = [
            f"{name} is required" for name, wanted in self.parameters.items() if wanted.required and name not in params
        ]
        for name, value in params.items():
            wanted = self.parameters.get(name)
            problem = wanted.malformed(value) if wanted else self._unknown(name) if strict else None
            if problem:
                problems.append(problem)
        return problems

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.parameters, 1, 0.7)
        return f"{name} is unknown" + (f"; did you mean {near[0]}?" if near else "")

    def impossible(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Return error messages for parameters whose values violate a constraint, by parameter name."""
        found = {name: wanted.impossible(params[name]) for name, wanted in self.parameters.items() if name in params}
        return {name: reason for name, reason in found.items() if reason}


def _limit(text: str | None) -> int | None:
    return int(text) if text else None


def _parameter(match: re.Match[str]) -> Parameter:
    return Parameter(
        name=match["name"],
        types=tuple(match["types"].split("|")),
        required=bool(match["required"]),
        nullable=bool(match["nullable"]),
        choices=tuple(choice.strip() for choice in (match["choices"] or "").split(",") if choice.strip()),
        low=_limit(match["low"]),
        high=_limit(match["high"]),
        open_low=match["bracket"] == "(",
    )


def parse_table(text: str) -> dict[str, Method]:
    """Parse a table in the format described in the module docstring."""
    methods = {}
    for line in re.sub(r"\n[ \t]+", " ", text).splitlines():
        if not line.strip():
            continue
        name, message, scope, rest = (part.strip() for part in line.split("|", 3))
        on_call = scope in ("call", "mute")
        address = "node_id!:s call_id!:s " if on_call else ""
        parameters = {found["name"]: _parameter(found) for found in _PARAMETER.finditer(address + rest)}
        methods[name] = Method(
            name=name, message=message, on_call=on_call, echoes=scope == "call", parameters=parameters
        )
    return methods


METHODS: Mapping[str, Method] = parse_table(_TABLE)
"""RELAY methods by name. ``signalwire.execute`` is not included, because it only wraps another method."""
