"""No file descriptor is left: what is said, and that the next attempt works once there are some again."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from relay_sync import CommandRefused, ConnectError, ConnectTimeout, RelayClient
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator
from relay_sync.threads.descriptors import are_lacking, lack

resource = pytest.importorskip("resource", reason="limits as POSIX has them")

MISSING = "no file descriptor for "


@contextmanager
def none_left(spare: int = 0) -> Iterator[None]:
    """This process can open nothing more, but for so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, highest + 8), hard))
    taken = []
    try:
        while not are_lacking():
            taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(spare):
            os.close(taken.pop())
        yield
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def refused_for_lack(client: RelayClient) -> ConnectTimeout:
    """Connect without descriptors. On a busy machine, the first limit may pass before the connection has been tried."""
    for limit in (0.1, 1.0, 10.0):
        with pytest.raises(ConnectTimeout) as caught:
            client.connect(limit)
        if MISSING in str(caught.value):
            break
    assert MISSING in str(caught.value)
    return caught.value


def test_a_connection_says_so_and_comes_about_later(sim: Simulator) -> None:
    client = RelayClient(**sim.credentials)
    with none_left():
        assert are_lacking()
        for what in (client.connect, lambda: client.execute("test.any"), client.run):
            with pytest.raises(ConnectError, match=MISSING) as caught:
                what()
            assert lack(caught.value.__cause__) is not None
    assert not are_lacking()
    client.connect()
    assert client.state == "connected"
    client.disconnect()


def test_half_a_loop_leaves_no_descriptor_behind(sim: Simulator) -> None:
    """There is one for the selector, and none for the pipe that wakes it."""
    client = RelayClient(**sim.credentials)
    before = os.listdir("/dev/fd")
    for spare in (1, 2):
        with none_left(spare), pytest.raises(ConnectError, match=MISSING):
            client.connect()
    assert os.listdir("/dev/fd") == before
    client.connect()
    client.disconnect()


def test_a_dial_without_descriptors_is_tried_again_until_there_are_some(sim: Simulator, soon: None) -> None:
    client = RelayClient(**sim.credentials)
    with none_left(3):  # for the thread of the connection
        cause = refused_for_lack(client).__cause__
        assert isinstance(cause, ConnectError)
        assert not cause.fatal
    client.connect()
    client.disconnect()


def test_a_name_that_is_not_found_for_lack_of_descriptors_is_looked_up_again(
    sim: Simulator, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **options: object) -> list[object]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    client = RelayClient(**sim.credentials)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with none_left(3):
        refused_for_lack(client)
    monkeypatch.undo()
    client.connect()
    client.disconnect()


def test_rest_says_so_and_works_later(sim: Simulator) -> None:
    with RestClient(**sim.credentials, retries=0) as rest:
        with none_left(), pytest.raises(ConnectError, match=MISSING):
            rest.command("calling.end", {"call_id": "nobody"})
        with pytest.raises(CommandRefused):
            rest.command("calling.end", {"call_id": "nobody"})


FIRST = """
import os, resource, sys
from relay_sync import CommandRefused, ConnectError, RelayClient
from relay_sync.simulator import Simulator
with Simulator() as sim:
    for name in [name for name in sys.modules if name == "ssl" or name.split(".")[0] == "websocket"]:
        del sys.modules[name]
    client = RelayClient(**sim.credentials)
    spare = int(sys.argv[1])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    taken = []
    try:
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    for _ in range(spare):
        os.close(taken.pop())
    for limit in (0.1, 1.0, 10.0):
        try:
            client.connect(limit)
        except ConnectError as error:
            told = error
        if "descriptor" in str(told):
            break
    for one in taken:
        os.close(one)
    client.connect()
    print(told)
    client.disconnect()
"""


@pytest.mark.traced
@pytest.mark.parametrize("spare", [0, 3])
def test_the_first_connection_cannot_read_the_modules_it_needs(spare: int) -> None:
    """They are imported when they are needed: the files cannot be opened, and nothing is wrong with what is installed."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST, str(spare)], capture_output=True, text=True, timeout=60, check=False
    )
    assert MISSING in done.stdout, done.stdout + done.stderr
