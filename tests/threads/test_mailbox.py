"""Mailboxes: in order, bounded, with an end that comes after the last item, whatever the threads do."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync.errors import CallEnded, QueueFull, WaitTimeout, WrongThread
from relay_sync.threads.mailbox import Mailbox, MailboxClosed
from tests.support import PATIENCE
from tests.support.background import Background


def nothing_came() -> WaitTimeout:
    return WaitTimeout("nothing came")


def read(mailbox: Mailbox[Any], timeout: float | None = PATIENCE) -> Any:
    return mailbox.get(timeout, nothing_came)


def read_all(mailbox: Mailbox[Any]) -> tuple[list[Any], BaseException | None]:
    """Everything up to the end, and the reason of the end."""
    items = []
    while True:
        try:
            items.append(read(mailbox))
        except MailboxClosed as end:
            return items, end.error


@pytest.fixture
def mailbox() -> Mailbox[Any]:
    return Mailbox(1000)


def test_items_come_out_in_order_and_then_the_end(mailbox: Mailbox[Any]) -> None:
    for number in range(5):
        mailbox.put(number)
    error = CallEnded("over")
    mailbox.close(error)
    assert read_all(mailbox) == ([0, 1, 2, 3, 4], error)
    with pytest.raises(MailboxClosed):
        read(mailbox)


@pytest.mark.parametrize("item", [None, False, 0, ""])
def test_any_item_is_an_item(mailbox: Mailbox[Any], item: Any) -> None:
    mailbox.put(item)
    assert read(mailbox, 0.0) is item


def test_the_first_reason_of_an_end_stays_and_nothing_comes_after_it(mailbox: Mailbox[Any]) -> None:
    mailbox.close(None)
    mailbox.close(CallEnded("late"))
    mailbox.put(1)
    assert read_all(mailbox) == ([], None)


def test_a_reader_that_falls_behind_gets_what_there_is_and_is_told() -> None:
    mailbox: Mailbox[int] = Mailbox(3)
    for number in range(10):
        mailbox.put(number)
    items, error = read_all(mailbox)
    assert items == [0, 1, 2]
    assert isinstance(error, QueueFull)
    assert "read faster" in str(error)


def test_reading_makes_room() -> None:
    mailbox: Mailbox[int] = Mailbox(2)
    for number in range(100):
        mailbox.put(number)
        assert read(mailbox) == number


@pytest.mark.parametrize("timeout", [0.0, 0.01, -1.0])
def test_a_read_that_found_nothing_loses_nothing(mailbox: Mailbox[Any], timeout: float) -> None:
    for _ in range(2):
        with pytest.raises(WaitTimeout):
            read(mailbox, timeout)
    mailbox.put("x")
    assert read(mailbox, timeout) == "x"


def test_a_timeout_is_the_time_of_the_whole_read(mailbox: Mailbox[Any]) -> None:
    """Wake-ups that bring nothing do not make it longer."""
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            mailbox._bell.ring()

    disturbing = Background(disturb)
    start = time.monotonic()
    with pytest.raises(WaitTimeout):
        read(mailbox, 0.05)
    assert 0.05 <= time.monotonic() - start < PATIENCE
    stop.set()
    disturbing.result()


def test_a_reader_that_waits_is_woken_by_an_item_and_by_the_end(mailbox: Mailbox[Any]) -> None:
    reading = Background(read, mailbox, None)
    mailbox.put(1)
    assert reading.result() == 1
    reading = Background(read, mailbox, None)
    mailbox.close()
    with pytest.raises(MailboxClosed):
        reading.result()


def test_nothing_is_lost_or_late_between_two_threads() -> None:
    for _ in range(20):
        mailbox: Mailbox[int] = Mailbox(100_000)
        reading = Background(read_all, mailbox)
        for number in range(500):
            mailbox.put(number)
        mailbox.close()
        items, _ = reading.result()
        assert items == list(range(500))


class Interrupted(deque[Any]):
    """Items that let the other thread have its turn each time somebody looks whether there are any."""

    def __init__(self, turn: Callable[[], None]) -> None:
        super().__init__()
        self._turns = [turn]

    def __bool__(self) -> bool:
        found = len(self) > 0
        if self._turns:
            self._turns.pop()()
        return found


def test_an_item_that_comes_with_the_end_while_the_reader_looks_is_not_lost(mailbox: Mailbox[Any]) -> None:
    def other_thread() -> None:
        mailbox.put("last")
        mailbox.close()

    mailbox._items = Interrupted(other_thread)
    assert read_all(mailbox) == (["last"], None)


def test_an_item_that_comes_while_the_reader_looks_is_seen_without_a_wait(mailbox: Mailbox[Any]) -> None:
    mailbox._items = Interrupted(lambda: mailbox.put("now"))
    assert read(mailbox, 0.0) == "now"


@pytest.mark.usefixtures("on_io_thread")
def test_the_io_thread_may_read_what_is_there_but_not_wait(mailbox: Mailbox[Any]) -> None:
    mailbox.put(1)
    assert read(mailbox) == 1
    with pytest.raises(WrongThread):
        read(mailbox)
    mailbox.close()
    with pytest.raises(MailboxClosed):
        read(mailbox)
