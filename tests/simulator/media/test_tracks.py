"""What is on the outbound track of a stream, and in a recording: what the party hears."""

from __future__ import annotations

import io
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from relay_sync import Call, devices
from relay_sync.audio import AudioServer
from relay_sync.audio.wav import read_wav
from relay_sync.call.actions import PlayAction
from relay_sync.simulator import Phone, Simulator, Stream
from relay_sync.simulator.media.hearing import Tape
from relay_sync.simulator.media.voice import Voice
from tests.support import PATIENCE
from tests.support.lines import FROM, TO, Line, line

ONE = "+15550101"
URL = "https://media.test/hello.wav"
SOUND = {"type": "audio", "params": {"url": URL}}
CODEC = "L16@8000h"


def ramp(count: int, step: int = 1) -> bytes:
    """A sound in which no sample is like another, and none is silent."""
    return array("h", [step * (1 + number) for number in range(count)]).tobytes()


def loud(pcm: bytes) -> list[int]:
    """The samples that are not silent."""
    return [sample for sample in array("h", pcm) if sample]


HELLO, AGENT = ramp(8000), ramp(8000, -1)


@pytest.fixture(params=["realtime", "fast"])
def one(request: pytest.FixtureRequest) -> Iterator[Line]:
    with Simulator(media=request.param, speed=20.0) as sim, line(sim) as found:
        sim.expect_sound(URL, HELLO)
        sim.expect_phone(ONE, says=AGENT, answers_after=0.1)
        yield found


@pytest.fixture
def audio() -> Iterator[AudioServer]:
    with AudioServer() as server:
        yield server


def heard(one: Line, audio: AudioServer, act: Callable[[], object], enough: Callable[[bytes], bool]) -> bytes:
    """What is on the outbound track of a stream while something is done, until that is enough."""
    with audio.listen(one.call, track="outbound", codec=CODEC):
        stream = one.phone.wait_for_stream(len(one.phone.streams) - 1)
        stream.wait_until("streaming", PATIENCE)
        act()
        stream.wait_for(lambda each: enough(outbound(each)), PATIENCE, "what is to be heard")
        return outbound(stream)


def outbound(stream: Stream) -> bytes:
    return stream.sent["outbound"]


def whole(pcm: bytes) -> Callable[[bytes], bool]:
    return lambda sent: pcm in sent


def connect(call: Call, device: dict[str, Any]) -> None:
    with call.expect("calling.call.connect", lambda event: event.connect_state == "connected", PATIENCE):
        call.connect([[device]])


def test_a_sound_that_is_played_is_heard_sample_for_sample(one: Line, audio: AudioServer) -> None:
    sent = heard(one, audio, lambda: one.call.play([SOUND, SOUND]), whole(HELLO + HELLO))
    assert loud(sent) == loud(HELLO) * 2


def test_somebody_on_the_other_side_of_a_bridge_is_heard(one: Line, audio: AudioServer) -> None:
    sent = heard(one, audio, lambda: connect(one.call, devices.phone(ONE)), whole(AGENT))
    assert loud(sent) == loud(AGENT)


def test_somebody_who_was_there_before_the_stream_is_heard_from_his_first_word(one: Line, audio: AudioServer) -> None:
    connect(one.call, devices.phone(ONE))
    assert loud(heard(one, audio, lambda: None, whole(AGENT))) == loud(AGENT)


def test_who_is_not_there_any_more_is_not_heard(one: Line, audio: AudioServer) -> None:
    connect(one.call, devices.phone(ONE))
    with one.call.expect("calling.call.connect", lambda event: event.connect_state == "disconnected", PATIENCE):
        one.call.disconnect()
    assert loud(heard(one, audio, lambda: one.call.play([SOUND]), whole(HELLO))) == loud(HELLO)


def another(one: Line, **caller: Any) -> tuple[Phone, Call]:
    phone = one.sim.call(to=TO, from_=FROM, **caller)
    call = one.desk.take()
    call.answer()
    return phone, call


@pytest.mark.parametrize("muted", [False, True])
def test_those_in_a_conference_are_heard_unless_they_are_muted(one: Line, audio: AudioServer, muted: bool) -> None:
    _, other = another(one, says=AGENT)
    one.call.join_conference("room")

    def act() -> None:
        other.join_conference("room", muted=muted)
        if muted:
            one.call.play([SOUND])

    assert loud(heard(one, audio, act, whole(HELLO if muted else AGENT))) == loud(HELLO if muted else AGENT)


def test_with_an_echo_somebody_hears_himself(audio: AudioServer) -> None:
    with Simulator(speed=20.0) as sim, line(sim, says=AGENT) as one:
        one.call.echo(timeout=120)
        assert loud(heard(one, audio, lambda: None, whole(AGENT))) == loud(AGENT)


@pytest.fixture
def slow() -> Iterator[Line]:
    """One to whom a long sound can be played that is caught in its middle."""
    with Simulator(speed=15.0) as sim, line(sim) as found:
        sim.expect_sound(URL, ramp(30000))
        yield found


def in_the_middle(one: Line) -> PlayAction:
    action = one.call.play([SOUND])
    one.phone.wait_until_heard(URL, PATIENCE)
    return action


def test_of_a_sound_that_is_stopped_no_more_is_heard(slow: Line, audio: AudioServer) -> None:
    def act() -> None:
        in_the_middle(slow).stop()
        slow.phone.wait_until_idle(PATIENCE)

    sent = loud(heard(slow, audio, act, lambda sent: loud(sent) != [] and sent.endswith(bytes(3200))))
    (item,) = slow.phone.heard
    assert sent == list(range(1, len(sent) + 1))
    assert len(sent) / 8000 == pytest.approx(item.duration, abs=0.1)


def test_a_pause_is_silence_and_nothing_is_lost_in_it(slow: Line, audio: AudioServer) -> None:
    def act() -> None:
        action = in_the_middle(slow)
        action.pause()
        slow.call.play([{"type": "silence", "params": {"duration": 0.5}}]).wait(PATIENCE)
        action.resume()
        action.wait(PATIENCE)

    sent = heard(slow, audio, act, lambda sent: loud(sent)[-1:] == [30000])
    assert loud(sent)[:100] == list(range(1, 101))
    assert len(loud(sent)) == pytest.approx(30000, abs=320)  # a frame at each cut
    assert bytes(4000) in sent.strip(b"\0")


def test_a_recording_has_what_was_heard_when_it_was_heard(one: Line) -> None:
    recording = one.call.record({"format": "wav", "direction": "listen"})
    one.call.play([SOUND]).wait(PATIENCE)
    recording.pause()
    one.call.play([SOUND]).wait(PATIENCE)
    recording.resume()
    one.call.play([SOUND]).wait(PATIENCE)
    recording.stop()
    recording.wait(PATIENCE)
    reply = requests.get(recording.url, timeout=PATIENCE)
    file = read_wav(io.BytesIO(reply.content))
    samples = loud(file.pcm)
    assert samples[:7900] == list(range(1, 7901))
    assert len(samples) == pytest.approx(2 * 8000, abs=200)
    assert len(file.pcm) / 2 / 8000 == pytest.approx(recording.duration, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("behavior", ["silence", "skip"])
def test_speech_during_a_pause_is_not_recorded(behavior: str) -> None:
    """In real time only: with ``media="fast"``, all of the speech passes within the milliseconds that a command takes."""
    second = {"type": "silence", "params": {"duration": 1}}
    long = array("H", range(1, 1 << 16)).tobytes()  # 8 s
    with Simulator(speed=2.0) as sim, line(sim, says=long, hears=long) as one:
        recording = one.call.record({"format": "wav", "stereo": True})
        one.call.play([second]).wait(PATIENCE)
        recording.pause(behavior)
        one.call.play([second]).wait(PATIENCE)
        recording.resume()
        one.call.play([second]).wait(PATIENCE)
        recording.stop()
        recording.wait(PATIENCE)
        file = read_wav(io.BytesIO(requests.get(recording.url, timeout=PATIENCE).content))
    assert len(file.pcm) / 4 / 8000 == pytest.approx(recording.duration, abs=0.01)
    channels = array("H", file.pcm)
    for samples in (channels[::2], channels[1::2]):
        spoken = [sample for sample in samples if sample]
        cut = next(place for place, sample in enumerate(spoken) if sample != place + 1)
        assert cut > 7900
        assert spoken[cut] - cut > 7900
        assert spoken[cut:] == list(range(spoken[cut], spoken[-1] + 1))
        silent = samples.index(spoken[cut]) - cut
        assert silent == (pytest.approx(spoken[cut] - cut, abs=2) if behavior == "silence" else 0)


def test_pieces_on_a_tape_are_mixed_and_forgotten() -> None:
    tape = Tape(Voice(ramp(10)))
    piece = tape.put(5 / 8000, Voice(ramp(10)), 2 / 8000)
    assert list(array("h", tape.render(0, 15, 8000))) == [1, 2, 3, 4, 5, 9, 11, 13, 15, 17, 8, 9, 10, 0, 0]
    assert (tape.samples_at(8000), round(tape.duration, 6)) == (13, 13 / 8000)
    piece.cut(7 / 8000)
    assert list(array("h", tape.render(4, 5, 8000))) == [5, 9, 11, 8, 9]
    tape.forget(7 / 8000)
    assert tape.samples_at(8000) == 10
