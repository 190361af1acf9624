"""The names and signatures that users rely on: growing is free, losing one is a breaking change.

``tests/data/public_api.txt`` has a line for every public name, every parameter of every public function, method and
constructor, and every attribute. ``python -m tests.package.test_public_api`` writes it anew, for what was added.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import attrs
import pytest

import relay_sync
from relay_sync import Action, InvalidParameter, RelayError
from relay_sync.simulator import Simulator
from tests.support import DATA, PATIENCE
from tests.support.lines import NOWHERE, line
from tests.support.public import MODULES

FILE: Final = DATA / "public_api.txt"
_IVAR: Final = re.compile(r":ivar ([a-z_]+):")


def _parameters(name: str, function: Any) -> Iterator[str]:
    """A line per parameter: its place or that it is given by name, and its default."""
    yield f"{name}()"
    for place, each in enumerate(inspect.signature(function).parameters.values()):
        default = "" if each.default is each.empty else f"={_shown(each.default)}"
        if each.kind is each.VAR_POSITIONAL or each.kind is each.VAR_KEYWORD:
            yield f"{name}({each})"
        elif each.name != "self":
            yield f"{name}({'by name' if each.kind is each.KEYWORD_ONLY else place}: {each.name}{default})"


def _shown(default: object) -> str:
    plain = default is None or isinstance(default, (bool, int, float, str, tuple, frozenset))
    return repr(default) if plain else type(default).__name__


def _class(name: str, cls: type) -> Iterator[str]:
    """What it is, how it is made, and its members; those of its public bases stand there."""
    ours = [base for base in cls.__mro__[1:] if base.__module__ == cls.__module__ and not base.__name__.startswith("_")]
    yield f"{name} is a {', '.join(base.__name__ for base in ours) or 'class'}"
    if inspect.isfunction(made := vars(cls).get("__init__")):
        yield from _parameters(name, made)
    inherited = {member for base in ours for member in (*dir(base), *_documented(base))}
    for member, value in inspect.getmembers(cls):
        if member in vars(cls) or member not in inherited:
            if inspect.isfunction(value) or inspect.ismethod(value):
                if not member.startswith("_") or member in ("__enter__", "__exit__", "__iter__", "__next__"):
                    yield from _parameters(f"{name}.{member}", value)
            elif not member.startswith("_") and not inspect.isroutine(value):
                yield f"{name}.{member}"
    yield from (f"{name}.{member}" for member in _documented(cls) - inherited)


def _documented(cls: type) -> set[str]:
    fields = {field.name for field in attrs.fields(cls)} if attrs.has(cls) else set()
    return {one for one in fields | set(_IVAR.findall(cls.__doc__ or "")) if not one.startswith("_")}


def _module(module: ModuleType) -> Iterator[str]:
    for public in module.__all__:
        name, value = f"{module.__name__}.{public}", getattr(module, public)
        if inspect.isclass(value):
            yield from _class(name, value)
        elif inspect.isfunction(value):
            yield from _parameters(name, value)
        elif isinstance(value, ModuleType):
            yield from _module(value)
        else:
            yield f"{name} = {_shown(value)}" if public.isupper() else name


def present(module: ModuleType) -> set[str]:
    """The lines of a module as it is now."""
    return set(_module(module))


def pinned(module: ModuleType) -> set[str]:
    """Its lines in the file."""
    others = {one.__name__ for one in MODULES if one.__name__.startswith(f"{module.__name__}.")}
    lines = FILE.read_text(encoding="utf-8").splitlines()
    mine = re.compile(rf"{re.escape(module.__name__)}\b")
    return {one for one in lines if mine.match(one) and not any(re.match(rf"{re.escape(o)}\b", one) for o in others)}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_nothing_that_was_public_is_lost(module: ModuleType) -> None:
    lost = pinned(module) - present(module)
    assert not lost, "names or signatures that users rely on are gone:\n" + "\n".join(sorted(lost))


def test_what_is_new_is_pinned_too() -> None:
    new = present(relay_sync) - pinned(relay_sync)
    assert not new, "run python -m tests.package.test_public_api, for there is more now:\n" + "\n".join(sorted(new))


def test_all_names_are_there_once() -> None:
    for module in MODULES:
        assert len(set(module.__all__)) == len(module.__all__)
        for name in module.__all__:
            assert hasattr(module, name)


def test_attributes_that_the_docstrings_promise_are_there(sim: Simulator) -> None:
    with line(sim) as one:
        action = one.call.stream(NOWHERE)
        event = action.wait(PATIENCE)
        message = one.client.send_message(to_number="+15550100", from_number="+15550199", context="default", body="hi")
        for thing in (one.client, one.call, action, event, message):
            for name in {name for cls in type(thing).__mro__ for name in _documented(cls)}:
                assert hasattr(thing, name), (thing, name)
    assert {"call", "control_id", "state"} <= _documented(Action)


def test_public_classes_say_they_live_in_relay_sync() -> None:
    for name in relay_sync.__all__:
        value = getattr(relay_sync, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__ == "relay_sync", name


def test_every_public_thing_is_documented() -> None:
    for name in relay_sync.__all__:
        value = getattr(relay_sync, name)
        if not inspect.isclass(value):
            continue
        assert inspect.getdoc(value), name
        for member, function in inspect.getmembers(value, inspect.isfunction):
            if not member.startswith("_") and function.__module__.startswith("relay_sync"):
                assert inspect.getdoc(function), f"{name}.{member}"


def test_errors_are_built_as_in_the_official_sdk() -> None:
    assert (RelayError(404, "no such call").code, RelayError(404, "no such call").message) == (404, "no such call")
    assert issubclass(InvalidParameter, ValueError)


def write() -> None:
    """Write the file for what there is now."""
    lines = sorted(set().union(*(present(module) for module in MODULES)))
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
    sys.exit(0)
