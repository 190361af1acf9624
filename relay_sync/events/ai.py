"""What AI agents on a call report, and live transcription and translation. None of these carries a ``control_id``."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field

from .base import CallEvent, event

__all__ = [
    "AIBeginSpeakingEvent",
    "AICompletionEvent",
    "AIPartialResultEvent",
    "AIPostPromptEvent",
    "AIResponseEvent",
    "AIResponseUtteranceEvent",
    "AISidecarEvent",
    "AISpeechDetectEvent",
    "AIStartEvent",
    "AIStopEvent",
    "AISwaigActionEvent",
    "AISwaigEvent",
    "AITranscribeLogEvent",
    "AITranscribeSummaryEvent",
    "AITranscribeUtteranceEvent",
    "AITranslateDeltaEvent",
    "AITranslateLogEvent",
    "AITranslateSummaryEvent",
    "AITransparentBargeEvent",
    "AIUserSpeakingEvent",
    "AIWarningEvent",
]


@event
class AIStartEvent(CallEvent):
    """An AI agent started."""

    TYPE: ClassVar[str] = "calling.ai.start"


@event
class AIUserSpeakingEvent(CallEvent):
    """The caller began to speak."""

    TYPE: ClassVar[str] = "calling.ai.user_speaking"


@event
class AIBeginSpeakingEvent(CallEvent):
    """The agent began to speak."""

    TYPE: ClassVar[str] = "calling.ai.begin_speaking"


@event
class AISpeechDetectEvent(CallEvent):
    """Speech was recognised.

    :ivar text: what was said.
    """

    TYPE: ClassVar[str] = "calling.ai.speech_detect"

    text: str = ""


@event
class AIPartialResultEvent(CallEvent):
    """Speech is being recognised.

    :ivar text: what was said so far.
    :ivar barged: whether it interrupted the agent.
    """

    TYPE: ClassVar[str] = "calling.ai.partial_result"

    text: str = ""
    barged: bool = False


@event
class AICompletionEvent(CallEvent):
    """The agent finished a turn.

    :ivar text: what it said.
    :ivar type: ``normal`` or ``barged``.
    """

    TYPE: ClassVar[str] = "calling.ai.completion"

    text: str = ""
    type: str = ""


@event
class AIResponseEvent(CallEvent):
    """The agent has an answer.

    :ivar response: the answer.
    """

    TYPE: ClassVar[str] = "calling.ai.response"

    response: str = ""


@event
class AIResponseUtteranceEvent(CallEvent):
    """The agent says a part of its answer.

    :ivar utterance: the part.
    """

    TYPE: ClassVar[str] = "calling.ai.response_utterance"

    utterance: str = ""


@event
class AITransparentBargeEvent(CallEvent):
    """The caller went on speaking; both utterances count as one.

    :ivar combined_text: both.
    """

    TYPE: ClassVar[str] = "calling.ai.transparent_barge"

    combined_text: str = ""


@event
class AIPostPromptEvent(CallEvent):
    """The result of the post prompt; its members are those of ``params``."""

    TYPE: ClassVar[str] = "calling.ai.post_prompt"


@event
class AISwaigEvent(CallEvent):
    """The agent called a function; its members are those of ``params``."""

    TYPE: ClassVar[str] = "calling.ai.swaig"


@event
class AISwaigActionEvent(CallEvent):
    """A function asked for an action; its members are those of ``params``."""

    TYPE: ClassVar[str] = "calling.ai.swaig_action"


@event
class AIWarningEvent(CallEvent):
    """The agent runs into a limit.

    :ivar error: in words.
    :ivar tokens: tokens used.
    """

    TYPE: ClassVar[str] = "calling.ai.warning"

    error: str = ""
    tokens: float = 0.0


@event
class AIStopEvent(CallEvent):
    """An AI agent ended.

    :ivar start_time: and :ivar end_time: epoch milliseconds.
    :ivar billing: what it cost.
    :ivar wallet_paused_sec: seconds without billing.
    """

    TYPE: ClassVar[str] = "calling.ai.stop"

    start_time: int = 0
    end_time: int = 0
    billing: dict[str, Any] = field(factory=dict)
    wallet_paused_sec: float = 0.0


@event
class AISidecarEvent(CallEvent):
    """An AI observer beside the call has something to say.

    :ivar call_info: the call.
    :ivar sidecar_event: what it says; its ``type`` is ``start``, ``turn``, ``insight``, ``error``, ``stop``, ``final``, ....
    """

    TYPE: ClassVar[str] = "calling.ai.sidecar"

    call_info: dict[str, Any] = field(factory=dict)
    sidecar_event: dict[str, Any] = field(factory=dict)


@event
class AITranscribeUtteranceEvent(CallEvent):
    """Somebody said something.

    :ivar call_info: the call.
    :ivar channel_data: the caller and the call's dates.
    :ivar utterance: ``role``, ``content``, ``lang``, ``timestamp``, ....
    :ivar confidence: 0 to 1.
    """

    TYPE: ClassVar[str] = "calling.ai.transcribe.utterance"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    utterance: dict[str, Any] = field(factory=dict)
    confidence: float = 0.0


@event
class AITranscribeSummaryEvent(CallEvent):
    """A summary that was asked for.

    :ivar call_info: the call.
    :ivar channel_data: the caller and the call's dates.
    :ivar conversation_log: what was said so far: ``role``, ``content``, ....
    :ivar conversation_summary: the summary.
    """

    TYPE: ClassVar[str] = "calling.ai.transcribe.live_summarize"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    conversation_log: list[dict[str, Any]] = field(factory=list)
    conversation_summary: str = ""


@event
class AITranscribeLogEvent(CallEvent):
    """The whole conversation, at the end.

    :ivar call_info: the call.
    :ivar channel_data: the caller and the call's dates.
    :ivar conversation_log: what was said: ``role``, ``content``, ....
    :ivar conversation_summary: its summary, if wanted.
    :ivar metrics: turns, words, confidences.
    """

    TYPE: ClassVar[str] = "calling.ai.transcribe.conversation_log"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    conversation_log: list[dict[str, Any]] = field(factory=list)
    conversation_summary: str = ""
    metrics: dict[str, Any] = field(factory=dict)


@event
class AITranslateDeltaEvent(CallEvent):
    """A bit was said and translated.

    :ivar call_info: the call.
    :ivar channel_data: the caller and the call's dates.
    :ivar input_utterance: ``delta``, ``language`` as said.
    :ivar output_utterance: the same, as translated.
    """

    TYPE: ClassVar[str] = "calling.ai.translate.transcript_delta"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    input_utterance: dict[str, Any] = field(factory=dict)
    output_utterance: dict[str, Any] = field(factory=dict)


@event
class AITranslateSummaryEvent(CallEvent):
    """A summary that was asked for.

    :ivar call_info: the call.
    :ivar channel_data: the caller and the call's dates.
    :ivar primary_conversation_log: and :ivar secondary_conversation_log: both languages.
    :ivar primary_conversation_summary: and :ivar secondary_conversation_summary: their summaries.
    """

    TYPE: ClassVar[str] = "calling.ai.translate.live_summary"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    primary_conversation_log: list[dict[str, Any]] = field(factory=list)
    secondary_conversation_log: list[dict[str, Any]] = field(factory=list)
    primary_conversation_summary: str = ""
    secondary_conversation_summary: str = ""


@event
class AITranslateLogEvent(CallEvent):
    """The whole conversation, at the end.

    :ivar call_info: the call.
    :ivar channel_data: the caller and the call's dates.
    :ivar primary_conversation_log: and :ivar secondary_conversation_log: both languages.
    :ivar primary_conversation_summary: and :ivar secondary_conversation_summary: their summaries.
    :ivar translate_data: who speaks which language.
    """

    TYPE: ClassVar[str] = "calling.ai.translate.conversation_log"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    primary_conversation_log: list[dict[str, Any]] = field(factory=list)
    secondary_conversation_log: list[dict[str, Any]] = field(factory=list)
    primary_conversation_summary: str = ""
    secondary_conversation_summary: str = ""
    translate_data: dict[str, Any] = field(factory=dict)
