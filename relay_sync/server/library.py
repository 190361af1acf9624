"""The only module that imports ``websockets``, so that its absence is reported once and clearly."""

from __future__ import annotations

import logging
import sys

from ..threads import logs

try:
    from websockets.client import ClientProtocol
    from websockets.exceptions import InvalidState
    from websockets.frames import Frame, Opcode
    from websockets.protocol import Protocol, State
    from websockets.server import ServerProtocol
    from websockets.uri import parse_uri

    try:
        from websockets.speedups import apply_mask
    except ImportError:  # a platform without a wheel
        from websockets.utils import apply_mask
except ImportError as _missing:
    if (_missing.name or "").partition(".")[0] != "websockets":
        raise  # it is there, and what it needs is not: a module of the program that has the name of a standard one, say
    _place = getattr(sys.modules.get("websockets"), "__file__", None)
    raise ImportError(
        "relay_sync.audio and relay_sync.simulator need the websockets package, version 13.1 or later:"
        ' pip install "websockets>=13.1"'
        + (f"; what was found is {_place}: an older version, or another module of that name" if _place else ""),
        name="websockets",
    ) from _missing

__all__ = [
    "ClientProtocol",
    "Frame",
    "InvalidState",
    "Opcode",
    "Protocol",
    "ServerProtocol",
    "State",
    "apply_mask",
    "parse_uri",
    "quiet_logger",
]


class _Quiet(logging.Logger):
    """Passes records to our logger, which no handler can block."""

    def handle(self, record: logging.LogRecord) -> None:
        logs.pass_on(logging.getLogger("relay_sync.server"), record)


def _make_quiet() -> logging.Logger:
    # The library logs every header and frame at DEBUG, bearer tokens among them. A logger that is not registered cannot
    # be turned up by accident; its errors still reach ours.
    return _Quiet("relay_sync.server.websockets", logging.ERROR)


quiet_logger: logging.Logger = _make_quiet()
