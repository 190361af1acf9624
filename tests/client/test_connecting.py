"""Connecting, seen from a client: which answers are taken, which way was taken, and what is missing on this machine."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest

from relay_sync import ClientClosed, ConnectError, RelayClient
from relay_sync.connection import upgrade
from relay_sync.connection.transport import dial
from relay_sync.deadline import Deadline
from relay_sync.errors import CommandRefused, ConnectTimeout
from relay_sync.hosts.authorities import trusting
from relay_sync.rest import RestClient
from relay_sync.server import Loop
from relay_sync.server import dial as dial_stream
from relay_sync.simulator import Simulator
from relay_sync.simulator.http.webhooks import WebhookSender
from tests.support import PATIENCE, ROOT
from tests.support.tls import CERTIFICATE, tls_context

SECRET = "hunter2"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
Answer = Callable[[str], bytes]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


class Listener:
    """Takes connections on loopback, answers each head by a function of it, and closes."""

    def __init__(self, answer: Answer, *, then: Callable[[socket.socket], object] | None = None) -> None:
        self._answer = answer
        self._then = then
        self.heads: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="test-listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                conn, _ = self._server.accept()
            except OSError:
                return
            with conn:
                try:
                    self._serve(conn)
                except OSError:  # the client went away
                    pass

    def _serve(self, conn: socket.socket) -> None:
        conn.settimeout(PATIENCE)
        head = b""
        while b"\r\n\r\n" not in head:
            if not (data := conn.recv(4096)):
                return
            head += data
        self.heads.append(head.decode("latin-1"))
        conn.sendall(self._answer(self.heads[-1]))
        if self._then is not None:
            self._then(conn)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture
def listener() -> Iterator[Callable[..., Listener]]:
    made: list[Listener] = []

    def make(answer: Answer, **options: Any) -> Listener:
        made.append(Listener(answer, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


# -- the upgrade -------------------------------------------------------------------------------------------------------


def accepted(head: str) -> str:
    key = next(line for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key: ")).partition(": ")[2]
    return upgrade.accept_value(key)


def good(extra: str = "", status: str = "HTTP/1.1 101 Switching Protocols") -> Answer:
    return lambda head: (
        f"{status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accepted(head)}\r\n{extra}\r\n"
    ).encode("latin-1")


#: Lines of a head that decide nothing.
HARMLESS = {
    "a cookie's name with an @": "Set-Cookie: node@pool=7; Path=/\r\n",
    "a cookie that is none": "Set-Cookie: =;;==; \x01\r\nSet-Cookie: {}\r\nSet-Cookie:\r\n",
    "a cookie in Latin-1": "Set-Cookie: name=\xe4\xff; Domain=\xfc\r\n",
    "a domain of a cookie": "Set-Cookie: a=b; Domain=..; Expires=never; Max-Age=x\r\n",
    "a value in Latin-1": "X-Server: caf\xe9\r\n",
    "a name in Latin-1": "X-S\xe9rver: x\r\n",
    "a folded line": "X-Long: one\r\n two\r\n\tthree: four\r\n",
    "a folded line that nothing is before": "no colon\r\n folded\r\n",
    "no colon": "this is no field\r\n",
    "no name": ": value\r\n",
    "no value": "X-Empty:\r\n",
    "control characters": "X-Odd: \x00\x07\x1b[31m\r\n",
    "repeated": "Server: a\r\nServer: b\r\nDate: x\r\nDate: y\r\n",
    "many": "".join(f"X-{number}: x\r\n" for number in range(2000)),
    "huge": f"X-Huge: {'x' * 100_000}\r\n",
    "a length": "Content-Length: noise\r\nTransfer-Encoding: chunked\r\n",
    "an extension that was not asked for": "Sec-WebSocket-Extensions: x-made-up\r\n",
    "a protocol that was not asked for": "Sec-WebSocket-Protocol: chat\r\n",
    "the accept value twice": "",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_that_does_not_decide_ends_a_connection(
    name: str, sim: Simulator, listener: Callable[..., Listener]
) -> None:
    extra = HARMLESS[name]

    def answer(head: str) -> bytes:
        again = f"sec-websocket-accept:{accepted(head)}\r\n" if "twice" in name else ""
        return good(extra + again)(head) + b"\x81\x05first"

    server = listener(answer, then=lambda conn: conn.recv(1))
    connection = dial(config_of(f"ws://127.0.0.1:{server.port}"), Deadline(None), lambda sock: None)
    connection.socket.settimeout(PATIENCE)
    data = b""
    while len(data) < 7:
        data += connection.read(4096) or b""
    assert connection.feed(data) == (["first"], None)
    connection.discard()


def config_of(host: str, **options: Any) -> Any:
    return RelayClient(project="p", token=SECRET, host=host, **options)._link.config


@pytest.mark.parametrize(
    "answer",
    [
        good(status="HTTP/1.1 101"),
        good(status="HTTP/1.1  101 x"),
        good(status="HTTP/1.0 101 \xe4"),
        lambda head: b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + good()(head),
        lambda head: good()(head).replace(b"\r\n", b"\n"),
        lambda head: good()(head).replace(b"Upgrade: websocket", b"UPGRADE \t: h2c,\r\n WebSocket"),
        lambda head: good()(head).replace(b"Connection: Upgrade", b"connection:keep-alive\r\nConnection: UPGRADE"),
    ],
)
def test_answers_that_are_written_in_another_way(answer: Answer, listener: Callable[..., Listener]) -> None:
    server = listener(answer, then=lambda conn: conn.recv(1))
    dial(config_of(f"ws://127.0.0.1:{server.port}"), Deadline(None), lambda sock: None).discard()


WRONG = f"Sec-WebSocket-Accept: {upgrade.accept_value('another')}"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda head: good()(head).replace(b" 101 ", b" 200 "), "answered HTTP 200 instead of a WebSocket"),
        (lambda head: b"HTTP/1.1 403 Forbidden\r\nnoise\r\n\r\n", "answered HTTP 403"),
        (lambda head: good()(head).replace(b"Upgrade: websocket\r\n", b""), "without Upgrade: websocket"),
        (
            lambda head: good()(head).replace(b"Upgrade: websocket", b"Upgrade: websockets"),
            "without Upgrade: websocket",
        ),
        (
            lambda head: good()(head).replace(b"Connection: Upgrade", b"Connection: close"),
            "without Connection: upgrade",
        ),
        (lambda head: good()(head).replace(b"-Accept: ", b"-Accepts: "), "Sec-WebSocket-Accept is missing"),
        (lambda head: good()(head).replace(accepted(head).encode(), b"noise"), "missing or does not match the request"),
        (lambda head: good(f"{WRONG}\r\n")(head), "missing or does not match the request"),
        (
            lambda head: good()(head).replace(accepted(head).encode(), accepted(head).lower().encode()),
            "does not match the request",
        ),
        (lambda head: good(f"X: {'x' * upgrade.MAX_HEAD}\r\n")(head), "exceeds 262144 bytes"),
        (lambda head: good()(head)[:-2], "closed in the middle of the response"),
        (lambda head: b"", "closed without a response"),
        (lambda head: b"\x15\x03\x03\x00\x02\x02\x28", "answered with TLS"),
        (lambda head: b"\r\n\r\n", "the response is not HTTP"),
    ],
)
def test_an_answer_that_is_no_upgrade_is_refused_in_clear_words(
    answer: Answer, words: str, listener: Callable[..., Listener]
) -> None:
    server = listener(answer)
    with pytest.raises(ConnectError) as caught:
        dial(config_of(f"ws://127.0.0.1:{server.port}"), Deadline(None), lambda sock: None).discard()
    assert words in str(caught.value)
    assert f"ws://127.0.0.1:{server.port} " in str(caught.value)
    assert "noise" not in str(caught.value)


@pytest.mark.parametrize(
    "status", [401, *(pytest.param(each, marks=pytest.mark.slow) for each in (200, 301, 400, 403, 404))]
)
def test_an_upgrade_that_is_refused_is_asked_for_three_times(status: int, listener: Callable[..., Listener]) -> None:
    server = listener(lambda head: f"HTTP/1.1 {status} Words\r\n\r\n".encode())
    client = RelayClient(project="p", token=SECRET, host=f"ws://127.0.0.1:{server.port}", connect_timeout=PATIENCE)
    with pytest.raises(ConnectError, match=f"answered HTTP {status} instead of a WebSocket; check host") as caught:
        client.connect()
    assert not isinstance(caught.value, ConnectTimeout)
    assert len(server.heads) == 3


@pytest.mark.parametrize(
    "status", [503, *(pytest.param(each, marks=pytest.mark.slow) for each in (408, 425, 429, 500))]
)
def test_an_upgrade_that_may_succeed_later_is_asked_for_again(status: int, listener: Callable[..., Listener]) -> None:
    again = threading.Semaphore(0)

    def answer(head: str) -> bytes:
        again.release()
        return f"HTTP/1.1 {status} Words\r\n\r\n".encode()

    server = listener(answer)
    client = RelayClient(project="p", token=SECRET, host=f"ws://127.0.0.1:{server.port}", connect_timeout=PATIENCE)
    ended = threading.Event()

    def connect() -> None:
        with pytest.raises(ClientClosed):
            client.connect()
        ended.set()

    thread = threading.Thread(target=connect)
    thread.start()
    for _ in range(4):
        assert again.acquire(timeout=PATIENCE)
    client.disconnect()
    thread.join(PATIENCE)
    assert ended.is_set()


def test_a_request_for_an_upgrade() -> None:
    assert upgrade.request("relay.example.com:8443", KEY) == (
        b"GET / HTTP/1.1\r\nHost: relay.example.com:8443\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert upgrade.accept_value(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("host", "netloc"),
    [
        ("relay.example.com", "relay.example.com"),
        ("relay.example.com.:8443", "relay.example.com:8443"),
        ("ws://[::1]", "[::1]"),
        ("ws://[::1]:8080", "[::1]:8080"),
        ("ws://localhost.:443", "localhost:443"),
    ],
)
def test_a_host_header(host: str, netloc: str) -> None:
    assert config_of(host).address.netloc == netloc


def test_a_name_with_the_dot_that_ends_it_is_the_same_host(sim: Simulator) -> None:
    given = sim.credentials
    given["host"] = given["host"].replace("127.0.0.1", "localhost.")
    with RelayClient(**given) as client:
        client.connect(PATIENCE)


# -- what is missing here ----------------------------------------------------------------------------------------------

#: Modules that stand in the way of the real ones, by the name of their file.
SHADOWS = {
    "websocket.py": "class WebSocket: pass",
    "websocket.py ends the program": "raise SystemExit(3)",
    "websocket/__init__.py": "",
    "websocket/__init__.py is broken": "import no_such_module_anywhere",
    "websocket/__init__.py is no Python": "def",
    "websocket/__init__.py ends the program": "raise SystemExit(3)",
    "ssl.py": "import no_such_module_anywhere",
}
#: Connects with each of them in turn; modules that were imported for one are forgotten for the next.
TRY_ALL = """
import sys, time
from relay_sync import ConnectError, RelayClient
known = set(sys.modules)
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    for name in set(sys.modules) - known | {"ssl", "_ssl"} & set(sys.modules):
        del sys.modules[name]
    sys.modules.pop("websocket", None)
    import relay_sync.connection
    vars(relay_sync.connection).pop("socket", None)
    begun = time.monotonic()
    client = RelayClient(project="p", token="t", host="ws://127.0.0.1:9", connect_timeout=60)
    try:
        client.connect()
    except ConnectError as error:
        print(time.monotonic() - begun < 20, error.fatal, error.message)
    sys.path.remove(folder)
"""


def run(*arguments: Any, cwd: Path) -> subprocess.CompletedProcess[str]:
    root = ROOT
    env = {**os.environ, "PYTHONPATH": f"{cwd}{os.pathsep}{root}"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=cwd,
        env=env,
        check=False,
    )


def test_a_websocket_client_that_cannot_be_imported_is_an_error_at_once(tmp_path: Path) -> None:
    for number, (name, text) in enumerate(SHADOWS.items()):
        path = tmp_path / str(number) / name.split()[0]
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    done = run("-c", TRY_ALL, *(tmp_path / str(number) for number in range(len(SHADOWS))), cwd=tmp_path)
    assert not done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(SHADOWS), done.stdout
    for name, line in zip(SHADOWS, lines, strict=True):
        assert line.startswith("True True "), (name, line)
        assert "websocket-client" in line
        assert f"{tmp_path / str(list(SHADOWS).index(name)) / name.split()[0]}" in line


def test_a_program_called_websocket_is_not_run_once_more(tmp_path: Path) -> None:
    program = tmp_path / "websocket.py"
    program.write_text(
        "print('runs')\nfrom relay_sync import RelayClient, ConnectError\n"
        "client = RelayClient(project='p', token='t', host='ws://127.0.0.1:9')\n"
        "try: client.connect()\nexcept ConnectError as error: print(error.message)\n",
        encoding="utf-8",
    )
    done = run(program, cwd=tmp_path)
    assert not done.stderr
    first, second = done.stdout.splitlines()
    assert first == "runs"
    assert f"The websocket module found is {program}: if that is not websocket-client, rename it" in second


@pytest.mark.traced
@pytest.mark.parametrize("name", ["websocket.py", "websocket/__init__.py", "ssl.py"])
def test_the_doctor_says_that_websocket_client_cannot_be_imported(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise SystemExit(3)", encoding="utf-8")
    (tmp_path / "app.py").write_text(
        "from relay_sync import RelayClient\nclient = RelayClient(project='p', token='t', host='no-such.invalid')\n",
        encoding="utf-8",
    )
    done = run("-m", "relay_sync", "doctor", "app:client", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "BAD   websocket-client: " in done.stdout
    assert f"{tmp_path / name}" in done.stdout


def test_webhooks_without_requests_are_over_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    webhooks = WebhookSender()
    for lane in ("one", "two", "one"):
        webhooks.send(lane, "http://127.0.0.1:9/", "POST", {})
    errors = {each.error for each in webhooks.wait_for(3, PATIENCE)}
    assert len(errors) == 1
    assert errors.pop().startswith("cannot use requests: ")
    webhooks.close(PATIENCE)


def test_a_look_up_that_fails_in_its_own_way_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a codec cannot be imported")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    loop, heard, ended = Loop("test-loop"), [], threading.Event()

    def failed(error: Exception) -> None:
        heard.append(str(error))
        ended.set()

    loop.start()
    try:
        dial_stream(loop, "ws://name.invalid/", timeout=60, on_open=lambda connection: None, on_failed=failed)
        assert ended.wait(PATIENCE)
    finally:
        loop.stop()
    assert "a codec cannot be imported" in heard[0]


def test_a_dial_that_fails_in_its_own_way_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise SystemExit("a codec ended the program")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    client = RelayClient(project="p", token="t", host="name.invalid", connect_timeout=60)
    with pytest.raises(ConnectError, match="SystemExit: a codec ended the program") as caught:
        client.connect()
    assert caught.value.fatal


# -- proxies -----------------------------------------------------------------------------------------------------------

FAR = "relay.invalid"


def by_relay(**options: Any) -> None:
    RelayClient(project="p", token=SECRET, **{"host": FAR, "connect_timeout": 60, **options}).connect()


def by_rest(**options: Any) -> None:
    with RestClient("p", SECRET, **{"host": FAR, "connect_timeout": 60, **options}) as rest:
        rest.call("c").hangup()


both = pytest.mark.parametrize("go", [by_relay, by_rest])


@both
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "proxy"])
@pytest.mark.parametrize(
    ("credentials", "status", "words"),
    [
        ("", "407 Proxy Authentication Required", "requires a user and password"),
        (f"user:{SECRET}@", "407 Proxy Authentication Required", "refused the user and password"),
        ("", "403 Forbidden", "403 Forbidden"),
    ],
)
def test_a_proxy_that_refuses_is_named_at_once(
    go: Callable[..., None],
    variable: str,
    credentials: str,
    status: str,
    words: str,
    listener: Callable[..., Listener],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = listener(lambda head: f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
    error = fails(go, variable, f"http://{credentials}127.0.0.1:{proxy.port}", monkeypatch)
    assert error.fatal
    assert words in str(error)
    assert f"http://127.0.0.1:{proxy.port} ({variable})" in str(error)
    assert proxy.heads[0].startswith(f"CONNECT {FAR}:443 HTTP/1.")
    assert ("Proxy-Authorization: Basic" in proxy.heads[0]) is bool(credentials)
    assert len(proxy.heads) == 1


def fails(go: Callable[..., None], variable: str, url: str, monkeypatch: pytest.MonkeyPatch) -> ConnectError:
    options = {}
    if variable == "proxy":
        options["proxy"] = url
    else:
        monkeypatch.setenv(variable, url)
    with pytest.raises(ConnectError) as caught:
        go(**options)
    chain: BaseException | None = caught.value
    while chain is not None:
        assert SECRET not in f"{chain!s}{chain!r}"
        chain = chain.__cause__
    assert "SIGNALWIRE_SPACE" not in str(caught.value)
    return caught.value


@both
def test_the_name_of_a_proxy_that_does_not_exist(go: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = fails(go, "https_proxy", f"http://user:{SECRET}@no-such.invalid:3128", monkeypatch)
    assert error.fatal
    assert "the proxy http://no-such.invalid:3128 (https_proxy): check https_proxy" in str(error)


@pytest.mark.parametrize(
    "handled",
    [
        TimeoutError(),
        IndexError(),
        OSError(errno.EMFILE, "files"),
        socket.gaierror(socket.EAI_NONAME, "name"),
        ssl.SSLError(),
    ],
    ids=lambda handled: type(handled).__name__,
)
@pytest.mark.parametrize("variable", ["", "https_proxy"])
def test_what_the_program_handles_already_is_no_cause(
    variable: str, handled: Exception, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: dict[str, Any] = {"retries": 0}
    if variable:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{closed_port}")
    else:
        limits["host"] = f"localhost:{closed_port}"
    try:
        raise handled
    except Exception:
        with pytest.raises(ConnectError) as caught:
            by_rest(**limits)
    assert not caught.value.fatal
    assert "efused" in str(caught.value)


@both
def test_a_proxy_that_nobody_listens_at(
    go: Callable[..., None], closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def patient(**options: Any) -> None:
        limits = {"connect_timeout": 0.2} if go is by_relay else {"retries": 0}
        go(**limits, **options)

    error = fails(patient, "https_proxy", f"http://user:{SECRET}@127.0.0.1:{closed_port}", monkeypatch)
    assert f"the proxy http://127.0.0.1:{closed_port} (https_proxy)" in str(error)
    assert "efused" in str(error)


@both
def test_a_proxy_that_says_nothing(
    go: Callable[..., None], listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = listener(lambda head: b"", then=lambda conn: conn.recv(1))

    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    with pytest.raises(ConnectTimeout) as caught:
        go(connect_timeout=0.3, **({} if go is by_relay else {"retries": 0}))
    assert f"the proxy http://127.0.0.1:{proxy.port} (https_proxy)" in str(caught.value)


@both
@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"https://user:{SECRET}@127.0.0.1:1", "over TLS"),
        (f"socks5://user:{SECRET}@127.0.0.1:1", "SOCKS"),
        (f"http://user:{SECRET}@127.0.0.1:x", "not a proxy URL"),
    ],
)
def test_a_proxy_of_another_kind_is_refused_by_both(
    go: Callable[..., None], url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = fails(go, "all_proxy", url, monkeypatch)
    assert error.fatal
    assert words in str(error)
    assert "all_proxy" in str(error)


@both
@pytest.mark.parametrize("no_proxy", [FAR, f"{FAR}:443", "*", ".invalid", ""])
def test_both_reach_a_host_by_the_same_way(
    go: Callable[..., None], no_proxy: str, listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = listener(lambda head: b"HTTP/1.1 407 x\r\n\r\n")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", no_proxy)
    look_up = socket.getaddrinfo

    def known(host: Any, *args: Any, **options: Any) -> Any:
        if host == FAR:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    with pytest.raises(ConnectError):
        go()
    assert bool(proxy.heads) is (no_proxy == "")
    proxy.heads.clear()
    with pytest.raises(ConnectError):
        go(proxy="")
    assert not proxy.heads


@both
def test_a_certificate_behind_a_proxy_names_the_proxy(
    go: Callable[..., None], listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tls_context()

    def then(conn: socket.socket) -> None:
        with context.wrap_socket(conn, server_side=True) as secure:
            secure.recv(1)

    proxy = listener(lambda head: b"HTTP/1.1 200 OK\r\n\r\n", then=then)
    error = fails(go, "https_proxy", f"http://127.0.0.1:{proxy.port}", monkeypatch)
    assert error.fatal
    assert f"through the proxy http://127.0.0.1:{proxy.port} (https_proxy)" in str(error)


# -- authorities -------------------------------------------------------------------------------------------------------


@pytest.fixture
def secured() -> Iterator[Simulator]:
    context = tls_context()
    with Simulator(media="fast", ssl_context=context) as sim:
        yield sim


def reach(sim: Simulator, go: str, **options: Any) -> None:
    """Get through TLS to a simulator, as a client of RELAY or of REST."""
    given = sim.credentials
    given["host"] = given["host"].replace("127.0.0.1", "localhost")
    if go == "relay":
        with RelayClient(**given, **options) as client:
            client.connect(PATIENCE)
        return
    with RestClient(given["project"], given["token"], given["host"], **options) as rest:
        with pytest.raises(CommandRefused, match="Call not found"):
            rest.call("c").hangup()


halves = pytest.mark.parametrize("go", ["relay", "rest"])
TRUSTED = str(CERTIFICATE)


@halves
@pytest.mark.parametrize(
    "env",
    [
        {"SSL_CERT_FILE": TRUSTED},
        {"REQUESTS_CA_BUNDLE": TRUSTED},
        {"CURL_CA_BUNDLE": TRUSTED},
        {"REQUESTS_CA_BUNDLE": "", "CURL_CA_BUNDLE": TRUSTED},
        {"REQUESTS_CA_BUNDLE": certifi.where(), "SSL_CERT_FILE": TRUSTED},
        {"SIGNALWIRE_RELAY_CA_FILE": TRUSTED},
        {"SIGNALWIRE_RELAY_CA_FILE": TRUSTED, "REQUESTS_CA_BUNDLE": certifi.where()},
        {"SIGNALWIRE_RELAY_CA_FILE": TRUSTED, "SSL_CERT_FILE": certifi.where()},
        # In addition to what the others say, not in place of it.
        {"SIGNALWIRE_RELAY_CA_FILE": certifi.where(), "REQUESTS_CA_BUNDLE": TRUSTED},
        {"SIGNALWIRE_RELAY_CA_FILE": certifi.where(), "SSL_CERT_FILE": TRUSTED},
    ],
)
def test_both_trust_the_same_authorities(
    go: str, env: dict[str, str], secured: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    reach(secured, go)


@halves
@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({}, ""),
        ({"REQUESTS_CA_BUNDLE": certifi.where(), "CURL_CA_BUNDLE": TRUSTED}, "come from REQUESTS_CA_BUNDLE"),
        ({"SSL_CERT_FILE": certifi.where()}, "come from SSL_CERT_FILE"),
        ({"REQUESTS_CA_BUNDLE": "/nowhere.pem"}, "REQUESTS_CA_BUNDLE='/nowhere.pem'"),
        ({"CURL_CA_BUNDLE": __file__}, "CURL_CA_BUNDLE="),
    ],
)
def test_both_trust_nobody_else_and_say_who_decided(
    go: str, env: dict[str, str], words: str, secured: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    begun = time.monotonic()
    with pytest.raises(ConnectError) as caught:
        reach(secured, go)
    assert caught.value.fatal
    assert words in str(caught.value)
    assert time.monotonic() - begun < PATIENCE


def test_an_authority_of_ones_own_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = trusting(None).cert_store_stats()["x509"]
    assert trusting(TRUSTED).cert_store_stats()["x509"] == alone + 1
    monkeypatch.setenv("CURL_CA_BUNDLE", TRUSTED)
    assert trusting(None).cert_store_stats()["x509"] == 1
    context = trusting(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_where_the_system_has_no_authorities_those_of_certifi_are_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = ssl.get_default_verify_paths()._replace(cafile="", capath=str(tmp_path))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    assert trusting(None).cert_store_stats()["x509_ca"] > 50
    # What a variable names is never widened.
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    assert trusting(None).cert_store_stats()["x509"] == 0
