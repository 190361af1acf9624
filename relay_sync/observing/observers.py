"""Registry of observers for one client or audio server.

A client or audio server creates its :class:`Observers` object on the first call to ``observe()``. Until then, the reference is
``None``, so a notification costs only a comparison. The methods that send notifications have the same names as the methods of
:class:`Observer`.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import Context, copy_context
from types import TracebackType
from typing import Any, Final, Protocol

from attrs import define

from ..errors import InvalidParameter
from ..threads import logs
from ..threads.table import Recent
from .lane import lane
from .observer import Observer
from .recorder import CallRecorder, Keep, ObservedCall, ObservedEvent, check_keep, now

__all__ = ["ObservedMessage", "ObservedStream", "Observers"]

_log = logs.get("relay_sync.callbacks").later
#: Number of recently ended calls to remember, so that their late events are ignored.
MOST_OVER: Final = 1000
#: Names of an observer's methods.
_ALL: Final = tuple(name for name, value in vars(Observer).items() if inspect.isfunction(value))


class ObservedMessage(Protocol):
    """Interface of a message."""

    @property
    def message_id(self) -> str: ...


class ObservedStream(Protocol):
    """Interface of an audio stream."""

    @property
    def stream_id(self) -> str: ...


@define(eq=False)
class _Entry:
    """Registration of an observer.

    :ivar active: whether the observer is still registered.
    """

    observer: Observer
    keep: Keep
    context: Context
    active: bool = True

    def overrides(self, name: str) -> bool:
        method = getattr(self.observer, name)
        return getattr(method, "__func__", None) is not getattr(Observer, name)

    def named(self, method: str) -> str:
        return f"{type(self.observer).__qualname__}.{method}"


_Entries = tuple[_Entry, ...]


class Observers:
    """Observers registered with one client or audio server. Thread-safe."""

    def __init__(self) -> None:
        self._entries: _Entries = ()
        # The entries that override each method. This dictionary is read without the lock, so it is replaced instead of modified.
        self._by_method: dict[str, _Entries] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Discard call records in a child process, because the calls belong to the parent. Observers stay registered."""
        # Protects the recorders and the order of call notifications. Reentrant because signal handlers may use it.
        self._lock = threading.RLock()
        self._recorders: dict[str, CallRecorder] = {}
        # IDs of the most recently ended calls.
        self._over: Recent[str, bool] = Recent(MOST_OVER)

    @property
    def empty(self) -> bool:
        """Whether there are no observers."""
        return not self._entries

    # -- registration ------------------------------------------------------------------------------------------------

    def add(
        self, observer: Observer, keep: Iterable[str] = (), calls: Callable[[], Iterable[ObservedCall]] = tuple
    ) -> Callable[[], None]:
        """Register an observer.

        :param observer: observer to add.
        :param keep: names of optional data to include in its call records. See :func:`check_keep`.
        :param calls: function that returns the live calls, so that they are recorded from now on.
        :return: function that removes the observer. It can be called more than once. It does not interrupt a notification that is
            being delivered.
        :raises InvalidParameter: ``observer`` is not an :class:`Observer`, one of its methods is a coroutine function or a
            generator, or ``keep`` contains an unknown name.
        """
        if not isinstance(observer, Observer):
            raise InvalidParameter("observer", observer, "an instance of a class derived from relay_sync.Observer")
        kept = check_keep(keep)
        for name in _ALL:
            _check_plain(observer, name)
        entry = _Entry(observer, kept, copy_context())
        with self._lock:
            self._set((*self._entries, entry))
            if entry.overrides("call_ended"):
                for call in calls():
                    self._recorders.setdefault(call.call_id, CallRecorder())
        return lambda: self._remove(entry)

    def _remove(self, entry: _Entry) -> None:
        entry.active = False
        with self._lock:
            self._set(tuple(each for each in self._entries if each is not entry))
            if "call_ended" not in self._by_method:
                self._recorders.clear()
        if self.empty:
            lane.leave(self, 0.0)

    def _set(self, entries: _Entries) -> None:
        self._entries = entries
        found = {name: tuple(each for each in entries if each.overrides(name)) for name in _ALL}
        self._by_method = {name: those for name, those in found.items() if those}

    def open(self) -> None:
        """Start the thread that calls observers. It runs until :meth:`close`."""
        if self._entries:
            lane.join(self)

    def close(self, timeout: float) -> None:
        """Wait until all queued notifications are delivered.

        :param timeout: maximum time to wait, in seconds.
        """
        if not lane.leave(self, timeout):
            _log.warning("closing: observers are still running after %.2g s; not waiting for them", timeout)

    # -- notifications -----------------------------------------------------------------------------------------------

    def _notify(self, method: str, *args: Any) -> None:
        entries = self._by_method.get(method)
        if entries is not None:
            self._put(entries, method, args)

    def _put(self, entries: _Entries, method: str, args: tuple[Any, ...]) -> None:
        if not lane.put(_deliver, entries, method, args):
            with lane.lock:  # The observer may be registered with several clients and audio servers.
                for entry in entries:
                    # Bypass the class's __setattr__, because the class may be frozen.
                    object.__setattr__(entry.observer, "dropped", entry.observer.dropped + 1)

    def call_offered(self, call: ObservedCall) -> None:
        with self._lock:
            if "call_ended" in self._by_method:
                self._over.take(call.call_id)  # The platform may offer a returned call again.
                self._recorders[call.call_id] = CallRecorder(now())
            self._notify("call_offered", call)

    def call_started(self, call: ObservedCall) -> None:
        self._notify("call_started", call)

    def call_event(self, call: ObservedCall, event: ObservedEvent) -> None:
        with self._lock:
            if "call_ended" in self._by_method:
                recorder = self._recorders.get(call.call_id)
                if recorder is None:
                    if call.call_id in self._over:
                        return  # Another thread has just reported the end of the call, which is the last notification.
                    # The list of live calls did not include this call, because it was about to start or end.
                    recorder = self._recorders[call.call_id] = CallRecorder()
                recorder.event(event)
            self._notify("call_event", call, event)

    def call_ended(self, call: ObservedCall, end_reason: str) -> None:
        """Notify observers that a call has ended. Only the first notification for a call is delivered."""
        with self._lock:
            recorder = self._recorders.pop(call.call_id, None)
            if recorder is not None:
                self._over.put(call.call_id, True)
                # An error here must not prevent the caller from ending the call.
                with lane.warnings.caught("internal error in the record of a call"):
                    for entry in self._by_method.get("call_ended", ()):
                        self._put((entry,), "call_ended", (recorder.record(call, end_reason, entry.keep),))

    def message_changed(self, message: ObservedMessage) -> None:
        self._notify("message_changed", message)

    def stream_started(self, stream: ObservedStream) -> None:
        self._notify("stream_started", stream)

    def stream_ended(self, stream: ObservedStream) -> None:
        self._notify("stream_ended", stream)

    def connection_changed(self, old: str, new: str) -> None:
        self._notify("connection_changed", old, new)

    def callback_raised(self, what: str, call_id: str, error: BaseException) -> None:
        """Notify observers of an exception in user code.

        :param what: description of the handler or callback, such as ``on_call handler``.
        :param call_id: ID of the call, or ``""``.
        :param error: exception that was raised.
        """
        self._failed(call_id, f"the {what}", error)
        self._notify("callback_raised", f"the {what} of call {call_id}" if call_id else f"the {what}", error)

    def _failed(self, call_id: str, what: str, error: BaseException) -> None:
        recorder = self._recorders.get(call_id)
        if recorder is not None:
            recorder.failed(what, error)

    # -- context managers --------------------------------------------------------------------------------------------

    def handle(self, call: ObservedCall, handler: Callable[[Any], object]) -> None:
        """Run a handler inside the context managers returned by the observers' ``around_handler`` methods."""
        with self._around("around_handler", call):
            handler(call)

    def command(
        self, method: str, params: Mapping[str, Any], call_id: str, call: ObservedCall | None
    ) -> AbstractContextManager[object]:
        """Return a context manager to use while sending a command and waiting for its reply."""
        return _Commanding(self, method, params, call_id, call)

    def _around(self, name: str, *args: Any) -> _Around:
        return _Around(self._by_method.get(name, ()), name, args)

    def _command_begins(self, method: str, params: Mapping[str, Any], call_id: str) -> None:
        # Do not acquire the lock. A signal handler may interrupt this method and wait for an IO thread that needs the lock.
        recorder = self._recorders.get(call_id)
        if recorder is not None:
            recorder.command(method, params)

    def _command_ends(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
        if error is not None:
            self._failed(call_id, method, error)
        self._notify("command_done", method, call_id, seconds, error)


def _check_plain(observer: Observer, name: str) -> None:
    method = getattr(observer, name)
    if not callable(method) or inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise InvalidParameter(
            f"observer.{name}", method, "a regular method: remove async, and block instead of awaiting"
        )
    if inspect.isgeneratorfunction(method):
        advice = (
            "a method that returns a context manager: decorate it with @contextmanager"
            if name.startswith("around_")
            else "a regular method: generators are not supported"
        )
        raise InvalidParameter(f"observer.{name}", method, advice)


def _deliver(entries: _Entries, method: str, args: tuple[Any, ...]) -> None:
    """Call the observers. Runs on the ``relay-observers`` thread."""
    for entry in entries:
        if entry.active:
            try:
                # Use a copy, so that context variables set by one notification are not visible in the next one.
                entry.context.copy().run(getattr(entry.observer, method), *args)
            except BaseException:  # Includes SystemExit: an observer that calls sys.exit() must not end the thread.
                lane.warnings.fault(f"the observer {entry.named(method)} raised")


class _Around:
    """Context manager that enters and exits the context managers returned by observers.

    If a context manager raises ``Exception`` or ``GeneratorExit``, the exception is logged and suppressed. Other exceptions, such
    as ``KeyboardInterrupt`` or ``SystemExit`` raised by a signal handler, or ``GreenletExit``, are addressed to the thread. They
    are re-raised after all entered context managers have exited.
    """

    __slots__ = ("_args", "_entered", "_entries", "_name")

    def __init__(self, entries: _Entries, name: str, args: tuple[Any, ...]) -> None:
        self._entries = entries
        self._name = name
        self._args = args
        self._entered: list[tuple[_Entry, AbstractContextManager[object]]] = []

    def __enter__(self) -> None:
        for entry in self._entries:
            try:
                manager = getattr(entry.observer, self._name)(*self._args)
                manager.__enter__()
            except (Exception, GeneratorExit):
                self._fault(entry)
            except BaseException as error:
                self.__exit__(type(error), error, error.__traceback__)
                raise
            else:
                self._entered.append((entry, manager))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pending: BaseException | None = None
        while self._entered:
            entry, manager = self._entered.pop()
            try:
                manager.__exit__(kind, error, traceback)  # The return value is ignored.
            except BaseException as raised:
                if raised is error:
                    continue
                if isinstance(raised, (Exception, GeneratorExit)):
                    self._fault(entry)
                else:
                    pending = raised
        if pending is not None:
            raise pending

    def _fault(self, entry: _Entry) -> None:
        lane.warnings.fault(f"the observer {entry.named(self._name)} raised")


class _Commanding:
    """Context manager for sending a command.

    It counts the command, enters the observers' context managers, and notifies the observers when the command is done.
    """

    __slots__ = ("_about", "_around", "_began", "_observers", "_params")

    def __init__(
        self, observers: Observers, method: str, params: Mapping[str, Any], call_id: str, call: ObservedCall | None
    ) -> None:
        self._observers = observers
        self._about = method, call_id
        self._params = params
        self._around = observers._around("around_command", method, call)
        self._began = 0.0

    def __enter__(self) -> None:
        method, call_id = self._about
        self._observers._command_begins(method, self._params, call_id)
        self._around.__enter__()
        self._began = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        seconds = time.monotonic() - self._began
        try:
            self._around.__exit__(kind, error, traceback)
        finally:
            self._observers._command_ends(*self._about, seconds, error)
