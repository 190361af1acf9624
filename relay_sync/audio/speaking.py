"""Speaking on a two-way stream: the part of :class:`~relay_sync.audio.AudioStream` that is heard by the party."""

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

__all__ = ["Speaking"]

_log = logs.get("relay_sync.audio").later
_numbers = itertools.count(1)
_CLEAR_TIMEOUT = 5.0  # seconds
_MOST_DIGITS = 256


class Speaking:
    """What can be said, where the stream is two-way; elsewhere all of it raises :class:`StreamIsOneWay`.

    What is said is queued by the carrier and played in order. On a stream that has ended nothing is heard, and nothing is
    raised either, for a caller may hang up at any time: ``play`` returns what was heard before, ``wait_for_mark`` returns
    ``False``, and the others do nothing.
    """

    _generation: int
    _core: StreamCore
    sample_rate: int
    action: object  # what had the stream come, where that is known

    @property
    def two_way(self) -> bool:
        """Whether the party can be spoken to."""
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
        """Say something to the party, after what is still being said.

        :param audio: PCM (16-bit little-endian mono), the path of a mono WAV file, a WAV as bytes, as an open
            file or as ``WavAudio``, or an iterable of PCM or of ``AudioFrame``, for audio that is only being made.
        :param wait: until it has been heard. Without, it is said in the background, an iterable being read in a thread of
            its own, and a :class:`Playback` tells how far it is.
        :param timeout: seconds to wait, ``None`` for as long as the stream goes on.
        :param paced: send it as it is heard, 80 ms ahead; else at once, as fast as the far side reads, to be queued there.
            Streams with ``realtime=True`` lose what comes at once.
        :param sample_rate: of the PCM, in Hz; by default ``stream.sample_rate``, that of its frames. What is not at the
            codec's own rate, a WAV file say, is changed by the extra ``dsp``.
        :returns: how much was heard: all of it, or less if ``clear()`` was called, from another thread say (barge-in), or
            the stream ended. Where the carrier returns no marks, it is over some seconds after it should have been played,
            and ``estimated``; the log says so once.
        :raises WaitTimeout: it is still being played, and goes on, except for what an iterable has not given yet.
        :raises InvalidParameter: audio that cannot be played here. :raises UnsupportedCodec: the stream's codec cannot be
            encoded here. :raises OSError: the file cannot be read. :raises QueueFull: an hour of audio waits already.
        :raises StreamFailed: the far side does not read. :raises StreamIsOneWay: see above.
        """
        timeout = values.timeout(timeout)
        speaker = self._speaker_for("play")
        if self._core.realtime and not paced:
            self._core.realtime = False  # once is enough
            _log.warning("play(paced=False) on a stream with realtime=True: most of what comes at once is not heard")
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
                _feed(speaker, piece, source, encode, deadline)
            finally:
                _close(speaker, piece)  # a Ctrl-C may have come while _feed() did: all that is said later waits for it
        else:
            try:
                speaker.submit(piece)
                _in_background(speaker, piece, source, encode)
            except BaseException as error:
                piece.fail(error)
                _close(speaker, piece)
                raise
        if not wait:
            return Playback(piece)
        left = deadline.remaining(time.monotonic())
        try:
            return piece.wait(left)
        except WaitTimeout:
            raise WaitTimeout(f"still being played after {timeout:g} s; clear() would stop it") from None

    def mark(self, name: str | None = None) -> str:
        """Set a mark behind what has been said so far.

        :param name: a name of your own; by default one is made up. The name of an older mark may be used again.
        :returns: the name, for :meth:`wait_for_mark`.
        :raises StreamIsOneWay: see above. :raises QueueFull: thousands of marks are under way.
        """
        values.text("name", name)
        if name is not None and (len(name) > LONGEST_MARK or not name.isprintable()):
            raise InvalidParameter("name", name, f"printable text of at most {LONGEST_MARK} characters")
        return self._speaker_for("mark").mark(name)

    def wait_for_mark(self, name: str, timeout: float | None = None) -> bool:
        """Wait until a mark has come back.

        :param name: of a mark that was set; of several of that name the last. :param timeout: seconds; ``None`` for as
            long as the stream goes on.
        :returns: ``True``: everything before the mark was heard (or, where the carrier returns no marks, should have been
            some seconds ago; the log says so once); ``False``: it never will be, for it was cleared or the stream has ended.
        :raises WaitTimeout: neither happened in time. :raises InvalidParameter: no such mark was set, or a timeout that
            cannot be right.
        :raises StreamIsOneWay: see above.
        """
        timeout = values.timeout(timeout)
        mark = self._speaker_for("wait_for_mark").named(name)
        if mark is None:
            raise InvalidParameter("name", name, "that of a mark set by mark() before")
        check_thread()
        if not wait_for_event(mark.settled, timeout):
            raise WaitTimeout(f"the mark {name!r} did not come back within {timeout:g} s; it still may")
        return bool(mark.heard)

    def clear(self) -> None:
        """Say no more of what has been said and not been heard: every ``play`` under way returns, every mark under way is
        cleared. What is said from now on is heard.

        :raises StreamIsOneWay: see above.
        """
        self._speaker_for("clear").clear(_CLEAR_TIMEOUT)

    def send_dtmf(self, digits: str) -> None:
        """Press keys towards the party, one after the other, without waiting for what is being said.

        :param digits: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``. SignalWire and Plivo can; Twilio and Telnyx have no such
            message.
        :raises InvalidParameter: something else. :raises StreamIsOneWay: see above.
        """
        values.dtmf("digits", digits, optional=False)
        if len(digits) > _MOST_DIGITS:
            raise InvalidParameter("digits", f"<{len(digits)} keys>", f"at most {_MOST_DIGITS} at a time")
        self._speaker_for("send_dtmf").press(digits)

    def _how_to_speak(self) -> str:
        """The ways to a stream that can be spoken on, by how this one came about."""
        if self.action is not None:
            last = "instead of listen()"
        else:
            last = "or AudioServer(two_way=True) where something else connects the call to it"
        return (
            "To speak on a stream use AudioServer.connect(call), or call.connect([[audio.device()]]),"
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
            _feed(speaker, piece, source, encode, Deadline.after(time.monotonic(), None))
        except Exception:
            _log.exception("the audio that was to be played broke off")

    context = contextvars.copy_context()
    name = f"{speaker.name}-play-{next(_numbers)}"
    thread = threading.Thread(target=lambda: context.run(run), name=name, daemon=True)
    starting.uninterrupted(thread.start)


def _feed(speaker: Speaker, piece: Piece, source: Iterator[bytes], encode: Encode, deadline: Deadline) -> None:
    """Hand over what an iterable gives, as far as it is needed. It runs user code: never on the loop thread."""
    try:
        while not piece.done:
            pcm = next(source, None)
            if pcm is None:
                piece.feed(encode(b"", True), 0)
                return
            piece.feed(encode(pcm, False), len(pcm) // 2)
            speaker.nudge(piece)
            piece.wait_for_room(deadline)
    except WaitTimeout:
        raise
    except BaseException as error:
        piece.fail(error)
        raise
    finally:
        _close(speaker, piece)


def _close(speaker: Speaker, piece: Piece) -> None:
    """No more of it comes."""
    piece.closed = True
    speaker.nudge(piece)
