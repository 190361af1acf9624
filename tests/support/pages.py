"""The pages of the documentation, and the programs in them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support import ROOT


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.+?)^```", text, re.DOTALL | re.MULTILINE)


PAGES = [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if path.is_file()]
