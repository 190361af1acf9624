"""Detection and replacement of lone surrogates in JSON.

JSON escapes can represent half of a surrogate pair, such as ``"\\ud83d"``. The resulting string cannot be encoded, so
it cannot be printed, stored or sent. A sender that cuts a message in the middle of an emoji produces such a string.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["WHOLE_TEXT", "has_half", "is_text", "mend_json"]

#: Description of the accepted values, for errors about lone surrogates.
WHOLE_TEXT: Final = "a string without a lone surrogate (half of an emoji, such as '\\ud83d')"

_HALF: Final = re.compile(r"\\u[dD][89a-fA-F]")
# Each escape is matched as a whole, so that an escaped backslash does not start another escape.
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
    """Return whether a JSON document contains a lone surrogate."""
    return "\\" in json_text and mend_json(json_text) != json_text


def mend_json(json_text: str) -> str:
    """Replace each lone surrogate in a JSON document with U+FFFD, the replacement character."""
    # Searching for a single character is many times faster than the pattern, and most documents contain no escapes.
    if "\\" not in json_text or _HALF.search(json_text) is None:
        return json_text
    return re.sub(_ESCAPE, _whole, json_text)


def _whole(escape: re.Match[str]) -> Any:
    return escape[0] if escape[1] is None else "\\ufffd"
