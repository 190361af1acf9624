"""``relay-sync doctor --audio`` names what is wrong with a real nginx, from what the responses look like."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from relay_sync.audio import AudioServer
from relay_sync.cli.audio_checkup import way_to
from relay_sync.cli.checkup import Finding
from tests.support.nginx import Places, machine, nginx
from tests.support.ports import hold_port
from tests.support.tls import CERTIFICATE, tls_context

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="nginx as Debian has it"),
]

#: What a location needs. Each test leaves one of them out, or adds a line.
VERSION = "proxy_http_version 1.1;"
UPGRADE = "proxy_set_header Upgrade $http_upgrade;"
CONNECTION = 'proxy_set_header Connection "upgrade";'
RIGHT = f"{VERSION} {UPGRADE} {CONNECTION}"

SERVER = """
server {
    listen 127.0.0.1:{port} %(listen)s;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    server_name localhost;
    access_log off;
    location %(location)s { %(lines)s }
}
"""


@pytest.fixture(autouse=True)
def own_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))


@contextmanager
def behind(
    lines: str,
    *,
    location: str = "/audio",
    listen: str = "ssl",
    scheme: str = "wss",
    to: str = "http://127.0.0.1:{audio}",
    ssl_context: ssl.SSLContext | None = None,
) -> Iterator[AudioServer]:
    """A receiver behind an nginx with these lines in the location."""
    with hold_port() as held:
        audio = held.getsockname()[1]
        passed = f"proxy_pass {to.replace('{audio}', str(audio))}; " if to else ""
        http = SERVER % {"listen": listen, "location": location, "lines": passed + lines}
        with nginx(http=http) as proxy:
            url = proxy.url("/audio").replace("wss:", f"{scheme}:")
            with AudioServer(port=audio, public_url=url, ssl_context=ssl_context, token="of-the-program") as server:
                yield server


def last(audio: AudioServer, timeout: float = 10.0) -> Finding:
    finding = list(way_to(audio, timeout=timeout))[-1]
    assert finding.verdict == "bad", finding
    return finding


def check_that_nothing_is_wrong(audio: AudioServer) -> None:
    findings = list(way_to(audio))
    assert [each.what for each in findings if each.verdict == "bad"] == [], findings
    assert findings[-1].what == "audio out"


def test_nothing_is_wrong() -> None:
    with behind(RIGHT) as audio:
        check_that_nothing_is_wrong(audio)


PORTS = range(8765, 8773)


@contextmanager
def shipped(ports: range) -> Iterator[AudioServer]:
    """A receiver with these ports, behind the shipped configuration."""
    with machine(ports) as address, nginx(Places(here=address)) as proxy:
        url = f"wss://localhost:{proxy.port}/{{port}}"
        with AudioServer(address, port=ports, public_url=url) as audio:
            yield audio


def test_the_shipped_configuration() -> None:
    with shipped(PORTS) as audio:
        check_that_nothing_is_wrong(audio)


def test_a_port_beside_the_range_of_the_shipped_configuration() -> None:
    with shipped(range(PORTS.stop, PORTS.stop + 8)) as audio:
        finding = last(audio)
    assert finding.seen == "HTTP 404: the request did not arrive in this program: no route for /8773"
    assert "it must name every port of 8773 to 8780" in finding.advice


@pytest.mark.parametrize(
    ("lines", "seen", "advice"),
    [
        ("", "without the header Upgrade: websocket", "proxy_set_header Upgrade $http_upgrade;"),
        (VERSION, "without the header Upgrade: websocket", "proxy_set_header Upgrade $http_upgrade;"),
        (f"{VERSION} {CONNECTION}", "without the header Upgrade: websocket", "Upgrade $http_upgrade;"),
        (f"{UPGRADE} {CONNECTION}", "as HTTP/1.0", "proxy_http_version 1.1;"),
        (f"{VERSION} {UPGRADE}", "without the header Connection: Upgrade", 'Connection "upgrade";'),
        (f'{RIGHT} proxy_set_header Authorization "";', "without the Authorization header", "Authorization"),
        (f'{RIGHT} proxy_set_header Authorization "Bearer x";', "with another token", "Authorization"),
        (f"{RIGHT} deny all;", "HTTP 403: the request did not arrive in this program", "deny"),
        (f"{RIGHT} return 404;", "HTTP 404: the request did not arrive", "location for /audio"),
        (f"{RIGHT} return 503;", "HTTP 503: the proxy has no server", "limit_conn"),
        (
            f"{RIGHT} return 308 https://localhost:1/audio;",
            "redirected to https://localhost:1/audio;",
            "port for plain HTTP",
        ),
        (f"{RIGHT} auth_basic x; auth_basic_user_file /dev/null;", "asks for a user and a password", "auth_basic off;"),
    ],
)
def test_lines_that_are_missing_or_wrong(lines: str, seen: str, advice: str) -> None:
    with behind(lines) as audio:
        finding = last(audio)
    assert (finding.verdict, finding.what) == ("bad", "audio upgrade"), finding
    assert seen in finding.seen
    assert advice in finding.advice


def test_the_path_is_stripped() -> None:
    with behind(RIGHT, to="http://127.0.0.1:{audio}/") as audio:
        finding = last(audio)
    assert "with another path than /audio" in finding.seen


def test_the_location_ends_with_a_slash() -> None:
    with behind(RIGHT, location="/audio/") as audio:
        finding = last(audio)
    assert finding.seen.startswith("HTTP 301: redirected to ")
    assert "without a slash at the end" in finding.advice


def test_a_client_certificate_is_asked_for() -> None:
    with behind(
        f"{RIGHT} }} ssl_verify_client on; ssl_client_certificate {{folder}}/cert.pem; location /x {{"
    ) as audio:
        finding = last(audio)
    assert finding.seen == "HTTP 400: the proxy asks for a client certificate"
    assert "ssl_verify_client off;" in finding.advice


def test_no_location() -> None:
    with behind(RIGHT, location="/other") as audio:
        finding = last(audio)
    assert "no route for /audio" in finding.seen


def test_a_web_server() -> None:
    with behind("return 200 hello;", to="") as audio:
        finding = last(audio)
    assert finding.seen == "HTTP 200: a web server answered, not the program"


def test_the_wrong_port_behind() -> None:
    with hold_port() as nobody:
        with behind(RIGHT, to=f"http://127.0.0.1:{nobody.getsockname()[1]}") as audio:
            finding = last(audio)
            port = audio.port
    assert finding.seen.startswith("HTTP 502: the proxy could not connect")
    assert f"have the proxy connect to 127.0.0.1:{port}" in finding.advice


def test_another_process_behind() -> None:
    with AudioServer(token="of-another-process") as other:
        with behind(RIGHT, to=f"http://127.0.0.1:{other.port}") as audio:
            finding = last(audio)
    assert finding.seen.startswith("HTTP 401: another process with an AudioServer answered")


def test_nobody_answers_behind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        to = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with behind(f"{RIGHT} proxy_read_timeout 1s;", to=to) as audio:
            assert last(audio).seen == "HTTP 504: the proxy got no answer from the program behind it"
        with behind(RIGHT, to=to) as audio:
            assert last(audio, timeout=1).seen == "no response to the upgrade within 1 s"


def test_tls_to_a_plain_port() -> None:
    with behind(RIGHT, to="https://127.0.0.1:{audio}") as audio:
        finding = last(audio)
    assert finding.seen == "HTTP 502: the proxy speaks TLS to this program, which listens without TLS"
    assert "proxy_pass http://127.0.0.1:" in finding.advice


def test_http_to_a_tls_port() -> None:
    with behind(RIGHT, ssl_context=tls_context()) as audio:
        finding = last(audio)
    assert "the proxy connects without TLS to this program" in finding.seen
    assert "proxy_pass https://127.0.0.1:" in finding.advice


def test_no_tls() -> None:
    with behind(RIGHT, listen="") as audio:
        finding = last(audio)
    assert finding.what == "audio TLS"
    assert "answers without TLS (plain HTTP)" in finding.seen


def test_ws_instead_of_wss() -> None:
    with behind(RIGHT, scheme="ws") as audio:
        finding = last(audio)
    assert (finding.what, finding.seen) == ("audio upgrade", "HTTP 400: this port expects TLS")


def test_no_certificate_for_the_name() -> None:
    http = "server { listen 127.0.0.1:{port} ssl; ssl_reject_handshake on; access_log off; }"
    with nginx(http=http) as proxy, AudioServer(public_url=proxy.url("/audio")) as audio:
        finding = last(audio)
    assert finding.what == "audio TLS"
    assert "refused the TLS handshake (tlsv1 unrecognized name)" in finding.seen
    assert "server_name" in finding.advice


def test_a_connection_that_is_closed_in_silence() -> None:
    with behind(f"{RIGHT} proxy_read_timeout 1s;") as audio:
        finding = list(way_to(audio, silence=10))[-1]
    assert finding.what == "audio silence"
    assert "was closed after 1 s without a frame" in finding.seen
    assert "proxy_read_timeout 1h;" in finding.advice


def test_the_proxy_protocol() -> None:
    stream = "server { listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:%d; proxy_protocol on; }"
    with hold_port() as held:
        port = held.getsockname()[1]
        with nginx(http="", stream=stream % port) as proxy:
            with AudioServer(port=port, public_url=f"ws://127.0.0.1:{proxy.port}/audio") as audio:
                finding = last(audio)
    assert "the proxy sends the PROXY protocol" in finding.seen
