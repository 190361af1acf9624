"""Plain peers of the simulator: a RELAY client on stock websocket-client, a receiver of media on the threaded server of
``websockets``, a receiver of webhooks on ``http.server``. None of them shares code with what they test.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import websocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from relay_sync.simulator import Phone, Simulator
from tests.support import PATIENCE

Json = dict[str, Any]

#: A phone to be rung, where it does not matter which.
NUMBER = "+15550123"

RING: Json = {"type": "phone", "params": {"to_number": NUMBER, "from_number": "+15550100"}}


def dialled(url: str, trusted: Path | None = None, **options: Any) -> websocket.WebSocket:
    """A stock WebSocket, on a socket of our own: it would take a proxy of the environment even to loopback."""
    place = urlsplit(url)
    assert place.hostname is not None
    sock = socket.create_connection((place.hostname, place.port), timeout=PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as websocket-client does on sockets of its own
    try:
        if trusted is not None:
            sock = ssl.create_default_context(cafile=trusted).wrap_socket(sock, server_hostname=place.hostname)
        return websocket.create_connection(url, timeout=PATIENCE, socket=sock, skip_utf8_validation=True, **options)
    except BaseException:
        sock.close()
        raise


class Peer:
    """A RELAY client without a thread: it reads while it waits."""

    def __init__(self, sim: Simulator, *, acks: bool = True, trusted: Path | None = None) -> None:
        self.ws = dialled(sim.url, trusted)
        self.sim = sim
        self.acks = acks
        self.events: list[Json] = []
        self.requests: list[Json] = []
        self.replies: dict[Any, Json] = {}
        self._ids = 0

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ws.shutdown()  # type: ignore[no-untyped-call]

    def send(self, frame: object) -> None:
        self.ws.send(frame if isinstance(frame, str) else json.dumps(frame))

    def read(self) -> Json:
        """The next frame; requests are answered."""
        text = self.ws.recv()
        if not text:  # how websocket-client tells of a close frame
            raise websocket.WebSocketConnectionClosedException("closed")
        frame: Json = json.loads(text)
        if "method" in frame:
            self.requests.append(frame)
            if frame["method"] == "signalwire.event":
                self.events.append(frame["params"])
            if self.acks:
                self.send({"jsonrpc": "2.0", "id": frame["id"], "result": {}})
        else:
            self.replies[frame["id"]] = frame
        return frame

    def read_to_the_end(self) -> None:
        """Read until the server has closed or dropped the socket."""
        try:
            while True:
                self.read()
        except (websocket.WebSocketConnectionClosedException, ConnectionError):
            pass

    def post(self, method: str, /, **params: Any) -> str:
        self._ids += 1
        self.send({"jsonrpc": "2.0", "id": f"q{self._ids}", "method": method, "params": params})
        return f"q{self._ids}"

    def reply(self, request_id: Any) -> Json:
        while request_id not in self.replies:
            self.read()
        return self.replies.pop(request_id)

    def ask(self, method: str, /, **params: Any) -> Json:
        """The whole reply."""
        return self.reply(self.post(method, **params))

    def result(self, method: str, /, **params: Any) -> Json:
        result: Json = self.ask(method, **params)["result"]
        return result

    def connect(self, *, contexts: object = ("default",), major: int = 2, **more: Any) -> Json:
        settings = self.sim.settings
        given: Json = {
            "version": {"major": major, "minor": 0, "revision": 0},
            "authentication": {"project": settings.project, "token": settings.token},
            "contexts": contexts,
            **more,
        }
        return self.ask("signalwire.connect", **given)

    def event(self, event_type: str, state: str | None = None) -> Json:
        """The inner parameters of the first event of a kind that has not been taken yet."""
        while True:
            for index, event in enumerate(self.events):
                params: Json = event["params"]
                if event["event_type"] == event_type and state in (None, params.get("call_state"), params.get("state")):
                    del self.events[index]
                    return params
            self.read()

    def answered(self, **how: Any) -> Phone:
        """A call that came in and was answered."""
        phone = self.sim.call(to="+15550100", from_="+15550199", **how)
        self.event("calling.call.receive")
        assert self.result("calling.answer", **address(phone))["code"] == "200"
        self.event("calling.call.state", "answered")
        return phone


def address(phone: Phone) -> Json:
    return {"node_id": phone.node_id, "call_id": phone.call_id}


@contextlib.contextmanager
def connected(sim: Simulator, **how: Any) -> Iterator[Peer]:
    with Peer(sim) as peer:
        assert "result" in peer.connect(**how)
        yield peer


class Media:
    """What one media socket received."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        assert connection.request is not None
        self.headers = connection.request.headers
        self.messages: list[Json] = []
        self.changed = threading.Condition()
        self.closed = threading.Event()
        self.code: int | None = None

    def of(self, event: str) -> list[Json]:
        return [message for message in self.messages if message["event"] == event]

    def wait_for(self, count: int, event: str = "media") -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.of(event)) >= count, PATIENCE)


class Receiver:
    """Takes media sockets and writes down what comes."""

    def __init__(self, *, after: Callable[[Media], object] | None = None, **how: Any) -> None:
        self.sockets: queue.Queue[Media] = queue.Queue()
        self._after = after
        self._server = serve(self._handle, "127.0.0.1", 0, compression=None, **how)
        self.port: int = self._server.socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/audio"
        self._thread = threading.Thread(target=self._server.serve_forever, name="receiver")
        self._thread.start()

    def _handle(self, connection: ServerConnection) -> None:
        media = Media(connection)
        self.sockets.put(media)
        try:
            for text in connection:
                with media.changed:
                    media.messages.append(json.loads(text))
                    media.changed.notify_all()
                if self._after is not None:
                    self._after(media)
        except ConnectionClosed:
            pass
        media.code = connection.protocol.close_code
        media.closed.set()

    def next(self) -> Media:
        return self.sockets.get(timeout=PATIENCE)

    def finished(self) -> Media:
        """The next socket, once it is closed."""
        media = self.next()
        assert media.closed.wait(PATIENCE)
        return media

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)


class Hooks:
    """Takes webhooks and writes down what comes, read and as it was. ``gate`` holds the answers back while it is closed."""

    def __init__(self, status: int = 204, location: str = "") -> None:
        self.requests: queue.Queue[tuple[str, str, Json]] = queue.Queue()
        self.raw: queue.Queue[tuple[str, str, dict[str, str], bytes]] = queue.Queue()
        self.gate = threading.Event()
        self.gate.set()
        hooks = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hooks.raw.put(("POST", self.path, dict(self.headers.items()), body))
                form = "form" in self.headers["Content-Type"]
                self._take("POST", dict(parse_qsl(body.decode(), keep_blank_values=True)) if form else json.loads(body))

            def do_GET(self) -> None:
                hooks.raw.put(("GET", self.path, dict(self.headers.items()), b""))
                self._take("GET", dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True)))

            def _take(self, method: str, body: Json) -> None:
                hooks.requests.put((method, urlsplit(self.path).path, body))
                hooks.gate.wait(PATIENCE)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if location:
                    self.send_header("Location", location)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/status"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="hooks")
        self._thread.start()

    def next(self) -> tuple[str, str, Json]:
        return self.requests.get(timeout=PATIENCE)

    def __enter__(self) -> Hooks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)
