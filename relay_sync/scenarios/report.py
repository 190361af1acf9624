"""What happened in a scenario: a transcript with times, and what was expected beside it. This module does no I/O."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import Final, Literal

from attrs import frozen

from .scenario import Scenario

__all__ = ["Report", "Row"]

#: Columns of the table, and the narrowest column of text.
_TIME: Final = 7
_WHO: Final = 7
_NARROWEST: Final = 16


@frozen(kw_only=True)
class Row:
    """One line of a report.

    :ivar at: seconds since the start of the call.
    :ivar who: ``caller``, or ``program`` for what the caller heard.
    :ivar came: what was said, or done.
    :ivar expected: what was expected beside it; ``""`` if nothing was.
    :ivar met: whether it is what was expected; ``None`` if nothing was expected.
    :ivar score: share of the expected words that were heard, from 0 to 1; ``None`` if words were not compared.
    """

    at: float
    who: Literal["caller", "program"]
    came: str
    expected: str = ""
    met: bool | None = None
    score: float | None = None


@frozen(kw_only=True)
class Report:
    """Result of a scenario. It is true if every expectation was met.

    :ivar scenario: the scenario.
    :ivar rows: what happened, in order.
    :ivar failure: the reason why the scenario was not met, with the line of its step; ``""`` if it was.
    :ivar met: number of expectations that were met.
    :ivar of: number of expectations.
    :ivar seconds: duration of the call in seconds.
    """

    scenario: Scenario
    rows: tuple[Row, ...]
    failure: str
    met: int
    of: int
    seconds: float

    def __bool__(self) -> bool:
        return not self.failure

    def check(self) -> None:
        """Do nothing if every expectation was met.

        :raises AssertionError: an expectation was not met. The text is the report.
        """
        if not self:
            raise AssertionError(f"{self.scenario.file}\n{self.text}")

    def __repr__(self) -> str:
        """Return the report as text."""
        return f"<Report of {self.scenario.file}>\n{self.text}"

    def __str__(self) -> str:
        return self.text

    @property
    def text(self) -> str:
        """The report as text, 100 columns wide."""
        return self.table(100)

    def table(self, width: int) -> str:
        """Return the report as text.

        :param width: number of columns.
        """
        column = max(_NARROWEST, (width - _TIME - _WHO - 6) // 2)
        lines = [_line(column, "seconds", "who", "what came", "what was expected")]
        for row in self.rows:
            came = textwrap.wrap(_printable(row.came), column) or [""]
            expected = textwrap.wrap(_printable(_expectation(row)), column) or [""]
            lines.append(_line(column, f"{row.at:.1f}", row.who, came[0], expected[0]))
            lines += [_line(column, "", "", *each) for each in zip_longest(came[1:], expected[1:], fillvalue="")]
        verdict = "met" if self else "not met"
        lines += ["", f"{verdict}: {self.met} of {self.of} expectations, {self.seconds:.1f} s"]
        if self.failure:
            lines.append(self.failure)
        return "\n".join(lines)


def _line(column: int, at: str, who: str, came: str, expected: str) -> str:
    return f"{at:>{_TIME}}  {who:<{_WHO}}  {came:<{column}}  {expected}".rstrip()


def _expectation(row: Row) -> str:
    if row.met is None:
        return ""
    score = "" if row.score is None else f" ({row.score:.2f})"
    return f"{'ok' if row.met else 'NOT MET'}: {row.expected}{score}"


def _printable(text: str) -> str:
    """Return text without characters that would change the layout or control the terminal."""
    return "".join(each if each.isprintable() else " " for each in text)
