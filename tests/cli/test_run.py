"""``relay-sync run``: processes as a service manager starts and ends them, against the simulator."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from relay_sync import ConnectError, RelayClient
from relay_sync.audio import AudioServer
from relay_sync.cli import main, supervisor
from relay_sync.cli.mistakes import Unsuccessful, WrongConfiguration
from relay_sync.cli.reports import VARIABLE
from relay_sync.cli.run import serve
from relay_sync.simulator import Simulator
from tests.support import ROOT
from tests.support.background import until
from tests.support.hosting import APP, PATIENCE, environment
from tests.support.lines import FROM, TO
from tests.support.web_programs import PATCH

PROGRAM = f"""{APP}
def make():
    return client

class holder:
    inside = client

number = 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "broken.py").write_text("raise LookupError('my own mistake')\n", encoding="utf-8")
    return tmp_path


@contextmanager
def running(sim: Simulator, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with started(sim, folder, "-m", "relay_sync", "run", *arguments) as process:
        yield process


@contextmanager
def started(sim: Simulator, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(sim),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=PATIENCE)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, out, errors


@pytest.mark.parametrize("target", ["app:client", "app:make()", "app:make", "app:holder.inside"])
def test_it_takes_calls_until_sigterm_and_lets_the_last_one_end(sim: Simulator, folder: Path, target: str) -> None:
    with running(sim, folder, target) as process:
        sim.wait_for_client(timeout=PATIENCE)
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        process.send_signal(signal.SIGTERM)
        sim.journal.wait_for(lambda entry: bool(sim.journal.requests("signalwire.unreceive")), PATIENCE)
        assert phone.state == "answered"
        assert process.poll() is None
        phone.hang_up()
        code, out, errors = finish(process)
    assert (code, out) == (0, "handled\n")
    assert "Traceback" not in errors
    assert sim.settings.token not in errors


def test_a_closed_terminal_is_a_graceful_end(sim: Simulator, folder: Path) -> None:
    with running(sim, folder, "app:client") as process:
        sim.wait_for_client(timeout=PATIENCE)
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        process.send_signal(signal.SIGHUP)
        sim.journal.wait_for(lambda entry: bool(sim.journal.requests("signalwire.unreceive")), PATIENCE)
        phone.hang_up()
        code, out, _ = finish(process)
    assert (code, out) == (0, "handled\n")


@pytest.mark.traced
@pytest.mark.parametrize("drain", ["0", "0.1"])
def test_calls_that_live_too_long_are_hung_up(sim: Simulator, folder: Path, drain: str) -> None:
    with running(sim, folder, "app:client", "--drain", drain) as process:
        sim.wait_for_client(timeout=PATIENCE)
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        process.send_signal(signal.SIGINT)
        code, _, _ = finish(process)
    assert code == 0
    assert (phone.state, phone.end_reason) == ("ended", "hangup")


@pytest.mark.traced
@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_hangs_up_at_once_and_lets_the_handler_finish(
    sim: Simulator, folder: Path, processes: str, how: signal.Signals
) -> None:
    with running(sim, folder, "app:client", "--processes", processes) as process:
        sim.wait_for_client(int(processes), timeout=PATIENCE)
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        process.send_signal(how)
        wait = _line_with(process, "waiting up to 30 s for 1 live call to end; ")
        # A supervisor passes Ctrl-C on as SIGTERM.
        by_key = how == signal.SIGINT and processes == "1"
        assert wait.endswith(
            "press Ctrl-C again to end immediately" if by_key else "Ctrl-C or SIGTERM ends the wait immediately"
        )
        process.send_signal(how)
        code, out, errors = finish(process)
    assert code == 128 + how
    assert out == "handled\n"
    assert (phone.state, phone.end_reason) == ("ended", "hangup")
    assert "interrupted: hanging up 1 live call" in errors
    assert "Traceback" not in errors


OWN_RUN = """
import sys
from relay_sync import RelayClient

client = RelayClient(contexts=["default"])

@client.on_call
def handle(call):
    call.answer()
    call.wait_for_ended()
    print("handled", flush=True)

try:
    client.run(drain=20, hangup_calls=sys.argv[1] == "hang up")
finally:
    print("over", client.state, flush=True)
"""


@pytest.mark.traced
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("end", ["hang up", "leave"])
def test_a_second_signal_unwinds_a_program_of_one_s_own(
    sim: Simulator, folder: Path, how: signal.Signals, end: str
) -> None:
    (folder / "own.py").write_text(OWN_RUN, encoding="utf-8")
    with started(sim, folder, "own.py", end) as process:
        sim.wait_for_client(timeout=PATIENCE)
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("answered", PATIENCE)
        process.send_signal(how)
        _line_with(process, "waiting up to 20 s for 1 live call to end; ")
        process.send_signal(how)
        code, out, errors = finish(process)
    sim.wait_until_gone()
    assert code == (-signal.SIGINT if how == signal.SIGINT else 143)
    if end == "hang up":
        assert phone.end_reason == "hangup"
        assert out == "handled\nover closed\n"
    else:
        assert phone.state == "answered"
        assert "closing: 1 live call continues without this client; run(drain=30) waits" in errors
        assert out.endswith("over closed\n")


def test_several_processes_each_have_a_connection_and_the_dead_are_replaced(sim: Simulator, folder: Path) -> None:
    with running(sim, folder, "app:client", "--processes", "2") as process:
        sim.wait_for_client(2, timeout=PATIENCE)
        phones = [sim.call(to=TO, from_=FROM) for _ in range(2)]
        for phone in phones:
            phone.wait_until("answered", PATIENCE)
        first = int(_line_with(process, "process 0: pid ").rpartition(" ")[2])
        os.kill(first, signal.SIGKILL)
        sim.journal.wait_for(lambda entry: len(sim.journal.requests("signalwire.connect")) >= 3, PATIENCE)
        sim.wait_for_client(2, timeout=PATIENCE)
        process.send_signal(signal.SIGTERM)
        for phone in phones:
            phone.hang_up()
        code, _, errors = finish(process)
    assert code == 0
    assert f"process 0 (pid {first}) exited with code -9" in errors
    sim.wait_until_gone()


def _line_with(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line.rstrip()
    raise AssertionError(f"no line with {text!r}")


def check_that_no_process_outlives_its_supervisor(sim: Simulator, folder: Path, target: str) -> None:
    with running(sim, folder, target, "--processes", "2") as process:
        sim.wait_for_client(2, timeout=PATIENCE)
        process.kill()
        sim.wait_until_gone(PATIENCE)


def test_no_process_outlives_a_supervisor_that_was_killed(sim: Simulator, folder: Path) -> None:
    check_that_no_process_outlives_its_supervisor(sim, folder, "app:client")


@pytest.mark.slow
def test_several_processes_of_a_program_that_gevent_has_patched(sim: Simulator, folder: Path) -> None:
    pytest.importorskip("gevent")
    (folder / "patched.py").write_text(f"{PATCH}from app import client\n", encoding="utf-8")
    check_that_no_process_outlives_its_supervisor(sim, folder, "patched:client")


@pytest.mark.slow
def test_a_program_that_closes_descriptors_that_it_has_not_opened_is_told_so(sim: Simulator, folder: Path) -> None:
    (folder / "closing.py").write_text(f"import os\nos.closerange(3, 200)\n{PROGRAM}", encoding="utf-8")
    with running(sim, folder, "closing:client", "--processes", "2") as process:
        code, _, errors = finish(process)
    assert code == 1
    assert re.search("the program has closed descriptor [0-9]+, which shows when its supervisor exits", errors)
    assert "giving up: 5 processes in a row" in errors


@pytest.mark.slow
def test_what_a_program_starts_inherits_nothing_of_its_supervisor(sim: Simulator, folder: Path) -> None:
    (folder / "look.py").write_text(
        "import os\n"
        "for number in range(3, 100):\n"
        "    if os.path.exists(f'/proc/self/fd/{number}') or os.path.exists(f'/dev/fd/{number}'): print(number)\n"
        "print(*(name for name in os.environ if name.startswith('RELAY_SYNC_')), end='.')\n",
        encoding="utf-8",
    )
    (folder / "starting.py").write_text(
        "import os, pathlib, subprocess, sys\n"
        "found = subprocess.run([sys.executable, 'look.py'], close_fds=False, capture_output=True, text=True).stdout\n"
        "pathlib.Path(f'found-{os.getpid()}').write_text(found)\n"
        "from app import client\n",
        encoding="utf-8",
    )
    with running(sim, folder, "starting:client", "--processes", "2") as process:
        sim.wait_for_client(2, timeout=PATIENCE)
        process.terminate()
        assert finish(process)[0] == 0
    assert [file.read_text(encoding="utf-8") for file in folder.glob("found-*")] == [".", "."]


def test_sigterm_while_the_program_is_being_imported_is_a_graceful_end(sim: Simulator, folder: Path) -> None:
    (folder / "slow.py").write_text(
        "import pathlib, threading\npathlib.Path(f'importing-{__import__(\"os\").getpid()}').touch()\n"
        "threading.Event().wait()\n",
        encoding="utf-8",
    )
    with running(sim, folder, "slow:client", "--processes", "2") as process:
        end = time.monotonic() + PATIENCE
        while len(list(folder.glob("importing-*"))) < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        code, _, errors = finish(process)
    assert (code, "exited with code" in errors) == (0, False)


def test_a_process_that_the_system_does_not_start_costs_the_others_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The first one takes the program away when the second runs, and ends; the second ends gracefully.
    program = tmp_path / "program"
    program.write_text(
        '#!/bin/sh\ncd "$(dirname "$0")"\n'
        "if mkdir first; then\n"
        "    while [ ! -e second ]; do sleep 0.01; done\n"
        "    rm program\n    exit 1\nfi 2> /dev/null\n"
        "trap 'touch graceful; exit 0' TERM\ntouch second\n"
        "while :; do sleep 0.01; done\n",
        encoding="utf-8",
    )
    program.chmod(0o700)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 0.01)
    assert supervisor.Supervisor([str(program)], 2, patience=PATIENCE).run() == 1
    assert (tmp_path / "graceful").exists()
    pauses = re.findall(r"starting it again in (\S+) s", caplog.text)
    assert len(pauses) >= 2
    assert set(pauses) == {"0.01"}, "no pause is longer than the longest"


WRONG = {
    "app:clint": ("", "app has no 'clint'"),
    "nothing_of_that_name:client": ("", "there is no module 'nothing_of_that_name'"),
    "wrong:client": (
        "from relay_sync import RelayClient\nclient = RelayClient(contexts='sales')\n",
        "contexts='sales'",
    ),
    "wrong:make": (
        "from relay_sync import RelayClient\ndef make(): return RelayClient(host='a b')\n",
        "host='a b'",
    ),
    "missing:client": (
        "from relay_sync import RelayClient\nimport os\nos.environ.pop('SIGNALWIRE_API_TOKEN')\nclient = RelayClient()\n",
        "relay-sync simulate --show-tokens",
    ),
    "unresolvable:client": (
        "from relay_sync import RelayClient\nclient = RelayClient(host='no-such-name.invalid')\n",
        "no host named 'no-such-name.invalid'",
    ),
    "refused:client": (
        "from relay_sync import RelayClient\nclient = RelayClient(token='PTwrong', connect_timeout=20)\n",
        "credentials were refused",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("target", WRONG)
def test_a_wrong_configuration_of_several_processes_is_told_once_and_ends_them(
    sim: Simulator, folder: Path, target: str
) -> None:
    program, said = WRONG[target]
    if program:
        (folder / f"{target.partition(':')[0]}.py").write_text(program, encoding="utf-8")
    with running(sim, folder, target, "--processes", "3", "--log-level", "error") as process:
        code, out, errors = finish(process)
    assert (code, out) == (2, "")
    assert errors.count("without an account") == (target == "missing:client")
    assert errors.count(said) == 1
    assert len(errors.splitlines()) == 1
    assert errors.startswith("relay-sync run: ")
    assert "PTwrong" not in errors


def test_a_wrong_configuration_of_one_process_is_a_line(sim: Simulator, folder: Path) -> None:
    (folder / "wrong.py").write_text(WRONG["wrong:client"][0], encoding="utf-8")
    with running(sim, folder, "wrong:client") as process:
        code, _, errors = finish(process)
    assert code == 2
    assert errors.startswith("relay-sync run: wrong:client: ")
    assert len(errors.splitlines()) == 1


@pytest.mark.traced
@pytest.mark.parametrize("processes", ["1", "3"])
def test_a_program_whose_port_is_taken_takes_no_calls(sim: Simulator, folder: Path, processes: str) -> None:
    """Each of its calls would end with an error as soon as it is streamed."""
    with AudioServer() as other:
        port = other.port
        program = f"{PROGRAM}\nfrom relay_sync.audio import AudioServer\naudio = AudioServer(port={port})\n"
        (folder / "app.py").write_text(program, encoding="utf-8")
        with running(sim, folder, "app:client", "--processes", processes, "--log-level", "error") as process:
            code, out, errors = finish(process)
    assert (code, out) == (2, "")
    assert errors.startswith("relay-sync run: the program's AudioServer cannot start: ")
    assert f":{port} is already in use" in errors
    assert len(errors.splitlines()) == 1
    assert not sim.journal.requests("signalwire.connect")


@pytest.mark.parametrize(("fatal", "reported"), [(True, [b"wrong"]), (False, [])])
def test_only_an_error_that_a_restart_does_not_help_is_a_wrong_configuration(
    monkeypatch: pytest.MonkeyPatch, *, fatal: bool, reported: list[bytes]
) -> None:
    """A lack of threads or descriptors may pass, so the supervisor starts the process again."""

    class Failing(RelayClient):
        def run(self, **_: Any) -> None:
            raise ConnectError("no file descriptor for the connection", fatal=fatal)

    reading, writing = os.pipe()
    monkeypatch.setenv(VARIABLE, str(writing))
    with open(reading, "rb") as reports, closing(open(writing, "wb")):
        try:
            code = serve(lambda: Failing(project="P", token="T", host="h"), [], processes=1, drain=0, log_level="error")
        except Unsuccessful as error:
            code = error.code
        os.set_blocking(reading, False)
        lines = (reports.read1() or b"").splitlines()
        assert [line[:5] for line in lines if not line.startswith(b"report ")] == reported
    assert code == (WrongConfiguration.code if fatal else Unsuccessful.code)


#: A child that says what a client's process would, for as long as the test wants.
SCRIPT = r"""
import os, pathlib, sys, time
here, number = pathlib.Path(sys.argv[1]), os.environ["RELAY_PROCESS"]
starts = here / f"starts-{number}"
with starts.open("a") as file:
    file.write(f"{os.getpid()} ")
def say(text):
    os.write(int(os.environ["RELAY_SYNC_REPORTS"]), text.encode() + b"\n")
"""


def supervise(folder: Path, program: str, count: int = 2) -> subprocess.Popen[str]:
    (folder / "child.py").write_text(SCRIPT + program, encoding="utf-8")
    starter = (
        "import logging, sys; logging.basicConfig(level='INFO', format='%(message)s')\n"
        "from relay_sync.cli.supervisor import Supervisor\n"
        "from relay_sync.cli.mistakes import WrongConfiguration\n"
        f"try: sys.exit(Supervisor([sys.executable, 'child.py', '.'], {count}, patience=5).run())\n"
        "except WrongConfiguration as wrong: print('wrong:', wrong); sys.exit(wrong.code)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", starter],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_processes_that_hang_do_not_delay_the_end_by_a_wrong_configuration(folder: Path) -> None:
    """The first says what is wrong; the second ignores SIGTERM: it has never been ready, so it has no call."""
    program = """
import signal
if number == "1":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (here / "ignoring").touch()
    time.sleep(60)
while not (here / "ignoring").exists():
    time.sleep(0.01)
say('wrong "no such project"')
time.sleep(60)
"""
    process = supervise(folder, program)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert output.count("no such project") == 1
    assert "wrong: no such project" in output
    assert "killed" not in output


@pytest.mark.timing
def test_a_wrong_configuration_ends_a_supervisor_within_two_seconds(folder: Path) -> None:
    """From what the first says of it, whatever the others do."""
    program = """
import signal
if number != "0":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (here / f"ignoring-{number}").touch()
    time.sleep(60)
while len(list(here.glob("ignoring-*"))) < 2:
    time.sleep(0.01)
say('wrong "no such project"')
(here / "said").touch()
time.sleep(60)
"""
    process = supervise(folder, program, 3)
    output, _ = process.communicate(timeout=PATIENCE)
    took = time.time() - (folder / "said").stat().st_mtime
    assert (process.returncode, output.count("no such project")) == (2, 1)
    assert took < 2.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("wrong 'no such project'", "invalid configuration: no such project"),
        ("wrong ''", "invalid configuration: "),
        (
            "broken 'app:client could not be loaded:\\nTraceback (most recent call last):\\n"
            '  File "target.py", line 1, in load\\n  File "app.py", line 3, in <module>\\n    1 / 0\\n'
            "ZeroDivisionError: division by zero'",
            'app:client could not be loaded: ZeroDivisionError: division by zero (File "app.py", line 3, in <module>)',
        ),
    ],
)
def test_each_failure_after_a_good_start_is_one_line(folder: Path, said: str, logged: str) -> None:
    word, _, text = said.partition(" ")
    program = f"""
import json
if number == "0":
    say("ready")
    (here / "said").touch()
    time.sleep(60)
while not (here / "said").exists():
    time.sleep(0.01)
say("{word} " + json.dumps({text}))
sys.exit(1)
"""
    process = supervise(folder, program)
    assert process.stdout is not None
    failures: list[str] = []
    for line in process.stdout:
        if not re.fullmatch(r"process [01]: pid [0-9]+\n", line):
            failures.append(line)
        if len(failures) == 3:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    for line, pause in zip(failures, ("0.2", "0.4", "0.8"), strict=True):
        what = rf"process 1 \(pid \d+\) exited with code 1 after \d+\.\d s: {re.escape(logged)}"
        assert re.fullmatch(rf"{what}; starting it again in {re.escape(pause)} s\n", line), line


def test_what_a_process_writes_to_the_descriptor_for_reports_by_mistake_is_told_once(folder: Path) -> None:
    program = """
say("ready")
for _ in range(100):
    say("of a library that writes to any descriptor")
(here / f"done-{number}").touch()
time.sleep(60)
"""
    process = supervise(folder, program, 1)
    assert process.stdout is not None
    for line in process.stdout:
        if "no reports" in line:
            break
    assert re.fullmatch(
        r"process 0 \(pid \d+\) wrote \d+ lines? that are no reports to its descriptor for reports\n", line
    )
    until((folder / "done-0").exists)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE)
    assert "no reports" not in output
    assert process.returncode in (0, 1)


@pytest.mark.slow
def test_after_one_was_ready_no_process_s_failure_ends_another(folder: Path) -> None:
    """The second one fails more often than any limit allows; the first goes on."""
    program = """
if number == "0":
    say("ready")
    (here / "said").touch()
    time.sleep(60)
while not (here / "said").exists():
    time.sleep(0.01)
say('wrong "of the second"')
sys.exit(2)
"""
    process = supervise(folder, program)
    end = time.monotonic() + PATIENCE
    while not (folder / "starts-1").exists() or len((folder / "starts-1").read_text().split()) < 4:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 1)  # the second may be about to end by itself
    assert len((folder / "starts-0").read_text().split()) == 1
    assert "giving up" not in output
    assert output.count("exited with code 2 after") == output.count(": invalid configuration: of the second") >= 3


@pytest.mark.traced
@pytest.mark.parametrize(
    ("program", "last"),
    [
        ("raise LookupError('my own mistake')", "LookupError: my own mistake"),
        *(
            pytest.param(program, last, marks=pytest.mark.slow)
            for program, last in (
                ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
                ("def (", "SyntaxError: invalid syntax"),
                ("def make(): make()", "RecursionError: maximum recursion depth exceeded"),
            )
        ),
    ],
)
def test_a_program_of_several_processes_that_raises_is_told_once_and_ends_them(
    sim: Simulator, folder: Path, program: str, last: str
) -> None:
    (folder / "raising.py").write_text(f"{program}\n", encoding="utf-8")
    with running(sim, folder, "raising:make", "--processes", "3", "--log-level", "error") as process:
        code, out, errors = finish(process)
    assert (code, out) == (1, "")
    assert errors.startswith("relay-sync run: raising:make could not be loaded:\n")
    assert errors.splitlines()[-1] == last
    assert errors.count(last) == 1


@pytest.mark.traced
@pytest.mark.parametrize("target", ["running:client", "running:make"])
@pytest.mark.parametrize("processes", ["1", "3"])
def test_a_program_that_runs_its_client_by_itself_is_told_what_to_do(
    sim: Simulator, folder: Path, target: str, processes: str
) -> None:
    unguarded = "client.run()" if target == "running:client" else "make = client.run"
    (folder / "running.py").write_text(f"{PROGRAM}\n{unguarded}\n", encoding="utf-8")
    with running(sim, folder, target, "--processes", processes, "--log-level", "error") as process:
        code, out, errors = finish(process)
    assert (code, out) == (2, "")
    assert f"{target}: the program runs its client on import; put client.run() below if __name__ ==" in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_processes_that_cannot_start_are_not_started_for_ever(folder: Path) -> None:
    process = supervise(folder, "sys.exit(7)")
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "giving up" in output


def test_refused_credentials_are_one_line(sim: Simulator, folder: Path) -> None:
    (folder / "app.py").write_text(PROGRAM.replace("connect_timeout=20", "token='PTwrong'"), encoding="utf-8")
    with running(sim, folder, "app:client") as process:
        code, out, errors = finish(process)
    assert (code, out) == (1, "")

    assert any(line.startswith("relay-sync run: the credentials were refused") for line in errors.splitlines())
    assert "Traceback" not in errors
    assert "PTwrong" not in errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["app"], "TARGET: invalid value 'app': expected module:client"),
        (["app:"], "invalid value 'app:': expected module:client"),
        (["a b:client"], "invalid value 'a b:client': expected module:client"),
        (["nothing_of_that_name:client"], "there is no module 'nothing_of_that_name'"),
        (["app:clint"], "app has no 'clint'"),
        (["app:number"], "app:number is a int, not a RelayClient"),
        (["app:client", "--processes", "0"], "--processes: invalid value 0: expected at least 1"),
        (["app:client", "--drain", "-1"], "--drain: invalid value -1: expected"),
        (["app:client", "--drain", "nan"], "--drain: invalid value nan: expected"),
    ],
)
def test_mistakes_are_told_in_a_line(
    account: Simulator,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    try:
        assert main(["run", *arguments]) == 2
    finally:
        sys.modules.pop("app", None)
    assert said in capsys.readouterr().err


def test_a_program_that_raises_shows_its_own_traceback(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    assert main(["run", "broken:client"]) == 1
    told = capsys.readouterr().err
    assert "LookupError: my own mistake" in told
    assert told.splitlines()[-1] == "relay-sync run: broken:client could not be loaded (see above)"


@pytest.mark.traced
@pytest.mark.parametrize(
    ("ends", "code", "said"),
    [("", 0, ""), ("5", 5, ""), ("'no database is configured'", 1, "no database is configured\n")],
)
def test_a_program_that_ends_by_itself_ends_as_it_says(
    sim: Simulator, folder: Path, ends: str, code: int, said: str
) -> None:
    (folder / "app.py").write_text(f"import sys\nsys.exit({ends})\n", encoding="utf-8")
    with running(sim, folder, "app:client") as process:
        assert finish(process) == (code, "", said)
