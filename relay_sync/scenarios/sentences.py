"""What a caller says: words that a voice speaks, bundled sentences, and WAV files beside the scenario."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from ..errors import InvalidParameter
from ..simulator import speech
from ..simulator.media.voice import Voice, load_voice
from .functions import synthesize
from .scenario import Scenario, Step, is_file
from .words import words_of

__all__ = ["Line", "check_words", "lines_of"]

#: The bundled sentences, by the name that ``says`` may have.
_BUNDLED: Final[Mapping[str, Callable[[], Path]]] = {"caller": speech.caller, "greeting": speech.greeting}


@frozen
class Line:
    """Something that the caller says.

    :ivar voice: the audio.
    :ivar words: its words; ``""`` if they are not known.
    :ivar shown: what the report shows.
    """

    voice: Voice
    words: str
    shown: str


def check_words(scenario: Scenario, *, voice: bool, recognizer: bool) -> None:
    """Check that there is a function for each step that needs one.

    :param scenario: the scenario.
    :param voice: whether there is a voice.
    :param recognizer: whether there is a recognizer.
    :raises ScenarioMistake: a step needs a function that is missing. The error names the option.
    """
    for step in scenario.steps:
        if step.kind == "says" and not voice and not is_file(step.text) and _bundled(step.text) is None:
            why = (
                f"nothing can speak {_short(step.text)}: pass --voice module:callable, write voice = in the file,"
                ' or use "caller", "greeting" or a WAV file'
            )
            raise scenario.mistake(step, why)
        if step.kind == "hears" and not recognizer and step.text:
            why = (
                f"nothing can recognize {_short(step.text)}: pass --recognizer module:callable, write recognizer = in the"
                " file, or use hears = true for any sound"
            )
            raise scenario.mistake(step, why)


def lines_of(scenario: Scenario, voice: Callable[[str], Any] | None) -> dict[Step, Line]:
    """Return the audio of each step that says something.

    :param scenario: the scenario, whose words were checked.
    :param voice: the user's voice.
    :raises ScenarioMistake: a WAV file cannot be used.
    :raises ScenarioFailed: the voice failed.
    """
    return {step: _line(scenario, step, voice) for step in scenario.steps if step.kind == "says"}


def _line(scenario: Scenario, step: Step, voice: Callable[[str], Any] | None) -> Line:
    if is_file(step.text):
        return Line(_file(scenario, step), "", f"[{step.text}]")
    bundled = _bundled(step.text)
    if bundled is not None and (voice is None or step.text in _BUNDLED):
        words = _text_of(bundled)
        return Line(load_voice(bundled, "says"), words, words)
    assert voice is not None  # by check_words()
    return Line(synthesize(voice, step.text), step.text, step.text)


def _file(scenario: Scenario, step: Step) -> Voice:
    path = os.path.join(os.path.dirname(scenario.file), step.text)
    try:
        voice = load_voice(path, "says")
    except InvalidParameter as error:
        raise scenario.mistake(step, f"{step.text}: expected {error.accepted}") from None
    except OSError as error:
        why = error.strerror or error
        raise scenario.mistake(step, f"{step.text} cannot be read: {why}; its path is relative to this file") from None
    if not voice.pcm:
        raise scenario.mistake(step, f"{step.text} contains no audio")
    return voice


def _bundled(text: str) -> Path | None:
    """Return the bundled sentence with this name or these words."""
    named = _BUNDLED.get(text)
    if named is not None:
        return named()
    words = words_of(text)
    return next((path() for path in _BUNDLED.values() if words_of(_text_of(path())) == words), None)


def _text_of(wav: Path) -> str:
    return wav.with_suffix(".txt").read_text(encoding="utf-8").strip()


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
