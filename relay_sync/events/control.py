"""Operations on a call: what belongs to an action by its ``control_id``, and ``echo``, which has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

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
    """Playback changed state, including the prompt of ``play_and_collect``.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State: ``playing``, ``paused``, ``finished`` or ``error``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_PLAY

    control_id: str = ""
    state: str = ""


@event
class RecordEvent(CallEvent):
    """A recording changed state.

    The platform sends the URL, the duration and the size in the event itself or in its ``record``.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State: ``recording``, ``paused``, ``finished`` or ``no_input``.
    :ivar url: URL that the recording is or will be available at.
    :ivar duration: Length of the recording, in seconds.
    :ivar size: Size of the file, in bytes.
    :ivar record: The options in force.
    :ivar recording_id: ID of the recording in the platform's records.
    :ivar start_time: When the recording started, in seconds since 1970.
    :ivar end_time: When the recording ended, in seconds since 1970.
    :ivar first_frame_time: When the first frame was recorded, in seconds since 1970.
    :ivar pause_behavior: With ``paused``: ``skip`` or ``silence``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_RECORD

    control_id: str = ""
    state: str = ""
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
        """Pick the members that this class knows from an event's params. Leave out missing and ill-typed members.

        :param params: The event's own members (``params.params`` of the frame).
        """
        found = super().members(params)
        record = params.get("record")
        if isinstance(record, dict):
            # The porting guide warns that they may sit one level down, or below "audio".
            for place in (record, _inner(record, "audio")):
                nested = super().members(place)
                for name in ("url", "duration", "size"):
                    if name in nested:
                        found.setdefault(name, nested[name])
        return found


@event
class CollectEvent(CallEvent):
    """The platform collected input, or recognized part of it.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State: ``collecting``, ``finished`` or ``error``. Only partial and continuous collectors send it.
    :ivar result: The input: ``{"type": ..., "params": {...}}``.
    :ivar final: ``False`` for a result that may still change; ``None`` if the collector reports no partial results.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_COLLECT

    control_id: str = ""
    state: str = ""
    result: dict[str, Any] = field(factory=dict)
    final: bool | None = None

    @property
    def type(self) -> str:
        """``digit``, ``speech``, ``no_input``, ``no_match``, ``error``, ``start_of_input`` or ``finished``."""
        return _word(self.result, "type")

    @property
    def digits(self) -> str:
        """The keys pressed, without the terminator."""
        return _word(_inner(self.result, "params"), "digits")

    @property
    def terminator(self) -> str:
        """The key that ended the input, or ``""``."""
        return _word(_inner(self.result, "params"), "terminator")

    @property
    def text(self) -> str:
        """Text of the recognized speech."""
        return _word(_inner(self.result, "params"), "text")

    @property
    def confidence(self) -> float:
        """Confidence of the recognizer, 0 to 100; 0 if it gave no score."""
        value = _inner(self.result, "params").get("confidence")
        return float(value) if isinstance(value, (int, float)) and abs(value) <= 100 else 0.0


@event
class DetectEvent(CallEvent):
    """A detector found something, or finished.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar detect: The finding: ``{"type": ..., "params": {"event": ..., "beep": ...}}``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_DETECT

    control_id: str = ""
    detect: dict[str, Any] = field(factory=dict)

    @property
    def type(self) -> str:
        """``machine``, ``fax`` or ``digit``."""
        return _word(self.detect, "type")

    @property
    def event(self) -> str:
        """``MACHINE``, ``HUMAN``, ``UNKNOWN``, ``READY``, ``NOT_READY``; ``CED``, ``CNG``; a digit; or ``finished``."""
        return _word(_inner(self.detect, "params"), "event")

    @property
    def beep(self) -> bool:
        """With ``READY``: whether a beep was heard."""
        return _inner(self.detect, "params").get("beep") is True


@event
class FaxEvent(CallEvent):
    """A fax page was transmitted, or the fax finished.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar fax: The report: ``{"type": "page" | "finished", "params": {...}}``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_FAX

    control_id: str = ""
    fax: dict[str, Any] = field(factory=dict)

    @property
    def type(self) -> str:
        """``page`` or ``finished``."""
        return _word(self.fax, "type")

    @property
    def details(self) -> dict[str, Any]:
        """Of a page: ``direction``, ``number``. Of the end: ``document``, ``pages``, ``success``, ``result_text``, ..."""
        return _inner(self.fax, "params")


@event
class TapEvent(CallEvent):
    """A tap started or finished.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State: ``tapping`` or ``finished``.
    :ivar tap: The audio that is tapped.
    :ivar device: The destination of the audio.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_TAP

    control_id: str = ""
    state: str = ""
    tap: dict[str, Any] = field(factory=dict)
    device: dict[str, Any] = field(factory=dict)


@event
class StreamEvent(CallEvent):
    """An audio stream started or finished.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State: ``streaming`` while audio flows, then ``finished``. The platform documents no other state.
    :ivar url: URL that the audio is sent to.
    :ivar name: Label given when the stream was started.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_STREAM

    control_id: str = ""
    state: str = ""
    url: str = ""
    name: str = ""


@event
class SendDigitsEvent(CallEvent):
    """The platform sent digits into the call.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State: ``finished`` or ``error``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_SEND_DIGITS

    control_id: str = ""
    state: str = ""


@event
class EchoEvent(CallEvent):
    """An echo test started or finished.

    :ivar state: State: ``echoing`` or ``finished``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_ECHO

    state: str = ""


@event
class TranscribeEvent(CallEvent):
    """A transcription started or finished.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State: ``transcribing`` or ``finished``.
    :ivar url: URL of the recording.
    :ivar recording_id: ID of the recording in the platform's records.
    :ivar duration: Length of the recording, in seconds.
    :ivar size: Size of the recording, in bytes.
    :ivar start_time: When the transcription started, in seconds since 1970.
    :ivar end_time: When the transcription ended, in seconds since 1970.
    :ivar status_url: URL that the platform posts status callbacks to.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_TRANSCRIBE

    control_id: str = ""
    state: str = ""
    url: str = ""
    recording_id: str = ""
    duration: float = 0.0
    size: int = 0
    start_time: float = 0.0
    end_time: float = 0.0
    status_url: str = ""


@event
class AIEvent(CallEvent):
    """An AI agent on the call finished. Amazon Bedrock agents do not send this event.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State: ``finished`` or ``error``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_AI

    control_id: str = ""
    state: str = ""


@event
class PayEvent(CallEvent):
    """A payment made progress: several events report progress, then one reports the ``result``.

    The repr leaves out the caller's input, whether or not the platform masked it.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar state: State, as the official SDK names it. No documented event carries it.
    :ivar for_: In progress: the input requested, such as ``payment-card-number`` or ``expiration-date`` (``for`` on the wire).
    :ivar attempt: In progress: the number of the attempt, as text.
    :ivar error_type: In progress: what was wrong with the input.
    :ivar result: At the end: ``success``, ``too-many-failed-attempts``, ``payment-connector-error``, ``relay-pay-stop``, ...
    :ivar payment_method: Payment method, such as ``credit-card``.
    :ivar payment_card_type: Type of the card, such as ``visa``.
    :ivar payment_card_number: Card number; the platform usually masks it.
    :ivar expiration_date: Expiration date, under its other name on the wire.
    :ivar payment_card_expiration_date: Expiration date of the card.
    :ivar security_code: Security code, under its other name on the wire.
    :ivar payment_card_security_code: Security code of the card; the platform usually masks it.
    :ivar payment_card_postal_code: Postal code of the card holder.
    :ivar payment_token: Token that the payment connector issued for the card.
    :ivar payment_confirmation_code: The payment connector's code for the payment.
    :ivar payment_error: At the end: the error, in words.
    :ivar payment_error_code: At the end: the platform's error code.
    :ivar payment_connector_error_code: At the end: the payment connector's error code.
    :ivar payment_connector_error_message: At the end: the payment connector's error message.
    :ivar status_url: URL that the platform posts status callbacks to.
    :ivar status_url_method: HTTP method of the status callbacks.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
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
