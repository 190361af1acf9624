"""Conferences, video rooms and waiting queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ...errors import CommandRefused
from ...params import nested, values
from ...protocol.ids import new_id
from ...protocol.results import is_gone
from ..actions import OnCompleted, QueueAction
from .base import ADDRESS, Verbs

__all__ = ["ConferenceVerbs"]

Method = Literal["GET", "POST"]
EventType = Literal["relay", "cxml", "laml"]


class ConferenceVerbs(Verbs):
    """Conferences (``calling.join_conference``), video rooms and waiting queues."""

    def join_conference(
        self,
        name: str,
        *,
        muted: bool | None = None,
        beep: Literal["true", "false", "onEnter", "onExit"] | str | None = None,
        start_on_enter: bool | None = None,
        end_on_exit: bool | None = None,
        wait_url: str | None = None,
        max_participants: int | None = None,
        record: Literal["do-not-record", "record-from-start"] | str | None = None,
        region: Literal["global", "us", "eu", "ch"] | str | None = None,
        trim: Literal["trim-silence", "do-not-trim"] | str | None = None,
        coach: str | None = None,
        acl: Literal["private", "public-read"] | str | None = None,
        emit_call_quality: bool | None = None,
        status_callback: str | None = None,
        status_callback_event: str | None = None,
        status_callback_event_type: EventType | str | None = None,
        status_callback_method: Method | str | None = None,
        recording_status_callback: str | None = None,
        recording_status_callback_event: str | None = None,
        recording_status_callback_event_type: EventType | str | None = None,
        recording_status_callback_method: Method | str | None = None,
        stream_obj: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Join an audio conference (``calling.join_conference``). The platform creates it if no conference of that name exists.

        :class:`ConferenceEvent` arrives only if ``status_callback_event_type`` is ``relay`` and ``status_callback_event`` lists
        the events, separated by spaces.

        :param name: name of the conference.
        :param muted: whether this call joins muted.
        :param beep: when to play a beep: ``true``, ``false``, ``onEnter`` or ``onExit``.
        :param start_on_enter: whether the conference starts when this call joins.
        :param end_on_exit: whether the conference ends when this call leaves.
        :param wait_url: http(s) URL of the audio to play before the conference starts.
        :param max_participants: maximum number of participants, 1 to 250.
        :param record: ``do-not-record`` or ``record-from-start``.
        :param region: region that hosts the conference: ``global``, ``us``, ``eu`` or ``ch``.
        :param trim: whether to trim silence at the ends of the recording: ``trim-silence`` or ``do-not-trim``.
        :param coach: id of the only call that hears this one.
        :param acl: access to the conference's records: ``private`` or ``public-read``.
        :param emit_call_quality: whether to report the quality of the line.
        :param status_callback: http(s) URL that the platform notifies of conference events.
        :param status_callback_event: names of the conference events to report, separated by spaces.
        :param status_callback_event_type: format of the conference events: ``relay``, ``cxml`` or ``laml``.
        :param status_callback_method: HTTP method of the conference notifications: ``GET`` or ``POST``.
        :param recording_status_callback: http(s) URL that the platform notifies of recording events.
        :param recording_status_callback_event: names of the recording events to report, separated by spaces.
        :param recording_status_callback_event_type: format of the recording events: ``relay``, ``cxml`` or ``laml``.
        :param recording_status_callback_method: HTTP method of the recording notifications: ``GET`` or ``POST``.
        :param stream_obj: a two-way audio stream to the conference: ``devices.stream(...)``, or only its ``params``.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply, with the ``conference_id`` that :meth:`leave_conference` needs; ``{}`` if the call has
            already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "name": values.text("name", name, optional=False),
            "muted": values.flag("muted", muted),
            "beep": values.choice("beep", beep, ("true", "false", "onEnter", "onExit")),
            "start_on_enter": values.flag("start_on_enter", start_on_enter),
            "end_on_exit": values.flag("end_on_exit", end_on_exit),
            "wait_url": values.http_url("wait_url", wait_url),
            "max_participants": values.whole("max_participants", max_participants, low=1, high=250),
            "record": values.choice("record", record, ("do-not-record", "record-from-start")),
            "region": values.choice("region", region, ("global", "us", "eu", "ch")),
            "trim": values.choice("trim", trim, ("trim-silence", "do-not-trim")),
            "coach": values.text("coach", coach),
            "acl": values.choice("acl", acl, ("private", "public-read")),
            "emit_call_quality": values.flag("emit_call_quality", emit_call_quality),
            **values.status_callback(
                "status_callback",
                status_callback,
                status_callback_event,
                status_callback_event_type,
                status_callback_method,
            ),
            **values.status_callback(
                "recording_status_callback",
                recording_status_callback,
                recording_status_callback_event,
                recording_status_callback_event_type,
                recording_status_callback_method,
            ),
            "stream": nested.stream_device("stream_obj", stream_obj),
        }
        return self._core.command("calling.join_conference", values.merge_extra(params, extra, ADDRESS))

    def leave_conference(self, conference_id: str, *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Leave a conference (``calling.leave_conference``).

        Conference events that name no call are no longer delivered to this call.

        :param conference_id: id from the reply of :meth:`join_conference`, or from a :class:`ConferenceEvent`.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call or the conference has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"conference_id": values.text("conference_id", conference_id, optional=False)}
        return self._core.command("calling.leave_conference", values.merge_extra(params, extra, ADDRESS))

    def join_room(
        self, name: str, *, status_url: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Join a video room (``calling.join_room``). Progress arrives as :class:`RoomEvent`.

        :param name: name of the room.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "name": values.text("name", name, optional=False),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.join_room", values.merge_extra(params, extra, ADDRESS))

    def leave_room(self, *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Leave the video room (``calling.leave_room``).

        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended or is in no room.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.leave_room", values.merge_extra({}, extra, ADDRESS))

    def queue_enter(
        self,
        queue_name: str,
        *,
        control_id: str | None = None,
        wait_url: str | None = None,
        wait_time: int | None = None,
        whisper_url: str | None = None,
        execute_after_queue: str | None = None,
        status_url: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> QueueAction:
        """Put the call in a waiting queue (``calling.queue.enter``).

        :param queue_name: name of the queue.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param wait_url: http(s) URL of the audio to play while the call waits.
        :param wait_time: maximum waiting time in whole seconds, at least 1.
        :param whisper_url: http(s) URL of the audio that the answering party hears first.
        :param execute_after_queue: what the call continues with after the queue.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action. It ends when the call is dequeued or leaves; ``stop()`` leaves the queue. You can also index
            it like the server's reply, which the official SDK returns here.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "queue_name": values.text("queue_name", queue_name, optional=False),
            "wait_url": values.http_url("wait_url", wait_url),
            "wait_time": values.whole("wait_time", wait_time, low=1),
            "whisper_url": values.http_url("whisper_url", whisper_url),
            "execute_after_queue": values.text("execute_after_queue", execute_after_queue),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.start(
            QueueAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )

    def queue_leave(
        self,
        queue_name: str,
        *,
        control_id: str | None = None,
        queue_id: str | None = None,
        status_url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Take the call out of a waiting queue (``calling.queue.leave``).

        :param queue_name: name of the queue.
        :param control_id: control id that the call entered the queue with; defaults to that of the call's running action in this
            queue.
        :param queue_id: id of the queue, if known.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call is no longer in that queue.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        name = values.text("queue_name", queue_name, optional=False) or ""
        params = {
            "control_id": values.text("control_id", control_id) or self._queued_as(name) or new_id(),
            "queue_name": name,
            "queue_id": values.text("queue_id", queue_id),
            "status_url": values.http_url("status_url", status_url),
        }
        try:
            return self._core.command("calling.queue.leave", values.merge_extra(params, extra, ADDRESS))
        except CommandRefused as error:
            if not is_gone(error):
                raise
            return {}  # the call has ended, or left the queue

    def _queued_as(self, queue_name: str) -> str | None:
        for action in self._core.running(QueueAction):
            if action.queue_name == queue_name:
                return action.control_id
        return None
