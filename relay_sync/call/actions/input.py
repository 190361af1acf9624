"""Actions on the remote party's input: digits, speech, answering machines.

Their events carry no state. A collector ends by the type of its result, a detector by its event ``finished``; earlier results are
kept and can be waited for.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

from ... import events
from ...constants import EVENT_CALL_COLLECT, EVENT_CALL_DETECT, EVENT_CALL_PLAY, EVENT_CALL_SEND_DIGITS, ActionState
from ...events import RelayEvent
from ...threads.outcome import Waiter
from .base import OVERDUE, Action, Question, StoppableAction, VolumeAction
from .replies import ReadableAsReply

if TYPE_CHECKING:
    from ...events import CollectEvent, DetectEvent

__all__ = ["CollectAction", "DetectAction", "SendDigitsAction", "StandaloneCollectAction"]

#: The platform's default seconds to wait for another digit, and for the end of speech.
DIGIT_PATIENCE: Final = 5.0
SPEECH_PATIENCE: Final = 60.0
#: The platform's default seconds to wait for the first input.
INITIAL_PATIENCE: Final = 4.0
#: Default seconds that a detector runs: 30 by the platform's porting guide, doubled to be sure.
DETECT_PATIENCE: Final = 60.0
#: Maximum seconds for one digit, or a pause between two.
TONE_PATIENCE: Final = 1.0
#: Number of results kept; the oldest are dropped first. A session of continuous dictation has hundreds.
KEPT: Final = 10_000


class _Collecting(StoppableAction["CollectEvent"]):
    """The common part of both collectors: how their events mean progress or end."""

    event_type = EVENT_CALL_COLLECT

    def _prepare(self) -> None:
        super()._prepare()
        # "continue" is the schema's old name.
        self._continuous = True in (self._params.get("continuous"), self._params.get("continue"))
        self._partials: deque[CollectEvent] = deque(maxlen=KEPT)
        self._results: deque[CollectEvent] = deque(maxlen=KEPT)
        self._started = False
        #: Whether ``initial_timeout`` is known to be running.
        self._clock_runs = self._params.get("start_input_timers") is True

    def _progress(self, event: CollectEvent) -> None:
        kind = event.type
        self.state: ActionState | str = event.state or kind or self.state
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
        """Start the ``initial_timeout`` now, if it is not running from the start.

        :return: the server's result; ``{}`` if the action has ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        reply = self._control("calling.collect.start_input_timers") or {}
        if not self._clock_runs:
            self._clock_runs, self._heard = True, time.monotonic()
        return reply

    @property
    def partials(self) -> list[CollectEvent]:
        """Results that may still change (``partial_results``), oldest first; the latest 10,000 are kept."""
        return list(self._partials)

    @property
    def results(self) -> list[CollectEvent]:
        """Final results, oldest first: at most one or, with ``continuous``, the latest 10,000."""
        return list(self._results)

    @property
    def has_started(self) -> bool:
        """Whether input has started, if the server reports that (``send_start_of_input``)."""
        return self._started or bool(self._partials or self._results)

    @property
    def _answer(self) -> CollectEvent | None:
        try:
            return self._results[-1]
        except IndexError:
            return None

    @property
    def type(self) -> str:
        """The kind of result: ``digit``, ``speech``, ``no_input`` or ``no_match``; ``""`` before the first."""
        return self._answer.type if self._answer else ""

    @property
    def digits(self) -> str:
        """The keys pressed, without the terminator; ``""`` if none."""
        return self._answer.digits if self._answer else ""

    @property
    def terminator(self) -> str:
        """The key that ended the input, or ``""``."""
        return self._answer.terminator if self._answer else ""

    @property
    def text(self) -> str:
        """The recognized text; ``""`` if there is none."""
        return self._answer.text if self._answer else ""

    @property
    def confidence(self) -> float:
        """The recognizer's confidence in :attr:`text`, 0 to 100."""
        return self._answer.confidence if self._answer else 0.0


class StandaloneCollectAction(_Collecting):
    """Input without a prompt (``calling.collect``).

    It ends with its first final result or, with ``continuous``, when it is stopped; :attr:`results` has all results.
    """

    method = "calling.collect"

    def _longest(self) -> float | None:
        """Return the sum of its timeouts; timeouts that were not set are no longer than these."""
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
        # This command starts nothing once there was input or the timeout has expired.
        if not (self.has_started or self._clock_runs):
            return None
        after = 0.0 if self.has_started else (self._params.get("initial_timeout") or INITIAL_PATIENCE) + OVERDUE
        return Question("calling.collect.start_input_timers", {}, after=after)


class CollectAction(_Collecting, VolumeAction["CollectEvent"]):
    """A prompt and the input that follows (``calling.play_and_collect``).

    The end of the prompt does not end the action. If the prompt cannot be played, the action ends with an error, and
    :attr:`result` is the playback event. The protocol has no command that pauses the prompt.
    """

    method = "calling.play_and_collect"

    def _on_event(self, event: RelayEvent) -> None:
        if event.event_type == EVENT_CALL_PLAY and not self.is_done:
            self.latest: RelayEvent | None = event
            self._heard = time.monotonic()
            state = getattr(event, "state", "")
            if state:
                # The prompt has finished, not the action: the input follows.
                self.state: ActionState | str = "collecting" if state == "finished" else state
            if state == "error":
                self._end(event, self._failure(state))
            return
        super()._on_event(event)


class DetectAction(StoppableAction["DetectEvent"]):
    """A detector (``calling.detect``). :meth:`wait` waits for its end, :meth:`wait_for_result` for its first result."""

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
        self.state: ActionState | str = word
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

        :param timeout: seconds to wait; ``None`` waits until the detector or the call ends.
        :return: the first result, or the terminal event if there was no result.
        :raises WaitTimeout: there is no result yet; you can wait again.
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
        """All results so far, oldest first; the latest 10,000 are kept."""
        return list(self._results)

    def _any(self, *words: str) -> bool:
        return any(one.event in words for one in self.results)

    @property
    def is_human(self) -> bool:
        """Whether a person answered."""
        return self._first_word("HUMAN")

    @property
    def is_machine(self) -> bool:
        """Whether a machine answered."""
        return self._first_word("MACHINE")

    def _first_word(self, word: str) -> bool:
        return self.first is not None and self.first.event == word

    @property
    def is_ready(self) -> bool:
        """Whether the machine has finished its greeting, so that you can leave a message."""
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
        """The detected fax tone: ``CED``, ``CNG`` or ``""``."""
        return next((one.event for one in self.results if one.event in ("CED", "CNG")), "")

    @property
    def digits(self) -> str:
        """The digits detected, in order."""
        return "".join(one.event for one in self.results if one.type == "digit")


class SendDigitsAction(ReadableAsReply, Action["events.SendDigitsEvent"]):
    """Digits being sent (``calling.send_digits``). It ends as ``finished`` or with an error, and cannot be stopped."""

    method = "calling.send_digits"
    event_type = EVENT_CALL_SEND_DIGITS

    def _longest_for_certain(self) -> float | None:
        return TONE_PATIENCE * len(str(self._params.get("digits", "")))


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
