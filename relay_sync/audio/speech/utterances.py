"""Iterate over the utterances of a stream: a thread finds them, and the program waits for them."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final

from attrs import define, field

from ...deadline import Deadline
from ...errors import InvalidParameter, WaitTimeout
from ...params import values
from ...threads import callback_errors, logs
from ...threads.flag import Bell
from ...threads.outcome import wait_until
from ...threads.process import check_thread, forked_error, generation
from ...threads.starting import join_all, uninterrupted
from ..frames import FrameBuffer
from .energy import RATES, Energy
from .segmenter import Detector, Segmenter
from .utterance import Utterance

if TYPE_CHECKING:
    from ..stream_core import StreamCore

__all__ = ["Utterances"]

_log = logs.get("relay_sync.audio").later
_callbacks = logs.get("relay_sync.callbacks").later
_numbers = itertools.count(1)
#: Largest number of utterances that wait for the program; more are dropped.
_MOST: Final = 64
#: Seconds that a detector has to finish after the stream has ended.
_GRACE: Final = 5.0
#: Seconds that :meth:`Utterances.close` waits for the detector.
_CLOSING: Final = 2.0
#: Longest single wait in seconds, after which the thread looks whether the stream has ended.
_SLICE: Final = 1.0


@define(eq=False)
class _Listening:
    """What the thread and the iterator share. The thread does not keep the iterator alive.

    :ivar feed: audio that the detector has not heard yet.
    :ivar ready: utterances that the program has not taken yet.
    :ivar done: whether the thread has ended.
    :ivar error: the exception that ended it.
    :ivar discarded: number of utterances that were dropped.
    """

    core: StreamCore
    feed: FrameBuffer
    segmenter: Segmenter
    track: str
    call_id: str
    on_speech: Callable[[float], object] | None
    ready: deque[Utterance] = field(factory=deque)
    bell: Bell = field(factory=Bell)
    closed: bool = False
    done: bool = False
    error: BaseException | None = None
    discarded: int = 0

    def run(self) -> None:
        """Find utterances until the stream ends. Runs in a thread of its own, and calls the user's detector."""
        try:
            for frame in self.feed.frames(None):
                if self.closed:
                    return
                self._offer(self.segmenter.push(frame.timestamp, frame.pcm))
            if not self.closed:
                self._offer(self.segmenter.finish())
        except BaseException as error:  # includes SystemExit: the iterator raises it
            self.error = error
        finally:
            self.done = True
            self.core.buffer.remove_feed(self.feed)
            self.bell.ring()

    def _offer(self, found: list[Utterance]) -> None:
        for each in found:
            if len(self.ready) < _MOST:
                self.ready.append(each)
                continue
            self.discarded += 1
            if self.discarded == 1:
                _log.warning(
                    "%d utterances of call %s wait for the program; dropping more (utterances.discarded)",
                    _MOST,
                    self.call_id,
                )
        if found:
            self.bell.ring()

    def started(self, start: float) -> None:
        """Notify the program that speech has started."""
        if self.on_speech is None:
            return
        try:
            self.on_speech(start)
        except Exception as error:
            _callbacks.exception("on_speech failed for call %s", self.call_id, extra={"call_id": self.call_id})
            callback_errors.tell(f"on_speech of call {self.call_id}", error)

    def outran(self) -> None:
        """Log that audio was dropped. Called once."""
        _log.warning(
            "the detector of call %s is behind; dropping the oldest audio of its track (utterances.dropped)",
            self.call_id,
        )

    def stop(self) -> None:
        """End the thread without waiting for it."""
        self.closed = True
        self.core.buffer.remove_feed(self.feed)
        self.feed.end()
        self.bell.ring()


class Utterances(Iterator[Utterance]):
    """Iterator over the utterances of one track, which :meth:`AudioStream.utterances` returns.

    A thread reads the audio and calls the detector from the start, so nothing is lost while your code is busy. After
    ``WaitTimeout`` or Ctrl-C, ``next()`` continues where it was. Use an instance in one thread at a time.

    :param core: the internal part of the stream.
    :param sample_rate: sample rate of the stream in Hz.
    :param track: ``inbound`` or ``outbound``.
    :param call_id: ID of the call, for log messages.
    :param vad: the detector; ``None`` means a new :class:`Energy`.
    :param silence: silence that ends an utterance, in seconds.
    :param pre_roll: how much audio before the start of speech is included, in seconds.
    :param shortest: least speech in an utterance, in seconds.
    :param longest: length at which an utterance is cut, in seconds.
    :param on_speech: called with the position in seconds as soon as speech starts.
    :param timeout: longest time to wait for an utterance, in seconds.
    :raises InvalidParameter: a parameter is invalid, or the track's utterances are being read.
    :raises ImportError: the audio has to be resampled, and the ``dsp`` extra is not installed.
    """

    def __init__(
        self,
        core: StreamCore,
        *,
        sample_rate: int,
        track: str,
        call_id: str,
        vad: Detector | None,
        silence: float,
        pre_roll: float,
        shortest: float,
        longest: float,
        on_speech: Callable[[float], object] | None,
        timeout: float | None,
    ) -> None:
        self._timeout = values.timeout(timeout)
        if on_speech is not None:
            values.handler("on_speech", on_speech, ("start",))
        self._generation = generation()
        self._given = False  # whether the first of the utterances that wait was returned to the program
        segmenter = Segmenter(
            Energy(sample_rate if sample_rate in RATES else RATES[0]) if vad is None else vad,
            sample_rate,
            track=track,
            silence=silence,
            pre_roll=pre_roll,
            shortest=shortest,
            longest=longest,
            on_speech=lambda start: listening.started(start),
        )
        feed = core.buffer.add_feed(track, lambda: listening.outran())
        if feed is None:
            raise InvalidParameter("track", track, "a track without utterances(): close the other iterator first")
        self._listening = listening = _Listening(core, feed, segmenter, track, call_id, on_speech)
        self._thread = threading.Thread(target=listening.run, name=f"relay-speech-{next(_numbers)}", daemon=True)
        try:
            uninterrupted(self._thread.start)
        except BaseException:
            listening.stop()
            raise

    def __repr__(self) -> str:
        state = "closed" if self._listening.closed else "ended" if self._listening.done else "listening"
        return f"<Utterances of call {self._listening.call_id}, {self._listening.track}, {state}>"

    @property
    def dropped(self) -> int:
        """Number of frames that were dropped because the detector was behind by more than ``buffer_seconds``."""
        return self._listening.feed.dropped

    @property
    def discarded(self) -> int:
        """Number of utterances that were dropped because more than 64 waited for the program."""
        return self._listening.discarded

    def __iter__(self) -> Utterances:
        return self

    def __next__(self) -> Utterance:
        """Wait for the next utterance.

        :raises StopIteration: the stream has ended, or the iterator was closed.
        :raises WaitTimeout: no utterance ended within ``timeout``. You can call ``next()`` again.
        :raises Forked: the stream belongs to the parent process.
        """
        if self._generation != generation():
            raise forked_error()
        check_thread()
        listening = self._listening
        if self._given:
            self._given = False
            listening.ready.popleft()
        self._wait(listening)
        if listening.closed or not listening.ready:
            error, listening.error = listening.error, None
            if error is not None and not listening.closed:
                raise error
            raise StopIteration
        try:
            self._given = True
            return listening.ready[0]
        except BaseException:  # Ctrl-C: the utterance is returned next time
            self._given = False
            raise

    def _wait(self, listening: _Listening) -> None:
        def some() -> bool:
            return bool(listening.ready) or listening.done or listening.closed

        deadline, ended = Deadline.after(time.monotonic(), self._timeout), None
        while not some():
            now = time.monotonic()
            left = deadline.remaining(now)
            if left is not None and left <= 0:
                raise WaitTimeout(f"no utterance within {self._timeout:g} s; the stream continues")
            if listening.core.ended.is_set():
                ended = now if ended is None else ended
                if now - ended > _GRACE:
                    _log.warning(
                        "the detector of call %s has not returned %g s after the end of the stream; its last utterances are lost",
                        listening.call_id,
                        _GRACE,
                    )
                    listening.stop()
                    return
            wait_until(some, listening.bell, _SLICE if left is None else min(left, _SLICE))

    def close(self) -> None:
        """Stop listening, and discard utterances that were not read. Idempotent.

        The stream continues. The method waits up to 2 seconds for the detector.
        """
        if self._generation != generation():
            return
        self._listening.stop()
        if self._thread is not threading.current_thread():
            join_all([self._thread], _CLOSING)

    def __enter__(self) -> Utterances:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_listening") and self._generation == generation():  # a lock may be held forever in a fork
            self._listening.stop()


Utterances.__module__ = "relay_sync.audio.speech"
