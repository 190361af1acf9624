"""The command line in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import relay_sync

PACKAGE_HOME = Path(relay_sync.__file__).parent.parent

PATIENCE = 30.0


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PACKAGE_HOME), **more}


def run(*arguments: str, code: str = "", cwd: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, after some code."""
    start = f"{code}\nimport sys; from relay_sync.cli import main; sys.exit(main({list(arguments)!r}))"
    return subprocess.run(
        [sys.executable, "-c", start],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        cwd=cwd,
        env=environment(**more),
        check=False,
    )


def from_terminal(ours: int) -> bytes:
    """All that is drawn on a pseudo-terminal until its other end is closed."""
    drawn = b""
    try:
        while part := os.read(ours, 65536):
            drawn += part
    except OSError:  # Linux: the other end was closed
        pass
    os.close(ours)
    return drawn
