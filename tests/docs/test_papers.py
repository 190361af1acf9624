"""The pages for contributors: the files, tests, commands and figures that they name exist and are correct."""

from __future__ import annotations

import ast
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.setup_cfg import sections

PAPERS = [ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/compatibility.md")]
VERBS = ("setup", "style", "types", "tests", "slow", "docs", "bench", "dist", "long")
_PATH = re.compile(r"`((?:[\w.-]+/)+(?:[\w-]+\.\w+)?|[\w-]+\.(?:py|md|cfg))`")


def absent(text: str) -> list[str]:
    """Return the files that a page names and that do not exist. Packages may be named relative to ``relay_sync``."""
    named = [each for each in _PATH.findall(text) if not each.startswith(("dist/", "docs/_build"))]
    return [each for each in named if not any((root / each).exists() for root in (ROOT, ROOT / "relay_sync"))]


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_the_files_it_names_exist(paper: Path) -> None:
    assert absent(paper.read_text(encoding="utf-8")) == []


def test_a_missing_file_is_found() -> None:
    assert absent("See `client/rooter.py` and `client/router.py`.") == ["client/rooter.py"]


def names_in(text: str) -> set[str]:
    """Return the identifiers in parentheses after a module's path: ``protocol/session.py` (`_event`)``."""
    return {f"{path} {name}" for path, name in re.findall(r"`([\w/]+\.py)` \(`(\w+)`", text)}


def test_the_functions_of_the_map_exist() -> None:
    found = names_in((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    assert len(found) > 4
    for each in found:
        path, name = each.split()
        assert re.search(rf"def {name}\b", (ROOT / "relay_sync" / path).read_text(encoding="utf-8")), each


def test_every_package_is_on_the_map() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (ROOT / "relay_sync").glob("*/__init__.py")]
    assert [name for name in packages if f"`{name}/`" not in text] == []


def test_the_layers_are_those_that_the_tests_enforce() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    lines = re.findall(r"^[1-9]   (.+)$", text, re.MULTILINE)
    layers = [set(re.sub(r"\(.*?\)|/", "", line).split()) for line in reversed(lines)]
    table = ast.parse((ROOT / "tests" / "package" / "test_package.py").read_text(encoding="utf-8"))
    (enforced,) = (
        node.value for node in table.body if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "LAYERS"
    )
    assert isinstance(enforced, ast.Tuple)
    assert layers == [{each.value for each in ast.walk(one) if isinstance(each, ast.Constant)} for one in enforced.elts]


def medians(row: str) -> dict[str, str]:
    """Return the figures in a row of the results by the column's name, empty if there is none."""
    lines = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8").splitlines()
    (number,) = (number for number, line in enumerate(lines) if line.startswith(f"| {row} |"))
    head = next(line for line in reversed(lines[:number]) if line.startswith("| |"))
    names, cells = ([cell.strip() for cell in line.split("|")] for line in (head, lines[number]))
    return {name: cell.partition(" ")[0] for name, cell in zip(names, cells, strict=True)}


@pytest.mark.parametrize(
    ("phrase", "row", "columns"),
    [
        (
            "{} sequential commands per second, compared with {} for a bare",
            "sequential commands, per s",
            ("ours", "bare"),
        ),
        (
            "finish in {} s; in the official SDK they take {} s",
            "20 handlers that block 0.25 s each, s",
            ("ours", "ref"),
        ),
        ("It costs {} KiB for an idle call", "memory per idle call with a blocked handler, KiB", ("ours",)),
        ("an extra: {} ms, compared with {} ms", "`import`, over a bare interpreter, ms", ("ours", "ref")),
        ("costs {} us of CPU per audio frame, the loop", "receiver: CPU per frame, 60 streams, us", ("threaded",)),
        ("the loop in `server/` {} us", "receiver: CPU per frame, 60 streams, us", ("ours",)),
    ],
)
def test_the_figures_of_decisions_are_those_of_the_results(phrase: str, row: str, columns: tuple[str, ...]) -> None:
    text = " ".join((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").split())
    found = medians(row)
    assert phrase.format(*(found[each] for each in columns)) in text


# -- the make commands ----------------------------------------------------------------------------------------------------


def verbs() -> list[str]:
    return re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_verbs_are_described() -> None:
    described = re.findall(r"^\| `make (\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(VERBS) <= set(verbs())
    assert set(described) == set(verbs()) - {"help", "all"}


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("verb", verbs())
def test_a_verb_is_a_command(verb: str) -> None:
    done = subprocess.run(["make", "-n", verb], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip()


def test_the_fast_tests_are_those_of_the_readme() -> None:
    command = re.search(r"python -m (pytest .+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert command
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert command[1] in text.replace("$(WORKERS)", "3").replace(" $(ARGS)", "")


def test_the_hooks_are_local() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo: (\S+)", text) == ["local"]
    assert set(re.findall(r"entry: \.venv/bin/(\S+)", text)) == {"ruff", "mypy", "python"}


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_the_modules_that_it_runs_exist(paper: Path) -> None:
    text = " ".join(paper.read_text(encoding="utf-8").split())
    for module in re.findall(r"`python -m ((?:tests|benchmarks)[\w.]*)", text):
        path = ROOT / Path(*module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


# -- versions of Python, and coverage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paper", "phrase"),
    [
        ("README.md", "You need Python {least} or newer"),
        ("README.md", "Supported: Python {all}"),
        ("CONTRIBUTING.md", "You need Python {least} or newer"),
        ("docs/compatibility.md", "supports CPython {all}"),
        ("docs/install.md", "on Python {all}"),
    ],
)
def test_the_supported_versions_of_python_are_those_of_the_package(paper: str, phrase: str) -> None:
    setup = sections()
    (least,) = re.findall(r"^>=(\S+)$", setup["options"]["python_requires"])
    *first, last = re.findall(r":: Python :: (3\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)
    assert first[0] == least
    text = " ".join((ROOT / paper).read_text(encoding="utf-8").split())
    assert phrase.format(least=least, all=f"{', '.join(first)} and {last}") in text


def test_the_recorded_coverage_is_not_lowered_below_the_aim() -> None:
    assert float((ROOT / ".ci" / "coverage.txt").read_text(encoding="utf-8")) >= 97


@pytest.mark.parametrize(("measured", "fails"), [(97.6, False), (97.0, False), (96.4, True)])
def test_a_drop_of_coverage_fails(measured: float, fails: bool) -> None:
    found = runpy.run_path(str(ROOT / ".ci" / "coverage.py"))
    assert found["dropped"](measured, recorded=97.0) is fails


def test_ci_measures_coverage() -> None:
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^\.venv/bin/python \.ci/coverage\.py$", text, re.MULTILINE)
