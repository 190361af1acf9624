"""Phone numbers, SIP addresses and sender names.

Numbers are dialed exactly as given. Numbers with dashes or parentheses are rejected, because they do not show which
digits to dial from abroad.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

__all__ = [
    "PHONE_NUMBER",
    "WITHHELD",
    "completed",
    "is_caller",
    "is_party",
    "is_phone_number",
    "is_sender",
    "is_sip_address",
    "without_marks",
]

#: Pattern of phone numbers. Numbers for WhatsApp messages have a prefix. The patterns are compiled when they are first used,
#: because compiling them takes longer than importing this module.
PHONE_NUMBER: Final = r"(?:whatsapp:)?(?:\+[0-9]{1,32}|[0-9*#]{1,32})"
_SIP_ADDRESS: Final = (
    r"(?i:(?:sips?:)?(?:[^\s@<>\"]+@)?(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:[;?][!-~]*)?)"
)
#: Words that replace a withheld number.
WITHHELD: Final = ("anonymous", "private", "restricted", "unavailable", "unknown", "withheld")


def without_marks(value: str) -> str:
    """Return a string without the invisible characters that are often copied along with a phone number.

    This removes direction and width marks anywhere in the string, and whitespace at both ends.
    """
    return "".join(sign for sign in value if unicodedata.category(sign) != "Cf").strip()


def is_phone_number(value: str) -> bool:
    """Return whether ``value`` is a phone number that can be dialed."""
    return re.fullmatch(PHONE_NUMBER, value) is not None


def is_sip_address(value: str) -> bool:
    """Return whether ``value`` is a SIP address. The ``sip:`` prefix is optional if the address contains a user."""
    if not value.isprintable() or not ("@" in value or value.lower().startswith(("sip:", "sips:"))):
        return False
    return re.fullmatch(_SIP_ADDRESS, value) is not None


def is_party(value: str) -> bool:
    """Return whether ``value`` is a phone number or a SIP address."""
    return is_phone_number(value) or is_sip_address(value)


def is_caller(value: str) -> bool:
    """Return whether ``value`` is a phone number, a SIP address, or a word for a withheld number such as ``anonymous``."""
    return is_party(value) or value.lower() in WITHHELD


def is_sender(value: str) -> bool:
    """Return whether ``value`` is a phone number or a message sender's name."""
    named = any(map(str.isalpha, value)) and all(sign.isalnum() or sign in " -_.&" for sign in value)
    return named or is_phone_number(value)


def completed(reported: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return a reported device, with missing values filled in from a known device of the same type."""
    if reported.get("type", known.get("type")) != known.get("type"):
        return reported
    device = {**known, **_filled(reported)}
    params, before = reported.get("params"), known.get("params")
    if isinstance(before, dict):
        device["params"] = {**before, **_filled(params)} if isinstance(params, dict) else before
    return device


def _filled(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value not in (None, "", {}, [])}
