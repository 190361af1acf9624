"""Actions for payments, AI agents and queues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ...constants import EVENT_CALL_AI, EVENT_CALL_PAY, EVENT_CALL_QUEUE, AIState, PayState, QueueState
from .base import StoppableAction
from .replies import ReadableAsReply

if TYPE_CHECKING:
    from ... import events
    from ...events import PayEvent

__all__ = ["AIAction", "PayAction", "QueueAction"]


class PayAction(StoppableAction["PayEvent"]):
    """A payment (``calling.pay``).

    The platform sends several progress events, followed by one event with the result.

    :ivar state: ``starting``, then the requested input, such as ``payment-card-number``, and finally the result.
    """

    state: PayState | str
    method = "calling.pay"
    event_type = EVENT_CALL_PAY

    def _progress(self, event: PayEvent) -> None:
        self.state = event.result or event.for_ or self.state
        if event.result:
            self._end(event, None)

    @property
    def success(self) -> bool:
        """Whether the payment succeeded; ``False`` until the payment has ended."""
        return self.result is not None and self.result.result == "success"

    @property
    def outcome(self) -> str:
        """Result, such as ``success`` or ``too-many-failed-attempts``; ``""`` until the payment has ended."""
        return self.result.result if self.result is not None else ""

    @property
    def confirmation_code(self) -> str:
        """Confirmation code from the payment connector; ``""`` until the payment has ended."""
        return self.result.payment_confirmation_code if self.result is not None else ""


class AIAction(StoppableAction["events.AIEvent"]):
    """An AI agent (``calling.ai``). Its final state is ``finished`` or ``error``.

    The platform reports the conversation in ``calling.ai.*`` events, which do not have a ``control_id``.
    """

    state: AIState | str
    method = "calling.ai"
    event_type = EVENT_CALL_AI


class QueueAction(ReadableAsReply, StoppableAction["events.QueueEvent"]):
    """A call in a queue (``calling.queue.enter``). It ends when the call is dequeued or leaves the queue."""

    state: QueueState | str
    method = "calling.queue.enter"
    event_type = EVENT_CALL_QUEUE
    end_states: ClassVar[frozenset[str]] = frozenset({"dequeue", "leave"})

    # Events may omit values that earlier events contained. A position of 0 means that the call has left the queue.
    _queue_id = ""
    _position = 0
    _size = 0

    def _progress(self, event: events.QueueEvent) -> None:
        self._queue_id = event.queue_id or self._queue_id
        out = event.status in self.end_states
        self._position = event.position if out or "position" in event.params else self._position
        self._size = event.size if "size" in event.params else self._size
        if event.status:
            self.state = event.status
        if event.status in self.end_states:
            self._end(event, None)

    def _stop_command(self) -> tuple[str, dict[str, Any]] | None:
        return "calling.queue.leave", {"queue_name": self.queue_name}

    @property
    def queue_name(self) -> str:
        """Name of the queue."""
        return str(self._params.get("queue_name", ""))

    @property
    def queue_id(self) -> str:
        """ID of the queue; ``""`` until the server reports it."""
        return self._queue_id

    @property
    def position(self) -> int:
        """Position of the call in the queue, starting at 1; 0 if the position is unknown or the call has left the queue."""
        return self._position

    @property
    def size(self) -> int:
        """Number of calls in the queue, as last reported by the server."""
        return self._size

    @property
    def was_dequeued(self) -> bool:
        """Whether another party took the call out of the queue."""
        return self.result is not None and self.result.status == "dequeue"


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
