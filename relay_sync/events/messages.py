"""What is not about a call: messages, tasks, the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from attrs import field

from ..constants import EVENT_AUTHORIZATION_STATE, EVENT_MESSAGING_RECEIVE, EVENT_MESSAGING_STATE, EVENT_TASKS
from .base import RelayEvent, event, from_envelope

__all__ = ["AuthorizationStateEvent", "MessageEvent", "MessageReceiveEvent", "MessageStateEvent", "TaskEvent"]

_M = TypeVar("_M", bound="MessageEvent")
_T = TypeVar("_T", bound="TaskEvent")


@event
class MessageEvent(RelayEvent):
    """What both kinds of message events carry.

    :ivar message_id: the message. :ivar context: the context it came in on, or its state is reported to.
    :ivar direction: ``inbound`` or ``outbound``. :ivar from_number: and :ivar to_number: who wrote to whom.
    :ivar body: the text. :ivar media: URLs. :ivar segments: how many SMS it takes. :ivar tags: labels.
    :ivar message_state: see the subclasses.
    """

    message_id: str = ""
    context: str = ""
    direction: str = ""
    from_number: str = ""
    to_number: str = ""
    body: str = ""
    media: list[str] = field(factory=list)
    segments: int = 0
    message_state: str = ""
    tags: list[str] = field(factory=list)
    tag: str = ""

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        found = super().members(params)
        state = params.get("state")
        if not found.get("message_state") and isinstance(state, str):
            found["message_state"] = state  # the name that other events have for it
        return found

    @classmethod
    def from_payload(cls: type[_M], payload: Mapping[str, Any]) -> _M:
        return from_envelope(super().from_payload(payload), payload, "context")


@event
class MessageReceiveEvent(MessageEvent):
    """A message came in; its state is ``received``."""

    TYPE: ClassVar[str] = EVENT_MESSAGING_RECEIVE


@event
class MessageStateEvent(MessageEvent):
    """A message that was sent moved on: ``queued``, ``initiated``, ``sent``, then ``delivered``, ``undelivered`` or ``failed``.

    :ivar reason: with the last two: why.
    """

    TYPE: ClassVar[str] = EVENT_MESSAGING_STATE

    reason: str = field(default="", metadata={"wire": "reason"})


@event
class TaskEvent(RelayEvent):
    """A task that somebody posted to one of the client's contexts (``POST /api/relay/rest/tasks``).

    Its frame is flat: everything stands next to ``event_type``.

    :ivar context: where it was posted. :ivar message: what was posted: any JSON value.
    """

    TYPE: ClassVar[str] = EVENT_TASKS

    context: str = ""
    message: Any = None

    @classmethod
    def from_payload(cls: type[_T], payload: Mapping[str, Any]) -> _T:
        made = super().from_payload(payload)
        if not made.params and "message" in payload:
            flat = {name: payload[name] for name in ("context", "message") if name in payload}
            made = cls.from_params(flat, event_type=made.event_type, timestamp=made.timestamp)
        return from_envelope(made, payload, "context")


@event
class AuthorizationStateEvent(RelayEvent):
    """The server's ticket for resuming the session. The SDK keeps it to itself; no handler sees this event."""

    TYPE: ClassVar[str] = EVENT_AUTHORIZATION_STATE

    authorization_state: str = field(default="", repr=False)
