"""Finds out which calls are still live: all calls after a resume, and a single call after a command was refused with 404.

The server does not repeat events after a reconnection (see ``docs/wire.md``), so a call may have ended without an event, and a
wait for its end would block indefinitely. RELAY has no command that queries a call's state. The closest is a command that
changes nothing on a live call and is refused with 404 or 410 if the call has ended: clearing the digit bindings of a realm that
has none. No source documents the reply for an unknown realm, and mistaking a live call for an ended one is worse than waiting.
So a second command confirms a 404. It must not change anything either, even if this client's view of the call is outdated:

* An answered call is answered again, which changes nothing.
* A call that was not answered, such as a ringing leg, has no noise reduction, so ``calling.denoise.stop`` changes nothing.
* If this client has requested noise reduction on a call whose answer it has not seen, no safe command is left. The state of the
  call then stays unknown.
* A call that is ending needs no confirmation, nor does an unanswered call that another client controls: a mistake costs little.

Another command that is refused with 404 or 410 raises the same question: the call may have ended, or a queue, agent or recording
that the command names may not exist. The same two commands decide.

A question that was not answered or could not be sent is repeated up to three times, at growing intervals. An event of the call
shows that it was live after the question arose, so its end will be reported as well, and no answer is needed.

A roll-call stops when its connection closes. Questions that a caller still waits for come first on the next connection.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from ..call.call import Call, core_of
from ..constants import CALL_STATE_ANSWERED, CALL_STATE_ENDING
from ..errors import RelayError
from ..protocol.ids import new_id
from ..protocol.results import says_gone
from ..threads import logs
from ..threads.safety_net import Net
from .inquiry import Inquiry

__all__ = ["PAUSES", "Awaited", "RollCall"]

_log = logs.get("relay_sync").later

#: Seconds to wait for an answer.
PATIENCE: Final = 10.0
#: Seconds before the first, second and third repetition of an unanswered question.
PAUSES: Final = (5.0, 15.0, 45.0)
FIRST: Final = "calling.clear_digit_bindings"
#: The second question about an answered call, and about other calls.
IF_ANSWERED: Final = "calling.answer"
IF_NOT: Final = "calling.denoise.stop"

#: A call whose state a caller waits for, and the function that receives the answer.
Awaited: TypeAlias = tuple[Call, Callable[[bool], object]]


class _Question:
    def __init__(self, call: Call, then: Callable[[bool], object] | None) -> None:
        self.call = call
        self.core = core_of(call)
        #: Receives the answer; ``None`` if no caller waits for it.
        self.then = then
        #: How many times it was asked.
        self.times = 0
        #: Whether the question is settled.
        self.decided = False


class RollCall:
    """Asks the server which calls are still live. All on the IO thread.

    :param gone: called with each call that the server no longer knows.
    :param lives: called with each call that the server has confirmed as live.
    """

    def __init__(self, gone: Callable[[Call], None], lives: Callable[[Call], None]) -> None:
        self._gone = gone
        self._lives = lives
        self._inquiry = Inquiry(self._ask)
        #: The unsettled questions, by call ID.
        self._undecided: dict[str, list[_Question]] = {}
        self._realm = f"relay_sync.{new_id()}"

    def add(self, call: Call, then: Callable[[bool], object] | None = None) -> None:
        """Ask about a call, now or when its turn comes.

        :param then: called with ``True`` once the answer is known and has taken effect, or with ``False`` if there is none.
        """
        question = _Question(call, then)
        self._undecided.setdefault(call.call_id, []).append(question)
        self._inquiry.add(question)
        self._go_on()

    def stop(self) -> list[Awaited]:
        """Discard all questions.

        :return: the questions that callers still wait for: each call, and the function that receives the answer.
        """
        self._inquiry.stop()
        questions = [question for asked in self._undecided.values() for question in asked]
        self._undecided.clear()
        for question in questions:
            question.decided = True
        return [(question.call, question.then) for question in questions if question.then is not None]

    def heard_of(self, call: Call) -> None:
        """Settle the questions about a call that has just handled an event."""
        if call.call_id in self._undecided:
            net = Net()
            with net:
                core_of(call).catch_up()
            for question in list(self._undecided[call.call_id]):
                with net:
                    self._decide(question, known=True)
            net.release()

    def _decide(self, question: _Question, *, known: bool) -> None:
        if question.decided:
            return
        question.decided = True
        others = self._undecided[question.call.call_id]
        others.remove(question)
        if not others:
            del self._undecided[question.call.call_id]
        if question.then is not None:
            question.then(known)

    def on_watch(self, now: float) -> None:
        """Repeat overdue questions, and send queued ones. Called once a second."""
        for question in self._inquiry.unanswered(now):
            self._unanswered(question, now)
        self._inquiry.go_on(now)

    def _go_on(self) -> None:
        self._inquiry.go_on(time.monotonic())

    def _ask(self, question: _Question, now: float) -> None:
        if self._matters(question):
            question.times += 1
            self._post(question, FIRST, self._heard, realm=self._realm)

    def _matters(self, question: _Question) -> bool:
        if question.core.over is not None:
            self._decide(question, known=True)
        return not question.decided

    def _post(self, question: _Question, method: str, then: Callable[[_Question, Any], None], **params: str) -> None:
        self._inquiry.asked(question, time.monotonic() + PATIENCE)
        question.core.line.post(method, {**question.core.address, **params}, partial(then, question))

    def _heard(self, question: _Question, outcome: Any) -> None:
        if self._is_answer(question, outcome):
            core = question.core
            if not says_gone(outcome):
                self._answered(question, lives=True)
            elif core.state == CALL_STATE_ENDING:
                self._answered(question, lives=False)
            elif core.state == CALL_STATE_ANSWERED or core.answer_taken:
                self._post(question, IF_ANSWERED, self._heard_again)
            elif core.given_away:
                self._answered(question, lives=False)
            elif not core.denoised:
                self._post(question, IF_NOT, self._heard_again)
            else:
                self._put_off(question, time.monotonic())
        self._go_on()

    def _heard_again(self, question: _Question, outcome: Any) -> None:
        if self._is_answer(question, outcome):
            self._answered(question, lives=not says_gone(outcome))
        self._go_on()

    def _answered(self, question: _Question, *, lives: bool) -> None:
        net = Net()
        with net:
            if lives:
                question.core.catch_up()
                self._lives(question.call)
            else:
                self._gone(question.call)
        with net:
            self._decide(question, known=True)
        if not lives:
            _log.info("call %s has ended: the server no longer knows it", question.call.call_id)
        net.release()

    def _is_answer(self, question: _Question, outcome: Any) -> bool:
        """Mark the question as answered, and return whether the outcome, even a late one, can settle it."""
        if isinstance(outcome, RelayError):
            if self._inquiry.answered(question):
                self._unanswered(question, time.monotonic())
            return False
        self._inquiry.answered(question)
        return self._matters(question)

    def _unanswered(self, question: _Question, now: float) -> None:
        if self._matters(question):
            self._put_off(question, now)

    def _put_off(self, question: _Question, now: float) -> None:
        if question.times <= len(PAUSES):
            self._inquiry.put_off(question, now + PAUSES[question.times - 1])
        else:
            _log.info("could not find out whether call %s is still live", question.call.call_id)
            self._decide(question, known=False)
