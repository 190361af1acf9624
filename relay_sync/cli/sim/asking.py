"""Requests to the control interface of a simulator."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from attrs import define, field

from ...errors import RelayError
from ...hosts.authorities import trusting
from ...rest.exchange import read_body, reading
from ...rest.sessions import DirectSession, detached_session
from ...rest.sockets import until
from ..mistakes import Mistake, Unsuccessful
from ..way_in import printable

__all__ = ["PATIENCE", "Control", "Refused", "segment", "submit"]

#: Time limit of a request, in seconds.
PATIENCE: Final = 10.0
#: Maximum size of a response, in bytes. A response with 1,000 journal entries is usually smaller than 1 MiB.
_MOST: Final = 64 * 2**20
#: Maximum number of characters of an error message.
MOST_MESSAGE: Final = 2_000


class Refused(Unsuccessful):
    """Raised if the simulator refuses a request.

    :param message: error message of the simulator.
    :param status: HTTP status.
    :param parameter: name of the invalid parameter, or ``""``.
    """

    def __init__(self, message: str, status: int, parameter: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.parameter = parameter


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


def _session() -> DirectSession:
    return detached_session(lambda: trusting(None))


@define(eq=False)
class Control:
    """Control interface of a simulator.

    :ivar url: URL without a slash at the end.
    """

    url: str
    _key: str = field(default="", repr=False)
    _made: DirectSession = field(factory=_session, init=False, repr=False)

    def close(self) -> None:
        """Close the connection."""
        self._made.close()

    def get(self, path: str, query: Mapping[str, str] | None = None, *, timeout: float = PATIENCE) -> Any:
        """Send a GET request.

        :param path: path below the interface's URL, starting with a slash.
        :param query: query parameters.
        :param timeout: time limit, in seconds.
        :return: the parsed body.
        :raises Refused: the simulator refused the request.
        :raises Unsuccessful: the simulator cannot be reached, or did not reply in time.
        """
        return self._ask("GET", path, None, query or {}, timeout)

    def post(self, path: str, body: Any, *, timeout: float = PATIENCE) -> Any:
        """Send a POST request.

        :param path: path below the interface's URL, starting with a slash.
        :param body: value to send as JSON.
        :param timeout: time limit, in seconds.
        :return: the parsed body, or ``None`` if there is none.
        :raises Refused: the simulator refused the request.
        :raises Unsuccessful: the simulator cannot be reached, or did not reply in time.
        """
        return self._ask("POST", path, body, {}, timeout)

    def _ask(self, method: str, path: str, body: Any, query: Mapping[str, str], timeout: float) -> Any:
        try:
            status, text = self._send(method, path, body, query, timeout)
        except RelayError as error:
            raise Unsuccessful(error.message) from None
        try:
            answer = json.loads(text) if text else None
        except (ValueError, RecursionError):
            raise Unsuccessful(f"the program at {self.url} is not a simulator: its reply is not JSON") from None
        if 200 <= status < 300:
            return answer
        if status == 401:
            raise Refused(f"the simulator at {self.url} refused the key", status)
        told = answer if isinstance(answer, dict) else {}
        message = told.get("error")
        why = printable(message, most=MOST_MESSAGE) if isinstance(message, str) else f"status {status}"
        parameter = told.get("parameter")
        raise Refused(why, status, parameter if isinstance(parameter, str) else "")

    def _send(self, method: str, path: str, body: Any, query: Mapping[str, str], timeout: float) -> tuple[int, bytes]:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        what = f"the simulator at {self.url}"
        with until(time.monotonic() + timeout), reading(what, sent=False):
            response = self._made.request(
                method,
                self.url + path,
                params=dict(query),
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
                proxies={},
            )
            with response:
                read = read_body(response, _MOST, decode=False)  # A simulator does not compress.
        return response.status_code, read


def submit(
    control: Control, path: str, body: Mapping[str, Any], options: Mapping[str, str], *, timeout: float = PATIENCE
) -> Any:
    """Send the request of a command. If the simulator refuses a parameter, the error names its option.

    :param control: control interface of the simulator.
    :param path: path below the interface's URL, starting with a slash.
    :param body: body of the request.
    :param options: options by the names of the body's members.
    :param timeout: time limit, in seconds.
    :return: the parsed body of the response.
    :raises Mistake: the simulator refused a parameter.
    :raises Unsuccessful: the simulator refused the request, cannot be reached, or did not reply in time.
    """
    try:
        return control.post(path, body, timeout=timeout)
    except Refused as refused:
        raise _mistake_in(refused, body, options) or refused from None


def _mistake_in(refused: Refused, body: Mapping[str, Any], options: Mapping[str, str]) -> Mistake | None:
    """Return the mistake in an option that made the simulator refuse a request, or ``None`` if there is another reason.

    :param refused: the refusal.
    :param body: body of the request.
    :param options: options by the names of the body's members.
    """
    name = refused.parameter.rstrip("_")  # The parameter "from_" has the member "from".
    if name not in options:
        return None
    given = body.get(name)
    expected = str(refused).partition("expected ")[2]
    if not isinstance(given, str) or not expected:  # Audio is not shown.
        return Mistake(options[name], (expected and f"expected {expected}") or str(refused))
    return Mistake.invalid(options[name], repr(given), expected)
