"""The whole run: which scenarios, with which clients, how often, in which order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from . import size, start
from .audio import calls_per_frame
from .model_rows import MODELS
from .processes import CERTIFICATE, KEY, ROOT, helper, worker
from .receivers import RECEIVERS, hints, missing
from .rows import TELEPHONES
from .speech_rows import JUDGED_CELLS
from .speech_table import DETECTORS

__all__ = ["FULL", "QUICK", "Job", "Plan", "Progress", "Results", "possible", "run", "streams"]

#: Scenario, client, figure: the values, one of each repetition.
Results = dict[str, dict[str, dict[str, list[float]]]]

#: Measure a scenario with a client, and keep what came of it.
Note = Callable[[str, str, Callable[[], Mapping[str, float]]], None]

EVERY: Final = ("ours", "ref", "bridge", "bare")
SDKS: Final = ("ours", "ref", "bridge")
#: Receivers whose function calls are counted. Those of uvloop are mostly not functions of the interpreter.
COUNTED: Final = ("ours", "threaded", "asyncio")
#: Modules that measure one of several things, and what each of them calls it.
CALLED: Final = {
    "detectors": "detector",
    "conversations": "client",
    "telephones": "telephone",
    "models": "model",
}


@frozen
class Job:
    """One scenario and who takes part.

    :ivar key: its name in the results.
    :ivar scenario: a scenario of :mod:`benchmarks.scenarios`; ``audio`` for the receivers of :mod:`benchmarks.receivers`;
        ``audio calls`` for their function calls; ``several``, ``by_rest``, ``detectors``, ``conversations``, ``telephones`` and
        ``models`` for the modules of these names.
    """

    key: str
    scenario: str
    clients: tuple[str, ...]
    options: Mapping[str, Any]
    repetitions: int = 5
    secure: bool = False

    def measure(self, client: str, ports: Mapping[bool, int], root: Path = ROOT) -> dict[str, float]:
        """Measure one of the clients.

        :param ports: the servers' ports, without and with TLS.
        :param root: the folder that has ``benchmarks`` and ``relay_sync``.
        """
        if self.scenario == "audio":
            return worker("audio", {"receiver": client, **self.options}, root=root)
        if self.scenario in ("several", "by_rest"):
            return worker(self.scenario, dict(self.options), root=root, timeout=600)
        if self.scenario in CALLED:
            return worker(self.scenario, {CALLED[self.scenario]: client, **self.options}, root=root, timeout=600)
        if self.scenario == "audio calls":
            python, c, _ = calls_per_frame(client, root=root, **self.options)
            return {"python": python, "c": c}
        given = {
            "client": client,
            "scenario": self.scenario,
            "port": ports[self.secure],
            "ca_file": str(CERTIFICATE) if self.secure else None,
            "options": dict(self.options),
        }
        return worker("worker", given, root=root)


@frozen
class Plan:
    """How much of everything.

    :ivar budget: seconds after which nothing is repeated any more; everything is measured at least once.
    """

    jobs: tuple[Job, ...]
    starts: int
    budget: float = 540.0

    def only(self, keys: Sequence[str]) -> Plan:
        """Return the part of it that measures these scenarios.

        :param keys: names of jobs.
        """
        return evolve(self, jobs=tuple(job for job in self.jobs if job.key in keys), starts=0)


def _growth(counts: tuple[int, ...], repetitions: int) -> tuple[Job, ...]:
    return tuple(
        Job(f"growth {count}", "calls", SDKS if count <= 2000 else ("ours", "ref"), {"count": count}, repetitions)
        for count in counts
    )


def streams(
    key: str,
    count: int,
    seconds: float,
    *,
    receivers: tuple[str, ...] = ("ours",),
    repetitions: int = 1,
    **options: Any,
) -> Job:
    """Streams of which all speak, unless ``speaking`` is among the options."""
    given = {"streams": count, "speaking": count, "seconds": seconds, **options}
    return Job(key, "audio", receivers, given, repetitions)


FULL: Final = Plan(
    jobs=(
        Job("commands", "commands", EVERY, {"count": 4000}, 7),
        Job("crowd", "crowd", SDKS, {"callers": 64, "each": 150}),
        Job("events", "events", EVERY, {"count": 50_000}),
        Job("calls", "calls", SDKS, {"count": 1000}),
        Job("idle", "idle", SDKS, {"count": 500}, 3),
        Job("blocked", "blocked", SDKS, {"count": 20, "pause": 0.25}, 3),
        Job("cut", "cut", ("ours", "ref"), {}, 5),
        Job("commands, TLS", "commands", EVERY, {"count": 3000}, 3, secure=True),
        Job("events, TLS", "events", EVERY, {"count": 20_000}, 3, secure=True),
        Job("soak", "soak", ("ours",), {"count": 20_000, "events_per_second": 500}, 1, secure=True),
        *_growth((100, 200, 500, 2000, 5000), 2),
        streams("streams 60", 60, 4.0, receivers=tuple(RECEIVERS), repetitions=3),
        streams("streams 300", 300, 4.0, receivers=tuple(RECEIVERS), repetitions=3),
        *(streams(f"streams {count}", count, 4.0) for count in (10, 120, 500, 600)),
        streams("quiet 1000", 1000, 4.0, speaking=100),
        streams("long 60", 60, 12.0),
        streams("pieces 500", 500, 4.0, mode="pieces"),
        Job("function calls", "audio calls", COUNTED, {"streams": 20, "seconds": 4.0}, 1),
        Job("by REST", "by_rest", ("ours",), {"count": 1000}, 3),
        Job("two receivers", "several", ("ours",), {}, 1),
        Job("detectors", "detectors", DETECTORS, {}, 1),
        Job("conversations 20", "conversations", DETECTORS, {"count": 20, "seconds": 20.0}, 2),
        Job("models", "models", MODELS, {}, 1),
        Job("telephones", "telephones", TELEPHONES, {}, 1),
    ),
    starts=10,
)

#: Small enough for every change; the figures mean nothing.
QUICK: Final = Plan(
    jobs=(
        Job("commands", "commands", EVERY, {"count": 100}, 1),
        Job("crowd", "crowd", SDKS, {"callers": 8, "each": 10}, 1),
        Job("events", "events", EVERY, {"count": 500}, 1),
        Job("calls", "calls", SDKS, {"count": 20}, 1),
        Job("idle", "idle", SDKS, {"count": 20}, 1),
        Job("blocked", "blocked", SDKS, {"count": 3, "pause": 0.05}, 1),
        Job("cut", "cut", ("ours", "ref"), {}, 1),
        Job("commands, TLS", "commands", ("ours", "ref"), {"count": 50}, 1, secure=True),
        Job("events, TLS", "events", ("ours",), {"count": 200}, 1, secure=True),
        Job("soak", "soak", ("ours",), {"count": 200, "events_per_second": 100}, 1, secure=True),
        *_growth((10, 20), 1),
        streams("streams 60", 3, 0.5, receivers=tuple(RECEIVERS), settle=0.2),
        streams("streams 300", 4, 0.5, receivers=tuple(RECEIVERS), settle=0.2),
        streams("streams 500", 4, 0.5, settle=0.2),
        streams("quiet 1000", 4, 0.5, speaking=2, settle=0.2),
        streams("long 60", 2, 0.6, settle=0.2),
        streams("pieces 500", 2, 0.6, mode="pieces", settle=0.2),
        Job("function calls", "audio calls", COUNTED, {"streams": 2, "seconds": 1.0}, 1),
        Job("by REST", "by_rest", ("ours",), {"count": 20}, 1),
        Job(
            "two receivers", "several", ("ours",), {"first": 2, "most": 2, "pairs": 1, "seconds": 0.5, "settle": 0.2}, 1
        ),
        Job("detectors", "detectors", DETECTORS, {"seeds": [1], "cells": JUDGED_CELLS, "seconds": 0.1}, 1),
        Job("conversations 20", "conversations", DETECTORS, {"count": 2, "seconds": 7.0, "settle": 0.2}, 1),
        Job("models", "models", MODELS, {"most": 2}, 1),
        Job("telephones", "telephones", TELEPHONES, {"count": 3, "crowd": 2}, 1),
    ),
    starts=1,
)


class Progress:
    """One line on the terminal that says what runs and how much is left; a line each where it is not a terminal."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.began = time.monotonic()

    @property
    def spent(self) -> float:
        return time.monotonic() - self.began

    def step(self, what: str) -> None:
        self.done += 1
        text = f"[{self.done:3}/{self.total}] {self.spent:4.0f} s  {what}"
        if sys.stderr.isatty():
            print(f"\r\x1b[2K{text}", end="\n" if self.done == self.total else "", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)


def possible(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs without the clients whose packages are not installed. A job of which none is left is left out."""
    left = (evolve(job, clients=tuple(name for name in job.clients if not missing(name))) for job in jobs)
    return [job for job in left if job.clients]


def run(plan: Plan) -> dict[str, Any]:
    """Run it all. A scenario that fails with a client is noted under ``failures`` and does not end the run.

    Receivers that need a package that is not installed are left out, and ``hints`` says what to install.
    """
    results: Results = {}
    failures: list[str] = []
    jobs = possible(plan.jobs)
    total = sum(len(job.clients) * job.repetitions for job in jobs)
    total += plan.starts * (len(start.IMPORTS) + len(start.FIRST_CALL))
    progress = Progress(total)

    def note(key: str, client: str, measure: Callable[[], Mapping[str, float]]) -> None:
        progress.step(f"{key}: {client}")
        try:
            found = measure()
        except Exception as error:
            # The last line: above it are places on this machine.
            said = str(error).strip().splitlines() or [type(error).__name__]
            failures.append(f"{key}, {client}: {said[-1]}")
            return
        for name, value in found.items():
            results.setdefault(key, {}).setdefault(client, {}).setdefault(name, []).append(value)

    left_out = 0
    start.compile_ours()
    with helper("server") as plain, helper("server", "--tls", str(CERTIFICATE), str(KEY)) as secure:
        ports = {False: int(plain), True: int(secure)}
        _starts(plan, ports[False], note)
        for repetition in range(max((job.repetitions for job in jobs), default=0)):
            for job in jobs:
                if repetition >= job.repetitions:
                    continue
                if repetition and progress.spent > plan.budget:
                    left_out += 1
                    continue
                _side_by_side(job, repetition, ports, note)
    sizes = {"ours": size.installed("relay-sync"), "ref": size.installed("signalwire-sdk")}
    return {
        "results": results,
        "failures": failures,
        "hints": hints(),
        "sizes": sizes,
        "seconds": progress.spent,
        "left_out": left_out,
    }


def _side_by_side(job: Job, repetition: int, ports: Mapping[bool, int], note: Note) -> None:
    """One scenario with each of its clients, and not always in the same order."""
    turn = repetition % len(job.clients)
    for client in job.clients[turn:] + job.clients[:turn]:
        note(job.key, client, lambda client=client: job.measure(client, ports))  # type: ignore[misc]


def _starts(plan: Plan, port: int, note: Note) -> None:
    for _ in range(plan.starts):
        for client in start.IMPORTS:
            note("import", client, lambda client=client: start.importing(client))  # type: ignore[misc]
        for client in start.FIRST_CALL:
            note("first call", client, lambda client=client: start.first_call(client, port))  # type: ignore[misc]
