"""G.722 and Opus codecs based on PyAV, which wraps FFmpeg and libopus.

PyAV is part of the ``codecs`` extra and is imported on first use. The code depends on the following behavior:

* An empty packet signals the end of the stream. The decoder cannot be used afterward.
* A frame's buffer may be larger than its samples.
* A one-byte Opus packet is valid. It stands for audio that was not transmitted because of silence.
* An invalid packet raises an error and does not affect later packets.
* libopus always decodes to 48 kHz.
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

G722_RATE = 16000  # Hz; the RTP clock rate is 8000
G722_DELAY = 22  # filter delay in samples
OPUS_RATE = 48000  # Hz, of decoded audio
OPUS_DELAY = 312  # encoder delay in samples at 48 kHz
_FFMPEG = {"G722": "g722", "OPUS": "libopus"}  # FFmpeg's native Opus decoder loses samples at the start
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
    context.layout = "mono"  # stereo Opus packets are mixed down
    return av, cast("AudioCodecContext", context)


def check_available(base: str) -> None:
    """Check that the codec is available.

    :raises UnsupportedCodec: PyAV is not installed or was built without the codec.
    """
    for mode in ("r", "w"):
        _context(base, mode)


def decoding(base: str) -> tuple[Callable[[bytes], bytes], int]:
    """Create a decoder.

    :return: a function that decodes a payload to PCM, and the PCM's sample rate in Hz.
    :raises UnsupportedCodec: PyAV is not installed or was built without the codec.
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
            raise BadPacket(f"not a valid {base} packet ({len(payload)} bytes)") from error
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
    """Create a G.722 encoder (64 kbit/s).

    :return: a function that encodes a multiple of 20 ms of PCM into one payload.
    :raises UnsupportedCodec: PyAV is not installed or was built without the codec.
    """
    return _packing(*_prepared("G722", G722_RATE, {}), G722_RATE)


def opus_packing(rate: int, ptime: int, bit_rate: int) -> Callable[[bytes], bytes]:
    """Create an Opus encoder.

    :param rate: sample rate of the PCM in Hz.
    :param ptime: duration of a packet in milliseconds.
    :param bit_rate: bit rate in bits per second.
    :return: a function that encodes exactly ``ptime`` milliseconds of PCM into one packet.
    :raises UnsupportedCodec: PyAV is not installed or was built without the codec.
    """
    options = {"frame_duration": str(ptime), "application": "voip", "b": str(bit_rate)}
    return _packing(*_prepared("OPUS", rate, options), rate)
