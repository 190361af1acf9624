"""The shipped configuration of nginx: what it accepts, where it connects, and what it writes to its log."""

from __future__ import annotations

import re
import selectors
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from attrs import define

from tests.support import PATIENCE, ROOT
from tests.support.background import until
from tests.support.nginx import HERE, HOST_A, HOST_B, NAME, SHIPPED, Nginx, Places, check, machine, nginx
from tests.support.programs import need

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nginx as Debian has it")

#: The ports of the documented range, and some that nginx must never connect to.
PORTS: Final = range(8765, 8773)
OTHERS: Final = (6379, PORTS.start - 1, PORTS.stop)

TEXT: Final = SHIPPED.read_text(encoding="utf-8")
PAGE: Final = (ROOT / "docs" / "nginx.md").read_text(encoding="utf-8")
KEEPALIVE: Final = "so_keepalive=30s:10s:3"


# -- the file -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_nginx_accepts_the_file() -> None:
    done = check()
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@pytest.mark.slow
def test_nginx_names_a_mistake_in_the_file() -> None:
    done = check({"proxy_pass": "proxy_pas"})
    assert done.returncode != 0
    assert "proxy_pas" in done.stderr


def test_the_map_names_each_port_of_the_range_on_each_machine() -> None:
    (block,) = re.findall(r"^map \$request_uri \$relay_backend \{\n(.*?)^\}", TEXT, re.MULTILINE | re.DOTALL)
    found = dict(re.findall(r"^\s+([^#\s]\S*)\s+(\S+);", block, re.MULTILINE))
    assert found == {
        "default": '""',
        "/audio": "relay_any",
        **{f"/{port}": f"{HERE}:{port}" for port in PORTS},
        **{f"/host-a/{port}": f"{HOST_A}:{port}" for port in PORTS},
        **{f"/host-b/{port}": f"{HOST_B}:{port}" for port in PORTS},
    }
    (group,) = re.findall(r"^upstream relay_any \{\n(.*?)^\}", TEXT, re.MULTILINE | re.DOTALL)
    assert re.findall(r"server (\S+) max_fails=0;", group) == [f"{HERE}:{port}" for port in PORTS]


def test_the_range_is_that_of_the_programs_in_the_comments() -> None:
    assert {(PORTS.start, PORTS.stop)} == {
        (int(first), int(end)) for first, end in re.findall(r"port=range\((\d+), (\d+)\)", TEXT)
    }


def test_nginx_connects_to_what_the_map_says_and_nowhere_else() -> None:
    assert re.findall(r"proxy_pass\s+([^;]+);", TEXT) == ["http://$relay_backend"]


# -- requests, as bytes ---------------------------------------------------------------------------------------------------


@define(eq=False)
class Backends:
    """Listeners on all ports of a machine, which count who connects."""

    address: str
    selector: selectors.BaseSelector

    def take(self) -> list[tuple[int, bytes]]:
        """The ports that were connected to since the last time, and what was sent there."""
        found = []
        for key, _ in self.selector.select(0):
            listener = key.fileobj
            assert isinstance(listener, socket.socket)
            sock, _ = listener.accept()
            with sock:
                sock.settimeout(PATIENCE)
                found.append((listener.getsockname()[1], sock.recv(65536)))
                sock.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return found

    def wait(self) -> tuple[int, bytes]:
        """The next port that is connected to."""
        assert self.selector.select(PATIENCE)
        (found,) = self.take()
        return found


def keep_alive(proxy: Nginx, sock: socket.socket) -> int:
    """When nginx probes its end of a connection next, in hundredths of seconds."""
    ends = [f"0100007F:{port:04X}" for port in (proxy.port, sock.getsockname()[1])]

    def timer() -> tuple[str, int]:
        """The kernel's timer of that end."""
        rows = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
        (kind,) = (row.split()[5] for row in rows if row.split()[1:3] == ends)
        return kind.partition(":")[0], int(kind.partition(":")[2], 16)

    until(lambda: timer()[0] == "02")  # not that of data which was not acknowledged yet
    return timer()[1]


@contextmanager
def listening(address: str) -> Iterator[Backends]:
    with selectors.DefaultSelector() as selector:
        try:
            for port in (*PORTS, *OTHERS):
                listener = socket.create_server((address, port))
                selector.register(listener, selectors.EVENT_READ)
            yield Backends(address, selector)
        finally:
            for key in list(selector.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()


_CERTIFICATE: Final = "".join(re.findall(r"^    ssl_certificate.*\n", TEXT, re.MULTILINE)[:2])
#: Another site, which is the default server of the port, in the place of the block for foreign names: as the page advises.
BESIDE: Final[Mapping[str, str]] = {
    TEXT[TEXT.index("server {\n    # Without keep-alive") : TEXT.index("server {\n    listen 443 ssl;")]: (
        f"server {{\n    listen 443 ssl default_server;\n{_CERTIFICATE}    return 403;\n}}\n"
    ),
    "listen 443 ssl;": f"listen 443 ssl {KEEPALIVE};",
}


@pytest.fixture
def served() -> Iterator[tuple[Nginx, Backends]]:
    """nginx for one machine; there, something listens on each port of the range and beside it."""
    with machine((*PORTS, *OTHERS)) as address, listening(address) as backends:
        with nginx(Places(here=address, hosts=(address, address), name=NAME)) as proxy:
            yield proxy, backends


def head(target: str, *, host: str = NAME, method: str = "GET", more: str = "") -> bytes:
    return (
        f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    ).encode("latin-1")


def status(proxy: Nginx, request: bytes, name: str = NAME) -> int:
    """Send a request, and return the status of the response."""
    with proxy.connect(name) as sock:
        sock.sendall(request)
        with sock.makefile("rb") as answer:
            words = answer.readline().split()
    return int(words[1])


#: Targets that name no port of the range on any machine, or not as it is written in the map.
TARGETS: Final = r"""
    / /6379/ /6379 /0/ /0 /8764 /8773 /65536 /8765/ /08765 /+8765 /8765.0 /-1
    /%38765 /8765%2e /8765%2f /%2f8765 /%2e/8765 /8765%20 /x/%2e%2e/8765 /host-a%2f8765 /%61udio
    //8765 /./8765 /8765/. /8765/.. /x/../8765 /host-a/../8765 /host-a//8765 /8765;x /8765\ /\8765
    /8765? /8765?x=1 /?/8765 /8765#x /#/8765 /audio? /8765@127.0.0.1:6379 /@127.0.0.1:6379/8765
    /127.0.0.1:6379 /127.0.0.1:6379/8765 /http://127.0.0.1:6379/ /$relay_backend /relay_any /default
    /host-c/8765 /host-a/8773 /host-a/6379 /host-a /host-a/ /.host-a/8765 /audio/ /audio/../8765 /healthz /metrics
    https://audio.example.com/8765 http://audio.example.com/8765 ws://audio.example.com/8765 https://evil.example.net/8765
    http://127.0.0.1:6379/8765 https://audio.example.com:6379/8765
"""
#: The same, where nginx itself rejects the request: the target is no path, or leads out of the root.
MALFORMED: Final = """
    8765 * /../8765 /8765/../.. /%2e%2e/8765 /8765% /% /8765%00 https://user@audio.example.com/8765
"""


@pytest.mark.slow
def test_targets_outside_the_map_are_404_and_reach_no_socket(served: tuple[Nginx, Backends]) -> None:
    proxy, backends = served
    assert {target: status(proxy, head(target)) for target in TARGETS.split()} == dict.fromkeys(TARGETS.split(), 404)
    assert {status(proxy, head(target)) for target in MALFORMED.split()} <= {400, 404}  # versions of nginx differ
    assert backends.take() == []


@pytest.mark.slow
@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS", "CONNECT", "TRACE", "PUT", "X"])
def test_other_methods_reach_no_socket(served: tuple[Nginx, Backends], method: str) -> None:
    proxy, backends = served
    assert status(proxy, head("/8765", method=method)) in (400, 404, 405)
    assert backends.take() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("evil.example.net", NAME),
        ("evil.example.net", "evil.example.net"),
        ("127.0.0.1:6379", NAME),
        ("localhost", "localhost"),
        (f"{NAME}.evil.example.net", NAME),
        (f"x.{NAME}", NAME),
        (f"{NAME}, evil.example.net", NAME),
        ("", NAME),
    ],
)
def test_foreign_hosts_reach_no_socket(served: tuple[Nginx, Backends], host: str, name: str) -> None:
    proxy, backends = served
    assert status(proxy, head("/8765", host=host), name) in (400, 404)
    assert backends.take() == []


@pytest.mark.slow
def test_another_site_may_be_the_default_server() -> None:
    """nginx names the mistake, and what the page advises works: a foreign host is the other site's."""
    site = BESIDE[next(iter(BESIDE))]
    assert "a duplicate default server" in check({"log_format": f"{site}log_format"}).stderr
    with machine((*PORTS, *OTHERS)) as address, listening(address) as backends:
        with nginx(Places(here=address, name=NAME), changes=BESIDE) as proxy:
            for name in (NAME, "evil.example.net"):
                assert status(proxy, head("/8765", host="evil.example.net"), name) == 403
            assert backends.take() == []
            assert status(proxy, head("/8773")) == 404
            with proxy.connect(NAME) as sock:
                sock.sendall(head("/8765"))
                assert backends.wait()[0] == PORTS[0]
                assert keep_alive(proxy, sock) <= 30 * 100


@pytest.mark.slow
def test_two_host_headers_are_rejected(served: tuple[Nginx, Backends]) -> None:
    proxy, backends = served
    assert status(proxy, head("/8765", more="Host: evil.example.net\r\n")) == 400
    assert backends.take() == []


@pytest.mark.slow
def test_each_target_of_the_map_reaches_its_port(served: tuple[Nginx, Backends]) -> None:
    """Also without the name in the TLS handshake, and with another port behind the name in ``Host``."""
    proxy, backends = served
    for target, host in [
        (f"{prefix}/{port}", host)
        for port in PORTS
        for prefix, host in (("", NAME), ("/host-a", NAME.upper()), ("/host-b", f"{NAME}:8443"))
    ]:
        with proxy.connect(None) as sock:
            sock.sendall(head(target, host=host, more="Authorization: Bearer t\r\nOrigin: https://x.example.net\r\n"))
            port, request = backends.wait()
        assert port == int(target.rpartition("/")[2])
        first, *fields = request.decode("latin-1").split("\r\n")
        assert first == f"GET {target} HTTP/1.1"
        sent = dict(field.split(": ", 1) for field in fields if field)
        assert sent["Host"] == host
        assert (sent["Upgrade"], sent["Connection"]) == ("websocket", "upgrade")
        assert (sent["Authorization"], sent["Origin"]) == ("Bearer t", "https://x.example.net")
        assert sent["Sec-WebSocket-Version"] == "13"


@pytest.mark.slow
def test_no_secret_is_in_a_log() -> None:
    """Neither if all is well, nor with a process that is gone, a target outside the map, and a malformed request."""
    with machine(PORTS) as address, nginx(Places(here=address, name=NAME)) as proxy:
        token = "Authorization: Bearer secret-1\r\n"
        assert status(proxy, head("/8765", more=token)) == 502
        assert status(proxy, head("/audio", more=token)) == 502
        assert status(proxy, head("/8765?token=secret-2", more=token)) == 404
        assert status(proxy, head("/secret-3", more=token)) == 404
        assert status(proxy, head("/8765?secret-4", host="evil.example.net", more=token)) == 404
        assert status(proxy, head("/../secret-5", more=token)) == 400
        until(lambda: proxy.accesses.count("\n") == 6)  # written after the response
        for log in (proxy.accesses, proxy.errors):
            assert log
            assert "secret" not in log


@pytest.mark.slow
def test_a_vanished_client_is_probed_within_a_minute(served: tuple[Nginx, Backends]) -> None:
    """The connection of a client has a keep-alive timer, of 30 s at most."""
    proxy, _ = served
    with proxy.connect() as sock:
        assert keep_alive(proxy, sock) <= 30 * 100


@pytest.mark.slow
def test_the_limit_of_debian_is_that_of_the_page() -> None:
    need("nginx")
    file = Path("/etc/nginx/nginx.conf")
    if file.exists():  # only Debian's packages have it there
        (limit,) = re.findall(r"worker_connections\s+(\d+);", file.read_text(encoding="utf-8"))
        assert f"`worker_connections` of nginx, which Debian sets to {limit} for each" in " ".join(PAGE.split())


def test_the_page_names_the_values_to_change() -> None:
    for value in re.findall(r"^\| (`.+?`)(?:, `(.+?)`)? \| ", PAGE.partition("## Three forms")[0], re.MULTILINE):
        for each in filter(None, value):
            assert each.strip("`") in " ".join(TEXT.split()), each


def test_the_page_and_the_file_have_the_same_forms() -> None:
    (table,) = re.findall(r"^\| `public_url` .+\n(?:\|.+\n)+", PAGE, re.MULTILINE)
    assert re.findall(r"^\| `(wss://.+?)`", table, re.MULTILINE) == re.findall(r'public_url="(.+?)"', TEXT)
