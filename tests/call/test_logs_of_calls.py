"""Records about a call have its id in ``call_id``."""

from __future__ import annotations

import logging

import pytest

from relay_sync import RelayClient
from relay_sync.simulator import Simulator
from relay_sync.threads import logs
from tests.support.lines import FROM, TO


def test_a_call_that_is_passed_back(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "relay_sync")
    with RelayClient(**sim.credentials, contexts=["default"], max_active_calls=1) as client:
        client.on_call(lambda call: call.answer())
        sim.call(to=TO, from_=FROM).wait_until("answered")
        other = sim.call(to=TO, from_=FROM)
        assert other.sent("calling.pass")
    (record,) = [each for each in caplog.records if "is returned to the platform" in each.getMessage()]
    assert getattr(record, "call_id", None) == other.call_id


def test_the_id_is_found_wherever_the_line_names_the_call(caplog: pytest.LogCaptureFixture) -> None:
    log = logs.get("relay_sync")
    log.warning("%s of call %s goes on for %d s", "play", "the-id", 3)
    log.warning("%d calls are live", 3)
    log.warning("call %s", "one", extra={"call_id": "another"})
    assert [getattr(each, "call_id", None) for each in caplog.records] == ["the-id", None, "another"]
