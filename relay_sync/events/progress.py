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
    :ivar peer: the other leg: ``call_id``, ``node_id``, ``tag``, ``device``.
    :ivar failed_reason: with ``failed``: ``noAnswer``, ``busy``, ...
    """

    TYPE: ClassVar[str] = EVENT_CALL_CONNECT

    connect_state: str = ""
    peer: dict[str, Any] = field(factory=dict)
    failed_reason: str = ""


@event
class ReferEvent(CallEvent):
    """A SIP transfer made progress.

    :ivar state: ``inProgress``, then ``success``, ``cancel``, ``busy``, ``noAnswer`` or ``error``.
    :ivar sip_refer_to: where to. :ivar sip_refer_response_code: and :ivar sip_notify_response_code: as text, ``"202"``.
    """

    TYPE: ClassVar[str] = EVENT_CALL_REFER

    state: str = ""
    sip_refer_to: str = ""
    sip_refer_response_code: str = ""
    sip_notify_response_code: str = ""


@event
class DenoiseEvent(CallEvent):
    """Noise suppression was switched on or off.

    :ivar denoised: whether it is on.
    """

    TYPE: ClassVar[str] = EVENT_CALL_DENOISE

    denoised: bool = False


@event
class HoldEvent(CallEvent):
    """The call was put on hold, or taken off it.

    :ivar state: ``hold`` or ``unhold``.
    """

    TYPE: ClassVar[str] = EVENT_CALL_HOLD

    state: str = ""


@event
class QueueEvent(CallEvent):
    """A waiting queue that the call is in moved.

    :ivar status: ``enqueue``, ``stats``, then ``dequeue`` or ``leave``.
    :ivar queue_id: and :ivar queue_name: the queue. :ivar position: place in it, from 1; 0 when out. :ivar size: calls in it.
    :ivar avg_time: average wait in seconds. :ivar enqueue_ts: and :ivar dequeue_ts: and :ivar leave_ts: epoch
        microseconds, 0 until reached.
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
    """A video room was joined or left.

    :ivar join_status: ``joined``, ``failed``, ``leave``, ``cancel`` or ``locked``.
    """

    TYPE: ClassVar[str] = EVENT_CALL_ROOM

    join_status: str = ""
    room_name: str = ""


@event
class CallingErrorEvent(CallEvent):
    """Something went wrong on a call, usually in an AI session.

    :ivar error: in words. :ivar fatal: whether the session is over.
    :ivar code: and :ivar message: as the official SDK names them; no documented event carries them.
    """

    TYPE: ClassVar[str] = EVENT_CALLING_ERROR

    error: str = ""
    fatal: bool = False
    code: str = ""
    message: str = ""


@event
class UserEvent(CallEvent):
    """An event of somebody's own making (``calling.user_event``); its members are those of ``params``."""

    TYPE: ClassVar[str] = EVENT_USER


@event
class ConferenceEvent(RelayEvent):
    """A conference started or ended, or somebody in it came, went or changed. Which members are there depends on ``status``.

    :ivar status: ``conference-start``, ``participant-join``, ``participant-leave``, ``conference-end``, ...
    :ivar conference_id: and :ivar name: and :ivar region: the conference. :ivar size: participants now.
    :ivar muted: and :ivar hold: and :ivar coaching: the participant's state. :ivar call_id_to_coach: whom it hears.
    :ivar start_on_join: and :ivar end_on_leave: whether this participant starts and ends the conference.
    :ivar reason_ended: and :ivar call_id_ending_conf: with ``conference-end``.
    :ivar recording_url: and :ivar recording_duration: in seconds, and :ivar recording_file_size: in bytes.
    :ivar announce_url: with ``announcement-end`` and ``announcement-fail``.
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
