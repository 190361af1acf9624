"""Commands as a client makes them: with their frames written, and what becomes of one that nobody waits for."""

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
from ..threads import logs

__all__ = ["Promise", "may_repeat", "new_command"]

_log = logs.get("relay_sync").later

_IDEMPOTENT: Final = frozenset({METHOD_RECEIVE, METHOD_UNRECEIVE, "signalwire.ping"})


def may_repeat(method: str) -> bool:
    """Whether it does no harm if the server is told twice."""
    return method in _IDEMPOTENT or method.endswith(".stop")


class Settler(Protocol):
    """What takes the outcome of a command, and looks at the command then."""

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
    """A command, with its frame written. What is not told here is told at :class:`Command`.

    :param limit: seconds in which it may be sent.
    :param settler: is told which command it is.
    :raises InvalidParameter: something in it cannot be written.
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
        settler.command = weakref.ref(command)  # the two would wait for the garbage collector if they held each other
    return command


class Promise:
    """What becomes of a command that is to be carried out for certain, though nobody waits: the log says where it is not sent."""

    __slots__ = ("_call_id", "_method", "command")

    def __init__(self, method: str, call_id: str) -> None:
        self._method = method
        self._call_id = call_id
        #: What is sent.
        self.command: weakref.ref[Command] | None = None

    def settle(self, outcome: Any) -> None:
        """A reply has come, or an exception that stands for none. On the IO thread."""
        command = None if self.command is None else self.command()
        if isinstance(outcome, RelayError) and command is not None and not command.sent:
            whose = f" of call {self._call_id}" if self._call_id else ""
            _log.warning("%s%s could not be sent: %s", self._method, whose, outcome.message)
        else:
            _log.debug("%s: %s", self._method, type(outcome).__name__)
