"""What wakes the thread of a connection."""

from __future__ import annotations

import os
import selectors
import threading

import pytest

from relay_sync.runtime.waker import Waker

PATIENCE = 10.0


def rings(waker: Waker, timeout: float) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(waker, selectors.EVENT_READ)
        return bool(selector.select(timeout))


def test_it_rings_until_it_is_cleared() -> None:
    waker = Waker()
    assert not rings(waker, 0)
    waker.ring()
    waker.ring()
    assert rings(waker, 0)
    waker.clear()
    assert not rings(waker, 0)
    waker.clear()  # nothing has rung: that does not block
    waker.close()


def test_a_sleeping_thread_is_woken_by_another() -> None:
    waker, woken = Waker(), []
    thread = threading.Thread(target=lambda: woken.append(rings(waker, PATIENCE)), daemon=True)
    thread.start()
    waker.ring()
    thread.join(PATIENCE)
    assert woken == [True]
    waker.close()


def test_one_that_is_full_does_not_block() -> None:
    waker = Waker()
    for _ in range(70_000):  # more than a pipe holds
        waker.ring()
    assert rings(waker, 0)
    waker.close()


def test_what_is_closed_writes_into_no_other_file() -> None:
    """The number of a closed descriptor belongs to the next file that is opened."""
    waker = Waker()
    waker.close()
    reading, writing = os.pipe()  # takes the numbers that have just been given back
    os.set_blocking(reading, False)
    waker.ring()
    waker.clear()
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    waker.close()


def test_where_somebody_has_closed_its_descriptors_it_closes_without_a_word() -> None:
    waker = Waker()
    taken = (waker._in.fileno(), waker._out.fileno())
    for descriptor in taken:
        os.close(descriptor)
    waker.ring()
    waker.clear()
    waker.close()


def test_a_child_that_closes_its_copy_takes_nothing_from_the_parent() -> None:
    waker = Waker()
    child = os.fork()
    if child == 0:
        waker.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    waker.ring()
    assert rings(waker, 0)
    waker.close()
