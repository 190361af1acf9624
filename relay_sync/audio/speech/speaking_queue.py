"""What a program says in a conversation: audio in order, how much of it was heard, and how it is interrupted."""

from __future__ import annotations

import contextvars
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import define, field

from ...deadline import Deadline
from ...errors import InvalidParameter, QueueFull, StreamFailed
from ...threads import logs
from ...threads.flag import Bell
from ...threads.outcome import wait_until
from ...threads.starting import join_all, uninterrupted
from ..playback import Piece
from ..sources import SPOKEN, spoken_chunks
from ..speaker import Speaker
from ..speaking import CLEAR_TIMEOUT, feed
from ..stream_core import StreamCore
from .heard_audio import HeardAudio
from .listening import visible
from .transcript import TranscriptLine
from .turns import Interruption

__all__ = ["Said", "SpeakingQueue"]

_log = logs.get("relay_sync.audio").later
_numbers = itertools.count(1)
_SPEAK: Final = f"a function that returns {SPOKEN}"
_SAY: Final = f"text, {SPOKEN}"
#: Most texts and iterables that wait to be heard. A ``speak`` that calls ``say()`` could start any number of threads.
MOST_THREADS: Final = 256
#: Seconds of the audio of an iterable that are kept in memory. What was certainly heard before them is written to the file.
MOST_KEPT: Final = 10.0
#: Seconds that closing waits for threads that read audio.
_CLOSING: Final = 2.0


@define(eq=False)
class Said:
    """Something that is being said, or was.

    :ivar text: its text; ``""`` for audio without text.
    :ivar at: position in the stream at which it was said, in seconds.
    :ivar since: time when it was said.
    :ivar piece: the audio on its way; ``None`` until ``speak`` has returned it.
    :ivar pcm: the audio that has been read, without what was written; empty if it is not kept.
    :ivar written: number of samples that were written while it was being said.
    :ivar runs: first sample and position in seconds of each part that was heard without a gap.
    :ivar canceled: whether it was interrupted, or the conversation was closed.
    :ivar error: the exception that ended it before any audio.
    :ivar line: its line in the transcript; ``None`` until it is over.
    """

    text: str
    at: float
    since: float = field(factory=time.monotonic)
    piece: Piece | None = None
    pcm: list[bytes] = field(factory=list)
    written: int = 0
    runs: list[tuple[int, float]] = field(factory=list)
    canceled: bool = False
    error: BaseException | None = None
    line: TranscriptLine | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more of it will be heard."""
        return self.canceled or self.error is not None or (self.piece is not None and self.piece.done)

    @property
    def complete(self) -> bool:
        """Whether all of it was heard."""
        heard = None if self.piece is None else self.piece.heard
        return heard is not None and heard.complete

    @property
    def silent_since(self) -> float | None:
        """Time since when it has made no sound, because its source is slow; ``None`` if it is heard or on its way."""
        return self.since if self.piece is None or not self.piece.fed else self.piece.starved_since

    @property
    def samples(self) -> int:
        """Number of samples that were heard. While it is being said, this is an estimate."""
        piece = self.piece
        if piece is None:
            return 0
        if not piece.done:
            return piece.estimate(piece.time(), piece.sent)
        return 0 if piece.heard is None else piece.heard.samples

    def runs_from(self, sample: int, rate: int) -> list[tuple[int, float]]:
        """Return :attr:`runs` for the audio from a sample on, which becomes sample 0."""
        runs = tuple(self.runs)
        before = [at + (sample - first) / rate for first, at in runs if first <= sample]
        return [(0, at) for at in before[-1:]] + [(first - sample, at) for first, at in runs if first > sample]

    def begin_run(self, sample: int, at: float, rate: int) -> None:
        """Note the position of a part that is heard without a gap. It lies after the part before it, also where the position of
        the stream does not change because the party sends nothing.
        """
        if self.runs:
            first, position = self.runs[-1]
            at = max(at, position + (sample - first) / rate)
        self.runs.append((sample, at))

    def adopt(self, piece: Piece) -> None:
        """Set the audio, which was submitted. If it was canceled in the meantime, the audio ends, too."""
        self.piece = piece
        if self.canceled:
            piece.finish("cleared", 0)

    def cancel(self) -> None:
        """End it. Audio that was sent already has to be cleared, too."""
        self.canceled = True
        if self.piece is not None:
            self.piece.finish("cleared", 0)


class SpeakingQueue:
    """Plays what a program says, one after the other.

    ``speak`` and iterables of audio run in threads of their own. If one of them hangs, it can be interrupted like other audio.

    :param core: the internal part of the stream.
    :param speaker: sends the audio.
    :param speak: the function that turns text into audio, if there is one.
    :param speak_rate: sample rate of plain PCM in Hz.
    :param call_id: ID of the call, for log messages.
    :param heard: keeps what was heard; ``None`` if it is not kept.
    :param bell: rings when something was heard, or has failed.
    :ivar failures: exceptions that ended audio while it was played.
    :ivar spoke_at: time when audio last ended.
    :ivar closed: whether the conversation is closed. Nothing can be said then.
    """

    def __init__(
        self,
        core: StreamCore,
        speaker: Speaker,
        *,
        speak: Callable[[str], Any] | None,
        speak_rate: int,
        call_id: str,
        heard: HeardAudio | None,
        bell: Bell,
    ) -> None:
        self.failures: deque[BaseException] = deque()
        self.spoke_at: float = 0.0
        self.closed: bool = False
        self._core = core
        self._speaker = speaker
        self._speak = speak
        self._rate = speak_rate
        self._call_id = call_id
        self._heard = heard
        self._bell = bell
        self._last: Said | None = None
        self._active: deque[Said] = deque()
        self._lines: list[TranscriptLine] = []
        self._threads: set[threading.Thread] = set()
        self._writing = threading.RLock()  # held while what is over is written down

    @property
    def active(self) -> bool:
        """Whether anything is being said, or is queued."""
        return not self._core.ended.is_set() and any(not said.over for said in tuple(self._active))

    @property
    def silent_since(self) -> float | None:
        """Time since when nothing has been heard; ``None`` if something is heard or on its way.

        While audio is awaited from ``speak`` or from an iterable, nothing is heard.
        """
        first = next((said for said in tuple(self._active) if not said.over), None)
        if first is None or self._core.ended.is_set():
            return self.spoke_at
        since = first.silent_since
        return None if since is None else max(since, self.spoke_at)

    @property
    def runs_here(self) -> bool:
        """Whether ``speak`` or an iterable of audio is running in the current thread."""
        return threading.current_thread() in self._threads

    # -- speaking ------------------------------------------------------------------------------------------------------

    def say(self, what: Any) -> None:
        """Queue text or audio. Returns when ``speak`` has returned.

        :param what: text, or audio that can be played.
        """
        if self.closed:
            raise StreamFailed("this conversation is closed: say() works until its block ends")
        if isinstance(what, str) and self._speak is None:
            raise InvalidParameter("what", what, "audio; text requires a Conversation that was created with speak")
        source = None if isinstance(what, str) else self._source(what, _SAY)
        if self._core.ended.is_set():
            return
        if not isinstance(source, bytes) and len(self._threads) >= MOST_THREADS:
            raise QueueFull(f"{MOST_THREADS} texts and iterables wait to be heard: call wait_until_said() first")
        self.settle()
        said = Said(what if isinstance(what, str) else "", self._core.counts.seconds)
        self._active.append(said)
        self._last = said
        try:
            if isinstance(source, bytes):
                self._play(said, source)
            else:
                self._in_thread(said, source)
                wait_until(lambda: self._is_under_way(said), self._bell, None)
        except BaseException as error:  # also Ctrl-C
            said.error = said.error or error
            said.cancel()
            raise
        if said.error is not None:
            raise said.error

    def _is_under_way(self, said: Said) -> bool:
        return said.piece is not None or said.over or self.closed or self._core.ended.is_set()

    def _source(self, what: Any, accepted: str) -> bytes | Iterator[bytes]:
        return spoken_chunks("audio", what, self._speaker.sample_rate, self._rate, accepted)

    def _spoken(self, speak: Callable[[str], Any], text: str) -> bytes | Iterator[bytes]:
        what = speak(text)
        if what is None or isinstance(what, (str, int, float)):
            raise InvalidParameter("speak", speak, f"{_SPEAK}; it returned {type(what).__name__}")
        return self._source(what, SPOKEN)

    def _in_thread(self, said: Said, source: Iterator[bytes] | None) -> None:
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=lambda: context.run(self._run, said, source),
            name=f"relay-conversation-{next(_numbers)}",
            daemon=True,
        )
        self._threads.add(thread)
        try:
            uninterrupted(thread.start)
        except BaseException:
            self._threads.discard(thread)
            raise

    def _run(self, said: Said, source: bytes | Iterator[bytes] | None) -> None:
        try:
            if source is None:
                assert self._speak is not None  # checked by say()
                source = self._spoken(self._speak, said.text)
            self._play(said, source)
        except BaseException as error:  # includes SystemExit: say() raises it
            if said.piece is None:
                said.error = visible(error, "speak")
            elif not said.canceled and error not in self.failures:
                self.failures.append(error)
        finally:
            self._threads.discard(threading.current_thread())
            self._bell.ring()

    def _play(self, said: Said, source: bytes | Iterator[bytes]) -> None:
        piece = Piece(self._speaker.sample_rate, paced=True)
        encode = self._speaker.encoding()
        piece.on_sound = lambda sample, ahead: said.begin_run(
            sample, self._core.counts.seconds + ahead, self._speaker.sample_rate
        )
        piece.on_done = lambda: self._done(piece)
        if isinstance(source, bytes):
            piece.feed(encode(source, True), len(source) // 2)
            piece.closed = True
            self._keep(said, source)
        if said.canceled:
            return
        self._speaker.submit(piece)
        said.adopt(piece)
        self._bell.ring()
        if not isinstance(source, bytes):
            feed(self._speaker, piece, self._read(said, source), encode, Deadline.after(time.monotonic(), None))

    def _read(self, said: Said, source: Iterator[bytes]) -> Iterator[bytes]:
        """Yield audio until it is canceled. What was read before an exception is played."""
        try:
            for pcm in source:
                if said.over:
                    return
                if pcm:
                    self._keep(said, pcm)
                    self._write_beginning(said)
                yield pcm
        except Exception as error:
            if said.over:
                _log.info("audio of call %s failed after it was interrupted: %r", self._call_id, error)
            else:
                self.failures.append(error)

    def _keep(self, said: Said, pcm: bytes) -> None:
        if self._heard is not None:
            said.pcm.append(pcm)

    def _write_beginning(self, said: Said) -> None:
        """Write the beginning of audio that is long, or has no end."""
        piece, most = said.piece, MOST_KEPT * self._speaker.sample_rate
        if self._heard is not None and piece is not None and piece.length - said.written >= most:
            known = piece.confirmed
            if known - said.written >= most / 2:
                self._write_down(said, known)

    def _write(self, said: Said, until: int) -> None:
        """Write the audio that has been played, up to a sample."""
        if self._heard is None or not said.runs or until <= said.written:
            return
        pcm, size = b"".join(said.pcm), 2 * (until - said.written)
        self._heard.add(pcm[:size], said.runs_from(said.written, self._speaker.sample_rate))
        said.pcm = [pcm[size:]]
        said.written = until

    def _done(self, piece: Piece) -> None:
        self.spoke_at = time.monotonic()
        error = piece.error
        if error is not None and error not in self.failures:
            self.failures.append(error)
        self._bell.ring()

    # -- what became of it ---------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None) -> bool | None:
        """Wait until everything was heard, or was interrupted.

        :return: whether all of it was heard; ``None`` after a timeout.
        """
        waited = [*self._active] + ([] if self._last is None else [self._last])
        if not wait_until(lambda: not self.active, self._bell, timeout):
            return None
        return all(said.complete for said in waited)

    def interrupt(self) -> Interruption | None:
        """Discard what is being said and what is queued, and return how much of it was heard.

        :return: ``None`` if all of it was heard before.
        """
        found = [said for said in tuple(self._active) if not said.over]
        if not found:
            return None
        for said in found:
            if said.piece is None:
                said.cancel()
        self._speaker.clear(CLEAR_TIMEOUT)
        for said in found:
            said.cancel()
        self._bell.ring()
        cut = [said for said in found if not said.complete]
        if not cut:
            return None
        rate = self._speaker.sample_rate
        return Interruption(
            said=" ".join(said.text for said in cut if said.text),
            heard_seconds=sum(said.samples for said in cut) / rate,
            of_seconds=sum(said.piece.length for said in cut if said.piece is not None) / rate,
        )

    def settle(self) -> None:
        """Write down what is over. Ctrl-C interrupts the wait for that, but not the writing."""
        if not any(map(self._is_over, tuple(self._active))):
            return
        try:
            uninterrupted(self._write_down)
        except RuntimeError:  # the system cannot start a thread
            self._write_down()

    def _is_over(self, said: Said) -> bool:
        return said.over or self._core.ended.is_set()

    def _write_down(self, long: Said | None = None, until: int = 0) -> None:
        """Write down what is over, and then the beginning of what is being said, up to a sample."""
        with self._writing:  # the audio is written in order
            for said in filter(self._is_over, tuple(self._active)):
                if said.error is None:
                    said.line = self._line(said)
                    self._lines.append(said.line)
                    self._write(said, said.samples)
                said.pcm = []
                self._active.remove(said)  # last: see lines()
            if long is not None and not long.over:
                self._write(long, until)

    def lines(self) -> list[TranscriptLine]:
        """Return what was said, including what is being said."""
        self.settle()
        active = tuple(self._active)  # read first: another thread may write it down
        written = list(self._lines)
        known = {id(line) for line in written}
        return written + [self._line(said) for said in active if said.piece is not None and id(said.line) not in known]

    def _line(self, said: Said) -> TranscriptLine:
        rate = self._speaker.sample_rate
        heard, length = said.samples / rate, 0.0 if said.piece is None else said.piece.length / rate
        first, last = (said.runs[0], said.runs[-1]) if said.runs else ((0, said.at), (0, said.at))
        start = first[1]
        return TranscriptLine(
            who="agent",
            start=start,
            end=max(start, last[1] + heard - last[0] / rate),
            text=said.text,
            heard_seconds=heard,
            of_seconds=length,
        )

    def close(self) -> None:
        """Stop speaking, and wait a moment for the threads."""
        self.closed = True
        if self.active:
            self.interrupt()
        self._bell.ring()
        me = threading.current_thread()
        left = join_all([each for each in tuple(self._threads) if each is not me], _CLOSING)
        if left:
            names = ", ".join(each.name for each in left)
            _log.warning(
                "speak() of call %s has not returned since its conversation was closed: %s", self._call_id, names
            )
        while self.failures:
            _log.warning("speaking to call %s failed: %r", self._call_id, self.failures.popleft())
        self.settle()

    def abandon(self) -> None:
        """End everything without waiting."""
        self.closed = True
        for said in tuple(self._active):
            said.cancel()
        self._bell.ring()
