"""``docs/threads.md`` names every thread that the package starts."""

from __future__ import annotations

import re

from tests.support import ROOT
from tests.support.modules import MODULES

#: What looks like the name of a thread: a literal that starts with ``relay-``.
NAME = re.compile(r"""["'](relay-[a-z]+(?:-[a-z]+)*)(?=["'{-])""")
#: Literals that name something else: the program, its WAV file, a connector for payments.
OTHERS = re.compile(r"relay-(?:sync|pay)\b")


def test_the_page_names_every_thread() -> None:
    page = (ROOT / "docs" / "threads.md").read_text(encoding="utf-8")
    names = {name for path in MODULES for name in NAME.findall(path.read_text(encoding="utf-8"))}
    names = {name for name in names if OTHERS.match(name) is None}
    assert {"relay-io", "relay-call", "relay-lane", "relay-audio", "relay-log", "relay-stop"} <= names
    assert sorted(name for name in names if not re.search(rf"`{name}(?:-[A-Z]|`|-\w+-[A-Z])", page)) == []
