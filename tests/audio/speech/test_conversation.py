"""``Conversation``: turns, answers, interruptions, and recognizers and speakers that misbehave."""

from __future__ import annotations

import gc
import io
import itertools
import json
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relay_sync import InvalidParameter, StreamFailed, StreamIsOneWay, WaitTimeout, WrongThread
from relay_sync.audio import AudioServer, read_wav, write_wav
from relay_sync.audio.speech import Conversation, Interruption, Turn, Utterance, speaking_queue
from relay_sync.audio.speech.speaking_queue import Said
from relay_sync.audio.stream import core_of
from relay_sync.simulator import Simulator
from tests.support import PATIENCE, ROOT
from tests.support.background import Background, no_threads, until
from tests.support.carrier import Carrier
from tests.support.conversations import Talk, conversation_threads, talks
from tests.support.detectors import Loud
from tests.support.forks import holds_in_child, needs_fork, quiet_fork, raises_forked
from tests.support.interrupts import interrupt, where_signals_are_seen
from tests.support.lines import line
from tests.support.party import LOUD, PCMU, QUIET, TURN, Party
from tests.support.speech import pcm_of, scene, utterances
from tests.support.tones import tone

#: Audio of 0.1 s, as the party hears it.
SHORT = PCMU.decode(PCMU.encode(tone(800)))


@pytest.fixture
def talk() -> Iterator[Talk]:
    """Starts conversations, which end with the test."""
    with talks(recognize=words, speak=spoken) as make:
        yield make


def words(utterance: Utterance) -> str:
    return f"{utterance.start:.1f}-{utterance.end:.1f}"


async def no_speech(text: str) -> AsyncIterator[bytes]:
    yield b""


def spoken(text: str) -> bytes:
    return SHORT


def long_audio(text: str) -> bytes:
    return tone(16000)  # 2 s


# -- turns -------------------------------------------------------------------------------------------------------------


def test_turns_and_answers_until_the_party_hangs_up(talk: Talk) -> None:
    party, it = talk()
    party.say(*TURN)
    turns = []
    for turn in it:
        turns.append(turn)
        it.say(f"you said {turn.text}")
        assert it.wait_until_said(PATIENCE)
        if len(turns) == 1:
            party.say(*TURN)
        else:
            party.hang_up()
    assert [turn.text for turn in turns] == ["0.2-0.7", "1.6-2.1"]
    assert [(turn.keys, turn.interrupted, turn.cut) for turn in turns] == [("", None, False)] * 2
    assert turns[0].utterance is not None
    assert turns[0].utterance.start == 0.2
    assert PCMU.decode(party.heard) == 2 * SHORT
    assert str(it.transcript.lines[0]) == "    0.2  caller  0.2-0.7"
    assert next(it, None) is None


def test_recognize_runs_in_the_thread_that_iterates_and_speak_in_one_of_the_conversation(talk: Talk) -> None:
    ran: list[str] = []

    def recognize(utterance: Utterance) -> str:
        ran.append(threading.current_thread().name)
        return "hello"

    def speak(text: str) -> bytes:
        ran.append(threading.current_thread().name)
        return SHORT

    party, it = talk(recognize=recognize, speak=speak)
    party.say(*TURN)
    assert next(it).text == "hello"
    it.say("hello")
    assert ran[0] == threading.current_thread().name
    assert ran[1].startswith("relay-conversation-")


def test_utterances_are_marked_in_the_picture_of_the_stream(talk: Talk) -> None:
    party, it = talk()
    assert "nothing has been said yet" in it._repr_html_()
    party.say(*TURN)
    it.say(f"{next(it).text} <b>")
    assert it.wait_until_said(PATIENCE)
    assert "<title>utterance, 0.20 to 0.70 s</title>" in party.stream._repr_html_()
    shown = it._repr_html_()
    assert ElementTree.fromstring(shown) is not None, "well-formed, whatever was said"
    assert "0.2 s: 0.2-0.7" in shown
    assert "0.2-0.7 &lt;b&gt;" in shown


def test_recognize_is_called_as_soon_as_the_silence_has_lasted(talk: Talk) -> None:
    party, it = talk(silence=0.3)
    party.say((0.2, QUIET), (0.5, LOUD), (0.32, QUIET))
    assert next(it).text == "0.2-0.7"


def test_keys_belong_to_turns(talk: Talk) -> None:
    party, it = talk(key_pause=0.05)
    party.press("12")
    assert next(it) == Turn(text="", keys="12")
    party.say((0.2, QUIET), (0.5, LOUD))
    party.press("3")
    party.say((0.7, QUIET))
    turn = next(it)
    assert (turn.text, turn.keys) == ("0.2-0.7", "3")
    party.press("#")
    party.hang_up()
    assert [(each.text, each.keys) for each in it] == [("", "#")]
    assert party.stream.read_dtmf(0) is not None, "keys can be read beside the conversation"


def test_keys_from_before_the_conversation_are_not_in_it(talk: Talk) -> None:
    party, it = talk()
    it.close()
    party.press("9")
    with Conversation(party.stream, recognize=words, vad=Loud(), key_pause=0.05) as again:
        party.press("1")
        assert next(again).keys == "1"


def test_speech_from_before_the_conversation_is_a_turn_and_interrupts_nothing() -> None:
    with AudioServer(two_way=True) as audio, Party(audio) as party:
        party.listens = False
        party.say((0.2, QUIET), (1.0, LOUD), (0.7, QUIET))
        until(lambda: party.stream.stats.frames == 95)
        entered, may = threading.Event(), threading.Event()

        class Slow(Loud):
            def __call__(self, pcm: bytes) -> float:
                entered.set()
                assert may.wait(PATIENCE)
                return super().__call__(pcm)

        with Conversation(party.stream, recognize=words, speak=long_audio, vad=Slow()) as it:
            assert entered.wait(PATIENCE)
            it.say("Hello.")
            may.set()
            turn = next(it)
            assert (turn.text, turn.interrupted, party.cleared) == ("0.2-1.2", None, 0)
            party.say((0.6, LOUD), (0.7, QUIET))
            turn = next(it)
            assert turn.text == "1.9-2.5"
            assert turn.interrupted is not None


def test_patience_ends_a_turn_without_words_again_and_again(talk: Talk) -> None:
    party, it = talk(patience=0.05)
    assert [next(it), next(it)] == [Turn(text="")] * 2
    party.say((0.2, LOUD))
    until(lambda: it._ears.talking)
    waiting = Background(it.__next__)
    party.say((0.3, LOUD), (0.7, QUIET))
    assert waiting.result().text == "0.0-0.5"
    assert it.transcript.text == "    0.0  caller  0.0-0.5"


def test_patience_starts_after_what_is_said(talk: Talk) -> None:
    _, it = talk(patience=0.05, speak=lambda text: tone(2400))
    it.say("0.3 s")
    before = time.monotonic()
    assert next(it).text == ""
    assert time.monotonic() - before > 0.2  # the party returns marks at once, and audio is sent 80 ms ahead


@pytest.mark.parametrize("sound", [b"", SHORT], ids=["at the start", "after a word"])
def test_patience_ends_the_wait_for_a_speaker_that_stalls(talk: Talk, sound: bytes) -> None:
    release = threading.Event()

    def speak(text: str) -> Iterator[bytes]:
        yield sound
        release.wait(PATIENCE)
        yield SHORT

    _, it = talk(speak=speak, patience=0.3)
    before = time.monotonic()
    it.say("stalls")
    assert Background(lambda: [next(it), next(it)]).result() == [Turn(text="")] * 2
    assert time.monotonic() - before > 0.6
    release.set()
    assert it.wait_until_said(PATIENCE)


@pytest.mark.slow
def test_a_party_whose_audio_stops_while_it_speaks_is_silent(talk: Talk) -> None:
    party, it = talk(patience=1.2, key_pause=0.1)
    party.say((0.2, QUIET), (0.3, LOUD))
    until(lambda: it._ears.talking)
    assert Background(it.__next__).result().text == ""
    party.press("1")
    assert Background(it.__next__).result().keys == "1"
    party.say((0.2, LOUD), (0.7, QUIET))
    assert next(it).text == "0.2-0.7"


def test_equal_turns_are_written_down_each(talk: Talk) -> None:
    party, it = talk(key_pause=0.05)
    for _ in range(2):  # without audio, both are at the same position
        party.press("1")
        assert next(it).keys == "1"
    assert [line.keys for line in it.transcript.lines] == ["1", "1"]


def test_short_sounds_are_no_turn_and_a_turn_has_its_pre_roll(talk: Talk) -> None:
    party, it = talk(shortest=0.4, pre_roll=0.1)
    party.say((0.2, QUIET), (0.3, LOUD), (0.7, QUIET), *TURN)
    turn = next(it)
    assert turn.text == "1.4-1.9"
    assert turn.utterance is not None
    assert turn.utterance.start - turn.utterance.audio_start == pytest.approx(0.1)


def test_a_turn_that_is_too_long_is_cut(talk: Talk) -> None:
    party, it = talk(longest=1.2)
    party.say((1.5, LOUD), (0.7, QUIET))
    assert [(turn.text, turn.cut) for turn in (next(it), next(it))] == [("0.0-1.2", True), ("1.2-1.5", False)]


def test_more_utterances_than_may_wait_are_dropped_and_counted(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    party, it = talk(queue=2)
    party.say(*TURN, *TURN, *TURN, *TURN)
    until(lambda: it.discarded == 2)
    assert [next(it).text, next(it).text] == ["0.2-0.7", "1.6-2.1"]
    assert it.dropped == 0
    until(lambda: any("(conversation.discarded)" in each.getMessage() for each in caplog.records))


def test_real_speech_with_the_detector_that_is_the_default(talk: Talk) -> None:
    party, it = talk(vad=None)
    said = utterances()[::12]
    spoken_there = scene(said)
    payload = PCMU.encode(spoken_there.pcm)
    party.send(payload)
    turns = [next(it) for _ in said]
    for turn, (start, end) in zip(turns, spoken_there.spoken, strict=True):
        assert turn.utterance is not None
        assert turn.utterance.start == pytest.approx(start, abs=0.15)
        assert turn.utterance.end == pytest.approx(end, abs=0.15)
    party.hang_up()
    assert list(it) == []


# -- speaking ----------------------------------------------------------------------------------------------------------


def wav(pcm: bytes, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    import wave

    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(pcm)
    return file.getvalue()


def in_file(path: Path) -> Path:
    write_wav(path, SHORT, 8000)
    return path


FORMS: dict[str, Callable[[Path], Any]] = {
    "PCM": lambda folder: SHORT,
    "PCM and rate": lambda folder: (SHORT, 8000),
    "a WAV": lambda folder: wav(SHORT),
    "WavAudio": lambda folder: read_wav(io.BytesIO(wav(SHORT))),
    "an iterator": lambda folder: iter([SHORT[:501], SHORT[501:]]),
    "an iterator and rate": lambda folder: ([SHORT[:501], SHORT[501:]], 8000),
    "a file": lambda folder: in_file(folder / "a.wav"),
}


@pytest.mark.parametrize("form", FORMS)
def test_speak_and_say_take_audio_in_every_form(talk: Talk, tmp_path: Path, form: str) -> None:
    party, it = talk(speak=lambda text: FORMS[form](tmp_path))
    it.say("hello")
    it.say(FORMS[form](tmp_path))
    assert it.wait_until_said(PATIENCE)
    assert PCMU.decode(party.heard) == 2 * SHORT
    assert [line.text for line in it.transcript.lines] == ["hello", ""]


def test_other_rates_are_resampled(talk: Talk) -> None:
    party, it = talk(speak=lambda text: tone(2400), speak_rate=24000)
    it.say("hello")
    it.say((tone(1600), 16000))
    assert it.wait_until_said(PATIENCE)
    assert len(party.heard) == 1600


def test_other_rates_are_refused_when_the_conversation_is_made(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "relay_sync.audio.dsp", None)
    with pytest.raises(InvalidParameter, match="speak_rate=24000: expected 8000"):
        talk(speak_rate=24000)
    assert conversation_threads() == []


def test_without_the_extra_dsp_a_detector_of_another_rate_is_refused_when_the_conversation_is_made(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "relay_sync.audio.dsp", raising=False)
    monkeypatch.setitem(sys.modules, "numpy", None)  # an import of it fails
    with pytest.raises(ImportError, match=r'need the numpy package.*pip install "numpy>=1\.26"'):
        talk(vad=Loud(sample_rate=16000))
    assert conversation_threads() == []
    talk(vad=Loud(sample_rate=8000))


def test_audio_is_played_before_it_is_complete_and_say_returns_at_once(talk: Talk) -> None:
    may_end = threading.Event()

    def speak(text: str) -> Iterator[bytes]:
        yield SHORT
        may_end.wait(PATIENCE)
        yield SHORT

    party, it = talk(speak=speak)
    it.say("hello")
    it.say(SHORT)
    party.wait_for_audio(0.1)
    with pytest.raises(WaitTimeout, match=r"still speaking after 0\.01 s"):
        it.wait_until_said(0.01)
    may_end.set()
    assert it.wait_until_said(PATIENCE)
    assert PCMU.decode(party.heard) == 3 * SHORT


def test_nothing_to_wait_for(talk: Talk) -> None:
    _, it = talk()
    assert it.wait_until_said(0)


# -- interruptions -----------------------------------------------------------------------------------------------------


def test_speech_interrupts_and_the_turn_says_how_much_was_heard(talk: Talk) -> None:
    party, it = talk(speak=long_audio)
    it.say("one")
    it.say("two")
    party.wait_for_audio(0.3)
    party.say((0.2, QUIET), (0.3, LOUD))
    until(lambda: it._ears.talking)
    assert party.cleared == 0
    party.say((0.2, LOUD), (0.7, QUIET))
    turn = next(it)
    until(lambda: party.cleared == 1)
    assert it.wait_until_said(0) is False
    assert turn.text == "0.2-0.7"
    assert turn.interrupted is not None
    assert turn.interrupted.said == "one two"
    assert turn.interrupted.of_seconds == 4.0
    assert 0.15 < turn.interrupted.heard_seconds < 1.0
    assert len(party.heard) < 16000
    it.say("three")
    party.wait_for_audio(len(party.heard) / 8000 + 0.02)
    assert [line.text for line in it.transcript.lines if line.who == "agent"] == ["one", "two", "three"]
    assert "one [heard 0." in it.transcript.text


def test_what_was_heard_completely_is_not_interrupted(talk: Talk) -> None:
    party, it = talk()
    it.say("one")
    assert it.wait_until_said(PATIENCE)
    party.say(*TURN)
    assert next(it).interrupted is None
    assert party.cleared == 0


def test_nothing_interrupts_if_that_is_switched_off(talk: Talk) -> None:
    party, it = talk(interrupt_after=None, speak=lambda text: tone(4000))
    it.say("one")
    party.say((0.2, QUIET), (0.5, LOUD))
    party.press("1")
    party.say((0.7, QUIET))
    turn = next(it)
    assert (turn.keys, turn.interrupted) == ("1", None)
    assert it.wait_until_said(PATIENCE)
    assert party.cleared == 0


def test_speech_that_began_before_counts_only_from_then(talk: Talk) -> None:
    party, it = talk(speak=long_audio)
    party.say((1.0, LOUD))
    until(lambda: it._ears.talking and party.stream.stats.seconds >= 1.0)
    until(lambda: it._ears._base >= 0.99)
    it.say("one")
    party.say((0.3, LOUD), (0.02, LOUD))
    until(lambda: it._ears.segmenter.spoken > 1.3)
    assert party.cleared == 0
    party.say((0.2, LOUD), (0.7, QUIET))
    assert next(it).interrupted is not None


def test_a_key_interrupts_at_once(talk: Talk) -> None:
    party, it = talk(speak=long_audio, key_pause=0.05)
    it.say("menu")
    party.wait_for_audio(0.1)
    party.press("1")  # on hold, for example, no audio arrives
    until(lambda: bool(it._ears._pending))
    turn = next(it)
    assert (turn.text, turn.keys) == ("", "1")
    assert turn.interrupted is not None
    assert turn.interrupted.said == "menu"


def test_what_has_not_been_heard_at_all_can_be_interrupted(talk: Talk) -> None:
    release = threading.Event()

    def speak(text: str) -> Iterator[bytes]:
        release.wait(PATIENCE)
        yield SHORT

    party, it = talk(speak=speak)
    it.say("slow")
    party.say(*TURN)
    turn = next(it)
    assert turn.interrupted == Interruption("slow", 0.0, 0.0)
    assert "agent  slow [not heard]" in it.transcript.text
    it.say(SHORT)
    assert it.wait_until_said(PATIENCE), "audio after it is not delayed by speak()"
    release.set()
    until(lambda: not any(name.startswith("relay-conversation-") for name in conversation_threads()))
    assert PCMU.decode(party.heard) == SHORT


# -- what can go wrong -------------------------------------------------------------------------------------------------


class Broken:
    """Raises the first time, and works then."""

    def __init__(self, result: Any) -> None:
        self.result, self.calls = result, 0

    def __call__(self, given: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise ZeroDivisionError("broken")
        return self.result


def test_what_recognize_raises_comes_from_the_iterator_and_the_stream_stays_open(talk: Talk) -> None:
    party, it = talk(recognize=Broken("fine"))
    party.say(*TURN, *TURN)
    with pytest.raises(ZeroDivisionError, match="broken"):
        next(it)
    assert not party.stream.ended
    assert next(it).text == "fine"


@pytest.mark.parametrize("nonsense", [None, 5, b"bytes", ["a"]])
def test_recognize_that_returns_no_text_is_named(talk: Talk, nonsense: object) -> None:
    party, it = talk(recognize=lambda utterance: nonsense)
    party.say(*TURN)
    with pytest.raises(InvalidParameter, match="recognize"):
        next(it)


def test_what_speak_raises_comes_from_say(talk: Talk) -> None:
    party, it = talk(speak=Broken(SHORT))
    with pytest.raises(ZeroDivisionError, match="broken"):
        it.say("one")
    it.say("two")
    assert it.wait_until_said(PATIENCE)
    assert [line.text for line in it.transcript.lines] == ["two"]
    assert PCMU.decode(party.heard) == SHORT


@pytest.mark.parametrize("nonsense", [None, "text", 5, b"odd", b"OggS" + bytes(60), (SHORT, 0)])
def test_speak_that_returns_no_audio_is_named(talk: Talk, nonsense: object) -> None:
    _, it = talk(speak=lambda text: nonsense)
    with pytest.raises(InvalidParameter):
        it.say("one")
    with pytest.raises(InvalidParameter):
        it.say(nonsense) if not isinstance(nonsense, str) else it.say(None)  # type: ignore[arg-type]
    assert it.transcript.lines == ()


def test_the_error_for_what_speak_returned_names_its_type(talk: Talk) -> None:
    _, it = talk(speak=lambda text: None)
    with pytest.raises(InvalidParameter, match=r"Invalid speak=<function .* a function that .*; it returned NoneType"):
        it.say("one")


def test_what_audio_raises_while_it_is_played_comes_with_the_next_turn(talk: Talk) -> None:
    def speak(text: str) -> Iterator[bytes]:
        yield SHORT
        raise ZeroDivisionError("broken")

    party, it = talk(speak=speak)
    it.say("one")
    with pytest.raises(ZeroDivisionError, match="broken"):
        next(it)
    assert it.wait_until_said(PATIENCE), "what came before was heard"
    party.say(*TURN)
    assert next(it).text == "0.2-0.7"


def test_a_failure_that_no_turn_raises_is_logged(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    def speak(text: str) -> Iterator[bytes]:
        yield SHORT
        raise ZeroDivisionError("broken")

    _, it = talk(speak=speak)
    it.say("one")
    until(lambda: bool(it._queue.failures))
    it.close()
    until(lambda: any("speaking to call C failed: ZeroDivisionError" in each.getMessage() for each in caplog.records))


def test_a_detector_that_fails_later(talk: Talk) -> None:
    class Late(Loud):
        def __call__(self, pcm: bytes) -> float:
            if super().__call__(pcm) > 0.5:
                raise ZeroDivisionError("broken")
            return 0.0

    party, it = talk(vad=Late())
    other, too = talk()
    party.say(*TURN)
    with pytest.raises(ZeroDivisionError, match="broken"):
        next(it)
    assert list(it) == []
    assert not party.stream.ended
    other.say(*TURN)
    assert next(too).text == "0.2-0.7"


def test_a_recognizer_that_asks_for_a_turn_itself_is_told(talk: Talk) -> None:
    def recognize(utterance: Utterance) -> str:
        return next(it).text

    it: Conversation
    party, it = talk(recognize=recognize)
    party.say(*TURN)
    with pytest.raises(WrongThread, match="one thread"):
        next(it)


def test_a_recognizer_that_speaks_from_another_thread(talk: Talk) -> None:
    def recognize(utterance: Utterance) -> str:
        Background(it.say, "one").result()
        return "two"

    party, it = talk(recognize=recognize)
    party.say(*TURN)
    assert next(it).text == "two"
    assert it.wait_until_said(PATIENCE)
    assert PCMU.decode(party.heard) == SHORT


# -- the end -----------------------------------------------------------------------------------------------------------


def test_a_hang_up_while_recognize_runs_ends_the_iteration_after_it_returns(talk: Talk) -> None:
    def recognize(utterance: Utterance) -> str:
        party.hang_up()
        return "bye"

    party, it = talk(recognize=recognize)
    party.say(*TURN, *TURN)
    assert [turn.text for turn in it] == ["bye"]
    it.say("nothing happens")
    assert it.transcript.text == "    0.2  caller  bye"


def test_a_hang_up_ends_each_wait(talk: Talk) -> None:
    release = threading.Event()

    def speak(text: str) -> bytes:
        release.wait(PATIENCE)
        return SHORT

    party, it = talk(speak=speak, interrupt_after=None)
    saying = Background(it.say, "stalls")
    until(lambda: it._queue.active)
    waits: list[Background[Any]] = [Background(lambda: list(it)), Background(it.wait_until_said), saying]
    party.hang_up()
    assert [wait.result() for wait in waits] == [[], False, None]
    release.set()


def test_close_ends_each_wait_and_stops_speaking(talk: Talk) -> None:
    party, it = talk(speak=long_audio)
    it.say("one")
    party.wait_for_audio(0.1)
    waits: list[Background[Any]] = [Background(lambda: list(it)), Background(it.wait_until_said)]
    until(lambda: it._iterating is not None)
    it.close()
    assert [wait.result() for wait in waits] == [[], False]
    until(lambda: party.cleared == 1)
    assert not party.stream.ended
    assert list(it) == []
    assert conversation_threads() == []
    with pytest.raises(StreamFailed, match="closed"):
        it.say("two")
    it.close()


def test_a_system_without_threads(talk: Talk) -> None:
    party, it = talk()
    with no_threads("relay-conversation"), pytest.raises(RuntimeError, match="new thread"):
        it.say("one")
    it.say("two")
    assert it.wait_until_said(PATIENCE)
    assert [line.text for line in it.transcript.lines] == ["two"]
    it.close()
    with no_threads("relay-speech"), pytest.raises(RuntimeError, match="new thread"):
        Conversation(party.stream, recognize=words)
    Conversation(party.stream, recognize=words).close()


def test_the_package_does_not_import_it() -> None:
    program = "import sys, relay_sync, relay_sync.audio as a; a.AudioServer, a.AudioStream; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "relay_sync.audio.stream" in run.stdout
    assert "relay_sync.audio.speech" not in run.stdout


@pytest.mark.slow
def test_a_speaker_that_never_returns_does_not_keep_the_block(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    def speak(text: str) -> Iterator[bytes]:
        release.wait(PATIENCE)
        yield SHORT

    _, it = talk(speak=speak)
    it.say("stalls")
    it.close()
    until(lambda: any("has not returned" in each.getMessage() for each in caplog.records))
    release.set()


def test_ctrl_c_at_any_place_of_a_turn_loses_nothing(talk: Talk) -> None:
    party, it = talk(speak=long_audio)
    it.say("one")
    party.wait_for_audio(0.02)
    party.say((0.2, QUIET), (0.5, LOUD))
    party.press("1")
    party.say((0.7, QUIET))
    until(lambda: bool(it._ears.ready))
    utterance, interruptions = it._ears.ready[0], dict(it._ears._interrupted)
    for step in itertools.count(1):
        if not interrupt(step, it.__next__, where_signals_are_seen):
            break
        turn = next(it)
        assert (turn.text, turn.keys, turn.interrupted) == ("0.2-0.7", "1", interruptions[id(utterance)])
        assert len(it._lines) == 1
        # and again
        it._given, it._made = False, None
        it._ears.taken = 0
        it._ears.ready.append(utterance)
        it._ears._interrupted.update(interruptions)
        it._lines.clear()
    assert step > 20


def test_ctrl_c_at_any_place_keeps_what_was_said(talk: Talk, tmp_path: Path) -> None:
    _, it = talk()
    for step in itertools.count(1):
        it.say("one")
        assert it.wait_until_said(PATIENCE)
        interrupted = interrupt(step, it._queue.settle, where_signals_are_seen)
        assert len(it.transcript.lines) == step
        if not interrupted:
            break
    assert step > 20
    it.save(tmp_path / "a.wav")
    assert len(read_wav(tmp_path / "a.wav").pcm) == 2 * step * len(SHORT)


def test_ctrl_c_while_it_recognizes(talk: Talk) -> None:
    def recognize(utterance: Utterance) -> str:
        if not tried:
            tried.append(utterance)
            raise KeyboardInterrupt
        return "again"

    tried: list[Utterance] = []
    party, it = talk(recognize=recognize)
    party.say(*TURN)
    with pytest.raises(KeyboardInterrupt):
        next(it)
    assert next(it).text == "again"


@pytest.mark.slow
def test_wherever_ctrl_c_hits_the_start_another_conversation_can_start() -> None:
    with AudioServer(two_way=True) as audio, Party(audio) as party:

        def start() -> Conversation:
            return Conversation(party.stream, recognize=words, vad=Loud())

        for step in itertools.count(1):
            made: list[Conversation] = []
            again = interrupt(step, lambda: made.append(start()), where_signals_are_seen)  # noqa: B023
            gc.collect(0)  # interrupt() keeps frames
            for each in made:
                each.close()
            start().close()
            assert core_of(party.stream).bell is None
            if not again:
                break
        assert step > 20
        until(lambda: not conversation_threads())


@pytest.mark.slow
def test_ctrl_c_at_any_place_of_close_leaves_the_rest_to_the_next_close(talk: Talk) -> None:
    for step in itertools.count(1):
        with AudioServer(two_way=True) as audio, Party(audio) as party:
            it = Conversation(party.stream, recognize=words, speak=long_audio, vad=Loud())
            it.say("long")
            interrupted = interrupt(step, it.close, where_signals_are_seen)
            it.close()
            assert party.stream.utterances(vad=Loud()).close() is None  # type: ignore[func-returns-value]
            assert it.wait_until_said(PATIENCE) is False
            until(lambda: not conversation_threads())
        if not interrupted:
            break
    assert step > 20


def test_a_conversation_that_is_forgotten_ends(talk: Talk) -> None:
    with AudioServer(two_way=True) as audio, Party(audio) as party:
        it = Conversation(party.stream, recognize=words)
        assert len(conversation_threads()) == 1
        del it
        gc.collect()
        until(lambda: conversation_threads() == [])


@needs_fork
@quiet_fork
def test_a_fork_has_no_conversation(talk: Talk, tmp_path: Path) -> None:
    party, it = talk()
    holds_in_child(
        lambda: (
            it.close() is None  # type: ignore[func-returns-value]
            and raises_forked(
                it.__next__,
                lambda: it.say("one"),
                it.wait_until_said,
                lambda: it.transcript,
                lambda: it.save(tmp_path / "a.wav"),
                lambda: Conversation(party.stream, recognize=words),
            )
        )
    )
    party.say(*TURN)
    assert next(it).text == "0.2-0.7"


# -- parameters --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"recognize": None},
        {"recognize": lambda: ""},
        {"speak": 5},
        {"speak": lambda: b""},
        {"speak": no_speech},
        {"speak_rate": 0},
        {"vad": Loud},
        {"silence": 0},
        {"longest": -1},
        {"interrupt_after": 0},
        {"patience": "1"},
        {"key_pause": 0},
        {"queue": 0},
    ],
)
def test_parameters_are_checked_and_nothing_is_left(talk: Talk, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(options))):
        talk(**options)
    assert conversation_threads() == []


def test_text_without_speak_and_things_that_are_no_stream(talk: Talk) -> None:
    party, it = talk(speak=None)
    with pytest.raises(InvalidParameter, match=r"Invalid what='hello': expected audio; text requires a .* with speak"):
        it.say("hello")
    with pytest.raises(InvalidParameter, match="stream"):
        Conversation("stream", recognize=words)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="close the other iterator"):
        Conversation(party.stream, recognize=words)
    wrong: list[Any] = ["1", [], float("nan")]
    for value in wrong:
        with pytest.raises(InvalidParameter, match="timeout"):
            it.wait_until_said(value)


def test_a_one_way_stream_is_refused() -> None:
    with AudioServer() as audio:
        carrier = Carrier(audio.url).start()
        stream = audio.accept(PATIENCE)
        with pytest.raises(StreamIsOneWay, match=r"AudioServer\.connect"):
            Conversation(stream, recognize=words)
        carrier.ws.shutdown()  # type: ignore[no-untyped-call]


# -- what remains ------------------------------------------------------------------------------------------------------


def test_the_transcript_and_the_file_have_both_sides(talk: Talk, tmp_path: Path) -> None:
    party, it = talk()
    party.say(*TURN)
    turn = next(it)
    it.say(f"you said {turn.text}")
    assert it.wait_until_said(PATIENCE)
    party.say((0.3, QUIET))
    party.press("5")
    party.hang_up()
    assert [each.keys for each in it] == ["5"]
    lines = json.loads(it.transcript.json)
    assert [(line["who"], line["start"], line["text"], line["keys"]) for line in lines] == [
        ("caller", 0.2, "0.2-0.7", ""),
        ("agent", 1.4, "you said 0.2-0.7", ""),
        ("caller", 1.7, "", "5"),
    ]
    assert (lines[1]["heard_seconds"], lines[1]["of_seconds"]) == (0.1, 0.1)
    assert str(it.transcript) == it.transcript.text
    assert it.transcript.text.splitlines()[1:] == ["    1.4  agent  you said 0.2-0.7", "    1.7  caller  [keys 5]"]
    it.close()
    it.save(tmp_path / "call.wav")
    saved = read_wav(tmp_path / "call.wav")
    assert (saved.channels, saved.sample_rate, saved.duration) == (2, 8000, 1.7)
    assert saved.channel(0)[2 * 1600 : 2 * 5600] == PCMU.decode(LOUD * 25)
    right = saved.channel(1)
    assert right[2 * 11200 : 2 * 12000] == SHORT
    assert right.count(0) >= 2 * (13600 - 800)


def test_the_file_has_only_what_was_heard(talk: Talk, tmp_path: Path) -> None:
    party, it = talk(speak=long_audio)
    it.say("one")
    party.wait_for_audio(0.2)
    party.say(*TURN)
    turn = next(it)
    assert turn.interrupted is not None
    it.save(tmp_path / "call.wav")
    right = read_wav(tmp_path / "call.wav").channel(1)
    heard = round(turn.interrupted.heard_seconds * 8000)
    assert right[: 2 * heard] == tone(16000)[: 2 * heard]
    assert not any(right[2 * heard :])


@pytest.mark.traced
def test_audio_without_end_does_not_stay_in_memory(talk: Talk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking_queue, "MOST_KEPT", 0.3)
    sound, kept = tone(24000), list[int]()  # 3 s

    def speak(text: str) -> Iterator[bytes]:
        for start in range(0, len(sound), 320):
            yield sound[start : start + 320]
            kept.extend(sum(map(len, said.pcm)) // 2 for said in it._queue._active if said.text == text)

    _, it = talk(speak=speak)
    it.say(SHORT)
    it.say("without end")
    assert it.wait_until_said(PATIENCE)
    assert len(kept) > 100
    assert max(kept) <= 2.4 * 8000, "a second is read ahead, and each half is confirmed"
    it.save(tmp_path / "call.wav")
    assert read_wav(tmp_path / "call.wav").channel(1) == SHORT + sound


def test_the_transcript_says_how_much_of_what_is_being_said_was_heard(talk: Talk) -> None:
    party, it = talk(speak=long_audio)
    it.say("long")
    party.wait_for_audio(0.3)
    (line,) = it.transcript.lines
    assert 0.1 < (line.heard_seconds or 0.0) < 1.9
    assert "[not heard]" not in line.words
    assert line.end == pytest.approx(line.start + (line.heard_seconds or 0.0))


def test_what_is_heard_after_a_gap_follows_what_was_heard_before_it() -> None:
    said = Said("long", 0.0)
    for sample, at in [(0, 0.5), (4000, 0.5), (8000, 3.0)]:  # the position of a party that is silent stays the same
        said.begin_run(sample, at, 8000)
    assert said.runs == [(0, 0.5), (4000, 1.0), (8000, 3.0)]


def test_without_kept_audio_there_is_no_file(tmp_path: Path) -> None:
    with AudioServer(two_way=True, spool=False) as audio, Party(audio) as party:
        with Conversation(party.stream, recognize=words, vad=Loud(), speak=spoken) as it:
            it.say("one")
            assert it.wait_until_said(PATIENCE)
            with pytest.raises(ValueError, match="spool=True"):
                it.save(tmp_path / "call.wav")
            with pytest.raises(InvalidParameter, match="path"):
                it.save(5)  # type: ignore[arg-type]


# -- in the simulator --------------------------------------------------------------------------------------------------


def test_a_call_in_the_simulator(tmp_path: Path) -> None:
    with Simulator(media="fast") as sim, line(sim) as one, AudioServer() as audio:
        with audio.connect(one.call) as stream:
            with Conversation(stream, recognize=words, speak=spoken, key_pause=0.02) as it:
                it.say("press a key")
                assert it.wait_until_said(PATIENCE)
                one.phone.press("7")
                assert next(it).keys == "7"
                one.phone.hang_up()
                assert list(it) == []
            it.save(tmp_path / "call.wav")
        assert one.phone.heard_audio == SHORT
    assert sorted(each.who for each in it.transcript.lines) == ["agent", "caller"]
    saved = read_wav(tmp_path / "call.wav")
    assert saved.channels == 2
    assert SHORT in saved.channel(1)


@pytest.mark.slow
def test_what_was_heard_is_what_the_caller_heard(tmp_path: Path) -> None:
    """In real time: the caller interrupts, and has heard what the conversation says."""
    said = bytes(16000) + pcm_of(utterances()[0].sound) + bytes(16000)
    with Simulator(media="realtime") as sim, line(sim, says=said) as one, AudioServer() as audio:
        with audio.connect(one.call) as stream:
            far = one.phone.wait_for_two_way_stream()
            with Conversation(stream, recognize=words, speak=lambda text: tone(80000)) as it:
                it.say("a long story")
                turn = next(it)
                it.save(tmp_path / "call.wav")
            assert turn.interrupted is not None
            assert turn.interrupted.of_seconds == 10.0
            heard = far.heard_audio
            assert turn.interrupted.heard_seconds == pytest.approx(len(heard) / 16000, abs=0.1)
            assert 1.3 < turn.interrupted.heard_seconds < 2.5
        one.call.hangup()
    right = read_wav(tmp_path / "call.wav").channel(1)
    samples = round(turn.interrupted.heard_seconds * 8000)
    (first,) = (at for at in [right.find(tone(80000)[:800])] if at >= 0)
    assert first // 2 < 4000
    assert right[first : first + 2 * samples] == tone(80000)[: 2 * samples]
    assert not any(right[first + 2 * samples :])
