"""Check which calls are still live after reconnecting, or after a command fails with 404.

After the client reconnects, the server does not repeat missed events. A call may have ended unnoticed, and waiting for its end
would never return. RELAY has no command to query a call. The client therefore sends a command that has no effect on a live call
and fails with 404 or 410 if the call has ended: it clears the digit bindings of an unused realm. The reply for an unknown realm
is undocumented, and mistaking a live call for an ended one is worse than waiting. The client therefore sends a second command to
confirm a 404. This command must also have no effect, even if the client's view of the call is outdated:

* If the call was answered, the client sends ``calling.answer`` again.
* If the call was not answered, for example a ringing leg, it cannot have noise reduction, and the client sends
  ``calling.denoise.stop``.
* If the client has requested noise reduction but has not seen the call being answered, there is no safe command. The call's state
  remains unknown.
* If the call is ending, or if it is unanswered and controlled by another client, no confirmation is sent, because a mistake has
  little effect.

The same check runs when any other command fails with 404 or 410. In that case the call may have ended, or the queue, agent or
recording named in the command may not exist.

A check that fails or times out is repeated up to three times, at increasing intervals. If the call receives an event, the check
is complete: the call was still live, and its end will be reported as well.

Pending checks are canceled when the connection closes. If a caller is waiting for a check, it is repeated on the next connection,
before all others.
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

#: Seconds to wait for the reply to a query.
PATIENCE: Final = 10.0
#: Seconds before the first, second and third repetition of an unanswered query.
PAUSES: Final = (5.0, 15.0, 45.0)
FIRST: Final = "calling.clear_digit_bindings"
#: The commands that confirm a 404 for answered calls and for other calls.
IF_ANSWERED: Final = "calling.answer"
IF_NOT: Final = "calling.denoise.stop"

#: A call that a caller wants checked, and the function that receives the result.
Awaited: TypeAlias = tuple[Call, Callable[[bool], object]]


class _Question:
    def __init__(self, call: Call, then: Callable[[bool], object] | None) -> None:
        self.call = call
        self.core = core_of(call)
        #: The function that receives the result, or ``None`` if no caller waits for it.
        self.then = then
        #: Number of queries sent.
        self.times = 0
        #: Whether the check is complete.
        self.decided = False


class RollCall:
    """The pending checks of one session. Used only on the IO thread.

    :param gone: function that is called with each call that the server no longer knows.
    :param lives: function that is called with each call confirmed to be live.
    """

    def __init__(self, gone: Callable[[Call], None], lives: Callable[[Call], None]) -> None:
        self._gone = gone
        self._lives = lives
        self._inquiry = Inquiry(self._ask)
        #: The pending checks, by call ID.
        self._undecided: dict[str, list[_Question]] = {}
        self._realm = f"relay_sync.{new_id()}"

    def add(self, call: Call, then: Callable[[bool], object] | None = None) -> None:
        """Check a call. The check is delayed if too many queries are open.

        :param then: function that is called with ``True`` once the result has been applied to the call, or with ``False`` if the
            call's state could not be determined.
        """
        question = _Question(call, then)
        self._undecided.setdefault(call.call_id, []).append(question)
        self._inquiry.add(question)
        self._go_on()

    def stop(self) -> list[Awaited]:
        """Cancel all checks.

        :return: the checks that callers are waiting for.
        """
        self._inquiry.stop()
        questions = [question for asked in self._undecided.values() for question in asked]
        self._undecided.clear()
        for question in questions:
            question.decided = True
        return [(question.call, question.then) for question in questions if question.then is not None]

    def heard_of(self, call: Call) -> None:
        """Complete the pending checks for a call that has just received an event."""
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
        """Reschedule timed-out queries and send queued queries. Called once a second."""
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
        """Record the reply to a query.

        :return: whether the reply can complete the check. A late reply can, too.
        """
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
            _log.info("could not determine whether call %s is still live", question.call.call_id)
            self._decide(question, known=False)
