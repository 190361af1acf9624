"""All errors that relay_sync raises on purpose, grouped by what the caller can do about them.

::

    RelayError                       .code (int or None), .message
      CommandRefused                 the server rejected a command; .method, .call_id
        AuthenticationError          the credentials are wrong: retrying will not help
      InvalidParameter               (ValueError) raised before anything was sent; .parameter, .value, .accepted
      ConnectError                   (ConnectionError) no session; .fatal: retrying will not help
        ConnectTimeout               (TimeoutError) no session before the timeout; the last cause is chained
      ConnectionLost                 (ConnectionError) the connection closed while a command was in progress; .sent
        NotConnected                 the call's session is over and cannot be re-established; nothing was sent
      ClientClosed                   the client was closed by disconnect(), stop() or the end of the process
      QueueFull                      a queue is full: unsent commands, or events that were not read
      Forked                         the object was created in the parent process
      WrongThread                    a blocking call on the thread that would have to receive its reply
      WaitTimeout                    (TimeoutError) the timeout of a wait expired; you can wait again
        RequestTimeout               the server did not reply to a command before the timeout
      EventPending                   the value of an expected event was read inside the with block
      CallEnded                      the call ended first; .end_reason
      DialFailed                     the dialed call was not answered; .reason
      ActionFailed                   the server reported that an action failed; .state
      MessageNotFollowed             no further status of a message will arrive; it may still be delivered; .message_id
      UnsupportedCodec               audio in a codec that this process cannot decode or encode
      StreamIsOneWay                 the stream cannot send audio to the call
      StreamsTaken                   all streams go to on_stream, none to accept(): use one of the two
      StreamFailed                   a stream could not be set up or ended with an error
      SimulatorClosed                (RuntimeError) the simulator was closed, or has not been started
      WebhookRefused                 a request that is not a status callback, or not a genuine one; .status
      DownloadFailed                 a recording could not be downloaded or saved; .url without its secrets

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
        error.__notes__ = list(state["__notes__"])  # the copy has its own notes
    Exception.__setattr__(error, "args", (error.code, error.message))
    return error


class RelayError(Exception):
    """The base class of all errors of this package.

    :param code: the code reported by the server, or ``None`` if the error did not come from a server.
    :param message: what happened and what to do next. Never contains a secret.
    """

    code: int | None
    message: str

    def __init__(self, code: int | None, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code, self.message)  # self.message hides secrets

    def __setattr__(self, name: str, value: object) -> None:
        """Hide secrets in all text attributes: a server's message may repeat one."""
        super().__setattr__(name, hide(value) if isinstance(value, str) else value)

    def __str__(self) -> str:
        return self.message if self.code is None else f"{self.message} (code {self.code})"

    def fresh(self: _R) -> _R:
        """Return a copy to raise in another thread, so that tracebacks do not accumulate on a shared object."""
        copy: _R = _rebuild(type(self), dict(self.__dict__))  # type: ignore[assignment]
        copy.__cause__ = self.__cause__
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))


class CommandRefused(RelayError):
    """The server rejected a command.

    :param code: the code reported by the server.
    :param message: what happened and what to do next.
    :ivar method: the RPC that was rejected, such as ``calling.stream``.
    :ivar call_id: id of the call that the command was for, or ``""``.
    """

    def __init__(self, code: int | None, message: str, *, method: str = "", call_id: str = "") -> None:
        super().__init__(code, message)
        self.method = method
        self.call_id = call_id


class AuthenticationError(CommandRefused):
    """The server rejected the credentials.

    :param code: the code reported by the server.
    :param message: what happened and what to do next.
    :ivar method: the RPC that was rejected.
    :ivar call_id: ``""``.
    """


class InvalidParameter(RelayError, ValueError):
    """A parameter is invalid; nothing was sent.

    :ivar parameter: name of the parameter.
    :ivar value: the invalid value; the attribute is ``"<hidden>"`` or a text without secrets if the value contains any.
    :ivar accepted: the allowed values: a noun phrase that completes "expected ...".
    :param secret: whether to show ``<hidden>`` instead of the value.
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
        import pickle  # already imported by the caller that pickles

        state = dict(self.__dict__)
        try:
            pickle.dumps(self.value)
        except Exception:  # a lock or lambda: keep its repr
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
    """Return the value, or its representation without secrets if it contains any."""
    if isinstance(value, (str, Mapping, list, tuple, set, frozenset)):
        try:
            text = value if isinstance(value, str) else repr(value)
        except Exception:
            return value
        shown = hide(text)
        return value if shown == text else shown
    return value


class _Explained(RelayError):
    """An error without a code from the server.

    :param message: what happened and what to do next.
    """

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


class ConnectError(_Explained, ConnectionError):
    """The client could not connect.

    :param message: what happened and what to do next.
    :ivar fatal: whether retrying cannot help until something is changed (an unknown host name, an untrusted certificate).
    """

    def __init__(self, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal


class ConnectTimeout(ConnectError, TimeoutError):
    """The client could not connect before the timeout; ``__cause__`` is the last failure.

    :param message: what happened and what to do next.
    :ivar fatal: whether retrying cannot help until something is changed.
    """


class ConnectionLost(_Explained, ConnectionError):
    """The connection closed while an operation was in progress.

    :param message: what happened and what to do next.
    :ivar sent: whether the server may have received the command. ``False`` means that it was certainly not executed.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class NotConnected(ConnectionLost):
    """The session of the call is over and cannot be re-established; nothing was sent.

    :param message: what happened and what to do next.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class ClientClosed(_Explained):
    """The client was closed.

    :param message: what happened and what to do next.
    """


class QueueFull(_Explained):
    """A queue is full: commands that could not be sent yet, or events that were not read.

    :param message: what happened and what to do next.
    """


class Forked(_Explained):
    """The object belongs to the parent process.

    :param message: what happened and what to do next.
    """


class WrongThread(_Explained):
    """A blocking call was made on the thread that would have to receive its reply.

    :param message: what happened and what to do next.
    """


class WaitTimeout(_Explained, TimeoutError):
    """The timeout of a wait expired. The event may still arrive: you can wait again.

    :param message: what happened and what to do next.
    """


class RequestTimeout(WaitTimeout):
    """The server did not reply to a command before the timeout.

    :param message: what happened and what to do next.
    """


class EventPending(_Explained):
    """The value of an expected event was read inside its ``with`` block; it is available after the block.

    :param message: what happened and what to do next.
    """


class CallEnded(_Explained):
    """The call ended before the awaited event.

    :param message: what happened and what to do next.
    :ivar end_reason: the reason reported by the server (``hangup``, ``busy``, ``noAnswer``, ...), or ``""``.
    """

    def __init__(self, message: str, *, end_reason: str = "") -> None:
        super().__init__(message)
        self.end_reason = end_reason


class DialFailed(_Explained):
    """The dialed call was not answered.

    :param message: what happened and what to do next.
    :ivar reason: the reason reported by the server, or ``""``.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class ActionFailed(_Explained):
    """The server reported that an action (playback, input, an AI agent, ...) failed.

    :param message: what happened and what to do next.
    :ivar state: the state reported by the server, such as ``error``.
    """

    def __init__(self, message: str, *, state: str = "") -> None:
        super().__init__(message)
        self.state = state


class MessageNotFollowed(_Explained):
    """No further status of a message will arrive. The server accepted the message and may still deliver it: sending it again may
    deliver it twice.

    :param message: what happened and what to do next.
    :ivar message_id: the server's id of the message, for status callbacks and records; ``""`` if there is none.
    """

    def __init__(self, message: str, *, message_id: str = "") -> None:
        super().__init__(message)
        self.message_id = message_id


class UnsupportedCodec(_Explained):
    """Audio in a codec that this process cannot decode or encode.

    :param message: what happened and what to do next.
    """


class StreamIsOneWay(_Explained):
    """The stream cannot send audio to the call.

    :param message: what happened and what to do next.
    """


class StreamsTaken(_Explained):
    """All streams of an AudioServer go to its ``on_stream``, so ``accept()`` would never return: use one of the two.

    :param message: what happened and what to do next.
    """


class StreamFailed(_Explained):
    """A stream could not be set up, or ended with an error.

    :param message: what happened and what to do next.
    :ivar end_reason: ``never started`` if the carrier opened the socket but did not start a stream on it; otherwise ``""``.
    """

    def __init__(self, message: str, *, end_reason: str = "") -> None:
        super().__init__(message)
        self.end_reason = end_reason


class SimulatorClosed(_Explained, RuntimeError):
    """The simulator, or a phone or stream of it, was closed or has not been started.

    :param message: what happened and what to do next.
    """


class WebhookRefused(_Explained):
    """A request is not a status callback or, in strict mode, is not verified as genuine.

    :param message: what happened and what to do next.
    :ivar status: the HTTP status to respond with: 400, 403, 405, 413, 414 or 415.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class DownloadFailed(_Explained):
    """A recording could not be downloaded or saved.

    :param message: what happened and what to do next.
    :ivar url: URL of the recording, without query and credentials.
    """

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
