"""A TCP proxy that puts faults between a client and its server: one thread with a selector, which ends with :meth:`close`."""

from __future__ import annotations

import itertools
import queue
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, TypeVar

from attrs import define, field, frozen

from relay_sync.simulator import Simulator
from relay_sync.simulator.server import Credentials
from tests.support import PATIENCE
from tests.support.faults.fault import (
    STORM,
    AfterBytes,
    AfterSeconds,
    AtConnection,
    Corrupt,
    Cut,
    Fault,
    Refuse,
    Shape,
    Stall,
    Step,
    random_faults,
)
from tests.support.faults.pipe import Pipe, reset
from tests.support.ports import hold_port

__all__ = ["FaultProxy", "Happened"]

T = TypeVar("T")
_numbers = itertools.count(1)
WAYS: Final = ("up", "down")


@frozen
class Happened:
    """A line of a proxy's log: seconds since it started, and what was done."""

    at: float
    fault: Fault


@define(eq=False)
class Link:
    """A client's connection, and the one to the server that belongs to it."""

    number: int
    client: socket.socket
    server: socket.socket
    pipes: dict[str, Pipe]
    interests: dict[socket.socket, int] = field(factory=dict)

    @property
    def sockets(self) -> tuple[socket.socket, socket.socket]:
        return self.client, self.server


class FaultProxy:
    """Stands between a client and a server on loopback.

    ::

        with Simulator() as sim, FaultProxy(sim.port) as proxy:
            client = RelayClient(**proxy.through(sim))
            ...
            proxy.cut("silent")

    Every method may be called from any thread, and returns when what it asks for is in force. A fault for the open
    connections (:meth:`cut`, :meth:`stall`) leaves later ones alone; shapes and refusals hold until they are taken back.

    :param port: of the server on loopback. :param listen: the port to listen on; 0 takes a free one.
    :ivar log: the faults that happened, by script, by storm or by a call.
    """

    def __init__(self, port: int, *, listen: int = 0) -> None:
        self._target = ("127.0.0.1", port)
        self._selector = selectors.DefaultSelector()
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._selector.register(self._wake_in, selectors.EVENT_READ)
        self._listener: socket.socket | None = None
        #: Keeps the port for us while nobody listens there.
        self._port_holder: socket.socket | None = None
        self.port = listen
        self._links: list[Link] = []
        self._holes: list[socket.socket] = []
        self._shapes = dict.fromkeys(WAYS, Shape())
        self._corruptions: dict[str, list[Corrupt]] = {way: [] for way in WAYS}
        self._refusing: str | None = None
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._script: deque[Step] = deque()
        self._script_base = dict.fromkeys(WAYS, 0)
        self._step_since = 0.0
        self._storm = 0
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._closing = False
        self.accepted = 0
        self._passed = dict.fromkeys(WAYS, 0)
        self.log: list[Happened] = []
        self._thread = threading.Thread(target=self._run, name=f"faults-proxy-{next(_numbers)}", daemon=True)

    # -- start and end -------------------------------------------------------------------------------------------

    def start(self) -> FaultProxy:
        """Listen."""
        self._port_holder = hold_port(self.port)
        self.port = self._port_holder.getsockname()[1]
        self._listen()
        self._thread.start()
        return self

    def close(self) -> None:
        """End everything: links are reset, the thread is gone when this returns. Idempotent."""
        if self._thread.is_alive():
            self._closing = True
            self._wake_out.send(b"\0")
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive()
        self._wake_in.close()
        self._wake_out.close()
        if self._port_holder is not None:
            self._port_holder.close()

    def __enter__(self) -> FaultProxy:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}"

    def through(self, sim: Simulator) -> Credentials:
        """The credentials of a simulator, with the proxy as its address."""
        scheme = "wss" if sim.settings.ssl_context else "ws"
        return {**sim.credentials, "host": f"{scheme}://127.0.0.1:{self.port}"}

    # -- faults --------------------------------------------------------------------------------------------------

    def apply(self, fault: Fault) -> None:
        """Let a fault happen now."""
        self._do(self._apply, fault)

    def cut(self, how: str = "fin") -> None:
        """End the open connections: ``fin``, ``reset``, ``silent`` or ``deaf``."""
        self.apply(Cut(how))

    def stall(self, direction: str = "both", seconds: float = 0.0) -> None:
        """Take nothing more from the senders of the open connections, until :meth:`resume` or for so many seconds."""
        self.apply(Stall(direction, seconds))

    def resume(self) -> None:
        """End all stalls."""
        self._do(self._stall, "both", False)

    def shape(
        self, direction: str = "both", *, rate: float | None = None, segment: int | None = None, hold: float = 0.0
    ) -> None:
        """Slow down, split and merge; without arguments, do so no more."""
        self.apply(Shape(direction, rate, segment, hold))

    def corrupt(self, direction: str = "down", *, skip: int = 0, count: int = 1, mask: int = 0xFF) -> None:
        """Change bytes that come next."""
        self.apply(Corrupt(direction, skip, count, mask))

    def refuse(self, how: str | None = "unreachable") -> None:
        """Take no new connections: ``unreachable``, ``reset``, ``fin``, ``silent``; ``None`` takes them again."""
        self.apply(Refuse(how))

    def run_script(self, steps: Iterable[Step]) -> None:
        """Let faults happen in order, each when its moment has come. Replaces a script that is under way."""
        listed = list(steps)
        self._do(self._begin, listed)

    @property
    def script_left(self) -> int:
        """How many steps of the script have not happened yet."""
        return len(self._script)

    def storm(self, seed: int, *, every: tuple[float, float] = (0.5, 3.0), kinds: tuple[str, ...] = STORM) -> None:
        """Let seeded random faults happen until :meth:`calm`."""
        faults = random_faults(seed, every=every, kinds=kinds)

        def begin() -> None:
            self._storm += 1
            self._next_gust(faults, self._storm)

        self._do(begin)

    def calm(self) -> None:
        """End the storm and everything that lasts: shapes, stalls, refusals, corruption, the script."""

        def end() -> None:
            self._storm += 1
            self._script.clear()
            self._timers.clear()
            for way in WAYS:
                self._corruptions[way].clear()
            self._shape(Shape())
            self._stall("both", False)
            self._refuse(None)

        self._do(end)

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many links are open, silent ones included."""
        return len(self._links)

    def passed(self, direction: str) -> int:
        """How many bytes have left the proxy in a direction, over all connections."""
        return self._passed[direction]

    def wait_for(self, condition: Callable[[], bool], what: str = "it", timeout: float = PATIENCE) -> None:
        """Return once something of the proxy is true: ``proxy.wait_for(lambda: proxy.accepted > 1)``."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout), f"waited {timeout} s for {what}"

    # -- the thread ----------------------------------------------------------------------------------------------

    def _do(self, function: Callable[..., T], *args: Any) -> T:
        """Run something on the thread, and wait for it."""
        if threading.current_thread() is self._thread:
            return function(*args)
        done = threading.Event()
        outcome: list[T | BaseException] = []

        def run() -> None:
            try:
                outcome.append(function(*args))
            except Exception as error:
                outcome.append(error)
            done.set()

        self._inbox.put(run)
        self._wake_out.send(b"\0")
        assert done.wait(PATIENCE), "the proxy does not run"
        result = outcome[0]
        if isinstance(result, BaseException):
            raise result
        return result

    def _run(self) -> None:
        try:
            while not self._closing:
                self._turn()
        finally:
            self._closing = True
            for link in list(self._links):
                self._drop(link, reset)
            for sock in self._holes:
                reset(sock)
            self._stop_listening()
            self._drain()
            self._selector.close()

    def _turn(self) -> None:
        now = time.monotonic()
        for link in self._links:
            self._register(link, now)
        for key, mask in self._selector.select(self._patience(now)):
            if key.fileobj is self._wake_in:
                self._wake_in.recv(4096)
            elif key.fileobj is self._listener:
                self._accept()
            else:
                self._move(key.data, key.fileobj, mask)  # type: ignore[arg-type]
        self._drain()
        now = time.monotonic()
        due = [timer for timer in self._timers if timer[0] <= now]
        self._timers = [timer for timer in self._timers if timer[0] > now]
        for _, _, function in sorted(due):
            function()
        self._follow_script()
        with self._changed:
            self._changed.notify_all()

    def _drain(self) -> None:
        while True:
            try:
                function = self._inbox.get_nowait()
            except queue.Empty:
                return
            function()

    def _patience(self, now: float) -> float | None:
        times = [timer[0] for timer in self._timers]
        for link in self._links:
            times += [due for pipe in link.pipes.values() if (due := pipe.due()) is not None and due > now]
        if self._script and isinstance(self._script[0].when, AfterSeconds):
            times.append(self._step_since + self._script[0].when.seconds)
        return max(0.0, min(times) - now) if times else None

    def _later(self, seconds: float, function: Callable[[], None]) -> None:
        self._timers.append((time.monotonic() + seconds, next(_numbers), function))

    # -- connections ---------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
            self._listener.setblocking(False)
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        self.accepted += 1
        self._follow_script(arrived=self.accepted)
        if self._refusing == "reset":
            reset(client)
        elif self._refusing == "fin":
            client.close()
        elif self._refusing == "silent":
            self._holes.append(client)
        else:
            self._link(client)

    def _link(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=PATIENCE)
        except OSError:
            reset(client)
            return
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipes = {
            "up": Pipe(client, server, self._shapes["up"]),
            "down": Pipe(server, client, self._shapes["down"]),
        }
        self._links.append(Link(self.accepted, client, server, pipes))

    def _register(self, link: Link, now: float) -> None:
        wanted = dict.fromkeys(link.sockets, 0)
        for pipe in link.pipes.values():
            if pipe.wants_to_read:
                wanted[pipe.source] |= selectors.EVENT_READ
            due = pipe.due()
            if due is not None and due <= now:
                wanted[pipe.sink] |= selectors.EVENT_WRITE
        for sock, interest in wanted.items():
            before = link.interests.get(sock, 0)
            if interest and not before:
                self._selector.register(sock, interest, link)
            elif before and not interest:
                self._selector.unregister(sock)
            elif interest != before:
                self._selector.modify(sock, interest, link)
            link.interests[sock] = interest

    def _move(self, link: Link, sock: socket.socket, mask: int) -> None:
        now = time.monotonic()
        for way, pipe in link.pipes.items():
            if link not in self._links:
                return
            if pipe.source is sock and mask & selectors.EVENT_READ and not pipe.take(now, self._corruptions[way]):
                self._drop(link, reset)
                return
            due = pipe.due()
            if pipe.sink is sock and mask & selectors.EVENT_WRITE and due is not None and due <= now:
                try:
                    self._passed[way] += pipe.give(now, self._until_step(way))
                except OSError:
                    self._drop(link, reset)
                    return
            self._follow_script()
            pipe.finish()
        if link in self._links and all(pipe.source_ended for pipe in link.pipes.values()):
            if any(pipe.swallows for pipe in link.pipes.values()):
                self._drop(link, reset)
            elif all(pipe.finished for pipe in link.pipes.values()):
                self._drop(link, socket.socket.close)

    def _drop(self, link: Link, how: Callable[[socket.socket], None]) -> None:
        if link in self._links:
            self._links.remove(link)
            for sock in link.sockets:
                if link.interests.get(sock):
                    self._selector.unregister(sock)
                how(sock)

    # -- what faults do ------------------------------------------------------------------------------------------

    def _apply(self, fault: Fault) -> None:
        self.log.append(Happened(time.monotonic() - self._began, fault))
        if isinstance(fault, Cut):
            for link in list(self._links):
                self._cut(link, fault.how)
        elif isinstance(fault, Stall):
            self._stall(fault.direction, True)
            if fault.seconds:
                stalled = list(self._links)
                self._later(fault.seconds, lambda: self._stall(fault.direction, False, stalled))
        elif isinstance(fault, Shape):
            self._shape(fault)
            if fault.seconds:
                self._later(fault.seconds, lambda: self._shape(Shape(fault.direction)))
        elif isinstance(fault, Corrupt):
            self._corruptions[fault.direction].append(fault)
        else:
            self._refuse(fault.how)
            if fault.seconds:
                self._later(fault.seconds, lambda: self._refuse(None))

    def _cut(self, link: Link, how: str) -> None:
        if how in ("silent", "deaf"):
            for way in WAYS if how == "silent" else ("up",):
                link.pipes[way].swallows = True
        elif how == "reset":
            self._drop(link, reset)
        else:
            for pipe in link.pipes.values():
                pipe.cut()

    def _stall(self, direction: str, stalled: bool, links: list[Link] | None = None) -> None:
        for link in self._links if links is None else links:
            for way in _ways(direction):
                link.pipes[way].stalled = stalled

    def _shape(self, shape: Shape) -> None:
        for way in _ways(shape.direction):
            self._shapes[way] = shape
            for link in self._links:
                link.pipes[way].shape = shape

    def _refuse(self, how: str | None) -> None:
        self._refusing = how
        if how == "unreachable":
            self._stop_listening()
        else:
            self._listen()
        if how is None:
            while self._holes:
                reset(self._holes.pop())

    # -- scripts and storms --------------------------------------------------------------------------------------

    def _begin(self, steps: list[Step]) -> None:
        self._script = deque(steps)
        self._script_base = dict(self._passed)
        self._step_since = time.monotonic()

    def _until_step(self, way: str) -> int | None:
        """How many bytes may pass before the next step of the script happens."""
        when = self._script[0].when if self._script else None
        if not isinstance(when, AfterBytes) or when.direction != way:
            return None
        return max(0, when.count - (self._passed[way] - self._script_base[way]))

    def _follow_script(self, arrived: int = 0) -> None:
        while self._script and self._is_time(self._script[0].when, arrived):
            step = self._script.popleft()
            self._step_since = time.monotonic()
            self._apply(step.fault)

    def _is_time(self, when: AfterBytes | AfterSeconds | AtConnection, arrived: int) -> bool:
        if isinstance(when, AfterBytes):
            return self._until_step(when.direction) == 0
        if isinstance(when, AfterSeconds):
            return time.monotonic() >= self._step_since + when.seconds
        return when.number == arrived

    def _next_gust(self, faults: Iterator[tuple[float, Fault]], storm: int) -> None:
        pause, fault = next(faults)

        def gust() -> None:
            if storm == self._storm:
                self._apply(fault)
                self._next_gust(faults, storm)

        self._later(pause, gust)


def _ways(direction: str) -> tuple[str, ...]:
    return WAYS if direction == "both" else (direction,)
