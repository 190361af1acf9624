"""The docstrings of event classes: every field is described, and inherited fields have the same words in each class."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Final

import attrs
import pytest

from relay_sync import events
from relay_sync.events import CallEvent, RelayEvent
from tests.support.fields import described, reworded

CLASSES: Final = [
    found
    for found in (getattr(events, name) for name in events.__all__)
    if isinstance(found, type) and issubclass(found, RelayEvent)
]


def redeclared(cls: type[RelayEvent]) -> set[str]:
    """The fields that a class or a base of it declares again, with a meaning of its own."""
    bases = [base for base in cls.__mro__ if base not in (RelayEvent, CallEvent)]
    return {name for base in bases for name in vars(base).get("__annotations__", {})}


@pytest.mark.parametrize("cls", CLASSES)
def test_every_field_is_described(cls: Any) -> None:
    assert set(described(cls.__doc__ or "")) == {member.name for member in attrs.fields(cls)}


@pytest.mark.parametrize("cls", CLASSES)
def test_inherited_fields_have_the_words_of_their_base(cls: type[RelayEvent]) -> None:
    bases = (RelayEvent, CallEvent) if issubclass(cls, CallEvent) else (RelayEvent,)
    assert [name for base in bases for name in reworded(cls, base, redeclared(cls))] == []


def test_shared_identifiers_have_one_text() -> None:
    texts = defaultdict(set)
    for cls in CLASSES:
        for name in ("control_id", "node_id", "status_url"):
            if words := described(cls.__doc__ or "").get(name):
                texts[name].add(words)
    assert {name: len(found) for name, found in texts.items()} == {"control_id": 1, "node_id": 1, "status_url": 1}
