"""What many tests share: a call on the line between the simulator and a client, and threads that are waited for."""

from __future__ import annotations

import dis
import gc
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Generic, TypeVar

from attrs import define, field

from relay_sync import Call, ClientClosed, RelayClient, WaitTimeout
from relay_sync.simulator import Simulator
from relay_sync.simulator.people.phone import Phone

T = TypeVar("T")

TO, FROM = "+15550100", "+15550199"
PATIENCE = 10.0
#: Loopback, and nobody listens there: for streams whose audio does not matter.
NOWHERE = "ws://127.0.0.1:9/audio"
#: What Python's reader takes for numbers, and JSON has not, or which becomes infinity; and one that no float holds.
NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"]
HUGE = "1" + "0" * 400


class Background(Generic[T]):
    """Run a function in a thread; ``result()`` waits for it and returns or raises what it did."""

    def __init__(self, function: Callable[..., T], *args: Any) -> None:
        self._outcome: tuple[bool, Any] | None = None
        self._done = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(function, args), name="test-background", daemon=True)
        self.thread.start()

    def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        try:
            self._outcome = (True, function(*args))
        except BaseException as error:
            self._outcome = (False, error)
        self._done.set()

    def result(self, timeout: float = PATIENCE) -> T:
        assert self._done.wait(timeout), f"still running after {timeout} s"
        self.thread.join(timeout)
        assert self._outcome is not None
        good, value = self._outcome
        if not good:
            raise value
        result: T = value
        return result

    @property
    def running(self) -> bool:
        return not self._done.is_set()


def run(client: RelayClient, **options: Any) -> Background[None]:
    """``client.run()`` in another thread, once it is connected."""
    ready = threading.Event()
    running = Background(lambda: client.run(on_ready=ready.set, **options))
    assert ready.wait(PATIENCE)
    return running


def in_child(function: Callable[[], object]) -> None:
    """Fork, run the function in the child, and fail here if it failed there or did not end in time."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    # The child may hang before it runs anything: the fork itself ends objects of threads that are not there.
    assert exit_code(child) == 0


def exit_code(child: int) -> int:
    """How a child ended; one that does not end in time is killed, and fails the test."""
    waiting = Background(os.waitpid, child, 0)
    try:
        _, status = waiting.result()
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        waiting.result()
        raise
    return os.waitstatus_to_exitcode(status)


@define(eq=False)
class Desk:
    """Takes a client's inbound calls: each handler parks its call here, for the test to work with, until the end."""

    client: RelayClient
    calls: queue.SimpleQueue[Call] = field(factory=queue.SimpleQueue)
    closing: threading.Event = field(factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        self.client.on_call(self.handle)

    def handle(self, call: Call) -> None:
        self.calls.put(call)
        end = time.monotonic() + 60
        # A client that closes waits for its handlers: like most of them, this one ends with what it could wait for.
        while time.monotonic() < end and not self.closing.wait(0.02):
            if isinstance(call._over, ClientClosed) or self.client.state == "closed":
                break

    def take(self) -> Call:
        return self.calls.get(timeout=PATIENCE)


@define(eq=False)
class Line:
    """One inbound call: the simulator's end, and ours."""

    sim: Simulator
    client: RelayClient
    desk: Desk
    phone: Phone
    call: Call

    def another(self) -> tuple[Phone, Call]:
        phone = self.sim.call(to=TO, from_=FROM)
        return phone, self.desk.take()

    def drop(self, reset: bool = False) -> None:
        """Cut the RELAY connection, and return when the client is back."""
        drop(self.sim, self.client, reset)

    def wait_for_request(self, method: str, count: int = 1) -> dict[str, Any]:
        """The params of the n-th request of a method, once the server has it."""
        self.sim.journal.wait_for(lambda entry: len(self.sim.journal.requests(method)) >= count, PATIENCE)
        params: dict[str, Any] = self.sim.journal.requests(method)[count - 1]["params"]
        return params


def drop(sim: Simulator, client: RelayClient, reset: bool = False) -> None:
    """Cut the RELAY connection, and return when the client has another."""
    before = len(sim.journal.requests("signalwire.connect"))
    sim.cut(reset)
    sim.journal.wait_for(lambda entry: len(sim.journal.requests("signalwire.connect")) > before, PATIENCE)
    client.wait_until_ready(PATIENCE)


@contextmanager
def line(
    sim: Simulator, *, answered: bool = True, says: Any = None, hears: Any = None, **options: Any
) -> Iterator[Line]:
    """A client on the simulator with one call, parked in its handler."""
    client = RelayClient(**{**sim.credentials, "contexts": ["default"], **options})
    desk = Desk(client)
    try:
        client.connect()
        phone = sim.call(to=TO, from_=FROM, says=says, hears=hears)
        call = desk.take()
        if answered:
            with call.expect("calling.call.state", lambda event: event.call_state == "answered", PATIENCE):
                call.answer()
        yield Line(sim, client, desk, phone, call)
    finally:
        desk.closing.set()
        client.disconnect()


@contextmanager
def no_threads(prefix: str = "") -> Iterator[None]:
    """Threads whose names begin so cannot be started, as where the system gives none."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(prefix):
            raise RuntimeError("can't start new thread")
        start(thread)

    threading.Thread.start = refuse  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]


def everywhere(before: str) -> bool:
    """A place before each instruction: more than there are, for code that has to be safe anywhere."""
    return True


def where_signals_are_seen(before: str) -> bool:
    """A place where the interpreter looks for signals: as a function begins, after a call, on the way back in a loop. ``with`` on
    a lock of the interpreter's own is none.
    """
    return before.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))


def interrupt(step: int, function: Callable[[], object], counts: Callable[[str], bool] = everywhere) -> bool:
    """Run a function, and raise KeyboardInterrupt at its place number ``step``, as a signal handler would.

    :param counts: whether a place is one, by the name of the instruction before it.
    :return: whether it came that far.
    """
    count = 0
    last: dict[FrameType, str] = {}

    def look(frame: FrameType) -> None:
        nonlocal count
        before, last[frame] = last.get(frame, "RESUME"), dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if counts(before):
            count += 1
            if count == step:
                raise KeyboardInterrupt

    try:
        by_instructions(function, look)
    except (KeyboardInterrupt, WaitTimeout):
        pass
    return count >= step


def at_step(step: int, name: str, function: Callable[[], object], act: Callable[[], object]) -> bool:
    """Run a function, and have another thread act before its instruction number ``step``.

    :param name: of the function whose instructions count. :return: whether it came that far.
    """
    count = 0

    def look(frame: FrameType) -> None:
        nonlocal count
        if frame.f_code.co_qualname == name:
            count += 1
            if count == step:
                Background(act).result()

    by_instructions(function, look)
    return count >= step


def by_instructions(function: Callable[[], object], look: Callable[[FrameType], object]) -> None:
    """Run a function, and look at each frame before each of its instructions."""

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            look(frame)
        return trace

    outer, collects = sys.gettrace(), gc.isenabled()
    gc.disable()  # a collection calls back functions of other libraries, which are no instructions of this one
    sys._getframe().f_trace_opcodes = True  # 3.12 tells of no instructions at all if no frame wants them by now
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(outer)
        if collects:
            gc.enable()
