"""The command line of the modules that write a file of the checkout, as in ``python -m tests.support.parity``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support import ROOT


def rewrite(file: Path, page: Callable[[], str]) -> None:
    """Write what ``page`` returns into a file; given an argument, write nothing, and show help or an error."""
    name = file.relative_to(ROOT).as_posix()
    spec = sys.modules["__main__"].__spec__
    assert spec is not None
    argparse.ArgumentParser(prog=f"python -m {spec.name}", description=f"Rewrite {name}.").parse_args()
    file.write_text(page(), encoding="utf-8")
    print(f"wrote {name}")
