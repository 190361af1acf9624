"""The documentation is true: its blocks compile, its links lead somewhere, and each page's program runs against the simulator."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from relay_sync.audio import AudioServer, read_wav
from relay_sync.simulator import Simulator, speech
from relay_sync.simulator.people.phone import Phone
from tests.support import ROOT
from tests.support.background import Background
from tests.support.commands import run
from tests.support.dev import surroundings
from tests.support.hosting import PATIENCE, Started, call_in, environment, launched, started
from tests.support.lines import FROM, TO, Line
from tests.support.modules import MODULES
from tests.support.notebooks import notebook_client
from tests.support.pages import blocks, name_of
from tests.support.users_tests import run_pytest

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
#: Pages whose programs are run in tests of their own.
WORLDS = (
    "script",
    "messages",
    "celery",
    "control",
    "flask",
    "django",
    "jupyter",
    "pytest",
    "audio",
    "logging",
    "observing",
)

slow = [pytest.mark.slow, pytest.mark.timeout(120)]


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def write_files(name: str, folder: Path) -> list[str]:
    """Write the blocks of a page that begin with the name of a file. :return: their names."""
    names = []
    for block in blocks(page(name)):
        found = re.match(r"# ([\w/]+\.py)\n", block)
        if found is not None:
            path = folder / found[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(block, encoding="utf-8")
            names.append(found[1])
    return names


every_page = pytest.mark.parametrize("path", [ROOT / "README.md", *PAGES], ids=name_of)


# -- what is written ---------------------------------------------------------------------------------------------------


@every_page
def test_every_block_compiles(path: Path) -> None:
    for block in blocks(path.read_text(encoding="utf-8")):
        compile(block, str(path), "exec", dont_inherit=True)


def test_there_are_blocks() -> None:
    for name in WORLDS:
        assert blocks(page(name)), name


def slug(heading: str) -> str:
    """The anchor that the builder gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def dead_links(text: str, home: Path) -> list[str]:
    """Return the links to files and headings that do not exist, in a text that is in the folder ``home``."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        found = home / file
        if file and not found.is_file():
            dead.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8") if file else text, re.MULTILINE)
            if anchor not in map(slug, headings):
                dead.append(target)
    return dead


@pytest.mark.parametrize("path", [*sorted(ROOT.glob("*.md")), *PAGES], ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    assert dead_links(path.read_text(encoding="utf-8"), path.parent) == []


def test_a_dead_link_is_found() -> None:
    text = "# Here\n[One](LICENCE), [two](LICENSE), [three](README.md#nowhere), [four](#here), [five](#there), [six](http://x)."
    assert dead_links(text, ROOT) == ["LICENCE", "README.md#nowhere", "#there"]


@every_page
def test_files_that_are_named_are_there(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"(?<![\w/])((?:examples|benchmarks|docs|relay_sync|tests)/[\w./-]*\w)", text):
        # Such as relay_sync/simulator/speech/caller.wav; the built documentation is not there.
        assert name.startswith("docs/_build") or (ROOT / name).exists(), name


@every_page
def test_what_pages_refer_to_exists(path: Path) -> None:
    for target in re.findall(r"\{py:\w+\}`~?([\w.]+)`", path.read_text(encoding="utf-8")):
        module, _, name = target.rpartition(".")
        assert hasattr(importlib.import_module(module), name), target


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(re.findall(r"^([\w/-]+)$", page("index"), re.MULTILINE))
    assert listed == {path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES} - {"index"}


# -- what is run -------------------------------------------------------------------------------------------------------


def wait_for_output(process: Started, text: str) -> str:
    """What follows the text in the line that has it."""
    end = time.monotonic() + PATIENCE
    while True:
        found = re.search(rf"^.*{text}(.*)\n", process.output, re.MULTILINE)
        if found is not None:
            return found[1].strip()
        assert process.process.poll() is None, process.output
        assert time.monotonic() < end, process.output
        time.sleep(0.02)


def take_a_call(sim: Simulator, process: Started, folder: Path) -> None:
    """A caller speaks for a second and hangs up; the program has saved what was said."""
    sim.wait_for_client(timeout=PATIENCE)
    call_in(sim)
    saved = read_wav(folder / wait_for_output(process, "saved"))
    assert saved.channels == 2
    assert 0.9 < saved.duration < 3


@pytest.mark.slow
def test_script_answers_calls(sim: Simulator, tmp_path: Path) -> None:
    assert write_files("script", tmp_path) == ["answer.py", "dial.py"]
    with started(sim, tmp_path, "answer.py") as process:
        take_a_call(sim, process, tmp_path)
        process.terminate()


def dev_commands(name: str) -> list[list[str]]:
    """What a page has its reader type to run the program beside the simulator, and to call it, without the program's path."""
    typed = [line for block in blocks(page(name), "sh") for line in block.splitlines()]
    return [line.split()[1:] for line in typed if re.match(r"\.venv/bin/relay-sync (dev|sim) ", line)]


def make_django(folder: Path) -> None:
    """The project of the page, as its reader makes it."""
    for command in blocks(page("django"), "sh"):
        if "startproject" in command:
            command = re.sub(
                r"\S*/(?:python|(django-admin))", lambda m: f"{sys.executable}{(m[1] and ' -m django') or ''}", command
            )
            subprocess.run(["bash", "-euc", command], cwd=folder, check=True, timeout=PATIENCE)
    settings = (folder / "project" / "settings.py").read_text()
    assert write_files("django", folder) == ["project/settings.py", "shop/calls.py", "project/urls.py"]
    # The page shows what to add to the list of applications.
    added = (folder / "project" / "settings.py").read_text().replace("INSTALLED_APPS = [", "INSTALLED_APPS += [")
    (folder / "project" / "settings.py").write_text(settings + added)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(sys.platform != "linux", reason="tests list processes there only")
@pytest.mark.parametrize("name", ["script", "flask", "django", "dev"])
def test_pages_without_an_account(name: str, tmp_path: Path) -> None:
    """As a reader types it, in two terminals: a caller speaks, and the program has heard it."""
    if name == "django":
        make_django(tmp_path)
    else:
        write_files(name, tmp_path)
    start, *calls = dev_commands(name)
    with launched(tmp_path, surroundings(tmp_path), "-m", "relay_sync", *start) as process:
        process.wait_for_output("has connected")
        for call in calls or [["sim", "call", "--says", "caller"]]:
            done = run(*call, cwd=tmp_path, **surroundings(tmp_path))
            assert done.returncode == 0, done.stderr
        if name == "dev":
            assert wait_for_output(process, "echoed") == "8 s"
        else:
            assert 7 < read_wav(tmp_path / wait_for_output(process, "saved")).duration < 12
        process.terminate()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_script_without_an_account(tmp_path: Path) -> None:
    """As a reader of the page on the simulator types it, in three terminals."""
    write_files("script", tmp_path)
    start = ".venv/bin/relay-sync simulate --show-tokens"
    assert f"$ {start}" in page("simulate")
    (call,) = [block for block in blocks(page("simulate"), "sh") if block.startswith("curl ")]
    with subprocess.Popen(
        [sys.executable, "-m", "relay_sync", *start.split()[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as simulator:
        try:
            assert simulator.stdout is not None
            settings = dict(simulator.stdout.readline().rstrip("\n").split("=", 1) for _ in range(5))
            assert simulator.stdout.readline().startswith("ready")
            environment = {**os.environ, **settings}
            connected = urllib.request.Request(f"{settings['RELAY_SIMULATOR_CONTROL']}/clients?count=1&timeout=30")
            connected.add_header("Authorization", f"Bearer {settings['RELAY_SIMULATOR_CONTROL_TOKEN']}")
            with launched(tmp_path, environment, "answer.py") as process:
                urllib.request.urlopen(connected, timeout=PATIENCE).close()
                subprocess.run(["bash", "-euc", call], cwd=tmp_path, env=environment, check=True, timeout=PATIENCE)
                saved = read_wav(tmp_path / wait_for_output(process, "saved"))
                assert 7 < saved.duration < 12
                process.terminate()
            simulator.terminate()
            assert simulator.wait(PATIENCE) == 0
        finally:
            simulator.kill()


@pytest.mark.slow
def test_script_runs_as_a_service(sim: Simulator, tmp_path: Path) -> None:
    """As it stands, with the condition that the page names."""
    write_files("script", tmp_path)
    assert 'if __name__ == "__main__":\n    client.run()' in (tmp_path / "answer.py").read_text()
    with started(sim, tmp_path, "-m", "relay_sync", "run", "answer:client") as process:
        take_a_call(sim, process, tmp_path)
        process.terminate()


@pytest.mark.slow
def test_script_dials(sim: Simulator, tmp_path: Path) -> None:
    write_files("script", tmp_path)
    expected = sim.expect_phone(TO, answers_after=0.01)
    with started(sim, tmp_path, "dial.py", TO, FROM) as process:
        assert expected.wait_for_call(timeout=PATIENCE).heard("Goodbye", within=PATIENCE)
        assert process.process.wait(PATIENCE) == 0, process.output
        assert process.output == "done\n"
    sim.expect_phone(TO, busy=True)
    with started(sim, tmp_path, "dial.py", TO, FROM) as process:
        assert process.process.wait(PATIENCE) == 1
        assert process.output == "no answer: busy\n"


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_celery(sim: Simulator, tmp_path: Path) -> None:
    """With a broker in memory and a worker in the program itself."""
    pytest.importorskip("celery", reason="needs the extra slow")
    assert write_files("celery", tmp_path) == ["tasks.py", "streams.py"]
    sent = re.search(r"python -c \"(.+)\"$", "\n".join(blocks(page("celery"), "sh")), re.MULTILINE)
    assert sent is not None
    number = re.search(r"\+\d+", sent[1])
    assert number is not None
    (tmp_path / "program.py").write_text(
        "from celery.contrib.testing.worker import start_worker\n"
        "import tasks\n"
        'with start_worker(tasks.app, pool="solo", perform_ping_check=False):\n'
        f"    exec({sent[1]!r})\n"
        "    input()\n",
        encoding="utf-8",
    )
    expected = sim.expect_phone(number[0], answers_after=0.01)
    variables = environment(sim, CELERY_BROKER_URL="memory://")
    with subprocess.Popen([sys.executable, "program.py"], cwd=tmp_path, env=variables, stdin=subprocess.PIPE) as worker:
        try:
            phone = expected.wait_for_call(timeout=PATIENCE)
            assert phone.heard("Your parcel", within=PATIENCE)
            phone.wait_until("ended", PATIENCE)
            worker.communicate(b"\n", timeout=PATIENCE)
            assert worker.returncode == 0
        finally:
            worker.kill()


@pytest.mark.slow
def test_celery_controls_a_call_of_another_process(on_call: Line, tmp_path: Path) -> None:
    """The worker has no RELAY connection."""
    pytest.importorskip("celery", reason="needs the extra slow")
    write_files("celery", tmp_path)
    (tmp_path / "program.py").write_text(
        "import sys\n"
        "from celery.contrib.testing.worker import start_worker\n"
        "from streams import app, stop_stream\n"
        'app.conf.result_backend = "cache+memory://"\n'
        'with start_worker(app, pool="solo", perform_ping_check=False):\n'
        "    for _ in range(2):\n"
        "        print(stop_stream.delay(*sys.argv[1:]).get(timeout=20), flush=True)\n",
        encoding="utf-8",
    )
    variables = environment(on_call.sim, CELERY_BROKER_URL="memory://")
    with AudioServer() as audio:
        action = on_call.call.stream(audio.url)
        words = (sys.executable, "program.py", on_call.call.call_id, action.control_id)
        done = subprocess.run(
            words, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    assert done.stdout.splitlines() == ["stopped", "already ended"], done.stderr
    assert action.wait(PATIENCE).state == "finished"
    assert len(on_call.sim.journal.requests("signalwire.connect")) == 1


@pytest.mark.slow
def test_flask(sim: Simulator, tmp_path: Path) -> None:
    assert write_files("flask", tmp_path) == ["app.py"]
    with started(sim, tmp_path, "-m", "flask", "--app", "app", "relay", "run") as process:
        take_a_call(sim, process, tmp_path)
        process.terminate()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_django(sim: Simulator, tmp_path: Path) -> None:
    make_django(tmp_path)
    with started(sim, tmp_path, "manage.py", "check") as process:
        assert process.process.wait(PATIENCE) == 0, process.output
    with started(sim, tmp_path, "manage.py", "relay") as process:
        take_a_call(sim, process, tmp_path)
        process.terminate()


@pytest.mark.slow
def test_pytest(tmp_path: Path) -> None:
    assert write_files("pytest", tmp_path) == ["test_shop.py", "test_recording.py"]
    told = run_pytest(tmp_path)
    assert "3 passed" in told, told
    (without,) = [block for block in blocks(page("pytest")) if "simulated()" in block]
    exec(compile(without, "pytest.md", "exec", dont_inherit=True), {})


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_jupyter(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra slow")
    cells = blocks(page("jupyter"))
    end = re.search(r"When you are done, run `(.+?)`", page("jupyter"))
    assert end is not None
    shown = ["client", "calls[0]", "streams[0]"]
    for expression in shown:
        assert f"`{expression}`" in page("jupyter")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in (*cells, *shown, end[1])]
    )
    asyncio.run(notebook_client(notebook, folder=tmp_path).async_execute())
    for cell in notebook.cells[len(cells) : -1]:
        assert [sorted(output["data"]) for output in cell.outputs] == [["text/html", "text/plain"]], cell.source
    assert read_wav(tmp_path / "call.wav").duration > 5


# -- audio -------------------------------------------------------------------------------------------------------------


@contextmanager
def running(program: str, scope: dict[str, Any], sim: Simulator, *, silent: bool = False) -> Iterator[Phone]:
    """A program of the page, with a call that speaks, unless it is silent; its client is stopped at the end."""
    says = None if silent else speech.caller()
    background = Background(exec, compile(program, "audio.md", "exec", dont_inherit=True), scope)
    try:
        sim.wait_for_client(timeout=PATIENCE)
        yield sim.call(to=TO, from_=FROM, says=says, hangs_up_after_speaking=not silent)
    finally:
        scope["client"].stop()
        background.result(PATIENCE)


def test_audio_is_heard(account: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = blocks(page("audio"))[0]
    heard: dict[str, bytearray] = {}
    printed = threading.Event()

    def show(stats: object, flush: bool) -> None:
        heard.update(inspect.stack()[1].frame.f_locals["heard"])
        printed.set()

    scope: dict[str, Any] = {"print": show}
    try:
        with running(program, scope, account) as phone:
            phone.wait_until("ended", PATIENCE)
            assert printed.wait(PATIENCE)
    finally:
        scope["audio"].close()
    saved = read_wav(tmp_path / "call.wav")
    assert (saved.channels, saved.sample_rate) == (2, 8000)
    assert len(heard["inbound"]) == pytest.approx(2 * 2 * saved.samples, abs=2 * 16000)  # at twice the rate


def test_what_is_said_is_found(account: Simulator) -> None:
    (program,) = [block for block in blocks(page("audio")) if "utterances" in block]
    printed: queue.Queue[str] = queue.Queue()
    scope: dict[str, Any] = {"print": lambda text, flush: printed.put(text)}
    try:
        with running(program, scope, account) as phone:
            phone.wait_until("ended", PATIENCE)
            assert re.fullmatch(r"from \d\.\d to \d\.\d s", printed.get(timeout=PATIENCE))
    finally:
        scope["audio"].close()


@pytest.mark.slow
def test_a_two_way_stream(account: Simulator) -> None:
    program = blocks(page("audio"))[1]
    printed: queue.Queue[tuple[object, ...]] = queue.Queue()
    scope: dict[str, Any] = {"print": lambda *words, flush: printed.put(words)}
    try:
        with running(program, scope, account, silent=True) as phone:
            assert printed.get(timeout=PATIENCE)[2:] == ("s, to the end:", True)
            phone.press("5")
            assert printed.get(timeout=PATIENCE) == ("pressed", "5")
            phone.wait_until("ended", PATIENCE)
    finally:
        scope["audio"].close()


def test_a_plain_stream_goes_to_a_handler(account: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIA_TOKEN", "a-token-of-both")
    program = blocks(page("audio"))[2]
    heard: dict[str, int] = {}

    def show(call_id: str, size: int, unit: str, flush: bool) -> None:
        heard[call_id] = heard.get(call_id, 0) + size

    scope: dict[str, Any] = {"print": show}
    try:
        with running(program, scope, account) as phone:
            phone.wait_until("ended", PATIENCE)
    finally:
        scope["audio"].close(PATIENCE)  # and wait for the handler
    assert list(heard) == [phone.call_id]
    assert heard[phone.call_id] >= 0.9 * len(read_wav(speech.caller()).pcm)


def test_a_plain_stream_is_accepted(account: Simulator) -> None:
    program = blocks(page("audio"))[3]
    printed: queue.Queue[tuple[object, ...]] = queue.Queue()
    scope: dict[str, Any] = {"print": lambda *words, flush: printed.put(words)}
    try:
        with running(program, scope, account) as phone:
            assert printed.get(timeout=PATIENCE) == (phone.call_id, 16000, "bytes")
    finally:
        scope["audio"].close()


def test_a_recording_is_fetched(account: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = [block for block in blocks(page("rest")) if block.startswith("# fetch.py")]
    printed: queue.Queue[tuple[object, ...]] = queue.Queue()
    scope: dict[str, Any] = {"print": lambda *words, flush: printed.put(words)}
    with running(program, scope, account):
        assert printed.get(timeout=PATIENCE) == ((tmp_path / "call.wav").stat().st_size, "bytes")
    assert read_wav(tmp_path / "call.wav").duration > 1


@pytest.mark.parametrize("name", ["dialing", "messages", "ending"])
def test_pages_with_a_simulator_of_their_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Their programs run in order, and print what the comments say."""
    scope: dict[str, Any] = {}
    for block in blocks(page(name)):
        exec(compile(block, f"{name}.md", "exec", dont_inherit=True), scope)
    assert (
        capsys.readouterr().out.splitlines()
        == {
            "dialing": ["not reached: busy", "answered: sip"],
            "messages": ["delivered ", "undelivered not a mobile number", "replied: delivered"],
            "ending": ["ended"],
        }[name]
    )


def test_messages_waits_for_the_reply(capsys: pytest.CaptureFixture[str]) -> None:
    """Without that line, the end of the block closes the client before a slow handler replies."""
    (program,) = blocks(page("messages"))
    slow = program.replace("        reply = ", "        sleep(0.3)\n        reply = ")
    assert slow != program
    without, count = re.subn(r"^    replied\.wait\(.*\n", "", slow, flags=re.MULTILINE)
    assert count == 1
    exec(compile(without, "messages.md", "exec", dont_inherit=True), {"sleep": time.sleep})
    assert "replied" not in capsys.readouterr().out


# -- observing ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_observing_shows_what_the_program_prints(tmp_path: Path) -> None:
    write_files("observing", tmp_path)
    said = []
    for name in ("calls.py", "counts.py"):
        done = subprocess.run(
            [sys.executable, name], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        said.append(done.stdout)
        assert done.stderr == ""
    assert said == blocks(page("observing"), "text")


def test_observing_keeps_what_is_named(account: Simulator) -> None:
    scope: dict[str, Any] = {}
    exec(compile(blocks(page("observing"))[1], "observing.md", "exec", dont_inherit=True), scope)
    assert callable(scope["remove"])


# -- logging -----------------------------------------------------------------------------------------------------------

RAISING = """
from relay_sync.testing import simulated

with simulated() as (sim, client):
    def handle(call):
        print(call.call_id, flush=True)
        call.answer()
        raise LookupError("no such customer")

    client.on_call(handle)
    sim.call(to="+15550100", from_="+15550199").wait_until("answered")
    client.drain(1)
"""


@pytest.mark.slow
def test_logging_shows_the_call_s_id(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(blocks(page("logging"))[0] + RAISING)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    call_id = done.stdout.strip()
    assert call_id
    errors = (tmp_path / "callbacks.log").read_text()
    for told in (errors, done.stderr):
        assert re.search(rf"ERROR +relay_sync\.callbacks relay-call-1 \[{call_id}\] ", told), told
        assert "LookupError: no such customer" in told
    assert re.search(r"INFO +relay_sync \S+ \[-\] ", done.stderr), done.stderr


def test_what_docstrings_point_to_is_there() -> None:
    """Sphinx lets a role pass whose target does not exist."""
    role = re.compile(r":(?:class|func|meth|attr|mod|data|exc):`~?(?:[^<`]*<)?(relay_sync(?:\.\w+)+)>?`")
    targets = {found for path in MODULES for found in role.findall(path.read_text(encoding="utf-8"))}
    assert len(targets) > 40
    assert not _is_there("relay_sync.nowhere.refusal")
    assert not _is_there("relay_sync.Call.nothing")
    assert not sorted(target for target in targets if not _is_there(target))


def _is_there(target: str) -> bool:
    parts = target.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            if name in getattr(found, "__annotations__", ()) or f":ivar {name}:" in (
                getattr(found, "__doc__", "") or ""
            ):
                return True
            if not hasattr(found, name):
                return False
            found = getattr(found, name)
        return True
    return False
