"""The processes of a run: servers, and one process for each client and scenario."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

__all__ = ["CERTIFICATE", "KEY", "ROOT", "finish", "helper", "worker"]

ROOT: Final = Path(__file__).parent.parent
CERTIFICATE: Final = ROOT / "tests" / "data" / "tls" / "cert.pem"
KEY: Final = CERTIFICATE.with_name("key.pem")


@contextmanager
def helper(module: str, *arguments: str) -> Iterator[str]:
    """A process that serves until its standard input closes; gives the first line it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        finish(process)
        process.stdout.close()


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a process that has been told to end, and kill it if it does not."""
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)


def worker(
    module: str,
    given: dict[str, Any],
    *,
    progress: Callable[[int], None] | None = None,
    timeout: float = 180.0,
    root: Path = ROOT,
) -> dict[str, Any]:
    """Run ``python -m benchmarks.<module> <json>`` and return the figures it prints.

    :param root: the folder that has ``benchmarks`` and ``relay_sync``.
    :raises RuntimeError: it failed; the text is the end of what it said.
    """
    with subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.{module}", json.dumps(given)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        figures: dict[str, Any] | None = None
        try:
            if progress is None:
                out, error = process.communicate(timeout=timeout)
                lines = out.splitlines()
            else:
                lines = []
                for line in process.stdout:
                    lines.append(line)
                    if line.startswith("progress "):
                        progress(int(line.split()[1]))
                error = process.stderr.read()
        except BaseException:
            process.kill()
            raise
        for line in lines:
            if line.startswith("figures "):
                figures = json.loads(line.removeprefix("figures "))
    if figures is None:
        raise RuntimeError(f"{module} {given} failed: {error[-2000:]}")
    return figures
