"""A party that speaks and hears while the call goes on: what is fed reaches streams, what is played reaches the ear."""

from __future__ import annotations

import base64
import json
import time
from array import array
from collections.abc import Iterator

import pytest

from relay_sync.audio.pcm_codecs import codec_for
from relay_sync.errors import CallEnded, CommandRefused, InvalidParameter, WaitTimeout
from relay_sync.simulator import LiveEar, LiveSound, LiveVoice, Phone, Simulator
from tests.support import PATIENCE
from tests.support.background import until
from tests.support.peers import NUMBER, RING, Media, Peer, Receiver, address, connected
from tests.support.tones import tone

PCMU = codec_for("PCMU")
MUSIC = "https://media.test/music.wav"


def decoded(pcm: bytes) -> bytes:
    return PCMU.decode(PCMU.encode(pcm))


@pytest.fixture
def fast() -> Iterator[Simulator]:
    with Simulator(media="fast") as sim:
        yield sim


@pytest.fixture
def real() -> Iterator[Simulator]:
    with Simulator() as sim:
        yield sim


def streamed(peer: Peer, phone: Phone, receiver: Receiver, **how: str) -> Media:
    url = receiver.url
    assert peer.result("calling.stream", control_id="s", url=url, **how, **address(phone))["code"] == "200"
    media = receiver.next()
    media.wait_for(1, "start")
    return media


def two_way(peer: Peer, phone: Phone, receiver: Receiver) -> Media:
    devices = [[{"type": "stream", "params": {"url": receiver.url}}]]
    peer.result("calling.connect", devices=devices, **address(phone))
    media = receiver.next()
    media.wait_for(1, "start")
    return media


def play(media: Media, pcm: bytes) -> None:
    sid = media.of("start")[0]["start"]["streamSid"]
    payload = base64.b64encode(PCMU.encode(pcm)).decode()
    media.connection.send(json.dumps({"event": "media", "streamSid": sid, "media": {"payload": payload}}))


def heard(media: Media) -> bytes:
    return b"".join(PCMU.decode(base64.b64decode(each["media"]["payload"])) for each in media.of("media"))


def read(ear: LiveEar, samples: int) -> bytes:
    pcm = b""
    while len(pcm) < 2 * samples:
        sound = ear.read(PATIENCE)
        assert sound is not None
        pcm += sound.pcm
    return pcm


def hear(ear: LiveEar, wanted: bytes) -> None:
    """Read until the ear has heard this. Silence is delivered forever, so the reading has an end of its own."""
    pcm, end = b"", time.monotonic() + PATIENCE
    while wanted not in pcm:
        assert time.monotonic() < end
        sound = ear.read(PATIENCE)
        assert sound is not None
        pcm += sound.pcm


# -- the voice ---------------------------------------------------------------------------------------------------------


def test_without_a_clock_audio_is_sent_as_soon_as_it_is_fed(fast: Simulator) -> None:
    voice = LiveVoice()
    with connected(fast) as peer, Receiver() as receiver:
        phone = peer.answered(says=voice)
        media = streamed(peer, phone, receiver)
        for index in range(5):
            voice.feed(tone(160, index + 1))
            media.wait_for(index + 1)
        assert heard(media) == b"".join(decoded(tone(160, index + 1)) for index in range(5))
        phone.hang_up()


def test_in_real_time_audio_arrives_whole_in_order_and_soon(real: Simulator) -> None:
    voice = LiveVoice()
    with connected(real) as peer, Receiver() as receiver:
        phone = peer.answered(says=voice)
        media = streamed(peer, phone, receiver)
        media.wait_for(3)
        sent = tone(1600)
        voice.feed(sent)
        began = time.monotonic()
        media.wait_for(3 + 14)
        assert time.monotonic() - began < 2
        assert decoded(sent) in heard(media)
        assert (voice.late, voice.trimmed) == (0, 0.0)
        phone.hang_up()


def test_a_stream_of_another_rate_gets_the_same_sound_resampled(real: Simulator) -> None:
    voice = LiveVoice(rate=16000)
    loud = b"".join((8000 if index // 20 % 2 else -8000).to_bytes(2, "little", signed=True) for index in range(3200))
    with connected(real) as peer, Receiver() as receiver:
        phone = peer.answered(says=voice)
        media = streamed(peer, phone, receiver)
        media.wait_for(2)
        voice.feed(loud)
        until(lambda: max(map(abs, array("h", heard(media)))) > 6000)
        phone.hang_up()


def test_a_muted_voice_is_silent(fast: Simulator) -> None:
    voice = LiveVoice()
    with connected(fast) as peer, Receiver() as receiver:
        phone = peer.answered(says=voice)
        media = streamed(peer, phone, receiver)
        voice.muted = True
        voice.feed(tone(160))
        media.wait_for(1)
        voice.muted = False
        voice.feed(tone(160))
        media.wait_for(2)
        assert heard(media) == decoded(bytes(320)) + decoded(tone(160))


def test_a_phone_that_the_program_calls_speaks_live(fast: Simulator) -> None:
    fast.expect_phone(NUMBER, answers_after=None)
    voice = LiveVoice()
    with connected(fast) as peer, Receiver() as receiver:
        peer.result("calling.dial", tag="t", devices=[[RING]])
        until(lambda: bool(fast.phones))
        (phone,) = fast.phones
        phone.speak(voice)
        phone.answer()
        media = streamed(peer, phone, receiver)
        voice.feed(tone(160))
        media.wait_for(1)
        assert heard(media) == decoded(tone(160))
        with pytest.raises(CommandRefused, match="already speaks"):
            phone.speak(LiveVoice())
        phone.hang_up()
        with pytest.raises(CallEnded):
            phone.speak(LiveVoice())


def test_bad_voices_are_refused(fast: Simulator) -> None:
    with pytest.raises(InvalidParameter, match="rate"):
        LiveVoice(rate=44100)
    voice = LiveVoice()
    with pytest.raises(InvalidParameter, match="pcm"):
        voice.feed(b"\0")
    for at in (-1, 1.5, True):
        with pytest.raises(InvalidParameter, match="at"):
            voice.feed(b"\0\0", at)  # type: ignore[arg-type]  # on purpose
    voice.feed(b"\0\0", 7)  # nobody hears it
    fast.call(to="+15550100", from_="+15550199", says=voice)
    with pytest.raises(InvalidParameter, match="no other call"):
        fast.call(to="+15550100", from_="+15550199", says=voice)
    with pytest.raises(InvalidParameter, match="hangs_up_after_speaking"):
        fast.call(to="+15550100", from_="+15550199", says=LiveVoice(), hangs_up_after_speaking=True)
    with Simulator(speed=2.0) as sim, pytest.raises(InvalidParameter, match="speed is 2"):
        sim.call(to="+15550100", from_="+15550199", says=LiveVoice())
    (phone,) = fast.phones
    with pytest.raises(InvalidParameter, match="voice"):
        phone.speak("hello")  # type: ignore[arg-type]  # on purpose


@pytest.mark.slow
def test_a_recording_lasts_as_long_as_a_live_party_speaks_and_contains_it(real: Simulator) -> None:
    voice = LiveVoice()
    audio = {"format": "wav", "direction": "speak", "initial_timeout": 5, "end_silence_timeout": 0.5}
    with connected(real) as peer:
        phone = peer.answered(says=voice)
        peer.result("calling.record", control_id="r", record={"audio": audio}, **address(phone))
        due = time.monotonic()
        for _ in range(60):
            voice.feed(tone(160))
            due += 0.02
            time.sleep(max(0.0, due - time.monotonic()))
        finished = peer.event("calling.call.record", "finished")
        assert 1.2 < finished["duration"] < 4
        phone.hang_up()


# -- the ear -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("media", ["fast", "realtime"])
def test_the_ear_hears_what_an_endpoint_plays(media: str) -> None:
    with Simulator(media=media) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        ear = phone.listen()
        line = two_way(peer, phone, receiver)
        play(line, tone(800))
        hear(ear, decoded(tone(800)))
        phone.hang_up()


def test_the_ear_hears_sounds_that_are_played_and_the_other_party(fast: Simulator) -> None:
    fast.expect_sound(MUSIC, tone(800))
    with connected(fast) as peer:
        phone = peer.answered()
        ear = phone.listen()
        media = [{"type": "audio", "params": {"url": MUSIC}}]
        peer.result("calling.play", control_id="p", play=media, **address(phone))
        assert read(ear, 800) == tone(800)
        phone.hang_up()
        assert ear.read(PATIENCE) is None


def test_in_real_time_silence_is_delivered_and_positions_go_on(real: Simulator) -> None:
    with connected(real) as peer:
        phone = peer.answered()
        ear = phone.listen(16000)
        sounds = [ear.read(PATIENCE) for _ in range(10)]
        assert all(each is not None and each.pcm == bytes(640) and each.rate == 16000 for each in sounds)
        places = [each.at for each in sounds if each is not None]
        assert places == sorted(set(places))
        phone.hang_up()
        while ear.read(PATIENCE) is not None:
            pass


def test_a_live_voice_is_echoed_to_the_ear(real: Simulator) -> None:
    voice = LiveVoice()
    with connected(real) as peer:
        phone = peer.answered(says=voice)
        ear = phone.listen()
        peer.result("calling.echo", control_id="e", **address(phone))
        ear.read(PATIENCE)
        voice.feed(tone(800))
        hear(ear, tone(800))
        phone.hang_up()


def test_a_pause_discards_and_a_slow_reader_loses_the_oldest(real: Simulator) -> None:
    with connected(real) as peer:
        phone = peer.answered()
        ear = phone.listen()
        ear.paused = True
        late: list[LiveSound] = []
        phone.listen(on_sound=late.append)
        until(lambda: len(late) > 5)
        while True:  # what came before the pause
            try:
                ear.read(0)
            except WaitTimeout:
                break
        seen = len(late)
        until(lambda: len(late) > seen + 5)
        with pytest.raises(WaitTimeout):
            ear.read(0)
        ear.close()
        assert ear.read(PATIENCE) is None
        phone.hang_up()


def test_listening_before_the_answer_and_after_the_end(fast: Simulator) -> None:
    fast.expect_sound(MUSIC, tone(80))
    with connected(fast) as peer:
        phone = fast.call(to="+15550100", from_="+15550199", hears=tone(80))
        ear = phone.listen()
        with pytest.raises(WaitTimeout):
            ear.read(0)
        peer.event("calling.call.receive")
        peer.result("calling.answer", **address(phone))
        assert read(ear, 80) == tone(80)
        phone.hang_up()
        assert ear.read(PATIENCE) is None
        with pytest.raises(CallEnded):
            phone.listen()
        with pytest.raises(InvalidParameter, match="rate"):
            phone.listen(44100)
