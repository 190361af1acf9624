"""A web application as people start it: a process with the simulator's credentials in its environment, and a log of ours."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import define

from relay_sync.simulator import Simulator
from relay_sync.testing import variables_of
from tests.support.lines import FROM, TO

PATIENCE = 30.0
#: A program for ``relay-sync run app:client``, to which tests append.
APP: Final = """
from relay_sync import RelayClient

client = RelayClient(contexts=["default"], connect_timeout=20)

@client.on_call
def handle(call):
    call.answer()
    call.wait_for_ended()
    print("handled", flush=True)
"""


def wait_for_port(port: int) -> None:
    """Return once somebody listens there."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < end, f"nobody listens on {port}"
            time.sleep(0.02)


def environment(sim: Simulator, **more: str) -> dict[str, str]:
    return {**os.environ, **variables_of(sim), **more}


@define
class Started:
    """A process and what it wrote. ``port`` is where it was told to serve."""

    process: subprocess.Popen[bytes]
    folder: Path
    port: int

    @property
    def lines(self) -> list[str]:
        """What the application wrote to the file that ``TEST_LOG`` names, without a line that it is still writing."""
        log = self.folder / "log"
        return log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(encoding="utf-8")

    def wait_for_lines(self, count: int) -> None:
        """Return once the application has written so many."""
        end = time.monotonic() + PATIENCE
        while len(self.lines) < count:
            assert time.monotonic() < end, f"{self.lines}\n{self.output}"
            time.sleep(0.01)

    def wait_for_output(self, words: str) -> None:
        """Return once the process has written these words."""
        end = time.monotonic() + PATIENCE
        while words not in self.output:
            assert time.monotonic() < end, self.output
            time.sleep(0.01)

    def interrupt_twice(self) -> int:
        """Ctrl-C, and another one while a call is waited for. :return: the exit code."""
        self.process.send_signal(signal.SIGINT)
        self.wait_for_output("waiting up to 30 s for 1 live call to end; ")
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE)
        assert "interrupted: hanging up 1 live call" in self.output
        assert "Traceback" not in self.output, self.output
        return code

    def terminate(self, how: int = signal.SIGTERM) -> None:
        """A signal, and a clean end."""
        self.process.send_signal(how)
        assert self.process.wait(PATIENCE) == 0, self.output
        assert "Traceback" not in self.output, self.output


@contextmanager
def launched(folder: Path, environment: Mapping[str, str], *command: str, port: int | None = None) -> Iterator[Started]:
    """Start ``python COMMAND...`` in a folder, and kill it at the end if it is still there."""
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Started(process, folder, port or 0)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


@contextmanager
def started(sim: Simulator, folder: Path, *command: str, port: int | None = None) -> Iterator[Started]:
    """Start ``python COMMAND...`` in a folder. ``TEST_STATUS_URL`` is where its status callbacks go, if it has a port."""
    more = {"TEST_LOG": str(folder / "log"), "TEST_STATUS_URL": ""}
    if port is not None:
        more["TEST_STATUS_URL"] = f"http://127.0.0.1:{port}/relay/status"
    with launched(folder, environment(sim, **more), *command, port=port) as process:
        yield process


def call_in(sim: Simulator, seconds: float = 1.0) -> None:
    """A call that is answered, speaks for a while and hangs up."""
    phone = sim.call(to=TO, from_=FROM, says=bytes(int(16000 * seconds)), hangs_up_after_speaking=True)
    phone.wait_until("answered", PATIENCE)
    phone.wait_until("ended", PATIENCE)
