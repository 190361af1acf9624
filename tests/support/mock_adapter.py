"""The control interface that the public RELAY test suites of SignalWire call, in front of a simulator.

    python -m tests.support.mock_adapter --ws-port 8773 --http-port 9773 [--passive] [--media fast] [--no-ringing]

With 0 for a port it takes a free one. Once it listens it prints one line of JSON with both ports.

The simulator does what it always does: sockets, frames, handshake, resume, checks, refusals, acknowledgements, the journal, the
offer of inbound calls, their states, and (without ``--passive``) all that follows a command. This program reaches into the
simulator for what has no public way yet:

* let any credentials in (``admits``),
* give a call an id (``know``), and aim it or an event at one session (``targets``),
* send any frame to one session (``push``),
* say what events follow a method (``emit_script``), or a dial (``dial_script``),
* name the session of a journal entry (``sessions``).
"""

from __future__ import annotations

import argparse
import collections
import json
import time
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from relay_sync import WaitTimeout
from relay_sync.simulator import Entry, Simulator
from relay_sync.simulator.core.method_table import METHODS
from relay_sync.simulator.core.session import ClientSocket, ServerSession
from relay_sync.simulator.methods import handshake
from relay_sync.simulator.methods.request import CommandRequest, Handler
from relay_sync.simulator.people.network import NetworkCall, device

__all__ = ["Adapter", "main"]

Json = dict[str, Any]

DIRECTIONS: Final = {"in": "recv", "out": "send", "lost": "lost"}
#: The device of a call that only events told of.
SOMEBODY: Final[Json] = {"type": "phone", "params": {"from_number": "+1", "to_number": "+2"}}
#: The events that make a call known, or bring it into another state.
ABOUT_CALLS: Final = ("calling.call.receive", "calling.call.dial", "calling.call.state")


def admits(request: CommandRequest, authentication: Mapping[str, Any]) -> bool:
    """Whoever gives a project and a token, or a JWT, is let in."""
    named = authentication.get("project") and authentication.get("token")
    return bool(authentication.get("jwt_token") or named)


def event(kind: str, params: Json) -> Json:
    """The frame of an event."""
    body = {"event_type": kind, "params": params}
    return {"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": "signalwire.event", "params": body}


class Adapter:
    """What the control interface does to one simulator."""

    def __init__(self, sim: Simulator, options: argparse.Namespace) -> None:
        self.sim = sim
        self.options = options
        self.world, self.platform = sim._world, sim._platform
        self.network = self.platform.network
        #: The sessions of sockets, closed ones too: journal entries name the socket.
        self.sessions: dict[int, str] = {}
        self.scripts: dict[tuple[str, str], collections.deque[Any]] = collections.defaultdict(collections.deque)
        own = dict(self.platform.handlers)
        self.platform.handlers = {name: self.scripted(name, own.get(name, CommandRequest.accept)) for name in METHODS}

    # -- on the loop's thread --------------------------------------------------------------------------------------------

    def session_of(self, client: ClientSocket) -> str:
        """The id of the session that a socket has."""
        return self.sessions.get(client.number, "")

    def targets(self, session: str) -> list[ClientSocket]:
        """The sockets of a session; without one, of all of them."""
        found = [client for client in list(self.world.clients.values()) if client.session is not None]
        return [client for client in found if not session or self.session_of(client) == session]

    def next_script(self, method: str, session: str) -> Any:
        """What is to follow this request, if that was said: for this session, else for any."""
        for key in ((method, session), (method, "")):
            if self.scripts.get(key):
                return self.scripts[key].popleft()
        return None

    def scripted(self, name: str, own: Handler) -> Handler:
        """The handler of a method, behind what was scripted for it."""

        def handler(request: CommandRequest) -> None:
            session = self.session_of(request.client)
            if name == "calling.dial" and (script := self.next_script("dial", session)):
                request.accept()
                self.dial_script(request, script)
            elif script := self.next_script(name, session):
                self.accept(request)
                self.emit_script(request, script)
            elif self.options.passive and not name.startswith("signalwire."):
                self.accept(request)
            else:
                own(request)
                if name == "signalwire.connect" and request.client.session is not None:
                    protocol = request.client.session.protocol
                    self.sessions[request.client.number] = str(uuid.uuid5(uuid.NAMESPACE_OID, protocol))

        return handler

    def accept(self, request: CommandRequest) -> None:
        """Acknowledge a request, and let nothing follow."""
        if request.spec.name == "messaging.send":
            request.accept(message_id=str(uuid.uuid4()))
        else:
            request.accept()

    def emit_script(self, request: CommandRequest, script: list[Json]) -> None:
        """Send the events of a script in their times."""
        method, params = request.spec.name, request.params
        kind = "collect" if method == "calling.play_and_collect" else method.split(".", 1)[1]
        usual = "messaging.state" if method == "messaging.send" else f"calling.call.{kind}"
        at = 0.0
        for step in script:
            at += step.get("delay_ms", 0) / 1000
            body = {"call_id": params.get("call_id", ""), "node_id": params.get("node_id", ""), **step.get("emit", {})}
            if "control_id" in params:
                body.setdefault("control_id", params["control_id"])
            frame = event(step.get("event_type") or usual, body)
            self.world.loop.call_later(at, self.world.request, request.client, frame)

    def dial_script(self, request: CommandRequest, script: Json) -> None:
        """Let a dial go as its script says: the states of the winner, of the losers, and who has won."""
        client, tag = request.client, script.get("tag") or request.params.get("tag", "")
        node = script.get("node_id") or self.world.settings.node
        step = script.get("delay_ms", 1) / 1000
        about = {"node_id": node, "tag": tag, "device": script.get("device")}

        def move(call_id: str, state: str) -> None:
            call = self.know(call_id, node, client.session, state, tag=tag, device=script.get("device"))
            call.direction, call.state = "outbound", state
            if state == "ended":
                self.network.calls.pop(call_id, None)
            body = {**about, "call_id": call_id, "call_state": state, "direction": "outbound"}
            self.world.request(client, event("calling.call.state", body))

        at = 0.0
        for state in script.get("states", ["created", "ringing", "answered"]):
            at += step
            self.world.loop.call_later(at, move, script["winner_call_id"], state)
        for loser in script.get("losers") or []:
            for state in loser.get("states", ["created", "ended"]):
                self.world.loop.call_later(at, move, loser["call_id"], state)
        winner = {**about, "call_id": script["winner_call_id"], "dial_winner": True}
        told = event("calling.call.dial", {"tag": tag, "node_id": node, "dial_state": "answered", "call": winner})
        self.world.loop.call_later(at + step, self.world.request, client, told)

    def know(
        self,
        call_id: str,
        node: str,
        session: ServerSession | None,
        state: str,
        *,
        tag: str = "",
        device: Json | None = None,
        context: str = "default",
    ) -> NetworkCall:
        """The call of an id: a new one, if the network has none."""
        call = self.network.calls.get(call_id)
        if call is None:
            call = NetworkCall(
                node_id=node,
                device=device or SOMEBODY,
                context=context,
                call_id=call_id,
                tag=tag,
                owner=session,
                state=state,
            )
            call.reached.add(state)
            self.network._add(call)
        return call

    def learn(self, params: Json, session: ServerSession | None) -> None:
        """Know the call that a pushed event tells of, in the state that it is told to be in."""
        body, kind = params.get("params"), params.get("event_type")
        if self.options.strict_calls or not isinstance(body, dict) or kind not in ABOUT_CALLS:
            return
        inner = body["call"] if isinstance(body.get("call"), dict) else body
        call_id, known = inner.get("call_id"), inner.get("call_id") in self.network.calls
        if not call_id or (kind == "calling.call.state" and not known):
            return
        state = body.get("call_state") or ("answered" if "dial_state" in body else "created")
        node = inner.get("node_id") or body.get("node_id") or self.world.settings.node
        call = self.know(call_id, node, session, state)
        if kind == "calling.call.state" and state == "ended":
            self.network.calls.pop(call_id, None)
        elif kind == "calling.call.state":
            call.state = state

    def offer(self, asked: Json) -> NetworkCall:
        """A call comes in, for the session that was asked for."""
        call_id, node = asked.get("call_id") or str(uuid.uuid4()), self.world.settings.node
        if (old := self.network.calls.pop(call_id, None)) is not None:
            old.clock.clear()
        clients = self.targets(asked.get("session_id", ""))
        call = self.know(
            call_id,
            node,
            clients[0].session if clients else None,
            "created",
            device=device(asked.get("to_number") or "", asked.get("from_number") or ""),
            context=asked.get("context", "default"),
        )
        self.world.emit(call.owner, "calling.call.receive", call.offer(), context=call.context)
        if call.owner is not None and not self.options.no_ringing:
            self.network.move(call, "ringing")
        return call

    def move(self, call: NetworkCall, state: str) -> None:
        """Bring a call into a state, as the network would."""
        if state == "ended":
            self.network.end(call, "hangup", "inbound")
        elif call.state == state:
            return
        elif state == "answered":
            self.network.answer(call)
        else:
            self.network.move(call, state)

    # -- the interface, on threads of the HTTP server ------------------------------------------------------------------

    def do(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run something on the loop's thread, and wait for it."""
        return self.world.do(function, *args, timeout=5.0)

    def told(self, entry: Entry) -> Json:
        """A journal entry, as the suites read it."""
        frame = entry.frame if isinstance(entry.frame, dict) else {}
        return {
            "timestamp": entry.time,
            "direction": DIRECTIONS[entry.direction],
            "method": entry.method,
            "request_id": frame.get("id", ""),
            "frame": frame,
            "connection_id": str(entry.connection),
            "session_id": self.sessions.get(entry.connection, ""),
        }

    def push(self, frame: Json, session: str) -> Json:
        """Send a frame to a session, or to all of them."""

        def send() -> int:
            clients = self.targets(session)
            if clients:
                self.learn(frame.get("params") or {}, clients[0].session)
            for client in clients:
                self.world.request(client, frame)
            return len(clients)

        count = self.do(send)
        return {"sent_to": count, "pushed": count}

    def inbound(self, asked: Json) -> Json:
        """A call comes in, and goes through the states that were asked for."""
        call = self.do(self.offer, asked)
        for state in (asked.get("auto_states") or ["created"])[1:]:
            time.sleep(asked.get("delay_ms", 50) / 1000)
            self.do(self.move, call, state)
        return {"call_id": call.call_id}

    def play(self, steps: list[Json]) -> Json:
        """Push, sleep and wait for requests, one step after the other."""
        begun = 1 + max((number for number, _ in self.sim.journal.numbered()), default=-1)
        for number, step in enumerate(steps):
            if "push" in step:
                self.push(step["push"]["frame"], step["push"].get("session_id", ""))
            elif "sleep_ms" in step:
                time.sleep(step["sleep_ms"] / 1000)
            elif "expect_recv" in step and not self.comes(step["expect_recv"], begun):
                return {"status": "timeout", "at": number, "op": step}
        return {"status": "completed", "steps": len(steps)}

    def comes(self, wanted: Json, begun: int) -> bool:
        """Whether a request of a method is in the journal from a number on, or comes within the given time."""
        session = wanted.get("session_id")

        def fits(entry: Entry) -> bool:
            known = not session or self.sessions.get(entry.connection) == session
            return known and (entry.direction, entry.method) == ("in", wanted["method"])

        def look(entries: list[tuple[int, Entry]]) -> bool:
            return any(number >= begun and fits(entry) for number, entry in entries)

        try:
            self.sim.journal.wait_until(look, wanted.get("timeout_ms", 5000) / 1000)
        except WaitTimeout:
            return False
        return True

    def connected(self) -> list[Json]:
        """The sessions that have a socket."""
        found = [(self.session_of(client), str(client.number)) for client in self.targets("")]
        return [{"session_id": one, "sessionid": one, "id": one, "connection_id": number} for one, number in found]

    def route(self, path: str, session: str, body: Any) -> Any:
        """Do what a path asks for. :raises KeyError: there is no such path, or a member is missing."""
        if path == "/health":
            return {"status": "ok", "schemas_loaded": len(METHODS)}
        if path == "/journal":
            return [one for one in map(self.told, self.sim.journal) if not session or one["session_id"] == session]
        if path == "/journal/reset":
            self.sim.journal.clear()
            return {}
        if path == "/sessions":
            return {"sessions": self.connected()}
        if path == "/scenarios/reset":
            self.scripts.clear()
            return {}
        if path.startswith("/scenarios/"):
            self.scripts[path.split("/", 2)[2], session].append(body)
            return {"armed": True}
        if path == "/push":
            return self.push(body["frame"], session)
        if path == "/inbound_call":
            return self.inbound(body)
        if path == "/scenario_play":
            return self.play(body)
        raise KeyError(path)


class Server(ThreadingHTTPServer):
    """Answers the control interface."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], adapter: Adapter) -> None:
        super().__init__(address, Answer)
        self.adapter = adapter


class Answer(BaseHTTPRequestHandler):
    """One connection of the control interface."""

    protocol_version = "HTTP/1.1"
    server: Server

    def answer(self) -> None:
        """Read a request, do what it asks for, and say what came of it."""
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        url = urllib.parse.urlsplit(self.path)
        session = dict(urllib.parse.parse_qsl(url.query)).get("session_id", "")
        status, said = 200, None
        try:
            said = self.server.adapter.route(url.path.removeprefix("/__mock__"), session, body)
        except KeyError as error:
            status, said = 404, {"error": str(error)}
        except Exception as error:
            status, said = 500, {"error": repr(error)}
        data = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not told of."""


def options(arguments: list[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="A simulator behind the control interface of the public RELAY suites.")
    parser.add_argument("--ws-port", type=int, default=8773)
    parser.add_argument("--http-port", type=int, default=9773)
    parser.add_argument("--host", default="127.0.0.1")
    for unused in ("--log-level", "--finish-streams"):
        parser.add_argument(unused, help="taken and not used")
    parser.add_argument("--passive", action="store_true", help="a method has no consequence but its acknowledgement")
    parser.add_argument("--no-ringing", action="store_true", help="an offered call stays in created")
    parser.add_argument("--media", default="realtime")
    parser.add_argument("--allow-remote", action="store_true")
    parser.add_argument("--strict-calls", action="store_true", help="a call that only pushed events told of is unknown")
    parser.add_argument("--dial-winner", default="boolean")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Serve until the process is ended."""
    given = options(arguments)
    handshake._welcome = admits
    with Simulator(
        host=given.host,
        port=given.ws_port,
        project="test_proj",
        token="test_tok",
        media=given.media,
        ping_interval=None,
        dial_winner=given.dial_winner,
        journal_limit=200_000,
        allow_remote=given.allow_remote,
    ) as sim:
        with Server((given.host, given.http_port), Adapter(sim, given)) as server:
            print(json.dumps({"ws_port": sim.port, "http_port": server.server_address[1]}), flush=True)
            server.serve_forever()


if __name__ == "__main__":
    main()
