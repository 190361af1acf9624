"""The receiver of media streams: a server that runs in its own thread, alongside any web framework."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from .. import receivers
from ..deadline import Deadline
from ..errors import (
    Forked,
    InvalidParameter,
    StreamFailed,
    StreamsTaken,
    WaitTimeout,
)
from ..hosts.names import bare, is_loopback
from ..params import values
from ..params.allowed import check_hosts, check_origins
from ..server import Connection, Loop, LoopStopped, WebSocketServer
from ..text.secrecy import Secrets, keep
from ..threads import logs
from ..threads.flag import Bell
from ..threads.outcome import wait_until
from ..threads.process import generation, watch
from ..threads.rate_limited_log import RateLimitedLog
from .connecting import Connecting, check_call, check_options, check_wanted_rate
from .disk import Disk
from .gate import Expected, Gate, check_token
from .receiver import Receiver, ReceiverSettings
from .recording_files import check_pattern, files_for
from .server_address import ServerAddress, check_path, check_public_url
from .stream import AudioStream, StreamingAction
from .stream_core import StreamCore
from .stream_handlers import StreamHandlers
from .stream_wait import wait_for_stream
from .waking import Waking
from .wav import PathLike

if TYPE_CHECKING:
    from ..observing.observer import Observer
    from ..observing.observers import Observers

__all__ = ["AudioServer", "StreamableCall"]

_log = logs.get("relay_sync.audio").later
_numbers = itertools.count(1)
_BACKLOG = 256  # streams waiting for accept()
_SUBPROTOCOLS = ("audio.jambonz.org", "audio.drachtio.org")  # which those insist on
_GATHER = 0.004  # seconds; a fifth of a frame, and it halves the CPU of many streams
_LAST_WORD = 2.0  # seconds that closing gives observers at most


class StreamableCall(Protocol):
    """A call whose audio can be streamed, such as :class:`relay_sync.Call`."""

    def stream(self, *args: Any, **kwargs: Any) -> StreamingAction:
        """``stream(url=..., track=..., codec=..., authorization_bearer_token=..., custom_parameters=...)``."""


class AudioServer(Connecting):
    """A WebSocket server that receives the audio of ``call.stream()`` and of two-way streams.

    The server starts on first use: as a context manager, by :meth:`start`, ``listen``, ``connect``, ``device``, ``accept``,
    iteration, ``url`` or ``port``. A server that was not started before a fork can start in the child; a server that was
    started raises :class:`~relay_sync.Forked` there. ``GET /healthz`` returns 200.

    :param host: address to listen on: ``0.0.0.0`` for all IPv4 addresses, ``::`` or ``""`` for IPv4 and IPv6. A host name
        listens on all of its addresses; ``localhost`` is 127.0.0.1 and ::1. ``repr`` shows the addresses.
    :param port: port to listen on; 0 picks a free port (see ``port``).
    :param public_url: ``wss://`` address at which the carrier reaches this server, such as that of a proxy or tunnel. Without
        it the carrier receives this machine's own address, which only the simulator can reach.
    :param path: the only path that accepts streams; by default the path of *public_url*, or ``/audio``.
    :param token: bearer token that the carrier must present (``authorization_bearer_token`` of ``call.stream``), checked
        before the upgrade. ``listen`` creates a separate token for each stream. ``None`` accepts streams without a token if
        *on_stream* is set or :meth:`accept` was called. A server that other machines can reach (through *public_url* or its
        *host*) rejects them until :meth:`accept` is called, unless *on_stream*, *origins* or *hosts* is given.
    :param ssl_context: serve ``wss://`` directly with this context.
    :param record_to: record every stream to a WAV file while it is received: a path with ``{call_id}``, ``{stream_id}`` or
        ``{account_id}``. Folders are created; existing files are never overwritten (``-2``, ``-3`` ... is appended). If an
        unannounced second track arrives, a stereo file replaces the mono file.
    :param on_stream: handler for every stream other than those of ``listen`` and ``connect``, each in its own thread. The
        stream is closed when it returns. Exceptions are logged to ``relay_sync.callbacks``.
    :param max_connections: maximum number of connections. At the limit, or when the process runs out of file descriptors,
        the oldest connection that has neither presented a token nor sent ``start`` is closed. If there is none, the new
        connection is refused with 503.
    :param max_message: maximum size of a message in bytes.
    :param start_timeout: seconds that a connection may take to send ``start``.
    :param idle_timeout: seconds without any message after which a stream is closed. ``None`` (the default) sets no limit, since
        calls on hold may be silent; TCP keep-alive detects a lost peer in about a minute.
    :param send_timeout: seconds that data for the remote end of a two-way stream may wait while that end reads nothing; after
        that, sending fails.
    :param two_way: treat the streams of ``accept`` and *on_stream* as two-way: streams opened by ``<Connect><Stream>``, SWML
        ``connect`` or another client. The carrier does not announce this. Audio sent on a one-way stream is not heard.
    :param buffer_seconds: seconds by which a reader may fall behind before the oldest frames are dropped.
    :param reorder_seconds: maximum seconds to hold an early frame until the missing ones arrive, for carriers that do not
        guarantee the order (such as Telnyx); 0 delivers frames as they arrive.
    :param spool: keep the audio in a temporary file, so that ``stream.save()`` works without *record_to*.
    :param sample_rate: sample rate of the delivered frames in Hz, such as 16000 (extra ``dsp``); by default the codec's own.
        Resampling delays the audio by up to 3 ms. Saved files keep the codec's rate.
    :param l16_byteorder: byte order of L16 payloads: SignalWire sends ``little``, RFC 3551 specifies ``big``; ``auto`` detects
        it from the audio.
    :param origins: origins of web pages that may connect without a token, such as ``https://app.example.com``. Others are
        rejected with 403, except the server's own address and *public_url*.
    :param hosts: additional ``Host`` names accepted without a token on a server that listens on this machine only. Always
        accepted: ``localhost``, the server's addresses and the host of *public_url*.
    :raises InvalidParameter: a parameter is invalid.
    :raises ImportError: *sample_rate* is given and the extra ``dsp`` is not installed.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        public_url: str | None = None,
        path: str | None = None,
        token: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        record_to: PathLike | None = None,
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
        if host != "":  # all addresses, as for sockets
            values.text("host", host, optional=False)
        values.whole("port", port, low=0, high=65535, optional=False)
        values.whole("max_connections", max_connections, low=1, optional=False)
        values.whole("max_message", max_message, low=1, optional=False)
        if on_stream is not None:
            values.handler("on_stream", on_stream, ("stream",))
        public_url = None if public_url is None else check_public_url(public_url)
        path = check_path(path, public_url)
        self._address = ServerAddress(host, port, path, public_url, tls=ssl_context is not None)
        receivers.register(self._address)
        self._ssl_context = ssl_context
        self._record_to = None if record_to is None else check_pattern(record_to)
        self._on_stream = on_stream
        self._two_way = two_way
        self._max_connections = max_connections
        self._max_message = max_message
        self._spool = spool
        check_wanted_rate(sample_rate)
        self._sample_rate = sample_rate
        token = check_token(token)
        self._secrets = keep(Secrets(token or ""))
        origins, hosts = check_origins(origins), check_hosts(hosts)
        self._lets_strangers_in = self._address.near or on_stream is not None or bool(origins or hosts)
        self._make_gate = partial(Gate, path, token, public_url=public_url, origins=origins, hosts=hosts | {bare(host)})
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

    def _renew(self) -> None:
        """Make everything that belongs to one process: locks, threads to be, and what they guard."""
        self._generation = generation()
        self._loop: Loop | None = None  # there from the moment start() begins; a fork then finds it
        self._server: WebSocketServer | None = None
        self._disk = Disk(f"{self._name}-disk")
        self._troubles = RateLimitedLog(_log)
        self._gate = self._make_gate(troubles=self._troubles)
        self._gate.strangers = self._lets_strangers_in
        self._settings = self._make_settings(
            make_file=files_for(self._record_to, self._spool, self._troubles.warning),
            disk=self._disk,
            troubles=self._troubles,
        )
        self._starting = threading.RLock()  # held while it starts; close() does not wait for that
        # Guards what follows; never held while waiting. A signal handler may close what its own thread is busy with.
        self._lock = threading.RLock()
        self._changed = Bell()  # rings when a stream waits, when a socket has gone, and at the end
        self._waiting: deque[tuple[AudioStream, StreamCore]] = deque()
        self._sockets = 0
        on_stream = self._on_stream
        self._handlers = None if on_stream is None else StreamHandlers(on_stream, self._name, self._troubles)

    def __repr__(self) -> str:
        address = self._address
        if self._closed:
            return "<AudioServer closed>"
        if self._server is not None:
            return f"<AudioServer listening on {', '.join(self._server.addresses)}>"
        return f"<AudioServer for {address.host or 'all addresses'}, port {address.wanted_port or 'any'}, not started>"

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> AudioServer:
        """Start listening. Does nothing if already started.

        :raises OSError: the address is already in use or not available. The message names the address and what to do.
        :raises StreamFailed: the server is closed.
        :raises Forked: the server was started in the parent process, before the fork.
        """
        if self._generation != generation():  # before the lock: in a child it may be held forever
            raise Forked(
                "this AudioServer was started in the parent process, before the fork (its first use starts it, be it url or"
                " port): start it in the child only, or create a new one there"
            )
        with self._starting:
            self._check_open()
            if self._server is None:
                if self._loop is not None:  # the lock is this thread's own
                    raise StreamFailed(
                        "the AudioServer is still starting: a signal handler cannot use it until it has started"
                    )
                self._loop = loop = Loop(self._name, gather=_GATHER)
                try:
                    loop.start()
                    self._begun(self._serve(loop, Waking(loop)))
                except BaseException as error:
                    if self._server is not None:  # Ctrl-C came when all was done
                        raise
                    self._loop = None
                    loop.stop()
                    if isinstance(error, LoopStopped):
                        self._check_open()  # that is why
                    raise
        return self

    def _begun(self, server: WebSocketServer) -> None:
        with self._lock:
            self._check_open()  # close() may not have seen it
            self._server, self._address.port = server, server.port
        if self._observers is not None:
            self._observers.open()
        _log.info("%s listens on %s", self._name, ", ".join(server.addresses))

    def _check_open(self) -> None:
        if self._closed:
            raise StreamFailed("the AudioServer was closed; create a new one")

    def _serve(self, loop: Loop, waking: Waking) -> WebSocketServer:
        return WebSocketServer(
            loop,
            host=self._address.host,
            port=self._address.wanted_port,
            ssl_context=self._ssl_context,
            on_request=self._gate.check,
            on_open=lambda connection: self._opened(loop, waking, connection),
            max_message=self._max_message,
            max_connections=self._max_connections,
            open_timeout=10.0,
            on_refused=self._gate.refused,
            subprotocols=_SUBPROTOCOLS,
        )

    def close(self, timeout: float = 5.0) -> None:
        """Stop listening, close every stream, and wait for handlers and recordings. Idempotent.

        Accepted streams can still be read to their end and saved. If the disk is too slow, the remaining audio is written after
        this returns, and a warning is logged. Does nothing in a forked child.

        :param timeout: maximum seconds to wait.
        :raises InvalidParameter: *timeout* is invalid.
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
            except TimeoutError:  # the loop is blocked; it is stopped below
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
        """Close the server when the interpreter exits, so that recordings are complete.

        :param timeout: maximum seconds to wait.
        """
        self.close(timeout)

    def after_fork(self) -> None:
        """In a child process: close the copies of the parent's sockets. A server that never started can start here."""
        if self._observers is not None:
            self._observers.after_fork()
        if self._loop is not None:
            self._lock = threading.RLock()  # the thread that held it does not exist here
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
        address = self._address
        return address.wanted_port if address.port is None else address.port

    @property
    def url(self) -> str:
        """The address to pass to ``call.stream``: ``public_url``, or this machine's own. Starts the server."""
        self.start()
        return self._address.url

    def __getattr__(self, name: str) -> Any:
        if name == "public_url":
            raise AttributeError(
                "an AudioServer has no public_url to read: its url is the address to give to call.stream()"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Notify an :class:`~relay_sync.Observer` when streams start and end, and when *on_stream* raises.

        :param observer: the observer to add.
        :return: a function that removes the observer; calling it again does nothing.
        :raises InvalidParameter: *observer* is not an observer, or one of its methods is a coroutine function.
        """
        from ..observing.observers import Observers  # most programs have none

        with self._lock:
            observers = self._observers = self._observers or Observers()
        remove = observers.add(observer)
        if self._server is not None and not self._closed:
            observers.open()
        return remove

    # -- taking streams ------------------------------------------------------------------------------------------------

    def accept(self, timeout: float | None = None) -> AudioStream:
        """Wait for the next started stream, other than those of :meth:`listen` and :meth:`connect`.

        At most 256 streams wait to be accepted; beyond that the oldest are closed.

        :param timeout: seconds to wait; ``None`` waits until a stream arrives or the server is closed.
        :return: the stream.
        :raises StreamsTaken: the server has an *on_stream* handler, which receives all streams.
        :raises WaitTimeout: no stream arrived within *timeout*.
        :raises StreamFailed: the server was closed.
        :raises InvalidParameter: *timeout* is invalid.
        """
        timeout = values.timeout(timeout)
        if self._on_stream is not None:
            raise StreamsTaken("accept() is not available with on_stream, which receives every stream: use one of them")
        self._gate.strangers = True
        self.start()
        deadline = Deadline.after(time.monotonic(), timeout)
        while True:  # another thread may be quicker
            left = deadline.remaining(time.monotonic())
            ready = wait_until(lambda: bool(self._waiting) or self._closed, self._changed, left)
            try:
                return self._waiting.popleft()[0]
            except IndexError:
                if self._closed:
                    raise StreamFailed("the AudioServer was closed") from None
            if not ready:
                raise WaitTimeout(f"no stream came within {timeout:g} s")

    def __iter__(self) -> Iterator[AudioStream]:
        """Iterate over streams as they arrive, until the server is closed.

        :raises RelayError: as for :meth:`accept`.
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
        track: str = "inbound",
        codec: str = "PCMU",
        timeout: float = 10.0,
        sample_rate: int | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        **stream_options: Any,
    ) -> AudioStream:
        """Stream the audio of a call to this server with ``call.stream()``, and wait until it starts.

        A one-time token identifies the stream. It is valid for one connection, until this method returns.

        :param call: an answered call.
        :param track: ``inbound``, ``outbound`` or ``both``.
        :param codec: ``PCMU``, ``PCMA``, ``L16``, ``G722`` or ``OPUS``, with modifiers as in ``L16@16000h``. Decoding G722 and
            OPUS needs the extra ``codecs``; payloads that cannot be decoded are delivered raw in ``frame.data``.
        :param timeout: seconds to wait for the first message of the stream, counted from the command.
        :param sample_rate: sample rate of the frames in Hz, instead of the server's *sample_rate*.
        :param custom_parameters: your values, delivered in ``stream.custom_parameters``.
        :param stream_options: additional parameters for ``call.stream``, such as ``name`` or ``status_url``.
        :return: the stream. Its ``action`` is the result of ``call.stream``; closing the stream stops the action.
        :raises StreamFailed: the carrier did not connect, or connected and sent no ``start``; the action has been stopped. If
            the call has ended, the message reports it, and ``__cause__`` is a ``CallEnded``.
        :raises InvalidParameter: a parameter is invalid, or ``public_url`` is missing and the carrier could not reach this
            server.
        :raises OSError: starting the server failed: its address is not available.
        :raises Forked: the server was started in the parent process.
        :raises RelayError: ``call.stream`` failed, for example because the command was refused.
        """
        timeout = values.timeout(timeout, optional=False)
        check_call(call, "stream")
        check_options("AudioServer.listen", call.stream, stream_options)
        check_wanted_rate(sample_rate)
        url = self._way_here(stream_options)
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
        stream.action = action
        return stream

    def _way_here(self, options: Mapping[str, Any]) -> str:
        """The address to give to the carrier.

        :raises InvalidParameter: it could not come here, or *options* hold what only this server can set.
        """
        for name in ("url", "authorization_bearer_token"):
            if name in options:
                raise InvalidParameter(name, options[name], f"no {name}: the server sets it", secret=True)
        url = self.url
        if url.startswith("ws:") and not is_loopback(urlsplit(url).hostname):
            raise InvalidParameter(
                "public_url", None, "a wss:// address that the carrier can reach: only wss:// may leave this machine"
            )
        return url

    def _expect(self, expected: Expected, action: StreamingAction, timeout: float, codec: str) -> AudioStream:
        return wait_for_stream(expected, action, timeout, codec, self._address, self._gate)

    # -- on the loop thread --------------------------------------------------------------------------------------------

    def _opened(self, loop: Loop, waking: Waking, connection: Connection) -> None:
        expected = self._gate.claim(connection.headers)
        if self._gate.shows_token(connection.headers):
            connection.prove()
        with self._lock:
            self._sockets += 1

        begun: list[AudioStream] = []

        def on_stream(stream: AudioStream, core: StreamCore) -> None:
            begun.append(stream)
            if self._observers is not None:
                self._observers.stream_started(stream)
            if expected is None or not expected.awaited:
                self._arrived(stream, core)
            else:
                expected.began(stream, core)

        def on_end() -> None:
            if self._observers is not None and begun:
                self._observers.stream_ended(begun[0])
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
        Receiver(
            loop,
            connection,
            self._settings,
            waking,
            on_stream=on_stream,
            on_end=on_end,
            two_way=two_way,
            realtime=expected is not None and expected.realtime,
            sample_rate=self._sample_rate if wanted is None else wanted,
        )

    def _raised(self, call_id: str, error: BaseException) -> None:
        """The handler of a stream did so, in its thread."""
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
        if oldest is not None:  # no code would read it, and all its audio would be kept
            oldest[1].hang_up(False)
            self._troubles.warning("accept", "too many streams wait for accept(); closing the oldest")


def _left(deadline: Deadline, least: float) -> float:
    left = deadline.remaining(time.monotonic())
    return least if left is None else max(left, least)


def _stop(action: StreamingAction) -> None:
    try:
        if not action.is_done:
            action.stop()
    except Exception as error:
        _log.warning("stopping a stream that did not start failed: %s", error)


AudioServer.__module__ = "relay_sync.audio"
