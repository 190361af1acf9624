"""Detect likely mistakes in a stream's audio: a wrong codec or sample rate, a file header, or only silence.

The checks run on the receiving thread, so they are cheap. Each check examines a stream's first frames and stops once it has a
result.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable

from attrs import define, field

__all__ = ["Diagnosis", "is_silent"]

_FRAMES = 50  # number of frames of a track whose duration is compared with their timestamps
_LAW = 50  # number of G.711 payloads examined to distinguish mu-law from A-law
SILENCE = 10.0  # seconds of silence after which a warning is logged
_QUIET = 64  # samples of a lower magnitude are silence: even an idle line has some noise
_CONTAINERS = (
    (b"RIFF", "a WAV file"),
    (b"OggS", "an Ogg file"),
    (b"ID3", "an MP3 file"),
    (b"fLaC", "a FLAC file"),
    (b"caff", "a CAF file"),
    (b".snd", "an AU file"),
    (b"\x1a\x45\xdf\xa3", "a WebM file"),
)
_MULAW_QUIET = bytes([*range(0x70, 0x80), *range(0xF0, 0x100)])  # the codes of the quietest samples
_ALAW_QUIET = bytes([*range(0x50, 0x60), *range(0xD0, 0xE0)])

Tell = Callable[..., None]


def is_silent(pcm: bytes) -> bool:
    """Return whether 16-bit little-endian PCM contains no audible sound."""
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    # Check a few samples first, because they are enough for nearly all audible frames.
    if any(not -_QUIET < each < _QUIET for each in samples[:: len(samples) // 8 or 1]):
        return False
    return not samples or (max(samples) < _QUIET and min(samples) > -_QUIET)


@define(eq=False)
class _Clock:
    """Amount of audio in a track's first frames, and the numbers of the first one."""

    timestamp: float
    chunk: int
    frames: int = 0
    samples: int = 0


@define(eq=False, kw_only=True)
class Diagnosis:
    """Diagnostic checks for one stream's audio.

    :param name: name of the codec used to decode the audio.
    :param encoding: encoding announced in the ``start`` message.
    :param sample_rate: sample rate of the decoded audio in Hz.
    :param tell: function that logs a warning, called with the warning's kind, a format string and its arguments.
    :param two_way: whether the stream is two-way. Silence is not reported on two-way streams, because the remote party listens
        while audio is played.
    """

    name: str
    encoding: str
    sample_rate: int
    tell: Tell
    two_way: bool = False
    _heard: bool = field(init=False)  # whether the silence check is finished
    _silent: dict[str, float] = field(factory=dict)  # seconds of silence by track
    _started: set[str] = field(factory=set)
    _clocks: dict[str, _Clock] = field(factory=dict)
    _clocked: bool = False
    _laws: int = 0
    _mulaw: int = 0
    _alaw: int = 0
    _bytes: int = 0

    def __attrs_post_init__(self) -> None:
        self._heard = self.two_way

    def look(
        self, track: str, timestamp: float | None, chunk: int | None, payload: bytes, pcm: bytes
    ) -> Diagnosis | None:
        """Check a decoded frame.

        :param track: track of the frame.
        :param timestamp: the carrier's timestamp in milliseconds.
        :param chunk: number of the frame within its track.
        :param payload: the encoded audio.
        :param pcm: the decoded audio.
        :return: this object, or ``None`` if no check needs more frames.
        """
        if track not in self._started:
            self._started.add(track)
            self._container(payload)
        if not self._heard:
            self._silence(track, pcm)
        if not self._clocked:
            self._clock(track, timestamp, chunk, len(pcm) // 2)
        known = True
        if self.name == "L16":
            self._odd(payload)
        elif self.name in ("PCMU", "PCMA"):
            known = self._laws >= _LAW or self._law(payload)
        return None if self._heard and self._clocked and known else self

    def ended(self, seconds: float) -> None:
        """Run the checks that are due at the end of the stream.

        :param seconds: duration of the received audio in seconds.
        """
        if not self._heard and seconds >= 1.0:
            self._report_silence(seconds)

    # -- the checks ----------------------------------------------------------------------------------------------------

    def _container(self, payload: bytes) -> None:
        for magic, name in _CONTAINERS:
            if payload.startswith(magic):
                self.tell(
                    "container",
                    "the audio looks like %s: media must be raw audio without a file header, which is heard as noise",
                    name,
                )
                return
        if payload[4:8] == b"ftyp":
            self.tell("container", "the audio looks like an MP4 file: media must be raw audio")

    def _silence(self, track: str, pcm: bytes) -> None:
        if not is_silent(pcm):
            self._heard = True
            return
        seconds = self._silent[track] = self._silent.get(track, 0.0) + len(pcm) / 2 / self.sample_rate
        if seconds >= SILENCE:
            self._report_silence(seconds)

    def _report_silence(self, seconds: float) -> None:
        self._heard = True
        self.tell(
            "silence",
            "only silence in the first %.1f s of %s: "
            + (
                "is the party muted, or is it the wrong track (inbound is the audio of the remote party, outbound the"
                " audio that this party hears)?"
                if len(self._silent) == 1
                else "is the call on hold or muted?"
            ),
            seconds,
            " and ".join(sorted(self._silent)),
        )

    def _clock(self, track: str, timestamp: float | None, chunk: int | None, samples: int) -> None:
        if timestamp is None or chunk is None:
            self._clocked = True
            return
        clock = self._clocks.get(track)
        if clock is None:
            clock = self._clocks[track] = _Clock(timestamp, chunk)
        if clock.frames == _FRAMES:
            self._clocked = True
            self._compare(clock, timestamp - clock.timestamp, chunk - clock.chunk)
            return
        clock.frames += 1
        clock.samples += samples

    def _compare(self, clock: _Clock, time: float, chunks: int) -> None:
        if chunks != _FRAMES or time <= 0:
            return  # frames are missing, or the counters are unusable
        ratio = clock.samples * 1000 / self.sample_rate / time
        if not 0.6 < ratio < 1.6:
            self.tell(
                "clock",
                "%g times as much audio as its timestamps allow, decoded as %s at %d Hz: wrong codec or sample rate?"
                " start announced %s",
                round(ratio, 2),
                self.name,
                self.sample_rate,
                self.encoding,
            )

    def _odd(self, payload: bytes) -> None:
        if len(payload) % 2:
            self.tell("odd", "L16 payload with an odd number of bytes (wrong codec?); the last byte is discarded")

    def _law(self, payload: bytes) -> bool:
        self._laws += 1
        self._bytes += len(payload)
        self._mulaw += len(payload) - len(payload.translate(None, _MULAW_QUIET))
        self._alaw += len(payload) - len(payload.translate(None, _ALAW_QUIET))
        if self._laws < _LAW:
            return False
        own, other = (self._mulaw, self._alaw) if self.name == "PCMU" else (self._alaw, self._mulaw)
        if other > 0.5 * self._bytes and own < 0.1 * self._bytes:
            self.tell(
                "law",
                "announced as %s, but it looks like %s: wrong codec?",
                self.encoding,
                "PCMA (A-law)" if self.name == "PCMU" else "PCMU (mu-law)",
            )
        return True
