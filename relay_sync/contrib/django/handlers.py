"""Handlers of a project, and the client that they belong to."""

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

    Handlers have it already. For what you give to ``call.on()`` or as ``on_completed`` and that touches the database::

        call.on("calling.call.state", with_database(note_state))
    """

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            # The thread may be idle for long, or end: nobody else would close its connections.
            connections.close_all()

    return inside  # type: ignore[return-value]


def send(signal: Signal, sender: type, **about: Any) -> bool:
    """Send a signal. A receiver that raises is logged, by the signal.

    :return: whether none has raised.
    """
    return not any(isinstance(answer, Exception) for _, answer in signal.send_robust(sender=sender, **about))


def _register(what: str, handler: F) -> F:
    values.handler("handler", handler, (TAKES[what],))
    _handlers[what] = handler
    if hosted.existing is not None:
        _attach(hosted.existing)
    return handler


def on_call(handler: F = values.MISSING) -> F:
    """Register the project's handler of inbound calls: :meth:`relay_sync.RelayClient.on_call`.

    Its database connections are closed when it returns.
    """
    return _register("on_call", handler)


def on_message(handler: F = values.MISSING) -> F:
    """Register the project's handler of inbound messages: :meth:`relay_sync.RelayClient.on_message`."""
    return _register("on_message", handler)


def on_task(handler: F = values.MISSING) -> F:
    """Register the project's handler of tasks: :meth:`relay_sync.RelayClient.on_task`."""
    return _register("on_task", handler)


def _attach(client: RelayClient) -> None:
    # Receivers may be connected at any time, such as in a later ready(): where calls can come they are listened for anyway.
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
        with contextlib.suppress(RelayError):  # it may be over
            call.pass_()
        return

    untold = [True]

    def state_changed(event: Any) -> None:
        if event.call_state == CALL_STATE_ENDED and _taken(untold):
            send(call_ended, Call, call=call, event=event)

    call.on("calling.call.state", with_database(state_changed))
    send(call_received, Call, call=call)
    with contextlib.suppress(RelayError):  # it goes on, or nothing tells of its end
        state_changed(call.wait_for_ended(0))  # which may have come before anybody listened
    handler = _handlers.get("on_call")
    if handler is not None:
        handler(call)


def _taken(items: list[bool]) -> bool:
    """Take one out; of two threads one gets it."""
    try:
        return items.pop()
    except IndexError:
        return False


def _make() -> RelayClient:
    client = RelayClient(**client_options())
    _attach(client)
    return client


#: The project's client, in this process.
hosted: Final = Hosted(_make)


def get_client() -> RelayClient:
    """The project's client in this process: it connects when it is first used.

    :raises InvalidParameter: ``settings.RELAY_SYNC`` cannot be right, or credentials are missing.
    """
    return hosted.client
