"""Detect actions and messages that ended while the client was disconnected.

After the client reconnects, the server does not repeat missed events, and RELAY has no command to query an action. The client
therefore sends a command that has no effect on a running action and fails with 404 if the action has ended. For example, it sets
a playback's volume to the current value, or resumes a recording that is not paused. Each action class defines its command in
``question()``. Actions with a time limit, such as detectors, are stopped after the limit has expired. Sending digits cannot be
stopped, so it is considered complete after the limit. Other actions are not checked.

If the action receives an event after the client reconnects, the check is skipped, because the final event will arrive as well.
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

#: Seconds to wait for a reply to the first, second and third query about the same action.
PAUSES: Final = (15.0, 30.0, 60.0)


class _Doubt:
    def __init__(self, core: CallCore[Call], operation: RunningAction) -> None:
        self.core = core
        self.operation = operation
        #: Number of queries sent about the operation.
        self.times = 0


class Aftermath:
    """Actions and messages in an unknown state after reconnecting. Used only on the IO thread.

    :param calls: calls whose actions are checked.
    :param messages: messages in progress.
    :param now: time at which the client reconnected.
    """

    def __init__(self, calls: Iterable[Call], messages: MessageDesk, now: float) -> None:
        self._since = now
        self._messages = messages
        doubts = [_Doubt(core, one) for core in map(core_of, calls) for one in list(core.operations.values())]
        self._inquiry = Inquiry(self._see_to, doubts)
        messages.resumed(now)

    def on_watch(self, now: float) -> None:
        """Send the queries that are due. Called immediately after reconnecting, then once a second."""
        self._messages.on_watch(now)
        for doubt in self._inquiry.unanswered(now):
            self._inquiry.add(doubt)
        self._inquiry.go_on(now)

    def stop(self) -> None:
        """Discard all pending queries."""
        self._inquiry.stop()

    def _see_to(self, doubt: _Doubt, now: float) -> None:
        operation = doubt.operation
        if doubt.times > len(PAUSES) or operation.action.is_done or operation.heard > self._since:
            return  # there were too many attempts, or the state is known
        question = operation.question()
        if question is None or now < operation.heard + question.after:
            self._inquiry.put_off(doubt)  # a query may be possible later
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
            return  # the query is repeated after it times out
        self._inquiry.answered(doubt)
        doubt.times = len(PAUSES) + 1  # prevent further queries, even if this reply is late
        if says_gone(outcome):
            # Frames arrive in order, so a final event that was sent before this reply would have arrived already.
            _log.info("%r has ended: the server no longer knows it", doubt.operation.action)
            doubt.operation.end_early("call_gone")
        self._inquiry.go_on(time.monotonic())
