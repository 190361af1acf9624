"""No file uses what another one keeps to itself: names with an underscore belong to the file that defines them."""

from __future__ import annotations

import ast
import collections
import functools
from collections.abc import Iterator

import pytest

from tests.support.modules import MODULES, is_for_types_only, name_of, nodes, tree

#: Names with an underscore that are used elsewhere all the same, each with its reason.
EXCEPTIONS = {
    "os._exit": "documented: the one way to end a process at once",
    "sys._getframe": "documented, for this implementation of Python: the place that a line of a log is said from",
    "sys._current_frames": "documented: what the other threads are doing",
    "current_app._get_current_object": "documented by Flask: the application behind the proxy of the context",
    "client._link": "Call(client, ...) is public, as in the official SDK, and what a call needs of its client is not",
    "client._router": "the same",
    "sock._sslobj": "before Python 3.13 nothing else knows a certificate that was not trusted; guarded, for a message only",
}
#: What is still open, by file: the numbers only ever become smaller, and a file that has none left is taken out.
STILL_OPEN: dict[str, int] = {}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def is_own(node: ast.expr) -> bool:
    """Whether this is the object, or the class, that the code belongs to."""
    if isinstance(node, ast.Name):
        return node.id in ("self", "cls")
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def named(annotation: ast.expr | None) -> str:
    """The class that an annotation names, without ``None``; ``""`` where it is none, or more than one."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if isinstance(annotation, ast.BinOp):
        sides = [side for side in (annotation.left, annotation.right) if ast.unparse(side) != "None"]
        return named(sides[0]) if len(sides) == 1 else ""
    return annotation.id if isinstance(annotation, ast.Name) else ""


def defined(of: ast.AST) -> set[str]:
    """The names that a file defines and fills itself: functions, classes, variables, slots, attributes of ``self``.

    What a Protocol states is not among them: it is somebody else's.
    """
    found: set[str] = set()
    for node in outside_protocols(of):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node.value):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__slots__":
            found.update(str(each.value) for each in ast.walk(node.value) if isinstance(each, ast.Constant))
    return found


def outside_protocols(of: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(of):
        if isinstance(child, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in child.bases):
            continue
        if is_for_types_only(child):
            continue  # what a mix-in states of the class that it is mixed into
        yield child
        yield from outside_protocols(child)


def foreign(of: ast.Module) -> set[str]:
    """The names that a file imports from other files of the package."""
    return {
        alias.asname or alias.name
        for node in nodes(of, types=True)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }


def classes_of(function: ast.AST) -> dict[str, str]:
    """What a function's parameters and annotated variables are, as far as it says."""
    found: dict[str, str] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            found[node.arg] = named(node.annotation)
        elif isinstance(node, ast.AnnAssign):
            found[ast.unparse(node.target)] = named(node.annotation)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and len(node.targets) == 1:
            found.setdefault(ast.unparse(node.targets[0]), ast.unparse(node.value.func))
    return found


def attributes_of(one: ast.ClassDef) -> dict[str, str]:
    """What ``self.name`` is, where the class or its constructor says so."""
    found = {}
    for node in ast.walk(one):
        if isinstance(node, ast.AnnAssign):
            target = ast.unparse(node.target)
            found[target if target.startswith("self.") else f"self.{target}"] = named(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            given = {arg.arg: named(arg.annotation) for arg in (*node.args.args, *node.args.kwonlyargs)}
            for each in ast.walk(node):
                if isinstance(each, ast.Assign) and isinstance(each.value, ast.Name) and each.value.id in given:
                    found.update({ast.unparse(target): given[each.value.id] for target in each.targets})
    return found


def reaches(of: ast.Module) -> list[str]:
    """What a file uses that is private to another one, in its own words."""
    own, others = defined(of), foreign(of)
    found = [
        f"from {'.' * node.level}{node.module or ''} import {alias.name}"
        for node in nodes(of, types=True)
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
        if is_private(alias.name)
    ]

    def visit(node: ast.AST, known: dict[str, str]) -> None:
        if isinstance(node, ast.ClassDef):
            known = {**known, **attributes_of(node)}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            known = {**known, **classes_of(node)}
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and not is_own(node.value):
            of_whom = ast.unparse(node.value)
            # A name of this file's own, but on an object of a class of another one.
            if node.attr not in own or known.get(of_whom, of_whom) in others:
                found.append(f"{of_whom}.{node.attr}")
        for child in ast.iter_child_nodes(node):
            visit(child, known)

    visit(of, {})
    return found


@functools.cache
def all_reaches() -> dict[str, list[str]]:
    """Those of the package, by file."""
    return {name_of(path): reaches(tree(path)) for path in MODULES}


@pytest.mark.static
def test_no_file_uses_what_is_private_to_another_one() -> None:
    found: dict[str, list[str]] = collections.defaultdict(list)
    for file, here in all_reaches().items():
        for reach in here:
            if reach not in EXCEPTIONS:
                found[file].append(reach)
    assert {file: len(them) for file, them in found.items()} == STILL_OPEN, dict(found)


@pytest.mark.static
def test_the_exceptions_are_few_and_needed() -> None:
    used = {reach for here in all_reaches().values() for reach in here}
    assert set(EXCEPTIONS) <= used
    assert len(EXCEPTIONS) <= 8


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f(x):\n    return x._a", ["x._a"]),
        ("from .m import _a, b", ["from .m import _a"]),
        ("def f():\n    from . import _m", ["from . import _m"]),
        ("x[0]()._a = 1", ["x[0]()._a"]),
        ("class C:\n    def __init__(self):\n        self._a = self.x._b", ["self.x._b"]),
        # a class of this file, or one that is not known
        ("class C:\n    def __init__(self, x):\n        self._a = x._a", []),
        ("class C:\n    __slots__ = ('_a',)\ndef f(c: C):\n    c._a", []),
        ("class C:\n    _a: int\nf(c._a for c in d)", []),
        ("class C(D):\n    def f(self):\n        return super()._a + self._b + x.__dict__", []),
        # a class of another one, with the same name in it as one here
        ("from .d import D\nclass C:\n    def f(self, d: D | None):\n        self._a = d._a", ["d._a"]),
        ("from .d import D\nclass C:\n    d: D\n    def f(self):\n        self._a = self.d._a", ["self.d._a"]),
        (
            "from .d import D\nclass C:\n    def __init__(self, d: D):\n        self._a, self.d = 1, 2\n        self.d = d\n"
            "    def f(self):\n        self.d._a",
            ["self.d._a"],
        ),
        ("from .d import D\n_a = 1\ndef f():\n    d = D()\n    return d._a + D._a", ["d._a", "D._a"]),
        ("from . import d\n_a = d._a", ["d._a"]),
        # what a contract states is the other's
        ("class P(Protocol):\n    def _a(self): ...\ndef f(p: P):\n    p._a()", ["p._a"]),
        (
            "class M:\n    if TYPE_CHECKING:\n        _a: int\n    def f(self, m):\n        return m._a + self._a",
            ["m._a"],
        ),
    ],
)
def test_reaches_are_found(text: str, found: list[str]) -> None:
    assert reaches(ast.parse(text)) == found
