"""Actions that collect digits and speech, run detectors, and send digits.

Collector and detector events usually do not have a state. The result type determines whether a collector has ended. A detector
ends with a ``finished`` event.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

from ... import events
from ...constants import (
    EVENT_CALL_COLLECT,
    EVENT_CALL_DETECT,
    EVENT_CALL_PLAY,
    EVENT_CALL_SEND_DIGITS,
    CollectState,
    DetectState,
    SendDigitsState,
)
from ...events import RelayEvent
from ...threads.outcome import Waiter
from .base import OVERDUE, Action, Question, StoppableAction, VolumeAction
from .replies import ReadableAsReply

if TYPE_CHECKING:
    from ...events import CollectEvent, DetectEvent

__all__ = ["CollectAction", "DetectAction", "SendDigitsAction", "StandaloneCollectAction"]

#: The platform's default timeouts for the next digit and for the end of speech, in seconds.
DIGIT_PATIENCE: Final = 5.0
SPEECH_PATIENCE: Final = 60.0
#: The platform's default timeout for the first input, in seconds.
INITIAL_PATIENCE: Final = 4.0
#: Twice the default timeout of detectors, which is 30 s according to the platform's porting guide.
DETECT_PATIENCE: Final = 60.0
#: Maximum duration of a digit or of a pause between digits, in seconds.
TONE_PATIENCE: Final = 1.0
#: Maximum number of results to keep. Continuous dictation produces hundreds of results.
KEPT: Final = 10_000


class _Collecting(StoppableAction["CollectEvent"]):
    """Base class of the actions that collect input."""

    state: CollectState | str
    event_type = EVENT_CALL_COLLECT

    def _prepare(self) -> None:
        super()._prepare()
        # Older versions of the schema call this parameter "continue".
        self._continuous = True in (self._params.get("continuous"), self._params.get("continue"))
        self._partials: deque[CollectEvent] = deque(maxlen=KEPT)
        self._results: deque[CollectEvent] = deque(maxlen=KEPT)
        self._started = False
        #: Whether the initial timeout has definitely started.
        self._clock_runs = self._params.get("start_input_timers") is True

    def _progress(self, event: CollectEvent) -> None:
        kind = event.type
        self.state = event.state or kind or self.state
        if kind == "start_of_input":
            self._started = True
        elif kind == "error" or event.state == "error":
            self._end(event, self._failure("error"))
        elif kind == "finished":
            self._end(event, None)
        elif event.final is False or (event.final is None and event.state == "collecting"):
            self._partials.append(event)
        elif kind:
            self._results.append(event)
            if event.state == "finished" or not self._continuous:
                self._end(event, None)

    def start_input_timers(self) -> dict[str, Any]:
        """Start the initial timeout, if ``start_input_timers`` was not set.

        :return: the server's reply; ``{}`` if the action has ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        reply = self._control("calling.collect.start_input_timers") or {}
        if not self._clock_runs:
            self._clock_runs, self._heard = True, time.monotonic()
        return reply

    @property
    def partials(self) -> list[CollectEvent]:
        """The latest 10,000 partial results, oldest first."""
        return list(self._partials)

    @property
    def results(self) -> list[CollectEvent]:
        """Final results, oldest first.

        There is at most one result unless ``continuous`` is set, in which case the latest 10,000 results are kept.
        """
        return list(self._results)

    @property
    def has_started(self) -> bool:
        """Whether input has started. If ``send_start_of_input`` is not set, this is only known after the first result."""
        return self._started or bool(self._partials or self._results)

    @property
    def _answer(self) -> CollectEvent | None:
        try:
            return self._results[-1]
        except IndexError:
            return None

    @property
    def type(self) -> str:
        """Type of the latest result: ``digit``, ``speech``, ``no_input`` or ``no_match``; ``""`` before the first result."""
        return self._answer.type if self._answer else ""

    @property
    def digits(self) -> str:
        """Digits that the caller entered, without the terminator; ``""`` if there are none."""
        return self._answer.digits if self._answer else ""

    @property
    def terminator(self) -> str:
        """Key that ended the input; ``""`` if there is none."""
        return self._answer.terminator if self._answer else ""

    @property
    def text(self) -> str:
        """Recognized speech, as text; ``""`` if there is none."""
        return self._answer.text if self._answer else ""

    @property
    def confidence(self) -> float:
        """Speech recognition confidence, from 0 to 100."""
        return self._answer.confidence if self._answer else 0.0


class StandaloneCollectAction(_Collecting):
    """An action that collects input without a prompt (``calling.collect``).

    The action ends with the first final result. If ``continuous`` is set, it runs until it is stopped, and :attr:`results`
    contains all results.
    """

    method = "calling.collect"

    def _longest(self) -> float | None:
        """Return the sum of all timeouts in seconds, using the platform's defaults for timeouts that are not set."""
        given = self._params
        if self._continuous or not given.get("initial_timeout") or given.get("start_input_timers") is False:
            return None
        digits, speech = given.get("digits") or {}, given.get("speech") or {}
        keys = digits.get("max", 0) * (digits.get("digit_timeout") or DIGIT_PATIENCE)
        words = (
            (speech.get("speech_timeout") or SPEECH_PATIENCE) + (speech.get("end_silence_timeout") or 0)
            if speech
            else 0
        )
        return float(given["initial_timeout"] + keys + words)

    def _question(self) -> Question | None:
        # This command has no effect after the first input, or after the initial timeout has expired.
        if not (self.has_started or self._clock_runs):
            return None
        after = 0.0 if self.has_started else (self._params.get("initial_timeout") or INITIAL_PATIENCE) + OVERDUE
        return Question("calling.collect.start_input_timers", {}, after=after)


class CollectAction(_Collecting, VolumeAction["CollectEvent"]):
    """An action that plays a prompt and collects input (``calling.play_and_collect``).

    The action continues after the prompt. If the prompt cannot be played, the action ends with an error, and :attr:`result` is
    the playback event. The prompt cannot be paused.
    """

    state: CollectState | str  # Repeated because _on_event assigns it, and type checkers would infer the type.
    method = "calling.play_and_collect"

    def _on_event(self, event: RelayEvent) -> None:
        if event.event_type == EVENT_CALL_PLAY and not self.is_done:
            self.latest: RelayEvent | None = event
            self._heard = time.monotonic()
            state = getattr(event, "state", "")
            if state:
                # The prompt has finished, but the action continues to collect input.
                self.state = "collecting" if state == "finished" else state
            if state == "error":
                self._end(event, self._failure(state))
            return
        super()._on_event(event)


class DetectAction(StoppableAction["DetectEvent"]):
    """A detector for answering machines, fax machines or digits (``calling.detect``).

    :meth:`wait_for_result` waits for the first result, and :meth:`wait` waits until the detector ends.
    """

    state: DetectState | str
    method = "calling.detect"
    event_type = EVENT_CALL_DETECT

    def _prepare(self) -> None:
        super()._prepare()
        self._found: Waiter[DetectEvent] = Waiter()
        self._results: deque[DetectEvent] = deque(maxlen=KEPT)

    def _progress(self, event: DetectEvent) -> None:
        word = event.event
        if not word:
            return
        self.state = word
        if word == "error":
            self._end(event, self._failure(word))
        elif word == "finished":
            self._end(event, None)
        else:
            self._results.append(event)
            self._found.settle(event)

    def _settled(self) -> None:
        self._found.settle(self.error or cast("DetectEvent", self.result))

    def wait_for_result(self, timeout: float | None = None) -> DetectEvent:
        """Block until the detector reports a result.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until the detector or the call ends.
        :return: the first result, or the final event if there was no result.
        :raises WaitTimeout: there is no result yet. You can wait again.
        :raises RelayError: the error that ended the action.
        """
        return self._wait_for(self._found, timeout)

    def _longest(self) -> float | None:
        return self._params.get("timeout") or None

    def _longest_for_certain(self) -> float | None:
        return self._params.get("timeout", DETECT_PATIENCE) or None

    @property
    def first(self) -> DetectEvent | None:
        """The first result; ``None`` if there is none yet."""
        outcome = self._found.peek()
        return outcome if isinstance(outcome, events.DetectEvent) and self._results else None

    @property
    def results(self) -> list[DetectEvent]:
        """The latest 10,000 results, oldest first."""
        return list(self._results)

    def _any(self, *words: str) -> bool:
        return any(one.event in words for one in self.results)

    @property
    def is_human(self) -> bool:
        """Whether a human answered."""
        return self._first_word("HUMAN")

    @property
    def is_machine(self) -> bool:
        """Whether an answering machine answered."""
        return self._first_word("MACHINE")

    def _first_word(self, word: str) -> bool:
        return self.first is not None and self.first.event == word

    @property
    def is_ready(self) -> bool:
        """Whether the answering machine has finished its greeting. You can then leave a message."""
        return self._any("READY")

    @property
    def beep(self) -> bool:
        """Whether a beep was detected."""
        return any(one.beep for one in self.results)

    @property
    def is_fax(self) -> bool:
        """Whether a fax tone was detected."""
        return self._any("CED", "CNG")

    @property
    def tone(self) -> str:
        """Detected fax tone, ``CED`` or ``CNG``; ``""`` if none was detected."""
        return next((one.event for one in self.results if one.event in ("CED", "CNG")), "")

    @property
    def digits(self) -> str:
        """Detected digits, in order."""
        return "".join(one.event for one in self.results if one.type == "digit")


class SendDigitsAction(ReadableAsReply, Action["events.SendDigitsEvent"]):
    """An action that sends digits (``calling.send_digits``). It cannot be stopped."""

    state: SendDigitsState | str
    method = "calling.send_digits"
    event_type = EVENT_CALL_SEND_DIGITS

    def _longest_for_certain(self) -> float | None:
        return TONE_PATIENCE * len(str(self._params.get("digits", "")))


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
