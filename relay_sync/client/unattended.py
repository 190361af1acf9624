"""Log a warning about inbound calls that handlers leave unanswered."""

from __future__ import annotations

import logging
import time
from typing import Final

from ..call.call import Call, core_of
from ..constants import CALL_STATE_ANSWERED, CALL_STATE_CREATED, CALL_STATE_ENDED, CALL_STATE_ENDING, CALL_STATE_RINGING
from ..errors import CallEnded
from ..threads import logs
from ..threads.table import Table

__all__ = ["ATTENDED_WITHIN", "Unattended"]

_log = logs.get("relay_sync").later

#: Seconds to wait before logging a call that is still ringing after its handler has returned. Another thread may answer it.
ATTENDED_WITHIN: Final = 5.0


class Unattended:
    """A client's calls that were still unanswered when their handlers returned. Thread-safe."""

    def __init__(self) -> None:
        self._since: Table[Call, float] = Table()
        self._warned = False

    def handler_returned(self, call: Call) -> None:
        """Add a call if it is still ringing. Called when its handler returns."""
        if _is_unattended(call):
            self._since.put(call, time.monotonic())

    def check(self, now: float) -> None:
        """Log the calls that have been ringing for too long. Called once a second."""
        for call, since in self._since.items():
            if not _is_unattended(call):
                self._since.take(call)
            elif now >= since + ATTENDED_WITHIN and self._since.take(call) is not None:
                self.say_of(call)

    def call_over(self, call: Call) -> None:
        """Handle a call's end. Log the call if it was never answered."""
        if self._since.take(call) is not None and CALL_STATE_ANSWERED not in core_of(call).reached:
            self.say_of(call)

    def let_go(self, call: Call) -> None:
        """Remove a call that this client no longer follows."""
        self._since.take(call)

    def take_all(self) -> list[Call]:
        """Remove all calls.

        :return: the calls that were still ringing.
        """
        calls = [call for call, _ in self._since.items() if _is_unattended(call)]
        self._since.take_all()
        return calls

    def say_of(self, call: Call) -> None:
        """Log that a call was left unanswered. The first message is a warning, and later ones are at debug level."""
        if core_of(call).attended:
            return
        level = logging.DEBUG if self._warned else logging.WARNING
        self._warned = True
        what = (
            "the on_call handler returned without answering call %s, which keeps ringing until the caller hangs up"
            if call.state in (CALL_STATE_CREATED, CALL_STATE_RINGING)
            else "call %s ended without an answer: the handler never called answer()"
        )
        _log.log(level, f"{what}; use call.answer(), call.hangup('busy') or call.pass_()", call.call_id)


def _is_unattended(call: Call) -> bool:
    """Return whether a call is ringing, or rang until it ended, and was not answered or otherwise handled."""
    core = core_of(call)
    if core.attended or CALL_STATE_ANSWERED in core.reached:
        return False
    if core.over is None:
        return core.state in (CALL_STATE_CREATED, CALL_STATE_RINGING, CALL_STATE_ENDING)
    return core.state == CALL_STATE_ENDED and isinstance(core.over, CallEnded)
