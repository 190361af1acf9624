"""WAV files: headers that are right at any moment, and reading what people have lying about.

Everything here is 16-bit PCM inside; files with 8-bit PCM, mu-law or A-law are converted when read.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from attrs import field, frozen

from .codecs import codec_for

__all__ = ["HEADER_SIZE", "MAX_DATA", "WavAudio", "interleave", "read_wav", "wav_header", "write_wav"]

PathLike: TypeAlias = str | os.PathLike[str]
HEADER_SIZE = 44
MAX_DATA = 0xFFFFFFFF - HEADER_SIZE  # bytes of audio; the size fields have 32 bits
_PCM, _ALAW, _MULAW, _EXTENSIBLE = 1, 6, 7, 0xFFFE


@frozen(kw_only=True)
class WavAudio:
    """What a WAV file holds.

    :ivar pcm: 16-bit little-endian samples, the channels interleaved.
    :ivar sample_rate: Hz.
    :ivar channels: 1 or more.
    """

    pcm: bytes = field(repr=False)
    sample_rate: int
    channels: int

    @property
    def samples(self) -> int:
        """Per channel."""
        return len(self.pcm) // (2 * self.channels)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.samples / self.sample_rate

    def channel(self, index: int) -> bytes:
        """The PCM of one channel, counted from 0 (left).

        :raises IndexError: there is no such channel.
        """
        if not 0 <= index < self.channels:
            raise IndexError(f"channel {index} of {self.channels}")
        if self.channels == 1:
            return self.pcm
        return memoryview(self.pcm).cast("H")[index :: self.channels].tobytes()


def wav_header(sample_rate: int, channels: int, data_size: int) -> bytes:
    """The 44 bytes before *data_size* bytes of 16-bit PCM."""
    width = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", HEADER_SIZE - 8 + data_size, b"WAVE"),
        *(b"fmt ", 16, _PCM, channels, sample_rate, sample_rate * width, width, 16),
        *(b"data", data_size),
    )


def interleave(channels: Sequence[bytes]) -> bytes:
    """Several mono PCM pieces as one; shorter ones are filled up with silence."""
    if len(channels) == 1:
        return channels[0]
    longest = max((len(pcm) for pcm in channels), default=0) // 2
    whole = bytearray(2 * longest * len(channels))
    with memoryview(whole) as view, view.cast("H") as samples:
        for index, pcm in enumerate(channels):
            count = len(pcm) // 2
            samples[index : index + count * len(channels) : len(channels)] = memoryview(pcm)[: 2 * count].cast("H")
    return bytes(whole)


def write_wav(path: PathLike, pcm: bytes, sample_rate: int, channels: int = 1) -> None:
    """Write 16-bit little-endian PCM (channels interleaved) as a WAV file."""
    with open(path, "wb") as file:
        file.write(wav_header(sample_rate, channels, len(pcm)))
        file.write(pcm)


def read_wav(source: PathLike | BinaryIO) -> WavAudio:
    """Read a WAV file: 8- or 16-bit PCM, mu-law or A-law, any number of channels.

    Sizes in the header that cannot be right (a writer that was killed or streamed) are replaced by the file's end.

    :raises ValueError: it is not such a file; the message says what it is.
    :raises OSError: it cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        data, name = Path(source).read_bytes(), os.fspath(source)
    else:
        data, name = source.read(), "the file"
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError(f"{name} is not a WAV file")
    shape: tuple[int, int, int, int] | None = None
    position = 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if kind == b"fmt ":
            shape = _shape(data[position : position + size], name)
        elif kind == b"data":
            if shape is None:
                raise ValueError(f"{name}: the format comes after the audio")
            return _audio(data[position : position + size] if size else data[position:], shape, name)
        position += size + (size & 1)
    raise ValueError(f"{name} contains no audio")


def _shape(chunk: bytes, name: str) -> tuple[int, int, int, int]:
    """Format tag, channels, rate, bits per sample."""
    if len(chunk) < 16:
        raise ValueError(f"{name}: the format chunk is too short")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)
    if not channels or not rate:
        raise ValueError(f"{name}: {channels} channels at {rate} Hz")
    return tag, channels, rate, bits


def _audio(data: bytes, shape: tuple[int, int, int, int], name: str) -> WavAudio:
    tag, channels, rate, bits = shape
    if tag == _PCM and bits == 16:
        pcm = data
    elif tag == _PCM and bits == 8:  # unsigned, silence at 128
        wide = bytearray(2 * len(data))
        wide[1::2] = data.translate(_UNSIGNED)
        pcm = bytes(wide)
    elif tag in (_MULAW, _ALAW) and bits == 8:
        pcm = codec_for("PCMU" if tag == _MULAW else "PCMA").decode(data)
    else:
        raise ValueError(f"{name}: only 8- and 16-bit PCM and G.711 are read here (format {tag}, {bits} bits)")
    whole = len(pcm) - len(pcm) % (2 * channels)
    return WavAudio(pcm=pcm[:whole], sample_rate=rate, channels=channels)


_UNSIGNED = bytes((value - 128) & 0xFF for value in range(256))


WavAudio.__module__ = "relay_sync.audio"
