"""Finds out which calls are still live: all of them after a resume, and one that a command was answered 404 for.

The server replays nothing that it had to say while the connection was down (see ``docs/wire.md``), so a call may
have ended unheard, and whoever waits for its end would wait for ever. RELAY has no command that asks for a call's state. What
comes nearest is one that changes nothing on a call that lives and is refused with 404 or 410 on one that does not: clearing
the digit bindings of a realm that has none. No source says what a realm that is not known gets, and to take a call that lives
for one that ended would be worse than to wait. So a 404 is confirmed by another question. That must not change anything either,
whatever it is that this client does not know of the call:

* A call that is known to be answered is answered again: it stays so, whoever has switched what on meanwhile.
* One that is not, such as a leg that rings, has no noise reduction that ``calling.denoise.stop`` could take back.
* Where this client has asked for noise reduction on a call of which no answer was seen, nothing harmless is left to ask: whether
  it lives is not found out then.
* A call that is ending needs no second question, nor does one that others control and that was not answered: little is lost if
  it lives for another moment.

A command that is answered 404 or 410 is in the same doubt: the call may be over, or a queue, an agent, a recording that the
command names does not exist. The same questions decide.

A question that gets no answer, or could not even be sent, is asked again, at most three times and ever later. An event of the
call says that it was live after the question arose, so that its end will be told as well: then no answer is needed.

A roll-call ends with its connection. What somebody still waits to hear about is asked on the next one, before the rest.
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

#: Seconds for an answer.
PATIENCE: Final = 10.0
#: Seconds before a question without an answer is asked again, one time after the other.
PAUSES: Final = (5.0, 15.0, 45.0)
FIRST: Final = "calling.clear_digit_bindings"
#: The second question of a call that is answered, and of one that is not.
IF_ANSWERED: Final = "calling.answer"
IF_NOT: Final = "calling.denoise.stop"

#: A call that somebody waits to hear about, and what takes the answer.
Awaited: TypeAlias = tuple[Call, Callable[[bool], object]]


class _Question:
    def __init__(self, call: Call, then: Callable[[bool], object] | None) -> None:
        self.call = call
        self.core = core_of(call)
        #: Whoever waits for the answer.
        self.then = then
        #: How often it has been asked.
        self.times = 0
        #: Whether it is known by now, in whichever way.
        self.decided = False


class RollCall:
    """Asks for each of some calls whether it still lives. All of it on the IO thread.

    :param gone: called with a call that the server does not know.
    :param lives: called with a call that the server has answered for.
    """

    def __init__(self, gone: Callable[[Call], None], lives: Callable[[Call], None]) -> None:
        self._gone = gone
        self._lives = lives
        self._inquiry = Inquiry(self._ask)
        #: What is not known yet, by the id of the call.
        self._undecided: dict[str, list[_Question]] = {}
        self._realm = f"relay_sync.{new_id()}"

    def add(self, call: Call, then: Callable[[bool], object] | None = None) -> None:
        """Ask for a call, at once or when it is its turn.

        :param then: called with ``True`` once the answer is known and has taken effect, or with ``False`` where none came.
        """
        question = _Question(call, then)
        self._undecided.setdefault(call.call_id, []).append(question)
        self._inquiry.add(question)
        self._go_on()

    def stop(self) -> list[Awaited]:
        """Ask nothing more.

        :return: the calls that somebody still waits to hear about, and how they are told.
        """
        self._inquiry.stop()
        questions = [question for asked in self._undecided.values() for question in asked]
        self._undecided.clear()
        for question in questions:
            question.decided = True
        return [(question.call, question.then) for question in questions if question.then is not None]

    def heard_of(self, call: Call) -> None:
        """An event of the call came and has taken effect."""
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
        """Once a second: what has waited for its answer for too long, and what is to be asked again?"""
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
        """Take the question off the list: whether something can be learnt from what came of it, however late."""
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
