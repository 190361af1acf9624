"""The speech of parties on simulated phones, as samples at the rate that a stream needs. Pure except for reading files."""

from __future__ import annotations

import io
import os
import sys
from array import array
from collections.abc import Callable
from functools import cache
from math import gcd
from typing import BinaryIO, Final, TypeAlias

from attrs import field, frozen

from ...audio.file_kinds import no_samples
from ...audio.wav import PathLike, read_wav
from ...errors import InvalidParameter
from ...params import values

__all__ = ["SILENCE", "TELEPHONE", "Voice", "load_voice", "mix", "voice_of"]

Resample: TypeAlias = Callable[[bytes, int, int], bytes]
RATES = (8000, 16000, 24000, 48000)
TELEPHONE = 8000
#: Maximum bytes of a speech file: over an hour of telephone audio.
MOST_FILE: Final = 64 * 2**20


@frozen
class Voice:
    """Speech: 16-bit little-endian mono PCM with its rate in Hz. Silence precedes and follows it."""

    pcm: bytes = field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    rate: int = TELEPHONE

    @property
    def duration(self) -> float:
        """Seconds of speech."""
        return len(self.pcm) / 2 / self.rate

    def samples_at(self, rate: int) -> int:
        """Return how many samples the speech has at another rate."""
        return -(-len(self.pcm) // 2 * rate // self.rate)

    def render(self, start: int, count: int, rate: int) -> bytes:
        """Return ``count`` samples at ``rate`` from sample ``start`` on, as PCM of exactly twice as many bytes.

        At the voice's own rate the samples are unchanged. At other rates they are resampled if the extra ``dsp`` is installed,
        and
        otherwise interpolated, which suffices for speech recognition.
        """
        if rate == self.rate:
            return self.pcm[max(0, 2 * start) : max(0, 2 * (start + count))].ljust(2 * count, b"\0")
        spoken = max(0, min(count, self.samples_at(rate) - start))
        resample = _resample() if spoken else None
        if resample is None:
            return self.interpolate(start, count, rate)
        return _part(resample, self.pcm, (self.rate, rate), start, spoken).ljust(2 * count, b"\0")

    def interpolate(self, start: int, count: int, rate: int) -> bytes:
        """Do the same as :meth:`render` in pure Python: interpolate linearly up to a common multiple of the rates, then average
        down.
        """
        shared = gcd(rate, self.rate)
        up, down = rate // shared, self.rate // shared
        first = start * down // up
        source = array("h", self.pcm[2 * first : 2 * ((start + count) * down // up + 2)])
        if sys.byteorder == "big":
            source.byteswap()
        source.extend([0] * ((count * down) // up + 3 - len(source)))
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


def _part(resample: Resample, pcm: bytes, rates: tuple[int, int], start: int, count: int) -> bytes:
    """``count`` samples from ``start`` on of what ``resample`` makes of the whole of ``pcm``, without making all of it."""
    shared = gcd(*rates)
    down, up = rates[0] // shared, rates[1] // shared
    # The filter reaches over 24 samples of the lower rate to each side. Whole blocks, of ``down`` samples in and ``up`` out,
    # so that the samples of a part are those of the whole.
    reach = -(-25 * max(up, down) // (up * down))
    first, last = start // up - reach, -(-(start + count) // up) + reach
    missing = max(0, -first) * down
    near = bytes(2 * missing) + pcm[2 * max(0, first) * down : 2 * last * down]
    made = resample(near.ljust(2 * (last - first) * down, b"\0"), *rates)
    return made[2 * (start - first * up) : 2 * (start - first * up + count)]


@cache
def _resample() -> Resample | None:
    """What changes sample rates, where the extra ``dsp`` is installed."""
    try:
        from ...audio.dsp import resample
    except ImportError:
        return None
    return resample


SILENCE = Voice(b"")


def mix(one: bytes, other: bytes) -> bytes:
    """Mix two pieces of 16-bit PCM of the same length and rate, with clipping."""
    first, second = array("h", one), array("h", other)
    if sys.byteorder == "big":
        first.byteswap()
        second.byteswap()
    both = array("h", (max(-32768, min(32767, a + b)) for a, b in zip(first, second, strict=True)))
    if sys.byteorder == "big":
        both.byteswap()
    return both.tobytes()


def load_voice(what: str | os.PathLike[str] | bytes | Voice | None, name: str) -> Voice:
    """Load speech from the path of a WAV file (mono, 8, 16, 24 or 48 kHz) or from bytes (PCM16 at 8 kHz, or such a WAV).

    :param name: the parameter that errors name.
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
        raise InvalidParameter(name, shown, f"16-bit PCM or a WAV file; this starts like {kind}")
    if len(data) % 2:
        raise InvalidParameter(name, shown, "16-bit PCM with an even number of bytes")
    return Voice(data)


def voice_of(source: PathLike | BinaryIO, name: str, shown: object) -> Voice:
    """Load speech from a WAV file.

    :param shown: the value that errors show.
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
