"""The handlers of a project, and its client."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

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

__all__ = ["get_client", "hosted", "on_call", "on_message", "on_task", "send", "unheard", "with_database"]

F = TypeVar("F", bound=Callable[..., Any])

_handlers: dict[str, Callable[..., object]] = {}
unheard: Final = Unheard()


def with_database(function: F) -> F:
    """Close database connections around a function, as Django does around requests.

    Handlers do so already. Use it for functions that access the database and that you pass to ``call.on()`` or as
    ``on_completed``::

        call.on("calling.call.state", with_database(note_state))
    """

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            # The thread may idle for a long time or end, and Django closes connections only around requests.
            connections.close_all()

    return inside  # type: ignore[return-value]


def send(signal: Signal, sender: type, **about: Any) -> bool:
    """Send a signal, which logs the exceptions of its receivers.

    :return: whether no receiver raised.
    """
    return not any(isinstance(answer, Exception) for _, answer in signal.send_robust(sender=sender, **about))


def _register(what: str, handler: F) -> F:
    values.handler("handler", handler, (TAKES[what],))
    _handlers[what] = handler
    if hosted.existing is not None:
        _attach(hosted.existing)
    return handler


def on_call(handler: F = values.MISSING) -> F:
    """Register the project's handler of inbound calls, as :meth:`relay_sync.RelayClient.on_call` does.

    Its database connections are closed when it returns.
    """
    return _register("on_call", handler)


def on_message(handler: F = values.MISSING) -> F:
    """Register the project's handler of inbound messages, as :meth:`relay_sync.RelayClient.on_message` does."""
    return _register("on_message", handler)


def on_task(handler: F = values.MISSING) -> F:
    """Register the project's handler of tasks, as :meth:`relay_sync.RelayClient.on_task` does."""
    return _register("on_task", handler)


def _attach(client: RelayClient) -> None:
    # Receivers may be connected at any time, such as in a later ready(): with contexts, calls are always accepted.
    if client.contexts or _is_taken():
        client.on_call(_received)
    for what in ("on_message", "on_task"):
        if what in _handlers:
            getattr(client, what)(with_database(_handlers[what]))


def _is_taken() -> bool:
    return "on_call" in _handlers or call_received.has_listeners()


def _receiver_came() -> None:
    if hosted.existing is not None:
        hosted.existing.on_call(_received)


call_received.call_when_connected(_receiver_came)


@with_database
def _received(call: Call) -> None:
    if not _is_taken():
        unheard.tell_of_calls()
        with contextlib.suppress(RelayError):  # the call may have ended
            call.pass_()
        return

    untold = [True]

    def state_changed(event: Any) -> None:
        if event.call_state == CALL_STATE_ENDED and _taken(untold):
            send(call_ended, Call, call=call, event=event)

    call.on("calling.call.state", with_database(state_changed))
    send(call_received, Call, call=call)
    with contextlib.suppress(RelayError):  # it is still live, or its end is not reported
        state_changed(call.wait_for_ended(0))  # the event may have arrived before the listener was added
    handler = _handlers.get("on_call")
    if handler is not None:
        handler(call)


def _taken(items: list[bool]) -> bool:
    """Remove an item; of two threads, one succeeds."""
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
    """Return the project's client in this process, which connects on first use.

    :raises InvalidParameter: ``settings.RELAY_SYNC`` is invalid, or credentials are missing.
    """
    return hosted.client
