"""A Django project's handlers and client."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db import close_old_connections, connections
from django.dispatch import Signal

from ...call.call import Call
from ...client.client import RelayClient
from ...constants import CALL_STATE_ENDED
from ...errors import RelayError
from ...params import values
from ..hosting import TAKES, Hosted, Unheard
from .settings import client_options
from .signals import call_ended, call_received

if TYPE_CHECKING:
    from ...client.messages import Message
    from ...events import TaskEvent

__all__ = ["get_client", "hosted", "on_call", "on_message", "on_task", "send", "unheard", "with_database"]

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

_handlers: dict[str, Callable[..., object]] = {}
unheard: Final = Unheard()


def with_database(function: F) -> F:
    """Wrap a function to close database connections before and after each call, as Django does for requests.

    Handlers are wrapped automatically. Use this decorator for other callbacks that access the database, such as functions passed
    to ``call.on()`` or as ``on_completed``::

        call.on("calling.call.state", with_database(note_state))
    """

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            # Django closes connections only around requests, and this thread may be idle for a long time or exit.
            connections.close_all()

    return inside  # type: ignore[return-value]


def send(signal: Signal, sender: type, **about: Any) -> bool:
    """Send a signal. Exceptions raised by receivers are logged.

    :return: ``True`` if no receiver raised an exception.
    """
    return not any(isinstance(answer, Exception) for _, answer in signal.send_robust(sender=sender, **about))


def _register(what: str, handler: F) -> F:
    values.handler("handler", handler, (TAKES[what],))
    _handlers[what] = handler
    if hosted.existing is not None:
        _attach(hosted.existing)
    return handler


@values.decorator
def on_call(handler: Callable[[Call], R]) -> Callable[[Call], R]:
    """Register the handler for inbound calls. See :meth:`relay_sync.RelayClient.on_call`.

    Database connections are closed when the handler returns.
    """
    return _register("on_call", handler)


@values.decorator
def on_message(handler: Callable[[Message], R]) -> Callable[[Message], R]:
    """Register the handler for inbound messages. See :meth:`relay_sync.RelayClient.on_message`."""
    return _register("on_message", handler)


@values.decorator
def on_task(handler: Callable[[TaskEvent], R]) -> Callable[[TaskEvent], R]:
    """Register the handler for tasks. See :meth:`relay_sync.RelayClient.on_task`."""
    return _register("on_task", handler)


def _attach(client: RelayClient) -> None:
    # A client with contexts always accepts calls, because signal receivers may be connected later, for example in ready().
    if client.contexts or _has_receiver():
        client.on_call(_received)
    for what in ("on_message", "on_task"):
        if what in _handlers:
            getattr(client, what)(with_database(_handlers[what]))


def _has_receiver() -> bool:
    return "on_call" in _handlers or call_received.has_listeners()


def _receiver_connected() -> None:
    if hosted.existing is not None:
        hosted.existing.on_call(_received)


call_received.call_when_connected(_receiver_connected)


@with_database
def _received(call: Call) -> None:
    if not _has_receiver():
        unheard.tell_of_calls()
        with contextlib.suppress(RelayError):  # The call may have ended.
            call.pass_()
        return

    pending = [True]

    def state_changed(event: Any) -> None:
        if event.call_state == CALL_STATE_ENDED and _pop(pending):
            send(call_ended, Call, call=call, event=event)

    call.on("calling.call.state", with_database(state_changed))
    send(call_received, Call, call=call)
    with contextlib.suppress(RelayError):  # The call is live, or the platform has not reported its end.
        state_changed(call.wait_for_ended(0))  # The event may have arrived before the listener was added.
    handler = _handlers.get("on_call")
    if handler is not None:
        handler(call)


def _pop(items: list[bool]) -> bool:
    """Remove the last item and return it, or return ``False`` if another thread has removed it."""
    try:
        return items.pop()
    except IndexError:
        return False


def _make() -> RelayClient:
    client = RelayClient(**client_options())
    _attach(client)
    return client


#: The project's client in this process.
hosted: Final = Hosted(_make)


def get_client() -> RelayClient:
    """Return the project's client, which connects on first use.

    :raises InvalidParameter: ``settings.RELAY_SYNC`` is invalid, or credentials are missing.
    """
    return hosted.client
