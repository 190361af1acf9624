"""Writes ``RESULTS.md``: the machine, the versions, the table, what was missed, plots, and where the time goes."""

from __future__ import annotations

import datetime
import json
import os
import platform
import ssl
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from .figures import Series, ratio
from .model_rows import HEAD as OF_MODELS
from .model_rows import MODEL_ROWS, MODELS
from .receivers import RECEIVERS
from .rows import CLIENT_ROWS, RECEIVER_ROWS, SEVERAL_ROWS, TELEPHONE_ROWS, TELEPHONES, Judgement, Row, judge
from .speech_rows import SPEECH_ROWS
from .speech_table import DETECTORS, cells
from .speech_table import HEAD as SPEECH

__all__ = ["load", "machine", "merge", "now", "soak", "write"]

CLIENTS: Final = ("ours", "ref", "bridge", "bare")
MOST_MEGABYTES: Final = 9
#: What is a list of sentences in the results of a run.
_LISTS: Final = ("machine", "hints", "failures")
HEAD: Final = """# Benchmarks: results

Written by `python -m benchmarks`. The machine was shared, so ratios and counts say more than figures. Each client ran in a
process of its own against a server in another process; repetitions were interleaved. Figures are medians over all runs, with
the lowest and highest in brackets; a ratio is the median of the ratios of the repetitions.

* **ours**: relay_sync. **ref**: the official `signalwire-sdk` in its own idiom (asyncio). **bridge**: the same as blocking
  programs must use it: its loop in a thread, `run_coroutine_threadsafe(...).result()`, a thread per call. **bare**: stock
  websocket-client and json.
* Media receivers, all of which decode each frame: **threaded**: the `websockets` sync API, a thread per connection.
  **asyncio**: `websockets.asyncio`. **uvloop**: the same on uvloop. **fastapi**: FastAPI on uvicorn with uvloop. CPU and
  context switches are those of the receiving process.
"""


def machine() -> list[str]:
    """What it ran on."""
    processor = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    names = ("relay-sync", "signalwire-sdk", "websocket-client", "websockets", "attrs", "requests")
    peers = ("uvloop", "fastapi", "uvicorn")
    return [
        f"* {processor}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        f"* {platform.python_implementation()} {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        "* " + ", ".join(f"{name} {version(name)}" for name in names + peers if name not in peers or find_spec(name)),
    ]


def load() -> float | None:
    """Return how many processes wanted a CPU in the last minute, or ``None`` if the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def merge(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Join the results of several runs: the values of each figure stand one after another, in the order of the runs.

    What exists once, such as sizes, is from the last run.
    """
    results: dict[str, dict[str, dict[str, list[float]]]] = {}
    for run in runs:
        for key, clients in run["results"].items():
            for client, figures in clients.items():
                for figure, values in figures.items():
                    results.setdefault(key, {}).setdefault(client, {}).setdefault(figure, []).extend(values)
    joined = {name: list(dict.fromkeys(text for run in runs for text in run[name])) for name in _LISTS}
    return {**runs[-1], "runs": [one for run in runs for one in run["runs"]], "results": results, **joined}


def _cell(series: Series | None, digits: int) -> str:
    if series is None:
        return ""
    text = f"{series.median:,.{digits}f}"
    if len(series.values) > 1:
        text += f" ({series.low:,.{digits}f}-{series.high:,.{digits}f})"
    return text


def _verdict(found: Judgement) -> str:
    if found.met is None:
        if not found.words:
            return ""
        return "not judged" if found.row.client in found.cells else "not measured"
    if found.met:
        return "met"
    assert found.distance is not None
    if found.goal == 0:
        return "**missed**"
    over = (found.distance - 1) * 100
    return f"**missed** by {over:.{0 if over >= 10 else 1}f} %"


def _ratios(found: Judgement, columns: Sequence[str]) -> str:
    ours = found.cells.get(found.row.client)
    if ours is None:
        return ""
    told = []
    for name in columns:
        if name == found.row.client:
            continue
        other = found.cells.get(name)
        if other is not None and other.median:
            paired = ratio(ours, other)
            told.append(f"{paired.median if paired.values else ours.median / other.median:.2f} x {name}")
    return ", ".join(told)


def _figures(row: Row, found: Mapping[str, Series], columns: Sequence[str]) -> str:
    """The first columns of a row: its title with the unit, and a cell for each client."""
    title = f"{row.title}, {row.unit}" if row.unit else row.title
    return f"| {title} | {' | '.join(_cell(found.get(name), row.digits) for name in columns)} |"


def table(judgements: list[Judgement], columns: Sequence[str]) -> list[str]:
    """The rows, as Markdown."""
    lines = ["| | " + " | ".join(columns) + " | ours is | to reach | |", "|---" * (len(columns) + 4) + "|"]
    for found in judgements:
        start = _figures(found.row, found.cells, columns)
        lines.append(f"{start} {_ratios(found, columns)} | {found.words} | {_verdict(found)} |")
    return lines


def models(results: Mapping[str, Any]) -> list[str]:
    """The recognizers and the voice of the example, which nothing is expected of; nothing if they were not measured."""
    if "models" not in results:
        return []
    lines = [OF_MODELS, "| | " + " | ".join(MODELS) + " |", "|---" * (len(MODELS) + 1) + "|"]
    lines += [_figures(row, judge(row, results).cells, MODELS) for row in MODEL_ROWS]
    return [*lines, ""]


def sizes(found: Mapping[str, Any]) -> list[str]:
    """The installed size, as rows of the same table."""
    ours, ref = found["ours"], found["ref"]
    over = ours["megabytes"] / MOST_MEGABYTES - 1
    weight = "met" if over <= 0 else f"**missed** by {over * 100:.0f} %"
    number = "met" if ours["distributions"] <= 8 else "**missed**"
    share = f"{ours['megabytes'] / ref['megabytes']:.2f} x ref"
    return [
        f"| installed size with all that is needed, MB | {ours['megabytes']:.1f} | {ref['megabytes']:.0f} | | | {share} "
        f"| <= {MOST_MEGABYTES} MB | {weight} |",
        f"| distributions installed | {ours['distributions']} | {ref['distributions']} | | | | <= 8 | {number} |",
    ]


def servers(results: Mapping[str, Any]) -> list[str]:
    """How busy the other process was: the limit was elsewhere."""
    lines = ["| share of a core that the server took | " + " | ".join(CLIENTS) + " |", "|---" * 5 + "|"]
    for key, clients in results.items():
        shares = {
            name: Series(tuple(figures["server"])).median for name, figures in clients.items() if "server" in figures
        }
        if shares and not key.startswith("growth"):
            told = [f"{shares[name]:.2f}" if name in shares else "" for name in CLIENTS]
            lines.append(f"| {key} | {' | '.join(told)} |")
    senders = [
        f"{key}: {Series(tuple(clients['ours']['sender'])).median:.2f}"
        for key, clients in results.items()
        if "sender" in clients.get("ours", {})
    ]
    return [*lines, "", f"The sender of the audio took, in cores: {', '.join(senders)}."]


def now() -> str:
    """The time as the report gives it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def soak(found: Mapping[str, Any]) -> str:
    """What came of the long soak, as a sentence."""
    return (
        f"{found['client']}: {found['commands']:,} commands over TLS with {found['events']:g} events per second beside them, "
        f"{found['seconds']:.0f} s: {found['lost']:.0f} connections lost, {found['rate']:,.0f} commands per second, "
        f"p99 {found['p99']:.2f} ms ({found['when']})"
    )


def _described(one: Mapping[str, Any]) -> str:
    """One of the runs, as a sentence."""
    load = "" if one["load"] is None else f", load {one['load']:.1f} at the start"
    short = f", {one['left_out']} repetitions left out for lack of time" if one["left_out"] else ""
    only = f" of {', '.join(one['only'])} only" if one.get("only") else ""
    return f"Run of {one['when']}{only}, {one['seconds']:.0f} s{load}{short}."


def _missed(found: Judgement) -> str:
    row, verdict = found.row, _verdict(found).replace("*", "")
    reached = f"{found.cells[row.client].median:,.{row.digits}f} {row.unit}"
    return f"* {row.title}: {reached}, to reach {found.words} ({found.goal or 0:,.{row.digits}f}): {verdict}. {row.why}".rstrip()


def write(folder: Path, run: Mapping[str, Any], plots: list[tuple[str, str]]) -> Path:
    """Write the file into a folder; the plots are there already, as titles and file names."""
    results = run["results"]
    clients = [judge(row, results) for row in CLIENT_ROWS]
    receivers = [judge(row, results) for row in RECEIVER_ROWS]
    several = [judge(row, results) for row in SEVERAL_ROWS]
    speech = [judge(row, results) for row in SPEECH_ROWS]
    telephones = [judge(row, results) for row in TELEPHONE_ROWS]
    missed = [found for found in clients + receivers + several + speech + telephones if found.met is False]
    lines = [HEAD, *(f"* {_described(one)}" for one in run["runs"]), *run["machine"], ""]
    lines += [*(f"{text}\n" for text in run["hints"]), "## Table", ""]
    lines += [*table(clients, CLIENTS), *sizes(run["sizes"]), ""]
    lines += ["## Media receivers", "", *table(receivers, tuple(RECEIVERS)), ""]
    lines += ["## From one process to two", "", *table(several, ("ours",)), ""]
    lines += ["## Speech", "", SPEECH, *table(speech, DETECTORS), "", *cells(results), "", *models(results)]
    lines += ["## The telephone in the browser", "", *table(telephones, TELEPHONES), ""]
    kept = Path(__file__).with_name("soak.json")
    if kept.exists():
        lines += [f"The last long soak: {soak(json.loads(kept.read_text(encoding='utf-8')))}.", ""]
    if run["failures"]:
        lines += ["## What failed", "", *(f"* {text}" for text in run["failures"]), ""]
    lines += ["## Missed", ""]
    lines += [_missed(found) for found in missed]
    weight = run["sizes"]["ours"]["megabytes"]
    if weight > MOST_MEGABYTES:
        lines.append(
            f"* installed size: {weight:.1f} MB, to reach <= {MOST_MEGABYTES} MB. A third of this package is the simulator with "
            "its speech, and a third of the whole is requests with what it needs. It would take a simulator in a distribution of "
            "its own."
        )
    elif not missed:
        lines.append("Nothing.")
    lines += ["", "What each distribution weighs, kB: "]
    lines += [", ".join(f"{name} {size}" for name, size in run["sizes"]["ours"]["kilobytes"].items()) + ".", ""]
    lines += ["## The server", "", *servers(results), "", "## Plots", ""]
    for title, name in plots:
        lines += [f"![{title}]({name})", ""]
    profile = Path(__file__).with_name("PROFILE.md")
    if profile.exists():
        lines += [profile.read_text(encoding="utf-8").rstrip(), ""]
    path = folder / "RESULTS.md"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
