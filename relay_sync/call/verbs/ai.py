"""Call methods for AI agents, sidecars and custom events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from ... import events
from ...params import nested, values
from ..actions import AIAction
from .base import ADDRESS, Verbs

__all__ = ["AIVerbs"]


class AIVerbs(Verbs):
    """Methods that start and control AI agents and sidecars."""

    def ai(
        self,
        *,
        control_id: str | None = None,
        agent: str | None = None,
        prompt: Mapping[str, Any] | None = None,
        post_prompt: Mapping[str, Any] | None = None,
        post_prompt_url: str | None = None,
        post_prompt_auth_user: str | None = None,
        post_prompt_auth_password: str | None = None,
        global_data: Mapping[str, Any] | None = None,
        pronounce: Iterable[Mapping[str, Any]] | None = None,
        hints: Iterable[Any] | None = None,
        languages: Iterable[Mapping[str, Any]] | None = None,
        SWAIG: Mapping[str, Any] | None = None,
        ai_params: Mapping[str, Any] | None = None,
        on_completed: Callable[[events.AIEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> AIAction:
        """Start an AI agent on the call (``calling.ai``).

        Mapping arguments have the same format as in SWML's ``ai`` method.

        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param agent: ID of an agent defined on the platform. Use it instead of ``prompt``.
        :param prompt: prompt for the agent, as in SWML.
        :param post_prompt: prompt for the agent after the conversation, such as a request for a summary, as in SWML.
        :param post_prompt_url: HTTP or HTTPS URL that receives the answer to ``post_prompt``.
        :param post_prompt_auth_user: user name for HTTP basic authentication with ``post_prompt_url``.
        :param post_prompt_auth_password: password for HTTP basic authentication with ``post_prompt_url``.
        :param global_data: data available to the agent during the session.
        :param pronounce: pronunciation rules, as a list of ``{"replace": ..., "with": ...}`` objects.
        :param hints: words and phrases that help the agent recognize speech.
        :param languages: languages that the agent speaks, as in SWML.
        :param SWAIG: functions that the agent may call, as in SWML.
        :param ai_params: agent settings. The wire name is ``params``.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. Its final state is ``finished``, unless it fails. If the call has already ended, the returned
            action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "agent": values.text("agent", agent),
            "prompt": values.json_object("prompt", prompt),
            "post_prompt": values.json_object("post_prompt", post_prompt),
            "post_prompt_url": values.http_url("post_prompt_url", post_prompt_url),
            "post_prompt_auth_user": values.secret("post_prompt_auth_user", post_prompt_auth_user),
            "post_prompt_auth_password": values.secret("post_prompt_auth_password", post_prompt_auth_password),
            "global_data": values.json_object("global_data", global_data),
            "pronounce": nested.objects("pronounce", pronounce),
            "hints": values.json_list("hints", hints),
            "languages": nested.objects("languages", languages),
            "SWAIG": values.json_object("SWAIG", SWAIG),
            "params": values.json_object("ai_params", ai_params),
        }
        return self._core.start(
            AIAction, values.merge_extra(params, extra, ADDRESS), control_id=control_id, on_completed=on_completed
        )

    def amazon_bedrock(
        self,
        *,
        prompt: Any | None = None,
        SWAIG: Mapping[str, Any] | None = None,
        ai_params: Mapping[str, Any] | None = None,
        global_data: Mapping[str, Any] | None = None,
        post_prompt: Mapping[str, Any] | None = None,
        post_prompt_url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Start an Amazon Bedrock agent on the call (``calling.amazon_bedrock``).

        This method does not return an action, because the command has no ``control_id``. The platform sends :class:`AIStopEvent`
        when the session ends.

        :param prompt: prompt for the agent, which may be any JSON value.
        :param SWAIG: functions that the agent may call, as in SWML.
        :param ai_params: agent settings. The wire name is ``params``.
        :param global_data: data available to the agent during the session.
        :param post_prompt: prompt for the agent after the conversation, such as a request for a summary, as in SWML.
        :param post_prompt_url: HTTP or HTTPS URL that receives the answer to ``post_prompt``.
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
            "prompt": values.json_value("prompt", prompt),
            "SWAIG": values.json_object("SWAIG", SWAIG),
            "params": values.json_object("ai_params", ai_params),
            "global_data": values.json_object("global_data", global_data),
            "post_prompt": values.json_object("post_prompt", post_prompt),
            "post_prompt_url": values.http_url("post_prompt_url", post_prompt_url),
        }
        return self._core.command("calling.amazon_bedrock", values.merge_extra(params, extra, ADDRESS))

    def ai_message(
        self,
        *,
        message_text: str | None = None,
        role: Literal["system", "user", "assistant"] | str | None = None,
        reset: Mapping[str, Any] | None = None,
        global_data: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Send a message to the AI agent (``calling.ai_message``). The caller does not hear it.

        :param message_text: text of the message.
        :param role: author's role: ``system``, ``user`` or ``assistant``.
        :param reset: parts of the conversation to reset: a mapping with ``full_reset`` (a boolean), ``system_prompt`` and
            ``user_prompt`` (strings).
        :param global_data: data to add to the agent's session.
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
            "message_text": values.text("message_text", message_text),
            "role": values.choice("role", role, ("system", "user", "assistant")),
            "reset": nested.reset("reset", reset),
            "global_data": values.json_object("global_data", global_data),
        }
        return self._core.command("calling.ai_message", values.merge_extra(params, extra, ADDRESS))

    def ai_hold(
        self, *, timeout: str | int | None = None, prompt: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Put the AI agent on hold (``calling.ai_hold``).

        :param timeout: time until the agent resumes automatically, in whole seconds, as a number or string.
        :param prompt: text that the agent speaks before the hold.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"timeout": values.decimal("timeout", timeout), "prompt": values.text("prompt", prompt)}
        return self._core.command("calling.ai_hold", values.merge_extra(params, extra, ADDRESS))

    def ai_unhold(self, *, prompt: str | None = None, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Resume the AI agent (``calling.ai_unhold``).

        :param prompt: text that the agent speaks when it resumes.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"prompt": values.text("prompt", prompt)}
        return self._core.command("calling.ai_unhold", values.merge_extra(params, extra, ADDRESS))

    def ai_sidecar(
        self,
        lang: str,
        *,
        prompt: Mapping[str, Any] | None = None,
        model: str | None = None,
        direction: Iterable[Literal["remote-caller", "local-caller"] | str] | None = None,
        customer_role: Literal["remote-caller", "local-caller"] | str | None = None,
        hints: Iterable[Any] | None = None,
        global_data: Mapping[str, Any] | None = None,
        permissions: Mapping[str, Any] | None = None,
        action: Mapping[str, Any] | None = None,
        SWAIG: Mapping[str, Any] | None = None,
        ai_params: Mapping[str, Any] | None = None,
        url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Start an AI sidecar, which listens to the call without taking part in it (``calling.ai_sidecar``).

        The sidecar reports results with :class:`AISidecarEvent`.

        :param lang: language of the conversation, such as ``en-US``.
        :param prompt: prompt for the sidecar.
        :param model: name of the language model.
        :param direction: parties that the sidecar listens to: a list of ``remote-caller`` and ``local-caller``.
        :param customer_role: party that is the customer: ``remote-caller`` or ``local-caller``.
        :param hints: words and phrases that help the sidecar recognize speech.
        :param global_data: data available to the sidecar during the session.
        :param permissions: the sidecar's permissions, as in SWML.
        :param action: the sidecar's action, as in SWML.
        :param SWAIG: functions that the sidecar may call, as in SWML.
        :param ai_params: sidecar settings. The wire name is ``params``.
        :param url: HTTP or HTTPS URL that receives the sidecar's events.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        sides = ("remote-caller", "local-caller")
        params = {
            "lang": values.text("lang", lang, optional=False),
            "prompt": values.json_object("prompt", prompt),
            "model": values.text("model", model),
            "direction": values.choices("direction", direction, sides),
            "customer_role": values.choice("customer_role", customer_role, sides),
            "hints": values.json_list("hints", hints),
            "global_data": values.json_object("global_data", global_data),
            "permissions": values.json_object("permissions", permissions),
            "action": values.json_object("action", action),
            "SWAIG": values.json_object("SWAIG", SWAIG),
            "params": values.json_object("ai_params", ai_params),
            "url": values.http_url("url", url),
        }
        return self._core.command("calling.ai_sidecar", values.merge_extra(params, extra, ADDRESS))

    def ai_sidecar_ask(self, text: str) -> dict[str, Any]:
        """Ask the sidecar a question (``calling.ai_sidecar.ask``).

        :param text: question to ask.
        :return: the server's reply, with the same ``ask_id`` as the event that contains the answer; ``{}`` if the call has
            already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.ai_sidecar.ask", {"text": values.text("text", text, optional=False)})

    def ai_sidecar_poke(self, text: str) -> dict[str, Any]:
        """Send the sidecar a message (``calling.ai_sidecar.poke``).

        :param text: message to send.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.ai_sidecar.poke", {"text": values.text("text", text, optional=False)})

    def ai_sidecar_status(self) -> dict[str, Any]:
        """Return the sidecar's status (``calling.ai_sidecar.status``).

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.ai_sidecar.status")

    def ai_sidecar_stop(self) -> dict[str, Any]:
        """Stop the sidecar (``calling.ai_sidecar.stop``).

        :return: the server's reply; ``{}`` if the call or the sidecar has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.ai_sidecar.stop", idempotent=True)

    def user_event(
        self, *, event: Mapping[str, Any] | str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a custom event to the call's listeners (``calling.user_event``).

        :param event: event content: a mapping or a string. The platform's documentation is inconsistent about the type.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"event": nested.own_event("event", event)}
        return self._core.command("calling.user_event", values.merge_extra(params, extra, ADDRESS))
