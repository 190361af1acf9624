"""Run a client until it is stopped, and end it: at once, or after its calls have ended."""

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

#: Seconds to wait for the end of calls that were hung up.
HANGUP_PATIENCE: Final = 2.0
#: Seconds that handlers have to return after their calls have ended, before the log says that the client waits for them.
RETURN_PATIENCE: Final = 0.5
#: The same number on every platform. Defined here because only run() imports ``signal``.
SIGINT: Final = 2
#: How the caller of ``run()`` could have ended the calls that are still live, for the log.
RUN_ADVICE: Final = "run(drain=30) waits for calls to end, run(hangup_calls=True) hangs them up"
#: What :meth:`Running.run` raises while a program is imported by a tool that runs its client; ``None`` otherwise.
loading: Final[ContextVar[Callable[[], Exception] | None]] = ContextVar("loading", default=None)
CLOSE_ADVICE: Final = "drain() waits for calls to end, disconnect(hangup_calls=True) hangs them up"


class Running:
    """The part of :class:`RelayClient` that runs, drains and stops a client."""

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

        Signals are handled on the main thread only, and only if Python's default handlers are installed. The first signal stops
        the client. A second one stops waiting for calls and raises ``KeyboardInterrupt``, or ``SystemExit(143)`` for SIGTERM.

        By default, calls that are still live continue without this client, and a warning gives their number; ``relay-sync run``
        hangs them up. Handlers get up to 2 s to return, as with :meth:`disconnect`. A program that ``relay-sync run`` loads must
        call this method under ``if __name__ == "__main__":`` only.

        :param hangup_calls: at the end, hang up the calls that are live or being dialed.
        :param drain: seconds to wait at the end for live calls to end; see :meth:`drain`. Default: do not wait.
        :param on_ready: a function without parameters, called in this thread once the client is connected.
        :raises RelayError: on a fatal failure: refused credentials, no session before ``connect_timeout``, or a session that was
            lost permanently.
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
                self._stop_wanted = False  # done
        return failure

    def _work(self, on_ready: Callable[[], object] | None) -> RelayError | None:
        """Connect, and wait until the client is stopped.

        :return: why the session was lost permanently, if it was.
        """
        if self._stop_wanted:
            _log.info("run() returns immediately: stop() was called before it")
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
        """Stop accepting calls. Wait until the live ones have ended and their handlers have returned.

        The client unsubscribes from its contexts and returns calls that are still offered to the platform, for other clients.
        Calls that are live or being dialed when the timeout expires are hung up. Commands still work. To accept calls again, call
        :meth:`disconnect`, then :meth:`connect`.

        :param timeout: seconds to wait for the calls to end.
        :return: whether the calls ended and their handlers returned before the timeout.
        """
        process.check_thread()
        return self._drain(values.timeout(timeout, optional=False), logging.INFO)

    def _drain(self, timeout: float, level: int, hint: str = "") -> bool:
        """Drain the client.

        :param level: the log level of the lines that say what the client waits for.
        :param hint: text to append to them.
        """
        router, loop = self._router, self._link.loop
        if loop is None or not loop.alive:
            return True
        begun = Flag()

        def begin(session: Session) -> None:
            # On the IO thread: no call is being accepted at this moment. The next session gets no contexts either.
            loop.draining = True
            session.contexts.clear()
            begun.set()

        loop.change(begin)
        wait_for_event(begun, HANGUP_PATIENCE)
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
            _log.warning("draining: still running: %s", router.handlers.told())
        return False

    def _wait_until_quiet(self, timeout: float, level: int, hint: str) -> bool:
        """Wait for calls, then for handlers. Log it: a silent wait looks like a hang."""
        router, end = self._router, time.monotonic() + timeout
        if router.ours:
            what = counted(len(router.ours), "live call")
            _log.log(level, "waiting up to %g s for %s to end%s", timeout, what, hint)
            wait_until(lambda: not router.ours, router.changed, timeout)
        left = end - time.monotonic()
        if wait_until(router.is_quiet, router.changed, min(RETURN_PATIENCE, left)):
            return True
        if left > RETURN_PATIENCE and not router.ours and router.handlers_running():
            _log.log(level, "waiting up to %.0f s for %s to return%s", left, router.handlers.told(), hint)
        return wait_until(router.is_quiet, router.changed, end - time.monotonic())

    def stop(self) -> None:
        """Make :meth:`run` return, or close a client that is not running.

        Safe to call from any thread and from signal handlers: it acquires no lock and does not block. If it is called before
        :meth:`run`, for example while another thread is about to call that, ``run()`` returns immediately. :meth:`connect` resets
        this.
        """
        if self._link.closed and not self._running:
            return
        self._stop_wanted = True
        if self._running:
            self._link.poke()
        else:
            self._link.request_stop()

    def _stop_asked(self) -> None:
        # On the IO thread.
        loop = self._link.loop
        if not self._stop_wanted or not self._running or loop is None:
            return  # a client that is not running closes at once, with its state set before any waiter wakes
        if (
            loop.session.ever_ready or self._router.ours
        ):  # a call may arrive before the reply that establishes the session
            # run() disconnects, and may drain and hang up calls first: they are still live during a reconnection.
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
    """The signals received during :meth:`Running.run`: the first stops the client, the second ends it immediately."""

    first = 0
    hurried = False
    handled = False

    @property
    def hint(self) -> str:
        """Return how an operator can end the wait."""
        if not self.handled:
            return ""
        if self.first == SIGINT:
            return "; press Ctrl-C again to end immediately"
        return "; Ctrl-C or SIGTERM ends the wait immediately"


@contextmanager
def _stop_on_signals(client: Running) -> Iterator[_Signals]:
    """Let Ctrl-C and SIGTERM stop the client if Python's default handlers are installed.

    A second signal raises: the client ends immediately, but still hangs up calls and lets handlers close their files, unlike with
    Python's default for SIGTERM. A third signal has its default effect.
    """
    with descriptors_for("run()"):
        import signal  # slow to import, and needed by run() only

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
