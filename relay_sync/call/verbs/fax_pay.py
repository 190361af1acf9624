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
    """``True``, ``False`` or a text: the wire wants text."""
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

        :param document: http(s) URL of a PDF. :param identity: how we name ourselves to the other machine.
        :param header_info: text at the head of each page. :param status_url: http(s) URL that is told of pages and the end.
        :param control_id: an id of your own, not in use on this call. :param on_completed: called once with the terminal
            event. :param extra: parameters that this SDK does not know yet.
        :return: an action; when it has ended, ``success`` says whether the fax went through.
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
        """Receive a fax (``calling.receive_fax``). Parameters as for :meth:`send_fax`.

        :return: an action; when it has ended, ``document`` is the URL of what was received.
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
        """Take card data from the caller and hand it to a payment connector (``calling.pay``).

        Numbers are text on the wire; whole numbers are taken as well.

        :param payment_connector_url: http(s) URL of the connector. :param input_method: ``dtmf`` or ``voice``.
        :param status_url: http(s) URL that is told of progress. :param payment_method: ``credit-card``.
        :param timeout: seconds for the next key. :param max_attempts: tries per entry.
        :param security_code: and :param postal_code: whether to ask for them; the latter may be the code itself.
        :param min_postal_code_length: characters. :param token_type: ``one-time`` or ``reusable``.
        :param charge_amount: such as ``"20.45"``; :param currency: such as ``usd``. :param language: and :param voice: and
            :param say_voice: of the prompts. :param description: of the payment. :param valid_card_types: separated by blanks.
        :param bank_account_type: for bank accounts. :param parameters: ``{"name", "value"}`` objects for the connector.
        :param prompts: what to say instead of the platform's prompts: ``{"for": ..., "actions": [...]}``.
        :return: an action that ends with the event that has a result; ``success`` says whether it is a good one.
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
