"""``docs/going-live.md``: every block of text is what a scene prints, up to times, ids and what is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.going_live import PAGE, PORTS, SCENES, program, shown
from tests.support.tour import plain

TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = shown(TEXT)


def test_every_scene_is_on_the_page_and_nothing_else() -> None:
    assert [typed for typed, _ in BLOCKS] == [typed for typed, _ in SCENES]


def test_there_are_ten_steps_and_each_shows_what_is_missing() -> None:
    steps = re.split(r"^## (\d+)\. .+$", TEXT, flags=re.MULTILINE)
    assert steps[1::2] == [str(number) for number in range(1, 11)]
    for step in steps[2::2]:
        assert "```text" in step


def test_the_page_speaks_of_the_program_of_the_readme() -> None:
    assert 'os.environ.get("AUDIO_URL")' in program()
    assert f"range({PORTS.start}, {PORTS.stop})" in program()
    assert str(PORTS.start) in TEXT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "number"),
    [pytest.param(block, number, id=SCENES[number][1].__name__) for number, (_, block) in enumerate(BLOCKS)],
)
def test_the_page_shows_what_is_printed(block: str, number: int, tmp_path: Path) -> None:
    printed = SCENES[number][1](tmp_path)
    assert plain(block) == plain(printed), "run python -m tests.support.going_live, which writes the page anew"
