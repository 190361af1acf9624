"""Redirects of downloads: from https never to http, from a public host never inward, and credentials for the space alone."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_sync import DownloadFailed
from relay_sync.rest import RestClient
from relay_sync.rest.reach import Origin, Zone, zone
from tests.support import PATIENCE
from tests.support.downloads import WHOLE, header, part, port_of, url_of
from tests.support.scripted_http import Scripted, answer, scripted_client
from tests.support.tls import CERTIFICATE, tls_context

PUBLIC, PRIVATE = "93.184.216.34", "10.1.2.3"


class Secure(Scripted):
    """The same over TLS."""

    def _serve(self) -> None:
        context = tls_context()
        self._listener = context.wrap_socket(self._listener, server_side=True)
        with contextlib.suppress(ssl.SSLError):
            super()._serve()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names that resolve to addresses of the test's choice; each look-up takes the next list entry, and then the last."""
    table: dict[str, list[str]] = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        found = table.get(host if isinstance(host, str) else host.decode())
        if found is None:
            return real(host, port, *args, **options)
        address = found.pop(0) if len(found) > 1 else found[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port or 0)))]

    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


@pytest.fixture
def anywhere(names: dict[str, list[str]]) -> Iterator[RestClient]:
    """A client that takes plain HTTP from every host, so that names alone make a host a foreign one."""
    with pytest.warns(UserWarning, match="without TLS"):
        client = RestClient("p", "t", "ws://space.example.com", allow_insecure=True, retries=0)
    with client:
        yield client


INWARD = [
    "127.0.0.1",
    "127.9.9.9",
    "localhost",
    "0.0.0.0",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0177.0.0.1",
    "0x7f.1",
    "127.1",
    "0",
    "169.254.169.254",
    "[fe80::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "[fd00::1]",
    "[::ffff:10.0.0.1]",
    "within.example.com",
]


@pytest.mark.parametrize("host", INWARD)
def test_a_public_host_leads_nobody_inward(
    names: dict[str, list[str]], anywhere: RestClient, tmp_path: Path, host: str
) -> None:
    with Scripted(part(len(WHOLE))) as inner:
        with Scripted(answer(302, Location=f"http://{host}:{port_of(inner)}/secret")) as outer:
            names |= {"files.example.com": ["127.0.0.1"], "within.example.com": ["127.0.0.1"]}
            with pytest.raises(DownloadFailed, match=r"\((loopback|link-local|private)\) are not followed"):
                anywhere.download(f"http://files.example.com:{port_of(outer)}/r.wav", tmp_path / "r.wav")
        assert inner.requests.empty()
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_resolves_otherwise_the_second_time_leads_nobody_inward(
    names: dict[str, list[str]], anywhere: RestClient, tmp_path: Path
) -> None:
    """What counts is the connection, not the look-up before it."""
    with Scripted(part(len(WHOLE))) as inner:
        with Scripted(answer(302, Location=f"http://rebinds.example.com:{port_of(inner)}/secret")) as outer:
            names |= {"files.example.com": ["127.0.0.1"], "rebinds.example.com": [PUBLIC, "127.0.0.1"]}
            with pytest.raises(DownloadFailed, match=r"redirects from another host to 127\.0\.0\.1 \(loopback\)"):
                anywhere.download(f"http://files.example.com:{port_of(outer)}/r.wav", tmp_path / "r.wav")
        assert inner.requests.get(timeout=PATIENCE) == b""  # a connection was made, and closed without a word


def test_a_connection_that_is_open_already_is_judged_too(
    names: dict[str, list[str]], anywhere: RestClient, tmp_path: Path
) -> None:
    def twice(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: audio/wav\r\n\r\n\1\2\3")
        peer.settimeout(1)
        with contextlib.suppress(OSError):
            second = peer.recv(65536)
            if second:
                inner.requests.put(second)

    names |= {"files.example.com": ["127.0.0.1"], "inner.example.com": ["127.0.0.1", PUBLIC]}
    with Scripted(twice) as inner:
        there = f"http://inner.example.com:{port_of(inner)}/r.wav"
        assert anywhere.download(there, tmp_path / "mine.wav").size == 3  # asked for by the user: not judged
        with Scripted(answer(302, Location=there)) as outer:
            with pytest.raises(DownloadFailed, match=r"redirects from another host to 127\.0\.0\.1 \(loopback\)"):
                anywhere.download(f"http://files.example.com:{port_of(outer)}/r.wav", tmp_path / "r.wav")
        assert inner.requests.qsize() == 1


def test_this_machine_may_lead_to_itself_and_a_host_to_itself(
    names: dict[str, list[str]], anywhere: RestClient, tmp_path: Path
) -> None:
    with Scripted(part(len(WHOLE))) as there, Scripted(answer(302, Location=url_of(there))) as here:
        assert anywhere.download(url_of(here), tmp_path / "1.wav").size == len(WHOLE)
    names["mine.example.com"] = ["127.0.0.1"]
    with Scripted(answer(302, Location="/there"), part(len(WHOLE))) as server:
        assert anywhere.download(f"http://mine.example.com:{port_of(server)}/r", tmp_path / "2.wav").size == len(WHOLE)


@pytest.mark.parametrize("target", ["http", "https"])
def test_https_leads_to_https_alone(tmp_path: Path, target: str) -> None:
    with Scripted(part(len(WHOLE))) if target == "http" else Secure(part(len(WHOLE))) as other:
        with Secure(answer(302, Location=f"{target}://127.0.0.1:{port_of(other)}/r.wav")) as server:
            with RestClient("p", "t", f"wss://127.0.0.1:{port_of(server)}", ca_file=CERTIFICATE, retries=0) as rest:
                url = f"https://127.0.0.1:{port_of(server)}/r.wav"
                if target == "https":
                    assert rest.download(url, tmp_path / "r.wav").size == len(WHOLE)
                    assert header(other.requests.get(), "Authorization") == ""  # another port is another place
                    return
                with pytest.raises(DownloadFailed, match="from https to http"):
                    rest.download(url, tmp_path / "r.wav")
                assert other.requests.empty()


def test_credentials_do_not_come_back_over_another_host(tmp_path: Path) -> None:
    """Whoever redirects to the space would choose what is asked for in the user's name."""
    with Scripted(answer(302, Location="/elsewhere"), part(len(WHOLE))) as ours, scripted_client(ours) as rest:
        assert rest.download(url_of(ours), tmp_path / "r.wav").size == len(WHOLE)
        for _ in range(2):  # on the space's own host they stay
            assert header(ours.requests.get(), "Authorization").startswith("Basic ")
    with Scripted(part(len(WHOLE))) as ours, scripted_client(ours) as rest:
        with Scripted(answer(302, Location=url_of(ours, "/api/secret"))) as other:
            assert rest.download(url_of(other), tmp_path / "r.wav").size == len(WHOLE)
            assert header(other.requests.get(), "Authorization") == ""
        assert header(ours.requests.get(), "Authorization") == ""


def test_cookies_are_not_kept(tmp_path: Path) -> None:
    with Scripted(answer(302, Location="/r2", Set_Cookie="session=tell-nobody; Path=/"), part(len(WHOLE))) as server:
        with scripted_client(server) as rest:
            rest.download(url_of(server), tmp_path / "r.wav")
        server.requests.get()
        assert header(server.requests.get(), "Cookie") == ""


# -- pure --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "where"),
    [
        (PUBLIC, "public"),
        ("2606:2800:220:1::1", "public"),
        ("127.0.0.1", "loopback"),
        ("0.0.0.0", "loopback"),
        ("0.1.2.3", "loopback"),
        ("::", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:0.0.0.0", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("2002:7f00:1::", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%lo", "link-local"),
        ("::ffff:169.254.169.254", "link-local"),
        (PRIVATE, "private"),
        ("fd12::1", "private"),
        ("fec0::1", "private"),
        ("100.100.0.1", "private"),
        ("224.0.0.1", "private"),
        ("ff02::1", "private"),
        ("255.255.255.255", "private"),
        ("::ffff:93.184.216.34", "public"),
    ],
)
def test_zones(address: str, where: Zone) -> None:
    assert zone(address) == where


@pytest.mark.parametrize(
    ("host", "address", "zone_of_it", "follows"),
    [
        ("files.example.com", PUBLIC, "public", {PUBLIC}),
        ("files.example.com", "127.0.0.1", "public", {PUBLIC}),
        ("files.corp.example", PRIVATE, "private", {PUBLIC, PRIVATE, "192.168.0.1"}),
        ("127.0.0.1", "127.0.0.1", "loopback", {PUBLIC, PRIVATE, "192.168.0.1", "127.0.0.1", "::1"}),
        (PRIVATE, None, "private", {PUBLIC, PRIVATE, "192.168.0.1"}),
        ("no-such-name.invalid", None, "public", {PUBLIC}),
    ],
)
def test_who_may_lead_where(host: str, address: str | None, zone_of_it: Zone, follows: set[str]) -> None:
    origin = Origin(host, address)
    assert origin.zone == zone_of_it
    places = {PUBLIC, PRIVATE, "192.168.0.1", "127.0.0.1", "::1", "169.254.169.254", "fe80::1"}
    assert {place for place in places if origin.may_lead_to("another", place)} == follows
    assert address is None or origin.may_lead_to(host, address)
