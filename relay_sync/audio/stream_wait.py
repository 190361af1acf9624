"""Wait for a requested stream, and report the reason if it does not arrive."""

from __future__ import annotations

from ..errors import CallEnded, CommandRefused, InvalidParameter, StreamFailed, UnsupportedCodec
from ..threads.outcome import at_once
from ..threads.timeouts import TimeLeft
from .coders import check_available
from .gate import Expected, Gate
from .server_address import ServerAddress
from .stream import AudioStream, StreamingAction

__all__ = ["wait_for_stream"]

_POLL = 0.05  # seconds between checks whether the action has ended


def wait_for_stream(
    expected: Expected, action: StreamingAction, timeout: float, codec: str, address: ServerAddress, gate: Gate
) -> AudioStream:
    """Wait until an action's stream starts.

    :param expected: state of the expected connection.
    :param action: the action that starts the stream.
    :param timeout: maximum time to wait, in seconds.
    :param codec: the requested codec.
    :param address: the server's address.
    :param gate: the server's gate, which counts rejected connections.
    :raises StreamFailed: the stream did not start. The message contains the likely reason.
    :raises CommandRefused: the platform refused the action.
    """
    left = TimeLeft(timeout)
    while expected.stream is None:
        if expected.over:
            raise StreamFailed("the platform connected but closed without sending start", end_reason="never started")
        if address.closed:
            raise StreamFailed("the AudioServer was closed while waiting for the stream")
        if action.is_done and not expected.arrived:
            if isinstance(action.error, CommandRefused):
                raise action.error.fresh()
            over = _call_over(action)
            if over is not None:
                why = f" ({over.end_reason})" if over.end_reason else ""
                raise StreamFailed(f"the call ended{why} before the platform connected") from over
            raise StreamFailed(
                f"the stream ended before the platform connected: it could not open {address.url}"
                f"{address.hint}, or another process answers there{_codec_hint(codec)}"
                f"{gate.refused_since(expected)}"
            ) from action.error
        if left.over:
            if expected.arrived:
                raise StreamFailed(
                    f"the platform connected but sent no start within {timeout:g} s",
                    end_reason="never started",
                )
            raise StreamFailed(
                f"the platform did not connect within {timeout:g} s: it must be able to reach {address.url}"
                f"{address.hint}{gate.refused_since(expected)}"
            )
        longest = min(_POLL, at_once(left()))
        if not expected.changed.wait(longest):
            left.waited(longest)
        expected.changed.clear()
    return expected.stream


def _codec_hint(codec: object) -> str:
    """Return a hint that the carrier may not support the codec; ``""`` for G.711, which is always supported."""
    if isinstance(codec, str) and codec.upper().partition("@")[0] in ("PCMU", "PCMA"):
        return ""
    return f", or the platform does not support this codec{_what_it_needs(codec)}"


def _what_it_needs(codec: object) -> str:
    """Return what must be installed to decode the codec, in parentheses; ``""`` if nothing is missing."""
    try:
        if isinstance(codec, str):
            check_available(codec)
    except InvalidParameter:
        pass
    except UnsupportedCodec as error:
        return f" ({error.message})"
    return ""


def _call_over(action: StreamingAction) -> CallEnded | None:
    """Return a :class:`CallEnded` error if the action ended because its call ended, otherwise ``None``."""
    if isinstance(action.error, CallEnded):
        return action.error
    if getattr(getattr(action, "result", None), "reason", "") not in ("call_ended", "call_gone"):
        return None
    return CallEnded("the call has ended", end_reason=getattr(getattr(action, "call", None), "end_reason", ""))
