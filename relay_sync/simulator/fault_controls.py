"""The switches of a simulator: waiting for clients, and everything that can be made to go wrong. All usable from any
thread.
"""

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
        hint = f" ({near[0]!r}, perhaps)" if near else ""
        raise InvalidParameter(name, value, f"one of {', '.join(known)}{hint}")


def _check_json(name: str, value: object) -> None:
    """Refuse what could not be sent. Texts that are none, with half an emoji say, can be."""
    try:
        frames.dump(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameter(name, type(value).__name__, f"expressible in JSON ({error})") from None


class Controls:
    """The part of :class:`Simulator` that a test reaches for once a client is connected.

    Faults wait for their occasion and are used up by it: ``times`` says how often, ``None`` for always.
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
        """How many sockets of clients are open and authenticated."""
        return len(self._connected())

    def _connected(self) -> list[ClientSocket]:
        return [client for client in list(self._world.clients.values()) if client.session is not None]

    def wait_for_client(self, count: int = 1, timeout: float = 5.0) -> None:
        """Return once at least ``count`` clients are connected and authenticated.

        :raises WaitTimeout: they are not within ``timeout`` seconds.
        """
        given.number("count", count)
        self._world.board.wait_for(lambda: self.clients >= count, timeout, f"{count} connected clients")

    def wait_until_gone(self, timeout: float = 5.0) -> None:
        """Return once no client has a socket open.

        :raises WaitTimeout: one still has after ``timeout`` seconds.
        """
        self._world.board.wait_for(lambda: not self._world.clients, timeout, "the clients to go")

    def wait_for_acks(self, timeout: float = 5.0) -> None:
        """Return once every event and request sent so far to a client that is still there has been answered.

        :raises WaitTimeout: one has not within ``timeout`` seconds.
        """
        self._world.board.wait_for(
            lambda: not any(each.pending for each in self._connected()), timeout, "the acknowledgement of events"
        )

    @property
    def unacknowledged(self) -> list[str]:
        """The ids of what was sent to clients that are still there and not answered yet: events, pings, disconnects."""
        return [each for client in self._connected() for each in list(client.pending)]

    # -- answers that go wrong -----------------------------------------------------------------------------------------

    def refuse(
        self, method: str, code: int | str = 400, message: str = "Refused", *, data: Any = None, times: int | None = 1
    ) -> None:
        """Answer a method with a result whose code is no success; what it asks for does not happen."""
        _check_json("data", data)
        fault = RequestFault(kind="refuse", method=method, code=code, message=message, data=data)
        self.faults.add(fault, times)

    def fail(
        self, method: str, code: int = -32602, message: str = "Failed", *, data: Any = None, times: int | None = 1
    ) -> None:
        """Answer a method with a JSON-RPC error; what it asks for does not happen."""
        _check_json("data", data)
        self.faults.add(RequestFault(kind="fail", method=method, code=code, message=message, data=data), times)

    def drop_reply(self, method: str, times: int | None = 1) -> None:
        """Carry a method out and never answer it."""
        self.faults.add(RequestFault(kind="drop", method=method), times)

    def hold(self, method: str, times: int | None = None) -> None:
        """Carry a method out at once, events and all, and keep the answer back until :meth:`release`."""
        self.faults.add(RequestFault(kind="hold", method=method), times)

    def release(self, method: str | None = None, timeout: float = 5.0) -> int:
        """Hold no more, and send what was held: of one method or of all. Returns how many answers that were."""
        if method is not None:
            check_method(method)
        self.faults.lift("hold", method)
        return self._do(self._world.release, method, timeout=timeout)

    def wait_for_held(self, method: str | None = None, timeout: float = 5.0) -> None:
        """Return once at least one answer is held back.

        :raises WaitTimeout: none is within ``timeout`` seconds.
        """
        if method is not None:
            check_method(method)
        self._world.board.wait_for(lambda: self._world.held(method) > 0, timeout, "an answer to hold back")

    def break_action(self, method: str, details: Mapping[str, Any] | None = None, times: int | None = 1) -> None:
        """Acknowledge a method, and let what it starts go wrong: its event says so, in the way of its kind (a playback
        that ends with ``error``, a dial that has ``failed``, a fax without success).

        :param details: members of that event's parameters, in place of the usual ones. Of a message it is the last one's, and
            ``message_state`` the state that it ends in.
        :raises InvalidParameter: the method starts nothing that could go wrong, or JSON has no form for the details.
        """
        told = {} if details is None else given.members("details", details)
        _check_json("details", told)
        self.faults.add(RequestFault(kind="break", method=method, data=told), times)

    # -- events that go wrong ------------------------------------------------------------------------------------------

    def drop_event(self, event_type: str, *, state: str | None = None, times: int | None = 1) -> None:
        """Lose an event of a type, or one of a type that tells of a state."""
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
        """Send an event ``copies`` times more: the same frame, or with ``same_id=False`` frames of their own."""
        fault = EventFault(kind="duplicate", event_type=event_type, state=state, copies=copies, same_id=same_id)
        self.faults.add(fault, times)

    def delay_event(self, event_type: str, seconds: float, *, state: str | None = None, times: int | None = 1) -> None:
        """Send an event later than its time; those after it overtake it."""
        fault = EventFault(kind="delay", event_type=event_type, state=state, seconds=seconds)
        self.faults.add(fault, times)

    # -- audio that goes wrong -----------------------------------------------------------------------------------------

    def disturb_stream(
        self, kind: str, *, at: int = 10, count: int = 1, error: str = "connection_refused", times: int | None = 1
    ) -> None:
        """Spoil the audio of the next stream that is asked for, or of the next ``times``; several faults may meet in one.

        :param kind: ``gap``: ``count`` frame intervals are not sent, though their numbers pass. ``duplicate``: that many are
            sent twice. ``reorder``: one comes after the ``count`` that follow it. ``garbage``: a message that is none comes
            before each of so many. ``drop``: the socket ends without ``stop`` and without a closing handshake;
            ``reset``: likewise, as a reset connection. ``wrong codec``: the audio is coded otherwise than announced (PCMA
            for PCMU and the other way round, big-endian L16, PCMU for the others). ``refuse``: the stream never begins, as
            if ``error`` had befallen it.
        :param at: the frame interval that it begins with, counted from 0. Where there is less to say, silence is said until the
            fault has happened; a stream that ends before is told by
            :meth:`Faults.unused <relay_sync.simulator.core.faults.Faults>`.
        :param error: a documented value of ``StreamError``, for ``refuse``.
        """
        _check_choice("kind", kind, KINDS)
        _check_choice("error", error, ERRORS)
        whole = [type(value) is int for value in (at, count)]
        if not all(whole) or not 0 <= at <= MOST_FRAMES or not 1 <= count <= MOST_FRAMES:
            raise InvalidParameter("at, count", (at, count), f"whole numbers from 0 and from 1, to {MOST_FRAMES}")
        self.faults.add(MediaFault(kind=kind, at=at, count=count, error=error), times)

    def clear_faults(self) -> None:
        """Take back every fault that has not happened yet. What is held stays held until :meth:`release`."""
        self.faults.clear()

    # -- things no sane server sends -----------------------------------------------------------------------------------

    def send_raw(self, text: str, timeout: float = 5.0) -> None:
        """Send a text as it is to every open socket, authenticated or not. The journal takes no notice."""
        if not given.is_whole_text(text):
            raise InvalidParameter("text", text, "text without half a character, which cannot be sent")

        def send() -> None:
            for client in self._world.clients.values():
                client.connection.send(text)

        self._do(send, timeout=timeout)

    def send_event(self, event_type: str, params: dict[str, Any], *, timeout: float = 5.0, **members: Any) -> None:
        """Send an event to every connected client, or to the owner of the live call that ``params`` names by
        ``call_id``.

        :param members: more members of the envelope, or others in place of the usual ones (``event_channel="..."``).
        :raises InvalidParameter: JSON has no form for what is in it; NaN and the infinities are no JSON.
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
        """Ping every connected client and wait for the answers.

        :raises WaitTimeout: one did not answer within ``timeout`` seconds.
        """
        waiting: set[str] = set()

        def send() -> None:
            for client in self._connected():
                frame = frames.ping()
                waiting.add(frame["id"])
                self._world.request(client, frame, lambda reply: waiting.discard(reply["id"]))

        self._do(send, timeout=timeout)
        self._world.board.wait_for(lambda: not waiting, timeout, "the answers to pings")

    # -- sockets and sessions that go wrong ----------------------------------------------------------------------------

    def cut(self, reset: bool = False, timeout: float = 5.0) -> None:
        """Drop every RELAY socket without a closing handshake; ``reset`` has the peer see a reset connection.

        Sessions and calls live on. Returns when the sockets are gone on this side.
        """
        given.yes("reset", reset)

        def drop() -> set[int]:
            for client in self._world.clients.values():
                client.connection.abort(reset)
            return set(self._world.clients)

        cut = self._do(drop, timeout=timeout)
        self._world.board.wait_for(lambda: not cut & self._world.clients.keys(), timeout, "the sockets to go")

    def restart(self, restart: bool = True, *, patience: float = 2.0, timeout: float = 5.0) -> None:
        """Announce to every client that it has to leave (``signalwire.disconnect``), and close its socket when it has
        answered.

        :param restart: what the announcement says. With ``True`` the client shall start afresh, so its session is
            forgotten.
        :param patience: seconds to wait for the answer before the socket is closed all the same.
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
        """Make every session impossible to resume, as if too much time had passed. Those that have a socket keep it."""

        def forget() -> None:
            for session in self._world.sessions:
                self._world.sessions.forget(session)
                if session.client is None:
                    self._platform.network.abandon(session)

        self._do(forget, timeout=timeout)

    def renew_authorization(self, timeout: float = 5.0) -> None:
        """Give every connected session a new authorization state and tell it; the old one cannot be resumed with."""

        def renew() -> None:
            for client in self._connected():
                if client.session is not None:
                    client.session.renew()
                    self._world.announce(client.session)

        self._do(renew, timeout=timeout)

    def refuse_connections(self, refuse: bool = True, *, how: str = "http") -> None:
        """Refuse new sockets, or with ``False`` take them again. Those that are open stay.

        :param how: ``"http"`` answers the upgrade with 503; ``"tcp"`` does not listen, so that connecting is refused.
        :raises OSError: the port was taken by somebody else meanwhile.
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
        """Read nothing more from the open sockets, or with ``False`` read on: a peer that hangs."""
        given.yes("stop", stop)

        def switch() -> None:
            for client in self._world.clients.values():
                if stop:
                    client.connection.pause_reading()
                else:
                    client.connection.resume_reading()

        self._do(switch, timeout=timeout)
