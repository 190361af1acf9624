"""Speech that is supplied during the call, for example from a microphone."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from typing import Final, Protocol

from attrs import define, field

from ...errors import InvalidParameter
from ..core.settings import Settings
from ..core.world import World
from .jitter_buffer import JitterBuffer
from .voice import TELEPHONE, check_rate, convert

__all__ = ["LiveVoice", "Speaking", "check_free"]

#: Rendered audio that is kept for streams that are behind, in seconds.
KEPT: Final = 5.0
#: Duration in seconds that never ends within a call: a day.
ENDLESS: Final = 86_400.0
#: Peak from which audio counts as speech.
LOUD: Final = 1_000
#: Peak below which audio is silence.
QUIET: Final = 300
#: Silence in seconds after which a party no longer speaks.
PAUSE: Final = 0.3


class Speaking(Protocol):
    """Protocol for the call of a live voice."""

    def speak(self) -> float:
        """Start the party's speech if it has not started, and return the simulated seconds since it started."""


@define(eq=False)
class LiveVoice:
    """Speech of a party that is fed during the call. Safe to use from any thread.

    ::

        voice = LiveVoice(rate=16000)
        phone = sim.call(to="+15550100", from_="+15550199", says=voice)
        ...
        voice.feed(pcm)  # 20 ms from a microphone, every 20 ms

    In real time, the audio passes through a jitter buffer, which drops audio that is more than half a second ahead. With
    ``media="fast"`` there is no clock, and streams send audio immediately. Audio that is fed before the call exists is dropped.
    A voice serves one call.

    :param rate: sample rate in Hz: 8000, 16000, 24000 or 48000.
    :raises InvalidParameter: the sample rate is not supported.

    :ivar muted: whether silence replaces the audio that is fed.
    """

    rate: int = TELEPHONE
    muted: bool = field(default=False, init=False)
    _buffer: JitterBuffer = field(init=False, repr=False)
    _world: World | None = field(default=None, init=False, repr=False)
    _call: Speaking | None = field(default=None, init=False, repr=False)
    _loud: int | None = field(default=None, init=False, repr=False)  # end of the last speech
    _growing: list[Callable[[], object]] = field(factory=list, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check_rate(self.rate)
        self._buffer = JitterBuffer(self.rate, KEPT)

    def feed(self, pcm: bytes, at: int | None = None) -> None:
        """Add audio.

        :param pcm: 16-bit little-endian mono PCM.
        :param at: position of the first sample by the sender's count, which starts anywhere; ``None`` continues the previous
            audio. Samples that the sender has skipped become silence.
        :raises InvalidParameter: ``pcm`` has an odd number of bytes, or ``at`` is not a whole number of at least 0.
        """
        if len(pcm) % 2:
            raise InvalidParameter("pcm", f"<{len(pcm)} bytes>", "16-bit PCM (an even number of bytes)")
        if at is not None and (type(at) is not int or at < 0):
            raise InvalidParameter("at", at, "a whole number of samples, at least 0")
        world = self._world
        if world is None or not pcm:
            return
        if world.loop.on_loop_thread:
            self._take(bytes(pcm), at)
        else:
            world.loop.call_soon(self._take, bytes(pcm), at)

    @property
    def late(self) -> int:
        """The number of times that audio arrived too late to be sent, so that silence was sent instead."""
        return self._buffer.late

    @property
    def trimmed(self) -> float:
        """The seconds of audio removed so far to keep the delay short."""
        return self._buffer.trimmed / self.rate

    # -- used by calls, on the loop thread -----------------------------------------------------------------------------

    @property
    def taken(self) -> bool:
        """Whether the voice belongs to a call."""
        return self._world is not None

    @property
    def talking(self) -> bool:
        """Whether the party is speaking now, judged by the loudness."""
        return self._loud is not None and self._now() - self._loud < PAUSE * self.rate

    def attach(self, world: World, call: Speaking) -> None:
        """Start the speech of a call with this voice.

        :param world: the simulator's internal state.
        :param call: the call.
        """
        self._world, self._call = world, call
        call.speak()

    def remember(self) -> None:
        """Keep as much audio as a recording may need."""
        if self._world is not None:
            self._buffer.kept = self._world.settings.record_seconds

    def follow(self, grown: Callable[[], object]) -> None:
        """Register a function to call after audio was added, if there is no clock.

        :param grown: the function.
        """
        self._growing.append(grown)

    @property
    def duration(self) -> float:
        """Duration in seconds: a day in real time, and that of the audio fed so far if there is no clock."""
        return self._buffer.end / self.rate if self._hurried else ENDLESS

    def samples_at(self, rate: int) -> int:
        """Return the number of samples at another sample rate.

        :param rate: sample rate in Hz.
        """
        return -(-self._buffer.end * rate // self.rate) if self._hurried else round(ENDLESS * rate)

    def render(self, start: int, count: int, rate: int) -> bytes:
        """Return exactly ``count`` samples as PCM, padded with silence.

        :param start: index of the first sample at the requested rate.
        :param count: number of samples.
        :param rate: sample rate of the result in Hz.
        """
        self._buffer.rendered = max(self._buffer.rendered, -(-(start + count) * self.rate // rate))
        if rate == self.rate:
            return self._buffer.cut(start, count)
        return convert(self._buffer.cut, (self.rate, rate), start, count)

    @property
    def _hurried(self) -> bool:
        return self._world is not None and self._world.settings.media == "fast"

    def _now(self) -> int:
        """Return the current position in the speech, in samples."""
        if self._hurried or self._call is None:
            return self._buffer.end
        return round(self._call.speak() * self.rate)

    def _take(self, pcm: bytes, at: int | None) -> None:
        if self.muted:
            pcm = bytes(len(pcm))
        if not self._hurried:
            peak = _peak(pcm)
            end = self._buffer.take(pcm, at, self._now(), quiet=peak < QUIET)
            if peak > LOUD:
                self._loud = end
            return
        self._buffer.append(pcm)
        for grown in self._growing:
            grown()


def _peak(pcm: bytes) -> int:
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return max(max(samples), -min(samples))


def check_free(name: str, voice: object, settings: Settings) -> None:
    """Check that a call of a simulator can use a voice.

    :param name: parameter name for error messages.
    :param voice: the voice.
    :param settings: the simulator's settings.
    :raises InvalidParameter: the value is not a voice, the voice belongs to a call, or the simulator's ``speed`` is not 1.
    """
    if not isinstance(voice, LiveVoice):
        raise InvalidParameter(name, voice, "a LiveVoice")
    if voice.taken:
        raise InvalidParameter(name, voice, "a LiveVoice that no other call uses")
    if settings.media != "fast" and settings.speed != 1.0:
        raise InvalidParameter(name, voice, f"a recorded voice, because the simulator's speed is {settings.speed:g}")
