"""Wait for a requested stream, and explain why it did not arrive."""

from __future__ import annotations

from ..errors import CallEnded, CommandRefused, InvalidParameter, StreamFailed, UnsupportedCodec
from ..threads.outcome import at_once
from ..threads.timeouts import TimeLeft
from .coders import check_available
from .gate import Expected, Gate
from .server_address import ServerAddress
from .stream import AudioStream, StreamingAction

__all__ = ["wait_for_stream"]

_LOOK = 0.05  # seconds between looks at an action that says only when asked that it has ended


def wait_for_stream(
    expected: Expected, action: StreamingAction, timeout: float, codec: str, address: ServerAddress, gate: Gate
) -> AudioStream:
    """Wait for the stream that an action brings to a server.

    :param timeout: seconds.
    :param codec: that was asked for.
    :param address: of the server.
    :raises StreamFailed: it did not start; the message says why, as far as known.
    :raises CommandRefused: the platform refused the action.
    """
    left = TimeLeft(timeout)
    while expected.stream is None:
        if expected.over:
            raise StreamFailed("the carrier connected but closed without sending start", end_reason="never started")
        if address.closed:
            raise StreamFailed("the AudioServer was closed while waiting for the stream")
        if action.is_done and not expected.arrived:
            if isinstance(action.error, CommandRefused):
                raise action.error.fresh()
            over = _call_over(action)
            if over is not None:
                why = f" ({over.end_reason})" if over.end_reason else ""
                raise StreamFailed(f"the call ended{why} before the carrier connected") from over
            raise StreamFailed(
                f"the stream ended before the carrier connected: it could not open {address.url}"
                f"{address.hint}, or another process answers there{_codec_hint(codec)}"
                f"{gate.refused_since(expected)}"
            ) from action.error
        if left.over:
            if expected.arrived:
                raise StreamFailed(
                    f"the carrier connected but sent no start within {timeout:g} s",
                    end_reason="never started",
                )
            raise StreamFailed(
                f"the carrier did not connect within {timeout:g} s: it must be able to reach {address.url}"
                f"{address.hint}{gate.refused_since(expected)}"
            )
        longest = min(_LOOK, at_once(left()))
        if not expected.changed.wait(longest):
            left.waited(longest)
        expected.changed.clear()
    return expected.stream


def _codec_hint(codec: object) -> str:
    """Whether the codec may be the reason, and what is missing here for it. All carriers have G.711."""
    if isinstance(codec, str) and codec.upper().partition("@")[0] in ("PCMU", "PCMA"):
        return ""
    return f", or the carrier does not support this codec{_what_it_needs(codec)}"


def _what_it_needs(codec: object) -> str:
    """In brackets, what is missing here for audio in this codec; nothing where all is there."""
    try:
        if isinstance(codec, str):  # else the call knows what to make of it
            check_available(codec)
    except InvalidParameter:
        pass
    except UnsupportedCodec as error:
        return f" ({error.message})"
    return ""


def _call_over(action: StreamingAction) -> CallEnded | None:
    """Whether an action has ended with its call, as far as it tells."""
    if isinstance(action.error, CallEnded):
        return action.error
    if getattr(getattr(action, "result", None), "reason", "") not in ("call_ended", "call_gone"):
        return None
    return CallEnded("the call has ended", end_reason=getattr(getattr(action, "call", None), "end_reason", ""))
