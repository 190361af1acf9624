"""Delivery of messages and tasks. Methods must be called on the loop's thread unless noted otherwise.

As documented, a message event's envelope has a ``context`` but no ``event_channel``, and task events have no nested ``params``.
An outbound message's ``context`` determines which client receives its events. If the context is a client's protocol, that client
receives them. Otherwise, a subscriber to the context receives them, preferably the sender.

Some details are not documented by SignalWire. In the simulator, a message's state changes every 0.1 seconds. Inbound messages and
tasks wait until a client subscribes to their context. Text longer than 160 characters is split into 153-character segments.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

from attrs import define, field, frozen

from ..core import frames
from ..core.session import ServerSession
from ..core.world import World
from .network import Network

__all__ = ["MessagePlan", "Post"]

STEP = 0.1
CONTEXT = "default"  # context of messages that are sent without a context
MOST_WAITING = 10_000
# Intermediate states of a message, by its final state.
WAYS = {
    "delivered": ("queued", "initiated", "sent"),
    "undelivered": ("queued", "initiated", "sent"),
    "failed": ("queued", "initiated"),
    "queued": (),
    "initiated": ("queued",),
    "sent": ("queued", "initiated"),
}


def _segments(body: str) -> int:
    return 1 if len(body) <= 160 else -(-len(body) // 153)


@frozen(kw_only=True)
class MessagePlan:
    """The simulated delivery of messages to a number. See :meth:`Simulator.expect_message`."""

    ends: str = "delivered"
    reason: str = ""
    before_reply: bool = False
    details: Mapping[str, Any] = field(factory=dict)


@define(eq=False)
class _Rule:
    number: str
    plan: MessagePlan
    left: int | None


@define(eq=False)
class Post:
    """Delivers messages and tasks."""

    _world: World = field(repr=False)
    _network: Network = field(repr=False)
    _rules: list[_Rule] = field(factory=list, init=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)
    _waiting: deque[tuple[str, str, dict[str, Any]]] = field(factory=lambda: deque(maxlen=MOST_WAITING), init=False)

    def expect(self, number: str, plan: MessagePlan, times: int | None) -> None:
        """Configure how messages to a number are delivered. May be called from any thread."""
        with self._lock:
            if times is None:
                self._rules = [rule for rule in self._rules if rule.number != number or rule.left is not None]
            self._rules.append(_Rule(number, plan, times))

    def plan_for(self, number: str) -> MessagePlan:
        """Return the delivery plan for the next message to a number. If no rule matches, the message is delivered."""
        with self._lock:
            found = [rule for rule in self._rules if rule.number == number and rule.left != 0]
            found.sort(key=lambda rule: rule.left is None)
            if not found:
                return MessagePlan()
            if found[0].left is not None:
                found[0].left -= 1
            return found[0].plan

    # -- outbound messages ---------------------------------------------------------------------------------------------

    def send(self, sender: ServerSession, params: dict[str, Any], message_id: str, plan: MessagePlan) -> None:
        """Start delivering an outbound message. The first state is sent immediately, and later states are sent on a timer."""
        about = {
            "message_id": message_id,
            "context": params.get("context", CONTEXT),
            "direction": "outbound",
            "from_number": params["from_number"],
            "to_number": params["to_number"],
            "body": params.get("body", ""),
            "media": params.get("media", []),
            "segments": _segments(params.get("body", "")),
            "tags": params.get("tags", []),
        }
        if "tag" in params:
            about["tag"] = params["tag"]
        ways = [*WAYS.get(plan.ends, WAYS["failed"]), plan.ends]
        for number, state in enumerate(ways):
            members = {**about, "message_state": state}
            if state == plan.ends and plan.reason:
                members["reason"] = plan.reason
            if state == plan.ends:
                members |= plan.details
            if number == 0:
                self._state(sender, members)
            else:
                self._world.clock.after(self._world.pace.media(number * STEP), self._state, sender, members)

    def _state(self, sender: ServerSession, members: dict[str, Any]) -> None:
        context = members["context"]
        named = self._world.sessions.find(context)
        others = self._world.subscribers(context, sender.project)
        owner = named or (sender if context in sender.contexts else next(iter(others), None))
        self._tell(members)
        self._world.emit(owner, "messaging.state", members, context=context, event_channel=None)

    def _tell(self, members: dict[str, Any]) -> None:
        """Report a message's state as a live event."""
        names = {"id": "message_id", "state": "message_state", "from": "from_number", "to": "to_number"}
        names |= {name: name for name in ("direction", "context", "body", "media", "tags")}
        self._world.feed.tell("message", lambda: {name: members[given] for name, given in names.items()})

    # -- inbound messages and tasks ------------------------------------------------------------------------------------

    def receive(self, context: str, **about: Any) -> str:
        """Deliver an inbound message and return its ID."""
        message_id = str(uuid.uuid4())
        params = {
            "message_id": message_id,
            "message_state": "received",
            "direction": "inbound",
            "context": context,
            "segments": _segments(about["body"]),
            **about,
        }
        self._tell(params)
        self._offer("messaging.receive", context, params)
        return message_id

    def task(self, context: str, message: dict[str, Any]) -> None:
        """Deliver a task."""
        self._offer("queuing.relay.tasks", context, {"message": message})

    def _offer(self, kind: str, context: str, params: dict[str, Any]) -> None:
        session = self._network.next_one(self._world.subscribers(context))
        if session is None:
            self._waiting.append((kind, context, params))
            message = kind == "messaging.receive"
            what = f"the message from {params['from_number']} to {params['to_number']}" if message else "the task"
            self._network.log_waiting(what, kind, context)
        elif kind == "queuing.relay.tasks":
            settings = self._world.settings
            body = {
                "event_type": kind,
                "context": context,
                "project_id": session.project,
                "space_id": settings.space,
                "timestamp": int(time.time()),
                **params,
            }
            self._world.send(session, kind, params, frames.event(body))
        else:
            self._world.emit(session, kind, params, context=context, event_channel=None)

    def welcome(self, session: ServerSession) -> None:
        """Deliver waiting messages and tasks to a session that has connected or subscribed to more contexts."""
        waiting, self._waiting = self._waiting, deque(maxlen=MOST_WAITING)
        for kind, context, params in waiting:
            if context in session.contexts:
                self._offer(kind, context, params)
            else:
                self._waiting.append((kind, context, params))
