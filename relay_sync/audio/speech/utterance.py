"""One utterance of a party."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["Utterance"]


@frozen(kw_only=True)
class Utterance:
    """What one party said, from the start of speech until silence.

    Positions are seconds since the start of the track. The audio begins before ``start`` and ends after ``end``, so that quiet
    first and last sounds are in it. Where frames were lost, it is shorter than the positions say.

    :ivar pcm: the audio, 16-bit little-endian mono.
    :ivar sample_rate: sample rate of the audio in Hz.
    :ivar start: where speech begins.
    :ivar end: where speech ends.
    :ivar track: ``inbound`` or ``outbound``.
    :ivar cut: whether it was ended because it was as long as ``longest``. The next utterance continues it.
    :ivar audio_start: position of the first sample of ``pcm``.
    """

    pcm: bytes = field(repr=lambda pcm: f"<{len(pcm)} bytes>")
    """The audio, 16-bit little-endian mono."""
    sample_rate: int
    """Sample rate of the audio in Hz."""
    start: float
    """Where speech begins, in seconds since the start of the track."""
    end: float
    """Where speech ends, in seconds since the start of the track."""
    track: str = "inbound"
    """``inbound`` or ``outbound``."""
    cut: bool = False
    """Whether it was ended because it was as long as ``longest``. The next utterance continues it."""
    audio_start: float = 0.0
    """Position of the first sample of ``pcm``, in seconds since the start of the track."""

    @property
    def seconds(self) -> float:
        """Length of the audio in seconds."""
        return len(self.pcm) / 2 / self.sample_rate


Utterance.__module__ = "relay_sync.audio.speech"
