"""Fax and payment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from ...params import nested, values
from ..actions import FaxAction, OnCompleted, PayAction, ReceiveFaxAction, SendFaxAction
from .base import ADDRESS, Verbs

__all__ = ["FaxPayVerbs"]

_ACCOUNTS: Final = ("consumer-checking", "consumer-savings", "commercial-checking")


def _yes_no(name: str, value: Any) -> str | None:
    """Return a boolean as text, which the wire requires; check a text."""
    return str(value).lower() if isinstance(value, bool) else values.text(name, value)


class FaxPayVerbs(Verbs):
    """``calling.send_fax``, ``calling.receive_fax``, ``calling.pay``."""

    def send_fax(
        self,
        document: str,
        *,
        identity: str | None = None,
        header_info: str | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> FaxAction:
        """Send a document as a fax (``calling.send_fax``).

        :param document: http(s) URL of a PDF file.
        :param identity: name of the sender, as announced to the receiving machine.
        :param header_info: text at the top of each page.
        :param status_url: http(s) URL that the platform notifies of each page and of the end.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action; when it has ended, ``success`` tells whether the fax was transmitted.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> FaxAction:
        """Receive a fax (``calling.receive_fax``).

        :param status_url: http(s) URL that the platform notifies of each page and of the end.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action; when it has ended, ``document`` is the URL of the received fax.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> PayAction:
        """Collect card data from the caller and pass it to a payment connector (``calling.pay``).

        The wire represents numbers as text; whole numbers are also accepted here.

        :param payment_connector_url: http(s) URL of the payment connector.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param input_method: ``dtmf`` or ``voice``.
        :param status_url: http(s) URL that the platform notifies of the payment's progress.
        :param payment_method: ``credit-card``.
        :param timeout: seconds to wait for the next digit.
        :param max_attempts: number of attempts per entry.
        :param security_code: whether to ask for the card's security code.
        :param postal_code: whether to ask for the postal code, or the postal code itself.
        :param min_postal_code_length: minimum number of characters of the postal code.
        :param token_type: ``one-time`` or ``reusable``.
        :param charge_amount: the amount to charge, such as ``"20.45"``.
        :param currency: currency of the amount, such as ``usd``.
        :param language: language of the prompts, such as ``en-US``.
        :param voice: voice of the prompts.
        :param say_voice: voice of spoken prompts.
        :param description: description of the payment.
        :param valid_card_types: accepted card types, separated by spaces.
        :param bank_account_type: ``consumer-checking``, ``consumer-savings`` or ``commercial-checking``.
        :param parameters: ``{"name": ..., "value": ...}`` objects for the payment connector.
        :param prompts: prompts that replace the platform's: ``{"for": ..., "actions": [{"type": ..., "phrase": ...}]}`` objects.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action. It ends with the first event that carries a result; ``success`` tells whether the payment was
            made.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
