"""Words of messages that depend on a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["counted", "listed"]

#: What is named in one message.
NAMED: Final = 10


def counted(number: int, noun: str, several: str = "") -> str:
    """A number and what it counts: ``1 live call``, ``2 live calls``.

    :param several: the plural, where it does not end in s alone.
    """
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def listed(names: Sequence[str]) -> str:
    """The first :data:`NAMED` names, and how many more there are."""
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
