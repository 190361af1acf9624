"""Import the ``websockets`` package in one place, so that a missing package raises one clear error."""

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
    except ImportError:  # no wheel for this platform
        from websockets.utils import apply_mask
except ImportError as _missing:
    if (_missing.name or "").partition(".")[0] != "websockets":
        # The websockets package is installed, but one of its imports failed, perhaps because a user's module shadows a
        # module of the standard library.
        raise
    _place = getattr(sys.modules.get("websockets"), "__file__", None)
    raise ImportError(
        "relay_sync.audio and relay_sync.simulator need the websockets package, version 13.1 or later:"
        ' pip install "websockets>=13.1"'
        + (f"; found {_place}, which is an older version or another module of that name" if _place else ""),
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
    """A logger that passes its records to the ``relay_sync.server`` logger, which never blocks on a handler."""

    def handle(self, record: logging.LogRecord) -> None:
        logs.pass_on(logging.getLogger("relay_sync.server"), record)


def _make_quiet() -> logging.Logger:
    # At DEBUG, the library logs every header and frame, including bearer tokens. An unregistered logger cannot be set
    # to DEBUG by accident. Its errors still reach our logger.
    return _Quiet("relay_sync.server.websockets", logging.ERROR)


quiet_logger: logging.Logger = _make_quiet()
