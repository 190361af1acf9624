"""A server that cannot listen says where, why, and what to do, as the system's own kind of error."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable, Iterator

import pytest

from relay_sync.audio import AudioServer
from relay_sync.cli import main
from relay_sync.hosts import listening
from relay_sync.simulator import Simulator

ADVICE = "by another process or another server of this process. Give each process a separate port, or use port=0"
RANGE = ADVICE.replace(
    "Give each process a separate port", "For several processes, use port=range(8765, 8773) and {port} in public_url"
)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def freed(port: int) -> None:
    """A simulator that did not listen for a while, while another server came."""
    with Simulator() as sim:
        sim.refuse_connections(how="tcp")
        with socket.create_server(("127.0.0.1", int(sim.url.rpartition(":")[2]))):
            sim.refuse_connections(False)


SERVERS: dict[str, Callable[[int], object]] = {
    "AudioServer": lambda port: AudioServer(port=port).start(),
    "AudioServer.url": lambda port: AudioServer(port=port).url,
    "AudioServer.accept": lambda port: AudioServer(port=port).accept(0),
    "Simulator": lambda port: Simulator(port=port).start(),
    "Simulator.refuse_connections": freed,
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_port_in_use(taken: int, name: str) -> None:
    start = SERVERS[name]
    with pytest.raises(OSError) as caught:
        start(taken)
    assert caught.value.errno == errno.EADDRINUSE
    found = re.fullmatch(r"127\.0\.0\.1:(\d+) is already in use (.*) for any free port", str(caught.value.strerror))
    assert found is not None
    assert found[2] == (RANGE if name.startswith("AudioServer") else ADVICE)
    assert start is freed or int(found[1]) == taken


def test_an_address_of_another_machine() -> None:
    with pytest.raises(OSError, match=r"192\.0\.2\.1 is not an address of this machine$") as caught:
        AudioServer("192.0.2.1").start()
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_a_port_that_is_kept_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "create_server", denied)
    with pytest.raises(PermissionError, match=r"127\.0\.0\.1:80 requires privileges: use port 1024 or higher$"):
        AudioServer(port=80).start()


@pytest.mark.parametrize(
    "command",
    [
        ("listen", "--port", "{port}"),
        ("simulate", "--show-tokens", "--port", "{port}"),
    ],
    ids=["listen", "simulate"],
)
def test_on_the_command_line(taken: int, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([each.format(port=taken) for each in command]) == 1
    shown = capsys.readouterr().err
    assert f"port {taken} is not available: 127.0.0.1:{taken} is already in use {ADVICE}" in shown
    assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("", "127.0.0.1"),
        ("*", "127.0.0.1"),
        ("::", "[::1]"),
        ("[::]", "[::1]"),
        ("::1", "[::1]"),
        ("app.test", "app.test"),
    ],
)
def test_a_host_in_a_url_for_this_machine(host: str, shown: str) -> None:
    assert listening.url_host(host) == shown
    assert listening.is_everywhere(host) == (host not in ("127.0.0.1", "::1", "app.test"))
