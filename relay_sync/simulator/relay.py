"""The simulator's RELAY server, which accepts WebSocket connections, reads frames and dispatches requests to handlers.

All code in this module runs on the loop thread.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field

from ..server.websocket import Connection
from ..threads.logs import get as log_of
from .core import frames
from .core.frames import MalformedFrame
from .core.method_table import METHODS, Method
from .core.session import ClientSocket
from .core.world import World
from .methods import scripted
from .methods.request import CommandRequest, Platform

__all__ = ["RelayServer"]

_log = log_of("relay_sync.simulator").later

# The documentation does not specify codes and messages for these errors.
NOT_CONNECTED = (-32003, "Not allowed: signalwire.connect comes first")
CALL_NOT_FOUND = (404, "Call not found")


@define(eq=False)
class RelayServer:
    """RELAY server that handles all client connections."""

    _platform: Platform
    _world: World = field(init=False, repr=False)
    _opened: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._world = self._platform.world

    # -- connections ---------------------------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """Register a new WebSocket connection and start pinging the client."""
        self._opened += 1
        client = ClientSocket(self._opened, connection)
        self._world.clients[client.number] = client
        connection.on_message = lambda message: self._received(client, message)
        connection.on_close = lambda *_: self._closed(client)
        self._ping_later(client)
        self._world.board.changed()
        self._world.feed.tell("client", lambda: {"connection": client.number, "state": "connected"})

    def _closed(self, client: ClientSocket) -> None:
        self._world.clients.pop(client.number, None)
        client.pending.clear()
        if client.timer is not None:
            client.timer.cancel()
        if client.session is not None and client.session.client is client:
            client.session.client = None
        self._world.board.changed()
        self._world.feed.tell("client", lambda: {"connection": client.number, "state": "closed"})

    # -- incoming frames -----------------------------------------------------------------------------------------------

    def _received(self, client: ClientSocket, message: str | bytes) -> None:
        text = message if isinstance(message, str) else message.decode("utf-8", "replace")
        try:
            frame = frames.parse(text)
        except MalformedFrame as problem:
            self._world.journal.add("in", client.number, None, text, client.peer)
            self._world.write(client, frames.error(problem.request_id, problem.code, str(problem)))
            return
        self._world.journal.add("in", client.number, frame, peer=client.peer)
        try:
            self._work(client, frames.check(frame))
        except MalformedFrame as problem:
            self._world.write(client, frames.error(problem.request_id, problem.code, str(problem)))
        except Exception:
            _log.exception("the simulator failed on a request; please report this")
            self._world.write(client, frames.error(frame.get("id"), -32603, "Internal error"))

    def _work(self, client: ClientSocket, frame: dict[str, Any]) -> None:
        if "method" not in frame:
            self._world.replied(client, frame)
            return
        method, params = frame["method"], frames.whole_numbers(frame.get("params", {}))
        if method == "signalwire.execute":
            # Unwrap the legacy method and handle the request inside it.
            method, params = params.get("method", ""), params.get("params", {})
            if not isinstance(method, str) or not isinstance(params, dict):
                raise MalformedFrame(-32602, "Invalid ExecuteParams", frame["id"])
        spec = METHODS.get(method)
        fault = self._world.faults.for_request(method)
        known = spec or Method(name=method, message="", on_call=False, echoes=False, parameters={})
        request = CommandRequest(
            platform=self._platform, client=client, request_id=frame["id"], spec=known, params=params, fault=fault
        )
        try:
            self._carry_out(request, spec)
        except Exception:
            _log.exception("the simulator failed on a request; please report this")
            if not request.answered:
                request.fail(-32603, "Internal error")

    def _carry_out(self, request: CommandRequest, spec: Method | None) -> None:
        fault = request.fault
        if fault is not None and fault.kind == "refuse":
            request.refuse(int(fault.code), fault.message, fault.data)
        elif fault is not None and fault.kind == "fail":
            request.fail(int(fault.code), fault.message, fault.data)
        elif request.client.session is None and request.spec.name != "signalwire.connect":
            request.fail(*NOT_CONNECTED)
        elif spec is None:
            request.fail(-32601, f"Method not found: {request.spec.name[:100]}")
        else:
            self._check(request)

    def _check(self, request: CommandRequest) -> None:
        spec, params = request.spec, request.params
        problems = spec.malformed(params, strict=self._world.settings.strict)
        if problems:
            request.fail(-32602, spec.schema_error, {"signalwire_error_code": "INVALID_PARAMS", "errors": problems})
            return
        if spec.on_call:
            call = self._platform.network.find(params["call_id"], params["node_id"], request.session)
            if call is None:
                request.refuse(*CALL_NOT_FOUND)
                return
            request.addressed = call
        impossible = spec.impossible(params)
        if impossible:
            request.refuse(400, "; ".join(impossible.values()), impossible)
            return
        scripted.carry_out(request)

    # -- pings ---------------------------------------------------------------------------------------------------------

    def _ping_later(self, client: ClientSocket) -> None:
        if self._world.settings.ping_interval is not None:
            client.timer = self._world.loop.call_later(self._world.settings.ping_interval, self._ping, client)

    def _ping(self, client: ClientSocket) -> None:
        """Ping a client and disconnect it if it does not reply within ``ping_timeout``, as the platform does."""
        if client.number not in self._world.clients:
            return
        if client.session is None:
            self._ping_later(client)
            return
        client.timer = self._world.loop.call_later(self._world.settings.ping_timeout, client.connection.abort)

        def answered(_: dict[str, Any]) -> None:
            if client.timer is not None:
                client.timer.cancel()
            self._ping_later(client)

        self._world.request(client, frames.ping(), answered)
