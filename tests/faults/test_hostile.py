"""A hostile or broken server: whatever it sends, the IO thread lives, callers get their answers, and the log stays readable."""

from __future__ import annotations

import copy
import itertools
import json
import logging
import random
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import Action, Call, RelayClient, RelayEvent
from relay_sync.simulator import Simulator
from tests.support import DATA, PATIENCE
from tests.support.far_end import mute
from tests.support.faults.script import Peer, ScriptedServer, frame
from tests.support.lines import NOWHERE, Desk, Line, line

Json = dict[str, Any]
MIB = 1024 * 1024
EVENTS: Json = json.loads((DATA / "events.json").read_text(encoding="utf-8"))


def event_text(params: str) -> str:
    return f'{{"jsonrpc":"2.0","id":"h","method":"signalwire.event","params":{params}}}'


def padded(size: int) -> str:
    """An event of an unknown type that is exactly so many bytes long."""
    text = event_text('{"event_type":"x.y","params":{"padding":""}}')
    return text.replace('""', f'"{"p" * (size - len(text))}"')


#: Frames after which the connection goes on, as if nothing had come.
IGNORED: dict[str, str | bytes] = {
    "no text at all": "",
    "not JSON": "{",
    "a list": "[]",
    "a number": "12",
    "nested too deeply": "[" * 200_000,
    "an event nested too deeply": event_text('{"event_type":"x.y","params":' + "[" * 100_000 + "]" * 100_000 + "}"),
    "nested as deeply as it may be": event_text('{"event_type":"x.y","params":' + "[" * 500 + "]" * 500 + "}"),
    "numbers that are none": event_text('{"event_type":"calling.call.state","timestamp":NaN,"params":{"x":-Infinity}}'),
    "a number beyond all measure": event_text('{"event_type":"x.y","timestamp":1e999999,"params":{}}'),
    "an integer of 5,000 digits": event_text('{"event_type":"x.y","timestamp":' + "9" * 5000 + ',"params":{}}'),
    "a member given twice": event_text(
        '{"event_type":"calling.call.state","event_type":"x.y","params":{},"params":[]}'
    ),
    "half a surrogate": event_text('{"event_type":"x.\\ud800","params":{"text":"\\udfff"}}'),
    "a NUL": event_text('{"event_type":"x.\\u0000","params":{}}'),
    "an unknown event": event_text('{"event_type":"calling.call.levitate","params":{"call_id":"c"}}'),
    "an event of no type": event_text("{}"),
    "an unknown method": '{"jsonrpc":"2.0","id":"h","method":"signalwire.levitate","params":{}}',
    "a request of us": '{"jsonrpc":"2.0","id":"h","method":"signalwire.connect","params":{}}',
    "an answer to nothing": '{"jsonrpc":"2.0","id":"nothing","result":{}}',
    "an error of nothing": '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}',
    "an id that is an object": '{"jsonrpc":"2.0","id":{},"result":{}}',
    "10 MiB exactly": padded(10 * MIB),
    "a binary message": frame(b"\x00\xff" * 100, opcode=2),
    "a message in 1,000 fragments": frame("[", fin=False)
    + frame(" ", opcode=0, fin=False) * 998
    + frame("]", opcode=0),
    "an empty ping of the WebSocket": frame(b"", opcode=9),
    "a pong that nobody asked for": frame(b"x", opcode=10),
}
#: Frames and bytes that end the connection, which is then made anew.
FATAL: dict[str, bytes] = {
    "a byte more than 10 MiB": frame(padded(10 * MIB + 1)),
    "a frame of 2 to the 63 bytes": frame(b"x", announced=2**63 - 1),
    "too many fragments": frame("[", fin=False) + frame(" ", opcode=0, fin=False) * 2000,
    "fragments of more than 10 MiB": frame(b"x" * MIB, fin=False) + frame(b"x" * MIB, opcode=0, fin=False) * 10,
    "text that is not UTF-8": frame(b'{"jsonrpc":"2.0","id":"\xff\xfe"}'),
    "text that ends within a character": frame("ü".encode()[:1]),
    "a character in two messages": frame("ü".encode()[:1]) + frame("ü".encode()[1:]),
    "a reserved opcode": frame(b"", opcode=3),
    "reserved bits": b"\xf1\x00",
    "a continuation of nothing": frame("x", opcode=0),
    "a new message within another": frame("x", fin=False) + frame("y"),
    "a ping of 126 bytes": frame(b"x" * 126, opcode=9),
    "a ping in fragments": frame(b"x", opcode=9, fin=False),
    "a close with half a code": frame(b"\x03", opcode=8),
    "a close with a forbidden code": frame((1005).to_bytes(2, "big"), opcode=8),
    "a close with a reason that is not UTF-8": frame(b"\x03\xe8\xff", opcode=8),
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n" + b"x" * 100,
    "noise": random.Random(5).randbytes(4096),
}


class Sane:
    """A server that says one hostile thing on its first connection, and answers pings."""

    def __init__(self, hostile: bytes, *, ends: bool) -> None:
        self.hostile = hostile
        self.ends = ends
        self.answered: list[int] = []

    def __call__(self, peer: Peer) -> None:
        peer.welcome()
        if peer.number == 1:
            peer.write(self.hostile)
            if self.ends:
                peer.until_closed()
                return
        while True:
            request = peer.request("signalwire.ping")
            self.answered.append(peer.number)
            peer.answer(request, {"payload": "ok"})


@pytest.mark.parametrize(
    ("hostile", "ends"),
    [
        pytest.param(data, False, id=name, marks=pytest.mark.slow if len(data) > MIB else [])
        for name, data in IGNORED.items()
    ]
    + [pytest.param(data, True, id=name) for name, data in FATAL.items()],
)
def test_whatever_a_server_sends_the_next_command_is_answered(
    hostile: str | bytes, ends: bool, caplog: pytest.LogCaptureFixture
) -> None:
    server = Sane(frame(hostile) if isinstance(hostile, str) else hostile, ends=ends)
    with ScriptedServer(server) as there, RelayClient(**there.credentials, max_frame=10 * MIB) as client:
        # Where the connection ends, a ping that was sent is sent again: it may be repeated.
        assert client.execute("signalwire.ping", timeout=PATIENCE) == {"payload": "ok"}
        assert server.answered == [2 if ends else 1]
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) <= 2


def test_an_announced_size_costs_no_memory() -> None:
    """A frame may claim to be 9 exabytes long, or 10 MiB: nothing is set aside for what has not come."""
    for announced in (2**63 - 1, 10 * MIB):
        server = Sane(frame(b"x", announced=announced), ends=True)
        with ScriptedServer(server) as there:
            options: Json = {"ping_interval": 0.1, "ping_timeout": 0.2}
            with RelayClient(**there.credentials, **options) as client:
                tracemalloc.start()
                try:
                    assert client.execute("signalwire.ping") == {"payload": "ok"}
                    assert tracemalloc.get_traced_memory()[1] < 2 * MIB
                finally:
                    tracemalloc.stop()


KINDS = [
    "{",
    "[]",
    '{"id":{},"result":{}}',
    '{"jsonrpc":"2.0","id":"x","result":{}}',
    '{"method":["x"]}',
    event_text("5"),
]


def test_one_line_in_the_log_for_each_kind_of_fault(caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: Peer) -> None:
        peer.welcome()
        for _ in range(500):
            peer.write(b"".join(frame(text) for text in KINDS))
        peer.answer(peer.request("signalwire.ping"), {})
        peer.until_closed()

    with ScriptedServer(script) as there, RelayClient(**there.credentials) as client:
        assert client.execute("signalwire.ping") == {}
    # The events that repeat an id are a kind of their own.
    lines = [one.getMessage() for one in caplog.records if "from the server" in one.getMessage()]
    assert len(lines) == len(set(lines)) == len(KINDS) + 1


def test_a_fault_of_ours_fills_no_log(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with line(sim) as one:
        mute(sim)
        board = one.client._router

        def broken(event: RelayEvent, payload: Json) -> None:
            raise ZeroDivisionError("a fault of ours")

        board._call_event = broken  # type: ignore[method-assign]
        for _ in range(200):
            sim.send_event("calling.call.refer", {"call_id": one.call.call_id})
        sim.wait_for_acks(PATIENCE)
        assert one.call.denoise()["code"] == "200"
    told = [record for record in caplog.records if "internal error" in record.getMessage()]
    assert len(told) == 1
    assert told[0].exc_info is not None


# -- wrong types in every documented member ------------------------------------------------------------------------------

WRONG: list[Any] = [None, True, 0, -1, 1.5, 10**30, 1e308, "", "x", "9" * 40, [], [[]], ["x"], {}, {"a": {"b": []}}]


def variants(value: Any) -> Iterator[Any]:
    """Copies in which one part, at whatever depth, is of another type or missing."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: each for name, each in value.items() if name != key}
            for other in (*WRONG, *variants(inner)):
                yield {**value, key: copy.deepcopy(other)}
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            for other in (*WRONG, *variants(inner)):
                yield [*value[:place], copy.deepcopy(other), *value[place + 1 :]]


AUDIO: Json = {"type": "audio", "params": {"direction": "both"}}
START: dict[str, Callable[[Call], Action[Any]]] = {
    "calling.call.play": lambda call: call.play_silence(60),
    "calling.call.record": lambda call: call.record(),
    "calling.call.collect": lambda call: call.collect(speech={}, partial_results=True),
    "calling.call.detect": lambda call: call.detect_answering_machine(),
    "calling.call.fax": lambda call: call.send_fax("https://example.com/a.pdf"),
    "calling.call.pay": lambda call: call.pay("https://example.com/pay"),
    "calling.call.stream": lambda call: call.stream(NOWHERE),
    "calling.call.tap": lambda call: call.tap(AUDIO, {"type": "rtp", "params": {"addr": "1.2.3.4", "port": 1}}),
    "calling.call.transcribe": lambda call: call.transcribe(),
    "calling.call.ai": lambda call: call.ai(prompt={"text": "hello"}),
}


def addressed(payload: Json, one: Line, action: Action[Any] | None) -> Json:
    """An example that means the call and the action of the test."""
    told = copy.deepcopy(payload)
    params = told.get("params")
    if isinstance(params, dict):
        if "call_id" in params:
            params["call_id"] = one.call.call_id
        if action is not None and "control_id" in params:
            params["control_id"] = action.control_id
    return told


_frame_ids = itertools.count(1)


def send_all(sim: Simulator, payloads: list[Any]) -> None:
    """Send events in one go, and return when each was acknowledged."""
    world = sim._world

    def send() -> None:
        [client] = world.clients.values()
        for payload in payloads:
            world.request(
                client,
                {"jsonrpc": "2.0", "id": f"w{next(_frame_ids)}", "method": "signalwire.event", "params": payload},
            )

    sim._do(send, timeout=PATIENCE)
    sim.wait_for_acks(PATIENCE)


def heard(event: RelayEvent) -> None:
    """A listener, so that events go all the way."""
    repr(event)


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow) for kind in EVENTS])
def test_wrong_types_in_every_documented_member(sim: Simulator, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Every example of every event, with every member missing or of every other type: acknowledged, and nobody is hurt."""
    with line(sim, ping_interval=60.0) as one:
        mute(sim)
        desk: Desk = one.desk
        for example in EVENTS[kind]["examples"]:
            action: Action[Any] | None = None
            for variant in chunks(example):
                if one.call.state == "ended" or one.call.call_id not in one.client.calls:
                    while not desk.calls.empty():
                        desk.take()
                    one.phone, one.call = one.another()
                    one.call.on(kind, heard)
                    action = None
                if kind in START and (action is None or action.is_done):
                    action = START[kind](one.call)
                send_all(sim, [addressed(each, one, action) for each in variant])
        assert one.client.execute("signalwire.ping") is not None
        assert len(sim.journal.requests("signalwire.connect")) == 1
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def chunks(example: Any) -> Iterator[list[Any]]:
    every = variants(example)
    while chunk := list(itertools.islice(every, 40)):
        yield chunk
