"""The type of :attr:`relay_sync.Call.client`.

The client is a :class:`relay_sync.RelayClient`. Because this package does not import the client, this module defines a protocol
for it. The methods are documented in :class:`relay_sync.RelayClient`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from .. import events
from ..constants import ConnectionState, Direction, MessageState
from ..errors import RelayError
from .core import CallHome, CallLink

if TYPE_CHECKING:
    from ..observing.observer import Observer
    from ..observing.stats import ClientStats

__all__ = ["Client", "Owner", "SentMessage"]

C = TypeVar("C")
R = TypeVar("R")


class SentMessage(Protocol):
    """A text message. See :class:`relay_sync.Message`."""

    message_id: str
    context: str
    direction: Direction | str
    from_number: str
    to_number: str
    body: str
    media: list[str]
    segments: int
    state: MessageState | str
    reason: str
    tags: list[str]

    @property
    def is_done(self) -> bool:
        """Whether the message has reached a final state."""

    @property
    def result(self) -> events.MessageEvent | None:
        """The event that reported the final state; ``None`` until then."""

    @property
    def error(self) -> RelayError | None:
        """The error that prevents a final state from being reported, or ``None``."""

    def on(self, handler: Callable[[events.MessageStateEvent], R]) -> Callable[[events.MessageStateEvent], R]:
        """Register a handler for this message's events."""

    def wait(self, timeout: float | None = None) -> events.MessageEvent:
        """Wait until the message reaches a final state."""


class Client(Protocol[C]):
    """The public interface of :class:`relay_sync.RelayClient`."""

    @property
    def project(self) -> str:
        """The project ID."""

    @property
    def token(self) -> str:
        """The API token."""

    @property
    def jwt_token(self) -> str:
        """The current JWT."""

    @property
    def host(self) -> str:
        """The host name, without scheme and port."""

    @property
    def contexts(self) -> list[str]:
        """The contexts that the client is subscribed to."""

    @property
    def state(self) -> ConnectionState | str:
        """Connection state: ``idle``, ``connecting``, ``connected``, ``reconnecting``, ``closed`` or ``failed``."""

    @property
    def calls(self) -> dict[str, C]:
        """A snapshot of the active calls, by call ID."""

    @property
    def relay_protocol(self) -> str:
        """Protocol name that the server assigned to the session; ``""`` before the first session."""

    def connect(self, timeout: float | None = None) -> None:
        """Connect and authenticate."""

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Alias of :meth:`connect`."""

    def disconnect(self, timeout: float | None = None, *, hangup_calls: bool = False) -> None:
        """Close the connection and end all waits."""

    def close(self, timeout: float | None = None, *, hangup_calls: bool = False) -> None:
        """Alias of :meth:`disconnect`."""

    def run(
        self, *, hangup_calls: bool = False, drain: float | None = None, on_ready: Callable[[], object] | None = None
    ) -> None:
        """Handle calls until Ctrl-C, SIGTERM or :meth:`stop`."""

    def drain(self, timeout: float = 30.0) -> bool:
        """Stop accepting calls, and wait until the active calls have ended."""

    def stop(self) -> None:
        """Make :meth:`run` return, or close the client if :meth:`run` is not active."""

    def receive(self, contexts: Iterable[str]) -> None:
        """Subscribe to contexts."""

    def unreceive(self, contexts: Iterable[str]) -> None:
        """Unsubscribe from contexts."""

    def reauthenticate(self, jwt_token: str) -> None:
        """Replace the session's JWT."""

    def execute(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Send any RELAY command and return its result."""

    def timeout(self, limit: float) -> AbstractContextManager[None]:
        """Set the request timeout, in seconds, for commands that this thread sends in the ``with`` block."""

    def on_call(self, handler: Callable[[C], R]) -> Callable[[C], R]:
        """Register the handler for inbound calls."""

    def on_message(self, handler: Callable[[Any], R]) -> Callable[[Any], R]:
        """Register the handler for inbound messages."""

    def on_task(self, handler: Callable[[events.TaskEvent], R]) -> Callable[[events.TaskEvent], R]:
        """Register the handler for tasks."""

    def observe(self, observer: Observer, keep: Iterable[str] = ()) -> Callable[[], None]:
        """Register an observer."""

    def stats(self) -> ClientStats:
        """Return the client's statistics."""

    @overload
    def dial(
        self,
        *,
        to: str,
        from_: str | None = None,
        ring_timeout: int | None = None,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
        max_price_per_minute: float | None = None,
        send_digits: str | None = None,
        dest_swml: str | Mapping[str, Any] | None = None,
        region: str | None = None,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> C:
        """Dial one or more devices, and return the first call that is answered."""

    @overload
    def dial(
        self,
        devices: Sequence[Sequence[Mapping[str, Any]]],
        *,
        tag: str | None = None,
        max_duration: int | None = None,
        dial_timeout: float | None = None,
        max_price_per_minute: float | None = None,
        send_digits: str | None = None,
        dest_swml: str | Mapping[str, Any] | None = None,
        region: str | None = None,
        timeout: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> C:
        """Dial one or more devices, and return the first call that is answered."""

    def send_message(
        self,
        *,
        to_number: str,
        from_number: str,
        context: str | None = None,
        body: str | None = None,
        media: Iterable[str] | None = None,
        tags: Iterable[str] | None = None,
        region: str | None = None,
        tag: str | None = None,
        send_as_mms: bool | None = None,
        status_callback: str | None = None,
        on_completed: Callable[[events.MessageStateEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> SentMessage:
        """Send a text message."""


class Owner(Client[C], Protocol[C]):
    """A client, including the private attributes used by the :class:`relay_sync.Call` constructor."""

    @property
    def _link(self) -> CallLink[C]: ...
    @property
    def _router(self) -> CallHome[C]: ...
