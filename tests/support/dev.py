"""``relay-sync dev`` as people start it: a process in a folder with a program, whose lines a test waits for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from relay_sync.cli.process_table import started_by
from relay_sync.testing import MISLEADING
from tests.support.commands import environment
from tests.support.hosting import Started, launched

#: A program that answers calls, reports their end, and ends with SIGTERM once its calls have ended.
ANSWER: Final = """
from relay_sync import RelayClient

client = RelayClient(contexts=["default"])

@client.on_call
def handle(call):
    call.answer()
    call.wait_for_ended()
    print(f"handled {call.call_id}\\n", end="", flush=True)  # in one write, beside which the log may write a line

if __name__ == "__main__":
    client.run(drain=30)
"""
#: Variables of the person who runs the tests, which a program under ``dev`` would see.
_THEIRS: Final = ("SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN", "SIGNALWIRE_SPACE", "AUDIO_URL", *MISLEADING)


def surroundings(folder: Path, **more: str) -> dict[str, str]:
    """The environment of a person whose files are in a folder."""
    given = environment(XDG_RUNTIME_DIR=str(folder), **more)
    return {name: value for name, value in given.items() if name not in _THEIRS or name in more}


@contextmanager
def dev(folder: Path, *arguments: str, program: str = ANSWER, **more: str) -> Iterator[Started]:
    """Run ``relay-sync dev`` in a folder that has the program as ``answer.py``, and check that no process of it is left."""
    (folder / "answer.py").write_text(program, encoding="utf-8")
    with launched(folder, surroundings(folder, **more), "-m", "relay_sync", "dev", *arguments) as process:
        yield process
        assert process.process.poll() is not None, process.output
    assert os.getpgid(0) != process.process.pid
    assert started_by(process.process.pid) == set()


def lines(process: Started) -> list[str]:
    """The lines of dev, and of the program with its name before them, without what changes from run to run."""
    text = re.sub(r"process \d+", "process N", process.output)
    return [re.sub(r" +\| ", "|", line.lstrip(), count=1) for line in text.splitlines()]


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and whose parent has not noticed does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except OSError:
        return False
