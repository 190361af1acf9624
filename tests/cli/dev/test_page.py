"""From the link that ``relay-sync dev`` prints to a conversation with the program, and its problems on the page."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT
from tests.support.browser import Recorded, beeps, browser, frequencies, write_beeps
from tests.support.dev import ANSWER, dev
from tests.support.hosting import Started
from tests.support.pages import blocks

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are listed only there"),
]


def opened(page: Page, process: Started) -> None:
    """Follow the link in the output."""
    process.wait_for_output("telephone: ")
    (link,) = re.findall(r"telephone: (\S+)", process.output)
    page.goto(link)
    page.locator("#link.good").wait_for()


@pytest.mark.alone
def test_the_program_of_the_page_is_talked_to(tmp_path: Path) -> None:
    (program,) = blocks((ROOT / "docs" / "dev.md").read_text(encoding="utf-8"))
    with dev(tmp_path, "--show-tokens", "answer.py", program=program) as process:
        with browser(microphone=write_beeps(tmp_path / "beeps.wav", 5)) as page:
            opened(page, process)
            process.wait_for_output("has connected")
            page.click("#call")
            page.locator("#state", has_text="Connected to +15550100").wait_for()
            recorded = Recorded.after(page, 4.5)
            page.click("#hangup")
            page.locator("#state", has_text="Call ended").wait_for()
        process.wait_for_output("| echoed")
        process.terminate()
    assert [frequency for _, frequency in beeps(recorded.heard, recorded.rate)] == frequencies(5)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (
            ANSWER.replace("RelayClient(", "RelayClient('p', 'PTx', host='ws://127.0.0.1:9', "),
            "no client has connected",
        ),
        ("1 / 0", "answer.py ended with exit code 1 before a client connected"),
    ],
    ids=["credentials", "crash"],
)
def test_a_problem_is_on_the_page(program: str, words: str, tmp_path: Path) -> None:
    with dev(tmp_path, "--show-tokens", "answer.py", program=program) as process:
        process.wait_for_output(words)
        with browser() as page:
            opened(page, process)  # after it happened
            page.locator("#notice", has_text=words).wait_for()
        process.process.terminate()
        process.process.wait(20)


def test_a_program_that_works_has_no_notice_and_its_crash_has_one(tmp_path: Path) -> None:
    program = ANSWER.replace("call.answer()", "call.answer(); import os; os._exit(3)")
    with dev(tmp_path, "--show-tokens", "answer.py", program=program) as process, browser() as page:
        opened(page, process)
        process.wait_for_output("has connected")
        page.locator("#notice").wait_for(state="hidden")
        page.click("#call")
        page.locator("#notice", has_text="answer.py ended with exit code 3").wait_for()
        process.process.terminate()
        process.process.wait(20)
