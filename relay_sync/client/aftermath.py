"""Finds out which actions and messages ended while there was no connection.

The server does not repeat events after a reconnection (see ``docs/wire.md``), and RELAY has no command that queries an action.
The closest is a command that changes nothing while the action continues, and is answered 404 once it has ended: setting the
volume of a playback to its present value, or resuming a recording that is not paused. Each kind of action knows its own command,
and whether the present value is known. An action with a time limit, such as a detector, is stopped once the limit has certainly
passed; digits, which cannot be stopped, have ended by then. Actions with neither are not asked about.

An event of the action shows that it was live after the reconnection, so its end will be reported as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from ..call.actions.base import Question, RunningAction
from ..call.call import Call, core_of
from ..call.core import CallCore
from ..errors import RelayError
from ..protocol.results import says_gone
from ..threads import logs
from .inquiry import Inquiry
from .messages import MessageDesk

__all__ = ["PAUSES", "Aftermath"]

_log = logs.get("relay_sync").later

#: Seconds to wait for the answer to the first, second and third question about the same action.
PAUSES: Final = (15.0, 30.0, 60.0)


class _Doubt:
    def __init__(self, core: CallCore[Call], operation: RunningAction) -> None:
        self.core = core
        self.operation = operation
        #: How many questions about the operation were sent.
        self.times = 0


class Aftermath:
    """The actions and messages in progress when the connection was lost, until the state of each is known. On the IO thread.

    :param now: when the connection was re-established.
    """

    def __init__(self, calls: Iterable[Call], messages: MessageDesk, now: float) -> None:
        self._since = now
        self._messages = messages
        doubts = [_Doubt(core, one) for core in map(core_of, calls) for one in list(core.operations.values())]
        self._inquiry = Inquiry(self._see_to, doubts)
        messages.resumed(now)

    def on_watch(self, now: float) -> None:
        """Send the questions that are due. Called right after the reconnection, then once a second."""
        self._messages.on_watch(now)
        for doubt in self._inquiry.unanswered(now):
            self._inquiry.add(doubt)
        self._inquiry.go_on(now)

    def stop(self) -> None:
        """Discard all pending questions."""
        self._inquiry.stop()

    def _see_to(self, doubt: _Doubt, now: float) -> None:
        operation = doubt.operation
        if doubt.times > len(PAUSES) or operation.action.is_done or operation.heard > self._since:
            return  # too many attempts, or the state is known
        question = operation.question()
        if question is None or now < operation.heard + question.after:
            self._inquiry.put_off(doubt)  # an answer may be possible later
        elif question.method:
            self._ask(doubt, question, now)
        else:
            operation.end_early("overdue")

    def _ask(self, doubt: _Doubt, question: Question, now: float) -> None:
        self._inquiry.asked(doubt, now + PAUSES[min(doubt.times, len(PAUSES) - 1)])
        doubt.times += 1
        core = doubt.core
        named = {**core.address, "control_id": doubt.operation.action.control_id}
        core.line.post(question.method, {**named, **question.params}, partial(self._answered, doubt))

    def _answered(self, doubt: _Doubt, outcome: Any) -> None:
        if isinstance(outcome, RelayError):
            return  # asked again once the answer is overdue
        self._inquiry.answered(doubt)
        doubt.times = len(PAUSES) + 1  # a late answer also prevents the next question
        if says_gone(outcome):
            # Frames arrive in order: a final event sent before this answer would have arrived already.
            _log.info("%r has ended: the server no longer knows it", doubt.operation.action)
            doubt.operation.end_early("call_gone")
        self._inquiry.go_on(time.monotonic())
