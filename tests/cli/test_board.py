"""What the health server is told of a supervisor's processes, when and how old it is."""

from __future__ import annotations

import threading
import time

from relay_sync.cli.board import Board, Seen
from relay_sync.health.report import Report
from relay_sync.health.verdicts import live
from tests.support.background import Background, until
from tests.support.clocks import HOUR, leapt


def post(board: Board, *, heard: float) -> None:
    """The only process has just been read; its latest report arrived at this time."""
    seen = Seen(number=0, pid=7, started=heard, latest=Report(connected=True), heard=heard)
    board.post([seen], read=time.monotonic(), draining=False, past={}, starts={0: 1})


def test_a_process_that_has_not_been_started_is_not_running() -> None:
    (process,) = Board(1).look().processes
    assert (process.number, process.pid, process.report) == (0, None, None)


def test_after_a_suspension_a_reader_waits_until_the_reports_have_been_read() -> None:
    board = Board(1)
    post(board, heard=time.monotonic())
    with leapt(HOUR):
        reader = Background(board.look)
        assert not threading.Event().wait(0.1)
        assert reader.running
        post(board, heard=time.monotonic())
        overview = reader.result()
        assert overview.unread < 1
        assert live(overview).good


def test_a_supervisor_that_reads_nothing_is_not_alive() -> None:
    board = Board(1)
    post(board, heard=time.monotonic())
    with leapt(HOUR):
        overview = board.look()
    assert overview.unread >= HOUR
    assert overview.processes[0].silence < 1, "nobody knows what the process has said since"
    assert not live(overview).good


def test_a_silent_process_is_judged_by_the_time_of_the_reading() -> None:
    board = Board(1)
    post(board, heard=time.monotonic() - 6)
    assert board.look().processes[0].silence >= 6
    until(lambda: not live(board.look()).good)
