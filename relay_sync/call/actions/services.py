"""Actions of the platform's services: payments, AI agents, waiting queues. Each has its own rule for its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ...constants import EVENT_CALL_AI, EVENT_CALL_PAY, EVENT_CALL_QUEUE, ActionState
from .base import StoppableAction
from .replies import ReadableAsReply

if TYPE_CHECKING:
    from ... import events
    from ...events import PayEvent

__all__ = ["AIAction", "PayAction", "QueueAction"]


class PayAction(StoppableAction["PayEvent"]):
    """A payment (``calling.pay``). Several progress events are followed by a single event with a result.

    :ivar state: ``starting``, then the requested entry (``payment-card-number``, ...), then the result.
    """

    method = "calling.pay"
    event_type = EVENT_CALL_PAY

    def _progress(self, event: PayEvent) -> None:
        self.state: ActionState | str = event.result or event.for_ or self.state
        if event.result:
            self._end(event, None)

    @property
    def success(self) -> bool:
        """Whether the payment was made."""
        return self.result is not None and self.result.result == "success"

    @property
    def outcome(self) -> str:
        """``success``, ``too-many-failed-attempts``, ``caller-hung-up``, ...; ``""`` before the end."""
        return self.result.result if self.result is not None else ""

    @property
    def confirmation_code(self) -> str:
        """The payment connector's confirmation code, available at the end."""
        return self.result.payment_confirmation_code if self.result is not None else ""


class AIAction(StoppableAction["events.AIEvent"]):
    """An AI agent on the call (``calling.ai``). It ends as ``finished`` or with an error.

    The conversation arrives as events of the call (``calling.ai.*``), which carry no ``control_id``.
    """

    method = "calling.ai"
    event_type = EVENT_CALL_AI


class QueueAction(ReadableAsReply, StoppableAction["events.QueueEvent"]):
    """The call's place in a waiting queue (``calling.queue.enter``). It ends when the call is dequeued or leaves."""

    method = "calling.queue.enter"
    event_type = EVENT_CALL_QUEUE
    end_states: ClassVar[frozenset[str]] = frozenset({"dequeue", "leave"})

    # Events may omit values of earlier events. A reported position of 0 means that the call has left.
    _queue_id = ""
    _position = 0
    _size = 0

    def _progress(self, event: events.QueueEvent) -> None:
        self._queue_id = event.queue_id or self._queue_id
        out = event.status in self.end_states
        self._position = event.position if out or "position" in event.params else self._position
        self._size = event.size if "size" in event.params else self._size
        if event.status:
            self.state: ActionState | str = event.status
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
        """Id of the queue, once the server has reported it."""
        return self._queue_id

    @property
    def position(self) -> int:
        """The call's position, starting at 1; 0 if unknown or no longer in the queue."""
        return self._position

    @property
    def size(self) -> int:
        """Number of calls in the queue when the server last reported it."""
        return self._size

    @property
    def was_dequeued(self) -> bool:
        """Whether the call was taken out of the queue by another party."""
        return self.result is not None and self.result.status == "dequeue"


for _name in __all__:
    globals()[_name].__module__ = "relay_sync"
