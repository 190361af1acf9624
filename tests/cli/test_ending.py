"""Ctrl-C, SIGTERM and a terminal that closes: what a command has begun ends with it. Real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from relay_sync.cli import ending
from relay_sync.cli.early import ENDING, Interrupted
from relay_sync.cli.ending import interruptible, stop_flag
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.commands import PACKAGE_HOME, environment
from tests.support.lines import FROM, TO

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals cannot be sent to one process there")


@contextmanager
def started(*arguments: str, cwd: Path | None = None, code: str = "") -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, after some code."""
    start = f"{code}\nimport sys; from relay_sync.cli import main; sys.exit(main({list(arguments)!r}))"
    with subprocess.Popen(
        [sys.executable, "-u", "-c", start],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    assert any(text in line for line in process.stdout), process.communicate()


@pytest.mark.traced
@pytest.mark.parametrize(
    ("name", "code", "answers"), [("SIGTERM", 143, None), ("SIGHUP", 129, 0.01), ("SIGINT", 130, None)]
)
def test_the_call_of_the_doctor_is_hung_up(account: Simulator, name: str, code: int, answers: float | None) -> None:
    phone = account.expect_phone(TO, answers_after=answers)
    with started("doctor", "--call", TO, "--from", FROM) as process:
        leg = phone.wait_for_call(timeout=PATIENCE)
        leg.wait_until("ringing" if answers is None else "answered", PATIENCE)
        process.send_signal(getattr(signal, name))
        process.send_signal(getattr(signal, name))  # a terminal that closes may send two
        _, errors = process.communicate(timeout=PATIENCE)
        leg.wait_until("ended", PATIENCE)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert "interrupted" in errors


@pytest.mark.traced
@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_the_doctor_waits_no_longer_for_a_proxy(tmp_path: Path, name: str, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"wss://127.0.0.1:{silent.getsockname()[1]}/audio"
        (tmp_path / "waiting.py").write_text(
            "from relay_sync import RelayClient\nfrom relay_sync.audio import AudioServer\n"
            f"client = RelayClient()\naudio = AudioServer(public_url={url!r})\n",
            encoding="utf-8",
        )
        with started("doctor", "waiting:client", "--audio", "--timeout", "600", cwd=tmp_path) as process:
            read_until(process, "audio port")
            process.send_signal(getattr(signal, name))
            _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors.strip()) == (code, "doctor: interrupted")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_demo_saves_nothing(tmp_path: Path, name: str, code: int) -> None:
    with started("demo", cwd=tmp_path) as process:
        read_until(process, "listening   0%")
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors.strip()) == (code, "relay-sync demo: interrupted, nothing was saved")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.traced
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTERM"])
def test_the_file_with_tokens_is_removed(tmp_path: Path, name: str) -> None:
    with started("simulate", "--credentials", "sim.json", cwd=tmp_path) as process:
        read_until(process, "ready")
        assert (tmp_path / "sim.json").exists()
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_was_ignored_stays_ignored(tmp_path: Path) -> None:
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"  # nohup
    with started("simulate", "--credentials", "sim.json", cwd=tmp_path, code=code) as process:
        read_until(process, "ready")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0


@pytest.mark.parametrize("number", ENDING)
def test_only_the_first_signal_raises(number: signal.Signals) -> None:
    with interruptible():
        with pytest.raises(Interrupted) as raised:
            signal.raise_signal(number)
        for each in ENDING:
            signal.raise_signal(each)  # while it hangs up
    assert raised.value.code == 128 + number


def test_a_command_that_does_not_end_can_be_interrupted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "TIDYING", 0.0)
    with interruptible():
        for number in (signal.SIGTERM, signal.SIGINT):
            with pytest.raises(Interrupted, match=number.name):
                signal.raise_signal(number)


def test_a_server_is_told_and_only_a_second_ctrl_c_raises() -> None:
    with stop_flag(second_raises=True) as told:
        signal.raise_signal(signal.SIGHUP)
        assert told.is_set()
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
    with stop_flag() as told:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert told.is_set()


def test_afterwards_signals_mean_what_they_meant() -> None:
    before: list[Any] = [signal.getsignal(each) for each in ENDING]
    with interruptible(), stop_flag():
        pass
    assert [signal.getsignal(each) for each in ENDING] == before
    other = threading.Thread(target=lambda: interruptible().__enter__())  # signals are for the main thread
    other.start()
    other.join()
    assert [signal.getsignal(each) for each in ENDING] == before


CAMPAIGN = """
import sys, threading
sys.argv = ["campaign.py", "--simulate"]
import campaign
from relay_sync import RelayClient
campaign.PEOPLE = {f"P{n}": [f"+155502{n:02}"] for n in range(12)}
campaign.GIVE_UP = 5.0
phones = []
def people(sim):
    phones.extend(sim.expect_phone(n[0], answers_after=None) for n in campaign.PEOPLE.values())
    threading.Thread(target=watch, args=(sim,)).start()
def watch(sim):
    for phone in phones[:campaign.AT_ONCE]:
        phone.wait_for_call(timeout=5).wait_until("ringing", 5)
    sim.wait_for_acks()  # until the client knows its legs, too
    print("they ring", flush=True)
campaign.set_up_phones = people
dial, disconnect = RelayClient.dial, RelayClient.disconnect
def noted(self, *given, **named):
    print("dial", flush=True)
    return dial(self, *given, **named)
def looked_at(self, *given, **named):
    disconnect(self, *given, **named)
    for phone in phones[:campaign.AT_ONCE]:
        phone.wait_for_call(timeout=5).wait_until("ended", 2)
    print("all ended", flush=True)
RelayClient.dial, RelayClient.disconnect = noted, looked_at
campaign.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_the_campaign_calls_nobody_else(name: str, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CAMPAIGN],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=os.pathsep.join([str(PACKAGE_HOME), str(PACKAGE_HOME / "examples")])),
    ) as process:
        assert process.stdout is not None
        assert any(line == "they ring\n" for line in process.stdout)
        process.send_signal(getattr(signal, name))
        rest, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert "dial" not in rest
    assert "all ended" in rest


#: Runs the command as its script does. Whatever it imports is told of, so that a test can send a signal at that moment.
SCRIPT = """
import os, signal, sys
class Told:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"]:
            sys.meta_path.remove(self)
            signal.raise_signal(getattr(signal, os.environ["SIGNAL"]))
sys.meta_path.insert(0, Told())
from relay_sync.cli import entry
entry()
"""


def run(program: str, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=cwd,
        env=environment(**variables),
        check=False,
    )


@pytest.mark.traced
@pytest.mark.parametrize(
    ("command", "at", "name", "code"),
    [
        ("demo", "argparse", "SIGINT", 130),
        ("listen", "relay_sync.cli.listen", "SIGTERM", 143),
        ("simulate", "relay_sync.simulator.server", "SIGHUP", 129),
        ("run", "relay_sync.client.client", "SIGINT", 130),
        ("run", "relay_sync.client.client", "SIGTERM", -signal.SIGTERM),
    ],
)
def test_a_signal_while_modules_are_imported_ends_the_command(
    tmp_path: Path, command: str, at: str, name: str, code: int
) -> None:
    arguments = ["app:client"] if command == "run" else []
    done = run(SCRIPT, command, *arguments, cwd=tmp_path, AT=at, SIGNAL=name)
    said = f"relay-sync {command}: interrupted" if code > 0 else ""
    assert (done.returncode, done.stdout, done.stderr.strip()) == (code, "", said)
    assert list(tmp_path.iterdir()) == []


LATE = """
import os, signal, sys, threading
from relay_sync.cli import command, entry
interrupt = lambda: os.kill(os.getpid(), signal.SIGINT)
def linger():
    threading.main_thread().join()
    while not threading.Event().wait(0.01):
        interrupt()  # again: Python misses one that comes just before it begins to wait for this thread
if sys.argv.pop() == "told":
    print_error = command._print_error
    command._print_error = lambda line: (print_error(line), interrupt())
else:
    threading.Thread(target=linger).start()
entry()
"""


@pytest.mark.traced
@pytest.mark.parametrize("when", ["told", "over"])
def test_a_signal_when_the_command_is_over_changes_nothing(tmp_path: Path, when: str) -> None:
    done = run(LATE, "demo", "--out", "nowhere/y.wav", when, cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 2), done.stderr


def test_the_interpreter_cannot_be_ended_by_a_signal_when_it_is_nearly_gone(tmp_path: Path) -> None:
    code = "import atexit, signal\natexit.register(lambda: print(signal.getsignal(signal.SIGINT).name))\n"
    code += "from relay_sync.cli import entry, Early\n"
    code += (
        "ignore = Early._ignore\nEarly._ignore = lambda self: (ignore(self), print(signal.getsignal(2).name))\nentry()"
    )
    done = run(code, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[1:], done.stderr) == (0, ["SIG_IGN", "SIG_IGN"], "")


@pytest.mark.slow
@pytest.mark.parametrize("before", [True, False])
def test_the_demo_says_whether_there_is_a_file(tmp_path: Path, before: bool) -> None:
    """A signal as soon as the audio is saved, or just before it, also where a file of an earlier one is there."""
    (tmp_path / "y.wav").write_bytes(b"of an earlier demo")
    code = (
        "import os, signal, threading\nfrom relay_sync.audio import AudioStream\nsave = AudioStream.save\n"
        "def noted(self, path):\n"
        f"    if not {before}: save(self, path)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        f"    if {before}: raise OSError('the disk is full')\n"
        "    threading.Event().wait(0.2)\n"
        "AudioStream.save = noted"
    )
    with started("demo", "--fast", "--out", "y.wav", cwd=tmp_path, code=code) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    told = "nothing was saved" if before else "the audio is in y.wav"
    assert (process.returncode, errors.strip()) == (130, f"relay-sync demo: interrupted, {told}")
    assert (tmp_path / "y.wav").read_bytes().startswith(b"of an earlier" if before else b"RIFF")
