"""Test programs that use this package: a simulated platform, and faster timeouts.

With pytest, the fixtures ``relay_simulator``, ``relay_client`` and ``relay_time`` come with the package
(:mod:`relay_sync.pytest_plugin`). Without it::

    from relay_sync.testing import simulated

    with simulated() as (sim, client):
        client.on_call(my_handler)
        phone = sim.call(to="+15550100", from_="+15550199")
        assert phone.heard("Welcome")
        assert phone.sent("calling.stream", track="inbound_track")
"""

from __future__ import annotations

import os
import re
import threading
import time
import traceback
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, overload

from attrs import define, field, frozen

from .client.client import RelayClient
from .errors import CallEnded, ClientClosed, RelayError, WaitTimeout
from .params import values
from .simulator import Simulator
from .simulator.core import pace
from .text.wording import counted
from .threads import callback_errors, timeouts
from .threads.lanes import Lanes, known_lanes
from .threads.starting import join_all

__all__ = ["HandlerErrors", "RaisedError", "environment_of", "faster", "handler_errors", "simulated"]

#: Seconds that handlers have to finish, or raise, at the end of a test.
HANDLER_PATIENCE: Final = 1.0
#: The prefixes of the names of handler threads: of calls, and of streams.
_HANDLERS: Final = re.compile(r"relay-call-|relay-audio-\d+-stream-")

#: Variables that would direct a client away from the simulator.
MISLEADING: Final = ("SIGNALWIRE_JWT_TOKEN", "SIGNALWIRE_RELAY_CA_FILE", "SIGNALWIRE_RELAY_SCHEME")


@contextmanager
def simulated(contexts: Iterable[str] = ("default",), **options: Any) -> Iterator[tuple[Simulator, RelayClient]]:
    """Run a simulator and a client that is connected to it. The calls, the client and the simulator end with the block.

    Inside the block, ``RelayClient()`` without arguments also connects to the simulator: its credentials are in the environment.
    Exceptions of handlers are logged; :func:`handler_errors` collects them for the test.

    A fault that was requested but did not occur causes a warning at the end: the test has not tested it.

    :param contexts: the contexts of the client.
    :param options: parameters of :class:`relay_sync.simulator.Simulator`; ``media`` defaults to ``"fast"``.
    """
    with Simulator(**{"media": "fast", **options}) as sim, environment_of(sim):
        client = RelayClient(**sim.credentials, contexts=contexts)
        client.connect()
        try:
            yield sim, client
        finally:
            client.disconnect(hangup_calls=True)
            wait_for_handlers()  # while the simulator and its variables are there: they may still use them
    warn_of_unused_faults(sim)


def warn_of_unused_faults(sim: Simulator) -> None:
    """Warn of each fault that a test has requested and that has not occurred."""
    for fault in sim.faults.unused():
        message = f"a requested fault did not occur: {fault} (Simulator.clear_faults() cancels faults)"
        warnings.warn(message, RuntimeWarning, stacklevel=2)


@frozen
class RaisedError:
    """An exception that user code raised.

    :ivar where: the code that raised it, such as ``the on_call handler of call ...``.
    :ivar error: the exception.
    """

    where: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.where} raised:\n{''.join(traceback.format_exception(self.error)).rstrip()}"


@define(eq=False)
class HandlerErrors(Sequence[RaisedError]):
    """The exceptions that handlers and callbacks have raised so far, in order. It may grow at any time, from any thread.

    :class:`~relay_sync.CallEnded` and :class:`~relay_sync.ClientClosed` are ignored: they end a handler when the caller hangs up
    or the program ends. Exceptions of handlers and callbacks that an earlier block has left running are ignored, too.
    """

    _earlier: frozenset[threading.Thread] = field(factory=frozenset, repr=False)
    _earlier_callbacks: Mapping[Lanes, int] = field(factory=dict, repr=False)  # that ran, and for how many rests
    _found: list[RaisedError] = field(factory=list, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)
    _ending: bool = field(default=False, init=False, repr=False)

    def wait(self, timeout: float = 5.0) -> RaisedError:
        """Block until an exception is raised, and return the first one.

        :param timeout: seconds to wait.
        :return: the first exception.
        :raises WaitTimeout: nothing was raised before the timeout.
        """
        timeout = values.timeout(timeout, optional=False)
        with self._changed:
            if not self._changed.wait_for(lambda: self._found, timeout):
                raise WaitTimeout(f"no handler or callback raised anything within {timeout:g} s")
            return self._found[0]

    def stop_expecting_calls(self) -> None:
        """Ignore errors of this package from now on: calls are hung up and clients closed, which makes handlers fail."""
        self._ending = True

    def late(self) -> str:
        """Wait for handlers and callbacks that were started inside the block.

        :return: a description of the handlers and callbacks that are still running; ``""`` if there are none.
        """
        if wait_for_handlers(HANDLER_PATIENCE):
            return ""
        handlers = [each for each in _handlers() if each not in self._earlier]
        callbacks = [each for lanes in known_lanes if not self._knew(lanes) for each in lanes.serving]
        found = [
            f"{counted(len(late), what)} still running {HANDLER_PATIENCE:g} s after the test's end"
            f" ({', '.join(thread.name for thread in late)})"
            for what, late in (("handler", handlers), ("callback", callbacks))
            if late
        ]
        return ", ".join(found)

    def _knew(self, lanes: Lanes) -> bool:
        """Return whether callbacks of a client have been running since before the block."""
        return self._earlier_callbacks.get(lanes) == lanes.rests

    def take(self, where: str, error: BaseException) -> None:
        """Add an exception.

        :param where: the code that raised it.
        :param error: the exception.
        """
        if isinstance(error, (CallEnded, ClientClosed)) or (self._ending and isinstance(error, RelayError)):
            return
        if threading.current_thread() in self._earlier or any(self._knew(each) for each in known_lanes if each.inside):
            return  # caused by an earlier test, which got the warning
        with self._changed:
            self._found.append(RaisedError(where, error))
            self._changed.notify_all()

    @overload
    def __getitem__(self, index: int) -> RaisedError: ...

    @overload
    def __getitem__(self, index: slice) -> list[RaisedError]: ...

    def __getitem__(self, index: int | slice) -> RaisedError | list[RaisedError]:
        return self._found[index]

    def __len__(self) -> int:
        return len(self._found)


@contextmanager
def handler_errors() -> Iterator[HandlerErrors]:
    """Collect the exceptions that handlers and callbacks of this process raise inside the block.

    ::

        with handler_errors() as errors, simulated() as (sim, client):
            ...
        assert not errors
    """
    with collected() as found:
        yield found
        late = found.late()
        if late:
            warnings.warn(f"{late}: exceptions that they raise from now on fail no test", RuntimeWarning, stacklevel=3)


@contextmanager
def collected() -> Iterator[HandlerErrors]:
    """Collect the exceptions, without a warning about handlers that keep running."""
    found = HandlerErrors(frozenset(_handlers()), {each: each.rests for each in known_lanes if each.serving})
    callback_errors.listeners.append(found.take)
    try:
        yield found
    finally:
        callback_errors.listeners.remove(found.take)


def _handlers() -> list[threading.Thread]:
    """Return the threads of running handlers. Each serves one call or stream; the threads of callbacks are reused."""
    here = threading.current_thread()
    return [each for each in threading.enumerate() if _HANDLERS.match(each.name) and each is not here]


def wait_for_handlers(timeout: float = HANDLER_PATIENCE) -> bool:
    """Wait until no handler or callback is running in this process.

    :param timeout: seconds to wait at most.
    :return: whether none is running.
    """
    end = time.monotonic() + values.timeout(timeout, optional=False)
    handlers = _handlers()
    join_all(handlers, end - time.monotonic())
    idle = [lanes.wait_until_idle(end - time.monotonic()) for lanes in known_lanes]
    return all(idle) and not any(thread.is_alive() for thread in handlers)


def variables_of(sim: Simulator) -> dict[str, str]:
    """Return the variables that direct a client to a simulator."""
    given = sim.credentials
    return {
        "SIGNALWIRE_PROJECT_ID": given["project"],
        "SIGNALWIRE_API_TOKEN": given["token"],
        "SIGNALWIRE_SPACE": given["host"],
    }


@contextmanager
def environment_of(sim: Simulator) -> Iterator[Mapping[str, str]]:
    """Put the credentials of a simulator in the environment of this process, and restore it at the end.

    :param sim: the simulator.
    :return: the variables that were set.
    """
    wanted = variables_of(sim)
    before = {name: os.environ.get(name) for name in (*wanted, *MISLEADING)}
    for name in MISLEADING:
        os.environ.pop(name, None)
    os.environ.update(wanted)
    try:
        yield wanted
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def faster(factor: float) -> Iterator[None]:
    """Make waits in this process time out sooner: with a factor of 100, ``action.wait(timeout=30)`` waits 0.3 seconds.

    Use it to test how a program behaves when a call is not answered, no digit is pressed or the remote party does not hang up. It
    applies to waits for events (:meth:`Action.wait`, ``Call.wait_for...``, ``Call.expect``, ``Message.wait``), not to the request
    timeout of commands.

    Timeouts that commands pass to the simulated platform are shortened as well: those of collectors, recordings and detectors, of
    ringing, and ``max_duration``. With a factor of 100, ``initial_timeout=5`` takes 0.05 seconds. Timeouts that are already
    running, and a caller's own ``ring_timeout`` and ``hangs_up_after``, are not changed.

    :param factor: how many times sooner, at least 1.
    :raises InvalidParameter: the factor is not a number of at least 1.
    """
    number = values.number("factor", factor, low=1, optional=False)
    before = timeouts.factor, pace.hurry
    timeouts.factor = pace.hurry = float(number or 1)
    try:
        yield
    finally:
        timeouts.factor, pace.hurry = before
