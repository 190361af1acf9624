"""Fork and exit: what the parent made knows that it is a copy, and one subject's fault is no other's."""

from __future__ import annotations

import gc
import inspect
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any

import pytest

from relay_sync.errors import Forked, WaitTimeout
from relay_sync.threads import process
from relay_sync.threads.lanes import Lanes
from relay_sync.threads.mailbox import Mailbox, MailboxClosed
from relay_sync.threads.outcome import Waiter
from tests.support import PATIENCE
from tests.support.forks import in_child

forks = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # Since 3.12 Python warns of every fork in a process with threads; here that is the subject.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def too_late() -> WaitTimeout:
    return WaitTimeout("nothing")


def with_marks(function: Any) -> Any:
    for mark in forks:
        function = mark(function)
    return function


@with_marks
def test_a_copy_of_a_waiter_raises_unless_it_was_settled_before() -> None:
    open_one: Waiter[int] = Waiter()
    settled: Waiter[int] = Waiter()
    settled.settle(5)

    def child() -> None:
        with pytest.raises(Forked, match="in a forked child, use the client itself"):
            open_one.wait(None, too_late)
        assert settled.wait(None, too_late) == 5
        own: Waiter[int] = Waiter()
        own.settle(6)
        assert own.wait(None, too_late) == 6

    in_child(child)
    open_one.settle(7)
    assert open_one.wait(None, too_late) == 7


@with_marks
def test_a_copy_of_a_mailbox_gives_what_it_holds_and_then_raises() -> None:
    mailbox: Mailbox[int] = Mailbox(5)
    mailbox.put(1)
    ended: Mailbox[int] = Mailbox(5)
    ended.close()

    def child() -> None:
        assert mailbox.get(None, too_late) == 1
        with pytest.raises(Forked):
            mailbox.get(None, too_late)
        with pytest.raises(MailboxClosed):
            ended.get(None, too_late)

    in_child(child)
    assert mailbox.get(None, too_late) == 1


@with_marks
def test_lanes_start_anew_in_a_child_whatever_the_parent_s_threads_were_doing() -> None:
    lanes = Lanes()
    gate = threading.Event()
    arrived = threading.Event()

    def block() -> None:
        arrived.set()
        assert gate.wait(PATIENCE)

    lanes.submit("a", block)
    assert arrived.wait(PATIENCE)
    # The fork may come while another thread holds the lock.
    lanes._lock.acquire()
    try:

        def child() -> None:
            lanes.after_fork()
            ran = threading.Event()
            lanes.submit("a", ran.set)
            assert ran.wait(PATIENCE)
            assert lanes.close(PATIENCE)

        in_child(child)
    finally:
        lanes._lock.release()
    gate.set()
    assert lanes.close(PATIENCE)


@with_marks
def test_generations_count_forks() -> None:
    here = process.generation()

    def child() -> None:
        assert process.generation() == here + 1
        in_child(grandchild)

    def grandchild() -> None:
        assert process.generation() == here + 2

    in_child(child)
    assert process.generation() == here


@with_marks
def test_a_child_of_an_io_thread_is_no_io_thread() -> None:
    process.io_threads.add(threading.get_ident())
    try:
        in_child(process.check_thread)
    finally:
        process.io_threads.discard(threading.get_ident())


class Subject:
    def __init__(self, fails: bool = False) -> None:
        self.told: list[str] = []
        self._fails = fails

    def after_fork(self) -> None:
        self.told.append("fork")
        if self._fails:
            raise RuntimeError("broken")

    def at_exit(self, timeout: float) -> None:
        self.told.append("exit")


@with_marks
def test_every_subject_hears_of_a_fork_though_one_of_them_is_broken() -> None:
    subjects = [Subject(fails) for fails in (True, False, True, False)]
    for subject in subjects:
        process.watch(subject)

    def child() -> None:
        assert [subject.told for subject in subjects] == [["fork"]] * 4

    in_child(child)
    assert [subject.told for subject in subjects] == [[]] * 4


def test_a_subject_is_held_weakly() -> None:
    subject = Subject()
    process.watch(subject)
    reference = weakref.ref(subject)
    del subject
    gc.collect()
    assert reference() is None


def test_every_subject_hears_of_the_end_though_one_of_them_is_broken() -> None:
    script = """
        from relay_sync.threads import process

        class Subject:
            def __init__(self, name): self.name = name
            def after_fork(self): pass
            def at_exit(self, timeout):
                print(self.name, timeout > 0, flush=True)
                raise RuntimeError("broken")

        subjects = [Subject(name) for name in "abc"]
        for subject in subjects:
            process.watch(subject)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert sorted(done.stdout.split()) == ["True", "True", "True", "a", "b", "c"]
    assert done.returncode == 0


# -- other threads' frames ---------------------------------------------------------------------------------------------


def test_nothing_is_collected_while_frames_are_read() -> None:
    """A collection lets other threads run, and their frames vanish under the interpreter that reads them."""
    waiting, inside = threading.Event(), list[str]()
    lines, first = inspect.getsourcelines(process._importing)
    (reading,) = (number for number, line in enumerate(lines, first) if "sys._current_frames()" in line)
    threads = [threading.Thread(target=waiting.wait, name=f"test-{number}") for number in range(20)]

    def collecting(phase: str, info: dict[str, int]) -> None:
        frame = sys._getframe()
        while frame.f_back is not None:
            frame = frame.f_back
            if frame.f_code is process._importing.__code__ and frame.f_lineno == reading:
                inside.append(phase)

    for thread in threads:
        thread.start()
    usual = gc.get_threshold()
    gc.callbacks.append(collecting)
    gc.set_threshold(1)
    try:
        for _ in range(20):
            assert not process._importing()
            assert gc.isenabled()
        gc.disable()
        assert not process._importing()
        assert not gc.isenabled()
    finally:
        gc.enable()
        gc.set_threshold(*usual)
        gc.callbacks.remove(collecting)
        waiting.set()
        for thread in threads:
            thread.join()
    assert inside == []
