"""The observers of one client or one audio server: what these hold from the first ``observe()`` on.

Before that they hold ``None``, and all that a notification costs is the test for it. Whoever notifies calls the method of the
observer's name here.
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
#: Calls that have ended, of which late events are known to be late.
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
    """One registration.

    :ivar active: whether it has not been taken off.
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
    """Those of one client or audio server. For any number of threads."""

    def __init__(self) -> None:
        self._entries: _Entries = ()
        # By methods, only those that override it. Replaced, never changed: it is read without the lock.
        self._by_method: dict[str, _Entries] = {}
        self.after_fork()

    def after_fork(self) -> None:
        """In a child: the calls are the parent's, whoever observes goes on."""
        # Guards the recorders, and the order of what is said of calls. Reentrant for signal handlers.
        self._lock = threading.RLock()
        self._recorders: dict[str, CallRecorder] = {}
        # The calls whose end was told last.
        self._over: Recent[str, bool] = Recent(MOST_OVER)

    @property
    def empty(self) -> bool:
        """Whether there is none."""
        return not self._entries

    # -- coming and going --------------------------------------------------------------------------------------------

    def add(
        self, observer: Observer, keep: Iterable[str] = (), calls: Callable[[], Iterable[ObservedCall]] = tuple
    ) -> Callable[[], None]:
        """Notify an observer from now on.

        :param calls: tells which calls live, of which nothing was recorded yet.
        :return: takes it off again; idempotent. It is not called any more then, but for a call that is under way.
        :raises InvalidParameter: it is no observer, a method of it is a coroutine function or a generator, or *keep* has a name
            that means nothing.
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
        """The owner is in use, until :meth:`close`: from now on there is a thread."""
        if self._entries:
            lane.join(self)

    def close(self, timeout: float) -> None:
        """Wait until everybody was notified of all that has been, for so many seconds at most."""
        if not lane.leave(self, timeout):
            _log.warning("closing: observers have not come to their end %.2g s later; they are left alone", timeout)

    # -- on the lane -------------------------------------------------------------------------------------------------

    def _tell(self, method: str, *args: Any) -> None:
        entries = self._by_method.get(method)
        if entries is not None:
            self._put(entries, method, args)

    def _put(self, entries: _Entries, method: str, args: tuple[Any, ...]) -> None:
        if not lane.put(_deliver, entries, method, args):
            with lane.lock:  # others may notify the same observer
                for entry in entries:
                    # Past the class's own __setattr__: it may be frozen.
                    object.__setattr__(entry.observer, "dropped", entry.observer.dropped + 1)

    def call_offered(self, call: ObservedCall) -> None:
        with self._lock:
            if "call_ended" in self._by_method:
                self._over.take(call.call_id)  # one that was passed back may come in again
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
                        return  # another thread has just said that it is over: that was the last of it
                    # It was not among the calls that lived when an observer was added: it had just come, or was about to end.
                    recorder = self._recorders[call.call_id] = CallRecorder()
                recorder.event(event)
            self._tell("call_event", call, event)

    def call_ended(self, call: ObservedCall, end_reason: str) -> None:
        """Only the first one for a call counts."""
        with self._lock:
            recorder = self._recorders.pop(call.call_id, None)
            if recorder is not None:
                self._over.put(call.call_id, True)
                # Whoever says so is in the middle of ending the call.
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
        """User code raised.

        :param what: such as ``on_call handler``.
        :param call_id: whose it is, or ``""``.
        """
        self._failed(call_id, f"the {what}", error)
        self._tell("callback_raised", f"the {what} of call {call_id}" if call_id else f"the {what}", error)

    def _failed(self, call_id: str, what: str, error: BaseException) -> None:
        recorder = self._recorders.get(call_id)
        if recorder is not None:
            recorder.failed(what, error)

    # -- around the work ---------------------------------------------------------------------------------------------

    def handle(self, call: ObservedCall, handler: Callable[[Any], object]) -> None:
        """Call a handler, and what observers put around that. To be called in the context of the handler."""
        with self._around("around_handler", call):
            handler(call)

    def command(
        self, method: str, params: Mapping[str, Any], call_id: str, call: ObservedCall | None
    ) -> AbstractContextManager[object]:
        """What is inside sends a command and waits for it."""
        return _Commanding(self, method, params, call_id, call)

    def _around(self, name: str, *args: Any) -> _Around:
        return _Around(self._by_method.get(name, ()), name, args)

    def _command_begins(self, method: str, params: Mapping[str, Any], call_id: str) -> None:
        # Without the lock, which an IO thread needs: a signal handler may come on top of this and wait for that thread.
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
            f"observer.{name}", method, "a plain method: remove async, and block where you would await"
        )
    if inspect.isgeneratorfunction(method):
        advice = (
            "a context manager: put @contextmanager above it" if name.startswith("around_") else "one without yield"
        )
        raise InvalidParameter(f"observer.{name}", method, advice)


def _deliver(entries: _Entries, method: str, args: tuple[Any, ...]) -> None:
    """On the lane."""
    for entry in entries:
        if entry.active:
            try:
                # A copy: what one notification sets is not there in the next one.
                entry.context.copy().run(getattr(entry.observer, method), *args)
            except BaseException:  # nor may sys.exit() in there end the lane
                lane.warnings.fault(f"the observer {entry.named(method)} raised")


class _Around:
    """The context managers of observers around some work, none of which affects it.

    An ``Exception`` of theirs is logged, and so is a ``GeneratorExit``, which nobody but a generator raises. What else there is
    (Ctrl-C, ``sys.exit()`` in a signal handler, a greenlet that is killed) is meant for the thread, whoever is just running: it
    is passed on, and those that were entered are left first.
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
                manager.__exit__(kind, error, traceback)  # what it returns does not count
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
    """One command: counted, surrounded, and told of."""

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
