"""Scenarios are played: the caller speaks and listens, and what came is compared with what was expected."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from relay_sync import Call, InvalidParameter, RelayClient
from relay_sync.audio import AudioServer, AudioStream, write_wav
from relay_sync.audio.speech import Conversation, Turn, Utterance
from relay_sync.scenarios import Report, ScenarioMistake, performance, play
from relay_sync.scenarios.words import Match, best_match
from relay_sync.simulator import Simulator, speech
from tests.support.background import until
from tests.support.recognizing import SENTENCES, recognize, speak
from tests.support.speech import pcm_of

MORNING, NO, RIGHT = "Good morning.", "No, thank you.", "Yes, that is right."
NUMBER, SORRY = "My number is five five five zero one four seven.", "Sorry, the line is very bad."
Write = Callable[[str], Path]
Agent = Callable[[Call, AudioStream], None]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(speed=4.0, record_seconds=3600) as simulator:
        yield simulator


@pytest.fixture
def client(sim: Simulator) -> Iterator[RelayClient]:
    with RelayClient(**sim.credentials, contexts=["default"]) as connected:
        yield connected


@pytest.fixture
def answer(client: RelayClient) -> Iterator[Callable[[Agent], None]]:
    """Answers calls with a two-way stream."""
    with AudioServer() as audio:

        def answer_with(run: Agent) -> None:
            @client.on_call
            def handle(call: Call) -> None:
                call.answer()
                with audio.connect(call) as stream:
                    run(call, stream)

        yield answer_with
        client.disconnect(hangup_calls=True)


def replies(known: dict[str, str], *, greeting: str = MORNING) -> Agent:
    """Greets, and replies to what it recognizes. Keys are heard after the first reply."""

    def run(call: Call, stream: AudioStream) -> None:
        utterances = stream.utterances()
        stream.play(speak(greeting)[0], paced=False)
        for said in utterances:
            stream.play(speak(known.get(recognize(said), SORRY))[0], paced=False)
            if "1" in known:
                key = stream.read_dtmf(30)
                stream.play(speak(known["1"] if key is not None and key.digit == "1" else SORRY)[0], paced=False)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_scenario(text: str) -> Path:
        """Write a file whose steps may take long: 15 s of real time."""
        path = tmp_path / "order.toml"
        path.write_text(f"within = 60\n{text}", encoding="utf-8")
        return path

    return write_scenario


def played(path: Path, sim: Simulator, **options: Any) -> Report:
    return play(path, sim, **{"voice": speak, "recognizer": recognize, **options})


WHOLE = f"""\
[[step]]
hears = "good morning"

[[step]]
says = "{NO}"

[[step]]
hears = "My number is 5550147"
within = 4

[[step]]
presses = "1"

[[step]]
hears = "YES! That is right"
"""


@pytest.mark.slow
def test_a_conversation_that_goes_as_expected(answer: Callable[[Agent], None], sim: Simulator, write: Write) -> None:
    answer(replies({NO: NUMBER, "1": RIGHT}))
    report = played(write(WHOLE), sim)
    report.check()
    assert (bool(report), report.met, report.of, report.failure) == (True, 3, 3, "")
    assert [(row.who, row.came, row.met, row.score) for row in report.rows] == [
        ("program", MORNING, True, 1.0),
        ("caller", NO, None, None),
        ("program", NUMBER, True, 1.0),
        ("caller", "[keys 1]", None, None),
        ("program", RIGHT, True, 1.0),
        ("caller", "hangs up", None, None),
    ]
    times = [row.at for row in report.rows]
    assert times == sorted(times)
    assert times[1] - times[0] > 0.9, "the caller waits for the end of the greeting"
    assert str(report).splitlines()[-1].startswith("met: 3 of 3 expectations, ")


@pytest.mark.slow
def test_other_words_are_not_what_was_expected(answer: Callable[[Agent], None], sim: Simulator, write: Write) -> None:
    answer(replies({NO: RIGHT}))
    path = write(WHOLE)
    report = played(path, sim)
    assert not report
    assert report.failure == f"{path}:9: the caller did not hear this within 4 s"
    assert (report.met, report.of) == (1, 3)
    (row,) = [row for row in report.rows if row.met is False]
    assert (row.came, row.expected) == (RIGHT, "My number is 5550147")
    assert row.score == pytest.approx(0.1)
    assert "NOT MET: My number is 5550147 (0.10)" in report.table(200)
    assert "not met: 1 of 3 expectations" in repr(report)
    with pytest.raises(AssertionError, match="not met: 1 of 3"):
        report.check()


def test_words_are_compared_when_there_are_new_ones_only(
    answer: Callable[[Agent], None], sim: Simulator, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[Sequence[str]] = []

    def best(expected: Sequence[str], heard: Sequence[str]) -> Match:
        compared.append(heard)
        return best_match(expected, heard)

    monkeypatch.setattr(performance, "best_match", best)
    answer(replies({}))
    report = play(write(f"[[step]]\nhears = {NO!r}\nwithin = 6"), sim, voice=speak, recognizer=recognize)
    assert not report
    assert len(compared) == 1


def test_a_match_may_be_less_than_all_words(answer: Callable[[Agent], None], sim: Simulator, write: Write) -> None:
    answer(replies({}, greeting=RIGHT))
    wanted = '[[step]]\nhears = "yes this is right"\nmatch = {}\nwithin = 2\n'
    assert played(write(wanted.format(0.7)), sim).rows[0].score == 0.75
    assert not played(write(wanted.format(0.8)), sim)


def test_a_sentence_must_begin_within_the_limit(answer: Callable[[Agent], None], sim: Simulator, write: Write) -> None:
    late = threading.Event()

    def run(call: Call, stream: AudioStream) -> None:
        late.wait(0.5)  # 2 s of the simulator's clock
        stream.play(speak(MORNING)[0], paced=False)
        call.wait_for_ended(30)

    answer(run)
    # It begins between the limit and the end of what is examined after it.
    assert not played(write(f'[[step]]\nhears = "{MORNING}"\nwithin = 1.4\n'), sim)
    assert played(write(f'[[step]]\nhears = "{MORNING}"\nwithin = 9\n'), sim)


def test_the_program_hangs_up(answer: Callable[[Agent], None], sim: Simulator, write: Write) -> None:
    def run(call: Call, stream: AudioStream) -> None:
        stream.play(speak(MORNING)[0], paced=False)
        call.hangup()

    answer(run)
    report = played(write(f'[[step]]\nhears = "{MORNING}"\n[[step]]\nends = true\n'), sim)
    report.check()
    assert [row.came for row in report.rows] == [MORNING, "hangs up"]
    report = played(write(f'[[step]]\nhears = "{MORNING}"\n[[step]]\nhears = "{NUMBER}"\n'), sim)
    assert "before the call ended (hangup)" in report.failure
    report = played(write(f'[[step]]\nhears = "{MORNING}"\n[[step]]\nsays = "{NUMBER}"\nafter = 2\n'), sim)
    assert "the call ended (hangup) before the caller could do this" in report.failure


def test_a_program_that_does_not_hang_up(answer: Callable[[Agent], None], sim: Simulator, write: Write) -> None:
    answer(replies({}))
    report = played(write("[[step]]\nends = true\nwithin = 1\n"), sim)
    assert "the program has not hung up within 1 s" in report.failure
    assert "(is still on the line)" in [row.came for row in report.rows]


def test_without_words_no_functions_are_needed(answer: Callable[[Agent], None], sim: Simulator, write: Write) -> None:
    path = write('[[step]]\nhears = true\n[[step]]\nsays = "own.wav"\n[[step]]\nhears = true\n')
    write_wav(path.parent / "own.wav", pcm_of(SENTENCES[NO].sound), 8000)
    answer(replies({NO: RIGHT}))
    report = play(path, sim)
    report.check()
    came = [row.came for row in report.rows]
    assert came[0].startswith("(sound, ")
    assert "[own.wav]" in came
    report = play(write("[[step]]\nhears = true\n[[step]]\nhears = true\nwithin = 2\n"), sim)
    assert "order.toml:5: there was no sound within 2 s" in report.failure
    assert [row.met for row in report.rows] == [True, False, None]


@pytest.mark.slow
def test_bundled_sentences_are_known_by_their_names_and_words(
    answer: Callable[[Agent], None], sim: Simulator, write: Write
) -> None:
    text = speech.greeting().with_suffix(".txt").read_text(encoding="utf-8").strip()
    answer(replies({}))
    for says in ("greeting", text.upper()):
        assert text in [row.came for row in play(write(f'[[step]]\nsays = "{says}"\n'), sim).rows]


@pytest.mark.parametrize(("step", "option"), [('says = "Pizza."', "--voice"), ('hears = "Pizza."', "--recognizer")])
def test_a_line_that_needs_words_names_the_missing_option(sim: Simulator, write: Write, step: str, option: str) -> None:
    path = write(f"# x\n[[step]]\n{step}\n")
    with pytest.raises(ScenarioMistake, match=f"^{path}:4: .*{option} module:callable"):
        play(path, sim)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "expected a readable WAV file"),
        (b"RIFFxxxxWAVE", "expected a readable WAV file"),
    ],
)
def test_a_wav_file_that_cannot_be_used(sim: Simulator, write: Write, content: bytes | None, words: str) -> None:
    path = write('[[step]]\nsays = "own.wav"\n')
    if content is not None:
        (path.parent / "own.wav").write_bytes(content)
    with pytest.raises(ScenarioMistake, match=rf"^{path}:3: own\.wav.*{words}"):
        play(path, sim)


@pytest.mark.slow
def test_the_caller_interrupts_a_conversation(write: Write) -> None:
    """A conversation speaks at the speed of real time."""
    turns: list[Turn] = []
    text = f'[[step]]\nhears = true\n[[step]]\nafter = 1\nsays = "{NO}"\n[[step]]\nhears = "{RIGHT}"\n'
    with (
        Simulator() as sim,
        AudioServer() as audio,
        RelayClient(**sim.credentials, contexts=["default"]) as client,
    ):

        @client.on_call
        def handle(call: Call) -> None:
            call.answer()
            with audio.connect(call) as stream, Conversation(stream, recognize=recognize, speak=speak) as talk:
                talk.say(4 * pcm_of(SENTENCES[NUMBER].sound))
                for turn in talk:
                    turns.append(turn)
                    talk.say(RIGHT)

        played(write(text), sim).check()
        client.disconnect(hangup_calls=True)
    assert turns[0].interrupted is not None
    assert 0.5 < turns[0].interrupted.heard_seconds < 4


def test_texts_that_the_platform_plays_need_no_recognizer(client: RelayClient, sim: Simulator, write: Write) -> None:
    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        menu = call.prompt_tts("Welcome. Press 1.", collect={"digits": {"max": 1}, "initial_timeout": 5.0}).wait(30)
        call.play_tts(f"You pressed {menu.digits}.").wait(30)
        call.hangup()

    text = '[[step]]\nplays = "press one"\n[[step]]\npresses = "7"\n[[step]]\nplays = "{}"\n[[step]]\nends = true\n'
    report = play(write(text.format("you pressed seven")), sim)
    assert report, report
    assert report.rows[-2].came == "You pressed 7."
    report = play(write(text.format("you pressed eight")), sim)
    assert [row.score for row in report.rows if row.met is False] == [pytest.approx(2 / 3)]
    assert not report


def test_words_reach_operations_that_recognize_them(client: RelayClient, sim: Simulator, write: Write) -> None:
    heard: list[str] = []

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        heard.append(call.prompt_tts("Who is it?", collect={"speech": {}, "initial_timeout": 9.0}).wait(30).text)
        call.hangup()

    text = f'[[step]]\nplays = "Who is it?"\n[[step]]\nsays = "{MORNING}"\n[[step]]\nends = true\n'
    assert play(write(text), sim, voice=speak)
    assert heard == [MORNING]


def test_nobody_answers(sim: Simulator, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.scenarios.performance.ANSWERED", 1.0)
    report = play(write("context = 'other'\n[[step]]\nhears = true\n"), sim)
    assert "the program has not answered within 1 s: no client has subscribed to context 'other'" in report.failure
    assert (report.met, report.of) == (0, 1)
    assert not sim.phones


def test_a_call_that_is_rejected(client: RelayClient, sim: Simulator, write: Write) -> None:
    client.on_call(lambda call: call.hangup())
    assert "the call ended (hangup) before it was answered" in play(write("[[step]]\nhears = true\n"), sim).failure


def test_a_program_without_a_stream(client: RelayClient, sim: Simulator, write: Write) -> None:
    client.on_call(lambda call: call.answer())
    report = play(write("[[step]]\nsays = 'caller'\nwithin = 1\n"), sim)
    assert "order.toml:3: the program has opened no stream within 1 s" in report.failure
    assert "there was no sound within 1 s" in play(write("[[step]]\nhears = true\nwithin = 1\n"), sim).failure


# -- functions that misbehave ------------------------------------------------------------------------------------------


def _raise(_: object) -> str:
    raise LookupError("no such\nmodel")


def _exit(_: object) -> str:
    raise SystemExit(3)


def _endless(_: object) -> Iterator[bytes]:
    while True:
        yield bytes(160_000)


BAD_RECOGNIZERS: list[tuple[Callable[..., Any], str]] = [
    (_raise, "the recognizer failed: LookupError: no such model"),
    (_exit, "the recognizer failed: SystemExit: 3"),
    (lambda _: None, "the recognizer returned NoneType, not text"),
    (lambda: "x", "the recognizer failed: TypeError"),
]
BAD_VOICES: list[tuple[Callable[..., Any], str]] = [
    (_raise, "the voice failed for 'Pizza.': LookupError: no such model"),
    (_exit, "the voice failed for 'Pizza.': SystemExit: 3"),
    (lambda _: None, "the voice returned the wrong thing for 'Pizza.'"),
    (lambda _: "speech", "the voice returned the wrong thing"),
    (lambda _: b"", "the voice returned no audio"),
    (lambda _: b"x", "the voice returned the wrong thing"),
    (lambda _: (b"xx", 0), "the voice returned the wrong thing"),
    (lambda _: b"ID3" + bytes(999), "the voice returned the wrong thing"),
    (_endless, "more than 300 s"),
]


@pytest.mark.parametrize(("bad", "words"), BAD_RECOGNIZERS)
def test_a_recognizer_that_fails_ends_the_scenario(
    answer: Callable[[Agent], None], sim: Simulator, write: Write, bad: Callable[..., Any], words: str
) -> None:
    answer(replies({}))
    report = played(write(f'[[step]]\nhears = "{MORNING}"\n'), sim, recognizer=bad)
    assert report.failure.startswith(f"{report.scenario.file}:3: {words}")
    assert "\n" not in report.failure


def test_a_recognizer_that_blocks_ends_the_scenario(
    answer: Callable[[Agent], None], sim: Simulator, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay_sync.scenarios.listening.CALL_LIMIT", 0.3)
    monkeypatch.setattr("relay_sync.scenarios.listening._CLOSING", 0.1)
    release = threading.Event()

    def block(utterance: Utterance) -> str:
        release.wait(30)
        return "too late"

    answer(replies({}))
    report = played(write(f'[[step]]\nhears = "{MORNING}"\n'), sim, recognizer=block)
    release.set()
    assert "the recognizer has not returned within 60 s" in report.failure or "within 0.3 s" in report.failure
    until(lambda: not any(each.name.startswith("relay-scenario-") for each in threading.enumerate()))


@pytest.mark.parametrize(("bad", "words"), BAD_VOICES)
def test_a_voice_that_fails_ends_the_scenario(
    sim: Simulator, write: Write, bad: Callable[..., Any], words: str
) -> None:
    report = played(write('[[step]]\nsays = "Pizza."\n'), sim, voice=bad)
    assert words in report.failure
    assert "\n" not in report.failure
    assert not report.rows
    assert not sim.phones, "no call is made"


def test_a_voice_that_blocks_ends_the_scenario(sim: Simulator, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.scenarios.functions.CALL_LIMIT", 0.1)
    release = threading.Event()
    report = played(write('[[step]]\nsays = "Pizza."\n'), sim, voice=lambda _: release.wait(30))
    release.set()
    assert "the voice has not spoken 'Pizza.' within 0.1 s" in report.failure
    until(lambda: not any(each.name == "relay-scenario-voice" for each in threading.enumerate()))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere_at_all:speak", "nowhere_at_all:speak cannot be imported: ModuleNotFoundError"),
        ("tests.support.recognizing:shout", "tests.support.recognizing has no 'shout'"),
        ("tests.support.recognizing:SENTENCES.nothing", "has no 'SENTENCES.nothing'"),
        ("tests.support.recognizing:__all__", "is not a function"),
    ],
)
def test_functions_that_cannot_be_found(sim: Simulator, write: Write, name: str, words: str) -> None:
    path = write('[[step]]\nsays = "Pizza."\n')
    with pytest.raises(InvalidParameter, match=words):
        play(path, sim, voice=name)
    path = write(f'voice = "{name}"\n[[step]]\nsays = "Pizza."\n')
    with pytest.raises(ScenarioMistake, match=rf"^{path}:2: voice: .*{words}"):
        play(path, sim)


def test_functions_beside_the_file(answer: Callable[[Agent], None], sim: Simulator, write: Write) -> None:
    path = write('voice = "voice_beside_it:speak"\n[[step]]\nsays = "Pizza."\n')
    (path.parent / "voice_beside_it.py").write_text("def speak(text):\n    return bytes(1600)\n", encoding="utf-8")
    answer(replies({}))
    assert play(path, sim)


def test_what_is_not_a_scenario(sim: Simulator, write: Write) -> None:
    path = write("[[step]]\nhears = true\n")
    with pytest.raises(InvalidParameter, match="a Simulator"):
        play(path, "sim")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="module:callable"):
        play(path, sim, voice="anna")
    with Simulator(media="fast") as fast, pytest.raises(InvalidParameter, match="realtime"):
        play(path, fast)
