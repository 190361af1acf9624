"""The telephone in the browser: how long its sound takes to the program and back, and how many there can be at once.

``python -m benchmarks.telephones '{"telephone": "page"}'`` opens the page in a headless Chromium, which speaks beeps; the program
echoes them. ``"busy"`` keeps one core busy beside it. ``"crowd"`` adds telephones that are WebSockets, which speak the page's
protocol. The simulator, the program and the busy core are processes of their own.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import websocket
from attrs import define, field

from tests.support.browser import BEEP, PAUSE, Recorded, beeps, browser, write_beeps

from .figures import percentile
from .processes import ROOT, finish

__all__ = ["Telephone", "main", "measure", "pairs"]

#: Samples of 20 ms at the rate of the telephones, and how long they last in seconds.
SAMPLES, FRAME = 320, 0.02
#: Silence before the first beep in seconds: underruns of this time do not count.
SILENCE: Final = 2.5
#: The program: it echoes what it receives, frame by frame. It leaves out the frames that wait while it loads what it needs,
#: because the network would play all that follows as late as those.
PROGRAM: Final = """
import time
from relay_sync import RelayClient
from relay_sync.audio import AudioServer
client, audio = RelayClient(contexts=["default"]), AudioServer()
@client.on_call
def handle(call):
    call.answer()
    with audio.connect(call, codec="PCMU", realtime=True) as stream:
        stream.play(bytes(320))
        prompt, before = 0, time.monotonic()
        for frame in stream:
            now = time.monotonic()
            prompt, before = prompt + (now - before > 0.01), now
            if prompt > 25:
                stream.play(frame.pcm, wait=False, paced=False)
client.run()
"""
_BUSY: Final = "while True: pass"


@define(eq=False)
class Telephone:
    """A telephone without a page: it calls the program, speaks, and counts the frames that it hears."""

    url: str
    key: str
    number: str
    heard: int = 0
    lost: int = 0
    late: int = 0
    _ws: websocket.WebSocket = field(init=False)
    _over: threading.Event = field(factory=threading.Event)
    _threads: list[threading.Thread] = field(factory=list)

    def call(self) -> None:
        """Call, and begin to speak and to listen when the program has answered."""
        self._ws = websocket.create_connection(self.url, timeout=30)
        self._ws.send(json.dumps({"key": self.key, "number": self.number}))
        self._ws.send(json.dumps({"type": "call", "to": "+15550100"}))
        while json.loads(self._text()).get("state") != "answered":
            pass
        for work in (self._speak, self._listen):
            thread = threading.Thread(target=work, name=f"bench{work.__name__}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _text(self) -> str:
        while True:
            kind, data = self._ws.recv_data()
            if kind == websocket.ABNF.OPCODE_TEXT:
                return str(data, "utf-8")

    def _speak(self) -> None:
        began, sent = time.monotonic(), 0
        tone = b"".join(struct.pack("<h", 8000 if index // 16 % 2 else -8000) for index in range(SAMPLES))
        while not self._over.wait(max(0.0, began + sent * FRAME - time.monotonic())):
            self._ws.send_binary(struct.pack("<I", sent * SAMPLES) + tone)
            sent += 1

    def _listen(self) -> None:
        expected: int | None = None
        try:
            while not self._over.is_set():
                kind, data = self._ws.recv_data()
                if kind == websocket.ABNF.OPCODE_TEXT:
                    told = json.loads(data)
                    self.late = told.get("late", self.late)
                    continue
                at, rate = struct.unpack_from("<II", data)
                if expected is not None:
                    self.lost += max(0, round((at - expected) / 20))
                expected = at + round((len(data) - 8) / 2 / rate * 1000)
                self.heard += 1
        except (OSError, websocket.WebSocketException):
            pass

    def hang_up(self) -> None:
        """End the call."""
        self._over.set()
        self._ws.shutdown()  # type: ignore[no-untyped-call]
        for thread in self._threads:
            thread.join(10)


@contextmanager
def _process(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, *command], text=True, cwd=ROOT, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            finish(process)


def _cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _network(folder: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """A simulator and the program, each in a process of its own."""
    file = folder / "simulator.json"
    command = ("-m", "relay_sync", "simulate", "--credentials", str(file))
    with _process(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as simulator:
        end = time.monotonic() + 30
        while not file.exists() or not file.read_text(encoding="utf-8").strip():
            assert time.monotonic() < end
            time.sleep(0.05)
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        environment = {
            "SIGNALWIRE_SPACE": found["host"],
            "SIGNALWIRE_PROJECT_ID": found["project"],
            "SIGNALWIRE_API_TOKEN": found["token"],
        }
        with _process("-c", PROGRAM, env={**environment, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL):
            yield found, simulator.pid


def pairs(said: list[tuple[float, int]], heard: list[tuple[float, int]]) -> tuple[list[float], int]:
    """Return how long each beep took in seconds, and how many did not come back in their order."""
    delays, at = [], 0
    for start, pitch in said:
        for index in range(at, len(heard)):
            if heard[index][1] == pitch and 0 <= heard[index][0] - start < 2:
                delays.append(heard[index][0] - start)
                at = index + 1
                break
    return delays, len(said) - len(delays) + max(0, len(heard) - len(said))


def measure(telephone: str, *, count: int = 60, crowd: int = 20) -> dict[str, float]:
    """Measure one page.

    :param telephone: one of ``benchmarks.rows.TELEPHONES``.
    :param count: number of beeps.
    :param crowd: number of telephones beside the page for ``crowd``.
    :return: ``p50`` and ``p99``: milliseconds from a beep at the microphone until the page plays it; ``missing``: beeps that did
        not come back once and in order; ``underruns`` of the page after the first second; ``lost``: frames of 20 ms that the
        other telephones did not get; ``simulator``: cores that the simulator took.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found, simulator = stack.enter_context(_network(folder))
        base = found["control"].removesuffix("/simulator")
        line = f"ws{found['control'].removeprefix('http')}/telephone"
        others = [
            Telephone(line, found["control_token"], f"+1555020{index:04}")
            for index in range(crowd if telephone == "crowd" else 0)
        ]
        for other in others:
            other.call()
            stack.callback(other.hang_up)
        if telephone == "busy":
            stack.enter_context(_process("-c", _BUSY))
        microphone = write_beeps(folder / "beeps.wav", count, silence=SILENCE)
        page = stack.enter_context(browser(microphone=microphone))
        page.goto(f"{base}/#key={found['control_token']}")
        page.locator("#link.good").wait_for(timeout=30_000)
        page.click("#call")
        page.locator("#state", has_text="Connected").wait_for(timeout=30_000)
        page.wait_for_timeout(1_500)
        begin = page.evaluate("Number(document.getElementById('quality').dataset.underruns ?? 0)")
        spent, began = _cpu(simulator), time.monotonic()
        recorded = Recorded.after(page, SILENCE + count * (BEEP + PAUSE) + 1.5, timeout=60 + count)
        share = (_cpu(simulator) - spent) / (time.monotonic() - began)
        underruns = page.evaluate("Number(document.getElementById('quality').dataset.underruns ?? 0)") - begin
    delays, missing = pairs(beeps(recorded.said, recorded.rate), beeps(recorded.heard, recorded.rate))
    return {
        **{f"p{rank}": 1000 * percentile(delays, rank) for rank in (50, 99)},
        "missing": float(missing + count - len(beeps(recorded.said, recorded.rate))),
        "underruns": float(underruns),
        "lost": float(sum(other.lost for other in others)),
        "heard": float(sum(other.heard for other in others)),
        "late": float(sum(other.late for other in others)),
        "simulator": share,
    }


def main() -> None:
    """The process with the browser."""
    logging.disable(logging.CRITICAL)
    print("figures " + json.dumps(measure(**json.loads(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
