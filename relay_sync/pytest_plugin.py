"""pytest plugin with fixtures for testing programs that use relay_sync.

pytest loads this plugin automatically when the package is installed. The rest of the package is imported when a fixture is used.

``relay_simulator``
    A running :class:`relay_sync.simulator.Simulator`. ``RelayClient()`` without arguments connects to it.
``relay_client``
    A :class:`relay_sync.RelayClient` that is connected to the simulator, with the context ``default``.
``relay_time``
    A function that shortens timeouts. ``relay_time(100)`` divides them by 100 for the rest of the test, and
    ``with relay_time(100):`` only inside the block. See :func:`relay_sync.testing.faster`.
``relay_errors``
    The exceptions raised by handlers and callbacks, as :class:`relay_sync.testing.HandlerErrors`. Use this fixture in tests that
    expect exceptions. Without it, a test that uses the simulator fails if a handler or callback raises an exception.
``relay_scenario``
    A function that plays a scenario file with the program under test. The test fails if an expectation is not met. The file's
    path is relative to the test. See :func:`relay_sync.scenarios.play`. Requires
    ``@pytest.mark.relay_simulator(media="realtime")``.

The marker ``relay_simulator`` accepts parameters for the simulator, and ``contexts`` for the client::

    @pytest.mark.relay_simulator(media="realtime", contexts=["sales"])
    def test_answers(relay_simulator, relay_client): ...
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .client.client import RelayClient
    from .scenarios import Report
    from .simulator import Simulator
    from .testing import HandlerErrors

__all__ = ["pytest_configure", "relay_client", "relay_errors", "relay_scenario", "relay_simulator", "relay_time"]


def pytest_configure(config: pytest.Config) -> None:
    """Register the ``relay_simulator`` marker.

    :param config: pytest configuration.
    """
    config.addinivalue_line(
        "markers", "relay_simulator(**options): parameters of relay_sync's simulator, and contexts=[...] of its client"
    )


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers("relay_simulator"))):  # The closest marker takes precedence.
        if mark.args:
            raise pytest.UsageError("the marker relay_simulator takes only keyword arguments")
        found.update(mark.kwargs)
    return found


@pytest.fixture
def _relay_raised(request: pytest.FixtureRequest) -> Iterator[HandlerErrors]:
    """Collect the exceptions raised by handlers. The test fails if there are any, unless it uses ``relay_errors``."""
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
    """Return the exceptions raised by handlers and callbacks during the test. With this fixture, they do not fail the test."""
    return _relay_raised


@pytest.fixture
def relay_simulator(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _relay_raised: HandlerErrors
) -> Iterator[Simulator]:
    """Start a simulator, with its credentials in the environment."""
    from .simulator import Simulator
    from .testing import MISLEADING, variables_of, warn_of_unused_faults

    options = {"media": "fast", **_options(request)}
    options.pop("contexts", None)
    with Simulator(**options) as sim:
        # Use monkeypatch, because the test may change the same variables with it.
        for name, value in variables_of(sim).items():
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
    """Connect a client to the simulator. Live calls are hung up when the test ends."""
    from .client.client import RelayClient
    from .testing import wait_for_handlers

    contexts = _options(request).get("contexts", ["default"])
    client = RelayClient(**relay_simulator.credentials, contexts=contexts)
    client.connect()
    yield client
    _relay_raised.stop_expecting_calls()
    client.disconnect(hangup_calls=True)
    # Handlers may still use the simulator and its environment variables. _relay_raised reports handlers that do not return.
    wait_for_handlers()


@pytest.fixture
def relay_scenario(request: pytest.FixtureRequest, relay_simulator: Simulator) -> Callable[..., Report]:
    """Return a function that plays a scenario file, such as ``relay_scenario("order.toml")``."""
    from .scenarios import play

    def scenario(
        file: str | os.PathLike[str],
        *,
        voice: Callable[[str], Any] | str | None = None,
        recognizer: Callable[..., str] | str | None = None,
    ) -> Report:
        report = play(request.path.parent / file, relay_simulator, voice=voice, recognizer=recognizer)
        if not report:
            pytest.fail(f"{file}\n{report}", pytrace=False)
        return report

    return scenario


@pytest.fixture
def relay_time() -> Iterator[Callable[[float], AbstractContextManager[object]]]:
    """Return a function that shortens timeouts until the test or a ``with`` block ends."""
    from .testing import faster

    with ExitStack() as stack:

        def set_pace(factor: float) -> AbstractContextManager[object]:
            block = ExitStack()
            block.enter_context(faster(factor))
            stack.callback(block.close)
            return block

        yield set_pace
