"""Fixtures for pytest, there wherever this package is installed. Nothing is imported before one of them is used.

``relay_simulator``
    a :class:`relay_sync.simulator.Simulator`; a ``RelayClient()`` without arguments connects to it
``relay_client``
    a :class:`relay_sync.RelayClient` that is connected to it, with context ``default``
``relay_time``
    a function: ``relay_time(100)`` has waits give up 100 times sooner until the test ends (:func:`relay_sync.testing.faster`)

The marker ``relay_simulator`` has parameters for the simulator, and ``contexts`` for the client::

    @pytest.mark.relay_simulator(media="realtime", contexts=["sales"])
    def test_answers(relay_simulator, relay_client): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .client import RelayClient
    from .simulator import Simulator

__all__ = ["pytest_configure", "relay_client", "relay_simulator", "relay_time"]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers", "relay_simulator(**options): parameters of relay_sync's simulator, and contexts=[...] of its client"
    )


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("relay_simulator"))):  # the closest one wins
        if mark.args:
            raise pytest.UsageError("the marker relay_simulator takes keywords only")
        found.update(mark.kwargs)
    return found


@pytest.fixture
def relay_simulator(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """A RELAY server and a telephone network on loopback, with its credentials in the environment."""
    from .simulator import Simulator
    from .testing import environment_of

    options = {"media": "fast", **_options(request)}
    options.pop("contexts", None)
    with Simulator(**options) as sim, environment_of(sim):
        yield sim


@pytest.fixture
def relay_client(request: pytest.FixtureRequest, relay_simulator: Simulator) -> Iterator[RelayClient]:
    """A client that is connected to :func:`relay_simulator`; its calls are hung up at the end."""
    from .client import RelayClient

    contexts = _options(request).get("contexts", ["default"])
    client = RelayClient(**relay_simulator.credentials, contexts=contexts)
    client.connect()
    yield client
    client.disconnect(hangup_calls=True)


@pytest.fixture
def relay_time() -> Iterator[Callable[[float], None]]:
    """Have waits give up sooner, until the end of the test."""
    from .testing import faster

    with ExitStack() as stack:
        yield lambda factor: stack.enter_context(faster(factor))
