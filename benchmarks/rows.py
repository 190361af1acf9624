"""The table: one row for each target, what is compared, and whether it is met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from .figures import Series, ratio

__all__ = ["ROWS", "Judgement", "Row", "judge"]


@frozen(kw_only=True)
class Row:
    """One line of the table.

    :ivar clients: who is shown, by the column. :ivar over: a client whose figure is taken off everybody's.
    :ivar factor: and :ivar opponent: what is to be reached as a multiple of an opponent's figure; :ivar absolute: or as
        such; where both are given, either will do.
    """

    title: str
    scenario: str
    figure: str
    unit: str
    more_is_better: bool = False
    columns: Mapping[str, str] = field(factory=lambda: {name: name for name in ("ours", "ref", "bridge", "bare")})
    over: str = ""
    factor: float = 1.0
    opponent: str = ""
    absolute: float | None = None
    digits: int = 2
    note: str = ""


@frozen
class Judgement:
    """What came out for a row."""

    row: Row
    cells: dict[str, Series]
    goal: float | None
    words: str
    #: How far ours is from the goal, as a multiple of it: over 1 is a miss.
    distance: float | None

    @property
    def met(self) -> bool | None:
        return None if self.distance is None else self.distance <= 1.0


_OURS: Final = {"ours": "ours"}

ROWS: Final = (
    Row(
        title="`import`, over a bare interpreter",
        scenario="import",
        figure="wall",
        unit="ms",
        over="nothing",
        absolute=55,
        digits=0,
    ),
    Row(title="the same, CPU", scenario="import", figure="cpu", unit="ms", over="nothing", absolute=55, digits=0),
    Row(
        title="process start to first call in `on_call`",
        scenario="first call",
        figure="wall",
        unit="ms",
        opponent="bare",
        digits=0,
    ),
    Row(
        title="sequential commands",
        scenario="commands",
        figure="rate",
        unit="per s",
        more_is_better=True,
        factor=1.5,
        opponent="ref",
        digits=0,
    ),
    Row(title="their latency, p50", scenario="commands", figure="p50", unit="ms", factor=0.7, opponent="ref", digits=3),
    Row(title="their latency, p99", scenario="commands", figure="p99", unit="ms", factor=0.7, opponent="ref", digits=3),
    Row(title="CPU per sequential command", scenario="commands", figure="cpu", unit="us", digits=0),
    Row(
        title="64 callers at once, commands",
        scenario="crowd",
        figure="rate",
        unit="per s",
        more_is_better=True,
        factor=1.5,
        opponent="bridge",
        digits=0,
    ),
    Row(
        title="50,000 acknowledged events to one listener",
        scenario="events",
        figure="rate",
        unit="per s",
        more_is_better=True,
        factor=3,
        opponent="ref",
        digits=0,
    ),
    Row(title="CPU per event", scenario="events", figure="cpu", unit="us", absolute=20, digits=1),
    Row(
        title="1,000 calls at once: answer, stream, finished, hang up",
        scenario="calls",
        figure="seconds",
        unit="s",
        opponent="ref",
    ),
    Row(
        title="peak memory over base for that", scenario="calls", figure="peak", unit="MB", opponent="bridge", digits=1
    ),
    Row(title="CPU per such call", scenario="calls", figure="cpu", unit="us", digits=0),
    Row(
        title="memory per idle call with a blocked handler",
        scenario="idle",
        figure="each",
        unit="KiB",
        absolute=25,
        digits=1,
    ),
    Row(
        title="20 handlers that block 0.25 s each",
        scenario="blocked",
        figure="seconds",
        unit="s",
        absolute=0.26,
        digits=3,
    ),
    Row(title="TCP cut to commands working again", scenario="cut", figure="seconds", unit="s", absolute=0.1, digits=3),
    Row(
        title="sequential commands over TLS",
        scenario="commands, TLS",
        figure="rate",
        unit="per s",
        more_is_better=True,
        factor=1.5,
        opponent="ref",
        digits=0,
    ),
    Row(
        title="acknowledged events over TLS",
        scenario="events, TLS",
        figure="rate",
        unit="per s",
        more_is_better=True,
        factor=3,
        opponent="ref",
        digits=0,
    ),
    Row(
        title="connections lost in the TLS soak (here a short one)",
        scenario="soak",
        figure="lost",
        unit="",
        absolute=0,
        digits=0,
    ),
    Row(
        title="receiver: CPU per frame, 60 streams",
        scenario="streams 60",
        figure="cpu",
        unit="us",
        columns={"ours": "ours", "threaded": "threaded 60"},
        absolute=30,
        digits=0,
    ),
    Row(
        title="receiver: CPU per frame, 500 streams",
        scenario="streams 500",
        figure="cpu",
        unit="us",
        columns=_OURS,
        absolute=30,
        digits=0,
    ),
    Row(
        title="receiver: share of a core, 500 streams",
        scenario="streams 500",
        figure="share",
        unit="cores",
        columns=_OURS,
        absolute=0.75,
    ),
    Row(
        title="receiver: transit p99, 500 streams",
        scenario="streams 500",
        figure="p99",
        unit="ms",
        columns=_OURS,
        absolute=20,
        digits=1,
    ),
    Row(
        title="receiver: frames lost, 500 streams",
        scenario="streams 500",
        figure="lost",
        unit="",
        columns=_OURS,
        absolute=0,
        digits=0,
    ),
    Row(
        title="receiver: share of a core, 500 streams read half a second at a time",
        scenario="pieces 500",
        figure="share",
        unit="cores",
        columns=_OURS,
        digits=2,
    ),
    Row(
        title="receiver: frames lost, 1,000 connections of which 100 speak",
        scenario="quiet 1000",
        figure="lost",
        unit="",
        columns=_OURS,
        absolute=0,
        digits=0,
    ),
    Row(
        title="receiver: transit p99 there",
        scenario="quiet 1000",
        figure="p99",
        unit="ms",
        columns=_OURS,
        absolute=20,
        digits=1,
    ),
    Row(
        title="receiver: memory per stream, its reader's thread included",
        scenario="quiet 1000",
        figure="each",
        unit="KiB",
        columns=_OURS,
        digits=1,
    ),
    Row(
        title="receiver: memory that a stream gains from the 6th to the 12th second",
        scenario="long 60",
        figure="grown",
        unit="KiB",
        columns=_OURS,
        absolute=2,
        digits=1,
    ),
)


def judge(row: Row, results: Mapping[str, Any]) -> Judgement:
    """Look a row up in the results and compare it with what is to be reached."""
    cells = {}
    for client, scenario in row.columns.items():
        key = row.scenario if scenario == client else scenario
        values = results.get(key, {}).get(client, {}).get(row.figure)
        if values:
            cells[client] = _over(Series(tuple(values)), row, results)
    sign = ">=" if row.more_is_better else "<="
    ours = cells.get("ours")
    words = []
    found: list[tuple[float, float]] = []  # distance and goal
    if row.absolute is not None:
        words.append(f"{sign} {row.absolute:g} {row.unit}".strip())
        if ours is not None:
            found.append((_distance(ours.median, row.absolute, row.more_is_better), row.absolute))
    if row.opponent:
        words.append(f"{sign} {row.factor:g} x {row.opponent}" if row.factor != 1 else f"{sign} {row.opponent}")
        theirs = cells.get(row.opponent)
        if ours is not None and theirs is not None:
            # By pairs that were measured next to each other: the machine may have been busier at other times.
            paired = ratio(ours, theirs)
            distance = _distance(paired.median, row.factor, row.more_is_better)
            found.append((distance, theirs.median * row.factor))
    closest, goal = min(found, default=(None, None), key=lambda one: one[0] or 0.0)
    return Judgement(row, cells, goal, " or ".join(words), closest)


def _distance(value: float, goal: float, more_is_better: bool) -> float:
    over, under = (goal, value) if more_is_better else (value, goal)
    if under <= 0:  # nothing at all is allowed
        return 1.0 if over <= 0 else 1.0 + over
    return over / under


def _over(series: Series, row: Row, results: Mapping[str, Any]) -> Series:
    if not row.over:
        return series
    base = Series(tuple(results[row.scenario][row.over][row.figure])).median
    return Series(tuple(value - base for value in series.values))
