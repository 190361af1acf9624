"""Record a stream: assign its tracks to channels, and apply backpressure when the disk is slow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

from ..server import Connection
from .disk import Disk
from .recorder import Recorder

__all__ = ["SIDES", "StreamRecording"]

SIDES = ("inbound", "outbound")  # tracks of the left and the right channel
_AHEAD = 3600.0  # maximum seconds by which the recorded audio may exceed the elapsed time


class StreamRecording:
    """One stream's recording. The receiver adds audio on the loop thread.

    :param make_file: creates the file; called on the disk thread.
    :param sample_rate: sample rate in Hz.
    :param tracks: the announced tracks.
    :param connection: the stream's connection. Reading from it pauses while the disk is too slow.
    :param disk: the disk thread.
    :param tell: logs a problem, such as ``RateLimitedLog.warning``.
    :param owner: description of the call, for log messages.
    :ivar recorder: the recorder that buffers and writes the audio.
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
        self._kept = 0  # bytes recorded, of all tracks
        self._most = 0.0  # bytes up to which the elapsed time need not be checked
        channels = max(1, len(self._channels))
        self.recorder: Recorder = Recorder(
            make_file, sample_rate, channels, connection.resume_reading, tell, owner=owner
        )
        try:
            disk.add(self.recorder)
        except Exception as error:  # no thread available: the stream continues without a recording
            self.recorder.give_up(error)

    def add(self, track: str, position: int, pcm: bytes, elapsed: float) -> None:
        """Record audio.

        :param track: track of the audio.
        :param position: position of the audio in samples.
        :param pcm: 16-bit little-endian PCM.
        :param elapsed: seconds since the first frame of the stream, by the local clock.
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
            self._connection.pause_reading()  # the disk is too slow; the next write resumes reading
            self._disk.hurry(recorder)
            if not recorder.full:
                # The write may have resumed reading before it was paused.
                self._connection.resume_reading()
        elif recorder.eager:
            self._disk.hurry(recorder)

    def end(self) -> None:
        """Finish the recording. The disk thread writes the remaining audio."""
        self._disk.finish(self.recorder)

    def _has_time_for(self, elapsed: float) -> bool:
        """Return whether the amount of audio is plausible for the elapsed time. If it is not, stop recording.

        Without this limit, a peer that sends faster than real time could fill the disk.
        """
        recorder = self.recorder
        self._most = (elapsed + _AHEAD) * recorder.sample_rate * 2 * max(1, len(self._channels))
        if self._kept <= self._most:
            return True
        if not recorder.stopped:
            recorder.stop(f"the peer sent over {_AHEAD:g} s more audio than the elapsed time")
        return False

    def _new_channel(self, track: str) -> int | None:
        """Assign a channel to an unannounced track. Return ``None`` if the track cannot be recorded."""
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
