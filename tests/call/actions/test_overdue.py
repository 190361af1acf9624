"""The end of an action whose length was given: if it is not reported, a wait without a limit ends all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import Action, Call, WaitTimeout
from relay_sync.call.actions import base
from relay_sync.simulator import Simulator
from tests.support.background import Background
from tests.support.far_end import mute
from tests.support.lines import line

SILENCE = {"type": "silence", "params": {"duration": 0.05}}
TTS = {"type": "tts", "params": {"text": "hello"}}
DIGITS = {"max": 2, "digit_timeout": 0.05}
SPEECH = {"speech_timeout": 0.05}


@pytest.fixture
def call(sim: Simulator) -> Iterator[Call]:
    """One whose actions never end: the simulator takes them on, and says nothing more."""
    with line(sim) as one:
        mute(sim)
        yield one.call


TOLD: dict[str, Callable[[Call], Any]] = {
    "recording": lambda call: call.record({"max_length": 0.05}),
    "detector": lambda call: call.detect_digit(timeout=0.05),
    "silence": lambda call: call.play([SILENCE, SILENCE]),
    "silence, looped": lambda call: call.play([SILENCE], loop=2),
    "ringtone": lambda call: call.play([{"type": "ringtone", "params": {"name": "us", "duration": 0.05}}]),
    "keys": lambda call: call.collect(digits=DIGITS, initial_timeout=0.05),
    "words": lambda call: call.collect(speech=SPEECH, initial_timeout=0.05),
}
UNTOLD: dict[str, Callable[[Call], Any]] = {
    "recording": lambda call: call.record(),
    "recording without an end": lambda call: call.record({"max_length": 0}),
    "detector": lambda call: call.detect_digit(),
    "speech": lambda call: call.play([SILENCE, TTS]),
    "silence for ever": lambda call: call.play([SILENCE], loop=0),
    "keys": lambda call: call.collect(digits=DIGITS),
    "keys, later": lambda call: call.collect(digits=DIGITS, initial_timeout=0.05, start_input_timers=False),
    "dictation": lambda call: call.collect(speech=SPEECH, initial_timeout=0.05, continuous=True),
    "prompt": lambda call: call.play_and_collect([TTS], {"digits": DIGITS, "initial_timeout": 0.05}),
    "stream": lambda call: call.stream("ws://127.0.0.1:9/audio"),
}


@pytest.mark.parametrize("kind", TOLD)
def test_a_wait_without_a_limit_ends_when_the_end_is_overdue(
    call: Call, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "REPORT_PATIENCE", 0.05)
    action: Action[Any] = TOLD[kind](call)
    for wait in (action.wait, getattr(action, "wait_for_result", action.wait)):
        with pytest.raises(
            WaitTimeout,
            match=r"is overdue \(state .*the time limit was 0\.\d+ s, and the final event may have been lost",
        ):
            Background(wait).result()
    assert not action.is_done


@pytest.mark.parametrize("kind", UNTOLD)
def test_what_was_given_no_length_has_none(call: Call, kind: str) -> None:
    assert UNTOLD[kind](call)._longest() is None


def test_a_pause_takes_as_long_as_it_takes(call: Call) -> None:
    for action in (call.record({"max_length": 5}), call.play([SILENCE])):
        assert action._longest() is not None
        action.pause()
        assert action._longest() is None
