"""The front door: credentials, connecting, handlers, running."""

from __future__ import annotations

import inspect
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from .. import notebook_html as markup
from ..call.call import Call
from ..call.verbs import parameters
from ..config import Config
from ..constants import MAX_FRAME
from ..deadline import Deadline
from ..errors import (
    CallEnded,
    ClientClosed,
    ConnectError,
    ConnectTimeout,
    InvalidParameter,
    RequestTimeout,
    WaitTimeout,
)
from ..params import values as checks
from ..protocol.command import Command, Phase
from ..protocol.ids import new_id
from ..protocol.results import Outcome, client_closed
from ..text.secrecy import Secrets, keep, may_hold
from ..text.wording import counted
from ..threads import logs, process
from ..threads.descriptors import descriptors_for
from ..threads.lanes import InContext, warn_replaced
from ..threads.outcome import Waiter
from .asked import Asked
from .contexts import Subscribing
from .dial import Dialing
from .messaging import Messaging
from .posting import Posting, may_repeat, new_command
from .router import Switchboard
from .run import CLOSE_ADVICE, Running

if TYPE_CHECKING:
    import ssl

    from ..connection.io_loop import Loop

__all__ = ["RelayClient"]

_log = logs.get("relay_sync")

H = TypeVar("H", bound=Callable[[Call], object])

#: Seconds for the answer to ``signalwire.connect``.
CONNECT_PATIENCE: Final = 10.0
#: Seconds that closing gives handlers and queued callbacks, once the connection has ended.
DRAIN_PATIENCE: Final = 2.0
#: Seconds of the time for closing that are not for promises, but for the end itself.
PARTING_RESERVE: Final = 0.5
#: Seconds that the connection before has for ending before the next one is made.
LAST_WORD: Final = 2.0
#: Seconds that the IO thread has for ending a call that is gone.
GONE_PATIENCE: Final = 5.0
#: Seconds that a connected client may have a handler of calls, but no contexts, before it says so.
CONTEXTS_PATIENCE: Final = 2.0


class RelayClient(Dialing, Messaging, Posting, Running, Subscribing):
    """A connection to SignalWire RELAY for programs that block.

    ::

        client = RelayClient(contexts=["default"])     # credentials from the environment

        @client.on_call
        def handle(call):
            call.answer()
            call.stream("wss://example.com/audio")
            call.wait_for_ended()

        client.run()

    It works in any thread, and several may live in one process. It connects when it is first used, and from then on
    repairs its connection itself until it is closed. After a fork the child's copy starts anew when it is used.

    One that nobody holds any more closes itself. In a notebook call ``client.disconnect()`` before a cell makes it anew: calls,
    and the traceback of an interrupted cell, hold the old one, which goes on taking calls (a warning says so).

    :param project: and :param token: the credentials of a project (``SIGNALWIRE_PROJECT_ID``, ``SIGNALWIRE_API_TOKEN``),
        or :param jwt_token: a JWT that names it (``SIGNALWIRE_JWT_TOKEN``).
    :param host: ``name``, ``name:port`` or ``wss://name[:port]`` (``SIGNALWIRE_SPACE``); ``https://`` means the same as ``wss://``.
        ``ws://`` is for loopback only.
    :param contexts: the contexts whose inbound calls and messages this client takes.
    :param max_active_calls: calls over that number are passed back (``RELAY_MAX_ACTIVE_CALLS``).
    :param connect_timeout: seconds for :meth:`connect`, and for each attempt of the client's own; a server that does not answer
        ``signalwire.connect`` has at most 10 s of them. :param request_timeout: seconds for the answer to a command,
        from the moment that it is sent.
    :param ping_interval: seconds without an answer to anything after which the server is asked for a sign of life; :param
        ping_timeout: seconds in which something must come before the connection is given up and made anew. So is one on which
        the server goes on talking, but leaves three such questions in a row unanswered.
    :param max_frame: bytes; larger messages of the server end the connection. :param max_queue: commands that may wait for
        a connection.
    :param ssl_context: for TLS, instead of the default that verifies certificates. :param ca_file: PEM file of an additional
        authority to trust (``SIGNALWIRE_RELAY_CA_FILE``). :param proxy: ``http://[user:password@]host:port``; ``""`` for
        none. By default the environment decides (``https_proxy``, ``no_proxy``). Loopback never goes through a proxy.
    :param on_state: called with ``connecting``, ``connected``, ``reconnecting``, ``closed``, ``failed``.
    :param on_error: called with an exception that one of your callbacks raised, and its call or ``None``.
    :param on_handler_error: ``hangup`` or ``leave``: what becomes of a call whose handler raised.
    :param allow_insecure: talk ``ws://`` to other machines, with a warning.
    :raises InvalidParameter: a ``ValueError`` that names the parameter, and its variable.
    """

    def __init__(
        self,
        project: str | None = None,
        token: str | None = None,
        jwt_token: str | None = None,
        host: str | None = None,
        contexts: Iterable[str] | None = None,
        max_active_calls: int | None = None,
        *,
        connect_timeout: float = 30.0,
        request_timeout: float = 10.0,
        ping_interval: float = 15.0,
        ping_timeout: float = 5.0,
        max_frame: int = MAX_FRAME,
        max_queue: int = 500,
        ssl_context: ssl.SSLContext | None = None,
        ca_file: str | os.PathLike[str] | None = None,
        proxy: str | None = None,
        on_state: Callable[[str], object] | None = None,
        on_error: Callable[[BaseException, Call | None], object] | None = None,
        on_handler_error: Literal["hangup", "leave"] = "hangup",
        allow_insecure: bool = False,
    ) -> None:
        self._config = Config.gather(
            project=project,
            token=token,
            jwt_token=jwt_token,
            host=host,
            contexts=contexts,
            max_active_calls=max_active_calls,
            connect_timeout=connect_timeout,
            request_timeout=request_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_frame=max_frame,
            max_queue=max_queue,
            ssl_context=ssl_context,
            ca_file=ca_file,
            proxy=proxy,
            allow_insecure=allow_insecure,
        )
        if on_handler_error not in ("hangup", "leave"):
            raise InvalidParameter("on_handler_error", on_handler_error, "'hangup' or 'leave'")
        if on_state is not None:
            parameters.handler("on_state", on_state, ("state",))
        if on_error is not None:
            parameters.handler("on_error", on_error, ("error", "call"))
        self._board = Switchboard(
            self,
            max_active_calls=self._config.max_active_calls,
            on_state=on_state,
            on_error=on_error,
            hangup_on_error=on_handler_error == "hangup",
        )
        self._secrets = keep(Secrets(*self._config.secrets))
        # Replaced, never changed: other clients read it without the lock.
        self._contexts = dict.fromkeys(self._config.contexts)
        # Reentrant: a signal handler may close the client while this thread is opening it.
        self._lock = threading.RLock()
        self._connecting = 0
        self._ending: Loop | None = None
        self._limits = threading.local()
        self._loop: Loop | None = None
        self._forgotten: weakref.finalize[..., Any] | None = None
        self._closed = False
        self._warned_contexts = False
        #: Whether it was ever told to connect.
        self._used = False
        #: Since when it has been connected with a handler of calls, but without contexts.
        self._without_contexts: float | None = None
        self._running = False
        self._stop_wanted = False
        process.watch(self)

    def __repr__(self) -> str:
        return f"<RelayClient {self._config.address.url} {self.state}, {len(self._board.calls)} calls>"

    def _repr_html_(self) -> str:
        """For notebooks: the connection, and the calls that live."""
        about = [
            ("state", self.state),
            ("server", self._config.address.url),
            ("contexts", ", ".join(self.contexts) or "none"),
        ]
        calls = [("call", f"{call_id} {call.direction}, {call.state}") for call_id, call in self.calls.items()]
        return markup.panel("RelayClient", markup.table([*about, *calls]))

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def project(self) -> str:
        """The project, as given."""
        return self._config.project

    @property
    def host(self) -> str:
        """The host, without scheme and port."""
        return self._config.address.host

    @property
    def contexts(self) -> list[str]:
        """The contexts subscribed to."""
        return list(self._contexts)

    @property
    def state(self) -> str:
        """``idle``, ``connecting``, ``connected``, ``reconnecting``, ``closed`` or ``failed``."""
        return self._board.state

    @property
    def calls(self) -> dict[str, Call]:
        """The live calls by their ids: a snapshot."""
        return dict(self._board.calls.items())

    @property
    def relay_protocol(self) -> str:
        """The server's name for the session; ``""`` before there is one."""
        loop = self._loop
        return loop.session.protocol if loop is not None and loop.alive else ""

    # -- handlers ------------------------------------------------------------------------------------------------

    def on_call(self, handler: H = parameters.MISSING) -> H:
        """Register the handler of inbound calls; a second one replaces the first, with a warning. Usable as a decorator.

        Each call's handler runs in a thread of its own and may block for as long as the call lasts. When it raises, that
        is logged and the call is hung up; when it returns, the call stays as it is. One that was not answered then goes on
        ringing. Where nothing else has answered it 5 s later, a warning says so once.

        :raises InvalidParameter: for a coroutine function: remove its ``async``.
        """
        checked = InContext(parameters.handler("handler", handler, ("call",)))
        warn_replaced("on_call", self._board.on_call, checked)
        self._board.on_call = checked
        return handler

    def _check_contexts(self, now: float) -> None:
        """Say so, once, where calls are waited for and none can come. On the IO thread, once a second.

        Not at once: ``receive()`` may be the program's next line.
        """
        board = self._board
        if board.on_call is None or self._contexts or board.draining or board.state != "connected":
            self._without_contexts = None
            return
        since = self._without_contexts = self._without_contexts or now
        if self._warned_contexts or now < since + CONTEXTS_PATIENCE:
            return
        self._warned_contexts = True
        _log.warning(
            "on_call is registered, but this client has no contexts: no call comes. Pass contexts=[...] to RelayClient, or call "
            "receive([...])"
        )

    # -- connecting ----------------------------------------------------------------------------------------------

    def connect(self, timeout: float | None = None) -> None:
        """Connect and authenticate; returns when commands can be sent. Harmless when connected.

        :param timeout: seconds; the default is ``connect_timeout``.
        :raises AuthenticationError: the server refused the credentials; the message repeats its words.
        :raises ConnectError: the name is unknown, the certificate is not trusted, or the server refused the session three times.
        :raises ConnectTimeout: no session in time; ``__cause__`` is the last failure.
        """
        limit = checks.timeout(self._config.connect_timeout if timeout is None else timeout, optional=False)
        self._closed = False
        if not self._running:
            self._stop_wanted = False
        self._connect(Deadline.after(time.monotonic(), limit))
        logs.flush()

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """The same as :meth:`connect`, by the name of what it waits for."""
        self.connect(timeout)

    def _connect(self, deadline: Deadline) -> Loop:
        process.check_thread()
        with self._lock:
            self._connecting += 1
        try:
            loop = self._ensure_loop()
            if self._board.state == "connected" and loop.session.phase is Phase.READY:
                return loop
            waiter: Waiter[None] = Waiter()
            loop.await_ready(waiter)
            try:
                waiter.wait(deadline.remaining(time.monotonic()), lambda: self._no_session(loop))
            except BaseException:
                loop.forget_waiter(waiter)
                # Others may have more patience than this caller.
                needed = loop.session.ever_ready or loop.session.unanswered or self._board.ours
                if self._connecting == 1 and not needed:
                    self._drop_loop(loop)
                raise
            return loop
        finally:
            with self._lock:
                self._connecting -= 1

    def _no_session(self, loop: Loop) -> ConnectTimeout:
        cause, dialling, url = loop.session.last_error, loop.dialling, self._config.address.url
        why = ""
        if cause is not None:
            why = f": {cause.message}"
        elif dialling is not None and dialling.peer != url:
            why = f": {dialling.peer} did not answer in time"
        error = ConnectTimeout(
            f"no session with {url} in time{why}; check host and network, or give it a longer timeout"
        )
        # Without what it came from: its text is in this one's already.
        error.__cause__ = cause and cause.fresh()
        if error.__cause__ is not None:
            error.__cause__.__cause__ = None
        return error

    def _ensure_loop(self) -> Loop:
        with self._lock:
            if self._closed:
                raise client_closed()
            loop = self._loop
            if loop is None or not loop.alive:
                with descriptors_for("the connection"):
                    loop = self._new_loop()
                if self._stop_wanted and self._running:
                    loop.poke()  # stop() came while there was nothing to poke
            return loop

    def _new_loop(self) -> Loop:
        # A fifth of what importing this package would cost, for the first connection only.
        import random

        from ..connection.io_loop import Loop
        from ..protocol.session import Session, SessionOptions
        from . import aftermath  # noqa: F401 - asked for on the IO thread, which is not to import anything

        self._used = True
        options = SessionOptions(
            authentication=self._config.authentication,
            secrets=self._secrets,
            contexts=tuple(self._contexts),
            connect_patience=min(CONNECT_PATIENCE, self._config.connect_timeout),
            ping_interval=self._config.ping_interval,
            ping_timeout=self._config.ping_timeout,
            max_queue=self._config.max_queue,
        )
        session = Session(options, new_id=new_id, random=random.random)
        if (before := self._board.attached) is not None:
            before.join(LAST_WORD)  # what it still has to say is not to be taken for a word of the new one
        # It is not heard any more, if it still has not ended: its calls end here.
        over = ClientClosed("the client was closed: the calls it had then are out of reach")
        self._board.on_session_over(over, session.number - 1)
        self._board.reopen_lanes()
        if self._forgotten is not None:
            self._forgotten.detach()
        # Known before it runs: an interrupt in between must not leave a connection that nobody can close.
        self._note_others()
        loop = self._loop = self._board.attached = Loop(session, self._config, weakref.ref(self._board))
        self._forgotten = weakref.finalize(self, _forgotten, loop)
        self._forgotten.atexit = False
        try:
            loop.start()
        except BaseException as error:
            self._drop_loop(loop)
            if isinstance(error, RuntimeError):
                raise ConnectError(
                    f"no thread for the connection: {error}; end some threads of this process"
                ) from error
            raise
        return loop

    def _drop_loop(self, loop: Loop) -> None:
        """Give up a connection that never came about, so that the next attempt starts anew."""
        with self._lock:
            if self._loop is loop:
                self._loop = None
                self._ending = loop
                if self._forgotten is not None:
                    self._forgotten.detach()
        loop.request_stop()

    def disconnect(self, timeout: float | None = None, *, hangup_calls: bool = False) -> None:
        """Close the connection and end every wait with :class:`ClientClosed`. Idempotent, and bounded by ``timeout`` (5 s).

        What is still to be hung up, cancelled or stopped is sent first, on a new connection if need be. Handlers of
        calls and queued callbacks get at most 2 s to return; the log names those that do not. A callback or handler that calls
        it is not waited for.

        :param hangup_calls: hang up the calls that live, and those that are being dialled: phones of which nothing was told yet
            are waited for, for up to 1 s. Otherwise calls go on without us; what rings for a dial that was given up right before
            is hung up in any case.
        """
        self._part(timeout, hangup_calls, CLOSE_ADVICE)

    def _part(self, timeout: float | None, hangup_calls: bool, advice: str) -> None:
        """:param advice: what would have been the end of calls that live."""
        process.check_thread()
        limit = max(0.0, checks.timeout(5.0 if timeout is None else timeout, optional=False))
        end = time.monotonic() + limit
        if hangup_calls:
            self._hang_up_calls(end - limit / 2)  # the other half is for the end itself
        with self._lock:
            self._closed = True
            loop, self._loop = self._loop, None
            if self._forgotten is not None:
                self._forgotten.detach()
                self._forgotten = None
            if loop is not None:
                self._ending = loop
            ending = self._ending
        if loop is None:
            # It never came about; or somebody else is closing it, or was interrupted while doing so.
            if ending is not None:
                ending.join(max(0.0, end - time.monotonic()))
                self._board.finish(max(0.0, min(DRAIN_PATIENCE, end - time.monotonic())))
            return
        live = len(self._board.ours) if loop.alive and not hangup_calls else 0
        loop.request_stop(max(0.0, end - time.monotonic() - PARTING_RESERVE), hang_up_calls=hangup_calls)
        if live:
            told = counted(live, "live call goes", "live calls go")
            _log.later.warning("closing: %s on without this client; %s", told, advice)
        loop.join(max(0.0, end - time.monotonic()))
        self._board.finish(max(0.0, min(DRAIN_PATIENCE, end - time.monotonic())))

    close = disconnect

    def __enter__(self) -> RelayClient:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.disconnect()

    # -- commands ------------------------------------------------------------------------------------------------

    def execute(
        self, method: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Send any RELAY command and return its result: for what this SDK has no verb for.

        :param timeout: seconds for the answer; the default is ``request_timeout``.
        :raises CommandRefused: a JSON-RPC error, or a result code other than 2xx. :raises RequestTimeout: no answer.
        :raises ConnectionLost: the connection went; ``.sent`` says whether the command may have arrived.
        """
        parameters.text("method", method, optional=False)
        given = parameters.mapping("params", params) or {}
        limit = checks.timeout(timeout)
        named = given.get("call_id")
        call_id = named if isinstance(named, str) else ""
        call = self._board.calls.get(call_id)
        return self._command(
            method,
            given,
            call_id=call_id,
            only_in=None if not call_id else call._session if call is not None else self._board.session,
            idempotent=may_repeat(method),
            on_reply=None if call is None else call._meaning(method, given),
            timeout=limit,
        )

    @contextmanager
    def timeout(self, limit: float) -> Iterator[None]:
        """Set the request timeout of the commands that this thread sends inside the block, in seconds.

        With 0 or less, what is left of a deadline say, they raise :class:`RequestTimeout`, and nothing is sent.
        """
        checked = checks.timeout(limit, name="limit", optional=False)
        before = self._request_timeout()
        self._limits.request = checked
        try:
            yield
        finally:
            self._limits.request = before

    def _request_timeout(self) -> float:
        return float(getattr(self._limits, "request", self._config.request_timeout))

    def _command(
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
        """Send a command and wait for its reply.

        :param only_in: the number of the session without which it makes no sense, such as that of the call it is for.
        :param on_reply: applies what the reply means: it is given that, and the number of the session, on the IO thread, before
            anything that came behind the reply is looked at, and before this returns; also where nobody waits any more.
        :param late: is given the outcome where this raises: a reply that came too late, or the exception that stands for none.
            On the IO thread or on the one that gave up.
        :param made: is given the command before it is sent.
        """
        process.check_thread()
        limit = self._request_timeout() if timeout is None else timeout
        if limit <= 0:
            raise RequestTimeout(f"{method}: no time was left for it, and nothing was sent")
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
        )
        if on_reply is not None:
            asked.command = weakref.ref(command)  # the two would wait for the garbage collector if they held each other
        if may_hold(command.text):
            self._secrets.learn_from(params)
        loop = self._connected_loop(command.deadline)
        if made is not None:
            made(command)
        try:
            loop.submit(command)
            left = command.deadline.remaining(time.monotonic())
            moved = None
            # It has more time while it is being written. Where it moved no more, the clock may have stood still meanwhile.
            while not asked.settled_within(left) and moved != command.moved_at:
                moved, left = command.moved_at, command.time_left(time.monotonic())
            return asked.wait(0.0, partial(_unanswered, method, limit, loop))
        except BaseException:  # the outcome, a time limit, Ctrl-C, or whatever a signal handler raised
            if asked.give_up():
                loop.withdraw(command)
            raise

    def _connected_loop(self, deadline: Deadline) -> Loop:
        loop = self._loop
        if loop is not None and loop.alive and not self._closed:
            return loop  # connected, or connecting again: the command waits for that within its own deadline
        return self._connect(deadline)

    def _call_gone(self, call: Call) -> None:
        """The server does not know this call any more. When this returns, it has ended for us."""
        self._on_io_thread(
            lambda done: self._board.call_gone(call, done), Deadline.after(time.monotonic(), GONE_PATIENCE)
        )

    def _ask_about(self, call: Call, deadline: Deadline) -> bool:
        """Ask the server whether a call is live. When this returns, it has ended for us if it is not.

        :return: whether that could be found out.
        """
        return self._on_io_thread(lambda then: self._board.ask_about(call, then), deadline)

    def _on_io_thread(self, function: Callable[[Callable[[bool], object]], None], deadline: Deadline) -> bool:
        """Have something done where calls change their states, and wait for what it tells: it is given whom to tell."""
        loop, told = self._loop, Waiter[bool]()
        if loop is None or not loop.alive:
            return False  # its calls ended with it
        loop.change(lambda session: function(told.settle))
        try:
            return told.wait(deadline.remaining(time.monotonic()), lambda: WaitTimeout("no answer"))
        except WaitTimeout:
            return False

    def _call_over(self, call: Call) -> None:
        self._board.call_over(call)

    def _let_go(self, call: Call, error: CallEnded) -> None:
        self._board.let_go(call, error)

    def _handed_over(self, call: Call) -> None:
        self._board.handed_over(call)

    def _callback(
        self, call: Call | None, what: str, function: Callable[..., object], *args: Any, final: bool = True
    ) -> None:
        self._board.callback(call, what, function, *args, final=final)

    # -- the process ---------------------------------------------------------------------------------------------

    def after_fork(self) -> None:
        """In a child: start anew when used."""
        self._lock = threading.RLock()
        self._connecting = 0
        self._ending = None
        self._loop = None
        if self._forgotten is not None:
            self._forgotten.detach()
            self._forgotten = None
        self._running = False
        self._stop_wanted = False
        self._board.after_fork()

    def at_exit(self, timeout: float) -> None:
        """Let handlers return. Say so where a program was to take calls and never did.

        A script alone is meant: who imports it, or types it in, may have had something else in mind.
        """
        loop = self._loop
        if loop is not None:  # nobody has closed it
            end = time.monotonic() + timeout
            loop.at_exit(timeout)  # their waits end with it
            self._board.finish(max(0.0, end - time.monotonic()))
        handler = self._board.on_call
        if self._used or self._closed or handler is None or not _is_in_the_script(handler.function):
            return
        if getattr(sys, "last_value", None) is None:  # else a traceback says why
            _log.warning(
                "on_call is registered, but the program ended without connecting: call client.run() at its end"
            )


def _is_in_the_script(function: Callable[..., Any]) -> bool:
    """Whether a function was written in what Python was started with, other than a prompt."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    started = sys.argv[0] if sys.argv else ""
    if code is None or not started or sys.flags.interactive:
        return False
    unnamed = {"-c": "<string>", "-": "<stdin>"}.get(started)
    return bool(code.co_filename == unnamed or os.path.abspath(code.co_filename) == os.path.abspath(started))


def _unanswered(method: str, limit: float, loop: Loop) -> RequestTimeout:
    if loop.session.phase is Phase.READY:
        return RequestTimeout(
            f"the server did not answer {method} within {limit} s; it may still be carried out: look before you repeat it, "
            "or give it longer with client.timeout()"
        )
    cause = loop.session.last_error
    why = f" ({cause.message})" if cause is not None else ""
    return RequestTimeout(
        f"{method} was not answered within {limit} s: there is no connection{why}; it comes back by itself: try later"
    )


def _forgotten(loop: Loop) -> None:
    """The client was garbage collected while connected. Runs in a finaliser: no lock, no wait."""
    if loop.alive:
        loop.forgotten = True
        loop.request_stop()


RelayClient.__module__ = "relay_sync"
