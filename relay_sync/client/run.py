"""Running a client until it is told to stop, and the ways to part: at once, or when the calls are over."""

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

#: Seconds that calls which are hung up have for telling that they ended.
HANGUP_PATIENCE: Final = 2.0
#: Seconds that handlers have for returning after the end of their calls before they are said to be waited for.
RETURN_PATIENCE: Final = 0.5
#: The number everywhere; the module that has it is imported by run() alone.
SIGINT: Final = 2
#: How calls that live at the end would be hung up.
RUN_ADVICE: Final = "run(drain=30) waits for calls to end, run(hangup_calls=True) hangs them up"
#: What :meth:`Running.run` raises in a program that is imported by what will run its client; ``None`` in any other.
loading: Final[ContextVar[Callable[[], Exception] | None]] = ContextVar("loading", default=None)
CLOSE_ADVICE: Final = "drain() waits for calls to end, disconnect(hangup_calls=True) hangs them up"


class Running:
    """The part of :class:`RelayClient` that begins and ends a program's work."""

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
        """Connect if need be, and handle calls until Ctrl-C, SIGTERM or :meth:`stop`; then disconnect.

        Signals are handled on the main thread only, and only where Python's own handlers are in place. The first one stops the
        client; a second one ends the wait for calls at once, with ``KeyboardInterrupt``, or ``SystemExit(143)`` for SIGTERM.

        Calls that live at the end go on without this client, and a warning says how many; ``relay-sync run`` hangs them up.
        Handlers have 2 s to return when their waits have ended, as with :meth:`disconnect`. A program whose client ``relay-sync``
        runs calls this below ``if __name__ == "__main__":`` only.

        :param hangup_calls: hang up the calls that live or are being dialed at the end, instead of leaving them alone.
        :param drain: seconds that the calls which live at the end have for ending by themselves; see :meth:`drain`.
        :param on_ready: called in this thread once the client is connected.
        :raises RelayError: what is fatal: refused credentials, no session in time, a session lost for good.
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
                what = counted(len(self._router.ours), "live call is", "live calls are")
                _log.warning("interrupted: %s hung up", what)
            raise
        finally:
            self._running = False
            try:
                self._part(None, hangup_calls, RUN_ADVICE)
            finally:
                self._stop_wanted = False  # it was obeyed
        return failure

    def _work(self, on_ready: Callable[[], object] | None) -> RelayError | None:
        """Connect, and wait for the end. :return: why the session was lost for good, if it was."""
        if self._stop_wanted:
            _log.info("run() returns at once: stop() was called before it")
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
        """Take no more calls, and wait until those that live have ended and their handlers have returned.

        The contexts are unsubscribed and what is offered all the same is passed back to the platform, for other clients to
        take. Calls that live or are being dialed when the time is over are hung up. Commands still work; :meth:`connect` after
        :meth:`disconnect` takes calls again.

        :param timeout: seconds for the calls to end by themselves.
        :return: whether they did, and their handlers had returned by then.
        """
        process.check_thread()
        return self._drain(values.timeout(timeout, optional=False), logging.INFO)

    def _drain(self, timeout: float, level: int, hint: str = "") -> bool:
        """:param level: of the line that says what is waited for. :param hint: what it adds."""
        router, loop = self._router, self._link.loop
        if loop is None or not loop.alive:
            return True
        begun = Flag()

        def begin(session: Session) -> None:
            # On the IO thread, so that no call is being taken at this moment; and the next session is for no contexts either.
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
            error = DialFailed(
                "nobody answered while the client had time for it: it is being drained", reason="timeout"
            )
            for command in router.dials.call_off(error):
                session.withdraw(command)
            called_off.set()

        loop.change(call_off)
        wait_for_event(called_off, HANGUP_PATIENCE)
        if router.ours:
            what = counted(len(router.ours), "call is", "calls are")
            _log.warning("%s hung up: still live after %g s", what, timeout)
            self._hang_up_calls(end)
        # What handlers do after the end of their call, such as closing a file.
        if not wait_until(router.is_quiet, router.changed, end - time.monotonic()) and router.handlers_running():
            _log.warning("still running: %s", router.handlers.told())
        return False

    def _wait_until_quiet(self, timeout: float, level: int, hint: str) -> bool:
        """Wait for calls, then for handlers, and say so: without a word it looks like a hang."""
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
        """Make :meth:`run` return, or close a client that is not running. For any thread and for signal handlers:
        it takes no lock and waits for nothing.

        One that comes before :meth:`run`, as in a thread that is just about to call it, is not lost: that returns at once.
        :meth:`connect` forgets it.
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
            return  # a client that is not running closes at once: the state says so before anybody is woken
        if loop.session.ever_ready or self._router.ours:  # a call may come before the answer that makes the session
            # run() says goodbye, and may drain and hang up calls first: while the connection is being remade they live, too.
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
                _log.warning("call %s was not seen to end: %s", call.call_id, error.message)
        if calls:
            # What they do after the end of their call, such as closing a file.
            router = self._router
            wait_until(
                lambda: not router.handlers_running(), router.changed, min(HANGUP_PATIENCE, end - time.monotonic())
            )


class _Signals:
    """What has come while :meth:`Running.run` runs: the first signal stops the client, the second ends it at once."""

    first = 0
    hurried = False
    handled = False

    @property
    def hint(self) -> str:
        """What ends the wait, for whoever watches it."""
        if not self.handled:
            return ""
        if self.first == SIGINT:
            return "; press Ctrl-C again to end at once"
        return "; Ctrl-C or SIGTERM ends it at once"


@contextmanager
def _stop_on_signals(client: Running) -> Iterator[_Signals]:
    """Let Ctrl-C and SIGTERM stop the client, where they would otherwise have Python's default effect.

    The second one of them raises: an end at once, but one that hangs up calls and lets handlers close their files, as Python's
    default for SIGTERM does not. A third one has its default effect.
    """
    with descriptors_for("run()"):
        import signal  # makes three enumerations, for run() alone

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
