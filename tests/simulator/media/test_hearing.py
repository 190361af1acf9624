"""What somebody on a simulated telephone has heard: what got through, and how much of it; and how that is remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import CallEnded, devices
from relay_sync.simulator import Played, Simulator
from relay_sync.simulator.media.played import part_of
from relay_sync.simulator.people.party import MOST_HEARD, Memory
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import Line, line

TEXT = "Please write this down. " * 20 + "Your code is 4 7 1 1."
LONG = {"type": "tts", "params": {"text": TEXT}}
URL = "https://media.test/music.mp3"
MUSIC = {"type": "audio", "params": {"url": URL}}
ONE = "+15550101"


@pytest.fixture
def one() -> Iterator[Line]:
    with Simulator(speed=60.0) as sim, line(sim) as found:
        yield found


# -- how much ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.1, None),
        (0.3, None),
        (1.0, "Good"),
        (1.5, "Good"),
        (2.2, "Good morning"),
        (3.0, "Good morning everybody"),
        (9, "Good morning everybody"),
    ],
)
def test_of_a_text_that_is_cut_off_whole_words_got_through(seconds: float, text: str | None) -> None:
    part = part_of(Played(type="tts", text="Good morning everybody", duration=3.0), seconds)
    if text is None:
        assert part is None
    else:
        assert part == Played(type="tts", text=text, duration=min(seconds, 3.0))


def test_of_a_sound_that_is_cut_off_so_many_seconds_got_through() -> None:
    sound = Played(type="audio", url="https://media.test/1.wav", duration=3.0)
    assert part_of(sound, 0.1) is None
    assert part_of(sound, 1.0) == Played(type="audio", url="https://media.test/1.wav", duration=1.0)
    assert part_of(sound, 3.0) == sound


CUTS: dict[str, Callable[[Line, Any], object]] = {
    "our side hangs up": lambda one, _: one.call.hangup(),
    "the party hangs up": lambda one, _: one.phone.hang_up(),
    "it is stopped": lambda one, action: action.stop(),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_what_was_cut_off_at_once_was_not_heard(one: Line, cut: Callable[[Line, Any], object]) -> None:
    cut(one, one.call.play([LONG]))
    one.phone.wait_until_idle(PATIENCE)
    assert not one.phone.heard("4 7 1 1", within=0)
    assert sum(item.duration for item in one.phone.heard) < 20


def test_a_prompt_that_is_answered_early_was_heard_until_then(one: Line) -> None:
    action = one.call.play_and_collect([LONG], {"digits": {"max": 1}})
    one.phone.wait_until_heard("Please write", PATIENCE)
    one.phone.press("1")
    action.wait(PATIENCE)
    (item,) = one.phone.heard
    assert TEXT.startswith(item.text)
    assert 0 < item.duration < 20
    assert not one.phone.heard("4 7 1 1", within=0)


def test_what_an_agent_is_kept_from_saying_was_not_heard(one: Line) -> None:
    one.call.ai(prompt={"text": "be kind"})
    one.call.ai_message(role="assistant", message_text=TEXT)
    one.phone.hang_up()
    with pytest.raises(CallEnded):
        one.phone.wait_until_heard("4 7 1 1", PATIENCE)


def test_what_is_injected_does_not_cut_off_what_was_injected_before(one: Line) -> None:
    one.call.live_translate({"start": {"from_lang": "en", "to_lang": "es", "direction": ["remote-caller"]}})

    def inject(text: str) -> None:
        one.call.live_translate({"inject": {"message": text, "direction": "remote-caller"}})

    inject("hola")
    inject(TEXT)
    one.phone._call.board.wait_for(lambda: "hola" in finished(one), PATIENCE, "the first to be over")
    inject("adios")
    one.phone._call.board.wait_for(lambda: len(finished(one)) == 3, PATIENCE, "all of it to be over")
    assert sorted(finished(one)) == sorted(["hola", TEXT, "adios"])


def finished(one: Line) -> list[str]:
    """What was heard, and is over."""
    return [item.text for item in one.phone._call.party.heard]


def test_what_is_to_be_heard_while_it_rings_ends_with_the_answer(one: Line) -> None:
    one.sim.expect_phone(ONE, answers_after=2)
    with one.call.expect("calling.call.connect", lambda event: event.connect_state == "connected", PATIENCE):
        one.call.connect([[devices.phone(ONE)]], ringback=[MUSIC, LONG])
    (item,) = one.phone.heard
    assert item.words == URL
    assert item.duration == pytest.approx(2.1, abs=1)


def test_a_long_text_is_heard_word_by_word(one: Line) -> None:
    action = one.call.play([LONG])
    one.phone.wait_until_heard("Please write", PATIENCE)
    assert not action.is_done
    assert not one.phone.heard("4 7 1 1", within=0)
    one.phone.wait_until_heard("4 7 1 1", PATIENCE)
    action.wait(PATIENCE)
    assert [item.text for item in one.phone.heard] == [TEXT]


def test_what_is_paused_is_not_heard_on(one: Line) -> None:
    action = one.call.play([LONG])
    one.phone.wait_until_heard("Please write", PATIENCE)
    action.pause()
    before = [item.text for item in one.phone.heard]
    one.call.play([{"type": "silence", "params": {"duration": 4}}]).wait(PATIENCE)
    assert [item.text for item in one.phone.heard if item.text] == before
    action.stop()
    one.phone.wait_until_idle(PATIENCE)
    assert [item.text for item in one.phone.heard if item.text] == before


# -- memory ------------------------------------------------------------------------------------------------------------


def test_music_without_an_end_is_counted(sim: Simulator) -> None:
    with line(sim) as one:
        one.call.play([{"type": "tts", "params": {"text": "Welcome"}}]).wait(PATIENCE)
        action = one.call.play([MUSIC, {"type": "tts", "params": {"text": "Please hold"}}], loop=0)
        one.phone._call.board.wait_for(lambda: rounds(one) > 30, PATIENCE, "thirty rounds")
        assert [item.words for item in one.phone.heard] == ["Welcome", URL, "Please hold"]
        assert [item.times for item in one.phone.heard][:1] == [1]
        action.stop()


def rounds(one: Line) -> int:
    return max((item.times for item in one.phone.heard), default=0)


def played(number: int) -> Played:
    return Played(type="tts", text=f"number {number}", duration=1.0)


def test_what_was_heard_once_is_not_forgotten_for_what_comes_again_and_again() -> None:
    memory = Memory()
    memory.add(played(0))
    for number in range(5 * MOST_HEARD):
        memory.add(played(1 + number % 3))
    kept = list(memory)
    assert len(kept) == MOST_HEARD
    assert kept[0] == played(0)
    for number in range(10, 10 + MOST_HEARD):
        memory.add(played(number))
    assert [*memory] == [played(number) for number in range(10, 10 + MOST_HEARD)]


def test_only_what_is_new_is_looked_at() -> None:
    memory, seen, looks = Memory(), 0, 0
    for number in range(3 * MOST_HEARD):
        memory.add(played(number % 7))
        fresh, seen = memory.since(seen)
        looks += len(fresh)
        assert fresh == [played(number % 7)]
    assert looks == 3 * MOST_HEARD
    assert memory.since(seen) == ([], seen)


def test_a_wait_finds_what_was_heard_before_and_what_comes(sim: Simulator) -> None:
    with line(sim) as one:
        one.call.play([{"type": "tts", "params": {"text": "Welcome"}}]).wait(PATIENCE)
        assert one.phone.wait_until_heard("Welcome", PATIENCE).text == "Welcome"
        waiting = Background(one.phone.wait_until_heard, "Goodbye", PATIENCE)
        one.call.play([MUSIC, {"type": "tts", "params": {"text": "Goodbye"}}]).wait(PATIENCE)
        assert waiting.result().text == "Goodbye"


def test_the_cue_to_hang_up_is_what_was_heard_to_its_end(sim: Simulator) -> None:
    with line(sim) as one:
        phone = sim.call(to="+15550100", from_="+15550199", hangs_up_after="Goodbye")
        call = one.desk.take()
        call.answer()
        action = call.play([{"type": "tts", "params": {"text": "Goodbye"}}, LONG], loop=0)
        phone.wait_until("ended", PATIENCE)
        assert [item.words for item in phone.heard] == ["Goodbye"]
        action.wait(PATIENCE)
