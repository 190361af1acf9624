"""Testing programs that use this package: a simulated platform around them, and time that passes faster.

With pytest, the fixtures ``relay_simulator``, ``relay_client`` and ``relay_time`` come with the package
(:mod:`relay_sync.pytest_plugin`). Without it::

    from relay_sync.testing import simulated

    with simulated() as (sim, client):
        client.on_call(my_handler)
        phone = sim.call(to="+15550100", from_="+15550199")
        assert phone.heard("Welcome")
        assert phone.sent("calling.stream", track="inbound_track")
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from . import checks
from .client import RelayClient
from .runtime import pace
from .simulator import Simulator

__all__ = ["environment_of", "faster", "simulated"]

#: Variables that would lead a client elsewhere than to the simulator.
_MISLEADING: Final = ("SIGNALWIRE_JWT_TOKEN", "SIGNALWIRE_RELAY_CA_FILE", "SIGNALWIRE_RELAY_SCHEME")


@contextmanager
def simulated(contexts: Iterable[str] = ("default",), **options: Any) -> Iterator[tuple[Simulator, RelayClient]]:
    """A simulator and a client that is connected to it; both end with the block, the calls too.

    Inside, a ``RelayClient()`` without arguments connects to the simulator as well: its credentials are in the environment.

    :param contexts: the client's. :param options: parameters of :class:`relay_sync.simulator.Simulator`. Media are
        ``"fast"`` unless said otherwise.
    """
    with Simulator(**{"media": "fast", **options}) as sim, environment_of(sim):
        client = RelayClient(**sim.credentials, contexts=contexts)
        client.connect()
        try:
            yield sim, client
        finally:
            client.disconnect(hangup_calls=True)


@contextmanager
def environment_of(sim: Simulator) -> Iterator[Mapping[str, str]]:
    """Put the credentials of a simulator into the environment of this process, and take them out again.

    :return: what was put there.
    """
    given = sim.credentials
    wanted = {
        "SIGNALWIRE_PROJECT_ID": given["project"],
        "SIGNALWIRE_API_TOKEN": given["token"],
        "SIGNALWIRE_SPACE": given["host"],
    }
    before = {name: os.environ.get(name) for name in (*wanted, *_MISLEADING)}
    for name in _MISLEADING:
        os.environ.pop(name, None)
    os.environ.update(wanted)
    try:
        yield wanted
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def faster(factor: float) -> Iterator[None]:
    """Have waits give up that many times sooner: of ``action.wait(timeout=30)`` a factor of 100 leaves 0.3 seconds.

    For tests of what a program does when nobody answers, presses a key or hangs up. It is about waits for something to happen
    in a call (:meth:`Action.wait`, ``Call.wait_for...``, ``Call.expect``, ``Message.wait``); the time that commands have for
    their answers stays as it is. For all threads of this process.

    :param factor: at least 1.
    """
    number = checks.number("factor", factor, low=1, optional=False)
    before = pace.factor
    pace.factor = float(number or 1)
    try:
        yield
    finally:
        pace.factor = before
