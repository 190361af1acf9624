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
    """Playback moved; also that of the prompt of ``play_and_collect``.

    :ivar state: ``playing``, ``paused``, ``finished`` or ``error``.
    """

    TYPE: ClassVar[str] = EVENT_CALL_PLAY

    control_id: str = ""
    state: str = ""


@event
class RecordEvent(CallEvent):
    """A recording moved.

    :ivar state: ``recording``, ``paused``, ``finished`` or ``no_input``.
    :ivar url: where it is or will be. :ivar duration: seconds. :ivar size: bytes. All three are found in the event itself
        or in its ``record``.
    :ivar record: the options in force. :ivar recording_id: its id in the platform's records.
    :ivar start_time: and :ivar end_time: and :ivar first_frame_time: epoch seconds.
    :ivar pause_behavior: with ``paused``: ``skip`` or ``silence``.
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
    """Input was collected.

    :ivar result: ``{"type": ..., "params": {...}}``. :ivar final: ``False`` for a result that may still change; ``None``
        where the collector gives no partial ones.
    :ivar state: ``collecting``, ``finished`` or ``error``; only partial and continuous collectors send it.
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
        """What was said."""
        return _word(_inner(self.result, "params"), "text")

    @property
    def confidence(self) -> float:
        """How sure the recogniser is, 0 to 100; 0 where it gave no score."""
        value = _inner(self.result, "params").get("confidence")
        return float(value) if isinstance(value, (int, float)) and abs(value) <= 100 else 0.0


@event
class DetectEvent(CallEvent):
    """A detector found something, or ended.

    :ivar detect: ``{"type": ..., "params": {"event": ..., "beep": ...}}``.
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
    """A fax page went through, or the fax ended.

    :ivar fax: ``{"type": "page" | "finished", "params": {...}}``.
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
    """A tap started or ended.

    :ivar state: ``tapping`` or ``finished``. :ivar tap: what is tapped. :ivar device: where it goes.
    """

    TYPE: ClassVar[str] = EVENT_CALL_TAP

    control_id: str = ""
    state: str = ""
    tap: dict[str, Any] = field(factory=dict)
    device: dict[str, Any] = field(factory=dict)


@event
class StreamEvent(CallEvent):
    """A stream started or ended.

    :ivar state: ``streaming`` while media flows, ``finished`` at the end; no other state is documented.
    :ivar url: where the audio goes. :ivar name: the label given at its start.
    """

    TYPE: ClassVar[str] = EVENT_CALL_STREAM

    control_id: str = ""
    state: str = ""
    url: str = ""
    name: str = ""


@event
class SendDigitsEvent(CallEvent):
    """Digits were sent into the call.

    :ivar state: ``finished`` or ``error``.
    """

    TYPE: ClassVar[str] = EVENT_CALL_SEND_DIGITS

    control_id: str = ""
    state: str = ""


@event
class EchoEvent(CallEvent):
    """An echo test started or ended.

    :ivar state: ``echoing`` or ``finished``.
    """

    TYPE: ClassVar[str] = EVENT_CALL_ECHO

    state: str = ""


@event
class TranscribeEvent(CallEvent):
    """A transcription started or ended.

    :ivar state: ``transcribing`` or ``finished``. :ivar url: the recording. :ivar recording_id: its id.
    :ivar duration: seconds. :ivar size: bytes. :ivar start_time: and :ivar end_time: epoch seconds.
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
    """An AI agent on the call ended. Amazon Bedrock agents do not send it.

    :ivar state: ``finished`` or ``error``.
    """

    TYPE: ClassVar[str] = EVENT_CALL_AI

    control_id: str = ""
    state: str = ""


@event
class PayEvent(CallEvent):
    """A payment moved: several events of progress, then one with a ``result``.

    What was entered is kept out of the repr, masked by the platform or not.

    :ivar for_: progress: what is asked for (``payment-card-number``, ``expiration-date``, ...; ``for`` on the wire).
    :ivar attempt: progress: which try, as text. :ivar error_type: progress: what was wrong with the input.
    :ivar result: the end: ``success``, ``too-many-failed-attempts``, ``payment-connector-error``, ``relay-pay-stop``, ...
    :ivar payment_error: and the members behind it: the end, where it went wrong.
    :ivar state: as the official SDK names it; no documented event carries it.
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
