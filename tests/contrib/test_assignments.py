"""The integrations use our objects as anybody may: none of them assigns to an attribute of one."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.support.modules import MODULES, name_of, nodes, subpackage, tree

#: What is no object of the package's other parts, by file, each with its reason.
OTHERS = {
    ("contrib/django/management/commands/relay.py", "error.returncode"): "Django's CommandError: the exit code",
    ("contrib/flask.py", "Relay.__module__"): "a class of that file: its name for users",
    ("contrib/gunicorn.py", "worker.__class__"): "gunicorn's worker: nothing else tells when it was told to end",
    ("contrib/gunicorn.py", "kind.__setattr__"): "the same",
}


def written(of: ast.AST) -> Iterator[str]:
    """What a tree assigns to, or deletes from, that is an attribute of anything but ``self`` and ``cls``."""
    for node in nodes(of, types=True):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del)):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and node.attr in ("__dict__", "__setattr__", "__delattr__"):
            yield ast.unparse(node)
        elif isinstance(node, ast.Name) and node.id in ("setattr", "delattr", "vars"):
            yield node.id


def derived(of: ast.Module) -> Iterator[str]:
    """The classes that are made from one of ours outside the integrations: on those, ``self`` is one of ours."""
    ours = {
        alias.asname or alias.name: node.level
        for node in nodes(of, types=True)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    for node in nodes(of):
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}({base})" for base in map(ast.unparse, node.bases) if base.split(".")[0] in ours)


@pytest.mark.static
def test_the_integrations_assign_to_no_attribute_of_our_objects() -> None:
    found = {(name_of(path), text) for path in MODULES if subpackage(path) == "contrib" for text in written(tree(path))}
    assert found == set(OTHERS)


def test_the_integrations_derive_no_class_from_ours() -> None:
    assert not [
        (name_of(path), each) for path in MODULES if subpackage(path) == "contrib" for each in derived(tree(path))
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f(client):\n    client.on_call = 1", ["client.on_call"]),
        ("client.a.b += 1; del call.c; call.d: int = 2", ["client.a.b", "call.c", "call.d"]),
        ("(x.a, y) = z; [q.b for q.b in r]", ["x.a", "q.b"]),
        ("setattr(client, 'a', 1)", ["setattr"]),
        ("client.__dict__['a'] = 1", ["client.__dict__"]),
        ("class C:\n    def f(self):\n        self.a = 1; b = self.a", []),
    ],
)
def test_assignments_are_found(text: str, found: list[str]) -> None:
    assert list(written(ast.parse(text))) == found
