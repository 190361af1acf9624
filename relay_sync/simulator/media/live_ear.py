"""What a party hears, delivered during the call.

The audio consists of what an endpoint plays on a two-way stream, mixed with the audio that recordings contain as well: played
sounds that the test supplied, other parties' voices and echoes. It is delivered in frames of ``FRAME`` seconds, and silence is
delivered too, so the listener can tell silence from a delay. While a two-way stream plays, its frames set the pace, because
waiting for another clock would add a delay. Text to speech is silent, because the simulator cannot synthesize speech.

With ``media="fast"`` there is no clock. Audio is delivered when it is played, and silence is not delivered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from attrs import define, field, frozen

from ...server.loop import Timer
from ..core.noticeboard import Noticeboard
from ..core.world import World
from .hearing import Audible, Ear, Tape, listen_in, stop_listening
from .voice import TELEPHONE, Sound, mix

__all__ = ["HearingCall", "LiveEar", "LiveSound"]

#: Duration of a frame in seconds.
FRAME: Final = 0.02
#: Maximum number of frames that wait to be read. The oldest is dropped.
MOST_UNREAD: Final = 250
#: Time in seconds after which a two-way stream that has played nothing no longer sets the pace.
IDLE: Final = 0.05
#: Difference from the clock in seconds after which the position follows the clock.
ADRIFT: Final = 0.06


@frozen
class LiveSound:
    """Audio that the party heard.

    :ivar at: position in seconds since the ear began to listen to the answered call.
    :ivar pcm: 16-bit little-endian mono PCM.
    :ivar rate: sample rate in Hz. It is the stream's rate while an endpoint plays on a two-way stream.
    """

    at: float
    pcm: bytes = field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    rate: int


class HearingCall(Audible, Protocol):
    """Protocol for the call of a live ear.

    :ivar hears: audio that the party hears from the start of the call.
    :ivar live_ears: live ears of the party.
    """

    hears: Sound
    live_ears: list[LiveEar]


@define(eq=False, kw_only=True)
class LiveEar:
    """Receiver for the audio that a party hears. Instances are returned by :meth:`Phone.listen`. Safe to use from any thread.

    :param world: the simulator's internal state.
    :param call: call whose party listens.
    :param rate: sample rate of audio that does not come from a two-way stream, in Hz.
    :param on_sound: called with each :class:`LiveSound` on the simulator's thread instead of storing it for :meth:`read`.

    :ivar paused: whether audio is discarded instead of delivered.
    :ivar lost: number of frames dropped because they were not read in time.
    """

    _world: World = field(repr=False)
    _call: HearingCall = field(repr=False)
    rate: int = TELEPHONE
    paused: bool = field(default=False, init=False)
    lost: int = field(default=0, init=False)
    on_sound: Callable[[LiveSound], object] | None = field(default=None, repr=False)
    _unread: deque[LiveSound] = field(factory=deque, init=False, repr=False)
    _board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)
    _tape: Tape = field(factory=Tape, init=False, repr=False)
    _ear: Ear | None = field(default=None, init=False, repr=False)
    _timer: Timer | None = field(default=None, init=False, repr=False)
    _began: float = field(default=0.0, init=False, repr=False)
    _ticks: int = field(default=0, init=False, repr=False)
    _streamed: float | None = field(default=None, init=False, repr=False)  # when a two-way stream last played
    _position: float = field(default=0.0, init=False, repr=False)
    _over: bool = field(default=False, init=False, repr=False)

    def read(self, timeout: float = 10.0) -> LiveSound | None:
        """Return the next frame, or ``None`` if the call has ended and all frames have been read.

        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: there was no frame within ``timeout`` seconds.
        """

        def look() -> tuple[LiveSound | None] | None:
            over = self._over
            try:
                return (self._unread.popleft(),)
            except IndexError:
                return (None,) if over else None

        (sound,) = self._board.wait_for(look, timeout, "audio that the party hears")
        return sound

    def close(self) -> None:
        """Stop listening."""
        if self._world.loop.on_loop_thread:
            self.stop()
        else:
            self._world.loop.call_soon(self.stop)

    # -- on the loop thread --------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start to deliver audio. Do nothing if the ear has started."""
        if self._ear is not None or self._over:
            return
        hurried = self._world.settings.media == "fast"
        self._tape.base = self._call.hears
        self._began = self._world.clock.now
        self._ear = Ear(tape=self._tape, now=self._now, hurried=hurried, grown=self._grown, waited_for=True)
        self._call.live_ears.append(self)
        listen_in(self._call, self._ear)
        if hurried:
            self._grown()
        else:
            self._later()

    def stop(self) -> None:
        """Stop to deliver audio."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._ear is not None:
            stop_listening(self._call, self._ear)
            if self in self._call.live_ears:
                self._call.live_ears.remove(self)
        self._board.changed()

    def streamed(self, pcm: bytes, samples: int, rate: int) -> None:
        """Deliver what an endpoint plays on a two-way stream.

        :param pcm: the audio, which may be shorter than the interval.
        :param samples: length of the interval in samples.
        :param rate: sample rate in Hz.
        """
        if self._over:
            return
        self._streamed = self._world.clock.now
        self._deliver(pcm.ljust(2 * samples, b"\0"), samples, rate)

    def _now(self) -> float:
        return self._position

    def _grown(self) -> None:
        if self._world.settings.media == "fast" and not self._over:
            samples = self._tape.samples_at(self.rate) - round(self._position * self.rate)
            while samples > 0:  # in parts, because a reader over a socket refuses what is too long
                part = min(samples, self.rate)
                self._deliver(b"", part, self.rate)
                samples -= part
        else:
            self._tape.forget(self._position)

    def _later(self) -> None:
        due = self._began + self._ticks * FRAME
        self._timer = self._world.clock.at(due, self._tick)

    def _tick(self) -> None:
        if self._over:
            return
        now = self._world.clock.now
        # Frames that are due are delivered late, unless the process was suspended for longer than a reader is waited for.
        suspended = int((self._world.loop.time() - self._began) / FRAME) - MOST_UNREAD
        self._ticks = max(self._ticks + 1, suspended)
        if self._streamed is None or now - self._streamed >= IDLE:
            self._streamed = None
            self._deliver(b"", round(FRAME * self.rate), self.rate)
        self._later()

    def _deliver(self, pcm: bytes, samples: int, rate: int) -> None:
        if self._world.settings.media != "fast":
            passed = self._world.clock.now - self._began
            if abs(passed - self._position) > ADRIFT:
                self._position = passed
        if self._tape.duration > self._position or not pcm:
            other = self._tape.render(round(self._position * rate), samples, rate)
            pcm = mix(pcm, other) if pcm else other
        sound = LiveSound(round(self._position, 6), pcm, rate)
        self._position += samples / rate
        if self.paused:
            return
        if self.on_sound is not None:
            self.on_sound(sound)
            return
        self._unread.append(sound)
        if len(self._unread) > MOST_UNREAD:
            self._unread.popleft()
            self.lost += 1
        self._board.changed()
