"""What the page shows of a program: the simulator's notices, of which the page keeps the last of each kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay_sync.cli.dev.printer import Printer
from relay_sync.cli.dev.session import Session
from relay_sync.cli.dev.settings import program_environment
from relay_sync.cli.dev.stopping import Stopping
from relay_sync.cli.dev.target import Target
from relay_sync.simulator import Simulator
from tests.support.background import Background, until
from tests.support.dev import ANSWER
from tests.support.lines import FROM, TO

pytestmark = [
    pytest.mark.traced,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are listed only there"),
]


@contextmanager
def running(sim: Simulator, folder: Path, program: str) -> Iterator[None]:
    """Run a program in a session, in another thread."""
    (folder / "answer.py").write_text(program, encoding="utf-8")
    stop = Stopping()
    session = Session(
        target=Target("answer.py", [sys.executable, str(folder / "answer.py")]),
        environment=program_environment(sim, "http://127.0.0.1:9/simulator", "the-key"),
        simulator=sim,
        printer=Printer("answer.py"),
        stop=stop,
    )
    run = Background(session.run)
    try:
        yield
    finally:
        stop.stopped.set()
        run.result(30)


def shown(sim: Simulator) -> dict[str, str]:
    """What the page shows."""
    return {notice.kind: notice.text for notice in sim.journal.notices if not notice.call_id and notice.text}


def last(sim: Simulator, kind: str) -> str:
    return [notice.text for notice in sim.journal.notices if notice.kind == kind][-1]


def test_a_program_that_works_leaves_no_notice(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path, ANSWER):
        sim.wait_for_client(timeout=20)
        until(lambda: last(sim, "program") == last(sim, "advice") == "")
        assert shown(sim)["program"].startswith("answer.py started, process ")


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (
            ("RelayClient(", "RelayClient(host='ws://127.0.0.1:9', project='p', token='PTx', "),
            "advice",
            "within 5 s of",
        ),
        (("if __name__", "if False and __name__"), "advice", "ended with exit code 0 before a client connected: call"),
        (("client =", "1 / 0; client ="), "advice", "ended with exit code 1 before a client connected: see its output"),
        (("call.answer()", "import os; os._exit(3)"), "program", "answer.py ended with exit code 3"),
        (("default", "sales"), "advice", "clients have subscribed to 'sales'; call one of these"),
        (
            ("call.answer()", "call.stream('wss://audio.example.com/x')"),
            "advice",
            "a stream to audio.example.com was not",
        ),
    ],
    ids=["credentials", "exit", "crash", "crash in a call", "context", "stream"],
)
def test_what_is_wrong_is_on_the_page(
    change: tuple[str, str], kind: str, words: str, sim: Simulator, tmp_path: Path
) -> None:
    program = ANSWER.replace(*change)
    assert program != ANSWER
    with running(sim, tmp_path, program):
        phone = sim.call(to=TO, from_=FROM)  # It waits for a client.
        until(lambda: words in shown(sim).get(kind, ""))
        phone.hang_up()
