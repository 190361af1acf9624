"""Every fault at every moment: the user sees what the table says, within a bounded time, and nothing stays behind."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from pathlib import Path

import pytest

from tests.support.faults import table
from tests.support.faults.moments import FAULTS, MOMENTS, stage
from tests.support.faults.table import OF_THE_PROCESS, OUTCOMES, NotApplicable
from tests.support.faults.troubles import AS_USUAL, TROUBLES, WORKS

#: Seconds for a cell, on the slowest machine.
BOUND = 30.0
#: What also runs in the fast tier: one fault at every moment, and every quick one at two.
FAST = {("closed", moment) for moment in MOMENTS} | {
    (fault, moment)
    for fault in ("reset", "split", "corrupt up", "corrupt down", "leaves", "restarts", "forgets")
    for moment in ("sent", "action")
}
CELLS = [
    pytest.param(
        fault, moment, outcome, id=f"{fault}-{moment}", marks=[] if (fault, moment) in FAST else pytest.mark.slow
    )
    for fault, moment, outcome in table.cells()
    if not isinstance(outcome, NotApplicable)
]


@pytest.mark.parametrize(("fault", "moment", "outcome"), CELLS)
def test_the_user_sees(fault: str, moment: str, outcome: str, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    with stage(FAULTS[fault]) as one:
        assert MOMENTS[moment][1](one) == outcome
    assert time.monotonic() - began < BOUND
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("relay-io", "relay-lane"))]
    assert not [record.getMessage() for record in caplog.records if "internal error" in record.getMessage()]
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    # Once at the most, and only where no new attempt can help: nobody need be there to hear of it otherwise.
    assert len(errors) <= (fault == "revokes")
    assert all(message.startswith("the session is permanently lost: the credentials") for message in errors)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["unsent", "sent", "action"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_user_sees_the_same_over_tls(fault: str, moment: str) -> None:
    """Where a changed byte spoils a whole record, and an end may come in the midst of one."""
    outcome = OUTCOMES[fault][moment]
    if isinstance(outcome, NotApplicable):
        return
    with stage(FAULTS[fault], tls=True) as one:
        assert MOMENTS[moment][1](one) == outcome


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and forks as POSIX has them")
@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_befalls_the_program(trouble: str, work: str) -> None:
    began = time.monotonic()
    outcome = dict(zip(WORKS, OF_THE_PROCESS[trouble], strict=True))[work]
    with stage(AS_USUAL) as one, TROUBLES[trouble].around(one):
        assert WORKS[work][1](one, TROUBLES[trouble]) == outcome
    assert time.monotonic() - began < BOUND


def test_no_cell_is_empty() -> None:
    assert set(OUTCOMES) == set(FAULTS)
    assert set(OF_THE_PROCESS) == set(TROUBLES)
    for fault, moment, outcome in table.cells():
        assert outcome, f"{fault} at {moment}"
        assert not isinstance(outcome, NotApplicable) or len(outcome.reason) > 20
    assert {moment for moments in table.CHAPTERS.values() for moment in moments} == set(MOMENTS)


def test_most_cells_are_run() -> None:
    assert len(CELLS) > 0.9 * len(FAULTS) * len(MOMENTS)


def test_the_file_is_what_the_table_says() -> None:
    assert table.FILE.read_text(encoding="utf-8") == table.page(), "run python -m tests.support.faults.table"


def test_footnotes_stand_where_they_are_referred_to() -> None:
    """Below the tables that have them, and above the next chapter."""
    before, notes, after = re.split(r"^(\(1\) .*?)^## ", table.page(), flags=re.MULTILINE | re.DOTALL)
    numbers = set(re.findall(r"^\((\d+)\) ", notes, re.MULTILINE))
    assert set(re.findall(r"– \((\d+)\)", before)) == numbers != set()
    assert "– (" not in after


def test_the_file_names_every_fault_and_outcome() -> None:
    text = Path(table.FILE).read_text(encoding="utf-8")
    for kind in FAULTS.values():
        assert kind.told in text
    assert len(re.findall(r"^\| [a-z ]+ \|", text, re.MULTILINE)) >= 3 * len(FAULTS)
