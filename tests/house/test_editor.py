"""What an editor knows of the package: a type for every public name, and a text for every parameter while a call is typed."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.support import ROOT
from tests.support.editor import LanguageServer
from tests.support.fields import described, parameters, public_callables
from tests.support.public import MODULES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def checked(folder: Path, *asked: str) -> dict[str, Any]:
    """What basedpyright reports, started in a folder."""
    # The site folders again: otherwise types of packages that the interpreter finds by a .pth file are unknown.
    places = [str(folder), *(place for place in sys.path if place.endswith("site-packages"))]
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson", *asked],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def untyped(package: str, folder: Path) -> tuple[float, list[str]]:
    """The completeness of the types of a package, 0 to 1, and the names whose types are ambiguous or unknown."""
    report = checked(folder, "--ignoreexternal", "--verifytypes", package)["typeCompleteness"]
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


def mistaken(folder: Path, place: str) -> list[str]:
    """The lines whose ``assert_type`` names another type than the one that an editor shows."""
    return [
        f"{Path(found['file']).name}:{found['range']['start']['line'] + 1}"
        for found in checked(folder, place)["generalDiagnostics"]
        if found.get("rule") == "reportAssertTypeFailure"
    ]


def test_the_asserted_types_are_those_of_an_editor() -> None:
    assert mistaken(ROOT, "tests/typing") == []


def test_a_literal_that_mypy_overlooks_is_found(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    lines = ["from typing import Literal, assert_type", "def check(state: Literal['on'] | str) -> None:"]
    asserted = [f"    assert_type(state, {kind})" for kind in ("Literal['on'] | str", "Literal['off'] | str", "str")]
    planted.write_text("\n".join([*lines, *asserted]) + "\n")
    assert mistaken(tmp_path, planted.name) == ["planted.py:4", "planted.py:5"]


# -- help while typing ---------------------------------------------------------------------------------------------------


def askable(function: Callable[..., Any]) -> Iterator[str]:
    """The parameters that a call can name. Editors do not know that attrs drops the underscore of a field's name."""
    owner = getattr(sys.modules[function.__module__], function.__qualname__.partition(".")[0], None)
    fields = (
        attrs.fields(owner) if function.__name__ == "__init__" and inspect.isclass(owner) and attrs.has(owner) else ()
    )
    renamed = {each.alias for each in fields if each.alias != each.name}
    for name in parameters(function):
        kind = inspect.signature(function).parameters[name].kind
        if name not in renamed and kind in (kind.POSITIONAL_OR_KEYWORD, kind.KEYWORD_ONLY):
            yield name


def wrong_help(folder: Path, imports: str, calls: list[tuple[str, str, str]]) -> list[str]:
    """The calls for which an editor shows something else than the description.

    :param folder: the workspace.
    :param imports: the first line of the program that is typed.
    :param calls: the callable as it is typed, the parameter, and its description.
    """
    lines = [imports] + [f"{name}({parameter}=)" for name, parameter, _ in calls]
    places = [(number, len(line) - 1) for number, line in enumerate(lines)][1:]
    with LanguageServer(folder) as server:
        shown = server.help(folder / "typed.py", "\n".join(lines) + "\n", places)
    return [
        f"{name}({parameter}=) shows {text!r}, not {description!r}"
        for (name, parameter, description), (_, text) in zip(calls, shown, strict=True)
        if not description or " ".join(text.split()) != f"{parameter}: {description}"
    ]


def test_every_parameter_shows_its_own_description(capsys: pytest.CaptureFixture[str]) -> None:
    calls = [
        (name, parameter, described(text).get(parameter, ""))
        for name, function, text in public_callables()
        for parameter in askable(function)
    ]
    wrong = wrong_help(ROOT, "import " + ", ".join(module.__name__ for module in MODULES), calls)
    with capsys.disabled():
        print(f"\n{len(calls)} parameters of the public API were asked for in a language server")
    assert len(calls) > 1700
    assert wrong == []


def test_a_description_that_does_not_show_is_found(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(
        'def wait(first_time: int, time: int, other: int, good: int) -> None:\n    """Wait.\n\n    :param first_time: a.\n'
        '    :param time: b.\n    :param other: c. :param odd: d.\n    :param good: e,\n        and f.\n    """\n'
    )
    calls = [
        ("planted.wait", name, text) for name, text in (("first_time", "a."), ("time", "b."), ("good", "e, and f."))
    ]
    assert wrong_help(tmp_path, "import planted", calls) == ["planted.wait(time=) shows 'time: a.', not 'b.'"]
    assert (
        len(wrong_help(tmp_path, "import planted", [("planted.wait", "other", "c."), ("planted.wait", "good", "")]))
        == 2
    )
