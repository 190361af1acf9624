"""Call methods for conferences, video rooms and queues."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ... import events
from ...errors import CommandRefused
from ...params import nested, values
from ...protocol.ids import new_id
from ...protocol.results import is_gone
from ..actions import QueueAction
from .base import ADDRESS, Verbs

__all__ = ["ConferenceVerbs"]

Method = Literal["GET", "POST"]
EventType = Literal["relay", "cxml", "laml"]


class ConferenceVerbs(Verbs):
    """Methods that join and leave conferences, video rooms and queues."""

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
        """Join an audio conference (``calling.join_conference``).

        If there is no conference with this name, the platform creates it. To receive :class:`ConferenceEvent`, set
        ``status_callback_event_type`` to ``relay`` and list the events in ``status_callback_event``.

        :param name: name of the conference.
        :param muted: whether this call joins muted.
        :param beep: when to play a beep: ``true``, ``false``, ``onEnter`` or ``onExit``.
        :param start_on_enter: whether the conference starts when this call joins.
        :param end_on_exit: whether the conference ends when this call leaves.
        :param wait_url: HTTP or HTTPS URL of the audio to play until the conference starts.
        :param max_participants: maximum number of participants, from 1 to 250.
        :param record: recording mode: ``do-not-record`` or ``record-from-start``.
        :param region: region in which the conference is hosted: ``global``, ``us``, ``eu`` or ``ch``.
        :param trim: silence trimming for the recording: ``trim-silence`` or ``do-not-trim``.
        :param coach: ID of the call to coach. No other participant hears this call.
        :param acl: access control for the conference's records: ``private`` or ``public-read``.
        :param emit_call_quality: whether call quality statistics are reported.
        :param status_callback: HTTP or HTTPS URL that receives conference events.
        :param status_callback_event: names of the conference events to report, separated by spaces.
        :param status_callback_event_type: format of the conference events: ``relay``, ``cxml`` or ``laml``.
        :param status_callback_method: HTTP method of the conference callbacks: ``GET`` or ``POST``.
        :param recording_status_callback: HTTP or HTTPS URL that receives recording events.
        :param recording_status_callback_event: names of the recording events to report, separated by spaces.
        :param recording_status_callback_event_type: format of the recording events: ``relay``, ``cxml`` or ``laml``.
        :param recording_status_callback_method: HTTP method of the recording callbacks: ``GET`` or ``POST``.
        :param stream_obj: two-way audio stream to connect to the conference: ``devices.stream(...)``, or the ``params`` of the
            device.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply, with the ``conference_id`` for :meth:`leave_conference`; ``{}`` if the call has already
            ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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

        The call then no longer receives events about the conference itself.

        :param conference_id: ID of the conference, from the :meth:`join_conference` reply or a :class:`ConferenceEvent`.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call or the conference has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"conference_id": values.text("conference_id", conference_id, optional=False)}
        return self._core.command("calling.leave_conference", values.merge_extra(params, extra, ADDRESS))

    def join_room(
        self, name: str, *, status_url: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Join a video room (``calling.join_room``).

        The platform reports progress with :class:`RoomEvent`.

        :param name: name of the room.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "name": values.text("name", name, optional=False),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.join_room", values.merge_extra(params, extra, ADDRESS))

    def leave_room(self, *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Leave the video room (``calling.leave_room``).

        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended or is not in a room.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
        on_completed: Callable[[events.QueueEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> QueueAction:
        """Put the call into a queue (``calling.queue.enter``).

        :param queue_name: name of the queue.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param wait_url: HTTP or HTTPS URL of the audio to play while the call waits.
        :param wait_time: maximum time in the queue, in whole seconds, at least 1.
        :param whisper_url: HTTP or HTTPS URL of the audio to play to the other party before the calls are connected.
        :param execute_after_queue: instructions for the call after it leaves the queue, sent to the platform unchanged.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. It ends when the call is dequeued or leaves the queue; ``stop()`` leaves the queue. The
            action can be indexed like the server's reply, for compatibility with the official SDK. If the call has already ended,
            the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
        """Remove the call from a queue (``calling.queue.leave``).

        :param queue_name: name of the queue.
        :param control_id: ID of the action that entered the queue; defaults to this queue's running action.
        :param queue_id: ID of the queue, if known.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended or left the queue.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
