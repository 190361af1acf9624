"""Call methods for faxes and payments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from ... import events
from ...params import nested, values
from ..actions import FaxAction, PayAction, ReceiveFaxAction, SendFaxAction
from .base import ADDRESS, Verbs

__all__ = ["FaxPayVerbs"]

_ACCOUNTS: Final = ("consumer-checking", "consumer-savings", "commercial-checking")


def _yes_no(name: str, value: Any) -> str | None:
    """Convert a boolean to ``"true"`` or ``"false"``, as the server expects. Validate any other value as a string."""
    return str(value).lower() if isinstance(value, bool) else values.text(name, value)


class FaxPayVerbs(Verbs):
    """Methods that send and receive faxes, and collect payments."""

    def send_fax(
        self,
        document: str,
        *,
        identity: str | None = None,
        header_info: str | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: Callable[[events.FaxEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> FaxAction:
        """Send a document as a fax (``calling.send_fax``).

        :param document: HTTP or HTTPS URL of a PDF file.
        :param identity: name of the sender, shown to the receiving fax machine.
        :param header_info: text at the top of each page.
        :param status_url: HTTP or HTTPS URL that receives a status callback for each page and when the fax ends.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. Once the action has ended, ``success`` indicates whether the fax was transmitted. If the call
            has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "document": values.http_url("document", document, optional=False),
            "identity": values.text("identity", identity),
            "header_info": values.text("header_info", header_info),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.start(
            SendFaxAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )

    def receive_fax(
        self,
        *,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: Callable[[events.FaxEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> FaxAction:
        """Receive a fax (``calling.receive_fax``).

        :param status_url: HTTP or HTTPS URL that receives a status callback for each page and when the fax ends.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. Once the action has ended, ``document`` is the URL of the received fax. If the call has
            already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"status_url": values.http_url("status_url", status_url)}
        return self._core.start(
            ReceiveFaxAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )

    def pay(
        self,
        payment_connector_url: str,
        *,
        control_id: str | None = None,
        input_method: Literal["dtmf", "voice"] | str | None = None,
        status_url: str | None = None,
        payment_method: Literal["credit-card"] | str | None = None,
        timeout: str | int | None = None,
        max_attempts: str | int | None = None,
        security_code: str | bool | None = None,
        postal_code: str | bool | None = None,
        min_postal_code_length: str | int | None = None,
        token_type: Literal["one-time", "reusable"] | str | None = None,
        charge_amount: str | None = None,
        currency: str | None = None,
        language: str | None = None,
        voice: str | None = None,
        say_voice: str | None = None,
        description: str | None = None,
        valid_card_types: str | None = None,
        bank_account_type: Literal["consumer-checking", "consumer-savings", "commercial-checking"] | str | None = None,
        parameters: Iterable[Mapping[str, Any]] | None = None,
        prompts: Iterable[Mapping[str, Any]] | None = None,
        on_completed: Callable[[events.PayEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> PayAction:
        """Collect payment details from the caller and send them to a payment connector (``calling.pay``).

        The server expects numbers as strings. This method also accepts whole numbers.

        :param payment_connector_url: HTTP or HTTPS URL of the payment connector.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param input_method: how the caller enters the details: ``dtmf`` or ``voice``.
        :param status_url: HTTP or HTTPS URL that receives payment progress callbacks.
        :param payment_method: payment method. Only ``credit-card`` is documented.
        :param timeout: maximum time to wait for the next digit, in seconds.
        :param max_attempts: maximum number of attempts for each input.
        :param security_code: whether to ask for the card's security code.
        :param postal_code: whether to ask for the postal code, or the postal code itself if it is already known.
        :param min_postal_code_length: minimum length of the postal code.
        :param token_type: payment token type: ``one-time`` or ``reusable``.
        :param charge_amount: amount to charge, such as ``"20.45"``.
        :param currency: currency of the amount, such as ``usd``.
        :param language: language of the prompts, such as ``en-US``.
        :param voice: voice of the prompts, such as ``woman``.
        :param say_voice: text-to-speech voice for ``Say`` prompts, such as ``en-US-News-K``.
        :param description: description of the payment.
        :param valid_card_types: accepted card types, separated by spaces.
        :param bank_account_type: ``consumer-checking``, ``consumer-savings`` or ``commercial-checking``.
        :param parameters: parameters for the payment connector, as a list of ``{"name": ..., "value": ...}`` objects.
        :param prompts: custom prompts, as a list of ``{"for": ..., "actions": [{"type": ..., "phrase": ...}]}`` objects.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. It ends with the first event that has a result. ``success`` indicates whether the payment
            succeeded. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "payment_connector_url": values.http_url("payment_connector_url", payment_connector_url, optional=False),
            "input": values.choice("input_method", input_method, ("dtmf", "voice")),
            "status_url": values.http_url("status_url", status_url),
            "payment_method": values.text("payment_method", payment_method),
            "timeout": values.decimal("timeout", timeout),
            "max_attempts": values.decimal("max_attempts", max_attempts),
            "security_code": _yes_no("security_code", security_code),
            "postal_code": _yes_no("postal_code", postal_code),
            "min_postal_code_length": values.decimal("min_postal_code_length", min_postal_code_length),
            "token_type": values.choice("token_type", token_type, ("one-time", "reusable")),
            "charge_amount": values.text("charge_amount", charge_amount),
            "currency": values.text("currency", currency),
            "language": values.text("language", language),
            "voice": values.text("voice", voice),
            "say_voice": values.text("say_voice", say_voice),
            "description": values.text("description", description),
            "valid_card_types": values.text("valid_card_types", valid_card_types),
            "bank_account_type": values.choice("bank_account_type", bank_account_type, _ACCOUNTS),
            "parameters": nested.pay_parameters("parameters", parameters),
            "prompts": nested.pay_prompts("prompts", prompts),
        }
        return self._core.start(
            PayAction, values.merge_extra(params, extra, ADDRESS), control_id=control_id, on_completed=on_completed
        )
