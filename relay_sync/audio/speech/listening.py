"""The thread that finds utterances, and what it shares with the threads that wait for them."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ...errors import InvalidParameter
from ...params import values
from ...threads import callback_errors, logs
from ...threads.flag import Bell
from ...threads.starting import join_all, uninterrupted
from ..frames import FrameBuffer
from .energy import energy_for
from .segmenter import Detector, Segmenter
from .utterance import Utterance

if TYPE_CHECKING:
    from ..stream_core import StreamCore

__all__ = ["CLOSING", "GRACE", "SLICE", "Listening", "visible"]

_log = logs.get("relay_sync.audio").later
_callbacks = logs.get("relay_sync.callbacks").later
_numbers = itertools.count(1)
#: Seconds that a detector or a recognizer has to finish after the stream has ended.
GRACE: Final = 5.0
#: Seconds that closing waits for the detector.
CLOSING: Final = 2.0
#: Longest single wait in seconds, after which a waiting thread looks whether the stream has ended.
SLICE: Final = 1.0


def visible(error: BaseException, who: str) -> BaseException:
    """Return an exception that an iterator can raise: ``StopIteration`` would end the loop like a hang-up.

    :param error: the exception.
    :param who: who raised it, for the message.
    """
    if not isinstance(error, StopIteration):
        return error
    raised = RuntimeError(f"{who} raised StopIteration")
    raised.__cause__ = error
    return raised


class Listening:
    """Finds the utterances of one track in a thread of its own. The thread does not keep the objects of the user alive.

    :param core: the internal part of the stream.
    :param sample_rate: sample rate of the stream in Hz.
    :param track: ``inbound`` or ``outbound``.
    :param call_id: ID of the call, for log messages.
    :param most: largest number of utterances that wait for the program; more are dropped.
    :param who: name of the object with the counters ``dropped`` and ``discarded``, for log messages.
    :param vad: the detector; ``None`` means a new :class:`Energy`.
    :param silence: silence that ends an utterance, in seconds.
    :param pre_roll: how much audio before the start of speech is included, in seconds.
    :param shortest: least speech in an utterance, in seconds.
    :param longest: length at which an utterance is cut, in seconds.
    :param on_speech: called with the position in seconds as soon as speech starts.
    :raises InvalidParameter: a parameter is invalid.
    :raises ImportError: the audio has to be resampled, and the ``dsp`` extra is not installed.
    :ivar ready: utterances that the program has not taken yet.
    :ivar bell: rings when there is something new.
    :ivar closed: whether :meth:`stop` was called.
    :ivar done: whether the thread has ended.
    :ivar error: the exception that ended it.
    :ivar discarded: number of utterances that were dropped.
    """

    def __init__(
        self,
        core: StreamCore,
        *,
        sample_rate: int,
        track: str,
        call_id: str,
        most: int,
        who: str,
        vad: Detector | None,
        silence: float,
        pre_roll: float,
        shortest: float,
        longest: float,
        on_speech: Callable[[float], object] | None,
    ) -> None:
        if on_speech is not None:
            values.handler("on_speech", on_speech, ("start",))
        self.core = core
        self.track = track
        self.call_id = call_id
        self._most = most
        self.ready: deque[Utterance] = deque()
        self.bell: Bell = Bell()
        self.closed: bool = False
        self.done: bool = False
        self.error: BaseException | None = None
        self.discarded: int = 0
        self._who = who
        self._on_speech = on_speech
        self._ended: float | None = None  # when a waiting thread noticed that the stream has ended
        self.segmenter: Segmenter = Segmenter(
            energy_for(sample_rate) if vad is None else vad,
            sample_rate,
            track=track,
            silence=silence,
            pre_roll=pre_roll,
            shortest=shortest,
            longest=longest,
            on_speech=self._started,
        )
        self.feed: FrameBuffer = core.buffer.new_feed(track, self._outran)
        self.thread: threading.Thread = threading.Thread(
            target=self.run, name=f"relay-speech-{next(_numbers)}", daemon=True
        )

    def start(self) -> None:
        """Take the track, and start the thread. After an exception, also Ctrl-C as this returns, :meth:`stop` frees the track.

        :raises InvalidParameter: the track's utterances are being read.
        :raises RuntimeError: the system cannot start a thread.
        """
        if not self.core.buffer.add_feed(self.feed):
            raise InvalidParameter("track", self.track, "a track without utterances(): close the other iterator first")
        uninterrupted(self.thread.start)

    def run(self) -> None:
        """Find utterances until the stream ends. Runs in a thread of its own, and calls the user's detector."""
        try:
            for frame in self.feed.copies():
                if self.closed:
                    return
                found = self.segmenter.push(frame.timestamp, frame.pcm) if frame.data else []
                self.heard()
                self._offer(found)
            if not self.closed:
                self._offer(self.segmenter.finish())
        except BaseException as error:  # includes SystemExit: the iterator raises it
            self.error = visible(error, "the detector")
        finally:
            self.done = True
            self.core.buffer.remove_feed(self.feed)
            self.bell.ring()

    def heard(self) -> None:
        """Act on a frame, or on a key. Called for each, before the utterances that ended with a frame are offered."""

    def take_over(self, utterance: Utterance) -> None:
        """Act on an utterance that will be returned. Called before the program can see it."""

    @property
    def room(self) -> int:
        """Number of utterances for which there is room."""
        return self._most - len(self.ready)

    def _offer(self, found: list[Utterance]) -> None:
        for each in found:
            self.core.spoken.append((each.track, each.start, each.end))
            if self.room > 0:
                self.take_over(each)
                self.ready.append(each)
                continue
            self.discarded += 1
            if self.discarded == 1:
                _log.warning(
                    "%d utterances of call %s wait for the program; dropping more (%s.discarded)",
                    len(self.ready),
                    self.call_id,
                    self._who,
                )
        if found:
            self.bell.ring()

    def _started(self, start: float) -> None:
        if self._on_speech is None:
            return
        try:
            self._on_speech(start)
        except Exception as error:
            _callbacks.exception("on_speech failed for call %s", self.call_id, extra={"call_id": self.call_id})
            callback_errors.tell(f"on_speech of call {self.call_id}", error)

    def _outran(self) -> None:
        """Log that audio was dropped. Called once."""
        _log.warning(
            "the detector of call %s is behind; dropping the oldest audio of its track (%s.dropped)",
            self.call_id,
            self._who,
        )

    def is_overdue(self, now: float) -> bool:
        """Return whether the detector has had enough time since the end of the stream. If it has, listening stops.

        :param now: the current time.
        """
        if self.done or not self.core.ended.is_set():
            return False
        self._ended = now if self._ended is None else self._ended
        if now - self._ended <= GRACE:
            return False
        _log.warning(
            "the detector of call %s has not returned %g s after the end of the stream; its last utterances are lost",
            self.call_id,
            GRACE,
        )
        self.stop()
        return True

    def join(self) -> None:
        """Wait a moment for the thread, after :meth:`stop`. If the detector does not return, that is logged."""
        if self.thread is threading.current_thread() or not join_all([self.thread], CLOSING):
            return
        _log.warning(
            "the detector of call %s has not returned since its %s ended: %s", self.call_id, self._who, self.thread.name
        )

    def log_error(self) -> None:
        """Log the exception of the detector, unless it was raised."""
        error, self.error = self.error, None
        if error is not None:
            _log.warning("the detector of call %s failed: %r", self.call_id, error)

    def stop(self) -> None:
        """End the thread without waiting for it."""
        self.closed = True
        self.core.buffer.remove_feed(self.feed)
        self.feed.end()
        self.bell.ring()
