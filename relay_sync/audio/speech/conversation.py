"""A conversation on a two-way stream: turns of the party in a loop, and answers that it can interrupt."""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal

from attrs import frozen

from ... import notebook_html
from ...errors import InvalidParameter, StreamIsOneWay, WaitTimeout, WrongThread
from ...params import values
from ...threads.outcome import wait_until
from ...threads.process import check_thread, forked_error, generation
from ..sources import Playable, chunks_of
from ..stream import AudioStream, core_of, recorder_of
from .ears import Ears
from .heard_audio import HeardAudio
from .listening import SLICE, visible
from .segmenter import Detector
from .speaking_queue import SpeakingQueue
from .transcript import Transcript, TranscriptLine
from .turns import Interruption, Turn
from .utterance import Utterance

if TYPE_CHECKING:
    from ..frames import AudioFrame
    from ..speaker import Speaker
    from ..stream_core import StreamCore
    from ..wav import WavAudio

    Speech = bytes | os.PathLike[str] | WavAudio | Iterable[bytes | AudioFrame] | tuple[bytes, int]

__all__ = ["Conversation"]

_Event = Literal["stop", "failed", "heard", "broken", "keys", "silent"]
#: Longest value of the parameters in seconds.
_LONGEST: Final = 3600


@frozen
class _Made:
    """A turn, and what is written down when it is returned. Doing that twice changes nothing.

    :ivar taken: number of keys that then belong to turns.
    :ivar pending: number of interruptions that belong to it and to no utterance.
    :ivar line: its line in the transcript; ``None`` if it has none.
    """

    turn: Turn
    taken: int
    pending: int
    line: TranscriptLine | None


class Conversation(Iterator[Turn]):
    """A conversation with the party on a two-way stream.

    Iterate over it to get the party's turns, and answer with :meth:`say`. ``recognize`` and your answers run in the thread that
    iterates. ``speak`` and iterables of audio run in threads of the conversation. When the party speaks for ``interrupt_after``
    seconds, or presses a key, audio that is being played and audio that is queued are discarded, and the turn says how much was
    heard. There is no echo cancellation. Audio that arrived before the conversation and has not been read can be a turn, but
    interrupts nothing.

    The iteration ends when the stream ends, for example because the party hangs up. While your code runs, utterances wait in
    order. Of those, at most one more is returned after the stream has ended. Leaving the ``with`` block stops speaking and
    listening, but ends neither the stream nor the call.

    :param stream: a two-way stream, such as one of ``AudioServer.connect``.
    :param recognize: function that turns an :class:`Utterance` into text. The iterator raises its exceptions.
    :param speak: function that turns text into audio: PCM (16-bit little-endian mono), ``(pcm, sample_rate)``, a WAV file, or an
        iterable of PCM, which is played before it is complete. It is not needed if only audio is passed to :meth:`say`.
    :param speak_rate: sample rate of PCM without a rate, in Hz; by default ``stream.sample_rate``. Other rates than the codec's
        are resampled, which requires the ``dsp`` extra.
    :param vad: detector of speech, as for ``stream.utterances``; by default a new :class:`Energy`.
    :param silence: silence that ends a turn, in seconds.
    :param pre_roll: how much audio before the start of speech belongs to an utterance, in seconds.
    :param shortest: least speech in an utterance, in seconds.
    :param longest: length at which a turn is ended, in seconds. It is then ``cut``, and the next one continues it.
    :param interrupt_after: seconds of speech after which the party interrupts; ``None`` lets nothing interrupt.
    :param patience: seconds of silence on both sides after which an empty turn is returned; ``None`` has no limit. The time for
        which audio of ``speak`` or of an iterable is awaited is silence, too.
    :param key_pause: seconds without a further key after which keys are a turn of their own, if the party says nothing.
    :param queue: largest number of utterances that wait while your code runs. More are dropped and counted.
    :raises InvalidParameter: a parameter is invalid, ``speak_rate`` cannot be resampled, or the utterances of the stream are
        being read already.
    :raises ImportError: the detector has another sample rate than the stream, and the ``dsp`` extra is not installed.
    :raises StreamIsOneWay: the stream is not two-way.
    :raises UnsupportedCodec: the codec cannot be decoded or encoded.
    :raises Forked: the stream belongs to the parent process.
    """

    def __init__(
        self,
        stream: AudioStream,
        *,
        recognize: Callable[[Utterance], str],
        speak: Callable[[str], Any] | None = None,
        speak_rate: int | None = None,
        vad: Detector | None = None,
        silence: float = 0.6,
        pre_roll: float = 0.3,
        shortest: float = 0.2,
        longest: float = 30.0,
        interrupt_after: float | None = 0.4,
        patience: float | None = None,
        key_pause: float = 1.5,
        queue: int = 8,
    ) -> None:
        self._generation = generation()
        self._core = core = _core_of(stream)
        self._recognize = values.handler("recognize", recognize, ("utterance",))
        _check_speak(speak)
        values.number("interrupt_after", interrupt_after, above=0, high=60)
        values.number("patience", patience, above=0, high=_LONGEST)
        values.number("key_pause", key_pause, above=0, high=60, optional=False)
        values.whole("queue", queue, low=1, high=10_000, optional=False)
        values.whole("speak_rate", speak_rate, low=1)
        speaker = _speaker_of(core)
        rate = _checked_rate(stream.sample_rate if speak_rate is None else speak_rate, speaker.sample_rate)
        self._stream = stream
        self._silence = silence
        self._patience = patience
        self._key_pause = key_pause
        self._finished = False  # whether close() has done everything
        self._made: _Made | None = None  # the next turn, or the former one
        self._given = False  # whether it was returned to the program
        self._last = False  # whether a turn was returned after the end of the stream
        self._iterating: int | None = None  # the thread that waits for a turn
        self._asked_at = 0.0
        self._lines: list[TranscriptLine] = []
        self._heard = _heard_audio(stream, speaker.sample_rate)
        self._ears = ears = Ears(
            core,
            interrupt_after=interrupt_after,
            sample_rate=stream.sample_rate,
            call_id=stream.call_id,
            most=queue,
            vad=vad,
            silence=silence,
            pre_roll=pre_roll,
            shortest=shortest,
            longest=longest,
        )
        self._queue = ears.queue = SpeakingQueue(
            core, speaker, speak=speak, speak_rate=rate, call_id=stream.call_id, heard=self._heard, bell=ears.bell
        )
        try:
            ears.start()
        except BaseException:  # also Ctrl-C as it returns
            ears.stop()
            raise

    def __repr__(self) -> str:
        state = "closed" if self._queue.closed else "ended" if self._core.ended.is_set() else "open"
        return f"<Conversation of call {self._stream.call_id}, {len(self._lines)} turns, {state}>"

    def _repr_html_(self) -> str:
        """Return HTML for notebooks: who spoke when, and what."""
        return notebook_html.panel(repr(self)[1:-1], self.transcript._repr_html_())

    # -- listening -----------------------------------------------------------------------------------------------------

    @property
    def discarded(self) -> int:
        """Number of utterances that were dropped because ``queue`` others waited for the program."""
        return self._ears.discarded

    @property
    def dropped(self) -> int:
        """Number of frames that were dropped because the detector was behind by more than ``buffer_seconds``."""
        return self._ears.feed.dropped

    def __iter__(self) -> Conversation:
        return self

    def __next__(self) -> Turn:
        """Wait for the party's next turn. After Ctrl-C, you can call ``next()`` again, and nothing is lost.

        Exceptions of ``recognize``, of the detector, and of audio that failed while it was played are raised here. After an
        exception of ``recognize`` or of audio, the iteration can continue.

        :raises StopIteration: the stream has ended, or the conversation was closed.
        :raises InvalidParameter: ``recognize`` returned something other than text.
        :raises WrongThread: another thread, or ``recognize`` itself, is waiting for a turn; or a thread of the conversation
            calls this, such as the thread of ``speak``.
        :raises Forked: the stream belongs to the parent process.
        """
        self._check_waiting("next()")
        if self._iterating is not None:
            raise WrongThread(
                "a turn is being awaited already: iterate over a conversation in one thread, not in recognize()"
            )
        given = False
        try:
            self._iterating = threading.get_ident()
            made = self._next()
            self._iterating = None
            given = self._given = True
            return made.turn
        except BaseException:  # Ctrl-C: the turn is returned next time
            self._iterating = None
            if given:
                self._given = False
            raise

    def _next(self) -> _Made:
        if self._given:
            self._made = None
            self._given = False
        if self._made is None:
            self._make()
        made = self._made
        assert made is not None  # by _make()
        self._write_down(made)
        return made

    def _write_down(self, made: _Made) -> None:
        self._ears.taken = made.taken
        if made.turn.utterance is not None:
            self._ears.forget(made.turn.utterance)
        self._ears.drop_pending(made.pending)
        if made.line is not None and not any(line is made.line for line in self._lines[-1:]):
            self._lines.append(made.line)
        self._last = self._core.ended.is_set()

    def _make(self) -> None:
        """Wait for the next turn. Ctrl-C at any place loses nothing."""
        self._asked_at = time.monotonic()
        self._queue.settle()
        ears = self._ears
        while True:
            event = self._look()
            if event is not None:
                break
            now = time.monotonic()
            if ears.is_overdue(now):
                continue
            wait_until(lambda: self._look() is not None, ears.bell, self._longest_wait(now))
        if event == "heard":
            self._hear(ears.ready[0])
            return
        if event == "failed":
            raise self._queue.failures.popleft()
        if event == "broken" and ears.error is not None:
            error, ears.error = ears.error, None
            raise error
        if event in ("keys", "silent"):
            count, interrupted = ears.pending
            self._turn("", ears.keys(), None, interrupted, count)
            return
        raise StopIteration

    def _look(self) -> _Event | None:
        """Return what has happened that ends the wait for a turn."""
        ears, queue = self._ears, self._queue
        if queue.closed:
            return "stop"
        if queue.failures:
            return "failed"
        if self._last:
            return "stop"
        if ears.ready:
            return "heard"
        ears.notice_keys()
        now = time.monotonic()
        keys = bool(ears.keys())
        if ears.done or ears.closed:
            return "broken" if ears.error is not None else "keys" if keys else "stop"
        if ears.talking:
            return None
        if keys and now >= ears.key_at + self._key_pause:
            return "keys"
        if self._patience is not None and not keys and now >= self._quiet_since(now) + self._patience:
            return "silent"
        return None

    def _quiet_since(self, now: float) -> float:
        silent = self._queue.silent_since
        return max(self._asked_at, self._ears.heard_at, self._ears.key_at, now if silent is None else silent)

    def _longest_wait(self, now: float) -> float:
        left = [SLICE]
        if self._ears.keys():
            left.append(self._ears.key_at + self._key_pause - now)
        if self._patience is not None:
            left.append(self._quiet_since(now) + self._patience - now)
        return min(each for each in left if each > 0)

    def _hear(self, utterance: Utterance) -> None:
        ears = self._ears
        ears.recognizing = True
        try:
            text: Any = self._recognize(utterance)
            if not isinstance(text, str):
                raise values.unseen("recognize", text, "a function that returns text; '' if it recognized nothing")
        except Exception as error:
            ears.forget(utterance, failed=True)
            self._lines.append(self._line("", "", utterance))
            if isinstance(error, StopIteration):
                raise visible(error, "recognize") from error
            raise
        finally:
            ears.recognizing = False
        self._turn(text, ears.keys(utterance.end + self._silence), utterance, ears.interrupted_by(utterance), 0)

    def _turn(
        self, text: str, keys: str, utterance: Utterance | None, interrupted: Interruption | None, pending: int
    ) -> None:
        self._made = _Made(
            Turn(text=text, keys=keys, utterance=utterance, interrupted=interrupted),
            taken=self._ears.taken + len(keys),
            pending=pending,
            line=self._line(text, keys, utterance) if keys or utterance is not None else None,
        )

    def _line(self, text: str, keys: str, utterance: Utterance | None) -> TranscriptLine:
        now = self._core.counts.seconds
        start, end = (now, now) if utterance is None else (utterance.start, utterance.end)
        return TranscriptLine(who="caller", start=start, end=end, text=text, keys=keys)

    # -- speaking ------------------------------------------------------------------------------------------------------

    def say(self, what: str | Playable | Speech) -> None:
        """Say something after what is queued, without waiting until it is heard.

        Text is passed to ``speak``; the method returns when ``speak`` has returned, which takes no time if it is a generator. It
        raises the exceptions of ``speak``. If the stream has ended, nothing happens.

        :param what: text; PCM (16-bit little-endian mono); ``(pcm, sample_rate)``; a mono WAV file as bytes, ``pathlib.Path`` or
            ``WavAudio``; or an iterable of PCM, which is played before it is complete.
        :raises InvalidParameter: the audio cannot be played, or text is given and there is no ``speak``.
        :raises StreamFailed: the conversation is closed, or the remote end is not reading data.
        :raises QueueFull: 64 MiB of encoded audio, or 256 texts and iterables, are already queued.
        :raises Forked: the stream belongs to the parent process.
        """
        self._check()
        self._queue.say(what)

    def wait_until_said(self, timeout: float | None = None) -> bool:
        """Wait until everything was heard that was said so far, or until it was interrupted or the stream has ended.

        :param timeout: maximum time to wait, in seconds; ``None`` has no limit.
        :return: whether all of it was heard.
        :raises WaitTimeout: something is still being said. It continues.
        :raises InvalidParameter: ``timeout`` is invalid.
        :raises WrongThread: a thread of the conversation calls this, such as the thread of ``speak``.
        :raises Forked: the stream belongs to the parent process.
        """
        timeout = values.timeout(timeout)
        self._check_waiting("wait_until_said()")
        said = self._queue.wait(timeout)
        if said is None:
            raise WaitTimeout(f"still speaking after {timeout:g} s; call wait_until_said() again")
        return said

    # -- what became of it ---------------------------------------------------------------------------------------------

    @property
    def transcript(self) -> Transcript:
        """Who said what so far, and when; ``transcript.text`` and ``transcript.json``."""
        if self._generation != generation():
            raise forked_error()
        lines = [*self._lines, *self._queue.lines()]
        return Transcript(tuple(sorted(lines, key=lambda line: line.start)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the conversation to a stereo WAV file: the party on the left, on the right what the party really heard.

        The left channel is the stream from its start. What is still being played is not in the file yet. The file appears at
        ``path`` when it is complete. The method also works after the conversation and the stream have ended.

        :param path: the file to write.
        :raises Forked: the stream belongs to the parent process.
        :raises ValueError: the server does not keep audio (``spool=False`` without ``record_to``).
        :raises OSError: the file cannot be written, or audio is missing, for example because the disk was full.
        :raises InvalidParameter: ``path`` is not a path, or a recording (``record_to``) is being written there.
        """
        values.path("path", path, "the path of a file to write")
        if self._generation != generation():
            raise forked_error()
        if self._heard is None:
            raise ValueError("no audio of this stream was kept: create the AudioServer with spool=True or record_to")
        self._queue.settle()
        self._heard.save(path)

    # -- ending --------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop speaking and listening, and end the iteration. The stream and the call continue. Idempotent.

        The method waits up to 2 seconds each for the detector and for ``speak``. Failures of audio and of the detector that no
        turn has raised are logged.
        """
        if self._generation != generation() or self._finished:
            return
        self._queue.closed = True  # all of this can be repeated, because Ctrl-C may interrupt it
        self._ears.stop()
        self._queue.close()
        self._ears.join()
        self._ears.log_error()
        self._finished = True

    def _check(self) -> None:
        if self._generation != generation():
            raise forked_error()
        check_thread()

    def _check_waiting(self, what: str) -> None:
        """Refuse to wait for the thread that waits."""
        self._check()
        if self._queue.runs_here or self._ears.thread is threading.current_thread():
            raise WrongThread(f"{what} waits for what runs here: do not call it in speak, in audio, or in a detector")

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_queue") and self._generation == generation() and not self._finished:
            self._ears.stop()
            self._queue.abandon()


def _core_of(stream: object) -> StreamCore:
    if not isinstance(stream, AudioStream):
        raise InvalidParameter("stream", type(stream), "an AudioStream, such as one of AudioServer.connect()")
    stream.wait(0)  # raises Forked
    return core_of(stream)


def _check_speak(speak: object) -> None:
    if speak is None:
        return
    expected = "a regular function that takes a text"
    if not callable(speak) or inspect.iscoroutinefunction(speak) or inspect.isasyncgenfunction(speak):
        raise InvalidParameter("speak", speak, expected)
    try:
        inspect.signature(speak).bind("text")
    except TypeError:
        raise InvalidParameter("speak", speak, expected) from None
    except ValueError:  # some built-in functions have no signature
        pass


def _speaker_of(core: StreamCore) -> Speaker:
    if core.speaker is None:
        raise StreamIsOneWay(
            "Conversation: this stream only carries audio out of the call; use AudioServer.connect(call)"
        )
    core.speaker.encoding()  # raises UnsupportedCodec
    return core.speaker


def _checked_rate(rate: int, codec_rate: int) -> int:
    try:
        chunks_of(iter(()), codec_rate, rate)
    except InvalidParameter as wrong:
        raise InvalidParameter("speak_rate", rate, wrong.accepted) from wrong.__cause__
    return rate


def _heard_audio(stream: AudioStream, sample_rate: int) -> HeardAudio | None:
    recorder = recorder_of(stream)
    return None if recorder is None else HeardAudio(recorder, sample_rate, f"conversation of call {stream.call_id}")


Conversation.__module__ = "relay_sync.audio.speech"
