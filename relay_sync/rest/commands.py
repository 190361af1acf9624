"""Control a call over HTTP. The call may belong to another process.

The commands are documented for ``POST /api/calling/calls``. They have the same names, parameters and checks as
:class:`relay_sync.Call` methods, with two differences. Actions receive no events, so a program cannot wait for them. If the call
has ended, a command raises :class:`relay_sync.CommandRefused` with code 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, get_args

from attrs import field, frozen

from ..constants import CallEndReason
from ..errors import InvalidParameter
from ..params import nested, values
from .media import ControlIds, MediaCommands, RemoteAction
from .replies import CallInfo

__all__ = ["RemoteAction", "RemoteCall"]

#: The reasons that a client may give for ending a call.
_REASONS: Final = get_args(CallEndReason)
_ADDRESS: Final = ("node_id", "call_id", "control_id")

Send = Callable[..., CallInfo]


@frozen(eq=False)
class RemoteCall(MediaCommands, ControlIds):
    """A call that is controlled over HTTP. Returned by :meth:`RestClient.call` and :meth:`RestClient.dial`.

    All commands may raise the exceptions listed below.

    :ivar call_id: ID of the call.
    :param send: function that sends a command. It is set by :class:`RestClient`.
    :ivar info: the platform's record of a call that was dialed, or ``None`` for a call from :meth:`RestClient.call`.
    :raises InvalidParameter: a value is invalid. Nothing was sent.
    :raises CommandRefused: the server rejected the command. The code is 404 if the call or the action does not exist.
    :raises ConnectError: no connection could be established. Nothing was sent.
    :raises ConnectionLost: the connection was lost before the reply arrived. The command may have been executed.
    :raises RequestTimeout: the server did not reply before the timeout. The command may have been executed.
    :raises ClientClosed: the :class:`RestClient` was closed.
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

    def hangup(self, reason: CallEndReason | str = "hangup") -> CallInfo:
        """End the call (``calling.end``).

        :param reason: reason to report: ``hangup``, ``busy``, ``decline``, ``cancel``, ``noAnswer``, ``error``,
            ``abandoned``, ``maxDuration`` or ``notFound``. Use ``busy`` or ``decline`` to reject a call.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        return self._command("calling.end", {"reason": values.choice("reason", reason, _REASONS) or "hangup"})

    def transfer(self, dest: str | Mapping[str, Any], *, extra: Mapping[str, Any] | None = None) -> CallInfo:
        """Transfer control of the call to another application (``calling.transfer``).

        :param dest: a URL, a SWML document as a string or a mapping, or ``context:<name>``.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        return self._command("calling.transfer", {"dest": nested.destination("dest", dest)}, extra)

    def disconnect(self, *, reason: str | None = None, extra: Mapping[str, Any] | None = None) -> CallInfo:
        """Disconnect the call from the other leg that it is connected to (``calling.disconnect``). Both legs stay up.

        :param reason: free-text reason.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        return self._command("calling.disconnect", {"reason": values.text("reason", reason)}, extra)

    def refer(
        self, device: Mapping[str, Any], *, status_url: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> CallInfo:
        """Transfer a SIP call with a SIP REFER request (``calling.refer``).

        :param device: SIP device to transfer to, as returned by ``devices.sip``.
        :param status_url: HTTP or HTTPS URL that the platform notifies of state changes.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
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
        """Replace the call's SWML document, or end the call (``update``). RELAY has no equivalent command.

        Pass either ``url`` or ``swml`` to replace the document, or ``status`` to end the call.

        :param url: HTTP or HTTPS URL of the new document.
        :param swml: new document, as a string or a mapping.
        :param fallback_url: HTTP or HTTPS URL to use if ``url`` fails.
        :param status: ``canceled`` to end a call that is not connected, or ``completed`` to end a connected call.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        given = sum(value is not None for value in (url, swml))
        if given > 1 or (given == 0 and status is None):
            accepted = "exactly one of url and swml, or only a status"
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
        """Send a custom event to the listeners of the call (``calling.user_event``).

        :param event: content of the event. SignalWire's documentation is inconsistent: it may be a mapping or a string.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
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
        """Add the call to an audio conference (``calling.join_conference``). The platform creates the conference if necessary.

        :param name: name of the conference.
        :param muted: whether the call is muted when it joins.
        :param beep: when to play a beep: ``true``, ``false``, ``onEnter`` or ``onExit``.
        :param start_on_enter: whether the conference starts when this call joins.
        :param end_on_exit: whether the conference ends when this call leaves.
        :param wait_url: HTTP or HTTPS URL of audio to play before the conference starts.
        :param max_participants: maximum number of participants, from 1 to 250.
        :param record: whether to record the conference: ``do-not-record`` or ``record-from-start``.
        :param region: region that hosts the conference: ``global``, ``us``, ``eu`` or ``ch``.
        :param trim: whether to trim silence at the start and end of the recording: ``trim-silence`` or ``do-not-trim``.
        :param coach: ID of the call to coach. Only that call hears the audio of this call.
        :param acl: access to the records of the conference: ``private`` or ``public-read``.
        :param emit_call_quality: whether to report the call quality.
        :param status_callback: HTTP or HTTPS URL that the platform notifies of conference events.
        :param status_callback_event: names of the conference events to report, separated by spaces.
        :param status_callback_event_type: format of the conference events: ``relay``, ``cxml`` or ``laml``.
        :param status_callback_method: HTTP method of the conference notifications: ``GET`` or ``POST``.
        :param recording_status_callback: HTTP or HTTPS URL that the platform notifies of recording events.
        :param recording_status_callback_event: names of the recording events to report, separated by spaces.
        :param recording_status_callback_event_type: format of the recording events: ``relay``, ``cxml`` or ``laml``.
        :param recording_status_callback_method: HTTP method of the recording notifications: ``GET`` or ``POST``.
        :param stream_obj: bidirectional audio stream to connect to the conference, as returned by ``devices.stream(...)`` or as
            the ``params`` of such a device.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
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
        """Send a text message to the AI agent (``calling.ai_message``). The caller does not hear it.

        :param message_text: text of the message.
        :param role: role of the author: ``system``, ``user`` or ``assistant``.
        :param reset: mapping that resets parts of the conversation, with ``full_reset`` (a boolean), ``system_prompt`` and
            ``user_prompt`` (strings).
        :param global_data: data to add to the agent's session.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
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
        """Put the AI agent on hold (``calling.ai_hold``).

        :param timeout: time after which the agent resumes automatically, in whole seconds, as a number or a string.
        :param prompt: text that the agent speaks before it is put on hold.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        params = {"timeout": values.decimal("timeout", timeout), "prompt": values.text("prompt", prompt)}
        return self._command("calling.ai_hold", params, extra)

    def ai_unhold(self, *, prompt: str | None = None, extra: Mapping[str, Any] | None = None) -> CallInfo:
        """Resume the AI agent (``calling.ai_unhold``).

        :param prompt: text that the agent speaks when it resumes.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        return self._command("calling.ai_unhold", {"prompt": values.text("prompt", prompt)}, extra)
