"""After a resume: which calls ended while nobody could tell us?

The server replays nothing that it had to say while the connection was down (PROTOCOL, "Reconnect and resume"), so a call may
have ended unheard, and whoever waits for its end would wait for ever. RELAY has no command that asks for a call's state. What
comes nearest is one that changes nothing on a call that lives and is refused with 404 or 410 on one that does not: clearing
the digit bindings of a realm that has none. No source says what a realm that is not known gets, and to take a call that lives
for one that ended would be worse than to wait. So a 404 is confirmed by another question, whose answer on a call that lives
is documented: ``calling.denoise.stop`` gives 409 where noise is not reduced, or takes the reduction back, but not 404.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .constants import CALL_STATE_ENDED, GONE_CODES
from .protocol.frames import Failure
from .protocol.results import read_code
from .runtime.ids import new_id

if TYPE_CHECKING:
    from .call import Call

__all__ = ["RollCall"]

_log = logging.getLogger("relay_sync")

#: Questions under way at once: many calls must not crowd out the commands that users wait for.
AT_ONCE: Final = 32
FIRST: Final = "calling.clear_digit_bindings"
SECOND: Final = "calling.denoise.stop"


class RollCall:
    """Asks for each of some calls whether it still lives. All of it on the IO thread."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._unasked = deque(calls)
        self._realm = f"relay_sync.{new_id()}"

    def start(self) -> None:
        """Ask the first ones; each answer has the next one asked."""
        for _ in range(AT_ONCE):
            self._next()

    def stop(self) -> None:
        """Ask nothing more."""
        self._unasked.clear()

    def _next(self) -> None:
        while self._unasked:
            call = self._unasked.popleft()
            if call.state != CALL_STATE_ENDED:
                address = {"node_id": call.node_id, "call_id": call.call_id}
                call._client._post(FIRST, {**address, "realm": self._realm}, partial(self._heard, call, address))
                return

    def _heard(self, call: Call, address: dict[str, str], outcome: Any) -> None:
        if _is_gone(outcome):
            call._client._post(SECOND, address, partial(self._heard_again, call))
        else:
            self._next()

    def _heard_again(self, call: Call, outcome: Any) -> None:
        if _is_gone(outcome):
            _log.info("call %s ended while there was no connection", call.call_id)
            call._found_gone()
        self._next()


def _is_gone(outcome: Any) -> bool:
    return (outcome.code if isinstance(outcome, Failure) else read_code(outcome)) in GONE_CODES
