"""Audio in several processes of web frameworks: the programs of their pages, with a port of a range for each process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay_sync.simulator import Simulator
from tests.support import ROOT
from tests.support.hosting import PATIENCE, environment, launched
from tests.support.lines import FROM, TO
from tests.support.ports import hold_range
from tests.support.several import PUBLIC_URL, Several, needs_proc
from tests.support.web_programs import HOOKS, PATCH, write_django, write_flask

pytestmark = [pytest.mark.slow, needs_proc, pytest.mark.timeout(120)]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """One that sends audio as it is spoken: calls live on while others are killed."""
    with Simulator() as simulator:
        yield simulator


def check(sim: Simulator, folder: Path, ports: range, *command: str) -> None:
    given = environment(sim, PYTHONPATH=str(ROOT), AUDIO_URL=PUBLIC_URL)
    with launched(folder, given, *command) as process:
        several = Several(sim, folder, ports)
        several.check()
        several.check_end(process)


@pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
@pytest.mark.parametrize("worker", ["gthread", "gevent"])
def test_gunicorn(sim: Simulator, tmp_path: Path, ports: range, worker: str, preload: tuple[str, ...]) -> None:
    hooks = PATCH + HOOKS if worker == "gevent" and preload else HOOKS
    write_flask(tmp_path, ports, hooks)
    options = ("--bind", "127.0.0.1:0", "--workers", "2", "--threads", "4", "--worker-class", worker)
    check(sim, tmp_path, ports, "-m", "gunicorn", *options, "--config", "hooks.py", *preload, "app:create_app()")


def test_flask_relay_run(sim: Simulator, tmp_path: Path, ports: range) -> None:
    write_flask(tmp_path, ports)
    check(sim, tmp_path, ports, "-m", "flask", "--app", "app", "relay", "run", "--processes", "2")


def test_manage_py_relay(sim: Simulator, tmp_path: Path, ports: range) -> None:
    write_django(tmp_path, ports)
    check(sim, tmp_path, ports, "manage.py", "relay", "--skip-checks", "--processes", "2")


@pytest.mark.parametrize("framework", ["flask", "django"])
def test_a_second_instance_without_ports_takes_no_calls(sim: Simulator, tmp_path: Path, framework: str) -> None:
    """As in a rolling restart with a range that is too small."""
    command = {
        "flask": ("-m", "flask", "--app", "app", "relay", "run"),
        "django": ("manage.py", "relay", "--skip-checks"),
    }[framework]
    write = {"flask": write_flask, "django": write_django}[framework]
    with hold_range(2) as held:
        write(tmp_path, held)
        (tmp_path / "second").mkdir()
        given = environment(sim, PYTHONPATH=f"{tmp_path}:{ROOT}", AUDIO_URL=PUBLIC_URL)
        with launched(tmp_path, given, *command, "--processes", "2") as first:
            sim.wait_for_client(2, PATIENCE)
            connects = len(sim.journal.requests("signalwire.connect"))
            words = [str(tmp_path / word) if word == "manage.py" else word for word in command]
            with launched(tmp_path / "second", given, *words, "--processes", "2") as second:
                assert second.process.wait(PATIENCE) == 2, second.output
                assert "AudioServer cannot start: every port from " in second.output
                assert "Traceback" not in second.output
            assert len(sim.journal.requests("signalwire.connect")) == connects
            phone = sim.call(to=TO, from_=FROM)
            phone.wait_for_stream(timeout=PATIENCE).wait_until("streaming", PATIENCE)
            phone.hang_up()
            first.terminate()
