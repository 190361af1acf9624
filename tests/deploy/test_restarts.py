"""Every row of the table of restarts: what the program and the simulator see is what the page says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.restarts import table
from tests.support.restarts.rows import ROWS, TOO_FEW, end_of_a_worker, gunicorn

PLAYED = [pytest.param(name, count, id=f"{name}-{count}") for name, row in ROWS.items() for count in row.processes]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("name", "processes"), PLAYED)
def test_a_restart(name: str, processes: int, tmp_path: Path, free_port: int) -> None:
    row = ROWS[name]
    with row.start(tmp_path, free_port, processes) as one:
        assert one.seen(row.play(one)) == row.seen, one.output


def test_the_page_shows_the_table() -> None:
    assert table.FILE.read_text(encoding="utf-8") == table.page(), "run python -m tests.support.restarts.table"


def test_the_page_shows_the_error_of_a_rolling_restart() -> None:
    assert f"\n{TOO_FEW.format(8765, 8766)}\n" in table.FILE.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_idle_sync_worker_has_its_whole_time_for_the_call(tmp_path: Path, free_port: int) -> None:
    """It tells gunicorn twice in ``--timeout`` that it lives, and no more once it was told to end."""
    row = ROWS["gunicorn-max-requests-long"]
    command = gunicorn("--timeout", "5", worker="sync")(free_port, 1)
    with row.start(tmp_path, free_port, 1, command=command) as one:
        one.until(lambda: one.sent() > 75, "the stream stands still")  # the worker is in the middle of a wait
        assert one.seen(end_of_a_worker(one)) == row.seen, one.output
        assert "WORKER TIMEOUT" not in one.output
