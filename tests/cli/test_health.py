"""``--health``: what a probe sees while processes work, hang, die, stop and come back."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import define

from relay_sync.cli import main
from relay_sync.simulator import Simulator
from relay_sync.text.wording import counted
from tests.support import ROOT
from tests.support.background import Background
from tests.support.health import Answer, ask, series
from tests.support.hosting import APP, Started, started
from tests.support.hosting import PATIENCE as LONG
from tests.support.lines import FROM, TO

PROGRAM = f"""{APP}
import signal, time

def block(number, frame):
    client._link.loop.change(lambda session: time.sleep(60))

signal.signal(signal.SIGUSR1, block)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


@define
class Watched:
    """A running program with health checks."""

    started: Started
    address: str

    @property
    def output(self) -> str:
        return self.started.output

    def ask(self, path: str) -> Answer:
        return ask(self.address, path)

    def wait_for(self, path: str, status: int, words: str) -> None:
        """Return once the page has this status and these words."""
        end = time.monotonic() + LONG
        while True:
            answer = self.ask(path)
            if answer.status == status and words in answer.body:
                return
            assert time.monotonic() < end, f"{answer}\n{self.output}"
            time.sleep(0.05)

    def pid(self, number: int) -> int:
        """The last process that the supervisor has started with this number."""
        found = re.findall(
            rf"process {number}(?:: pid | \(pid )(\d+)(?:$|\) is ready again)", self.output, re.MULTILINE
        )
        return int(found[-1])


@contextmanager
def watched(sim: Simulator, folder: Path, *options: str, processes: int = 1) -> Iterator[Watched]:
    command = ("-m", "relay_sync", "run", "app:client", "--processes", str(processes), "--health", "0", *options)
    with started(sim, folder, *command) as process:
        process.wait_for_output("health: listening on ")
        found = re.search(r"health: listening on http://(\S+)", process.output)
        assert found is not None
        sim.wait_for_client(processes, timeout=LONG)
        yield Watched(process, found[1])


@pytest.mark.slow
def test_one_process(sim: Simulator, folder: Path) -> None:
    with watched(sim, folder) as program:
        program.wait_for("/ready", 200, "1 of 1 process connected\nprocess 0: connected\n")
        assert program.ask("/live").body == "live\n"
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", LONG)
        program.wait_for("/metrics", 200, 'relay_calls{process="0"} 1\n')
        found = series(program.ask("/metrics").body)
        assert found['relay_inbound_calls_total{process="0",result="taken"}'] == 1
        assert found['relay_io_threads{process="0"}'] == 1
        program.started.process.send_signal(signal.SIGTERM)
        program.wait_for("/ready", 503, "0 of 1 process connected\nprocess 0: draining\n")
        assert program.ask("/live").status == 200
        phone.hang_up()
        assert program.started.process.wait(LONG) == 0
        with pytest.raises(ConnectionRefusedError):
            program.ask("/live")


@pytest.mark.slow
def test_a_process_that_dies_is_not_ready_and_keeps_its_counters(sim: Simulator, folder: Path) -> None:
    with watched(sim, folder, processes=2) as program:
        phones = [sim.call(to=TO, from_=FROM) for _ in range(6)]
        for phone in phones:
            phone.wait_until("answered", LONG)
        program.wait_for("/ready", 200, "2 of 2 processes connected")
        _wait_for_calls(program, 6)
        os.kill(program.pid(0), signal.SIGKILL)
        program.wait_for("/ready", 200, "1 of 2 processes connected\nprocess 0: ")
        assert program.ask("/live").status == 200
        sim.wait_for_client(2, timeout=LONG)
        program.wait_for("/ready", 200, "2 of 2 processes connected")
        found = series(program.ask("/metrics").body)
        assert _taken(found) == 6
        assert found['relay_process_starts_total{process="0"}'] == 2
        assert found['relay_process_starts_total{process="1"}'] == 1
        assert found['relay_calls{process="0"}'] == 0
        assert "process 0 (pid " in program.output
        program.started.process.send_signal(signal.SIGTERM)
        program.wait_for("/ready", 503, "0 of 2 processes connected, stopping")
        for phone in phones:
            phone.hang_up()
        assert program.started.process.wait(LONG) == 0


def _taken(found: dict[str, float]) -> float:
    return sum(value for name, value in found.items() if name.startswith("relay_inbound") and "taken" in name)


def _wait_for_calls(program: Watched, count: int) -> None:
    end = time.monotonic() + LONG
    while _taken(series(program.ask("/metrics").body)) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_a_process_that_is_stopped_is_silent_until_it_goes_on(sim: Simulator, folder: Path) -> None:
    with watched(sim, folder, processes=2) as program:
        program.wait_for("/ready", 200, "2 of 2")
        pid = program.pid(1)
        os.kill(pid, signal.SIGSTOP)
        program.wait_for("/live", 503, f"process 1 (pid {pid}) has been silent for ")
        assert "1 of 2 processes connected\nprocess 0: connected\nprocess 1: silent for " in program.ask("/ready").body
        os.kill(pid, signal.SIGCONT)
        program.wait_for("/live", 200, "live")
        program.wait_for("/ready", 200, "2 of 2")


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_an_io_thread_that_is_stuck_is_named(sim: Simulator, folder: Path, processes: int) -> None:
    with watched(sim, folder, processes=processes) as program:
        program.wait_for("/ready", 200, f"{processes} of {processes}")
        assert program.ask("/live").status == 200
        pid = program.started.process.pid if processes == 1 else program.pid(0)
        os.kill(pid, signal.SIGUSR1)
        program.wait_for("/live", 503, f"process 0 (pid {pid}): 1 IO thread not answering: relay-io-1 for ")


@pytest.mark.slow
def test_a_supervisor_that_was_suspended_does_not_blame_its_processes(sim: Simulator, folder: Path) -> None:
    with watched(sim, folder, processes=2) as program:
        program.wait_for("/ready", 200, "2 of 2")
        supervisor = program.started.process.pid
        os.kill(supervisor, signal.SIGSTOP)
        try:
            phone = sim.call(to=TO, from_=FROM)
            phone.wait_until("answered", LONG)
            time.sleep(6)  # longer than a process may be silent
        finally:
            os.kill(supervisor, signal.SIGCONT)
        for _ in range(20):
            answer = program.ask("/live")
            assert answer.status == 200, answer
        assert _taken(series(program.ask("/metrics").body)) == 1
        phone.hang_up()


@pytest.mark.slow
def test_a_process_that_was_suspended_is_alive_at_once(sim: Simulator, folder: Path) -> None:
    with watched(sim, folder) as program:
        program.wait_for("/ready", 200, "1 of 1")
        os.kill(program.started.process.pid, signal.SIGSTOP)
        time.sleep(6)  # longer than a process may be silent
        answers = [Background(program.ask, "/live") for _ in range(4)]
        os.kill(program.started.process.pid, signal.SIGCONT)
        assert [answer.result().status for answer in answers] == [200] * 4


@pytest.mark.slow
def test_broken_on_disk_after_a_good_start_and_mended_again(sim: Simulator, folder: Path) -> None:
    """The other process keeps its call all the time; the killed process comes back once the file is right again."""
    with watched(sim, folder, processes=2) as program:
        program.wait_for("/ready", 200, "2 of 2")
        phones = [sim.call(to=TO, from_=FROM) for _ in range(4)]
        for phone in phones:
            phone.wait_until("answered", LONG)
        (folder / "app.py").write_text(f"{PROGRAM}\nclient = RelayClient(contexts='sales')\n", encoding="utf-8")
        first, second = program.pid(0), program.pid(1)
        os.kill(first, signal.SIGKILL)
        _wait_for_failures(program, 3)
        assert f"process 0 (pid {first}) exited with code -9" in program.output
        program.wait_for("/ready", 200, "1 of 2 processes connected\nprocess 0: ")
        assert program.pid(1) == second
        lines = [line for line in program.output.splitlines() if "exited with code 2" in line]
        assert all("invalid configuration: app:client: Invalid contexts='sales'" in line for line in lines)
        pauses = [float(re.findall(r"starting it again in ([0-9.]+) s$", line)[0]) for line in lines]
        assert all(later == 2 * earlier for earlier, later in itertools.pairwise(pauses)), pauses
        assert program.output.count("Invalid contexts") == len(lines), "each failure is one line"
        (folder / "app.py").write_text(PROGRAM, encoding="utf-8")
        program.started.wait_for_output("is ready again")
        program.wait_for("/ready", 200, "2 of 2")
        assert sum(phone.state == "answered" for phone in phones) >= 1
        program.started.process.send_signal(signal.SIGTERM)
        for phone in phones:
            phone.hang_up()
        assert program.started.process.wait(LONG) == 0


def _wait_for_failures(program: Watched, count: int) -> None:
    end = time.monotonic() + LONG
    while program.output.count("exited with code 2") < count:
        assert time.monotonic() < end, program.output
        time.sleep(0.05)


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("value", ["x", "127.0.0.1", "65536", "::1:9700"])
def test_a_wrong_address_is_told_in_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str], processes: str, value: str
) -> None:
    assert main(["run", "app:client", "--health", value, "--processes", processes]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == ["Try: relay-sync run --help"]
    assert f"argument --health: invalid value {value!r}: expected HOST:PORT, such as 0.0.0.0:9700 or" in said[0]


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_port_that_is_taken_ends_the_command_before_anything_starts(
    folder: Path, capsys: pytest.CaptureFixture[str], processes: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["run", "app:client", "--health", port, "--processes", processes]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == ["Try: relay-sync run --help"]
    assert f"argument --health: {port} is already in use: choose another port" in said[0]


FRAMEWORKS = {
    "flask": ["relay", "run"],
    "django": ["relay", "--skip-checks", "--settings", "settings"],
}


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    """A Flask application and the settings of a Django project."""
    (tmp_path / "app.py").write_text(
        "from flask import Flask\nfrom relay_sync.contrib.flask import Relay\n"
        "app = Flask(__name__)\nRelay(app, contexts=['default'], connect_timeout=20)\n",
        encoding="utf-8",
    )
    (tmp_path / "settings.py").write_text(
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['relay_sync.contrib.django']\n"
        "RELAY_SYNC = {'contexts': ['default'], 'connect_timeout': 20}\n",
        encoding="utf-8",
    )
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("processes", [1, 2])
def test_the_commands_of_frameworks_have_the_same_option(
    sim: Simulator, projects: Path, framework: str, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(projects), str(ROOT)]))
    options = ["--processes", str(processes), "--health", "0"]
    with started(sim, projects, "-m", framework, *FRAMEWORKS[framework], *options) as process:
        process.wait_for_output("health: listening on ")
        found = re.search(r"health: listening on http://(\S+)", process.output)
        assert found is not None
        program = Watched(process, found[1])
        program.wait_for("/ready", 200, f"{processes} of {counted(processes, 'process', 'processes')} connected")
        assert program.ask("/live").status == 200
        process.terminate()


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_wrong_address_ends_the_commands_of_frameworks(
    projects: Path, framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(projects), str(ROOT)]))
    done = subprocess.run(
        [sys.executable, "-m", framework, *FRAMEWORKS[framework], "--health", "x"],
        cwd=projects,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "argument --health: invalid value 'x': expected HOST:PORT" in " ".join(done.stderr.split())
