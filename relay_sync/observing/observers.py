"""The observers of one client or one audio server.

The owner creates this object at the first ``observe()``. Until then it holds ``None``, and a notification costs one comparison.
To notify, the owner calls the method that has the name of the observer's method.
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
#: Number of ended calls that are remembered to ignore their late events.
MOST_OVER: Final = 1000
#: The methods of an observer.
_ALL: Final = tuple(name for name, value in vars(Observer).items() if inspect.isfunction(value))


class ObservedMessage(Protocol):
    """A message."""

    @property
    def message_id(self) -> str: ...


class ObservedStream(Protocol):
    """A stream of audio."""

    @property
    def stream_id(self) -> str: ...


@define(eq=False)
class _Entry:
    """The registration of an observer.

    :ivar active: whether it is still registered.
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
    """The observers of one client or audio server. Thread-safe."""

    def __init__(self) -> None:
        self._entries: _Entries = ()
        # The entries that override each method. Replaced, never modified: it is read without the lock.
        self._by_method: dict[str, _Entries] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """Reset the calls in a child process, which belong to the parent; observers stay registered."""
        # Guards the recorders and the order of notifications about calls. Reentrant for signal handlers.
        self._lock = threading.RLock()
        self._recorders: dict[str, CallRecorder] = {}
        # The calls that ended most recently.
        self._over: Recent[str, bool] = Recent(MOST_OVER)

    @property
    def empty(self) -> bool:
        """Whether there are no observers."""
        return not self._entries

    # -- coming and going --------------------------------------------------------------------------------------------

    def add(
        self, observer: Observer, keep: Iterable[str] = (), calls: Callable[[], Iterable[ObservedCall]] = tuple
    ) -> Callable[[], None]:
        """Register an observer.

        :param observer: the observer.
        :param keep: the optional data that its records hold; see :func:`check_keep`.
        :param calls: returns the live calls, for which nothing has been recorded yet.
        :return: a function that removes the observer; idempotent. A notification that is being delivered is not interrupted.
        :raises InvalidParameter: *observer* is not an observer, one of its methods is a coroutine function or a generator, or
            *keep* has an unknown name.
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
        """Start the thread, which runs until :meth:`close`."""
        if self._entries:
            lane.join(self)

    def close(self, timeout: float) -> None:
        """Wait until all notifications so far are delivered, for at most ``timeout`` seconds."""
        if not lane.leave(self, timeout):
            _log.warning("closing: observers are still running after %.2g s; not waiting for them", timeout)

    # -- on the lane -------------------------------------------------------------------------------------------------

    def _tell(self, method: str, *args: Any) -> None:
        entries = self._by_method.get(method)
        if entries is not None:
            self._put(entries, method, args)

    def _put(self, entries: _Entries, method: str, args: tuple[Any, ...]) -> None:
        if not lane.put(_deliver, entries, method, args):
            with lane.lock:  # others may notify the same observer
                for entry in entries:
                    # Bypasses __setattr__ of the class, which may be frozen.
                    object.__setattr__(entry.observer, "dropped", entry.observer.dropped + 1)

    def call_offered(self, call: ObservedCall) -> None:
        with self._lock:
            if "call_ended" in self._by_method:
                self._over.take(call.call_id)  # the platform may offer a returned call again
                self._recorders[call.call_id] = CallRecorder(now())
            self._tell("call_offered", call)

    def call_started(self, call: ObservedCall) -> None:
        self._tell("call_started", call)

    def call_event(self, call: ObservedCall, event: ObservedEvent) -> None:
        with self._lock:
            if "call_ended" in self._by_method:
                recorder = self._recorders.get(call.call_id)
                if recorder is None:
                    if call.call_id in self._over:
                        return  # another thread has just reported its end, which is the last notification
                    # It was not among the live calls when the observer was added: it had just arrived or was about to end.
                    recorder = self._recorders[call.call_id] = CallRecorder()
                recorder.event(event)
            self._tell("call_event", call, event)

    def call_ended(self, call: ObservedCall, end_reason: str) -> None:
        """Notify of the end of a call; ignored after the first time."""
        with self._lock:
            recorder = self._recorders.pop(call.call_id, None)
            if recorder is not None:
                self._over.put(call.call_id, True)
                # An error must not disturb the caller, which is ending the call.
                with lane.warnings.caught("internal error in the record of a call"):
                    for entry in self._by_method.get("call_ended", ()):
                        self._put((entry,), "call_ended", (recorder.record(call, end_reason, entry.keep),))

    def message_changed(self, message: ObservedMessage) -> None:
        self._tell("message_changed", message)

    def stream_started(self, stream: ObservedStream) -> None:
        self._tell("stream_started", stream)

    def stream_ended(self, stream: ObservedStream) -> None:
        self._tell("stream_ended", stream)

    def connection_changed(self, old: str, new: str) -> None:
        self._tell("connection_changed", old, new)

    def callback_raised(self, what: str, call_id: str, error: BaseException) -> None:
        """Notify of an exception in user code.

        :param what: the handler or callback, such as ``on_call handler``.
        :param call_id: the id of its call, or ``""``.
        :param error: the exception.
        """
        self._failed(call_id, f"the {what}", error)
        self._tell("callback_raised", f"the {what} of call {call_id}" if call_id else f"the {what}", error)

    def _failed(self, call_id: str, what: str, error: BaseException) -> None:
        recorder = self._recorders.get(call_id)
        if recorder is not None:
            recorder.failed(what, error)

    # -- around the work ---------------------------------------------------------------------------------------------

    def handle(self, call: ObservedCall, handler: Callable[[Any], object]) -> None:
        """Call a handler inside the context managers of observers. Call this in the context of the handler."""
        with self._around("around_handler", call):
            handler(call)

    def command(
        self, method: str, params: Mapping[str, Any], call_id: str, call: ObservedCall | None
    ) -> AbstractContextManager[object]:
        """Return a context manager in which the caller sends a command and waits for its response."""
        return _Commanding(self, method, params, call_id, call)

    def _around(self, name: str, *args: Any) -> _Around:
        return _Around(self._by_method.get(name, ()), name, args)

    def _command_begins(self, method: str, params: Mapping[str, Any], call_id: str) -> None:
        # Without the lock, which an IO thread needs: a signal handler may interrupt this and wait for that thread.
        recorder = self._recorders.get(call_id)
        if recorder is not None:
            recorder.command(method, params)

    def _command_ends(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
        if error is not None:
            self._failed(call_id, method, error)
        self._tell("command_done", method, call_id, seconds, error)


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
    """Call the observers, on the lane."""
    for entry in entries:
        if entry.active:
            try:
                # A copy, so that variables set in one notification do not leak into the next one.
                entry.context.copy().run(getattr(entry.observer, method), *args)
            except BaseException:  # sys.exit() in an observer must not end the lane either
                lane.warnings.fault(f"the observer {entry.named(method)} raised")


class _Around:
    """The context managers of observers around a piece of work, which they cannot affect.

    An ``Exception`` that they raise is logged, and so is a ``GeneratorExit``, which only a generator raises. Any other exception
    (Ctrl-C, ``sys.exit()`` in a signal handler, a killed greenlet) is meant for the thread: it is raised after the entered
    context managers have exited.
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
        meant: BaseException | None = None
        while self._entered:
            entry, manager = self._entered.pop()
            try:
                manager.__exit__(kind, error, traceback)  # its return value is ignored
            except BaseException as raised:
                if raised is error:
                    continue
                if isinstance(raised, (Exception, GeneratorExit)):
                    self._fault(entry)
                else:
                    meant = raised
        if meant is not None:
            raise meant

    def _fault(self, entry: _Entry) -> None:
        lane.warnings.fault(f"the observer {entry.named(self._name)} raised")


class _Commanding:
    """A command: counts it, enters the context managers of observers, and notifies of its end."""

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
