"""The public client class: credentials, connection lifecycle and handlers."""

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
from ..threads import logs, process, sources
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
    from ..observing.stats import ClientStats

__all__ = ["RelayClient", "config_of"]

_log = logs.get("relay_sync")

R = TypeVar("R")

#: Seconds to wait before warning that a connected client has an ``on_call`` handler but no contexts.
CONTEXTS_PATIENCE: Final = 2.0


class RelayClient(Dialing, Messaging, Running, Subscribing):
    """A blocking client for one SignalWire RELAY connection.

    ::

        client = RelayClient(contexts=["default"])     # credentials from the environment

        @client.on_call
        def handle(call: Call) -> None:
            call.answer()
            call.stream("wss://example.com/audio")
            call.wait_for_ended()

        client.run()

    The client is thread-safe, and a process may create several clients. A client connects on first use and reconnects
    automatically until it is closed. After a fork, the client in the child process starts disconnected and opens its own
    connection on first use.

    The connection is closed when the client is garbage-collected. In a notebook, call ``client.disconnect()`` before you run the
    cell that creates the client again. Live calls and an interrupted cell's traceback keep references to the old client, which
    then continues to receive calls. The new client logs a warning if this happens.

    :param project: project ID. Defaults to the environment variable ``SIGNALWIRE_PROJECT_ID``.
    :param token: project's API token. Defaults to ``SIGNALWIRE_API_TOKEN``.
    :param jwt_token: JWT that identifies the project, used instead of ``project`` and ``token``. Defaults to
        ``SIGNALWIRE_JWT_TOKEN``.
    :param host: the server, given as ``name``, ``name:port`` or ``wss://name[:port]``. Defaults to ``SIGNALWIRE_SPACE``. The
        scheme ``https://`` is treated as ``wss://``. The scheme ``ws://`` requires a loopback host or ``allow_insecure``.
    :param contexts: contexts whose inbound calls and messages this client receives. Defaults to none; see :meth:`receive`.
    :param max_active_calls: maximum number of live calls. Further inbound calls are returned to the platform. Defaults to
        ``RELAY_MAX_ACTIVE_CALLS``, or 1000 if it is not set.
    :param connect_timeout: timeout for :meth:`connect` and for each reconnection attempt, in seconds. The server has at most 10 s
        of this time to reply to ``signalwire.connect``.
    :param request_timeout: time to wait for the reply to a command, in seconds from when it is sent.
    :param ping_interval: how long the client waits without a reply before it sends a ping, in seconds.
    :param ping_timeout: time to wait for any data after a ping, in seconds. If none arrives, the client reconnects. It also
        reconnects after three consecutive unanswered pings, even if other data arrives.
    :param max_frame: maximum size of a message from the server, in bytes; at least 1024. If a message exceeds it, the client
        closes the connection. Defaults to 10 MiB.
    :param max_queue: maximum number of commands that wait for a connection; at least 1. Further commands raise
        :class:`QueueFull`.
    :param ssl_context: an ``ssl.SSLContext`` that replaces the default one. The default context verifies certificates.
    :param ca_file: PEM file with an additional trusted certificate authority. Defaults to ``SIGNALWIRE_RELAY_CA_FILE``.
    :param proxy: proxy URL, ``http://[user:password@]host:port``, or ``""`` to connect directly. By default the client uses
        ``https_proxy`` and ``no_proxy`` from the environment. It always connects to loopback hosts directly.
    :param on_state: function that is called with each new state: ``connecting``, ``connected``, ``reconnecting``, ``closed`` or
        ``failed``.
    :param on_error: function that is called with each exception raised by one of your callbacks, and with the callback's call or
        ``None``.
    :param on_handler_error: action to take if a call's handler raises: ``hangup``, or ``leave`` to leave the call unchanged.
    :param allow_insecure: whether to allow ``ws://`` (no TLS) to hosts other than loopback. The client then logs a warning.
    :raises InvalidParameter: a value is missing or invalid. The message names the parameter and its environment variable.
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
        #: The time at which the client was first seen connected with an ``on_call`` handler but no contexts.
        self._without_contexts: float | None = None
        self._running = False
        self._stop_wanted = False
        self._life = _Life(self)
        process.watch(self._life)
        sources.clients.add(self)

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
        """The project ID."""
        return self._link.config.project

    @property
    def host(self) -> str:
        """The server's host name, without scheme and port."""
        return self._link.config.address.host

    @property
    def contexts(self) -> list[str]:
        """The names of the contexts that this client is subscribed to."""
        return list(self._link.contexts)

    @property
    def state(self) -> ConnectionState | str:
        """The connection state: ``idle``, ``connecting``, ``connected``, ``reconnecting``, ``closed`` or ``failed``."""
        return self._router.state

    @property
    def calls(self) -> dict[str, Call]:
        """A snapshot of the live calls, by call ID."""
        return dict(self._router.calls.items())

    @property
    def relay_protocol(self) -> str:
        """The session name assigned by the server, or ``""`` if there is no session."""
        loop = self._link.loop
        return loop.session.protocol if loop is not None and loop.alive else ""

    # -- handlers ------------------------------------------------------------------------------------------------

    @values.decorator
    def on_call(self, handler: Callable[[Call], R]) -> Callable[[Call], R]:
        """Register the handler for inbound calls. This method can be used as a decorator.

        The handler runs in a separate thread for each call and may block for the duration of the call. If the handler raises, the
        client logs the exception and hangs up the call (see ``on_handler_error``). When the handler returns, the call is left
        unchanged, so an unanswered call continues to ring. If it is not answered within 5 s, the client logs a warning, once per
        client.

        :param handler: function that accepts a :class:`Call`. If it replaces another handler, the client logs a warning.
        :raises InvalidParameter: the handler is a coroutine function or does not accept one argument.
        """
        checked = InContext(values.handler("handler", handler, ("call",)))
        warn_replaced("on_call", self._router.on_call, checked)
        self._router.on_call = checked
        return handler

    def _check_contexts(self, now: float) -> None:
        """Warn once if an ``on_call`` handler is registered but the client has no contexts.

        The IO thread calls this method once a second. The warning is delayed because the program may still call ``receive()``.
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
        """Add an observer, which is notified of this client's calls, commands, messages and connection states.

        :param observer: an :class:`Observer`.
        :param keep: names of optional fields to include in call records. ``custom_parameters`` includes all custom stream
            parameters, ``custom_parameters.NAME`` includes the named parameter, and ``urls`` includes full URLs with query and
            fragment. Tokens and passwords are always removed.
        :return: a function that removes the observer. Calling it again has no effect.
        :raises InvalidParameter: ``observer`` is not an :class:`Observer`, one of its methods is a coroutine function, or
            ``keep`` contains an unknown name.
        """
        return self._router.observe(observer, keep)

    def stats(self) -> ClientStats:
        """Return the client's statistics: calls, commands and their latency, callbacks, errors and reconnects.

        This method never waits, and can be called in any state, in callbacks and in signal handlers.
        """
        return self._router.stats()

    # -- connecting ----------------------------------------------------------------------------------------------

    def connect(self, timeout: float | None = None) -> None:
        """Connect to the server and authenticate. Does nothing if the client is already connected.

        :param timeout: maximum time to wait, in seconds. Defaults to ``connect_timeout``.
        :raises AuthenticationError: the server rejected the credentials. The message quotes the server's reason.
        :raises ConnectError: the host name is unknown, the certificate is not trusted, or the server rejected the session three
            times.
        :raises ConnectTimeout: no session was established before the timeout. ``__cause__`` is the last failure.
        :raises ClientClosed: the client was closed while this method was waiting.
        """
        limit = values.timeout(self._link.config.connect_timeout if timeout is None else timeout, optional=False)
        self._link.reopen()
        if not self._running:
            self._stop_wanted = False
        self._link.connect(Deadline.after(time.monotonic(), limit))
        logs.flush()

    def wait_until_ready(self, timeout: float | None = None) -> None:
        """Connect if necessary, and wait until the client can send commands. Same as :meth:`connect`.

        :param timeout: maximum time to wait, in seconds. Defaults to ``connect_timeout``.
        :raises AuthenticationError: the server refused the credentials. The message quotes the server's reason.
        :raises ConnectError: the host name is unknown, the certificate is not trusted, or the server refused the session three
            times.
        :raises ConnectTimeout: no session was established before the timeout. ``__cause__`` is the last failure.
        :raises ClientClosed: the client was closed while this method was waiting.
        """
        self.connect(timeout)

    def disconnect(self, timeout: float | None = None, *, hangup_calls: bool = False) -> None:
        """Close the connection. All pending waits raise :class:`ClientClosed`.

        The client first sends pending hang-ups, cancellations and stop commands, reconnecting if necessary. It then
        waits up to 2 s for handlers and queued callbacks to return, and logs the names of any that are still running. If a call
        handler calls this method, the client does not wait for that handler. If a callback calls it, the client does not wait for
        any handler or callback. Closing a closed client has no effect.

        :param timeout: maximum time to wait, in seconds. Defaults to 5.
        :param hangup_calls: whether to hang up live calls and outbound legs that are still being dialed. The client waits up to
            1 s for legs that the server has not reported yet. By default live calls continue without this client. The legs of a
            recently canceled dial are always hung up.
        """
        self._part(timeout, hangup_calls, CLOSE_ADVICE)

    def _part(self, timeout: float | None, hangup_calls: bool, advice: str) -> None:
        """Close the client.

        :param advice: hint on how to end live calls, for the log.
        """
        process.check_thread()
        limit = max(0.0, values.timeout(5.0 if timeout is None else timeout, optional=False))
        end = time.monotonic() + limit
        if hangup_calls:
            self._hang_up_calls(end - limit / 2)  # the other half is for closing
        self._link.close(end, hang_up_calls=hangup_calls, advice=advice)

    def close(self, timeout: float | None = None, *, hangup_calls: bool = False) -> None:
        """Close the connection. Same as :meth:`disconnect`.

        :param timeout: maximum time to wait, in seconds. Defaults to 5.
        :param hangup_calls: whether to hang up live calls and outbound legs that are still being dialed.
        """
        self.disconnect(timeout, hangup_calls=hangup_calls)

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
        """Send a RELAY command and return its result. Use this method for commands that the SDK does not support.

        :param method: name of the RPC method, such as ``calling.answer``.
        :param params: parameters of the RPC method, in the server's format.
        :param timeout: time to wait for the reply, in seconds. Defaults to ``request_timeout``.
        :return: the ``result`` object of the reply.
        :raises CommandRefused: the server replied with a JSON-RPC error or a result code other than 2xx.
        :raises RequestTimeout: the server did not reply before the timeout.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``.sent`` is true if the server may have
            received the command.
        :raises InvalidParameter: ``params`` cannot be encoded as JSON.
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
        """Set the request timeout for commands that the current thread sends inside the ``with`` block.

        If the limit is zero or negative, commands raise :class:`RequestTimeout` without sending anything.

        :param limit: time to wait for each reply, in seconds.
        """
        checked = values.timeout(limit, name="limit", optional=False)
        before = self._link.request_timeout()
        self._link.set_request_timeout(checked)
        try:
            yield
        finally:
            self._link.set_request_timeout(before)


class _Life:
    """Fork and exit hooks for a client. The client owns this object, which holds only a weak reference back."""

    def __init__(self, client: RelayClient) -> None:
        self._client = weakref.ref(client)

    def after_fork(self) -> None:
        """Reset the client in a forked child process. It reconnects on its next use."""
        client = self._client()
        if client is not None:
            client._link.after_fork()
            client._running = False
            client._stop_wanted = False
            client._router.after_fork()

    def at_exit(self, timeout: float) -> None:
        """Close the connection and wait for handlers at process exit.

        Log a warning if a script registered an ``on_call`` handler but never connected. Interactive sessions, and programs that
        import the handler from a module, may not intend to connect, so they get no warning.
        """
        client = self._client()
        if client is None:
            return
        client._link.at_exit(timeout)
        handler = client._router.on_call
        if client._link.used or client._link.closed or handler is None or not _is_in_the_script(handler.function):
            return
        if getattr(sys, "last_value", None) is None:  # otherwise Python prints a traceback, which explains the exit
            _log.warning(
                "an on_call handler is registered, but the program ended without connecting; call client.run() at its end"
            )


def config_of(client: RelayClient) -> Config:
    """Return a client's configuration, for other modules in this package."""
    return client._link.config


def has_call_handler(client: RelayClient) -> bool:
    """Return whether a client has an ``on_call`` handler, for other modules in this package."""
    return client._router.on_call is not None


def without_contexts(client: RelayClient) -> list[str]:
    """Make a client that is not connected receive no calls and messages, so that they go to the program that is running.

    :param client: the client.
    :return: its contexts.
    """
    contexts = client.contexts
    client._link.subscribe(lambda known: known.clear())
    client._warned_contexts = True  # the handlers wait for nothing
    return contexts


def _is_in_the_script(function: Callable[..., Any]) -> bool:
    """Return whether a function is defined in the main script. Always false in an interactive session."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    started = sys.argv[0] if sys.argv else ""
    if code is None or not started or sys.flags.interactive:
        return False
    unnamed = {"-c": "<string>", "-": "<stdin>"}.get(started)
    return bool(code.co_filename == unnamed or os.path.abspath(code.co_filename) == os.path.abspath(started))


RelayClient.__module__ = "relay_sync"
