"""A client's connection, and the commands sent over it.

The link connects on first use. After that, the IO thread reconnects automatically until the link is closed. The link accesses
the client's router only through the :class:`Recipient` protocol.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sized
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from ..config import Config
from ..constants import ConnectionState
from ..deadline import Deadline
from ..errors import ClientClosed, ConnectError, ConnectTimeout, RequestTimeout, WaitTimeout
from ..protocol.command import Command, Phase
from ..protocol.ids import new_id
from ..protocol.results import Outcome, client_closed
from ..text.secrecy import Secrets, keep, may_hold
from ..text.wording import counted
from ..threads import logs, process
from ..threads.descriptors import descriptors_for
from ..threads.living import Living
from ..threads.outcome import Waiter
from .asked import Asked
from .commands import Promise, new_command

if TYPE_CHECKING:
    from ..call.call import Call
    from ..connection.io_loop import IOLoop
    from ..connection.sink import Sink
    from ..observing.observers import Observers
    from ..protocol.session import Session
    from ..threads.table import Table
    from .counters import Counters

    class Recipient(Sink, Protocol):
        """The part of the router's interface that the link uses, in addition to :class:`Sink`."""

        #: The current loop. The router ignores reports from an older loop that is still closing.
        attached: IOLoop | None

        observers: Observers | None
        counters: Counters

        @property
        def calls(self) -> Table[str, Call]: ...
        @property
        def state(self) -> ConnectionState | str:
            """The connection state, with the same values as :attr:`RelayClient.state`."""

        @property
        def ours(self) -> Sized:
            """The live calls that this client controls."""

        def call_gone(self, call: Call, then: Callable[[bool], object]) -> None:
            """End a call that the server no longer knows, then call ``then``. Called on the IO thread."""

        def ask_about(self, call: Call, then: Callable[[bool], object]) -> None:
            """Check whether the server still knows a call, then call ``then``. Called on the IO thread.

            :param then: function that is called with ``True``, or with ``False`` if the call's state is unknown.
            """

        def reopen_lanes(self) -> None:
            """Start accepting callbacks again. Called before the next connection opens."""

        def finish(self, timeout: float) -> None:
            """Wait up to ``timeout`` seconds for queued callbacks and handlers. Called after the connection has closed."""


__all__ = ["Link"]

_log = logs.get("relay_sync").later

#: Seconds to wait for the reply to ``signalwire.connect``.
CONNECT_PATIENCE: Final = 10.0
#: Seconds to wait for handlers and queued callbacks after the connection has closed.
DRAIN_PATIENCE: Final = 2.0
#: Seconds of the closing timeout that are reserved for closing the socket. The rest may be spent on promised commands.
PARTING_RESERVE: Final = 0.5
#: Seconds to wait for the previous connection to close before opening the next one.
LAST_WORD: Final = 2.0
#: Seconds to wait for the IO thread to end a call that no longer exists on the server.
GONE_PATIENCE: Final = 5.0
#: Seconds after which the client abandons a promised command that the server has not answered.
PROMISE_PATIENCE: Final = 120.0

#: Weak references to all links of this process.
_links: Final[Living[Link]] = Living()


class Link:
    """A client's connection to the server. Thread-safe.

    The connection is closed when the link is garbage-collected. To allow this, the IO thread keeps no reference to the link and
    only a weak one to the router.

    :ivar config: configuration for future sessions. It is replaced, not modified, because other links read it without a lock.
    :ivar contexts: contexts for future sessions. This dict is also replaced, never modified.
    :ivar secrets: strings that must not appear in logs.
    :ivar loop: IO loop of the current connection, or ``None``.
    :ivar closed: whether the link was closed. Commands then raise instead of connecting.
    :ivar used: whether the client has ever tried to connect.
    :param config: client's configuration.
    :param router: client's router, which receives events and owns the calls.
    """

    def __init__(self, config: Config, router: Recipient) -> None:
        self.config: Config = config
        self.contexts: dict[str, Any | None] = dict.fromkeys(config.contexts)
        self.secrets: Secrets = keep(Secrets(*config.secrets))
        self.loop: IOLoop | None = None
        self.closed: bool = False
        self.used: bool = False
        self._router = router
        # The lock is reentrant because a signal handler may close the client while this thread is opening it.
        self._lock = threading.RLock()
        #: Number of threads that are waiting in :meth:`connect`.
        self._connecting = 0
        #: The loop that was most recently asked to stop.
        self._ending: IOLoop | None = None
        #: Per-thread settings. The ``request`` attribute is the request timeout of the thread, if it has set one.
        self._limits = threading.local()
        #: Whether any thread has set one. Looking at a ``threading.local`` costs each thread 400 bytes.
        self._limited = False
        #: The finalizer that stops the loop when the link is garbage-collected.
        self._forgotten: weakref.finalize[..., Any] | None = None

    # -- connecting ----------------------------------------------------------------------------------------------

    def reopen(self) -> None:
        """Allow commands to connect again after :meth:`close`."""
        self.closed = False
        self.used = True

    def connect(self, deadline: Deadline) -> IOLoop:
        """Connect, and wait until commands can be sent.

        :return: the connection's loop.
        :raises ClientClosed: the client was closed.
        :raises RelayError: the session failed permanently.
        :raises ConnectTimeout: no session was established before the deadline.
        """
        process.check_thread()
        with self._lock:
            self._connecting += 1
        try:
            loop = self._ensure_loop()
            if self._router.state == "connected" and loop.session.phase is Phase.READY:
                return loop
            waiter: Waiter[None] = Waiter()
            loop.await_ready(waiter)
            try:
                waiter.wait(deadline.remaining(time.monotonic()), lambda: self._no_session(loop))
            except BaseException:
                loop.forget_waiter(waiter)
                # Keep the loop if other callers are still waiting, because their timeouts may be longer.
                needed = loop.session.ever_ready or loop.session.unanswered or self._router.ours
                if self._connecting == 1 and not needed:
                    self.drop(loop)
                raise
            return loop
        finally:
            with self._lock:
                self._connecting -= 1

    def usable_loop(self, deadline: Deadline) -> IOLoop:
        """Return a loop that accepts commands, connecting first if there is none.

        The loop may be reconnecting. Commands then wait for the connection until their own deadlines.

        :param deadline: deadline for connecting.
        :raises RelayError: connecting failed; see :meth:`connect`.
        """
        loop = self.loop
        if loop is not None and loop.alive and not self.closed:
            return loop
        return self.connect(deadline)

    def _no_session(self, loop: IOLoop) -> ConnectTimeout:
        cause, attempt, url = loop.session.last_error, loop.attempt, self.config.address.url
        why = ""
        if cause is not None:
            why = f": {cause.message}"
        elif attempt is not None and attempt.peer != url:
            why = f": {attempt.peer} did not answer before the timeout"
        refused = cause is not None and isinstance(cause.__cause__, ConnectionRefusedError)
        advice = (
            "is a server running at that address?" if refused else "check host and network, or pass a longer timeout"
        )
        error = ConnectTimeout(f"no session with {url} before the timeout{why}; {advice}")
        # Chain a copy of the error without its cause, because the message already contains the cause's text.
        error.__cause__ = cause and cause.fresh()
        if error.__cause__ is not None:
            error.__cause__.__cause__ = None
        return error

    def _ensure_loop(self) -> IOLoop:
        with self._lock:
            if self.closed:
                raise client_closed()
            loop = self.loop
            if loop is None or not loop.alive:
                with descriptors_for("the connection"):
                    loop = self._new_loop()
                loop.poke()  # handle a stop() that was called before the loop existed
            return loop

    def _new_loop(self) -> IOLoop:
        # Import these modules on the first connection. They would add 20% to the import time of the package.
        import random

        from ..connection.io_loop import IOLoop
        from ..protocol.session import Session, SessionOptions

        self.used = True
        options = SessionOptions(
            authentication=self.config.authentication,
            secrets=self.secrets,
            contexts=tuple(self.contexts),
            connect_patience=min(CONNECT_PATIENCE, self.config.connect_timeout),
            ping_interval=self.config.ping_interval,
            ping_timeout=self.config.ping_timeout,
            max_queue=self.config.max_queue,
        )
        session = Session(options, new_id=new_id, random=random.random)
        if (before := self._router.attached) is not None:
            before.join(LAST_WORD)  # so that its last reports are not attributed to the new connection
        # The router ignores the previous loop from now on, even if it has not closed, so end its calls.
        over = ClientClosed("the client was closed; the calls of its previous connection are no longer reachable")
        self._router.on_session_over(over, session.number - 1)
        self._router.reopen_lanes()
        self._drop_finalizer()
        self._note_others()
        # Assign the loop before starting it. Otherwise an interrupt in between could leave a connection that cannot be closed.
        loop = self.loop = self._router.attached = IOLoop(session, self.config, weakref.ref(self._router))
        self._forgotten = weakref.finalize(self, _forgotten, loop)
        self._forgotten.atexit = False
        try:
            loop.start()
        except BaseException as error:
            self.drop(loop)
            if isinstance(error, RuntimeError):
                raise ConnectError(
                    f"cannot start a thread for the connection: {error}; reduce the number of threads of this process"
                ) from error
            raise
        return loop

    def _note_others(self) -> None:
        """Log a warning if another client in this process is subscribed to the same contexts.

        A typical case is a client left over from an earlier run of a notebook cell.
        """
        _links.add(self)
        for other in _links:
            if other is self:
                continue
            shared = self.contexts.keys() & other.contexts.keys()
            if shared and other.loop is not None and other.loop.alive and self.config.same_account(other.config):
                _log.warning(
                    "another RelayClient in this process is connected for contexts %s: each call goes to only one of them; "
                    "disconnect() the client that is not needed (perhaps from an earlier run of a notebook cell)",
                    ", ".join(sorted(shared)),
                )
                return

    # -- closing -------------------------------------------------------------------------------------------------

    def drop(self, loop: IOLoop) -> None:
        """Abandon a connection that was never established. The next command opens a new one."""
        with self._lock:
            if self.loop is loop:
                self.loop = None
                self._ending = loop
                self._drop_finalizer()
        loop.request_stop()

    def poke(self) -> None:
        """Make the IO thread call the router's ``on_poke``. Acquires no lock, so signal handlers may call this method."""
        loop = self.loop
        if loop is not None:
            loop.poke()

    def request_stop(self) -> None:
        """Start closing the connection without waiting. Acquires no lock, so signal handlers may call this method."""
        self.closed = True
        loop = self.loop
        if loop is not None:
            loop.request_stop()

    def close(self, end: float, *, hang_up_calls: bool, advice: str) -> None:
        """Close the connection, which ends all waits, then wait for callbacks and handlers.

        :param end: the deadline, as a ``time.monotonic()`` value.
        :param hang_up_calls: whether to hang up calls that are live or being dialed.
        :param advice: hint on how to end live calls, for the warning.
        """
        with self._lock:
            self.closed = True
            loop, self.loop = self.loop, None
            self._drop_finalizer()
            if loop is not None:
                self._ending = loop
            ending = self._ending
        if loop is None:
            # The client never connected, or another thread is closing the connection or was interrupted while closing it.
            if ending is not None:
                ending.join(max(0.0, end - time.monotonic()))
                self._router.finish(max(0.0, min(DRAIN_PATIENCE, end - time.monotonic())))
            return
        live = len(self._router.ours) if loop.alive and not hang_up_calls else 0
        loop.request_stop(max(0.0, end - time.monotonic() - PARTING_RESERVE), hang_up_calls=hang_up_calls)
        if live:
            what = counted(live, "live call continues", "live calls continue")
            _log.warning("closing: %s without this client; %s", what, advice)
        loop.join(max(0.0, end - time.monotonic()))
        self._router.finish(max(0.0, min(DRAIN_PATIENCE, end - time.monotonic())))

    def _drop_finalizer(self) -> None:
        """Detach the finalizer from a loop that is closing or that belongs to the parent process."""
        if self._forgotten is not None:
            self._forgotten.detach()
            self._forgotten = None

    def after_fork(self) -> None:
        """Discard the parent's connection in a forked child process."""
        self._lock = threading.RLock()
        self._connecting = 0
        self._ending = None
        self.loop = None
        self._drop_finalizer()

    def at_exit(self, timeout: float) -> None:
        """Close the connection and wait for handlers at process exit.

        :param timeout: maximum time for both, in seconds.
        """
        loop = self.loop
        if loop is not None:
            end = time.monotonic() + timeout
            loop.at_exit(timeout)  # ends every wait
            self._router.finish(max(0.0, end - time.monotonic()))

    # -- contexts and credentials --------------------------------------------------------------------------------

    def subscribe(self, change: Callable[[dict[str, None]], None]) -> None:
        """Change the contexts for current and future sessions.

        The IO thread calls this method when the reply to a command arrives. Changes are therefore applied in the order in which
        the server executed the commands.
        """
        # Another thread holds this lock for long only after the previous connection has closed, when no replies arrive.
        with self._lock:
            known = dict(self.contexts)
            change(known)
            self.contexts = known
            loop = self.loop
        if loop is not None:
            loop.change(lambda session: change(session.contexts))

    def use_jwt(self, jwt_token: str) -> None:
        """Use this JWT for future connections. May be called on any thread."""
        if jwt_token == self.config.jwt_token:
            return
        self.secrets.learn(jwt_token)

        def renew(session: Session) -> None:
            session.options.authentication = {"jwt_token": jwt_token}

        with self._lock:
            self.config = attrs.evolve(self.config, jwt_token=jwt_token)
            loop = self.loop
        if loop is not None:
            loop.change(renew)

    # -- commands ------------------------------------------------------------------------------------------------

    def request_timeout(self) -> float:
        """Return the current thread's request timeout, in seconds."""
        usual = self.config.request_timeout
        return float(getattr(self._limits, "request", usual) if self._limited else usual)

    def set_request_timeout(self, limit: float) -> None:
        """Set the current thread's request timeout, in seconds."""
        self._limited = True
        self._limits.request = limit

    def command(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        call_id: str = "",
        only_in: int | None = None,
        idempotent: bool = False,
        on_reply: Callable[[Outcome, int], object] | None = None,
        late: Callable[[object], object] | None = None,
        made: Callable[[Command], object] | None = None,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Send a command, wait for the reply and return its result.

        :param method: name of the RPC method.
        :param params: parameters of the RPC method.
        :param call_id: ID of the call that the command is for, or ``""``.
        :param only_in: number of the only session in which the command may be sent. Defaults to any session.
        :param idempotent: whether the command may be resent after reconnecting.
        :param on_reply: function that is called with the reply and the session number. The IO thread calls it before handling
            later frames and before this method returns, even if the caller has stopped waiting.
        :param late: function that is called with the outcome, a late reply or the exception, if this method raises. It runs on
            the IO thread or the calling thread.
        :param made: function that is called with the new command before it is sent.
        :param timeout: time to wait for the reply, in seconds. Defaults to :meth:`request_timeout`.
        """
        process.check_thread()
        observers = self._router.observers
        watched: AbstractContextManager[object] = (
            nullcontext()
            if observers is None
            else observers.command(method, params, call_id, self._router.calls.get(call_id))
        )
        with watched:
            limit = self.request_timeout() if timeout is None else timeout
            asked = Asked(method, params, call_id, on_reply, late)
            counters, began, loop, command = self._router.counters, time.monotonic(), None, None
            try:
                counters.pending.add(asked)
                if limit <= 0:
                    raise RequestTimeout(f"{method} was not sent: the timeout had already expired")
                command = new_command(
                    method,
                    params,
                    asked.take,
                    limit,
                    patience=limit,
                    idempotent=idempotent,
                    only_in=only_in,
                    late=None if on_reply is None and late is None else asked.take,
                    settler=None if on_reply is None else asked,
                )
                if may_hold(command.text):
                    self.secrets.learn_from(params)
                loop = self.usable_loop(command.deadline)
                if made is not None:
                    made(command)
                loop.submit(command)
                left = command.deadline.remaining(time.monotonic())
                moved = None
                # Wait longer while the frame is still being written. Stop if no bytes were written since the last check.
                while not asked.settled_within(left) and moved != command.moved_at:
                    moved, left = command.moved_at, command.time_left(time.monotonic())
                result = asked.wait(0.0, partial(_unanswered, method, limit, loop))
            # An error reply, a timeout, Ctrl-C, or an exception raised by a signal handler.
            except BaseException as error:
                counters.pending.discard(asked)
                try:
                    if command is not None and loop is not None and asked.give_up():
                        loop.withdraw(command)
                finally:
                    counters.command_done(time.monotonic() - began, error)
                raise
            counters.pending.discard(asked)  # first, so that an interrupt cannot leave the command pending
            counters.command_done(time.monotonic() - began)
            return result

    def post(self, method: str, params: Mapping[str, Any], then: Callable[[Any], object] | None = None) -> None:
        """Send a command without waiting for the reply. May be called on any thread.

        The command is not resent after reconnecting.

        :param method: name of the RPC method.
        :param params: parameters of the RPC method.
        :param then: function that the IO thread calls with the outcome: a result, a :class:`Failure` or an exception.
        """
        loop = self.loop
        if loop is None or not loop.alive:
            return
        settle = then or (lambda outcome: _log.debug("%s: %s", method, type(outcome).__name__))
        loop.submit(new_command(method, params, settle, self.config.request_timeout))

    def promise(self, method: str, params: Mapping[str, Any], *, session: int | None = None) -> None:
        """Send a command without waiting for the reply, and resend it after each reconnect until the server replies.

        May be called on any thread.

        :param method: name of the RPC method.
        :param params: parameters of the RPC method.
        :param session: number of the session that the command is for. Defaults to the current session.
        """
        loop = self.loop or self._ending  # a closing loop still sends promised commands
        if loop is None:
            return
        promise = Promise(method, str(params.get("call_id", "")), self._router.counters)
        only_in = loop.session.number if session is None else session
        loop.submit(
            new_command(
                method, params, promise.settle, PROMISE_PATIENCE, only_in=only_in, promised=True, settler=promise
            )
        )

    # -- calls ---------------------------------------------------------------------------------------------------

    def call_gone(self, call: Call) -> None:
        """End a call that the server no longer knows, and wait until it has ended."""
        deadline = Deadline.after(time.monotonic(), GONE_PATIENCE)
        self.on_io_thread(lambda done: self._router.call_gone(call, done), deadline)

    def ask_about(self, call: Call, deadline: Deadline) -> bool:
        """Check whether a call is still live on the server. If it is not, end the call before returning.

        :return: whether the call's state could be determined.
        """
        return self.on_io_thread(lambda then: self._router.ask_about(call, then), deadline)

    def on_io_thread(self, function: Callable[[Callable[[bool], object]], None], deadline: Deadline) -> bool:
        """Run a function on the IO thread, the only thread that may change call states, and wait for its result.

        :param function: function to run. It must pass its result to the callback it receives.
        :return: the result, or ``False`` if the deadline passes first.
        """
        loop, result = self.loop or self._ending, Waiter[bool]()  # the calls of a closing loop may still be live
        if loop is None:
            return False
        loop.change(lambda session: function(result.settle))
        try:
            return result.wait(deadline.remaining(time.monotonic()), lambda: WaitTimeout("no answer"))
        except WaitTimeout:
            return False


def _unanswered(method: str, limit: float, loop: IOLoop) -> RequestTimeout:
    if loop.session.phase is Phase.READY:
        return RequestTimeout(
            f"the server did not reply to {method} within {limit} s; the command may still take effect: check before you "
            "repeat it, or allow more time with client.timeout()"
        )
    cause = loop.session.last_error
    why = f" ({cause.message})" if cause is not None else ""
    return RequestTimeout(
        f"{method} was not answered within {limit} s: there is no connection{why}; the client "
        "reconnects automatically, try again later"
    )


def _forgotten(loop: IOLoop) -> None:
    """Close a garbage-collected client's loop. Runs as a finalizer, so it must not wait or acquire locks."""
    if loop.alive:
        loop.forgotten = True
        loop.request_stop()
