"""A small WebSocket server loop, shared by ``relay_sync.audio`` (listens) and ``relay_sync.simulator`` (both).

One thread with a selector hosts listening servers, dialed connections and timers: there is no thread per connection.

==================  ====================================================================================================
``loop``            the thread: selector, timers, callbacks from other threads (:class:`Loop`, :class:`Timer`)
``channel``         bytes over one socket, plain or TLS: one write per turn, limits, back-pressure
``http``            the head of a request, whole answers, header fields (:class:`HttpRequest`, :class:`Response`); pure
``connection``      one open WebSocket: messages, closing (:class:`Connection`, :class:`CloseInfo`)
``splitting``       large messages, sent in pieces of one write each
``listening``       the sockets that listen: addresses and ports
``websocket``       the listening side (:class:`WebSocketServer`)
``dialer``          the dialing side (:func:`dial`, :class:`OpenFailed`)
``library``         the only import of the ``websockets`` package, whose sans-I/O part does the protocol
==================  ====================================================================================================

Every callback runs on the loop thread and must not block. Needs the extra ``audio`` or ``simulator``.
"""

from __future__ import annotations

from .connection import CloseInfo, Connection
from .dialer import OpenFailed, dial
from .http import Headers, HttpRequest, Response
from .loop import Loop, LoopStopped, Timer
from .websocket import WebSocketServer

__all__ = [
    "CloseInfo",
    "Connection",
    "Headers",
    "HttpRequest",
    "Loop",
    "LoopStopped",
    "OpenFailed",
    "Response",
    "Timer",
    "WebSocketServer",
    "dial",
]
