"""Run, drain and stop a client."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from ..call.call import Call, core_of
from ..constants import METHOD_UNRECEIVE
from ..deadline import Deadline
from ..errors import ClientClosed, DialFailed, RelayError
from ..params import values
from ..protocol.command import Phase
from ..protocol.results import client_closed
from ..text.wording import counted
from ..threads import logs, process
from ..threads.descriptors import descriptors_for
from ..threads.flag import Flag
from ..threads.outcome import wait_for_event, wait_until
from ..threads.timeouts import unhurried

if TYPE_CHECKING:
    from ..connection.io_loop import IOLoop
    from ..protocol.session import Session
    from .link import Link
    from .router import Router

__all__ = ["Running", "loading"]

_log = logs.get("relay_sync").later

#: Seconds to wait for calls to end after hanging them up.
HANGUP_PATIENCE: Final = 2.0
#: Seconds to wait for handlers after their calls have ended before logging that the client is waiting for them.
RETURN_PATIENCE: Final = 0.5
#: The signal number, which is the same on all platforms. Defined here because only run() imports ``signal``.
SIGINT: Final = 2
#: Hint for the warning about live calls when ``run()`` returns.
RUN_ADVICE: Final = "run(drain=30) waits for calls to end, run(hangup_calls=True) hangs them up"
#: While a tool that runs clients imports a program: creates the exception that :meth:`Running.run` raises. Otherwise ``None``.
loading: Final[ContextVar[Callable[[], Exception] | None]] = ContextVar("loading", default=None)
CLOSE_ADVICE: Final = "drain() waits for calls to end, disconnect(hangup_calls=True) hangs them up"


class Running:
    """Methods of :class:`RelayClient` that run, drain and stop a client."""

    if TYPE_CHECKING:
        _link: Link
        _router: Router
        _running: bool
        _stop_wanted: bool

        @property
        def calls(self) -> dict[str, Call]: ...

        def _part(self, timeout: float | None, hangup_calls: bool, advice: str) -> None: ...

    def run(
        self,
        *,
        hangup_calls: bool = False,
        drain: float | None = None,
        on_ready: Callable[[], object] | None = None,
    ) -> None:
        """Connect and handle calls until Ctrl-C, SIGTERM or :meth:`stop`, then disconnect.

        Signals are handled only on the main thread, and only if Python's default handlers are installed. The first signal stops
        the client. A second signal interrupts any wait for calls and raises ``KeyboardInterrupt``, or ``SystemExit(143)`` for
        SIGTERM.

        By default, live calls continue without this client, and the client logs a warning with the number of calls. The command
        ``relay-sync run`` hangs them up. The client waits up to 2 s for handlers to return, as in :meth:`disconnect`. In a
        program loaded by ``relay-sync run``, call this method only under ``if __name__ == "__main__":``.

        :param hangup_calls: whether to hang up calls that are live or being dialed when the client stops.
        :param drain: time to wait for live calls to end when the client stops, in seconds; see :meth:`drain`. By default the
            client does not wait.
        :param on_ready: function that is called without arguments on this thread after the client has connected.
        :raises RelayError: the server rejected the credentials, no session was established before ``connect_timeout``, or the
            session was permanently lost.
        """
        process.check_thread()
        refusal = loading.get()
        if refusal is not None:
            raise refusal()
        if on_ready is not None:
            values.handler("on_ready", on_ready, ())
        patience = values.timeout(drain, name="drain")
        self._running = True
        self._link.reopen()
        with _stop_on_signals(self) as signals:
            failure = self._run(on_ready, patience, hangup_calls, signals)
        if failure is not None:
            raise failure.fresh()

    def _run(
        self, on_ready: Callable[[], object] | None, patience: float | None, hangup_calls: bool, signals: _Signals
    ) -> RelayError | None:
        failure: RelayError | None = None
        try:
            try:
                failure = self._work(on_ready)
            except ClientClosed:
                if not self._stop_wanted:
                    raise
            if patience is not None and self._link.loop is not None:
                self._drain(patience, logging.WARNING, signals.hint)
        except (KeyboardInterrupt, SystemExit):
            if signals.hurried and hangup_calls and self._router.ours:
                _log.warning("interrupted: hanging up %s", counted(len(self._router.ours), "live call"))
            raise
        finally:
            self._running = False
            try:
                self._part(None, hangup_calls, RUN_ADVICE)
            finally:
                self._stop_wanted = False
        return failure

    def _work(self, on_ready: Callable[[], object] | None) -> RelayError | None:
        """Connect, and wait until the client is stopped.

        :return: the error if the session was permanently lost, otherwise ``None``.
        """
        if self._stop_wanted:
            _log.info("run() returned immediately because stop() had already been called")
            return None
        loop = self._link.connect(Deadline.after(time.monotonic(), self._link.config.connect_timeout))
        logs.flush()
        if on_ready is not None:
            on_ready()
        wait_for_event(loop.stopped, None)
        return self._lost_for_good(loop)

    def _lost_for_good(self, loop: IOLoop) -> RelayError | None:
        failed = loop.session.phase is Phase.FAILED
        return loop.session.last_error if failed and not self._stop_wanted else None

    def drain(self, timeout: float = 30.0) -> bool:
        """Stop accepting calls, and wait until live calls have ended and their handlers have returned.

        The client unsubscribes from its contexts. If it still receives an inbound call, it returns the call to the platform for
        other clients. When the timeout expires, the client hangs up the calls that are live or being dialed. Commands continue to
        work. To accept calls again, call :meth:`disconnect` and then :meth:`connect`.

        :param timeout: maximum time to wait for calls to end, in seconds.
        :return: whether all calls ended and their handlers returned before the timeout.
        """
        process.check_thread()
        return self._drain(values.timeout(timeout, optional=False), logging.INFO)

    def _drain(self, timeout: float, level: int, hint: str = "") -> bool:
        """Drain the client.

        :param timeout: maximum time to wait for calls to end, in seconds.
        :param level: log level for messages about the wait.
        :param hint: text to append to these messages.
        """
        router, loop = self._router, self._link.loop
        if loop is None or not loop.alive:
            return True
        started = Flag()

        def start(session: Session) -> None:
            # This runs on the IO thread, which accepts calls, so no call is accepted at the same time.
            loop.draining = True
            session.contexts.clear()  # a reconnection must not subscribe again
            started.set()

        loop.change(start)
        wait_for_event(started, HANGUP_PATIENCE)
        if self._link.contexts:
            self._link.promise(METHOD_UNRECEIVE, {"contexts": list(self._link.contexts)})
        if self._wait_until_quiet(timeout, level, hint):
            return True
        end = time.monotonic() + HANGUP_PATIENCE
        called_off = Flag()

        def call_off(session: Session) -> None:
            error = DialFailed("no answer before the client was drained", reason="timeout")
            for command in router.dials.call_off(error):
                session.withdraw(command)
            called_off.set()

        loop.change(call_off)
        wait_for_event(called_off, HANGUP_PATIENCE)
        if router.ours:
            what = counted(len(router.ours), "call")
            _log.warning("hanging up %s still live after %g s", what, timeout)
            self._hang_up_calls(end)
        # Handlers may still have work after the end of their call, such as closing a file.
        if not wait_until(router.is_quiet, router.changed, end - time.monotonic()) and router.handlers_running():
            _log.warning("draining: still running: %s", router.handlers.described())
        return False

    def _wait_until_quiet(self, timeout: float, level: int, hint: str) -> bool:
        """Wait until all calls have ended, then until their handlers have returned.

        The waits are logged because a silent wait looks like a hang.

        :return: whether both waits finished before the timeout.
        """
        router, end = self._router, time.monotonic() + timeout
        if router.ours:
            what = counted(len(router.ours), "live call")
            _log.log(level, "waiting up to %g s for %s to end%s", timeout, what, hint)
            wait_until(lambda: not router.ours, router.changed, timeout)
        left = end - time.monotonic()
        if wait_until(router.is_quiet, router.changed, min(RETURN_PATIENCE, left)):
            return True
        if left > RETURN_PATIENCE and not router.ours and router.handlers_running():
            _log.log(level, "waiting up to %.0f s for %s to return%s", left, router.handlers.described(), hint)
        return wait_until(router.is_quiet, router.changed, end - time.monotonic())

    def stop(self) -> None:
        """Make :meth:`run` return. If the client is not running, close it.

        This method may be called from any thread and from signal handlers, because it acquires no locks and does not block. If it
        is called before :meth:`run`, for example while another thread is starting to run the client, ``run()`` returns
        immediately. Calling :meth:`connect` in between cancels the effect of this method.
        """
        if self._link.closed and not self._running:
            return
        self._stop_wanted = True
        if self._running:
            self._link.poke()
        else:
            self._link.request_stop()

    def _stop_asked(self) -> None:
        # Called on the IO thread.
        loop = self._link.loop
        if not self._stop_wanted or not self._running or loop is None:
            return  # stop() itself closes a client that is not running
        # A call may arrive before the reply that establishes the session, so check for calls as well.
        if loop.session.ever_ready or self._router.ours:
            # Let run() close the connection. It may have to drain or hang up calls first, even while reconnecting.
            loop.stopped.set()
            loop.end_waits(client_closed())
        else:
            loop.request_stop()

    def _hang_up_calls(self, end: float) -> None:
        loop = self._link.loop
        if loop is None or not loop.alive:
            return
        calls = [call for call in self._router.ours if core_of(call).promise_end("hangup")]
        for call in calls:
            try:
                call.wait_for_ended(unhurried(max(0.0, min(HANGUP_PATIENCE, end - time.monotonic()))))
            except RelayError as error:
                _log.warning("no confirmation that call %s has ended: %s", call.call_id, error.message)
        if calls:
            # Handlers may still have work after the end of their call, such as closing a file.
            router = self._router
            wait_until(
                lambda: not router.handlers_running(), router.changed, min(HANGUP_PATIENCE, end - time.monotonic())
            )


class _Signals:
    """Signal handling state during :meth:`Running.run`."""

    first = 0
    hurried = False
    handled = False

    @property
    def hint(self) -> str:
        """A hint on how to end the wait, for log messages."""
        if not self.handled:
            return ""
        if self.first == SIGINT:
            return "; press Ctrl-C again to end immediately"
        return "; Ctrl-C or SIGTERM ends the wait immediately"


@contextmanager
def _stop_on_signals(client: Running) -> Iterator[_Signals]:
    """Stop the client on Ctrl-C and SIGTERM. Does nothing if the program has installed its own signal handlers.

    A second signal raises an exception, so that the client ends immediately but still hangs up calls and lets handlers close
    their files. Python's default action for SIGTERM would skip this. A third signal has its default action.
    """
    with descriptors_for("run()"):
        import signal  # imported here because it is slow to import and only run() needs it

        from ..threads.signals import Handled

    signals = _Signals()

    def on_signal(number: int, frame: object) -> None:
        if not signals.first:
            signals.first = number
            client.stop()
            return
        signals.hurried = True
        handled.put_back()
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    with Handled(on_signal, signal.SIGINT, signal.SIGTERM, only_defaults=True) as handled:
        signals.handled = bool(handled.numbers)
        yield signals
