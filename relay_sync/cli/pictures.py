"""Waveforms of streams whose audio is not kept, with marks below what was said."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from ..audio import AudioFrame
from ..audio.speech import Energy, Utterance
from ..audio.speech.energy import RATES
from ..audio.speech.segmenter import Segmenter
from ..audio.waveform import draw_peaks, peak

__all__ = ["StreamPicture"]

#: Length of a part whose peak amplitude is kept, in seconds, and most parts. When there are more, they become twice as long.
_PART: Final = 0.02
_MOST_PARTS: Final = 4096
#: Most utterances of a track that are marked.
_MOST_SPOKEN: Final = 1000


@define(eq=False)
class _Track:
    """Peak amplitudes and utterances of one track.

    :ivar seconds: duration of the audio.
    :ivar spoken: start and end of each utterance in seconds.
    """

    _segmenter: Segmenter | None
    seconds: float = field(default=0.0, init=False)
    spoken: list[tuple[float, float]] = field(factory=list, init=False)
    _part: float = field(default=_PART, init=False)
    _peaks: list[int] = field(factory=list, init=False)

    @classmethod
    def of(cls, frame: AudioFrame) -> _Track:
        """Return an empty track for frames like this one. Audio at a rate without a detector is only drawn."""
        rate = frame.sample_rate
        return cls(Segmenter(Energy(rate), rate, track=frame.track) if rate in RATES else None)

    def hear(self, frame: AudioFrame) -> None:
        at, pcm = max(0.0, frame.timestamp), frame.pcm
        self.seconds = max(self.seconds, at + frame.duration)
        while at >= self._part * _MOST_PARTS:
            self._peaks = [max(self._peaks[index : index + 2]) for index in range(0, len(self._peaks), 2)]
            self._part *= 2
        index = int(at / self._part)
        self._peaks += [0] * (index + 1 - len(self._peaks))
        self._peaks[index] = max(self._peaks[index], peak(pcm))
        if self._segmenter is not None:
            self._mark(self._segmenter.push(at, pcm))

    def finish(self) -> None:
        if self._segmenter is not None:
            self._mark(self._segmenter.finish())

    def _mark(self, found: list[Utterance]) -> None:
        self.spoken += [(each.start, each.end) for each in found][: _MOST_SPOKEN - len(self.spoken)]

    def columns(self, width: int, seconds: float) -> list[int]:
        """Return the peak amplitude of each column.

        :param width: number of columns.
        :param seconds: duration of the picture.
        """
        columns = [0] * width
        for index in range(width):
            first, last = (int(each * seconds / width / self._part) for each in (index, index + 1))
            columns[index] = max(self._peaks[first : max(last, first + 1)], default=0)
        return columns


@define(eq=False)
class StreamPicture:
    """Waveform of a stream, of limited size however long the stream is. Not thread-safe."""

    _tracks: dict[str, _Track] = field(factory=dict, init=False)

    def hear(self, frame: AudioFrame) -> None:
        """Add a received frame. Frames that cannot be decoded are ignored.

        :param frame: the frame.
        """
        if frame.encoding is not None:
            return
        track = self._tracks.get(frame.track)
        if track is None:
            track = self._tracks[frame.track] = _Track.of(frame)
        track.hear(frame)

    def drawn(self, width: int, *, ascii: bool) -> str:
        """Return the waveform with its marks; ``""`` if no audio was received. No frames can be added after this.

        :param width: width in columns, labels included.
        :param ascii: whether to use only ASCII characters.
        """
        names = sorted(self._tracks)
        if not names:
            return ""
        tracks = [self._tracks[name] for name in names]
        for track in tracks:
            track.finish()
        seconds = max(track.seconds for track in tracks)
        columns = [track.columns(max(10, width - max(map(len, names)) - 1), seconds) for track in tracks]
        return draw_peaks(columns, seconds, labels=names, ascii=ascii, spoken=[track.spoken for track in tracks])
