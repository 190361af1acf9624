"""What a scenario file says, and the error about a file that is wrong. This module does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import field, frozen

__all__ = ["FALLBACK_MATCH", "FALLBACK_WITHIN", "Scenario", "ScenarioMistake", "Step", "is_file"]

#: Seconds that a step may take, and the least score of a match, unless the file says otherwise.
FALLBACK_WITHIN: Final = 10.0
FALLBACK_MATCH: Final = 0.8


class ScenarioMistake(ValueError):
    """Raised when a scenario file is wrong. Its text is ``FILE:LINE: what is wrong``.

    :param file: path of the file.
    :param line: number of the line, starting at 1.
    :param why: what is wrong, and what is allowed.
    :ivar file: path of the file.
    :ivar line: number of the line.
    :ivar why: what is wrong.
    """

    def __init__(self, file: str, line: int, why: str) -> None:
        super().__init__(file, line, why)
        self.file: str = file
        self.line: int = line
        self.why: str = why

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


def is_file(text: str) -> bool:
    """Return whether the text of a step that says something is the path of a WAV file."""
    return text.lower().endswith(".wav")


@frozen(kw_only=True)
class Step:
    """One step of a scenario.

    :ivar line: number of its first line in the file.
    :ivar kind: ``says``, ``presses`` or ``hangs_up``; ``hears`` for what is said on a stream or played; ``plays`` for texts that
        the program has the platform play; ``ends`` if the program has to hang up.
    :ivar text: what the caller says, the keys, or the words that have to come; ``""`` if any sound will do.
    :ivar within: seconds that the step may take.
    :ivar match: least score of the words that were heard.
    :ivar after: seconds that the caller waits before the step.
    """

    line: int
    kind: Literal["says", "presses", "hears", "plays", "hangs_up", "ends"]
    text: str = ""
    within: float = FALLBACK_WITHIN
    match: float = FALLBACK_MATCH
    after: float = 0.0

    @property
    def is_expectation(self) -> bool:
        """Whether the step says what the program has to do."""
        return self.kind in ("hears", "plays", "ends")

    def __str__(self) -> str:
        if self.kind == "ends":
            return "the program hangs up"
        if self.kind == "hangs_up":
            return "hangs up"
        if self.kind == "presses":
            return f"[keys {self.text}]"
        return self.text or "(any sound)"


@frozen(kw_only=True)
class Scenario:
    """The contents of a scenario file.

    :ivar file: path of the file.
    :ivar to: the number that the caller calls.
    :ivar from_: the caller's number.
    :ivar context: context of the call.
    :ivar client: the program under test, as ``module:client``; ``""`` if the file names none.
    :ivar voice: function that turns text into audio, as ``module:callable``; ``""`` if the file names none.
    :ivar recognizer: function that turns an utterance into text, as ``module:callable``; ``""`` if the file names none.
    :ivar steps: the steps, at least one.
    :ivar lines: number of the line of each key at the top of the file.
    """

    file: str
    to: str = "+15550100"
    from_: str = "+15550199"
    context: str = "default"
    client: str = ""
    voice: str = ""
    recognizer: str = ""
    steps: tuple[Step, ...] = field(factory=tuple)
    lines: Mapping[str, int] = field(factory=dict, repr=False, hash=False)

    def mistake(self, step: Step, why: str) -> ScenarioMistake:
        """Return the error about a step.

        :param step: the step.
        :param why: what is wrong.
        """
        return ScenarioMistake(self.file, step.line, why)
