"""Measure the nesting depth of a JSON document without parsing it.

Python's parser rejects deep nesting only when its stack is exhausted. Code that the garbage collector runs at that
moment then fails as well. Untrusted input is therefore checked before it is parsed.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_deeper"]

# An unterminated string extends to the end of the document, which keeps the scan linear.
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def is_deeper(text: bytes, most: int) -> bool:
    """Return whether objects and arrays in ``text`` are nested more than ``most`` levels deep."""
    if text.count(b"[") + text.count(b"{") <= most:
        return False
    depth = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in b"[{":
            depth += 1
            if depth > most:
                return True
        elif first in b"]}":
            depth -= 1
    return False
