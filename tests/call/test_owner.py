"""``call.client`` is typed by a protocol, for calls know nothing of clients: it says what a client is, and nothing else."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any, get_overloads

import pytest

from relay_sync import Message, RelayClient
from relay_sync.call.owner import Client, SentMessage


def shown(kind: type) -> set[str]:
    annotated = {name for one in kind.__mro__ for name in vars(one).get("__annotations__", ())}
    return {name for name in {*dir(kind), *annotated} if not name.startswith("_")}


def test_it_has_the_names_of_a_client() -> None:
    assert shown(Client) == shown(RelayClient)


@pytest.mark.parametrize("name", sorted(shown(Client)))
def test_it_has_the_signatures_of_a_client(name: str) -> None:
    theirs, ours = getattr(RelayClient, name), getattr(Client, name)
    if isinstance(theirs, property):
        assert isinstance(ours, property)
    else:
        # Overloads without an implementation are found by name only.
        named: Any = SimpleNamespace(__module__=Client.__module__, __qualname__=f"Client.{name}")
        assert [parameters(one) for one in get_overloads(named) or [ours]] == [
            parameters(one) for one in get_overloads(theirs) or [theirs]
        ]


def parameters(function: Any) -> list[tuple[str, str, str]]:
    found = inspect.signature(function).parameters.values()
    # What stands for "as a decorator" is no value that anybody passes.
    return [(one.name, str(one.kind), "" if one.name == "handler" else repr(one.default)) for one in found]


def test_a_message_has_the_names_of_a_message() -> None:
    message = Message()
    assert shown(SentMessage) == {name for name in {*dir(Message), *vars(message)} if not name.startswith("_")}
