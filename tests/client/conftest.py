"""Fixtures for the tests of clients."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from relay_sync import RelayClient
from relay_sync.simulator import Simulator
from tests.support.exchange import Exchange
from tests.support.far_end import mute


@pytest.fixture
def exchange(sim: Simulator, client: Callable[..., RelayClient]) -> Exchange:
    """The far side of the dials of a connected client, on a simulator that tells nothing by itself."""
    mute(sim)
    one = client(contexts=None)
    one.connect()
    return Exchange(sim, one)
