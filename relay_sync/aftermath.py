"""Finds out what ended while there was no connection: actions, and messages.

The server replays nothing (PROTOCOL, "Reconnect and resume"), and RELAY has no command that asks how an action stands. What comes
nearest is one that changes nothing while it goes on, and is answered 404 when it is over: setting the volume of a playback to
what it is, resuming a recording that is not paused. Each kind of action knows its own, and whether it is known at the moment
what would change nothing. Others have none: what was given a time, such as a detector, is told to stop once that time is over
for certain; digits, which nobody can stop, are over then. What has neither is not asked about.

An event of the action says that it was live after the connection came back, so that its end will be told as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from attrs import define

from . import logs
from .actions import Action
from .actions.base import Question
from .call import Call
from .constants import GONE_CODES
from .errors import RelayError
from .message import MessageDesk
from .protocol.frames import Failure
from .protocol.results import read_code
from .runtime.net import Net

__all__ = ["AT_ONCE", "PAUSES", "Aftermath"]

_log = logs.get("relay_sync").later

#: Questions under way at once: many actions must not crowd out the commands that users wait for.
AT_ONCE: Final = 32
#: Seconds before a question without an answer is asked again, one time after the other.
PAUSES: Final = (15.0, 30.0, 60.0)


@define(eq=False)
class _Doubt:
    action: Action[Any]
    #: When it is to be asked about.
    due: float
    #: How often that was done.
    times: int = 0


class Aftermath:
    """What went on when the connection was lost, until something is known of each. All of it on the IO thread.

    :param now: when the connection came back.
    """

    def __init__(self, calls: Iterable[Call], messages: MessageDesk, now: float) -> None:
        self._since = now
        self._messages = messages
        self._doubts = [_Doubt(action, now) for call in calls for action in list(call._actions.values())]
        self._open: set[_Doubt] = set()
        messages.resumed(now)

    def on_watch(self, now: float) -> None:
        """At the beginning, and once a second: what is due?"""
        self._messages.on_watch(now)
        self._ask_all(now)

    def _ask_all(self, now: float) -> None:
        """As much as may be under way at once."""
        net = Net()
        doubts, self._doubts = self._doubts, []
        for doubt in doubts:
            with net:
                if self._matters(doubt):
                    self._doubts.append(doubt)
        for doubt in self._doubts:
            if now < doubt.due:
                continue
            self._open.discard(doubt)  # there was no answer
            if len(self._open) >= AT_ONCE:
                break
            with net:
                question = doubt.action._question()
                if question is None or now < doubt.action._heard + question.after:
                    continue  # it may be known later
                if question.method:
                    self._ask(doubt, question, now)
                else:
                    doubt.action._end_early("overdue")
        net.release()

    def stop(self) -> None:
        """Ask nothing more."""
        self._doubts = []

    def _matters(self, doubt: _Doubt) -> bool:
        asked_enough = doubt.times > len(PAUSES)
        return not (doubt.action.is_done or doubt.action._heard > self._since or asked_enough)

    def _ask(self, doubt: _Doubt, question: Question, now: float) -> None:
        doubt.due = now + PAUSES[min(doubt.times, len(PAUSES) - 1)]
        doubt.times += 1
        self._open.add(doubt)
        action, call = doubt.action, doubt.action.call
        address = {"node_id": call.node_id, "call_id": call.call_id, "control_id": action.control_id}
        call._client._post(question.method, {**address, **question.params}, self._answered(doubt, now))

    def _answered(self, doubt: _Doubt, now: float) -> Callable[[Any], None]:
        def answered(outcome: Any) -> None:
            self._open.discard(doubt)
            if isinstance(outcome, RelayError):
                return  # it is asked again when it is due
            doubt.times = len(PAUSES) + 1
            if (outcome.code if isinstance(outcome, Failure) else read_code(outcome)) in GONE_CODES:
                # Frames arrive in the order they were sent: a terminal event on its way would be here by now.
                _log.info("%r has ended: the server does not know it any more", doubt.action)
                doubt.action._end_early("call_gone")
            self._ask_all(now)

        return answered
