"""The public interface for reading a call's audio."""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

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

if TYPE_CHECKING:
    from ..constants import Direction, StreamState
    from ..errors import RelayError
    from ..events import RelayEvent, StreamEvent
    from .speech.segmenter import Detector
    from .speech.utterances import Utterances

__all__ = ["AudioStream", "CallStreamAction", "StreamingAction", "core_of", "recorder_of"]

_log = logs.get("relay_sync.audio").later
_MAKING = 5.0  # maximum seconds to wait for the disk thread to create a file
_ABORTING = 0.5  # seconds of the closing timeout reserved for aborting the connection
GRACE = 1.0  # seconds to wait for the platform's last messages after its action was stopped


class StreamingAction(Protocol):
    """The part of a ``call.stream()`` result that this module needs."""

    @property
    def is_done(self) -> bool: ...

    @property
    def error(self) -> BaseException | None: ...

    def stop(self) -> object: ...


class CallStreamAction(StreamingAction, Protocol):
    """The result of ``call.stream()``. For this SDK's calls, it is a :class:`relay_sync.StreamAction`."""

    @property
    def control_id(self) -> str:
        """ID of the action in commands and events."""

    @property
    def state(self) -> StreamState | str:
        """Latest state reported by the platform: ``streaming`` or ``finished``; ``starting`` before the first event."""

    @property
    def reply(self) -> dict[str, Any]:
        """The server's reply to the command that started the stream."""

    @property
    def latest(self) -> RelayEvent | None:
        """Latest event of the action; ``None`` before the first event."""

    @property
    def is_done(self) -> bool:
        """Whether the action has ended, successfully or not."""

    @property
    def completed(self) -> bool:
        """Alias of :attr:`is_done`."""

    @property
    def result(self) -> StreamEvent | None:
        """The final event; ``None`` while the action is running."""

    @property
    def error(self) -> RelayError | None:
        """The error that ended the action; ``None`` if it is running or ended without an error."""

    def wait(self, timeout: float | None = None) -> StreamEvent:
        """Block until the action ends.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until the action ends.
        :return: the final event.
        :raises WaitTimeout: the action is still running. You can wait again.
        :raises RelayError: the error that ended the action.
        """

    def stop(self) -> dict[str, Any]:
        """Stop the action. If it has ended, this method does nothing.

        :return: the server's result; ``{}`` if no command was sent.
        :raises RelayError: the command failed.
        """


class AudioStream(Speaking):
    """A stream of audio from a call. Streams are created by :class:`AudioServer`.

    Iterate over the stream, or use :meth:`read`, :meth:`read_frame` or :meth:`tracks`. Each frame is delivered once, in
    order of arrival. If a reader falls behind by more than the server's ``buffer_seconds``, the track's oldest frames are
    dropped (``stats.dropped``); recordings and saved files still contain them. Reading ends when the platform stops the
    stream, the connection closes, or your code closes the stream. Leaving the ``with`` block closes the stream. Audio received
    until then can still be read and saved.

    On two-way streams, :meth:`play` and :meth:`send_dtmf` send audio to the remote party, and :meth:`mark` and :meth:`clear`
    control the platform's playback queue. On one-way streams, these methods raise :class:`StreamIsOneWay`.

    :param start: the ``start`` message.
    :param core: the state shared with the receiver.
    :param decodable: whether the codec can be decoded.
    :param recorder: the recorder; ``None`` if audio is not kept.
    :ivar stream_id: the platform's ID for the stream.
    :ivar call_id: the call ID.
    :ivar account_id: the project ID.
    :ivar custom_parameters: the values passed to ``call.stream``.
    :ivar media_format: the audio format announced by the platform.
    :ivar sample_rate: sample rate of the frames in Hz. Saved files always have the codec's rate.
    :ivar announced_tracks: ``("inbound",)``, ``("outbound",)`` or both.
    :ivar action: the result of ``call.stream`` for streams from ``AudioServer.listen``; otherwise ``None``.
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
        """ID that the platform assigned to the stream."""
        self.call_id: str = start.call_id
        """ID of the call."""
        self.account_id: str = start.account_id
        """ID of the project."""
        self.custom_parameters: dict[str, Any] = start.custom_parameters
        """Custom parameters passed to ``call.stream``."""
        self.media_format: MediaFormat = start.media_format
        """Format of the audio, as announced by the platform."""
        self.announced_tracks: tuple[str, ...] = start.tracks
        """Announced tracks: ``("inbound",)``, ``("outbound",)`` or both."""
        self.sample_rate = sample_rate
        """Sample rate of the frames in Hz. Saved files always have the codec's rate."""
        self.action: CallStreamAction | None = None
        """The action returned by ``call.stream``, for streams of ``AudioServer.listen``; otherwise ``None``."""
        self.error: BaseException | None = None
        """Error that ended a two-way connection; ``None`` if there was none."""
        self._decodable = decodable
        self._core = core
        self._buffer = core.buffer
        self._recorder = recorder
        self._generation = generation()

    def __repr__(self) -> str:
        state = self._core.end_reason or "streaming"
        return f"<AudioStream {self.stream_id} of call {self.call_id}, {self._core.counts.seconds:.1f} s, {state}>"

    # -- state ---------------------------------------------------------------------------------------------------------

    @property
    def dtmf(self) -> tuple[DtmfEvent, ...]:
        """The keys pressed so far. Only the newest 4096 are kept."""
        return self._core.dtmf.all

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of the marks returned so far. Only the newest 4096 are kept."""
        return self._core.marks.all

    @property
    def stats(self) -> StreamStats:
        """The current statistics."""
        return self._core.counts.summary(self._buffer.dropped)

    @property
    def ended(self) -> bool:
        """Whether the stream has ended."""
        return self._core.ended.is_set()

    @property
    def end_reason(self) -> EndReason | None:
        """Why the stream ended; ``None`` while it is active.

        ``stopped``: the platform sent ``stop``. ``closed``: your code or the platform closed the connection, which also happens
        when a call ends normally. ``dropped``: the connection was lost. ``timed out``: the server's ``idle_timeout`` expired.
        """
        return self._core.end_reason

    @property
    def recorded_to(self) -> str | None:
        """The path of the file that this stream is recorded to.

        ``None`` if the server has no ``record_to``, or if the file could not be created. At the start of a stream, reading this
        property waits up to 5 seconds for the file to be created.
        """
        if self._recorder is None:
            return None
        if self._generation == generation():
            self._recorder.made(_MAKING)
        return self._recorder.path

    @property
    def recording_error(self) -> OSError | None:
        """The error that interrupted or prevented the recording, such as a full disk; ``None`` if there was none.

        The value is final once the stream has ended and :meth:`wait` has returned.
        """
        return None if self._recorder is None else self._recorder.error

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the stream has ended and its recording is complete on disk. The stream does not need to be read.

        :param timeout: maximum time to wait, in seconds; ``None`` waits indefinitely.
        :return: whether the stream has ended. The recording may be incomplete if the timeout expired.
        :raises Forked: the stream belongs to the parent process.
        :raises InvalidParameter: ``timeout`` is invalid.
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
        return self._buffer.frames(None)

    def tracks(self, track: Direction | str) -> Iterator[AudioFrame]:
        """Iterate over the frames of one track.

        :param track: ``inbound`` or ``outbound``.
        :raises InvalidParameter: the track was not announced, and none of its frames have arrived.
        """
        return self._buffer.frames(self._known(track))

    def _known(self, track: str) -> str:
        """Normalize a track name by ignoring case and removing the ``_track`` suffix.

        :raises InvalidParameter: the stream has no such track.
        """
        values.text("track", track, optional=False)
        name = track.strip().lower().removesuffix("_track")
        if self.announced_tracks and name not in self.announced_tracks:
            seen = self._buffer.tracks
            if name not in seen:
                there = either(tuple(dict.fromkeys((*self.announced_tracks, *seen))))
                raise InvalidParameter("track", track, f"{there}: the stream has no other track")
        return name

    def resampled(self, sample_rate: int, *, track: Direction | str | None = None) -> Iterator[AudioFrame]:
        """Iterate over the frames at another sample rate. Each frame keeps its duration.

        :param sample_rate: sample rate in Hz.
        :param track: ``inbound`` or ``outbound``; ``None`` returns the frames of both.
        :raises UnsupportedCodec: the codec cannot be decoded.
        :raises InvalidParameter: the rate is invalid (see :class:`Resampler`), or the stream has no such track.
        :raises ImportError: the ``dsp`` extra is not installed.
        """
        from .dsp import Resamplers

        self._check_decodable("resampled")
        frames = self._buffer.frames(None if track is None else self._known(track))
        resamplers = Resamplers(self.sample_rate, sample_rate, name="sample_rate")
        return (
            AudioFrame(
                data=resamplers.process(frame.track, frame.pcm),
                track=frame.track,
                timestamp=frame.timestamp,
                sample_rate=sample_rate,
                sequence=frame.sequence,
            )
            for frame in frames
        )

    def read_frame(self, timeout: float | None = None, *, track: Direction | str | None = None) -> AudioFrame | None:
        """Wait for the next frame.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until a frame arrives or the stream ends.
        :param track: ``inbound`` or ``outbound``; ``None`` returns frames of both.
        :return: the frame; ``None`` if the stream has ended.
        :raises WaitTimeout: no frame arrived within ``timeout``. The stream continues.
        :raises InvalidParameter: ``timeout`` is invalid, or the stream has no such track.
        """
        if timeout is not None:  # saves a call per frame
            timeout = values.timeout(timeout)
        return self._buffer.take(None if track is None else self._known(track), timeout)

    def read(self, seconds: float, timeout: float | None = None, *, track: Direction | str | None = None) -> bytes:
        """Read audio of one track as PCM (16-bit little-endian mono).

        At the end of the stream, the method returns the remaining audio, and then ``b""``. Gaps are not filled with silence. If
        a frame is only partly read, the rest of it becomes the next frame. Frames of the other track are not affected.

        :param seconds: duration of the audio in seconds.
        :param timeout: maximum time to wait, in seconds; ``None`` waits until all audio has arrived or the stream ends.
        :param track: ``inbound`` or ``outbound``; by default ``inbound`` if it is streamed, otherwise ``outbound``.
        :return: the PCM, which is shorter than ``seconds`` only at the end of the stream.
        :raises WaitTimeout: not enough audio arrived within ``timeout``. The audio that did arrive can be read later.
        :raises UnsupportedCodec: the codec cannot be decoded.
        :raises InvalidParameter: a number is invalid, or the stream has no such track.
        """
        values.number("seconds", seconds, low=0, optional=False)
        timeout = values.timeout(timeout)
        self._check_decodable("read")
        track = self._one_track(track)
        wanted = 2 * round(seconds * self.sample_rate)
        try:
            return self._buffer.read(track, wanted, timeout)
        except WaitTimeout:  # its message does not mention the requested duration
            raise WaitTimeout(
                f"less than {seconds:g} s of audio arrived within {timeout:g} s; the stream continues"
            ) from None

    def _one_track(self, track: str | None) -> str:
        """Normalize a track name. If it is ``None``, return ``inbound`` if it is streamed, otherwise ``outbound``."""
        if track is None:
            return "inbound" if "inbound" in self.announced_tracks or not self.announced_tracks else "outbound"
        return self._known(track)

    def utterances(
        self,
        track: Direction | str | None = None,
        *,
        vad: Detector | None = None,
        silence: float = 0.6,
        pre_roll: float = 0.3,
        shortest: float = 0.2,
        longest: float = 30.0,
        on_speech: Callable[[float], object] | None = None,
        timeout: float | None = None,
    ) -> Utterances:
        """Iterate over what is said on one track. Each utterance is returned when silence follows it.

        The iterator also hears audio that arrived before and has not been read, unless an earlier iterator has heard it. The
        audio is read from a copy, so frames can be read, too. The detector runs in a thread of the iterator. If it is behind by
        more than the server's ``buffer_seconds``, the oldest audio is dropped (``dropped``). A gap in the frames does not end an
        utterance. For both tracks, use two iterators in two threads. Close the iterator, or use it as a context
        manager, to stop listening before the stream ends.

        :param track: ``inbound`` or ``outbound``; by default ``inbound`` if it is streamed, otherwise ``outbound``.
        :param vad: the detector: any object with ``sample_rate``, ``frame`` (samples) and ``__call__(pcm)``, which returns the
            probability of speech from 0 to 1. The default is a new :class:`relay_sync.audio.speech.Energy`; on noisy lines, use
            :class:`relay_sync.audio.speech.Silero`. An instance hears one track only.
        :param silence: silence that ends an utterance, in seconds.
        :param pre_roll: how much audio before the start of speech is included, in seconds.
        :param shortest: least speech in an utterance, in seconds. Shorter sounds are ignored.
        :param longest: length at which an utterance is cut, in seconds. The next one continues it.
        :param on_speech: called with the position in seconds as soon as speech starts, in the iterator's thread. Sounds
            shorter than ``shortest`` may be reported, too.
        :param timeout: maximum time to wait for each utterance, in seconds; ``None`` waits until the stream ends. After
            ``WaitTimeout``, the iterator can be used again.
        :return: an iterator, which ends with the stream. It raises what the detector raises.
        :raises UnsupportedCodec: the codec cannot be decoded.
        :raises InvalidParameter: a parameter is invalid, the stream has no such track, or the utterances of the track are being
            read already.
        :raises ImportError: the detector has another sample rate than the stream, and the ``dsp`` extra is not installed.
        :raises Forked: the stream belongs to the parent process.
        """
        from .speech.utterances import Utterances

        if self._generation != generation():
            raise forked_error()
        self._check_decodable("utterances")
        return Utterances(
            self._core,
            sample_rate=self.sample_rate,
            track=self._one_track(track),
            call_id=self.call_id,
            vad=vad,
            silence=silence,
            pre_roll=pre_roll,
            shortest=shortest,
            longest=longest,
            on_speech=on_speech,
            timeout=timeout,
        )

    def read_dtmf(self, timeout: float | None = None) -> DtmfEvent | None:
        """Wait for the next DTMF key. Each key is returned once.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until a key is pressed or the stream ends.
        :return: the key; ``None`` if the stream has ended.
        :raises WaitTimeout: no key was pressed within ``timeout``. The stream continues.
        :raises InvalidParameter: ``timeout`` is invalid.
        """
        timeout = values.timeout(timeout)
        return self._core.dtmf.take(timeout)

    def read_mark(self, timeout: float | None = None) -> str | None:
        """Wait for the next mark that the platform returns. Each mark is returned once.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until a mark returns or the stream ends.
        :return: the name of the mark; ``None`` if the stream has ended.
        :raises WaitTimeout: no mark returned within ``timeout``. The stream continues.
        :raises InvalidParameter: ``timeout`` is invalid.
        """
        timeout = values.timeout(timeout)
        return self._core.marks.take(timeout)

    # -- saving --------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the audio received so far to a WAV file, either during the stream or after it has ended.

        The file contains 16-bit PCM at the codec's sample rate. It is mono for one track, and stereo for both, with inbound on
        the left and outbound on the right. Gaps are filled with silence to keep the timing. The file appears at ``path`` when it
        is complete.

        :param path: the file to write.
        :raises UnsupportedCodec: the codec cannot be decoded.
        :raises Forked: the stream belongs to the parent process.
        :raises ValueError: the server does not keep audio (``spool=False`` without ``record_to``).
        :raises OSError: the file cannot be written, or audio is missing, for example because the disk was full. In the latter
            case, ``path`` contains the available audio, and the message states its duration.
        :raises InvalidParameter: ``path`` is not a path, or a recording (``record_to``) is being written there.
        """
        values.path("path", path, "the path of a file to write")  # open() would accept a file descriptor
        if self._generation != generation():  # the parent writes to the same file, and locks may be held forever
            raise forked_error()
        self._check_decodable("save")
        if self._recorder is None:
            raise ValueError("no audio of this stream was kept: create the AudioServer with spool=True or record_to")
        self._recorder.copy_to(path)

    def _repr_html_(self) -> str:
        """Return HTML for notebooks: a player for the first minute, a waveform, and the statistics.

        Utterances that ``utterances()`` or a ``Conversation`` has found are marked in the waveform.
        """
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
            labels = ("inbound", "outbound") if kept.channels == 2 else self.announced_tracks[:1]
            return html_picture(
                kept.excerpt,
                samples=kept.samples,
                channels=kept.channels,
                sample_rate=kept.sample_rate,
                labels=labels,
                spoken=[
                    (labels.index(track), start, end)
                    for track, start, end in list(self._core.spoken)
                    if track in labels
                ],
            )

    def _check_decodable(self, what: str) -> None:
        if not self._decodable:
            raise UnsupportedCodec(
                f"{what}: {why_raw(self.media_format.encoding)}, or use the raw payload in frame.data"
            )

    # -- ending --------------------------------------------------------------------------------------------------------

    def close(self, timeout: float = 2.0) -> None:
        """Close the stream, and wait until it has ended. Idempotent.

        If the stream was requested by ``listen``, its action is stopped first. Audio received until then can still be read and
        saved. In a forked child, this method does nothing.

        :param timeout: maximum time to wait for the stream and its recording, in seconds, not counting the wait for the
            reply to the stop command.
        :raises InvalidParameter: ``timeout`` is invalid.
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
                _log.warning("could not stop the action of stream %s: %s", self.stream_id, error)
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


#: Returns the internal part of a stream.
core_of: Final[Callable[[AudioStream], StreamCore]] = operator.attrgetter("_core")
#: Returns the recorder of a stream; ``None`` if its audio is not kept.
recorder_of: Final[Callable[[AudioStream], Recorder | None]] = operator.attrgetter("_recorder")


AudioStream.__module__ = "relay_sync.audio"
