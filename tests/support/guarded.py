"""Whether a lock is held whenever what it guards is touched: a race is rarely seen, a lock that is not held always is."""

from __future__ import annotations

import ast
import inspect
import operator
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from attrs import define, field

from tests.support.modules import MODULES, tree

__all__ = ["Touches", "takes_locks", "touches"]

_COMPREHENSION = re.compile(r"(\.<locals>\.<(listcomp|setcomp|dictcomp|genexpr)>)+$")
_MAKES_A_LOCK = re.compile(r"(\w+)(?:: [\w.]+)? = .*\bthreading\.R?Lock\(\)")


@define
class Touches:
    """Functions, by their qualified names.

    :ivar free: those that touched what is guarded and did not hold the lock. :ivar under: those that did, and their callers.
    """

    free: set[str] = field(factory=set)
    under: set[str] = field(factory=set)

    def note(self, lock: Any, frame: FrameType | None) -> None:
        callers = []
        while frame is not None:
            callers.append(_COMPREHENSION.sub("", frame.f_code.co_qualname))
            frame = frame.f_back
        if callers[0].endswith("__init__"):  # nobody else has it yet
            return
        # Who holds a lock that is not reentrant cannot be told: what those guard is touched by one thread at a time here.
        if lock._is_owned() if hasattr(lock, "_is_owned") else lock.locked():
            self.under.update(callers)
        else:
            self.free.add(callers[0])


class _Watched:
    """Stands for an attribute of a class, and looks at the lock when an instance's is set, or read."""

    def __init__(self, kind: type, name: str, lock: str, found: Touches, reads: bool) -> None:
        self._slot = kind.__dict__.get(name)  # or the default of a class without slots
        self._name = name
        self._lock = operator.attrgetter(lock)
        self._found = found
        self._reads = reads

    def __get__(self, one: Any, kind: type | None = None) -> Any:
        if self._reads:
            self._found.note(self._lock(one), sys._getframe(1))
        if inspect.ismemberdescriptor(self._slot):
            return self._slot.__get__(one, kind)
        try:
            return one.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

    def __set__(self, one: Any, value: object) -> None:
        try:
            lock = self._lock(one)
        except AttributeError:  # it is being made
            pass
        else:
            self._found.note(lock, sys._getframe(1))
        if inspect.ismemberdescriptor(self._slot):
            self._slot.__set__(one, value)
        else:
            one.__dict__[self._name] = value


@contextmanager
def touches(kind: type, lock: str, names: tuple[str, ...]) -> Iterator[Touches]:
    """What touches attributes of a class inside.

    :param lock: the lock, as seen from an instance.
    :param names: of the attributes; where ``=`` follows, to read it is no touch.
    """
    found = Touches()
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            bare = name.removesuffix("=")
            patch.setattr(kind, bare, _Watched(kind, bare, lock, found, bare == name), raising=False)
        yield found


def takes_locks() -> dict[tuple[str, str], set[str]]:
    """The classes of the package and the locks that they take, as ``("Call", "_lock")``, and the functions in which they do."""
    locks = {name for path in MODULES for name in _MAKES_A_LOCK.findall(path.read_text(encoding="utf-8"))}
    found: dict[tuple[str, str], set[str]] = {}

    def walk(node: ast.AST, kind: str, function: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                walk(child, child.name, "")
            elif isinstance(child, ast.FunctionDef):
                walk(child, kind, f"{function}.<locals>.{child.name}" if function else f"{kind}.{child.name}")
            else:
                for item in child.items if isinstance(child, ast.With) else ():
                    taken = ast.unparse(item.context_expr)
                    if taken.startswith("self.") and taken.rpartition(".")[2] in locks:
                        found.setdefault((kind, taken.removeprefix("self.")), set()).add(function)
                walk(child, kind, function)

    for path in MODULES:
        walk(tree(path), "", "")
    return found
