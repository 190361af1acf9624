"""Constants of the RELAY protocol."""

from __future__ import annotations

from typing import Final, Literal

from ._version import __version__

# Session methods ("signalwire.*" in the vendor's AsyncAPI schema).
METHOD_CONNECT: Final = "signalwire.connect"
METHOD_EVENT: Final = "signalwire.event"
METHOD_PING: Final = "signalwire.ping"
METHOD_DISCONNECT: Final = "signalwire.disconnect"
METHOD_RECEIVE: Final = "signalwire.receive"
METHOD_UNRECEIVE: Final = "signalwire.unreceive"
METHOD_REAUTHENTICATE: Final = "signalwire.reauthenticate"

EVENT_AUTHORIZATION_STATE: Final = "signalwire.authorization.state"
EVENT_CALL_AI: Final = "calling.call.ai"
EVENT_CALL_COLLECT: Final = "calling.call.collect"
EVENT_CALL_CONNECT: Final = "calling.call.connect"
EVENT_CALL_DENOISE: Final = "calling.call.denoise"
EVENT_CALL_DETECT: Final = "calling.call.detect"
EVENT_CALL_DIAL: Final = "calling.call.dial"
EVENT_CALL_ECHO: Final = "calling.call.echo"
EVENT_CALL_FAX: Final = "calling.call.fax"
EVENT_CALL_HOLD: Final = "calling.call.hold"
EVENT_CALL_PAY: Final = "calling.call.pay"
EVENT_CALL_PLAY: Final = "calling.call.play"
EVENT_CALL_QUEUE: Final = "calling.call.queue"
EVENT_CALL_RECEIVE: Final = "calling.call.receive"
EVENT_CALL_RECORD: Final = "calling.call.record"
EVENT_CALL_REFER: Final = "calling.call.refer"
EVENT_CALL_ROOM: Final = "calling.call.room"
EVENT_CALL_SEND_DIGITS: Final = "calling.call.send_digits"
EVENT_CALL_STATE: Final = "calling.call.state"
EVENT_CALL_STREAM: Final = "calling.call.stream"
EVENT_CALL_TAP: Final = "calling.call.tap"
EVENT_CALL_TRANSCRIBE: Final = "calling.call.transcribe"
EVENT_CALLING_ERROR: Final = "calling.error"
EVENT_CONFERENCE: Final = "calling.conference"
EVENT_MESSAGING_RECEIVE: Final = "messaging.receive"
EVENT_MESSAGING_STATE: Final = "messaging.state"
EVENT_TASKS: Final = "queuing.relay.tasks"
EVENT_USER: Final = "calling.user_event"

# Known values of states, reasons and parameters, for editors and type checkers. Public attributes are annotated as
# ``CallState | str``, because the platform may send other values. It also prevents type checkers from narrowing the type after a
# comparison.
ConnectionState = Literal["idle", "connecting", "connected", "reconnecting", "closed", "failed"]
CallState = Literal["created", "ringing", "answered", "ending", "ended"]
CallEndReason = Literal[
    "hangup", "cancel", "busy", "noAnswer", "decline", "error", "abandoned", "maxDuration", "notFound"
]
Direction = Literal["inbound", "outbound"]
MessageState = Literal["queued", "initiated", "sent", "delivered", "undelivered", "failed", "received"]
Track = Literal["inbound", "outbound", "both", "inbound_track", "outbound_track", "both_tracks"]
Codec = Literal["PCMU", "PCMA", "OPUS", "L16", "G722", "L16@16000h", "L16@24000h"]
SipCodec = Literal["PCMU", "PCMA", "OPUS", "G729", "G722", "AMR-WB", "VP8", "H264"]
MediaDirection = Literal["listen", "speak", "both"]
Gender = Literal["male", "female"]
PlayState = Literal["starting", "playing", "paused", "finished", "error"]
RecordState = Literal["starting", "recording", "paused", "finished", "no_input"]
StreamState = Literal["starting", "streaming", "finished"]
TapState = Literal["starting", "tapping", "finished"]
TranscribeState = Literal["starting", "transcribing", "finished"]
FaxState = Literal["starting", "page", "finished", "error"]
CollectState = Literal[
    "starting",
    "playing",
    "collecting",
    "start_of_input",
    "digit",
    "speech",
    "no_input",
    "no_match",
    "finished",
    "error",
]
DetectState = Literal[
    "starting", "HUMAN", "MACHINE", "UNKNOWN", "READY", "NOT_READY", "CED", "CNG", "finished", "error"
]
SendDigitsState = Literal["starting", "finished"]
AIState = Literal["starting", "finished", "error"]
PayState = Literal[
    "starting",
    "payment-card-number",
    "expiration-date",
    "security-code",
    "postal-code",
    "success",
    "too-many-failed-attempts",
]
QueueState = Literal["starting", "enqueue", "dequeue", "leave"]
ActionState = Literal[
    "starting",
    "playing",
    "recording",
    "streaming",
    "tapping",
    "transcribing",
    "echoing",
    "collecting",
    "paused",
    "finished",
    "error",
    "no_input",
]

CALL_STATE_CREATED: Final = "created"
CALL_STATE_RINGING: Final = "ringing"
CALL_STATE_ANSWERED: Final = "answered"
CALL_STATE_ENDING: Final = "ending"
CALL_STATE_ENDED: Final = "ended"
#: Call states in order. A call may skip any of them.
CALL_STATES: Final = (
    CALL_STATE_CREATED,
    CALL_STATE_RINGING,
    CALL_STATE_ANSWERED,
    CALL_STATE_ENDING,
    CALL_STATE_ENDED,
)

CONNECT_STATE_CONNECTING: Final = "connecting"
CONNECT_STATE_CONNECTED: Final = "connected"
CONNECT_STATE_DISCONNECTED: Final = "disconnected"
CONNECT_STATE_FAILED: Final = "failed"

MESSAGE_STATE_QUEUED: Final = "queued"
MESSAGE_STATE_INITIATED: Final = "initiated"
MESSAGE_STATE_SENT: Final = "sent"
MESSAGE_STATE_DELIVERED: Final = "delivered"
MESSAGE_STATE_UNDELIVERED: Final = "undelivered"
MESSAGE_STATE_FAILED: Final = "failed"
MESSAGE_STATE_RECEIVED: Final = "received"
#: Final states of a message, sent or received.
MESSAGE_END_STATES: Final = frozenset(
    {MESSAGE_STATE_DELIVERED, MESSAGE_STATE_UNDELIVERED, MESSAGE_STATE_FAILED, MESSAGE_STATE_RECEIVED}
)

#: Final states of a sent message.
MESSAGE_TERMINAL_STATES: Final = (MESSAGE_STATE_DELIVERED, MESSAGE_STATE_UNDELIVERED, MESSAGE_STATE_FAILED)

# States and reasons in events. The official SDK defines the same names in its "constants" module.
END_REASON_HANGUP: Final = "hangup"
END_REASON_CANCEL: Final = "cancel"
END_REASON_BUSY: Final = "busy"
END_REASON_NO_ANSWER: Final = "noAnswer"
END_REASON_DECLINE: Final = "decline"
END_REASON_ERROR: Final = "error"
END_REASON_ABANDONED: Final = "abandoned"
# The next two values are spelled as in the vendor's AsyncAPI schema ("end_reason").
END_REASON_MAX_DURATION: Final = "maxDuration"
END_REASON_NOT_FOUND: Final = "notFound"

#: All reasons why a call ended.
END_REASONS: Final = frozenset(
    {
        END_REASON_HANGUP,
        END_REASON_CANCEL,
        END_REASON_BUSY,
        END_REASON_NO_ANSWER,
        END_REASON_DECLINE,
        END_REASON_ERROR,
        END_REASON_ABANDONED,
        END_REASON_MAX_DURATION,
        END_REASON_NOT_FOUND,
    }
)

PLAY_STATE_PLAYING: Final = "playing"
PLAY_STATE_PAUSED: Final = "paused"
PLAY_STATE_FINISHED: Final = "finished"
PLAY_STATE_ERROR: Final = "error"

RECORD_STATE_RECORDING: Final = "recording"
RECORD_STATE_PAUSED: Final = "paused"
RECORD_STATE_FINISHED: Final = "finished"
RECORD_STATE_NO_INPUT: Final = "no_input"

DETECT_TYPE_MACHINE: Final = "machine"
DETECT_TYPE_FAX: Final = "fax"
DETECT_TYPE_DIGIT: Final = "digit"

ROOM_STATE_JOINING: Final = "joining"
ROOM_STATE_JOIN: Final = "join"
ROOM_STATE_LEAVING: Final = "leaving"
ROOM_STATE_LEAVE: Final = "leave"

#: The client announces version 2.0.0, because contexts cannot be changed at run time in version 4.0.
PROTOCOL_VERSION: Final = {"major": 2, "minor": 0, "revision": 0}
AGENT: Final = f"relay_sync/{__version__}"
DEFAULT_HOST: Final = "relay.signalwire.com"

#: Result codes that mean that a call does not exist or no longer exists.
GONE_CODES: Final = frozenset({404, 410})

MAX_FRAME: Final = 10 * 1024 * 1024

#: Upper bounds of the buckets of ``LatencyHistogram`` in seconds. One more bucket holds all longer times.
LATENCY_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
