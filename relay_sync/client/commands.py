"""Build commands, and log the outcome of commands that no thread waits for."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ..constants import METHOD_RECEIVE, METHOD_UNRECEIVE
from ..deadline import Deadline
from ..errors import RelayError
from ..protocol.command import Command
from ..protocol.frames import build_request
from ..protocol.ids import new_id
from ..protocol.results import read_reply
from ..threads import logs
from .counters import Counters

__all__ = ["Promise", "may_repeat", "new_command"]

_log = logs.get("relay_sync").later

_IDEMPOTENT: Final = frozenset({METHOD_RECEIVE, METHOD_UNRECEIVE, "signalwire.ping"})


def may_repeat(method: str) -> bool:
    """Return whether it is safe to send the command twice."""
    return method in _IDEMPOTENT or method.endswith(".stop")


class Settler(Protocol):
    """An object that receives a command's outcome and needs a reference to the command."""

    command: weakref.ref[Command] | None


def new_command(
    method: str,
    params: Mapping[str, Any],
    settle: Callable[[Any], object],
    limit: float,
    *,
    patience: float = 0.0,
    idempotent: bool = False,
    only_in: int | None = None,
    promised: bool = False,
    late: Callable[[Any], object] | None = None,
    settler: Settler | None = None,
) -> Command:
    """Create a command and build its frame. See :class:`Command` for the other parameters.

    :param limit: maximum time until the command is sent, in seconds.
    :param settler: object whose ``command`` attribute is set to a weak reference to the new command.
    :raises InvalidParameter: a value cannot be encoded as JSON.
    """
    frame_id, deadline = new_id(), Deadline(time.monotonic() + limit)
    command = Command(
        id=frame_id,
        method=method,
        text=build_request(frame_id, method, params),
        deadline=deadline,
        settle=settle,
        patience=patience,
        idempotent=idempotent,
        only_in=only_in,
        promised=promised,
        late=late,
    )
    if settler is not None:
        settler.command = weakref.ref(command)  # weak, to avoid a reference cycle
    return command


class Promise:
    """Counts a promised command, and logs its outcome.

    The client repeats a promised command until the server replies. No thread waits for the reply.

    :param method: name of the RPC method.
    :param call_id: ID of the call that the command is for, or ``""``.
    :param counters: client's counters.
    """

    __slots__ = ("_began", "_call_id", "_counters", "_method", "command")

    def __init__(self, method: str, call_id: str, counters: Counters) -> None:
        self._method = method
        self._call_id = call_id
        self._counters = counters
        self._began = time.monotonic()
        counters.pending.add(self)
        #: A weak reference to the command.
        self.command: weakref.ref[Command] | None = None

    def settle(self, outcome: Any) -> None:
        """Count and log the outcome, which is a reply, or an exception if there is no reply. Called on the IO thread."""
        if not isinstance(outcome, BaseException):
            outcome = read_reply(outcome, method=self._method, call_id=self._call_id)
        self._counters.pending.discard(self)
        error = outcome if isinstance(outcome, BaseException) else None
        self._counters.command_done(time.monotonic() - self._began, error)
        command = None if self.command is None else self.command()
        if isinstance(outcome, RelayError) and command is not None and not command.sent:
            whose = f" of call {self._call_id}" if self._call_id else ""
            _log.warning("%s%s could not be sent: %s", self._method, whose, outcome.message)
        else:
            _log.debug("%s: %s", self._method, type(outcome).__name__)
