"""The modules of the package as texts and trees, and what each imports: for tests of its structure."""

from __future__ import annotations

import ast
import functools
import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import relay_sync

PACKAGE: Final = Path(relay_sync.__file__).parent
MODULES: Final = sorted(PACKAGE.rglob("*.py"))
#: The same by their full names.
NAMED: Final = {
    ".".join(("relay_sync", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in MODULES
}


def name_of(path: Path) -> str:
    """``audio/server.py``"""
    return path.relative_to(PACKAGE).as_posix()


def subpackage(path: Path) -> str:
    """The folder or the module at the root that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def _trees() -> dict[Path, ast.Module]:
    # Hundreds of thousands of objects, all of which stay. Collections meanwhile would take four times as long as the parser, and
    # those of all tests after this one, of which each has one, would look at each object.
    gc.collect()
    gc.disable()
    try:
        found = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
        gc.freeze()
    finally:
        gc.enable()
    return found


def tree(path: Path) -> ast.Module:
    """A module, parsed."""
    return _trees()[path]


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def nodes(of: ast.AST, *, types: bool = False) -> Iterator[ast.AST]:
    """Everything in a tree; without ``types`` what runs, and not what is for type checkers only."""
    for child in ast.iter_child_nodes(of):
        if is_for_types_only(child) and not types:
            continue
        yield child
        yield from nodes(child, types=types)


@functools.cache
def imported(path: Path, *, types: bool = False) -> list[str]:
    """The full names of all modules that a file imports, wherever in it."""
    return list(imports(path, tree(path), types=types))


def home(node: ast.ImportFrom, package: Sequence[str]) -> str:
    """The full name of the module that ``from ... import`` names in a file of a package, which is given by its parts."""
    start = package[: len(package) - node.level + 1] if node.level else ()
    return ".".join([*start, *([node.module] if node.module else [])])


def imports(path: Path, of: ast.AST, *, types: bool = False) -> Iterator[str]:
    """The full names of all modules that a tree imports if it is in that file."""
    package = ("relay_sync", *path.relative_to(PACKAGE).parts[:-1])
    for node in nodes(of, types=types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = home(node, package)
            # "from . import transport" imports a module, "from ..errors import RelayError" a name of one
            for alias in node.names:
                yield f"{base}.{alias.name}" if base == "relay_sync" or f"{base}.{alias.name}" in NAMED else base


def circles(edges: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Groups of modules, each of which imports all others of its group, directly or not."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        ahead = [start]
        while ahead:
            new = set(edges.get(ahead.pop(), ())) - found
            found |= new
            ahead.extend(new)
        return found

    beyond = {name: reached(name) for name in edges}
    groups = {frozenset(other for other in beyond[name] if name in beyond.get(other, ())) for name in edges}
    return sorted(sorted(group) for group in groups if group)
