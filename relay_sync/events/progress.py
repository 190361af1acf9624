"""Events for bridges, transfers, queues, video rooms and conferences."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from attrs import field

from ..constants import (
    EVENT_CALL_CONNECT,
    EVENT_CALL_DENOISE,
    EVENT_CALL_HOLD,
    EVENT_CALL_QUEUE,
    EVENT_CALL_REFER,
    EVENT_CALL_ROOM,
    EVENT_CALLING_ERROR,
    EVENT_CONFERENCE,
    EVENT_USER,
)
from .base import CallEvent, RelayEvent, event

__all__ = [
    "CallingErrorEvent",
    "ConferenceEvent",
    "ConnectEvent",
    "DenoiseEvent",
    "HoldEvent",
    "QueueEvent",
    "ReferEvent",
    "RoomEvent",
    "UserEvent",
]


@event
class ConnectEvent(CallEvent):
    """The state of a bridge to another leg changed.

    :ivar connect_state: ``connecting``, ``connected``, ``disconnected`` or ``failed``.
    :ivar peer: Other leg, with ``call_id``, ``node_id``, ``tag`` and ``device``.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar failed_reason: Reason for the ``failed`` state: ``noAnswer``, ``busy``, ...
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_CONNECT

    connect_state: Literal["connecting", "connected", "disconnected", "failed"] | str = ""
    peer: dict[str, Any] = field(factory=dict)
    failed_reason: str = ""


@event
class ReferEvent(CallEvent):
    """The state of a SIP transfer changed.

    :ivar state: New state: ``inProgress``, then ``success``, ``cancel``, ``busy``, ``noAnswer`` or ``error``.
    :ivar sip_refer_to: SIP URI that the call is transferred to.
    :ivar sip_refer_response_code: SIP status code of the reply to the REFER request, as a string.
    :ivar sip_notify_response_code: SIP status code from the NOTIFY request, as a string.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_REFER

    state: Literal["inProgress", "success", "cancel", "busy", "noAnswer", "error"] | str = ""
    sip_refer_to: str = ""
    sip_refer_response_code: str = ""
    sip_notify_response_code: str = ""


@event
class DenoiseEvent(CallEvent):
    """Noise reduction was turned on or off.

    :ivar denoised: Whether noise reduction is on.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_DENOISE

    denoised: bool = False


@event
class HoldEvent(CallEvent):
    """The call was put on hold or taken off hold.

    :ivar state: New state: ``hold`` or ``unhold``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_HOLD

    state: Literal["hold", "unhold"] | str = ""


@event
class QueueEvent(CallEvent):
    """The call entered or left a queue, or its position changed.

    :ivar control_id: ID of the action that the event belongs to.
    :ivar status: ``enqueue``, ``stats``, ``dequeue`` or ``leave``.
    :ivar queue_id: ID of the queue.
    :ivar queue_name: Name of the queue.
    :ivar position: Position of the call in the queue, starting at 1; 0 if the call has left.
    :ivar size: Number of calls in the queue.
    :ivar avg_time: Average waiting time, in seconds.
    :ivar enqueue_ts: Time at which the call entered the queue, in microseconds since the Unix epoch; 0 until then.
    :ivar dequeue_ts: Time at which the call was dequeued, in microseconds since the Unix epoch; 0 until then.
    :ivar leave_ts: Time at which the call left the queue, in microseconds since the Unix epoch; 0 until then.
    :ivar status_url: URL that receives status callbacks.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_QUEUE

    control_id: str = ""
    status: str = ""
    queue_id: str = field(default="", metadata={"wire": "id"})
    queue_name: str = field(default="", metadata={"wire": "name"})
    position: int = 0
    size: int = 0
    avg_time: int = 0
    enqueue_ts: int = 0
    dequeue_ts: int = 0
    leave_ts: int = 0
    status_url: str = ""


@event
class RoomEvent(CallEvent):
    """The call joined or left a video room.

    :ivar join_status: ``joined``, ``failed``, ``leave``, ``cancel`` or ``locked``.
    :ivar room_name: Name of the room.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_ROOM

    join_status: str = ""
    room_name: str = ""


@event
class CallingErrorEvent(CallEvent):
    """An error occurred on a call, usually in an AI session.

    :ivar error: Error message.
    :ivar fatal: Whether the error ended the session.
    :ivar code: Not documented by the platform; usually ``""``. Provided for compatibility with the official SDK.
    :ivar message: Not documented by the platform; usually ``""``. Provided for compatibility with the official SDK.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_CALLING_ERROR

    error: str = ""
    fatal: bool = False
    code: str = ""
    message: str = ""


@event
class UserEvent(CallEvent):
    """A custom event (``calling.user_event``). The content is in ``params``.

    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar segment_id: ID of this call leg in the platform's records.
    :ivar tag: Tag passed to ``dial`` or ``connect``; ``""`` if there is none.
    """

    TYPE: ClassVar[str] = EVENT_USER


@event
class ConferenceEvent(RelayEvent):
    """The state of a conference or participant changed.

    The ``status`` determines which attributes are set.

    :ivar conference_id: ID of the conference.
    :ivar name: Name of the conference.
    :ivar status: ``conference-start``, ``participant-join``, ``participant-leave``, ``conference-end``, ...
    :ivar node_id: ID of the platform node that handles the call. Commands use it to address the call.
    :ivar region: Region in which the conference is hosted.
    :ivar size: Current number of participants.
    :ivar muted: Whether the participant is muted.
    :ivar hold: Whether the participant is on hold.
    :ivar coaching: Whether the participant coaches another participant.
    :ivar call_id_to_coach: ID of the coached participant's call.
    :ivar start_on_join: Whether the conference starts when this participant joins.
    :ivar end_on_leave: Whether the conference ends when this participant leaves.
    :ivar reason_ended: Reason the conference ended. Set with ``conference-end``.
    :ivar call_id_ending_conf: ID of the call that ended the conference. Set with ``conference-end``.
    :ivar recording_url: URL of the recording.
    :ivar recording_duration: Duration of the recording, in seconds.
    :ivar recording_file_size: Size of the recording, in bytes.
    :ivar announce_url: URL of the announcement. Set with ``announcement-end`` and ``announcement-fail``.
    :ivar event_type: Event type, such as ``calling.call.stream``.
    :ivar params: All event parameters as the server sent them, including unknown ones.
    :ivar call_id: ID of the call; ``""`` if the event does not belong to a call.
    :ivar timestamp: Time at which the server sent the event, in seconds since the Unix epoch; ``0.0`` if unknown.
    :ivar synthetic: Whether the SDK created the event. If so, ``reason`` is set.
    :ivar reason: Reason for a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    """

    TYPE: ClassVar[str] = EVENT_CONFERENCE

    conference_id: str = ""
    name: str = ""
    status: str = ""
    node_id: str = ""
    region: str = ""
    size: int = 0
    muted: bool = False
    hold: bool = False
    coaching: bool = False
    call_id_to_coach: str = ""
    start_on_join: bool = False
    end_on_leave: bool = False
    reason_ended: str = ""
    call_id_ending_conf: str = ""
    recording_url: str = ""
    recording_duration: int = 0
    recording_file_size: int = 0
    announce_url: str = ""

    @property
    def quality(self) -> dict[str, str]:
        """Call quality statistics, set with ``participant-call-quality``.

        The keys start with ``in_``, ``out_`` or ``rtt_``. The values are strings, as the server sends them.
        """
        return {
            name: value
            for name, value in self.params.items()
            if isinstance(value, str) and name.startswith(("in_", "out_", "rtt_"))
        }
