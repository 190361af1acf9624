"""What the reply to a command means."""

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

#: Codes that name the credentials: the second attempt will end as the first one did.
REFUSES_CREDENTIALS: Final = frozenset({-32002, -32003, 401, 403})
#: Our connect frame will not get better by sending it again.
REFUSES_CONNECT: Final = frozenset({-32001, -32600, -32601, -32602})
#: Refusals that are the server's own trouble, not ours.
SERVER_TROUBLE: Final = frozenset({-32000, -32603, -32004, -32005, 408, 425, 429})
#: Members of the answer to ``signalwire.connect`` that no refusal has.
_OF_A_SESSION: Final = ("identity", "authorization", "ice_servers", "sessionid", "session_restored", "nodeid")


#: What a reply says: the result of a command that was carried out, or the refusal.
Outcome = dict[str, Any] | CommandRefused


def read_code(result: object) -> int | None:
    """The ``code`` of a result, which comes as a string, sometimes as a number, sometimes not at all."""
    code = result.get("code") if isinstance(result, dict) else None
    return 200 if code == "200" else whole_code(code)  # nearly always the former


def result_or_error(
    result: object, *, method: str, call_id: str = "", sent: object = None
) -> dict[str, Any] | CommandRefused:
    """A command's result, or the error it stands for: any 2xx, or no code at all, is success.

    A result that is no object becomes ``{"raw": result}``, as in the official SDK, and ``null`` becomes ``{}``.

    :param sent: the command's params; what the server repeats of the secrets in them is not told.
    """
    if not isinstance(result, dict):
        return {} if result is None else {"raw": result}
    code = read_code(result)
    if code is None:
        given = result.get("code")
        if given is None:
            return result
        unreadable = f"result code {_told(given, 50, _hide(sent))!r}"
        return CommandRefused(None, _advice(None, unreadable, method), method=method, call_id=call_id)
    if 200 <= code < 300:
        return result
    said, hidden = result.get("message"), _hide(sent)
    message = hidden(said, theirs=True)[:500] if isinstance(said, str) and said else "no message"
    details = _details(result.get("data"), hidden)
    return CommandRefused(code, _advice(code, message + details, method), method=method, call_id=call_id)


def failure_to_error(failure: Failure, *, method: str, call_id: str = "", sent: object = None) -> CommandRefused:
    """The exception for a JSON-RPC error.

    :param sent: as for :func:`result_or_error`.
    """
    message = _hide(sent)(failure.message, theirs=True)[:500] or "no message"
    return CommandRefused(failure.code, _advice(failure.code, message, method), method=method, call_id=call_id)


def read_reply(reply: object, *, method: str, call_id: str = "", sent: object = None) -> Outcome:
    """What a reply says, whether it came as a result or as a JSON-RPC error.

    :param sent: as for :func:`result_or_error`.
    """
    if type(reply) is dict and reply.get("code") == "200":  # nearly always
        return reply
    if isinstance(reply, Failure):
        return failure_to_error(reply, method=method, call_id=call_id, sent=sent)
    return result_or_error(reply, method=method, call_id=call_id, sent=sent)


def is_server_trouble(code: int | None) -> bool:
    """Whether a refusal may pass by itself, because the trouble is the server's own."""
    return code is not None and (code >= 500 or code in SERVER_TROUBLE)


def is_welcome(result: object, *, resuming: bool) -> bool:
    """Whether the result of ``signalwire.connect`` is a session.

    A code decides where there is one. Without a code, a session has a protocol, or another member that only sessions have.

    :param resuming: whether a protocol was sent along; the server need not repeat it.
    """
    if not isinstance(result, dict):
        return False
    code, protocol = read_code(result), result.get("protocol")
    if code is not None:
        return 200 <= code < 300
    named = isinstance(protocol, str) and bool(protocol)
    return named or (resuming and "protocol" in result) or any(name in result for name in _OF_A_SESSION)


def refuses_credentials(code: int | None) -> bool:
    """Whether a refusal is about who asks: it is neither about the form of the frame nor trouble of the server's own."""
    return code is not None and code not in REFUSES_CONNECT and not is_server_trouble(code)


def refuses_resume(code: int | None, *, result: bool) -> bool:
    """Whether the session that was to be resumed is gone, so that only a new one is left to ask for.

    :param result: whether the refusal came as a result.
    """
    if is_server_trouble(code):
        return False
    return result or refuses_credentials(code) or code == -32602


def connect_refusal(code: int | None, said: str) -> RelayError:
    """The exception for a refused ``signalwire.connect``.

    :param said: the server's own words, or ``""``.
    """
    words = f": {said}" if said else ""
    if code in REFUSES_CREDENTIALS:
        text = f"the credentials were refused{words}; check project and token"
        return AuthenticationError(code, text, method=METHOD_CONNECT)
    text = f"the server refused the session{words}"
    if refuses_credentials(code):
        return AuthenticationError(code, f"{text}; check project, token and host", method=METHOD_CONNECT)
    return ConnectError(
        f"{text} (code {code}); check host and project, or try again later", fatal=code in REFUSES_CONNECT
    )


def is_gone(error: CommandRefused) -> bool:
    """Whether a refusal says that something does not exist: the call, since a caller may hang up at any time, or what the
    command names: a queue, an agent, a recording."""
    return error.code in GONE_CODES


def says_gone(reply: object) -> bool:
    """Whether a reply, as it came, says that something does not exist."""
    return (reply.code if isinstance(reply, Failure) else read_code(reply)) in GONE_CODES


def call_goes_on(error: CommandRefused) -> CommandRefused:
    """The same refusal for a call that is known to be live: it is about what the command names."""
    message = error.message.removesuffix(f"; {_NOT_THERE}")
    told = (
        f"{message}; the call itself is live: check what the command names (queue, agent, conference, control_id, ...)"
    )
    return CommandRefused(error.code, told, method=error.method, call_id=error.call_id)


_NOT_THERE: Final = "the call, or something that the command names, does not exist"
_ADVICE = {
    400: "check the parameters",
    402: "check the project's balance and permissions",
    404: _NOT_THERE,
    409: "it is already under way, or the id is in use",
    410: _NOT_THERE,
    -32601: "the server does not know this method",
    -32602: "check the parameters",
    -32003: "check the project's permissions",
    -32005: "the server is at its capacity: try again later",
    -32000: "the server gave up: try again later",
}


def _advice(code: int | None, message: str, method: str) -> str:
    advice = _ADVICE.get(code) if code is not None else None
    if code == 409 and "not answered" in message.lower():
        advice = "call.answer() first"  # the server's own words say why: no other guess beside them
    return f"{method} was refused: {message}" + (f"; {advice}" if advice else "")


def _details(data: object, hidden: Hide) -> str:
    if not data or not isinstance(data, (list, dict, str)):
        return ""
    return f" ({_told(data, 300, hidden)})"


def _hide(sent: object) -> Hide:
    """Hides the secrets that the process knows, and what only this command was given."""
    custom = Secrets(*custom_values(sent))

    def hidden(text: str, *, theirs: bool = False) -> str:
        return hide(custom.hide(text, theirs=theirs), theirs=theirs)

    return hidden


def _told(value: object, most: int, hidden: Hide) -> str:
    """What the server said, without the secrets that it may repeat from our request, and not too much of it."""
    try:
        return str(mask(value, hidden))[:most]
    except RecursionError:
        return f"<{type(value).__name__}>"


#: Of calls that ended for the usual reasons: what a server says is searched for secrets, and these words hold none.
_ENDED: Final[dict[str, CallEnded]] = {}


def call_ended(end_reason: str) -> CallEnded:
    """What ends with a call. Many calls may share one: raise a :meth:`~RelayError.fresh` one.

    :param end_reason: why it ended, as the server says, or ``""``.
    """
    known = _ENDED.get(end_reason)
    if known is not None:
        return known
    why = f" ({end_reason})" if end_reason else ""
    text = f"the call ended{why} before what was waited for happened: nothing more comes of it"
    error = CallEnded(text, end_reason=end_reason)
    whole = (error.message, error.end_reason) == (text, end_reason)  # unless a word of it is a secret of somebody's
    return _ENDED.setdefault(end_reason, error) if whole and end_reason in END_REASONS else error


def client_closed() -> ClientClosed:
    """What ends with a client that was closed, and what it refuses from then on."""
    return ClientClosed("the client was closed; call connect() to use it again")


def session_replaced() -> ConnectionLost:
    """What ends with a session that the server did not resume."""
    return ConnectionLost(
        "the server started a new session instead of resuming the old one: its calls are no longer reachable, new ones arrive",
        sent=True,
    )


def never_sent(command: Command) -> RequestTimeout:
    """What ends a command whose time is over when it is its turn to be sent."""
    return RequestTimeout(f"{command.method} was not sent before its timeout; try again")


def too_late(command: Command) -> ConnectionLost:
    """What ends a command whose time is over before it could be sent, or sent again."""
    if command.sent:
        return ConnectionLost(
            "it was sent, but its reply was lost and no time is left to send it again; check before you repeat it",
            sent=True,
        )
    return ConnectionLost("there was no connection before the timeout, so it was not sent; try again", sent=False)
