"""``calling.connect`` to a stream device, from both ends: what is told, what is heard, what is noted. Messages by hand."""

from __future__ import annotations

import base64
import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.audio.coders import decoder_for, encoder_for
from relay_sync.audio.pcm_codecs import codec_for
from relay_sync.errors import WaitTimeout
from relay_sync.simulator import Phone, Simulator
from relay_sync.simulator.media.sound_queue import SoundQueue
from tests.support.lines import NOWHERE
from tests.support.peers import Hooks, Json, Media, Peer, Receiver, address, connected
from tests.support.tones import tone

PCMU = codec_for("PCMU")


def ask(peer: Peer, phone: Phone, *urls: str, **more: Any) -> Json:
    groups = [[{"type": "stream", "params": {"url": url, **more}}] for url in urls]
    return peer.result("calling.connect", devices=groups, **address(phone))


def told(peer: Peer, state: str) -> Json:
    """The params of the next connect event, which must be of this state."""
    event = peer.event("calling.call.connect")
    assert event["connect_state"] == state
    return event


class Line:
    """A call that is connected to an endpoint, and the endpoint's hand."""

    def __init__(self, peer: Peer, receiver: Receiver, *, says: bytes | None = None, **device: Any) -> None:
        self.peer = peer
        self.phone = peer.answered(says=says)
        assert ask(peer, self.phone, receiver.url, **device) == {"code": "200", "message": "Connecting call"}
        self.media: Media = receiver.next()
        self.media.wait_for(1, "start")
        self.sid = self.media.of("start")[0]["start"]["streamSid"]
        self.stream = self.phone.wait_for_two_way_stream()

    def send(self, event: str, **members: Any) -> None:
        self.media.connection.send(json.dumps({"event": event, "streamSid": self.sid, **members}))

    def say(self, payload: bytes) -> None:
        self.send("media", media={"payload": base64.b64encode(payload).decode()})

    def mark(self, name: str) -> None:
        self.send("mark", mark={"name": name})

    def marks(self, count: int) -> list[str]:
        self.media.wait_for(count, "mark")
        return [message["mark"]["name"] for message in self.media.of("mark")]


def test_a_two_way_stream_from_connecting_to_disconnected() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        token, ticket = "abc", {"ticket": 7}
        line = Line(
            peer, receiver, says=tone(320), authorization_bearer_token=token, custom_parameters=ticket, name="menu"
        )
        phone = line.phone
        assert told(peer, "connecting") == {
            "node_id": phone.node_id,
            "call_id": phone.call_id,
            "segment_id": phone._call.segment_id,
            "connect_state": "connecting",
        }
        peered = told(peer, "connected")["peer"]
        assert peered == {
            "node_id": phone.node_id,
            "device": {"type": "stream", "params": {"url": receiver.url, "name": "menu"}},
        }
        assert line.media.headers["Authorization"] == "Bearer abc"
        assert line.media.messages[:2] == [
            {"event": "connected", "protocol": "Call", "version": "0.2.0"},
            {
                "event": "start",
                "sequenceNumber": "1",
                "start": {
                    "streamSid": line.sid,
                    "accountSid": sim.settings.project,
                    "callSid": phone.call_id,
                    "tracks": ["inbound"],
                    "customParameters": {"ticket": 7},
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                },
            },
        ]
        line.media.wait_for(2)
        phone.press("5")
        line.media.wait_for(1, "dtmf")
        assert line.media.of("dtmf") == [
            {
                "event": "dtmf",
                "sequenceNumber": "4",
                "streamSid": line.sid,
                "dtmf": {"digit": "5", "duration": line.media.of("dtmf")[0]["dtmf"]["duration"]},
            }
        ]
        line.say(PCMU.encode(tone(400)))
        line.mark("said")
        line.send("dtmf", dtmf={"digit": "#"})
        assert line.marks(1) == ["said"]
        assert line.media.of("mark") == [{"event": "mark", "streamSid": line.sid, "mark": {"name": "said"}}]
        line.stream.wait_for(lambda stream: stream.keys == "#")
        assert phone.heard_audio == PCMU.decode(PCMU.encode(tone(400)))
        line.media.connection.close()
        assert told(peer, "disconnected")["peer"] == peered
        assert phone.state == "answered"  # both legs live on
        assert line.stream.over
        assert not line.stream.notices
    assert not sim.journal.events("calling.call.stream")


@pytest.mark.parametrize(
    ("codec", "encoding", "rate"),
    [("PCMU", "PCMU", 8000), ("PCMA", "PCMA", 8000), ("L16", "L16", 8000), ("L16@24000h", "L16", 24000)],
)
def test_what_is_sent_is_heard_sample_for_sample(codec: str, encoding: str, rate: int) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver, codec=codec)
        coder = codec_for(encoding, rate)
        payload = coder.encode(tone(5000))
        for start in range(0, len(payload), 998):  # any length may be sent
            line.say(payload[start : start + 998])
        line.mark("end")
        line.marks(1)
        assert line.stream.heard_audio == coder.decode(payload)


@pytest.mark.parametrize("codec", ["G722", "OPUS"])
def test_what_is_sent_in_packets_is_heard_and_rubbish_is_noted(codec: str) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver, codec=codec)
        form = line.media.of("start")[0]["start"]["mediaFormat"]
        encoder = encoder_for(form["encoding"], form["sampleRate"])
        decoder = decoder_for(form["encoding"], form["sampleRate"])
        packets = encoder.encode(tone(8000)) + encoder.flush()
        for number, packet in enumerate(packets):
            if number == 3:
                line.say(b"\xff" * 4 if codec == "OPUS" else b"")
            line.say(packet)
        line.mark("end")
        line.marks(1)
        assert line.stream.heard_audio == b"".join(map(decoder.decode, packets))
        assert list(line.stream.notices) == ["undecodable"]


def test_marks_come_back_when_what_was_before_them_has_been_played() -> None:
    """Counted in frames, which is the simulator's clock: no test of how fast a machine is."""
    with Simulator() as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver)
        line.mark("empty")
        assert line.marks(1) == ["empty"]
        line.say(PCMU.encode(tone(1600)))  # ten intervals
        line.mark("ten")
        line.say(PCMU.encode(tone(80)))  # half an interval
        line.mark("half")
        assert line.marks(3) == ["empty", "ten", "half"]
        (piece,) = line.stream.heard
        assert piece.position % 160 == 0
        assert len(piece.pcm) == 2 * 1680
        begun = piece.position // 160
        sent: dict[str, int] = {}
        frames = 0
        for message in line.media.messages:
            frames += message["event"] == "media"
            if message["event"] == "mark":
                sent[message["mark"]["name"]] = frames
        assert (sent["ten"], sent["half"]) == (begun + 10, begun + 11)


def test_silence_between_what_is_heard_is_known() -> None:
    with Simulator() as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver)
        for name in ("a", "b"):
            line.say(PCMU.encode(tone(160)))
            line.mark(name)
            line.marks(1 if name == "a" else 2)
            line.media.wait_for(len(line.media.of("media")) + 3)
        first, second = line.stream.heard
        assert second.position > first.position + 160
        assert line.phone.heard_audio == first.pcm + second.pcm


def test_clear_drops_what_waits_and_returns_its_marks_in_order() -> None:
    with Simulator() as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver)
        line.say(PCMU.encode(tone(400_000)))  # 50 s
        line.mark("one")
        line.say(PCMU.encode(tone(800)))
        line.mark("two")
        line.stream.wait_for(lambda stream: stream.waiting > 45 and len(stream.heard_audio) > 0)
        assert line.media.of("mark") == []
        line.send("clear")
        assert line.marks(2) == ["one", "two"]
        assert line.stream.waiting == 0
        heard = len(line.stream.heard_audio)
        assert 0 < heard < 2 * 400_000
        line.say(PCMU.encode(tone(160)))
        line.mark("after")
        assert line.marks(3)[-1] == "after"
        assert len(line.stream.heard_audio) == heard + 320


def test_realtime_keeps_no_more_than_a_moment() -> None:
    with Simulator() as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver, realtime=True)
        line.say(PCMU.encode(tone(8000)))
        line.mark("end")
        line.marks(1)
        assert line.stream.heard_audio == PCMU.decode(PCMU.encode(tone(8000)[-2 * 1600 :]))
        assert list(line.stream.notices) == ["burst"]


WRONG: list[tuple[str, Any]] = [
    ("binary", b"\xff" * 160),
    ("malformed", "not JSON"),
    ("malformed", "[1]"),
    ("malformed", {"event": "hello", "streamSid": "SID"}),
    ("malformed", {"event": "media", "streamSid": "SID"}),
    ("malformed", {"event": "media", "streamSid": "SID", "media": {"payload": "***"}}),
    ("malformed", {"event": "mark", "streamSid": "SID", "mark": {}}),
    ("malformed", {"event": "dtmf", "streamSid": "SID", "dtmf": {"digit": "55"}}),
    ("streamSid", {"event": "media", "media": {"payload": "////"}}),
    ("streamSid", {"event": "clear", "streamSid": "another"}),
    ("header", {"event": "media", "streamSid": "SID", "media": {"payload": base64.b64encode(b"RIFF....").decode()}}),
    ("odd", {"event": "media", "streamSid": "SID", "media": {"payload": base64.b64encode(b"\1\2\3").decode()}}),
]


@pytest.mark.parametrize(("kind", "message"), WRONG)
def test_what_the_platform_would_spoil_is_noted(kind: str, message: Any) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver, codec="L16")
        text = json.dumps(message).replace("SID", line.sid) if isinstance(message, dict) else message
        line.media.connection.send(text)
        line.mark("after")
        assert line.marks(1) == ["after"]  # the stream goes on
        assert list(line.stream.notices) == [kind]
        (notice,) = sim.journal.notices
        assert (notice.kind, notice.call_id, notice.text) == (kind, line.phone.call_id, line.stream.notices[kind])
        line.media.connection.send(text)  # once a kind is enough
        line.mark("again")
        line.marks(2)
        assert len(sim.journal.notices) == 1
        if kind == "odd":
            assert line.stream.heard_audio == b"\1\2" * 2


def test_a_strict_simulator_closes_on_it() -> None:
    with Simulator(media="fast", strict=True) as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver)
        line.media.connection.send(b"\xff" * 160)
        assert line.media.closed.wait(10)
        assert line.media.code == 1008
        assert line.stream.end_reason.startswith("strict: the receiver sent a binary frame")
        told(peer, "connecting")
        told(peer, "connected")
        told(peer, "disconnected")


def test_something_sent_on_a_one_way_stream_is_noted() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        peer.result("calling.stream", control_id="s", url=receiver.url, **address(phone))
        media = receiver.next()
        media.wait_for(1, "start")
        sid = media.of("start")[0]["start"]["streamSid"]
        media.connection.send(json.dumps({"event": "media", "streamSid": sid, "media": {"payload": "////"}}))
        stream = phone.streams[0]
        stream.wait_for(lambda each: len(each.notices) > 0)
        assert "stream device" in stream.notices["one-way"]
        assert phone.heard_audio == b""


def test_the_first_device_that_is_there_wins() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        ask(peer, phone, NOWHERE, receiver.url)
        told(peer, "connecting")
        assert told(peer, "connected")["peer"]["device"]["params"]["url"] == receiver.url
        assert phone.streams[0].over
        receiver.next()


def test_devices_of_one_list_are_tried_together() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as one, Receiver() as two:
        phone = peer.answered()
        devices = [[{"type": "stream", "params": {"url": each.url}} for each in (one, two)]]
        peer.result("calling.connect", devices=devices, **address(phone))
        told(peer, "connecting")
        told(peer, "connected")
        phone.wait_for_stream(1).wait_for(lambda _: sum(stream.over for stream in phone.streams) == 1)


def test_nobody_there_is_failed() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        phone = peer.answered()
        assert ask(peer, phone, NOWHERE, NOWHERE)["code"] == "200"
        told(peer, "connecting")
        assert told(peer, "failed")["failed_reason"] == "error"
        assert ask(peer, phone, NOWHERE)["code"] == "200"  # and the call can be connected again


@pytest.mark.parametrize("how", ["disconnect", "hang up", "max_duration"])
def test_the_ends(how: str) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        more = {"max_duration": 1} if how == "max_duration" else {}
        devices = [[{"type": "stream", "params": {"url": receiver.url}}]]
        peer.result("calling.connect", devices=devices, **address(phone), **more)
        media = receiver.next()
        media.wait_for(1, "start")
        assert ask(peer, phone, receiver.url)["code"] == "409"
        if how == "disconnect":
            assert peer.result("calling.disconnect", **address(phone))["code"] == "200"
        elif how == "hang up":
            phone.hang_up()
        assert media.closed.wait(10)
        assert media.messages[-1]["event"] == "stop"
        assert media.code == 1000
        for state in ("connecting", "connected", "disconnected"):
            told(peer, state)
        assert phone.state == ("ended" if how == "hang up" else "answered")


def test_the_status_webhook_of_a_device() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver, Hooks() as hooks:
        line = Line(peer, receiver, status_url=hooks.url, name="menu")
        line.media.connection.close()
        for state in ("streaming", "finished"):
            method, _, body = hooks.next()
            assert (method, body["event_type"], body["params"]["state"]) == ("POST", "calling.call.stream", state)
            assert (body["params"]["name"], body["params"]["call_id"]) == ("menu", line.phone.call_id)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ({"url": "https://example.com"}, "url must be an absolute"),
        ({"url": NOWHERE, "codec": "L16@44100h"}, "codec L16 has no rate"),
    ],
)
def test_devices_that_cannot_be(device: Json, words: str) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        phone = peer.answered()
        devices = [[{"type": "stream", "params": device}]]
        answer = peer.result("calling.connect", devices=devices, **address(phone))
        assert answer["code"] == "400"
        assert words in answer["message"]


@pytest.mark.parametrize(
    ("device", "words"), [({}, "url is required"), ({"url": NOWHERE, "realtime": "yes"}, "realtime")]
)
def test_devices_of_the_wrong_shape(device: Json, words: str) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        phone = peer.answered()
        devices = [[{"type": "stream", "params": device}]]
        error = peer.ask("calling.connect", devices=devices, **address(phone))["error"]
        assert (error["code"], error["message"]) == (-32602, "Invalid CallConnectParams")
        assert words in error["data"]["errors"][0]


def test_a_call_that_is_not_answered_is_refused() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        phone = sim.call(to="+15550100", from_="+15550199")
        peer.event("calling.call.receive")
        assert ask(peer, phone, NOWHERE)["code"] == "409"


def test_a_stream_that_is_not_read_from_fills_its_peer() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        line = Line(peer, receiver)
        line.stream.pause_reading()
        sim._loop.call(time.monotonic, timeout=5)  # the loop has come to it
        line.mark("late")
        with pytest.raises(WaitTimeout):
            line.stream.wait_for(lambda stream: len(stream.received) > 0, timeout=0.1)
        line.stream.resume_reading()
        assert line.marks(1) == ["late"]


# -- the queue itself ----------------------------------------------------------------------------------------------------


def test_a_mark_within_an_interval_is_due_after_it() -> None:
    playback = SoundQueue(keep=1000)
    playback.add(bytes(10))
    assert playback.mark("five") == []
    playback.add(bytes(10))
    assert playback.mark("ten") == []
    assert playback.tick(8) == []
    assert playback.mark("later") == []  # the interval still sounds
    assert playback.tick(8) == ["five"]
    assert playback.tick(8) == ["ten", "later"]
    assert playback.mark("now") == ["now"]
    assert [(piece.position, len(piece.pcm)) for piece in playback.heard] == [(0, 20)]


def test_what_overflows_is_the_oldest_and_marks_stay() -> None:
    playback = SoundQueue(longest=4, keep=1000)
    assert playback.add(b"\1\0\2\0") == 0
    playback.mark("a")
    playback.add(b"\3\0\4\0")
    playback.mark("b")
    assert playback.add(b"\5\0\6\0\7\0") == 3
    assert playback.waiting == 4
    assert playback.rush() == ["a", "b"]
    assert playback.heard[0].pcm == b"\4\0\5\0\6\0\7\0"


def test_what_is_kept_is_bounded() -> None:
    playback = SoundQueue(keep=3)
    playback.add(bytes(20))
    playback.rush()
    assert (playback.played, len(playback.heard[0].pcm)) == (10, 6)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 30)),
        st.tuples(st.just("mark"), st.integers(0, 3)),
        st.tuples(st.just("tick"), st.integers(1, 12)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("rush"), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(OPERATIONS)
def test_nothing_is_lost_repeated_or_out_of_order(operations: list[tuple[str, int]]) -> None:
    """Every mark comes back once and in order, and never before the audio that was queued before it."""
    playback = SoundQueue(keep=10_000)
    numbers = itertools.count(1)
    queued, dropped = b"", 0
    marks: list[tuple[str, int]] = []
    back: list[str] = []
    for kind, size in operations:
        due: list[str] = []
        if kind == "add":
            pcm = b"".join(next(numbers).to_bytes(2, "little") for _ in range(size))
            queued += pcm
            playback.add(pcm)
        elif kind == "mark":
            name = f"{len(marks)}"
            marks.append((name, len(queued) // 2))
            due = playback.mark(name)
        elif kind == "tick":
            due = playback.tick(size)
        elif kind == "rush":
            due = playback.rush()
        else:
            dropped += playback.waiting
            due = playback.clear()
            assert playback.waiting == 0
        for name in due:
            assert playback.played + dropped >= marks[int(name)][1]
        back += due
    back += playback.rush()
    assert back == [name for name, _ in marks]
    assert playback.played + dropped == len(queued) // 2
    heard = [
        int.from_bytes(piece.pcm[at : at + 2], "little")
        for piece in playback.heard
        for at in range(0, len(piece.pcm), 2)
    ]
    assert heard == sorted(set(heard))
    spans = [(piece.position, piece.position + len(piece.pcm) // 2) for piece in playback.heard]
    assert all(end < begin for (_, end), (begin, _) in itertools.pairwise(spans))
