"""Methods of a call that accept the name or the class of an event.

The module ``event_overloads`` declares their types for each event.
"""

from __future__ import annotations

from typing import Any

from ..constants import EVENT_CALL_STATE
from ..events import RelayEvent
from ..events.names import event_name
from ..params import values
from ..threads.lanes import InContext
from .core import CallCore, Handler
from .readers import Expectation, Predicate

__all__ = ["EventMethods"]


class EventMethods:
    """Base class of :class:`relay_sync.Call`, with the methods that register handlers and wait for events."""

    _core: CallCore[Any]

    def on(self, event_type: str | type[RelayEvent], handler: Any = None) -> Any:
        """Register a handler for an event.

        The handlers of a call run one at a time, in order, on a worker thread. They may block. If 10,000 callbacks of the
        call are pending, further events are dropped and a warning is logged. Events that end the call or an action are never
        dropped.

        :param event_type: name of the event, such as ``calling.call.state``, or its class, such as :class:`CallStateEvent`.
            An unknown name that starts with ``calling.`` is accepted with a warning, because the platform may add events. A
            name that is similar to a known name is rejected as a misspelling.
        :param handler: function that is called with the event. If it is omitted, ``on`` returns a decorator.
        :return: the handler, or the decorator.
        :raises InvalidParameter: the event does not belong to a call, or the handler is not a regular function.
        :raises Forked: the call belongs to the parent process.
        """
        name = event_name(event_type)

        def register(function: Handler) -> Handler:
            self._core.listen(name, InContext(values.handler("handler", function)))
            return function

        return register if handler is None else register(handler)

    def wait_for(
        self, event_type: str | type[RelayEvent], predicate: Predicate | None = None, timeout: float | None = None
    ) -> Any:
        """Wait for an event.

        Events that arrived before this method was called are ignored, except for ``calling.call.state`` events that match a
        predicate. To wait for an event that a command causes, use :meth:`expect`, which starts listening before the command
        is sent.

        :param event_type: name of the event, such as ``calling.call.state``, or its class, such as :class:`CallStateEvent`.
        :param predicate: function that is called with each event, on the calling thread, and returns whether the event
            matches. By default, every event of the type matches.
        :param timeout: maximum time to wait, in seconds; ``None`` waits until the call ends.
        :return: the event.
        :raises InvalidParameter: the event does not belong to a call, or the predicate is not a regular function.
        :raises WaitTimeout: the timeout expired. You can wait again.
        :raises CallEnded: the call ended before the event arrived. ``end_reason`` says why.
        :raises RelayError: the session of the call ended, or the client was closed.
        """
        if predicate is not None:
            values.handler("predicate", predicate)
        return self._wait_for(event_name(event_type), predicate, timeout)

    def _wait_for(self, event_type: str, predicate: Predicate | None, timeout: float | None) -> Any:
        seen: Expectation[Any] = Expectation(self._core, event_type, predicate, values.timeout(timeout))
        with seen:
            if event_type == EVENT_CALL_STATE and predicate is not None:
                seen.consider(list(self._core.reached.values()))
        return seen.value

    def expect(
        self, event_type: str | type[RelayEvent], predicate: Predicate | None = None, timeout: float | None = None
    ) -> Expectation[Any]:
        """Wait for an event that the ``with`` block causes.

        The call starts listening before the block runs, so the event is not missed even if it arrives before the block ends.

        ::

            with call.expect("calling.call.state", lambda e: e.call_state == "answered", timeout=5) as seen:
                call.answer()
            event = seen.value

        All errors except ``InvalidParameter`` are raised at the end of the block.

        :param event_type: name of the event, such as ``calling.call.state``, or its class, such as :class:`CallStateEvent`.
        :param predicate: function that is called with each event, on the calling thread, and returns whether the event
            matches. By default, every event of the type matches.
        :param timeout: maximum time to wait, in seconds, from the start of the block; ``None`` waits until the call ends.
        :return: a context manager. After the block, its ``value`` is the event.
        :raises InvalidParameter: the event does not belong to a call, or the predicate is not a regular function.
        :raises WaitTimeout: the timeout expired. You can wait again.
        :raises CallEnded: the call ended before the event arrived. ``end_reason`` says why.
        :raises RelayError: the session of the call ended, or the client was closed.
        """
        if predicate is not None:
            values.handler("predicate", predicate)
        return Expectation(self._core, event_name(event_type), predicate, values.timeout(timeout))
