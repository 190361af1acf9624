"""Call queues: ``calling.queue.enter`` and ``calling.queue.leave``.

The client receives ``enqueue`` when a call enters a queue, ``stats`` when its position changes, and ``leave`` when it leaves. If
``calling.connect`` with a queue device removes the call, the client receives ``dequeue``.

Two details are not documented by SignalWire. In the simulator, a call leaves automatically after ``wait_time``, and ``avg_time``
is the average waiting time of all calls that have left the queue.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from attrs import define, field

from ..people.network import NetworkCall
from .operation import NetworkOperation, start
from .request import CommandRequest, Handler

__all__ = ["HANDLERS", "Queue", "Queues", "Waiting"]


def _now() -> int:
    """Return the current time in epoch microseconds, the unit used in queue events."""
    return int(time.time() * 1_000_000)


@define(eq=False)
class Queue:
    """A queue of waiting calls."""

    name: str
    queue_id: str = field(factory=lambda: str(uuid.uuid4()), init=False)
    waiting: list[Waiting] = field(factory=list, init=False)
    waits: list[float] = field(factory=list, init=False)

    def take(self, fits: Callable[[NetworkCall], bool]) -> NetworkCall | None:
        """Remove and return the call that has waited longest.

        :param fits: predicate that selects the calls to consider.
        :return: the call, or ``None`` if no call matches.
        """
        first = next((place for place in self.waiting if fits(place.call)), None)
        if first is None:
            return None
        first.depart("dequeue")
        return first.call

    def left(self, place: Waiting) -> None:
        """Remove a call that has left, and report new positions for the calls behind it."""
        index = self.waiting.index(place)
        self.waiting.remove(place)
        self.waits.append((_now() - place.since) / 1_000_000)
        for each in self.waiting[index:]:
            each.report("stats")


class Queues(dict[str, Queue]):
    """Call queues by name."""


@define(eq=False, kw_only=True)
class Waiting(NetworkOperation):
    """A call waiting in a queue."""

    event_type = "calling.call.queue"
    failure: ClassVar[Mapping[str, Any]] = {"status": "leave"}
    since: int = field(factory=_now, init=False)
    queue: Queue = field(init=False)

    def begin(self) -> None:
        name = self.params["queue_name"]
        self.queue = self.platform.shared(Queues).setdefault(name, Queue(name))
        self.queue.waiting.append(self)
        self.report("enqueue")
        if self.params.get("wait_time"):
            self.await_others("wait_time", self.params["wait_time"], self.depart, "leave")

    def _body(self, status: str, **times: int) -> dict[str, Any]:
        queue = self.queue
        inside = self in queue.waiting
        return {
            "status": status,
            "id": queue.queue_id,
            "name": queue.name,
            "position": queue.waiting.index(self) + 1 if inside else 0,
            "size": len(queue.waiting),
            "avg_time": round(sum(queue.waits) / len(queue.waits)) if queue.waits else 0,
            "enqueue_ts": self.since,
            "dequeue_ts": 0,
            "leave_ts": 0,
            "status_url": self.params.get("status_url", ""),
            **times,
        }

    def report(self, status: str) -> None:
        """Send an event with the call's current position."""
        self.send_event(**self._body(status))

    def depart(self, status: str, /, **members: Any) -> None:
        """Leave the queue and send the last event.

        :param status: ``"dequeue"`` or ``"leave"``.
        :param members: event members to add or replace.
        """
        if self.over:
            return
        self.queue.left(self)
        times = {"dequeue_ts" if status == "dequeue" else "leave_ts": _now()}
        self.close(**{**self._body(status, **times), **members})

    def finish(self, **members: Any) -> None:
        self.depart("leave")

    def drop(self) -> None:
        if not self.over and self in self.queue.waiting:
            self.queue.left(self)
        super().drop()

    def break_down(self, details: Mapping[str, Any]) -> None:
        self.begin()
        self.depart("leave", **details)


def _leave(request: CommandRequest) -> None:
    params, wanted = request.params, request.params["queue_name"]
    places = [each for each in request.call.operations if isinstance(each, Waiting) and each.queue.name == wanted]
    # Ignore the control_id: the official SDK generates a new one for this command. A call has only one place anyway.
    place = next((each for each in places if params.get("queue_id", each.queue.queue_id) == each.queue.queue_id), None)
    if place is None:
        request.refuse(404, "Call is not in this queue")
        return
    request.accept()
    place.depart("leave")


HANDLERS: Mapping[str, Handler] = {
    "calling.queue.enter": start(Waiting, only_one="Call is already in a queue"),
    "calling.queue.leave": _leave,
}
