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
    """The members that both kinds of message events have.

    :ivar message_id: ID of the message.
    :ivar context: The context that received the message, or that its state is reported to.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_number: Sender's number.
    :ivar to_number: Recipient's number.
    :ivar body: Text of the message.
    :ivar media: URLs of the attached media.
    :ivar segments: Number of SMS segments.
    :ivar message_state: ``received`` (inbound), ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered``, ``failed``.
    :ivar tags: Labels of the message.
    :ivar tag: Tag of the message; ``""`` if none.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
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
        """Pick the members that this class knows from an event's params. Leave out missing and ill-typed members.

        :param params: The event's own members (``params.params`` of the frame).
        """
        found = super().members(params)
        state = params.get("state")
        if not found.get("message_state") and isinstance(state, str):
            found["message_state"] = state  # the name that other events have for it
        return found

    @classmethod
    def from_payload(cls: type[_M], payload: Mapping[str, Any]) -> _M:
        """Build the event from its envelope.

        :param payload: The envelope: ``{"event_type", "timestamp", "params": {...}}``.
        """
        return from_envelope(super().from_payload(payload), payload, "context")


@event
class MessageReceiveEvent(MessageEvent):
    """A message arrived; its state is ``received``.

    :ivar message_id: ID of the message.
    :ivar context: The context that received the message, or that its state is reported to.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_number: Sender's number.
    :ivar to_number: Recipient's number.
    :ivar body: Text of the message.
    :ivar media: URLs of the attached media.
    :ivar segments: Number of SMS segments.
    :ivar message_state: ``received`` (inbound), ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered``, ``failed``.
    :ivar tags: Labels of the message.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar tag: Tag of the message; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_MESSAGING_RECEIVE


@event
class MessageStateEvent(MessageEvent):
    """An outgoing message changed state.

    The states are ``queued``, ``initiated``, ``sent``, and then ``delivered``, ``undelivered``, ``failed``.

    :ivar message_id: ID of the message.
    :ivar context: The context that received the message, or that its state is reported to.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_number: Sender's number.
    :ivar to_number: Recipient's number.
    :ivar body: Text of the message.
    :ivar media: URLs of the attached media.
    :ivar segments: Number of SMS segments.
    :ivar message_state: ``received`` (inbound), ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered``, ``failed``.
    :ivar tags: Labels of the message.
    :ivar reason: With ``undelivered`` and ``failed``: why. In a synthetic event: why the SDK created it.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar tag: Tag of the message; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_MESSAGING_STATE

    reason: str = field(default="", metadata={"wire": "reason"})


@event
class TaskEvent(RelayEvent):
    """A task that was posted to one of the client's contexts (``POST /api/relay/rest/tasks``).

    The frame of this event is flat: all members are next to ``event_type``.

    :ivar context: The context that the task was posted to.
    :ivar message: The task as posted: any JSON value.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    TYPE: ClassVar[str] = EVENT_TASKS

    context: str = ""
    message: Any = None

    @classmethod
    def from_payload(cls: type[_T], payload: Mapping[str, Any]) -> _T:
        """Build the event from its envelope.

        :param payload: The envelope: ``{"event_type", "timestamp", "params": {...}}``.
        """
        made = super().from_payload(payload)
        if not made.params and "message" in payload:
            flat = {name: payload[name] for name in ("context", "message") if name in payload}
            made = cls.from_params(flat, event_type=made.event_type, timestamp=made.timestamp)
        return from_envelope(made, payload, "context")


@event
class AuthorizationStateEvent(RelayEvent):
    """The server's ticket for resuming the session. The SDK keeps it; no handler receives this event.

    :ivar authorization_state: The ticket. It is secret.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    TYPE: ClassVar[str] = EVENT_AUTHORIZATION_STATE

    authorization_state: str = field(default="", repr=False)
