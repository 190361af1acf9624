"""The browser telephone as its page uses it: its files, and the WebSocket over which it speaks. Without a browser."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import websocket
from attrs import define, field

from relay_sync.simulator import ControlInterface, Simulator
from relay_sync.simulator.http.telephone.page import FILES
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.peers import NUMBER, RING, Peer, Receiver, connected, dialled
from tests.support.tones import tone

Json = dict[str, Any]


@define(eq=False)
class Line:
    """The page's side of the WebSocket."""

    ws: websocket.WebSocket
    sounds: list[tuple[int, int, bytes]] = field(factory=list)

    def send(self, kind: str, **members: Any) -> None:
        self.ws.send(json.dumps({"type": kind, **members}))

    def speak(self, position: int, pcm: bytes) -> None:
        self.ws.send_binary(struct.pack("<I", position) + pcm)

    def read(self) -> Json:
        """The next text message; sounds are kept."""
        while True:
            kind, data = self.ws.recv_data()
            if kind == websocket.ABNF.OPCODE_TEXT:
                found: Json = json.loads(data)
                return found
            assert kind == websocket.ABNF.OPCODE_BINARY, data
            self.sounds.append((*struct.unpack("<II", data[:8]), data[8:]))

    def find(self, kind: str, **members: Any) -> Json:
        """The next message of a kind with these members; others are dropped."""
        while True:
            found = self.read()
            if found["type"] == kind and members.items() <= found.items():
                return found

    def sound(self) -> tuple[int, int, bytes]:
        while not self.sounds:
            kind, data = self.ws.recv_data()
            if kind == websocket.ABNF.OPCODE_BINARY:
                self.sounds.append((*struct.unpack("<II", data[:8]), data[8:]))
        return self.sounds.pop(0)


@define(eq=False)
class Stage:
    sim: Simulator
    control: ControlInterface

    def dial(self, **options: Any) -> websocket.WebSocket:
        ws = dialled(f"{self.sim.url}/simulator/telephone")
        ws.send(json.dumps({"key": self.control.key, **options}))
        return ws

    @contextmanager
    def line(self, **options: Any) -> Iterator[Line]:
        ws = self.dial(**options)
        try:
            line = Line(ws)
            assert line.read()["type"] == "ready"
            yield line
        finally:
            ws.shutdown()  # type: ignore[no-untyped-call]

    def get(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            response.body = response.read()  # type: ignore[attr-defined]
            return response
        finally:
            connection.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Simulator(media="fast") as sim, ControlInterface(sim) as control:
        yield Stage(sim, control)


@pytest.fixture
def peer(stage: Stage) -> Iterator[Peer]:
    with connected(stage.sim) as found:
        yield found


def take(peer: Peer) -> Json:
    """Answer the next call."""
    offered = peer.event("calling.call.receive")
    where = {name: offered[name] for name in ("call_id", "node_id")}
    assert peer.result("calling.answer", **where)["code"] == "200"
    return where


def dialed(peer: Peer, state: str) -> Json:
    """The dial's event of a state; earlier ones are dropped."""
    while (event := peer.event("calling.call.dial"))["dial_state"] != state:
        pass
    return event


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_and_its_files_are_served_with_a_strict_policy(stage: Stage) -> None:
    size = 0
    for name, kind in FILES.items():
        answer = stage.get("/" if name == "index.html" else f"/telephone/{name}")
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert {each for rule in policy.split(";") for each in rule.split()[1:]} == {"'none'", "'self'"}
        body = answer.body  # type: ignore[attr-defined]
        assert b"http://" not in body.replace(b"http://www.w3.org/2000/svg", b"")
        assert b"https://" not in body
        assert b"style=" not in body
        size += len(body)
    assert size < 42_000


def test_other_paths_methods_hosts_and_pages_get_nothing(stage: Stage) -> None:
    assert stage.get("/telephone/app.py").status == 404
    assert stage.get("/telephone/../telephone/app.js").status == 404
    assert stage.get("/telephone/index.html").status == 404
    answer = stage.get("/", "POST")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert stage.get("/", "HEAD").status == 200
    assert stage.get("/", Host="rebound.test").status == 403
    assert stage.get("/", Origin="http://elsewhere.test").status == 403
    stage.control.close()
    assert stage.get("/").status != 200


def test_the_link_has_the_key_where_browsers_do_not_send_it(stage: Stage) -> None:
    link = urlsplit(stage.control.link)
    assert link.fragment == f"key={stage.control.key}"
    assert (link.hostname, link.port, link.path, link.query) == ("127.0.0.1", stage.sim.port, "/", "")
    with Simulator() as sim, ControlInterface(sim, key="a&b=c#d%") as other:
        assert other.link.endswith("/#key=a%26b%3Dc%23d%25")


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ('{"key": "wrong"}', "key is wrong"),
        ("nothing", "first message must be"),
        ('{"number": "+15550123"}', "first message must be"),
    ],
)
def test_a_wrong_first_message_closes_the_line(stage: Stage, first: str, reason: str) -> None:
    ws = dialled(f"{stage.sim.url}/simulator/telephone")
    ws.send(first)
    kind, data = ws.recv_data()
    assert kind == websocket.ABNF.OPCODE_CLOSE
    assert (int.from_bytes(data[:2], "big"), reason in data[2:].decode()) == (1008, True)
    ws.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "options", [{"number": "nobody"}, {"rate": 44100}, {"rate": "fast"}, {"rate": 16000.0}, {"colour": "red"}]
)
def test_invalid_options_close_the_line(stage: Stage, options: Json) -> None:
    ws = stage.dial(**options)
    kind, data = ws.recv_data()
    assert (kind, int.from_bytes(data[:2], "big")) == (websocket.ABNF.OPCODE_CLOSE, 1008)
    ws.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("header", ["Origin: http://elsewhere.test", "Host: rebound.test"])
def test_a_foreign_page_cannot_open_the_line(stage: Stage, header: str) -> None:
    name, _, value = header.partition(": ")
    given: Json = {"origin": value} if name == "Origin" else {"host": value}
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(f"{stage.sim.url}/simulator/telephone", timeout=PATIENCE, **given)


def test_earlier_notices_that_concern_no_call_are_told(stage: Stage) -> None:
    notice = stage.sim.journal.notice
    notice("", "", "program", "The program started.")
    notice("a-call", "", "odd", "of a call")
    notice("", "", "program", "The program ended.")
    with stage.line() as line:
        assert line.read() == {"type": "notice", "kind": "program", "text": "The program ended."}


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_call_from_the_telephone(stage: Stage, peer: Peer) -> None:
    with stage.line() as line, Receiver() as receiver:
        line.send("call", to="+15550100")
        assert line.find("call", state="ringing")["number"] == "+15550100"
        where = take(peer)
        told = line.find("call", state="answered")
        assert (told["direction"], told["call_id"]) == ("out", where["call_id"])
        peer.result("calling.stream", control_id="s", url=receiver.url, **where)
        media = receiver.next()
        media.wait_for(1, "start")
        line.speak(0, tone(320))
        media.wait_for(1)
        line.send("press", digits="1#")
        media.wait_for(2, "dtmf")
        assert [each["dtmf"]["digit"] for each in media.of("dtmf")] == ["1", "#"]
        line.send("hangup")
        assert line.find("call", state="ended")["reason"] == "hangup"
        assert peer.event("calling.call.state", "ended")["end_reason"] == "hangup"


def test_the_telephone_rings_and_hears(stage: Stage, peer: Peer) -> None:
    stage.sim.expect_sound("https://media.test/a.wav", tone(160))
    with stage.line(number=NUMBER) as line:
        peer.result("calling.dial", tag="t", devices=[[RING]])
        told = line.find("call", state="created")
        assert (told["direction"], told["number"]) == ("in", "+15550100")
        line.send("answer")  # in less time than a telephone needs to ring
        line.find("call", state="answered")
        winner = dialed(peer, "answered")
        where = {name: winner["call"][name] for name in ("call_id", "node_id")}
        play = [
            {"type": "tts", "params": {"text": "Good morning"}},
            {"type": "audio", "params": {"url": "https://media.test/a.wav"}},
        ]
        peer.result("calling.play", control_id="p", play=play, **where)
        line.find("heard", index=0, text="Good morning")
        _, rate, pcm = line.sound()
        assert rate == 16_000
        assert len(pcm) == 640
        peer.result("calling.end", reason="hangup", **where)
        line.find("call", state="ended")


@pytest.mark.slow
def test_a_telephone_that_does_not_read_loses_sound_and_not_its_line(stage: Stage, peer: Peer) -> None:
    stage.sim.expect_sound("https://media.test/long.wav", tone(8000 * 150))
    with stage.line(number=NUMBER) as line:
        peer.result("calling.dial", tag="t", devices=[[RING]])
        line.find("call", state="created")
        line.send("answer")
        winner = dialed(peer, "answered")
        where = {name: winner["call"][name] for name in ("call_id", "node_id")}
        audio = {"type": "audio", "params": {"url": "https://media.test/long.wav"}}
        peer.result("calling.play", control_id="p", play=[audio], **where)
        peer.event("calling.call.play", "finished")
        peer.result("calling.end", reason="hangup", **where)
        line.find("call", state="ended")
        assert 0 < len(line.sounds) < 150  # each is a second


def test_what_the_telephone_says_too_late_is_counted() -> None:
    with (
        Simulator() as sim,
        ControlInterface(sim) as control,
        connected(sim) as peer,
        Stage(sim, control).line() as line,
    ):
        line.send("call", to="+15550100")
        take(peer)
        line.find("call", state="answered")
        line.speak(16_000, bytes(640))
        line.speak(0, bytes(640))  # its time was a second ago
        assert line.find("status", late=1)


def test_declined_busy_and_unregistered(stage: Stage, peer: Peer) -> None:
    with stage.line(number=NUMBER) as line:
        peer.result("calling.dial", tag="one", devices=[[RING]])
        line.find("call", state="ringing")
        peer.result("calling.dial", tag="two", devices=[[RING]])
        failed = dialed(peer, "failed")
        assert (failed["tag"], failed["reason"]) == ("two", "busy")
        line.send("hangup")
        assert line.find("call", state="ended")["reason"] == "decline"
        line.send("number", number="+15550124")
        assert line.find("ready")["number"] == "+15550124"
    peer.result("calling.dial", tag="three", devices=[[RING]])  # the default phone answers
    assert dialed(peer, "answered")["tag"] == "three"


def test_the_end_of_the_line_ends_the_call(stage: Stage, peer: Peer) -> None:
    with stage.line() as line:
        line.send("call", to="+15550100")
        take(peer)
        line.find("call", state="answered")
    assert peer.event("calling.call.state", "ended")["end_reason"] == "hangup"
    until(lambda: not stage.sim.phones)


def test_hold_and_mute(stage: Stage, peer: Peer) -> None:
    with stage.line(rate=8000) as line, Receiver() as receiver:
        line.send("call", to="+15550100")
        where = take(peer)
        line.find("call", state="answered")
        peer.result("calling.stream", control_id="s", url=receiver.url, **where)
        media = receiver.next()
        media.wait_for(1, "start")
        silent = None
        for count, (kind, on) in enumerate([("mute", True), ("hold", True), ("mute", False), ("hold", False)], 1):
            line.send(kind, on=on)
            line.speak(0, tone(160))
            media.wait_for(count)
            payload = media.of("media")[-1]["media"]["payload"]
            silent = silent or payload
            assert (payload == silent) is (count < 4)


def test_what_waits_and_what_the_program_does_is_told(stage: Stage) -> None:
    with stage.line() as line:
        line.send("call", to="+15550100", context="sales")
        assert "no client has subscribed" in line.find("status")["waits"]
        with Peer(stage.sim) as peer:
            peer.connect(contexts=["sales"])
            where = take(peer)
            line.find("call", state="answered")
            audio = {"format": "wav"}
            peer.result("calling.record", control_id="r", record={"audio": audio}, **where)
            assert line.find("status")["doing"] == ["calling.record"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("[1]", "with a type"),
        ("nothing", "with a type"),
        ('{"type": "fly"}', "with a type"),
        ('{"type": "answer"}', "does not ring"),
        ('{"type": "call", "to": "nobody"}', "to="),
        ('{"type": "call"}', "to="),
        ('{"type": "number", "number": 5}', "number="),
        ('{"type": "mute", "on": "yes"}', "on="),
    ],
)
def test_a_message_without_effect_is_answered_with_a_sentence(stage: Stage, message: str, words: str) -> None:
    with stage.line() as line:
        line.ws.send(message)
        assert words in line.find("error")["message"]


def test_a_second_call_and_keys_before_the_answer_are_refused(stage: Stage, peer: Peer) -> None:
    with stage.line() as line:
        line.send("press", digits="1")  # without a call, nothing happens
        line.send("call", to="+15550100")
        line.send("call", to="+15550101")
        assert "hang up first" in line.find("error")["message"]
        line.send("press", digits="1")
        assert "must be answered" in line.find("error")["message"]


@pytest.mark.parametrize("junk", [b"", b"\0", b"\0\0\0\0", b"\0\0\0\0\0", bytes(7)])
def test_binary_junk_is_ignored(stage: Stage, peer: Peer, junk: bytes) -> None:
    with stage.line() as line:
        line.ws.send_binary(junk)
        line.send("call", to="+15550100")
        take(peer)
        line.find("call", state="answered")
        line.ws.send_binary(junk)
        line.send("hangup")
        line.find("call", state="ended")
