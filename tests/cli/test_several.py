"""Audio in several processes, as ``relay-sync run`` or a person starts them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relay_sync.simulator import Simulator
from tests.support import ROOT
from tests.support.hosting import Started, environment, launched
from tests.support.pages import blocks
from tests.support.several import Several, needs_proc, with_range

pytestmark = [pytest.mark.slow, needs_proc, pytest.mark.timeout(120)]
PROGRAM = next(
    block
    for block in blocks((ROOT / "docs" / "script.md").read_text(encoding="utf-8"))
    if block.startswith("# answer.py")
)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """One that sends audio as it is spoken: calls live on while others are killed."""
    with Simulator() as simulator:
        yield simulator


def test_processes_of_a_supervisor(sim: Simulator, tmp_path: Path, ports: range) -> None:
    program = with_range(PROGRAM, ports)
    assert 'if __name__ == "__main__":\n    client.run(' in program
    (tmp_path / "answer.py").write_text(program, encoding="utf-8")
    command = ("-m", "relay_sync", "run", "answer:client", "--processes", "2")
    with launched(tmp_path, environment(sim), *command) as process:
        several = Several(sim, tmp_path, ports)
        several.check()
        several.check_end(process)


def test_processes_started_by_hand(sim: Simulator, tmp_path: Path, ports: range) -> None:
    (tmp_path / "answer.py").write_text(with_range(PROGRAM, ports), encoding="utf-8")
    with ExitStack() as stack:
        processes: list[Started] = []

        def start() -> None:
            folder = tmp_path / str(len(processes))
            folder.mkdir()
            process = launched(folder, environment(sim), "../answer.py")
            processes.append(stack.enter_context(process))

        start()
        start()
        several = Several(sim, tmp_path, ports, restart=start)
        several.check()
        several.check_end(*(each for each in processes if each.process.poll() is None))
