"""What becomes of a call along the way: bridges, transfers, queues, rooms, conferences."""

from __future__ import annotations

from typing import Any, ClassVar

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
    """A bridge to another leg made progress.

    :ivar connect_state: ``connecting``, ``connected``, ``disconnected`` or ``failed``.
    :ivar peer: The other leg: ``call_id``, ``node_id``, ``tag``, ``device``.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar failed_reason: With ``failed``: ``noAnswer``, ``busy``, ...
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_CONNECT

    connect_state: str = ""
    peer: dict[str, Any] = field(factory=dict)
    failed_reason: str = ""


@event
class ReferEvent(CallEvent):
    """A SIP transfer made progress.

    :ivar state: State: ``inProgress``, then ``success``, ``cancel``, ``busy``, ``noAnswer`` or ``error``.
    :ivar sip_refer_to: SIP URI that the call is transferred to.
    :ivar sip_refer_response_code: SIP status of the reply to REFER, as text: ``"202"``.
    :ivar sip_notify_response_code: SIP status reported by NOTIFY, as text: ``"200"``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_REFER

    state: str = ""
    sip_refer_to: str = ""
    sip_refer_response_code: str = ""
    sip_notify_response_code: str = ""


@event
class DenoiseEvent(CallEvent):
    """Noise reduction was switched on or off.

    :ivar denoised: Whether noise reduction is on.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_DENOISE

    denoised: bool = False


@event
class HoldEvent(CallEvent):
    """The call was put on hold or taken off hold.

    :ivar state: State: ``hold`` or ``unhold``.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_HOLD

    state: str = ""


@event
class QueueEvent(CallEvent):
    """The queue that the call is waiting in changed, or the call left it.

    :ivar control_id: ID of the operation (the action) that the event belongs to.
    :ivar status: ``enqueue``, ``stats``, then ``dequeue`` or ``leave``.
    :ivar queue_id: ID of the queue.
    :ivar queue_name: Name of the queue.
    :ivar position: The call's place in the queue, from 1; 0 after it left.
    :ivar size: Number of calls in the queue.
    :ivar avg_time: Average waiting time, in seconds.
    :ivar enqueue_ts: When the call entered the queue, in microseconds since 1970; 0 until then.
    :ivar dequeue_ts: When the call was taken out of the queue, in microseconds since 1970; 0 until then.
    :ivar leave_ts: When the call left the queue, in microseconds since 1970; 0 until then.
    :ivar status_url: URL that the platform posts status callbacks to.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
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
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALL_ROOM

    join_status: str = ""
    room_name: str = ""


@event
class CallingErrorEvent(CallEvent):
    """An error occurred on a call, usually in an AI session.

    :ivar error: The error, in words.
    :ivar fatal: Whether the error ended the session.
    :ivar code: Error code, as the official SDK names it. No documented event carries it.
    :ivar message: Error message, as the official SDK names it. No documented event carries it.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_CALLING_ERROR

    error: str = ""
    fatal: bool = False
    code: str = ""
    message: str = ""


@event
class UserEvent(CallEvent):
    """A custom event (``calling.user_event``). Its members are in ``params``.

    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar segment_id: ID of the call leg in the platform's records.
    :ivar tag: Tag that the call was dialed with; ``""`` if none.
    """

    TYPE: ClassVar[str] = EVENT_USER


@event
class ConferenceEvent(RelayEvent):
    """A conference started or ended, or a participant joined, left or changed. ``status`` determines which members are set.

    :ivar conference_id: ID of the conference.
    :ivar name: Name of the conference.
    :ivar status: ``conference-start``, ``participant-join``, ``participant-leave``, ``conference-end``, ...
    :ivar node_id: ID of the node that controls the call. Together with ``call_id`` it addresses the call.
    :ivar region: Region that hosts the conference.
    :ivar size: Current number of participants.
    :ivar muted: Whether the participant is muted.
    :ivar hold: Whether the participant is on hold.
    :ivar coaching: Whether the participant coaches another one.
    :ivar call_id_to_coach: ID of the call that the participant coaches.
    :ivar start_on_join: Whether the conference starts when this participant joins.
    :ivar end_on_leave: Whether the conference ends when this participant leaves.
    :ivar reason_ended: With ``conference-end``: why the conference ended.
    :ivar call_id_ending_conf: With ``conference-end``: ID of the call that ended the conference.
    :ivar recording_url: URL of the recording.
    :ivar recording_duration: Length of the recording, in seconds.
    :ivar recording_file_size: Size of the recording, in bytes.
    :ivar announce_url: With ``announcement-end`` and ``announcement-fail``: URL of the announcement.
    :ivar event_type: The event's name on the wire, such as ``calling.call.stream``.
    :ivar params: The event's own members as received (``params.params`` of the frame), known and unknown.
    :ivar call_id: ID of the call that the event belongs to; ``""`` if it belongs to none.
    :ivar timestamp: When the server sent the event, in seconds since 1970; ``0.0`` if the server did not say.
    :ivar synthetic: Whether the SDK created the event instead of the server; ``reason`` says why.
    :ivar reason: Why the SDK created a synthetic event, such as ``call_ended``; otherwise ``""``. See :class:`RelayEvent`.
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
        """With ``participant-call-quality``: the counters ``in_*``, ``out_*`` and ``rtt_*``, as the text they are sent as."""
        return {
            name: value
            for name, value in self.params.items()
            if isinstance(value, str) and name.startswith(("in_", "out_", "rtt_"))
        }
