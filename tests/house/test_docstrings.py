"""Docstrings as editors show them: one field a line, and every parameter of the public API described where it is defined.

``python -m tests.house.test_docstrings PATH ...`` lists what is missing in files and folders.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import relay_sync
from relay_sync import RelayError
from tests.support import ROOT
from tests.support.fields import described, parameters, public_callables
from tests.support.modules import MODULES as FILES
from tests.support.modules import name_of, tree

#: The fields that docstrings use: no second spelling of one thing.
FIELDS: Final = ("param", "raises", "return", "ivar", "cvar")
_FIELD: Final = re.compile(
    r":(param|parameter|arg|raise|raises|return|returns|ivar|cvar|var|type|rtype)\b[^:\n`]*:(?!`)"
)
#: Papers that are not in the repository, as they were cited.
_PAPERS: Final = re.compile(
    r"\b(PROTOCOL|STREAM|MEDIA_STREAM|CODECS|LESSONS|PITFALLS|TARGETS|API)(\.md\b|, \"|,? section\b|\))"
)


def docstrings(of: ast.Module) -> Iterator[tuple[int, str]]:
    """The docstrings of a module, and the line that each begins in."""
    for node in ast.walk(of):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            first = node.body[0]
            assert isinstance(first, ast.Expr)
            assert isinstance(first.value, ast.Constant)
            yield first.lineno, str(first.value.value)


def misplaced_fields(text: str) -> Iterator[tuple[int, str]]:
    """What is wrong with the fields of a docstring, by line."""
    for number, line in enumerate(text.split("\n")):
        for found in _FIELD.finditer(line):
            if line[: found.start()].strip():
                yield number, f"{found[0]} is not at the start of its line"
            elif found[1] not in FIELDS:
                yield number, f"{found[0]}: the fields are {', '.join(FIELDS)}"


def undescribed(function: Any, text: str) -> list[str]:
    """The parameters that a docstring does not describe."""
    there = described(text)
    return [name for name in parameters(function) if not there.get(name)]


def hidden(text: str) -> list[str]:
    """The parameters whose description an editor does not show, or only a part of it.

    basedpyright takes the first place in a docstring where a name is followed by a colon or a parenthesis, also as the end of a
    longer name, and reads an ``:ivar`` to the end of its line.
    """
    text = inspect.cleandoc(text)
    found = []
    for name in described(text):
        (field,) = re.finditer(rf"^[ ]*:(?:param|ivar) \*{{0,2}}{name}:", text, re.MULTILINE)
        if any(0 <= text.find(mark) < field.start() for mark in (f"{name}: ", f"{name} (")):
            found.append(f"{name} stands before its field, with a colon or a parenthesis")
    for field in re.finditer(
        r"^:ivar (\w+):.*\n(?!\s*(?::(?:param|raises?|returns?|ivar|cvar)\b|$)).+", text, re.MULTILINE
    ):
        found.append(f":ivar {field[1]} goes over its line")
    return found


def unsaid_errors(function: Any, text: str) -> list[str]:
    """The errors of ours that a function raises itself, and that its docstring does not name, nor a class above them."""
    try:
        body = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return []  # attrs wrote it
    said = set(re.findall(r"^\s*:raises ([\w.]+):", text, re.MULTILINE))
    unsaid = []
    for node in ast.walk(body):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            error = function.__globals__.get(node.exc.func.id)
            if inspect.isclass(error) and issubclass(error, RelayError):
                names = {cls.__name__ for cls in error.__mro__ if issubclass(cls, Exception)}
                if not names & said:
                    unsaid.append(error.__name__)
    return unsaid


def invented(function: Any, text: str) -> Iterator[str]:
    """The parameters that a docstring describes and the function does not have, and the errors that do not exist."""
    known = set(inspect.signature(function).parameters)
    for name in re.findall(r"^\s*:param \*{0,2}(\w+):", text, re.MULTILINE):
        if name not in known:
            yield f"{name} is described and is no parameter"
    for name in re.findall(r"^\s*:raises ([\w.]+):", text, re.MULTILINE):
        last = name.rpartition(".")[2]
        if not any(hasattr(place, last) for place in (builtins, relay_sync)) and last not in function.__globals__:
            yield f"raises {name}, which does not exist"


def missing(function: Any, text: str) -> Iterator[str]:
    """What a callable of the public API lacks in its docstring, or has too much."""
    if not text.strip() and not function.__name__.startswith("__"):
        yield "has no docstring"
    yield from invented(function, text)
    yield from (f"{each} is not described" for each in undescribed(function, text))
    yield from hidden(text)
    yield from (f"raises {each}, unsaid" for each in unsaid_errors(function, text))


def wrong(of: ast.Module, text: str) -> Iterator[str]:
    """What is wrong with the docstrings of a module: fields in the middle of a line, papers that readers lack."""
    for first, docstring in docstrings(of):
        yield from (f"line {first + number}: {each}" for number, each in misplaced_fields(docstring))
    yield from (f"cites {''.join(each)}" for each in _PAPERS.findall(text))


def faults(paths: list[Path]) -> list[str]:
    """What is wrong in some files, and missing from the callables that they define."""
    found = [
        f"{name_of(path)}: {each}" for path in paths for each in wrong(tree(path), path.read_text(encoding="utf-8"))
    ]
    for name, function, text in public_callables():
        home = sys.modules[function.__module__].__file__
        if home is not None and Path(home).resolve() in paths:
            found += [f"{name_of(Path(home).resolve())}: {name}: {each}" for each in missing(function, text)]
    return found


@pytest.mark.static
def test_docstrings_have_what_editors_show() -> None:
    """One test for all: a test for each callable would take longer to set up than to run."""
    assert faults(FILES) == []


def test_faults_are_found() -> None:
    def planted(first: int, second: str = "", *rest: int) -> None:
        """Do it. :param first: seconds.

        :param second: text
            that goes over lines.
        :returns: nothing.
        """

    text = planted.__doc__ or ""
    assert undescribed(planted, text) == ["first", "rest"]
    assert described(text) == {"second": "text that goes over lines."}
    assert [number for number, _ in misplaced_fields(text)] == [0, 4]
    assert hidden(text) == []
    assert (
        len(
            hidden(
                ":param first_time: a.\n:param time: b.\n:ivar odd: c\n    and d.\nodd: e.\n:param again: again (f)."
            )
        )
        == 2
    )
    assert _PAPERS.search('(PROTOCOL, "Reconnect and resume")')


def test_what_does_not_exist_and_what_is_empty_are_found() -> None:
    def planted(first: int) -> None:
        """Do it.

        :param first: seconds.
        :param second: more seconds.
        :raises RequestTimeout: late.
        :raises ValueError: wrong.
        :raises RequestTimedOut: later.
        """

    assert list(missing(planted, planted.__doc__ or "")) == [
        "second is described and is no parameter",
        "raises RequestTimedOut, which does not exist",
    ]
    assert list(missing(planted, "")) == ["has no docstring", "first is not described"]


def test_faults_of_a_module_are_found() -> None:
    text = '"""Do it (PROTOCOL, "Resume").\n\n:return: it. :raises X: never.\n"""\n'
    found = list(wrong(ast.parse(text), text))
    assert found == ["line 3: :raises X: is not at the start of its line", 'cites PROTOCOL, "']


def test_there_is_much_to_hold() -> None:
    asked = list(public_callables())
    assert len(asked) > 400
    assert sum(len(parameters(function)) for _, function, _ in asked) > 1500
    assert {Path(sys.modules[function.__module__].__file__ or "").resolve() for _, function, _ in asked} <= set(FILES)


def main(names: list[str]) -> int:
    """List what is missing below some paths. :return: the exit code."""
    wanted = [Path(name).resolve() for name in names] or [ROOT / "relay_sync"]
    found = faults([path for path in FILES if any(path == each or each in path.parents for each in wanted)])
    print(*found, f"{len(found)} found", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
