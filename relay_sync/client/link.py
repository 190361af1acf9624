"""The connection of one client, and the commands that are sent over it.

The link connects on first use; the IO thread reconnects until the link is closed. A link knows the router only as a
:class:`Recipient`.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sized
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

    class Recipient(Sink, Protocol):
        """The interface of the router as used by a link, in addition to what the IO thread uses."""

        #: The current loop. Reports of an older loop that is still closing are ignored.
        attached: IOLoop | None

        observers: Observers | None

        @property
        def calls(self) -> Table[str, Call]: ...
        @property
        def state(self) -> ConnectionState | str:
            """As :attr:`RelayClient.state`."""

        @property
        def ours(self) -> Sized:
            """The live calls that this client controls."""

        def call_gone(self, call: Call, then: Callable[[bool], object]) -> None:
            """On the IO thread: end a call that the server no longer knows, then call ``then``."""

        def ask_about(self, call: Call, then: Callable[[bool], object]) -> None:
            """On the IO thread: find out whether the server still knows a call. ``then`` receives whether that is known now."""

        def reopen_lanes(self) -> None:
            """Accept callbacks again, before the next connection opens."""

        def finish(self, timeout: float) -> None:
            """After the connection has closed: wait for queued callbacks and handlers, for at most ``timeout`` seconds."""


__all__ = ["Link"]

_log = logs.get("relay_sync").later

#: Seconds to wait for the reply to ``signalwire.connect``.
CONNECT_PATIENCE: Final = 10.0
#: Seconds to wait for handlers and queued callbacks once the connection has closed.
DRAIN_PATIENCE: Final = 2.0
#: Seconds of the closing time that are reserved for closing the socket, and not spent on promised commands.
PARTING_RESERVE: Final = 0.5
#: Seconds to wait for the previous connection to close before the next one opens.
LAST_WORD: Final = 2.0
#: Seconds to wait for the IO thread to end a call that no longer exists.
GONE_PATIENCE: Final = 5.0
#: Seconds after which an unanswered promised command is abandoned.
PROMISE_PATIENCE: Final = 120.0

#: The links of this process, held weakly.
_links: Final[Living[Link]] = Living()


class Link:
    """The connection of one client. Thread-safe.

    The connection closes when the link is garbage-collected: the IO thread does not hold it, and holds the router weakly.

    :ivar config: the configuration of future sessions. Replaced, never changed: other clients' links read it without the lock.
    :ivar contexts: the contexts of future sessions. Replaced, never changed, as *config*.
    :ivar secrets: the texts that must not reach a log.
    :ivar loop: the present connection, or ``None``.
    :ivar closed: whether commands are refused instead of connecting.
    :ivar used: whether the link was ever asked to connect.
    :param router: receives what arrives, and knows the calls.
    """

    def __init__(self, config: Config, router: Recipient) -> None:
        self.config: Config = config
        self.contexts: dict[str, Any | None] = dict.fromkeys(config.contexts)
        self.secrets: Secrets = keep(Secrets(*config.secrets))
        self.loop: IOLoop | None = None
        self.closed: bool = False
        self.used: bool = False
        self._router = router
        # Reentrant: a signal handler may close the client while this thread is opening it.
        self._lock = threading.RLock()
        #: How many threads wait in :meth:`connect`.
        self._connecting = 0
        #: The last loop that was asked to stop.
        self._ending: IOLoop | None = None
        #: Its ``request`` attribute is the thread's own request timeout, if set.
        self._limits = threading.local()
        #: Stops the loop when the link is garbage-collected.
        self._forgotten: weakref.finalize[..., Any] | None = None

    # -- connecting ----------------------------------------------------------------------------------------------

    def reopen(self) -> None:
        """Let commands connect again after :meth:`close`."""
        self.closed = False
        self.used = True

    def connect(self, deadline: Deadline) -> IOLoop:
        """Connect, and return when commands can be sent.

        :raises ClientClosed: the client was closed.
        :raises RelayError: a fatal failure of the session.
        :raises ConnectTimeout: no session before the deadline.
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
                # Other callers may have longer timeouts.
                needed = loop.session.ever_ready or loop.session.unanswered or self._router.ours
                if self._connecting == 1 and not needed:
                    self.drop(loop)
                raise
            return loop
        finally:
            with self._lock:
                self._connecting -= 1

    def usable_loop(self, deadline: Deadline) -> IOLoop:
        """Return a loop that accepts commands. While it reconnects, a command waits within its own deadline.

        :param deadline: for the first connection.
        :raises RelayError: as :meth:`connect`.
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
        # A copy without its own cause, whose text the message already contains.
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
                loop.poke()  # stop() may have been called before the loop existed
            return loop

    def _new_loop(self) -> IOLoop:
        # Imported on the first connection: these modules would add a fifth to the import time of the package.
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
            before.join(LAST_WORD)  # its last reports must not be attributed to the new connection
        # From here on it is ignored, even if it has not closed yet, so its calls end now.
        over = ClientClosed("the client was closed; the calls of its previous connection are no longer reachable")
        self._router.on_session_over(over, session.number - 1)
        self._router.reopen_lanes()
        self._drop_finalizer()
        # Assigned before it starts: an interrupt in between must not leave a connection that cannot be closed.
        self._note_others()
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
        """Warn if another client of this process receives the same calls, such as one left behind by a notebook cell."""
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
        """Give up a connection that was never established, so that the next command opens another one."""
        with self._lock:
            if self.loop is loop:
                self.loop = None
                self._ending = loop
                self._drop_finalizer()
        loop.request_stop()

    def poke(self) -> None:
        """Have the router's ``on_poke`` called on the IO thread. Safe in signal handlers: it acquires no lock."""
        loop = self.loop
        if loop is not None:
            loop.poke()

    def request_stop(self) -> None:
        """Close without waiting. Safe in signal handlers: it acquires no lock."""
        self.closed = True
        loop = self.loop
        if loop is not None:
            loop.request_stop()

    def close(self, end: float, *, hang_up_calls: bool, advice: str) -> None:
        """Close the connection, which ends every wait; then let callbacks run and handlers return.

        :param end: the deadline, on the clock of ``time.monotonic()``.
        :param hang_up_calls: hang up the calls that are live or being dialed.
        :param advice: how the caller could have ended the calls that continue, for the warning.
        """
        with self._lock:
            self.closed = True
            loop, self.loop = self.loop, None
            self._drop_finalizer()
            if loop is not None:
                self._ending = loop
            ending = self._ending
        if loop is None:
            # Never connected, or another thread is closing the connection or was interrupted while doing so.
            if ending is not None:
                ending.join(max(0.0, end - time.monotonic()))
                self._router.finish(max(0.0, min(DRAIN_PATIENCE, end - time.monotonic())))
            return
        live = len(self._router.ours) if loop.alive and not hang_up_calls else 0
        loop.request_stop(max(0.0, end - time.monotonic() - PARTING_RESERVE), hang_up_calls=hang_up_calls)
        if live:
            told = counted(live, "live call continues", "live calls continue")
            _log.warning("closing: %s without this client; %s", told, advice)
        loop.join(max(0.0, end - time.monotonic()))
        self._router.finish(max(0.0, min(DRAIN_PATIENCE, end - time.monotonic())))

    def _drop_finalizer(self) -> None:
        """Detach the finalizer from a loop that is closing, or that is the parent process's."""
        if self._forgotten is not None:
            self._forgotten.detach()
            self._forgotten = None

    def after_fork(self) -> None:
        """In a child process: forget the parent's connection."""
        self._lock = threading.RLock()
        self._connecting = 0
        self._ending = None
        self.loop = None
        self._drop_finalizer()

    def at_exit(self, timeout: float) -> None:
        """At process exit: close an open connection and let handlers return, within this many seconds."""
        loop = self.loop
        if loop is not None:
            end = time.monotonic() + timeout
            loop.at_exit(timeout)  # ends every wait
            self._router.finish(max(0.0, end - time.monotonic()))

    # -- contexts and credentials --------------------------------------------------------------------------------

    def subscribe(self, change: Callable[[dict[str, None]], None]) -> None:
        """Change the contexts of this session and of future ones.

        Called on the IO thread as replies arrive, which is the order in which the server executed the commands.
        """
        with self._lock:  # held for long only after the previous connection has closed; it delivers no replies then
            known = dict(self.contexts)
            change(known)
            self.contexts = known
            loop = self.loop
        if loop is not None:
            loop.change(lambda session: change(session.contexts))

    def use_jwt(self, jwt_token: str) -> None:
        """Use a JWT for future connections. On any thread."""
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
        """Return the seconds to wait for replies to commands that this thread sends."""
        return float(getattr(self._limits, "request", self.config.request_timeout))

    def set_request_timeout(self, limit: float) -> None:
        """Set the seconds to wait for replies to commands that this thread sends."""
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
        observed: bool = False,
    ) -> dict[str, Any]:
        """Send a command and wait for its reply.

        :param only_in: the number of the session in which the command makes sense, such as that of its call.
        :param on_reply: called with the reply and the session's number, on the IO thread, before any later frame is handled and
            before this method returns. Also called if the caller has given up.
        :param late: receives the outcome if this method raises: a late reply, or the exception. Called on the IO thread or on the
            calling thread.
        :param made: receives the command before it is sent.
        :param timeout: seconds to wait for the reply. Default: :meth:`request_timeout`.
        :param observed: whether observers have been notified of the command.
        """
        process.check_thread()
        observers = self._router.observers
        if observers is not None and not observed:
            with observers.command(method, params, call_id, self._router.calls.get(call_id)):
                return self.command(
                    method,
                    params,
                    call_id=call_id,
                    only_in=only_in,
                    idempotent=idempotent,
                    on_reply=on_reply,
                    late=late,
                    made=made,
                    timeout=timeout,
                    observed=True,
                )
        limit = self.request_timeout() if timeout is None else timeout
        if limit <= 0:
            raise RequestTimeout(f"{method} was not sent: the timeout had already expired")
        asked = Asked(method, params, call_id, on_reply, late)
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
        try:
            loop.submit(command)
            left = command.deadline.remaining(time.monotonic())
            moved = None
            # While the frame is being written, the limit is extended. Without progress, the clock may have been suspended.
            while not asked.settled_within(left) and moved != command.moved_at:
                moved, left = command.moved_at, command.time_left(time.monotonic())
            return asked.wait(0.0, partial(_unanswered, method, limit, loop))
        except BaseException:  # the outcome, a timeout, Ctrl-C, or an exception of a signal handler
            if asked.give_up():
                loop.withdraw(command)
            raise

    def post(self, method: str, params: Mapping[str, Any], then: Callable[[Any], object] | None = None) -> None:
        """Send a command without waiting for its reply; on any thread. It is not sent again after a reconnection.

        :param then: receives the outcome, on the IO thread: a result, a :class:`Failure` or an exception.
        """
        loop = self.loop
        if loop is None or not loop.alive:
            return
        settle = then or (lambda outcome: _log.debug("%s: %s", method, type(outcome).__name__))
        loop.submit(new_command(method, params, settle, self.config.request_timeout))

    def promise(self, method: str, params: Mapping[str, Any], *, session: int | None = None) -> None:
        """Send a command without waiting, and again after a reconnection until it is answered; on any thread.

        :param session: the number of the session that the command is for. Default: the present one.
        """
        loop = self.loop or self._ending  # a loop that is closing still sends promised commands
        if loop is None:
            return
        promise = Promise(method, str(params.get("call_id", "")))
        only_in = loop.session.number if session is None else session
        loop.submit(
            new_command(
                method, params, promise.settle, PROMISE_PATIENCE, only_in=only_in, promised=True, settler=promise
            )
        )

    # -- calls ---------------------------------------------------------------------------------------------------

    def call_gone(self, call: Call) -> None:
        """End a call that the server no longer knows, and return when it has ended."""
        deadline = Deadline.after(time.monotonic(), GONE_PATIENCE)
        self.on_io_thread(lambda done: self._router.call_gone(call, done), deadline)

    def ask_about(self, call: Call, deadline: Deadline) -> bool:
        """Ask the server whether a call is live. If it is not, it has ended when this method returns.

        :return: whether an answer was found.
        """
        return self.on_io_thread(lambda then: self._router.ask_about(call, then), deadline)

    def on_io_thread(self, function: Callable[[Callable[[bool], object]], None], deadline: Deadline) -> bool:
        """Run a function on the IO thread, where calls change their states, and wait for its result.

        :param function: receives a function that accepts the result.
        :return: the result, or ``False`` if there was none before the deadline.
        """
        loop, told = self.loop or self._ending, Waiter[bool]()  # while a loop closes, its calls may still be live
        if loop is None:
            return False
        loop.change(lambda session: function(told.settle))
        try:
            return told.wait(deadline.remaining(time.monotonic()), lambda: WaitTimeout("no answer"))
        except WaitTimeout:
            return False


def _unanswered(method: str, limit: float, loop: IOLoop) -> RequestTimeout:
    if loop.session.phase is Phase.READY:
        return RequestTimeout(
            f"the server did not answer {method} within {limit} s; the command may still take effect: check before you "
            "repeat it, or allow more time with client.timeout()"
        )
    cause = loop.session.last_error
    why = f" ({cause.message})" if cause is not None else ""
    return RequestTimeout(
        f"{method} was not answered within {limit} s: there is no connection{why}; the client "
        "reconnects automatically, try again later"
    )


def _forgotten(loop: IOLoop) -> None:
    """Close the loop of a garbage-collected client. Runs in a finalizer: no lock, no wait."""
    if loop.alive:
        loop.forgotten = True
        loop.request_stop()
