"""Testing programs that use this package: a simulated platform around them, and time that passes faster.

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

#: Seconds that handlers get at the end of a test to finish, and to raise if that is what they do.
HANDLER_PATIENCE: Final = 1.0
#: How the names of the threads begin in which handlers run: those of calls, and of streams.
_HANDLERS: Final = re.compile(r"relay-call-|relay-audio-\d+-stream-")

#: Variables that would lead a client elsewhere than to the simulator.
MISLEADING: Final = ("SIGNALWIRE_JWT_TOKEN", "SIGNALWIRE_RELAY_CA_FILE", "SIGNALWIRE_RELAY_SCHEME")


@contextmanager
def simulated(contexts: Iterable[str] = ("default",), **options: Any) -> Iterator[tuple[Simulator, RelayClient]]:
    """A simulator and a client that is connected to it; both end with the block, the calls too.

    Inside, a ``RelayClient()`` without arguments connects to the simulator as well: its credentials are in the environment.
    What handlers raise is logged; :func:`handler_errors` around it collects that, for the test to look at.

    A fault that was ordered and did not happen is warned of at the end: what it was to show has not been tested.

    :param contexts: the client's. :param options: parameters of :class:`relay_sync.simulator.Simulator`. Media are
        ``"fast"`` unless said otherwise.
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
    """Warn of each fault that a test has ordered, and that has not happened."""
    for fault in sim.faults.unused():
        told = f"a fault was ordered and did not happen: {fault} (Simulator.clear_faults() takes faults back)"
        warnings.warn(told, RuntimeWarning, stacklevel=2)


@frozen
class RaisedError:
    """What user code raised.

    :ivar where: what raised, such as ``the on_call handler of call ...``. :ivar error: the exception.
    """

    where: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.where} raised:\n{''.join(traceback.format_exception(self.error)).rstrip()}"


@define(eq=False)
class HandlerErrors(Sequence[RaisedError]):
    """What handlers and callbacks have raised so far, in order; it grows, from any thread.

    :class:`~relay_sync.CallEnded` and :class:`~relay_sync.ClientClosed` are left out: the caller hung up, or the program ended,
    and the handler with it. So is what a handler or callback raises that an earlier block has left running.
    """

    _earlier: frozenset[threading.Thread] = field(factory=frozenset, repr=False)
    _earlier_callbacks: Mapping[Lanes, int] = field(factory=dict, repr=False)  # that ran, and for how many rests
    _found: list[RaisedError] = field(factory=list, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)
    _ending: bool = field(default=False, init=False, repr=False)

    def wait(self, timeout: float = 5.0) -> RaisedError:
        """The first one, as soon as there is one.

        :raises WaitTimeout: nothing was raised within ``timeout`` seconds.
        """
        timeout = values.timeout(timeout, optional=False)
        with self._changed:
            if not self._changed.wait_for(lambda: self._found, timeout):
                raise WaitTimeout(f"no handler or callback raised anything within {timeout:g} s")
            return self._found[0]

    def stop_expecting_calls(self) -> None:
        """From now on calls are hung up and clients closed: what fails for that reason is no mistake of the handlers."""
        self._ending = True

    def late(self) -> str:
        """Wait for handlers and callbacks that were begun inside the block. :return: which still run after that; empty where none
        does.
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
        """Whether callbacks of a client have been running since before the block."""
        return self._earlier_callbacks.get(lanes) == lanes.rests

    def take(self, where: str, error: BaseException) -> None:
        """One more."""
        if isinstance(error, (CallEnded, ClientClosed)) or (self._ending and isinstance(error, RelayError)):
            return
        if threading.current_thread() in self._earlier or any(self._knew(each) for each in known_lanes if each.inside):
            return  # the mistake of an earlier test, which was warned of it
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
    """Collect what handlers and callbacks of this process raise inside the block.

    ::

        with handler_errors() as errors, simulated() as (sim, client):
            ...
        assert not errors
    """
    with collected() as found:
        yield found
        late = found.late()
        if late:
            warnings.warn(f"{late}: what they raise now fails no test", RuntimeWarning, stacklevel=3)


@contextmanager
def collected() -> Iterator[HandlerErrors]:
    """Collect what is raised inside the block, and say nothing of handlers that it leaves running."""
    found = HandlerErrors(frozenset(_handlers()), {each: each.rests for each in known_lanes if each.serving})
    callback_errors.listeners.append(found.take)
    try:
        yield found
    finally:
        callback_errors.listeners.remove(found.take)


def _handlers() -> list[threading.Thread]:
    """The threads of handlers that run. Each has one call or stream, unlike those of callbacks, which are there for the next
    event.
    """
    here = threading.current_thread()
    return [each for each in threading.enumerate() if _HANDLERS.match(each.name) and each is not here]


def wait_for_handlers(timeout: float = HANDLER_PATIENCE) -> bool:
    """Return when no handler or callback runs any more in this process, or ``timeout`` seconds have passed.

    :return: whether none does.
    """
    end = time.monotonic() + values.timeout(timeout, optional=False)
    handlers = _handlers()
    join_all(handlers, end - time.monotonic())
    idle = [lanes.wait_until_idle(end - time.monotonic()) for lanes in known_lanes]
    return all(idle) and not any(thread.is_alive() for thread in handlers)


def variables_of(sim: Simulator) -> dict[str, str]:
    """The variables that lead a client to a simulator."""
    given = sim.credentials
    return {
        "SIGNALWIRE_PROJECT_ID": given["project"],
        "SIGNALWIRE_API_TOKEN": given["token"],
        "SIGNALWIRE_SPACE": given["host"],
    }


@contextmanager
def environment_of(sim: Simulator) -> Iterator[Mapping[str, str]]:
    """Put the credentials of a simulator into the environment of this process, and take them out again.

    :return: what was put there.
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
    """Have waits give up that many times sooner: of ``action.wait(timeout=30)`` a factor of 100 leaves 0.3 seconds.

    The timeouts that commands ask the simulated platform for are shortened likewise: those of collectors, recordings and
    detectors, of ringing, and ``max_duration``. With a factor of 100 ``initial_timeout=5`` takes 0.05 seconds. One that has
    begun already stays as it is, and so do a caller's own ``ring_timeout`` and ``hangs_up_after``.

    For tests of what a program does when nobody answers, presses a key or hangs up. It is about waits for something to happen
    in a call (:meth:`Action.wait`, ``Call.wait_for...``, ``Call.expect``, ``Message.wait``); the time that commands have for
    their answers stays as it is. For all threads of this process.

    :param factor: at least 1.
    """
    number = values.number("factor", factor, low=1, optional=False)
    before = timeouts.factor, pace.hurry
    timeouts.factor = pace.hurry = float(number or 1)
    try:
        yield
    finally:
        timeouts.factor, pace.hurry = before
