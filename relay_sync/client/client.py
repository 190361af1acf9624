"""RelayClient: credentials, connection lifecycle and handlers."""

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
from ..constants import MAX_FRAME, ConnectionState
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

#: Seconds that a connected client may have an ``on_call`` handler but no contexts before it logs a warning.
CONTEXTS_PATIENCE: Final = 2.0


class RelayClient(Dialing, Messaging, Running, Subscribing):
    """A blocking client for one SignalWire RELAY connection.

    ::

        client = RelayClient(contexts=["default"])     # credentials from the environment

        @client.on_call
        def handle(call):
            call.answer()
            call.stream("wss://example.com/audio")
            call.wait_for_ended()

        client.run()

    A client is safe to use from any thread, and a process may have several. It connects on first use and reconnects
    automatically until it is closed. After a fork, the child's copy starts without a connection and connects when it is used.

    A client closes when it is garbage-collected. In a notebook, call ``client.disconnect()`` before a cell recreates the client:
    live calls, and the traceback of an interrupted cell, keep the old client alive, and it continues to receive calls. A warning
    is logged when this happens.

    :param project: the project ID (``SIGNALWIRE_PROJECT_ID``).
    :param token: the project's API token (``SIGNALWIRE_API_TOKEN``).
    :param jwt_token: a JWT that identifies the project, instead of *project* and *token* (``SIGNALWIRE_JWT_TOKEN``).
    :param host: ``name``, ``name:port`` or ``wss://name[:port]`` (``SIGNALWIRE_SPACE``). ``https://`` means ``wss://``; ``ws://``
        is accepted for loopback hosts only, see *allow_insecure*.
    :param contexts: the contexts whose inbound calls and messages this client receives. Default: none, see :meth:`receive`.
    :param max_active_calls: inbound calls beyond this limit are returned to the platform (``RELAY_MAX_ACTIVE_CALLS``).
        Default: 1000.
    :param connect_timeout: seconds for :meth:`connect` and for each reconnection attempt. The server has at most 10 s of them to
        answer ``signalwire.connect``.
    :param request_timeout: seconds to wait for the reply to a command, counted from when it is sent.
    :param ping_interval: seconds without any reply before a ping is sent.
    :param ping_timeout: seconds to wait for any data after a ping before the client drops the connection and reconnects. It also
        does so after three unanswered pings in a row, even if other data arrives.
    :param max_frame: the largest message accepted from the server, in bytes, at least 1024. A larger one closes the connection.
    :param max_queue: how many commands may wait for a connection, at least 1. Further commands raise :class:`QueueFull`.
    :param ssl_context: the ``ssl.SSLContext`` to use, instead of the default one, which verifies certificates.
    :param ca_file: a PEM file with an additional certificate authority to trust (``SIGNALWIRE_RELAY_CA_FILE``).
    :param proxy: ``http://[user:password@]host:port``, or ``""`` for a direct connection. By default ``https_proxy`` and
        ``no_proxy`` in the environment decide. Loopback hosts are never reached through a proxy.
    :param on_state: called with each new state: ``connecting``, ``connected``, ``reconnecting``, ``closed`` or ``failed``.
    :param on_error: called with each exception that one of your callbacks raises, and with its call or ``None``.
    :param on_handler_error: what to do with a call whose handler raises: ``hangup``, or ``leave`` to keep it unchanged.
    :param allow_insecure: allow ``ws://`` (no TLS) to hosts other than loopback, with a warning.
    :raises InvalidParameter: for an invalid or missing value; the message names the parameter and its environment variable.
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
        on_state: Callable[[ConnectionState], object] | None = None,
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
        #: Since when the client has been connected with an ``on_call`` handler but no contexts.
        self._without_contexts: float | None = None
        self._running = False
        self._stop_wanted = False
        self._life = _Life(self)
        process.watch(self._life)

    def __repr__(self) -> str:
        return f"<RelayClient {self._link.config.address.url} {self.state}, {len(self._router.calls)} calls>"

    def _repr_html_(self) -> str:
        """Return the connection state and the live calls as HTML, for notebooks."""
        about = [
            ("state", self.state),
            ("server", self._link.config.address.url),
            ("contexts", ", ".join(self.contexts) or "none"),
        ]
        calls = [("call", f"{call_id} {call.direction}, {call.state}") for call_id, call in self.calls.items()]
        return notebook_html.panel("RelayClient", notebook_html.table([*about, *calls]))

    # -- properties ----------------------------------------------------------------------------------------------

    @property
    def project(self) -> str:
        """The project ID, as given."""
        return self._link.config.project

    @property
    def host(self) -> str:
        """The host, without scheme and port."""
        return self._link.config.address.host

    @property
    def contexts(self) -> list[str]:
        """The contexts that this client is subscribed to."""
        return list(self._link.contexts)

    @property
    def state(self) -> ConnectionState | str:
        """``idle``, ``connecting``, ``connected``, ``reconnecting``, ``closed`` or ``failed``."""
        return self._router.state

    @property
    def calls(self) -> dict[str, Call]:
        """A snapshot of the live calls, by call ID."""
        return dict(self._router.calls.items())

    @property
    def relay_protocol(self) -> str:
        """The server's name for the session, or ``""`` before there is one."""
        loop = self._link.loop
        return loop.session.protocol if loop is not None and loop.alive else ""

    # -- handlers ------------------------------------------------------------------------------------------------

    def on_call(self, handler: H = values.MISSING) -> H:
        """Register the handler of inbound calls. Usable as a decorator.

        Each call's handler runs in its own thread and may block for as long as the call lasts. If the handler raises, the
        exception is logged and the call is hung up (see ``on_handler_error``). If it returns, the call is left unchanged: an
        unanswered call continues to ring. If nothing answers it within 5 s, a warning is logged, once per client.

        :param handler: a function that accepts a :class:`Call`. It replaces an earlier handler, with a warning.
        :raises InvalidParameter: for a coroutine function, or a function that does not accept one argument.
        """
        checked = InContext(values.handler("handler", handler, ("call",)))
        warn_replaced("on_call", self._router.on_call, checked)
        self._router.on_call = checked
        return handler

    def _check_contexts(self, now: float) -> None:
        """Warn once if an ``on_call`` handler is registered but the client has no contexts. On the IO thread, once a second.

        The warning is delayed: the program may be about to call ``receive()``.
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
            "an on_call handler is registered, but this client has no contexts and receives no calls; pass contexts=[...] to "
            "RelayClient, or call receive([...])"
        )

    def observe(self, observer: Observer, keep: Iterable[str] = ()) -> Callable[[], None]:
        """Notify an :class:`Observer` of this client's calls, commands, messages and connection from now on.

        :param observer: an instance of a class derived from :class:`Observer`.
        :param keep: optional fields to include in call records: ``custom_parameters`` (all custom parameters of streams),
            ``custom_parameters.NAME`` (one of them), ``urls`` (full URLs with query and fragment). Tokens and passwords are
            always removed.
        :return: a function that removes the observer. Calling it again does nothing.
        :raises InvalidParameter: *observer* is not an :class:`Observer`, one of its methods is a coroutine function, or *keep*
            has an unknown name.
        """
        return self._router.observe(observer, keep)

    # -- connecting ----------------------------------------------------------------------------------------------

    def connect(self, timeout: float | None = None) -> None:
        """Connect and authenticate. Return when commands can be sent; do nothing if already connected.

        :param timeout: seconds. Default: ``connect_timeout``.
        :raises AuthenticationError: the server refused the credentials; the message quotes its reason.
        :raises ConnectError: the host name is unknown, the certificate is not trusted, or the server refused the session three
            times.
        :raises ConnectTimeout: no session was established before the timeout; ``__cause__`` is the last failure.
        :raises ClientClosed: the client was closed in the meantime.
        """
        limit = values.timeout(self._link.config.connect_timeout if timeout is None else timeout, optional=False)
        self._link.reopen()
        if not self._running:
            self._stop_wanted = False
        self._link.connect(Deadline.after(time.monotonic(), limit))
        logs.flush()

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Wait until commands can be sent. Alias of :meth:`connect`.

        :param timeout: seconds. Default: ``connect_timeout``.
        """
        self.connect(timeout)

    def disconnect(self, timeout: float | None = None, *, hangup_calls: bool = False) -> None:
        """Close the connection. Every pending wait raises :class:`ClientClosed`.

        Pending hang-ups, cancellations and stops are sent first, on a new connection if necessary. Handlers and queued callbacks
        then get up to 2 s to return; any that are still running are named in the log. A handler or callback that calls this
        method does not wait for itself or for others. Calling it on a closed client does nothing.

        :param timeout: seconds that closing may take. Default: 5.
        :param hangup_calls: hang up live calls and outbound legs that are still being dialed, waiting up to 1 s for legs that the
            server has not reported yet. By default live calls continue without this client; legs of a dial that was canceled
            right before are hung up in any case.
        """
        self._part(timeout, hangup_calls, CLOSE_ADVICE)

    def _part(self, timeout: float | None, hangup_calls: bool, advice: str) -> None:
        """Close the client.

        :param advice: how the caller could have ended the live calls, for the log.
        """
        process.check_thread()
        limit = max(0.0, values.timeout(5.0 if timeout is None else timeout, optional=False))
        end = time.monotonic() + limit
        if hangup_calls:
            self._hang_up_calls(end - limit / 2)  # the other half is for closing
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
        """Send any RELAY command and return its result. Use it for commands that this SDK has no method for.

        :param method: the method's name on the wire, such as ``calling.answer``.
        :param params: its parameters, as the server expects them.
        :param timeout: seconds to wait for the reply. Default: ``request_timeout``.
        :return: the ``result`` of the reply.
        :raises CommandRefused: the server replied with a JSON-RPC error or with a result code other than 2xx.
        :raises RequestTimeout: the server did not reply before the timeout.
        :raises ConnectionLost: the connection closed before the reply; ``.sent`` tells whether the command may have arrived.
        :raises InvalidParameter: *params* cannot be written as JSON.
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
        """Set the request timeout of the commands that this thread sends inside the ``with`` block.

        With a limit of 0 or less, such as an expired deadline, commands raise :class:`RequestTimeout` and nothing is sent.

        :param limit: seconds to wait for each reply.
        """
        checked = values.timeout(limit, name="limit", optional=False)
        before = self._link.request_timeout()
        self._link.set_request_timeout(checked)
        try:
            yield
        finally:
            self._link.set_request_timeout(before)


class _Life:
    """Process-wide hooks of a client: fork and exit. The client holds this object, which holds the client weakly."""

    def __init__(self, client: RelayClient) -> None:
        self._client = weakref.ref(client)

    def after_fork(self) -> None:
        """In a child process: forget the connection; the next use connects."""
        client = self._client()
        if client is not None:
            client._link.after_fork()
            client._running = False
            client._stop_wanted = False
            client._router.after_fork()

    def at_exit(self, timeout: float) -> None:
        """Let handlers return. Warn if a script registered an ``on_call`` handler but never connected.

        Only scripts: a program that imports the handler, or an interactive session, may not intend to connect.
        """
        client = self._client()
        if client is None:
            return
        client._link.at_exit(timeout)
        handler = client._router.on_call
        if client._link.used or client._link.closed or handler is None or not _is_in_the_script(handler.function):
            return
        if getattr(sys, "last_value", None) is None:  # otherwise a traceback gives the reason
            _log.warning(
                "an on_call handler is registered, but the program ended without connecting; call client.run() at its end"
            )


def config_of(client: RelayClient) -> Config:
    """Return the configuration of a client, for parts of the package that show or compare it."""
    return client._link.config


def _is_in_the_script(function: Callable[..., Any]) -> bool:
    """Return whether a function is defined in the script that Python was started with (not at a prompt)."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    started = sys.argv[0] if sys.argv else ""
    if code is None or not started or sys.flags.interactive:
        return False
    unnamed = {"-c": "<string>", "-": "<stdin>"}.get(started)
    return bool(code.co_filename == unnamed or os.path.abspath(code.co_filename) == os.path.abspath(started))


RelayClient.__module__ = "relay_sync"
