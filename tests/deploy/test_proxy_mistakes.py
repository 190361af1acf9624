"""nginx configured wrong in each of the usual ways, and what the receiver logs, once a kind: as docs/nginx.md says."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
import websocket
from attrs import field, frozen

from relay_sync.audio import AudioServer
from tests.support import PATIENCE, ROOT
from tests.support.carrier import PAYLOADS, Carrier
from tests.support.nginx import NAME, Nginx, Places, machine, nginx, trusting
from tests.support.tls import tls_context

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nginx as Debian has it")

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


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    """The levels and words of what a receiver logged of those who connect."""
    return [
        (record.levelno, record.getMessage())
        for record in caplog.records
        if record.name == "relay_sync.audio" and "listening" not in record.getMessage()
    ]


@frozen(kw_only=True)
class Wrong:
    """A mistake.

    :ivar changes: words of the shipped configuration, and what is there instead.
    :ivar options: of the receiver.
    :ivar stream: a ``stream`` block that replaces the shipped configuration.
    :ivar token: what the client sends.
    """

    changes: Mapping[str, str] = field(factory=dict)
    options: Mapping[str, Any] = field(factory=dict)
    stream: str = ""
    token: str = TOKEN


def _changed(right: str, wrong: str) -> Wrong:
    return Wrong(changes={right: wrong})


_PASS: Final = "proxy_pass http://$relay_backend;"
#: The mistakes of the page, by their names there.
MISTAKES: Final[Mapping[str, Wrong]] = {
    "`proxy_http_version 1.1;` is missing": _changed("proxy_http_version 1.1;", "proxy_http_version 1.0;"),
    "`proxy_set_header Upgrade $http_upgrade;` is missing": _changed("proxy_set_header Upgrade $http_upgrade;", ""),
    '`proxy_set_header Connection "upgrade";` is missing': _changed('proxy_set_header Connection "upgrade";', ""),
    "a path behind the address in `proxy_pass`, which replaces the target": _changed(
        _PASS, "proxy_pass http://$relay_backend/;"
    ),
    "`rewrite` changes the path": _changed(_PASS, f"rewrite ^ /audio$uri break; {_PASS}"),
    '`proxy_set_header Authorization "";`': _changed(_PASS, f'proxy_set_header Authorization ""; {_PASS}'),
    "the map routes a path to another process": Wrong(token="of-another-process"),
    "`proxy_pass https://...` to a receiver without TLS": _changed("proxy_pass http:", "proxy_pass https:"),
    "`proxy_pass http://...` to a receiver with `ssl_context`": Wrong(options={"ssl_context": tls_context()}),
    # nginx's stream module passes the bytes of a connection on and does not know HTTP.
    "`proxy_protocol on;` in a `stream` block": Wrong(
        stream=(
            "server {\nlisten 127.0.0.1:{port} ssl;\nproxy_protocol on;\nproxy_pass {address}:{PORT};\n"
            "ssl_certificate {folder}/cert.pem;\nssl_certificate_key {folder}/key.pem;\n}\n"
        ).replace("{PORT}", str(PORT))
    ),
    "the port is missing in the map, or is outside the range": _changed(f"    /{PORT} ", "    /8773 "),
    "`server_name` is another name": _changed(f"server_name {NAME};", "server_name www.example.com;"),
    "the address in the map is wrong": _changed(f":{PORT};", f":{PORTS[-1]};"),
}
_PAGE: Final = (ROOT / "docs" / "nginx.md").read_text(encoding="utf-8").partition("## Mistakes in")[2]
#: What the page says of each mistake: the status, and what is logged.
ROWS: Final = {
    name: (int(status), log)
    for name, status, log in re.findall(r"^\| (.+) \| (\d{3}) \| (.+) \|$", _PAGE, re.MULTILINE)
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_the_receiver_names_the_mistake_once(name: str, address: str, caplog: pytest.LogCaptureFixture) -> None:
    mistake = MISTAKES[name]
    status, log = ROWS[name]
    caplog.set_level(logging.INFO)
    http = "" if mistake.stream else None
    stream = mistake.stream.replace("{address}", address)
    with receiver(address, **mistake.options):
        with nginx(Places(here=address), changes=mistake.changes, http=http, stream=stream) as proxy:
            assert [attempt(proxy, token=mistake.token) for _ in range(TIMES)] == [status] * TIMES
    lines = logged(caplog)
    assert not any(mistake.token in line for _, line in lines)
    if log == "nothing":
        assert lines == []
    else:
        ((level, line),) = lines
        words, _, rest = log.removeprefix("`").partition("`")
        assert words in line
        assert (level == logging.INFO) is (rest == ", at level INFO")


def test_the_page_lists_the_mistakes() -> None:
    assert list(ROWS) == list(MISTAKES)


@pytest.mark.slow
def test_nothing_is_wrong_with_the_shipped_configuration(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with receiver(address), nginx(Places(here=address)) as proxy:
        assert attempt(proxy) == 101
    assert logged(caplog) == []


@pytest.mark.slow
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
