"""Who calls and who is called: what reads as a telephone number, as a SIP address, as the name of a sender. Pure.

Digits are taken as they are dialed. The dashes and brackets of a number on paper do not say which digits count abroad, so a
number with any is none.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

__all__ = ["completed", "is_caller", "is_party", "is_phone_number", "is_sender", "is_sip_address", "without_marks"]

# WhatsApp messages have a prefix.
# Compiled at their first use: at the import that would take longer than the import itself.
_PHONE_NUMBER: Final = r"(?:whatsapp:)?(?:\+[0-9]{1,32}|[0-9*#]{1,32})"
_SIP_ADDRESS: Final = (
    r"(?i:(?:sips?:)?(?:[^\s@<>\"]+@)?(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[;?][!-~]*)?)"
)
#: What is shown instead of a number that the caller withholds.
_WITHHELD: Final = frozenset({"anonymous", "private", "restricted", "unavailable", "unknown", "withheld"})


def without_marks(value: str) -> str:
    """A text without what a copied number brings along unseen: marks of direction and width anywhere, blanks and line breaks
    at its ends."""
    return "".join(sign for sign in value if unicodedata.category(sign) != "Cf").strip()


def is_phone_number(value: str) -> bool:
    """Whether a text is a telephone number, ready to be dialed."""
    return re.fullmatch(_PHONE_NUMBER, value) is not None


def is_sip_address(value: str) -> bool:
    """Whether a text is a SIP address; ``sip:`` may be left out where there is a user."""
    if not value.isprintable() or not ("@" in value or value.lower().startswith(("sip:", "sips:"))):
        return False
    return re.fullmatch(_SIP_ADDRESS, value) is not None


def is_party(value: str) -> bool:
    """Whether a text is a telephone number or a SIP address."""
    return is_phone_number(value) or is_sip_address(value)


def is_caller(value: str) -> bool:
    """Whether a text tells who calls in: a party, or the word for a withheld number, such as ``anonymous``."""
    return is_party(value) or value.lower() in _WITHHELD


def is_sender(value: str) -> bool:
    """Whether a text tells who a message is from: a telephone number, or a name."""
    named = any(map(str.isalpha, value)) and all(sign.isalnum() or sign in " -_.&" for sign in value)
    return named or is_phone_number(value)


def completed(told: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """A device as it was told, with what was known before of the same kind of device where that is left out or empty."""
    if told.get("type", known.get("type")) != known.get("type"):
        return told
    device = {**known, **_filled(told)}
    params, before = told.get("params"), known.get("params")
    if isinstance(before, dict):
        device["params"] = {**before, **_filled(params)} if isinstance(params, dict) else before
    return device


def _filled(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", {}, [])}
