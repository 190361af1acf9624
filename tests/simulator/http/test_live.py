"""Live events over the WebSocket of the control interface, which a client in another language would read."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import websocket

from relay_sync.simulator import ControlInterface, Simulator
from relay_sync.simulator.http.control import sockets
from relay_sync.simulator.http.server import MOST_MESSAGE
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.control import Control
from tests.support.lines import FROM, TO, line
from tests.support.peers import dialled


@pytest.fixture
def control(sim: Simulator) -> Iterator[Control]:
    with ControlInterface(sim) as server:
        yield Control(server.url, server.key)


def silent(control: Control, **how: Any) -> Any:
    """A WebSocket over which nothing has been sent."""
    return dialled(f"ws{control.url.removeprefix('http')}/live", **how)


@contextmanager
def opened(control: Control, first: Any = None, **options: Any) -> Iterator[Any]:
    """A WebSocket whose first message is the key and these options, or what is given instead."""
    peer = silent(control, **options.pop("more", {}))
    try:
        if first is None:
            first = json.dumps({"key": control.token, **options})
        peer.send(first)
        yield peer
    finally:
        peer.shutdown()


def read(peer: Any, kind: str) -> dict[str, Any]:
    """The data of the next event of a kind."""
    while True:
        told = json.loads(peer.recv())
        if told.get("kind") == kind:
            data: dict[str, Any] = told["data"]
            return data


def closing(peer: Any) -> tuple[int, str]:
    code, data = peer.recv_data(control_frame=True)
    assert code == websocket.ABNF.OPCODE_CLOSE
    return int.from_bytes(data[:2], "big"), data[2:].decode()


def subscribed(sim: Simulator, peer: Any) -> None:
    """Wait until events arrive: what happens before the key has been read is not told."""
    peer.settimeout(0.05)
    for _ in range(int(PATIENCE / 0.05)):
        sim.journal.notice("", "", "are you there?", "yes")
        try:
            peer.recv()
        except websocket.WebSocketTimeoutException:
            continue
        peer.settimeout(PATIENCE)
        return
    pytest.fail("no events")


def test_events_arrive(sim: Simulator, control: Control) -> None:
    with opened(control) as peer:
        subscribed(sim, peer)
        placed = control.post("/calls", **{"to": TO, "from": FROM})
        call = read(peer, "call")
        assert (call["id"], call["state"], call["from"]) == (placed["id"], "created", FROM)
        control.post("/faults/drop_reply", method="calling.play")
        assert read(peer, "fault")["fault"] == "drop_reply('calling.play')"
        control.post("/messages", **{"to": TO, "from": FROM, "body": "hello"})
        assert read(peer, "message")["body"] == "hello"


def test_kinds_are_chosen(sim: Simulator, control: Control) -> None:
    with opened(control, kinds=["notice"]) as peer:
        subscribed(sim, peer)
        control.post("/calls", **{"to": TO, "from": FROM})
        sim.journal.notice("", "", "last", "last")
        seen: list[str] = []
        while "last" not in seen:
            told = json.loads(peer.recv())
            assert told["kind"] == "notice"
            seen.append(told["data"]["text"])


def test_custom_parameters_are_shown_and_tokens_are_not(sim: Simulator, control: Control) -> None:
    with opened(control, kinds=["frame"]) as peer, line(sim) as it:
        given: dict[str, Any] = {"custom_parameters": {"code": "4711"}, "authorization_bearer_token": "tell-nobody"}
        it.call.stream("ws://127.0.0.1:9/", **given)
        while (told := read(peer, "frame"))["method"] != "calling.stream":
            pass
        assert told["frame"]["params"]["custom_parameters"] == {"code": "4711"}
        assert "tell-nobody" not in json.dumps(told)
        asked = control.get("/journal?method=calling.stream")["entries"][0]["frame"]["params"]
        assert asked["custom_parameters"] == {"code": "4711"}
        assert "tell-nobody" not in json.dumps(asked)


@pytest.mark.slow
def test_a_slow_reader_loses_events_and_delays_nobody(sim: Simulator, control: Control) -> None:
    with opened(control) as slow, opened(control, kinds=["notice"]) as peer:
        subscribed(sim, slow)
        subscribed(sim, peer)
        blob = "x" * 20_000
        for number in range(3_000):  # more than the queue and the buffers of both sides hold
            sim.journal.add("in", 1, {"method": str(number), "blob": blob})
        sim.journal.notice("", "", "last", "last")
        while read(peer, "notice")["text"] != "last":
            pass
        assert control.get("/clients") == {"clients": 0}
        lost, seen = 0, list[str]()
        while not lost or not seen or seen[-1] != "last":
            told = json.loads(slow.recv())
            lost = told.get("lost", lost)
            if "kind" in told:
                seen.append(told["data"].get("method") or told["data"].get("text", ""))
        assert lost > 0
        assert len(seen) < 3_000


@pytest.mark.parametrize("fragments", [1, 2])
def test_a_long_message_is_refused_before_the_key(control: Control, fragments: int) -> None:
    """It would otherwise be buffered, for as long as the key may take."""
    peer = silent(control)
    try:
        for index in range(fragments):
            piece = bytes(MOST_MESSAGE // fragments + 1)
            peer.send_frame(websocket.ABNF(0, 0, 0, 0, 0 if index else websocket.ABNF.OPCODE_BINARY, 1, piece))
        assert closing(peer)[0] == 1009
    finally:
        peer.shutdown()


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ('{"key": "wrong"}', "the key is wrong"),
        ("{}", "the first message must be"),
        ('{"key": 5}', "the first message must be"),
        ("[1]", "the first message must be"),
        ("key", "the first message must be"),
        ('{"key": "%KEY%", "kinds": ["colour"]}', "kinds"),
        ('{"key": "%KEY%", "kinds": "call"}', "kinds"),
        ('{"key": "%KEY%", "colour": "red"}', "colour"),
    ],
)
def test_first_messages_that_are_refused(control: Control, first: str, reason: str) -> None:
    with opened(control, first.replace("%KEY%", control.token)) as peer:
        code, why = closing(peer)
        assert (code, reason in why) == (1008, True), why
        assert control.token not in why


def test_a_key_that_does_not_come(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "KEY_PATIENCE", 0.05)
    peer = silent(control)
    try:
        assert closing(peer)[0] == 1008
    finally:
        peer.shutdown()


def test_a_page_of_another_site_gets_nothing(control: Control) -> None:
    for more in ({"origin": "https://evil.example"}, {"host": "evil.example", "origin": "http://evil.example"}):
        with pytest.raises(websocket.WebSocketBadStatusException) as refused, opened(control, more=more):
            pass
        assert refused.value.status_code == 403


def test_the_end_of_the_interface_and_of_a_client(sim: Simulator) -> None:
    with ControlInterface(sim) as server:
        control = Control(server.url, server.key)
        with opened(control) as gone, opened(control) as peer:
            subscribed(sim, gone)
            gone.sock.shutdown(socket.SHUT_RDWR)
            subscribed(sim, peer)
            until(lambda: len(sim._world.feed._listeners) == 1)
            server.close()
            while True:
                code, data = peer.recv_data(control_frame=True)
                if code == websocket.ABNF.OPCODE_CLOSE:
                    break
            assert data[:2] == (1001).to_bytes(2, "big")
    until(lambda: not sim._world.feed._listeners)
