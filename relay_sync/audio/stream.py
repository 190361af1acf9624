"""The audio of one call, as the program reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Protocol

from attrs import evolve

from .. import notebook_html
from ..deadline import Deadline
from ..errors import InvalidParameter, UnsupportedCodec, WaitTimeout
from ..params import values
from ..text.wording import either
from ..threads import logs
from ..threads.outcome import wait_for_event
from ..threads.process import forked_error, generation
from .frames import AudioFrame
from .messages import MediaFormat, Start
from .pcm_codecs import why_raw
from .picture import html_picture
from .recorder import Recorder
from .snapshot import Snapshot
from .speaking import Speaking
from .stats import StreamStats
from .stream_core import DtmfEvent, EndReason, StreamCore
from .wav import PathLike

__all__ = ["AudioStream", "StreamingAction"]

_log = logs.get("relay_sync.audio").later
_MAKING = 5.0  # seconds that the disk gets to make a file, for who asks where it is
_ABORTING = 0.5  # seconds of the time for closing that are kept for a socket that does not close properly
GRACE = 1.0  # seconds for the carrier's last messages after its action was stopped


class StreamingAction(Protocol):
    """The part of the result of ``call.stream()`` that this module needs."""

    @property
    def is_done(self) -> bool: ...

    @property
    def error(self) -> BaseException | None: ...

    def stop(self) -> object: ...


class AudioStream(Speaking):
    """The audio of one stream, while it is received and after it has ended.

    Iterate over it, or use :meth:`read`, :meth:`read_frame` or :meth:`tracks`. Each frame is delivered once, in the order of
    arrival. A reader that falls behind by more than the server's ``buffer_seconds`` loses the oldest frames of the track
    (``stats.dropped``); recordings and saved files are not affected. All readers finish when the stream ends: when the carrier
    stops it, its connection closes or you close it. Leaving the ``with`` block closes the stream; received audio can still be
    read and saved.

    On a two-way stream, the remote party hears :meth:`play` and :meth:`send_dtmf`, and :meth:`mark` and :meth:`clear` control
    what is played. On other streams they raise :class:`StreamIsOneWay`.

    Streams come from :class:`AudioServer`; your code does not create them.

    :param start: the ``start`` message.
    :param core: the state shared with the receiver.
    :param decodable: whether the codec can be decoded.
    :param recorder: writes the recording, if any.
    :ivar stream_id: the carrier's id of the stream.
    :ivar call_id: the id of the call.
    :ivar account_id: the project id.
    :ivar custom_parameters: the values passed to ``call.stream``.
    :ivar media_format: the encoding of the payloads, as announced by the carrier.
    :ivar sample_rate: sample rate of the frames in Hz, as requested or the codec's own. Saved files have the codec's.
    :ivar announced_tracks: ``("inbound",)``, ``("outbound",)`` or both.
    :ivar action: the result of ``call.stream``, for streams of ``AudioServer.listen``; otherwise ``None``.
    """

    def __init__(
        self,
        start: Start,
        core: StreamCore,
        *,
        sample_rate: int,
        decodable: bool,
        recorder: Recorder | None,
    ) -> None:
        self.stream_id: str = start.stream_id
        self.call_id: str = start.call_id
        self.account_id: str = start.account_id
        self.custom_parameters: dict[str, Any] = start.custom_parameters
        self.media_format: MediaFormat = start.media_format
        self.announced_tracks: tuple[str, ...] = start.tracks
        self.sample_rate = sample_rate
        self.action: StreamingAction | None = None
        self.error: BaseException | None = None
        self._decodable = decodable
        self._core = core
        self._buffer = core.buffer
        self._recorder = recorder
        self._generation = generation()

    def __repr__(self) -> str:
        state = self._core.end_reason or "streaming"
        return f"<AudioStream {self.stream_id} of call {self.call_id}, {self._core.counts.seconds:.1f} s, {state}>"

    # -- what it is and how it goes ------------------------------------------------------------------------------------

    @property
    def dtmf(self) -> tuple[DtmfEvent, ...]:
        """The keys pressed so far; at most the newest 4096."""
        return self._core.dtmf.all

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of the marks returned so far; at most the newest 4096."""
        return self._core.marks.all

    @property
    def stats(self) -> StreamStats:
        """The statistics so far."""
        return self._core.counts.summary(self._buffer.dropped)

    @property
    def ended(self) -> bool:
        """Whether the stream has ended."""
        return self._core.ended.is_set()

    @property
    def end_reason(self) -> EndReason | None:
        """Why the stream ended; ``None`` while it is active.

        ``stopped``: the carrier sent ``stop``. ``closed``: the connection was closed cleanly, by the carrier (also when a call
        ends normally) or by your code. ``dropped``: the connection was lost. ``timed out``: the server's ``idle_timeout``.
        """
        return self._core.end_reason

    @property
    def recorded_to(self) -> str | None:
        """The file that the server's ``record_to`` created for this stream; ``None`` without ``record_to``, or if creating it
        failed.

        Waits up to 5 seconds while the file of a new stream is being created.
        """
        if self._recorder is None:
            return None
        if self._generation == generation():
            self._recorder.made(_MAKING)
        return self._recorder.path

    @property
    def recording_error(self) -> OSError | None:
        """Why the recording is incomplete or could not be created, such as a full disk; ``None`` if it is complete or nothing is
        recorded. For an ended stream, the value is final once :meth:`wait` has returned.
        """
        return None if self._recorder is None else self._recorder.error

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the stream ends, even if no code reads it. Its recording is then complete on disk, unless the disk takes
        longer than the remaining time.

        :param timeout: seconds to wait; ``None`` waits until the stream ends and the recording is complete.
        :return: whether the stream has ended.
        :raises Forked: the stream belongs to the parent process.
        :raises InvalidParameter: *timeout* is invalid.
        """
        timeout = values.timeout(timeout)
        if self._generation != generation():
            raise forked_error()
        deadline = Deadline.after(time.monotonic(), timeout)
        ended = wait_for_event(self._core.ended, timeout)
        if ended and self._recorder is not None:
            self._recorder.settle(deadline.remaining(time.monotonic()))
        return ended

    # -- reading -------------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[AudioFrame]:
        return self._frames(None)

    def tracks(self, track: str) -> Iterator[AudioFrame]:
        """Iterate over the frames of one track only.

        :param track: ``inbound`` or ``outbound``.
        :raises InvalidParameter: the stream has no such track: it was not announced and no frame of it has arrived.
        """
        return self._frames(self._known(track))

    def _frames(self, track: str | None) -> Iterator[AudioFrame]:
        while (frame := self._buffer.take(track, None)) is not None:
            yield frame

    def _known(self, track: str) -> str:
        """The short form of a track's name, in any case and with or without ``_track``.

        :raises InvalidParameter: no frame of it can come.
        """
        values.text("track", track, optional=False)
        name = track.strip().lower().removesuffix("_track")
        if self.announced_tracks and name not in self.announced_tracks:
            seen = self._buffer.tracks
            if name not in seen:
                there = either(tuple(dict.fromkeys((*self.announced_tracks, *seen))))
                raise InvalidParameter("track", track, f"{there}: the stream has no other")
        return name

    def resampled(self, sample_rate: int, *, track: str | None = None) -> Iterator[AudioFrame]:
        """Iterate over the frames at another sample rate: one output frame for each frame, with the same duration.

        :param sample_rate: sample rate in Hz.
        :param track: ``inbound`` or ``outbound``; ``None`` returns the frames of both.
        :raises UnsupportedCodec: the codec cannot be decoded.
        :raises InvalidParameter: the rate is invalid (see :class:`~relay_sync.audio.Resampler`), or the stream has no such track.
        :raises ImportError: the extra ``dsp`` is not installed.
        """
        from .dsp import Resamplers

        self._check_decodable("resampled")
        frames = self._frames(None if track is None else self._known(track))
        resamplers = Resamplers(self.sample_rate, sample_rate, name="sample_rate")
        return (
            evolve(frame, data=resamplers.process(frame.track, frame.pcm), sample_rate=sample_rate) for frame in frames
        )

    def read_frame(self, timeout: float | None = None, *, track: str | None = None) -> AudioFrame | None:
        """Return the next frame, or ``None`` when the stream has ended.

        :param timeout: seconds to wait; ``None`` waits until a frame arrives or the stream ends.
        :param track: return frames of this track only.
        :raises WaitTimeout: no frame arrived within *timeout*. The stream continues.
        :raises InvalidParameter: *timeout* is invalid, or the stream has no such track.
        """
        if timeout is not None:  # for every frame, so not where there is nothing to check
            timeout = values.timeout(timeout)
        return self._buffer.take(None if track is None else self._known(track), timeout)

    def read(self, seconds: float, timeout: float | None = None, *, track: str | None = None) -> bytes:
        """Return *seconds* of audio of one track as PCM (16-bit little-endian mono). At the end of the stream the result is
        shorter, then ``b""``.

        Gaps are not filled. If only part of a frame is returned, the remainder becomes the next frame for all readers. Frames
        of other tracks remain available.

        :param seconds: seconds of audio.
        :param timeout: seconds to wait for all of it; ``None`` waits until it has arrived or the stream ends.
        :param track: ``inbound`` or ``outbound``; by default ``inbound`` if it is streamed, otherwise ``outbound``.
        :raises WaitTimeout: not enough audio arrived within *timeout*. No audio is lost: the next read returns it.
        :raises UnsupportedCodec: the codec cannot be decoded.
        :raises InvalidParameter: a number is invalid, or the stream has no such track.
        """
        values.number("seconds", seconds, low=0, optional=False)
        timeout = values.timeout(timeout)
        self._check_decodable("read")
        if track is None:
            track = "inbound" if "inbound" in self.announced_tracks or not self.announced_tracks else "outbound"
        else:
            track = self._known(track)
        wanted = 2 * round(seconds * self.sample_rate)
        try:
            return self._buffer.read(track, wanted, timeout)
        except WaitTimeout:  # its message covers only a part
            raise WaitTimeout(f"no {seconds:g} s of audio within {timeout:g} s; the stream continues") from None

    def read_dtmf(self, timeout: float | None = None) -> DtmfEvent | None:
        """Return the next key, or ``None`` when the stream has ended. Each key is returned once.

        :param timeout: seconds to wait; ``None`` waits until a key is pressed or the stream ends.
        :raises WaitTimeout: no key was pressed within *timeout*. The stream continues.
        :raises InvalidParameter: *timeout* is invalid.
        """
        timeout = values.timeout(timeout)
        return self._core.dtmf.take(timeout)

    def read_mark(self, timeout: float | None = None) -> str | None:
        """Return the name of the next returned mark, or ``None`` when the stream has ended. Each mark is returned once.

        :param timeout: seconds to wait; ``None`` waits until a mark returns or the stream ends.
        :raises WaitTimeout: no mark returned within *timeout*. The stream continues.
        :raises InvalidParameter: *timeout* is invalid.
        """
        timeout = values.timeout(timeout)
        return self._core.marks.take(timeout)

    # -- keeping -------------------------------------------------------------------------------------------------------

    def save(self, path: PathLike) -> None:
        """Write the audio received so far to a WAV file. Works while the stream is active and after it has ended.

        The file has 16 bits per sample at the codec's rate: mono for one track; stereo for both, with inbound left and outbound
        right. Gaps are filled with silence, so that positions in the file match the time in the call. The file appears at *path*
        once it is complete.

        :param path: the file to write.
        :raises UnsupportedCodec: the codec cannot be decoded.
        :raises Forked: the stream belongs to the parent process.
        :raises ValueError: the server does not keep audio (``spool=False`` without ``record_to``).
        :raises OSError: the file cannot be written, or audio is missing, for example because the disk was full. In the latter
            case *path* contains the available audio, and the message says how much that is.
        :raises InvalidParameter: *path* is not a path, or a recording (``record_to``) is being written there.
        """
        values.path("path", path, "the path of a file to write")  # a number would be taken for an open file
        if self._generation != generation():  # both would write to one file, and a lock may be held forever
            raise forked_error()
        self._check_decodable("save")
        if self._recorder is None:
            raise ValueError("no audio of this stream was kept: create the AudioServer with spool=True or record_to")
        self._recorder.copy_to(path)

    def _repr_html_(self) -> str:
        """For notebooks: a player of the first minute, the waveform of all of it, and the numbers. No scripts."""
        picture = ""
        if self._recorder is not None and self._generation == generation():
            self._recorder.settle(_MAKING)
            picture = self._picture(self._recorder.snapshot())
        return notebook_html.panel(repr(self)[1:-1], picture, notebook_html.table(self.stats.rows))

    def _picture(self, kept: Snapshot | None) -> str:
        if kept is None:
            return ""
        with kept:
            if not kept.samples:
                return ""
            return html_picture(
                kept.excerpt,
                samples=kept.samples,
                channels=kept.channels,
                sample_rate=kept.sample_rate,
                labels=("inbound", "outbound") if kept.channels == 2 else self.announced_tracks[:1],
            )

    def _check_decodable(self, what: str) -> None:
        if not self._decodable:
            raise UnsupportedCodec(
                f"{what}: {why_raw(self.media_format.encoding)}, or use the raw payload in frame.data"
            )

    # -- ending --------------------------------------------------------------------------------------------------------

    def close(self, timeout: float = 2.0) -> None:
        """Stop the action that feeds the stream (for streams of ``listen``), close the connection, and wait for the end.

        Idempotent. Received audio remains readable and can be saved. Does nothing in a forked child.

        :param timeout: maximum seconds to wait, including the disk, but not the reply to the stop command.
        :raises InvalidParameter: *timeout* is invalid.
        """
        timeout = values.timeout(timeout, optional=False)
        if self._generation != generation():
            return
        action, stopped = self.action, False
        if action is not None and not self.ended and not action.is_done:
            try:
                action.stop()
                stopped = True
            except Exception as error:
                _log.warning("stopping the action of stream %s failed: %s", self.stream_id, error)
        end = time.monotonic() + timeout
        if stopped:
            self.wait(min(GRACE, timeout / 2))
        if not self.ended:
            self._core.hang_up(False)
            last = min(_ABORTING, timeout / 4)
            if not self.wait(max(0.0, end - last - time.monotonic())):
                self._core.hang_up(True)
                self.wait(max(0.0, end - time.monotonic()))

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


AudioStream.__module__ = "relay_sync.audio"
