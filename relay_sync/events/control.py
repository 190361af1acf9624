"""Events for actions, such as playback, recording and payments.

Each event has its action's ``control_id``, except echo events, which do not have one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from attrs import field

from ..constants import (
    EVENT_CALL_AI,
    EVENT_CALL_COLLECT,
    EVENT_CALL_DETECT,
    EVENT_CALL_ECHO,
    EVENT_CALL_FAX,
    EVENT_CALL_PAY,
    EVENT_CALL_PLAY,
    EVENT_CALL_RECORD,
    EVENT_CALL_SEND_DIGITS,
    EVENT_CALL_STREAM,
    EVENT_CALL_TAP,
    EVENT_CALL_TRANSCRIBE,
)
from .base import CallEvent, event

__all__ = [
    "AIEvent",
    "CollectEvent",
    "DetectEvent",
    "EchoEvent",
    "FaxEvent",
    "PayEvent",
    "PlayEvent",
    "RecordEvent",
    "SendDigitsEvent",
    "StreamEvent",
    "TapEvent",
    "TranscribeEvent",
]


def _inner(outer: dict[str, Any], name: str) -> dict[str, Any]:
    value = outer.get(name)
    return value if isinstance(value, dict) else {}


def _word(outer: dict[str, Any], name: str) -> str:
    value = outer.get(name)
    return value if isinstance(value, str) else ""


@event
class PlayEvent(CallEvent):
    """The state of a playback changed.

    The server also sends this event for the prompt of ``play_and_collect``.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: New state: ``playing``, ``paused``, ``finished`` or ``error``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_PLAY

    control_id: str = ""
    state: Literal["playing", "paused", "finished", "error"] | str = ""


@event
class RecordEvent(CallEvent):
    """The state of a recording changed.

    The platform may nest the URL, duration and size in the ``record`` parameter. The SDK accepts both forms.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: New state: ``recording``, ``paused``, ``finished`` or ``no_input``.
    :ivar url: URL of the recording. The file may not be available until the recording has finished.
    :ivar duration: Duration of the recording, in seconds.
    :ivar size: Size of the file, in bytes.
    :ivar record: Recording options in effect.
    :ivar recording_id: ID of the recording in the platform's records.
    :ivar start_time: Time at which the recording started, in seconds since the Unix epoch.
    :ivar end_time: Time at which the recording ended, in seconds since the Unix epoch.
    :ivar first_frame_time: Time at which the first frame was recorded, in seconds since the Unix epoch.
    :ivar pause_behavior: ``skip`` or ``silence``. Set in the ``paused`` state.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_RECORD

    control_id: str = ""
    state: Literal["recording", "paused", "finished", "no_input"] | str = ""
    url: str = ""
    duration: float = 0.0
    size: int = 0
    record: dict[str, Any] = field(factory=dict)
    recording_id: str = ""
    start_time: float = 0.0
    end_time: float = 0.0
    first_frame_time: float = 0.0
    pause_behavior: str = ""

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return this class's fields that are present in ``params``, keyed by attribute name.

        Parameters of the wrong type are omitted.

        :param params: Event parameters (the frame's ``params.params``).
        """
        found = super().members(params)
        record = params.get("record")
        if isinstance(record, dict):
            # According to the porting guide, these parameters may be in "record" or in "record.audio".
            for place in (record, _inner(record, "audio")):
                nested = super().members(place)
                for name in ("url", "duration", "size"):
                    if name in nested:
                        found.setdefault(name, nested[name])
        return found


@event
class CollectEvent(CallEvent):
    """The platform collected digits or speech, or recognized part of the speech.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: New state: ``collecting``, ``finished`` or ``error``. Empty unless ``partial_results`` or ``continuous`` is set.
    :ivar result: Collected input: ``{"type": ..., "params": {...}}``.
    :ivar final: Whether the result is final; ``None`` if partial results were not requested.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_COLLECT

    control_id: str = ""
    state: Literal["collecting", "finished", "error"] | str = ""
    result: dict[str, Any] = field(factory=dict)
    final: bool | None = None

    @property
    def type(self) -> str:
        """Result type: ``digit``, ``speech``, ``no_input``, ``no_match``, ``error``, ``start_of_input`` or ``finished``."""
        return _word(self.result, "type")

    @property
    def digits(self) -> str:
        """Digits that the caller entered, without the terminator."""
        return _word(_inner(self.result, "params"), "digits")

    @property
    def terminator(self) -> str:
        """Key that ended the input; ``""`` if there is none."""
        return _word(_inner(self.result, "params"), "terminator")

    @property
    def text(self) -> str:
        """Recognized speech, as text."""
        return _word(_inner(self.result, "params"), "text")

    @property
    def confidence(self) -> float:
        """Speech recognition confidence, from 0 to 100; 0 if unknown."""
        value = _inner(self.result, "params").get("confidence")
        return float(value) if isinstance(value, (int, float)) and abs(value) <= 100 else 0.0


@event
class DetectEvent(CallEvent):
    """A detector reported a result, or finished.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar detect: Result: ``{"type": ..., "params": {"event": ..., "beep": ...}}``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_DETECT

    control_id: str = ""
    detect: dict[str, Any] = field(factory=dict)

    @property
    def type(self) -> str:
        """Type of the detector: ``machine``, ``fax`` or ``digit``."""
        return _word(self.detect, "type")

    @property
    def event(self) -> str:
        """The result, or ``finished`` when the detector ends.

        A machine detector reports ``MACHINE``, ``HUMAN``, ``UNKNOWN``, ``READY`` or ``NOT_READY``. A fax detector reports ``CED``
        or ``CNG``. A digit detector reports the digit.
        """
        return _word(_inner(self.detect, "params"), "event")

    @property
    def beep(self) -> bool:
        """Whether the answering machine's beep was detected. Reported with ``READY``."""
        return _inner(self.detect, "params").get("beep") is True


@event
class FaxEvent(CallEvent):
    """A fax page was transmitted, or the fax finished.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar fax: Report: ``{"type": "page" | "finished", "params": {...}}``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_FAX

    control_id: str = ""
    fax: dict[str, Any] = field(factory=dict)

    @property
    def type(self) -> str:
        """Type of the report: ``page`` or ``finished``."""
        return _word(self.fax, "type")

    @property
    def details(self) -> dict[str, Any]:
        """Details of the report.

        A ``page`` report has ``direction`` and ``number``. A ``finished`` report has ``document``, ``pages``, ``success``,
        ``result_text``, ...
        """
        return _inner(self.fax, "params")


@event
class TapEvent(CallEvent):
    """The state of a tap changed.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: New state: ``tapping`` or ``finished``.
    :ivar tap: Description of the tapped audio.
    :ivar device: Destination of the audio.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_TAP

    control_id: str = ""
    state: Literal["tapping", "finished"] | str = ""
    tap: dict[str, Any] = field(factory=dict)
    device: dict[str, Any] = field(factory=dict)


@event
class StreamEvent(CallEvent):
    """The state of an audio stream changed.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: New state: ``streaming`` when the audio starts, then ``finished``. No other state is documented.
    :ivar url: URL of the WebSocket that receives the audio.
    :ivar name: Name passed to ``stream``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_STREAM

    control_id: str = ""
    state: Literal["streaming", "finished"] | str = ""
    url: str = ""
    name: str = ""


@event
class SendDigitsEvent(CallEvent):
    """The platform finished sending digits, or failed to send them.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: New state: ``finished`` or ``error``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_SEND_DIGITS

    control_id: str = ""
    state: Literal["finished", "error"] | str = ""


@event
class EchoEvent(CallEvent):
    """The state of an echo test changed.

    :ivar state: New state: ``echoing`` or ``finished``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_ECHO

    state: Literal["echoing", "finished"] | str = ""


@event
class TranscribeEvent(CallEvent):
    """The state of a transcription changed.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: New state: ``transcribing`` or ``finished``.
    :ivar url: URL of the transcribed recording.
    :ivar recording_id: ID of the recording in the platform's records.
    :ivar duration: Duration of the recording, in seconds.
    :ivar size: Size of the recording, in bytes.
    :ivar start_time: Time at which the transcription started, in seconds since the Unix epoch.
    :ivar end_time: Time at which the transcription ended, in seconds since the Unix epoch.
    :ivar status_url: URL that receives status callbacks.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_TRANSCRIBE

    control_id: str = ""
    state: Literal["transcribing", "finished"] | str = ""
    url: str = ""
    recording_id: str = ""
    duration: float = 0.0
    size: int = 0
    start_time: float = 0.0
    end_time: float = 0.0
    status_url: str = ""


@event
class AIEvent(CallEvent):
    """An AI agent finished, or failed.

    Amazon Bedrock agents do not send this event.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: New state: ``finished`` or ``error``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_AI

    control_id: str = ""
    state: Literal["finished", "error"] | str = ""


@event
class PayEvent(CallEvent):
    """A payment made progress, or finished.

    Progress events name the requested input in ``for_``. The last event has a ``result`` and the payment details. The event's
    ``repr`` never contains the caller's input, even if the platform has masked it.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar state: Not documented by the platform; usually ``""``. Provided for compatibility with the official SDK.
    :ivar for_: Requested input, such as ``payment-card-number``. Set in progress events. The wire name is ``for``.
    :ivar attempt: Number of the attempt, as a string. Set in progress events.
    :ivar error_type: Error in the previous input, such as ``invalid-date``. Set in progress events.
    :ivar result: Result of the payment, such as ``success`` or ``too-many-failed-attempts``; ``""`` in progress events.
    :ivar payment_method: Payment method, such as ``credit-card``.
    :ivar payment_card_type: Card type, such as ``visa``.
    :ivar payment_card_number: Card number, usually masked by the platform.
    :ivar expiration_date: Card expiration date, if the platform sends it under this name.
    :ivar payment_card_expiration_date: Card expiration date.
    :ivar security_code: Card security code, if the platform sends it under this name.
    :ivar payment_card_security_code: Card security code, usually masked by the platform.
    :ivar payment_card_postal_code: Cardholder's postal code.
    :ivar payment_token: Token issued by the payment connector.
    :ivar payment_confirmation_code: Confirmation code issued by the payment connector.
    :ivar payment_error: Error message.
    :ivar payment_error_code: Error code from the platform.
    :ivar payment_connector_error_code: Error code from the payment connector.
    :ivar payment_connector_error_message: Error message from the payment connector.
    :ivar status_url: URL that receives status callbacks.
    :ivar status_url_method: HTTP method of the status callbacks, ``GET`` or ``POST``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_PAY

    control_id: str = ""
    state: str = ""
    for_: str = field(default="", metadata={"wire": "for"})
    attempt: str = ""
    error_type: str = ""
    result: str = ""
    payment_method: str = ""
    payment_card_type: str = ""
    payment_card_number: str = field(default="", repr=False)
    payment_card_expiration_date: str = field(default="", repr=False)
    payment_card_security_code: str = field(default="", repr=False)
    payment_card_postal_code: str = field(default="", repr=False)
    payment_token: str = field(default="", repr=False)
    payment_confirmation_code: str = field(default="", repr=False)
    expiration_date: str = field(default="", repr=False)
    security_code: str = field(default="", repr=False)
    payment_error: str = ""
    payment_error_code: str = ""
    payment_connector_error_code: str = ""
    payment_connector_error_message: str = ""
    status_url: str = ""
    status_url_method: str = ""
