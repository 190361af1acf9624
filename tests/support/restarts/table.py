"""The table of restarts in ``docs/deploy.md``.

``python -m tests.support.restarts.table`` writes it from the rows that ``tests/deploy/test_restarts.py`` plays.
"""

from __future__ import annotations

from typing import Final

from attrs import astuple

from tests.support import ROOT
from tests.support.generators import rewrite
from tests.support.restarts.rows import ROWS

__all__ = ["FILE", "page", "table"]

FILE: Final = ROOT / "docs" / "deploy.md"
#: Where the table is in the page.
BEGIN: Final = "<!-- written by python -m tests.support.restarts.table -->\n"
END: Final = "<!-- end of the table -->\n"
TITLES: Final = ("event", "the live call", "its stream", "its WAV file", "its `call.record()`", "the next call")


def table() -> str:
    """The lines of the table."""
    rows = [(row.told, *astuple(row.seen)) for row in ROWS.values()]
    lines = [TITLES, tuple("---" for _ in TITLES), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def page() -> str:
    """The text of the page, with the table in it."""
    before, _, rest = FILE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    rewrite(FILE, page)
