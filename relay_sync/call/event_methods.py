"""Call methods that accept an event name or an event class.

The ``event_overloads`` module declares their types for each event.
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

        A call's handlers run one at a time, in order, on a worker thread. They may block. If 10,000 of the call's callbacks
        are pending, further events are dropped and a warning is logged. Events that end the call or an action are never
        dropped.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`. An
            unknown name that starts with ``calling.`` is accepted with a warning, because the platform may add events. A
            name similar to a known name is rejected as a misspelling.
        :param handler: function to call with the event. If omitted, ``on`` returns a decorator.
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
        predicate. To wait for an event caused by a command, use :meth:`expect`, which starts listening before the command is
        sent.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`.
        :param predicate: function that is called on the calling thread with each event and returns whether it matches. By
            default, every event of the type matches.
        :param timeout: maximum time to wait, in seconds; ``None`` waits until the call ends.
        :return: the event.
        :raises InvalidParameter: the event does not belong to a call, or the predicate is not a regular function.
        :raises WaitTimeout: the timeout expired. You can wait again.
        :raises CallEnded: the call ended before the event arrived. ``end_reason`` says why.
        :raises RelayError: the call's session ended, or the client was closed.
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
        """Wait for an event caused by the ``with`` block.

        The call starts listening before the block runs, so the event is not missed even if it arrives before the block ends.

        ::

            with call.expect("calling.call.state", lambda e: e.call_state == "answered", timeout=5) as seen:
                call.answer()
            event = seen.value

        All errors except ``InvalidParameter`` are raised when the block ends.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`.
        :param predicate: function that is called on the calling thread with each event and returns whether it matches. By
            default, every event of the type matches.
        :param timeout: maximum time to wait, in seconds, from the start of the block; ``None`` waits until the call ends.
        :return: a context manager. After the block, its ``value`` is the event.
        :raises InvalidParameter: the event does not belong to a call, or the predicate is not a regular function.
        :raises WaitTimeout: the timeout expired. You can wait again.
        :raises CallEnded: the call ended before the event arrived. ``end_reason`` says why.
        :raises RelayError: the call's session ended, or the client was closed.
        """
        if predicate is not None:
            values.handler("predicate", predicate)
        return Expectation(self._core, event_name(event_type), predicate, values.timeout(timeout))
