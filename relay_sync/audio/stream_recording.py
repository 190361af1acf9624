"""What is recorded of a stream: each track on its channel, as fast as the disk takes it, as much as a call can bring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

from ..server import Connection
from .disk import Disk
from .recorder import Recorder

__all__ = ["SIDES", "StreamRecording"]

SIDES = ("inbound", "outbound")  # the tracks that are saved, left and right
_AHEAD = 3600.0  # seconds of audio that are kept beyond what our clock has room for: no call brings so much


class StreamRecording:
    """The recording of one stream, as its receiver feeds it on the loop thread.

    :param make_file: makes the file, on the disk thread.
    :param tracks: the announced tracks.
    :param connection: is not read from while the disk is behind.
    :param tell: as ``RateLimitedLog.warning``.
    :param owner: of whom it is, for the log.
    :ivar recorder: has what is kept.
    """

    def __init__(
        self,
        make_file: Callable[[], BinaryIO],
        sample_rate: int,
        tracks: Iterable[str],
        connection: Connection,
        disk: Disk,
        tell: Callable[..., None],
        owner: str = "",
    ) -> None:
        self._channels = {track: index for index, track in enumerate(tracks)}
        self._connection = connection
        self._disk = disk
        self._tell = tell
        self._kept = 0  # bytes that went to the recorder, of all tracks
        self._most = 0.0  # up to which the clock need not be checked
        channels = max(1, len(self._channels))
        self.recorder: Recorder = Recorder(
            make_file, sample_rate, channels, connection.resume_reading, tell, owner=owner
        )
        try:
            disk.add(self.recorder)
        except Exception as error:  # no thread: it costs the recording, not the stream
            self.recorder.give_up(error)

    def add(self, track: str, position: int, pcm: bytes, elapsed: float) -> None:
        """Keep *pcm* of a track at a position (in samples).

        :param elapsed: seconds since the stream's first frame, by our clock.
        """
        recorder = self.recorder
        channel = self._channels.get(track)
        if channel is None:
            channel = self._new_channel(track)
            if channel is None:
                return
        self._kept += len(pcm)
        if self._kept > self._most and not self._has_time_for(elapsed):
            return
        if recorder.add(channel, position, pcm):
            self._connection.pause_reading()  # the disk cannot keep up; resumed after its next write
            self._disk.hurry(recorder)
            if not recorder.full:
                # It wrote before the pause was on its way: its word to resume may have been the earlier.
                self._connection.resume_reading()
        elif recorder.eager:
            self._disk.hurry(recorder)

    def end(self) -> None:
        """Nothing more will come."""
        self._disk.finish(self.recorder)

    def _has_time_for(self, elapsed: float) -> bool:
        """Whether so much audio can be that of a call. It would fill the disk as fast as its peer likes."""
        recorder = self.recorder
        self._most = (elapsed + _AHEAD) * recorder.sample_rate * 2 * max(1, len(self._channels))
        if self._kept <= self._most:
            return True
        if recorder.error is None:
            recorder.stop(f"over {_AHEAD:g} s more audio came than time has passed: no call is so fast")
        return False

    def _new_channel(self, track: str) -> int | None:
        """Where a track that was not announced is saved: alone, or beside the other side of the call."""
        channels = self._channels
        if not channels:
            channels[track] = 0
        elif len(channels) == 1 and track in SIDES and next(iter(channels)) in SIDES:
            (other,) = channels
            channels[track], channels[other] = SIDES.index(track), SIDES.index(other)
            self.recorder.widen(channels[other])
        else:
            self._tell("track", "track %r was not announced in start: it can be read but is not recorded", track)
            return None
        return channels[track]
