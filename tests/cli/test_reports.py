"""The pipe from a process to its supervisor: neither end blocks the other, whatever either of them does."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import cast

import pytest

from relay_sync.cli.reports import VARIABLE, Reporter, Reports
from relay_sync.health.report import EVERY, LONGEST, Report
from relay_sync.health.snapshot import Snapshots
from tests.support.background import Background, until
from tests.support.forks import holds_in_child

REPORT = Report(connected=True, threads=1, samples={"relay_calls": {"": 1}})
#: More than a pipe accepts in one piece.
LARGE = Report(samples={"relay_calls": {f"{number:0100}": 1 for number in range(300)}})


class FixedSnapshots:
    """Says the same whenever it is asked."""

    def __init__(self, report: Report) -> None:
        self.now = report

    def report(self, *, over: bool = False) -> Report:
        return Report(connected=self.now.connected, samples=self.now.samples, over=over)


def snapshots(report: Report = REPORT) -> Snapshots:
    return cast(Snapshots, FixedSnapshots(report))


@pytest.fixture
def pipe() -> Iterator[Reports]:
    made = Reports.make()
    yield made
    with suppress(OSError):
        made.close()


@pytest.fixture
def reporter(pipe: Reports, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reporter]:
    """The process's end of the pipe."""
    assert pipe.writing is not None
    monkeypatch.setenv(VARIABLE, str(os.dup(pipe.writing)))
    made = Reporter()
    assert VARIABLE not in os.environ
    pipe.handed_over()
    yield made
    made.close()
    made.after_fork()  # closes its end


def arrives(pipe: Reports, what: Callable[[], bool]) -> None:
    def ready() -> bool:
        pipe.read()
        return what()

    until(ready)


def written(pipe: Reports, text: bytes) -> None:
    assert pipe.writing is not None
    os.write(pipe.writing, text)


def test_reports_come_once_a_second_and_the_last_announces_the_exit(pipe: Reports, reporter: Reporter) -> None:
    assert reporter.supervised
    reporter.start(snapshots())
    arrives(pipe, lambda: pipe.latest is not None)
    assert pipe.latest == Report(connected=True, samples=REPORT.samples)
    first = pipe.heard
    arrives(pipe, lambda: pipe.heard > first)
    assert EVERY == 1.0
    reporter.ready()
    reporter.close()
    pipe.read()
    assert pipe.ready
    assert pipe.latest is not None
    assert pipe.latest.over
    reporter.close()
    pipe.latest = None
    pipe.read()
    assert pipe.latest is None


def test_a_report_that_is_longer_than_a_pipe_takes_at_once_arrives_whole(pipe: Reports, reporter: Reporter) -> None:
    assert 4096 < len(LARGE.encode()) < LONGEST
    reporter.start(snapshots(LARGE))
    for _ in range(5):
        reporter.ready()
    arrives(pipe, lambda: pipe.latest is not None)
    assert pipe.latest is not None
    assert pipe.latest.samples == LARGE.samples
    assert pipe.unknown == 0


def test_a_supervisor_that_does_not_read_blocks_nothing(pipe: Reports, reporter: Reporter) -> None:
    fcntl.fcntl(pipe.reading, fcntl.F_SETPIPE_SZ, 4096)
    reporter.start(snapshots(LARGE))
    until(lambda: not _is_writable(pipe.reading))
    assert not Background(reporter.wrong, "not delivered").result()
    Background(reporter.ready).result()
    Background(reporter.close).result()
    # What was cut off is completed, and then comes what had to wait.
    arrives(pipe, lambda: _flushed(reporter, pipe))
    assert (pipe.ready, pipe.wrong, pipe.unknown) == (True, "not delivered", 0)


def _is_writable(reading: int) -> bool:
    """Whether the pipe has room left."""
    waiting = int.from_bytes(fcntl.ioctl(reading, 0x541B, bytes(4)), "little")  # FIONREAD
    return waiting < 4096


def _flushed(reporter: Reporter, pipe: Reports) -> bool:
    reporter.ready()
    return pipe.ready and pipe.latest is not None and pipe.wrong is not None


def test_a_supervisor_that_is_gone_is_no_error(pipe: Reports, reporter: Reporter) -> None:
    os.close(pipe.reading)
    reporter.start(snapshots())
    reporter.ready()
    assert not reporter.wrong("text")
    reporter.close()
    pipe.reading = os.open(os.devnull, os.O_RDONLY)  # for the fixture to close


def test_without_a_supervisor_nothing_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    made = Reporter()
    made.start(snapshots())
    assert (made.supervised, made.wrong("text")) == (False, False)
    made.close()


@pytest.mark.parametrize("number", ["", "x", "-1", "9999", "99999999999999999999"])
def test_a_descriptor_that_is_not_open_is_no_supervisor(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, number)
    assert not Reporter().supervised


def test_a_forked_child_reports_nothing(pipe: Reports, reporter: Reporter) -> None:
    reporter.start(snapshots())
    arrives(pipe, lambda: pipe.latest is not None)
    holds_in_child(lambda: not reporter.supervised and not reporter.wrong("of the child"))
    reporter.close()
    pipe.read()
    assert pipe.wrong is None


def test_lines_arrive_in_any_pieces(pipe: Reports) -> None:
    for byte in f"ready\nreport {REPORT.encode()}\n".encode():
        assert pipe.latest is None
        written(pipe, bytes([byte]))
        pipe.read()
    assert (pipe.ready, pipe.latest, pipe.unknown) == (True, REPORT, 0)


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"",
            b"hello",
            b"readyy",
            b"report",
            b"report ",
            b"report {}",
            b"report [1]",
            b"report \xff\xfe",
            b"\x00" * 100,
        ),
        *(b"report " + b"[" * 5000, b"report " + json.dumps({"connected": True}).encode(), b"Ready", b"1" * 4000),
    ],
)
def test_lines_that_are_no_reports_are_counted_and_change_nothing(pipe: Reports, line: bytes) -> None:
    written(pipe, b"report " + REPORT.encode().encode() + b"\n" + line + b"\nready\n")
    pipe.read()
    assert (pipe.latest, pipe.unknown, pipe.ready, pipe.wrong) == (REPORT, 1, True, None)


@pytest.mark.parametrize("text", [b"[" * 60_000, b"9" * 5000, b'"' + b"x" * 60_000 + b'"', b"\xff" * 5000])
def test_a_message_that_this_package_did_not_write_is_shown_in_part(pipe: Reports, text: bytes) -> None:
    written(pipe, b"wrong " + text + b"\nready\n")
    pipe.read()
    assert pipe.ready
    assert pipe.wrong is not None
    assert 1000 < len(pipe.wrong) <= 4000


def test_a_line_without_an_end_is_given_up(pipe: Reports) -> None:
    for _ in range(10):
        written(pipe, b"x" * 40_000)
        pipe.read()
    assert pipe.unknown >= 4
    written(pipe, b"\nready\n")
    pipe.read()
    assert pipe.ready


def test_a_process_that_was_killed_in_the_middle_of_a_line_leaves_its_last_report(pipe: Reports) -> None:
    written(pipe, f"report {REPORT.encode()}\nreport {{".encode())
    pipe.handed_over()
    pipe.read()
    pipe.read()
    assert (pipe.latest, pipe.unknown) == (REPORT, 0)
