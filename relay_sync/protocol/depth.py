"""How deeply a JSON text is nested, without parsing it.

Python's parser gives up on deep nesting only when its stack is used up; whatever the garbage collector runs at that moment
fails as well. So what strangers send is looked at first.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_deeper"]

# An unfinished string reaches to the end, so that no text is looked at twice.
_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def is_deeper(text: bytes, most: int) -> bool:
    """Whether somewhere in it more than ``most`` objects and lists are open at once."""
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
