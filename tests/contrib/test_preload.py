"""The programs of the pages on Flask and Django under gunicorn, whose workers are forked after the program was loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay_sync.audio import read_wav
from relay_sync.simulator import Simulator
from tests.support import ROOT
from tests.support.hosting import PATIENCE, Started, environment, launched
from tests.support.lines import FROM, TO
from tests.support.web_programs import HOOKS, PATCH, write_django, write_flask

MANY = pytest.mark.parametrize("preload", [(), ("--preload",)], ids=["", "preload"])
WORKERS = pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])


@contextmanager
def gunicorn(sim: Simulator, folder: Path, worker: str, *arguments: str) -> Iterator[Started]:
    command = ("-m", "gunicorn", "--bind", "127.0.0.1:0", "--workers", "1", "--threads", "4", "--worker-class", worker)
    given = environment(sim, PYTHONPATH=str(ROOT), AUDIO_URL="ws://127.0.0.1:{port}/audio")
    with launched(folder, given, *command, *arguments) as process:
        sim.wait_for_client(timeout=PATIENCE)
        yield process


def check_two_calls(sim: Simulator, folder: Path, process: Started) -> None:
    for _ in range(2):
        phone = sim.call(to=TO, from_=FROM, says=bytes(16000), hangs_up_after_speaking=True)
        phone.wait_until("answered", PATIENCE)
        phone.wait_until("ended", PATIENCE)
    process.terminate()  # after which the handlers have saved what they heard
    saved = sorted(folder.glob("*.wav"))
    assert [read_wav(each).duration for each in saved] == [pytest.approx(1.0, abs=0.1)] * 2, process.output
    assert "Forked" not in process.output
    sim.wait_until_gone()


@pytest.mark.slow
@MANY
@WORKERS
def test_the_page_on_flask(
    sim: Simulator, tmp_path: Path, worker: str, preload: tuple[str, ...], free_port: int
) -> None:
    write_flask(tmp_path, free_port, PATCH + HOOKS)
    hooks = "hooks.py" if worker == "gevent" and preload else "python:relay_sync.contrib.gunicorn"
    with gunicorn(sim, tmp_path, worker, "--config", hooks, *preload, "app:create_app()") as process:
        check_two_calls(sim, tmp_path, process)


@pytest.mark.slow
@MANY
@WORKERS
def test_the_page_on_django(
    sim: Simulator, tmp_path: Path, worker: str, preload: tuple[str, ...], free_port: int
) -> None:
    write_django(tmp_path, free_port, (PATCH if worker == "gevent" and preload else "") + HOOKS)
    with gunicorn(sim, tmp_path, worker, "--config", "hooks.py", *preload, "project.wsgi") as process:
        check_two_calls(sim, tmp_path, process)


@pytest.mark.slow
@pytest.mark.parametrize("patch", ["", PATCH], ids=["late", "early"])
def test_a_program_that_was_loaded_before_gevent_is_told_of(
    sim: Simulator, tmp_path: Path, patch: str, free_port: int
) -> None:
    write_flask(tmp_path, free_port, patch + HOOKS)
    with gunicorn(sim, tmp_path, "gevent", "--config", "hooks.py", "--preload", "app:create_app()") as process:
        process.terminate()
        assert ("monkey.patch_all()" in process.output) is not bool(patch)


@pytest.mark.slow
def test_gevent_without_packaging_is_told_in_a_line(tmp_path: Path) -> None:
    """gunicorn itself shows a traceback."""
    hides = "import sys\nsys.modules['packaging'] = None\nsys.modules['packaging.version'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hides, encoding="utf-8")
    (tmp_path / "app.py").write_text("def app(environ, start): ...\n", encoding="utf-8")
    given = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    options = ("--bind", "127.0.0.1:0", "--worker-class", "gevent", "--config", "python:relay_sync.contrib.gunicorn")
    with launched(tmp_path, given, "-m", "gunicorn", *options, "app:app") as process:
        assert process.process.wait(PATIENCE) != 0
    assert "pip install 'gunicorn[gevent]'" in process.output
