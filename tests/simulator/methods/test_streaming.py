"""``calling.stream`` against the simulator: what is accepted, what goes to the receiver, how streams end."""

from __future__ import annotations

import base64
import logging
import random
import socket
import ssl
import sys
import threading
import time
from typing import Any

import pytest

from relay_sync.audio.coders import decoder_for
from relay_sync.audio.pcm_codecs import codec_for
from relay_sync.audio.wav import read_wav
from relay_sync.errors import WaitTimeout
from relay_sync.simulator import Phone, Simulator, Stream, speech
from relay_sync.simulator.media.voice import Voice
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.peers import Media, Peer, Receiver, address, connected
from tests.support.tls import CERTIFICATE, tls_context
from tests.support.tones import tone


def _start(peer: Peer, phone: Phone, url: str, control_id: str = "s", **params: Any) -> Stream:
    wanted = {"code": "200", "message": "Starting stream", "call_id": phone.call_id, "control_id": control_id}
    assert peer.result("calling.stream", control_id=control_id, url=url, **address(phone), **params) == wanted
    return phone.streams[-1]


def _stop(peer: Peer, phone: Phone, control_id: str = "s") -> None:
    wanted = {"code": "200", "message": "Stopping stream", "call_id": phone.call_id, "control_id": control_id}
    assert peer.result("calling.stream.stop", control_id=control_id, **address(phone)) == wanted


def _payload(media: Media, track: str) -> bytes:
    frames = [message["media"] for message in media.of("media") if message["media"]["track"] == track]
    return b"".join(base64.b64decode(frame["payload"], validate=True) for frame in frames)


def test_a_stream_from_start_to_stop_message_by_message() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(400), hears=tone(200))
        stream = _start(peer, phone, receiver.url, track="both_tracks", custom_parameters={"ticket": 7})
        told = peer.event("calling.call.stream", "streaming")
        stream.wait_for_speech()
        _stop(peer, phone)
        media = receiver.finished()
        finished = peer.event("calling.call.stream", "finished")
    assert told == {
        "node_id": phone.node_id,
        "call_id": phone.call_id,
        "segment_id": told["segment_id"],
        "control_id": "s",
        "state": "streaming",
        "url": receiver.url,
    }
    assert finished == {**told, "state": "finished"}
    assert media.messages[0] == {"event": "connected", "protocol": "Call", "version": "0.2.0"}
    start = media.messages[1]
    assert start == {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "streamSid": start["start"]["streamSid"],
            "accountSid": sim.settings.project,
            "callSid": phone.call_id,
            "tracks": ["inbound", "outbound"],
            "customParameters": {"ticket": 7},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    }
    numbers = [
        (
            each["sequenceNumber"],
            each["media"]["track"],
            each["media"]["chunk"],
            each["media"]["timestamp"],
            len(each["media"]["payload"]),
        )
        for each in media.of("media")
    ]
    assert numbers == [
        ("2", "inbound", "1", "0", 216),
        ("3", "outbound", "1", "0", 216),
        ("4", "inbound", "2", "20", 216),
        ("5", "outbound", "2", "20", 216),
        ("6", "inbound", "3", "40", 216),
        ("7", "outbound", "3", "40", 216),
    ]
    assert media.messages[-1] == {"event": "stop", "sequenceNumber": "8"}
    assert media.code == 1000
    assert "authorization" not in media.headers
    # 400 samples are two frames and a half: the rest is the silence of mu-law.
    assert _payload(media, "inbound")[400:] == b"\xff" * 80
    assert _payload(media, "outbound")[200:] == b"\xff" * 280


@pytest.mark.parametrize(
    ("codec", "encoding", "rate", "ptime", "size", "silence"),
    [
        (None, "audio/x-mulaw", 8000, 20, 160, b"\xff"),
        ("PCMU", "audio/x-mulaw", 8000, 20, 160, b"\xff"),
        ("pcmu@40i", "audio/x-mulaw", 8000, 40, 320, b"\xff"),
        ("PCMA@8000h", "audio/x-alaw", 8000, 20, 160, b"\xd5"),
        ("L16", "audio/x-L16", 8000, 20, 320, b"\0"),
        ("L16@16000h", "audio/x-L16", 16000, 20, 640, b"\0"),
        ("L16@24000h@40i", "audio/x-L16", 24000, 40, 1920, b"\0"),
        ("L16@10i@16000h", "audio/x-L16", 16000, 10, 320, b"\0"),
    ],
)
def test_codecs(codec: str | None, encoding: str, rate: int, ptime: int, size: int, silence: bytes) -> None:
    says = tone(900)
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=says)
        stream = _start(peer, phone, receiver.url, **({} if codec is None else {"codec": codec}))
        stream.wait_for_speech()
        phone.hang_up()
        media = receiver.finished()
    form = media.of("start")[0]["start"]["mediaFormat"]
    assert form == {"encoding": encoding, "sampleRate": rate, "channels": 1}
    assert media.of("start")[0]["start"]["tracks"] == ["inbound"]
    frames = [base64.b64decode(each["media"]["payload"]) for each in media.of("media")]
    assert {len(frame) for frame in frames} == {size}
    assert len(frames) == -(-900 * 1000 // (8000 * ptime))
    assert [each["media"]["timestamp"] for each in media.of("media")][:2] == ["0", str(ptime)]
    assert b"".join(frames).endswith(silence * 40)
    received = codec_for(encoding, rate).decode(b"".join(frames))
    assert stream.sent == {"inbound": received}
    if rate == 8000 and "L16" in encoding:
        assert received[: len(says)] == says
    if rate == 16000:
        assert received[: 2 * len(says)][: 4 * 899 : 4] == says[0 : 2 * 899 : 2]  # every other sample is untouched


@pytest.mark.parametrize(
    ("codec", "encoding", "announced", "ptime", "size", "rate"),
    [
        ("G722", "audio/G722", 16000, 20, 160, 16000),
        ("g722@8000h@40i", "audio/G722", 8000, 40, 320, 16000),
        ("OPUS", "audio/opus", 48000, 20, None, 48000),
        ("opus@48000h@60i", "audio/opus", 48000, 60, None, 48000),
        ("OPUS@16000h", "audio/opus", 16000, 20, None, 48000),
    ],
)
def test_codecs_whose_packets_depend_on_each_other(
    codec: str, encoding: str, announced: int, ptime: int, size: int | None, rate: int
) -> None:
    with Simulator(media="fast", ptime=0.02) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(900), hears=tone(900, 91))
        stream = _start(peer, phone, receiver.url, codec=codec, track="both_tracks")
        stream.wait_for_speech()
        phone.hang_up()
        media = receiver.finished()
    form = media.of("start")[0]["start"]["mediaFormat"]
    assert form == {"encoding": encoding, "sampleRate": announced, "channels": 1}
    for track in ("inbound", "outbound"):
        mine = [each["media"] for each in media.of("media") if each["media"]["track"] == track]
        packets = [base64.b64decode(each["payload"], validate=True) for each in mine]
        assert [each["timestamp"] for each in mine] == [str(ptime * number) for number in range(len(mine))]
        assert [each["chunk"] for each in mine] == [str(number + 1) for number in range(len(mine))]
        assert all(len(packet) == size for packet in packets) or (size is None and min(map(len, packets)) > 10)
        decoder = decoder_for(encoding, announced)
        decoded = [decoder.decode(packet) for packet in packets]
        assert {len(pcm) for pcm in decoded} == {rate * ptime // 1000 * 2}
        assert stream.sent[track] == b"".join(decoded)
        assert len(packets) * ptime > 900 / 8  # all of the speech, and what the codec holds back
    assert stream.sent["inbound"] != stream.sent["outbound"]


def test_without_the_extra_codecs_a_codec_is_refused_as_one_that_is_not_enabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)  # an import of it fails
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(160))
        stream = _start(peer, phone, receiver.url, codec="OPUS")
        peer.event("calling.call.stream", "finished")
        assert stream.end_reason.startswith("codec_error: ")
        assert 'pip install "av>=13"' in stream.end_reason
        assert receiver.sockets.empty()
        assert [each["state"] for each in sim.journal.events("calling.call.stream")] == ["finished"]
        _start(peer, phone, receiver.url, "t").wait_for_speech()  # the pure codecs need no extra
        phone.hang_up()
        assert len(receiver.finished().of("media")) == 1


@pytest.mark.parametrize(
    ("track", "tracks"),
    [
        ("inbound_track", ["inbound"]),
        ("outbound_track", ["outbound"]),
        ("both_tracks", ["inbound", "outbound"]),
        (None, ["inbound"]),
    ],
)
def test_tracks_are_kept_apart(track: str | None, tracks: list[str]) -> None:
    voices = {"inbound": tone(160, 31), "outbound": tone(160, 57)}
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=voices["inbound"], hears=voices["outbound"])
        _start(peer, phone, receiver.url, codec="L16", **({} if track is None else {"track": track})).wait_for_speech()
        phone.hang_up()
        media = receiver.finished()
    assert media.of("start")[0]["start"]["tracks"] == tracks
    for name, voice in voices.items():
        assert _payload(media, name) == (voice if name in tracks else b"")


def test_the_bearer_token_goes_with_the_upgrade_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(160))
        stream = _start(
            peer, phone, receiver.url, authorization_bearer_token="s3cr3t", name="n", custom_parameters={"once": "0nce"}
        )
        stream.wait_for_speech()
        assert peer.event("calling.call.stream", "streaming")["name"] == "n"
        phone.hang_up()
        media = receiver.finished()
        assert media.headers["Authorization"] == "Bearer s3cr3t"
        assert media.headers.get("Sec-WebSocket-Extensions") is None
        for text in (
            sim.journal.dump(),
            repr(list(sim.journal)),
            repr(stream),
            repr(phone),
            repr(sim._world),
            repr(sim._platform),
            repr(sim._relay),
        ):
            assert "s3cr3t" not in text
            assert "0nce" not in text
            assert sim.settings.token not in text
        ours = [record.getMessage() for record in caplog.records if record.name.startswith("relay_sync")]
        assert "s3cr3t" not in str(ours)  # the receiver's own library does log its headers
    assert "s3cr3t" not in str(media.messages)


def test_speech_of_the_package_arrives_sample_for_sample() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=speech.caller(), hears=speech.greeting())
        stream = _start(peer, phone, receiver.url, track="both_tracks", codec="PCMA")
        stream.wait_for_speech()
        phone.hang_up()
        media = receiver.finished()
    codec = codec_for("PCMA")
    for track, path in (("inbound", speech.caller()), ("outbound", speech.greeting())):
        original = read_wav(path).pcm
        assert stream.sent[track] == codec.decode(_payload(media, track))
        assert stream.sent[track].startswith(codec.decode(codec.encode(original)))
    assert stream.frames_sent["inbound"] == stream.frames_sent["outbound"]


def test_real_time_keeps_an_absolute_clock_and_goes_on_with_silence() -> None:
    times: list[float] = []
    with (
        Simulator() as sim,
        connected(sim) as peer,
        Receiver(after=lambda _: times.append(time.monotonic())) as receiver,
    ):
        phone = peer.answered(says=tone(800))
        began = time.monotonic()
        stream = _start(peer, phone, receiver.url, codec="L16")
        stream.wait_for_speech()
        stream.wait_for(lambda each: each.frames_sent["inbound"] >= 12)
        _stop(peer, phone)
        media = receiver.finished()
    frames = media.of("media")
    assert len(frames) >= 12
    assert _payload(media, "inbound")[1600:].strip(b"\0") == b""
    for index, at in enumerate(times[2 : 2 + len(frames)]):
        assert at >= began + index * 0.02  # never ahead of its time
    assert [int(frame["media"]["timestamp"]) for frame in frames] == [20 * index for index in range(len(frames))]


def test_the_clock_can_run_faster() -> None:
    with Simulator(speed=50.0) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(8000), hangs_up_after_speaking=True)
        began = time.monotonic()
        _start(peer, phone, receiver.url)
        phone.wait_until("ended")
        assert time.monotonic() - began >= 49 * 0.02 / 50
        media = receiver.finished()
    assert len(media.of("media")) == 50


@pytest.mark.parametrize("mode", ["fast", "realtime"])
def test_a_caller_hangs_up_after_speaking(mode: str) -> None:
    with Simulator(media=mode, speed=100.0) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(1000), hangs_up_after_speaking=True)
        _start(peer, phone, receiver.url)
        assert peer.event("calling.call.stream", "finished")
        assert peer.event("calling.call.state", "ended")["end_source"] == "inbound"
        media = receiver.finished()
    assert len(media.of("media")) == 7
    assert media.messages[-1]["event"] == "stop"


@pytest.mark.parametrize("mode", ["fast", "realtime"])
def test_a_caller_hangs_up_after_speaking_although_the_receiver_has_gone(mode: str) -> None:
    with Simulator(media=mode, speed=20.0) as sim, connected(sim) as peer:
        phone = peer.answered(says=tone(8000 * 20), hangs_up_after_speaking=True)
        with Receiver() as receiver:
            stream = _start(peer, phone, receiver.url)
            receiver.next().wait_for(3)
        stream.wait_until("finished")
        assert phone.state == "answered" or mode == "fast"  # all may have been sent
        phone.wait_until("ended")
        assert phone.end_reason == "hangup"


def test_a_caller_whose_stream_was_stopped_speaks_to_the_end_on_the_next_one() -> None:
    says = random.Random(1).randbytes(16_000 * 20)
    with Simulator(speed=20.0) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=says, hangs_up_after_speaking=True)
        _start(peer, phone, receiver.url, "one", codec="L16")
        receiver.next().wait_for(3)
        _stop(peer, phone, "one")
        later = _start(peer, phone, receiver.url, "two", codec="L16")
        phone.wait_until("ended")
        assert later.end_reason == "the call ended"
        assert later.sent["inbound"].endswith(says[-320:])


def test_a_caller_with_nothing_to_say_hangs_up_at_once() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(hangs_up_after_speaking=True)
        peer.post("calling.stream", control_id="s", url=receiver.url, **address(phone))
        phone.wait_until("ended")
        assert [each["event"] for each in receiver.finished().messages] == ["connected", "start", "stop"]


def test_a_later_stream_joins_the_speech_where_it_is() -> None:
    says = tone(8000 * 20)
    with Simulator(speed=10.0) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=says)
        _start(peer, phone, receiver.url, "one", codec="L16")
        one = receiver.next()
        one.wait_for(5)
        _start(peer, phone, receiver.url, "two", codec="L16")
        two = receiver.next()
        two.wait_for(3)
        _stop(peer, phone, "one")
        _stop(peer, phone, "two")
        assert one.closed.wait(5)
        assert two.closed.wait(5)
    late = says.find(_payload(two, "inbound")[:320])
    assert late >= 5 * 320
    assert late % 320 == 0
    assert two.of("media")[0]["media"]["timestamp"] == "0"
    assert two.of("start")[0]["start"]["streamSid"] != one.of("start")[0]["start"]["streamSid"]


def test_keys_are_told_to_flowing_streams() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        phone.press("9")  # nobody listens yet
        stream = _start(peer, phone, receiver.url)
        stream.wait_until("streaming")
        phone.press("1#")
        phone.hang_up()
        media = receiver.finished()
    assert [(each["sequenceNumber"], each["dtmf"]["digit"]) for each in media.of("dtmf")] == [("2", "1"), ("3", "#")]
    assert all(isinstance(each["dtmf"]["duration"], int) and "streamSid" not in each for each in media.of("dtmf"))
    assert media.messages[-1] == {"event": "stop", "sequenceNumber": "4"}


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"url": "ws://media.example.test/in"}, "url"),
        ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "not a url"}, "url"),
        ({"url": "wss:///in"}, "url"),
        ({"url": "wss://user:pw@h.test/"}, "url"),
        ({"url": "wss://h.test/#x"}, "url"),
        ({"url": "wss://h.test:99999/"}, "url"),
        ({"url": "wss://h.test/a\r\nb"}, "url"),
        ({"url": "wss://[::1/"}, "url"),
        ({"url": ""}, "url"),
        ({"status_url": "ftp://h.test/"}, "status_url"),
        ({"status_url_method": "PUT"}, "status_url_method"),
        ({"codec": "PCMU@2c"}, "codec"),
        ({"codec": "PCMU@"}, "codec"),
        ({"codec": "PCMU@16000h"}, "codec"),
        ({"codec": "L16@11025h"}, "codec"),
        ({"codec": "OPUS@44100h"}, "codec"),
        ({"codec": "OPUS@30i"}, "codec"),
        ({"codec": "OPUS@2c"}, "codec"),
        ({"codec": "G722@48000h"}, "codec"),
        ({"codec": "G722@10i"}, "codec"),
        ({"codec": "PCMU@1i"}, "codec"),
        ({"codec": "PCMU@20i@40i"}, "codec"),
        ({"codec": ""}, "codec"),
        ({"track": "inbound"}, "track"),
        ({"authorization_bearer_token": "a\r\nX: y"}, "authorization_bearer_token"),
    ],
)
def test_values_that_are_refused(params: dict[str, Any], name: str) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        phone = peer.answered()
        whole = {"control_id": "s", "url": "wss://h.test/", **address(phone), **params}
        result = peer.result("calling.stream", **whole)
        assert result["code"] == "400"
        assert list(result["data"]) == [name]
        assert phone.streams == []


def test_ids_calls_and_states_that_are_refused() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        ringing = sim.call(to="+1", from_="+2")
        peer.event("calling.call.receive")
        given = {"control_id": "s", "url": receiver.url}
        assert peer.result("calling.stream", **given, **address(ringing))["code"] == "409"
        phone = peer.answered()
        _start(peer, phone, receiver.url)
        assert peer.result("calling.stream", **given, **address(phone))["code"] == "409"
        assert peer.result("calling.stream.stop", control_id="x", **address(phone))["code"] == "404"
        _stop(peer, phone)
        assert peer.result("calling.stream.stop", control_id="s", **address(phone))["code"] == "404"
        _start(peer, phone, receiver.url)  # an id may be used again once its stream is over
        phone.hang_up()
        assert peer.result("calling.stream", **given, **address(phone))["code"] == "404"
        assert peer.ask("calling.stream", custom_parameters=[], **given, **address(phone))["error"]["code"] == -32602


@pytest.mark.parametrize("codec", ["AMR", "SOMETHING@8000h"])
def test_codecs_without_audio_are_accepted_and_finished(codec: str, caplog: pytest.LogCaptureFixture) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        stream = _start(peer, phone, receiver.url, codec=codec)
        peer.event("calling.call.stream", "finished")
        assert stream.end_reason.startswith("codec_error: the simulator cannot encode ")
        assert codec.split("@")[0] in caplog.text
        assert receiver.sockets.empty()
        assert [each["state"] for each in sim.journal.events("calling.call.stream")] == ["finished"]


def test_remote_hosts_are_not_dialled(caplog: pytest.LogCaptureFixture) -> None:
    with Simulator() as sim, connected(sim) as peer:
        phone = peer.answered()
        stream = _start(peer, phone, "wss://media.example.test/in?secret=1")
        peer.event("calling.call.stream", "finished")
        assert "loopback" in stream.end_reason
        assert "media.example.test" in caplog.text
        assert "secret" not in caplog.text
        with pytest.raises(WaitTimeout, match="never started"):
            stream.wait_until("streaming")


def test_a_receiver_that_cannot_be_reached_or_refuses() -> None:
    def refuse(connection: Any, request: Any) -> Any:
        return connection.respond(401, "no\n")

    with Receiver() as gone:
        pass
    with Simulator() as sim, connected(sim) as peer, Receiver(process_request=refuse) as refusing:
        phone = peer.answered()
        for number, (url, why) in enumerate([(gone.url, "reached"), (refusing.url, "401")]):
            stream = _start(peer, phone, url, f"s{number}")
            assert peer.event("calling.call.stream", "finished")["control_id"] == f"s{number}"
            assert why in stream.end_reason
        assert [each["state"] for each in sim.journal.events("calling.call.stream")] == ["finished", "finished"]


def test_a_receiver_that_says_nothing_is_given_up() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Simulator(dial_timeout=0.05) as sim,
        connected(sim) as peer,
    ):
        phone = peer.answered()
        stream = _start(peer, phone, f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        peer.event("calling.call.stream", "finished")
        assert "0.05" in stream.end_reason


def test_a_stop_while_dialling_ends_the_stream_without_a_flow() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, Simulator() as sim, connected(sim) as peer:
        phone = peer.answered()
        _start(peer, phone, f"ws://127.0.0.1:{listener.getsockname()[1]}/")
        _stop(peer, phone)
        peer.event("calling.call.stream", "finished")
        assert [each["state"] for each in sim.journal.events("calling.call.stream")] == ["finished"]


@pytest.mark.parametrize(("how", "reason"), [("close", "1001"), ("drop", "without a close frame")])
def test_a_receiver_that_leaves_finishes_the_stream(how: str, reason: str) -> None:
    def leave(media: Media) -> None:
        if len(media.messages) == 5:
            media.connection.close(1001) if how == "close" else media.connection.socket.close()

    # While it closes, the receiver may leave what it has not read yet before the answer.
    with Simulator(speed=10.0) as sim, connected(sim) as peer, Receiver(after=leave, close_timeout=0.5) as receiver:
        phone = peer.answered(says=tone(80_000))
        stream = _start(peer, phone, receiver.url)
        peer.event("calling.call.stream", "finished")
        assert reason in stream.end_reason
        assert phone.state == "answered"
        phone.hang_up()


@pytest.mark.parametrize("reset", [False, True])
def test_a_media_socket_that_is_cut_has_no_stop(reset: bool) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(1600))
        stream = _start(peer, phone, receiver.url)
        stream.wait_until("streaming")
        media = receiver.next()
        stream.cut(reset)
        assert media.closed.wait(5)
        assert media.of("stop") == []
        assert media.code == 1006
        peer.event("calling.call.stream", "finished")
        stream.cut()  # harmless
        stream.wait_until("finished")


@pytest.mark.parametrize("told", [True, False])
def test_finished_comes_before_ended_or_not_at_all(told: bool) -> None:
    with Simulator(media="fast", finish_streams=told) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(160))
        _start(peer, phone, receiver.url).wait_until("streaming")
        phone.hang_up()
        peer.event("calling.call.state", "ended")
        receiver.finished()
        story = [entry.params.get("call_state", entry.params.get("state")) for entry in sim.journal if entry.event_type]
        wanted = ["ending", "finished", "ended"] if told else ["ending", "ended"]
        assert story[-len(wanted) :] == wanted


def test_fast_streams_wait_for_a_receiver_that_does_not_read() -> None:
    gate = threading.Event()
    frames = 6000  # 8 MB on the wire: more than any kernel keeps for a socket that nobody reads
    says = Voice(tone(480) * frames, 24000)
    with (
        Simulator(media="fast") as sim,
        connected(sim) as peer,
        Receiver(after=lambda media: gate.wait(10), max_queue=1) as receiver,
    ):
        phone = peer.answered(says=says)
        stream = _start(peer, phone, receiver.url, codec="L16@24000h")
        try:
            with pytest.raises(WaitTimeout):
                stream.wait_for_speech(timeout=0.2)
            assert stream.frames_sent["inbound"] < frames
            peer.result("signalwire.ping")  # nobody else waits
        finally:
            gate.set()
        stream.wait_for_speech(timeout=30)
        phone.hang_up()
        media = receiver.finished()
    assert len(media.of("media")) == frames
    assert _payload(media, "inbound") == stream.sent["inbound"]


def test_real_time_streams_lose_frames_of_a_receiver_that_does_not_read_and_count_them() -> None:
    gate = threading.Event()
    with (
        Simulator(speed=1000.0) as sim,
        connected(sim) as peer,
        Receiver(after=lambda media: gate.wait(10), max_queue=1) as receiver,
    ):
        phone = peer.answered(says=tone(8000))
        stream = _start(peer, phone, receiver.url, codec="L16@24000h")
        stream.wait_for(lambda each: each.lost > 0)
        gate.set()
        _stop(peer, phone)
        media = receiver.finished()
    chunks = [int(each["media"]["chunk"]) for each in media.of("media")]
    assert chunks == sorted(set(chunks))
    assert len(chunks) == stream.frames_sent["inbound"]
    assert [int(each["media"]["timestamp"]) for each in media.of("media")] == [(chunk - 1) * 20 for chunk in chunks]


def test_what_is_kept_of_the_audio_is_bounded() -> None:
    with Simulator(media="fast", record_seconds=0.05) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered(says=tone(8000))
        stream = _start(peer, phone, receiver.url)
        stream.wait_for_speech()
        phone.hang_up()
        assert len(_payload(receiver.finished(), "inbound")) == 8000
        assert len(stream.sent["inbound"]) == 800


def test_what_the_receiver_says_is_kept() -> None:
    def talk(media: Media) -> None:
        if len(media.messages) == 2:
            media.connection.send('{"event":"media"}')
            media.connection.close()

    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver(after=talk) as receiver:
        phone = peer.answered()
        stream = _start(peer, phone, receiver.url)
        stream.wait_until("finished")
        assert list(stream.received) == ['{"event":"media"}']


def trust(monkeypatch: pytest.MonkeyPatch, **files: object) -> None:
    """Trust the authorities in these files only."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        if name in files:
            monkeypatch.setenv(name, str(files[name]))


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_receivers_with_tls_whose_certificate_the_environment_trusts(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust(monkeypatch, **{variable: CERTIFICATE})
    with (
        Simulator(media="fast") as sim,
        connected(sim) as peer,
        Receiver(ssl=tls_context()) as receiver,
    ):
        phone = peer.answered(says=tone(160))
        stream = _start(peer, phone, receiver.url.replace("ws://", "wss://"))
        stream.wait_for_speech()
        phone.hang_up()
        assert len(receiver.finished().of("media")) == 1


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_certificate_that_is_not_trusted_ends_the_stream(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trust(monkeypatch)
    with (
        Simulator(media="fast", dial_timeout=PATIENCE) as sim,
        connected(sim) as peer,
        Receiver(ssl=tls_context()) as receiver,
    ):
        phone = peer.answered(says=tone(160))
        stream = _start(peer, phone, receiver.url.replace("ws://127.0.0.1", f"wss://{name}"))
        peer.event("calling.call.stream", "finished")
        assert "certificate verify failed" in stream.end_reason
        assert "set SSL_CERT_FILE" in caplog.text
        assert stream.error == "connection_refused_timeout_or_ssl_error"
        assert [each["state"] for each in sim.journal.events("calling.call.stream")] == ["finished"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on the loopback interface")
def test_a_certificate_of_another_name_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch, SSL_CERT_FILE=CERTIFICATE)
    with (
        Simulator(media="fast", dial_timeout=PATIENCE) as sim,
        connected(sim) as peer,
        tls_context().wrap_socket(socket.create_server(("127.0.0.2", 0)), server_side=True) as listener,
    ):

        def refused() -> bool:
            try:
                listener.accept()
            except OSError:
                return True
            return False

        server = Background(refused)
        phone = peer.answered(says=tone(160))
        stream = _start(peer, phone, f"wss://127.0.0.2:{listener.getsockname()[1]}/")
        peer.event("calling.call.stream", "finished")
        assert "IP address mismatch" in stream.end_reason
        assert server.result()


def test_authorities_that_cannot_be_read_end_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch, REQUESTS_CA_BUNDLE="/nowhere.pem")
    with Simulator(media="fast") as sim, connected(sim) as peer:
        phone = peer.answered(says=tone(160))
        stream = _start(peer, phone, "wss://localhost:9/")
        peer.event("calling.call.stream", "finished")
        assert "REQUESTS_CA_BUNDLE='/nowhere.pem'" in stream.end_reason


def test_a_test_can_choose_not_to_verify_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    trust(monkeypatch)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        Simulator(media="fast", media_ssl_context=context) as sim,
        connected(sim) as peer,
        Receiver(ssl=tls_context()) as receiver,
    ):
        _start(peer, peer.answered(), receiver.url.replace("ws://", "wss://")).wait_until("streaming")


def test_a_stream_can_be_waited_for() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        with pytest.raises(WaitTimeout):
            phone.wait_for_stream(timeout=0.01)
        stream = _start(peer, phone, receiver.url)
        assert phone.wait_for_stream() is stream


def test_closing_the_simulator_ends_its_streams_and_threads() -> None:
    with Receiver() as receiver:
        with Simulator() as sim, connected(sim) as peer:
            phone = peer.answered(says=tone(80_000))
            stream = _start(peer, phone, receiver.url)
            stream.wait_until("streaming")
        media = receiver.finished()
        assert media.code == 1001
    assert stream.over
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("relay-sim")]
