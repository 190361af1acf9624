"""Exceptions raised by relay_sync.

::

    RelayError                       .code (int or None), .message
      CommandRefused                 the server rejected a command; .method, .call_id
        AuthenticationError          the server rejected the credentials; retrying does not help
      InvalidParameter               (ValueError) raised before anything was sent; .parameter, .value, .accepted
      ConnectError                   (ConnectionError) the client could not connect; .fatal
        ConnectTimeout               (TimeoutError) the client could not connect before the timeout; the cause is chained
      ConnectionLost                 (ConnectionError) the connection closed while a command was in progress; .sent
        NotConnected                 the call's session is lost and cannot be restored; nothing was sent
      ClientClosed                   the client was closed by disconnect(), stop() or process exit
      QueueFull                      the queue of unsent commands or unread events is full
      Forked                         the object was created in the parent process
      WrongThread                    a blocking method was called on the thread that receives its reply
      WaitTimeout                    (TimeoutError) the event did not arrive before the timeout
        RequestTimeout               the server did not reply to a command before the timeout
      EventPending                   the value of an expected event was accessed inside the with block
      CallEnded                      the call ended before the expected event; .end_reason
      DialFailed                     the dialed call was not answered; .reason
      ActionFailed                   the server reported that an action failed; .state
      MessageNotFollowed             the client will not receive further status updates for a message; .message_id
      UnsupportedCodec               the codec cannot be decoded or encoded in this process
      StreamIsOneWay                 the stream cannot send audio to the call
      StreamsTaken                   accept() was called on an AudioServer that has on_stream
      StreamFailed                   a stream could not be started, or ended with an error
      SimulatorClosed                (RuntimeError) the simulator is closed or was not started
      WebhookRefused                 the request is not a status callback, or it could not be verified; .status
      DownloadFailed                 a recording could not be downloaded or saved; .url

Exceptions can be pickled, so they can be used with task queues and process pools.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .text.secrecy import hide

if TYPE_CHECKING:
    from .constants import CallEndReason

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
        error.__notes__ = list(state["__notes__"])  # Do not share the list of notes with the original.
    Exception.__setattr__(error, "args", (error.code, error.message))
    return error


class RelayError(Exception):
    """Base class for all exceptions of this package.

    :param code: code reported by the server, or ``None`` if the error was not reported by the server.
    :param message: error message. Secrets are masked.
    """

    code: int | None
    """Code reported by the server, or ``None`` if the error was not reported by the server."""
    message: str
    """Error message. Secrets are masked."""

    def __init__(self, code: int | None, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code, self.message)  # Secrets are masked in self.message.

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute. Secrets in strings are masked, because a message from the server may contain them."""
        super().__setattr__(name, hide(value) if isinstance(value, str) else value)

    def __str__(self) -> str:
        return self.message if self.code is None else f"{self.message} (code {self.code})"

    def fresh(self: _R) -> _R:
        """Return a copy to raise in another thread. Raising the same object several times would accumulate tracebacks."""
        copy: _R = _rebuild(type(self), dict(self.__dict__))  # type: ignore[assignment]
        copy.__cause__ = self.__cause__
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), dict(self.__dict__))


class CommandRefused(RelayError):
    """The server rejected a command.

    :param code: code reported by the server.
    :param message: error message.
    :ivar method: method of the rejected command, such as ``calling.stream``.
    :ivar call_id: ID of the call, or ``""`` if the command does not belong to a call.
    """

    def __init__(self, code: int | None, message: str, *, method: str = "", call_id: str = "") -> None:
        super().__init__(code, message)
        self.method = method
        """Method of the rejected command, such as ``calling.stream``."""
        self.call_id = call_id
        """ID of the call, or ``""`` if the command does not belong to a call."""


class AuthenticationError(CommandRefused):
    """The server rejected the credentials.

    :param code: code reported by the server.
    :param message: error message.
    :ivar method: method of the rejected command.
    :ivar call_id: ``""``.
    """


class InvalidParameter(RelayError, ValueError):
    """A parameter is invalid. Nothing was sent to the server.

    :ivar parameter: name of the parameter.
    :ivar value: invalid value, with secrets masked.
    :ivar accepted: description of the allowed values, which completes the phrase "expected ...".
    :param secret: whether to replace the value with ``<hidden>``.
    :ivar variable: environment variable that contains the value, or ``""`` if it was passed as an argument.
    """

    def __init__(
        self, parameter: str, value: object, accepted: str, *, secret: bool = False, variable: str = ""
    ) -> None:
        shown = "<hidden>" if secret else _shortened(value)
        named = f"{variable}={shown} (parameter {parameter})" if variable else f"{parameter}={shown}"
        super().__init__(None, f"Invalid {named}: expected {accepted}")
        self.parameter = parameter
        """Name of the parameter."""
        self.variable = variable
        """Environment variable that contains the value, or ``""`` if it was passed as an argument."""
        self.value: object = "<hidden>" if secret else _without_secrets(value)
        """Invalid value, with secrets masked."""
        self.accepted = accepted
        """Description of the allowed values, which completes the phrase "expected ..."."""

    def __reduce__(self) -> tuple[Any, ...]:
        import pickle  # Imported late. The caller has already imported it.

        state = dict(self.__dict__)
        try:
            pickle.dumps(self.value)
        except Exception:  # The value cannot be pickled. Replace it by its repr.
            state["value"] = _shortened(self.value)
        return _rebuild, (type(self), state)


def _shortened(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # An error in __repr__() must not hide this error.
        text = f"<{type(value).__name__}>"
    text = hide(text)
    return text if len(text) <= 200 else f"{text[:197]}..."


def _without_secrets(value: object) -> object:
    """Return the value. If it contains secrets, return its string representation with the secrets masked."""
    if isinstance(value, (str, Mapping, list, tuple, set, frozenset)):
        try:
            text = value if isinstance(value, str) else repr(value)
        except Exception:
            return value
        shown = hide(text)
        return value if shown == text else shown
    return value


class _Explained(RelayError):
    """Base class for errors without a code from the server.

    :param message: error message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(None, message)


class ConnectError(_Explained, ConnectionError):
    """The client could not connect.

    :param message: error message.
    :ivar fatal: whether retrying is pointless until the cause is fixed, such as an unknown host or an untrusted certificate.
    """

    def __init__(self, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal
        """Whether retrying is pointless until the cause is fixed, such as an unknown host or an untrusted certificate."""


class ConnectTimeout(ConnectError, TimeoutError):
    """The client could not connect before the timeout. ``__cause__`` is the error of the last attempt.

    :param message: error message.
    :ivar fatal: whether retrying is pointless until the cause is fixed.
    """


class ConnectionLost(_Explained, ConnectionError):
    """The connection closed while an operation was in progress.

    :param message: error message.
    :ivar sent: whether the server may have received the command. If ``False``, the command was not executed.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        """Whether the server may have received the command. If ``False``, the command was not executed."""


class NotConnected(ConnectionLost):
    """The call's session is lost and cannot be restored. Nothing was sent to the server.

    :param message: error message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=False)


class ClientClosed(_Explained):
    """The client was closed.

    :param message: error message.
    """


class QueueFull(_Explained):
    """The queue of unsent commands or unread events is full.

    :param message: error message.
    """


class Forked(_Explained):
    """The object belongs to the parent process.

    :param message: error message.
    """


class WrongThread(_Explained):
    """A blocking method was called on the thread that receives its reply.

    :param message: error message.
    """


class WaitTimeout(_Explained, TimeoutError):
    """The event did not arrive before the timeout. You can wait again, because the event may still arrive.

    :param message: error message.
    """


class RequestTimeout(WaitTimeout):
    """The server did not reply to a command before the timeout.

    :param message: error message.
    """


class EventPending(_Explained):
    """The value of an expected event was accessed inside the ``with`` block. It is available after the block.

    :param message: error message.
    """


class CallEnded(_Explained):
    """The call ended before the expected event.

    :param message: error message.
    :ivar end_reason: reason reported by the server (``hangup``, ``busy``, ``noAnswer``, ...), or ``""``.
    """

    def __init__(self, message: str, *, end_reason: str = "") -> None:
        super().__init__(message)
        self.end_reason: CallEndReason | str = end_reason
        """Reason reported by the server (``hangup``, ``busy``, ``noAnswer``, ...), or ``""``."""


class DialFailed(_Explained):
    """The dialed call was not answered.

    :param message: error message.
    :ivar reason: reason from the server, such as ``busy``; ``timeout`` or ``given_up`` if the client ended it; otherwise ``""``.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason: CallEndReason | Literal["timeout", "given_up"] | str = reason
        """Reason from the server, such as ``busy``; ``timeout`` or ``given_up`` if the client ended it; otherwise ``""``."""


class ActionFailed(_Explained):
    """The server reported that an action, such as playback or input, failed.

    :param message: error message.
    :ivar state: state reported by the server, such as ``error``.
    """

    def __init__(self, message: str, *, state: str = "") -> None:
        super().__init__(message)
        self.state = state
        """State reported by the server, such as ``error``."""


class MessageNotFollowed(_Explained):
    """The client will not receive further status updates for a message.

    The server accepted the message and may still deliver it. If you send it again, it may be delivered twice.

    :param message: error message.
    :ivar message_id: ID of the message, for comparison with status callbacks and records, or ``""`` if it is unknown.
    """

    def __init__(self, message: str, *, message_id: str = "") -> None:
        super().__init__(message)
        self.message_id = message_id
        """ID of the message, for comparison with status callbacks and records, or ``""`` if it is unknown."""


class UnsupportedCodec(_Explained):
    """The codec cannot be decoded or encoded in this process.

    :param message: error message.
    """


class StreamIsOneWay(_Explained):
    """The stream cannot send audio to the call.

    :param message: error message.
    """


class StreamsTaken(_Explained):
    """``accept()`` was called on an AudioServer with an ``on_stream`` handler, which receives all streams.

    :param message: error message.
    """


class StreamFailed(_Explained):
    """A stream could not be started, or ended with an error.

    :param message: error message.
    :ivar end_reason: ``never started`` if the platform opened a WebSocket but did not start the stream, otherwise ``""``.
    """

    def __init__(self, message: str, *, end_reason: str = "") -> None:
        super().__init__(message)
        self.end_reason = end_reason
        """``never started`` if the platform opened a WebSocket but did not start the stream, otherwise ``""``."""


class SimulatorClosed(_Explained, RuntimeError):
    """The simulator is closed or was not started.

    :param message: error message.
    """


class WebhookRefused(_Explained):
    """The request is not a status callback, or its signature could not be verified in strict mode.

    :param message: error message.
    :ivar status: HTTP status for the response, which is 400, 403, 405, 413, 414 or 415.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status for the response, which is 400, 403, 405, 413, 414 or 415."""


class DownloadFailed(_Explained):
    """A recording could not be downloaded or saved.

    :param message: error message.
    :ivar url: URL of the recording, without its query and credentials.
    """

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url
        """URL of the recording, without the query and credentials."""


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
