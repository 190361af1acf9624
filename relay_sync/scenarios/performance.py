"""Play a scenario: call the program, speak, listen, and compare."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from ..errors import InvalidParameter, RelayError
from ..simulator import Phone, Simulator
from ..threads.flag import Bell
from .functions import ScenarioFailed, load_function
from .listening import SILENCE, Heard, Listening, Recognizing
from .mouth import Mouth
from .reading import check_name, read
from .report import Report, Row
from .rows import Verdict, rows_of
from .scenario import Scenario, ScenarioMistake, Step
from .sentences import Line, check_words, lines_of
from .words import Match, best_match, words_of

__all__ = ["play"]

#: Seconds until the program has to answer the call.
ANSWERED: Final = 30.0
#: Seconds of audio after a limit that are examined, because speech is noticed only when silence follows it.
_SETTLED: Final = SILENCE + 0.4
#: Seconds that what is still being said at a limit may last.
_LONGEST: Final = 32.0
#: Seconds that the recognizer has for what was heard last.
_LAST_WORDS: Final = 10.0
#: Seconds without a further word after which a text that the platform plays counts as complete.
_GROWING: Final = 1.0
#: Seconds between two looks at the call.
_TICK: Final = 0.02
#: Operations that recognize what the caller says without a stream.
_RECOGNIZING: Final = frozenset({"calling.play_and_collect", "calling.collect"})


def play(
    scenario: str | os.PathLike[str] | Scenario,
    simulator: Simulator,
    *,
    voice: Callable[[str], Any] | str | None = None,
    recognizer: Callable[..., str] | str | None = None,
) -> Report:
    """Call the program that is connected to a simulator, and play a scenario.

    :param scenario: path of the file, or a scenario that was read before.
    :param simulator: the simulator, with ``media="realtime"``. With a ``speed`` above 1, programs that send audio in real time,
        as ``play()`` and ``Conversation`` do, are heard with gaps.
    :param voice: function that turns text into the caller's speech, or its name as ``module:callable``. It returns what ``speak``
        of a ``Conversation`` returns; PCM without a sample rate has 8000 Hz. By default, the function that the file names.
    :param recognizer: function that turns an ``Utterance`` that the caller heard into text, or its name. By default, the
        function that the file names.
    :return: what happened. It is true if every expectation was met.
    :raises ScenarioMistake: the file is wrong, or a step needs a voice or recognizer that is missing. The error names the line.
    :raises InvalidParameter: a parameter is invalid, or a function cannot be imported.
    """
    if not isinstance(simulator, Simulator):
        raise InvalidParameter("simulator", simulator, "a Simulator")
    if simulator.settings.media != "realtime":
        raise InvalidParameter("simulator", simulator, 'a Simulator(media="realtime"), because speech needs a clock')
    script = scenario if isinstance(scenario, Scenario) else read(scenario)
    speak = _function("voice", voice, script)
    recognize = _function("recognizer", recognizer, script)
    check_words(script, voice=speak is not None, recognizer=recognize is not None)
    try:
        lines = lines_of(script, speak)
    except ScenarioFailed as failed:
        return _report(script, f"{script.file}: {failed}")
    recognizing = None if recognize is None else Recognizing(recognize)
    try:
        return _played(script, simulator, lines, recognizing)
    finally:
        if recognizing is not None:
            recognizing.close()


def _function(name: str, given: Callable[..., Any] | str | None, scenario: Scenario) -> Callable[..., Any] | None:
    folder = os.path.dirname(scenario.file)
    if given is None:
        named: str = getattr(scenario, name)
        try:
            return load_function(named, folder) if named else None
        except LookupError as wrong:
            raise ScenarioMistake(scenario.file, scenario.lines[name], f"{name}: {wrong.args[0]}") from wrong
    if callable(given):
        return given
    if not check_name(given):
        raise InvalidParameter(name, given, "a function, or its name as module:callable")
    try:
        return load_function(given, folder)
    except LookupError as wrong:
        raise InvalidParameter(name, given, f"the name of a function: {wrong.args[0]}") from wrong


def _report(script: Scenario, failure: str, call: _Call | None = None) -> Report:
    return Report(
        scenario=script,
        rows=() if call is None else rows_of(call.rows, call.listening.entries, call.verdicts),
        failure=failure,
        met=0 if call is None else sum(each.met for each in call.verdicts),
        of=sum(step.is_expectation for step in script.steps),
        seconds=0.0 if call is None else call.clock(),
    )


def _played(
    script: Scenario, simulator: Simulator, lines: Mapping[Step, Line], recognizing: Recognizing | None
) -> Report:
    mouth, began = Mouth.silent(), time.monotonic()
    try:
        phone = simulator.call(
            to=script.to, from_=script.from_, context=script.context, says=mouth, ring_timeout=2 * ANSWERED
        )
    except RelayError as error:
        return _report(script, f"{script.file}: the call cannot be placed: {error}")
    speed = simulator.settings.speed
    call = _Call(script, phone, mouth, lambda: (time.monotonic() - began) * speed, speed, recognizing)
    return _report(script, call.run(lines), call)


@frozen
class _Found:
    """The best match among the words that do not belong to former steps.

    :ivar match: the match.
    :ivar heard: the entry in which it ends; ``None`` if there are no words.
    :ivar used: the index of that entry, and the number of its words up to the end of the match.
    """

    match: Match
    heard: Heard | None = None
    used: tuple[int, int] = (0, 0)


class _Call:
    """The call of a scenario. All methods run in the thread that plays it.

    :param script: the scenario.
    :param phone: the caller's phone.
    :param mouth: the caller's voice.
    :param clock: function that returns the seconds since the start of the call, by the simulator's clock.
    :param speed: speed of that clock.
    :param recognizing: the recognizer; ``None`` if there is none.
    :ivar rows: what the caller did.
    :ivar verdicts: what became of the expectations.
    :ivar listening: what the caller hears.
    :ivar clock: function that returns the seconds since the start of the call.
    """

    def __init__(
        self,
        script: Scenario,
        phone: Phone,
        mouth: Mouth,
        clock: Callable[[], float],
        speed: float,
        recognizing: Recognizing | None,
    ) -> None:
        self.rows: list[Row] = []
        self.verdicts: list[Verdict] = []
        self.clock = clock
        self.listening = Listening(phone, clock, recognizing)
        self._script = script
        self._phone = phone
        self._mouth = mouth
        self._speed = speed
        self._bell = Bell() if recognizing is None else recognizing.bell
        self._since = 0.0  # sounds that began before it belong to former steps
        self._used = (0, 0)  # entry, and number of its words, up to which words belong to former steps
        self._compared: tuple[tuple[str, ...], list[str]] = ((), [])  # what was compared last, and the result
        self._match = Match(0.0, 0, 0)

    def run(self, lines: Mapping[Step, Line]) -> str:
        """Perform all steps, and hang up.

        :param lines: the audio of the steps that say something.
        :return: the reason why the scenario was not met, or ``""``.
        """
        failure, where = "", self._script.file
        try:
            self._wait_for_answer()
            for step in self._script.steps:
                where = f"{self._script.file}:{step.line}"
                self._perform(step, lines)
        except (ScenarioFailed, RelayError) as failed:
            failure = f"{where}: {failed}"
        finally:
            self._leave()
        return failure

    def _wait_for_answer(self) -> None:
        phone = self._phone
        if not self._wait(lambda: phone.state in ("answered", "ending", "ended"), self.clock() + ANSWERED):
            why = f": {phone.waits_because}" if phone.waits_because else ""
            raise ScenarioFailed(f"the program has not answered within {ANSWERED:g} s{why}")
        if phone.state != "answered":
            raise ScenarioFailed(f"the call ended ({phone.end_reason}) before it was answered")

    def _leave(self) -> None:
        """Hang up, and recognize what was heard last."""
        try:
            if not self._over:
                self._note("hangs up")
                self._phone.hang_up()
            self.listening.finish()
            self._wait(lambda: not self.listening.pending, self.clock() + _LAST_WORDS * self._speed)
        except (ScenarioFailed, RelayError):
            pass  # The steps are over. The report shows what was recognized until now.

    # -- waiting -------------------------------------------------------------------------------------------------------

    @property
    def _over(self) -> bool:
        return self._phone.state in ("ending", "ended")

    def _wait(self, ready: Callable[[], bool], until: float) -> bool:
        """Follow the call until a condition is true.

        :param ready: the condition.
        :param until: when to give up, in seconds since the start of the call.
        :return: whether the condition is true.
        """
        while True:
            self.listening.poll()
            if ready():
                return True
            left = (until - self.clock()) / self._speed
            if left <= 0:
                return False
            self._bell.sleep(lambda: False, min(left, _TICK))

    def _note(self, what: str) -> None:
        self.rows.append(Row(at=self.clock(), who="caller", came=what))

    def _when(self, step: Step) -> str:
        return f"before the call ended ({self._phone.end_reason})" if self._over else f"within {step.within:g} s"

    # -- the caller's steps --------------------------------------------------------------------------------------------

    def _perform(self, step: Step, lines: Mapping[Step, Line]) -> None:
        if step.after:
            self._wait(lambda: self._over, self.clock() + step.after)
        if step.kind == "says":
            self._say(step, lines[step])
        elif step.kind == "presses":
            self._wait_until_heeded(step, lambda method: True)
            self._note(str(step))
            self._phone.press(step.text)
        elif step.kind == "hangs_up":
            self._note("hangs up")
            self._phone.hang_up()
        elif step.kind == "ends":
            self._expect_the_end(step)
        elif step.text:
            self._expect_words(step)
        else:
            self._expect_sound(step)

    def _say(self, step: Step, line: Line) -> None:
        takes_words = self._wait_until_heeded(step, _RECOGNIZING.__contains__)
        self._note(line.shown)
        if takes_words and line.words:
            self._phone.say(line.words)
        if self._streaming:
            sentence = self._mouth.say(line.voice)
            limit = self.clock() + line.voice.duration + step.within
            self._wait(lambda: sentence.said or self._over or not self._streaming, limit)
            if not sentence.said:
                why = f"the call ended ({self._phone.end_reason})" if self._over else "the stream ended"
                raise ScenarioFailed(f"the caller could not finish: {why}")
        elif not line.words:
            raise ScenarioFailed(
                "the program recognizes words without a stream, and the words of a WAV file are unknown"
            )

    @property
    def _streaming(self) -> bool:
        return any(stream.state == "streaming" for stream in self._phone.streams)

    def _wait_until_heeded(self, step: Step, takes: Callable[[str], bool]) -> bool:
        """Wait until a stream or an operation takes what the caller says or presses.

        :param step: the step.
        :param takes: function that returns whether the operation that a method has started takes it.
        :return: whether an operation takes it.
        """

        def taken() -> bool:
            return any(map(takes, self._phone.activities))

        self._wait(lambda: self._over or self._streaming or taken(), self.clock() + step.within)
        if self._over:
            raise ScenarioFailed(f"the call ended ({self._phone.end_reason}) before the caller could do this")
        if not self._streaming and not taken():
            raise ScenarioFailed(f"the program has opened no stream within {step.within:g} s, and waits for no input")
        return taken()

    # -- expectations --------------------------------------------------------------------------------------------------

    def _expect_the_end(self, step: Step) -> None:
        ended = self._wait(lambda: self._over, self.clock() + step.within)
        self.verdicts.append(Verdict(step, self.clock(), ended))
        if not ended:
            raise ScenarioFailed(f"the program has not hung up within {step.within:g} s")

    def _expect_sound(self, step: Step) -> None:
        limit = self.clock() + step.within

        def started() -> float | None:
            return next((each.start for each in self.listening.sounds if self._since <= each.start <= limit), None)

        self._wait(lambda: started() is not None or self._over, limit + _TICK * self._speed)
        at = started()
        self.verdicts.append(Verdict(step, self.clock() if at is None else at, at is not None))
        if at is None:
            raise ScenarioFailed(f"there was no sound {self._when(step)}")
        self._since = self.clock()

    def _expect_words(self, step: Step) -> None:
        expected = words_of(step.text)
        limit = self.clock() + step.within
        found = _Found(Match(0.0, 0, 0))

        def decided() -> bool:
            nonlocal found
            over, late = self._over, self.clock() >= limit + _SETTLED
            if over:
                self.listening.finish()
            # Read this before the words are compared, which may become known in the meantime.
            complete = not self.listening.pending and (over or (late and not self.listening.speaking))
            found = self._best(expected, limit, step.kind == "plays")
            return complete or (found.match.score >= step.match and not self._may_improve(found))

        self._wait(decided, limit + _LONGEST)
        met = found.match.score >= step.match
        self.verdicts.append(Verdict(step, self.clock(), met, found.heard, found.match.score))
        if not met:
            what = "the caller heard no words" if found.heard is None else "the caller did not hear this"
            raise ScenarioFailed(f"{what} {self._when(step)}")
        self._used = found.used
        self._since = self.clock()

    def _may_improve(self, found: _Found) -> bool:
        """Return whether the last word of a match belongs to a text that is still being played."""
        heard = found.heard
        growing = heard is not None and heard.is_played and self.clock() - heard.end < _GROWING
        return found.match.score < 1.0 and growing and not self._over

    def _best(self, expected: tuple[str, ...], limit: float, only_played: bool) -> _Found:
        """Compare words with what was heard, except what belongs to former steps.

        :param expected: the words.
        :param limit: when the sentence must have started, in seconds since the start of the call.
        :param only_played: whether to leave out what had to be recognized.
        """
        words: list[str] = []
        places: list[tuple[int, int]] = []
        first, skipped = self._used
        for index, entry in enumerate(self.listening.entries[first:], first):
            if only_played and not entry.is_played:
                continue
            if entry.text is None:
                break  # The words after it are compared when these are known.
            if entry.start > limit:
                continue
            for number, word in enumerate(words_of(entry.text), 1):
                if index > first or number > skipped:
                    words.append(word)
                    places.append((index, number))
        if not places:
            return _Found(Match(0.0, 0, 0))
        if self._compared != (expected, words):  # what was heard changes seldom, and comparing takes CPU time
            self._compared, self._match = (expected, words), best_match(expected, words)
        match = self._match
        used = places[match.end - 1] if match.score > 0 else places[-1]
        return _Found(match, self.listening.entries[used[0]], used)
