"""AI agents on the call, and events of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ...params import nested, values
from ..actions import AIAction, OnCompleted
from .base import ADDRESS, Verbs

__all__ = ["AIVerbs"]


class AIVerbs(Verbs):
    """Agents (``calling.ai``, ``calling.amazon_bedrock``), observers (``calling.ai_sidecar``), and messages to them."""

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
        """Put an AI agent on the call (``calling.ai``). The objects are those of SWML's ``ai`` method.

        :param agent: id of an agent of the platform, instead of a prompt. :param prompt: what the agent is.
        :param post_prompt: what it answers at the end. :param post_prompt_url: where that is posted.
        :param post_prompt_auth_user: for HTTP basic authentication there. :param post_prompt_auth_password: likewise.
        :param global_data: data of the session. :param pronounce: ``{"replace", "with"}`` objects. :param hints: words to
            expect. :param languages: it speaks. :param SWAIG: functions it may call. :param ai_params: settings (``params`` on
            the wire). :param control_id: an id of your own. :param on_completed: called once with the terminal event.
        :return: an action that ends ``finished``, or with an error.
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
        """Put an Amazon Bedrock agent on the call (``calling.amazon_bedrock``). Parameters as for :meth:`ai`.

        It has no ``control_id`` on the wire, so there is no action: :class:`AIStopEvent` is its end.
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
        """Say something to the agent without the caller hearing it (``calling.ai_message``).

        :param message_text: what to say. :param role: in whose name.
        :param reset: ``full_reset``, ``system_prompt``, ``user_prompt``.
        :param global_data: data to add to the session's.
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
        """Let the agent pause (``calling.ai_hold``).

        :param timeout: whole seconds until it goes on by itself; text on the wire. :param prompt: what it says before.
        """
        params = {"timeout": values.decimal("timeout", timeout), "prompt": values.text("prompt", prompt)}
        return self._core.command("calling.ai_hold", values.merge_extra(params, extra, ADDRESS))

    def ai_unhold(self, *, prompt: str | None = None, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Let the agent go on (``calling.ai_unhold``).

        :param prompt: what it says first.
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
        """Have an AI listen beside the call (``calling.ai_sidecar``); it reports by :class:`AISidecarEvent`.

        :param lang: what is spoken, such as ``en-US``. :param direction: and :param customer_role: whom it hears, and who of
            them is the customer. :param url: http(s) URL that is told. The others as for :meth:`ai`.
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
        """Ask the observer something (``calling.ai_sidecar.ask``); the reply's ``ask_id`` is that of the answering event."""
        return self._core.command("calling.ai_sidecar.ask", {"text": values.text("text", text, optional=False)})

    def ai_sidecar_poke(self, text: str) -> dict[str, Any]:
        """Tell the observer something (``calling.ai_sidecar.poke``)."""
        return self._core.command("calling.ai_sidecar.poke", {"text": values.text("text", text, optional=False)})

    def ai_sidecar_status(self) -> dict[str, Any]:
        """How the observer is doing (``calling.ai_sidecar.status``): the server's reply says."""
        return self._core.command("calling.ai_sidecar.status")

    def ai_sidecar_stop(self) -> dict[str, Any]:
        """Send the observer away (``calling.ai_sidecar.stop``)."""
        return self._core.command("calling.ai_sidecar.stop", idempotent=True)

    def user_event(
        self, *, event: Mapping[str, Any] | str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Tell everybody who listens to this call something of one's own (``calling.user_event``).

        :param event: an object; sources disagree, so a text is taken too.
        """
        params = {"event": nested.own_event("event", event)}
        return self._core.command("calling.user_event", values.merge_extra(params, extra, ADDRESS))
