"""What waits of the simulator cost, what they say when they fail, and that they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import WaitTimeout
from relay_sync.audio import AudioServer
from relay_sync.simulator import ControlInterface, Journal, Simulator
from relay_sync.simulator.core.journal import Reader
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.control import Control
from tests.support.lines import Line, line

TTS = {"type": "tts", "params": {"text": "Good morning"}}


class Frame(dict[str, Any]):
    """A frame that counts how often its method is asked for."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.looks += key == "method"
        return super().get(key, default)


def fill(journal: Journal, count: int) -> list[Frame]:
    frames = [Frame(id=f"f{number}", method="calling.answer", params={}) for number in range(count)]
    for frame in frames:
        journal.add("in", 1, frame)
    return frames


def test_a_reader_hands_out_each_entry_once_whatever_is_forgotten_meanwhile() -> None:
    journal = Journal(limit=4)
    reader = Reader(journal)
    fill(journal, 3)
    assert [number for number, _ in reader.fresh()] == [0, 1, 2]
    assert reader.fresh() == []
    fill(journal, 6)  # two of them are forgotten before they are read
    assert [number for number, _ in reader.fresh()] == [5, 6, 7, 8]
    journal.clear()
    fill(journal, 1)
    assert [number for number, _ in reader.fresh()] == [9]


def test_a_look_for_a_command_looks_at_each_frame_once(sim: Simulator) -> None:
    with line(sim) as one:
        before = fill(sim.journal, 300)
        found = Background(lambda: one.phone.sent("calling.hold", within=PATIENCE))
        meanwhile = fill(sim.journal, 300)  # each of them wakes the wait
        assert found.running
        one.call.hold()
        assert found.result()
        most = max(frame.looks for frame in before + meanwhile)
        assert most <= 2  # what the entry is, and what it asks for


def test_a_look_over_the_control_interface_looks_at_each_frame_once(sim: Simulator) -> None:
    with ControlInterface(sim) as server:
        control = Control(server.url, server.key)
        before = fill(sim.journal, 300)
        asked = Background(control.get, "/journal?wait=1&method=calling.hold&timeout=10")
        meanwhile = fill(sim.journal, 300)
        sim.journal.add("in", 1, {"id": "last", "method": "calling.hold", "params": {}})
        assert [each["method"] for each in asked.result()["entries"]] == ["calling.hold"]
        assert max(frame.looks for frame in before + meanwhile) <= 2  # while waiting, and for the answer


def test_a_command_from_before_the_end_of_a_call_is_found_after_it(sim: Simulator) -> None:
    with line(sim) as one:
        one.call.hold()
        one.phone.hang_up()
        assert one.phone.sent("calling.hold", within=0)
        assert not one.phone.sent("calling.unhold", within=PATIENCE)  # the end of the call ends the wait


Change = Callable[[Line], object]
Wait = Callable[[Line], object]


@pytest.mark.parametrize(
    ("wait", "says"),
    [
        (lambda one: one.phone.wait_until("ended", 0.05), "it is answered"),
        (lambda one: one.phone.wait_until_heard("Good evening", 0.05), "heard so far: ['Good morning']"),
        (lambda one: one.phone.wait_until_doing("calling.collect", 0.05), "running now: calling.tap"),
        (lambda one: one.phone.wait_until_idle(0.05), "the end of calling.tap"),
    ],
    ids=["state", "heard", "doing", "idle"],
)
def test_a_wait_that_fails_says_what_is_true_at_its_end(sim: Simulator, wait: Wait, says: str) -> None:
    with line(sim) as one:
        one.call.play([TTS]).wait(PATIENCE)
        one.call.tap(
            {"type": "audio", "params": {"direction": "both"}},
            {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}},
        )
        with pytest.raises(WaitTimeout) as late:
            wait(one)
        assert says in str(late.value)


def test_a_wait_for_a_stream_says_what_is_true_at_its_end() -> None:
    with Simulator() as sim, line(sim) as one, AudioServer() as audio:
        with audio.listen(one.call):
            stream = one.phone.wait_for_stream()
            looks: list[None] = []

            def never(_: object) -> bool:
                looks.append(None)
                return False

            with pytest.raises(WaitTimeout, match=r"for \d+ looks") as late:
                stream.wait_for(never, 0.05, lambda: f"{len(looks)} looks")
            assert f" {len(looks)} looks" in str(late.value)


def test_keys_that_are_bound_keep_nobody_from_being_idle(sim: Simulator) -> None:
    with line(sim) as one:
        one.call.bind_digit("9", "calling.play", bind_params={"play": [TTS]})
        one.phone.wait_until_doing("calling.bind_digit", PATIENCE)
        one.call.play([TTS]).wait(PATIENCE)
        one.phone.wait_until_idle(PATIENCE)
        one.phone.press("9")
        one.phone.wait_until_idle(PATIENCE)
        assert [item.words for item in one.phone.heard] == ["Good morning"] * 2
