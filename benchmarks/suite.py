"""The whole run: which scenarios, with which clients, how often, in which order."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field, frozen

from . import size, start
from .processes import CERTIFICATE, KEY, helper, worker

__all__ = ["FULL", "QUICK", "Plan", "Results", "run"]

#: Scenario, client, figure: the values, one of each repetition.
Results = dict[str, dict[str, dict[str, list[float]]]]

#: Measure a scenario with a client, and keep what came of it.
Note = Callable[[str, str, Callable[[], Mapping[str, float]]], None]

EVERY: Final = ("ours", "ref", "bridge", "bare")
SDKS: Final = ("ours", "ref", "bridge")


@frozen
class Job:
    """One scenario and who takes part. ``key`` is its name in the results."""

    key: str
    scenario: str
    clients: tuple[str, ...]
    options: Mapping[str, Any]
    repetitions: int = 5
    secure: bool = False


@frozen
class Plan:
    """How much of everything. ``audio`` lists what :mod:`benchmarks.audio` is given, by name in the results.

    :ivar budget: seconds after which nothing is repeated any more; everything is measured at least once.
    """

    jobs: tuple[Job, ...]
    starts: int
    audio: Mapping[str, Mapping[str, Any]] = field(factory=dict)
    budget: float = 480.0


def _growth(counts: tuple[int, ...], repetitions: int) -> tuple[Job, ...]:
    return tuple(
        Job(f"growth {count}", "calls", SDKS if count <= 2000 else ("ours", "ref"), {"count": count}, repetitions)
        for count in counts
    )


def _streams(counts: tuple[int, ...], seconds: float) -> dict[str, dict[str, Any]]:
    return {
        f"streams {count}": {"receiver": "ours", "streams": count, "speaking": count, "seconds": seconds}
        for count in counts
    }


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
    ),
    starts=10,
    audio={
        **_streams((10, 60, 120, 250, 500, 600), 4.0),
        "threaded 60": {"receiver": "threaded", "streams": 60, "speaking": 60, "seconds": 4.0},
        "quiet 1000": {"receiver": "ours", "streams": 1000, "speaking": 100, "seconds": 4.0},
        "long 60": {"receiver": "ours", "streams": 60, "speaking": 60, "seconds": 12.0},
        "pieces 500": {"receiver": "ours", "streams": 500, "speaking": 500, "seconds": 4.0, "mode": "pieces"},
    },
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
    ),
    starts=1,
    audio={
        **_streams((2, 4), 0.5),
        "threaded 60": {"receiver": "threaded", "streams": 2, "speaking": 2, "seconds": 0.5},
        "quiet 1000": {"receiver": "ours", "streams": 4, "speaking": 2, "seconds": 0.5},
        "long 60": {"receiver": "ours", "streams": 2, "speaking": 2, "seconds": 0.6},
        "pieces 500": {"receiver": "ours", "streams": 2, "speaking": 2, "seconds": 0.6, "mode": "pieces"},
    },
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


def run(plan: Plan) -> dict[str, Any]:
    """Run it all. A scenario that fails with a client is noted under ``failures`` and does not end the run."""
    results: Results = {}
    failures: list[str] = []
    total = sum(len(job.clients) * job.repetitions for job in plan.jobs)
    total += plan.starts * (len(start.IMPORTS) + len(start.FIRST_CALL)) + len(plan.audio)
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
        for repetition in range(max((job.repetitions for job in plan.jobs), default=0)):
            for job in plan.jobs:
                if repetition >= job.repetitions:
                    continue
                if repetition and progress.spent > plan.budget:
                    left_out += 1
                    continue
                _side_by_side(job, repetition, ports[job.secure], note)
            if repetition == 0:
                for key, options in plan.audio.items():
                    note(key, options["receiver"], lambda options=options: worker("audio", dict(options)))  # type: ignore[misc]
    sizes = {"ours": size.installed("relay-sync"), "ref": size.installed("signalwire-sdk")}
    return {"results": results, "failures": failures, "sizes": sizes, "seconds": progress.spent, "left_out": left_out}


def _side_by_side(job: Job, repetition: int, port: int, note: Note) -> None:
    """One scenario with each of its clients, and not always in the same order."""
    turn = repetition % len(job.clients)
    for client in job.clients[turn:] + job.clients[:turn]:
        given = {
            "client": client,
            "scenario": job.scenario,
            "port": port,
            "ca_file": str(CERTIFICATE) if job.secure else None,
            "options": dict(job.options),
        }
        note(job.key, client, lambda given=given: worker("worker", given))  # type: ignore[misc]


def _starts(plan: Plan, port: int, note: Note) -> None:
    for _ in range(plan.starts):
        for client in start.IMPORTS:
            note("import", client, lambda client=client: start.importing(client))  # type: ignore[misc]
        for client in start.FIRST_CALL:
            note("first call", client, lambda client=client: start.first_call(client, port))  # type: ignore[misc]
