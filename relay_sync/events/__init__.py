"""Typed classes for the events that the server sends.

There is one class for each event type, based on its RELAY schema. The ``TYPE`` attribute of a class is its event type.

If the server omits a parameter or sends a value of the wrong type, the attribute has its default value. Parameters that the class
does not define are available in :attr:`RelayEvent.params`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .base import (
    CallEvent,
    RelayEvent,
    event_class,
    parse_event,
)
from .calls import (
    CallReceiveEvent,
    CallStateEvent,
    DialEvent,
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
    from .progress import (
        CallingErrorEvent,
        ConferenceEvent,
        ConnectEvent,
        DenoiseEvent,
        HoldEvent,
        QueueEvent,
        ReferEvent,
        RoomEvent,
        UserEvent,
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


if not TYPE_CHECKING:  # otherwise type checkers accept any name

    def __getattr__(name: str) -> Any:
        # Creating the event classes takes most of this package's import time. Import most of them on first access.
        if name in __all__:
            for module in ("control", "progress", "messages", "ai"):
                loaded = import_module(f".{module}", __name__)
                if name in loaded.__all__:
                    found = globals()[name] = getattr(loaded, name)
                    return found
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
