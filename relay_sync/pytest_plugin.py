"""Fixtures for pytest, there wherever this package is installed. Nothing is imported before one of them is used.

``relay_simulator``
    a :class:`relay_sync.simulator.Simulator`; a ``RelayClient()`` without arguments connects to it
``relay_client``
    a :class:`relay_sync.RelayClient` that is connected to it, with context ``default``
``relay_time``
    a function: ``relay_time(100)`` has waits give up 100 times sooner until the test ends (:func:`relay_sync.testing.faster`);
    ``with relay_time(100):`` until the block ends
``relay_errors``
    what handlers and callbacks raised (:class:`relay_sync.testing.HandlerErrors`), for a test that expects it; without this
    fixture a test with a simulator fails at its teardown if one of them raised

The marker ``relay_simulator`` has parameters for the simulator, and ``contexts`` for the client::

    @pytest.mark.relay_simulator(media="realtime", contexts=["sales"])
    def test_answers(relay_simulator, relay_client): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .client.client import RelayClient
    from .simulator import Simulator
    from .testing import HandlerErrors

__all__ = ["pytest_configure", "relay_client", "relay_errors", "relay_simulator", "relay_time"]


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
def _relay_raised(request: pytest.FixtureRequest) -> Iterator[HandlerErrors]:
    """What handlers raise in this test; the test fails unless it looks at it itself."""
    from .testing import collected

    with collected() as found:
        yield found
        late = found.late()
    if late:
        pytest.fail(f"{late}: end the call or the wait that each of them is in", pytrace=False)
    if found and "relay_errors" not in request.fixturenames:
        told = "\n\n".join(map(str, found))
        pytest.fail(f"{told}\n(a test that expects this uses the fixture relay_errors)", pytrace=False)


@pytest.fixture
def relay_errors(_relay_raised: HandlerErrors) -> HandlerErrors:
    """What handlers and callbacks raise in this test, which then is no failure."""
    return _relay_raised


@pytest.fixture
def relay_simulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _relay_raised: HandlerErrors
) -> Iterator[Simulator]:
    """A RELAY server and a telephone network on loopback, with its credentials in the environment."""
    from .simulator import Simulator
    from .testing import MISLEADING, variables_of, warn_of_unused_faults

    options = {"media": "fast", **_options(request)}
    options.pop("contexts", None)
    with Simulator(**options) as sim:
        for name, value in variables_of(sim).items():  # by monkeypatch: a test may use it on the same variables
            monkeypatch.setenv(name, value)
        for name in MISLEADING:
            monkeypatch.delenv(name, raising=False)
        yield sim
        _relay_raised.stop_expecting_calls()
    warn_of_unused_faults(sim)


@pytest.fixture
def relay_client(
    request: pytest.FixtureRequest, relay_simulator: Simulator, _relay_raised: HandlerErrors
) -> Iterator[RelayClient]:
    """A client that is connected to :func:`relay_simulator`; its calls are hung up at the end."""
    from .client.client import RelayClient
    from .testing import wait_for_handlers

    contexts = _options(request).get("contexts", ["default"])
    client = RelayClient(**relay_simulator.credentials, contexts=contexts)
    client.connect()
    yield client
    _relay_raised.stop_expecting_calls()
    client.disconnect(hangup_calls=True)
    wait_for_handlers()  # they may still use the simulator and its variables; those that go on are told of below


@pytest.fixture
def relay_time() -> Iterator[Callable[[float], AbstractContextManager[object]]]:
    """Have waits give up sooner, until the end of the test or of a ``with`` block."""
    from .testing import faster

    with ExitStack() as stack:

        def set_pace(factor: float) -> AbstractContextManager[object]:
            block = ExitStack()
            block.enter_context(faster(factor))
            stack.callback(block.close)
            return block

        yield set_pace
