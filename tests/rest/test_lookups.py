"""Looking up a name is a part of the time that a request may take, of whatever name on its way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_sync import ConnectTimeout
from relay_sync.rest import RestClient
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.downloads import WHOLE, part, port_of
from tests.support.scripted_http import OK, Scripted, answer

SPACE, FILES, PROXY = "space.example.com", "files.example.com", "proxy.example.com"


class Resolver:
    """The system's, but some names are on this machine, and others it looks for without end."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self._real = real
        self._over = threading.Event()
        self._asked: set[threading.Thread] = set()
        self.known: dict[str, list[str]] = {}
        self.hang: dict[str, int] = {}  # how often a name is found before that

    def __call__(self, host: Any, port: Any, *args: Any, **options: Any) -> Any:
        name = host if isinstance(host, str) else host.decode()
        if name in self.hang:
            self.hang[name] -= 1
            if self.hang[name] < 0:
                self._asked.add(threading.current_thread())
                assert self._over.wait(PATIENCE)
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if name in self.known:
            kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*kind, (address, int(port or 0))) for address in self.known[name]]
        return self._real(host, port, *args, **options)

    def close(self) -> None:
        self._over.set()
        for each in self._asked:
            each.join(PATIENCE)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    for variable in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    resolver = Resolver(socket.getaddrinfo)
    resolver.known = {SPACE: ["127.0.0.1"], FILES: ["127.0.0.1"], PROXY: ["127.0.0.1"]}
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    yield resolver
    resolver.close()


def client(port: str = "80", **options: Any) -> RestClient:
    with pytest.warns(UserWarning, match="without TLS"):
        return RestClient("p", "t", f"ws://{SPACE}:{port}", allow_insecure=True, retries=0, **options)


COMMANDS: dict[str, Callable[[RestClient], object]] = {
    "a command": lambda rest: rest.call("c").hangup(),
    "a command with a time of its own": lambda rest: rest.command("calling.end", call_id="c", timeout=0.05),
    "a dial": lambda rest: rest.dial(to="+15550101", from_="+15550100", url="https://x.test/"),
}


@pytest.mark.parametrize("limit", ["connect_timeout", "request_timeout"])
@pytest.mark.parametrize("send", COMMANDS.values(), ids=COMMANDS)
def test_a_command_to_a_name_that_is_looked_for_without_end(
    names: Resolver, send: Callable[[RestClient], object], limit: str
) -> None:
    names.hang[SPACE] = 0
    options: dict[str, Any] = {limit: 0.05}
    with client(**options) as rest, pytest.raises(ConnectTimeout, match="before the timeout"):
        Background(send, rest).result()


@pytest.mark.parametrize("limit", ["timeout", "connect_timeout"])
@pytest.mark.parametrize(("hop", "found"), [("first", 0), ("redirect", 0), ("redirect", 1)])
def test_a_download_by_way_of_such_a_name(names: Resolver, tmp_path: Path, hop: str, found: int, limit: str) -> None:
    """Of the first host; of that of a redirect, before it is followed or when it is connected to."""
    host = SPACE if hop == "first" else FILES
    names.hang[host] = found
    names.known[FILES] = ["93.184.216.34"]  # a redirect there is followed
    with Scripted(answer(302, Location=f"http://{FILES}/r.wav")) as server:
        url = f"http://{SPACE}:{port_of(server)}/r.wav"
        options: dict[str, Any] = {limit: 0.2}
        wait = options.pop("timeout", PATIENCE)
        with client(port_of(server), **options) as rest:
            with pytest.raises(ConnectTimeout, match="before the timeout"):
                Background(lambda: rest.download(url, tmp_path / "r.wav", timeout=wait)).result()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", [PROXY, SPACE, FILES])
def test_a_download_through_a_proxy(names: Resolver, tmp_path: Path, host: str) -> None:
    """Its own name, and those that are looked up here to see how far a redirect leads."""
    names.hang[host] = 0
    with Scripted(answer(302, Location=f"http://{FILES}/r.wav"), part(len(WHOLE))) as server:
        with client(proxy=f"http://{PROXY}:{port_of(server)}") as rest:
            with pytest.raises(
                ConnectTimeout, match=r"(no connection|did not answer|did not finish) before the timeout$"
            ):
                Background(lambda: rest.download(f"http://{SPACE}/r.wav", tmp_path / "r.wav", timeout=0.2)).result()
    assert list(tmp_path.iterdir()) == []


def test_all_addresses_of_a_name_share_the_time(names: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    names.known[SPACE] = [f"127.0.0.{number}" for number in range(2, 9)]
    given: list[float] = []

    def silent(address: Any, timeout: float, **_: Any) -> None:
        given.append(timeout)
        threading.Event().wait(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", silent)
    with client(request_timeout=0.1) as rest, pytest.raises(ConnectTimeout):
        rest.call("c").hangup()
    assert len(given) == 7
    assert sum(given) < 0.2


def test_the_first_address_that_answers_is_taken(names: Resolver) -> None:
    names.known[SPACE] = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    with Scripted(OK) as server, client(port_of(server)) as rest:
        rest.call("c").hangup()
        assert f"Host: {SPACE}:{port_of(server)}".encode() in server.requests.get()


def test_where_there_is_no_thread_it_is_looked_up_all_the_same(
    names: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of the interpreter, say."""

    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with Scripted(OK) as server, client(port_of(server)) as rest:
        monkeypatch.setattr(threading.Thread, "start", none)
        rest.call("c").hangup()
        monkeypatch.undo()
        assert server.served == 1
