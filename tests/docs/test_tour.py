"""``docs/tour.md`` shows what the commands print, up to times, ids and what is installed; and its pictures are there."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.tour import PAGE, SCENES, pieces, plain

TEXT = PAGE.read_text(encoding="utf-8")


def test_every_scene_is_on_the_page_and_nothing_else() -> None:
    assert list(pieces(TEXT)) == list(SCENES)


@pytest.mark.slow
@pytest.mark.parametrize("typed", SCENES)
def test_the_page_shows_what_is_printed(typed: str, tmp_path: Path) -> None:
    shown, printed = plain(pieces(TEXT)[typed]), plain(SCENES[typed](tmp_path))
    assert shown == printed, "run python -m tests.support.tour, which writes the page anew"


def test_what_varies_is_left_out_and_nothing_else() -> None:
    assert plain("  0.012  MainThread    connected\n") == ["<seconds> MainThread connected"]
    assert plain("inbound [###...]  -12.5 dB") == ["inbound <bar> <n> dB"]
    assert plain("b\na\n\nb") == ["a", "b"]
    for one, other in (("Checked: 129,280 samples", "Checked: 129,281 samples"), ("ok  name: x", "BAD name: x")):
        assert plain(one) != plain(other)


def test_pictures_are_there_and_small() -> None:
    names = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert len(names) == 2
    for name in names:
        data = (PAGE.parent / name).read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", data[16:24])
        assert 600 <= width <= 800
        assert 300 <= height <= 800
        assert len(data) < 60_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("generator", "name"),
    [
        ("tour", "docs/tour.md"),
        ("parity", "docs/parity.md"),
        ("faults.table", "docs/faults.md"),
        ("event_overloads", "relay_sync/call/event_overloads.py"),
    ],
)
@pytest.mark.parametrize(("argument", "code", "said"), [("--help", 0, "Rewrite {}."), ("--chekc", 2, "--chekc")])
def test_generators_rewrite_nothing_when_given_an_argument(
    generator: str, name: str, argument: str, code: int, said: str
) -> None:
    page = ROOT / name
    before = page.stat().st_mtime_ns
    done = subprocess.run(
        [sys.executable, "-m", f"tests.support.{generator}", argument], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, said.format(name) in done.stdout + done.stderr) == (code, True)
    assert page.stat().st_mtime_ns == before
