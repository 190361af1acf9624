"""``python -m benchmarks``: run everything and write the results; ``tls``: the long TLS soak; ``pairs``: two commits in turns."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import pairs, plots, report, suite
from .processes import CERTIFICATE, KEY, helper, worker

__all__ = ["main"]

#: Commands of a soak whose outcome is kept for the report.
LONG = 500_000


def _all(given: argparse.Namespace) -> int:
    begun = {"when": report.now(), "load": report.load()}
    plan = suite.QUICK if given.quick else suite.FULL
    if given.only:
        plan = plan.only(given.only)
    done = suite.run(plan)
    run = {**begun, "only": given.only or [], "seconds": done.pop("seconds"), "left_out": done.pop("left_out")}
    return _write(given, {"runs": [run], "machine": report.machine(), **done})


def _write(given: argparse.Namespace, done: dict[str, Any]) -> int:
    # A quick run proves that it works; its figures are not to be kept.
    folder = Path(given.out or (tempfile.mkdtemp(prefix="benchmarks-") if given.quick else Path(__file__).parent))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(done, indent=1), encoding="utf-8")
    drawn = plots.draw(folder, done["results"])
    path = report.write(folder, done, drawn)
    for hint in done["hints"]:
        print(hint, file=sys.stderr)
    failures = done["failures"]
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    print(path)
    return 1 if failures else 0


def _report(given: argparse.Namespace) -> int:
    files = given.results or [Path(given.out or Path(__file__).parent) / "results.json"]
    given.quick = False
    return _write(given, report.merge([json.loads(file.read_text(encoding="utf-8")) for file in files]))


def _tls(given: argparse.Namespace) -> int:
    began = time.monotonic()

    def progress(done: int) -> None:
        print(
            f"\r{done:,} of {given.commands:,} commands, {time.monotonic() - began:.0f} s",
            end="",
            file=sys.stderr,
            flush=True,
        )

    with helper("server", "--tls", str(CERTIFICATE), str(KEY)) as port:
        told = worker(
            "worker",
            {
                "client": given.client,
                "scenario": "soak",
                "port": int(port),
                "ca_file": str(CERTIFICATE),
                "options": {"count": given.commands, "events_per_second": given.events},
            },
            progress=progress,
        )
    print(file=sys.stderr)
    found = {
        "client": given.client,
        "commands": given.commands,
        "events": given.events,
        "seconds": time.monotonic() - began,
        "when": report.now(),
        **told,
    }
    print(report.soak(found))
    if given.client == "ours" and given.commands >= LONG:
        (Path(__file__).parent / "soak.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if told["lost"] else 0


def _pairs(given: argparse.Namespace) -> int:
    return 1 if pairs.run(given.before, given.after, pairs=given.pairs, kept=given.kept) else 0


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure relay_sync beside its rivals.")
    parser.add_argument("--quick", action="store_true", help="a tiny run that only proves that everything works")
    parser.add_argument("--out", help="folder for RESULTS.md, results.json and the plots")
    parser.add_argument(
        "--only",
        action="append",
        choices=[job.key for job in suite.FULL.jobs],
        metavar="SCENARIO",
        help="measure this scenario only; may be given several times",
    )
    parser.set_defaults(run=_all)
    commands = parser.add_subparsers()
    again = commands.add_parser("report", help="write RESULTS.md and the plots again, from one or more results.json")
    again.add_argument(
        "results", nargs="*", type=Path, help="results.json of each run; without one, that of the folder"
    )
    again.add_argument("--out", default=argparse.SUPPRESS)
    again.set_defaults(run=_report)
    tls = commands.add_parser("tls", help="commands over TLS while events flow: how often is the connection lost?")
    tls.add_argument(
        "--commands", type=int, default=LONG, help="the outcome of so many is kept, and told in RESULTS.md"
    )
    tls.add_argument("--events", type=float, default=500.0, help="per second")
    tls.add_argument("--client", choices=("ours", "ref", "bridge"), default="ours")
    tls.set_defaults(run=_tls)
    two = commands.add_parser("pairs", help="is any row worse than at another commit? Both are measured in turns")
    two.add_argument("before", help="a commit, as git names it")
    two.add_argument("after", nargs="?", help="another one; without it, the package as it lies here")
    two.add_argument("--pairs", type=int, default=5, help="how often each is measured")
    two.add_argument("--kept", type=Path, help="a file for the pairs: started again, it goes on behind the last one")
    two.set_defaults(run=_pairs)
    given = parser.parse_args()
    code: int = given.run(given)
    return code


if __name__ == "__main__":
    sys.exit(main())
