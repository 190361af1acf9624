"""``docs/threads.md`` names every thread that the package starts, and no other."""

from __future__ import annotations

import re

from tests.support import ROOT
from tests.support.modules import MODULES

#: What looks like the name of a thread: a literal that starts with ``relay-``.
NAME = re.compile(r"""["'](relay-[a-z]+(?:-[a-z]+)*)(?=["'{-])""")
#: Literals that name something else: the program, its WAV file, a connector for payments.
OTHERS = re.compile(r"relay-(?:sync|pay)\b")


def started() -> set[str]:
    names = {name for path in MODULES for name in NAME.findall(path.read_text(encoding="utf-8"))}
    return {name for name in names if OTHERS.match(name) is None}


def gone(page: str, names: set[str]) -> list[str]:
    """The threads in the first column of the page's table that are none of these names, without what follows a number."""
    rows = re.findall(r"^\| (`relay-.+?) \|", page, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(relay(?:-[a-z]+)+)", row)}
    assert len(listed) > 12
    return sorted(listed - names)


def test_the_page_names_no_other_thread() -> None:
    page = (ROOT / "docs" / "threads.md").read_text(encoding="utf-8")
    assert gone(page, started()) == []
    assert gone(page, started() - {"relay-log", "relay-audio"}) == ["relay-audio", "relay-log"]


def test_the_page_names_every_thread() -> None:
    page = (ROOT / "docs" / "threads.md").read_text(encoding="utf-8")
    names = started()
    assert {"relay-io", "relay-call", "relay-lane", "relay-audio", "relay-log", "relay-stop"} <= names
    assert sorted(name for name in names if not re.search(rf"`{name}(?:-[A-Z]|`|-\w+-[A-Z])", page)) == []
