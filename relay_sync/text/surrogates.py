"""Lone surrogates. JSON's escapes can write half of a surrogate pair (``"\\ud83d"``), which is not text: it cannot be encoded,
and therefore not printed, stored or sent. A sender that cuts a message in the middle of an emoji produces one.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["WHOLE_TEXT", "has_half", "is_text", "mend_json"]

#: What parameters accept, in words, where lone surrogates are rejected.
WHOLE_TEXT: Final = "text without a lone surrogate (half of an emoji, such as '\\ud83d')"

_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
# Each escape is consumed as a whole, so that an escaped backslash starts no escape.
_ESCAPE: Final = (
    r"(?s:\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.))"
)


def is_text(value: str) -> bool:
    """Return whether a string can be encoded."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def has_half(json_text: str) -> bool:
    """Return whether a JSON text contains a lone surrogate."""
    return "\\" in json_text and mend_json(json_text) != json_text


def mend_json(json_text: str) -> str:
    """Return a JSON text with lone surrogates replaced by U+FFFD, the replacement character."""
    # Finding a single character is many times faster, and most texts have no escapes.
    if "\\" not in json_text or _HALF.search(json_text) is None:
        return json_text
    return re.sub(_ESCAPE, _whole, json_text)


def _whole(escape: re.Match[str]) -> Any:
    return escape[0] if escape[1] is None else "\\ufffd"
