"""Simulators that the commands ``relay-sync sim`` find, and a program in this process that answers their calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from relay_sync import Call, RelayClient
from relay_sync.cli.runtime_files import announced
from relay_sync.simulator import ControlInterface, Simulator
from tests.support import PATIENCE


@contextmanager
def found_by_commands(sim: Simulator, command: str = "relay-sync dev answer.py") -> Iterator[ControlInterface]:
    """Open the control interface, and write the file by which commands find it."""
    said: list[str] = []
    with ControlInterface(sim) as control:
        with announced(control.url, control.key, sim.instance_id, command, said.append):
            assert said == []
            yield control


@contextmanager
def answering(sim: Simulator, *, contexts: tuple[str, ...] = ("default",), url: str = "") -> Iterator[RelayClient]:
    """A client that answers each call, streams it to a URL if there is one, and waits for its end."""
    client = RelayClient(**sim.credentials, contexts=list(contexts))

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        if url:
            call.stream(url)
        call.wait_for_ended(PATIENCE)

    client.on_message(lambda message: None)
    with client:
        client.connect()
        yield client
