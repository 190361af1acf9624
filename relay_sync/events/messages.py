"""Events for text messages, tasks and the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from attrs import field

from ..constants import (
    EVENT_AUTHORIZATION_STATE,
    EVENT_MESSAGING_RECEIVE,
    EVENT_MESSAGING_STATE,
    EVENT_TASKS,
    Direction,
    MessageState,
)
from .base import RelayEvent, event, from_envelope

__all__ = ["AuthorizationStateEvent", "MessageEvent", "MessageReceiveEvent", "MessageStateEvent", "TaskEvent"]

_M = TypeVar("_M", bound="MessageEvent")
_T = TypeVar("_T", bound="TaskEvent")


@event
class MessageEvent(RelayEvent):
    """Base class of message events.

    :ivar message_id: ID of the message.
    :ivar context: Context that receives the message or its state events.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_number: Phone number of the sender.
    :ivar to_number: Phone number of the recipient.
    :ivar body: Text of the message.
    :ivar media: URLs of the attached media.
    :ivar segments: Number of SMS segments.
    :ivar message_state: ``received`` (inbound), ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered``, ``failed``.
    :ivar tags: Tags of the message.
    :ivar tag: Tag of the message; ``""`` if there is none.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    message_id: str = ""
    context: str = ""
    direction: Direction | str = ""
    from_number: str = ""
    to_number: str = ""
    body: str = ""
    media: list[str] = field(factory=list)
    segments: int = 0
    message_state: MessageState | str = ""
    tags: list[str] = field(factory=list)
    tag: str = ""

    @classmethod
    def members(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return this class's fields that are present in ``params``, keyed by attribute name.

        Parameters of the wrong type are omitted.

        :param params: Event parameters (the frame's ``params.params``).
        """
        found = super().members(params)
        state = params.get("state")
        if not found.get("message_state") and isinstance(state, str):
            found["message_state"] = state  # as in the events of actions
        return found

    @classmethod
    def from_payload(cls: type[_M], payload: Mapping[str, Any]) -> _M:
        """Create the event from a frame's payload.

        :param payload: ``{"event_type", "timestamp", "params": {...}}``.
        """
        return from_envelope(super().from_payload(payload), payload, "context")


@event
class MessageReceiveEvent(MessageEvent):
    """A message arrived. Its state is ``received``.

    :ivar message_id: ID of the message.
    :ivar context: Context that receives the message or its state events.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_number: Phone number of the sender.
    :ivar to_number: Phone number of the recipient.
    :ivar body: Text of the message.
    :ivar media: URLs of the attached media.
    :ivar segments: Number of SMS segments.
    :ivar message_state: ``received`` (inbound), ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered``, ``failed``.
    :ivar tags: Tags of the message.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar tag: Tag of the message; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_MESSAGING_RECEIVE


@event
class MessageStateEvent(MessageEvent):
    """The state of an outbound message changed.

    The states are ``queued``, ``initiated`` and ``sent``, followed by ``delivered``, ``undelivered`` or ``failed``.

    :ivar message_id: ID of the message.
    :ivar context: Context that receives the message or its state events.
    :ivar direction: ``inbound`` or ``outbound``.
    :ivar from_number: Phone number of the sender.
    :ivar to_number: Phone number of the recipient.
    :ivar body: Text of the message.
    :ivar media: URLs of the attached media.
    :ivar segments: Number of SMS segments.
    :ivar message_state: ``received`` (inbound), ``queued``, ``initiated``, ``sent``, ``delivered``, ``undelivered``, ``failed``.
    :ivar tags: Tags of the message.
    :ivar reason: Reason for the ``undelivered`` or ``failed`` state, or for a synthetic event.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar tag: Tag of the message; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_MESSAGING_STATE

    reason: str = field(default="", metadata={"wire": "reason"})


@event
class TaskEvent(RelayEvent):
    """A task was posted to one of the client's contexts.

    Tasks are posted with ``POST /api/relay/rest/tasks``. Unlike in other events, the payload has no nested ``params`` object.

    :ivar context: Context that the task was posted to.
    :ivar message: Content of the task, which may be any JSON value.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    TYPE: ClassVar[str] = EVENT_TASKS

    context: str = ""
    message: Any = None

    @classmethod
    def from_payload(cls: type[_T], payload: Mapping[str, Any]) -> _T:
        """Create the event from a frame's payload.

        :param payload: ``{"event_type", "timestamp", "params": {...}}``.
        """
        made = super().from_payload(payload)
        if not made.params and "message" in payload:
            flat = {name: payload[name] for name in ("context", "message") if name in payload}
            made = cls.from_params(flat, event_type=made.event_type, timestamp=made.timestamp)
        return from_envelope(made, payload, "context")


@event
class AuthorizationStateEvent(RelayEvent):
    """The server issued a token for resuming the session.

    The SDK stores the token and does not pass this event to handlers.

    :ivar authorization_state: Token for resuming the session. Keep it secret.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    TYPE: ClassVar[str] = EVENT_AUTHORIZATION_STATE

    authorization_state: str = field(default="", repr=False)
