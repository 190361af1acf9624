"""G.722 and Opus through PyAV (FFmpeg, libopus): the extra ``codecs``, imported when first used.

What FFmpeg and PyAV do that has to be known here: an empty packet means the end of the stream to a decoder and spoils it,
a frame's memory may be longer than its samples, a one-byte Opus packet is legal (silence not sent), and rubbish raises
without harm to what follows. libopus always decodes to 48 kHz.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from ..errors import UnsupportedCodec
from .pcm_codecs import CODECS_HINT, BadPacket

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext

__all__ = [
    "G722_DELAY",
    "G722_RATE",
    "OPUS_DELAY",
    "OPUS_RATE",
    "check_available",
    "decoding",
    "g722_packing",
    "opus_packing",
]

G722_RATE = 16000  # of the sound; RTP counts it at 8000
G722_DELAY = 22  # samples that its filters hold back
OPUS_RATE = 48000  # of decoded sound
OPUS_DELAY = 312  # samples at 48 kHz that the encoder holds back
_FFMPEG = {"G722": "g722", "OPUS": "libopus"}  # FFmpeg's own Opus decoder loses samples at the start
_RATES = {"G722": G722_RATE, "OPUS": OPUS_RATE}


def _av(base: str) -> Any:
    try:
        import av
    except ImportError as error:
        if error.name != "av":
            raise UnsupportedCodec(f"{base} needs PyAV, which is installed but cannot be imported: {error}") from error
        raise UnsupportedCodec(f"{base} needs {CODECS_HINT}") from error
    return av


def _context(base: str, mode: str) -> tuple[Any, AudioCodecContext]:
    av = _av(base)
    try:
        context = av.CodecContext.create(_FFMPEG[base], mode)
    except ValueError as error:  # av.codec.UnknownCodecError
        raise UnsupportedCodec(f"{base}: this PyAV was built without {_FFMPEG[base]}; its wheels have it") from error
    context.layout = "mono"  # an Opus packet with two channels is mixed to one
    return av, cast("AudioCodecContext", context)


def check_available(base: str) -> None:
    """Whether the codec can be used.

    :raises UnsupportedCodec: PyAV is not installed, or lacks it.
    """
    for mode in ("r", "w"):
        _context(base, mode)


def decoding(base: str) -> tuple[Callable[[bytes], bytes], int]:
    """A new decoder's function from payload to PCM, and its sample rate.

    :raises UnsupportedCodec: PyAV is not installed, or lacks it.
    """
    av, context = _context(base, "r")
    context.sample_rate = _RATES[base]
    packet, failure = av.Packet, av.FFmpegError

    def decode(payload: bytes) -> bytes:
        if not payload:
            raise BadPacket(f"an empty {base} packet")
        try:
            frames = context.decode(packet(payload))
        except failure as error:
            raise BadPacket(f"no {base} packet ({len(payload)} bytes)") from error
        return b"".join([memoryview(frame.planes[0])[: 2 * frame.samples] for frame in frames])

    return decode, _RATES[base]


def _packing(av: Any, context: AudioCodecContext, rate: int) -> Callable[[bytes], bytes]:
    time_base = Fraction(1, rate)
    position = 0

    def pack(pcm: bytes) -> bytes:
        nonlocal position
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
        frame.sample_rate, frame.time_base, frame.pts = rate, time_base, position
        position += frame.samples
        plane = frame.planes[0]
        plane.update(pcm.ljust(plane.buffer_size, b"\0"))
        return b"".join(map(bytes, context.encode(frame)))

    return pack


def _prepared(base: str, rate: int, options: dict[str, str]) -> tuple[Any, AudioCodecContext]:
    av, context = _context(base, "w")
    context.sample_rate = rate
    context.format = av.AudioFormat("s16")
    context.options = options
    return av, context


def g722_packing() -> Callable[[bytes], bytes]:
    """A new G.722 encoder (64 kbit/s): from PCM, a multiple of 20 ms of it, to one payload.

    :raises UnsupportedCodec: PyAV is not installed, or lacks it.
    """
    return _packing(*_prepared("G722", G722_RATE, {}), G722_RATE)


def opus_packing(rate: int, ptime: int, bit_rate: int) -> Callable[[bytes], bytes]:
    """A new Opus encoder: from exactly *ptime* ms of PCM to one packet.

    :raises UnsupportedCodec: PyAV is not installed, or lacks it.
    """
    options = {"frame_duration": str(ptime), "application": "voip", "b": str(bit_rate)}
    return _packing(*_prepared("OPUS", rate, options), rate)
