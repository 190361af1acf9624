"""A call that another process owns, and what can be asked of it over HTTP.

The commands are the documented ones of ``POST /api/calling/calls``; names, parameters and checks are those of the verbs of
:class:`relay_sync.Call`. Differences: an action that is started comes without events, so there is nothing to wait for; a
call that is gone is told by :class:`~relay_sync.CommandRefused` (404), for nobody else would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from ..errors import InvalidParameter
from ..params import nested, values
from .media import ControlIds, MediaCommands, RemoteAction
from .replies import CallInfo

__all__ = ["RemoteAction", "RemoteCall"]

#: End reasons of the REST description; the others of RELAY pass as well.
EndReason = Literal["hangup", "cancel", "busy", "noAnswer", "decline", "error", "abandoned", "maxDuration", "notFound"]
_REASONS: Final = ("hangup", "cancel", "busy", "noAnswer", "decline", "error", "abandoned", "maxDuration", "notFound")
_ADDRESS: Final = ("node_id", "call_id", "control_id")

Send = Callable[..., CallInfo]


@frozen(eq=False)
class RemoteCall(MediaCommands, ControlIds):
    """A call by its id: made by :meth:`RestClient.call`, which asks nobody, or by :meth:`RestClient.dial`.

    Every command raises :class:`~relay_sync.InvalidParameter` before anything is sent,
    :class:`~relay_sync.CommandRefused` where the server says no (404: the call or the action is not there),
    :class:`~relay_sync.ConnectError`, :class:`~relay_sync.ConnectionLost` (``sent``: it may have been carried out) and
    :class:`~relay_sync.RequestTimeout`, and returns the platform's record of the call.

    :ivar call_id: its id. :ivar info: what the platform said about it when it was dialled; ``None`` otherwise.
    """

    call_id: str
    _send: Send = field(repr=False)
    info: CallInfo | None = field(default=None, repr=False)

    def _command(
        self,
        command: str,
        params: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        *,
        repeatable: bool = False,
    ) -> CallInfo:
        merged = values.merge_extra(dict(params or {}), extra, _ADDRESS)
        return self._send(command, merged, call_id=self.call_id, repeatable=repeatable)

    # -- the call as a whole -------------------------------------------------------------------------------------------

    def hangup(self, reason: EndReason | str = "hangup") -> CallInfo:
        """End the call (``calling.end``)."""
        return self._command("calling.end", {"reason": values.choice("reason", reason, _REASONS) or "hangup"})

    def transfer(self, dest: str | Mapping[str, Any], *, extra: Mapping[str, Any] | None = None) -> CallInfo:
        """Hand the call over to another application (``calling.transfer``).

        :param dest: a URL, a SWML document as text or object, or ``context:<name>``.
        """
        return self._command("calling.transfer", {"dest": nested.destination("dest", dest)}, extra)

    def disconnect(self, *, reason: str | None = None, extra: Mapping[str, Any] | None = None) -> CallInfo:
        """Break a bridge; both legs live on (``calling.disconnect``)."""
        return self._command("calling.disconnect", {"reason": values.text("reason", reason)}, extra)

    def refer(
        self, device: Mapping[str, Any], *, status_url: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> CallInfo:
        """Send a SIP call elsewhere by SIP REFER (``calling.refer``).

        :param device: a SIP device, as ``devices.sip`` builds it. :param status_url: http(s) URL that is told of the states.
        """
        params = {
            "device": nested.refer_device("device", device),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._command("calling.refer", params, extra)

    def update(
        self,
        *,
        url: str | None = None,
        swml: str | Mapping[str, Any] | None = None,
        fallback_url: str | None = None,
        status: Literal["canceled", "completed"] | str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> CallInfo:
        """Give the call another document to go on with, or end it (``update``). RELAY has no such command.

        :param url: http(s) URL of the document; else :param swml: the document, as text or object. One of them is needed
            unless there is a :param status: ``canceled`` for a call that is not connected yet, ``completed`` for one that is.
        :param fallback_url: where to look if ``url`` fails.
        """
        given = sum(value is not None for value in (url, swml))
        if given > 1 or (given == 0 and status is None):
            accepted = "given, or swml, but not both (or status)"
            raise InvalidParameter("url", url, accepted, secret=values.may_hold_secrets(url))
        params = {
            "id": self.call_id,
            "url": values.http_url("url", url),
            "swml": None if swml is None else nested.destination("swml", swml),
            "fallback_url": values.http_url("fallback_url", fallback_url),
            "status": values.choice("status", status, ("canceled", "completed")),
        }
        merged = values.merge_extra(params, extra, _ADDRESS)
        return self._send("update", merged, call_id=self.call_id, repeatable=False)

    def user_event(
        self, *, event: Mapping[str, Any] | str | None = None, extra: Mapping[str, Any] | None = None
    ) -> CallInfo:
        """Tell everybody who listens to this call something of one's own (``calling.user_event``)."""
        return self._command("calling.user_event", {"event": nested.own_event("event", event)}, extra)

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
        status_callback_event_type: str | None = None,
        status_callback_method: str | None = None,
        recording_status_callback: str | None = None,
        recording_status_callback_event: str | None = None,
        recording_status_callback_event_type: str | None = None,
        recording_status_callback_method: str | None = None,
        stream_obj: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> CallInfo:
        """Put the call into an audio conference (``calling.join_conference``). Parameters as for ``Call.join_conference``."""
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
            "stream": nested.stream_device("stream_obj", stream_obj),
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
        }
        return self._command("calling.join_conference", params, extra)

    # -- AI ------------------------------------------------------------------------------------------------------------

    def ai_message(
        self,
        *,
        message_text: str | None = None,
        role: Literal["system", "user", "assistant"] | str | None = None,
        reset: Mapping[str, Any] | None = None,
        global_data: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> CallInfo:
        """Say something to the AI agent on the call (``calling.ai_message``). Parameters as for ``Call.ai_message``."""
        params = {
            "message_text": values.text("message_text", message_text),
            "role": values.choice("role", role, ("system", "user", "assistant")),
            "reset": nested.reset("reset", reset),
            "global_data": values.json_object("global_data", global_data),
        }
        return self._command("calling.ai_message", params, extra)

    def ai_hold(
        self, *, timeout: str | int | None = None, prompt: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> CallInfo:
        """Let the agent pause (``calling.ai_hold``).

        :param timeout: whole seconds until it goes on by itself. :param prompt: what it says before.
        """
        params = {"timeout": values.decimal("timeout", timeout), "prompt": values.text("prompt", prompt)}
        return self._command("calling.ai_hold", params, extra)

    def ai_unhold(self, *, prompt: str | None = None, extra: Mapping[str, Any] | None = None) -> CallInfo:
        """Let the agent go on (``calling.ai_unhold``).

        :param prompt: what it says first.
        """
        return self._command("calling.ai_unhold", {"prompt": values.text("prompt", prompt)}, extra)
