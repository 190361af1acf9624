"""Speech for the parties on simulated phones. Only :func:`load_voice` and :func:`voice_of` do I/O."""

from __future__ import annotations

import io
import os
import sys
from array import array
from collections.abc import Callable
from functools import cache
from math import gcd
from typing import BinaryIO, Final, Protocol, TypeAlias

from attrs import field, frozen

from ...audio.file_kinds import no_samples
from ...audio.wav import read_wav
from ...errors import InvalidParameter
from ...params import values

__all__ = [
    "RATES",
    "SILENCE",
    "TELEPHONE",
    "Cut",
    "Sound",
    "Voice",
    "check_rate",
    "convert",
    "load_voice",
    "mix",
    "voice_of",
]

Resample: TypeAlias = Callable[[bytes, int, int], bytes]
#: Returns a number of samples, starting at an index, padded with silence outside the audio.
Cut: TypeAlias = Callable[[int, int], bytes]
RATES = (8000, 16000, 24000, 48000)
TELEPHONE = 8000
#: Maximum bytes of a speech file: over an hour of telephone audio.
MOST_FILE: Final = 64 * 2**20


def check_rate(rate: object) -> None:
    """Check a sample rate of audio that is fed or heard during a call.

    :param rate: sample rate in Hz.
    :raises InvalidParameter: the sample rate is not supported.
    """
    if type(rate) is not int or rate not in RATES:
        raise InvalidParameter("rate", rate, f"one of {', '.join(map(str, RATES))}")


class Sound(Protocol):
    """Protocol for audio that a party says or hears, rendered piece by piece."""

    @property
    def duration(self) -> float:
        """Duration in seconds."""

    def samples_at(self, rate: int) -> int:
        """Return the number of samples at a sample rate."""

    def render(self, start: int, count: int, rate: int) -> bytes:
        """Return exactly ``count`` samples as PCM, padded with silence.

        :param start: index of the first sample at the requested rate.
        :param count: number of samples.
        :param rate: sample rate of the result in Hz.
        """


@frozen
class Voice:
    """A party's speech, with silence before and after it.

    :ivar pcm: 16-bit little-endian mono PCM.
    :ivar rate: sample rate in Hz.
    """

    pcm: bytes = field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    rate: int = TELEPHONE

    @property
    def duration(self) -> float:
        """Duration in seconds."""
        return len(self.pcm) / 2 / self.rate

    def samples_at(self, rate: int) -> int:
        """Return the number of samples at another sample rate."""
        return -(-len(self.pcm) // 2 * rate // self.rate)

    def render(self, start: int, count: int, rate: int) -> bytes:
        """Return exactly ``count`` samples as PCM, padded with silence.

        If ``rate`` differs from the voice's rate, the voice is resampled. Without the ``dsp`` extra, it is interpolated
        instead, which is good enough for speech recognition.

        :param start: index of the first sample at the requested rate.
        :param count: number of samples.
        :param rate: sample rate of the result in Hz.
        """
        if rate == self.rate:
            return self._cut(start, count)
        spoken = max(0, min(count, self.samples_at(rate) - start))
        if not spoken:
            return bytes(2 * count)
        return convert(self._cut, (self.rate, rate), start, spoken).ljust(2 * count, b"\0")

    def interpolate(self, start: int, count: int, rate: int) -> bytes:
        """Render samples like :meth:`render`, but resample in pure Python.

        The samples are interpolated linearly to a common multiple of both rates and then averaged.
        """
        return _interpolated(self._cut, (self.rate, rate), start, count)

    def _cut(self, first: int, count: int) -> bytes:
        missing = bytes(2 * min(count, max(0, -first)))
        return (missing + self.pcm[2 * max(0, first) : max(0, 2 * (first + count))]).ljust(2 * count, b"\0")


def convert(cut: Cut, rates: tuple[int, int], start: int, count: int) -> bytes:
    """Return ``count`` samples of audio at another sample rate.

    The audio is resampled. Without the ``dsp`` extra, it is interpolated instead.

    :param cut: function that returns the audio's samples.
    :param rates: sample rates of the audio and the result, in Hz.
    :param start: index of the result's first sample.
    :param count: number of samples in the result.
    """
    resample = _resample()
    if resample is None:
        return _interpolated(cut, rates, start, count)
    return _part(resample, cut, rates, start, count)


def _interpolated(cut: Cut, rates: tuple[int, int], start: int, count: int) -> bytes:
    shared = gcd(*rates)
    down, up = rates[0] // shared, rates[1] // shared
    first = start * down // up
    source = array("h", cut(first, (count * down) // up + 3))
    if sys.byteorder == "big":
        source.byteswap()
    out = array("h", bytes(2 * count))
    for index in range(count):
        total = 0
        for fine in range((start + index) * down, (start + index + 1) * down):
            at, part = divmod(fine, up)
            left, right = source[at - first], source[at - first + 1]
            total += left * up + (right - left) * part
        out[index] = total // (up * down)
    if sys.byteorder == "big":
        out.byteswap()
    return out.tobytes()


def _part(resample: Resample, cut: Cut, rates: tuple[int, int], start: int, count: int) -> bytes:
    """Resample part of some audio. The result matches the same part of the fully resampled audio.

    :param resample: function that resamples PCM.
    :param cut: function that returns the audio's samples.
    :param rates: sample rates of the audio and the result, in Hz.
    :param start: index of the result's first sample.
    :param count: number of samples in the result.
    """
    shared = gcd(*rates)
    down, up = rates[0] // shared, rates[1] // shared
    # The filter spans 24 samples of the lower rate on each side. The result is the same as for the complete PCM only if whole
    # blocks of ``down`` input samples and ``up`` output samples are resampled.
    reach = -(-25 * max(up, down) // (up * down))
    first, last = start // up - reach, -(-(start + count) // up) + reach
    made = resample(cut(first * down, (last - first) * down), *rates)
    return made[2 * (start - first * up) : 2 * (start - first * up + count)]


@cache
def _resample() -> Resample | None:
    """Return the resampling function, or ``None`` if the ``dsp`` extra is not installed."""
    try:
        from ...audio.dsp import resample
    except ImportError:
        return None
    return resample


SILENCE = Voice(b"")


def mix(one: bytes, other: bytes) -> bytes:
    """Mix two pieces of 16-bit PCM with the same length and sample rate. The result is clipped."""
    first, second = array("h", one), array("h", other)
    if sys.byteorder == "big":
        first.byteswap()
        second.byteswap()
    both = array("h", (max(-32768, min(32767, a + b)) for a, b in zip(first, second, strict=True)))
    if sys.byteorder == "big":
        both.byteswap()
    return both.tobytes()


def load_voice(what: str | os.PathLike[str] | bytes | Voice | None, name: str) -> Voice:
    """Load speech from a file or from bytes.

    :param what: path or content of a WAV file (mono at 8, 16, 24 or 48 kHz), or 16-bit PCM at 8 kHz.
    :param name: parameter name for error messages.
    :raises InvalidParameter: the audio format is not supported.
    :raises OSError: the file cannot be read.
    """
    if what is None:
        return SILENCE
    if isinstance(what, Voice):
        return what
    if isinstance(what, bytes | bytearray | memoryview):
        return _from_bytes(bytes(what), name)
    return voice_of(values.path(name, what, "the path of a WAV file, or bytes"), name, what)


def _from_bytes(data: bytes, name: str) -> Voice:
    shown, kind = f"<{len(data)} bytes>", no_samples(data)
    if kind == "a WAV file":
        return voice_of(io.BytesIO(data), name, shown)
    if kind is not None:
        raise InvalidParameter(name, shown, f"16-bit PCM or a WAV file; this looks like {kind}")
    if len(data) % 2:
        raise InvalidParameter(name, shown, "16-bit PCM (an even number of bytes)")
    return Voice(data)


def voice_of(source: str | os.PathLike[str] | BinaryIO, name: str, shown: object) -> Voice:
    """Load speech from a WAV file.

    :param source: file path or open binary file.
    :param name: parameter name for error messages.
    :param shown: parameter value for error messages.
    :raises InvalidParameter: the audio format is not supported.
    :raises OSError: the file cannot be read.
    """
    try:
        audio = read_wav(source, most=MOST_FILE)
    except ValueError as problem:
        raise InvalidParameter(name, shown, f"a readable WAV file ({problem})") from None
    if audio.channels != 1 or audio.sample_rate not in RATES:
        raise InvalidParameter(name, shown, "a mono WAV at 8, 16, 24 or 48 kHz")
    return Voice(audio.pcm, audio.sample_rate)
