"""Wait for the reply to a command."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from ..protocol.command import Command
from ..protocol.results import Outcome, read_reply
from ..threads.outcome import Waiter

__all__ = ["Asked"]


class Asked(Waiter[dict[str, Any]]):
    """Waiter for the reply to one command. See ``Link.command`` for the parameters."""

    # This is a class with slots because closures would create ten objects per command for the garbage collector to traverse.
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
        #: A weak reference to the command. Only set if ``on_reply`` is given.
        self.command: weakref.ref[Command] | None = None

    def take(self, outcome: Any) -> None:
        """Set the outcome: a reply, or an exception if no reply will arrive.

        If the caller has stopped waiting, the outcome is passed to ``late`` instead. Called on the IO thread.
        """
        if isinstance(outcome, BaseException):
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
            if self.settle(error):  # the waiting thread raises it
                return
            raise
        # The caller may have stopped waiting just before the reply arrived.
        if not self.settle(outcome) and self._late is not None:
            self._late(outcome)

    def give_up(self) -> bool:
        """Stop waiting. If the outcome has already arrived, pass it to ``late``.

        :return: whether the command was still unanswered.
        """
        if self.settle({}):
            return True
        if self._late is not None:
            self._late(self.peek())
        return False
