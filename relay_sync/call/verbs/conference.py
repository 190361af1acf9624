"""Where calls meet: conferences, rooms, queues."""

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
        """Put the call into an audio conference, which is made if there is none of that name.

        :class:`ConferenceEvent` is sent only where ``status_callback_event_type`` is ``relay`` and ``status_callback_event``
        names the events, separated by blanks.

        :param name: of the conference. :param muted: this call is heard by nobody. :param beep: when to beep.
        :param start_on_enter: the conference starts with this call. :param end_on_exit: and ends with it.
        :param wait_url: http(s) URL of what is heard before the start. :param max_participants: 1 to 250.
        :param record: whether to record it, :param trim: with or without silence at the ends. :param region: where it runs.
        :param coach: id of the call that alone hears this one. :param acl: who may see its records.
        :param emit_call_quality: report the quality of the line. :param status_callback: and
            :param recording_status_callback: http(s) URLs; the parameters behind them say which events go there, in which
            form, by which HTTP method. :param stream_obj: a two-way audio stream to the conference: ``devices.stream(...)`` or
            only its params. :param extra: parameters that this SDK does not know yet.
        :return: the server's reply, with the ``conference_id`` that :meth:`leave_conference` wants.
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
        """Take the call out of a conference (``calling.leave_conference``).

        Events of the conference that name no call do not reach this call any more.

        :param conference_id: from the reply of :meth:`join_conference` or from a :class:`ConferenceEvent`.
        """
        params = {"conference_id": values.text("conference_id", conference_id, optional=False)}
        return self._core.command("calling.leave_conference", values.merge_extra(params, extra, ADDRESS))

    def join_room(
        self, name: str, *, status_url: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Join a video room (``calling.join_room``); :class:`RoomEvent` tells what comes of it.

        :param status_url: http(s) URL that is told of it.
        """
        params = {
            "name": values.text("name", name, optional=False),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.join_room", values.merge_extra(params, extra, ADDRESS))

    def leave_room(self, *, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Leave the video room (``calling.leave_room``)."""
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
        """Put the call into a waiting queue (``calling.queue.enter``).

        :param wait_url: http(s) URL of what is heard meanwhile. :param wait_time: whole seconds at most, at least 1.
        :param whisper_url: what whoever takes the call hears first. :param execute_after_queue: what the call goes on with.
        :param status_url: http(s) URL that is told of the queue's states. :param control_id: an id of your own.
        :param on_completed: called once with the terminal event.
        :return: an action that ends when somebody takes the call, or it leaves; ``stop()`` leaves. It can also be read like
            the server's reply, which is what the official SDK returns here.
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

        :param control_id: the one it was put in with; left out, that of the call's own action in this queue.
        :param queue_id: the queue's id, where it is known. :param status_url: http(s) URL that is told of it.
        :return: the server's reply; empty where the call is not in that queue any more.
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
            return {}  # the call, or its place in the queue

    def _queued_as(self, queue_name: str) -> str | None:
        for action in self._core.running(QueueAction):
            if action.queue_name == queue_name:
                return action.control_id
        return None
