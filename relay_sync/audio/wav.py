"""Read and write WAV files.

In memory, audio is always 16-bit PCM. Files with 8-bit PCM, mu-law or A-law are converted when read.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Sequence
from typing import BinaryIO

from attrs import evolve, field, frozen

from .file_kinds import WAV_HEAD, kind_of
from .pcm_codecs import codec_for
from .user_files import MAX_FILE, read_file, read_open, replaced

__all__ = ["HEADER_SIZE", "MAX_DATA", "WavAudio", "interleave", "read_wav", "wav_header", "write_wav"]

HEADER_SIZE = 44
MAX_DATA = 0xFFFFFFFF - HEADER_SIZE  # maximum bytes of audio, because the size fields have 32 bits
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_FORMATS = {
    _PCM: "PCM",
    2: "Microsoft ADPCM",
    _FLOAT: "floating point",
    _ALAW: "A-law",
    _MULAW: "mu-law",
    0x11: "IMA ADPCM",
    0x31: "GSM 6.10",
    0x45: "G.726",
    0x50: "MPEG audio",
    0x55: "MP3",
    0xFF: "AAC",
    0x161: "WMA",
    0x28F: "G.722",
    0x704F: "Opus",
}
_SNIFF_BYTES = 4096  # number of bytes after the audio to check for other file types
_CHUNK = re.compile(rb"[ -~]{4}.{4}", re.DOTALL)


@frozen(kw_only=True)
class WavAudio:
    """The contents of a WAV file.

    :ivar pcm: 16-bit little-endian PCM with interleaved channels.
    :ivar sample_rate: sample rate in Hz.
    :ivar channels: number of channels.
    """

    pcm: bytes = field(repr=False)
    sample_rate: int
    channels: int

    @property
    def samples(self) -> int:
        """The number of samples per channel."""
        return len(self.pcm) // (2 * self.channels)

    @property
    def duration(self) -> float:
        """The duration in seconds."""
        return self.samples / self.sample_rate

    def channel(self, index: int) -> bytes:
        """Return the PCM of one channel.

        :param index: number of the channel, from 0 (left).
        :raises IndexError: there is no such channel.
        """
        if not 0 <= index < self.channels:
            raise IndexError(f"channel {index} of {self.channels}")
        if self.channels == 1:
            return self.pcm
        return memoryview(self.pcm).cast("H")[index :: self.channels].tobytes()


def wav_header(sample_rate: int, channels: int, data_size: int) -> bytes:
    """Return the 44-byte header for ``data_size`` bytes of 16-bit PCM."""
    width = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", HEADER_SIZE - 8 + data_size, b"WAVE"),
        *(b"fmt ", 16, _PCM, channels, sample_rate, sample_rate * width, width, 16),
        *(b"data", data_size),
    )


def interleave(channels: Sequence[bytes]) -> bytes:
    """Combine mono PCM into interleaved channels. Shorter channels are padded with silence."""
    if len(channels) == 1:
        return channels[0]
    longest = max((len(pcm) for pcm in channels), default=0) // 2
    whole = bytearray(2 * longest * len(channels))
    with memoryview(whole) as view, view.cast("H") as samples:
        for index, pcm in enumerate(channels):
            count = len(pcm) // 2
            samples[index : index + count * len(channels) : len(channels)] = memoryview(pcm)[: 2 * count].cast("H")
    return bytes(whole)


def write_wav(path: str | os.PathLike[str], pcm: bytes, sample_rate: int, channels: int = 1) -> None:
    """Write PCM to a WAV file.

    An existing file is replaced when the new file is complete.

    :param path: the file to write.
    :param pcm: 16-bit little-endian PCM with interleaved channels.
    :param sample_rate: sample rate in Hz.
    :param channels: number of channels.
    :raises InvalidParameter: a recording is being written to ``path``.
    :raises OSError: the file cannot be written.
    """
    with replaced(path) as file:
        file.write(wav_header(sample_rate, channels, len(pcm)))
        file.write(pcm)


def read_wav(source: str | os.PathLike[str] | BinaryIO, *, most: int = MAX_FILE) -> WavAudio:
    """Read a WAV file with 8- or 16-bit PCM, mu-law or A-law, and any number of channels.

    If the header contains invalid sizes, as in interrupted or streamed files, the audio's actual size is used. If the file
    contains several WAVs, their audio is joined; some speech services send one WAV per sentence.

    :param source: path of a regular file, or an open binary file.
    :param most: maximum file size in bytes; 512 MiB by default.
    :raises ValueError: the file is not a supported WAV file. The message describes the problem.
    :raises OSError: the file cannot be read.
    """
    if isinstance(source, (str, os.PathLike)):
        data, name = read_file(source, most), os.fspath(source)
    else:
        data, name = read_open(source, most), "the file"
    found, end = _one(data, 0, name)
    parts = [found]
    while end < len(data):
        following, end = _one(data, end, name)
        if (following.sample_rate, following.channels) != (found.sample_rate, found.channels):
            raise ValueError(f"{name}: contains several WAVs that differ in sample rate or channels")
        parts.append(following)
    return found if len(parts) == 1 else evolve(found, pcm=b"".join(part.pcm for part in parts))


def _one(data: bytes, start: int, name: str) -> tuple[WavAudio, int]:
    """Parse the WAV at position ``start``.

    :return: the audio, and the position of the next WAV, or the end of the data if there is none.
    """
    if not _is_wav(data, start):
        kind = kind_of(data[start:])
        raise ValueError(f"{name} is {kind or 'something else'}, not a WAV file")
    shape: tuple[int, int, int, int] | None = None
    pieces: list[bytes] = []
    position = start + 12
    while position + 8 <= len(data):
        if pieces and _is_wav(data, position):
            break
        kind = kind_of(data[position : position + _SNIFF_BYTES]) if pieces else None
        if kind is not None:
            raise ValueError(f"{name}: its audio is followed by {kind}")
        tag, size = struct.unpack_from("<4sI", data, position)
        position += 8
        if tag == b"fmt " and not pieces:
            shape = _shape(data[position : position + size], name)
        elif tag == b"data":
            if shape is None:
                raise ValueError(f"{name}: the format comes after the audio")
            size = _size(data, position, size)
            pieces.append(data[position : position + size])
        position += size
        if size & 1 and data[position : position + 4] != b"RIFF":  # odd chunks are padded, except by some writers
            position += 1
    else:
        position = len(data)
    if shape is None or not pieces:
        raise ValueError(f"{name} contains no audio")
    return _audio(b"".join(pieces), shape, name), position


def _is_wav(data: bytes, start: int) -> bool:
    return data[start : start + 4] == b"RIFF" and data[start + 8 : start + 12] == b"WAVE"


def _size(data: bytes, position: int, size: int) -> int:
    """Return the actual size of the audio at ``position``.

    :param size: the size in the header, which may be wrong.
    """
    if position + size <= len(data) and (size or _only_chunks(data, position)):
        return size
    another = WAV_HEAD.search(data, position)  # without a valid size, the audio extends to the next WAV or the end
    return (another.start() if another else len(data)) - position


def _only_chunks(data: bytes, position: int) -> bool:
    """Return whether the rest of the data consists of complete chunks."""
    if position == len(data):
        return False
    while position < len(data):
        if not _CHUNK.match(data, position):
            return False
        (size,) = struct.unpack_from("<I", data, position + 4)
        position += 8 + size + (size & 1)
    return position in (len(data), len(data) + 1)


def _shape(chunk: bytes, name: str) -> tuple[int, int, int, int]:
    """Parse a format chunk. Return the format tag, the number of channels, the sample rate and the bits per sample."""
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
        raise ValueError(f"{name}: only 8- and 16-bit PCM and G.711 are supported, not {_named(tag, bits)}")
    whole = len(pcm) - len(pcm) % (2 * channels)
    return WavAudio(pcm=pcm[:whole], sample_rate=rate, channels=channels)


def _named(tag: int, bits: int) -> str:
    """Return a description of an audio format, for error messages."""
    words = _FORMATS.get(tag, f"format {tag:#x}")
    return f"{bits}-bit {words}" if tag in (_PCM, _FLOAT, _ALAW, _MULAW) else words


_UNSIGNED = bytes((value - 128) & 0xFF for value in range(256))


WavAudio.__module__ = "relay_sync.audio"
