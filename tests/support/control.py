"""The control interface of a simulator, asked over HTTP: of one in this process, and of relay-sync simulate."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from relay_sync.server import websocket
from tests.support import PATIENCE
from tests.support.commands import PACKAGE_HOME

START = 30.0


@define
class Control:
    """What a program in another language would write: HTTP and JSON, nothing of ours."""

    url: str
    token: str

    @property
    def port(self) -> int:
        return urllib.parse.urlsplit(self.url).port or 0

    @contextmanager
    def crowd(self, begun: bytes) -> Iterator[list[socket.socket]]:
        """More connections than there is room for, each with the beginning of a request."""
        with ExitStack() as stack:
            made = []
            for _ in range(websocket.MAX_OPENING + 30):
                made.append(stack.enter_context(socket.create_connection(("127.0.0.1", self.port), PATIENCE)))
                made[-1].sendall(begun)
            yield made

    def ask(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Any:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=START) as answer:
            told = answer.read()
            return json.loads(told) if told else None

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def post(self, path: str, **body: Any) -> Any:
        return self.ask("POST", path, body)

    def refused(self, method: str, path: str, body: Any = None, **how: Any) -> tuple[int, dict[str, Any]]:
        with pytest.raises(urllib.error.HTTPError) as caught:
            self.ask(method, path, body, **how)
        with caught.value as answer:
            return answer.code, json.loads(answer.read())


@define
class Server:
    process: subprocess.Popen[str]
    told: dict[str, str]

    @property
    def control(self) -> Control:
        return Control(self.told["control"], self.told["control_token"])

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, error = self.process.communicate(timeout=START)
        return self.process.returncode, out, error


def start(*arguments: str, **more: str) -> subprocess.Popen[str]:
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("SIGNALWIRE_", "RELAY_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "relay_sync", "simulate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**mine, "PYTHONPATH": str(PACKAGE_HOME), **more},
    )


@contextmanager
def simulate(tmp_path: Path, *arguments: str, **more: str) -> Iterator[Server]:
    file = tmp_path / "simulator.json"
    process = start("--fast", "--credentials", str(file), *arguments, **more)
    try:
        end = time.monotonic() + START
        while not file.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        if os.name == "posix":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        yield Server(process, json.loads(file.read_text()))
        assert not file.exists()
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=START)


def raw(port: int, path: str, headers: dict[str, str], method: str = "GET") -> int:
    """The status of a request whose headers are just these."""
    given = {"Host": f"127.0.0.1:{port}", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        sock.sendall(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
        return int(sock.makefile("rb").readline().split()[1])
