"""What is known of for as long as somebody else holds it is walked while other threads add to it."""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from relay_sync import RelayError, receivers
from relay_sync.text import secrecy
from relay_sync.threads import process
from relay_sync.threads.lanes import Lanes, known_lanes
from relay_sync.threads.living import Living, alive


class Receiver:
    why_silent = "it sleeps"

    def urls_like(self, url: str) -> list[str]:
        return ["wss://receiver.test"]


class Subject:
    def after_fork(self) -> None:
        pass

    def at_exit(self, timeout: float) -> None:
        pass


@contextmanager
def growing(add: Callable[[], object]) -> Iterator[None]:
    """Whenever Python code of weak tables runs, they grow, as another thread may let them do at any moment."""
    held: list[Any] = []

    def trace(frame: FrameType, what: str, argument: object) -> Any:
        if not frame.f_code.co_filename.endswith(("weakref.py", "_weakrefset.py")):
            return None
        sys.settrace(None)
        held.append(add())
        sys.settrace(trace)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
    assert held


def kept() -> secrecy.Secrets:
    return secrecy.keep(secrecy.Secrets("another-secret-word"))


def received() -> Receiver:
    receivers.register(made := Receiver())
    return made


def watched() -> Subject:
    process.watch(made := Subject())
    return made


@pytest.mark.parametrize(
    ("add", "walk", "found"),
    [
        (kept, lambda: secrecy.hide("hunter-hunter-2 was told"), "*** was told"),
        (kept, lambda: RelayError(None, "hunter-hunter-2 was told").message, "*** was told"),
        (received, lambda: receivers.asleep_at("wss://receiver.test"), "it sleeps"),
        (watched, lambda: len(list(process._watched)) > 1, True),
        (Lanes, lambda: len(list(known_lanes)) > 1, True),
    ],
    ids=["secrets", "errors", "receivers", "at exit", "lanes"],
)
def test_what_is_walked_may_grow_meanwhile(
    add: Callable[[], object], walk: Callable[[], object], found: object
) -> None:
    held = [secrecy.keep(secrecy.Secrets("hunter-hunter-2")), *(add() for _ in range(3))]
    with growing(add):
        told = walk()
    assert told == found
    assert len(held) == 4


def test_nobody_is_kept_alive() -> None:
    one, two = Receiver(), Receiver()
    living = Living([one])
    living.add(two)
    living.add(one)
    assert list(living) == [one, two]
    del one
    gc.collect()
    assert list(living) == [two]


def test_of_a_table_those_are_alive_that_somebody_holds() -> None:
    table: weakref.WeakValueDictionary[int, Receiver] = weakref.WeakValueDictionary()
    table[1] = one = Receiver()
    table[2] = Receiver()
    gc.collect()
    assert alive(table) == [one]
