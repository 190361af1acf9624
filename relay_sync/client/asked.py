"""A command whose reply somebody waits for."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from ..protocol.command import Command
from ..protocol.results import Outcome, read_reply
from ..threads.outcome import Waiter

__all__ = ["Asked"]


class Asked(Waiter[dict[str, Any]]):
    """The reply to a command, to be waited for. What each argument means is told at ``Link.command``."""

    # An object for each command, and no closure: that would be ten for the garbage collector to look at.
    __slots__ = ("_call_id", "_late", "_method", "_on_reply", "_params", "command")

    def __init__(
        self,
        method: str,
        params: Mapping[str, Any],
        call_id: str,
        on_reply: Callable[[Outcome, int], object] | None,
        late: Callable[[object], object] | None,
    ) -> None:
        super().__init__()
        self._method = method
        self._params = params
        self._call_id = call_id
        self._on_reply = on_reply
        self._late = late
        #: What was sent; only where the reply is applied.
        self.command: weakref.ref[Command] | None = None

    def take(self, outcome: Any) -> None:
        """A reply has come, or an exception that stands for none; the first one counts. On the IO thread."""
        if isinstance(outcome, BaseException):  # there is no reply, and there will be none
            if not self.settle(outcome) and self._late is not None:
                self._late(outcome)
            return
        try:
            outcome = read_reply(outcome, method=self._method, call_id=self._call_id, sent=self._params)
            if self._on_reply is not None:
                command = None if self.command is None else self.command()
                if command is not None and command.session is not None:
                    self._on_reply(outcome, command.session)
        except Exception as error:
            if self.settle(error):  # whoever waits is told
                return
            raise
        # The reply may come at the very moment at which its caller gives up.
        if not self.settle(outcome) and self._late is not None:
            self._late(outcome)

    def give_up(self) -> bool:
        """Nobody waits any more.

        :return: whether there was no reply. If there was one, it is a late one now.
        """
        if self.settle({}):
            return True
        if self._late is not None:
            self._late(self.peek())
        return False
