"""A small WebSocket server, client and event loop, shared by ``relay_sync.audio`` and ``relay_sync.simulator``.

A single selector thread runs all listening servers, dialed connections and timers.

==================  ====================================================================================================
``loop``            the loop thread: selector, timers, calls from other threads (:class:`Loop`, :class:`Timer`)
``channel``         reads and writes one socket, plain or TLS: write batching, buffer limits, back-pressure
``http``            parses request heads, serializes responses (:class:`HttpRequest`, :class:`Response`); no I/O
``later``           a response that another thread provides (:class:`Later`)
``connection``      one open WebSocket: messages and the closing handshake (:class:`Connection`, :class:`CloseInfo`)
``splitting``       extracts complete messages from received bytes without the general frame parser
``websocket``       the server side (:class:`WebSocketServer`)
``dialer``          the client side (:func:`dial`, :class:`OpenFailed`)
``library``         imports the ``websockets`` package, whose sans-I/O layer implements the protocol
==================  ====================================================================================================

Callbacks run on the loop thread and must not block. This package requires the ``audio`` or ``simulator`` extra.
"""

from __future__ import annotations

from .connection import CloseInfo, Connection
from .dialer import OpenFailed, dial
from .http import Headers, HttpRequest, Response
from .later import Later
from .loop import Loop, LoopStopped, Timer
from .websocket import WebSocketServer

__all__ = [
    "CloseInfo",
    "Connection",
    "Headers",
    "HttpRequest",
    "Later",
    "Loop",
    "LoopStopped",
    "OpenFailed",
    "Response",
    "Timer",
    "WebSocketServer",
    "dial",
]
