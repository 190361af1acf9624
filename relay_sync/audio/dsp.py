"""Sample rate conversion and numpy views of PCM. Requires the ``dsp`` extra.

The resampler is a polyphase FIR filter: a Kaiser-windowed sinc that spans 24 lower-rate samples on each side. It preserves
85 % of the lower rate's bandwidth (3.4 of 4 kHz) and suppresses aliases. The table shows the signal-to-noise ratio in dB,
including distortion, measured with tones of amplitude 16000. Rounding to 16 bits limits the ratio to 98 dB minus the tone's level
below full scale.

============  =====  =======    ============  =====  =======
rates in kHz  1 kHz  3.3 kHz    rates in kHz  1 kHz  3.3 kHz
============  =====  =======    ============  =====  =======
8 to 16       98     88         24 to 8       97     92
8 to 24       95     87         24 to 16      98     92
8 to 48       91     87         24 to 48      89     90
16 to 8       97     90         48 to 8       97     90
16 to 24      95     90         48 to 16      98     92
16 to 48      91     90         48 to 24      94     93
============  =====  =======    ============  =====  =======

A 4.7 kHz tone, which cannot be represented at 8 kHz, is attenuated by 88 dB when converting from 16 to 8 kHz, and by 94 dB
when converting from 48 to 8 kHz.

All coefficients and intermediate sums are integers that a float represents exactly. The result therefore does not depend on
frame boundaries, the machine, or the numpy version.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING

from attrs import field, frozen

from ..errors import InvalidParameter

try:
    import numpy as np
except ImportError as _missing:
    if _missing.name != "numpy":  # numpy is installed, but one of its own imports failed
        raise
    raise ImportError(
        'resampling and numpy views need the numpy package, version 1.26 or later: pip install "numpy>=1.26"'
    ) from _missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Resampler", "Resamplers", "as_float32", "as_int16", "check_sample_rate", "resample"]

HALF = 24  # samples of the lower rate on each side of the filter's center
BETA = 9.0  # parameter of the Kaiser window, for an attenuation of 90 dB
SCALE = 2.0**28  # scale of the integer coefficients; sums stay below 2**53
HIGHEST = 384_000  # maximum sample rate in Hz
FINEST = 1000  # maximum of each term in the reduced ratio of the rates
PIECE = 2048  # samples processed at a time; at telephone rates, numpy does not start threads for so few samples


@frozen
class _Filter:
    """Filter coefficients for one pair of sample rates.

    The filter processes audio in blocks of ``down`` input samples, each of which yields ``up`` output samples.

    :ivar first: index of the first input sample that affects a block, relative to the start of the block; negative.
    :ivar delay: output delay in output samples.
    :ivar matrix: coefficients, with a row for each input sample that affects a block and a column for each output sample.
    """

    up: int
    down: int
    first: int
    delay: int
    matrix: NDArray[np.float64] = field(repr=False, eq=False)


@lru_cache(maxsize=32)  # a carrier may announce any rate
def _filter(up: int, down: int) -> _Filter:
    coarse = max(up, down)  # sample period of the lower rate, in steps of the least common multiple of both rates
    middle = down * ceil(HALF * coarse / down)  # a whole number of output samples, so the delay can be removed exactly
    first, last = -(2 * middle // up), (up - 1) * down // up
    # Position of each input sample in the filter, for each output sample.
    place = np.arange(up) * down - np.arange(first, last + 1)[:, None] * up - middle
    inside = np.abs(place) <= middle
    window = np.i0(BETA * np.sqrt(np.clip(1.0 - (place / middle) ** 2, 0.0, None))) / np.i0(BETA)
    matrix = np.where(inside, np.sinc(place / coarse) * window, 0.0)
    matrix = np.rint(matrix / matrix.sum(axis=0) * SCALE)
    # Add the rounding error of each column to its largest coefficient, so that a constant signal is unchanged.
    matrix[np.abs(matrix).argmax(axis=0), np.arange(up)] += SCALE - matrix.sum(axis=0)
    return _Filter(up, down, first, middle // down, matrix)


def _check_rate(name: str, rate: object) -> None:
    if not isinstance(rate, int) or not 1 <= rate <= HIGHEST:
        raise InvalidParameter(name, rate, f"a whole number of Hz from 1 to {HIGHEST}")


def _check_ratio(name: str, from_rate: int, to_rate: int) -> None:
    _check_rate(name, to_rate)
    if max(from_rate, to_rate) // gcd(from_rate, to_rate) > FINEST:
        raise InvalidParameter(name, to_rate, f"a rate whose ratio to {from_rate} Hz reduces to numbers up to {FINEST}")


def check_sample_rate(rate: int) -> None:
    """Check that a sample rate is supported for frames.

    :raises InvalidParameter: the rate is invalid.
    """
    _check_rate("sample_rate", rate)
    if max(rate, 48000) // gcd(rate, 48000) > FINEST:
        raise InvalidParameter("sample_rate", rate, "a usual rate such as 8000, 16000, 24000, 44100 or 48000 Hz")


class Resampler:
    """Sample rate converter that processes one track frame by frame.

    After ``n`` input samples, the resampler has returned exactly ``n * to_rate // from_rate`` output samples, so a 20 ms frame
    yields a 20 ms frame. The result does not depend on how the audio is divided into frames. The audio is delayed by
    :attr:`delay` seconds, which is 3 ms if the lower rate is 8000 Hz. Instances are not thread-safe.

    :param from_rate: input sample rate in Hz, up to 384000.
    :param to_rate: output sample rate in Hz, up to 384000. When the ratio of the rates is reduced, both terms must be at most
        1000. For example, 44100 and 48000 reduce to 147 and 160.
    :raises InvalidParameter: a rate or the ratio is invalid.
    :raises ImportError: the ``dsp`` extra is not installed.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        _check_rate("from_rate", from_rate)
        _check_ratio("to_rate", from_rate, to_rate)
        shared = gcd(from_rate, to_rate)
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._filter = None if from_rate == to_rate else _filter(to_rate // shared, from_rate // shared)
        self.reset()

    def __repr__(self) -> str:
        return f"<Resampler {self.from_rate} Hz to {self.to_rate} Hz>"

    @property
    def delay(self) -> float:
        """Output delay in seconds."""
        return 0.0 if self._filter is None else self._filter.delay / self.to_rate

    def reset(self) -> None:
        """Reset the state before processing unrelated audio."""
        self._taken = self._given = 0  # number of input and output samples
        # Recent input that later output still depends on.
        self._recent = np.zeros(0 if self._filter is None else -self._filter.first)

    def process(self, pcm: bytes) -> bytes:
        """Resample PCM and return the output that is available so far.

        :param pcm: 16-bit signed little-endian mono PCM.
        :raises InvalidParameter: ``pcm`` has an odd number of bytes.
        """
        if len(pcm) % 2:
            raise InvalidParameter("pcm", f"<{len(pcm)} bytes>", "16-bit PCM (an even number of bytes)")
        form = self._filter
        if form is None:
            return bytes(pcm)
        if len(pcm) <= 2 * PIECE:
            return self._process(form, pcm)
        return b"".join(self._process(form, pcm[start : start + 2 * PIECE]) for start in range(0, len(pcm), 2 * PIECE))

    def _process(self, form: _Filter, pcm: bytes) -> bytes:
        self._recent = recent = np.concatenate((self._recent, np.frombuffer(pcm, "<i2")))
        self._taken += len(pcm) // 2
        # Compute whole blocks of `up` output samples. The first and the last block may be needed only partially.
        begin, due = self._given, self._taken * form.up // form.down
        block = begin // form.up
        blocks = -(-due // form.up) - block
        if due == begin:
            return b""
        width = len(form.matrix)
        lacking = (blocks - 1) * form.down + width - len(recent)
        if lacking > 0:  # affects only output that is not due yet
            recent = np.concatenate((recent, np.zeros(lacking)))
        step = recent.strides[0]
        windows = np.lib.stride_tricks.as_strided(recent, (blocks, width), (form.down * step, step), writeable=False)
        sums = (np.ascontiguousarray(windows) @ form.matrix).reshape(-1)[
            begin - block * form.up : due - block * form.up
        ]
        self._given = due
        self._recent = self._recent[(due // form.up - block) * form.down :]
        return np.clip(np.floor(sums / SCALE + 0.5), -32768, 32767).astype("<i2").tobytes()

    def flush(self) -> bytes:
        """Return the last :attr:`delay` seconds of the audio, then reset the state."""
        form, tail = self._filter, b""
        if form is not None:
            due = self._given + form.delay
            missing = -(-due * form.down // form.up) - self._taken
            begin = self._given
            tail = self.process(bytes(2 * missing))[: 2 * (due - begin)]
        self.reset()
        return tail


class Resamplers:
    """Resamplers for several tracks. Each track's :class:`Resampler` is created on first use.

    :param from_rate: input sample rate in Hz.
    :param to_rate: output sample rate in Hz.
    :param name: the caller's name for the output rate, for error messages.
    :raises InvalidParameter: a rate or the ratio is invalid, as for :class:`Resampler`.
    """

    def __init__(self, from_rate: int, to_rate: int, *, name: str = "to_rate") -> None:
        self._rates = (from_rate, to_rate)
        _check_rate("from_rate", from_rate)
        _check_ratio(name, from_rate, to_rate)
        self._tracks: dict[str, Resampler] = {}

    def process(self, track: str, pcm: bytes) -> bytes:
        """Resample a track's PCM, as :meth:`Resampler.process` does."""
        resampler = self._tracks.get(track)
        if resampler is None:
            resampler = self._tracks[track] = Resampler(*self._rates)
        return resampler.process(pcm)


def resample(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """Resample a complete audio clip.

    The result has no delay and the same duration as ``pcm``, rounded up to a whole sample.

    :param pcm: 16-bit signed little-endian mono PCM.
    :param from_rate: sample rate of ``pcm`` in Hz.
    :param to_rate: sample rate of the result in Hz.
    :raises InvalidParameter: as for :class:`Resampler` and :meth:`Resampler.process`.
    :raises ImportError: the ``dsp`` extra is not installed.
    """
    resampler = Resampler(from_rate, to_rate)
    samples = -(-len(pcm) // 2 * to_rate // from_rate)
    delayed = round(resampler.delay * to_rate)
    more = -(-(samples + delayed) * from_rate // to_rate) - len(pcm) // 2
    if not delayed:
        return resampler.process(pcm)
    whole = resampler.process(pcm) + resampler.process(bytes(2 * more))
    return whole[2 * delayed : 2 * (delayed + samples)]


def as_int16(pcm: bytes) -> NDArray[np.int16]:
    """Return the samples as a read-only numpy array that shares memory with ``pcm``."""
    return np.frombuffer(pcm, "<i2")


def as_float32(pcm: bytes) -> NDArray[np.float32]:
    """Return the samples as a new numpy array of floats in [-1.0, 1.0)."""
    return as_int16(pcm).astype(np.float32) / np.float32(32768)


Resampler.__module__ = resample.__module__ = "relay_sync.audio"
