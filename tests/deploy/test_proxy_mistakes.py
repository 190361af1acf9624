"""nginx configured wrong in each of the usual ways, and what the receiver logs: the mistake and its correction, once a kind."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import websocket

from relay_sync.audio import AudioServer
from tests.support import PATIENCE
from tests.support.carrier import PAYLOADS, Carrier
from tests.support.nginx import Nginx, Places, machine, nginx, trusting
from tests.support.tls import tls_context

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="nginx as Debian has it"),
]

PORTS: Final = range(8765, 8773)
PORT: Final = PORTS[0]
TOKEN: Final = "token-of-the-test"
#: How often each mistake is made.
TIMES: Final = 3


@pytest.fixture
def address() -> Iterator[str]:
    with machine(PORTS) as found:
        yield found


def receiver(address: str, **options: Any) -> AudioServer:
    """The receiver of the first process, as the shipped configuration expects it."""
    given = {"port": PORTS, "public_url": "wss://localhost/{port}", "token": TOKEN, **options}
    return AudioServer(address, **given).start()


def attempt(proxy: Nginx, path: str = f"/{PORT}", token: str = TOKEN) -> int:
    """Open a stream. :return: the status, 101 if it is open."""
    try:
        carrier = Carrier(proxy.url(path), token=token, sslopt={"context": trusting()})
    except websocket.WebSocketBadStatusException as error:
        return error.status_code
    carrier.start().stop()
    assert carrier.ws.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
    carrier.cut()
    return 101


def logged(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= level and record.name.startswith("relay_sync.audio")
    ]


#: The words of the shipped configuration that are wrong, what is there instead, the status that the client sees, and words of
#: what the receiver logs.
MISTAKES: Final[Mapping[str, tuple[str, str, int, tuple[str, ...]]]] = {
    "HTTP/1.0": ("proxy_http_version 1.1;", "proxy_http_version 1.0;", 400, ("HTTP/1.0", "proxy_http_version 1.1;")),
    "no Upgrade header": (
        "proxy_set_header Upgrade $http_upgrade;",
        "",
        426,
        ("the Upgrade header is missing", "proxy_set_header Upgrade $http_upgrade;"),
    ),
    "no Connection header": (
        'proxy_set_header Connection "upgrade";',
        "",
        400,
        ("Connection: Upgrade", 'proxy_set_header Connection "upgrade";'),
    ),
    "prefix stripped": (
        "proxy_pass http://$relay_backend;",
        "proxy_pass http://$relay_backend/;",
        404,
        ("/8765", "path"),
    ),
    "wrong path": (
        "proxy_pass http://$relay_backend;",
        "proxy_pass http://$relay_backend/audio$request_uri;",
        404,
        ("/8765", "path"),
    ),
    "TLS to a port without TLS": (
        "proxy_pass http:",
        "proxy_pass https:",
        502,
        ("sent TLS to this plain port", "ssl_context"),
    ),
    "no Authorization header": (
        "proxy_set_header Host $http_host;",
        'proxy_set_header Authorization "";',
        401,
        ("no bearer token", "have the proxy forward the Authorization header"),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_receiver_names_the_mistake_once(mistake: str, address: str, caplog: pytest.LogCaptureFixture) -> None:
    right, wrong, status, words = MISTAKES[mistake]
    with receiver(address), nginx(Places(here=address), changes={right: wrong}) as proxy:
        assert [attempt(proxy) for _ in range(TIMES)] == [status] * TIMES
    (line,) = logged(caplog)
    for each in words:
        assert each in line
    assert TOKEN not in line


def test_nothing_is_wrong_with_the_shipped_configuration(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with receiver(address), nginx(Places(here=address)) as proxy:
        assert attempt(proxy) == 101
    assert logged(caplog) == []


def test_a_token_of_another_process_is_mentioned_once(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """The map leads to the wrong process: the path is right, as the receiver sees it, and the token is another's."""
    caplog.set_level(logging.INFO)
    with receiver(address), nginx(Places(here=address)) as proxy:
        assert [attempt(proxy, token="of-another-process") for _ in range(TIMES)] == [403] * TIMES
    assert logged(caplog) == []  # behind one path for all processes, it is no mistake
    (line,) = [line for line in logged(caplog, logging.INFO) if "403" in line]
    assert "does the proxy route by path?" in " ".join(line.split("does the proxy route by path?")) or "path" in line


def test_the_proxy_protocol_is_named_once(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """nginx's stream module passes the bytes of a connection on and does not know HTTP."""
    stream = (
        "    server {\n        listen 127.0.0.1:{port} ssl;\n        proxy_protocol on;\n"
        "        ssl_certificate {folder}/cert.pem;\n        ssl_certificate_key {folder}/key.pem;\n"
        f"        proxy_pass {address}:{PORT};\n    }}\n"
    )
    with receiver(address), nginx(http="", stream=stream) as proxy:
        assert [attempt(proxy) for _ in range(TIMES)] == [400] * TIMES
    (line,) = logged(caplog)
    assert "PROXY protocol" in line


def test_a_receiver_with_tls_names_a_proxy_without(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with receiver(address, ssl_context=tls_context()), nginx(Places(here=address)) as proxy:
        assert [attempt(proxy) for _ in range(TIMES)] == [502] * TIMES
    (line,) = logged(caplog)
    assert "connected without TLS to this TLS port" in line


def test_a_short_timeout_ends_streams_in_silence_and_not_in_speech(address: str) -> None:
    """nginx counts from the last data in either direction, so a stream in one direction is kept while frames arrive."""
    seconds = 1
    changes = {"proxy_read_timeout 1d;": f"proxy_read_timeout {seconds}s;"}
    with receiver(address) as audio, nginx(Places(here=address), changes=changes) as proxy:
        carrier = Carrier(proxy.url(f"/{PORT}"), token=TOKEN, sslopt={"context": trusting()}).start()
        stream = audio.accept(PATIENCE)
        began = time.monotonic()
        frames = 0
        while time.monotonic() < began + 2 * seconds:
            carrier.media(PAYLOADS[frames % len(PAYLOADS)])
            frames += 1
            time.sleep(0.05)  # the subject is time
        assert not stream.ended
        assert stream.wait(PATIENCE)
        assert stream.end_reason == "dropped"
        assert stream.stats.frames == frames
        carrier.cut()
