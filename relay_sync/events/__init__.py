"""What the server reports, as typed values: one class per event type, tolerant of what is missing or unknown.

Members that the server leaves out, or sends with a wrong type, take the default of the class; what no class knows stays
reachable in :attr:`RelayEvent.params`. Shapes follow the RELAY event schemas; every class names its type in ``TYPE``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import (
    CallEvent,
    RelayEvent,
    event_class,
    parse_event,
)
from .calls import (
    CallingErrorEvent,
    CallReceiveEvent,
    CallStateEvent,
    ConferenceEvent,
    ConnectEvent,
    DenoiseEvent,
    DialEvent,
    HoldEvent,
    QueueEvent,
    ReferEvent,
    RoomEvent,
    UserEvent,
)
from .control import (
    AIEvent,
    CollectEvent,
    DetectEvent,
    EchoEvent,
    FaxEvent,
    PayEvent,
    PlayEvent,
    RecordEvent,
    SendDigitsEvent,
    StreamEvent,
    TapEvent,
    TranscribeEvent,
)
from .messages import (
    AuthorizationStateEvent,
    MessageEvent,
    MessageReceiveEvent,
    MessageStateEvent,
    TaskEvent,
)

if TYPE_CHECKING:
    from .ai import (
        AIBeginSpeakingEvent,
        AICompletionEvent,
        AIPartialResultEvent,
        AIPostPromptEvent,
        AIResponseEvent,
        AIResponseUtteranceEvent,
        AISidecarEvent,
        AISpeechDetectEvent,
        AIStartEvent,
        AIStopEvent,
        AISwaigActionEvent,
        AISwaigEvent,
        AITranscribeLogEvent,
        AITranscribeSummaryEvent,
        AITranscribeUtteranceEvent,
        AITranslateDeltaEvent,
        AITranslateLogEvent,
        AITranslateSummaryEvent,
        AITransparentBargeEvent,
        AIUserSpeakingEvent,
        AIWarningEvent,
    )

__all__ = [
    "AIBeginSpeakingEvent",
    "AICompletionEvent",
    "AIEvent",
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
    "AuthorizationStateEvent",
    "CallEvent",
    "CallReceiveEvent",
    "CallStateEvent",
    "CallingErrorEvent",
    "CollectEvent",
    "ConferenceEvent",
    "ConnectEvent",
    "DenoiseEvent",
    "DetectEvent",
    "DialEvent",
    "EchoEvent",
    "FaxEvent",
    "HoldEvent",
    "MessageEvent",
    "MessageReceiveEvent",
    "MessageStateEvent",
    "PayEvent",
    "PlayEvent",
    "QueueEvent",
    "RecordEvent",
    "ReferEvent",
    "RelayEvent",
    "RoomEvent",
    "SendDigitsEvent",
    "StreamEvent",
    "TapEvent",
    "TaskEvent",
    "TranscribeEvent",
    "UserEvent",
    "event_class",
    "parse_event",
]


def __getattr__(name: str) -> Any:
    # The events of AI agents are many, and seldom needed: they are loaded when asked for.
    if name.startswith("AI") and name in __all__:
        from . import ai

        return getattr(ai, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
