"""``stream.utterances()``: on every kind of stream, from frames as carriers send them, and with detectors that misbehave."""

from __future__ import annotations

import gc
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import InvalidParameter, UnsupportedCodec, WaitTimeout
from relay_sync.audio import AudioServer, AudioStream, codec_for
from relay_sync.audio.messages import media_message
from relay_sync.audio.speech import Energy, Utterances
from tests.support import PATIENCE
from tests.support.background import Background, until
from tests.support.carrier import Carrier
from tests.support.detectors import Loud
from tests.support.interrupts import interrupt, where_signals_are_seen
from tests.support.speech import scene, utterances
from tests.support.two_way_carrier import TwoWayCarrier

PCMU = codec_for("PCMU")
LOUD, QUIET = PCMU.encode(b"\x10\x27" * 160), PCMU.encode(bytes(320))
Dial = Callable[..., tuple[Carrier, AudioStream]]


@pytest.fixture
def dial(audio: AudioServer) -> Iterator[Dial]:
    """Starts a stream with these tracks: the carrier, and the stream."""
    made: list[Carrier] = []

    def make(*tracks: str, **options: Any) -> tuple[Carrier, AudioStream]:
        made.append(Carrier(audio.url).start(*tracks, **options))
        return made[-1], audio.accept(PATIENCE)

    yield make
    for carrier in made:
        carrier.ws.shutdown()  # type: ignore[no-untyped-call]


def say(carrier: Carrier, *parts: tuple[float, bytes], track: str = "inbound") -> None:
    """Send frames: how many seconds of each."""
    for seconds, payload in parts:
        for _ in range(round(seconds * 50)):
            carrier.media(payload, track=track)


TURN = ((0.2, QUIET), (0.5, LOUD), (0.7, QUIET))


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("relay-speech-")]


def test_speech_on_a_stream_beside_its_frames(dial: Dial) -> None:
    carrier, stream = dial()
    heard = stream.utterances(timeout=PATIENCE)
    spoken = scene(utterances()[:2])
    payload = PCMU.encode(spoken.pcm)
    for start in range(0, len(payload) - 159, 160):
        carrier.media(payload[start : start + 160])
    carrier.stop()
    found = list(heard)
    assert len(found) == 2
    for said, (since, until_then) in zip(found, spoken.spoken, strict=True):
        assert said.start == pytest.approx(since, abs=0.12)
        assert said.end == pytest.approx(until_then, abs=0.12)
        first = round(said.audio_start * 16000)
        assert said.pcm == spoken.pcm[first : first + len(said.pcm)]
    assert len(list(stream)) == len(payload) // 160, "frames that the iterator heard are still there"
    assert (heard.dropped, heard.discarded) == (0, 0)


def test_both_tracks_have_their_own_and_each_only_one(dial: Dial) -> None:
    carrier, stream = dial("inbound", "outbound")
    with (
        stream.utterances(vad=Loud(), timeout=PATIENCE) as inbound,
        stream.utterances("outbound_track", vad=Loud(), timeout=PATIENCE) as outbound,
    ):
        with pytest.raises(InvalidParameter, match="close the other iterator first"):
            stream.utterances("inbound")
        say(carrier, *TURN, track="outbound")
        say(carrier, (0.5, QUIET), *TURN)
        assert [(each.track, each.start) for each in (next(inbound), next(outbound))] == [
            ("inbound", 0.7),
            ("outbound", 0.2),
        ]
    with stream.utterances("inbound", vad=Loud(), timeout=PATIENCE) as again:
        say(carrier, *TURN)
        assert next(again).track == "inbound"
        assert "listening" in repr(again)
    assert "closed" in repr(again)
    assert threads() == []


def test_a_two_way_stream() -> None:
    with (
        AudioServer(two_way=True) as audio,
        TwoWayCarrier(audio) as carrier,
        carrier.stream.utterances(vad=Loud(), timeout=PATIENCE) as heard,
    ):
        assert carrier.stream.two_way
        numbers = itertools.count(1)
        for seconds, payload in TURN:
            for _ in range(round(seconds * 50)):
                number = next(numbers)
                carrier.ws.send(
                    media_message(
                        track="inbound", sequence=number + 1, chunk=number, timestamp=20 * (number - 1), payload=payload
                    )
                )
        assert (next(heard).start, heard.dropped) == (0.2, 0)


def test_frames_that_come_late_twice_or_not_at_all(dial: Dial) -> None:
    carrier, stream = dial()
    with stream.utterances(vad=Loud(), timeout=PATIENCE) as heard:
        say(carrier, (1, LOUD))
        carrier.media(LOUD, chunk=50)  # a duplicate
        carrier.media(LOUD, chunk=201)  # three seconds are missing
        carrier.media(QUIET, chunk=120)  # late
        say(carrier, (0.98, LOUD), (0.7, QUIET))
        said = next(heard)
    assert (said.start, said.end) == (0.0, 5.0)
    assert len(said.pcm) == 2 * 8000 * 2 + 2 * 2400
    assert (stream.stats.duplicates, stream.stats.late) == (1, 1)


def test_the_last_utterance_comes_with_the_end_of_the_stream(dial: Dial) -> None:
    carrier, stream = dial()
    heard = stream.utterances(vad=Loud(), timeout=PATIENCE)
    say(carrier, (0.5, LOUD))
    carrier.stop()
    assert [each.end for each in heard] == [0.5]
    assert list(heard) == []
    assert list(stream.utterances()) == [], "a stream that has ended says nothing"


def test_audio_that_waits_to_be_read_is_heard_first(dial: Dial) -> None:
    carrier, stream = dial()
    say(carrier, *TURN, (0.2, LOUD))
    until(lambda: stream.stats.frames == 80)
    with stream.utterances(vad=Loud(), timeout=PATIENCE) as heard:
        assert (next(heard).start, heard.dropped) == (0.2, 0)
        say(carrier, (0.2, LOUD), (0.7, QUIET))
        said = next(heard)
        assert said.start == 1.4
        assert said.end == pytest.approx(1.8)
    carrier.stop()
    assert len(list(stream)) == 125, "frames that the iterator heard are still there"


def test_audio_that_waits_is_heard_after_the_end_of_the_stream_too(dial: Dial) -> None:
    carrier, stream = dial()
    say(carrier, *TURN)
    carrier.stop()
    until(lambda: stream.ended)
    assert [each.end for each in stream.utterances(vad=Loud(), timeout=PATIENCE)] == [pytest.approx(0.7)]
    assert list(stream.utterances(vad=Loud(), timeout=PATIENCE)) == []


def test_audio_that_was_read_or_that_another_iterator_has_heard_is_not_heard_again(dial: Dial) -> None:
    carrier, stream = dial()
    say(carrier, *TURN)
    assert len(stream.read(1.4)) == 2 * 11200
    with stream.utterances(vad=Loud(), timeout=PATIENCE) as heard:
        say(carrier, *TURN)
        assert next(heard).start == pytest.approx(1.6)
    say(carrier, *TURN)
    until(lambda: stream.stats.frames == 210)
    with stream.utterances(vad=Loud(), timeout=PATIENCE) as again:
        assert next(again).start == pytest.approx(3.0)


def test_after_a_timeout_nothing_is_lost(dial: Dial) -> None:
    carrier, stream = dial()
    with stream.utterances(vad=Loud(), timeout=0.02) as heard:
        with pytest.raises(WaitTimeout, match=r"no utterance within 0\.02 s"):
            next(heard)
        say(carrier, *TURN, *TURN)
        until(lambda: len(heard._listening.ready) == 2)
        assert [next(heard).start for _ in range(2)] == [0.2, pytest.approx(1.6)]
        with pytest.raises(WaitTimeout):
            next(heard)


def test_ctrl_c_at_any_place_loses_nothing(dial: Dial) -> None:
    carrier, stream = dial()
    heard = stream.utterances(vad=Loud(), timeout=PATIENCE)
    say(carrier, *TURN, *TURN)
    carrier.stop()
    until(lambda: heard._listening.done)
    for step in itertools.count(1):
        first = heard._listening.ready[0]
        if not interrupt(step, heard.__next__, where_signals_are_seen):
            break
        assert next(heard) == first
        heard._given = False  # and again
    assert step > 3
    assert len(list(heard)) == 1


def test_wherever_ctrl_c_hits_the_start_the_track_is_free(dial: Dial) -> None:
    _, stream = dial()
    vad = Loud()

    for step in itertools.count(1):
        made: list[Utterances] = []
        again = interrupt(step, lambda: made.append(stream.utterances(vad=vad)), where_signals_are_seen)  # noqa: B023
        gc.collect(0)  # interrupt() keeps frames
        for each in made:
            each.close()
        stream.utterances(vad=vad).close()
        if not again:
            break
    assert step > 20
    until(lambda: threads() == [])


def test_the_start_of_speech_is_reported_at_once(dial: Dial) -> None:
    carrier, stream = dial()
    starts: list[tuple[float, str]] = []
    with stream.utterances(vad=Loud(), on_speech=lambda at: starts.append((at, threading.current_thread().name))):
        say(carrier, (0.2, QUIET), (0.2, LOUD))
        until(lambda: bool(starts))
        assert starts == [(0.2, *threads())]


def test_what_on_speech_raises_is_logged(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    def fail(start: float) -> None:
        raise ZeroDivisionError

    carrier, stream = dial()
    with stream.utterances(vad=Loud(), on_speech=fail, timeout=PATIENCE) as heard:
        say(carrier, *TURN)
        assert next(heard).start == 0.2
    until(lambda: any("on_speech failed for call call-1" in each.getMessage() for each in caplog.records))


class Broken(Loud):
    """Raises once it hears something."""

    def __call__(self, pcm: bytes) -> float:
        if super().__call__(pcm) > 0.5:
            raise ZeroDivisionError("broken")
        return 0.0


def test_what_a_detector_raises_comes_from_the_iterator_and_harms_nothing_else(dial: Dial) -> None:
    carrier, stream = dial()
    heard = stream.utterances(vad=Broken(), timeout=PATIENCE)
    say(carrier, *TURN)
    with pytest.raises(ZeroDivisionError, match="broken"):
        next(heard)
    assert list(heard) == []
    assert "ended" in repr(heard)
    assert stream.read_frame(PATIENCE) is not None
    assert len(stream.read(1.38)) == 2 * 11040
    with stream.utterances(vad=Loud(), timeout=PATIENCE) as again:
        say(carrier, *TURN)
        assert next(again).end == pytest.approx(2.1)


class Stuck(Loud):
    """Does not return until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()
        self.entered = threading.Event()

    def __call__(self, pcm: bytes) -> float:
        self.entered.set()
        self.may.wait(PATIENCE)
        return super().__call__(pcm)


def test_a_detector_that_is_behind_drops_the_oldest_audio_and_counts_it(caplog: pytest.LogCaptureFixture) -> None:
    with AudioServer(buffer_seconds=1.0) as server:
        carrier = Carrier(server.url).start()
        stream = server.accept(PATIENCE)
        vad = Stuck()
        with stream.utterances(vad=vad, timeout=PATIENCE) as heard:
            say(carrier, (0.02, QUIET))
            assert vad.entered.wait(PATIENCE)
            say(carrier, (2, QUIET), *TURN)
            until(lambda: stream.stats.frames == 171)
            assert heard.dropped > 100
            vad.may.set()
            assert next(heard).end == pytest.approx(2.72)
        carrier.ws.shutdown()  # type: ignore[no-untyped-call]
    until(lambda: any("is behind; dropping" in each.getMessage() for each in caplog.records))


@pytest.mark.slow
def test_a_detector_that_never_returns_does_not_keep_the_iterator(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    carrier, stream = dial()
    vad = Stuck()
    heard = stream.utterances(vad=vad)
    say(carrier, *TURN)
    assert vad.entered.wait(PATIENCE)
    waiting = Background(lambda: list(heard))
    carrier.stop()
    assert waiting.result(PATIENCE) == []
    vad.may.set()
    heard.close()
    until(lambda: any("has not returned" in each.getMessage() for each in caplog.records))


def test_close_ends_a_wait_and_an_iterator_that_is_forgotten_ends(dial: Dial) -> None:
    _, stream = dial()
    heard = stream.utterances(vad=Loud())
    waiting = Background(lambda: list(heard))
    heard.close()
    assert waiting.result() == []
    forgotten = stream.utterances()
    assert len(threads()) == 1
    del forgotten
    gc.collect()
    until(lambda: threads() == [])


def test_more_utterances_than_may_wait_are_dropped_and_counted(
    dial: Dial, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("relay_sync.audio.speech.utterances._MOST", 2)
    carrier, stream = dial()
    with stream.utterances(vad=Loud(), timeout=PATIENCE) as heard:
        say(carrier, *TURN, *TURN, *TURN, *TURN)
        until(lambda: heard.discarded == 2)
        assert [next(heard).start, next(heard).start] == [0.2, pytest.approx(1.6)]
    until(lambda: sum("wait for the program" in each.getMessage() for each in caplog.records) == 1)


def test_a_codec_that_cannot_be_decoded_is_refused_before_the_first_wait(dial: Dial) -> None:
    _, stream = dial(encoding="AMR")
    with pytest.raises(UnsupportedCodec, match="utterances: AMR"):
        stream.utterances()


@pytest.mark.parametrize(
    "options",
    [
        {"track": "outbound"},
        {"vad": Energy},
        {"silence": 0},
        {"longest": -1},
        {"timeout": "1"},
        {"on_speech": 5},
        {"on_speech": lambda: None},
    ],
)
def test_parameters_are_checked_and_nothing_is_left(dial: Dial, options: dict[str, Any]) -> None:
    _, stream = dial()
    (name,) = options
    with pytest.raises(InvalidParameter, match=name):
        stream.utterances(**options)
    assert threads() == []
    with stream.utterances() as heard:
        assert isinstance(heard, Utterances)


def test_another_rate_is_resampled_for_the_detector(dial: Dial) -> None:
    carrier, stream = dial(encoding="L16", rate=16000)
    loud, quiet = b"\x10\x27" * 320, bytes(640)
    with stream.utterances(vad=Loud(), timeout=PATIENCE) as heard:
        say(carrier, (0.2, quiet), (0.5, loud), (0.7, quiet))
        said = next(heard)
    assert said.sample_rate == 16000
    assert said.start == pytest.approx(0.2, abs=0.02)
    assert said.end == pytest.approx(0.7, abs=0.02)


def test_without_the_extra_dsp_another_rate_is_an_error_before_anything_waits(
    dial: Dial, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier, stream = dial(encoding="L16", rate=16000)
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "relay_sync.audio.dsp", raising=False)
        patch.setitem(sys.modules, "numpy", None)  # an import of it fails
        with pytest.raises(ImportError, match=r'need the numpy package.*pip install "numpy>=1\.26"'):
            stream.utterances(vad=Loud(sample_rate=8000))
        assert threads() == []
        with stream.utterances(vad=Loud(sample_rate=16000)):
            pass  # the track is free, and the same rate needs no numpy
    with stream.utterances(vad=Loud(sample_rate=8000), timeout=PATIENCE) as heard:
        say(carrier, (0.2, bytes(640)), (0.5, b"\x10\x27" * 320), (0.7, bytes(640)))
        assert next(heard).sample_rate == 16000
