"""Run the fast tests, and those marked ``traced``, under coverage, print the report, and fail if the figure dropped.

The figure is kept in ``coverage.txt`` beside this file. It counts lines and branches, also in child processes.
Tests marked ``timing`` are left out, because tracing would disturb them. ``--record`` writes the measured figure.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
RECORDED = HERE / "coverage.txt"
#: Percentage points that the figure may drop: some branches run in some runs only.
TOLERANCE = 0.5


def dropped(measured: float, recorded: float) -> bool:
    return measured < recorded - TOLERANCE


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "COVERAGE_FILE": str(pathlib.Path(folder) / "data")}

        def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "coverage", *arguments]
            return subprocess.run(
                command, cwd=HERE.parent, env=environment, text=True, stdout=subprocess.PIPE, check=False
            )

        tests = ["-m", "pytest", "-q", "-n", "4", "-m", "(not slow or traced) and not timing", "-p", "no:cacheprovider"]
        run = coverage("run", *tests)
        if run.returncode:
            print(run.stdout)
            return run.returncode
        print(run.stdout.rstrip().rpartition("\n")[2])
        coverage("combine", "--quiet")
        print(coverage("report", "--skip-covered", "--show-missing").stdout)
        measured = float(coverage("report", "--format=total").stdout)
    if "--record" in sys.argv[1:]:
        RECORDED.write_text(f"{measured:.2f}\n", encoding="utf-8")
        return 0
    recorded = float(RECORDED.read_text(encoding="utf-8"))
    print(f"coverage {measured:.2f} %, recorded {recorded:.2f} %")
    if dropped(measured, recorded):
        print(f"dropped by more than {TOLERANCE} points: add tests, or record the new figure and say why (--record)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
