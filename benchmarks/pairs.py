"""Is any row of the table worse than at another commit? Both are measured in turns, in shortened scenarios."""

from __future__ import annotations

import io
import json
import math
import shutil
import statistics
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from . import start
from .processes import CERTIFICATE, KEY, ROOT, helper
from .rows import ROWS, Row
from .suite import Job, Progress, streams

__all__ = ["Comparison", "compare", "run"]

#: A row is worse beyond this median ratio, where the interval excludes 1.
TOLERATED: Final = 1.05
#: Two-sided 95 % quantiles of Student's t, by degrees of freedom.
_T95: Final = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145)

_OURS: Final = ("ours",)
_JOBS: Final = (
    Job("commands", "commands", _OURS, {"count": 1500}),
    Job("crowd", "crowd", _OURS, {"callers": 64, "each": 40}),
    Job("events", "events", _OURS, {"count": 15_000}),
    Job("calls", "calls", _OURS, {"count": 300}),
    Job("idle", "idle", _OURS, {"count": 200}),
    Job("blocked", "blocked", _OURS, {"count": 20, "pause": 0.25}),
    Job("cut", "cut", _OURS, {}),
    Job("commands, TLS", "commands", _OURS, {"count": 1000}, secure=True),
    Job("events, TLS", "events", _OURS, {"count": 8_000}, secure=True),
    Job("soak", "soak", _OURS, {"count": 3000, "events_per_second": 500}, secure=True),
    streams("streams 60", 60, 3.0),
    streams("streams 500", 500, 3.0),
    streams("quiet 1000", 1000, 3.0, speaking=100),
    streams("long 60", 60, 6.0),
    streams("pieces 500", 500, 3.0, mode="pieces"),
    Job("function calls", "audio calls", _OURS, {"streams": 20, "seconds": 3.0}),
)
#: Processes whose median start is one value: a single one varies by a third.
_STARTS: Final = 5

#: Figures of one commit, by scenario and figure: one value for each pair.
Figures = dict[tuple[str, str], list[float]]


@frozen
class Comparison:
    """How a row of one commit compares with that of another.

    :ivar ratio: the median of the pairs' ratios; over 1 is worse, whichever way the figure counts.
    :ivar low: and :ivar high: the ends of its 95 % interval (Student's t over the logarithms of the ratios).
    """

    ratio: float
    low: float
    high: float

    @property
    def worse(self) -> bool:
        return self.ratio > TOLERATED and self.low > 1.0


def compare(before: Sequence[float], after: Sequence[float], *, more_is_better: bool = False) -> Comparison:
    """Compare two series pair by pair.

    :raises ValueError: there are fewer than two pairs.
    """
    pairs = list(zip(before, after, strict=True))
    if len(pairs) < 2:
        raise ValueError(f"{len(pairs)} pairs: an interval takes two")
    if more_is_better:
        pairs = [(b, a) for a, b in pairs]
    ratios = [_ratio(old, new) for old, new in pairs]
    if not all(0 < ratio < math.inf for ratio in ratios):
        # A count that should be 0, on one side at least.
        middle = statistics.median(ratios)
        return Comparison(middle, min(ratios), max(ratios))
    logs = [math.log(ratio) for ratio in ratios]
    free = len(logs) - 1
    quantile = _T95[free - 1] if free <= len(_T95) else 1.96
    centre, half = statistics.mean(logs), quantile * statistics.stdev(logs) / math.sqrt(len(logs))
    return Comparison(statistics.median(ratios), math.exp(centre - half), math.exp(centre + half))


def _ratio(old: float, new: float) -> float:
    if old <= 0:
        return 1.0 if new <= 0 else math.inf
    return max(0.0, new) / old


@contextmanager
def _tree(commit: str | None) -> Iterator[Path]:
    """A folder with the package as of a commit (``None``: as it lies here), and these benchmarks."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as scratch:
        folder = Path(scratch)
        if commit is None:
            shutil.copytree(ROOT / "relay_sync", folder / "relay_sync", ignore=shutil.ignore_patterns("__pycache__"))
        else:
            command = ["git", "archive", commit, "relay_sync"]
            packed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(folder, filter="data")
        shutil.copytree(ROOT / "benchmarks", folder / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
        start.compile_ours(folder)
        yield folder


def _once(root: Path, ports: Mapping[bool, int], jobs: Sequence[Job]) -> Figures:
    """Everything once, with the package in a folder."""
    found: Figures = {}

    def keep(key: str, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            found.setdefault((key, name), []).append(value)

    starts = [start.importing("ours", root) for _ in range(_STARTS)]
    bare = [start.importing("nothing", root) for _ in range(_STARTS)]
    keep("import", {name: _middle(starts, name) - _middle(bare, name) for name in starts[0]})
    keep(
        "first call", {"wall": _middle([start.first_call("ours", ports[False], root) for _ in range(_STARTS)], "wall")}
    )
    for job in jobs:
        keep(job.key, job.measure("ours", ports, root))
    return found


def _middle(measured: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(one[name] for one in measured)


def run(
    before: str,
    after: str | None,
    *,
    pairs: int = 5,
    jobs: Sequence[Job] = _JOBS,
    say: Callable[[str], object] = print,
    kept: Path | None = None,
) -> int:
    """Measure two commits in turns, print a line for each row, and return how many are worse.

    :param after: ``None``: the package as it lies here.
    :param kept: a file to which each pair is written as it is measured; what it has is not measured again.
    :raises subprocess.CalledProcessError: git does not know a commit.
    :raises ValueError: the file has pairs of other commits, or something else, or *after* is no commit.
    """
    series: tuple[Figures, Figures] = ({}, {})
    known = Kept(kept, before, after)
    for sides in known.pairs[:pairs]:
        _add(series, sides)
    begin = min(pairs, len(known.pairs))
    if begin < pairs:
        _measure(series, (before, after), range(begin, pairs), jobs, known)
    worse = 0
    say(f"{'ratio':>6}  {'95 % interval':<16} {'before':>10} {'after':>10}  row (over 1 is worse)")
    for row in ROWS:
        place = (row.scenario, row.figure)
        if place in series[0] and place in series[1]:
            found = compare(series[0][place], series[1][place], more_is_better=row.more_is_better)
            worse += found.worse
            say(_line(row, found, series[0][place], series[1][place]))
    say(f"{worse} rows are worse" if worse else "no row is worse")
    return worse


def _measure(
    series: tuple[Figures, Figures],
    commits: tuple[str, str | None],
    numbers: range,
    jobs: Sequence[Job],
    kept: Kept,
) -> None:
    """Measure the pairs of these numbers."""
    progress = Progress(2 * len(numbers))
    with ExitStack() as stack:
        trees = [stack.enter_context(_tree(commit)) for commit in commits]
        plain = stack.enter_context(helper("server"))
        secure = stack.enter_context(helper("server", "--tls", str(CERTIFICATE), str(KEY)))
        ports = {False: int(plain), True: int(secure)}
        for pair in numbers:
            sides: tuple[Figures, Figures] = ({}, {})
            # Not always in the same order: a machine that warms up would favor one of the two.
            for side in (0, 1) if pair % 2 == 0 else (1, 0):
                progress.step(f"pair {pair + 1}: {'after' if side else 'before'}")
                sides[side].update(_once(trees[side], ports, jobs))
            kept.write(sides)
            _add(series, sides)


def _add(series: tuple[Figures, Figures], sides: tuple[Figures, Figures]) -> None:
    for known, new in zip(series, sides, strict=True):
        for place, values in new.items():
            known.setdefault(place, []).extend(values)


class Kept:
    """The pairs that a file has: a line of JSON says which commits they are of, and then there is one for each pair.

    :ivar pairs: what was measured before.
    """

    def __init__(self, path: Path | None, *commits: str | None) -> None:
        self._path = path
        self.pairs: list[tuple[Figures, Figures]] = []
        if path is None:
            return
        if None in commits:
            raise ValueError("pairs are kept of two commits: what lies here may change meanwhile")
        said = json.dumps([_full_name(str(commit)) for commit in commits])
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]  # the last line of a run that was interrupted may be half a one
        lines = whole.splitlines()
        if lines and lines[0] != said:
            raise ValueError(f"{path} has pairs of other commits: {lines[0]}, not {said}")
        if not lines and not said.startswith(text):
            raise ValueError(f"{path} has something else than pairs")
        for number, line in enumerate(lines[1:], 2):
            try:
                before, after = ({(key, name): values for key, name, values in side} for side in json.loads(line))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: this is no pair ({error})") from None
            self.pairs.append((before, after))
        path.write_text(whole or f"{said}\n", encoding="utf-8")

    def write(self, sides: tuple[Figures, Figures]) -> None:
        """Keep a pair."""
        if self._path is not None:
            line = json.dumps([[(*place, values) for place, values in side.items()] for side in sides])
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


def _full_name(commit: str) -> str:
    command = ["git", "rev-parse", "--verify", f"{commit}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def _line(row: Row, found: Comparison, before: Sequence[float], after: Sequence[float]) -> str:
    middle = f"{statistics.median(before):10.{row.digits}f} {statistics.median(after):10.{row.digits}f}"
    interval = f"{found.low:.3f} to {found.high:.3f}"
    return f"{found.ratio:6.3f}  {interval:<16} {middle}  {row.title} ({row.unit}){'  WORSE' if found.worse else ''}"
