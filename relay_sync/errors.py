"""Everything relay_sync raises on purpose, split by what the caller can do about it.

::

    RelayError                       .code (int or None), .message
      CommandRefused                 the server said no; .method, .call_id
        AuthenticationError          the credentials are wrong: trying again will not help
      InvalidParameter               (ValueError) raised before anything was sent; .parameter, .value, .accepted
      ConnectError                   (ConnectionError) no session; .fatal: trying again will not help
        ConnectTimeout               (TimeoutError) no session within the time given; the last cause is chained
      ConnectionLost                 (ConnectionError) the session went while the command was under way; .sent
        NotConnected                 the session that the call belongs to is over, and a verb makes no other; never sent
      ClientClosed                   the client was closed by disconnect(), stop() or the end of the process
      QueueFull                      more unsent work than the client may hold
      Forked                         the object was made in the parent process
      WrongThread                    a blocking call on the thread that would have to answer it
      WaitTimeout                    (TimeoutError) what was waited for has not happened yet; wait again if you like
        RequestTimeout               the server did not answer a command in time
      EventPending                   an event was asked for inside the block that waits for it: ask behind the block
      CallEnded                      the call was over first; .end_reason
      DialFailed                     nobody answered; .reason
      ActionFailed                   the server reported an action as failed; .state
      MessageNotFollowed             nothing more is told of a message, which may still arrive; .message_id
      UnsupportedCodec               audio that cannot be decoded here
      StreamIsOneWay                 the stream carries no audio towards the call
      StreamsTaken                   every stream goes to on_stream, none to accept(): use one of the two
      StreamFailed                   a stream could not be set up or ended with an error
      SimulatorClosed                (RuntimeError) a simulator was closed, or has not been started
      WebhookRefused                 a request that is no status callback, or not a genuine one; .status
      DownloadFailed                 a recording could not be fetched or kept; .url without its secrets

Exceptions can be pickled, so they survive task queues and process pools.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from .text.secrecy import hide

__all__ = [
    "ActionFailed",
    "AuthenticationError",
    "CallEnded",
    "ClientClosed",
    "CommandRefused",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionLost",
    "DialFailed",
    "DownloadFailed",
    "EventPending",
    "Forked",
    "InvalidParameter",
    "MessageNotFollowed",
    "NotConnected",
    "QueueFull",
    "RelayError",
    "RequestTimeout",
    "SimulatorClosed",
    "StreamFailed",
    "StreamIsOneWay",
    "StreamsTaken",
    "UnsupportedCodec",
    "WaitTimeout",
    "WebhookRefused",
    "WrongThread",
]


_R = TypeVar("_R", bound="RelayError")


def _rebuild(cls: type[RelayError], state: dict[str, Any]) -> RelayError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    if "__notes__" in state:
        error.__notes__ = list(state["__notes__"])  # a copy's notes are its own
    Exception.__setattr__(error, "args", (error.code, error.message))
    return error


class RelayError(Exception):
    """The root of the tree. Built and caught as ``RelayError(code, message)``.

    :param code: the number the server gave, or ``None`` where no server spoke.
    :param message: what happened and what to do next. Never contains a secret.
    """

    code: int | None
    message: str

    def __init__(self, code: int | None, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code, self.message)  # without secrets, as it was set

    def __setattr__(self, name: str, value: object) -> None:
        """A server's words may repeat a secret, whichever attribute they end up in."""
        super().__setattr__(name, hide(value) if isinstance(value, str) else value)

    def __str__(self) -> str:
        return self.message if self.code is None else f"{self.message} (code {self.code})"

    def fresh(self: _R) -> _R:
        """A copy to raise in another thread: tracebacks are not to pile up on one shared object."""
        copy: _R = _rebuild(type(self), dict(self.__dict__))  # type: ignore[assignment]
        copy.__cause__ = self.__cause__
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))


class CommandRefused(RelayError):
    """The server answered a command with something other than success.

    :ivar method: the RPC that was refused, such as ``calling.stream``.
    :ivar call_id: the call it was for, or ``""``.
    """

    def __init__(self, code: int | None, message: str, *, method: str = "", call_id: str = "") -> None:
        super().__init__(code, message)
        self.method = method
        self.call_id = call_id


class AuthenticationError(CommandRefused):
    """The server refused the credentials."""


class InvalidParameter(RelayError, ValueError):
    """A parameter that cannot be right; nothing was sent.

    :ivar parameter: its name. :ivar value: what was given (``"<hidden>"`` where that is a secret).
    :ivar accepted: what is allowed, in words.
    :ivar variable: the environment variable that the value came from; ``""`` for an argument.
    """

    def __init__(
        self, parameter: str, value: object, accepted: str, *, secret: bool = False, variable: str = ""
    ) -> None:
        shown = "<hidden>" if secret else _shortened(value)
        named = f"{variable}={shown} (parameter {parameter})" if variable else f"{parameter}={shown}"
        super().__init__(None, f"Invalid {named}: expected {accepted}")
        self.parameter = parameter
        self.variable = variable
        self.value: object = "<hidden>" if secret else _without_secrets(value)
        self.accepted = accepted

    def __reduce__(self) -> tuple[Any, ...]:
        import pickle  # whoever pickles has it already

        state = dict(self.__dict__)
        try:
            pickle.dumps(self.value)
        except Exception:  # a lock, a lambda: travel with what it looks like
            state["value"] = _shortened(self.value)
        return _rebuild, (type(self), state)


def _shortened(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # a broken __repr__ must not hide the message
        text = f"<{type(value).__name__}>"
    text = hide(text)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _without_secrets(value: object) -> object:
    """The value, or what it looks like if a secret is somewhere in it."""
    if isinstance(value, (str, Mapping, list, tuple, set, frozenset)):
        try:
            text = value if isinstance(value, str) else repr(value)
        except Exception:
            return value
        shown = hide(text)
        return value if shown == text else shown
    return value


class _Explained(RelayError):
    """An error that no server gave a number for."""

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


class ConnectError(_Explained, ConnectionError):
    """No session could be made.

    :ivar fatal: whether trying again cannot help before something is changed (an unknown name, an untrusted certificate).
    """

    def __init__(self, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal


class ConnectTimeout(ConnectError, TimeoutError):
    """No session within the time given; ``__cause__`` is the last failure."""


class ConnectionLost(_Explained, ConnectionError):
    """The session was lost while something was under way.

    :ivar sent: whether the command may have reached the server. ``False`` means that it was certainly not carried out.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class NotConnected(ConnectionLost):
    """The session that this needs is over, and it does not make another: nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class ClientClosed(_Explained):
    """The client was closed."""


class QueueFull(_Explained):
    """More unsent work than the client may hold."""


class Forked(_Explained):
    """The object belongs to the parent process."""


class WrongThread(_Explained):
    """A blocking call on the thread that would have to answer it."""


class WaitTimeout(_Explained, TimeoutError):
    """What was waited for has not happened yet. It still may: wait again if you like."""


class RequestTimeout(WaitTimeout):
    """The server did not answer a command in time."""


class EventPending(_Explained):
    """An event was asked for inside the ``with`` block that waits for it: it is known once the block has been left."""


class CallEnded(_Explained):
    """The call was over before what was waited for happened.

    :ivar end_reason: as the server gave it (``hangup``, ``busy``, ``noAnswer`` ...), or ``""``.
    """

    def __init__(self, message: str, *, end_reason: str = "") -> None:
        super().__init__(message)
        self.end_reason = end_reason


class DialFailed(_Explained):
    """Nobody answered a dial.

    :ivar reason: as the server gave it, or ``""``.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class ActionFailed(_Explained):
    """The server reported an action (playback, input, an AI agent, ...) as failed.

    :ivar state: the word the server used, such as ``error``.
    """

    def __init__(self, message: str, *, state: str = "") -> None:
        super().__init__(message)
        self.state = state


class MessageNotFollowed(_Explained):
    """Nothing more is told of a message. The server took it, and it may still arrive: sending it again may send it twice.

    :ivar message_id: the name that the server gave it, to look for in status callbacks and records; ``""`` if it gave none.
    """

    def __init__(self, message: str, *, message_id: str = "") -> None:
        super().__init__(message)
        self.message_id = message_id


class UnsupportedCodec(_Explained):
    """Audio in a codec that cannot be decoded or encoded here."""


class StreamIsOneWay(_Explained):
    """The stream carries no audio towards the call."""


class StreamsTaken(_Explained):
    """Every stream of an AudioServer goes to its ``on_stream``, so that ``accept()`` would wait in vain: use one of the two."""


class StreamFailed(_Explained):
    """A stream could not be set up, or ended with an error.

    :ivar end_reason: ``never started`` if the carrier opened the socket and said nothing of a stream on it; else ``""``.
    """

    def __init__(self, message: str, *, end_reason: str = "") -> None:
        super().__init__(message)
        self.end_reason = end_reason


class SimulatorClosed(_Explained, RuntimeError):
    """Something was asked of a simulator, or of a phone or stream of it, that was closed, or has not been started."""


class WebhookRefused(_Explained):
    """A request that is no status callback, or in strict mode one that is not shown to be genuine.

    :ivar status: the HTTP status to answer it with: 400, 403, 405, 413, 414 or 415.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class DownloadFailed(_Explained):
    """A recording could not be fetched, or not be kept.

    :ivar url: where it was to come from, without query and credentials.
    """

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
