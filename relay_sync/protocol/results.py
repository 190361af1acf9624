"""Interpretation of replies as results or errors."""

from __future__ import annotations

from typing import Any, Final

from ..constants import END_REASONS, GONE_CODES, METHOD_CONNECT
from ..errors import (
    AuthenticationError,
    CallEnded,
    ClientClosed,
    CommandRefused,
    ConnectError,
    ConnectionLost,
    RelayError,
    RequestTimeout,
)
from ..text.secrecy import Secrets, custom_values, hide
from .command import Command
from .frames import Failure, Hide, mask, whole_code

__all__ = [
    "REFUSES_CONNECT",
    "REFUSES_CREDENTIALS",
    "Outcome",
    "call_ended",
    "call_goes_on",
    "client_closed",
    "connect_refusal",
    "failure_to_error",
    "is_gone",
    "is_server_trouble",
    "is_welcome",
    "never_sent",
    "read_code",
    "read_reply",
    "refuses_credentials",
    "refuses_resume",
    "result_or_error",
    "says_gone",
]

#: Codes that refer to the credentials. Another attempt would fail in the same way.
REFUSES_CREDENTIALS: Final = frozenset({-32002, -32003, 401, 403})
#: Codes that reject the ``signalwire.connect`` frame. Another attempt would fail in the same way.
REFUSES_CONNECT: Final = frozenset({-32001, -32600, -32601, -32602})
#: Codes of server failures, which may be temporary.
SERVER_TROUBLE: Final = frozenset({-32000, -32603, -32004, -32005, 408, 425, 429})
#: Fields that occur only in successful replies to ``signalwire.connect``.
_OF_A_SESSION: Final = ("identity", "authorization", "ice_servers", "sessionid", "session_restored", "nodeid")


#: The outcome of a command: its result or an error.
Outcome = dict[str, Any] | CommandRefused


def read_code(result: object) -> int | None:
    """Return the ``code`` of a result as an integer, or ``None`` if it is missing or invalid. Most servers send a string."""
    code = result.get("code") if isinstance(result, dict) else None
    return 200 if code == "200" else whole_code(code)  # nearly always the first case


def result_or_error(
    result: object, *, method: str, call_id: str = "", sent: object = None
) -> dict[str, Any] | CommandRefused:
    """Return a command's result, or the error that it represents.

    Any 2xx code means success, and so does a missing code. As in the official SDK, a result that is not an object
    becomes ``{"raw": result}``, and ``null`` becomes ``{}``.

    :param result: result from the reply.
    :param method: the command's method.
    :param call_id: the call's ID, or ``""``.
    :param sent: the command's params. Any secrets in them are masked if the server repeats them.
    """
    if not isinstance(result, dict):
        return {} if result is None else {"raw": result}
    code = read_code(result)
    if code is None:
        given = result.get("code")
        if given is None:
            return result
        unreadable = f"invalid result code {_shown(given, 50, _hide(sent))!r}"
        return CommandRefused(None, _advice(None, unreadable, method), method=method, call_id=call_id)
    if 200 <= code < 300:
        return result
    said, hidden = result.get("message"), _hide(sent)
    message = hidden(said, theirs=True)[:500] if isinstance(said, str) and said else "no message"
    details = _details(result.get("data"), hidden)
    return CommandRefused(code, _advice(code, message + details, method), method=method, call_id=call_id)


def failure_to_error(failure: Failure, *, method: str, call_id: str = "", sent: object = None) -> CommandRefused:
    """Return the exception for a JSON-RPC error. For the other parameters, see :func:`result_or_error`.

    :param failure: JSON-RPC error.
    """
    message = _hide(sent)(failure.message, theirs=True)[:500] or "no message"
    return CommandRefused(failure.code, _advice(failure.code, message, method), method=method, call_id=call_id)


def read_reply(reply: object, *, method: str, call_id: str = "", sent: object = None) -> Outcome:
    """Return a command's outcome. For the other parameters, see :func:`result_or_error`.

    :param reply: a result or a JSON-RPC error.
    """
    if type(reply) is dict and reply.get("code") == "200":  # nearly always the case
        return reply
    if isinstance(reply, Failure):
        return failure_to_error(reply, method=method, call_id=call_id, sent=sent)
    return result_or_error(reply, method=method, call_id=call_id, sent=sent)


def is_server_trouble(code: int | None) -> bool:
    """Return whether a code reports a server failure, which may be temporary."""
    return code is not None and (code >= 500 or code in SERVER_TROUBLE)


def is_welcome(result: object, *, resuming: bool) -> bool:
    """Return whether the result of ``signalwire.connect`` describes a session.

    If the result has a code, only the code matters. Otherwise, the result describes a session if it contains a protocol
    or another field that occurs only in successful replies.

    :param result: result of ``signalwire.connect``.
    :param resuming: whether the request named a protocol, which the server does not have to repeat.
    """
    if not isinstance(result, dict):
        return False
    code, protocol = read_code(result), result.get("protocol")
    if code is not None:
        return 200 <= code < 300
    named = isinstance(protocol, str) and bool(protocol)
    return named or (resuming and "protocol" in result) or any(name in result for name in _OF_A_SESSION)


def refuses_credentials(code: int | None) -> bool:
    """Return whether a code means that the credentials were rejected, as opposed to an invalid frame or a server failure."""
    return code is not None and code not in REFUSES_CONNECT and not is_server_trouble(code)


def refuses_resume(code: int | None, *, result: bool) -> bool:
    """Return whether the session to resume no longer exists, so that the client must request a new one.

    :param code: error code from the server.
    :param result: whether the error came in a result instead of a JSON-RPC error.
    """
    if is_server_trouble(code):
        return False
    return result or refuses_credentials(code) or code == -32602


def connect_refusal(code: int | None, said: str) -> RelayError:
    """Return the exception for a rejected ``signalwire.connect``.

    :param code: error code from the server.
    :param said: message from the server, or ``""``.
    """
    words = f": {said}" if said else ""
    if code in REFUSES_CREDENTIALS:
        text = f"the credentials were refused{words}; check project and token"
        return AuthenticationError(code, text, method=METHOD_CONNECT)
    text = f"the server refused the session{words}"
    if refuses_credentials(code):
        return AuthenticationError(code, f"{text}; check project, token and host", method=METHOD_CONNECT)
    number = "" if code is None else f" (code {code})"
    return ConnectError(f"{text}{number}; check host and project, or try again later", fatal=code in REFUSES_CONNECT)


def is_gone(error: CommandRefused) -> bool:
    """Return whether an error means that the call or an object named by the command does not exist.

    A call may end at any time because the remote party hangs up. The object may be a queue, an agent or a recording.
    """
    return error.code in GONE_CODES


def says_gone(reply: object) -> bool:
    """Return whether an unprocessed reply means that the call or an object does not exist."""
    return (reply.code if isinstance(reply, Failure) else read_code(reply)) in GONE_CODES


def call_goes_on(error: CommandRefused) -> CommandRefused:
    """Return a copy of an error whose message says that the call itself is live.

    This is used when the call is known to exist, which means that another object named by the command must be missing.
    """
    message = error.message.removesuffix(f"; {_NOT_THERE}")
    text = f"{message}; the call itself is live: check the queue, agent, conference, control_id, ... that the command names"
    return CommandRefused(error.code, text, method=error.method, call_id=error.call_id)


_NOT_THERE: Final = "the call, or an object that the command names, does not exist"
_ADVICE = {
    400: "check the parameters",
    402: "check the project's balance and permissions",
    404: _NOT_THERE,
    409: "the operation is already in progress, or the ID is in use",
    410: _NOT_THERE,
    -32601: "the server does not know this method",
    -32602: "check the parameters",
    -32003: "check the project's permissions",
    -32005: "the server is at capacity; try again later",
    -32000: "the server failed to carry it out; try again later",
}


def _advice(code: int | None, message: str, method: str) -> str:
    advice = _ADVICE.get(code) if code is not None else None
    if code == 409 and "not answered" in message.lower():
        advice = "use call.answer() first"  # the server's message states the reason, so no further advice is needed
    return f"{method} was refused: {message}" + (f"; {advice}" if advice else "")


def _details(data: object, hidden: Hide) -> str:
    if not data or not isinstance(data, (list, dict, str)):
        return ""
    return f" ({_shown(data, 300, hidden)})"


def _hide(sent: object) -> Hide:
    """Return a function that masks this command's secrets and all secrets known to the process."""
    custom = Secrets(*custom_values(sent))

    def hidden(text: str, *, theirs: bool = False) -> str:
        return hide(custom.hide(text, theirs=theirs), theirs=theirs)

    return hidden


def _shown(value: object, most: int, hidden: Hide) -> str:
    """Return the server's data as a string of at most ``most`` characters, with secrets masked."""
    try:
        return str(mask(value, hidden))[:most]
    except RecursionError:
        return f"<{type(value).__name__}>"


#: Cached errors by end reason. Only known reasons are cached, because other reasons come from the server and may
#: contain secrets.
_ENDED: Final[dict[str, CallEnded]] = {}


def call_ended(end_reason: str) -> CallEnded:
    """Return the error for operations interrupted because the call ended.

    Calls share this object, so raise a :meth:`RelayError.fresh` copy of it.

    :param end_reason: reason reported by the server, or ``""``.
    """
    known = _ENDED.get(end_reason)
    if known is not None:
        return known
    why = f" ({end_reason})" if end_reason else ""
    text = f"the call ended{why} before the operation completed; no further events arrive"
    error = CallEnded(text, end_reason=end_reason)
    whole = (error.message, error.end_reason) == (text, end_reason)  # False if a secret in the text was masked
    return _ENDED.setdefault(end_reason, error) if whole and end_reason in END_REASONS else error


def client_closed() -> ClientClosed:
    """Return the error for pending and new operations on a closed client."""
    return ClientClosed("the client was closed; call connect() to use it again")


def session_replaced() -> ConnectionLost:
    """Return the error for operations of a session that the server did not resume."""
    return ConnectionLost(
        "the server started a new session instead of resuming the old one; calls of the old session can no longer be controlled, "
        "new calls arrive as usual",
        sent=True,
    )


def never_sent(command: Command) -> RequestTimeout:
    """Return the error for a command whose deadline passed while it was queued."""
    return RequestTimeout(f"{command.method} was not sent before its timeout; try again")


def too_late(command: Command) -> ConnectionLost:
    """Return the error for a command whose deadline passed without a connection, before it could be sent or resent."""
    if command.sent:
        return ConnectionLost(
            f"{command.method} was sent, but the connection closed before the reply and the timeout has passed; "
            "it may have been carried out, so check before you repeat it",
            sent=True,
        )
    return ConnectionLost(f"{command.method} was not sent: no connection before its timeout; try again", sent=False)
