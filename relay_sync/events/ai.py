"""Events for AI agents, live transcription and live translation.

These events do not have a ``control_id``.
"""

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

    TYPE: ClassVar[str] = "calling.ai.start"


@event
class AIUserSpeakingEvent(CallEvent):
    """The caller started speaking.

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

    TYPE: ClassVar[str] = "calling.ai.user_speaking"


@event
class AIBeginSpeakingEvent(CallEvent):
    """The agent started speaking.

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

    TYPE: ClassVar[str] = "calling.ai.begin_speaking"


@event
class AISpeechDetectEvent(CallEvent):
    """The agent recognized the caller's speech.

    :ivar text: Recognized text.
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

    TYPE: ClassVar[str] = "calling.ai.speech_detect"

    text: str = ""


@event
class AIPartialResultEvent(CallEvent):
    """The agent recognized part of the caller's speech.

    :ivar text: Text recognized so far.
    :ivar barged: Whether the caller interrupted the agent.
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

    TYPE: ClassVar[str] = "calling.ai.partial_result"

    text: str = ""
    barged: bool = False


@event
class AICompletionEvent(CallEvent):
    """The agent finished a turn.

    :ivar text: Text that the agent spoke.
    :ivar type: ``normal``, or ``barged`` if the caller interrupted the agent.
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

    TYPE: ClassVar[str] = "calling.ai.completion"

    text: str = ""
    type: str = ""


@event
class AIResponseEvent(CallEvent):
    """The agent generated a response.

    :ivar response: Text of the response.
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

    TYPE: ClassVar[str] = "calling.ai.response"

    response: str = ""


@event
class AIResponseUtteranceEvent(CallEvent):
    """The agent is speaking part of a response.

    :ivar utterance: Text of the spoken part.
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

    TYPE: ClassVar[str] = "calling.ai.response_utterance"

    utterance: str = ""


@event
class AITransparentBargeEvent(CallEvent):
    """The caller continued to speak, and the agent combined both utterances.

    :ivar combined_text: Text of both utterances.
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

    TYPE: ClassVar[str] = "calling.ai.transparent_barge"

    combined_text: str = ""


@event
class AIPostPromptEvent(CallEvent):
    """The agent answered the post prompt. The result is in ``params``.

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

    TYPE: ClassVar[str] = "calling.ai.post_prompt"


@event
class AISwaigEvent(CallEvent):
    """The agent called a SWAIG function. The details are in ``params``.

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

    TYPE: ClassVar[str] = "calling.ai.swaig"


@event
class AISwaigActionEvent(CallEvent):
    """A SWAIG function requested an action. The details are in ``params``.

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

    TYPE: ClassVar[str] = "calling.ai.swaig_action"


@event
class AIWarningEvent(CallEvent):
    """The agent is close to a limit.

    :ivar error: Text of the warning.
    :ivar tokens: Number of tokens used.
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

    TYPE: ClassVar[str] = "calling.ai.warning"

    error: str = ""
    tokens: float = 0.0


@event
class AIStopEvent(CallEvent):
    """An AI agent stopped.

    :ivar start_time: Time at which the agent started, in milliseconds since the Unix epoch.
    :ivar end_time: Time at which the agent stopped, in milliseconds since the Unix epoch.
    :ivar billing: Charges for the session.
    :ivar wallet_paused_sec: Time during which billing was paused, in seconds.
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

    TYPE: ClassVar[str] = "calling.ai.stop"

    start_time: int = 0
    end_time: int = 0
    billing: dict[str, Any] = field(factory=dict)
    wallet_paused_sec: float = 0.0


@event
class AISidecarEvent(CallEvent):
    """The call's AI sidecar sent a report.

    :ivar call_info: The platform's description of the call.
    :ivar sidecar_event: Report. Its ``type`` is ``start``, ``turn``, ``insight``, ``error``, ``stop``, ``final``, ...
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

    TYPE: ClassVar[str] = "calling.ai.sidecar"

    call_info: dict[str, Any] = field(factory=dict)
    sidecar_event: dict[str, Any] = field(factory=dict)


@event
class AITranscribeUtteranceEvent(CallEvent):
    """An utterance was transcribed.

    :ivar call_info: The platform's description of the call.
    :ivar channel_data: The call's caller ID and timestamps.
    :ivar utterance: Transcribed utterance, with ``role``, ``content``, ``lang``, ``timestamp``, ...
    :ivar confidence: Speech recognition confidence, from 0 to 1.
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

    TYPE: ClassVar[str] = "calling.ai.transcribe.utterance"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    utterance: dict[str, Any] = field(factory=dict)
    confidence: float = 0.0


@event
class AITranscribeSummaryEvent(CallEvent):
    """The summary of a live transcription, sent on request.

    :ivar call_info: The platform's description of the call.
    :ivar channel_data: The call's caller ID and timestamps.
    :ivar conversation_log: Utterances so far, with ``role``, ``content``, ...
    :ivar conversation_summary: Text of the summary.
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

    TYPE: ClassVar[str] = "calling.ai.transcribe.live_summarize"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    conversation_log: list[dict[str, Any]] = field(factory=list)
    conversation_summary: str = ""


@event
class AITranscribeLogEvent(CallEvent):
    """The complete transcript of the conversation, sent when the transcription ends.

    :ivar call_info: The platform's description of the call.
    :ivar channel_data: The call's caller ID and timestamps.
    :ivar conversation_log: Utterances, with ``role``, ``content``, ...
    :ivar conversation_summary: Text of the summary, if one was requested.
    :ivar metrics: Number of turns and words, and confidence scores.
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

    TYPE: ClassVar[str] = "calling.ai.transcribe.conversation_log"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    conversation_log: list[dict[str, Any]] = field(factory=list)
    conversation_summary: str = ""
    metrics: dict[str, Any] = field(factory=dict)


@event
class AITranslateDeltaEvent(CallEvent):
    """Part of an utterance was recognized and translated.

    :ivar call_info: The platform's description of the call.
    :ivar channel_data: The call's caller ID and timestamps.
    :ivar input_utterance: Recognized text, with ``delta`` and ``language``.
    :ivar output_utterance: Translated text, with ``delta`` and ``language``.
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

    TYPE: ClassVar[str] = "calling.ai.translate.transcript_delta"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    input_utterance: dict[str, Any] = field(factory=dict)
    output_utterance: dict[str, Any] = field(factory=dict)


@event
class AITranslateSummaryEvent(CallEvent):
    """The summary of a live translation, sent on request.

    :ivar call_info: The platform's description of the call.
    :ivar channel_data: The call's caller ID and timestamps.
    :ivar primary_conversation_log: Conversation in the first language.
    :ivar secondary_conversation_log: Conversation in the second language.
    :ivar primary_conversation_summary: Summary in the first language.
    :ivar secondary_conversation_summary: Summary in the second language.
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

    TYPE: ClassVar[str] = "calling.ai.translate.live_summary"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    primary_conversation_log: list[dict[str, Any]] = field(factory=list)
    secondary_conversation_log: list[dict[str, Any]] = field(factory=list)
    primary_conversation_summary: str = ""
    secondary_conversation_summary: str = ""


@event
class AITranslateLogEvent(CallEvent):
    """The complete conversation in both languages, sent when the translation ends.

    :ivar call_info: The platform's description of the call.
    :ivar channel_data: The call's caller ID and timestamps.
    :ivar primary_conversation_log: Conversation in the first language.
    :ivar secondary_conversation_log: Conversation in the second language.
    :ivar primary_conversation_summary: Summary in the first language.
    :ivar secondary_conversation_summary: Summary in the second language.
    :ivar translate_data: Language of each participant.
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

    TYPE: ClassVar[str] = "calling.ai.translate.conversation_log"

    call_info: dict[str, Any] = field(factory=dict)
    channel_data: dict[str, Any] = field(factory=dict)
    primary_conversation_log: list[dict[str, Any]] = field(factory=list)
    secondary_conversation_log: list[dict[str, Any]] = field(factory=list)
    primary_conversation_summary: str = ""
    secondary_conversation_summary: str = ""
    translate_data: dict[str, Any] = field(factory=dict)
