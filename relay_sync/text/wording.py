"""Phrases in messages that depend on a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["counted", "either", "listed"]

#: Maximum number of names in one message.
NAMED: Final = 10


def counted(number: int, noun: str, several: str = "") -> str:
    """Return a number with its noun: ``1 live call``, ``2 live calls``.

    :param several: the plural, if it is not the noun with an s.
    """
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def listed(names: Sequence[str]) -> str:
    """Return the first :data:`NAMED` names, and the number of further names."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def either(words: Sequence[str]) -> str:
    """Return the alternatives of a parameter: ``'a', 'b' or 'c'``."""
    *others, last = map(repr, words)
    return f"{', '.join(others)} or {last}" if others else last
