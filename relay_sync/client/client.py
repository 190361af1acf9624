"""The front door: credentials, connecting, handlers, running."""

from __future__ import annotations

import inspect
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from .. import notebook_html
from ..call.call import Call, core_of
from ..config import Config
from ..constants import MAX_FRAME
from ..deadline import Deadline
from ..errors import InvalidParameter
from ..params import values
from ..threads import logs, process
from ..threads.lanes import InContext, warn_replaced
from .commands import may_repeat
from .contexts import Subscribing
from .dial import Dialing
from .link import Link
from .messaging import Messaging
from .router import Router
from .run import CLOSE_ADVICE, Running

if TYPE_CHECKING:
    import ssl

    from ..observing.observer import Observer

__all__ = ["RelayClient", "config_of"]

_log = logs.get("relay_sync")

H = TypeVar("H", bound=Callable[[Call], object])

#: Seconds that a connected client may have a handler of calls, but no contexts, before it says so.
CONTEXTS_PATIENCE: Final = 2.0


class RelayClient(Dialing, Messaging, Running, Subscribing):
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
        config = Config.gather(
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
            values.handler("on_state", on_state, ("state",))
        if on_error is not None:
            values.handler("on_error", on_error, ("error", "call"))
        self._router = Router(
            self,
            max_active_calls=config.max_active_calls,
            on_state=on_state,
            on_error=on_error,
            hang_up_on_error=on_handler_error == "hangup",
            on_watch=self._check_contexts,
            on_poke=self._stop_asked,
        )
        self._link = Link(config, self._router)
        self._warned_contexts = False
        #: Since when it has been connected with a handler of calls, but without contexts.
        self._without_contexts: float | None = None
        self._running = False
        self._stop_wanted = False
        self._life = _Life(self)
        process.watch(self._life)

    def __repr__(self) -> str:
        return f"<RelayClient {self._link.config.address.url} {self.state}, {len(self._router.calls)} calls>"

    def _repr_html_(self) -> str:
        """For notebooks: the connection, and the calls that live."""
        about = [
            ("state", self.state),
            ("server", self._link.config.address.url),
            ("contexts", ", ".join(self.contexts) or "none"),
        ]
        calls = [("call", f"{call_id} {call.direction}, {call.state}") for call_id, call in self.calls.items()]
        return notebook_html.panel("RelayClient", notebook_html.table([*about, *calls]))

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def project(self) -> str:
        """The project, as given."""
        return self._link.config.project

    @property
    def host(self) -> str:
        """The host, without scheme and port."""
        return self._link.config.address.host

    @property
    def contexts(self) -> list[str]:
        """The contexts subscribed to."""
        return list(self._link.contexts)

    @property
    def state(self) -> str:
        """``idle``, ``connecting``, ``connected``, ``reconnecting``, ``closed`` or ``failed``."""
        return self._router.state

    @property
    def calls(self) -> dict[str, Call]:
        """The live calls by their ids: a snapshot."""
        return dict(self._router.calls.items())

    @property
    def relay_protocol(self) -> str:
        """The server's name for the session; ``""`` before there is one."""
        loop = self._link.loop
        return loop.session.protocol if loop is not None and loop.alive else ""

    # -- handlers ------------------------------------------------------------------------------------------------

    def on_call(self, handler: H = values.MISSING) -> H:
        """Register the handler of inbound calls; a second one replaces the first, with a warning. Usable as a decorator.

        Each call's handler runs in a thread of its own and may block for as long as the call lasts. When it raises, that
        is logged and the call is hung up; when it returns, the call stays as it is. One that was not answered then goes on
        ringing. Where nothing else has answered it 5 s later, a warning says so once.

        :raises InvalidParameter: for a coroutine function: remove its ``async``.
        """
        checked = InContext(values.handler("handler", handler, ("call",)))
        warn_replaced("on_call", self._router.on_call, checked)
        self._router.on_call = checked
        return handler

    def _check_contexts(self, now: float) -> None:
        """Say so, once, where calls are waited for and none can come. On the IO thread, once a second.

        Not at once: ``receive()`` may be the program's next line.
        """
        router = self._router
        if router.on_call is None or self._link.contexts or router.draining or router.state != "connected":
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

    def observe(self, observer: Observer, keep: Iterable[str] = ()) -> Callable[[], None]:
        """Notify an :class:`Observer` of what this client does from now on: its calls, commands, messages and connection.

        :param keep: what the records of calls hold besides the usual: ``custom_parameters`` (of streams; all of them),
            ``custom_parameters.NAME`` (one of them), ``urls`` (whole, with query and fragment). Tokens and passwords are
            left out all the same.
        :return: takes the observer off again; harmless a second time.
        :raises InvalidParameter: it is no observer, a method of it is a coroutine function, or *keep* has an unknown name.
        """
        return self._router.observe(observer, keep)

    # -- connecting ----------------------------------------------------------------------------------------------

    def connect(self, timeout: float | None = None) -> None:
        """Connect and authenticate; returns when commands can be sent. Harmless when connected.

        :param timeout: seconds; the default is ``connect_timeout``.
        :raises AuthenticationError: the server refused the credentials; the message repeats its words.
        :raises ConnectError: the name is unknown, the certificate is not trusted, or the server refused the session three times.
        :raises ConnectTimeout: no session in time; ``__cause__`` is the last failure.
        """
        limit = values.timeout(self._link.config.connect_timeout if timeout is None else timeout, optional=False)
        self._link.reopen()
        if not self._running:
            self._stop_wanted = False
        self._link.connect(Deadline.after(time.monotonic(), limit))
        logs.flush()

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """The same as :meth:`connect`, by the name of what it waits for."""
        self.connect(timeout)

    def disconnect(self, timeout: float | None = None, *, hangup_calls: bool = False) -> None:
        """Close the connection and end every wait with :class:`ClientClosed`. Idempotent, and bounded by ``timeout`` (5 s).

        What is still to be hung up, cancelled or stopped is sent first, on a new connection if need be. Handlers of
        calls and queued callbacks get at most 2 s to return; the log names those that do not. A callback or handler that calls
        it is not waited for.

        :param hangup_calls: hang up the calls that live, and those that are being dialed: phones of which nothing was told yet
            are waited for, for up to 1 s. Otherwise calls go on without us; what rings for a dial that was given up right before
            is hung up in any case.
        """
        self._part(timeout, hangup_calls, CLOSE_ADVICE)

    def _part(self, timeout: float | None, hangup_calls: bool, advice: str) -> None:
        """:param advice: what would have been the end of calls that live."""
        process.check_thread()
        limit = max(0.0, values.timeout(5.0 if timeout is None else timeout, optional=False))
        end = time.monotonic() + limit
        if hangup_calls:
            self._hang_up_calls(end - limit / 2)  # the other half is for the end itself
        self._link.close(end, hang_up_calls=hangup_calls, advice=advice)

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
        values.text("method", method, optional=False)
        given = values.mapping("params", params) or {}
        limit = values.timeout(timeout)
        named = given.get("call_id")
        call_id = named if isinstance(named, str) else ""
        call = self._router.calls.get(call_id)
        core = None if call is None else core_of(call)
        return self._link.command(
            method,
            given,
            call_id=call_id,
            only_in=None if not call_id else self._router.session if core is None else core.session,
            idempotent=may_repeat(method),
            on_reply=None if core is None else core.meaning(method, given),
            timeout=limit,
        )

    @contextmanager
    def timeout(self, limit: float) -> Iterator[None]:
        """Set the request timeout of the commands that this thread sends inside the block, in seconds.

        With 0 or less, what is left of a deadline say, they raise :class:`RequestTimeout`, and nothing is sent.
        """
        checked = values.timeout(limit, name="limit", optional=False)
        before = self._link.request_timeout()
        self._link.set_request_timeout(checked)
        try:
            yield
        finally:
            self._link.set_request_timeout(before)


class _Life:
    """A client, as the process it lives in needs it. The client holds this, and this holds it weakly."""

    def __init__(self, client: RelayClient) -> None:
        self._client = weakref.ref(client)

    def after_fork(self) -> None:
        """In a child: start anew when used."""
        client = self._client()
        if client is not None:
            client._link.after_fork()
            client._running = False
            client._stop_wanted = False
            client._router.after_fork()

    def at_exit(self, timeout: float) -> None:
        """Let handlers return. Say so where a program was to take calls and never did.

        A script alone is meant: who imports it, or types it in, may have had something else in mind.
        """
        client = self._client()
        if client is None:
            return
        client._link.at_exit(timeout)
        handler = client._router.on_call
        if client._link.used or client._link.closed or handler is None or not _is_in_the_script(handler.function):
            return
        if getattr(sys, "last_value", None) is None:  # else a traceback says why
            _log.warning(
                "on_call is registered, but the program ended without connecting: call client.run() at its end"
            )


def config_of(client: RelayClient) -> Config:
    """What a client was given, and what it found in the environment: for other parts of the package that show or compare it."""
    return client._link.config


def _is_in_the_script(function: Callable[..., Any]) -> bool:
    """Whether a function was written in what Python was started with, other than a prompt."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    started = sys.argv[0] if sys.argv else ""
    if code is None or not started or sys.flags.interactive:
        return False
    unnamed = {"-c": "<string>", "-": "<stdin>"}.get(started)
    return bool(code.co_filename == unnamed or os.path.abspath(code.co_filename) == os.path.abspath(started))


RelayClient.__module__ = "relay_sync"
