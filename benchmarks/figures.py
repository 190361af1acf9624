"""Medians, ranges and ratios."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from attrs import frozen

__all__ = ["Series", "percentile", "ratio"]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that so many per cent of all do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values, no percentile")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


@frozen
class Series:
    """The same figure, measured several times."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


def ratio(ours: Series, theirs: Series) -> Series:
    """Ours over theirs, repetition by repetition: both of a pair were measured next to each other."""
    return Series(tuple(a / b for a, b in zip(ours.values, theirs.values, strict=False) if b))
