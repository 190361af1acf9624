"""Detectors, recognizers and speakers that misbehave harm only their own conversation, and are reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from relay_sync import QueueFull, WrongThread
from relay_sync.audio import AudioServer
from relay_sync.audio.speech import Conversation, Utterance, listening, speaking_queue
from relay_sync.audio.speech.segmenter import Segmenter
from tests.support import PATIENCE
from tests.support.background import Background, until
from tests.support.conversations import Talk, conversation_threads, talks
from tests.support.detectors import Loud
from tests.support.party import TURN, Party
from tests.support.tones import tone


@pytest.fixture
def talk() -> Iterator[Talk]:
    """Starts conversations, which end with the test."""
    with talks(recognize=words, speak=short) as make:
        yield make


def words(utterance: Utterance) -> str:
    return "words"


def short(text: str) -> bytes:
    return tone(800)


# -- exceptions that end loops -----------------------------------------------------------------------------------------


def test_a_recognizer_that_raises_stop_iteration_does_not_end_the_loop_unseen(talk: Talk) -> None:
    def recognize(utterance: Utterance) -> str:
        return next(iter(()))

    party, it = talk(recognize=recognize)
    party.say(*TURN)
    with pytest.raises(RuntimeError, match="recognize raised StopIteration"):
        next(it)


def test_a_speaker_that_raises_stop_iteration_does_not_end_the_loop_unseen(talk: Talk) -> None:
    def speak(text: str) -> bytes:
        return next(iter(()))

    _, it = talk(speak=speak)
    with pytest.raises(RuntimeError, match="speak raised StopIteration"):
        it.say("hello")


def test_a_detector_that_raises_stop_iteration_does_not_end_the_loop_unseen(talk: Talk) -> None:
    class Ends(Loud):
        def __call__(self, pcm: bytes) -> float:
            raise StopIteration

    party, it = talk(vad=Ends())
    party.say(*TURN)
    with pytest.raises(RuntimeError, match="the detector raised StopIteration"):
        next(it)


def test_a_detector_of_utterances_that_raises_stop_iteration() -> None:
    class Ends(Loud):
        def __call__(self, pcm: bytes) -> float:
            raise StopIteration

    with AudioServer(two_way=True) as audio, Party(audio) as party, party.stream.utterances(vad=Ends()) as said:
        party.say(*TURN)
        with pytest.raises(RuntimeError, match="the detector raised StopIteration"):
            next(said)


# -- endless loops -----------------------------------------------------------------------------------------------------


def test_a_detector_whose_frames_shrink_is_called_with_the_frames_that_it_had() -> None:
    shrinking = Shrinking()
    segmenter = Segmenter(shrinking, 8000)
    for number in range(3):
        assert segmenter.push(number * 0.02, bytes(320)) == []
    assert segmenter.finish() == []
    assert shrinking.sizes == 6 * [160]


class Shrinking:
    """A detector that has no frames once it has been called."""

    def __init__(self) -> None:
        self.sample_rate = 8000
        self.frame = 80
        self.sizes: list[int] = []

    def __call__(self, pcm: bytes) -> float:
        self.sizes.append(len(pcm))
        self.frame = self.sample_rate = 0
        return 0.0


def test_audio_without_end_and_without_sound_ends_with_the_conversation(talk: Talk) -> None:
    asked = 0

    def nothing(text: str) -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b""

    party, it = talk(speak=nothing)
    it.say("hello")
    until(lambda: asked > 2)
    before, began = asked, time.monotonic()
    party.say(*TURN)  # interrupts
    assert next(it).text == "words"
    assert asked - before < 5000 * (time.monotonic() - began)  # leaves time for other threads
    it.close()
    until(lambda: not conversation_threads())


def test_playing_audio_without_end_and_without_sound_ends_with_the_stream() -> None:
    asked = 0

    def nothing() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b""

    with AudioServer(two_way=True) as audio, Party(audio) as party:
        playback = party.stream.play(nothing(), wait=False)
        until(lambda: asked > 2)
        party.hang_up()
        assert playback.wait(PATIENCE).samples == 0
        until(lambda: not [each for each in threading.enumerate() if "-play-" in each.name])


# -- calling back ------------------------------------------------------------------------------------------------------


def test_speak_that_waits_for_itself_is_told(talk: Talk) -> None:
    raised: list[BaseException] = []

    def speak(text: str) -> bytes:
        try:
            it.wait_until_said()
        except WrongThread as error:
            raised.append(error)
        return tone(800)

    _, it = talk(speak=speak)
    Background(it.say, "hello").result()
    assert it.wait_until_said(PATIENCE)
    assert len(raised) == 1


@pytest.mark.parametrize("who", ["speak", "vad"])
def test_a_turn_that_is_awaited_by_a_thread_of_the_conversation(talk: Talk, who: str) -> None:
    raised: list[BaseException] = []

    def ask() -> None:
        if not raised:
            try:
                next(it)
            except WrongThread as error:
                raised.append(error)

    def speak(text: str) -> bytes:
        if who == "speak":
            ask()
        return tone(800)

    class Asks(Loud):
        def __call__(self, pcm: bytes) -> float:
            if who == "vad":
                ready.wait(PATIENCE)
                ask()
            return super().__call__(pcm)

    ready = threading.Event()
    party, it = talk(speak=speak, vad=Asks())
    ready.set()
    party.say(*TURN)
    until(lambda: len(raised) == 1 or who == "speak")
    Background(it.say, "hello").result()
    assert len(raised) == 1
    assert next(it).text == "words"


@pytest.mark.parametrize("method", ["close", "say"])
def test_a_detector_that_uses_its_conversation(talk: Talk, method: str) -> None:
    class Uses(Loud):
        def __call__(self, pcm: bytes) -> float:
            ready.wait(PATIENCE)
            if self.frames == 30:
                done.append(getattr(it, method)(*["hello"] * (method == "say")))
            return super().__call__(pcm)

    ready, done = threading.Event(), []  # type: ignore[var-annotated]
    party, it = talk(vad=Uses(), interrupt_after=None)
    ready.set()
    party.say(*TURN)
    texts = Background(lambda: [turn.text for turn in it])
    until(lambda: done == [None])
    if method == "say":
        party.wait_for_audio(0.1)
        party.hang_up()
    assert texts.result() == ([] if method == "close" else ["words"])
    until(lambda: not conversation_threads())


def test_a_recognizer_that_closes_its_conversation(talk: Talk) -> None:
    def recognize(utterance: Utterance) -> str:
        it.close()
        return "the last words"

    party, it = talk(recognize=recognize)
    party.say(*TURN)
    assert [turn.text for turn in it] == ["the last words"]
    assert not party.stream.ended


def test_one_that_blocks_does_not_hold_up_another_conversation(talk: Talk) -> None:
    over = threading.Event()

    class Blocks(Loud):
        def __call__(self, pcm: bytes) -> float:
            over.wait(PATIENCE)
            return 0.0

    def blocks(thing: object) -> Any:
        over.wait(PATIENCE)
        return "late"

    party, it = talk(recognize=blocks)
    party.say(*TURN)
    waiting = Background(next, it)
    other, second = talk(vad=Blocks())
    other.say(*TURN)
    third, speaking = talk(speak=blocks)
    saying = Background(speaking.say, "hello")
    last, good = talk()
    last.say(*TURN)
    assert next(good).text == "words"
    good.say("hello")
    assert good.wait_until_said(PATIENCE)
    third.hang_up()
    saying.result()
    over.set()
    assert waiting.result().text == "late"
    assert second.discarded == 0


def test_a_detector_whose_failure_no_turn_has_raised_is_reported(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Loud):
        def __call__(self, pcm: bytes) -> float:
            raise ZeroDivisionError("broken")

    party, it = talk(vad=Fails())
    party.say(*TURN)
    until(lambda: not any(name.startswith("relay-speech-") for name in conversation_threads()))
    it.close()
    it.close()
    messages = [each.getMessage() for each in caplog.records]
    assert [each for each in messages if "detector" in each] == [
        "the detector of call C failed: ZeroDivisionError('broken')"
    ]


def test_a_detector_whose_failure_was_raised_is_not_reported_again(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(Loud):
        def __call__(self, pcm: bytes) -> float:
            raise ZeroDivisionError("broken")

    party, it = talk(vad=Fails())
    party.say(*TURN)
    with pytest.raises(ZeroDivisionError):
        next(it)
    it.close()
    assert not [each for each in caplog.records if "detector" in each.getMessage()]


def test_speak_that_calls_say_forever_is_stopped(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaking_queue, "MOST_THREADS", 8)
    calls: list[str] = []

    def again(text: str) -> bytes:
        calls.append(text)
        if len(calls) < 100:
            it.say("again")
        return tone(800)

    _, it = talk(speak=again)
    with pytest.raises(QueueFull, match="8 texts and iterables wait"):
        it.say("hello")
    assert len(calls) == 8
    until(lambda: not any(name.startswith("relay-conversation-") for name in conversation_threads()))
    it.say(tone(800))
    assert it.wait_until_said(PATIENCE)


@pytest.mark.parametrize("while_recognizing", [True, False])
def test_a_recognizer_that_does_not_return_after_a_hang_up_is_reported(
    talk: Talk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, while_recognizing: bool
) -> None:
    monkeypatch.setattr(listening, "GRACE", 0.5)
    over, called = threading.Event(), threading.Event()

    def blocks(utterance: Utterance) -> str:
        called.set()
        over.wait(PATIENCE)
        return "late"

    party, it = talk(recognize=blocks)
    party.say(*(TURN if while_recognizing else TURN[:-1]))
    waiting = Background(next, it)
    assert not while_recognizing or called.wait(PATIENCE)
    party.hang_up()
    said = "recognize() of call C has not returned 0.5 s after the end of the stream"
    until(lambda: said in [each.getMessage() for each in caplog.records])
    over.set()
    assert waiting.result().text == "late"


@pytest.mark.parametrize("what", ["conversation", "utterances"])
def test_a_detector_that_never_returns_is_reported(
    what: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "CLOSING", 0.1)
    over, called = threading.Event(), threading.Event()

    class Blocks(Loud):
        def __call__(self, pcm: bytes) -> float:
            called.set()
            over.wait(PATIENCE)
            return 0.0

    with AudioServer(two_way=True) as audio, Party(audio) as party:
        made: Any
        if what == "conversation":
            made = Conversation(party.stream, recognize=words, vad=Blocks())
        else:
            made = party.stream.utterances(vad=Blocks())
        party.say(*TURN)
        assert called.wait(PATIENCE)
        made.close()
        (thread,) = (each for each in conversation_threads() if each.startswith("relay-speech-"))
        messages = [each.getMessage() for each in caplog.records]
        said = f"the detector of call C has not returned since its {what} ended: {thread}"
        assert [each for each in messages if "detector" in each] == [said]
        over.set()
        until(lambda: not conversation_threads())
