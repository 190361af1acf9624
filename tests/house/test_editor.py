"""What an editor knows of the package: basedpyright finds a type for every public name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def untyped(package: str, folder: Path) -> tuple[float, list[str]]:
    """The completeness of the types of a package, 0 to 1, and the names whose types are ambiguous or unknown."""
    # The site folders again: otherwise types of packages that the interpreter finds by a .pth file are unknown.
    places = [str(folder), *(place for place in sys.path if place.endswith("site-packages"))]
    asked = ["--ignoreexternal", "--verifytypes", package]
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson", *asked],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    names = [
        each["name"]
        for each in report["symbols"]
        if each["isExported"] and (not each["isTypeKnown"] or each["isTypeAmbiguous"])
    ]
    return report["completenessScore"], names


def test_every_public_name_has_a_type() -> None:
    assert untyped("relay_sync", ROOT) == (1, [])


def test_a_name_without_a_type_is_found(tmp_path: Path) -> None:
    home = tmp_path / "planted"
    home.mkdir()
    (home / "py.typed").touch()
    (home / "__init__.py").write_text(
        "class Thing:\n    def __init__(self, size: int) -> None:\n        self.size = size + 1\n"
    )
    score, names = untyped("planted", tmp_path)
    assert score < 1
    assert names == ["planted.Thing", "planted.Thing.size"]
