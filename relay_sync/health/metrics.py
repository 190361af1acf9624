"""The text that Prometheus scrapes, version 0.0.4 of its text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from .families import BUCKETS, FAMILIES, SUM, Family, added, allowed
from .report import Samples
from .verdicts import Overview, ProcessHealth, is_connected

__all__ = ["METRICS_TYPE", "metrics_text"]

#: Content type of the text.
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_OWN: Final = (
    Family("relay_process_up", "gauge", "Whether the process is running."),
    Family("relay_process_connected", "gauge", "Whether the process is connected and accepts calls."),
    Family("relay_process_starts_total", "counter", "Starts of the process."),
    Family("relay_process_uptime_seconds", "gauge", "Time since the start of the process."),
    Family("relay_process_report_age_seconds", "gauge", "Time since the latest report of the process."),
    Family("relay_io_threads", "gauge", "IO threads: one for each connected client and each audio server."),
    Family("relay_io_thread_silence_seconds", "gauge", "Longest time for which an IO thread has not answered."),
)


def metrics_text(overview: Overview) -> str:
    """Return the metrics of all processes.

    The counters of processes that have exited are included in the sums of their successors.

    :param overview: the processes.
    """
    lines: list[str] = []
    found = {process.number: _samples(process, overview) for process in overview.processes}
    own = {process.number: _own(process, overview) for process in overview.processes}
    for families, samples in ((_OWN, own), (FAMILIES.values(), found)):
        for family in families:
            lines += _family_lines(family, {number: each.get(family.name, {}) for number, each in samples.items()})
    return "".join(f"{line}\n" for line in lines)


def _samples(process: ProcessHealth, overview: Overview) -> Samples:
    now = allowed(process.report.samples) if process.report is not None else {}
    gauges = {name: values for name, values in now.items() if FAMILIES[name].kind == "gauge"}
    return {**added(now, overview.past.get(process.number, {})), **gauges}


def _own(process: ProcessHealth, overview: Overview) -> Samples:
    report, up = process.report, process.pid is not None
    values: dict[str, float] = {
        "relay_process_up": up,
        "relay_process_connected": is_connected(process) and not overview.draining,
        "relay_process_starts_total": overview.starts.get(process.number, 1),
    }
    if up:
        values["relay_process_uptime_seconds"] = process.age
    if report is not None:
        values["relay_process_report_age_seconds"] = process.silence
        values["relay_io_threads"] = report.threads
        values["relay_io_thread_silence_seconds"] = max(report.silent.values(), default=0.0)
    return {name: {"": value} for name, value in values.items()}


def _family_lines(family: Family, processes: Mapping[int, Mapping[str, float]]) -> Iterator[str]:
    if not any(processes.values()):
        return
    yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.kind}"
    for number, values in processes.items():
        if family.kind == "histogram":
            yield from _histogram(family.name, number, values)
        else:
            for label in sorted(values):
                yield _line(family.name, number, values[label], [(family.label, label)] if family.label else ())


def _histogram(name: str, number: int, values: Mapping[str, float]) -> Iterator[str]:
    if not values:
        return
    count = 0.0
    for bound in BUCKETS:
        count += values.get(bound, 0)
        yield _line(f"{name}_bucket", number, count, [("le", bound)])
    yield _line(f"{name}_sum", number, values.get(SUM, 0))
    yield _line(f"{name}_count", number, count)


def _line(name: str, number: int, value: float, labels: Iterable[tuple[str, str]] = ()) -> str:
    pairs = ",".join(f'{label}="{_escaped(text, quotes=True)}"' for label, text in (("process", str(number)), *labels))
    return f"{name}{{{pairs}}} {int(value) if value == int(value) else round(value, 6)}"


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
