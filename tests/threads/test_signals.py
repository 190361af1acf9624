"""Signals that are ours for a time: what was ignored stays ignored, what was there is put back, and a child has its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import RelayClient
from relay_sync.cli.supervisor import Supervisor
from relay_sync.simulator import Simulator
from relay_sync.threads.signals import Handled
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.forks import exit_code, in_child

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and forks as POSIX has them")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    left = [signal.getsignal(number) for number in numbers]
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)
    assert left == before


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def ended_by(number: int, child: int) -> bool:
    """Whether a signal ends a child."""
    os.kill(child, number)
    return exit_code(child) == -number


def sleeper(ready: int) -> None:
    os.write(ready, b"!")
    time.sleep(60)  # until a signal ends it


def forked() -> int:
    """A child that sleeps, as soon as it does."""
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            sleeper(told)
        finally:
            os._exit(99)
    assert os.read(ready, 1) == b"!"
    os.close(ready)
    os.close(told)
    return child


def while_running(sim: Simulator, function: Callable[[], Any]) -> Any:
    """What a function returns in another thread while the main thread is in run()."""
    client = RelayClient(**sim.credentials, contexts=["default"])

    def work() -> Any:
        try:
            return function()
        finally:
            client.stop()

    running: list[Background[Any]] = []
    client.run(on_ready=lambda: running.append(Background(work)))
    return running[0].result()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_child_forked_during_run_ends_by_the_first_signal(sim: Simulator, number: int) -> None:
    if number == signal.SIGTERM:
        assert while_running(sim, lambda: ended_by(number, forked()))
        return

    # Python's own handler raises in the child, whose main thread is the one that forked.
    def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)

    while_running(sim, lambda: in_child(interrupted))


def test_terminate_ends_a_process_of_multiprocessing(sim: Simulator) -> None:
    context = multiprocessing.get_context("fork")

    def work() -> int | None:
        read, write = os.pipe()
        process = context.Process(target=sleeper, args=(write,))
        process.start()
        os.read(read, 1)
        process.terminate()
        process.join(PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
        os.close(read)
        os.close(write)
        return process.exitcode

    assert while_running(sim, work) == -signal.SIGTERM


def test_a_child_in_which_no_hook_ran_has_the_default_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that forks in C without a word to Python: the handler itself knows whose it is."""
    told: list[int] = []
    monkeypatch.setattr(Handled, "after_fork", lambda self: None)
    with Handled(lambda number, frame: told.append(number), signal.SIGTERM):
        assert ended_by(signal.SIGTERM, forked())
        os.kill(os.getpid(), signal.SIGTERM)
    assert told == [signal.SIGTERM]


def test_a_child_forked_in_the_block_leaves_it_without_touching_its_own_handlers() -> None:
    def mine(number: int, frame: object) -> None: ...

    def check() -> None:
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        signal.signal(signal.SIGTERM, mine)
        handled.put_back()
        assert signal.getsignal(signal.SIGTERM) is mine

    with Handled(lambda number, frame: None, signal.SIGTERM) as handled:
        in_child(check)
        assert signal.getsignal(signal.SIGTERM) == handled._on_signal


@pytest.mark.parametrize("only_defaults", [False, True])
def test_what_is_ignored_stays_ignored(only_defaults: bool) -> None:
    told: list[int] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Handled(
        lambda number, frame: told.append(number), signal.SIGINT, signal.SIGTERM, only_defaults=only_defaults
    ) as handled:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert handled.numbers == {signal.SIGTERM}
    assert told == [signal.SIGTERM]
    assert handlers() == [signal.SIG_IGN, signal.SIG_DFL]
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_handler_that_the_program_sets_meanwhile_stays() -> None:
    def mine(number: int, frame: object) -> None: ...

    with Handled(lambda number, frame: None, signal.SIGINT, signal.SIGTERM):
        signal.signal(signal.SIGTERM, mine)
    assert handlers() == [signal.default_int_handler, mine]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_other_threads_and_inner_blocks_replace_nothing_for_good() -> None:
    def block() -> list[Any]:
        with Handled(lambda number, frame: None, signal.SIGTERM):
            return handlers()

    before = handlers()
    assert Background(block).result() == before
    with Handled(lambda number, frame: None, signal.SIGTERM):
        outer = handlers()
        assert block() != outer
        assert handlers() == outer
    assert handlers() == before


def test_a_supervisor_that_was_told_to_ignore_a_signal_goes_on() -> None:
    """``relay-sync run --processes 2 &`` in a script: the shell starts it with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    supervisor = Supervisor([sys.executable, "-c", "import time; time.sleep(60)"], 1, patience=PATIENCE)
    seen: list[bool] = []

    def signals() -> None:
        while not supervisor._children:  # the subject's own state: it starts its child after it has set its handlers
            threading.Event().wait(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        seen.append(supervisor._ending)
        os.kill(os.getpid(), signal.SIGTERM)

    sending = Background(signals)
    assert supervisor.run() == 0
    sending.result()
    assert seen == [False]
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)
