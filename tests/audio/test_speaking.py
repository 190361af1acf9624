"""Speaking on two-way streams: what is played is heard, marks, clearing, barge-in, and everything that can go wrong.

Mostly against the simulator, which counts its time in frames; what is sent is also read by a plain peer, by hand.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import os
import random
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from relay_sync import (
    CommandRefused,
    ConnectEvent,
    InvalidParameter,
    QueueFull,
    StreamFailed,
    StreamIsOneWay,
    UnsupportedCodec,
    WaitTimeout,
    devices,
)
from relay_sync.audio import (
    AudioFrame,
    AudioServer,
    AudioStream,
    PlaybackResult,
    WavAudio,
    codec_for,
    read_wav,
    write_wav,
)
from relay_sync.simulator import Simulator, TwoWayStream
from relay_sync.simulator.media.voice import Voice
from relay_sync.threads import logs
from tests.support.background import Background
from tests.support.clocks import leapt, stopped
from tests.support.forks import holds_in_child, raises_forked
from tests.support.lines import NOWHERE, Line, line
from tests.support.tones import tone
from tests.support.two_way_carrier import PATIENCE, TwoWayCarrier

PCMU = codec_for("PCMU")


@define
class Talk:
    """A call that is connected to us, from all sides."""

    line: Line
    audio: AudioServer
    stream: AudioStream
    far: TwoWayStream

    def heard(self) -> bytes:
        return self.line.phone.heard_audio


@contextmanager
def talk(
    media: str = "fast", *, says: bytes | Voice | None = None, server: dict[str, Any] | None = None, **options: Any
) -> Iterator[Talk]:
    with Simulator(media=media) as sim, line(sim, says=says) as found, AudioServer(**(server or {})) as audio:
        with audio.connect(found.call, **options) as stream:
            yield Talk(found, audio, stream, found.phone.wait_for_two_way_stream())
        found.call.hangup()


# -- what is played is heard ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "name", "rate"),
    [
        ("PCMU", "PCMU", 8000),
        ("PCMA", "PCMA", 8000),
        ("L16", "L16", 8000),
        ("L16@16000h", "L16", 16000),
        ("L16@24000h", "L16", 24000),
    ],
)
@pytest.mark.parametrize("paced", [True, False])
def test_both_ways_sample_for_sample(codec: str, name: str, rate: int, paced: bool) -> None:
    coder = codec_for(name, rate)
    said, told = tone(4000), tone(rate // 4 + 77)
    with talk(says=said, codec=codec) as it:
        assert it.stream.two_way
        assert it.stream.sample_rate == rate
        heard = it.stream.play(told, paced=paced, timeout=PATIENCE)
        assert heard == PlaybackResult(samples=rate // 4 + 77, sample_rate=rate, ended_by="played")
        assert heard.complete
        assert heard.seconds == pytest.approx(0.25, abs=0.01)
        assert it.heard() == coder.decode(coder.encode(told))
        hears = it.stream.read(0.5, PATIENCE)
        if rate == 8000:
            assert hears == coder.decode(coder.encode(said))
        else:
            assert len(hears) == rate
        assert hears == it.far.sent["inbound"][: len(hears)]
        assert not it.far.notices


@pytest.mark.parametrize(
    ("codec", "rate", "least"),
    [
        ("PCMU", 8000, None),
        ("PCMA", 8000, None),
        ("L16", 8000, None),
        ("L16@16000h", 16000, None),
        ("L16@24000h", 24000, None),
        pytest.param("G722", 16000, 30.0, marks=pytest.mark.slow),
        pytest.param("OPUS@48000h", 48000, 10.0, marks=pytest.mark.slow),
    ],
)
def test_what_both_sides_say_is_saved_and_heard(tmp_path: Path, codec: str, rate: int, least: float | None) -> None:
    """Two seconds of speech each way. To the bit where the codec allows; else by signal to noise in dB, as one-way."""
    pytest.importorskip("numpy")
    pytest.importorskip("av")
    from tests.support.voices import snr, voices

    says, tells = voices(rate)
    with talk(says=Voice(says, rate), codec=codec) as it:
        assert it.stream.play(tells, paced=False, timeout=PATIENCE).samples == len(tells) // 2
        it.far.wait_for_speech()
        it.line.phone.hang_up()
        assert it.stream.wait(PATIENCE)
        heard, sent = it.heard(), it.far.sent["inbound"]
    assert it.stream.end_reason == "stopped"
    it.stream.save(tmp_path / "call.wav")
    saved = read_wav(tmp_path / "call.wav")
    assert (saved.sample_rate, saved.channels, saved.pcm) == (rate, 1, sent)
    for said, got in ((says, saved.pcm), (tells, heard)):
        if least is None:
            coder = codec_for(codec)
            assert got[: len(said)] == coder.decode(coder.encode(said))
        else:
            assert snr(said, got, 1000)[0] > least


@pytest.mark.parametrize("codec", ["G722", "OPUS"])
def test_codecs_with_state_are_played_in_whole_packets(codec: str) -> None:
    pytest.importorskip("av")
    with talk(codec=codec) as it:
        rate = it.stream.sample_rate
        heard = it.stream.play(tone(rate // 2 + 11, step=7), timeout=PATIENCE)
        assert heard == PlaybackResult(samples=rate // 2 + 11, sample_rate=rate, ended_by="played")
        assert rate // 2 + 11 <= len(it.heard()) // 2 <= rate // 2 + rate // 20
        assert any(it.heard())
        assert not it.far.notices


def test_what_is_played_comes_one_after_the_other() -> None:
    with talk(codec="L16") as it:
        first = it.stream.play(tone(900, 3), wait=False)
        second = it.stream.play((tone(500, 5) for _ in range(2)), wait=False)
        assert second.heard is None
        assert it.stream.play(tone(300, 7), timeout=PATIENCE).complete
        assert first.done
        assert second.done
        assert [playback.wait(0) for playback in (first, second)] == [first.heard, second.heard]
        assert it.heard() == tone(900, 3) + tone(500, 5) * 2 + tone(300, 7)


def test_what_is_played_is_heard_where_the_clock_stands_still() -> None:
    with talk(media="realtime", codec="L16") as it:
        with stopped():
            playback = it.stream.play(tone(800), wait=False)
            assert Background(playback.wait, PATIENCE).result().complete


def test_a_leap_of_the_clock_is_no_silence() -> None:
    with talk(codec="L16", server={"idle_timeout": 30.0}) as it:
        assert it.stream.play(tone(80), timeout=PATIENCE).complete
        with leapt():
            assert it.stream.play(tone(80), timeout=PATIENCE).complete
            assert not it.stream.ended


@pytest.mark.slow  # the clock is believed for a second
def test_a_leap_of_the_clock_in_the_middle_of_a_turn_is_no_silence() -> None:
    """Right before it looks what is due: where much goes on, a machine that falls asleep does so at such a moment."""
    with talk(codec="L16") as it, ExitStack() as after_it:
        speaker = it.stream._core.speaker
        assert speaker is not None
        playback = it.stream.play(tone(1600), wait=False)
        has_leapt = threading.Event()

        def leap() -> None:
            after_it.enter_context(leapt())
            has_leapt.set()

        speaker._hand_over(leap)
        assert has_leapt.wait(PATIENCE)
        assert playback.wait(5.0).complete


def test_files_and_wavs(tmp_path: Path) -> None:
    path = tmp_path / "prompt.wav"
    write_wav(path, tone(700), 8000)
    with talk(codec="L16") as it:
        for what in (path, str(path), path.read_bytes(), WavAudio(pcm=tone(700), sample_rate=8000, channels=1)):
            assert it.stream.play(what, timeout=PATIENCE).samples == 700
        assert it.stream.play(bytearray(tone(20)), sample_rate=8000, timeout=PATIENCE).samples == 20
        with open(path, "rb") as file:  # an iterable, too, of lines
            assert it.stream.play(file, timeout=PATIENCE).samples == 700
        assert it.heard() == tone(700) * 4 + tone(20) + tone(700)


def test_another_sample_rate_is_changed(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    sound = b"".join(round(9000 * math.sin(index * 0.2)).to_bytes(2, "little", signed=True) for index in range(16000))
    write_wav(tmp_path / "16.wav", sound, 16000)
    with talk(codec="L16") as it:
        assert it.stream.play(tmp_path / "16.wav", paced=False, timeout=PATIENCE).samples == 8000
        whole = it.heard()
        assert it.stream.play(sound, sample_rate=16000, paced=False, timeout=PATIENCE).samples == 8000
        assert it.heard() == whole * 2
        samples = memoryview(whole).cast("h")
        assert max(abs(samples[index] - 9000 * math.sin(index * 0.4)) for index in range(100, 7900)) < 30
        pieces = (sound[start : start + 640] for start in range(0, len(sound), 640))
        assert 8000 <= it.stream.play(pieces, sample_rate=16000, paced=False, timeout=PATIENCE).samples < 8100


def test_another_sample_rate_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "relay_sync.audio.dsp", None)
    with talk() as it:
        for what in (tone(100), [tone(100)], WavAudio(pcm=tone(100), sample_rate=16000, channels=1)):
            with pytest.raises(InvalidParameter, match=r'sample_rate=16000.*8000, the rate of the stream.*"numpy>='):
                it.stream.play(what, sample_rate=16000)


def test_an_iterable_may_be_cut_anywhere() -> None:
    pcm = tone(1000)
    with talk(codec="L16") as it:
        heard = it.stream.play((pcm[start : start + 333] for start in range(0, 2000, 333)), timeout=PATIENCE)
        assert (heard.samples, it.heard()) == (1000, pcm)


def test_an_iterable_that_ends_within_a_sample_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    with talk(codec="L16") as it:
        assert it.stream.play(iter([b"\1\0\2", b"\0\3"]), timeout=PATIENCE).samples == 2
    logs.flush(PATIENCE)
    assert "an audio iterable ended in the middle of a 16-bit sample; its last byte is not played" in caplog.text


def test_an_iterable_that_gives_sample_by_sample_is_sent_in_frames() -> None:
    pcm = tone(500)
    with talk(codec="L16") as it:
        samples = (pcm[start : start + 1] for start in range(1000))
        assert it.stream.play(samples, timeout=PATIENCE).samples == 500
        assert it.heard() == pcm
        assert [count for _, count in it.far.arrivals] == [160, 160, 160, 20]


def test_an_echo_hears_itself() -> None:
    with talk(says=tone(4000), codec="L16") as it:
        heard = it.stream.play(itertools.islice(it.stream, 25), timeout=PATIENCE)
        assert (heard.samples, it.heard()) == (4000, tone(4000))


def test_nothing_at_all_can_be_played() -> None:
    with talk() as it:
        for nothing in (b"", [], [b""]):
            assert it.stream.play(nothing, timeout=PATIENCE) == PlaybackResult(
                samples=0, sample_rate=8000, ended_by="played"
            )


# -- pace ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_pace_does_not_drift() -> None:
    """100 frames by the clock of the far side: those at the end are as late as those at the beginning, and no earlier."""
    with talk("realtime") as it:
        assert it.stream.play(tone(16000), timeout=PATIENCE).complete
        arrivals = list(it.far.arrivals)
        assert [samples for _, samples in arrivals] == [160] * 100
        late = [position - arrivals[0][0] - 160 * number for number, (position, _) in enumerate(arrivals)]
        # 80 ms are sent ahead, and arrivals are told in whole intervals of 20 ms.
        assert min(late[-20:]) <= 0, late
        assert max(late[-20:]) >= -640 - 320, late


@pytest.mark.slow
def test_a_source_that_pauses_is_not_made_up_for_by_a_burst() -> None:
    """What comes after a pause is paced as before: its frames are as far apart as it is long."""
    go = threading.Event()

    def source() -> Iterator[bytes]:
        yield tone(800)
        assert go.wait(PATIENCE)
        yield tone(8000, 41)

    with talk("realtime", codec="L16") as it:
        playing = Background(lambda: it.stream.play(source()))
        it.far.wait_for(lambda far: len(far.arrivals) == 5)
        frames = it.far.frames_sent["inbound"]
        it.far.wait_for(lambda far: far.frames_sent["inbound"] >= frames + 20)
        go.set()
        assert playing.result(PATIENCE).samples == 8800
        assert it.heard() == tone(800) + tone(8000, 41)
        later = [position for position, _ in list(it.far.arrivals)[5:]]
        assert len(later) == 50
        assert later[-1] - later[0] >= 160 * 25


def test_what_is_paced_is_not_sent_all_at_once() -> None:
    with talk("realtime", realtime=True) as it:
        playback = it.stream.play(tone(8000) * 10, wait=False)
        it.far.wait_for(lambda far: len(far.arrivals) > 10)
        it.stream.clear()
        assert playback.wait(PATIENCE).samples < 80_000
        assert len(it.far.arrivals) < 400


def test_bursts_on_realtime_streams_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with talk("realtime", realtime=True) as it:
        it.stream.play(tone(8000), paced=False, timeout=PATIENCE)
        it.stream.play(tone(160), paced=False, timeout=PATIENCE)
        assert list(it.far.notices) == ["burst"]
    assert caplog.text.count("play(paced=False) on a stream with realtime=True") == 1


def test_how_far_it_is() -> None:
    with talk("realtime") as it:
        playback = it.stream.play(tone(8000), wait=False, paced=False)
        assert playback.heard is None
        seen = [playback.seconds]
        while not playback.done:
            seen.append(playback.seconds)
        assert seen[0] < 0.5
        assert max(seen) <= 1.0
        assert playback.seconds == 1.0
        assert "1.0 s heard" in repr(playback)


def test_what_is_not_paced_waits_at_the_far_side() -> None:
    with talk("realtime") as it:
        playback = it.stream.play(tone(8000) * 10, wait=False, paced=False)
        it.far.wait_for(lambda far: far.waiting > 9)
        assert not playback.done
        it.stream.clear()
        it.far.wait_for(lambda far: far.waiting == 0)


def test_an_endless_iterable_is_taken_as_it_is_needed() -> None:
    taken = itertools.count()
    with talk("realtime") as it:
        playback = it.stream.play((tone(160) for _ in taken), wait=False)
        it.far.wait_for(lambda far: len(far.arrivals) > 10)
        it.stream.clear()
        playback.wait(PATIENCE)
        assert next(taken) <= len(it.far.arrivals) + 8000 // 160 + 2


# -- marks ---------------------------------------------------------------------------------------------------------------


def test_marks_come_back_when_all_before_them_was_heard() -> None:
    with talk("realtime") as it:
        assert it.stream.wait_for_mark(it.stream.mark(), PATIENCE)
        it.stream.play(tone(2400), wait=False)
        name = it.stream.mark("after")
        assert name == "after"
        assert it.stream.wait_for_mark("after", PATIENCE)
        assert len(it.heard()) == 4800
        assert it.stream.wait_for_mark("after", 0)  # it is remembered
        assert it.stream.marks[1:] == ("after",)  # and our own marks are no business of anybody


def test_a_mark_that_is_cleared_was_not_heard() -> None:
    with talk("realtime") as it:
        it.stream.play(tone(8000) * 20, wait=False, paced=False)
        sent = it.stream.mark("sent")
        it.stream.play(tone(8000) * 20, wait=False)
        waiting = it.stream.mark("waiting")
        with pytest.raises(WaitTimeout, match="did not return within"):
            it.stream.wait_for_mark(sent, 0.05)
        it.stream.clear()
        assert not it.stream.wait_for_mark(sent, PATIENCE)
        assert not it.stream.wait_for_mark(waiting, PATIENCE)
        it.stream.play(tone(160), timeout=PATIENCE)
        assert it.stream.wait_for_mark(it.stream.mark("sent"), PATIENCE)  # a name may be used again


def test_names_of_marks() -> None:
    with talk() as it:
        for wrong in ("", "a\nb", "x" * 257, 7):
            with pytest.raises(InvalidParameter, match="name="):
                it.stream.mark(wrong)  # type: ignore[arg-type]
        with pytest.raises(InvalidParameter, match="mark set by mark"):
            it.stream.wait_for_mark("never set")
        assert it.stream.mark() != it.stream.mark()


def test_marks_under_way_are_bounded() -> None:
    with talk("realtime") as it:
        it.far.pause_reading()
        it.line.sim._loop.call(int, timeout=PATIENCE)  # the loop has come to it

        def set_many() -> None:
            for _ in range(20_000):
                it.stream.mark()

        with pytest.raises(QueueFull):
            set_many()
        it.far.resume_reading()


# -- barge-in ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paced", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_clear_from_another_thread_tells_how_much_was_heard(paced: bool) -> None:
    with talk("realtime") as it:
        playing = Background(lambda: it.stream.play(tone(8000) * 100, paced=paced))
        it.far.wait_for(lambda far: len(far.arrivals) > 0)
        queued = it.stream.play(tone(160), wait=False)
        it.far.wait_for(lambda far: len(far.heard_audio) > 2 * 6000)  # 0.75 s: a mark has come back
        it.stream.clear()
        heard = playing.result(PATIENCE)
        actually = len(it.heard()) // 2
        assert heard.ended_by == "cleared"
        assert not heard.complete
        assert heard.samples > 0
        assert heard.samples <= actually + 4000 + 160  # the next mark would have come back otherwise
        assert queued.wait(PATIENCE) == PlaybackResult(samples=0, sample_rate=8000, ended_by="cleared")
        assert it.stream.play(tone(100), timeout=PATIENCE).complete  # and it goes on


def test_clear_where_nothing_is_said() -> None:
    with talk() as it:
        it.stream.clear()
        it.stream.clear()
        assert it.stream.play(tone(100), timeout=PATIENCE).complete


# -- keys ----------------------------------------------------------------------------------------------------------------


def test_keys_both_ways() -> None:
    with talk() as it:
        it.stream.send_dtmf("12*#AD")
        it.far.wait_for(lambda far: far.keys == "12*#AD")
        it.line.phone.press("9")
        it.stream.play(tone(100), timeout=PATIENCE)
        assert [event.digit for event in it.stream.dtmf] == ["9"]
        for wrong in ("", "12x", 5, None, "1" * 257):
            with pytest.raises(InvalidParameter, match="digits="):
                it.stream.send_dtmf(wrong)  # type: ignore[arg-type]


# -- ends ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hang up", "disconnect", "close", "cut", "server"])
def test_everybody_who_waits_wakes_when_the_stream_ends(how: str) -> None:
    with talk("realtime") as it:
        it.stream.play(tone(8000) * 100, wait=False, paced=False)
        name = it.stream.mark()
        marked = Background(lambda: it.stream.wait_for_mark(name))
        playing = Background(lambda: it.stream.play(tone(800)))
        given = Background(lambda: it.stream.play(tone(160) for _ in itertools.count()))
        it.far.wait_for(lambda far: far.waiting > 50)
        if how == "hang up":
            it.line.phone.hang_up()
        elif how == "disconnect":
            it.line.call.disconnect()
        elif how == "close":
            it.stream.close()
        elif how == "cut":
            it.far.cut()
        else:
            it.audio.close()
        assert marked.result(PATIENCE) is False
        for each in (playing, given):
            assert each.result(PATIENCE) == PlaybackResult(samples=0, sample_rate=8000, ended_by="ended")
        assert it.stream.wait(PATIENCE)
        # Afterwards nothing is heard, and nobody hangs.
        assert it.stream.play(tone(100)).ended_by == "ended"
        assert it.stream.play([tone(100)], wait=False).wait(PATIENCE).ended_by == "ended"
        assert not it.stream.wait_for_mark(it.stream.mark())
        it.stream.clear()
        it.stream.send_dtmf("1")


def test_leaving_the_block_takes_the_call_back() -> None:
    with Simulator(media="fast") as sim, line(sim) as found, AudioServer() as audio:
        with found.call.expect("calling.call.connect", lambda event: event.connect_state == "disconnected", PATIENCE):
            with audio.connect(found.call, name="menu", custom_parameters={"a": 1}) as stream:
                assert stream.custom_parameters == {"a": 1}
                assert stream.announced_tracks == ("inbound",)
                assert stream.call_id == found.call.call_id
            assert stream.end_reason == "closed"
        assert found.call.state == "answered"
        with audio.connect(found.call, realtime=True) as stream:  # again
            assert stream.play(tone(100), timeout=PATIENCE).complete
        params = found.wait_for_request("calling.connect", 2)["devices"][0][0]["params"]
        assert (params["realtime"], params["codec"], params["url"]) == (True, "PCMU", audio.url)
        assert found.phone.wait_for_two_way_stream().name == "menu"


@pytest.mark.parametrize("media", ["fast", "realtime"])
def test_many_threads_speak_and_clear_at_once(media: str) -> None:
    """Whatever the order: everybody comes back, nothing is said twice, and afterwards it works as before."""
    with talk(media, codec="L16") as it:
        stream = it.stream

        def work(seed: int) -> int:
            chosen = random.Random(seed)
            said = 0
            for _ in range(30):
                length = chosen.randrange(1, 2000)
                kind = chosen.randrange(5)
                if kind == 0:
                    stream.clear()
                elif kind == 1:
                    stream.wait_for_mark(stream.mark(), PATIENCE)
                elif kind == 2:
                    stream.play((tone(100) for _ in range(length // 100)), wait=False, paced=False)
                    said += length // 100 * 100
                else:
                    playback = stream.play(tone(length), wait=False, paced=kind == 3)
                    said += length
                    if chosen.random() < 0.3:
                        assert playback.wait(PATIENCE).samples <= length
            return said

        def clear() -> None:
            for _ in range(200):
                stream.clear()

        clearing = Background(clear)
        workers = [Background(work, seed) for seed in range(4)]
        said = sum(each.result(60) for each in workers)
        clearing.result(60)
        stream.clear()
        assert len(it.heard()) // 2 <= said
        before = len(it.heard())
        assert stream.play(tone(500), timeout=PATIENCE).complete
        assert it.heard()[before:][-1000:] == tone(500)
        assert not it.far.notices


# -- the far side does not read -------------------------------------------------------------------------------------------


def test_a_far_side_that_does_not_read_is_an_error_and_no_memory() -> None:
    with talk("fast", server={"send_timeout": 0.3}, codec="L16@24000h") as it:
        it.far.pause_reading()
        it.line.sim._loop.call(int, timeout=PATIENCE)  # the loop has come to it
        speaker = it.stream._core.speaker
        assert speaker is not None
        pcm = bytes(24_000_000)
        mark = it.stream.mark()
        with pytest.raises(StreamFailed, match=r"has not read any data for 0\.3 s"):
            it.stream.play(pcm, paced=False, timeout=PATIENCE)
        assert not it.stream.wait_for_mark(mark, 0)
        assert speaker._connection.buffered < 600_000
        it.far.resume_reading()
        assert it.stream.play(tone(100), timeout=PATIENCE).complete  # it reads again
        assert json.loads(it.far.received[-3])["event"] == "clear"  # and nothing of what was given up is heard late


def test_too_much_is_refused() -> None:
    with talk("realtime", codec="L16@24000h") as it:
        it.stream.play(bytes(60_000_000), wait=False)
        with pytest.raises(QueueFull):
            it.stream.play(bytes(60_000_000), wait=False)
        it.stream.clear()
        assert not it.stream.play(bytes(200), wait=False).done


# -- errors --------------------------------------------------------------------------------------------------------------


def test_one_way_streams_say_what_to_use() -> None:
    with Simulator(media="fast") as sim, line(sim) as found, AudioServer() as audio:
        with audio.listen(found.call) as stream:
            assert not stream.two_way
            for act in (
                lambda: stream.play(b""),
                lambda: stream.play([], wait=False),
                lambda: stream.mark(),
                lambda: stream.wait_for_mark("a"),
                lambda: stream.clear(),
                lambda: stream.send_dtmf("1"),
            ):
                with pytest.raises(StreamIsOneWay, match=r"AudioServer\.connect\(call\)"):
                    act()
        assert not found.phone.streams[0].notices


def test_what_cannot_be_played(tmp_path: Path) -> None:
    stereo, text = tmp_path / "stereo.wav", tmp_path / "a.txt"
    write_wav(stereo, tone(100), 8000, channels=2)
    text.write_text("no audio")
    frame = AudioFrame(data=b"\0\0", track="inbound", timestamp=0.0, sample_rate=16000)
    with talk() as it:
        for what, words in [
            (b"\0\0\0", "even number"),
            (stereo, "mono; it has 2 channels"),
            (text, "not a WAV file"),
            (b"OggS" + bytes(100), "looks like an Ogg file"),
            (b"RIFF\0\0\0\0WAVEfmt ", "contains no audio|too short"),
            (5, "bytes, the path of a WAV file, or an iterable"),
            ([1, 2], "iterable of bytes"),
            (["ab"], "iterable of bytes"),
            ([stereo.read_bytes()], "PCM in chunks, or a complete WAV file"),
            ([b"Ogg", b"S" + bytes(100)], "PCM in chunks.*; this looks like an Ogg file"),
        ]:
            with pytest.raises(InvalidParameter, match=words):
                it.stream.play(what, timeout=PATIENCE)  # type: ignore[call-overload]
        with pytest.raises(InvalidParameter, match="16000, the rate of the frames"):
            it.stream.play([frame], timeout=PATIENCE)
        with pytest.raises(InvalidParameter, match="sample_rate"):
            it.stream.play(tone(10), sample_rate=0)
        with pytest.raises(FileNotFoundError):
            it.stream.play(tmp_path / "missing.wav")
        assert it.stream.play(tone(100), timeout=PATIENCE).complete
        assert len(it.heard()) == 200  # nothing of all that was said


class Broken(Exception):
    pass


def _breaks() -> Iterator[bytes]:
    yield tone(160)
    raise Broken("no more")


def test_an_iterable_that_breaks(caplog: pytest.LogCaptureFixture) -> None:
    with talk() as it:
        with pytest.raises(Broken):
            it.stream.play(_breaks(), timeout=PATIENCE)
        playback = it.stream.play(_breaks(), wait=False)
        with pytest.raises(Broken):
            playback.wait(PATIENCE)
        assert playback.heard is None
        assert it.stream.play(tone(100), timeout=PATIENCE).complete
        for thread in threading.enumerate():  # what went wrong is written after everybody has been woken
            if "-play-" in thread.name:
                thread.join(PATIENCE)
    assert "the audio iterable raised an exception; playback stops" in caplog.text


def test_time_that_is_up() -> None:
    with talk("realtime") as it:
        with pytest.raises(WaitTimeout, match="clear"):
            it.stream.play(tone(8000) * 10, timeout=0.05)
        with pytest.raises(WaitTimeout, match="is skipped"):
            it.stream.play((tone(160) for _ in itertools.count()), timeout=0.05)
        playback = it.stream.play(tone(8000) * 10, wait=False)
        with pytest.raises(WaitTimeout):
            playback.wait(0.01)
        it.stream.clear()
        assert playback.wait(PATIENCE).ended_by == "cleared"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_process_does_not_speak_on_its_parent_s_stream() -> None:
    with talk("realtime") as it:
        playback = it.stream.play(tone(1600), wait=False)
        name = it.stream.mark()
        holds_in_child(
            lambda: raises_forked(
                lambda: it.stream.play(tone(100)),
                lambda: it.stream.wait_for_mark(name),
                it.stream.clear,
                playback.wait,
            )
        )
        assert playback.wait(PATIENCE).complete


# -- connecting ----------------------------------------------------------------------------------------------------------


def test_connecting_that_fails() -> None:
    with Simulator(media="fast") as sim, line(sim) as found:
        with AudioServer(public_url=NOWHERE) as audio:
            with pytest.raises(StreamFailed, match="before the platform connected") as failed:
                audio.connect(found.call, timeout=PATIENCE)
            assert "calling.connect failed (error)" in str(failed.value.__cause__)
        with AudioServer() as audio:
            sim.refuse("calling.connect", 402, "No money")
            with pytest.raises(CommandRefused, match="No money"):
                audio.connect(found.call)
            with pytest.raises(InvalidParameter, match="codec"):
                audio.connect(found.call, codec="L16@2c")
            with pytest.raises(InvalidParameter, match="the server sets it"):
                audio.connect(found.call, url="wss://example.com")  # type: ignore[call-arg]
            with audio.connect(found.call), pytest.raises(CommandRefused):
                audio.connect(found.call)
            found.phone.hang_up()
            found.call.wait_for_ended(PATIENCE)
            with pytest.raises(StreamFailed) as failed:
                audio.connect(found.call)
            assert "the call has ended" in str(failed.value.__cause__)


def test_a_socket_that_does_not_come_in_time_takes_the_call_back() -> None:
    class Deaf:
        taken_back = 0

        def connect(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
            return {"code": "200"}

        def disconnect(self) -> None:
            self.taken_back += 1

        def on(self, event_type: str, handler: Any) -> None: ...

    call = Deaf()
    with AudioServer() as audio, pytest.raises(StreamFailed, match=r"the platform did not connect within 0\.05 s"):
        audio.connect(call, timeout=0.05)
    assert call.taken_back == 1


def test_the_end_of_what_the_call_was_connected_to_before_is_no_end_of_this() -> None:
    class Late:
        """A call whose last bridge is told to be over when the next one is asked for."""

        def on(self, event_type: str, handler: Any) -> None:
            assert event_type == "calling.call.connect"
            self.handler = handler

        def connect(self, groups: list[Any], **kwargs: Any) -> dict[str, Any]:
            self.handler(ConnectEvent.from_params({"call_id": "C", "connect_state": "disconnected"}))
            ((device,),) = groups
            header = {"Authorization": f"Bearer {device['params']['authorization_bearer_token']}"}
            self.peer = Background(lambda: TwoWayCarrier(audio, header=header, accept=False))
            return {"code": "200"}

        def disconnect(self) -> None: ...

    call = Late()
    with AudioServer() as audio:
        stream = audio.connect(call, timeout=PATIENCE)
        peer = call.peer.result()
        assert stream.two_way
        peer.ws.close()
        stream.close()


def test_a_call_that_ends_meanwhile_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, Simulator(media="fast") as sim, line(sim) as found:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}/audio"
        with AudioServer(public_url=url) as audio:
            connecting = Background(lambda: audio.connect(found.call, timeout=60))
            found.wait_for_request("calling.connect")
            found.phone.hang_up()
            with pytest.raises(StreamFailed, match="before the platform connected"):
                connecting.result(PATIENCE)


def test_a_device_for_a_connect_of_one_s_own() -> None:
    with Simulator(media="fast") as sim, line(sim) as found, AudioServer() as audio:
        device = audio.device(name="mine", expires=PATIENCE)
        assert "token" not in str(device["params"].keys() - {"authorization_bearer_token"})
        found.call.connect([[devices.stream(NOWHERE)], [device]], max_duration=60)
        with audio.accept(PATIENCE) as stream:
            assert stream.two_way
            assert stream.play(tone(100), timeout=PATIENCE).complete
        found.call.connect([[device]])  # its token is spent
        with pytest.raises(WaitTimeout):
            audio.accept(0.2)
        with pytest.raises(InvalidParameter, match="expires"):
            audio.device(expires=0)


# -- the wire ------------------------------------------------------------------------------------------------------------


def test_the_messages_as_they_are_documented() -> None:
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        playing = Background(lambda: peer.stream.play(tone(200)))
        first, second = PCMU.encode(tone(200)[:320]), PCMU.encode(tone(200)[320:])
        for payload in (first, second):
            text = base64.b64encode(payload).decode()
            assert peer.next() == {"event": "media", "streamSid": 'S"1', "media": {"payload": text}}
        mark = peer.next()
        assert mark == {"event": "mark", "streamSid": 'S"1', "mark": {"name": mark["mark"]["name"]}}
        assert playing.running
        peer.echo(mark["mark"]["name"])
        assert playing.result(PATIENCE).complete
        peer.stream.mark('my "label"')
        assert peer.next() == {"event": "mark", "streamSid": 'S"1', "mark": {"name": 'my "label"'}}
        peer.stream.send_dtmf("5#")
        assert peer.next() == {"event": "dtmf", "streamSid": 'S"1', "dtmf": {"digit": "5"}}
        assert peer.next() == {"event": "dtmf", "streamSid": 'S"1', "dtmf": {"digit": "#"}}
        peer.stream.clear()
        assert peer.next() == {"event": "clear", "streamSid": 'S"1'}


def test_half_a_second_of_unpaced_audio_to_a_message_and_a_mark_behind_each() -> None:
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        playback = peer.stream.play(tone(10_000), paced=False, wait=False)
        kinds = [peer.next() for _ in range(6)]
        assert [each["event"] for each in kinds] == ["media", "mark", "media", "mark", "media", "mark"]
        sizes = [len(base64.b64decode(each["media"]["payload"])) for each in kinds[::2]]
        assert sizes == [4000, 4000, 2000]
        names = [each["mark"]["name"] for each in kinds[1::2]]
        peer.echo(names[0])
        peer.echo("never set")
        peer.echo(names[2])  # the one between was lost: this one says as much
        assert playback.wait(PATIENCE).samples == 10_000
        assert peer.stream.marks == ("never set",)


def test_marks_cleared_by_us_tell_of_no_sound() -> None:
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        playback = peer.stream.play(tone(40_000), paced=False, wait=False)
        names: list[str] = []
        while len(names) < 10:
            message = peer.next()
            if message["event"] == "mark":
                names.append(message["mark"]["name"])
        peer.echo(names[0])  # half a second was heard
        peer.echo("checked")
        while not peer.stream.marks:
            threading.Event().wait(0.001)
        peer.stream.clear()
        for name in names[1:]:
            peer.echo(name)  # flushed
        heard = playback.wait(PATIENCE)
        assert heard.ended_by == "cleared"
        assert 4000 <= heard.samples <= 8000
        again = Background(lambda: peer.stream.play(tone(160)))
        assert peer.next()["event"] == "clear"
        assert peer.next()["event"] == "media"
        peer.echo(peer.next()["mark"]["name"])
        assert again.result(PATIENCE).samples == 160


def test_what_cannot_be_encoded() -> None:
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio, encoding="audio/AMR-WB") as peer:
        with pytest.raises(UnsupportedCodec, match="AMR-WB"):
            peer.stream.play(tone(100))
        name = peer.stream.mark()
        assert peer.next()["mark"]["name"] == name  # marks need no codec


def test_big_endian_where_the_server_was_told_so() -> None:
    with AudioServer(two_way=True, l16_byteorder="big") as audio, TwoWayCarrier(audio, encoding="audio/x-L16") as peer:
        peer.stream.play(b"\1\2\3\4", wait=False)
        assert base64.b64decode(peer.next()["media"]["payload"]) == b"\2\1\4\3"
