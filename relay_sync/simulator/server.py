"""The :class:`Simulator` class, which combines all parts of the simulator."""

from __future__ import annotations

import itertools
import secrets
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Literal, TypedDict, TypeVar

from ..errors import InvalidParameter, SimulatorClosed
from ..hosts.listening import url_host
from ..server.loop import Loop, LoopStopped, Timer
from ..server.websocket import Connection, WebSocketServer
from ..threads.logs import get as log_of
from ..threads.rate_limited_log import RateLimitedLog
from .core import given
from .core.faults import Faults
from .core.feed import USUAL_LIMIT, LiveEvents
from .core.journal import Journal
from .core.noticeboard import seconds_to_wait
from .core.settings import Settings
from .core.world import World
from .fault_controls import Controls
from .http.recordings import Recordings
from .http.rest import Rest
from .http.server import Door, RestEntry, Site
from .http.webhooks import WebhookSender
from .methods import (
    agents,
    bridging,
    calling,
    collecting,
    conferences,
    detecting,
    dial,
    fax,
    features,
    handshake,
    keys,
    messaging,
    paying,
    playing,
    queues,
    recording,
    stream_device,
    streaming,
    tap,
    transcripts,
)
from .methods.request import Handlers, Platform
from .relay import RelayServer
from .scenario import Story
from .scripting import Scripting

__all__ = ["Simulator"]

_log = log_of("relay_sync.simulator").later
_T = TypeVar("_T")
_numbers = itertools.count(1)

_THEMES = (
    handshake,
    calling,
    dial,
    bridging,
    features,
    streaming,
    playing,
    recording,
    collecting,
    detecting,
    keys,
    tap,
    transcripts,
    conferences,
    queues,
    fax,
    paying,
    agents,
    messaging,
)

# Handlers by RELAY method. Requests for methods without a handler are validated and acknowledged, but have no effect.
HANDLERS: Handlers = {name: handler for theme in _THEMES for name, handler in theme.HANDLERS.items()}

bridging.CONNECTORS["stream"] = stream_device.KIND


class Credentials(TypedDict):
    """``RelayClient`` keyword arguments for connecting to a simulator: ``RelayClient(**sim.credentials)``."""

    project: str
    token: str
    host: str


class Simulator(Controls, Scripting, Story):
    """RELAY server and telephone network on the loopback interface, running in one background thread.

    ::

        with Simulator() as sim:
            client = RelayClient(**sim.credentials, contexts=["default"])
            ...
            phone = sim.call(to="+15550100", from_="+15550199", says=speech.caller())
            phone.wait_until("answered")

    :param host: address to listen on.
    :param port: port to listen on; 0 selects a free port.
    :param project: project ID that clients must present; ``None`` generates one.
    :param token: API token that clients must present; ``None`` generates one.
    :param jwt_token: JWT that clients may present instead, compared as an opaque string; ``None`` rejects all JWTs.
    :param ssl_context: server-side TLS context; if set, the simulator serves ``wss`` instead of ``ws``.
    :param media: ``"realtime"`` sends streams in real time. ``"fast"`` sends them as fast as receivers read them, and shortens
        playbacks, ringing and speech by a factor of 1000.
    :param ptime: duration of one audio frame, in seconds: a multiple of 0.001 from 0.005 to 0.2.
    :param speed: speed of media, and of timeouts that wait for a party, relative to real time: from 0.001 to 1000000.
    :param media_ssl_context: client-side TLS context for streams to ``wss`` URLs. By default, the certificate is verified, and
        ``SSL_CERT_FILE`` and the other variables of the environment determine which authorities are trusted.
    :param record_seconds: maximum amount of audio to keep for each stream track, in seconds.
    :param dial_timeout: timeout for connecting to a stream's receiver, in seconds.
    :param refuse_with: response to invalid credentials: ``"error"`` for JSON-RPC error -32002, or ``"result"`` for a result
        with an error code. SignalWire's documentation describes both.
    :param on_bad_resume: response to a resume request with an unknown protocol or an invalid authorization state: ``"refuse"``,
        or ``"fresh"`` for a new session. SignalWire's documentation describes both.
    :param replay_events: whether to keep a disconnected client's events and send them when it resumes its session. Off by
        default, because the platform does not guarantee this.
    :param finish_streams: whether streams, recordings and other actions send a ``finished`` event when their call ends. The
        platform does not guarantee this event. Use ``False`` to test how a client copes without it.
    :param dial_winner: encoding of the flag that marks a dial's answered call: ``"string"`` for the text ``"true"``, or
        ``"boolean"``. SignalWire's documentation describes both.
    :param status_dialect: format of stream status callbacks. ``"relay"`` sends events as JSON and does not report errors.
        ``"cxml"`` sends the form fields of a ``statusCallback``, including the documented ``StreamError`` values.
    :param signing_key: key for signing status webhooks; ``None`` sends them unsigned.
    :param strict: whether to reject unknown parameters, including those in nested objects, and to close streams when the
        receiver sends data that the platform would drop or garble without an error (see ``Stream.notices``).
    :param accept_any_credentials: whether clients may present any project with any token, or any JWT. See
        :meth:`accept_any_credentials` and :meth:`add_project`.
    :param acknowledge_only: whether requests are only validated and acknowledged. See :meth:`acknowledge_only`.
    :param allow_remote: whether streams and webhooks may connect to other machines.
    :param ping_interval: interval between pings to each client, in seconds; ``None`` disables pings. The platform's interval is
        not documented.
    :param ping_timeout: time to wait for a ping reply before disconnecting the client, in seconds.
    :param max_frame: maximum size of a received message, in bytes.
    :param max_connections: maximum number of open connections. When it is exceeded, the oldest unauthenticated connection is
        closed.
    :param journal_limit: maximum number of frames in the journal.
    :param origins: web origins that may connect, such as ``https://app.example.com``. Other origins receive status 403.
    :param hosts: additional host names accepted in the ``Host`` header, for a simulator that listens on loopback.
    :raises InvalidParameter: a value is invalid.

    :ivar instance_id: random ID. It is never sent: a program that knows it can ask the simulator to prove that it knows it.
    :ivar journal: journal of frames on all connections.
    :ivar webhooks: status webhooks sent by the simulator, with their outcomes.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        project: str | None = None,
        token: str | None = None,
        jwt_token: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        media: Literal["realtime", "fast"] | str = "realtime",
        ptime: float = 0.02,
        speed: float = 1.0,
        media_ssl_context: ssl.SSLContext | None = None,
        record_seconds: float = 600.0,
        dial_timeout: float = 5.0,
        refuse_with: Literal["error", "result"] | str = "error",
        on_bad_resume: Literal["refuse", "fresh"] | str = "refuse",
        replay_events: bool = False,
        finish_streams: bool = True,
        status_dialect: Literal["relay", "cxml"] | str = "relay",
        signing_key: str | None = None,
        dial_winner: str = "string",
        strict: bool = False,
        accept_any_credentials: bool = False,
        acknowledge_only: bool = False,
        allow_remote: bool = False,
        ping_interval: float | None = 10.0,
        ping_timeout: float = 10.0,
        max_frame: int = 10 * 1024 * 1024,
        max_connections: int = 1000,
        journal_limit: int = 10_000,
        origins: Iterable[str] = (),
        hosts: Iterable[str] = (),
    ) -> None:
        named: dict[str, Any] = {
            name: value for name, value in (("project", project), ("token", token)) if value is not None
        }
        self.settings: Settings = Settings(
            host=host,
            port=port,
            jwt_token=jwt_token,
            ssl_context=ssl_context,
            media=media,
            ptime=ptime,
            speed=speed,
            media_ssl_context=media_ssl_context,
            record_seconds=record_seconds,
            dial_timeout=dial_timeout,
            refuse_with=refuse_with,
            on_bad_resume=on_bad_resume,
            replay_events=replay_events,
            finish_streams=finish_streams,
            status_dialect=status_dialect,
            signing_key=signing_key,
            dial_winner=dial_winner,
            strict=strict,
            accept_any_credentials=accept_any_credentials,
            acknowledge_only=acknowledge_only,
            allow_remote=allow_remote,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            max_frame=max_frame,
            max_connections=max_connections,
            journal_limit=journal_limit,
            origins=origins,
            hosts=hosts,
            **named,
        )
        self.instance_id: str = secrets.token_urlsafe(24)
        self.journal: Journal = Journal(limit=journal_limit)
        self.faults: Faults = Faults()
        self.webhooks: WebhookSender = WebhookSender(allow_remote=allow_remote, signing_key=signing_key or "")
        self._loop = Loop(f"relay-sim-{next(_numbers)}")
        self._world = World(self.settings, self._loop, self.journal, self.faults, self.webhooks)
        self._recordings = Recordings()
        self._platform = Platform(world=self._world, handlers=HANDLERS, recordings=self._recordings)
        self._relay = RelayServer(self._platform)
        self._troubles = RateLimitedLog(_log)
        self._door = Door(
            world=self._world, rest=Rest(self._platform), recordings=self._recordings, troubles=self._troubles
        )
        self._server: WebSocketServer | None = None
        self._reopening: Timer | None = None
        self._closed = False
        self._port = port

    def __repr__(self) -> str:
        if self._closed:
            return "<Simulator closed>"
        return (
            "<Simulator new>"
            if self._server is None
            else f"<Simulator listening on {', '.join(self._server.addresses)}>"
        )

    # -- startup and shutdown ------------------------------------------------------------------------------------------

    def start(self) -> Simulator:
        """Start listening. This has no effect if the simulator is already listening.

        :return: the simulator.
        :raises OSError: the address is already in use or not available.
        :raises SimulatorClosed: the simulator was closed.
        """
        if self._closed:
            raise SimulatorClosed("the simulator is closed; create a new one")
        if self._server is None:
            try:
                self._loop.start()
                self._server = self._listen()
                self._port = self._server.port
                self._recordings.base = "http" + self.url.removeprefix("ws")
            except LoopStopped:  # close() was called concurrently
                raise SimulatorClosed("the simulator is closed; create a new one") from None
            except BaseException:
                self.close()
                raise
        return self

    def _listen(self) -> WebSocketServer:
        settings = self.settings
        try:
            return WebSocketServer(
                self._loop,
                host=settings.host,
                port=self._port,
                ssl_context=settings.ssl_context,
                on_request=self._door.answer,
                on_open=self._opened,
                max_message=self._door.longest,
                max_connections=settings.max_connections,
                max_body=self._door.limit,
                on_refused=lambda remote, kind, why: self._troubles.warning(kind, "refused %s: %s", remote, why),
            )
        except LoopStopped:
            raise SimulatorClosed("the simulator is not running: it is closed or not started") from None

    def _opened(self, connection: Connection) -> None:
        if not self._door.opened(connection):
            self._relay.opened(connection)

    def close(self, timeout: float = 5.0) -> None:
        """Close all connections with close code 1001 and stop all simulator threads.

        Active calls end without an event. :meth:`close` is idempotent.

        :param timeout: approximate maximum time to wait for the threads, in seconds.
        """
        timeout = seconds_to_wait(timeout)
        if self._closed:
            return
        self._closed = True
        self.webhooks.close(timeout / 2)
        self._loop.stop(timeout / 2)

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- connection details for clients --------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port the simulator listens on."""
        return self._port

    @property
    def url(self) -> str:
        """The simulator's WebSocket URL, such as ``ws://127.0.0.1:PORT``."""
        return f"{'wss' if self.settings.ssl_context else 'ws'}://{url_host(self.settings.host)}:{self._port}"

    @property
    def credentials(self) -> Credentials:
        """The ``project``, ``token`` and ``host`` arguments for ``RelayClient``."""
        return {"project": self.settings.project, "token": self.settings.token, "host": self.url}

    # -- live events ---------------------------------------------------------------------------------------------------

    def live(self, limit: int = USUAL_LIMIT, *, on_news: Callable[[], object] | None = None) -> LiveEvents:
        """Return the live events from now on: states of calls and messages, frames, connections, faults and notices.

        ::

            with sim.live() as events:
                event = events.read(timeout=5)

        :param limit: maximum number of events that wait to be read, from 1 to 100000. The oldest are dropped when there are more.
        :param on_news: function to call when an event arrives, on the simulator's thread. It must not block.
        :return: the events. Close them when they are no longer needed.
        :raises InvalidParameter: the limit is invalid.
        """
        return LiveEvents(self._world.feed, limit, on_news)

    # -- REST ----------------------------------------------------------------------------------------------------------

    @property
    def rest_requests(self) -> list[RestEntry]:
        """The most recent HTTP requests, oldest first.

        REST commands and recording downloads are included, but WebSocket handshakes are not.
        """
        return list(self._door.entries)

    def add_recording(self, wav: bytes) -> str:
        """Serve a WAV file at ``/recordings/<id>.wav``, like a call recording.

        :param wav: contents of the WAV file.
        :return: the recording's URL.
        :raises InvalidParameter: ``wav`` is not bytes.
        """
        if not isinstance(wav, bytes | bytearray | memoryview):
            raise InvalidParameter("wav", wav, "bytes")
        return self._recordings.add(self._recordings.new_id(), bytes(wav))

    def mount(self, segment: str, site: Site | None) -> None:
        """Serve all paths with this first segment by other code, such as :class:`ControlInterface`.

        :param segment: first segment of the paths, such as ``simulator`` for ``/simulator/calls``; ``""`` for ``/``.
        :param site: object that answers the requests, on the loop thread; ``None`` stops serving these paths.
        """
        if site is None:
            self._door.sites.pop(given.words("segment", segment), None)
        else:
            self._door.sites[given.words("segment", segment)] = site

    # -- used by the mixins --------------------------------------------------------------------------------------------

    def _do(self, fn: Callable[..., _T], *args: Any, timeout: float = 5.0) -> _T:
        """Call a function on the loop thread and return its result."""
        return self._world.do(fn, *args, timeout=timeout)
