"""Convert playable audio to PCM at the stream's sample rate, and encode it for sending.

Playable audio includes PCM, WAV files, and iterables for audio that is still being generated.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import InvalidParameter
from ..params import values
from ..threads import logs
from .coders import encoder_for
from .file_kinds import no_samples, undecided
from .frames import AudioFrame
from .pcm_codecs import ByteOrder, codec_for
from .user_files import read_open
from .wav import WavAudio, read_wav

if TYPE_CHECKING:
    from .dsp import Resampler

__all__ = ["SPOKEN", "Chunk", "Encode", "Playable", "chunks_of", "encoding_for", "spoken_chunks"]

_log = logs.get("relay_sync.audio").later
Chunk: TypeAlias = bytes | bytearray | memoryview | AudioFrame
#: Audio accepted by ``play``.
Playable: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | WavAudio | Iterable[Chunk]
#: Encodes PCM into payloads, each with its number of samples. The second argument is true for the last piece of audio: an
#: incomplete packet is then sent instead of being kept for the next call.
Encode: TypeAlias = Callable[[bytes, bool], list[tuple[bytes, int]]]

#: What :func:`spoken_chunks` accepts, for errors.
SPOKEN = "PCM, (pcm, sample rate), a WAV file, or an iterable of PCM"
PTIME = 20  # packet duration in ms
_ACCEPTED_CHUNKS = "PCM in chunks, or a complete WAV file"
_MAX_PACKETS = 25  # maximum packets in a message, for stateless codecs: half a second
_SURE = 64  # minimum length at which a later chunk is checked for text and file headers; shorter PCM may look like text


def chunks_of(what: Playable, rate: int, sample_rate: int | None) -> bytes | Iterator[bytes]:
    """Convert playable audio to PCM.

    :param what: the audio.
    :param rate: sample rate of the returned PCM in Hz.
    :param sample_rate: sample rate of ``what`` in Hz, if it is PCM; ``None`` means ``rate``.
    :return: PCM as ``bytes`` if ``what`` is complete, or an iterator that reads it on demand.
    :raises InvalidParameter: the audio cannot be played.
    :raises OSError: the file cannot be read.
    """
    if isinstance(what, (str, os.PathLike)):
        return _of_wav(_read(what, os.fspath(what)), rate, os.fspath(what))
    if isinstance(what, WavAudio):
        return _of_wav(what, rate, "the audio")
    values.whole("sample_rate", sample_rate, low=1)
    if isinstance(what, (io.BufferedIOBase, io.RawIOBase)):  # iterating over an open file would return lines
        return _of_bytes(_opened(what), rate, sample_rate)
    if isinstance(what, (bytes, bytearray, memoryview)):
        return _of_bytes(bytes(what), rate, sample_rate)
    if not isinstance(what, Iterable):
        raise InvalidParameter("audio", what, "PCM as bytes, the path of a WAV file, or an iterable of PCM")
    return _of_chunks(iter(what), rate, sample_rate)


def spoken_chunks(name: str, what: Any, rate: int, sample_rate: int, accepted: str) -> bytes | Iterator[bytes]:
    """Convert speech to PCM, like :func:`chunks_of`. It may be a tuple of PCM and its sample rate, but not a path as text.

    :param name: name of the parameter, for errors.
    :param what: the speech, of any type.
    :param rate: sample rate of the returned PCM in Hz.
    :param sample_rate: sample rate of PCM without a rate, in Hz.
    :param accepted: what the parameter accepts, for errors.
    :return: PCM as ``bytes`` if the speech is complete, or an iterator that reads it on demand.
    :raises InvalidParameter: the speech cannot be played.
    :raises OSError: the file cannot be read.
    """
    given: Any = sample_rate
    if isinstance(what, tuple) and len(what) == 2 and isinstance(what[1], int):
        what, given = what
        values.whole("sample_rate", given, low=1, optional=False)
    if what is None or isinstance(what, (str, int, float)):
        raise InvalidParameter(name, what, accepted)
    return chunks_of(what, rate, given)


def _resampler(given: int, rate: int) -> Resampler:
    try:
        from .dsp import Resampler
    except ImportError as missing:
        if missing.name not in (None, "relay_sync.audio.dsp"):
            raise  # numpy is installed, but its import fails
        accepted = f'{rate}, the rate of the stream; other rates require numpy: pip install "numpy>=1.26"'
        raise InvalidParameter("sample_rate", given, accepted) from missing
    return Resampler(given, rate)


def _at_rate(pcm: bytes, given: int, rate: int) -> bytes:
    """Resample complete audio."""
    if given == rate:
        return pcm
    _resampler(given, rate)
    from .dsp import resample

    return resample(pcm, given, rate)


def _read(source: str | os.PathLike[str] | io.BytesIO, name: str) -> WavAudio:
    try:
        return read_wav(source)
    except ValueError as problem:
        raise InvalidParameter("audio", name, f"a readable WAV file ({problem})") from None


def _opened(file: io.BufferedIOBase | io.RawIOBase) -> bytes:
    try:
        return read_open(file)
    except ValueError as problem:
        raise InvalidParameter("audio", "<an open file>", f"a smaller file ({problem}), or audio in chunks") from None


def _of_wav(audio: WavAudio, rate: int, name: str) -> bytes:
    if audio.channels != 1:
        raise InvalidParameter("audio", name, f"mono; it has {audio.channels} channels, see WavAudio.channel()")
    return _at_rate(audio.pcm, audio.sample_rate, rate)


def _of_bytes(pcm: bytes, rate: int, sample_rate: int | None) -> bytes:
    if pcm[:4] == b"RIFF" and pcm[8:12] == b"WAVE":  # many speech synthesis services return WAV files
        return _of_wav(_read(io.BytesIO(pcm), "<a WAV file>"), rate, "<a WAV file>")
    _check_head(pcm, "raw PCM or a WAV file")
    if len(pcm) % 2:
        raise InvalidParameter("audio", f"<{len(pcm)} bytes>", "16-bit PCM (an even number of bytes)")
    return _at_rate(pcm, sample_rate or rate, rate)


def _check_head(pcm: bytes, accepted: str) -> None:
    kind = no_samples(pcm)
    if kind is not None:
        raise InvalidParameter("audio", f"<{len(pcm)} bytes>", f"{accepted}; this looks like {kind}")


def _bytes_of(rate: int) -> Callable[[Chunk], bytes]:
    def read(chunk: Chunk) -> bytes:
        if isinstance(chunk, AudioFrame):
            if chunk.sample_rate != rate:
                raise InvalidParameter("sample_rate", rate, f"{chunk.sample_rate}, the rate of the frames")
            return chunk.pcm
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            raise values.unseen("audio", chunk, "an iterable of bytes or of AudioFrame")
        return bytes(chunk)

    return read


def _without_header(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks, but reject files. A file header would be heard as noise. While there is no audio, yield ``b""``.

    :raises InvalidParameter: the audio starts with a file header, or a later chunk is text or a file.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if not undecided(head):
            break
        yield b""
    _check_head(head, _ACCEPTED_CHUNKS)
    yield head
    for chunk in chunks:
        if len(chunk) >= _SURE:  # some services append an error message or another file
            _check_head(chunk, _ACCEPTED_CHUNKS)
        yield chunk


def _of_chunks(chunks: Iterator[Chunk], rate: int, sample_rate: int | None) -> Iterator[bytes]:
    """Yield PCM at ``rate`` in whole samples, even if samples are split across chunks.

    Chunks without a whole sample yield ``b""``, so that a source that never has any can be given up.

    An unsupported sample rate raises an exception immediately, before the first chunk is read.
    """
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
            yield pcm
        if odd:
            _log.warning("an audio iterable ended in the middle of a 16-bit sample; its last byte is not played")
        if resampler is not None:
            yield resampler.flush()

    return whole()


def encoding_for(encoding: str, rate: int, l16_byteorder: ByteOrder) -> Encode:
    """Create an encoder for one piece of audio.

    For stateless codecs, each message contains up to half a second of audio, and the last one may be shorter. Other codecs
    produce packets of 20 ms, and the last one is padded with silence.

    :raises UnsupportedCodec: the codec is unknown, or requires the ``codecs`` extra.
    """
    encoder = encoder_for(encoding, rate, ptime=PTIME, l16_byteorder=l16_byteorder)
    if encoder.stateful:

        def pack(pcm: bytes, last: bool) -> list[tuple[bytes, int]]:
            packets = encoder.encode(pcm) + (encoder.flush() if last else [])
            return [(packet, encoder.samples) for packet in packets]

        return pack
    code = codec_for(encoding, rate, l16_byteorder=l16_byteorder).encode
    packet = 2 * encoder.samples
    rest = b""  # an incomplete packet, kept until more audio arrives

    def cut(pcm: bytes, last: bool) -> list[tuple[bytes, int]]:
        nonlocal rest
        sound = rest + pcm if rest else pcm
        whole = len(sound) if last else len(sound) - len(sound) % packet
        rest = sound[whole:]
        ends = [*range(_MAX_PACKETS * packet, whole, _MAX_PACKETS * packet), whole] if whole else []
        return [(code(sound[start:end]), (end - start) // 2) for start, end in pairwise([0, *ends])]

    return cut
