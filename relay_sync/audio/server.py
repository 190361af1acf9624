"""WebSocket server for media streams. It runs in its own thread, next to any web framework."""

from __future__ import annotations

import itertools
import os
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, cast

import attrs

from .. import receivers
from ..deadline import Deadline
from ..errors import Forked, StreamFailed, StreamsTaken, WaitTimeout
from ..hosts.listening import PortInUse
from ..hosts.names import bare
from ..params import values
from ..params.allowed import check_hosts, check_origins
from ..server import Connection, Loop, LoopStopped, WebSocketServer
from ..text.secrecy import Secrets, keep
from ..threads import logs
from ..threads.flag import Bell
from ..threads.lateness import Lateness
from ..threads.outcome import wait_until
from ..threads.process import generation, watch
from ..threads.rate_limited_log import RateLimitedLog
from .connecting import Connecting, check_call, check_options, check_wanted_rate
from .disk import Disk
from .gate import Expected, Gate, check_token
from .receiver import Receiver, ReceiverSettings
from .recording_files import check_pattern, files_for
from .server_address import ServerAddress
from .stats import AudioServerStats
from .stream import AudioStream, CallStreamAction, StreamingAction
from .stream_core import StreamCore
from .stream_handlers import StreamHandlers
from .stream_wait import wait_for_stream
from .streamable import StreamableCall
from .totals import Totals

if TYPE_CHECKING:
    from typing import Unpack

    from ..constants import Codec, Track
    from ..observing.observer import Observer
    from ..observing.observers import Observers
    from .streamable import StreamOptions

__all__ = ["AudioServer", "inside"]

_log = logs.get("relay_sync.audio").later
_numbers = itertools.count(1)
_BACKLOG = 256  # maximum number of streams waiting for accept()
_SUBPROTOCOLS = ("audio.jambonz.org", "audio.drachtio.org")  # required by jambonz and drachtio
_GATHER = 0.004  # minimum seconds between two turns of the loop, so that a turn serves many streams
_FRAME = 0.02  # usual duration of a frame in seconds
_LAST_WORD = 2.0  # maximum seconds that close() waits for observers


class AudioServer(Connecting):
    """A WebSocket server that receives audio from ``call.stream()`` and two-way streams.

    The server starts when it is first used: as a context manager, by iteration, or through :meth:`start`, ``listen``,
    ``connect``, ``device``, ``accept``, ``url`` or ``port``. A server that was started before a fork raises
    :class:`relay_sync.Forked` in the child process; other servers can be started there. ``GET /healthz`` returns 200.

    :param host: address to listen on: ``0.0.0.0`` for all IPv4 addresses, ``::`` or ``""`` for IPv4 and IPv6. If it is a host
        name, the server listens on all of its addresses; ``localhost`` means 127.0.0.1 and ::1. ``repr`` shows the addresses.
    :param port: port to listen on; 0 selects any free port. A range, such as ``range(8765, 8773)``, selects its first free port,
        so that each of several processes gets a port of its own. ``audio.port`` is the port.
    :param public_url: ``wss://`` URL at which the platform reaches this server, such as a proxy's or tunnel's URL. By default,
        the URL contains this machine's own address, which only the simulator can reach. ``{port}`` stands for the port, and
        ``{hostname}`` for ``$RELAY_HOSTNAME``, or for this machine's host name if the variable is not set.
    :param path: the only path that accepts streams; by default the path of ``public_url``, or ``/audio``. Pass it if the proxy
        changes the path. It may contain ``{port}`` and ``{hostname}``.
    :param token: bearer token that the platform must send (``authorization_bearer_token`` of ``call.stream``). It is checked
        before the upgrade. ``listen`` creates a separate token for each stream. ``None`` accepts streams without a token. A
        server that other machines can reach (through ``public_url`` or its ``host``) accepts such streams only if
        ``on_stream``, ``origins`` or ``hosts`` is given, or after :meth:`accept` was called.
    :param ssl_context: TLS context; the server then accepts ``wss://`` connections directly.
    :param record_to: path of the WAV file to which each stream is recorded as it arrives, with the placeholders
        ``{call_id}``, ``{stream_id}`` and ``{account_id}``. Missing directories are created. Existing files are not overwritten:
        ``-2``, ``-3`` ... is appended to the name. If an unannounced second track arrives, the mono file becomes stereo.
    :param on_stream: handler for streams that ``listen`` and ``connect`` did not request. Each stream has its own thread and is
        closed when the handler returns. Exceptions are logged to ``relay_sync.callbacks``.
    :param max_connections: maximum number of connections. At the limit, or when the process runs out of file descriptors,
        the server closes the oldest connection that has neither presented a token nor sent ``start``. If there is no
        such connection, it rejects the new one with 503.
    :param max_message: maximum size of a message in bytes.
    :param start_timeout: maximum time to wait for ``start`` on a new connection, in seconds.
    :param idle_timeout: close a stream after this many seconds without a message. ``None`` (the default) disables the timeout,
        because calls on hold may be silent; TCP keep-alive detects a lost peer in about a minute.
    :param send_timeout: maximum time that the remote end of a two-way stream may leave data unread, in seconds. After that,
        sending fails.
    :param two_way: whether streams from ``accept`` and ``on_stream`` are two-way. Set it for streams opened by
        ``<Connect><Stream>``, SWML ``connect`` or another client; the carrier does not announce the direction. Audio sent on a
        one-way stream is not heard.
    :param buffer_seconds: size of the read buffer in seconds. If a reader falls further behind, the oldest frames are dropped.
    :param reorder_seconds: maximum time to hold an early frame until the missing frames arrive, in seconds. Use it for carriers
        that do not guarantee the order, such as Telnyx. 0 delivers frames as they arrive.
    :param spool: keep the audio in a temporary file, which allows ``stream.save()`` without ``record_to``.
    :param sample_rate: sample rate of the delivered frames in Hz, such as 16000 (``dsp`` extra); by default the codec's rate.
        Resampling delays the audio by up to 3 ms. Saved files have the codec's rate.
    :param l16_byteorder: byte order of L16 payloads. SignalWire sends ``little``, RFC 3551 specifies ``big``, and ``auto``
        detects the order from the audio.
    :param origins: origins of web pages that may connect without a token, such as ``https://app.example.com``. The server's own
        address and ``public_url`` are always allowed. Requests from other origins are rejected with 403.
    :param hosts: additional ``Host`` names accepted without a token if the server listens on a loopback address. ``localhost``,
        the server's addresses and the host of ``public_url`` are always accepted.
    :raises InvalidParameter: a parameter is invalid, or ``public_url`` or ``path`` contains ``{hostname}`` and the name is not a
        single DNS label.
    :raises ImportError: ``sample_rate`` is given and the ``dsp`` extra is not installed.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int | range = 0,
        *,
        public_url: str | None = None,
        path: str | None = None,
        token: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        record_to: str | os.PathLike[str] | None = None,
        on_stream: Callable[[AudioStream], object] | None = None,
        max_connections: int = 1000,
        max_message: int = 2**20,
        start_timeout: float = 15.0,
        idle_timeout: float | None = None,
        send_timeout: float = 10.0,
        two_way: bool = False,
        buffer_seconds: float = 30.0,
        reorder_seconds: float = 0.0,
        spool: bool = True,
        sample_rate: int | None = None,
        l16_byteorder: Literal["little", "big", "auto"] = "little",
        origins: Iterable[str] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        self._address = ServerAddress.of(host, port, public_url=public_url, path=path, tls=ssl_context is not None)
        values.whole("max_connections", max_connections, low=1, optional=False)
        values.whole("max_message", max_message, low=1, optional=False)
        if on_stream is not None:
            values.handler("on_stream", on_stream, ("stream",))
        receivers.register(self._address)
        self._ssl_context = ssl_context
        self._files = partial(files_for, None if record_to is None else check_pattern(record_to), spool)
        self._on_stream = on_stream
        self._two_way = two_way
        self._max_connections = max_connections
        self._max_message = max_message
        check_wanted_rate(sample_rate)
        self._sample_rate = sample_rate
        token = check_token(token)
        self._secrets = keep(Secrets(token or ""))
        origins, hosts = check_origins(origins), check_hosts(hosts)
        self._allows_tokenless = self._address.near or on_stream is not None or bool(origins or hosts)
        shared = self._address.chooses
        self._make_gate = partial(Gate, token, shared=shared, origins=origins, hosts=hosts | {bare(host)})
        self._name = f"relay-audio-{next(_numbers)}"
        self._make_settings = partial(
            ReceiverSettings,
            start_timeout=start_timeout,
            idle_timeout=idle_timeout,
            send_timeout=send_timeout,
            buffer_seconds=buffer_seconds,
            reorder_seconds=reorder_seconds,
            l16_byteorder=l16_byteorder,
        )
        self._closed = False
        self._observers: Observers | None = None
        self._renew()
        watch(self)
        receivers.enlist(self)

    def _renew(self) -> None:
        """Create per-process state, such as locks and the disk thread."""
        self._generation = generation()
        self._loop: Loop | None = None  # set as soon as start() begins, so that after_fork() finds it
        self._server: WebSocketServer | None = None
        self._lateness: Lateness | None = None
        self._disk = Disk(f"{self._name}-disk")
        self._troubles = RateLimitedLog(_log)
        self._gate = self._make_gate(troubles=self._troubles)
        self._gate.tokenless = self._allows_tokenless
        self._settings = self._make_settings(
            make_file=self._files(self._troubles.warning),
            disk=self._disk,
            troubles=self._troubles,
        )
        self._starting = threading.RLock()  # held by start(); close() does not acquire it
        # Guards the state below; never held while waiting. Reentrant, because a signal handler may close the server.
        self._lock = threading.RLock()
        self._changed = Bell()  # rings when a stream arrives, when a connection closes, and when the server closes
        self._waiting: deque[tuple[AudioStream, StreamCore]] = deque()
        self._sockets = 0
        self._totals = Totals()
        on_stream = self._on_stream
        self._handlers = None if on_stream is None else StreamHandlers(on_stream, self._name, self._troubles)

    def __repr__(self) -> str:
        address = self._address
        if self._closed:
            return "<AudioServer closed>"
        if self._server is not None:
            return f"<AudioServer listening on {', '.join(self._server.addresses)}>"
        return f"<AudioServer for {address.host or 'all addresses'}, port {address.shown_ports}, not started>"

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> AudioServer:
        """Start listening. Does nothing if the server is already started.

        :raises OSError: the address is in use or not available, or every port of the range is in use. The message contains
            the address and a suggestion.
        :raises StreamFailed: the server is closed.
        :raises Forked: the server was started in the parent process, before the fork.
        """
        if self._generation != generation():  # checked before the lock, which may be held forever in a child
            raise Forked(
                "this AudioServer was started in the parent process, before the fork (reading url or port also"
                " starts it): start it in the child only, or create a new one there"
            )
        with self._starting:
            self._check_open()
            if self._server is None:
                if self._loop is not None:  # a signal handler interrupted start() in this thread
                    raise StreamFailed(
                        "the AudioServer is still starting: a signal handler cannot use it until it has started"
                    )
                self._loop = loop = Loop(self._name, gather=_GATHER)
                try:
                    loop.start()
                    self._listening(self._serve(loop))
                except BaseException as error:
                    if self._server is not None:  # Ctrl-C after the server was started
                        raise
                    self._loop = None
                    loop.stop()
                    if isinstance(error, PortInUse):
                        raise self._address.explained(error) from error
                    if isinstance(error, LoopStopped):
                        self._check_open()  # close() stopped the loop
                    raise
        return self

    def _listening(self, server: WebSocketServer) -> None:
        with self._lock:
            self._check_open()  # close() may have run before _server is set
            self._server, self._address.port = server, server.port
        if self._observers is not None:
            self._observers.open()
        _log.info("%s: listening on %s", self._name, ", ".join(server.addresses))

    def _check_open(self) -> None:
        if self._closed:
            raise StreamFailed("the AudioServer was closed; create a new one")

    def _serve(self, loop: Loop) -> WebSocketServer:
        self._lateness = lateness = Lateness(loop, _FRAME, lambda: self._sockets > 0, self._behind)
        address, gate = self._address, self._gate
        return WebSocketServer(
            loop,
            host=address.host,
            port=address.wanted,
            on_bound=lambda port: gate.serve(address.path_at(port), address.public_url_at(port)),
            ssl_context=self._ssl_context,
            on_request=self._gate.check,
            on_open=lambda connection: self._opened(loop, lateness, connection),
            max_message=self._max_message,
            max_connections=self._max_connections,
            open_timeout=10.0,
            on_refused=self._gate.refused,
            subprotocols=_SUBPROTOCOLS,
        )

    def close(self, timeout: float = 5.0) -> None:
        """Stop listening, close all streams, and wait for handlers and recordings. Idempotent.

        The remaining frames of accepted streams can still be read and saved. If the recordings are not on disk within the
        timeout, a warning is logged and writing continues in the background. In a forked child, this method does nothing.

        :param timeout: maximum time to wait, in seconds.
        :raises InvalidParameter: ``timeout`` is invalid.
        """
        timeout = values.timeout(timeout, optional=False)
        if self._generation != generation():
            return
        deadline = Deadline.after(time.monotonic(), timeout)
        with self._lock:
            self._closed = self._address.closed = True
            server = self._server
        self._changed.ring()
        if server is not None:
            try:
                server.close(1001, "the receiver is closing", _left(deadline, 0.1))
            except TimeoutError:  # the loop is blocked and is stopped below
                pass
            wait_until(lambda: not self._sockets, self._changed, deadline.remaining(time.monotonic()))
        loop = self._loop
        if loop is not None:
            loop.stop(_left(deadline, 0.1))
        if self._handlers is not None:
            self._handlers.join(deadline)
        if not self._disk.join(_left(deadline, 0.1)):
            _log.warning(
                "%s: recordings are not complete after close(), because the disk is slow; writing continues", self._name
            )
        if self._observers is not None:
            self._observers.close(min(_LAST_WORD, _left(deadline, 0.1)))
        logs.flush()

    def at_exit(self, timeout: float) -> None:
        """Close the server at interpreter exit, which completes its recordings.

        :param timeout: maximum time to wait, in seconds.
        """
        self.close(timeout)

    def after_fork(self) -> None:
        """Close inherited sockets in a forked child. If the server was not started before the fork, the child may start it."""
        if self._observers is not None:
            self._observers.after_fork()
        if self._loop is not None:
            self._lock = threading.RLock()  # the old lock may be held by a thread of the parent
            self._loop.after_fork()
        else:
            self._renew()

    def __enter__(self) -> AudioServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The port that the server listens on. Starts the server."""
        self.start()
        return self._address.port or 0  # never None after a start

    @property
    def url(self) -> str:
        """The URL to pass to ``call.stream``: ``public_url``, or a URL with this machine's address. Starts the server."""
        self.start()
        return self._address.url

    if not TYPE_CHECKING:  # otherwise type checkers accept any name

        def __getattr__(self, name: str) -> Any:
            if name == "public_url":
                raise AttributeError(
                    "an AudioServer has no public_url to read: its url is the address to give to call.stream()"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def stats(self) -> AudioServerStats:
        """Return the server's statistics: connections, streams, frames, refusals, and whether the receiving thread keeps up.

        This method never waits and does not start the server. It can be called in any state, in callbacks and in signal handlers.
        In a child process, the statistics of a server that was started before the fork are all zero.
        """
        late = self._lateness
        if late is None or self._generation != generation():
            return AudioServerStats()
        total = attrs.evolve(self._totals.summary(), refused=self._gate.refusals())
        if self._closed:
            return total
        return attrs.evolve(
            total, connections=self._sockets, waiting=len(self._waiting), turn=late.turn, behind=late.behind
        )

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Notify an :class:`relay_sync.Observer` when streams start and end, and when ``on_stream`` raises.

        :param observer: the observer to add.
        :return: a function that removes the observer; calling it again does nothing.
        :raises InvalidParameter: ``observer`` is not an observer, or one of its methods is a coroutine function.
        """
        from ..observing.observers import Observers  # most programs have none

        with self._lock:
            observers = self._observers = self._observers or Observers()
        remove = observers.add(observer)
        if self._server is not None and not self._closed:
            observers.open()
        return remove

    # -- streams -------------------------------------------------------------------------------------------------------

    def accept(self, timeout: float | None = None) -> AudioStream:
        """Wait for the next stream that :meth:`listen` and :meth:`connect` did not request.

        Up to 256 streams can wait to be accepted. If another stream arrives, the oldest is closed.

        :param timeout: maximum time to wait, in seconds; ``None`` waits until a stream arrives or the server is closed.
        :return: the stream.
        :raises StreamsTaken: the server has an ``on_stream`` handler, which receives these streams.
        :raises WaitTimeout: no stream arrived within ``timeout``.
        :raises StreamFailed: the server was closed.
        :raises InvalidParameter: ``timeout`` is invalid.
        """
        timeout = values.timeout(timeout)
        if self._on_stream is not None:
            raise StreamsTaken(
                "accept() is not available with on_stream, which receives the same streams: use one or the other"
            )
        self._gate.tokenless = True
        self.start()
        deadline = Deadline.after(time.monotonic(), timeout)
        while True:  # another thread may take the stream first
            left = deadline.remaining(time.monotonic())
            ready = wait_until(lambda: bool(self._waiting) or self._closed, self._changed, left)
            try:
                return self._waiting.popleft()[0]
            except IndexError:
                if self._closed:
                    raise StreamFailed("the AudioServer was closed") from None
            if not ready:
                raise WaitTimeout(f"no stream arrived within {timeout:g} s")

    def __iter__(self) -> Iterator[AudioStream]:
        """Iterate over streams as they arrive, until the server is closed.

        :raises RelayError: see :meth:`accept`.
        """
        while True:
            try:
                stream = self.accept()
            except StreamFailed:
                return
            yield stream

    def listen(
        self,
        call: StreamableCall,
        *,
        track: Track | str = "inbound",
        codec: Codec | str = "PCMU",
        timeout: float = 10.0,
        sample_rate: int | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        **stream_options: Unpack[StreamOptions],
    ) -> AudioStream:
        """Stream a call's audio to this server with ``call.stream()``, and wait until the stream starts.

        The server identifies the stream by a one-time token, which expires when this method returns.

        :param call: an answered call.
        :param track: ``inbound``: the audio of the remote party; ``outbound``: the audio that this party hears;
            or ``both``.
        :param codec: ``PCMU``, ``PCMA``, ``L16``, ``G722`` or ``OPUS``, with modifiers as in ``L16@16000h``. Decoding G722 and
            OPUS requires the ``codecs`` extra; without it, ``frame.data`` contains the raw payload.
        :param timeout: maximum time to wait for the ``start`` message after sending the command, in seconds.
        :param sample_rate: sample rate of the frames in Hz; overrides the server's ``sample_rate``.
        :param custom_parameters: values of your own, available as ``stream.custom_parameters``.
        :param stream_options: additional parameters for ``call.stream``, such as ``name`` or ``status_url``.
        :return: the stream. Its ``action`` is the result of ``call.stream``; closing the stream stops the action.
        :raises StreamFailed: the platform did not connect, or did not send ``start``. The action has been stopped. If the call
            ended, ``__cause__`` is a ``CallEnded``.
        :raises InvalidParameter: a parameter is invalid, or the platform needs a ``public_url`` to reach this server.
        :raises OSError: the server could not be started, because its address is not available.
        :raises Forked: the server was started in the parent process.
        :raises RelayError: ``call.stream`` failed, for example because the command was refused.
        """
        timeout = values.timeout(timeout, optional=False)
        check_call(call, "stream")
        check_options("AudioServer.listen", call.stream, stream_options)
        check_wanted_rate(sample_rate)
        url = self._carrier_url(stream_options)
        with self._gate.expecting(sample_rate=sample_rate) as (token, expected):
            action = call.stream(
                url=url,
                track=track,
                codec=codec,
                authorization_bearer_token=token,
                custom_parameters=custom_parameters,
                **stream_options,
            )
            try:
                stream = self._expect(expected, action, timeout, codec)
            except BaseException:
                _stop(action)
                raise
        stream.action = cast("CallStreamAction", action)  # calls of this SDK return one
        return stream

    def _expect(self, expected: Expected, action: StreamingAction, timeout: float, codec: str) -> AudioStream:
        return wait_for_stream(expected, action, timeout, codec, self._address, self._gate)

    # -- on the loop thread --------------------------------------------------------------------------------------------

    def _opened(self, loop: Loop, lateness: Lateness, connection: Connection) -> None:
        expected = self._gate.claim(connection.headers)
        if self._gate.shows_token(connection.headers):
            connection.prove()
        with self._lock:
            self._sockets += 1
        lateness.check()
        started: list[AudioStream] = []
        trial = expected is not None and expected.trial

        def on_stream(stream: AudioStream, core: StreamCore) -> None:
            started.append(stream)
            if self._observers is not None and not trial:
                self._observers.stream_started(stream)
            if expected is None or not expected.awaited:
                self._arrived(stream, core)
            else:
                expected.began(stream, core)

        def on_end() -> None:
            self._totals.ended(receiver)
            if self._observers is not None and started and not trial:
                self._observers.stream_ended(started[0])
            with self._lock:
                self._sockets -= 1
            self._changed.ring()
            if expected is not None:
                expected.over = True
                expected.changed.set()

        if expected is not None:
            expected.arrived = True
            expected.changed.set()
        two_way = self._two_way if expected is None else expected.two_way
        wanted = None if expected is None else expected.sample_rate
        receiver = Receiver(
            loop,
            connection,
            attrs.evolve(self._settings, make_file=None) if trial else self._settings,
            on_stream=on_stream,
            on_end=on_end,
            two_way=two_way,
            realtime=expected is not None and expected.realtime,
            sample_rate=self._sample_rate if wanted is None else wanted,
        )
        self._totals.opened(receiver)

    def _behind(self, seconds: float) -> None:
        _log.warning(
            "%s falls behind: serving %d connections takes %.0f ms, which is longer than a frame; run several processes,"
            " read with stream.read(seconds), or move CPU-intensive work to another process",
            *(self._name, self._sockets, 1000 * seconds),
        )

    def _raised(self, call_id: str, error: BaseException) -> None:
        """Notify observers that an ``on_stream`` handler raised an exception."""
        if self._observers is not None:
            self._observers.callback_raised("on_stream handler", call_id, error)

    def _arrived(self, stream: AudioStream, core: StreamCore) -> None:
        if self._handlers is not None:
            self._handlers.handle(stream, core, self._raised)
            return
        with self._lock:
            oldest = self._waiting.popleft() if len(self._waiting) >= _BACKLOG else None
            self._waiting.append((stream, core))
        self._changed.ring()
        if oldest is not None:  # an unread stream would only use memory and disk space
            oldest[1].hang_up(False)
            self._troubles.warning("accept", "too many streams wait for accept(); closing the oldest")


def inside(server: AudioServer) -> tuple[ServerAddress, Gate]:
    """Return a server's address and its access control, for diagnoses. Does not start the server."""
    return server._address, server._gate


def _left(deadline: Deadline, least: float) -> float:
    left = deadline.remaining(time.monotonic())
    return least if left is None else max(left, least)


def _stop(action: StreamingAction) -> None:
    try:
        if not action.is_done:
            action.stop()
    except Exception as error:
        _log.warning("could not stop a stream that did not start: %s", error)


AudioServer.__module__ = "relay_sync.audio"
