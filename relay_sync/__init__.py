"""Plain, blocking Python for live phone calls over SignalWire RELAY, and for their audio.

An unofficial SDK, not affiliated with SignalWire. Start with :class:`RelayClient`; :mod:`relay_sync.audio` receives what
``call.stream()`` sends, :mod:`relay_sync.simulator` is a telephone network to try it all on.
"""

from __future__ import annotations

import logging

from ._version import __version__
from .actions import Action, StreamAction
from .call import Call, EventReader, Expectation
from .client import RelayClient
from .errors import (
    AuthenticationError,
    CallEnded,
    ClientClosed,
    CommandRefused,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DialFailed,
    Forked,
    InvalidParameter,
    NotConnected,
    QueueFull,
    RelayError,
    RequestTimeout,
    StreamFailed,
    StreamIsOneWay,
    UnsupportedCodec,
    WaitTimeout,
    WrongThread,
)
from .events import CallReceiveEvent, CallStateEvent, RelayEvent, StreamEvent, parse_event

__all__ = [
    "Action",
    "AuthenticationError",
    "Call",
    "CallEnded",
    "CallReceiveEvent",
    "CallStateEvent",
    "ClientClosed",
    "CommandRefused",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DialFailed",
    "EventReader",
    "Expectation",
    "Forked",
    "InvalidParameter",
    "NotConnected",
    "QueueFull",
    "RelayClient",
    "RelayError",
    "RelayEvent",
    "RequestTimeout",
    "StreamAction",
    "StreamEvent",
    "StreamFailed",
    "StreamIsOneWay",
    "UnsupportedCodec",
    "WaitTimeout",
    "WrongThread",
    "__version__",
    "parse_event",
]

logging.getLogger("relay_sync").addHandler(logging.NullHandler())
