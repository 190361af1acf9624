"""What a client says without waiting for the answer: questions, and what it has promised."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..constants import METHOD_RECEIVE, METHOD_UNRECEIVE
from ..deadline import Deadline
from ..errors import RelayError
from ..protocol.command import Command
from ..protocol.frames import build_request
from ..protocol.ids import new_id
from ..threads import logs

if TYPE_CHECKING:
    from ..config import Config
    from ..connection.io_loop import Loop

__all__ = ["Posting", "may_repeat", "new_command"]

_log = logs.get("relay_sync").later

#: Seconds for which a promise is kept while there is no connection, or no answer.
PROMISE_PATIENCE: Final = 120.0
_IDEMPOTENT: Final = frozenset({METHOD_RECEIVE, METHOD_UNRECEIVE, "signalwire.ping"})


def may_repeat(method: str) -> bool:
    """Whether it does no harm if the server is told twice."""
    return method in _IDEMPOTENT or method.endswith(".stop")


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
) -> Command:
    """A command, with its frame written. What is not told here is told at :class:`Command`.

    :param limit: seconds in which it may be sent.
    :raises InvalidParameter: something in it cannot be written.
    """
    frame_id, deadline = new_id(), Deadline(time.monotonic() + limit)
    return Command(
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


class Posting:
    """The part of :class:`RelayClient` whose commands nobody waits for."""

    if TYPE_CHECKING:
        _config: Config
        _ending: Loop | None
        _loop: Loop | None

    def _post(self, method: str, params: Mapping[str, Any], then: Callable[[Any], object] | None = None) -> None:
        """Send a command whose answer nobody waits for; on any thread.

        :param then: is given the outcome, on the IO thread: a result, a :class:`Failure` or an exception.
        """
        loop = self._loop
        if loop is None or not loop.alive:
            return
        settle = then or (lambda outcome: _log.debug("%s: %s", method, type(outcome).__name__))
        loop.submit(new_command(method, params, settle, self._config.request_timeout, idempotent=may_repeat(method)))

    def _promise(self, method: str, params: Mapping[str, Any], *, session: int | None = None) -> None:
        """Have something done for certain, as far as the session it is for still lives or comes back; on any thread.

        It is sent again where a connection was lost before the answer.

        :param session: the number of that; by default of the present one.
        """
        loop = self._loop or self._ending  # one that ends still keeps promises
        if loop is None:
            return
        call_id = str(params.get("call_id", ""))

        def settle(outcome: Any) -> None:
            asked = of()
            if isinstance(outcome, RelayError) and asked is not None and not asked.sent:
                whose = f" of call {call_id}" if call_id else ""
                _log.warning("%s%s could not be sent: %s", method, whose, outcome.message)
            else:
                _log.debug("%s: %s", method, type(outcome).__name__)

        only_in = loop.session.number if session is None else session
        command = new_command(method, params, settle, PROMISE_PATIENCE, only_in=only_in, promised=True)
        of = weakref.ref(command)  # a command that held itself would wait for the garbage collector
        loop.submit(command)
