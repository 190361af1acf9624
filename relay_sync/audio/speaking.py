"""Play audio on a two-way stream. The methods are part of :class:`AudioStream`."""

from __future__ import annotations

import contextvars
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Literal, overload

from ..deadline import Deadline
from ..errors import InvalidParameter, StreamIsOneWay, WaitTimeout
from ..params import values
from ..threads import logs, starting
from ..threads.outcome import wait_for_event
from ..threads.process import check_thread, forked_error, generation
from .messages import LONGEST_MARK
from .playback import Piece, Playback, PlaybackResult
from .sources import Encode, Playable, chunks_of
from .speaker import Speaker
from .stream_core import StreamCore

__all__ = ["CLEAR_TIMEOUT", "Speaking", "close", "feed"]

_log = logs.get("relay_sync.audio").later
_numbers = itertools.count(1)
#: Pause after a chunk without audio, in seconds. A source that has nothing else would keep other threads from running.
_EMPTY = 0.001
#: Longest time that :meth:`Speaking.clear` takes, in seconds.
CLEAR_TIMEOUT = 5.0
_MOST_DIGITS = 256


class Speaking:
    """Methods for two-way streams. On one-way streams, they raise :class:`StreamIsOneWay`.

    The platform queues audio and plays it in order. The end of a stream is not an error, because the caller may hang up at any
    time: ``play`` returns how much was heard until then, ``wait_for_mark`` returns ``False``, and other methods do nothing.
    """

    _generation: int
    _core: StreamCore
    sample_rate: int
    action: object  # the action that started the stream, if known

    @property
    def two_way(self) -> bool:
        """Whether audio can be sent on this stream."""
        return self._core.speaker is not None

    @overload
    def play(
        self,
        audio: Playable,
        *,
        wait: Literal[True] = True,
        timeout: float | None = None,
        paced: bool = True,
        sample_rate: int | None = None,
    ) -> PlaybackResult: ...

    @overload
    def play(
        self,
        audio: Playable,
        *,
        wait: Literal[False],
        timeout: float | None = None,
        paced: bool = True,
        sample_rate: int | None = None,
    ) -> Playback: ...

    def play(
        self,
        audio: Playable,
        *,
        wait: bool = True,
        timeout: float | None = None,
        paced: bool = True,
        sample_rate: int | None = None,
    ) -> PlaybackResult | Playback:
        """Play audio to the remote party, after any audio that is already queued.

        :param audio: PCM (16-bit little-endian mono); a mono WAV file as a path, bytes, an open file or ``WavAudio``; or an
            iterable of PCM or ``AudioFrame``, for audio that is still being generated.
        :param wait: whether to wait until the audio has been heard. ``False`` plays the audio in the background and returns a
            :class:`Playback`; an iterable is then read in a separate thread.
        :param timeout: maximum time to wait, in seconds; ``None`` waits until the audio has been heard or the stream ends.
        :param paced: whether to send the audio in real time, 80 ms ahead. ``False`` sends it as fast as the remote end reads,
            and the platform queues it. Streams with ``realtime=True`` lose audio sent without pacing.
        :param sample_rate: sample rate of the PCM in Hz; by default ``stream.sample_rate``. Audio at a rate other than the
            codec's is resampled, which requires the ``dsp`` extra.
        :return: how much was heard: all audio, or less if ``clear()`` was called or the stream ended. If the platform returns no
            marks, the playback ends a few seconds later than expected and is ``estimated``; this is logged once.
        :raises WaitTimeout: the audio is still being played. Playback continues, except for unread items of an iterable.
        :raises InvalidParameter: the audio cannot be played.
        :raises UnsupportedCodec: the stream's codec cannot be encoded.
        :raises OSError: the file cannot be read.
        :raises QueueFull: 64 MiB of encoded audio is already queued.
        :raises StreamFailed: the remote end is not reading data.
        :raises StreamIsOneWay: the stream is not two-way.
        """
        timeout = values.timeout(timeout)
        speaker = self._speaker_for("play")
        if self._core.realtime and not paced:
            self._core.realtime = False  # log this only once
            _log.warning("play(paced=False) on a stream with realtime=True: most of the audio will not be heard")
        deadline = Deadline.after(time.monotonic(), timeout)
        source = chunks_of(audio, speaker.sample_rate, self.sample_rate if sample_rate is None else sample_rate)
        encode = speaker.encoding()
        piece = Piece(speaker.sample_rate, paced=paced)
        if isinstance(source, bytes):
            piece.feed(encode(source, True), len(source) // 2)
            piece.closed = True
            speaker.submit(piece)
        elif wait:
            check_thread()
            try:
                speaker.submit(piece)
                feed(speaker, piece, source, encode, deadline)
            finally:
                # Ctrl-C may have interrupted feed(). A piece that stays open would delay all later audio.
                close(speaker, piece)
        else:
            try:
                speaker.submit(piece)
                _in_background(speaker, piece, source, encode)
            except BaseException as error:
                piece.fail(error)
                close(speaker, piece)
                raise
        if not wait:
            return Playback(piece)
        left = deadline.remaining(time.monotonic())
        try:
            return piece.wait(left)
        except WaitTimeout:
            raise WaitTimeout(f"still playing after {timeout:g} s; call wait() again or clear()") from None

    def mark(self, name: str | None = None) -> str:
        """Send a mark, which the platform returns once the audio before it has been played.

        :param name: name of the mark; by default a new name is generated. Names may be reused.
        :return: the name, for :meth:`wait_for_mark`.
        :raises InvalidParameter: ``name`` is too long or not printable.
        :raises StreamIsOneWay: the stream is not two-way.
        :raises QueueFull: thousands of marks are pending.
        """
        values.text("name", name)
        if name is not None and (len(name) > LONGEST_MARK or not name.isprintable()):
            raise InvalidParameter("name", name, f"printable text of at most {LONGEST_MARK} characters")
        return self._speaker_for("mark").mark(name)

    def wait_for_mark(self, name: str, timeout: float | None = None) -> bool:
        """Wait until a mark returns.

        :param name: name of a mark set by :meth:`mark`. If the name was reused, this is the latest mark with that name.
        :param timeout: maximum time to wait, in seconds; ``None`` waits until the mark returns or the stream ends.
        :return: ``True`` if the audio before the mark was heard, ``False`` if the mark was cleared or the stream has ended. If
            the platform returns no marks, the result is ``True`` a few seconds after the expected time; this is logged once.
        :raises WaitTimeout: the mark did not return within ``timeout``.
        :raises InvalidParameter: no such mark was set, or ``timeout`` is invalid.
        :raises StreamIsOneWay: the stream is not two-way.
        """
        timeout = values.timeout(timeout)
        mark = self._speaker_for("wait_for_mark").named(name)
        if mark is None:
            raise InvalidParameter("name", name, "the name of a mark set by mark()")
        check_thread()
        if not wait_for_event(mark.settled, timeout):
            raise WaitTimeout(f"mark {name!r} did not return within {timeout:g} s; call wait_for_mark() again")
        return bool(mark.heard)

    def clear(self) -> None:
        """Discard all audio that has not been heard yet, and all pending marks.

        Active ``play`` calls return. Audio played later is not affected.

        :raises StreamIsOneWay: the stream is not two-way.
        """
        self._speaker_for("clear").clear(CLEAR_TIMEOUT)

    def send_dtmf(self, digits: str) -> None:
        """Send DTMF digits to the remote party, without waiting for queued audio.

        SignalWire and Plivo support this; Twilio and Telnyx do not.

        :param digits: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``; at most 256 digits.
        :raises InvalidParameter: ``digits`` contains other characters or is too long.
        :raises StreamIsOneWay: the stream is not two-way.
        """
        values.dtmf("digits", digits, optional=False)
        if len(digits) > _MOST_DIGITS:
            raise InvalidParameter("digits", f"<{len(digits)} digits>", f"at most {_MOST_DIGITS} at a time")
        self._speaker_for("send_dtmf").press(digits)

    def _how_to_speak(self) -> str:
        """Return advice on how to get a two-way stream, depending on how this stream was created."""
        if self.action is not None:
            last = "instead of listen()"
        else:
            last = "or AudioServer(two_way=True) if another client or document connects the call to it"
        return (
            "To play audio on a stream, use AudioServer.connect(call), or call.connect([[audio.device()]]),"
            f" {last}; call.play() plays without a stream"
        )

    def _speaker_for(self, what: str) -> Speaker:
        if self._generation != generation():
            raise forked_error()
        speaker = self._core.speaker
        if speaker is None:
            raise StreamIsOneWay(f"{what}: this stream only carries audio out of the call. {self._how_to_speak()}")
        return speaker


def _in_background(speaker: Speaker, piece: Piece, source: Iterator[bytes], encode: Encode) -> None:
    def run() -> None:
        try:
            feed(speaker, piece, source, encode, Deadline.after(time.monotonic(), None))
        except Exception:
            _log.exception("the audio iterable raised an exception; playback stops")

    context = contextvars.copy_context()
    name = f"{speaker.name}-play-{next(_numbers)}"
    thread = threading.Thread(target=lambda: context.run(run), name=name, daemon=True)
    starting.uninterrupted(thread.start)


def feed(speaker: Speaker, piece: Piece, source: Iterator[bytes], encode: Encode, deadline: Deadline) -> None:
    """Read audio from an iterable and add it to a piece, staying at most a second ahead of sending.

    This runs user code, so it must not be called on the loop thread.
    """
    try:
        while not piece.done:
            pcm = next(source, None)
            if pcm is None:
                piece.feed(encode(b"", True), 0)
                return
            if not pcm:
                time.sleep(_EMPTY)
                continue
            piece.feed(encode(pcm, False), len(pcm) // 2)
            speaker.nudge(piece)
            piece.wait_for_room(deadline)
    except WaitTimeout:
        raise
    except BaseException as error:
        piece.fail(error)
        raise
    finally:
        close(speaker, piece)


def close(speaker: Speaker, piece: Piece) -> None:
    """Mark a piece as complete."""
    piece.closed = True
    speaker.nudge(piece)
