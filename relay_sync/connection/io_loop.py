"""The IO thread: an event loop with a selector, a wake-up socket and timers.

The loop reports input to the session and performs the effects that the session returns. The session makes all decisions. Only the
IO thread reads, writes and closes the socket. It also wakes waiting threads, but it never runs user code. The loop keeps only a
weak reference to the client, so that an unused client can be garbage-collected.
"""

from __future__ import annotations

import itertools
import logging
import math
import selectors
import socket
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from ..config import Config
from ..errors import ConnectError, ConnectTimeout, RelayError
from ..protocol.effects import (
    Command,
    Deliver,
    Dial,
    Effect,
    Hangup,
    Late,
    Phase,
    PhaseChanged,
    Send,
    SessionOver,
    Settle,
    Trouble,
)
from ..protocol.frames import Masked
from ..protocol.results import client_closed
from ..protocol.session import Session
from ..threads import logs, process, starting
from ..threads.flag import Flag
from ..threads.loop_clock import LATE, LONGEST_SLEEP, SLICE, beyond
from ..threads.outcome import Waiter
from ..threads.pulse import answering
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.wake_up import WakeUp
from . import upgrade
from .dial_thread import ConnectAttempt, dispose
from .outbox import OUTBOX_LIMIT, OUTBOX_STOP, Outbox
from .sink import Sink

if TYPE_CHECKING:
    from .transport import FedWebSocket

__all__ = ["IOLoop"]

_log = logs.get("relay_sync").later
_frames = logs.get("relay_sync.protocol").later
_numbers = itertools.count(1)

#: Number of bytes to read per iteration, which is a quarter of the socket's buffer. Larger reads are not faster and use more
#: memory during a burst.
READ_PER_TURN: Final = 64 * 1024
#: Size in bytes below which a TLS record is assumed to contain a single reply.
SHORT_RECORD: Final = 256
WATCH_EVERY: Final = 1.0
#: Default time for which a closing connection still sends promised commands, in seconds.
PARTING_PATIENCE: Final = 1.5
#: Number of consecutive internal errors after which the client stops reconnecting.
MOST_FAULTS: Final = 10


class IOLoop:
    """A client's event loop, which runs in a thread named ``relay-io-N``. A loop can be started only once.

    :param session: session to run.
    :param config: connection configuration.
    :param sink: receiver of events and state changes.
    """

    def __init__(self, session: Session, config: Config, sink: weakref.ref[Sink]) -> None:
        self._session = session
        self._config = config
        self._sink = sink
        self._number = next(_numbers)
        self._generation = process.generation()
        self._inbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._selector = selectors.DefaultSelector()
        try:
            self._wake_up = WakeUp()
        except BaseException:  # there are no free file descriptors
            self._selector.close()
            raise
        self._selector.register(self._wake_up.receiver, selectors.EVENT_READ)
        self._wake = self._wake_up.ring
        self._closing = False
        self._parting = PARTING_PATIENCE
        self._hang_up_calls = False
        self._poked = False
        self._faults = 0
        #: The class name of the most recent internal error.
        self._fault = ""
        #: Whether the client was garbage-collected. Set by its finalizer.
        self.forgotten = False
        self.finished: bool = False
        #: A flag that makes ``run()`` return. Set when the client is stopped or the connection has closed permanently.
        self.stopped: Flag = Flag()
        #: Whether the client has stopped accepting calls.
        self.draining = False
        self._connection: FedWebSocket | None = None
        self._sock: socket.socket | None = None
        self._interest = 0
        #: Whether the TLS layer may have buffered bytes after the upgrade response. Later reads consume whole records.
        self._leftover = False
        self._secure = self._debug = False
        self._outbox = Outbox()
        #: The current connection attempt. Other threads may read it but must not change it.
        self.attempt: ConnectAttempt | None = None
        self._dials = 0
        self._waiting_ready: list[Waiter[None]] = []
        self._troubles = RateLimitedLog(_log)
        self._watch_at = 0.0
        self._turned = time.monotonic()
        self._longest = LONGEST_SLEEP
        self._thread = threading.Thread(target=self._run, name=f"relay-io-{self._number}", daemon=True)

    # -- for other threads ---------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session. Other threads may read it, but only the IO thread changes it."""
        return self._session

    @property
    def alive(self) -> bool:
        """Whether the loop accepts commands in this process."""
        over = self.finished or self._closing or self._session.phase in (Phase.CLOSED, Phase.FAILED)
        return not over and self._generation == process.generation()

    def start(self) -> None:
        """Start the thread, which then connects.

        :raises RuntimeError: the thread could not be started.
        """
        process.watch(self)
        self._post(self._open)
        try:
            starting.uninterrupted(self._thread.start)
        except RuntimeError:
            self._finish()
            raise

    def submit(self, command: Command) -> None:
        """Submit a command. Its ``settle`` function is called once, on the thread that determines the outcome."""
        self._post(self._submit, command)

    def withdraw(self, command: Command) -> None:
        """Withdraw a command whose caller has stopped waiting."""
        self._post(self._session.withdraw, command)

    def change(self, function: Callable[[Session], None]) -> None:
        """Call a function with the session on the IO thread. The function must not block."""
        self._post(function, self._session)

    def await_ready(self, waiter: Waiter[None]) -> None:
        """Settle a waiter when the session is ready. If the session fails or is closed, settle it with the error."""
        self._post(self._await_ready, waiter)

    def forget_waiter(self, waiter: Waiter[None]) -> None:
        """Remove a waiter that was passed to :meth:`await_ready`."""
        self._post(self._forget_waiter, waiter)

    def request_stop(self, patience: float | None = None, *, hang_up_calls: bool = False) -> None:
        """Start closing the connection.

        This method acquires no lock and does not block, so signal handlers and finalizers may call it.

        :param patience: how long to keep sending promised commands, in seconds. Defaults to :data:`PARTING_PATIENCE`.
        :param hang_up_calls: whether to hang up calls that are live or being dialed.
        """
        if patience is not None:
            self._parting = patience
        if hang_up_calls:
            self._hang_up_calls = True
        self._closing = True
        self._wake()

    def poke(self) -> None:
        """Make the IO thread call ``Sink.on_poke``. Acquires no lock and does not block, so signal handlers may call this."""
        self._poked = True
        self._wake()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to finish. Returns immediately on the IO thread itself.

        :param timeout: maximum time to wait, in seconds.
        :return: whether the thread has finished.
        """
        if threading.current_thread() is self._thread or not self._thread.ident:
            return self.finished
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def at_exit(self, timeout: float) -> None:
        self.request_stop()
        self.join(timeout)

    def after_fork(self) -> None:
        """Close the copied descriptors in a forked child process, without affecting the parent's connection.

        This method must not unregister descriptors from the selector, because the child and the parent share the selector's
        kernel object.
        """
        self.finished = True
        if self._sock is not None:
            dispose(self._sock)
        if self.attempt is not None:
            self.attempt.dispose()
        self._connection = self._sock = self.attempt = None
        self._inbox.clear()
        with suppress(Exception):  # the fork may have interrupted the creation of the selector
            self._selector.close()
        self._wake_up.close()

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        self._inbox.append((function, args))
        self._wake()
        if self.finished:
            self._drain_inbox()

    def _listener(self) -> Sink | None:
        sink = self._sink()
        return sink if sink is not None and sink.attached is self else None

    # -- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with logs.shared(), answering(self._thread.name, self.change):
            process.io_threads.add(threading.get_ident())
            try:
                while self._faults < MOST_FAULTS and (self._sock is not None or not self._over()):
                    try:
                        self._turn()
                        self._faults = 0
                    except BaseException:  # after an internal error, callers must not wait indefinitely
                        self._recover()
            finally:
                process.io_threads.discard(threading.get_ident())
                self._finish()

    def _recover(self) -> None:
        """Drop the connection after an internal error, and reconnect.

        :meth:`_run` ends the thread after several consecutive errors.
        """
        self._fault = type(sys.exc_info()[1]).__name__
        self._troubles.fault("internal error; reconnecting")
        self._faults += 1
        with self._troubles.caught("internal error while recovering from an internal error"):
            self._lose("an internal error")
            if self._session.phase is Phase.DIALING and self.attempt is None:
                self._session.dial_failed(time.monotonic(), ConnectError("an internal error"), fatal=False)

    def _over(self) -> bool:
        return self._session.phase in (Phase.CLOSED, Phase.FAILED) and self._sock is None

    def _turn(self) -> None:
        patience = self._patience()
        ready = self._selector.select(patience)
        now = time.monotonic()
        if patience is None or (0.0 if ready else patience) < now - self._turned < patience + LATE:
            self._longest = LONGEST_SLEEP
        else:
            self._amend(beyond(now - self._turned, patience, bool(ready)))
        self._turned = now
        self._debug = _frames.isEnabledFor(logging.DEBUG)
        readable = self._leftover and self._pending_tls()
        for key, mask in ready:
            if key.fileobj is self._wake_up.receiver:
                self._wake_up.clear()  # the inbox is drained below
            elif mask & selectors.EVENT_READ:
                readable = True
        if readable:
            self._read(now)
            # Wake waiting threads before doing anything else.
            self._perform()
        # Read these flags before draining the inbox, so that commands submitted before the close are sent first.
        closing, poked = self._closing, self._poked
        if self._inbox:
            self._drain_inbox()
        if poked or closing:
            self._obey(now)
        if self._session.promises.expecting_since is not None:
            sink = self._listener()
            if sink is None or not sink.expects():
                self._session.promises.expect_nothing()
        if now >= self._watch_at or self.attempt is not None:
            self._watch(now)
        self._session.tick(now)
        self._perform()
        self._flush()

    def _amend(self, by: float) -> None:
        """Shift all deadlines by a number of seconds, to compensate for a clock that was suspended or jumped."""
        self._longest = SLICE if by <= 0 else LONGEST_SLEEP
        self._session.shift(by)
        if self.attempt is not None:
            self.attempt.gives_up += by
        if by < 0:
            self._watch_at += by

    def _obey(self, now: float) -> None:
        if self._poked:
            self._poked = False
            sink = self._listener()
            if sink is not None:
                sink.on_poke()
        if self._closing and self._ends():
            if self.forgotten:
                _log.warning(
                    "a RelayClient was garbage-collected while connected and is closed: keep a reference, or call disconnect()"
                )
            sink = self._listener()
            if sink is not None:
                with self._troubles.caught("internal error while hanging up calls before closing"):
                    sink.on_closing(hang_up=self._hang_up_calls)
                self._drain_inbox()  # submit the commands that on_closing() has promised
                if sink.expects():
                    self._session.promises.expect(now)
            self._session.close(now, self._parting)

    def _ends(self) -> bool:
        """Return whether the session still has to be closed after a close request."""
        return not (self._session.parting or self._session.phase in (Phase.CLOSED, Phase.FAILED))

    def _patience(self) -> float | None:
        if self._inbox or (self._closing and self._ends()) or self._poked or (self._leftover and self._pending_tls()):
            return 0.0
        wake = self._watch_at if self._sock is not None else math.inf
        for other in (self._session.next_wake(), self.attempt and self.attempt.gives_up):
            if other and other < wake:
                wake = other
        # Selectors have a maximum timeout. Waking up early does no harm.
        return None if wake == math.inf else min(self._longest, max(0.0, wake - time.monotonic()))

    def _pending_tls(self) -> bool:
        connection = self._connection
        return connection is not None and bool(self._interest & selectors.EVENT_READ) and connection.holds_bytes

    def _drain_inbox(self) -> None:
        inbox = self._inbox
        while inbox:
            try:
                function, args = inbox.popleft()
            except IndexError:  # the loop has finished, and another thread has drained the inbox
                return
            function(*args)

    def _watch(self, now: float) -> None:
        if self.attempt is not None and now >= self.attempt.gives_up:
            error = ConnectTimeout(f"{self.attempt.peer} did not answer before the timeout")
            self._abandon_dial()
            self._session.dial_failed(now, error, fatal=False)
        if now >= self._watch_at:
            self._watch_at = now + WATCH_EVERY
            sink = self._listener()
            if sink is not None:
                sink.on_watch(now)

    def _finish(self) -> None:
        for step in (self._abandon_dial, self._close_socket, self._end_session):
            with self._troubles.caught("internal error at the end of the connection"):
                step()
        self.finished = True
        while self._inbox:
            with self._troubles.caught("internal error at the end of the connection"):
                self._drain_inbox()
        with self._troubles.caught("internal error at the end of the connection"):
            self._perform()
        self.end_waits(self._session.last_error or client_closed())
        self.stopped.set()
        for resource in (self._selector, self._wake_up):
            with suppress(OSError):  # other code in this process may have closed the descriptor
                resource.close()

    def _end_session(self) -> None:
        """Close the session if this was requested. Otherwise fail it, because the thread ends after internal errors."""
        if self._closing:
            self._session.close(time.monotonic())
        else:
            self._session.fail(
                f"the client stopped reconnecting after repeated internal errors (last: {self._fault}); see the log, then call "
                "connect() to start again"
            )

    # -- posted to the thread ------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._session.open(time.monotonic())

    def _submit(self, command: Command) -> None:
        if self.finished:
            command.settle(self._session.last_error or client_closed())
        else:
            self._session.submit(time.monotonic(), command)

    def _await_ready(self, waiter: Waiter[None]) -> None:
        if self.finished:
            waiter.settle(self._session.last_error or client_closed())
        elif self._session.phase is Phase.READY:
            waiter.settle(None)
        else:
            self._waiting_ready.append(waiter)

    def end_waits(self, outcome: RelayError | None) -> None:
        """Settle the waiters that were passed to :meth:`await_ready`. Called on the IO thread.

        :param outcome: the error, or ``None`` for success.
        """
        waiters, self._waiting_ready = self._waiting_ready, []
        for waiter in waiters:
            waiter.settle(outcome)

    def _forget_waiter(self, waiter: Waiter[None]) -> None:
        with suppress(ValueError):  # the waiter has already been settled
            self._waiting_ready.remove(waiter)

    # -- effects -------------------------------------------------------------------------------------------------

    def _perform(self) -> None:
        while effects := self._session.effects():
            for effect in effects:
                try:
                    if type(effect) is Send:
                        self._send(effect.text, effect.command)
                    elif type(effect) is Settle:
                        effect.command.settle(effect.outcome)
                    elif type(effect) is Deliver:
                        sink = self._listener()
                        if sink is not None:
                            sink.on_event(effect.payload)
                    else:
                        self._perform_rare(effect)
                except Exception:
                    self._troubles.fault(f"internal error while performing {type(effect).__name__}")

    def _perform_rare(self, effect: Effect) -> None:
        if isinstance(effect, Late) and effect.command.late is not None:
            effect.command.late(effect.outcome)
        elif isinstance(effect, PhaseChanged):
            self._phase_changed(effect)
        elif isinstance(effect, SessionOver):
            sink = self._listener()
            if sink is not None:
                sink.on_session_over(effect.error, effect.session)
        elif isinstance(effect, Dial):
            self._dials += 1
            name = f"relay-dial-{self._number}.{self._dials}"
            self.attempt = ConnectAttempt(self._config, name, self._dial_done)
            self.attempt.start()
        elif isinstance(effect, Hangup):
            self._hang_up(effect.at_once)
        elif isinstance(effect, Trouble):
            shown = f" ({effect.detail!r})" if effect.detail else ""
            self._troubles.warning(effect.kind, "ignored %s%s from the server", effect.kind, shown)

    def _phase_changed(self, change: PhaseChanged) -> None:
        # Update the state before waking waiting threads, so that they see the new state.
        sink = self._listener()
        try:
            if sink is not None:
                sink.on_phase(change.phase, change.error)
        finally:
            if change.phase in (Phase.READY, Phase.CLOSED, Phase.FAILED):
                outcome = None if change.phase is Phase.READY else change.error or client_closed()
                self.end_waits(outcome)
                if outcome is not None:
                    self.stopped.set()  # set last, so that run() sees the new state

    # -- the socket ----------------------------------------------------------------------------------------------

    def _dial_done(self, attempt: ConnectAttempt, outcome: FedWebSocket | ConnectError) -> None:
        # Called on the dial thread.
        self._post(self._attempt_done, attempt, outcome)

    def _attempt_done(self, attempt: ConnectAttempt, outcome: FedWebSocket | ConnectError) -> None:
        if attempt is not self.attempt or self.finished:
            if not isinstance(outcome, ConnectError):
                outcome.discard()
            return
        self.attempt = None
        now = time.monotonic()
        if isinstance(outcome, ConnectError):
            self._session.dial_failed(now, outcome, fatal=outcome.fatal, refused=upgrade.was_refused(outcome))
            return
        self._connection = outcome
        self._secure = self._leftover = outcome.secure
        self._sock = sock = outcome.socket
        self._interest = selectors.EVENT_READ
        self._selector.register(sock, selectors.EVENT_READ)
        self._session.connected(now)

    def _abandon_dial(self) -> None:
        if self.attempt is not None:
            self.attempt.abandon()
            self.attempt = None

    def _send(self, text: str, command: Command | None) -> None:
        if self._connection is not None:
            if self._debug:
                _frames.debug("-> %s", Masked(text))
            self._connection.text_frame(text)
            if command is not None:
                self._outbox.expect(command, self._connection.outbox)

    def _read(self, now: float) -> None:
        connection, session = self._connection, self._session
        if connection is None:
            return
        taken, self._leftover = 0, False
        while taken < READ_PER_TURN:
            try:
                data = connection.read(READ_PER_TURN)
            except OSError as error:
                self._lose(f"the connection failed ({error.strerror or type(error).__name__})")
                return
            if data is None:
                return
            if not data:
                self._lose("the server closed the connection")
                return
            taken += len(data)
            messages, broken = connection.feed(data)
            session.heard(now, within=not messages and connection.unfinished)
            for text in messages:
                if self._debug:
                    _frames.debug("<- %s", Masked(text))
                session.received(now, text)
            if broken is not None:
                self._lose(broken.reason, refused=broken.refused)
                return
            # If the kernel has more bytes, the selector wakes up again. A short TLS record is rarely followed by another record.
            if not self._secure or len(data) < SHORT_RECORD:
                return

    def _flush(self) -> None:
        connection = self._connection
        if connection is None:
            return
        outbox, frames, behind = self._outbox, connection.outbox, self._outbox.behind
        if not frames and not behind:
            return  # there is nothing to write
        try:
            moved = outbox.flush(frames, connection.write, now := time.monotonic())
        except OSError as error:
            self._lose(f"the connection failed ({error.strerror or type(error).__name__})")
            self._perform()
            return
        left = len(outbox) if outbox.behind else 0
        if behind or left:
            self._session.outbox(now, empty=not left, moved=behind and moved)
        self._session.congested = left > OUTBOX_LIMIT
        reading = 0 if left > OUTBOX_STOP and outbox.caused > OUTBOX_STOP else selectors.EVENT_READ
        interest = reading | (selectors.EVENT_WRITE if left else 0)
        if interest != self._interest and self._sock is not None:
            self._selector.modify(self._sock, interest)
            self._interest = interest

    def _lose(self, reason: str, *, refused: bool = False) -> None:
        """Close a broken connection and report it to the session, which decides whether to reconnect."""
        self._close_socket()
        self._session.lost(time.monotonic(), reason, refused=refused)

    def _hang_up(self, at_once: bool) -> None:
        self._abandon_dial()
        if self._connection is not None and not at_once:
            with suppress(Exception):  # the close frame is optional
                self._connection.send_close()
                self._flush()
        self._close_socket()

    def _close_socket(self) -> None:
        sock, self._sock, self._connection = self._sock, None, None
        self._outbox = Outbox()
        self._session.congested = False
        self._session.outbox(time.monotonic(), empty=True, moved=False)
        if sock is None:
            return
        with suppress(KeyError, ValueError):
            self._selector.unregister(sock)
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        sock.close()
