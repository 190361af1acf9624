"""Changing the sample rate, and numpy views of PCM: the extra ``dsp``.

Resampling is a polyphase FIR filter: a sinc in a Kaiser window that spans 24 samples of the lower rate on each side. It
preserves 85 % of the band of the lower rate (3.4 of 4 kHz) and suppresses aliases. The table shows the ratio of the signal to
everything else in dB, measured with tones of amplitude 16000; with 16-bit rounding alone, the limit is 98 dB minus the tone's
level below full scale:

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

A tone of 4.7 kHz, which 8 kHz cannot carry, is 88 dB lower after 16 to 8 and 94 dB lower after 48 to 8.

Coefficients and intermediate sums are whole numbers, exact in a float, so the result does not depend on how the audio is cut
into frames, on the machine or on the version of numpy.
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
    if _missing.name != "numpy":  # it is installed, but something that it needs fails
        raise
    raise ImportError(
        'resampling and numpy views need the numpy package, version 1.26 or later: pip install "numpy>=1.26"'
    ) from _missing

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Resampler", "Resamplers", "as_float32", "as_int16", "check_sample_rate", "resample"]

HALF = 24  # samples of the lower rate on each side of the filter's middle
BETA = 9.0  # of the Kaiser window: 90 dB
SCALE = 2.0**28  # of the coefficients; sums stay below 2**53
HIGHEST = 384_000  # Hz
FINEST = 1000  # of the two numbers that the ratio of the rates comes down to
PIECE = 2048  # samples worked on at a time: for the rates of telephones too little for numpy to share among threads


@frozen
class _Filter:
    """The coefficients for one pair of rates: *up* samples come out for every *down* that go in.

    :ivar first: the first input sample that counts, seen from the first of a block; negative.
    :ivar matrix: a row for each input sample that counts for a block, a column for each sample that comes out.
    :ivar delay: samples of the output.
    """

    up: int
    down: int
    first: int
    delay: int
    matrix: NDArray[np.float64] = field(repr=False, eq=False)


@lru_cache(maxsize=32)  # a carrier may announce any rate
def _filter(up: int, down: int) -> _Filter:
    coarse = max(up, down)  # a sample of the lower rate, on the grid that both rates share
    middle = down * ceil(HALF * coarse / down)  # whole samples of the output, so that sound can be lined up again
    first, last = -(2 * middle // up), (up - 1) * down // up
    # The place of each input sample in the filter, for each of the outputs.
    place = np.arange(up) * down - np.arange(first, last + 1)[:, None] * up - middle
    inside = np.abs(place) <= middle
    window = np.i0(BETA * np.sqrt(np.clip(1.0 - (place / middle) ** 2, 0.0, None))) / np.i0(BETA)
    matrix = np.where(inside, np.sinc(place / coarse) * window, 0.0)
    matrix = np.rint(matrix / matrix.sum(axis=0) * SCALE)
    # A constant stays what it is, to the last bit: the largest coefficient takes up what rounding left.
    matrix[np.abs(matrix).argmax(axis=0), np.arange(up)] += SCALE - matrix.sum(axis=0)
    return _Filter(up, down, first, middle // down, matrix)


def _check_rate(name: str, rate: object) -> None:
    if not isinstance(rate, int) or not 1 <= rate <= HIGHEST:
        raise InvalidParameter(name, rate, f"whole Hz from 1 to {HIGHEST}")


def _check_ratio(name: str, from_rate: int, to_rate: int) -> None:
    _check_rate(name, to_rate)
    if max(from_rate, to_rate) // gcd(from_rate, to_rate) > FINEST:
        raise InvalidParameter(name, to_rate, f"in a simpler ratio to {from_rate} Hz: of numbers up to {FINEST}")


def check_sample_rate(rate: int) -> None:
    """Check that frames can have this sample rate.

    :raises InvalidParameter: the rate is invalid.
    """
    _check_rate("sample_rate", rate)
    if max(rate, 48000) // gcd(rate, 48000) > FINEST:
        raise InvalidParameter("sample_rate", rate, "a usual rate such as 8000, 16000, 24000, 44100 or 48000 Hz")


class Resampler:
    """Changes the sample rate of one track, frame by frame.

    After *n* input samples, exactly ``n * to_rate // from_rate`` samples have been returned: each frame of 20 ms returns a
    frame of 20 ms. The result does not depend on how the audio is cut into frames. The audio is delayed by :attr:`delay`
    seconds (3 ms if the lower rate is 8000 Hz). Not thread-safe.

    :param from_rate: sample rate of the input in Hz, up to 384000.
    :param to_rate: sample rate of the output in Hz, up to 384000. The ratio of both rates must reduce to numbers of at most
        1000, as for 44100 and 48000 (147 to 160).
    :raises InvalidParameter: a rate or the ratio is invalid.
    :raises ImportError: the extra ``dsp`` is not installed.
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
        """The delay of the output in seconds."""
        return 0.0 if self._filter is None else self._filter.delay / self.to_rate

    def reset(self) -> None:
        """Discard the state, so that other audio can follow."""
        self._taken = self._given = 0  # samples, in and out
        # The input from the first sample on that still counts.
        self._recent = np.zeros(0 if self._filter is None else -self._filter.first)

    def process(self, pcm: bytes) -> bytes:
        """Return the samples that are due after *pcm*.

        :param pcm: 16-bit signed little-endian mono.
        :raises InvalidParameter: *pcm* has an odd number of bytes.
        """
        if len(pcm) % 2:
            raise InvalidParameter("pcm", f"<{len(pcm)} bytes>", "16-bit PCM, so an even number of bytes")
        form = self._filter
        if form is None:
            return bytes(pcm)
        if len(pcm) <= 2 * PIECE:
            return self._process(form, pcm)
        return b"".join(self._process(form, pcm[start : start + 2 * PIECE]) for start in range(0, len(pcm), 2 * PIECE))

    def _process(self, form: _Filter, pcm: bytes) -> bytes:
        self._recent = recent = np.concatenate((self._recent, np.frombuffer(pcm, "<i2")))
        self._taken += len(pcm) // 2
        # Blocks of `up` samples out and `down` in are what repeats; the first and the last may be needed in part.
        begin, due = self._given, self._taken * form.up // form.down
        block = begin // form.up
        blocks = -(-due // form.up) - block
        if due == begin:
            return b""
        width = len(form.matrix)
        lacking = (blocks - 1) * form.down + width - len(recent)
        if lacking > 0:  # only for outputs that are not due yet
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
        """Return the last :attr:`delay` seconds of the audio, then :meth:`reset`."""
        form, tail = self._filter, b""
        if form is not None:
            due = self._given + form.delay
            missing = -(-due * form.down // form.up) - self._taken
            begin = self._given
            tail = self.process(bytes(2 * missing))[: 2 * (due - begin)]
        self.reset()
        return tail


class Resamplers:
    """A :class:`Resampler` for each track, created when it is first needed.

    :param name: the caller's name for *to_rate*, for error messages.
    :raises InvalidParameter: as :class:`Resampler`.
    """

    def __init__(self, from_rate: int, to_rate: int, *, name: str = "to_rate") -> None:
        self._rates = (from_rate, to_rate)
        _check_rate("from_rate", from_rate)
        _check_ratio(name, from_rate, to_rate)
        self._tracks: dict[str, Resampler] = {}

    def process(self, track: str, pcm: bytes) -> bytes:
        """The samples of a track that are due after *pcm*."""
        resampler = self._tracks.get(track)
        if resampler is None:
            resampler = self._tracks[track] = Resampler(*self._rates)
        return resampler.process(pcm)


def resample(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """Return a complete sound at another sample rate, without delay and with the same duration (to the next whole sample).

    :param pcm: 16-bit signed little-endian mono.
    :param from_rate: sample rate of *pcm* in Hz.
    :param to_rate: sample rate of the result in Hz.
    :raises InvalidParameter: as for :class:`Resampler` and its :meth:`~Resampler.process`.
    :raises ImportError: the extra ``dsp`` is not installed.
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
    """The samples as a numpy array that shares the bytes and cannot be written to."""
    return np.frombuffer(pcm, "<i2")


def as_float32(pcm: bytes) -> NDArray[np.float32]:
    """The samples as a new numpy array, from -1.0 to just below 1.0."""
    return as_int16(pcm).astype(np.float32) / np.float32(32768)


Resampler.__module__ = resample.__module__ = "relay_sync.audio"
