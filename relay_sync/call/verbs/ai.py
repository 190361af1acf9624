"""AI agents on the call, and custom events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ...params import nested, values
from ..actions import AIAction, OnCompleted
from .base import ADDRESS, Verbs

__all__ = ["AIVerbs"]


class AIVerbs(Verbs):
    """AI agents (``calling.ai``, ``calling.amazon_bedrock``), sidecars (``calling.ai_sidecar``), and messages to them."""

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
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> AIAction:
        """Start an AI agent on the call (``calling.ai``). Parameters that are objects have the form of SWML's ``ai`` method.

        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param agent: id of an agent defined on the platform, instead of ``prompt``.
        :param prompt: prompt that defines the agent, as in SWML.
        :param post_prompt: prompt that the agent answers after the conversation, as in SWML.
        :param post_prompt_url: http(s) URL that receives the answer to ``post_prompt``.
        :param post_prompt_auth_user: user name for HTTP basic authentication at ``post_prompt_url``.
        :param post_prompt_auth_password: password for HTTP basic authentication at ``post_prompt_url``.
        :param global_data: data available to the agent during the session.
        :param pronounce: ``{"replace": ..., "with": ...}`` objects that correct the pronunciation.
        :param hints: words that the agent should expect to hear.
        :param languages: objects that describe the agent's languages, as in SWML.
        :param SWAIG: functions that the agent may call, as in SWML.
        :param ai_params: settings of the agent; sent as ``params``.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action. It ends as ``finished`` or with an error.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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

        The command has no ``control_id``, so this returns no action: :class:`AIStopEvent` marks the end.

        :param prompt: prompt that defines the agent; any JSON value.
        :param SWAIG: functions that the agent may call, as in SWML.
        :param ai_params: settings of the agent; sent as ``params``.
        :param global_data: data available to the agent during the session.
        :param post_prompt: prompt that the agent answers after the conversation, as in SWML.
        :param post_prompt_url: http(s) URL that receives the answer to ``post_prompt``.
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
        """Send the AI agent a message, which the caller does not hear (``calling.ai_message``).

        :param message_text: text of the message.
        :param role: role of the message's author: ``system``, ``user`` or ``assistant``.
        :param reset: what the agent forgets: a mapping with ``full_reset`` (a boolean), ``system_prompt`` and ``user_prompt``
            (texts).
        :param global_data: data to add to the agent's session.
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

        :param timeout: whole seconds after which the agent resumes automatically, as a number or text.
        :param prompt: text that the agent speaks before it is put on hold.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"timeout": values.decimal("timeout", timeout), "prompt": values.text("prompt", prompt)}
        return self._core.command("calling.ai_hold", values.merge_extra(params, extra, ADDRESS))

    def ai_unhold(self, *, prompt: str | None = None, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Resume the AI agent (``calling.ai_unhold``).

        :param prompt: text that the agent speaks first.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
        """Start an AI that listens to the call (``calling.ai_sidecar``). It reports with :class:`AISidecarEvent`.

        :param lang: language of the conversation, such as ``en-US``.
        :param prompt: prompt that defines the sidecar.
        :param model: name of the language model.
        :param direction: the parties it listens to: a list of ``remote-caller`` and ``local-caller``.
        :param customer_role: which party is the customer: ``remote-caller`` or ``local-caller``.
        :param hints: words that the sidecar should expect to hear.
        :param global_data: data available to the sidecar during the session.
        :param permissions: object that describes the sidecar's permissions, as in SWML.
        :param action: object that describes the sidecar's action, as in SWML.
        :param SWAIG: functions that the sidecar may call, as in SWML.
        :param ai_params: settings of the sidecar; sent as ``params``.
        :param url: http(s) URL that the platform notifies of the sidecar's events.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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

        :param text: the question.
        :return: the server's reply; its ``ask_id`` is also in the event that answers. ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.ai_sidecar.ask", {"text": values.text("text", text, optional=False)})

    def ai_sidecar_poke(self, text: str) -> dict[str, Any]:
        """Send the sidecar a message (``calling.ai_sidecar.poke``).

        :param text: the message.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.ai_sidecar.poke", {"text": values.text("text", text, optional=False)})

    def ai_sidecar_status(self) -> dict[str, Any]:
        """Return the status of the sidecar (``calling.ai_sidecar.status``).

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.ai_sidecar.status")

    def ai_sidecar_stop(self) -> dict[str, Any]:
        """Stop the sidecar (``calling.ai_sidecar.stop``).

        :return: the server's reply; ``{}`` if the call or the sidecar has already ended.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.ai_sidecar.stop", idempotent=True)

    def user_event(
        self, *, event: Mapping[str, Any] | str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a custom event to the call's listeners (``calling.user_event``).

        :param event: content of the event: a mapping or text (the vendor documents it inconsistently).
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"event": nested.own_event("event", event)}
        return self._core.command("calling.user_event", values.merge_extra(params, extra, ADDRESS))
