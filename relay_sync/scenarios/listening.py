"""What the caller of a scenario hears: segmented, recognized in a thread, and in the order in which it was heard."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from attrs import define

from ..audio.speech import Utterance
from ..audio.speech.energy import energy_for
from ..audio.speech.segmenter import Segmenter
from ..audio.waveform import peak
from ..simulator import Phone, TwoWayStream
from ..threads.flag import Bell
from ..threads.starting import join_all, uninterrupted
from .functions import CALL_LIMIT, ScenarioFailed, error_text

__all__ = ["SILENCE", "Heard", "Listening", "Recognizing", "Sound"]

#: Silence that ends an utterance of the program, in seconds.
SILENCE: Final = 0.6
#: Silence after which a sound counts as another one, in seconds.
_PAUSE: Final = 0.3
#: Amplitude from which on a line is not silent, and the length of the parts that are examined, in seconds.
_LOUD: Final = 200
_PART: Final = 0.02
#: Seconds that closing waits for the recognizer.
_CLOSING: Final = 2.0
_numbers = itertools.count(1)


@define(eq=False, kw_only=True)
class Heard:
    """Something that the caller heard.

    :ivar start: when it began, in seconds since the start of the call.
    :ivar end: when it ended.
    :ivar text: the words; ``None`` while they are being recognized.
    :ivar is_sound: whether it is audio that nothing recognizes.
    :ivar is_played: whether it is a text, URL or ringtone that the platform played.
    """

    start: float
    end: float
    text: str | None
    is_sound: bool = False
    is_played: bool = False


@define(eq=False)
class Sound:
    """A time during which the line was not silent. In seconds since the start of the call."""

    start: float
    end: float


class Recognizing:
    """Runs the user's recognizer in a thread of its own, one utterance after the other.

    :param recognize: the user's function.
    :ivar error: the reason why recognition has ended, or ``""``.
    :ivar bell: rings when an utterance was recognized.
    """

    def __init__(self, recognize: Callable[[Utterance], str]) -> None:
        self.error: str = ""
        self.bell: Bell = Bell()
        self._recognize = recognize
        self._queue: deque[tuple[Heard, Utterance]] = deque()
        self._since: float | None = None  # when the recognizer was called
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"relay-scenario-{next(_numbers)}", daemon=True)
        uninterrupted(self._thread.start)

    def add(self, heard: Heard, utterance: Utterance) -> None:
        """Recognize an utterance later.

        :param heard: the entry that gets the text.
        :param utterance: the audio.
        """
        self._queue.append((heard, utterance))
        self.bell.ring()

    def check(self) -> None:
        """Check that the recognizer works.

        :raises ScenarioFailed: it failed, or takes too long.
        """
        if self.error:
            raise ScenarioFailed(self.error)
        since = self._since
        if since is not None and time.monotonic() - since > CALL_LIMIT:
            raise ScenarioFailed(f"the recognizer has not returned within {CALL_LIMIT:g} s")

    def _run(self) -> None:
        while not self._closed:
            if not self._queue:
                self.bell.sleep(lambda: bool(self._queue) or self._closed, 1.0)
                continue
            heard, utterance = self._queue.popleft()
            try:
                self._since = time.monotonic()
                text: Any = self._recognize(utterance)
                if isinstance(text, str):
                    heard.text = text
                else:
                    self.error = f"the recognizer returned {type(text).__name__}, not text"
            except BaseException as error:  # includes SystemExit
                self.error = f"the recognizer failed: {error_text(error)}"
            self._since = None
            self.bell.ring()
            if self.error:
                return

    def close(self) -> None:
        """End the thread, when the recognizer has returned or has had its time. In the latter case, the thread stays.

        A thread in native code would end the process with an error if the process exited.
        """
        self._closed = True
        self._queue.clear()
        self.bell.ring()
        since = self._since
        left = 0.0 if since is None else since + CALL_LIMIT - time.monotonic()
        join_all([self._thread], max(_CLOSING, left))


class Listening:
    """Follows what a caller hears. All methods are called on one thread.

    :param phone: the caller's phone.
    :param clock: function that returns the seconds since the start of the call.
    :param recognizing: the recognizer; ``None`` if there is none.
    :ivar entries: what was heard, in the order in which it was noticed.
    :ivar sounds: the times at which the line was not silent.
    """

    def __init__(self, phone: Phone, clock: Callable[[], float], recognizing: Recognizing | None) -> None:
        self.entries: list[Heard] = []
        self.sounds: list[Sound] = []
        self._phone = phone
        self._clock = clock
        self._recognizing = recognizing
        self._lines: dict[TwoWayStream, _Line] = {}
        self._played: list[Heard] = []

    @property
    def pending(self) -> bool:
        """Whether something is being recognized."""
        return any(each.text is None for each in self.entries)

    @property
    def speaking(self) -> bool:
        """Whether the program is saying something that has not ended yet."""
        return any(line.speaking for line in self._lines.values())

    def poll(self) -> None:
        """Take what was heard since the last time.

        :raises ScenarioFailed: the recognizer failed.
        """
        if self._recognizing is not None:
            self._recognizing.check()
        for stream in self._phone.streams:
            if isinstance(stream, TwoWayStream):
                line = self._lines.get(stream)
                if line is None:
                    line = self._lines[stream] = _Line(stream, self)
                line.poll()
        self._poll_played()

    def finish(self) -> None:
        """Take the rest after the end of the call."""
        self.poll()
        for line in self._lines.values():
            line.finish()

    def now(self) -> float:
        """Return the seconds since the start of the call."""
        return self._clock()

    def add_utterance(self, start: float, end: float, utterance: Utterance) -> None:
        """Add speech, whose words are recognized if there is a recognizer.

        :param start: when it began, in seconds since the start of the call.
        :param end: when it ended.
        :param utterance: the audio.
        """
        if self._recognizing is not None:
            heard = Heard(start=start, end=end, text=None)
            self.entries.append(heard)
            self._recognizing.add(heard, utterance)

    def add_sound(self, start: float, end: float) -> None:
        """Add a part in which the line was not silent. Without a recognizer, sounds are entries, too.

        :param start: when it began, in seconds since the start of the call.
        :param end: when it ended.
        """
        last = self.sounds[-1] if self.sounds else None
        if last is not None and start - last.end <= _PAUSE:
            last.end = max(last.end, end)
        else:
            self.sounds.append(Sound(start, end))
        if self._recognizing is not None:
            return
        entry = next((each for each in reversed(self.entries) if each.is_sound), None)
        if entry is not None and start - entry.end <= SILENCE:
            entry.end = max(entry.end, end)
        else:
            self.entries.append(Heard(start=start, end=end, text="", is_sound=True))

    def _poll_played(self) -> None:
        """Take texts, sounds and ringtones that the platform plays. The words of an item grow while it is played."""
        now = self._clock()
        items = [item for item in self._phone.heard if item.words]
        for index, item in enumerate(items):
            if index < len(self._played):
                entry = self._played[index]
                if entry.text != item.words:
                    entry.text, entry.end = item.words, now
                continue
            entry = Heard(start=now, end=now, text=item.words, is_played=True)
            self._played.append(entry)
            self.entries.append(entry)
            self.sounds.append(Sound(now, now))


class _Line:
    """One two-way stream of the call."""

    def __init__(self, stream: TwoWayStream, owner: Listening) -> None:
        rate = stream.format.rate
        self._stream = stream
        self._owner = owner
        self._rate = rate
        self._position = 0
        self._finished = False
        self._start = owner.now()  # when the stream began, in seconds since the start of the call
        self._segmenter = Segmenter(energy_for(rate), rate, track="outbound", silence=SILENCE)

    @property
    def speaking(self) -> bool:
        return not self._finished and self._segmenter.spoken > 0

    def poll(self) -> None:
        over = self._stream.over  # read first: nothing is heard after it
        pcm = self._stream.heard_from(self._position)
        if pcm:
            self._take(pcm)
        if over:
            self.finish()

    def _take(self, pcm: bytes) -> None:
        now = self._owner.now()
        at = self._position / self._rate
        self._position += len(pcm) // 2
        self._start = now - self._position / self._rate  # frames may be late, positions are not
        self._note_sounds(at, pcm)
        self._add(self._segmenter.push(at, pcm))

    def finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._add(self._segmenter.finish())

    def _add(self, found: list[Utterance]) -> None:
        for each in found:
            self._owner.add_utterance(self._start + each.start, self._start + each.end, each)

    def _note_sounds(self, at: float, pcm: bytes) -> None:
        size = round(_PART * self._rate)
        for index in range(0, len(pcm) // 2, size):
            part = pcm[2 * index : 2 * (index + size)]
            if peak(part) >= _LOUD:
                start = self._start + at + index / self._rate
                self._owner.add_sound(start, start + len(part) // 2 / self._rate)
