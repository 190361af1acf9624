"""The example that talks: its modules, and comparing what was said with what was recognized."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final

from tests.support import ROOT

__all__ = ["AGENT", "likeness", "load", "words"]

AGENT: Final = ROOT / "examples" / "agent"
_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def load(name: str) -> ModuleType:
    """Import a module of the example, which imports the others by their bare names."""
    sys.path.insert(0, str(AGENT))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(AGENT))


def words(text: str) -> list[str]:
    """Return the words of a sentence without case and punctuation. Digits are words, one by one."""
    return [_DIGITS[int(word)] if word.isdigit() else word for word in re.findall(r"[a-z']+|\d", text.lower())]


def likeness(said: str | Sequence[str], heard: str) -> float:
    """Return how much two texts have in common, from 0 to 1.

    :param said: one text, or several that follow each other.
    :param heard: the other one.
    """
    one = words(said if isinstance(said, str) else " ".join(said))
    return difflib.SequenceMatcher(None, one, words(heard), autojunk=False).ratio()
