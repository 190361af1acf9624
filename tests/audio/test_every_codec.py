"""For every codec: what the simulator's caller says, and what he hears, is what the receiver saves."""

from __future__ import annotations

import base64
import gc
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import websocket
from attrs import frozen

from relay_sync import InvalidParameter, UnsupportedCodec
from relay_sync.audio import AudioServer, AudioStream, Resampler, WavAudio, codec_for, encoder_for, read_wav, resample
from relay_sync.audio.stream_decoder import StreamDecoder
from relay_sync.simulator import Simulator
from relay_sync.simulator.media.voice import Voice
from tests.support import PATIENCE
from tests.support.lines import line
from tests.support.voices import snr, voices


@frozen
class Saved:
    """One stream's story: the file, what the simulator says it sent, and the stream itself."""

    wav: WavAudio
    sent: dict[str, bytes]
    stream: AudioStream


def saved(
    sim: Simulator, audio: AudioServer, path: Path, codec: str, rate: int, pcm: tuple[bytes, bytes], **options: Any
) -> Saved:
    says, hears = (Voice(each, rate) for each in pcm)
    with line(sim, says=says, hears=hears) as talk:
        with audio.listen(talk.call, track="both", codec=codec, timeout=PATIENCE, **options) as stream:
            sending = talk.phone.wait_for_stream()
            sending.wait_for_speech()
        talk.call.hangup()
    assert stream.end_reason == "stopped"
    assert stream.stats.bad_frames == stream.stats.gaps == stream.stats.duplicates == 0
    stream.save(path / "call.wav")
    return Saved(read_wav(path / "call.wav"), sending.sent, stream)


@pytest.mark.parametrize(
    ("codec", "rate"),
    [
        ("PCMU", 8000),
        ("PCMA@8000h", 8000),
        ("pcmu@40i", 8000),
        ("L16", 8000),
        ("L16@16000h", 16000),
        ("L16@24000h", 24000),
        ("L16@24000h@40i", 24000),
    ],
)
def test_g711_and_l16_are_saved_to_the_bit(
    sim: Simulator, audio: AudioServer, tmp_path: Path, codec: str, rate: int
) -> None:
    pcm = voices(rate)
    result = saved(sim, audio, tmp_path, codec, rate, pcm)
    assert (result.wav.sample_rate, result.wav.channels) == (rate, 2)
    coder = codec_for(codec)
    for channel, track in enumerate(("inbound", "outbound")):
        wanted = coder.decode(coder.encode(pcm[channel]))
        assert result.wav.channel(channel)[: len(wanted)] == wanted
        assert result.wav.channel(channel) == result.sent[track]
        if coder.name == "L16":
            assert wanted == pcm[channel]


@pytest.mark.parametrize(
    ("codec", "rate", "least", "delays"),
    [("G722", 16000, 30.0, range(20, 24)), ("OPUS@48000h", 48000, 10.0, range(280, 340))],
)
def test_g722_and_opus_are_saved_as_they_sound(
    sim: Simulator, audio: AudioServer, tmp_path: Path, codec: str, rate: int, least: float, delays: range
) -> None:
    """Measured: G.722 34 and 36 dB, 22 samples late; Opus at 32 kbit/s 13 dB, 309 samples late."""
    pcm = voices(rate)
    result = saved(sim, audio, tmp_path, codec, rate, pcm)
    assert (result.wav.sample_rate, result.wav.channels) == (rate, 2)
    assert result.stream.sample_rate == rate
    for channel, track in enumerate(("inbound", "outbound")):
        got = result.wav.channel(channel)
        assert got == result.sent[track]  # nothing was lost or mixed up on the way
        decibels, delay = snr(pcm[channel], got, 1000)
        assert decibels > least
        assert delay in delays
        assert len(got) >= len(pcm[channel]) + 2 * delay  # with what the codec had held back


@pytest.mark.parametrize("codec", ["G722", "OPUS"])
def test_each_frame_is_decoded(sim: Simulator, audio: AudioServer, codec: str) -> None:
    rate = {"G722": 16000, "OPUS": 48000}[codec]
    pcm = voices(rate)[0][: rate // 5 * 2]
    with line(sim, says=Voice(pcm, rate)) as talk:
        with audio.listen(talk.call, codec=codec, timeout=PATIENCE) as stream:
            talk.phone.wait_for_stream().wait_for_speech()
        talk.call.hangup()
    frames = list(stream)
    assert {(frame.samples, frame.sample_rate, frame.encoding) for frame in frames} == {(rate // 50, rate, None)}
    assert [frame.timestamp for frame in frames] == [number / 50 for number in range(len(frames))]


# -- as a carrier sends it, written by hand ----------------------------------------------------------------------------


class Carrier:
    """A carrier's end of a media socket."""

    def __init__(self, server: AudioServer, encoding: str, rate: int, channels: int = 1) -> None:
        self._ws = websocket.create_connection(server.url, timeout=PATIENCE)
        self._number = 1
        self._say({"event": "connected", "protocol": "Call", "version": "0.2.0"})
        shape = {"encoding": encoding, "sampleRate": rate, "channels": channels}
        start = {"streamSid": "s", "accountSid": "a", "callSid": "c", "tracks": ["inbound"], "mediaFormat": shape}
        self._say({"event": "start", "sequenceNumber": "1", "start": start})

    def _say(self, message: dict[str, Any]) -> None:
        self._ws.send(json.dumps(message))

    def media(self, chunk: int, payload: bytes, track: str = "inbound") -> None:
        self._number += 1
        media = {
            "track": track,
            "chunk": str(chunk),
            "timestamp": str(20 * (chunk - 1)),
            "payload": base64.b64encode(payload).decode(),
        }
        self._say({"event": "media", "sequenceNumber": str(self._number), "media": media})

    def stop(self) -> None:
        self._number += 1
        self._say({"event": "stop", "sequenceNumber": str(self._number)})
        assert self._ws.recv_data()[0] == 8
        self._ws.shutdown()  # type: ignore[no-untyped-call]


def packets(codec: str, rate: int) -> list[bytes]:
    encoder = encoder_for(codec)
    assert encoder.sample_rate == rate
    return encoder.encode(voices(rate)[0][: rate * 2])[:25]


@pytest.mark.parametrize(("codec", "rate"), [("G722", 16000), ("OPUS", 48000)])
def test_duplicates_do_not_disturb_a_decoder(audio: AudioServer, codec: str, rate: int) -> None:
    heard = []
    for times in (1, 2):
        carrier = Carrier(audio, codec, rate)
        for number, packet in enumerate(packets(codec, rate)):
            for _ in range(times):
                carrier.media(number + 1, packet)
        carrier.stop()
        stream = audio.accept(PATIENCE)
        heard.append(b"".join(frame.pcm for frame in stream))
        assert stream.stats.duplicates == 25 * (times - 1)
    assert heard[0] == heard[1]
    assert len(heard[0]) == rate


def test_bad_packets_are_counted_and_the_stream_goes_on(
    audio: AudioServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    carrier = Carrier(audio, "audio/opus", 48000)
    good = packets("OPUS", 48000)
    for number, packet in enumerate(good):
        carrier.media(number + 1, b"\xff\xff\xff\xff" if number in (5, 6) else b"" if number == 7 else packet)
    carrier.stop()
    stream = audio.accept(PATIENCE)
    frames = list(stream)
    assert stream.end_reason == "stopped"
    assert stream.stats.bad_frames == 3
    assert stream.stats.frames == len(frames) == 22
    assert frames[5].timestamp == 0.16
    stream.save(tmp_path / "x.wav")
    saved_pcm = read_wav(tmp_path / "x.wav").pcm
    assert len(saved_pcm) == 25 * 960 * 2
    assert saved_pcm[5 * 1920 : 8 * 1920] == bytes(3 * 1920)  # the hole is silence
    assert saved_pcm[8 * 1920 :] == b"".join(frame.pcm for frame in frames[5:])
    lines = [record.getMessage() for record in caplog.records if "cannot be decoded" in record.getMessage()]
    assert len(lines) == 1


def test_decoders_go_with_their_stream_and_need_no_collector(audio: AudioServer) -> None:
    """FFmpeg's contexts are large, and the collector sees only the small objects that hold them."""
    stream: AudioStream | None
    gc.collect()
    others = [one for one in gc.get_objects() if type(one) is StreamDecoder]  # an earlier test's, kept by its report
    gc.disable()
    try:
        carrier = Carrier(audio, "OPUS", 48000)
        for number, packet in enumerate(packets("OPUS", 48000)):
            carrier.media(number + 1, packet)
        carrier.stop()
        stream = audio.accept(PATIENCE)
        assert stream.wait(PATIENCE)
        audio.close()  # its thread holds nothing any more
        assert len(stream.read(0.5)) == 48000
        stream = None
        now = [one for one in gc.get_objects() if type(one) is StreamDecoder]
        assert [one for one in now if not any(one is other for other in others)] == []
    finally:
        gc.enable()


def test_rubbish_on_many_invented_tracks_is_only_counted(audio: AudioServer) -> None:
    carrier = Carrier(audio, "OPUS", 48000)
    for number in range(50):
        carrier.media(1, b"\xff\xff\xff\xff", f"t{number}")
    carrier.media(1, packets("OPUS", 48000)[0])
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert [frame.track for frame in stream] == ["inbound"]
    assert stream.stats.bad_frames == 50


@pytest.mark.parametrize(
    ("encoding", "announced", "channels", "codec", "rate"),
    [
        ("opus", 48000, 2, "OPUS", 48000),  # SDP always says two channels
        ("audio/opus", 16000, 1, "OPUS", 48000),
        ("OPUS@48000h@20i", 0, 1, "OPUS", 48000),
        ("G722", 8000, 1, "G722", 16000),  # the RTP clock
        ("audio/x-G722;rate=16000", 16000, 1, "G722", 16000),
    ],
)
def test_whatever_rate_is_announced_frames_have_the_true_one(
    audio: AudioServer, encoding: str, announced: int, channels: int, codec: str, rate: int
) -> None:
    carrier = Carrier(audio, encoding, announced, channels)
    for number, packet in enumerate(packets(codec, rate)):
        carrier.media(number + 1, packet)
    carrier.stop()
    stream = audio.accept(PATIENCE)
    assert {(frame.sample_rate, frame.samples) for frame in stream} == {(rate, rate // 50)}
    assert stream.stats.seconds == 0.5
    assert stream.stats.gaps == 0


def test_without_the_extra_codecs_packets_are_delivered_raw(
    audio: AudioServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent = packets("OPUS", 48000)
    monkeypatch.setitem(sys.modules, "av", None)  # an import of it fails
    with caplog.at_level(logging.WARNING):
        carrier = Carrier(audio, "audio/opus", 48000)
        for number, packet in enumerate(sent):
            carrier.media(number + 1, packet)
        carrier.stop()
        stream = audio.accept(PATIENCE)
        frames = list(stream)
    assert [frame.data for frame in frames] == sent
    assert {(frame.encoding, frame.samples) for frame in frames} == {("audio/opus", 0)}
    uses = (lambda: frames[0].pcm, lambda: stream.read(1), lambda: stream.save(tmp_path / "x"))
    for use in (*uses, lambda: stream.resampled(16000), lambda: frames[0].array):
        with pytest.raises(UnsupportedCodec):
            use()
    assert 'pip install "av>=13"' in caplog.text


# -- at another rate ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["PCMU", "L16@24000h", "OPUS"])
@pytest.mark.parametrize("wanted", [16000, 24000])
def test_frames_at_another_rate(sim: Simulator, audio: AudioServer, codec: str, wanted: int) -> None:
    rate = {"PCMU": 8000, "L16@24000h": 24000, "OPUS": 48000}[codec]
    pcm = voices(rate)
    with line(sim, says=Voice(pcm[0], rate), hears=Voice(pcm[1], rate)) as talk:
        with audio.listen(talk.call, track="both", codec=codec, timeout=PATIENCE) as stream:
            sending = talk.phone.wait_for_stream()
            sending.wait_for_speech()
        talk.call.hangup()
    frames = list(stream.resampled(wanted))
    assert {(frame.samples, frame.sample_rate, frame.duration) for frame in frames} == {(wanted // 50, wanted, 0.02)}
    for track in ("inbound", "outbound"):
        got = b"".join(frame.pcm for frame in frames if frame.track == track)
        assert got == Resampler(rate, wanted).process(sending.sent[track])  # without a seam


@pytest.mark.parametrize("whose", ["listen", "server"])
@pytest.mark.parametrize(("codec", "rate"), [("PCMU", 8000), ("G722", 16000), ("OPUS", 48000), ("L16@24000h", 24000)])
def test_a_rate_asked_for_is_that_of_all_frames_and_not_of_the_file(
    sim: Simulator, tmp_path: Path, codec: str, rate: int, whose: str
) -> None:
    pcm = voices(rate)
    options = {"sample_rate": 16000}
    with AudioServer(**(options if whose == "server" else {"sample_rate": 48000})) as server:  # type: ignore[arg-type]
        result = saved(sim, server, tmp_path, codec, rate, pcm, **(options if whose == "listen" else {}))
    assert result.wav.sample_rate == rate
    assert result.wav.channel(0) == result.sent["inbound"]
    stream = result.stream
    assert stream.sample_rate == 16000
    wanted = {track: Resampler(rate, 16000).process(sent) for track, sent in result.sent.items()}
    assert stream.read(0.1, track="outbound") == wanted["outbound"][:3200]
    frames = list(stream)
    assert {(frame.samples, frame.sample_rate) for frame in frames} == {(320, 16000)}
    assert b"".join(frame.pcm for frame in frames if frame.track == "inbound") == wanted["inbound"]


def test_on_a_two_way_stream_the_rate_is_that_of_what_is_said_too(sim: Simulator, audio: AudioServer) -> None:
    said = voices(16000)[0][: 2 * 16000]
    with line(sim) as talk:
        with audio.connect(talk.call, sample_rate=16000, timeout=PATIENCE) as stream:
            assert stream.sample_rate == 16000
            stream.play(said, paced=False, timeout=PATIENCE)
            heard = talk.phone.wait_for_two_way_stream().heard_audio
        talk.call.hangup()
    pcmu = codec_for("PCMU")
    assert heard == pcmu.decode(pcmu.encode(resample(said, 16000, 8000)))


def test_a_rate_that_no_sound_can_be_changed_to_keeps_the_frames_as_they_come(caplog: pytest.LogCaptureFixture) -> None:
    with AudioServer(sample_rate=16000) as server:
        carrier = Carrier(server, "audio/x-L16", 15999)
        carrier.media(1, bytes(640))
        carrier.stop()
        stream = server.accept(PATIENCE)
        assert [(frame.samples, frame.sample_rate) for frame in stream] == [(320, 15999)]
    assert [line for line in caplog.messages if "announced 15999 Hz" in line]


@pytest.mark.parametrize("announced", [0, 300], ids=["said once", "said twice"])
def test_a_rate_that_no_call_has_is_not_believed(announced: int) -> None:
    """At 300 Hz one message would be an hour of sound."""
    with AudioServer(sample_rate=16000) as server:
        carrier = Carrier(server, "audio/x-L16;rate=300", announced)
        carrier.media(1, bytes(640))
        carrier.stop()
        assert [(frame.samples, frame.sample_rate) for frame in server.accept(PATIENCE)] == [(640, 16000)]


@pytest.mark.parametrize("announced", [1, 300, 3999, 384_001])
def test_a_rate_that_no_telephone_has_counts_as_none(announced: int) -> None:
    with AudioServer(sample_rate=16000) as server:
        carrier = Carrier(server, "audio/x-L16", announced)
        carrier.media(1, bytes(640))
        carrier.stop()
        stream = server.accept(PATIENCE)
        assert [(frame.samples, frame.sample_rate) for frame in stream] == [(640, 16000)]


@pytest.mark.parametrize("rate", [0, -8000, 16001, 16000.0, "16000", 400_000])
def test_rates_that_are_refused_before_anything_is_sent(sim: Simulator, audio: AudioServer, rate: Any) -> None:
    with pytest.raises(InvalidParameter, match="sample_rate"):
        AudioServer(sample_rate=rate)
    with line(sim) as talk:
        for command in (audio.listen, audio.connect):
            with pytest.raises(InvalidParameter, match="sample_rate"):
                command(talk.call, sample_rate=rate)
        assert not talk.phone.streams
    with pytest.raises(InvalidParameter, match="sample_rate"):
        audio.device(sample_rate=rate)


def test_without_the_extra_dsp_a_rate_cannot_be_asked_for(audio: AudioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "relay_sync.audio.dsp", raising=False)
    monkeypatch.setitem(sys.modules, "numpy", None)  # an import of it fails
    with pytest.raises(ImportError, match=r"numpy>=1.26"):
        AudioServer(sample_rate=16000)


def test_a_rate_that_cannot_be_is_told_before_the_first_frame(audio: AudioServer) -> None:
    carrier = Carrier(audio, "audio/x-mulaw", 8000)
    stream = audio.accept(PATIENCE)
    with pytest.raises(InvalidParameter, match="sample_rate"):
        stream.resampled(16001)
    carrier.stop()
