"""Counts and lists for messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["counted", "either", "listed"]

#: Maximum number of names to list in one message.
NAMED: Final = 10


def counted(number: int, noun: str, several: str = "") -> str:
    """Return a number with its noun, such as ``1 live call`` or ``2 live calls``.

    :param number: the number.
    :param noun: singular form of the noun.
    :param several: plural form; the default is the singular form with an s.
    """
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def listed(names: Sequence[str]) -> str:
    """Return the first :data:`NAMED` names, followed by the number of remaining names."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def either(words: Sequence[str]) -> str:
    """Return a parameter's accepted values for a message, such as ``'a', 'b' or 'c'``."""
    *others, last = map(repr, words)
    return f"{', '.join(others)} or {last}" if others else last
