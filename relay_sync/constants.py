"""Names and numbers of the RELAY protocol that more than one room needs."""

from __future__ import annotations

from typing import Final

from ._version import __version__

# The RPCs of the session itself (RELAY AsyncAPI description, "signalwire.*").
METHOD_CONNECT: Final = "signalwire.connect"
METHOD_EVENT: Final = "signalwire.event"
METHOD_PING: Final = "signalwire.ping"
METHOD_DISCONNECT: Final = "signalwire.disconnect"
METHOD_RECEIVE: Final = "signalwire.receive"
METHOD_UNRECEIVE: Final = "signalwire.unreceive"

EVENT_AUTHORIZATION_STATE: Final = "signalwire.authorization.state"
EVENT_CALL_RECEIVE: Final = "calling.call.receive"
EVENT_CALL_STATE: Final = "calling.call.state"
EVENT_CALL_STREAM: Final = "calling.call.stream"

CALL_STATE_CREATED: Final = "created"
CALL_STATE_RINGING: Final = "ringing"
CALL_STATE_ANSWERED: Final = "answered"
CALL_STATE_ENDING: Final = "ending"
CALL_STATE_ENDED: Final = "ended"
#: The order in which a call moves through its states; any of them may be skipped.
CALL_STATES: Final = (
    CALL_STATE_CREATED,
    CALL_STATE_RINGING,
    CALL_STATE_ANSWERED,
    CALL_STATE_ENDING,
    CALL_STATE_ENDED,
)

#: 4.0 would refuse contexts at run time, so 2.0.0 is announced.
PROTOCOL_VERSION: Final = {"major": 2, "minor": 0, "revision": 0}
AGENT: Final = f"relay_sync/{__version__}"
DEFAULT_HOST: Final = "relay.signalwire.com"

#: Result codes by which the server says that a call is not there (any more).
GONE_CODES: Final = frozenset({404, 410})

MAX_FRAME: Final = 10 * 1024 * 1024
