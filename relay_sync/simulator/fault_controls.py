"""The controls of a simulator: waiting for clients, and faults on demand. All methods may be called from any thread."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import InvalidParameter
from ..server.websocket import WebSocketServer
from .core import frames, given
from .core.faults import EventFault, Faults, MediaFault, RequestFault
from .core.journal import Journal
from .core.names import check_method
from .core.noticeboard import seconds_to_wait
from .core.session import ClientSocket, ServerSession
from .core.world import World
from .http.server import Door
from .media.disturbance import ERRORS, KINDS, MOST_FRAMES
from .methods.request import Platform

__all__ = ["Controls"]

_T = TypeVar("_T")


def _check_choice(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        near = difflib.get_close_matches(str(value), known, 1)
        hint = f" (perhaps {near[0]!r})" if near else ""
        raise InvalidParameter(name, value, f"one of {', '.join(known)}{hint}")


def _check_json(name: str, value: object) -> None:
    """Reject values that JSON cannot express. Text with lone surrogates is accepted, because it can be sent."""
    try:
        frames.dump(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameter(name, type(value), f"a value that JSON can express ({error})") from None


class Controls:
    """The part of :class:`Simulator` that waits for clients and injects faults.

    A fault waits for a matching request, event or stream. ``times`` says how many of them it affects; ``None`` affects all.
    """

    journal: Journal
    faults: Faults
    _world: World
    _platform: Platform
    _door: Door
    _server: WebSocketServer | None

    def _do(self, fn: Callable[..., _T], *args: Any, timeout: float = 5.0) -> _T:
        raise NotImplementedError

    def _listen(self) -> WebSocketServer:
        raise NotImplementedError

    # -- clients -------------------------------------------------------------------------------------------------------

    @property
    def clients(self) -> int:
        """How many clients are connected and authenticated."""
        return len(self._connected())

    def _connected(self) -> list[ClientSocket]:
        return [client for client in list(self._world.clients.values()) if client.session is not None]

    def wait_for_client(self, count: int = 1, timeout: float = 5.0) -> None:
        """Wait until at least ``count`` clients are connected and authenticated.

        :param count: number of clients to wait for.
        :param timeout: seconds to wait.
        :raises WaitTimeout: fewer clients are connected after ``timeout`` seconds.
        """
        given.number("count", count)
        self._world.board.wait_for(lambda: self.clients >= count, timeout, f"{count} connected clients")

    def wait_until_gone(self, timeout: float = 5.0) -> None:
        """Wait until no client has an open socket.

        :param timeout: seconds to wait.
        :raises WaitTimeout: a client is still connected after ``timeout`` seconds.
        """
        self._world.board.wait_for(lambda: not self._world.clients, timeout, "all clients to disconnect")

    def wait_for_acks(self, timeout: float = 5.0) -> None:
        """Wait until the connected clients have answered every event and request sent so far.

        :param timeout: seconds to wait.
        :raises WaitTimeout: an event or request is still unanswered after ``timeout`` seconds.
        """
        self._world.board.wait_for(
            lambda: not any(each.pending for each in self._connected()), timeout, "clients to acknowledge all events"
        )

    @property
    def unacknowledged(self) -> list[str]:
        """The ids of events, pings and disconnect requests that connected clients have not answered yet."""
        return [each for client in self._connected() for each in list(client.pending)]

    # -- faults of replies ---------------------------------------------------------------------------------------------

    def refuse(
        self, method: str, code: int | str = 400, message: str = "Refused", *, data: Any = None, times: int | None = 1
    ) -> None:
        """Answer a method with a result that carries a failing code. The method has no effect.

        :param method: RELAY method, such as ``calling.play``.
        :param code: result code; any but 2xx.
        :param message: message of the result.
        :param data: further data in the result; ``None`` for none.
        :param times: number of requests affected; ``None`` for all.
        :raises InvalidParameter: a value is invalid.
        """
        _check_json("data", data)
        fault = RequestFault(kind="refuse", method=method, code=code, message=message, data=data)
        self.faults.add(fault, times)

    def fail(
        self, method: str, code: int = -32602, message: str = "Failed", *, data: Any = None, times: int | None = 1
    ) -> None:
        """Answer a method with a JSON-RPC error. The method has no effect.

        :param method: RELAY method, such as ``calling.play``.
        :param code: JSON-RPC error code.
        :param message: message of the error.
        :param data: ``data`` member of the error; ``None`` for none.
        :param times: number of requests affected; ``None`` for all.
        :raises InvalidParameter: a value is invalid.
        """
        _check_json("data", data)
        self.faults.add(RequestFault(kind="fail", method=method, code=code, message=message, data=data), times)

    def drop_reply(self, method: str, times: int | None = 1) -> None:
        """Carry out a method without ever replying.

        :param method: RELAY method, such as ``calling.play``.
        :param times: number of requests affected; ``None`` for all.
        """
        self.faults.add(RequestFault(kind="drop", method=method), times)

    def hold(self, method: str, times: int | None = None) -> None:
        """Carry out a method at once, events included, and hold its reply until :meth:`release`.

        :param method: RELAY method, such as ``calling.play``.
        :param times: number of requests affected; ``None`` for all.
        """
        self.faults.add(RequestFault(kind="hold", method=method), times)

    def release(self, method: str | None = None, timeout: float = 5.0) -> int:
        """Stop holding replies, and send the held ones.

        :param method: RELAY method whose replies are released; ``None`` for all methods.
        :param timeout: seconds to wait until the replies are sent.
        :return: how many replies were held.
        :raises WaitTimeout: the simulator did not send them within ``timeout`` seconds.
        """
        if method is not None:
            check_method(method)
        self.faults.lift("hold", method)
        return self._do(self._world.release, method, timeout=timeout)

    def wait_for_held(self, method: str | None = None, timeout: float = 5.0) -> None:
        """Wait until at least one reply is held.

        :param method: RELAY method of the reply; ``None`` for any method.
        :param timeout: seconds to wait.
        :raises WaitTimeout: no reply is held after ``timeout`` seconds.
        """
        if method is not None:
            check_method(method)
        self._world.board.wait_for(lambda: self._world.held(method) > 0, timeout, "a reply to hold")

    def break_action(self, method: str, details: Mapping[str, Any] | None = None, times: int | None = 1) -> None:
        """Acknowledge a method, then let the action that it starts fail. The event reports the failure in the usual way: a
        playback ends with ``error``, a dial has ``failed``, a fax is not successful.

        :param method: RELAY method that starts an action, such as ``calling.play``.
        :param details: members of the event's parameters that replace the usual ones. For ``messaging.send`` they apply to the
            last event, and ``message_state`` is the final state.
        :param times: number of requests affected; ``None`` for all.
        :raises InvalidParameter: the method starts no action, or JSON cannot express the details.
        """
        told = {} if details is None else given.members("details", details)
        _check_json("details", told)
        self.faults.add(RequestFault(kind="break", method=method, data=told), times)

    # -- faults of events ----------------------------------------------------------------------------------------------

    def drop_event(self, event_type: str, *, state: str | None = None, times: int | None = 1) -> None:
        """Lose events of a type.

        :param event_type: type of the event, such as ``calling.call.play``.
        :param state: lose only events with this state; ``None`` for any state.
        :param times: number of events affected; ``None`` for all.
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
        """Send additional copies of an event.

        :param event_type: type of the event, such as ``calling.call.play``.
        :param state: duplicate only events with this state; ``None`` for any state.
        :param copies: number of additional copies.
        :param same_id: repeat the same frame; with ``False`` each copy is a new frame with its own id.
        :param times: number of events affected; ``None`` for all.
        """
        fault = EventFault(kind="duplicate", event_type=event_type, state=state, copies=copies, same_id=same_id)
        self.faults.add(fault, times)

    def delay_event(self, event_type: str, seconds: float, *, state: str | None = None, times: int | None = 1) -> None:
        """Send an event late. Later events overtake it.

        :param event_type: type of the event, such as ``calling.call.play``.
        :param seconds: delay in seconds.
        :param state: delay only events with this state; ``None`` for any state.
        :param times: number of events affected; ``None`` for all.
        """
        fault = EventFault(kind="delay", event_type=event_type, state=state, seconds=seconds)
        self.faults.add(fault, times)

    # -- faults of audio ----------------------------------------------------------------------------------------------

    def disturb_stream(
        self, kind: str, *, at: int = 10, count: int = 1, error: str = "connection_refused", times: int | None = 1
    ) -> None:
        """Disturb the audio of the next stream, or of the next ``times`` streams. Several faults may affect one stream.

        :param kind: ``gap``: ``count`` frame intervals are not sent, but their numbers are used up. ``duplicate``: ``count``
            frame intervals are sent twice. ``reorder``: one interval is sent after the ``count`` that follow it. ``garbage``:
            an invalid message precedes each of ``count`` intervals. ``drop``: the socket closes without ``stop`` and without a
            closing handshake; ``reset``: the same, with a connection reset. ``wrong codec``: the audio is coded differently
            from what is announced (PCMA for PCMU and vice versa, big-endian L16, PCMU for other codecs). ``refuse``: the stream
            never starts, with the cause ``error``.
        :param at: first frame interval affected, counted from 0. A stream with less audio sends silence until then.
            :meth:`Faults.unused <relay_sync.simulator.core.faults.Faults.unused>` lists faults that a stream was too short for.
        :param count: number of frame intervals, for the kinds that use it.
        :param error: a documented value of ``StreamError``, for ``refuse``.
        :param times: number of streams affected; ``None`` for all.
        :raises InvalidParameter: the kind or error is unknown, or a number is out of range.
        """
        _check_choice("kind", kind, KINDS)
        _check_choice("error", error, ERRORS)
        whole = [type(value) is int for value in (at, count)]
        if not all(whole) or not 0 <= at <= MOST_FRAMES or not 1 <= count <= MOST_FRAMES:
            raise InvalidParameter("at, count", (at, count), f"whole numbers from 0 and from 1, to {MOST_FRAMES}")
        self.faults.add(MediaFault(kind=kind, at=at, count=count, error=error), times)

    def clear_faults(self) -> None:
        """Remove all pending faults. Held replies stay held until :meth:`release`."""
        self.faults.clear()

    # -- sending anything ----------------------------------------------------------------------------------------------

    def send_raw(self, text: str, timeout: float = 5.0) -> None:
        """Send text unchanged to every open socket, authenticated or not. The journal does not record it.

        :param text: text to send.
        :param timeout: seconds to wait until it is sent.
        :raises InvalidParameter: the text has a lone surrogate, which cannot be sent.
        :raises WaitTimeout: the simulator did not send it within ``timeout`` seconds.
        """
        if not given.is_whole_text(text):
            raise InvalidParameter("text", text, "text without lone surrogates")

        def send() -> None:
            for client in self._world.clients.values():
                client.connection.send(text)

        self._do(send, timeout=timeout)

    def send_event(self, event_type: str, params: dict[str, Any], *, timeout: float = 5.0, **members: Any) -> None:
        """Send an event to every connected client, or to the owner of the live call that ``params`` names by ``call_id``.

        :param event_type: type of the event.
        :param params: parameters of the event.
        :param timeout: seconds to wait until it is sent.
        :param members: members of the envelope, added or replaced (``event_channel="..."``).
        :raises InvalidParameter: JSON cannot express a value, such as NaN or infinity.
        :raises WaitTimeout: the simulator did not send it within ``timeout`` seconds.
        """
        given.name_of("event_type", event_type)
        given.members("params", params)
        _check_json("params", params)
        _check_json("members", members)

        def send() -> None:
            call = self._platform.network.calls.get(str(params.get("call_id")))
            sessions: list[ServerSession | None] = [client.session for client in self._connected()]
            for session in sessions if call is None else [call.owner]:
                self._world.emit(session, event_type, params, **members)

        self._do(send, timeout=timeout)

    def ping(self, timeout: float = 5.0) -> None:
        """Ping every connected client and wait for the replies.

        :param timeout: seconds to wait.
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

    # -- faults of sockets and sessions -------------------------------------------------------------------------------

    def cut(self, reset: bool = False, timeout: float = 5.0) -> None:
        """Drop every RELAY socket without a closing handshake. Sessions and calls continue.

        :param reset: reset the connection instead of closing it.
        :param timeout: seconds to wait until the sockets are closed on this side.
        :raises WaitTimeout: a socket is still open after ``timeout`` seconds.
        """
        given.yes("reset", reset)

        def drop() -> set[int]:
            for client in self._world.clients.values():
                client.connection.abort(reset)
            return set(self._world.clients)

        cut = self._do(drop, timeout=timeout)
        self._world.board.wait_for(lambda: not cut & self._world.clients.keys(), timeout, "the sockets to close")

    def restart(self, restart: bool = True, *, patience: float = 2.0, timeout: float = 5.0) -> None:
        """Ask every client to disconnect (``signalwire.disconnect``), and close each socket when its client has replied.

        :param restart: value of the ``restart`` member. With ``True``, clients have to start a new session; the current one is
            forgotten.
        :param patience: seconds to wait for a reply before the socket is closed anyway.
        :param timeout: seconds to wait until the requests are sent.
        :raises WaitTimeout: the simulator did not send them within ``timeout`` seconds.
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

    def forget_sessions(self, timeout: float = 5.0) -> None:
        """Make all sessions impossible to resume, as if they had expired. Connected sessions keep their sockets.

        :param timeout: seconds to wait until the sessions are forgotten.
        :raises WaitTimeout: the simulator did not do it within ``timeout`` seconds.
        """

        def forget() -> None:
            for session in self._world.sessions:
                self._world.sessions.forget(session)
                if session.client is None:
                    self._platform.network.abandon(session)

        self._do(forget, timeout=timeout)

    def renew_authorization(self, timeout: float = 5.0) -> None:
        """Send every connected session a new authorization state. The old one no longer resumes the session.

        :param timeout: seconds to wait until the states are sent.
        :raises WaitTimeout: the simulator did not do it within ``timeout`` seconds.
        """

        def renew() -> None:
            for client in self._connected():
                if client.session is not None:
                    client.session.renew()
                    self._world.announce(client.session)

        self._do(renew, timeout=timeout)

    def refuse_connections(self, refuse: bool = True, *, how: str = "http") -> None:
        """Refuse new connections, or accept them again. Open sockets stay open.

        :param refuse: ``True`` to refuse, ``False`` to accept.
        :param how: ``"http"`` answers upgrades with status 503; ``"tcp"`` stops listening, so that connecting is refused.
        :raises InvalidParameter: ``how`` is unknown.
        :raises OSError: another process has taken the port in the meantime.
        """
        given.yes("refuse", refuse)
        if how not in ("http", "tcp"):
            raise InvalidParameter("how", how, "'http' or 'tcp'")
        self._door.refusing = refuse and how == "http"
        if refuse and how == "tcp" and self._server is not None:
            self._server.stop_listening()
            self._server = None
        elif not refuse and self._server is None:
            self._server = self._listen()

    def stop_reading(self, stop: bool = True, timeout: float = 5.0) -> None:
        """Stop reading from the open sockets, or resume: a server that hangs.

        :param stop: ``True`` to stop, ``False`` to resume.
        :param timeout: seconds to wait until it takes effect.
        :raises WaitTimeout: the simulator did not do it within ``timeout`` seconds.
        """
        given.yes("stop", stop)

        def switch() -> None:
            for client in self._world.clients.values():
                if stop:
                    client.connection.pause_reading()
                else:
                    client.connection.resume_reading()

        self._do(switch, timeout=timeout)
