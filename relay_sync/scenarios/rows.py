"""Put what was said, heard and expected in a scenario into rows. This module does no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from .listening import Heard
from .report import Row
from .scenario import Step

__all__ = ["Verdict", "rows_of"]

#: Seconds by which the start of an utterance and that of its sound may differ.
_NEAR: Final = 0.6


@frozen
class Verdict:
    """What became of an expectation.

    :ivar step: the step.
    :ivar at: when it was decided, or when the sound began that met it, in seconds since the start of the call.
    :ivar met: whether it was met.
    :ivar heard: the entry in which the words end; ``None`` if there is none.
    :ivar score: share of the words that were heard; ``None`` if words were not compared.
    """

    step: Step
    at: float
    met: bool
    heard: Heard | None = None
    score: float | None = None

    def row(self, at: float, came: str) -> Row:
        """Return the row that shows it.

        :param at: seconds since the start of the call.
        :param came: what came.
        """
        return Row(at=at, who="program", came=came, expected=str(self.step), met=self.met, score=self.score)


def rows_of(caller: Iterable[Row], entries: Sequence[Heard], verdicts: Iterable[Verdict]) -> tuple[Row, ...]:
    """Return all rows in the order in which they happened.

    :param caller: rows about what the caller did.
    :param entries: what the caller heard.
    :param verdicts: the expectations.
    """
    rows = list(caller)
    beside: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        entry = verdict.heard or _sounding(verdict, entries)
        if entry is None:
            rows.append(verdict.row(verdict.at, _without_entry(verdict)))
        else:
            beside.setdefault(id(entry), []).append(verdict)
    for entry in entries:
        mine = beside.get(id(entry), [])
        if not mine:
            rows.append(Row(at=entry.start, who="program", came=_came(entry)))
        rows += [verdict.row(entry.start, _came(entry) if verdict is mine[0] else "") for verdict in mine]
    return tuple(sorted(rows, key=lambda row: row.at))


def _sounding(verdict: Verdict, entries: Sequence[Heard]) -> Heard | None:
    """Return the entry of the sound that met an expectation of any sound."""
    if verdict.step.kind != "hears" or verdict.step.text or not verdict.met:
        return None
    return next((each for each in entries if abs(each.start - verdict.at) <= _NEAR), None)


def _without_entry(verdict: Verdict) -> str:
    if verdict.step.kind == "ends":
        return "hangs up" if verdict.met else "(is still on the line)"
    if verdict.met:
        return "(sound)"
    return "(no words)" if verdict.step.text else "(nothing)"


def _came(entry: Heard) -> str:
    if entry.is_sound:
        return f"(sound, {entry.end - entry.start:.1f} s)"
    return "(not recognized)" if entry.text is None else entry.text or "(no words)"
