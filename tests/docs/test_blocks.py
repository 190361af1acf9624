"""Every block of README and docs runs as it stands, in a fresh folder: with the simulator's settings in the environment.

Programs that need more than ``python FILE``, or whose output is checked, are run by other tests: ``ELSEWHERE`` and
``BLOCKS_ELSEWHERE`` name them.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import pytest

from relay_sync.simulator import Simulator, speech
from tests.support import ROOT
from tests.support.hosting import PATIENCE, Started, environment, launched
from tests.support.lines import FROM, TO
from tests.support.pages import FENCED, PAGES, blocks, name_of
from tests.support.users_tests import run_pytest

#: Pages, and the tests that run all of their blocks.
ELSEWHERE: Final = {
    "README.md": "tests/docs/test_readme.py::test_the_first_program_prints_what_is_shown",
    "docs/celery.md": "tests/docs/test_docs.py::test_celery",
    "docs/control.md": "tests/docs/test_control.py::test_the_programs_of_the_page",
    "docs/django.md": "tests/docs/test_docs.py::test_django",
    "docs/flask.md": "tests/docs/test_docs.py::test_flask",
    "docs/jupyter.md": "tests/docs/test_docs.py::test_jupyter",
    "docs/pytest.md": "tests/docs/test_docs.py::test_pytest",
    "docs/webhooks.md": "tests/docs/test_web.py::test_a_stream_started_and_told_of_by_other_processes",
}
#: Single blocks by their beginning, and the tests that run them.
BLOCKS_ELSEWHERE: Final = {
    "# agent.py": "tests/docs/test_agents.py::test_the_program_holds_a_conversation",
    "# answer.py": "tests/docs/test_docs.py::test_script_answers_calls",
    "# calls.py": "tests/docs/test_docs.py::test_observing_shows_what_the_program_prints",
    "# echo.py": "tests/docs/test_docs.py::test_pages_without_an_account",
    "# dial.py": "tests/docs/test_docs.py::test_script_dials",
    "# talk.py": "tests/docs/test_docs.py::test_a_two_way_stream",
    '"""Stream a live call': "tests/docs/test_web.py::test_a_stream_started_and_told_of_by_other_processes",
    '"""Download a recording': "tests/docs/test_web.py::test_a_recording_is_made_and_downloaded",
    "# test_hours.py": "tests/docs/test_scenarios.py::test_the_pytest_of_the_page",
    "# check.py": "tests/docs/test_web.py::test_a_program_is_checked_from_outside",
}

PROGRAMS: Final = [
    pytest.param(path, number, id=f"{name_of(path)}-{number}")
    for path in PAGES
    if name_of(path) not in ELSEWHERE
    for number, block in enumerate(blocks(path.read_text(encoding="utf-8")))
    if not block.startswith(tuple(BLOCKS_ELSEWHERE))
]
#: Shell commands that are not run, and why.
NOT_RUN: Final = {
    r"pip install": "needs the network: .ci/run runs the commands of the README, test_install.py checks all",
    r"^export (SIGNALWIRE|AUDIO_URL)": "placeholders for an account",
    r"^(?:sudo|docker|systemctl|install|cd|sed|echo) ": "need root, systemd or Docker: tests/deploy checks them",
    r"sphinx": ".ci/run builds the site",
    r"gunicorn|flask --app|manage\.py|django-admin": "tests/contrib and test_docs.py run the applications",
    r"python agent\.py$|^export DEEPGRAM": "tests/docs/test_agents.py starts it with services of its own",
    r"python calls\.py$": "test_docs.py::test_observing_shows_what_the_program_prints",
    r"celery -A|import tasks": "test_docs.py::test_celery",
    r"relay-sync converse": "test_scenarios.py plays the example; there is no order.toml",
    r"python answer\.py$": "test_docs.py starts it with its own settings",
    r"pytest$": "test_docs.py::test_pytest",
    r"examples/agent/agent\.py": "tests/examples/test_agent.py runs it",
    r"^cd examples|^export (RELAY|DJANGO)|control_owner:client|^CSRF=": "test_control.py types these commands",
    r"^SSL_CERT_FILE=|^AUDIO_URL=\"": "tests/deploy/test_trial.py types these commands",
    r"^ask |^ask\(\)|^\{\"params\"": "tests/simulator/test_other_languages.py types these commands",
    r"relay-sync (?:dev|sim) ": "test_docs.py::test_pages_without_an_account, tests/cli/sim/test_commands.py",
    r"^RELAY_SIMULATOR_CONTROL_TOKEN=": "tests/cli/sim/test_finding.py::test_one_without_a_file_needs_its_key",
    r"relay-sync simulate --show-tokens$|^curl|^\"from\"": "test_docs.py::test_script_without_an_account",
    r"^export AUDIO_URL=|answer:client --processes 2$": "tests/deploy/test_proxied_calls.py runs it behind nginx",
}
#: All shell commands, without comments.
TYPED: Final = {
    line.partition(" #")[0].strip()
    for path in PAGES
    for block in blocks(path.read_text(encoding="utf-8"), "sh")
    for line in block.splitlines()
}
COMMANDS: Final = sorted(command for command in TYPED if not any(re.search(each, command) for each in NOT_RUN))


def run_block(block: str, folder: Path, sim: Simulator) -> str:
    """Run a program until it exits or, if it is a service, until it took a call, and return what it printed."""
    (folder / "program.py").write_text(block, encoding="utf-8")
    with launched(folder, environment(sim, PYTHONUNBUFFERED="1"), "program.py") as process:
        if "\nclient.run(" in block:
            sim.wait_for_client(timeout=PATIENCE)
            phone = sim.call(to=TO, from_=FROM, says=speech.greeting())
            phone.wait_until("answered", PATIENCE)
            wait_for_output(process)
            phone.hang_up()
            phone.wait_until("ended", PATIENCE)
            process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(PATIENCE) == 0, process.output
        return process.output


def wait_for_output(process: Started) -> None:
    """Wait until the program printed something, or for a moment: some print when their call has ended, some nothing."""
    end = time.monotonic() + 1.0
    while not process.output and time.monotonic() < end:
        assert process.process.poll() is None, process.output
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("path", "number"), PROGRAMS)
def test_a_block_runs(path: Path, number: int, tmp_path: Path) -> None:
    block = blocks(path.read_text(encoding="utf-8"))[number]
    with Simulator(media="fast") as sim:
        printed = run_block(block, tmp_path, sim)
    assert "Traceback" not in printed, printed


@pytest.mark.slow
@pytest.mark.parametrize("block", ["print(nowhere)\n", "from relay_sync import Nothing\n"])
def test_a_block_with_an_unknown_name_fails(block: str, tmp_path: Path) -> None:
    with Simulator(media="fast") as sim, pytest.raises(AssertionError, match=r"nowhere|Nothing"):
        run_block(block, tmp_path, sim)


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(command: str, tmp_path: Path) -> None:
    """Until it exits or, if it is a server, until it printed a line and SIGTERM ends it."""
    words = command.split()
    program = {".venv/bin/relay-sync": ("-m", "relay_sync"), ".venv/bin/python": ()}[words[0]]
    arguments = [str(ROOT / word) if word.startswith("examples/") else word for word in words[1:]]
    arguments = ["0" if word == "8765" else word for word in arguments]
    with (
        Simulator(media="fast") as sim,
        launched(tmp_path, environment(sim, PYTHONUNBUFFERED="1"), *program, *arguments) as process,
    ):
        if arguments[0] == "listen":
            process.wait_for_output("listening")
            process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(PATIENCE) == 0, process.output


@pytest.mark.parametrize("pattern", NOT_RUN)
def test_a_command_that_is_not_run_is_on_a_page(pattern: str) -> None:
    assert any(re.search(pattern, command) for command in TYPED)


def test_what_runs_elsewhere_exists() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    for beginning in BLOCKS_ELSEWHERE:
        assert any(block.startswith(beginning) for text in texts for block in blocks(text)), beginning
    for test in {*ELSEWHERE.values(), *BLOCKS_ELSEWHERE.values()}:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


#: The words after the fence: what tests run, what they compare or only show, what Prometheus reads, and what Sphinx makes.
LANGUAGES: Final = {"python", "sh", "text", "toml", "yaml", "{eval-rst}", "{toctree}"}
#: Pages whose programs and commands no test runs, so they have none, apart from what only a maintainer types.
NOT_RUN_AT_ALL: Final = {
    **{path: {"{eval-rst}"} for path in (ROOT / "docs" / "reference").glob("*.md")},
    **{path: {"sh", ""} for path in ROOT.glob("*.md") if path.name != "README.md"},
}


def unread(text: str, languages: Collection[str]) -> Iterator[str]:
    """The lines that begin a block which the tests do not read: in a list, in an unknown language, or without a fence."""
    outside = FENCED.sub(r"```\1", text)
    for line in outside.splitlines():
        fenced = line.lstrip(" >").startswith(("```", "~~~"))
        if fenced and not (line.startswith("```") and line[3:] in languages):
            yield line
    yield from re.findall(r"(?<=[^\s*\d.].)\n\n    (\S.*)", outside)


@pytest.mark.parametrize("path", [*PAGES, *NOT_RUN_AT_ALL], ids=name_of)
def test_every_block_is_one_that_the_tests_read(path: Path) -> None:
    assert list(unread(path.read_text(encoding="utf-8"), NOT_RUN_AT_ALL.get(path, LANGUAGES))) == []


@pytest.mark.parametrize(
    "block",
    [
        "```py\nnowhere\n```",
        '```python title="a.py"\nnowhere\n```',
        "```bash\nnowhere\n```",
        "* So:\n\n  ```python\n  nowhere\n  ```",
        "> ```python\n> nowhere\n> ```",
        "~~~python\nnowhere\n~~~",
        "```\nnowhere\n```",
        "    nowhere()",
    ],
)
def test_a_block_that_the_tests_do_not_read_is_found(block: str) -> None:
    read = "It runs:\n\n```sh\nls\n```\n\n```python\nif True:\n\n    print()\n```\n\nAnd this one:\n\n"
    assert not list(unread(read, LANGUAGES))
    assert list(unread(f"{read}{block}\n", LANGUAGES))


# -- blocks that show a test ----------------------------------------------------------------------------------------------

#: What is taken away from the program under test, by the test that then fails.
TAKEN_AWAY: Final = {
    "test_welcome": [
        ("    call.answer()\n    digits", "    digits"),
        ('    call.play_tts(f"You pressed {digits}.").wait()\n', ""),
        ("    call.hangup()\n", ""),
    ],
    "test_busy": [('    relay_simulator.expect_phone("+15550123", busy=True)\n', "")],
    "test_recording": [("        call.answer()\n", ""), ('        stream.save(tmp_path / "call.wav")\n', "")],
}


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "line", "instead"), [(name, *each) for name, changes in TAKEN_AWAY.items() for each in changes]
)
def test_a_block_that_shows_a_test_can_fail(name: str, line: str, instead: str, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "pytest.md").read_text(encoding="utf-8")
    (block,) = [each for each in blocks(page) if f"def {name}(" in each]
    assert line in block
    (tmp_path / "test_page.py").write_text(block.replace(line, instead), encoding="utf-8")
    told = run_pytest(tmp_path, "-k", name)
    assert f"FAILED test_page.py::{name}" in told or f"ERROR test_page.py::{name}" in told, told
