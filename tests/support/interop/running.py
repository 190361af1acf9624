"""Programs as processes of their own, on a simulator that speaks TLS as the official SDK wants it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from relay_sync.simulator import Simulator
from tests.support import ROOT
from tests.support.tls import CERTIFICATE, tls_context

__all__ = ["PATIENCE", "ROOT", "Program", "end_message", "program", "secure_simulator"]

PATIENCE: Final = 60.0


def secure_simulator(**options: Any) -> Simulator:
    """A simulator with the test certificate, and the same credentials every time."""
    context = tls_context()
    given: dict[str, Any] = {"media": "fast", "project": "desk", "token": "PT0123456789", **options}
    return Simulator(ssl_context=context, **given)


@define(eq=False)
class Program:
    """A running program."""

    process: subprocess.Popen[str] = field(repr=False)

    def tell(self, line: str = "") -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def line(self) -> str:
        """The next line it writes. A program that writes none is killed when its time is up."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        return line.rstrip("\n")

    def told(self) -> dict[str, Any]:
        """The next line it writes, as JSON."""
        found: dict[str, Any] = json.loads(self.line())
        return found

    def end(self) -> str:
        """Wait until it ends well, and return what else it wrote."""
        out, err = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, (out, err)
        return out


@contextmanager
def program(sim: Simulator, file: Path, *args: str, **environment: str) -> Iterator[Program]:
    """Run a program that finds the simulator in its environment. What is left of it at the end is killed."""
    given = {
        "SIGNALWIRE_PROJECT_ID": sim.settings.project,
        "SIGNALWIRE_API_TOKEN": sim.settings.token,
        "SIGNALWIRE_SPACE": f"{sim.settings.host}:{sim.port}",
        "SIGNALWIRE_RELAY_CA_FILE": str(CERTIFICATE),
        "SIGNALWIRE_LOG_MODE": "stderr",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        **environment,
    }
    with subprocess.Popen(
        [sys.executable, str(file), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **given},
    ) as process:
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        try:
            yield Program(process)
        finally:
            timer.cancel()
            timer.join()
            process.kill()


def end_message(sim: Simulator, to_number: str, state: str, reason: str = "") -> None:
    """Let a message that was sent to a number reach its last state.

    By hand, and after the program has told that it knows the message: the official SDK forgets states that it hears of
    before that, and waits for ever.
    """
    entry = sim.journal.wait_for(
        lambda one: (
            one.direction == "out"
            and one.event_type == "messaging.state"
            and (one.params["to_number"], one.params["message_state"]) == (to_number, "sent")
        ),
        PATIENCE,
    )
    told = {**entry.params, "message_state": state, **({"reason": reason} if reason else {})}
    sim.send_event("messaging.state", told, context=told["context"], event_channel=None)
