"""Helpers for testing programs that use relay_sync.

For pytest, the package provides the fixtures ``relay_simulator``, ``relay_client``, ``relay_time`` and ``relay_errors``. See
:mod:`relay_sync.pytest_plugin`. With other test frameworks, use the functions in this module::

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

#: Maximum time to wait for handlers at the end of a test, in seconds.
HANDLER_PATIENCE: Final = 1.0
#: Names of the threads that run call and stream handlers.
_HANDLERS: Final = re.compile(r"relay-call-|relay-audio-\d+-stream-")

#: Environment variables that would prevent a client from connecting to the simulator.
MISLEADING: Final = ("SIGNALWIRE_JWT_TOKEN", "SIGNALWIRE_RELAY_CA_FILE", "SIGNALWIRE_RELAY_SCHEME")


@contextmanager
def simulated(contexts: Iterable[str] = ("default",), **options: Any) -> Iterator[tuple[Simulator, RelayClient]]:
    """Context manager that starts a simulator and connects a client to it.

    On exit, live calls are hung up, and the client and the simulator are closed. Inside the block, the simulator's credentials
    are set in the environment, so ``RelayClient()`` without arguments also connects to the simulator.

    If message or task handlers are still running on exit, their commands and waits raise :class:`relay_sync.ClientClosed`. The
    context manager waits a few seconds for these handlers to return. To let a handler finish its work, end the block with
    ``event.wait(timeout)``, where ``event`` is a :class:`threading.Event` that the handler sets.

    Exceptions raised by handlers are logged. Use :func:`handler_errors` to collect them.

    If a fault was requested but did not occur, a warning is issued on exit, because the test did not cover the fault.

    :param contexts: contexts for the client.
    :param options: parameters of :class:`relay_sync.simulator.Simulator`. ``media`` defaults to ``"fast"``.
    """
    with Simulator(**{"media": "fast", **options}) as sim, environment_of(sim):
        client = RelayClient(**sim.credentials, contexts=contexts)
        client.connect()
        try:
            yield sim, client
        finally:
            client.disconnect(hangup_calls=True)
            wait_for_handlers()  # Handlers may still use the simulator and its environment variables.
    warn_of_unused_faults(sim)


def warn_of_unused_faults(sim: Simulator) -> None:
    """Issue a warning for each fault that was requested but did not occur."""
    for fault in sim.faults.unused():
        message = f"a requested fault did not occur: {fault} (Simulator.clear_faults() cancels faults)"
        warnings.warn(message, RuntimeWarning, stacklevel=2)


@frozen
class RaisedError:
    """Exception raised by a handler or callback.

    :ivar where: description of the handler or callback, such as ``the on_call handler of call ...``.
    :ivar error: the exception.
    """

    where: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.where} raised:\n{''.join(traceback.format_exception(self.error)).rstrip()}"


@define(eq=False)
class HandlerErrors(Sequence[RaisedError]):
    """Exceptions raised by handlers and callbacks, in order. Other threads may add exceptions at any time.

    :class:`relay_sync.CallEnded` and :class:`relay_sync.ClientClosed` are not included, because handlers normally end with these
    exceptions when the caller hangs up or the client is closed. Exceptions from handlers and callbacks that were already running
    when the block started are not included, either.
    """

    _earlier: frozenset[threading.Thread] = field(factory=frozenset, repr=False)
    # Clients whose callbacks were already running, with the value of Lanes.rests at that time.
    _earlier_callbacks: Mapping[Lanes, int] = field(factory=dict, repr=False)
    _found: list[RaisedError] = field(factory=list, init=False)
    _changed: threading.Condition = field(factory=threading.Condition, init=False, repr=False)
    _ending: bool = field(default=False, init=False, repr=False)

    def wait(self, timeout: float = 5.0) -> RaisedError:
        """Wait until an exception is raised.

        :param timeout: maximum time to wait, in seconds.
        :return: the first exception.
        :raises WaitTimeout: no exception was raised before the timeout.
        """
        timeout = values.timeout(timeout, optional=False)
        with self._changed:
            if not self._changed.wait_for(lambda: self._found, timeout):
                raise WaitTimeout(f"no handler or callback raised anything within {timeout:g} s")
            return self._found[0]

    def stop_expecting_calls(self) -> None:
        """Ignore further exceptions of type :class:`RelayError`.

        Handlers raise such exceptions when their calls are hung up and the client is closed at the end of the test.
        """
        self._ending = True

    def late(self) -> str:
        """Wait for handlers and callbacks that were started inside the block.

        :return: description of the handlers and callbacks still running, or ``""`` if there are none.
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
        """Return whether a client's callbacks have been running continuously since before the block."""
        return self._earlier_callbacks.get(lanes) == lanes.rests

    def take(self, where: str, error: BaseException) -> None:
        """Add an exception.

        :param where: description of the handler or callback.
        :param error: the exception.
        """
        if isinstance(error, (CallEnded, ClientClosed)) or (self._ending and isinstance(error, RelayError)):
            return
        if threading.current_thread() in self._earlier or any(self._knew(each) for each in known_lanes if each.inside):
            return  # The handler was started by an earlier test, which reported it as still running.
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
    """Context manager that collects the exceptions raised by handlers and callbacks.

    ::

        with handler_errors() as errors, simulated() as (sim, client):
            ...
        assert not errors
    """
    with collected() as found:
        yield found
        late = found.late()
        if late:
            warnings.warn(
                f"{late}: exceptions that they raise from now on will not fail any test", RuntimeWarning, stacklevel=3
            )


@contextmanager
def collected() -> Iterator[HandlerErrors]:
    """Context manager that collects exceptions. It does not warn about handlers that are still running on exit."""
    found = HandlerErrors(frozenset(_handlers()), {each: each.rests for each in known_lanes if each.serving})
    callback_errors.listeners.append(found.take)
    try:
        yield found
    finally:
        callback_errors.listeners.remove(found.take)


def _handlers() -> list[threading.Thread]:
    """Return the threads that run call and stream handlers. The threads that run callbacks are not included."""
    here = threading.current_thread()
    return [each for each in threading.enumerate() if _HANDLERS.match(each.name) and each is not here]


def wait_for_handlers(timeout: float = HANDLER_PATIENCE) -> bool:
    """Wait until no handler or callback is running in this process.

    :param timeout: maximum time to wait, in seconds.
    :return: ``True`` if no handler or callback is running.
    """
    end = time.monotonic() + values.timeout(timeout, optional=False)
    handlers = _handlers()
    join_all(handlers, end - time.monotonic())
    idle = [lanes.wait_until_idle(end - time.monotonic()) for lanes in known_lanes]
    return all(idle) and not any(thread.is_alive() for thread in handlers)


def variables_of(sim: Simulator) -> dict[str, str]:
    """Return the environment variables that point a client to a simulator."""
    given = sim.credentials
    return {
        "SIGNALWIRE_PROJECT_ID": given["project"],
        "SIGNALWIRE_API_TOKEN": given["token"],
        "SIGNALWIRE_SPACE": given["host"],
    }


@contextmanager
def environment_of(sim: Simulator) -> Iterator[Mapping[str, str]]:
    """Context manager that sets environment variables to a simulator's credentials, and restores them on exit.

    :param sim: the simulator.
    :return: the environment variables that were set.
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
    """Context manager that shortens timeouts. With a factor of 100, ``action.wait(timeout=30)`` waits for 0.3 seconds.

    Use it to test how a program behaves if a call is not answered, no digit is pressed or the remote party does not hang up. It
    applies to methods that wait for events, such as :meth:`Action.wait`, ``Call.wait_for_answered``, ``Call.expect`` and
    ``Message.wait``. It does not apply to commands' request timeouts.

    It also applies to timeouts in commands sent to the simulator, such as ring timeouts, ``max_duration``, and the timeouts of
    recordings, detectors and digit collection. With a factor of 100, ``initial_timeout=5`` expires after 0.05 seconds. Timeouts
    that are already running are not changed, and neither are simulated phones' ``ring_timeout`` and ``hangs_up_after``.

    :param factor: number by which timeouts are divided, at least 1.
    :raises InvalidParameter: the factor is less than 1 or not a number.
    """
    number = values.number("factor", factor, low=1, optional=False)
    before = timeouts.factor, pace.hurry
    timeouts.factor = pace.hurry = float(number or 1)
    try:
        yield
    finally:
        timeouts.factor, pace.hurry = before
