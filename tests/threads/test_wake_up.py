"""A thread that sleeps in a selector is woken once for any number of changes."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Iterator

import pytest

from relay_sync.threads.wake_up import WakeUp
from tests.support import PATIENCE


@pytest.fixture
def wake_up() -> Iterator[WakeUp]:
    made = WakeUp()
    yield made
    made.close()


def test_a_ring_ends_a_sleep_and_a_second_one_costs_nothing(wake_up: WakeUp) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(wake_up.receiver, selectors.EVENT_READ)
        assert not selector.select(0)
        ringing = threading.Thread(target=wake_up.ring, name="relay-test-ring", daemon=True)
        ringing.start()
        assert selector.select(PATIENCE)
        ringing.join(PATIENCE)
        wake_up.ring()
        assert wake_up.receiver.recv(64) == b"\0", "a byte was on its way already"
        wake_up.clear()  # nothing is left to read
        assert not selector.select(0)
        wake_up.ring()
        assert selector.select(PATIENCE)


def test_nobody_is_woken_after_the_end(wake_up: WakeUp) -> None:
    wake_up.close()
    wake_up.ring()
    wake_up.close()
