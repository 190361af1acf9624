"""Threads that wake one another."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from relay_sync.threads.wake_chain import WakeChain


def test_functions_are_called_once_and_in_order() -> None:
    chain, called = WakeChain(), list[int]()
    chain.add(lambda: called.append(1))
    chain.add(lambda: called.append(2))
    assert chain
    chain.wake_one()
    assert called == [1]
    chain.wake_one()
    assert called == [1, 2]
    assert not chain
    with pytest.raises(IndexError):
        chain.wake_one()


def deeper(calls: int, function: Callable[[], object]) -> None:
    if calls:
        deeper(calls - 1, function)
    else:
        function()


def test_no_thread_is_left_asleep_by_one_whose_stack_is_full() -> None:
    limit, failed = sys.getrecursionlimit(), 0
    room = 300
    sys.setrecursionlimit(room)
    try:
        for calls in range(room):
            chain, asleep = WakeChain(), threading.Lock()
            asleep.acquire()
            chain.add(asleep.release)
            with suppress(RecursionError):
                deeper(calls, chain.wake_one)
            assert bool(chain) == asleep.locked(), calls
            failed += asleep.locked()
    finally:
        sys.setrecursionlimit(limit)
    assert failed
