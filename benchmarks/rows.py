"""The table: one row for each target, what is compared, and whether it is met."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from .figures import Series, ratio

__all__ = [
    "CLIENT_ROWS",
    "RECEIVER_ROWS",
    "ROWS",
    "SEVERAL_ROWS",
    "TELEPHONES",
    "TELEPHONE_ROWS",
    "Judgement",
    "Row",
    "judge",
]


@frozen(kw_only=True)
class Row:
    """One line of the table.

    :ivar scenario: and :ivar figure: where the results have it, for each client.
    :ivar client: whose figure is compared with the targets.
    :ivar over: a client whose figure is subtracted from all others.
    :ivar against: the targets that are multiples of another client's figure, by client. All of them must be met.
    :ivar absolute: a target in the row's own unit, which must be met, too.
    :ivar calm: a client and a figure of it: the absolute target counts only for repetitions in which that client stays below. At
        other times the machine was too busy to say anything.
    :ivar room: names of two figures in cores: what the sender leaves, and what the receivers need. The absolute target counts
        only for repetitions in which the first is not smaller.
    """

    title: str
    scenario: str
    figure: str
    unit: str
    client: str = "ours"
    more_is_better: bool = False
    over: str = ""
    against: Mapping[str, float] = field(factory=dict)
    absolute: float | None = None
    calm: tuple[str, float] | None = None
    room: tuple[str, str] | None = None
    digits: int = 2
    why: str = ""


@frozen
class Judgement:
    """What came out for a row."""

    row: Row
    cells: dict[str, Series]
    #: The target that ours is farthest from, in the row's unit.
    goal: float | None
    words: str
    #: How far ours is from that target, as a multiple of it: over 1 is a miss.
    distance: float | None

    @property
    def met(self) -> bool | None:
        return None if self.distance is None else self.distance <= 1.0


_TWO_HANDOVERS: Final = (
    "A command crosses to the IO thread, and its reply crosses back: three sleeps and wake-ups, where a bare socket has one. "
    "It would take callers that write to the socket themselves; TLS connections then break (python/cpython#77271)."
)
_EVENT: Final = (
    "Half of an event's CPU is parsing its JSON, making its typed object, and framing its acknowledgment. It would take a "
    "faster JSON parser than the standard library's, or events that are made when a listener reads them."
)

#: Targets are ratios and counts: what takes how long says little about another machine.
CLIENT_ROWS: Final = (
    Row(
        title="`import`, over a bare interpreter",
        scenario="import",
        figure="wall",
        unit="ms",
        over="nothing",
        against={"ref": 0.53},
        digits=0,
    ),
    Row(
        title="the same, CPU",
        scenario="import",
        figure="cpu",
        unit="ms",
        over="nothing",
        against={"ref": 0.53},
        digits=0,
    ),
    Row(
        title="process start to first call in `on_call`",
        scenario="first call",
        figure="wall",
        unit="ms",
        against={"bare": 1},
        digits=0,
        why="The bare program imports websocket-client and json; this package adds attrs and its own modules, and starts an "
        "IO thread and a handler's thread. It would take a package without attrs, and 16 ms of its own modules would remain.",
    ),
    Row(
        title="sequential commands",
        scenario="commands",
        figure="rate",
        unit="per s",
        more_is_better=True,
        against={"ref": 1.2, "bridge": 1.9},
        digits=0,
        why=_TWO_HANDOVERS,
    ),
    Row(
        title="their latency, p50",
        scenario="commands",
        figure="p50",
        unit="ms",
        against={"ref": 0.7},
        digits=3,
        why=_TWO_HANDOVERS,
    ),
    Row(
        title="their latency, p99",
        scenario="commands",
        figure="p99",
        unit="ms",
        against={"ref": 0.7},
        digits=3,
        why=_TWO_HANDOVERS,
    ),
    Row(title="CPU per sequential command", scenario="commands", figure="cpu", unit="us", digits=0),
    Row(
        title="64 callers at once, commands",
        scenario="crowd",
        figure="rate",
        unit="per s",
        more_is_better=True,
        against={"bridge": 1.5},
        digits=0,
    ),
    Row(
        title="50,000 acknowledged events to one listener",
        scenario="events",
        figure="rate",
        unit="per s",
        more_is_better=True,
        against={"ref": 3},
        digits=0,
        why=_EVENT,
    ),
    Row(
        title="CPU per event",
        scenario="events",
        figure="cpu",
        unit="us",
        against={"ref": 0.33},
        digits=1,
        why=_EVENT,
    ),
    Row(
        title="1,000 calls at once: answer, stream, finished, hang up",
        scenario="calls",
        figure="seconds",
        unit="s",
        against={"ref": 1},
        why="A call's handler has a thread of its own, which asyncio does not need: 3 of a call's 10 voluntary context switches "
        "and a third of its CPU. It would take threads that are used again, with the thread-local values of an earlier call.",
    ),
    Row(
        title="peak memory over base for that",
        scenario="calls",
        figure="peak",
        unit="MB",
        against={"bridge": 1.05},
        digits=1,
    ),
    Row(title="CPU per such call", scenario="calls", figure="cpu", unit="us", digits=0),
    Row(
        title="memory per idle call with a blocked handler",
        scenario="idle",
        figure="each",
        unit="KiB",
        against={"bridge": 1},
        digits=1,
    ),
    Row(
        title="20 handlers that block 0.25 s each",
        scenario="blocked",
        figure="seconds",
        unit="s",
        against={"ref": 0.06},
        digits=3,
    ),
    Row(
        title="TCP cut to commands working again",
        scenario="cut",
        figure="seconds",
        unit="s",
        against={"ref": 0.1},
        digits=3,
    ),
    Row(
        title="sequential commands over TLS",
        scenario="commands, TLS",
        figure="rate",
        unit="per s",
        more_is_better=True,
        against={"ref": 1.2, "bridge": 1.9},
        digits=0,
        why=_TWO_HANDOVERS,
    ),
    Row(
        title="acknowledged events over TLS",
        scenario="events, TLS",
        figure="rate",
        unit="per s",
        more_is_better=True,
        against={"ref": 3},
        digits=0,
        why=_EVENT,
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
        title="command by REST to a call of another process (simulator), p50",
        scenario="by REST",
        figure="p50",
        unit="ms",
    ),
    Row(title="the same, p99", scenario="by REST", figure="p99", unit="ms"),
    Row(title="the same command of the call's owner, p50", scenario="by REST", figure="own p50", unit="ms"),
    Row(title="the same, p99", scenario="by REST", figure="own p99", unit="ms"),
)


def _shared(
    count: int, against: Mapping[str, float], *, absolute: float | None = None, why: str = ""
) -> tuple[Row, ...]:
    """Rows of a number of streams with which every receiver is measured."""
    scenario = f"streams {count}"
    calm = None if absolute is None else ("asyncio", 30.0)
    return (
        Row(
            title=f"receiver: CPU per frame, {count} streams",
            scenario=scenario,
            figure="cpu",
            unit="us",
            against=against,
            digits=0,
            why=why,
        ),
        Row(title=f"receiver: transit p50, {count} streams", scenario=scenario, figure="p50", unit="ms", digits=1),
        Row(
            title=f"receiver: transit p99, {count} streams",
            scenario=scenario,
            figure="p99",
            unit="ms",
            absolute=absolute,
            calm=calm,
            digits=1,
        ),
        Row(
            title=f"receiver: voluntary context switches per frame, {count} streams",
            scenario=scenario,
            figure="voluntary",
            unit="",
        ),
        Row(
            title=f"receiver: forced context switches per frame, {count} streams",
            scenario=scenario,
            figure="forced",
            unit="",
        ),
    )


_A_THREAD_EACH: Final = (
    "Each stream has a thread, so a frame costs 1.1 thread switches, where an event loop has 0.5 or less. A receiver that "
    "does nothing else but hand frames from one thread to others takes 1.2 to 1.35 times as much CPU as uvloop. It would "
    "take readers that read their own sockets."
)
RECEIVER_ROWS: Final = (
    *_shared(60, {"asyncio": 0.65, "uvloop": 1.1, "threaded": 0.45}, why=_A_THREAD_EACH),
    *_shared(300, {"asyncio": 0.8, "uvloop": 1.5}, absolute=20, why=_A_THREAD_EACH),
    Row(
        title="receiver: calls of Python functions per frame, 20 streams",
        scenario="function calls",
        figure="python",
        unit="",
        absolute=16,
        digits=1,
    ),
    Row(
        title="receiver: calls of C functions per frame, 20 streams",
        scenario="function calls",
        figure="c",
        unit="",
        absolute=30,
        digits=1,
    ),
    Row(
        title="receiver: CPU per frame, 500 streams",
        scenario="streams 500",
        figure="cpu",
        unit="us",
        digits=0,
    ),
    Row(
        title="receiver: share of a core, 500 streams",
        scenario="streams 500",
        figure="share",
        unit="cores",
    ),
    Row(
        title="receiver: transit p99, 500 streams",
        scenario="streams 500",
        figure="p99",
        unit="ms",
        digits=1,
    ),
    Row(
        title="receiver: frames lost, 500 streams",
        scenario="streams 500",
        figure="lost",
        unit="",
        absolute=0,
        digits=0,
    ),
    Row(
        title="receiver: share of a core, 500 streams read half a second at a time",
        scenario="pieces 500",
        figure="share",
        unit="cores",
        digits=2,
    ),
    Row(
        title="receiver: frames lost, 1,000 connections of which 100 speak",
        scenario="quiet 1000",
        figure="lost",
        unit="",
        absolute=0,
        digits=0,
    ),
    Row(
        title="receiver: transit p99 there",
        scenario="quiet 1000",
        figure="p99",
        unit="ms",
        digits=1,
    ),
    Row(
        title="receiver: memory per stream, its reader's thread included",
        scenario="quiet 1000",
        figure="each",
        unit="KiB",
        digits=1,
    ),
    Row(
        title="receiver: memory that a stream gains from the 6th to the 12th second",
        scenario="long 60",
        figure="grown",
        unit="KiB",
        absolute=2,
        digits=1,
    ),
)

_LEFT_AND_NEED: Final = ("left", "need")
#: One receiver beside two, each with 60 % of the streams with which a single one falls behind.
SEVERAL_ROWS: Final = (
    Row(
        title="streams with which one receiver falls behind",
        scenario="two receivers",
        figure="limit",
        unit="",
        digits=0,
    ),
    Row(
        title="one receiver with 60 % of that: CPU per frame",
        scenario="two receivers",
        figure="cpu one",
        unit="us",
        digits=1,
    ),
    Row(
        title="two receivers with 60 % of that each: CPU per frame",
        scenario="two receivers",
        figure="cpu",
        unit="us",
        digits=1,
    ),
    Row(
        title="the same, as a multiple of that of one",
        scenario="two receivers",
        figure="growth",
        unit="",
        absolute=1.1,
        room=_LEFT_AND_NEED,
        why="The processes share no state, so what grows is the machine's: caches, clock rates, and the kernel's loopback.",
    ),
    Row(
        title="two receivers: transit p99, the slower one",
        scenario="two receivers",
        figure="p99",
        unit="ms",
        absolute=20,
        room=_LEFT_AND_NEED,
        digits=1,
    ),
    Row(
        title="two receivers: frames lost",
        scenario="two receivers",
        figure="lost",
        unit="",
        absolute=0,
        room=_LEFT_AND_NEED,
        digits=0,
    ),
    Row(title="two receivers: share of the sender", scenario="two receivers", figure="sender", unit="cores"),
    Row(title="two receivers: both need", scenario="two receivers", figure="need", unit="cores"),
    Row(
        title="streams of each with which two receivers fall behind",
        scenario="two receivers",
        figure="limit two",
        unit="",
        digits=0,
    ),
)

#: What :mod:`benchmarks.telephones` measures. That module imports pytest and the simulator, so receivers must not import it.
TELEPHONES: Final = ("page", "busy", "crowd")
#: The telephone in the browser. The columns are a page alone, one beside a busy core, and one beside 20 other telephones.
TELEPHONE_ROWS: Final = (
    *(
        Row(
            title=f"a beep from the microphone to the program and back to the loudspeaker, p{rank}",
            scenario="telephones",
            figure=f"p{rank}",
            unit="ms",
            client="page",
            absolute=goal,
            digits=0,
        )
        for rank, goal in ((50, 150), (99, 250))
    ),
    *(
        Row(title=title, scenario="telephones", figure=figure, unit="", client=client, absolute=0, digits=0)
        for title, figure, client in (
            ("underruns after the first second", "underruns", "page"),
            ("beeps of 60 that did not come back once and in order", "missing", "page"),
            ("frames that the other telephones lost", "lost", "crowd"),
        )
    ),
    Row(
        title="cores that the simulator took",
        scenario="telephones",
        figure="simulator",
        unit="",
        client="crowd",
        absolute=0.5,
    ),
)

ROWS: Final = CLIENT_ROWS + RECEIVER_ROWS + SEVERAL_ROWS + TELEPHONE_ROWS


def judge(row: Row, results: Mapping[str, Any]) -> Judgement:
    """Look a row up in the results and compare it with its targets."""
    cells = {
        client: _over(Series(tuple(figures[row.figure])), row, results)
        for client, figures in results.get(row.scenario, {}).items()
        if figures.get(row.figure)
    }
    sign = ">=" if row.more_is_better else "<="
    ours = cells.get(row.client)
    words = []
    found: list[tuple[float, float]] = []  # distance and goal
    for opponent, factor in row.against.items():
        words.append(f"{sign} {factor:g} x {opponent}" if factor != 1 else f"{sign} {opponent}")
        theirs = cells.get(opponent)
        if ours is not None and theirs is not None:
            # By pairs that were measured next to each other: the machine may have been busier at other times.
            paired = ratio(ours, theirs)
            found.append((_distance(paired.median, factor, row.more_is_better), theirs.median * factor))
        elif ours is not None:
            words[-1] += " (not measured)"
    if row.absolute is not None:
        words.append(f"{sign} {row.absolute:g} {row.unit}".strip())
        if row.calm is not None:
            words[-1] += " where {} < {:g}".format(*row.calm)
            ours = _calm(ours, cells.get(row.calm[0]), row.calm[1])
        if row.room is not None and ours is not None:
            figures = results[row.scenario]["ours"]
            left, need = (Series(tuple(figures[name])) for name in row.room)
            if (ours := _roomy(ours, left, need)) is None:
                words[-1] += f": the sender leaves {left.median:.2f} cores, and the receivers need {need.median:.2f}"
        if ours is not None:
            found.append((_distance(ours.median, row.absolute, row.more_is_better), row.absolute))
    farthest, goal = max(found, default=(None, None), key=lambda one: one[0] or 0.0)
    return Judgement(row, cells, goal, ", ".join(words), farthest)


def _calm(ours: Series | None, theirs: Series | None, limit: float) -> Series | None:
    """Our figures of the repetitions in which theirs were below the limit."""
    if ours is None or theirs is None:
        return None
    values = tuple(own for own, other in zip(ours.values, theirs.values, strict=False) if other < limit)
    return Series(values) if values else None


def _roomy(ours: Series, left: Series, need: Series) -> Series | None:
    """Our figures of the repetitions in which the sender left the receivers what they need."""
    values = tuple(own for own, rest, wish in zip(ours.values, left.values, need.values, strict=False) if rest >= wish)
    return Series(values) if values else None


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
