"""Fixtures for the tests of clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from relay_sync import RelayClient
from relay_sync.simulator import Simulator
from tests.support.exchange import Exchange
from tests.support.far_end import mute
from tests.support.tls import tls_context


@pytest.fixture
def exchange(sim: Simulator, client: Callable[..., RelayClient]) -> Exchange:
    """The far side of the dials of a connected client, on a simulator that tells nothing by itself."""
    mute(sim)
    one = client(contexts=None)
    one.connect()
    return Exchange(sim, one)


@pytest.fixture
def secure() -> Iterator[Simulator]:
    """A simulator that speaks TLS."""
    with Simulator(media="fast", ssl_context=tls_context()) as sim:
        yield sim
