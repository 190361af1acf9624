"""Where tests and their helpers are: tests mirror the subpackages of the package, and what they share is in ``tests/support``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.modules import PACKAGE, home, tree

TESTS = ROOT / "tests"
#: Folders of tests that mirror no subpackage, and what they test instead.
NO_SUBPACKAGES = {
    "package": "the package as a whole",
    "docs": "the pages, and what they promise",
    "typing": "types as type checkers see them",
    "house": "the words of pages, docstrings and messages",
    "examples": "the programs in examples/",
    "benchmarks": "the programs in benchmarks/",
    "faults": "clients over networks and servers that misbehave",
    "interop": "the official SDK beside this one",
    "deploy": "the files in examples/deploy, and the programs that they configure",
}
#: What is neither a test nor a helper of tests.
BESIDE = ("support", "data")


def imported(path: Path) -> Iterator[str]:
    """The full names of what a file imports, and of the modules that hold it."""
    here = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home(node, here)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_imported_test(name: str) -> bool:
    """Whether it is a module of tests, by its full name; a helper may have functions that begin so."""
    home, _, last = name.rpartition(".")
    return last.startswith("test_") and (TESTS.parent / Path(*home.split("."), f"{last}.py")).is_file()


def misplaced(file: Path, subpackages: Path) -> str:
    """What is wrong with the place of a file, given by its path below ``tests``; empty if nothing is.

    :param subpackages: the package whose folders are the subpackages.
    """
    folder, name = file.parent, file.name
    if folder.parts[:1] in [(each,) for each in BESIDE] or name in ("conftest.py", "__init__.py"):
        return ""
    if not name.startswith("test_"):
        return "a helper: it belongs into tests/support"
    if folder.parts[:1] in [(each,) for each in NO_SUBPACKAGES]:
        return ""
    if folder.parts:
        return "" if (subpackages / folder).is_dir() else "the package has no such folder"
    modules = [path.stem for path in subpackages.glob("*.py")]
    about = file.stem.removeprefix("test_")
    return "" if any(f"{about}_".startswith(f"{each}_") for each in modules) else "no module at the root is called so"


FILES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("*.py"))


def test_no_file_imports_a_file_of_tests() -> None:
    tests = {file.stem for file in FILES if file.name.startswith("test_")}
    found = {
        str(file): name
        for file in FILES
        # Who imports one has to say its name; to parse them all takes a second.
        if file.parts[0] != "data" and tests & set(re.findall(r"\w+", (TESTS / file).read_text(encoding="utf-8")))
        for name in imported(TESTS / file)
        if is_imported_test(name)
    }
    assert not found, "what is shared belongs into tests/support"


def test_the_search_for_imported_tests_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "TESTS", tmp_path / "tests")
    folder = tmp_path / "tests" / "call"
    folder.mkdir(parents=True)
    (folder / "test_call.py").touch()
    file = folder / "test_other.py"
    for text in (
        "import tests.call.test_call",
        "from tests.call import test_call as other",
        "from tests.call.test_call import one, two",
        "def f():\n    from .test_call import one",
        "from . import test_call",
    ):
        file.write_text(text)
        assert any(map(is_imported_test, imported(file))), text
    file.write_text("from tests.support.pages import test_of, blocks\nfrom .call import test_")
    assert not any(map(is_imported_test, imported(file)))


def test_every_file_is_where_one_looks_for_it() -> None:
    found = {str(file): wrong for file in FILES if (wrong := misplaced(file, PACKAGE))}
    assert not found


@pytest.mark.parametrize(
    "place",
    ["helpers.py", "call/helpers.py", "package/helpers.py", "calls/test_call.py", "test_somewhere.py", "test_conf.py"],
)
def test_a_file_in_the_wrong_place_is_seen(place: str) -> None:
    assert misplaced(Path(place), PACKAGE)


def test_every_room_has_its_tests() -> None:
    subpackages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert subpackages == {file.parts[0] for file in FILES if len(file.parts) > 1} - set(NO_SUBPACKAGES) - set(BESIDE)


def test_every_folder_is_a_package() -> None:
    """Files of the same name in two folders that are none would be one module."""
    folders = {file.parent for file in FILES if file.parts[0] != "data"}
    assert not [str(folder) for folder in folders if not (TESTS / folder / "__init__.py").is_file()]


#: Rooms whose docstring is a map of their modules.
MAPPED = (
    *("audio", "call", "cli", "client", "connection", "hosts", "observing", "params", "protocol", "rest", "server"),
    *("text", "threads", "webhooks"),
)


@pytest.mark.parametrize("name", MAPPED)
def test_the_map_of_a_room_names_its_modules(name: str) -> None:
    subpackage = PACKAGE / name
    text = ast.get_docstring(tree(subpackage / "__init__.py")) or ""
    modules = {path.stem for path in subpackage.glob("*.py")} | {
        path.parent.name for path in subpackage.glob("*/__init__.py")
    }
    named = set(re.findall(r"``(?:\w+\.)*(\w+)/?``", text))
    assert modules - {"__init__"} <= named
    # What stands first in a line is meant as a module.
    first = re.findall(r"^``(\w+)``(?=,| |$)", text, re.MULTILINE)
    assert set(first) <= modules
