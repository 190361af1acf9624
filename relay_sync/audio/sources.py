"""Audio that can be played: PCM, files, and audio that is still being generated. All of it becomes PCM at one rate, cut into
chunks for sending."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from ..errors import InvalidParameter
from ..params import values
from .coders import encoder_for
from .file_kinds import no_samples, undecided
from .frames import AudioFrame
from .pcm_codecs import ByteOrder, codec_for
from .user_files import read_open
from .wav import PathLike, WavAudio, read_wav

if TYPE_CHECKING:
    from .dsp import Resampler

__all__ = ["Chunk", "Encode", "Playable", "chunks_of", "encoding_for"]

Chunk: TypeAlias = bytes | bytearray | memoryview | AudioFrame
#: Something that can be played.
Playable: TypeAlias = bytes | bytearray | memoryview | PathLike | WavAudio | Iterable[Chunk]
#: Payloads for some PCM, each with its number of samples. Whether it is the last decides about what is no whole packet.
Encode: TypeAlias = Callable[[bytes, bool], list[tuple[bytes, int]]]

PTIME = 20  # ms
_PIECES = "PCM in pieces, or a whole WAV file"
_PIECE = 25  # packets of a codec without state that may travel in one message: half a second
_SURE = 64  # bytes of a later piece after which text can no longer be samples


def chunks_of(what: Playable, rate: int, sample_rate: int | None) -> bytes | Iterator[bytes]:
    """Return the audio to play as PCM at *rate*: in one piece if it is complete, otherwise as it arrives.

    :param sample_rate: of *what*, if it is PCM and the caller passed a rate.
    :raises InvalidParameter: the audio cannot be played.
    :raises OSError: the file cannot be read.
    """
    if isinstance(what, (str, os.PathLike)):
        return _of_wav(_read(what, os.fspath(what)), rate, os.fspath(what))
    if isinstance(what, WavAudio):
        return _of_wav(what, rate, "the audio")
    values.whole("sample_rate", sample_rate, low=1)
    if isinstance(what, (io.BufferedIOBase, io.RawIOBase)):  # an open file; iterating over it would give lines
        return _of_bytes(_opened(what), rate, sample_rate)
    if isinstance(what, (bytes, bytearray, memoryview)):
        return _of_bytes(bytes(what), rate, sample_rate)
    if not isinstance(what, Iterable):
        raise InvalidParameter("audio", what, "PCM as bytes, the path of a WAV file, or an iterable of PCM")
    return _of_chunks(iter(what), rate, sample_rate)


def _resampler(given: int, rate: int) -> Resampler:
    try:
        from .dsp import Resampler
    except ImportError as missing:
        if missing.name not in (None, "relay_sync.audio.dsp"):
            raise  # numpy is there, but fails
        accepted = f'{rate}, that of the stream, unless numpy is there to change it: pip install "numpy>=1.26"'
        raise InvalidParameter("sample_rate", given, accepted) from missing
    return Resampler(given, rate)


def _at_rate(pcm: bytes, given: int, rate: int) -> bytes:
    """A whole sound at another rate."""
    if given == rate:
        return pcm
    _resampler(given, rate)
    from .dsp import resample

    return resample(pcm, given, rate)


def _read(source: PathLike | io.BytesIO, name: str) -> WavAudio:
    try:
        return read_wav(source)
    except ValueError as problem:
        raise InvalidParameter("audio", name, f"a WAV file that can be read ({problem})") from None


def _opened(file: io.BufferedIOBase | io.RawIOBase) -> bytes:
    try:
        return read_open(file)
    except ValueError as problem:
        raise InvalidParameter("audio", "<an open file>", f"shorter ({problem}), or audio in pieces") from None


def _of_wav(audio: WavAudio, rate: int, name: str) -> bytes:
    if audio.channels != 1:
        raise InvalidParameter("audio", name, f"mono; it has {audio.channels} channels, see WavAudio.channel()")
    return _at_rate(audio.pcm, audio.sample_rate, rate)


def _of_bytes(pcm: bytes, rate: int, sample_rate: int | None) -> bytes:
    if pcm[:4] == b"RIFF" and pcm[8:12] == b"WAVE":  # what many makers of speech hand out
        return _of_wav(_read(io.BytesIO(pcm), "<a WAV file>"), rate, "<a WAV file>")
    _check_head(pcm, "raw PCM or a WAV file")
    if len(pcm) % 2:
        raise InvalidParameter("audio", f"<{len(pcm)} bytes>", "16-bit PCM, so an even number of bytes")
    return _at_rate(pcm, sample_rate or rate, rate)


def _check_head(pcm: bytes, accepted: str) -> None:
    kind = no_samples(pcm)
    if kind is not None:
        raise InvalidParameter("audio", f"<{len(pcm)} bytes>", f"{accepted}; this begins like {kind}")


def _bytes_of(rate: int) -> Callable[[Chunk], bytes]:
    def read(chunk: Chunk) -> bytes:
        if isinstance(chunk, AudioFrame):
            if chunk.sample_rate != rate:
                raise InvalidParameter("sample_rate", rate, f"{chunk.sample_rate}, that of the frames")
            return chunk.pcm
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise values.unseen("audio", chunk, "an iterable of bytes or of AudioFrame")
        return bytes(chunk)

    return read


def _without_header(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same, unless it begins as a file does: its header would be heard as noise."""
    head = b""
    for chunk in chunks:
        head += chunk
        if not undecided(head):
            break
    _check_head(head, _PIECES)
    yield head
    for chunk in chunks:
        if len(chunk) >= _SURE:  # the message of an error that ends a stream, a second file behind the first samples
            _check_head(chunk, _PIECES)
        yield chunk


def _of_chunks(chunks: Iterator[Chunk], rate: int, sample_rate: int | None) -> Iterator[bytes]:
    """Return whole samples at *rate*, regardless of where the chunks were cut. Raises before the first chunk is taken."""
    given = sample_rate or rate
    resampler = None if given == rate else _resampler(given, rate)

    def whole() -> Iterator[bytes]:
        odd = b""
        for pcm in _without_header(map(_bytes_of(given), chunks)):
            pcm = odd + pcm
            length = len(pcm) & ~1
            odd, pcm = pcm[length:], pcm[:length]
            if resampler is not None:
                pcm = resampler.process(pcm)
            if pcm:
                yield pcm
        if resampler is not None:
            yield resampler.flush()

    return whole()


def encoding_for(encoding: str, rate: int, l16_byteorder: ByteOrder) -> Encode:
    """Return a new encoder for one piece of audio.

    Codecs without state are sent in messages of up to half a second, with a shorter last message; other codecs are sent in
    packets of 20 ms, the last one padded with silence.

    :raises UnsupportedCodec: the codec is unknown, or needs the extra ``codecs``.
    """
    encoder = encoder_for(encoding, rate, ptime=PTIME, l16_byteorder=l16_byteorder)
    if encoder.stateful:

        def pack(pcm: bytes, last: bool) -> list[tuple[bytes, int]]:
            packets = encoder.encode(pcm) + (encoder.flush() if last else [])
            return [(packet, encoder.samples) for packet in packets]

        return pack
    code = codec_for(encoding, rate, l16_byteorder=l16_byteorder).encode
    packet = 2 * encoder.samples
    rest = b""  # less than a packet, for sources that give it sample by sample

    def cut(pcm: bytes, last: bool) -> list[tuple[bytes, int]]:
        nonlocal rest
        sound = rest + pcm if rest else pcm
        whole = len(sound) if last else len(sound) - len(sound) % packet
        rest = sound[whole:]
        ends = [*range(_PIECE * packet, whole, _PIECE * packet), whole] if whole else []
        return [(code(sound[start:end]), (end - start) // 2) for start, end in pairwise([0, *ends])]

    return cut
