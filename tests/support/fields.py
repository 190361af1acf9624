"""What the fields of a docstring describe."""

from __future__ import annotations

import inspect
import re

__all__ = ["described"]


def described(text: str) -> dict[str, str]:
    """The parameters and attributes that the fields of a docstring describe."""
    found = re.findall(
        r"^\s*:(?:param|ivar) (\*{0,2}\w+):[ \t]*(.*(?:\n(?!\s*(?::\w+[ :]|$)).*)*)",
        inspect.cleandoc(text),
        re.MULTILINE,
    )
    return {name.lstrip("*"): " ".join(words.split()) for name, words in found}
