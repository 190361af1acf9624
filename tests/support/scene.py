"""A client of a server whose every frame the test decides on: which leave together, and in which session."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from attrs import define, field

from relay_sync import Call, RelayClient
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.faults.script import PROTOCOL, Peer, ScriptedServer, frame
from tests.support.lines import FROM, TO
from tests.support.states import wait_for_state

__all__ = ["OFFER", "Json", "Scene", "event", "refusal", "result", "scene", "send", "silent"]

Json = dict[str, Any]
OFFER: Final[Json] = {
    "call_id": "call-1",
    "node_id": "n",
    "direction": "inbound",
    "call_state": "created",
    "context": "default",
    "device": {"type": "phone", "params": {"from_number": FROM, "to_number": TO}},
}


def result(request: Json, **members: Any) -> Json:
    return {"jsonrpc": "2.0", "id": request["id"], "result": {"code": "200", "message": "OK", **members}}


def refusal(request: Json, code: str) -> Json:
    return {"jsonrpc": "2.0", "id": request["id"], "result": {"code": code, "message": "no"}}


def silent(request: Json) -> list[Json]:
    """No answer."""
    return []


def event(name: str, event_type: str, params: Json) -> Json:
    payload = {"event_type": event_type, "timestamp": 1.0, "params": params}
    return {"jsonrpc": "2.0", "id": name, "method": "signalwire.event", "params": payload}


def send(peer: Peer, *frames: Json) -> None:
    """Send frames as one piece."""
    peer.write(b"".join(frame(json.dumps(one)) for one in frames))


@define(eq=False)
class Scene:
    """A client of a server that answers each method with frames that leave together.

    :ivar answers: by the methods without ``calling.``, ``messaging.`` or ``signalwire.``; others are answered with 200.
    :ivar protocol: the name of the next session; another one is another session.
    :ivar requests: what came in.
    """

    client: RelayClient = field(init=False)
    answers: dict[str, Callable[[Json], list[Json]]]
    protocol: str = PROTOCOL
    peers: queue.SimpleQueue[Peer] = field(factory=queue.SimpleQueue)
    requests: queue.SimpleQueue[Json] = field(factory=queue.SimpleQueue)
    calls: queue.SimpleQueue[Call] = field(factory=queue.SimpleQueue)
    states: queue.SimpleQueue[str] = field(factory=queue.SimpleQueue)
    let_in: threading.Event = field(factory=threading.Event)

    def serve(self, peer: Peer) -> None:
        assert self.let_in.wait(PATIENCE)
        peer.welcome(self.protocol)
        self.peers.put(peer)
        while True:
            request = peer.receive()
            if "method" in request:
                self.requests.put(request)
                answer = self.answers.get(request["method"].split(".", 1)[1])
                send(peer, *([result(request)] if answer is None else answer(request)))

    def peer(self) -> Peer:
        """The next connection that was let in."""
        return self.peers.get(timeout=PATIENCE)

    def offered(self) -> Call:
        """The next call whose handler was called."""
        return self.calls.get(timeout=PATIENCE)

    def take_call(self) -> tuple[Peer, Call]:
        peer = self.peer()
        send(peer, event("offer", "calling.call.receive", OFFER))
        return peer, self.offered()

    def request(self, method: str) -> Json:
        """The next request of a method; what came before it is dropped."""
        while True:
            found = self.requests.get(timeout=PATIENCE)
            if found["method"] == method:
                return found

    def came(self, method: str) -> list[Json]:
        """The requests of a method that have come and were not looked at; the others are dropped."""
        self.settle()
        found = []
        while not self.requests.empty():
            found.append(self.requests.get())
        return [each for each in found if each["method"] == method]

    def settle(self) -> None:
        """What the server sent has been dealt with when this is answered."""
        self.client.execute("signalwire.ping", timeout=PATIENCE)

    def wait_for_state(self, state: str) -> None:
        wait_for_state(self.states, state)

    def cut(self, peer: Peer) -> None:
        """End a connection, and return when the client knows; the next one waits until :meth:`go_on`."""
        self.let_in.clear()
        peer._sock.shutdown(2)
        self.wait_for_state("reconnecting")

    def wait_for_queued(self, *running: Background[Any]) -> None:
        """Return when each of these has a command that waits for a connection."""
        loop = self.client._link.loop
        assert loop is not None
        while loop.session.unanswered < len(running):
            assert all(one.running for one in running)

    def go_on(self, protocol: str = PROTOCOL) -> Peer:
        """Let the next connection in, with the session of that name."""
        self.protocol = protocol
        self.let_in.set()
        return self.peer()


@contextmanager
def scene(**answers: Callable[[Json], list[Json]]) -> Iterator[Scene]:
    """A client that is connected, and whose calls are taken."""
    made = Scene(answers)
    made.let_in.set()
    with ScriptedServer(made.serve) as server:
        made.client = client = RelayClient(**server.credentials, contexts=["default"], on_state=made.states.put)
        client.on_call(made.calls.put)
        try:
            client.connect(PATIENCE)
            yield made
        finally:
            made.let_in.set()
            client.disconnect()
