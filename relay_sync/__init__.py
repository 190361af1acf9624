"""Synchronous Python SDK for SignalWire RELAY: control live calls and stream their audio, without asyncio.

This is an unofficial SDK, not affiliated with SignalWire. :class:`RelayClient` is the main entry point. :mod:`relay_sync.audio`
receives the audio sent by ``call.stream()``. :mod:`relay_sync.simulator` simulates the platform for development and tests.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Final

from ._version import __version__

if TYPE_CHECKING:
    from . import devices
    from .call.actions import (
        Action,
        AIAction,
        CollectAction,
        DetectAction,
        FaxAction,
        PausableAction,
        PayAction,
        PlayAction,
        QueueAction,
        ReceiveFaxAction,
        RecordAction,
        SendDigitsAction,
        SendFaxAction,
        StandaloneCollectAction,
        StoppableAction,
        StreamAction,
        TapAction,
        TranscribeAction,
        VolumeAction,
    )
    from .call.call import Call
    from .call.readers import EventReader, Expectation
    from .client.client import RelayClient
    from .client.messages import Message
    from .constants import (
        CALL_STATE_ANSWERED,
        CALL_STATE_CREATED,
        CALL_STATE_ENDED,
        CALL_STATE_ENDING,
        CALL_STATE_RINGING,
        CONNECT_STATE_CONNECTED,
        CONNECT_STATE_CONNECTING,
        CONNECT_STATE_DISCONNECTED,
        CONNECT_STATE_FAILED,
        EVENT_CALL_COLLECT,
        EVENT_CALL_CONNECT,
        EVENT_CALL_DENOISE,
        EVENT_CALL_DETECT,
        EVENT_CALL_DIAL,
        EVENT_CALL_ECHO,
        EVENT_CALL_FAX,
        EVENT_CALL_PAY,
        EVENT_CALL_PLAY,
        EVENT_CALL_QUEUE,
        EVENT_CALL_RECEIVE,
        EVENT_CALL_RECORD,
        EVENT_CALL_REFER,
        EVENT_CALL_SEND_DIGITS,
        EVENT_CALL_STATE,
        EVENT_CALL_STREAM,
        EVENT_CALL_TAP,
        EVENT_CALL_TRANSCRIBE,
        EVENT_CALLING_ERROR,
        EVENT_CONFERENCE,
        EVENT_MESSAGING_RECEIVE,
        EVENT_MESSAGING_STATE,
        MESSAGE_STATE_DELIVERED,
        MESSAGE_STATE_FAILED,
        MESSAGE_STATE_INITIATED,
        MESSAGE_STATE_QUEUED,
        MESSAGE_STATE_RECEIVED,
        MESSAGE_STATE_SENT,
        MESSAGE_STATE_UNDELIVERED,
    )
    from .errors import (
        ActionFailed,
        AuthenticationError,
        CallEnded,
        ClientClosed,
        CommandRefused,
        ConnectError,
        ConnectionLost,
        ConnectTimeout,
        DialFailed,
        DownloadFailed,
        EventPending,
        Forked,
        InvalidParameter,
        MessageNotFollowed,
        NotConnected,
        QueueFull,
        RelayError,
        RequestTimeout,
        SimulatorClosed,
        StreamFailed,
        StreamIsOneWay,
        StreamsTaken,
        UnsupportedCodec,
        WaitTimeout,
        WebhookRefused,
        WrongThread,
    )
    from .events import (
        AIBeginSpeakingEvent,
        AICompletionEvent,
        AIEvent,
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
        AuthorizationStateEvent,
        CallEvent,
        CallingErrorEvent,
        CallReceiveEvent,
        CallStateEvent,
        CollectEvent,
        ConferenceEvent,
        ConnectEvent,
        DenoiseEvent,
        DetectEvent,
        DialEvent,
        EchoEvent,
        FaxEvent,
        HoldEvent,
        MessageEvent,
        MessageReceiveEvent,
        MessageStateEvent,
        PayEvent,
        PlayEvent,
        QueueEvent,
        RecordEvent,
        ReferEvent,
        RelayEvent,
        RoomEvent,
        SendDigitsEvent,
        StreamEvent,
        TapEvent,
        TaskEvent,
        TranscribeEvent,
        UserEvent,
        parse_event,
    )
    from .observing import CallRecord, Observer
    from .observing.stats import ClientStats, LatencyHistogram

__all__ = [
    "CALL_STATE_ANSWERED",
    "CALL_STATE_CREATED",
    "CALL_STATE_ENDED",
    "CALL_STATE_ENDING",
    "CALL_STATE_RINGING",
    "CONNECT_STATE_CONNECTED",
    "CONNECT_STATE_CONNECTING",
    "CONNECT_STATE_DISCONNECTED",
    "CONNECT_STATE_FAILED",
    "EVENT_CALLING_ERROR",
    "EVENT_CALL_COLLECT",
    "EVENT_CALL_CONNECT",
    "EVENT_CALL_DENOISE",
    "EVENT_CALL_DETECT",
    "EVENT_CALL_DIAL",
    "EVENT_CALL_ECHO",
    "EVENT_CALL_FAX",
    "EVENT_CALL_PAY",
    "EVENT_CALL_PLAY",
    "EVENT_CALL_QUEUE",
    "EVENT_CALL_RECEIVE",
    "EVENT_CALL_RECORD",
    "EVENT_CALL_REFER",
    "EVENT_CALL_SEND_DIGITS",
    "EVENT_CALL_STATE",
    "EVENT_CALL_STREAM",
    "EVENT_CALL_TAP",
    "EVENT_CALL_TRANSCRIBE",
    "EVENT_CONFERENCE",
    "EVENT_MESSAGING_RECEIVE",
    "EVENT_MESSAGING_STATE",
    "MESSAGE_STATE_DELIVERED",
    "MESSAGE_STATE_FAILED",
    "MESSAGE_STATE_INITIATED",
    "MESSAGE_STATE_QUEUED",
    "MESSAGE_STATE_RECEIVED",
    "MESSAGE_STATE_SENT",
    "MESSAGE_STATE_UNDELIVERED",
    "AIAction",
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
    "Action",
    "ActionFailed",
    "AuthenticationError",
    "AuthorizationStateEvent",
    "Call",
    "CallEnded",
    "CallEvent",
    "CallReceiveEvent",
    "CallRecord",
    "CallStateEvent",
    "CallingErrorEvent",
    "ClientClosed",
    "ClientStats",
    "CollectAction",
    "CollectEvent",
    "CommandRefused",
    "ConferenceEvent",
    "ConnectError",
    "ConnectEvent",
    "ConnectTimeout",
    "ConnectionLost",
    "DenoiseEvent",
    "DetectAction",
    "DetectEvent",
    "DialEvent",
    "DialFailed",
    "DownloadFailed",
    "EchoEvent",
    "EventPending",
    "EventReader",
    "Expectation",
    "FaxAction",
    "FaxEvent",
    "Forked",
    "HoldEvent",
    "InvalidParameter",
    "LatencyHistogram",
    "Message",
    "MessageEvent",
    "MessageNotFollowed",
    "MessageReceiveEvent",
    "MessageStateEvent",
    "NotConnected",
    "Observer",
    "PausableAction",
    "PayAction",
    "PayEvent",
    "PlayAction",
    "PlayEvent",
    "QueueAction",
    "QueueEvent",
    "QueueFull",
    "ReceiveFaxAction",
    "RecordAction",
    "RecordEvent",
    "ReferEvent",
    "RelayClient",
    "RelayError",
    "RelayEvent",
    "RequestTimeout",
    "RoomEvent",
    "SendDigitsAction",
    "SendDigitsEvent",
    "SendFaxAction",
    "SimulatorClosed",
    "StandaloneCollectAction",
    "StoppableAction",
    "StreamAction",
    "StreamEvent",
    "StreamFailed",
    "StreamIsOneWay",
    "StreamsTaken",
    "TapAction",
    "TapEvent",
    "TaskEvent",
    "TranscribeAction",
    "TranscribeEvent",
    "UnsupportedCodec",
    "UserEvent",
    "VolumeAction",
    "WaitTimeout",
    "WebhookRefused",
    "WrongThread",
    "__version__",
    "devices",
    "parse_event",
]


#: Modules that define the public names. They are imported when one of the names is first accessed, so that importing a submodule
#: stays cheap. For example, pytest imports relay_sync.pytest_plugin in every project of the environment.
_HOMES: Final = (
    "call.actions",
    "call.call",
    "call.readers",
    "client.client",
    "client.messages",
    "constants",
    "devices",
    "errors",
    "events",
)

#: Modules with public names that few programs use, each imported when its name is accessed. The same applies to event classes.
_LATER: Final = {
    "CallRecord": "observing",
    "ClientStats": "observing.stats",
    "LatencyHistogram": "observing.stats",
    "Observer": "observing",
}

#: Public names of submodules, for the error message when they are imported from the package itself.
_ELSEWHERE: Final = {
    "audio": (
        "AudioFrame",
        "AudioServer",
        "AudioServerStats",
        "AudioStream",
        "BadPacket",
        "Codec",
        "Decoder",
        "DtmfEvent",
        "Encoder",
        "MediaFormat",
        "Playback",
        "PlaybackResult",
        "Resampler",
        "StreamStats",
        "WavAudio",
        "codec_for",
        "decoder_for",
        "draw_waveform",
        "encoder_for",
        "read_wav",
        "resample",
        "write_wav",
    ),
    "simulator": (
        "ControlInterface",
        "Entry",
        "ExpectedPhone",
        "HeardSound",
        "Journal",
        "LiveEar",
        "LiveEvent",
        "LiveEvents",
        "LiveSound",
        "LiveVoice",
        "Notice",
        "Phone",
        "Played",
        "ScriptedEvent",
        "ScriptedLeg",
        "Session",
        "Simulator",
        "Stream",
        "TwoWayStream",
        "speech",
    ),
    "rest": ("CallInfo", "Download", "RemoteAction", "RemoteCall", "RestClient"),
    "webhooks": ("Callback", "OtherStatus", "RecordingStatus", "StreamStatus", "Webhooks"),
    "testing": ("HandlerErrors", "RaisedError", "environment_of", "faster", "handler_errors", "simulated"),
    "contrib.flask": ("Relay",),
}


#: Names used by other SDKs, and the corresponding names in this package.
_SUGGESTIONS: Final = {
    "Client": "RelayClient",
    "Consumer": "RelayClient",
    "SignalWire": "RelayClient",
}


def _import_names() -> None:
    for home in _HOMES:
        offered = vars(importlib.import_module(f"{__name__}.{home}"))
        globals().update({name: offered[name] for name in __all__ if name in offered})


if not TYPE_CHECKING:  # otherwise type checkers accept any name

    def __getattr__(name: str) -> Any:
        if name in _HOMES:  # import only this module, because the others may be partially imported at this point
            return importlib.import_module(f"{__name__}.{name}")
        if name in __all__:
            if name not in _LATER:
                _import_names()
            if name not in globals():
                where = importlib.import_module(f"{__name__}.{_LATER.get(name, 'events')}")
                globals()[name] = getattr(where, name)
            return globals()[name]
        home = next((home for home, names in _ELSEWHERE.items() if name in names), None)
        if home is None and name not in _SUGGESTIONS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if home is None:
            message = f"{__name__} has no {name}: did you mean {_SUGGESTIONS[name]}?"
        else:
            message = f"{name} is in {__name__}.{home}: from {__name__}.{home} import {name}"
        # In "from relay_sync import name", Python replaces an AttributeError with its own ImportError without this message.
        if sys._getframe(1).f_code.co_name == "_handle_fromlist":
            raise ImportError(message, name=__name__)
        raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
