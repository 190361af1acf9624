"""The plots beside the table, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from .figures import Series
from .receivers import RECEIVERS

__all__ = ["draw"]

_COLOURS: Final = {
    "ours": "#1b6ca8",
    "ref": "#d1495b",
    "bridge": "#edae49",
    "bare": "#7d8597",
    "threaded": "#66a182",
    "asyncio": "#d1495b",
    "uvloop": "#edae49",
    "fastapi": "#7d8597",
}

_WIDTH: Final = 4.4  # inches


def _median(results: Mapping[str, Any], key: str, client: str, figure: str) -> Series | None:
    values = results.get(key, {}).get(client, {}).get(figure)
    return Series(tuple(values)) if values else None


def _counts(results: Mapping[str, Any], prefix: str) -> list[int]:
    return sorted(int(key.split()[1]) for key in results if key.startswith(f"{prefix} "))


def _throughput(axes: Any, results: Mapping[str, Any]) -> None:
    for axis, (key, title) in zip(
        axes,
        (("commands", "commands, one caller"), ("crowd", "commands, 64 callers"), ("events", "acknowledged events")),
        strict=True,
    ):
        found = {name: series for name in _COLOURS if (series := _median(results, key, name, "rate")) is not None}
        names = list(found)
        middle = [found[name].median for name in names]
        spread = [
            [found[name].median - found[name].low for name in names],
            [found[name].high - found[name].median for name in names],
        ]
        axis.bar(names, middle, yerr=spread, color=[_COLOURS[name] for name in names], capsize=4)
        axis.set_title(title)
        axis.set_ylabel("per second")


def _latency(axes: Any, results: Mapping[str, Any]) -> None:
    for axis, key in zip(axes, ("commands", "commands, TLS"), strict=True):
        for name in ("ours", "ref", "bridge", "bare"):
            series = [_median(results, key, name, figure) for figure in ("p50", "p90", "p99")]
            if all(series):
                values = [one.median for one in series if one is not None]
                axis.plot(["p50", "p90", "p99"], values, "o-", color=_COLOURS[name], label=name)
        axis.set_title(f"latency of {key}")
        axis.set_ylabel("ms")
        axis.set_ylim(bottom=0)
        axis.legend()


def _calls(axes: Any, results: Mapping[str, Any]) -> None:
    told = (
        ("seconds", "ms per call", lambda value, count: value / count * 1e3),
        ("cpu", "us CPU per call", lambda value, count: value),
        ("peak", "KiB peak memory per call", lambda value, count: value * 1024 / count),
    )
    for axis, (figure, label, scale) in zip(axes, told, strict=True):
        for name in ("ours", "ref", "bridge"):
            _line(axis, results, "growth", name, figure, scale)
        axis.set_xscale("log")
        axis.set_xlabel("calls at once")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.legend()


def _line(
    axis: Any, results: Mapping[str, Any], prefix: str, name: str, figure: str, scale: Callable[[float, int], float]
) -> None:
    points = []
    for count in _counts(results, prefix):
        series = _median(results, f"{prefix} {count}", name, figure)
        if series is not None:
            points.append((count, scale(series.median, count)))
    if points:
        axis.plot(*zip(*points, strict=True), "o-", color=_COLOURS[name], label=name)


def _streams(axes: Any, results: Mapping[str, Any]) -> None:
    told = (("cpu", "us CPU per frame"), ("p99", "ms transit, p99"), ("each", "KiB per stream"))
    for axis, (figure, label) in zip(axes, told, strict=True):
        for name in RECEIVERS if figure == "cpu" else ("ours",):
            _line(axis, results, "streams", name, figure, lambda value, count: value)
        axis.set_xlabel("live streams")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.legend()


def draw(folder: Path, results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Draw all of them into a folder: titles and file names."""
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "relay-sync"
    from matplotlib import pyplot

    drawn = []
    for title, name, rows, fill in (
        ("Throughput", "throughput.svg", 3, _throughput),
        ("Latency distribution", "latency.svg", 2, _latency),
        ("Growth: calls", "calls.svg", 3, _calls),
        ("Growth: media streams", "streams.svg", 3, _streams),
    ):
        # One below the other: beside each other they cannot be read on a narrow page. The background is white on any page.
        figure, axes = pyplot.subplots(rows, 1, figsize=(_WIDTH, 2.9 * rows), layout="constrained", facecolor="white")
        fill(axes, results)
        figure.savefig(folder / name, metadata={"Date": None})
        pyplot.close(figure)
        drawn.append((title, name))
    return drawn
