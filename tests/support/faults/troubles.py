"""What befalls the program itself while a client works: signals, forks, a full disk, handlers of the log.

A work is a function: it sets a client to something on the main thread, lets the trouble strike once that waits, lets what is
waited for happen, and tells what the user saw, in the words of :mod:`tests.support.faults.moments`.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from attrs import frozen

from relay_sync.audio import AudioServer, recorder
from tests.support.background import Background
from tests.support.faults.moments import PATIENCE, Kind, Stage
from tests.support.forks import exit_code
from tests.support.lines import FROM, TO

__all__ = ["AS_USUAL", "TROUBLES", "WORKS", "Trouble"]

#: No fault of the connection.
AS_USUAL: Final = Kind(told="nothing is wrong with the connection", breaks=False)
#: Seconds for what a child sees, in which nothing is waited for there.
SOON: Final = 5.0

Work = Callable[[Stage, "Trouble"], str]


@frozen(kw_only=True)
class Trouble:
    """Something that befalls a program.

    :ivar told: what it is, for the reader of the table. :ivar around: what is so from the beginning.
    :ivar strikes: what happens on another thread while the main thread waits; what it returns is called at the end, and tells
        what is seen elsewhere.
    """

    told: str
    around: Callable[[Stage], AbstractContextManager[None]] = lambda stage: nullcontext()
    strikes: Callable[[Stage, Callable[[], object]], Callable[[], str] | None] = lambda stage, again: None


def during(
    trouble: Trouble,
    stage: Stage,
    work: Callable[[], object],
    then: Callable[[], object],
    again: Callable[[], object] | None = None,
) -> str:
    """Work on this thread; once it waits the trouble strikes, and then what is waited for happens.

    :param again: what a child does that was forked meanwhile.
    """
    main = threading.main_thread().ident

    def other() -> Callable[[], str] | None:
        end = time.monotonic() + PATIENCE
        while not _waits(sys._current_frames()[main or 0]):
            assert time.monotonic() < end, "it does not wait"
            time.sleep(0.001)  # the state of another thread is not told
        seen = trouble.strikes(stage, again or work)
        then()
        return seen

    helping = Background(other)
    try:
        work()
        outcome = "value"
    except (Exception, KeyboardInterrupt) as error:
        outcome = type(error).__name__
    elsewhere = helping.result(PATIENCE)
    return outcome if elsewhere is None else elsewhere()


def _waits(frame: Any) -> bool:
    """Whether a thread sleeps inside the SDK."""
    return frame is not None and Path(frame.f_code.co_filename).name in ("flag.py", "waiter.py")


# -- works ---------------------------------------------------------------------------------------------------------------


def a_command(stage: Stage, trouble: Trouble) -> str:
    _, call = stage.call()
    stage.sim.hold("calling.denoise")

    def release() -> None:
        stage.sim.wait_for_held("calling.denoise", PATIENCE)
        stage.sim.release("calling.denoise")

    return during(trouble, stage, lambda: stage.command(call), release, lambda: stage.command(call, SOON))


def an_action(stage: Stage, trouble: Trouble) -> str:
    phone, call = stage.call()
    action = call.play_silence(600)

    def finish() -> None:
        params = {"call_id": phone.call_id, "node_id": stage.sim.settings.node, "control_id": action.control_id}
        stage.sim.send_event("calling.call.play", {**params, "state": "finished"})

    return during(trouble, stage, lambda: action.wait(PATIENCE), finish, lambda: action.wait(SOON))


def a_dial(stage: Stage, trouble: Trouble) -> str:
    stage.connect()
    stage.sim.hold("calling.dial", times=1)

    def release() -> None:
        stage.sim.wait_for_held("calling.dial", PATIENCE)
        stage.sim.release("calling.dial")

    def dial() -> None:
        stage.client.dial(to=TO, from_=FROM, dial_timeout=PATIENCE)

    return during(trouble, stage, dial, release)


def a_recording(stage: Stage, trouble: Trouble) -> str:
    stage.connect()
    phone = stage.sim.call(to=TO, from_=FROM)
    call = stage.desk.take()
    call.answer()
    with AudioServer() as audio, TemporaryDirectory() as folder:
        stream = audio.listen(call, timeout=PATIENCE)
        phone.say("hello")

        def kept() -> None:
            stream.wait(PATIENCE)
            stream.save(Path(folder) / "call.wav")

        outcome = during(trouble, stage, kept, phone.hang_up, lambda: stream.wait(SOON))
        stream.wait(PATIENCE)
    return outcome


WORKS: Final[dict[str, tuple[str, Work]]] = {
    "command": ("a command waits for its reply", a_command),
    "action": ("during `action.wait()`", an_action),
    "dial": ("during `dial()`", a_dial),
    "recording": ("during `stream.wait()`, followed by `save()`", a_recording),
}


# -- troubles ------------------------------------------------------------------------------------------------------------


def _interrupted(stage: Stage, again: Callable[[], object]) -> None:
    os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def _commands_in_a_handler(stage: Stage) -> Iterator[None]:
    before = signal.signal(
        signal.SIGUSR1, lambda number, frame: stage.client.execute("signalwire.ping", timeout=PATIENCE)
    )
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def _signalled(stage: Stage, again: Callable[[], object]) -> None:
    pings = len(stage.sim.journal.requests("signalwire.ping"))
    os.kill(os.getpid(), signal.SIGUSR1)
    stage.sim.journal.wait_for(lambda entry: len(stage.sim.journal.requests("signalwire.ping")) > pings, PATIENCE)


def _fork(run: Callable[[], object]) -> Callable[[], str]:
    """:return: tells what a child saw."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            run()
            seen = "value"
        except BaseException as error:
            seen = type(error).__name__
        os.write(write, seen.encode())
        os._exit(0)
    os.close(write)

    def told() -> str:
        assert exit_code(child) == 0
        with os.fdopen(read) as pipe:
            return pipe.read()

    return told


def _forked_parent(stage: Stage, again: Callable[[], object]) -> None:
    assert _fork(lambda: None)() == "value"


def _forked_child(stage: Stage, again: Callable[[], object]) -> Callable[[], str]:
    return _fork(again)


class _Handler(logging.Handler):
    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(logging.DEBUG)
        self.act = act

    def emit(self, record: logging.LogRecord) -> None:
        self.act()


@contextmanager
def _logging_to(handler: logging.Handler) -> Iterator[None]:
    log = logging.getLogger("relay_sync")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def _raise() -> None:
    raise RuntimeError("a handler of the log raises")


@contextmanager
def _blocking_log(stage: Stage) -> Iterator[None]:
    """What we write on threads of ours is blocked; what is written on the user's own would hold up the user."""
    over = threading.Event()

    def act() -> None:
        if threading.current_thread().name.startswith("relay-"):
            over.wait(PATIENCE)

    with _logging_to(_Handler(act)):
        try:
            yield
        finally:
            over.set()


@contextmanager
def _full_disk(stage: Stage) -> Iterator[None]:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(recorder, "_pwrite", full)
        patched.setattr(logging, "raiseExceptions", False)
        device = io.StringIO()
        patched.setattr(device, "write", full)
        with _logging_to(logging.StreamHandler(device)):
            yield


TROUBLES: Final[dict[str, Trouble]] = {
    "Ctrl-C": Trouble(told="`SIGINT`, with Python's own handler", strikes=_interrupted),
    "a signal": Trouble(
        told="a signal handler sends a command and waits for its reply",
        around=_commands_in_a_handler,
        strikes=_signalled,
    ),
    "a fork": Trouble(told="another thread forks; what the parent gets", strikes=_forked_parent),
    "a child": Trouble(told="another thread forks; what the child gets from the same operation", strikes=_forked_child),
    "a full disk": Trouble(told="neither recordings nor log files can be written", around=_full_disk),
    "a log that raises": Trouble(
        told="a logging handler raises each time", around=lambda stage: _logging_to(_Handler(_raise))
    ),
    "a log that blocks": Trouble(told="a logging handler blocks", around=_blocking_log),
}
