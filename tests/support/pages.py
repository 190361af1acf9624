"""The pages of the documentation, and the programs in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from tests.support import ROOT

#: A block of code: the word after the first fence, and the content. Fences are lines.
FENCED: Final = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str = "python") -> list[str]:
    return [block[2] for block in FENCED.finditer(text) if block[1] == language]


PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if path.is_file()]
