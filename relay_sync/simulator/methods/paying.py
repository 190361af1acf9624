"""Card payments: ``calling.pay``. The simulator does not charge cards and never sends a request to the payment connector.

As documented, progress events contain the requested field (``for``) and the ``attempt`` number. After invalid input, they also
contain an ``error_type``. The last event contains the ``result``.

The following behavior is not documented by SignalWire and may differ on the real platform:

* The party is asked for the card number, expiration date, security code and postal code, in that order. The last two questions
  can be disabled.
* Each answer ends with ``#``. If the party does not answer, the attempt times out. The party can press ``*`` to cancel the
  payment. A test can prepare the answers with ``presses=["4111...", "1229", ...]``.
* A card number is valid if its check digit is correct. An expiration date has four digits and starts with a month. A security
  code has three or four digits.
* After ``max_attempts`` failed attempts, the result is ``too-many-failed-attempts``. The default is one attempt.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import define, field

from ..core.schemas import Findings
from .operation import NetworkOperation, control, start, stop
from .request import Handler

__all__ = ["HANDLERS", "Payment"]

PROCESSING = 1.0
TIMEOUT = 5.0
_TYPES = {"4": "visa", "5": "mastercard", "3": "amex", "6": "discover"}


def _is_card(digits: str) -> bool:
    """Return whether a card number has a valid length and Luhn check digit."""
    if not digits.isdigit() or not 12 <= len(digits) <= 19:
        return False
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + index % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_date(digits: str) -> bool:
    return len(digits) == 4 and digits.isdigit() and 1 <= int(digits[:2]) <= 12


# Validation function and error_type, by requested field.
_STEPS: dict[str, tuple[Any, str]] = {
    "payment-card-number": (_is_card, "invalid-card-number"),
    "expiration-date": (_is_date, "invalid-date"),
    "security-code": (lambda digits: digits.isdigit() and len(digits) in (3, 4), "invalid-security-code"),
    "postal-code": (str.isdigit, "invalid-postal-code"),
}


@define(eq=False, kw_only=True)
class Payment(NetworkOperation):
    """A card payment over the phone."""

    event_type = "calling.call.pay"
    failure: ClassVar[Mapping[str, Any]] = {"result": "internal-error"}
    _steps: list[str] = field(init=False)
    _given: dict[str, str] = field(factory=dict, init=False, repr=False)
    _typed: str = field(default="", init=False, repr=False)
    _attempt: int = field(default=1, init=False)

    def begin(self) -> None:
        given = self.params
        self._steps = ["payment-card-number", "expiration-date"]
        if given.get("security_code", "true") != "false":
            self._steps.append("security-code")
        if given.get("postal_code", "true") == "true":
            self._steps.append("postal-code")
        self._ask()

    def _ask(self, **more: Any) -> None:
        self._typed = ""
        self.send_event(**{"for": self._steps[0], "attempt": str(self._attempt), **more})
        self.await_party("timeout", float(self.params.get("timeout") or TIMEOUT), self._wrong, "timeout")
        self.ask_party(keys=True, words=False)

    def on_key(self, digit: str) -> None:
        if not self._steps:
            return
        if digit == "*":
            self.close(result="caller-interrupted-with-star")
        elif digit != "#":
            self._typed += digit
        else:
            self._answered()

    def _answered(self) -> None:
        self.cancel("timeout")
        step = self._steps[0]
        good, error = _STEPS[step]
        if not good(self._typed):
            self._wrong(error)
            return
        self._given[step] = self._typed
        self._steps.pop(0)
        self._attempt = 1
        if self._steps:
            self._ask()
        else:
            self.send_event(**{"for": "payment-processing"})
            self.after("processing", PROCESSING, self._paid)

    def _wrong(self, error: str) -> None:
        if self._attempt >= int(self.params.get("max_attempts") or 1):
            self.send_event(**{"for": self._steps[0], "attempt": str(self._attempt), "error_type": error})
            self.close(result="too-many-failed-attempts", payment_error=error)
            return
        self._attempt += 1
        self._ask(error_type=error)

    def on_silence(self) -> None:
        if self.cancel("timeout"):
            self._wrong("timeout")

    def _paid(self) -> None:
        card = self._given["payment-card-number"]
        members = {
            "payment_card_number": "x" * (len(card) - 4) + card[-4:],
            "payment_card_expiration_date": self._given["expiration-date"],
            "payment_card_security_code": "x" * len(self._given.get("security-code", "")),
            "payment_card_postal_code": self._given.get("postal-code", self.params.get("postal_code", "")),
        }
        self.close(
            result="success",
            payment_method="credit-card",
            payment_card_type=_TYPES.get(card[0], "maestro"),
            payment_confirmation_code=f"ch_{secrets.token_hex(4)}",
            payment_token=self.params.get("token_type", "reusable"),
            **{name: value for name, value in members.items() if value},
        )

    def finish(self, **members: Any) -> None:
        self.close(**{"result": "relay-pay-stop", **members})

    def call_ended(self) -> None:
        if self.world.settings.finish_streams:
            self.close(result="caller-hung-up")
        self.drop()


def _check(findings: Findings, params: Mapping[str, Any]) -> None:
    findings.look_at_all("pay.parameter", params.get("parameters"), "parameters")
    for index, prompt in enumerate(params.get("prompts", ())):
        where = f"prompts[{index}]"
        if findings.look("pay.prompt", prompt, where):
            findings.look_at_all("pay.action", prompt.get("actions"), f"{where}.actions")
            findings.look_at_media(prompt.get("play", ()), f"{where}.play")


HANDLERS: Mapping[str, Handler] = {
    "calling.pay": start(Payment, check=_check, only_one="A payment is already in progress"),
    "calling.pay.stop": control(Payment, stop),
}
