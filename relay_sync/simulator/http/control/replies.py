"""HTTP responses of the control interface, errors included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from ....errors import CallEnded, CommandRefused, InvalidParameter, SimulatorClosed, WaitTimeout
from ....server.http import Response
from ....threads.logs import get as log_of
from ...core.given import Taken, Unknown
from .requests import Member, pointer_to
from .router import Refused

__all__ = ["as_response", "error", "failure"]

_log = log_of("relay_sync.simulator").later
_USUAL: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def as_response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a JSON body: a value, or its JSON text as bytes. Status 204 has no body."""
    if status == 204:
        return Response(status, {**_USUAL, **(headers or {})})
    given = {"Content-Type": "application/json", **_USUAL, **(headers or {})}
    return Response(status, given, body if isinstance(body, bytes) else json.dumps(body).encode())


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response."""
    return as_response(status, {"error": message}, headers)


def failure(problem: BaseException, *, members: Mapping[str, Member] | None = None, closing: bool = False) -> Response:
    """Return the response to a request that failed with an exception.

    :param members: members of the request's body, if the body may be to blame.
    :param closing: whether the simulator is closing, so that waits end early.
    """
    match problem:
        case Refused():
            return error(problem.status, str(problem), problem.headers)
        case Taken():
            return error(409, problem.message)
        case Unknown():
            return error(404, problem.message)
        case InvalidParameter():
            where = None if members is None else pointer_to(problem.parameter, members)
            further = {} if where is None else {"pointer": where}
            return as_response(400, {"error": problem.message, "parameter": problem.parameter, **further})
        case CallEnded() | CommandRefused():
            return error(409, problem.message)
        case WaitTimeout() if not closing:
            return error(504, problem.message)
        case SimulatorClosed() | TimeoutError() | WaitTimeout():
            return error(503, "the simulator is closing")
        case OSError():
            return error(409, problem.strerror or str(problem))
    _log.error("the control interface failed to handle a request", exc_info=problem)
    return error(500, "internal error; see the simulator's log")
