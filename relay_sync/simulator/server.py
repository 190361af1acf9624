"""The simulator as a test holds it: start, calls, faults, end."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypedDict, TypeVar

from ..errors import InvalidParameter, SimulatorClosed
from ..server.listening import url_host
from ..server.loop import Loop, LoopStopped
from ..server.websocket import WebSocketServer
from ..threads.logs import get as log_of
from ..threads.rate_limited_log import RateLimitedLog
from .core.faults import Faults
from .core.journal import Journal
from .core.noticeboard import seconds_to_wait
from .core.settings import Settings
from .core.world import World
from .fault_controls import Controls
from .http.recordings import Recordings
from .http.rest import MOST_BODY, Rest
from .http.server import Door, RestEntry
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

# What the simulator carries out. Every other method of the table is checked and acknowledged, and nothing comes of it.
HANDLERS: Handlers = {name: handler for theme in _THEMES for name, handler in theme.HANDLERS.items()}

bridging.CONNECTORS["stream"] = stream_device.KIND


class Credentials(TypedDict):
    """What a client must be told to find and enter a simulator: ``RelayClient(**sim.credentials)``."""

    project: str
    token: str
    host: str


class Simulator(Controls, Story):
    """A RELAY server and a telephone network, on loopback, in one thread.

    ::

        with Simulator() as sim:
            client = RelayClient(**sim.credentials, contexts=["default"])
            ...
            phone = sim.call(to="+15550100", from_="+15550199", says=speech.caller())
            phone.wait_until("answered")

    :param host: the address to listen on. :param port: 0 takes a free one.
    :param project: the project id; a new one if left out. :param token: its token; likewise. :param jwt_token: a JWT
        that is let in; none if left out. It is compared as a whole.
    :param ssl_context: a server context: then it speaks ``wss``.
    :param media: ``"realtime"``: streams run by the clock. ``"fast"``: as fast as they are read, for tests; and what
        is played, rings or is said takes a thousandth of its time.
    :param ptime: seconds per audio frame, whole milliseconds. :param speed: how much faster than real the clock of
        the media runs, and that of timeouts which wait for a caller; from 0.001 to 1000000.
    :param media_ssl_context: a client context for dialling receivers by ``wss``.
    :param record_seconds: how much of what a stream sends is kept for comparison, per track.
    :param dial_timeout: seconds for opening a receiver's socket.
    :param refuse_with: how wrong credentials are refused: ``"error"``, JSON-RPC error -32002, or ``"result"``, a
        failing result; both are documented. :param on_bad_resume: what becomes of a resume with an unknown protocol
        or a wrong state: ``"refuse"``, or ``"fresh"``, a new session; both are documented.
    :param replay_events: keep the events that a client missed while it had no socket, and send them when it resumes.
        Replay is not promised anywhere, so it is off.
    :param finish_streams: tell streams, recordings and all that goes on ``finished`` when their call ends. Not
        guaranteed by any source; off, clients must cope.
    :param dial_winner: how the winner of a dial is marked: ``"string"``, the text ``"true"``, or ``"boolean"``; both
        are documented.
    :param status_dialect: how streams tell their status webhooks: ``"relay"``, the events as JSON, which know no errors, or
        ``"cxml"``, the form fields of a ``statusCallback``, with the documented values of ``StreamError``.
    :param signing_key: signs the status webhooks; left out, they are not signed.
    :param strict: refuse unknown parameters, inside objects and lists as well, and close the sockets of receivers that send
        what the platform would spoil without a word (``Stream.notices``).
    :param allow_remote: let streams and webhooks leave this machine.
    :param ping_interval: seconds between the server's pings, ``None`` for none. The platform's period is not known;
        JavaScript clients bound it at 15. :param ping_timeout: seconds until a client that does not answer is
        dropped.
    :param max_frame: the longest message accepted, in bytes.
    :param max_connections: how many sockets at once; when more come, the oldest is closed that has not authenticated.
    :param journal_limit: how many frames the journal keeps.
    :param origins: web pages that may connect, as ``https://app.example.com``; others are refused with 403.
    :param hosts: names that a request may have in ``Host`` besides those of this machine, where the simulator listens on
        loopback only.
    :raises InvalidParameter: a value that cannot be right.

    :ivar journal: the frames of all connections. :ivar webhooks: the status webhooks that were sent, and what came of
        them.
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
        media: str = "realtime",
        ptime: float = 0.02,
        speed: float = 1.0,
        media_ssl_context: ssl.SSLContext | None = None,
        record_seconds: float = 600.0,
        dial_timeout: float = 5.0,
        refuse_with: str = "error",
        on_bad_resume: str = "refuse",
        replay_events: bool = False,
        finish_streams: bool = True,
        status_dialect: str = "relay",
        signing_key: str | None = None,
        dial_winner: str = "string",
        strict: bool = False,
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

    # -- start and end -------------------------------------------------------------------------------------------------

    def start(self) -> Simulator:
        """Listen. Harmless if it does already.

        :raises OSError: the address cannot be had. :raises SimulatorClosed: it was closed.
        """
        if self._closed:
            raise SimulatorClosed("this simulator was closed; make a new one")
        if self._server is None:
            try:
                self._loop.start()
                self._server = self._listen()
                self._port = self._server.port
                self._recordings.base = "http" + self.url.removeprefix("ws")
            except LoopStopped:  # close() was quicker
                raise SimulatorClosed("this simulator was closed; make a new one") from None
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
                on_open=self._relay.opened,
                max_message=settings.max_frame,
                max_connections=settings.max_connections,
                max_body=MOST_BODY,
                on_refused=lambda remote, kind, why: self._troubles.warning(kind, "refused %s: %s", remote, why),
            )
        except LoopStopped:
            raise SimulatorClosed("the simulator does not run: it was closed, or has not been started") from None

    def close(self, timeout: float = 5.0) -> None:
        """End everything: calls without a word, sockets with 1001, threads. Idempotent; takes about ``timeout``
        seconds at most.
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

    # -- for clients ---------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect: ``ws://127.0.0.1:PORT``."""
        return f"{'wss' if self.settings.ssl_context else 'ws'}://{url_host(self.settings.host)}:{self._port}"

    @property
    def credentials(self) -> Credentials:
        """The keywords for ``RelayClient``: ``project``, ``token``, ``host``."""
        return {"project": self.settings.project, "token": self.settings.token, "host": self.url}

    # -- REST ----------------------------------------------------------------------------------------------------------

    @property
    def rest_requests(self) -> list[RestEntry]:
        """The last HTTP requests on the port that were no WebSockets: call commands and downloads, oldest first."""
        return list(self._door.entries)

    def add_recording(self, wav: bytes) -> str:
        """Serve a file as a recording, and return its address (``GET /recordings/<id>.wav``)."""
        if not isinstance(wav, bytes | bytearray | memoryview):
            raise InvalidParameter("wav", wav, "bytes")
        return self._recordings.add(self._recordings.new_id(), bytes(wav))

    # -- for the controls ----------------------------------------------------------------------------------------------

    def _do(self, fn: Callable[..., _T], *args: Any, timeout: float = 5.0) -> _T:
        """Run something on the loop's thread and wait for it."""
        return self._world.do(fn, *args, timeout=timeout)
