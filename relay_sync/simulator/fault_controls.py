"""Simulator methods that wait for clients and inject faults. All methods are thread-safe."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from ..errors import InvalidParameter
from ..server.loop import Timer
from ..server.websocket import WebSocketServer
from ..threads.logs import get as log_of
from .core import frames, given
from .core.faults import EventFault, Faults, MediaFault, RequestFault
from .core.journal import Journal
from .core.names import check_method
from .core.noticeboard import seconds_to_wait
from .core.session import ClientSocket, ServerSession
from .core.world import World
from .http.server import Door
from .media.disturbance import ERRORS, KINDS, MOST_FRAMES, Kind
from .methods.request import Platform

__all__ = ["SLOWEST", "Controls"]

#: Maximum delay of frames in seconds.
SLOWEST: Final = 60.0

_log = log_of("relay_sync.simulator").later
_T = TypeVar("_T")

#: Time between attempts to listen again, in seconds.
REOPEN_PAUSE: Final = 1.0


def _check_choice(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), known, 1)
        hint = f" (perhaps {near[0]!r})" if near else ""
        raise InvalidParameter(name, value, f"one of {', '.join(known)}{hint}")


class Controls:
    """:class:`Simulator` mixin with methods that wait for clients and inject faults.

    The ``times`` parameter of a fault limits how many requests, events or streams it affects. If it is ``None``, the fault
    remains active until removed.
    """

    journal: Journal
    faults: Faults
    _world: World
    _platform: Platform
    _door: Door
    _server: WebSocketServer | None
    _reopening: Timer | None

    def _do(self, fn: Callable[..., _T], *args: Any, timeout: float = 5.0) -> _T:
        raise NotImplementedError

    def _listen(self) -> WebSocketServer:
        raise NotImplementedError

    # -- clients -------------------------------------------------------------------------------------------------------

    @property
    def clients(self) -> int:
        """The number of connected and authenticated clients."""
        return len(self._connected())

    def _connected(self) -> list[ClientSocket]:
        return [client for client in list(self._world.clients.values()) if client.session is not None]

    def wait_for_client(self, count: int = 1, timeout: float = 5.0) -> None:
        """Wait until at least ``count`` clients are connected and authenticated.

        :param count: minimum number of clients.
        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: fewer clients are connected after ``timeout`` seconds.
        """
        given.number("count", count)
        self._world.board.wait_for(lambda: self.clients >= count, timeout, f"{count} connected clients")

    def wait_until_gone(self, timeout: float = 5.0) -> None:
        """Wait until all client connections are closed.

        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: a client is still connected after ``timeout`` seconds.
        """
        self._world.board.wait_for(lambda: not self._world.clients, timeout, "all clients to disconnect")

    def wait_for_acks(self, timeout: float = 5.0) -> None:
        """Wait until the connected clients have replied to all events and requests sent so far.

        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: at least one event or request is still unanswered after ``timeout`` seconds.
        """
        self._world.board.wait_for(
            lambda: not any(each.pending for each in self._connected()), timeout, "clients to acknowledge all events"
        )

    @property
    def unacknowledged(self) -> list[str]:
        """The IDs of events, pings and disconnect requests that connected clients have not replied to."""
        return [each for client in self._connected() for each in list(client.pending)]

    # -- reply faults --------------------------------------------------------------------------------------------------

    def refuse(
        self, method: str, code: int | str = 400, message: str = "Refused", *, data: Any = None, times: int | None = 1
    ) -> None:
        """Respond to requests for a method with a result that contains an error code. The method is not executed.

        :param method: RELAY method, such as ``calling.play``.
        :param code: result code, which must not be 2xx.
        :param message: message in the result.
        :param data: additional data in the result; ``None`` omits it.
        :param times: number of requests affected; ``None`` affects all requests.
        :raises InvalidParameter: a value is invalid.
        """
        given.json("data", data)
        fault = RequestFault(kind="refuse", method=method, code=code, message=message, data=data)
        self.faults.add(fault, times)

    def fail(
        self, method: str, code: int = -32602, message: str = "Failed", *, data: Any = None, times: int | None = 1
    ) -> None:
        """Respond to requests for a method with a JSON-RPC error. The method is not executed.

        :param method: RELAY method, such as ``calling.play``.
        :param code: JSON-RPC error code.
        :param message: error message.
        :param data: ``data`` member of the error; ``None`` omits it.
        :param times: number of requests affected; ``None`` affects all requests.
        :raises InvalidParameter: a value is invalid.
        """
        given.json("data", data)
        self.faults.add(RequestFault(kind="fail", method=method, code=code, message=message, data=data), times)

    def drop_reply(self, method: str, times: int | None = 1) -> None:
        """Execute requests for a method without replying to them.

        :param method: RELAY method, such as ``calling.play``.
        :param times: number of requests affected; ``None`` affects all requests.
        """
        self.faults.add(RequestFault(kind="drop", method=method), times)

    def hold(self, method: str, times: int | None = None) -> None:
        """Execute requests for a method, but hold their replies until :meth:`release` is called. Events are not held.

        :param method: RELAY method, such as ``calling.play``.
        :param times: number of requests affected; ``None`` affects all requests.
        """
        self.faults.add(RequestFault(kind="hold", method=method), times)

    def release(self, method: str | None = None, timeout: float = 5.0) -> int:
        """Send all held replies and stop holding new ones.

        :param method: RELAY method whose replies to release; ``None`` releases all replies.
        :param timeout: maximum time to wait for the replies to be sent, in seconds.
        :return: number of replies released.
        :raises WaitTimeout: the simulator did not send the replies within ``timeout`` seconds.
        """
        if method is not None:
            check_method(method)
        self.faults.lift("hold", method)
        return self._do(self._world.release, method, timeout=timeout)

    def wait_for_held(self, method: str | None = None, timeout: float = 5.0) -> None:
        """Wait until at least one reply is held.

        :param method: the reply's RELAY method; ``None`` matches any method.
        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: no reply is held after ``timeout`` seconds.
        """
        if method is not None:
            check_method(method)
        self._world.board.wait_for(lambda: self._world.held(method) > 0, timeout, "a reply to hold")

    def break_action(self, method: str, details: Mapping[str, Any] | None = None, times: int | None = 1) -> None:
        """Acknowledge requests for a method, but make the resulting action fail.

        The event that ends the action reports the failure: a playback ends in state ``error``, a dial in state ``failed``, and
        a fax is reported as unsuccessful.

        :param method: RELAY method that starts an action, such as ``calling.play``.
        :param details: event parameters to override. For ``messaging.send``, they apply to the last event, and
            ``message_state`` sets the final state.
        :param times: number of requests affected; ``None`` affects all requests.
        :raises InvalidParameter: the method does not start an action, or the details cannot be serialized to JSON.
        """
        members = {} if details is None else given.members("details", details)
        given.json("details", members)
        self.faults.add(RequestFault(kind="break", method=method, data=members), times)

    # -- event faults --------------------------------------------------------------------------------------------------

    def drop_event(self, event_type: str, *, state: str | None = None, times: int | None = 1) -> None:
        """Drop events of a type instead of sending them.

        :param event_type: event type, such as ``calling.call.play``.
        :param state: event state to match; ``None`` matches any state.
        :param times: number of events affected; ``None`` affects all events.
        """
        self.faults.add(EventFault(kind="drop", event_type=event_type, state=state), times)

    def duplicate_event(
        self,
        event_type: str,
        *,
        state: str | None = None,
        copies: int = 1,
        same_id: bool = True,
        times: int | None = 1,
    ) -> None:
        """Send additional copies of events of a type.

        :param event_type: event type, such as ``calling.call.play``.
        :param state: event state to match; ``None`` matches any state.
        :param copies: number of additional copies.
        :param same_id: whether the copies reuse the original frame's ID. If ``False``, each copy has a new ID.
        :param times: number of events affected; ``None`` affects all events.
        """
        fault = EventFault(kind="duplicate", event_type=event_type, state=state, copies=copies, same_id=same_id)
        self.faults.add(fault, times)

    def delay_event(self, event_type: str, seconds: float, *, state: str | None = None, times: int | None = 1) -> None:
        """Delay events of a type. Later events can overtake them.

        :param event_type: event type, such as ``calling.call.play``.
        :param seconds: delay, in seconds.
        :param state: event state to match; ``None`` matches any state.
        :param times: number of events affected; ``None`` affects all events.
        """
        fault = EventFault(kind="delay", event_type=event_type, state=state, seconds=seconds)
        self.faults.add(fault, times)

    # -- audio faults --------------------------------------------------------------------------------------------------

    def disturb_stream(
        self,
        kind: Kind | str,
        *,
        at: int = 10,
        count: int = 1,
        error: str = "connection_refused",
        times: int | None = 1,
    ) -> None:
        """Inject an audio fault into the next streams. Several faults can affect the same stream.

        The kinds of fault are:

        * ``gap``: skip ``count`` frame intervals. Their sequence numbers are skipped as well.
        * ``duplicate``: send each of ``count`` frame intervals twice.
        * ``reorder``: send a frame interval after the next ``count`` intervals.
        * ``garbage``: send an invalid message before each of ``count`` frame intervals.
        * ``drop``: close the connection without a ``stop`` message and without a closing handshake.
        * ``reset``: like ``drop``, but with a TCP reset.
        * ``wrong codec``: encode the audio differently than announced: PCMA and PCMU are swapped, L16 is sent in big-endian
          byte order, and other codecs are replaced by PCMU.
        * ``refuse``: fail to start the stream, with ``error`` as the cause.

        :param kind: kind of fault, from the list above.
        :param at: first frame interval affected, counted from 0. A stream with less audio sends silence until this interval.
            ``sim.faults.unused()`` lists faults that were not reached because the stream ended earlier.
        :param count: number of frame intervals, for ``gap``, ``duplicate``, ``reorder`` and ``garbage``.
        :param error: documented ``StreamError`` value, for ``refuse``.
        :param times: number of streams affected; ``None`` affects all streams.
        :raises InvalidParameter: the kind or error is unknown, or a number is out of range.
        """
        _check_choice("kind", kind, KINDS)
        _check_choice("error", error, ERRORS)
        whole = [type(value) is int for value in (at, count)]
        if not all(whole) or not 0 <= at <= MOST_FRAMES or not 1 <= count <= MOST_FRAMES:
            raise InvalidParameter("at, count", (at, count), f"whole numbers from 0 and from 1, to {MOST_FRAMES}")
        self.faults.add(MediaFault(kind=kind, at=at, count=count, error=error), times)

    def clear_faults(self) -> None:
        """Remove all pending faults. Held replies stay held until :meth:`release` is called."""
        self.faults.clear()

    # -- raw frames, events and pings ----------------------------------------------------------------------------------

    def send_raw(self, text: str, timeout: float = 5.0) -> None:
        """Send text unchanged on all open connections, authenticated or not. The text is not recorded in the journal.

        :meth:`send_frame` sends JSON to chosen clients and records it.

        :param text: text to send.
        :param timeout: maximum time to wait for the text to be sent, in seconds.
        :raises InvalidParameter: the text contains a lone surrogate, which cannot be encoded.
        :raises WaitTimeout: the simulator did not send the text within ``timeout`` seconds.
        """
        if not given.is_whole_text(text):
            raise InvalidParameter("text", text, "text without lone surrogates")

        def send() -> None:
            for client in self._world.clients.values():
                client.connection.send(text)

        self._do(send, timeout=timeout)

    def send_event(
        self,
        event_type: str,
        params: dict[str, Any],
        *,
        session: str | None = None,
        timeout: float = 5.0,
        **members: Any,
    ) -> None:
        """Send an event to the clients.

        If ``params`` contains an active call's ``call_id``, only the client that controls the call receives the event.
        Otherwise, all connected clients receive it.

        :param event_type: event type.
        :param params: event parameters.
        :param session: ID of the only session that receives the event; see :attr:`sessions`.
        :param timeout: maximum time to wait for the event to be sent, in seconds.
        :param members: envelope members to add or replace, such as ``event_channel="..."``.
        :raises InvalidParameter: the session is unknown, or a value cannot be serialized to JSON, such as NaN or infinity.
        :raises WaitTimeout: the simulator did not send the event within ``timeout`` seconds.
        """
        given.name_of("event_type", event_type)
        given.members("params", params)
        given.json("params", params)
        given.json("members", members)

        def send() -> None:
            call = self._platform.network.calls.get(str(params.get("call_id")))
            chosen: list[ServerSession | None] = [client.session for client in self._connected()]
            if session is not None:
                chosen = [self._world.named_session(session)]
            elif call is not None:
                chosen = [call.owner]
            for each in chosen:
                self._world.emit(each, event_type, params, **members)

        self._do(send, timeout=timeout)

    def ping(self, timeout: float = 5.0) -> None:
        """Send a ping to every connected client and wait for the replies.

        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: a client did not reply within ``timeout`` seconds.
        """
        waiting: set[str] = set()

        def send() -> None:
            for client in self._connected():
                frame = frames.ping()
                waiting.add(frame["id"])
                self._world.request(client, frame, lambda reply: waiting.discard(reply["id"]))

        self._do(send, timeout=timeout)
        self._world.board.wait_for(lambda: not waiting, timeout, "replies to pings")

    # -- connection and session faults ---------------------------------------------------------------------------------

    def cut(self, reset: bool = False, timeout: float = 5.0) -> None:
        """Close all RELAY connections without a closing handshake. Sessions and calls stay alive.

        :param reset: whether to reset the TCP connections instead of closing them.
        :param timeout: maximum time to wait for the simulator to close the connections, in seconds.
        :raises WaitTimeout: a connection is still open after ``timeout`` seconds.
        """
        given.yes("reset", reset)

        def drop() -> set[int]:
            for client in self._world.clients.values():
                client.connection.abort(reset)
            return set(self._world.clients)

        cut = self._do(drop, timeout=timeout)
        self._world.board.wait_for(lambda: not cut & self._world.clients.keys(), timeout, "the sockets to close")

    def restart(self, restart: bool = True, *, patience: float = 2.0, timeout: float = 5.0) -> None:
        """Send ``signalwire.disconnect`` to all clients, and close each client's connection when it replies.

        :param restart: value of the request's ``restart`` member. If ``True``, the simulator discards the sessions, and clients
            must start new ones.
        :param patience: maximum time to wait for a reply before closing the connection, in seconds.
        :param timeout: maximum time to wait for the requests to be sent, in seconds.
        :raises WaitTimeout: the simulator did not send the requests within ``timeout`` seconds.
        """
        given.yes("restart", restart)
        patience = max(0.0, seconds_to_wait(patience, name="patience"))

        def announce() -> None:
            for client in self._connected():
                self._send_away(client, restart, patience)

        self._do(announce, timeout=timeout)

    def _send_away(self, client: ClientSocket, restart: bool, patience: float) -> None:
        world, session = self._world, client.session
        client.leaving = True
        if restart and session is not None:
            world.sessions.forget(session)
            self._platform.network.abandon(session)
        overdue = world.loop.call_later(patience, client.connection.close, 1001, "restarting")

        def answered(_: dict[str, Any]) -> None:
            overdue.cancel()
            client.connection.close(1001, "restarting")

        world.request(client, frames.request("signalwire.disconnect", {"restart": restart}), answered)

    def slow_down(self, seconds: float, timeout: float = 5.0) -> None:
        """Delay all further frames to clients, to simulate a slow network. The order of the frames does not change.

        :param seconds: delay, at most 60 seconds; 0 removes the delay.
        :param timeout: maximum time to wait for the change to take effect, in seconds.
        :raises InvalidParameter: the delay is out of range.
        :raises WaitTimeout: the simulator did not apply the change within ``timeout`` seconds.
        """
        delay = given.seconds("seconds", seconds)
        if delay > SLOWEST:
            raise InvalidParameter("seconds", seconds, f"at most {SLOWEST:g} seconds")

        def slow() -> None:
            self._world.latency = delay

        self._do(slow, timeout=timeout)

    def forget_sessions(self, timeout: float = 5.0) -> None:
        """Expire all sessions, including those of connected clients. Open connections stay open.

        :param timeout: maximum time to wait for the sessions to expire, in seconds.
        :raises WaitTimeout: the simulator did not expire the sessions within ``timeout`` seconds.
        """

        def forget() -> None:
            for session in self._world.sessions:
                self._world.sessions.forget(session)
                if session.client is None:
                    self._platform.network.abandon(session)

        self._do(forget, timeout=timeout)

    def renew_authorization(self, timeout: float = 5.0) -> None:
        """Send a new authorization state to every connected session. The previous state can no longer be used to resume the
        session.

        :param timeout: maximum time to wait for the states to be sent, in seconds.
        :raises WaitTimeout: the simulator did not send the states within ``timeout`` seconds.
        """

        def renew() -> None:
            for client in self._connected():
                if client.session is not None:
                    client.session.renew()
                    self._world.announce(client.session)

        self._do(renew, timeout=timeout)

    def refuse_connections(self, refuse: bool = True, *, how: str = "http", seconds: float | None = None) -> None:
        """Refuse new connections, or accept them again. Open connections are not affected.

        :param refuse: whether to refuse new connections.
        :param how: how connections are refused: ``"http"`` responds to handshakes with status 503, and ``"tcp"`` closes the
            listening socket. The control interface stays reachable with ``"http"``, but not with ``"tcp"``.
        :param seconds: time after which connections are accepted again, in seconds; ``None`` refuses them until the next call.
        :raises InvalidParameter: ``how`` is unknown, or ``seconds`` is invalid.
        :raises OSError: the port is no longer available.
        """
        given.yes("refuse", refuse)
        if how not in ("http", "tcp"):
            raise InvalidParameter("how", how, "'http' or 'tcp'")
        rest = None if seconds is None else given.seconds("seconds", seconds, above=True)
        if self._reopening is not None:
            self._reopening.cancel()
        self._door.refusing = refuse and how == "http"
        if refuse and how == "tcp" and self._server is not None:
            self._server.stop_listening()
            self._server = None
        elif not refuse and self._server is None:
            self._server = self._listen()
        self._reopening = self._world.loop.call_later(rest, self._reopen) if refuse and rest is not None else None

    def _reopen(self) -> None:
        """Accept connections again. Runs on the loop thread."""
        self._door.refusing = False
        if self._server is not None:
            return
        try:
            self._server = self._listen()
        except OSError as error:  # another process has taken the port: try again, because clients cannot reach this one
            _log.warning("cannot listen again: %s; the next attempt is in %g s", error, REOPEN_PAUSE)
            self._reopening = self._world.loop.call_later(REOPEN_PAUSE, self._reopen)

    def stop_reading(self, stop: bool = True, timeout: float = 5.0) -> None:
        """Stop or resume reading from the open connections, to simulate a hung server.

        :param stop: whether to stop reading; ``False`` resumes it.
        :param timeout: maximum time to wait for the change to take effect, in seconds.
        :raises WaitTimeout: the simulator did not apply the change within ``timeout`` seconds.
        """
        given.yes("stop", stop)

        def switch() -> None:
            for client in self._world.clients.values():
                if stop:
                    client.connection.pause_reading()
                else:
                    client.connection.resume_reading()

        self._do(switch, timeout=timeout)
