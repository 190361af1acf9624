"""Words of messages that depend on a number."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str, several: str = "") -> str:
    """A number and what it counts: ``1 live call``, ``2 live calls``.

    :param several: the plural, where it does not end in s alone.
    """
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"
