"""The install lines of pages bring what their programs import, and what errors tell to install is what the extras name."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from relay_sync.cli.checkup import _LEAST, EXTRAS
from tests.support import ROOT
from tests.support.modules import MODULES
from tests.support.pages import PAGES, blocks
from tests.support.setup_cfg import sections

#: Pages whose programs are pieces, or are shown and not run.
WITHOUT_PROGRAMS = {"README.md", "migrating.md", "threads.md", "tour.md"}
#: What modules need beyond the core.
NEEDED = {
    "relay_sync.audio": "websockets",
    "relay_sync.simulator": "websockets",
    "relay_sync.testing": "websockets",
    "relay_sync.contrib.flask": "flask",
    "relay_sync.contrib.django": "django",
    "flask": "flask",
    "celery": "celery",
    "django": "django",
    "pytest": "pytest",
}
#: What else shows that something is needed.
SIGNS = {
    r"sample_rate=\d": "numpy",
    r"\.array\b|\.float32\(": "numpy",
    r'codec="(?:G722|OPUS)': "av",
}
#: What brings the commands that are typed; ours and Python's are always there.
COMMANDS = {
    "flask": "flask",
    "django-admin": "django",
    "jupyter": "notebook",
    "celery": "celery",
    "gunicorn": "gunicorn",
    "pytest": "pytest",
}
ALWAYS = {"python", "pip", "relay-sync"}
INSTALL = re.compile(r"pip install (?:--quiet )?(?:-e )?(\"[^\"]+\"|\S+)((?: [a-z]+)*)")


def requirements() -> dict[str, str]:
    """What each extra names, with versions, one a line."""
    return dict(sections().items("options.extras_require"))


def extras() -> dict[str, set[str]]:
    """The distributions that each extra brings."""
    return {name: distributions(named) for name, named in requirements().items()}


def distributions(requirements: str) -> set[str]:
    return {re.split(r"[^A-Za-z0-9_-]", line)[0] for line in requirements.split("\n") if line}


def shells(text: str) -> str:
    return "\n".join(blocks(text, "sh"))


def installed(line: str) -> set[str]:
    """What an install line brings; an extra that does not exist is a ``KeyError``."""
    found = INSTALL.search(line)
    assert found is not None, line
    path, _, named = found[1].strip('"').partition("[")
    if path == "gunicorn":
        return {"gunicorn"}
    assert path in (".", "../relay-sync"), "of a checkout: there may be no such distribution, or somebody else's"
    known = extras()
    return set(found[2].split()).union(*(known[name] for name in named.rstrip("]").split(",") if name))


def modules(program: str) -> set[str]:
    """The names after ``import`` and ``from``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def needed(program: str) -> set[str]:
    """What a program imports beyond the core, and what it uses without an import."""
    found = {
        brought
        for each in modules(program)
        for module, brought in NEEDED.items()
        if f"{each}.".startswith(f"{module}.")
    }
    return found | {brought for sign, brought in SIGNS.items() if re.search(sign, program)}


def name_of(path: Path) -> str:
    return path.name


def imported(program: str) -> set[str]:
    """The names of modules that are neither ours nor the core's nor the standard library's."""
    ours = {"relay_sync", "requests"} | {path.stem for path in (ROOT / "examples").glob("*.py")}
    return {name.split(".")[0] for name in modules(program)} - sys.stdlib_module_names - ours


@pytest.mark.parametrize("path", [path for path in PAGES if path.name not in WITHOUT_PROGRAMS], ids=name_of)
def test_the_first_command_of_a_page_brings_what_its_programs_need(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if not blocks(text):
        return
    first = shells(text).partition("\n")[0]
    assert first.startswith("python3 -m venv .venv && .venv/bin/pip install "), first
    assert text.index("pip install") < text.index("```python"), "before the first program"
    there = installed(first)
    for program in blocks(text):
        assert imported(program) <= set(NEEDED)
        assert needed(program) <= there, program


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_are_there_when_they_are_typed(path: Path) -> None:
    there: set[str] = set()
    for step in re.split(r"\n|&&", shells(path.read_text(encoding="utf-8"))):
        if "pip install" in step:
            there |= installed(step)
        for command in re.findall(r"\.venv/bin/([\w-]+)", step):
            assert command in ALWAYS or COMMANDS[command] in there, step


def test_pages_left_out_are_there() -> None:
    assert {path.name for path in PAGES} >= WITHOUT_PROGRAMS


@pytest.mark.parametrize("path", [*PAGES, ROOT / "benchmarks" / "README.md"], ids=name_of)
def test_every_install_line_is_that_of_a_checkout(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").split("\n"):
        if "pip install" in line:
            installed(line)


def test_the_check_sees() -> None:
    assert needed("from relay_sync.contrib.flask import Relay") == {"flask"}
    assert needed("import relay_sync.audio.dsp\nlisten(sample_rate=16000)") == {"websockets", "numpy"}
    assert needed("import relay_sync.rest") == set()
    assert installed('pip install -e ".[audio,dsp]" pytest') == {"websockets", "numpy", "pytest"}
    assert installed("pip install -e .") == set()
    with pytest.raises(KeyError):
        installed('pip install ".[sound]"')
    with pytest.raises(AssertionError):
        installed('pip install "relay-sync[audio]"')


# -- errors and the doctor ---------------------------------------------------------------------------------------------


def test_what_the_source_tells_to_install_is_what_the_extras_name() -> None:
    named = set("\n".join(requirements().values()).split("\n"))
    brought = distributions("\n".join(named))
    told = 0
    for path in MODULES:
        for what in re.findall(r"pip install (?:-e )?[\"']([^\"']+)[\"']", path.read_text(encoding="utf-8")):
            if what.startswith(".["):
                installed(f'pip install -e "{what}"')
            elif "{" not in what:
                told += 1
                # One that an extra of another package brings has no version of its own.
                assert what in named or what.partition("[")[0] in brought, f"{path}: {what}"
    assert told >= 6
    for distribution, least in _LEAST.items():
        assert f"{distribution}{least}" in named
    assert set(_LEAST) == {distribution for distribution, _ in EXTRAS.values()}


def test_the_extra_docs_brings_all_that_the_reference_imports() -> None:
    known = extras()
    assert known["docs"] >= known["all"] | known["flask"] | known["django"] | {"pytest", "sphinx", "myst-parser"}


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("relay_sync.contrib.flask", "flask>=3"),
        ("relay_sync.contrib.django", "django>=5.2"),
        ("relay_sync.audio.dsp", "numpy>=1.26"),
        ("relay_sync.server.loop", "websockets>=13.1"),
        ("relay_sync.simulator", "websockets>=13.1"),
    ],
)
def test_without_extras_errors_name_what_is_missing(module: str, expected: str) -> None:
    hidden = "import sys; sys.modules.update(dict.fromkeys(('flask', 'click', 'django', 'numpy', 'websockets')))"
    done = subprocess.run(
        [sys.executable, "-c", f"{hidden}\nimport {module}"], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert f'pip install "{expected}"' in done.stderr
