"""One call's audio as the program sees it."""

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
    """What ``call.stream()`` returns, as far as it is needed here."""

    @property
    def is_done(self) -> bool: ...

    @property
    def error(self) -> BaseException | None: ...

    def stop(self) -> object: ...


class AudioStream(Speaking):
    """The audio of one ``call.stream()``, while it comes and afterwards.

    Iterate over it, or use :meth:`read`, :meth:`read_frame`, :meth:`tracks`; each frame is handed out once, in the order
    it came. Readers that fall behind by more than the server's ``buffer_seconds`` lose the oldest frames of the track
    (``stats.dropped``), what is saved loses nothing. Every reader ends when the stream does, and the stream ends when the
    carrier says so, when its socket ends or when it is closed here. As a context manager it is closed on the way out;
    what was received can still be read and saved then.

    Where the stream is two-way, :meth:`play`, :meth:`mark`, :meth:`clear` and :meth:`send_dtmf` are heard by the party;
    elsewhere they raise :class:`StreamIsOneWay`.

    :ivar stream_id: the carrier's id of the stream. :ivar call_id: of the call. :ivar account_id: the project.
    :ivar custom_parameters: as given to ``call.stream``.
    :ivar media_format: how the carrier encodes. :ivar sample_rate: of the frames in Hz, as asked for or the codec's own;
        what is saved has the latter.
    :ivar announced_tracks: ``("inbound",)``, ``("outbound",)`` or both.
    :ivar action: what ``call.stream`` returned, for streams of ``AudioServer.listen``; else ``None``.
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
        """The keys pressed so far; of very many the newest 4096."""
        return self._core.dtmf.all

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of the marks echoed so far; of very many the newest 4096."""
        return self._core.marks.all

    @property
    def stats(self) -> StreamStats:
        """The numbers so far."""
        return self._core.counts.summary(self._buffer.dropped)

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._core.ended.is_set()

    @property
    def end_reason(self) -> EndReason | None:
        """``None`` while it goes on, then why it ended.

        ``stopped``: the carrier said so. ``closed``: the socket was closed properly, by the carrier (a normal end of call,
        too) or here. ``dropped``: the socket ended without a word. ``timed out``: the server's ``idle_timeout``.
        """
        return self._core.end_reason

    @property
    def recorded_to(self) -> str | None:
        """The file of the server's ``record_to`` for this stream; ``None`` without, and where it could not be made.

        A new stream's is just being made: that is waited for, for up to 5 seconds.
        """
        if self._recorder is None:
            return None
        if self._generation == generation():
            self._recorder.made(_MAKING)
        return self._recorder.path

    @property
    def recording_error(self) -> OSError | None:
        """Why the recording was cut short or could not be made, a full disk say; ``None`` while it is whole, and where nothing is
        recorded. Of a stream that has ended it is known once :meth:`wait` has returned.
        """
        return None if self._recorder is None else self._recorder.error

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the stream, whether or not anybody reads it; a recording is then complete on disk, unless the
        disk takes longer than what is left of the time.

        :param timeout: seconds; ``None`` waits for as long as the stream goes on, and for the disk.
        :returns: whether it has ended.
        :raises Forked: it belongs to the parent process. :raises InvalidParameter: a timeout that cannot be right.
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
        """Iterate over the frames of one track (``inbound`` or ``outbound``) and leave the others alone.

        :raises InvalidParameter: the stream has no such track: it was not announced, and nothing has come of it.
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
                there = " or ".join(map(repr, dict.fromkeys((*self.announced_tracks, *seen))))
                raise InvalidParameter("track", track, f"{there}: the stream has no other")
        return name

    def resampled(self, sample_rate: int, *, track: str | None = None) -> Iterator[AudioFrame]:
        """Iterate over the frames at another sample rate: one for each that came, of the same length of time.

        :param sample_rate: in Hz. :param track: ``inbound`` or ``outbound``, to leave the other alone.
        :raises UnsupportedCodec: the codec cannot be decoded here.
        :raises InvalidParameter: the rate cannot be right, see :class:`~relay_sync.audio.Resampler`; or the stream has no
            such track.
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
        """The next frame, or ``None`` when there will be no more.

        :param timeout: seconds; ``None`` waits for as long as the stream goes on. :param track: of this one only.
        :raises WaitTimeout: none came in time. The stream goes on.
        :raises InvalidParameter: a timeout that cannot be right, or a track that the stream does not have.
        """
        if timeout is not None:  # for every frame, so not where there is nothing to check
            timeout = values.timeout(timeout)
        return self._buffer.take(None if track is None else self._known(track), timeout)

    def read(self, seconds: float, timeout: float | None = None, *, track: str | None = None) -> bytes:
        """Exactly *seconds* of one track as PCM (16-bit little-endian mono), or what is left when the stream ends: less,
        and from then on ``b""``.

        Holes are not filled here. What is not needed of a frame is the next frame, for whoever reads on in whatever way.
        Frames of another track stay where they are, for another reader.

        :param track: ``inbound`` where that is streamed, else ``outbound``, if left out.
        :param timeout: seconds for all of it; ``None`` waits for as long as the stream goes on.
        :raises WaitTimeout: not enough came in time. Nothing is lost: whoever reads next begins with it.
        :raises UnsupportedCodec: the codec cannot be decoded here.
        :raises InvalidParameter: a number that cannot be right, or a track that the stream does not have.
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
        except WaitTimeout:  # it tells of a part of it
            raise WaitTimeout(f"no {seconds:g} s of audio within {timeout:g} s; the stream goes on") from None

    def read_dtmf(self, timeout: float | None = None) -> DtmfEvent | None:
        """The next key, or ``None`` when there will be no more. Each is handed out once, as it comes.

        :param timeout: seconds; ``None`` waits for as long as the stream goes on.
        :raises WaitTimeout: none came in time. The stream goes on.
        :raises InvalidParameter: a timeout that cannot be right.
        """
        timeout = values.timeout(timeout)
        return self._core.dtmf.take(timeout)

    def read_mark(self, timeout: float | None = None) -> str | None:
        """The name of the next mark that is echoed; as :meth:`read_dtmf`."""
        timeout = values.timeout(timeout)
        return self._core.marks.take(timeout)

    # -- keeping -------------------------------------------------------------------------------------------------------

    def save(self, path: PathLike) -> None:
        """Write what came so far as a WAV file, while the stream goes on or afterwards.

        16 bit at the codec's rate. One track: mono. Both: stereo, inbound (the caller) left, outbound right. Holes are
        silence, so that time in the file is time in the call. The file appears under *path* when it is complete. Waits for
        the disk, and holds up nobody else meanwhile.

        :raises UnsupportedCodec: the codec cannot be decoded here.
        :raises Forked: it belongs to the parent process.
        :raises ValueError: the server was told not to keep audio (``spool=False``).
        :raises OSError: it cannot be written; or the audio could not be kept, or not all of it, since the disk was full, say.
            In the latter case *path* holds what was kept, and the error says how much that is.
        :raises InvalidParameter: *path* is none, or something is just being recorded to it (``record_to``).
        """
        values.path("path", path, "the path of a file to write")  # a number would be taken for an open file
        if self._generation != generation():  # both would write to one file, and a lock may be held for ever
            raise forked_error()
        self._check_decodable("save")
        if self._recorder is None:
            raise ValueError("nothing was kept of this stream: make the AudioServer with spool=True or with record_to")
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
            raise UnsupportedCodec(f"{what}: {why_raw(self.media_format.encoding)}, or take frame.data as it came")

    # -- ending --------------------------------------------------------------------------------------------------------

    def close(self, timeout: float = 2.0) -> None:
        """Stop the action that feeds it (for streams of ``listen``), close the socket, and wait for the end.

        Idempotent. What was received stays readable and can be saved. Waits for *timeout* seconds at most, the disk
        included, plus for the answer to the stop command. In a forked child it does nothing: the stream is the parent's.

        :raises InvalidParameter: a timeout that cannot be right.
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
                _log.warning("the action of stream %s could not be stopped: %s", self.stream_id, error)
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
