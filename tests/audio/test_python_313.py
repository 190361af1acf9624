"""What Python 3.13 took out of its library is not needed."""

from __future__ import annotations

import ast
from pathlib import Path

import relay_sync


def test_nothing_needs_what_python_313_took_away() -> None:
    for path in Path(relay_sync.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"audioop", "telnetlib", "cgi"} & set(names), path
