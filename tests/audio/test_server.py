"""The receiver as a carrier and a program see it: websocket-client sends, blocking code reads."""

from __future__ import annotations

import base64
import gc
import http.client
import io
import logging
import math
import os
import queue
import random
import re
import socket
import ssl
import struct
import threading
import time
import weakref
import xml.dom.minidom
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import websocket

import relay_sync
from relay_sync import InvalidParameter, StreamFailed, UnsupportedCodec, WaitTimeout, receivers
from relay_sync.audio import AudioFrame, AudioServer, AudioServerStats, AudioStream, StreamStats, codec_for, read_wav
from relay_sync.audio.messages import (
    MediaFormat,
    connected_message,
    dtmf_message,
    mark_message,
)
from relay_sync.audio.stream_decoder import StreamDecoder
from relay_sync.threads.living import Living
from tests.support import PATIENCE
from tests.support.carrier import PAYLOADS, PCMU, Carrier
from tests.support.clocks import stopped
from tests.support.forks import holds_in_child
from tests.support.tls import CERTIFICATE, tls_context

Dial = Callable[..., Carrier]


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "relay_sync.audio"]


# -- a stream from start to end ----------------------------------------------------------------------------------------


def test_a_whole_stream(audio: AudioServer, dial: Dial, tmp_path: Path) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    assert (stream.stream_id, stream.call_id, stream.account_id) == ("stream-of-call-1", "call-1", "project")
    assert stream.custom_parameters == {"tier": "gold"}
    assert stream.media_format == MediaFormat("audio/x-mulaw", 8000, 1)
    assert (stream.announced_tracks, stream.action, stream.end_reason) == (("inbound",), None, None)
    assert not stream.ended
    said = carrier.speech()
    carrier.stop()
    frames = list(stream)
    assert b"".join(frame.pcm for frame in frames) == said
    assert frames[0] == AudioFrame(
        data=PCMU.decode(PAYLOADS[0]), track="inbound", timestamp=0.0, sample_rate=8000, sequence=2
    )
    assert (frames[7].timestamp, frames[7].samples, frames[7].duration) == (0.14, 160, 0.02)
    assert stream.wait(PATIENCE)
    assert (stream.ended, stream.end_reason) == (True, "stopped")
    assert stream.stats == StreamStats(frames=50, bytes=8000, seconds=1.0)
    stream.save(tmp_path / "x.wav")
    saved = read_wav(tmp_path / "x.wav")
    assert (saved.pcm, saved.channels, saved.sample_rate) == (said, 1, 8000)


def test_read_and_iterating_share_one_store(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start("inbound", "outbound")
    stream = audio.accept(PATIENCE)
    said = carrier.speech()
    heard = carrier.speech("outbound")
    frames = iter(stream)
    got = next(frames).pcm + stream.read(0.03, PATIENCE)
    with pytest.raises(WaitTimeout):
        stream.read(60, 0.01)
    got += stream.read(0.001, PATIENCE) + next(stream.tracks("inbound")).pcm
    rest = stream.read_frame(PATIENCE)
    assert rest is not None
    assert (rest.track, rest.timestamp, len(got)) == ("inbound", 0.06, 2 * 480)
    got += rest.pcm
    assert stream.read(0.03, PATIENCE, track="outbound") == heard[:480]
    carrier.stop()
    outbound = b""
    for frame in frames:
        if frame.track == "inbound":
            got += frame.pcm
        else:
            outbound += frame.pcm
    assert (got, outbound) == (said, heard[480:])
    assert stream.read(1) == b""


def test_two_tracks_are_saved_left_and_right(audio: AudioServer, dial: Dial, tmp_path: Path) -> None:
    carrier = dial(audio).start("inbound", "outbound")
    for number, payload in enumerate(PAYLOADS):
        carrier.media(payload, track="inbound")
        carrier.media(PAYLOADS[-1 - number], track="outbound")
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert stream.wait(PATIENCE)
    stream.save(tmp_path / "x.wav")
    saved = read_wav(tmp_path / "x.wav")
    assert saved.channels == 2
    assert saved.channel(0) == PCMU.decode(b"".join(PAYLOADS))
    assert saved.channel(1) == PCMU.decode(b"".join(reversed(PAYLOADS)))
    assert [frame.track for frame in stream] == ["inbound", "outbound"] * 50


@pytest.mark.parametrize(
    ("encoding", "rate", "codec"),
    [
        ("audio/x-alaw", 8000, codec_for("PCMA")),
        ("audio/x-L16", 16000, codec_for("L16@16000h")),
        ("audio/x-l16;rate=24000", 24000, codec_for("L16@24000h")),
    ],
)
def test_other_codecs(audio: AudioServer, dial: Dial, encoding: str, rate: int, codec: Any) -> None:
    pcm = random.Random(1).randbytes(rate // 25)
    carrier = dial(audio).start(encoding=encoding, rate=rate)
    carrier.media(codec.encode(pcm))
    carrier.stop()
    stream = audio.accept(PATIENCE)
    frames = list(stream)
    assert [(frame.pcm, frame.sample_rate) for frame in frames] == [(codec.decode(codec.encode(pcm)), rate)]
    assert stream.stats.seconds == 0.02


def test_big_endian_l16_on_request(dial: Dial) -> None:
    with AudioServer(l16_byteorder="big") as audio:
        carrier = dial(audio).start(encoding="audio/x-L16", rate=8000)
        carrier.media(struct.pack(">2h", 1, -2))
        carrier.stop()
        assert [frame.pcm for frame in audio.accept(PATIENCE)] == [struct.pack("<2h", 1, -2)]


def _tone(order: str) -> list[bytes]:
    samples = [round(5000 * math.sin(number / 9)) for number in range(320 * 8)]
    return [bytes(640)] + [struct.pack(f"{order}320h", *samples[320 * n : 320 * n + 320]) for n in range(8)]


@pytest.mark.parametrize(("order", "warnings"), [("<", 0), (">", 1)])
def test_the_byte_order_can_be_found_out(
    dial: Dial, caplog: pytest.LogCaptureFixture, order: str, warnings: int
) -> None:
    with AudioServer(l16_byteorder="auto") as audio:
        carrier = dial(audio).start(encoding="audio/x-L16", rate=16000)
        for payload in _tone(order):
            carrier.media(payload)
        carrier.stop()
        assert [frame.pcm for frame in audio.accept(PATIENCE)] == _tone("<")
    assert len([line for line in _warnings(caplog) if "big-endian" in line]) == warnings


@pytest.mark.parametrize(("order", "warnings"), [("<", 0), (">", 1)])
def test_a_wrong_byte_order_is_pointed_out(
    audio: AudioServer, dial: Dial, caplog: pytest.LogCaptureFixture, order: str, warnings: int
) -> None:
    carrier = dial(audio).start(encoding="audio/x-L16", rate=16000)
    for payload in _tone(order):
        carrier.media(payload)
    carrier.stop()
    assert audio.accept(PATIENCE).wait(PATIENCE)
    assert len([line for line in _warnings(caplog) if "l16_byteorder='big'" in line]) == warnings


def test_what_cannot_be_decoded_is_delivered_raw(
    audio: AudioServer, dial: Dial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = dial(audio).start(encoding="AMR-WB", rate=16000)
    carrier.media(b"amr packet")
    carrier.stop()
    stream = audio.accept(PATIENCE)
    (frame,) = stream
    assert (frame.data, frame.encoding, frame.samples) == (b"amr packet", "AMR-WB", 0)
    for use in (lambda: frame.pcm, lambda: stream.read(1), lambda: stream.save(tmp_path / "x.wav")):
        with pytest.raises(UnsupportedCodec, match="AMR-WB cannot be decoded"):
            use()
    assert [line for line in _warnings(caplog) if "AMR-WB" in line]


def test_keys_and_marks(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start()
    carrier.media(PAYLOADS[0])
    carrier.ws.send(dtmf_message(sequence=carrier.number(), digit="5", duration=2000))
    carrier.ws.send(mark_message(name="greeting", stream_id="stream-of-call-1"))
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert stream.wait(PATIENCE)
    assert [(key.digit, key.at, key.duration) for key in stream.dtmf] == [("5", 0.02, 2000)]
    assert stream.marks == ("greeting",)


def test_keys_and_marks_as_they_come(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    with pytest.raises(WaitTimeout, match="no key within"):
        stream.read_dtmf(0.01)
    got: queue.SimpleQueue[object] = queue.SimpleQueue()
    readers = [
        threading.Thread(target=lambda: got.put(stream.read_dtmf(PATIENCE))),
        threading.Thread(target=lambda: got.put(stream.read_mark(PATIENCE))),
    ]
    for reader in readers:
        reader.start()
    carrier.ws.send(dtmf_message(sequence=carrier.number(), digit="1"))
    carrier.ws.send(mark_message(name="m", stream_id="stream-of-call-1"))
    for reader in readers:
        reader.join(PATIENCE)
    first, second = got.get(timeout=PATIENCE), got.get(timeout=PATIENCE)
    assert {getattr(first, "digit", first), getattr(second, "digit", second)} == {"1", "m"}
    carrier.ws.send(dtmf_message(sequence=carrier.number(), digit="2"))
    carrier.stop()
    key = stream.read_dtmf(PATIENCE)
    assert key is not None
    assert key.digit == "2"
    assert stream.read_dtmf(PATIENCE) is None
    assert stream.read_mark() is None
    assert [key.digit for key in stream.dtmf] == ["1", "2"]  # what was taken is still there to be looked at


# -- endings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda carrier: carrier.stop(), "stopped"),
        (lambda carrier: carrier.ws.close(), "closed"),
        (lambda carrier: carrier.cut(), "dropped"),
    ],
)
def test_every_ending_keeps_what_came_before_it(
    audio: AudioServer, dial: Dial, tmp_path: Path, end: Callable[[Carrier], None], reason: str
) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    said = carrier.speech()
    end(carrier)
    assert stream.wait(PATIENCE)
    assert stream.end_reason == reason
    stream.save(tmp_path / "x.wav")
    assert read_wav(tmp_path / "x.wav").pcm == said
    assert stream.read(5) == said
    assert stream.read_frame() is None
    assert list(stream) == []


def test_a_reset_ends_the_stream(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    carrier.media(PAYLOADS[0])
    assert stream.read_frame(PATIENCE) is not None
    carrier.cut(reset=True)
    assert stream.read_frame(PATIENCE) is None
    assert stream.end_reason == "dropped"


def test_a_broken_protocol_ends_the_stream_and_says_so(
    audio: AudioServer, dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    carrier.ws.send(b"\xff\xfe", opcode=1)
    assert stream.wait(PATIENCE)
    assert [line for line in _warnings(caplog) if "UTF-8" in line]


def test_after_stop_nothing_counts_and_the_socket_is_closed(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    carrier.stop()
    carrier.media(PAYLOADS[0])
    assert stream.wait(PATIENCE)
    assert carrier.ws.recv_data()[0] == 8
    assert stream.stats.frames == 0


def test_closing_here_ends_it(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start()
    with audio.accept(PATIENCE) as stream:
        carrier.media(PAYLOADS[0])
        assert stream.read_frame(PATIENCE) is not None
        closer = threading.Thread(target=stream.close)
        closer.start()
        assert carrier.ws.recv_data()[0] == 8
        closer.join(PATIENCE)
        assert stream.end_reason == "closed"
        stream.close()


def test_closing_a_stream_whose_peer_is_deaf_is_bounded(audio: AudioServer, dial: Dial) -> None:
    dial(audio).start()
    stream = audio.accept(PATIENCE)
    stream.close(timeout=0.05)  # nobody answers the close frame
    assert stream.ended


def test_no_start_in_time(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    with AudioServer(start_timeout=0.05) as audio:
        carrier = dial(audio)
        carrier.ws.send(connected_message())
        opcode, data = carrier.ws.recv_data()
        assert (opcode, data) == (8, struct.pack("!H", 1008) + b"no start")
        with pytest.raises(WaitTimeout):
            audio.accept(0.01)
    assert [line for line in _warnings(caplog) if "no start within 0.05 s" in line]


def test_a_stream_without_audio_is_pointed_out(
    audio: AudioServer, dial: Dial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("relay_sync.audio.receiver._FLOW", 0.05)
    dial(audio).start()
    stream = audio.accept(PATIENCE)
    while not [line for line in _warnings(caplog) if "no audio within 0.05 s" in line]:
        assert not stream.wait(0.01)
    assert not stream.ended


def test_how_late_a_frame_is(audio: AudioServer, dial: Dial) -> None:
    """Against the quickest one: here the second is behind the first's clock by half a second."""
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    carrier.media(PAYLOADS[0], chunk=26)
    assert stream.read_frame(PATIENCE) is not None
    assert stream.stats.delay == 0.0
    carrier.media(PAYLOADS[1], chunk=1)
    assert stream.read_frame(PATIENCE) is not None
    assert 0.5 <= stream.stats.delay < 0.5 + PATIENCE
    assert f"delay       {stream.stats.delay * 1000:.0f} ms" in str(stream.stats)


def test_numbers_as_a_table(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start()
    for chunk in (1, 2, 5):
        carrier.media(PAYLOADS[chunk], chunk=chunk)
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert stream.wait(PATIENCE)
    assert str(stream.stats).split("\n")[:8] == [
        "length      0.10 s",
        "frames      3",
        "bytes       480",
        "gaps        1 (0.04 s missing)",
        "late        0",
        "duplicates  0",
        "bad frames  0",
        "dropped     0",
    ]


def test_a_silent_stream_times_out_only_on_request(dial: Dial) -> None:
    with AudioServer(idle_timeout=0.1) as audio:
        carrier = dial(audio).start()
        stream = audio.accept(PATIENCE)
        carrier.media(PAYLOADS[0])
        assert stream.wait(PATIENCE)
        assert stream.end_reason == "timed out"
        assert stream.stats.frames == 1


def test_closing_the_server_ends_streams_and_waits(dial: Dial, tmp_path: Path) -> None:
    audio = AudioServer().start()
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    carrier.media(PAYLOADS[0])
    assert stream.read_frame(PATIENCE) is not None
    waiting = [threading.Thread(target=wait) for wait in (lambda: list(stream), lambda: list(audio), stream.wait)]
    for thread in waiting:
        thread.start()
    audio.close(timeout=0.2)
    for thread in waiting:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert stream.end_reason in ("closed", "dropped")
    stream.save(tmp_path / "x.wav")
    audio.close()
    for use in (audio.accept, audio.start, lambda: audio.port):
        with pytest.raises(StreamFailed, match="closed"):
            use()


# -- what is wrong with the messages -----------------------------------------------------------------------------------


def test_bad_messages_cost_nothing_but_themselves(
    audio: AudioServer, dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = dial(audio)
    carrier.media(PAYLOADS[0])  # before start
    carrier.start()
    garbage: list[str] = ["", "{", "[]", '{"event":"media"}', '{"event":"media","media":{"payload":"***"}}']
    for number, payload in enumerate(PAYLOADS):
        carrier.ws.send(garbage[number % len(garbage)])
        carrier.ws.send('{"event":"novelty","x":1}')
        carrier.media(payload, chunk=number + 1)
    carrier.ws.send_binary(b"\0\1")
    carrier.start(call_id="another")  # a second start
    carrier.media(b"")
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert stream.read(1.0) == PCMU.decode(b"".join(PAYLOADS))
    assert stream.call_id == "call-1"
    assert stream.wait(PATIENCE)
    assert stream.end_reason == "stopped"
    assert (stream.stats.frames, stream.stats.bad_frames) == (50, 54)
    # One line for each kind, not one for each message.
    lines = _warnings(caplog)
    assert len(lines) == len(set(lines)) == 8


def test_gaps_duplicates_and_late_frames(audio: AudioServer, dial: Dial, tmp_path: Path) -> None:
    carrier = dial(audio).start()
    for chunk in (1, 2, 2, 3, 6, 5, 5, 1, 7):  # 4 never comes
        carrier.media(PAYLOADS[chunk], chunk=chunk)
    carrier.stop()
    stream = audio.accept(PATIENCE)
    frames = [PCMU.decode(PAYLOADS[chunk]) for chunk in range(8)]
    assert b"".join(frame.pcm for frame in stream) == b"".join(frames[chunk] for chunk in (1, 2, 3, 6, 5, 7))
    stats = stream.stats
    assert (stats.frames, stats.duplicates, stats.gaps, stats.late, stats.missing) == (6, 3, 1, 1, 0.02)
    stream.save(tmp_path / "x.wav")
    frames[4] = bytes(320)
    assert read_wav(tmp_path / "x.wav").pcm == b"".join(frames[1:])


def test_frames_put_back_in_order(dial: Dial) -> None:
    with AudioServer(reorder_seconds=0.05) as audio:
        carrier = dial(audio).start()
        stream = audio.accept(PATIENCE)
        for chunk in (2, 1, 3, 5, 4, 8):  # 6 and 7 never come
            carrier.media(PAYLOADS[chunk], chunk=chunk)
        got = [stream.read_frame(PATIENCE) for _ in range(6)]  # the last of them after the window
        assert [frame and frame.pcm for frame in got] == [PCMU.decode(PAYLOADS[n]) for n in (1, 2, 3, 4, 5, 8)]
        carrier.media(PAYLOADS[11], chunk=11)
        carrier.stop()  # the end waits for nobody
        assert [frame.timestamp for frame in stream] == [0.2]
        assert (stream.stats.gaps, stream.stats.late, stream.stats.missing) == (2, 0, 0.08)


def test_a_track_that_was_not_announced_is_saved_beside_the_other(
    audio: AudioServer, dial: Dial, tmp_path: Path
) -> None:
    carrier = dial(audio).start("outbound")
    stream = audio.accept(PATIENCE)
    said = carrier.speech("outbound")
    for _ in PAYLOADS:
        stream.read_frame(PATIENCE)
    stream.save(tmp_path / "mono.wav")  # the file has begun as a mono one
    carrier.chunks["inbound"] = 50  # a second later
    heard = carrier.speech("inbound")
    carrier.stop()
    assert [frame.track for frame in stream] == ["inbound"] * 50
    stream.save(tmp_path / "stereo.wav")
    assert read_wav(tmp_path / "mono.wav").channels == 1
    saved = read_wav(tmp_path / "stereo.wav")
    assert saved.channel(0) == bytes(len(said)) + heard
    assert saved.channel(1) == said + bytes(len(heard))


def test_a_stream_that_announces_no_tracks(audio: AudioServer, dial: Dial, tmp_path: Path) -> None:
    """Telnyx and Exotel: one side alone is saved as mono, not beside a silent one."""
    carrier = dial(audio)
    carrier.ws.send('{"event":"start","start":{}}')
    said = carrier.speech("outbound")
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert stream.wait(PATIENCE)
    stream.save(tmp_path / "x.wav")
    saved = read_wav(tmp_path / "x.wav")
    assert (saved.channels, saved.pcm) == (1, said)


def test_where_no_track_is_announced_an_unknown_one_can_be_read_but_is_not_saved(
    audio: AudioServer, dial: Dial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = dial(audio)
    carrier.ws.send('{"event":"start","start":{}}')
    carrier.media(PAYLOADS[1])
    carrier.media(PAYLOADS[0], track="conference")
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert [frame.track for frame in stream] == ["inbound", "conference"]
    stream.save(tmp_path / "x.wav")
    assert read_wav(tmp_path / "x.wav").pcm == PCMU.decode(PAYLOADS[1])
    assert [line for line in _warnings(caplog) if "not announced" in line]


@pytest.mark.parametrize("track", ["conference", "both", "inbound2", "in bound", "x" * 5000])
def test_a_track_that_no_call_has_is_left_out(audio: AudioServer, dial: Dial, track: str) -> None:
    carrier = dial(audio).start("inbound")
    carrier.media(PAYLOADS[0], track=track)
    carrier.media(PAYLOADS[1])
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert [(frame.track, frame.pcm) for frame in stream] == [("inbound", PCMU.decode(PAYLOADS[1]))]
    assert stream.stats.bad_frames == 1


def test_tracks_without_end_take_no_memory(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio)
    carrier.ws.send('{"event":"start","start":{}}')
    for number in range(50):
        carrier.media(PAYLOADS[0], track=f"track {number}")
    carrier.media(PAYLOADS[1])
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert len(list(stream)) == 9
    assert stream.stats.bad_frames == 42


def test_a_container_instead_of_audio_is_pointed_out(
    audio: AudioServer, dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = dial(audio).start()
    carrier.media(b"RIFF" + bytes(156))
    carrier.stop()
    audio.accept(PATIENCE).wait(PATIENCE)
    assert [line for line in _warnings(caplog) if "a WAV file" in line]


def test_messages_that_are_too_long(dial: Dial) -> None:
    with AudioServer(max_message=5000) as audio:
        carrier = dial(audio).start()
        stream = audio.accept(PATIENCE)
        carrier.ws.send("x" * 5001)
        assert stream.wait(PATIENCE)


# -- readers -----------------------------------------------------------------------------------------------------------


def test_reading_by_seconds_by_track_and_with_timeouts(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start("inbound", "outbound")
    stream = audio.accept(PATIENCE)
    for payload in PAYLOADS[:5]:
        carrier.media(payload, track="inbound")
        carrier.media(payload[::-1], track="outbound")
    left = PCMU.decode(b"".join(PAYLOADS[:5]))
    right = PCMU.decode(b"".join(payload[::-1] for payload in PAYLOADS[:5]))
    assert stream.read(0.03, PATIENCE) == left[:480]
    assert stream.read(0, 0) == b""
    with pytest.raises(WaitTimeout):
        stream.read(0.2, 0.05)
    assert stream.read(0.07, PATIENCE) == left[480:]  # nothing was lost by the timeout
    assert next(stream.tracks("outbound_track")).pcm == right[:320]
    assert stream.read(0.04, PATIENCE, track="outbound") == right[320:960]
    carrier.stop()
    assert stream.read(10, track="outbound") == right[960:]
    assert stream.read(10) == b""


def test_a_track_that_the_stream_does_not_have_is_refused_at_once(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start("inbound")
    stream = audio.accept(PATIENCE)
    for use in (
        lambda: stream.read(0.5, track="outbound"),
        lambda: stream.read_frame(track="left"),
        lambda: stream.tracks("both"),
        lambda: stream.resampled(16000, track="outbound_track"),
    ):
        with pytest.raises(InvalidParameter, match="expected 'inbound': the stream has no other") as caught:
            use()
        assert caught.value.parameter == "track"
    for value in (5, "", None, ["inbound"]):
        with pytest.raises(InvalidParameter, match="track="):
            stream.tracks(value)  # type: ignore[arg-type]
    carrier.media(PAYLOADS[0])
    carrier.media(PAYLOADS[1], track="outbound")  # though it was not announced
    carrier.media(PAYLOADS[2])
    carrier.stop()
    assert stream.wait(PATIENCE)
    assert stream.read(0.02, track="INBOUND_track") == PCMU.decode(PAYLOADS[0])
    assert [frame.pcm for frame in stream.resampled(8000, track="Inbound")] == [PCMU.decode(PAYLOADS[2])]
    frame = stream.read_frame(track="outbound_track")
    assert frame is not None
    assert frame.pcm == PCMU.decode(PAYLOADS[1])
    with pytest.raises(InvalidParameter, match="expected 'inbound' or 'outbound': the stream has no other"):
        stream.tracks("left")


def test_without_announced_tracks_any_may_still_come(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio)
    carrier.ws.send(
        '{"event":"start","start":{"streamSid":"s","callSid":"c","tracks":[],"mediaFormat":{"encoding":"audio/x-mulaw"}}}'
    )
    stream = audio.accept(PATIENCE)
    assert stream.announced_tracks == ()
    frames = stream.tracks("Left")
    carrier.media(PAYLOADS[0], track="left")
    assert next(frames).pcm == PCMU.decode(PAYLOADS[0])
    with pytest.raises(InvalidParameter, match="track=5"):
        stream.read_frame(track=5)  # type: ignore[arg-type]


def test_a_timeout_is_told_as_it_was_given(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    carrier.media(PAYLOADS[0])
    with pytest.raises(WaitTimeout, match=r"less than 0\.5 s of audio arrived within 0\.0123456 s"):
        stream.read(0.5, 0.0123456)


def test_what_is_left_of_a_deadline_may_be_less_than_nothing_or_without_end(audio: AudioServer, dial: Dial) -> None:
    with pytest.raises(WaitTimeout):
        audio.accept(-0.001)
    carrier = dial(audio).start()
    stream = audio.accept(math.inf)
    assert not stream.wait(-0.001)
    for read in (stream.read_frame, stream.read_dtmf, lambda timeout: stream.read(0.02, timeout)):
        with pytest.raises(WaitTimeout):
            read(-0.001)
    carrier.media(PAYLOADS[0])
    assert stream.read_frame(math.inf) is not None
    carrier.stop()
    assert stream.wait(math.inf)


Use = Callable[[AudioServer, AudioStream], object]
TEXT: Any = "x"
NAN = float("nan")


@pytest.mark.parametrize(
    ("use", "parameter"),
    [
        (lambda audio, stream: stream.read(TEXT), "seconds"),
        (lambda audio, stream: stream.read(NAN), "seconds"),
        (lambda audio, stream: stream.read(-1), "seconds"),
        (lambda audio, stream: stream.read(1, TEXT), "timeout"),
        (lambda audio, stream: stream.read_frame(TEXT), "timeout"),
        (lambda audio, stream: stream.read_frame(NAN), "timeout"),
        (lambda audio, stream: stream.read_dtmf(TEXT), "timeout"),
        (lambda audio, stream: stream.read_mark(TEXT), "timeout"),
        (lambda audio, stream: stream.wait_for_mark("m", TEXT), "timeout"),
        (lambda audio, stream: stream.play(b"", timeout=TEXT), "timeout"),
        (lambda audio, stream: stream.wait(TEXT), "timeout"),
        (lambda audio, stream: stream.close(TEXT), "timeout"),
        (lambda audio, stream: stream.save(5), "path"),
        (lambda audio, stream: stream.save(""), "path"),
        (lambda audio, stream: stream.resampled(5), "sample_rate"),
        (lambda audio, stream: stream.resampled(TEXT), "sample_rate"),
        (lambda audio, stream: audio.accept(TEXT), "timeout"),
        (lambda audio, stream: audio.close(TEXT), "timeout"),
        (lambda audio, stream: audio.listen(None, timeout=TEXT), "timeout"),
        (lambda audio, stream: audio.connect(None, timeout=TEXT), "timeout"),
        (lambda audio, stream: audio.device(expires=TEXT), "expires"),
    ],
)
def test_values_that_cannot_be_right_are_named(audio: AudioServer, dial: Dial, use: Use, parameter: str) -> None:
    dial(audio).start()
    stream = audio.accept(PATIENCE)
    with pytest.raises(InvalidParameter, match=rf"^Invalid {parameter}=.+: expected ") as caught:
        use(audio, stream)
    assert caught.value.parameter == parameter
    assert not stream.ended


def test_options_that_nobody_takes_are_named(audio: AudioServer) -> None:
    call: Any = object.__new__(relay_sync.Call)
    for name in ("listen", "connect"):
        with pytest.raises(TypeError, match=rf"AudioServer\.{name}\(\) got an unexpected keyword argument 'foo'"):
            getattr(audio, name)(call, foo=1)
    with pytest.raises(TypeError, match=r"AudioServer\.device\(\) got an unexpected keyword argument 'foo'"):
        audio.device(foo=1)  # type: ignore[call-arg]


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(audio: AudioServer, dial: Dial, tmp_path: Path) -> None:
    dial(audio).start()
    stream = audio.accept(PATIENCE)
    path = tmp_path / "missing" / "x.wav"
    with pytest.raises(FileNotFoundError) as caught:
        stream.save(path)
    assert caught.value.filename == str(path)
    assert ".part" not in str(caught.value)


def test_a_slow_reader_loses_the_oldest_and_the_recording_nothing(dial: Dial, tmp_path: Path) -> None:
    with AudioServer(buffer_seconds=0.2) as audio:
        carrier = dial(audio).start("inbound", "outbound")
        carrier.media(PAYLOADS[0], track="outbound")
        said = carrier.speech()
        carrier.stop()
        stream = audio.accept(PATIENCE)
        assert stream.wait(PATIENCE)
        frames = list(stream)
        assert frames[0].track == "outbound"  # the other track is not pushed out
        assert b"".join(frame.pcm for frame in frames[1:]) == said[-3200:]
        assert stream.stats.dropped == 40
        stream.save(tmp_path / "x.wav")
        assert read_wav(tmp_path / "x.wav").channel(0) == said


def test_several_readers_share_the_frames(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    got: queue.SimpleQueue[AudioFrame] = queue.SimpleQueue()

    def read() -> None:
        for frame in stream:
            got.put(frame)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    carrier.speech()
    carrier.stop()
    for reader in readers:
        reader.join(PATIENCE)
        assert not reader.is_alive()
    timestamps = sorted(got.get_nowait().timestamp for _ in range(50))
    assert timestamps == [number / 50 for number in range(50)]
    assert got.empty()


def test_a_socket_whose_start_fails_half_way_is_closed(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **options: Any) -> AudioStream:
        raise MemoryError("no room for a stream")

    monkeypatch.setattr("relay_sync.audio.receiver.AudioStream", broken)
    with AudioServer(start_timeout=0.05) as audio:
        carrier = dial(audio).start()
        assert carrier.ws.recv_data() == (8, struct.pack(">H", 1008) + b"no start")


@pytest.mark.parametrize("reorder_seconds", [0, PATIENCE], ids=["as they come", "held back"])
def test_whatever_a_frame_raises_costs_that_frame_only(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, reorder_seconds: float
) -> None:
    bad, decode = bytes(160), StreamDecoder.decode

    def failing(decoding: StreamDecoder, track: str, payload: bytes) -> bytes:
        if payload == bad:
            raise MemoryError("no room to decode this")
        return decode(decoding, track, payload)

    monkeypatch.setattr(StreamDecoder, "decode", failing)
    with AudioServer(reorder_seconds=reorder_seconds) as audio:
        carrier = dial(audio).start()
        good = [bytes([number]) * 160 for number in (1, 2, 3)]
        for chunk, payload in ((1, good[0]), (3, bad), (4, good[1]), (5, good[2])):  # one has not come
            carrier.media(payload, chunk=chunk)
        carrier.stop()
        stream = audio.accept(PATIENCE)
        assert stream.wait(PATIENCE)
        assert [frame.pcm for frame in stream] == [PCMU.decode(payload) for payload in good]
        assert stream.end_reason == "stopped"


def test_waiting_for_a_frame_or_the_end_can_time_out(audio: AudioServer, dial: Dial) -> None:
    dial(audio).start()
    stream = audio.accept(PATIENCE)
    with pytest.raises(WaitTimeout):
        stream.read_frame(0.01)
    assert not stream.wait(0.01)
    assert not stream.ended


def test_saving_while_it_goes_on(audio: AudioServer, dial: Dial, tmp_path: Path) -> None:
    carrier = dial(audio).start()
    stream = audio.accept(PATIENCE)
    carrier.media(PAYLOADS[0])
    stream.read_frame(PATIENCE)
    stream.save(tmp_path / "x.wav")
    assert read_wav(tmp_path / "x.wav").pcm == PCMU.decode(PAYLOADS[0])
    assert not stream.ended


def test_a_stream_in_a_notebook(audio: AudioServer, dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.audio.picture.PLAYED", 0.5)
    carrier = dial(audio).start("inbound", "outbound", call_id="<b>&")
    stream = audio.accept(PATIENCE)
    assert "audio" not in stream._repr_html_()  # nothing to hear yet, but numbers to see
    said = carrier.speech()
    carrier.speech("outbound")
    carrier.stop()
    assert stream.wait(PATIENCE)
    text = stream._repr_html_()
    tree = xml.dom.minidom.parseString(text.replace("controls ", 'controls="" '))  # well-formed, and ids are escaped
    assert "<script" not in text
    (player,) = tree.getElementsByTagName("audio")
    played = read_wav(io.BytesIO(base64.b64decode(player.getAttribute("src").partition("base64,")[2])))
    assert (played.channels, played.samples, played.channel(0)) == (2, 4000, said[:8000])
    assert "the first 0.5 of 1.0 s" in text
    picture, drawing = tree.getElementsByTagName("svg")
    assert drawing.parentNode is picture  # the waveforms grow with the page, the words beside them do not
    assert re.findall("<title>([a-z]+)</title>", text) == ["inbound", "outbound"]
    assert re.search(r"<th[^>]*>frames</th><td[^>]*>100</td>", text)
    assert len(text) < 100_000


def test_without_a_spool_there_is_nothing_to_save(dial: Dial, tmp_path: Path) -> None:
    with AudioServer(spool=False) as audio:
        dial(audio).start().stop()
        with pytest.raises(ValueError, match="spool"):
            audio.accept(PATIENCE).save(tmp_path / "x.wav")


# -- recordings --------------------------------------------------------------------------------------------------------


def test_recording_every_stream(dial: Dial, tmp_path: Path) -> None:
    pattern = tmp_path / "calls" / "{account_id}" / "{call_id}.wav"
    with AudioServer(record_to=pattern) as audio:
        for call_id in ("a", "a", "../../b/../c\x00", "." * 200):
            carrier = dial(audio).start(call_id=call_id)
            said = carrier.speech()
            carrier.cut()
            assert audio.accept(PATIENCE).wait(PATIENCE)
    files = sorted(os.listdir(tmp_path / "calls" / "project"))
    assert files == ["_.._b_.._c_.wav", "a-2.wav", "a.wav", "unknown.wav"]
    for name in files:
        assert read_wav(tmp_path / "calls" / "project" / name).pcm == said


def test_a_recording_that_cannot_be_made_costs_no_audio(
    dial: Dial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with AudioServer(record_to=tmp_path / "file" / "{call_id}.wav") as audio:
        carrier = dial(audio).start()
        said = carrier.speech()
        carrier.stop()
        stream = audio.accept(PATIENCE)
        assert stream.read(1) == said
        assert stream.recorded_to is None
        assert stream.wait(PATIENCE)
        stream.save(tmp_path / "kept.wav")
        assert read_wav(tmp_path / "kept.wav").pcm == said
    assert [line for line in _warnings(caplog) if "kept for save() only" in line]


def test_a_recording_that_cannot_be_made_without_a_spool(
    dial: Dial, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with AudioServer(record_to=tmp_path / "file" / "{call_id}.wav", spool=False) as audio:
        carrier = dial(audio).start()
        said = carrier.speech()
        carrier.stop()
        assert audio.accept(PATIENCE).read(1) == said
    assert [line for line in _warnings(caplog) if "not recorded" in line]


def test_memory_and_sender_wait_when_the_disk_does(dial: Dial, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("relay_sync.audio.recorder.FULL", 4000)
    monkeypatch.setattr("relay_sync.audio.recorder.EAGER", 2000)
    with AudioServer() as audio:
        carrier = dial(audio).start()
        stream = audio.accept(PATIENCE)
        said = b"".join(carrier.speech() for _ in range(10))
        carrier.stop()
        assert stream.wait(PATIENCE)
        stream.save(tmp_path / "x.wav")
        assert read_wav(tmp_path / "x.wav").pcm == said


# -- handlers ----------------------------------------------------------------------------------------------------------


def test_handlers_run_in_threads_of_their_own(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    got: queue.SimpleQueue[tuple[str, str, bytes]] = queue.SimpleQueue()
    both = threading.Barrier(2)

    def handle(stream: AudioStream) -> None:
        both.wait(PATIENCE)  # only passes if two run at once
        got.put((stream.call_id, threading.current_thread().name, stream.read(1)))
        if stream.call_id == "bad":
            raise ValueError("a bug in the handler")

    with AudioServer(on_stream=handle) as audio:
        carriers = [dial(audio).start(call_id=name) for name in ("good", "bad")]
        for carrier in carriers:
            said = carrier.speech()
        results = [got.get(timeout=PATIENCE) for _ in carriers]
        for carrier in carriers:
            assert carrier.ws.recv_data()[0] == 8  # the stream is closed when its handler returns
    assert sorted(name for name, _, _ in results) == ["bad", "good"]
    assert all("relay-audio" in thread and pcm == said for _, thread, pcm in results)
    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.name == "relay_sync.callbacks"
    assert "stream stream-of-bad of call bad" in record.getMessage()
    assert record.__dict__["call_id"] == "bad"
    assert "a bug in the handler" in caplog.text


async def _waits(stream: AudioStream) -> None:
    pass


@pytest.mark.parametrize("handler", [5, _waits, lambda: None, lambda stream, more: None])
def test_handlers_that_cannot_be_called_are_refused(handler: Any) -> None:
    with pytest.raises(InvalidParameter, match=r"Invalid on_stream=.+: expected a"):
        AudioServer(on_stream=handler)


class Blocking:
    """A handler that does not return until it is set ``free``, and the threads it runs in."""

    def __init__(self) -> None:
        self.threads: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
        self.free = threading.Event()

    def __call__(self, stream: AudioStream) -> None:
        self.threads.put(threading.current_thread())
        self.free.wait(PATIENCE)


@pytest.mark.parametrize("on_stream", [None, print])
def test_one_that_nobody_has_used_goes_with_its_last_reference(
    on_stream: Callable[[AudioStream], object] | None,
) -> None:
    """Without the garbage collector: servers of tests and scripts that never start are no work for it."""
    gc.disable()
    try:
        gone = weakref.ref(AudioServer(on_stream=on_stream))
        assert gone() is None
    finally:
        gc.enable()


def test_handlers_that_go_on_after_the_end_are_named_once(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    handler = Blocking()
    audio = AudioServer(on_stream=handler).start()
    dial(audio).start(call_id="one")
    first = handler.threads.get(timeout=PATIENCE)
    audio.close(0.1)
    assert _warnings(caplog) == [
        f"an on_stream handler is still running after close(): {first.name} (stream stream-of-one of call one)"
    ]
    audio.close(0.1)
    audio.at_exit(0.1)
    assert len(_warnings(caplog)) == 1
    handler.free.set()
    first.join(PATIENCE)


def test_several_handlers_that_go_on_after_the_end(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    handler = Blocking()
    audio = AudioServer(on_stream=handler).start()
    for number in range(12):
        dial(audio).start(call_id=f"c{number}")
    threads = [handler.threads.get(timeout=PATIENCE) for _ in range(12)]
    audio.close(0.1)
    (told,) = _warnings(caplog)
    assert told.startswith("12 on_stream handlers are still running after close(): ")
    assert told.endswith(", 2 more")
    assert told.count("of call c") == 10
    handler.free.set()
    for thread in threads:
        thread.join(PATIENCE)


def test_the_end_waits_once_for_all_handlers_where_the_clock_stands_still(dial: Dial) -> None:
    handler = Blocking()
    audio = AudioServer(on_stream=handler).start()
    for number in range(12):
        dial(audio).start(call_id=f"c{number}")
    threads = [handler.threads.get(timeout=PATIENCE) for _ in range(12)]
    began = time.perf_counter()
    with stopped():
        audio.close(0.1)
    took = time.perf_counter() - began
    handler.free.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert took < 0.9  # 0.1 s for each of them would be more


@pytest.mark.parametrize("two_way", [False, True])
def test_silence_is_pointed_out_where_the_party_is_not_spoken_to(
    dial: Dial, caplog: pytest.LogCaptureFixture, two_way: bool
) -> None:
    with AudioServer(two_way=two_way) as audio:
        carrier = dial(audio).start()
        for _ in range(60):
            carrier.media(PCMU.silence * 160)
        carrier.stop()
        assert audio.accept(PATIENCE).wait(PATIENCE)
    assert [line for line in _warnings(caplog) if "only silence" in line] == _warnings(caplog)
    assert len(_warnings(caplog)) == (0 if two_way else 1)


def test_closing_while_a_handler_is_being_started(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    entered, may_go_on, ran = threading.Event(), threading.Event(), threading.Event()

    def slow(thread: threading.Thread) -> None:
        if "-stream-" in thread.name:
            entered.set()
            assert may_go_on.wait(PATIENCE)
        start(thread)

    audio = AudioServer(on_stream=lambda stream: ran.set()).start()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", slow)
        dial(audio).start()
        assert entered.wait(PATIENCE)
        try:
            audio.close(0)
        finally:
            may_go_on.set()
        assert ran.wait(PATIENCE)
    audio.close(PATIENCE)


def test_nobody_accepts(dial: Dial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("relay_sync.audio.server._BACKLOG", 2)
    with AudioServer() as audio:
        for number in range(3):
            carrier = dial(audio).start(call_id=str(number))
            carrier.stop()
            assert carrier.ws.recv_data()[0] == 8
        assert [audio.accept(PATIENCE).call_id for _ in range(2)] == ["1", "2"]
    assert [line for line in _warnings(caplog) if "too many streams wait" in line]


@pytest.mark.slow
def test_a_stream_that_nobody_accepted_in_time_is_closed(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would read it, and all that it brings would be kept."""
    monkeypatch.setattr("relay_sync.audio.server._BACKLOG", 1)
    with AudioServer() as audio:
        first = dial(audio).start(call_id="first")
        dial(audio).start(call_id="second")
        assert first.ws.recv_data() == (8, struct.pack(">H", 1000) + b"closed here")
        with audio.accept(PATIENCE) as stream:
            assert stream.call_id == "second"
            assert not stream.ended


def test_streams_by_iteration(audio: AudioServer, dial: Dial) -> None:
    for number in range(3):
        dial(audio).start(call_id=str(number))
    assert [stream.call_id for _, stream in zip(range(3), audio, strict=False)] == ["0", "1", "2"]


# -- who may come in ---------------------------------------------------------------------------------------------------


def _status(
    audio: AudioServer, path: str, headers: dict[str, str] | None = None, *, method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", audio.port, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def _refusal(dial: Dial, audio: AudioServer, **options: Any) -> int:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        dial(audio, **options)
    return int(caught.value.status_code)


def test_plain_http(audio: AudioServer) -> None:
    assert _status(audio, "/healthz")[0] == 200
    assert _status(audio, "/healthz?verbose")[0] == 200
    assert _status(audio, "/audio")[0] == 426
    assert _status(audio, "/else")[0] == 426
    assert _status(audio, "/else", method="POST")[0] == 404
    assert _status(audio, "/audio", method="POST")[0] == 405


def test_mistakes_in_the_scheme_are_named(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    def tls(port: int) -> None:
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as plain,
            pytest.raises(OSError),
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost"),
        ):
            pass

    context = tls_context()
    with AudioServer() as plain, AudioServer(ssl_context=context) as secure:
        _status(plain, "/audio")
        tls(plain.port)
        with pytest.raises((OSError, websocket.WebSocketException)):
            dial(secure, url=secure.url.replace("wss", "ws"))
    lines = _warnings(caplog)
    for piece in ("plain HTTP request", "TLS to this plain port", "without TLS to this TLS port"):
        assert [piece in line for line in lines].count(True) == 1, lines
    assert len(lines) == 3


def test_a_sub_protocol_is_agreed_to_where_it_is_known_and_ignored_elsewhere(audio: AudioServer, dial: Dial) -> None:
    assert dial(audio, subprotocols=["audio.jambonz.org"]).ws.subprotocol == "audio.jambonz.org"
    with socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as peer:
        peer.sendall(
            b"GET /audio HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: chat, superchat\r\n\r\n"
        )
        answer = peer.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-protocol" not in answer.lower()


def test_the_bearer_token(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "relay_sync"), AudioServer(token="tell-nobody") as audio:
        carrier = dial(audio, token="tell-nobody").start()
        audio.accept(PATIENCE)
        carrier.cut()
        assert _refusal(dial, audio) == 401
        for wrong in ("tell-nobod", "tell-nobody2", "TELL-NOBODY", "\xe9"):
            assert _refusal(dial, audio, token=wrong) == 401
        upgrade = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        for scheme in ("Basic tell-nobody", "tell-nobody", "Bearer", "Bearer  "):
            status, headers, _ = _status(audio, "/audio", {**upgrade, "Authorization": scheme})
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "tell-nobody" not in repr(audio)
    lines = _warnings(caplog)
    assert len([line for line in lines if "with 401: no bearer token" in line]) == 1
    assert len([line for line in lines if "with 401: unknown bearer token" in line]) == 1
    assert not any("tell-nobod" in record.getMessage() for record in caplog.records)


def test_without_a_token_an_unknown_one_is_still_a_mistake(audio: AudioServer, dial: Dial) -> None:
    assert _refusal(dial, audio, token="spent") == 401
    dial(audio).start()
    audio.accept(PATIENCE)


def test_another_path(audio: AudioServer, dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    assert _refusal(dial, audio, url=audio.url + "/x") == 404
    assert [line for line in _warnings(caplog) if "404" in line]


def test_too_many_streams(dial: Dial) -> None:
    with AudioServer(max_connections=1) as audio:
        carrier = dial(audio).start()
        audio.accept(PATIENCE)
        assert _refusal(dial, audio) == 503
        assert _status(audio, "/healthz")[0] == 200
        carrier.cut()


def test_tls(dial: Dial) -> None:
    context = tls_context()
    with AudioServer(ssl_context=context) as audio:
        assert audio.url.startswith("wss://127.0.0.1:")
        carrier = dial(audio, sslopt={"ca_certs": str(CERTIFICATE)}).start()
        said = carrier.speech()
        carrier.stop()
        assert audio.accept(PATIENCE).read(1) == said


# -- parameters --------------------------------------------------------------------------------------------------------


def test_addresses() -> None:
    with AudioServer() as audio:
        assert audio.url == f"ws://127.0.0.1:{audio.port}/audio"
        assert audio.start() is audio
    with AudioServer("0.0.0.0", path="/x") as audio:
        assert audio.url == f"ws://127.0.0.1:{audio.port}/x"
    with AudioServer(public_url="wss://audio.example.com/in/here") as audio:
        assert audio.url == "wss://audio.example.com/in/here"
        assert _status(audio, "/in/here")[0] == 426
    with AudioServer(public_url="wss://audio.example.com") as audio:
        assert _status(audio, "/")[0] == 426
    with AudioServer(public_url="wss://audio.example.com/in", path="/behind/the/proxy") as audio:
        assert _status(audio, "/behind/the/proxy")[0] == 426


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("public_url", "ws://audio.example.com/"),
        ("public_url", "https://audio.example.com/"),
        ("public_url", "wss://user:tell-nobody@audio.example.com/"),
        ("public_url", "wss://audio.example.com/?token=x"),
        ("public_url", "wss://audio.example.com/#x"),
        ("public_url", "wss://audio.example.com:0/"),
        ("public_url", "wss://audio.example.com:99999/"),
        ("public_url", "wss:///x"),
        ("public_url", "wss://[x/"),
        ("public_url", "wss://audio.example.com/a b"),
        ("path", "audio"),
        ("token", ""),
        ("token", "tell-nobody "),
        ("token", "tell-nobody\r\n"),
        ("token", "tell-nobodé"),
        ("record_to", ""),
        ("record_to", "{call}.wav"),
        ("record_to", "{call_id"),
        ("record_to", "{}.wav"),
        ("record_to", "{call_id.__class__}.wav"),
        ("record_to", "{call_id[0]}.wav"),
        ("record_to", "{call_id!x}.wav"),
        ("record_to", "{call_id:04d}.wav"),
        ("record_to", "{call_id:{stream_id}}.wav"),
        ("record_to", "{call_id:{account_id[0]}<3}.wav"),
        ("record_to", "{call_id:300}.wav"),
        ("record_to", "{call_id:2000000000}.wav"),
        ("record_to", "{call_id:.0}"),
        ("record_to", "a\0{call_id}.wav"),
        ("record_to", "\ud800{call_id}.wav"),
        ("record_to", "x" * 230 + "{call_id}.wav"),
        ("record_to", "."),
        ("public_url", 5),
        ("path", 5),
        ("token", b"tell-nobody"),
        ("record_to", b"x.wav"),
        ("host", 5),
        ("host", None),
        ("port", 65536),
        ("port", "8765"),
        ("max_connections", 0),
        ("max_message", -1),
        ("on_stream", "print"),
        ("start_timeout", 0),
        ("start_timeout", "15"),
        ("send_timeout", None),
        ("idle_timeout", -1),
        ("buffer_seconds", float("nan")),
        ("reorder_seconds", -1),
        ("l16_byteorder", "middle"),
    ],
)
def test_parameters_that_cannot_be_right(parameter: str, value: object) -> None:
    with pytest.raises(InvalidParameter) as caught:
        AudioServer(**{parameter: value})  # type: ignore[arg-type]
    assert caught.value.parameter == parameter
    assert "tell-nobod" not in str(caught.value)


def test_a_port_that_is_taken(audio: AudioServer) -> None:
    other = AudioServer(port=audio.port)
    with pytest.raises(OSError, match="in use"):
        other.start()
    port = audio.port
    audio.close()
    with other:  # free now
        assert other.port == port


def test_public_names() -> None:
    for name in relay_sync.audio.__all__:
        value = getattr(relay_sync.audio, name)
        if isinstance(value, type):
            assert value.__module__ == "relay_sync.audio", name
    assert set(relay_sync.audio.__all__) <= set(dir(relay_sync.audio))
    with pytest.raises(AttributeError):
        relay_sync.audio.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_reader_of_seconds_is_woken_when_they_are_there(audio: AudioServer, dial: Dial) -> None:
    """Not for each frame; and what he waits for on one track is not held up by the other."""
    carrier = dial(audio).start("inbound", "outbound")
    stream = audio.accept(PATIENCE)
    got: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    reader = threading.Thread(target=lambda: got.put(stream.read(0.1, PATIENCE)))
    reader.start()
    for payload in PAYLOADS[:4]:
        carrier.media(payload)
        carrier.media(payload, track="outbound")
    assert [frame.track for _, frame in zip(range(4), stream.tracks("outbound"), strict=False)] == ["outbound"] * 4
    assert got.empty()
    carrier.media(PAYLOADS[4])
    reader.join(PATIENCE)
    assert got.get_nowait() == PCMU.decode(b"".join(PAYLOADS[:5]))


def test_more_seconds_than_the_buffer_holds_can_be_read(dial: Dial) -> None:
    with AudioServer(buffer_seconds=0.2) as audio:
        carrier = dial(audio).start()
        stream = audio.accept(PATIENCE)
        got: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        reader = threading.Thread(target=lambda: got.put(stream.read(1.0, PATIENCE)))
        reader.start()
        for number, payload in enumerate(PAYLOADS):
            carrier.media(payload)
            while stream.stats.frames <= number or stream._buffer._tracks["inbound"].held >= 1600:
                time.sleep(0.001)  # until it has come, and is read where it is enough
        reader.join(PATIENCE)
        carrier.cut()
        assert got.get_nowait() == PCMU.decode(b"".join(PAYLOADS))


def test_a_server_that_falls_behind_says_so_once(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("relay_sync.threads.lateness._EVERY", 0.01)
    monkeypatch.setattr("relay_sync.audio.server._FRAME", 0.002)
    audio = AudioServer()
    assert audio.stats() == AudioServerStats()
    with audio:
        carrier = dial(audio).start("inbound")
        stream = audio.accept(PATIENCE)
        loop = audio._loop
        assert loop is not None
        over = threading.Event()

        def work() -> None:
            time.sleep(0.01)
            if not over.is_set():
                loop.call_soon(work)

        loop.call_soon(work)
        end = time.monotonic() + PATIENCE
        while not audio.stats().behind:
            assert time.monotonic() < end
        stats = audio.stats()
        assert (stats.connections, stats.turn > 0.002) == (1, True)
        over.set()
        carrier.stop()
        assert stream.wait(PATIENCE)
    assert caplog.text.count("falls behind: serving 1 connections") == 1
    assert "stream.read(seconds)" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_server_that_serves_nobody_has_no_stats(dial: Dial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.threads.lateness._EVERY", 60.0)  # what was measured first stays
    with AudioServer() as audio:
        carrier = dial(audio).start("inbound")
        stream = audio.accept(PATIENCE)
        end = time.monotonic() + PATIENCE
        while not audio.stats().turn:
            assert time.monotonic() < end
        assert audio.stats().connections == 1
        holds_in_child(lambda: audio.stats() == AudioServerStats())
        carrier.stop()
        assert stream.wait(PATIENCE)
    assert audio.stats() == AudioServerStats(streams_started=1)


def test_a_server_with_an_invalid_setting_is_not_started_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "_servers", Living())
    with pytest.raises(InvalidParameter) as kept:  # Its traceback keeps the unfinished server alive.
        AudioServer(sample_rate=-1)
    receivers.start_all()
    assert (receivers.servers(), kept.value.parameter) == ([], "sample_rate")
