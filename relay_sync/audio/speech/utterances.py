"""Iterate over the utterances of a stream: a thread finds them, and the program waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final

from ...deadline import Deadline
from ...errors import WaitTimeout
from ...params import values
from ...threads.outcome import wait_until
from ...threads.process import check_thread, forked_error, generation
from .listening import SLICE, Listening
from .segmenter import Detector
from .utterance import Utterance

if TYPE_CHECKING:
    from ..stream_core import StreamCore

__all__ = ["Utterances"]

#: Largest number of utterances that wait for the program; more are dropped.
_MOST: Final = 64


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
        self._generation = generation()
        self._given = False  # whether the first of the utterances that wait was returned to the program
        self._listening = listening = Listening(
            core,
            sample_rate=sample_rate,
            track=track,
            call_id=call_id,
            most=_MOST,
            who="utterances",
            vad=vad,
            silence=silence,
            pre_roll=pre_roll,
            shortest=shortest,
            longest=longest,
            on_speech=on_speech,
        )
        try:
            listening.start()
        except BaseException:  # also Ctrl-C as it returns
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

    def _wait(self, listening: Listening) -> None:
        def some() -> bool:
            return bool(listening.ready) or listening.done or listening.closed

        deadline = Deadline.after(time.monotonic(), self._timeout)
        while not some():
            now = time.monotonic()
            left = deadline.remaining(now)
            if left is not None and left <= 0:
                raise WaitTimeout(f"no utterance within {self._timeout:g} s; the stream continues")
            if listening.is_overdue(now):
                return
            wait_until(some, listening.bell, SLICE if left is None else min(left, SLICE))

    def close(self) -> None:
        """Stop listening, and discard utterances that were not read. Idempotent.

        The stream continues. The method waits up to 2 seconds for the detector.
        """
        if self._generation != generation():
            return
        self._listening.stop()
        self._listening.join()

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
