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
    """An AI agent started.

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

    TYPE: ClassVar[str] = "calling.ai.start"


@event
class AIUserSpeakingEvent(CallEvent):
    """The caller started to speak.

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

    TYPE: ClassVar[str] = "calling.ai.user_speaking"


@event
class AIBeginSpeakingEvent(CallEvent):
    """The agent started to speak.

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

    TYPE: ClassVar[str] = "calling.ai.begin_speaking"


@event
class AISpeechDetectEvent(CallEvent):
    """Speech was recognized.

    :ivar text: The recognized text.
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

    TYPE: ClassVar[str] = "calling.ai.speech_detect"

    text: str = ""


@event
class AIPartialResultEvent(CallEvent):
    """Speech is being recognized.

    :ivar text: The text recognized so far.
    :ivar barged: Whether the caller interrupted the agent.
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

    TYPE: ClassVar[str] = "calling.ai.partial_result"

    text: str = ""
    barged: bool = False


@event
class AICompletionEvent(CallEvent):
    """The agent finished a turn.

    :ivar text: Text that the agent spoke.
    :ivar type: ``normal`` or ``barged``.
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

    TYPE: ClassVar[str] = "calling.ai.completion"

    text: str = ""
    type: str = ""


@event
class AIResponseEvent(CallEvent):
    """The agent has a response ready.

    :ivar response: Text of the response.
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

    TYPE: ClassVar[str] = "calling.ai.response"

    response: str = ""


@event
class AIResponseUtteranceEvent(CallEvent):
    """The agent speaks part of its response.

    :ivar utterance: Text of this part.
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

    TYPE: ClassVar[str] = "calling.ai.response_utterance"

    utterance: str = ""


@event
class AITransparentBargeEvent(CallEvent):
    """The caller continued to speak; the agent treats both utterances as one.

    :ivar combined_text: Text of both utterances.
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

    TYPE: ClassVar[str] = "calling.ai.transparent_barge"

    combined_text: str = ""


@event
class AIPostPromptEvent(CallEvent):
    """The result of the post prompt. Its members are in ``params``.

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

    TYPE: ClassVar[str] = "calling.ai.post_prompt"


@event
class AISwaigEvent(CallEvent):
    """The agent called a function. Its members are in ``params``.

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

    TYPE: ClassVar[str] = "calling.ai.swaig"


@event
class AISwaigActionEvent(CallEvent):
    """A function requested an action. Its members are in ``params``.

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

    TYPE: ClassVar[str] = "calling.ai.swaig_action"


@event
class AIWarningEvent(CallEvent):
    """The agent is about to reach a limit.

    :ivar error: The warning, in words.
    :ivar tokens: Number of tokens used.
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

    TYPE: ClassVar[str] = "calling.ai.warning"

    error: str = ""
    tokens: float = 0.0


@event
class AIStopEvent(CallEvent):
    """An AI agent stopped.

    :ivar start_time: When the agent started, in milliseconds since 1970.
    :ivar end_time: When the agent stopped, in milliseconds since 1970.
    :ivar billing: The charges for the session.
    :ivar wallet_paused_sec: Time without billing, in seconds.
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

    TYPE: ClassVar[str] = "calling.ai.stop"

    start_time: int = 0
    end_time: int = 0
    billing: dict[str, Any] = field(factory=dict)
    wallet_paused_sec: float = 0.0


@event
class AISidecarEvent(CallEvent):
    """An AI observer of the call reports something.

    :ivar call_info: The call, as the platform describes it.
    :ivar sidecar_event: The report; its ``type`` is ``start``, ``turn``, ``insight``, ``error``, ``stop``, ``final``, ...
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

    TYPE: ClassVar[str] = "calling.ai.sidecar"

    call_info: dict[str, Any] = field(factory=dict)
    sidecar_event: dict[str, Any] = field(factory=dict)


@event
class AITranscribeUtteranceEvent(CallEvent):
    """A participant spoke.

    :ivar call_info: The call, as the platform describes it.
    :ivar channel_data: The caller and the dates of the call.
    :ivar utterance: The utterance: ``role``, ``content``, ``lang``, ``timestamp``, ...
    :ivar confidence: Confidence of the recognizer, 0 to 1.
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

    TYPE: ClassVar[str] = "calling.ai.transcribe.utterance"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    utterance: dict[str, Any] = field(factory=dict)
    confidence: float = 0.0


@event
class AITranscribeSummaryEvent(CallEvent):
    """A summary that your program requested.

    :ivar call_info: The call, as the platform describes it.
    :ivar channel_data: The caller and the dates of the call.
    :ivar conversation_log: The utterances so far: ``role``, ``content``, ...
    :ivar conversation_summary: The summary.
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

    TYPE: ClassVar[str] = "calling.ai.transcribe.live_summarize"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    conversation_log: list[dict[str, Any]] = field(factory=list)
    conversation_summary: str = ""


@event
class AITranscribeLogEvent(CallEvent):
    """The whole conversation, sent at the end.

    :ivar call_info: The call, as the platform describes it.
    :ivar channel_data: The caller and the dates of the call.
    :ivar conversation_log: The utterances: ``role``, ``content``, ...
    :ivar conversation_summary: The summary, if requested.
    :ivar metrics: Counts of turns and words, and confidence scores.
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

    TYPE: ClassVar[str] = "calling.ai.transcribe.conversation_log"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    conversation_log: list[dict[str, Any]] = field(factory=list)
    conversation_summary: str = ""
    metrics: dict[str, Any] = field(factory=dict)


@event
class AITranslateDeltaEvent(CallEvent):
    """Part of an utterance was recognized and translated.

    :ivar call_info: The call, as the platform describes it.
    :ivar channel_data: The caller and the dates of the call.
    :ivar input_utterance: The recognized text: ``delta``, ``language``.
    :ivar output_utterance: The translated text: ``delta``, ``language``.
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

    TYPE: ClassVar[str] = "calling.ai.translate.transcript_delta"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    input_utterance: dict[str, Any] = field(factory=dict)
    output_utterance: dict[str, Any] = field(factory=dict)


@event
class AITranslateSummaryEvent(CallEvent):
    """A summary that your program requested.

    :ivar call_info: The call, as the platform describes it.
    :ivar channel_data: The caller and the dates of the call.
    :ivar primary_conversation_log: The conversation in the first language.
    :ivar secondary_conversation_log: The conversation in the second language.
    :ivar primary_conversation_summary: Summary in the first language.
    :ivar secondary_conversation_summary: Summary in the second language.
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

    TYPE: ClassVar[str] = "calling.ai.translate.live_summary"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    primary_conversation_log: list[dict[str, Any]] = field(factory=list)
    secondary_conversation_log: list[dict[str, Any]] = field(factory=list)
    primary_conversation_summary: str = ""
    secondary_conversation_summary: str = ""


@event
class AITranslateLogEvent(CallEvent):
    """The whole conversation, sent at the end.

    :ivar call_info: The call, as the platform describes it.
    :ivar channel_data: The caller and the dates of the call.
    :ivar primary_conversation_log: The conversation in the first language.
    :ivar secondary_conversation_log: The conversation in the second language.
    :ivar primary_conversation_summary: Summary in the first language.
    :ivar secondary_conversation_summary: Summary in the second language.
    :ivar translate_data: The language of each participant.
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

    TYPE: ClassVar[str] = "calling.ai.translate.conversation_log"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    primary_conversation_log: list[dict[str, Any]] = field(factory=list)
    secondary_conversation_log: list[dict[str, Any]] = field(factory=list)
    primary_conversation_summary: str = ""
    secondary_conversation_summary: str = ""
    translate_data: dict[str, Any] = field(factory=dict)
