"""The parity table has everything that the installed official SDK has: it is looked at, not only the list of its names."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import parity

pytestmark = pytest.mark.slow

#: Constants of its session: what it says of itself, and how it reconnects. Nobody who uses it needs them.
ITS_SESSION = ("METHOD_", "RECONNECT_", "PROTOCOL_VERSION", "AGENT_STRING", "DEFAULT_RELAY_HOST")


def classes(module: Any) -> Iterator[tuple[str, type]]:
    for name, cls in inspect.getmembers(module, inspect.isclass):
        if cls.__module__ == module.__name__ and not name.startswith("_"):
            yield name, cls


def official() -> Iterator[str]:
    """Names as the table writes them: ``Class``, ``Class.member``, ``Class.member(parameter)``, and constants."""
    from signalwire.relay import call, client, constants, event, message

    for module in (call, client, message):
        for name, cls in classes(module):
            yield name
            for member, value in vars(cls).items():
                made = member == "__init__" and not name.endswith("Action")  # actions are made by verbs
                if (member.startswith("_") and not made) or not (callable(value) or isinstance(value, property)):
                    continue
                yield f"{name}.{member}"
                if isinstance(value, property):
                    continue
                for one in list(inspect.signature(value).parameters.values())[1:]:
                    yield f"{name}.{member}({'**' if one.kind is one.VAR_KEYWORD else one.name})"
    common = {field.name for field in dataclasses.fields(event.RelayEvent)}
    for name, cls in classes(event):
        yield name
        for field in dataclasses.fields(cls):
            if name == "RelayEvent" or field.name not in common:
                yield f"{name}.{field.name}"
    for name in vars(constants):
        if name.isupper() and not name.startswith(ITS_SESSION):
            yield name


def test_nothing_of_the_official_sdk_is_missing_in_the_table() -> None:
    rows = {row.official.removeprefix("constants.") for chapter in parity.lines().values() for row in chapter}
    names = set(official())
    assert len(names) > 500
    assert sorted(names - rows) == []


def test_words_and_constants_have_its_values() -> None:
    from signalwire.relay import constants

    listed = {**parity.NAMES["constants"], **parity.NAMES["words"]}
    theirs = {name: getattr(constants, name) for name in listed}
    assert {name: list(value) if isinstance(value, tuple) else value for name, value in theirs.items()} == listed
