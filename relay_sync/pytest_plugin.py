"""Fixtures for pytest, available when this package is installed. They import the package only when used.

``relay_simulator``
    a :class:`relay_sync.simulator.Simulator`; a ``RelayClient()`` without arguments connects to it
``relay_client``
    a :class:`relay_sync.RelayClient` that is connected to it, with context ``default``
``relay_time``
    a function: ``relay_time(100)`` makes waits time out 100 times sooner until the test ends (:func:`relay_sync.testing.faster`);
    ``with relay_time(100):`` until the block ends
``relay_errors``
    the exceptions that handlers and callbacks raised (:class:`relay_sync.testing.HandlerErrors`), for tests that expect them;
    without this fixture a test with a simulator fails at its teardown if there are any

The marker ``relay_simulator`` takes parameters of the simulator, and ``contexts`` for the client::

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
    """Register the marker.

    :param config: pytest's configuration.
    """
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
    """Collect the exceptions of handlers in this test; the test fails unless it requests them."""
    from .testing import collected

    with collected() as found:
        yield found
        late = found.late()
    if late:
        pytest.fail(f"{late}: end the call or the wait that each of them is in", pytrace=False)
    if found and "relay_errors" not in request.fixturenames:
        shown = "\n\n".join(map(str, found))
        pytest.fail(f"{shown}\n(use the fixture relay_errors if the test expects this)", pytrace=False)


@pytest.fixture
def relay_errors(_relay_raised: HandlerErrors) -> HandlerErrors:
    """Return the exceptions of handlers and callbacks in this test, which then do not fail the test."""
    return _relay_raised


@pytest.fixture
def relay_simulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _relay_raised: HandlerErrors
) -> Iterator[Simulator]:
    """Start a RELAY server and telephone network on loopback, with its credentials in the environment."""
    from .simulator import Simulator
    from .testing import MISLEADING, variables_of, warn_of_unused_faults

    options = {"media": "fast", **_options(request)}
    options.pop("contexts", None)
    with Simulator(**options) as sim:
        for name, value in variables_of(sim).items():  # with monkeypatch, as a test may use it for the same variables
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
    """Connect a client to :func:`relay_simulator`; its calls are hung up at the end."""
    from .client.client import RelayClient
    from .testing import wait_for_handlers

    contexts = _options(request).get("contexts", ["default"])
    client = RelayClient(**relay_simulator.credentials, contexts=contexts)
    client.connect()
    yield client
    _relay_raised.stop_expecting_calls()
    client.disconnect(hangup_calls=True)
    wait_for_handlers()  # they may still use the simulator and its variables; handlers that keep running are reported below


@pytest.fixture
def relay_time() -> Iterator[Callable[[float], AbstractContextManager[object]]]:
    """Make waits time out sooner, until the end of the test or of a ``with`` block."""
    from .testing import faster

    with ExitStack() as stack:

        def set_pace(factor: float) -> AbstractContextManager[object]:
            block = ExitStack()
            block.enter_context(faster(factor))
            stack.callback(block.close)
            return block

        yield set_pace
