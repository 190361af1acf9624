"""Methods of a call that accept the name or the class of an event. Their types by name are in ``event_overloads``."""

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
    """Base class of :class:`relay_sync.Call`: register handlers for events, and wait for events."""

    _core: CallCore[Any]

    def on(self, event_type: str | type[RelayEvent], handler: Any = None) -> Any:
        """Register a handler for every event of a type.

        The handlers of a call run one at a time and in order, on a thread where they may block. While 10,000 callbacks of the
        call are waiting, further events are dropped with a warning, except events that end the call or an action.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`.
            Because the platform may add events, an unknown ``calling.`` name that is not similar to a known one is
            accepted with a warning. :meth:`events` returns all events.
        :param handler: function that takes the event. Without it, ``on`` is a decorator.
        :return: the handler, or the decorator.
        :raises InvalidParameter: calls have no such event, or the handler is not a regular function.
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
        """Block until an event of a type arrives for which the predicate is true.

        With a predicate, a call state that the call has already reached counts as well; other events count from now on. For
        an event that a verb causes, use :meth:`expect`: it starts listening before the verb runs.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`.
        :param predicate: takes the event and returns whether it matches; runs on the calling thread. By default every event
            of the type matches.
        :param timeout: seconds to wait; ``None`` waits until the call ends.
        :return: the event.
        :raises InvalidParameter: calls have no such event, or the predicate is not a regular function.
        :raises WaitTimeout: the timeout expired; you can wait again.
        :raises CallEnded: the call ended first; ``end_reason`` tells why.
        :raises RelayError: the error that ended the call's session or closed the client.
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
        """Wait for an event that the ``with`` block causes. Listening starts before the block runs, so the event cannot be
        missed.

        ::

            with call.expect("calling.call.state", lambda e: e.call_state == "answered", timeout=5) as seen:
                call.answer()
            event = seen.value

        The errors below, other than ``InvalidParameter``, are raised at the end of the block.

        :param event_type: event name, such as ``calling.call.state``, or event class, such as :class:`CallStateEvent`.
        :param predicate: takes the event and returns whether it matches; runs on the calling thread. By default every event
            of the type matches.
        :param timeout: seconds to wait, counted from the start of the block; ``None`` waits until the call ends.
        :return: the context manager; its ``value`` is the event, available after the block.
        :raises InvalidParameter: calls have no such event, or the predicate is not a regular function.
        :raises WaitTimeout: the timeout expired; you can wait again.
        :raises CallEnded: the call ended first; ``end_reason`` tells why.
        :raises RelayError: the error that ended the call's session or closed the client.
        """
        if predicate is not None:
            values.handler("predicate", predicate)
        return Expectation(self._core, event_name(event_type), predicate, values.timeout(timeout))
