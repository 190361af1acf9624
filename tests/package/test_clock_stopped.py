"""Every wait with a timeout ends where the clock stands still, as it does in tests of users that freeze time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from relay_sync import WaitTimeout
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator
from relay_sync.threads import logs
from relay_sync.threads.flag import Bell
from relay_sync.threads.mailbox import Mailbox
from relay_sync.threads.outcome import Waiter, wait_for_event, wait_until
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.clocks import stopped
from tests.support.lines import Line, line

SHORT = 0.03


def _too_late() -> WaitTimeout:
    return WaitTimeout("nothing")


def _refused(wait: Callable[[], object]) -> bool:
    try:
        wait()
    except WaitTimeout:
        return True
    return False


PRIMITIVES: dict[str, Callable[[], bool]] = {
    "Waiter": lambda: _refused(lambda: Waiter[int]().wait(SHORT, _too_late)),
    "Mailbox": lambda: _refused(lambda: Mailbox[int](limit=4).get(SHORT, _too_late)),
    "wait_for_event": lambda: not wait_for_event(threading.Event(), SHORT),
    "wait_until": lambda: not wait_until(lambda: False, Bell(), SHORT),
}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_a_wait_ends_by_what_the_lock_has_waited(name: str) -> None:
    with stopped():
        assert Background(PRIMITIVES[name]).result(PATIENCE)


WAITS: dict[str, Callable[[Line], object]] = {
    "Action.wait": lambda on: on.call.play_silence(600).wait(SHORT),
    "Call.wait_for_ended": lambda on: on.call.wait_for_ended(SHORT),
    "RelayClient.execute": lambda on: on.client.execute("signalwire.ping", timeout=SHORT),
    "Simulator.wait_for_client": lambda on: on.sim.wait_for_client(9, timeout=SHORT),
    "Phone.wait_until": lambda on: on.phone.wait_until("ended", SHORT),
}


@pytest.mark.parametrize("name", WAITS)
def test_waits_of_users_end(sim: Simulator, name: str) -> None:
    with line(sim) as one:
        sim.drop_reply("signalwire.ping")
        with stopped():
            assert Background(lambda: _refused(lambda: WAITS[name](one))).result(PATIENCE)
        sim.clear_faults()


def test_a_look_for_a_command_ends(sim: Simulator) -> None:
    with line(sim) as one:
        with stopped():
            assert not Background(lambda: bool(one.phone.sent("calling.hold", within=SHORT))).result(PATIENCE)


def test_a_pause_before_another_attempt_ends(sim: Simulator) -> None:
    with RestClient(**sim.credentials) as rest, stopped():
        Background(lambda: rest._exchange.pause(SHORT)).result(PATIENCE)


def test_a_handler_of_the_log_that_blocks_holds_up_no_flush() -> None:
    go_on = threading.Event()

    class Blocking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            go_on.wait(PATIENCE)

    logger, handler = logging.getLogger("relay_sync.test"), Blocking()
    logger.addHandler(handler)
    try:
        with stopped():
            logs.get("relay_sync.test").later.warning("blocks")
            assert Background(lambda: logs.flush(SHORT)).result(PATIENCE / 2) is False
    finally:
        go_on.set()
        assert logs.flush(PATIENCE)
        logger.removeHandler(handler)
