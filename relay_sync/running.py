"""Running a client until it is told to stop, and the ways to part: at once, or when the calls are over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from .checks import handler
from .config import seconds
from .constants import METHOD_UNRECEIVE
from .errors import ClientClosed, RelayError
from .protocol.command import Phase
from .protocol.deadline import Deadline
from .runtime import process
from .runtime.flag import Flag
from .runtime.waiter import wait_for_event, wait_until

if TYPE_CHECKING:
    from .call import Call
    from .config import Config
    from .protocol.session import Session
    from .runtime.loop import Loop
    from .switchboard import Switchboard

__all__ = ["Running"]

_log = logging.getLogger("relay_sync")

#: Seconds that calls which are hung up have for telling that they ended.
HANGUP_PATIENCE: Final = 2.0


class Running:
    """The part of :class:`RelayClient` that begins and ends a program's work."""

    if TYPE_CHECKING:
        _board: Switchboard
        _closed: bool
        _config: Config
        _contexts: dict[str, None]
        _loop: Loop | None
        _running: bool
        _stop_wanted: bool

        @property
        def calls(self) -> dict[str, Call]: ...

        def _connect(self, deadline: Deadline) -> Loop: ...
        def _post(self, method: str, params: Mapping[str, Any]) -> None: ...
        def disconnect(self, timeout: float | None = None, *, hangup_calls: bool = False) -> None: ...

    def run(
        self,
        *,
        hangup_calls: bool = False,
        drain: float | None = None,
        on_ready: Callable[[], object] | None = None,
    ) -> None:
        """Connect if need be, and handle calls until Ctrl-C, SIGTERM or :meth:`stop`; then disconnect.

        Signals are handled on the main thread only, only where Python's own handlers are in place, and put back before
        this returns, so a second Ctrl-C ends a slow goodbye.

        Calls that live at the end go on without this client, and a warning says how many; ``relay-sync run`` hangs them up.

        :param hangup_calls: hang up the calls that live at the end, instead of leaving them alone.
        :param drain: seconds that the calls which live at the end have for ending by themselves; see :meth:`drain`.
        :param on_ready: called in this thread once the client is connected.
        :raises RelayError: what is fatal: refused credentials, no session in time, a session lost for good.
        """
        process.check_thread()
        if on_ready is not None:
            handler("on_ready", on_ready, ())
        patience = seconds("drain", drain, optional=True)
        self._running = True
        self._closed = False
        failure: RelayError | None = None
        try:
            with _stop_on_signals(self):
                failure = self._work(on_ready)
            if patience is not None and self._loop is not None:
                self.drain(patience)
        except ClientClosed:
            if not self._stop_wanted:
                raise
        finally:
            self._running = False
            try:
                self.disconnect(hangup_calls=hangup_calls)
            finally:
                self._stop_wanted = False  # it was obeyed
        if failure is not None:
            raise failure.fresh()

    def _work(self, on_ready: Callable[[], object] | None) -> RelayError | None:
        """Connect, and wait for the end. :return: why the session was lost for good, if it was."""
        if self._stop_wanted:
            _log.info("run() returns at once: stop() was called before it")
            return None
        loop = self._connect(Deadline.after(time.monotonic(), self._config.connect_timeout))
        if on_ready is not None:
            on_ready()
        wait_for_event(self._board.stopped, None)
        return self._lost_for_good(loop)

    def _lost_for_good(self, loop: Loop) -> RelayError | None:
        failed = loop.session.phase is Phase.FAILED
        return loop.session.last_error if failed and not self._stop_wanted else None

    def drain(self, timeout: float = 30.0) -> bool:
        """Take no more calls, and wait until those that live have ended and their handlers have returned.

        The contexts are unsubscribed and what is offered all the same is passed back to the platform, for other clients to
        take. Calls that live when the time is over are hung up. Commands still work; :meth:`connect` after
        :meth:`disconnect` takes calls again.

        :param timeout: seconds for the calls to end by themselves.
        :return: whether they did, and their handlers had returned by then.
        """
        process.check_thread()
        deadline = Deadline.after(time.monotonic(), seconds("timeout", timeout) or timeout)
        board, loop = self._board, self._loop
        if loop is None or not loop.alive:
            return True
        begun = Flag()

        def begin(session: Session) -> None:
            # On the IO thread, so that no call is being taken at this moment; and the next session is for no contexts either.
            board.draining = True
            session.contexts.clear()
            begun.set()

        loop.change(begin)
        wait_for_event(begun, HANGUP_PATIENCE)
        if self._contexts:
            self._post(METHOD_UNRECEIVE, {"contexts": list(self._contexts)})
        if board.ours:
            _log.info("no more calls are taken; %d have %g s to end", len(board.ours), timeout)
        if wait_until(board.is_quiet, board.changed, deadline.remaining(time.monotonic())):
            return True
        end = time.monotonic() + HANGUP_PATIENCE
        if board.ours:
            _log.warning("%d calls still live after %g s and are hung up", len(board.ours), timeout)
            self._hang_up_calls(end)
        # What handlers do after the end of their call, such as closing a file.
        if not wait_until(board.is_quiet, board.changed, end - time.monotonic()):
            _log.warning("handlers of calls still run: they are left alone")
        return False

    def stop(self) -> None:
        """Make :meth:`run` return, or close a client that is not running. For any thread and for signal handlers:
        it takes no lock and waits for nothing.

        One that comes before :meth:`run`, as in a thread that is just about to call it, is not lost: that returns at once.
        :meth:`connect` forgets it.
        """
        if self._closed and not self._running:
            return
        self._stop_wanted = True
        loop = self._loop
        if loop is not None:
            loop.poke()

    def _stop_asked(self) -> None:
        # On the IO thread.
        loop = self._loop
        if not self._stop_wanted or loop is None:
            return
        if self._running and loop.session.phase is Phase.READY:
            self._board.stopped.set()  # run() says goodbye, and may hang up calls first
        else:
            self._closed = self._closed or not self._running
            loop.request_stop()

    def _hang_up_calls(self, end: float) -> None:
        loop = self._loop
        if loop is None or not loop.alive:
            return
        calls = self._board.ours
        for call in calls:
            self._post("calling.end", {"node_id": call.node_id, "call_id": call.call_id, "reason": "hangup"})
        for call in calls:
            try:
                call.wait_for_ended(max(0.001, min(HANGUP_PATIENCE, end - time.monotonic())))
            except RelayError as error:
                _log.warning("call %s was not seen to end: %s", call.call_id, error.message)


@contextmanager
def _stop_on_signals(client: Running) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the client, where they would otherwise have Python's default effect."""
    import signal  # makes three enumerations, for run() alone

    replaced: list[tuple[int, Any]] = []

    def put_back() -> None:
        while replaced:
            number, handler = replaced.pop()
            signal.signal(number, handler)

    def on_signal(number: int, frame: object) -> None:
        put_back()
        client.stop()

    if threading.current_thread() is threading.main_thread():
        defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for number, default in defaults.items():
            if signal.getsignal(number) == default:
                replaced.append((number, signal.signal(number, on_signal)))
    try:
        yield
    finally:
        put_back()
