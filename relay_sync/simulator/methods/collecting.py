"""Collection of digits and speech: ``calling.collect`` and ``calling.play_and_collect``.

By default, a collector sends exactly one event, which has no ``state`` and no ``final`` member. With ``partial_results`` or
``continuous``, result events have both members. ``calling.play_and_collect`` supports neither option. The simulator uses only
``digits``, ``speech`` and ``initial_timeout`` from its ``collect`` object.

The following behavior is not documented by SignalWire and may differ on the real platform:

* For ``calling.collect``, the ``initial_timeout`` starts immediately if ``start_input_timers`` is true. Otherwise, the command
  ``calling.collect.start_input_timers`` starts it. For ``calling.play_and_collect``, it starts when the prompt ends.
* Input during a prompt ends the prompt. The prompt's ``finished`` event is sent before the input is processed.
* When a collector is stopped, it sends a result of type ``finished``. If the prompt is still playing, the prompt sends its own
  ``finished`` event first.
* If the prompt cannot be played, the client receives only the prompt's ``error`` event.
* Unintelligible speech produces a ``no_match`` result. For ``calling.play_and_collect``, so does entering fewer than ``min``
  digits.
* A collector without the ``digits`` option ignores digits, and a collector without the ``speech`` option ignores speech.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from attrs import define, field

from ..core.schemas import Findings
from ..media.sounds import estimate
from .operation import NetworkOperation, control, start, stop
from .playing import Playback
from .request import CommandRequest, Handler

__all__ = ["HANDLERS", "Collector", "PromptedCollector"]

INITIAL_TIMEOUT = 4.0
DIGIT_TIMEOUT = 5.0
END_SILENCE = 1.0
SURE, HALF_SURE = 92.3, 71.5  # confidence of final and partial results, on a scale of 0 to 100


@define(eq=False, kw_only=True)
class Collector(NetworkOperation):
    """A running collector of digits or speech."""

    event_type = "calling.call.collect"
    failure: ClassVar[Mapping[str, Any]] = {"result": {"type": "error"}}
    _typed: str = field(default="", init=False)
    _input_started: bool = field(default=False, init=False)

    @property
    def wanted(self) -> dict[str, Any]:
        """The options that describe the input to collect."""
        return self.params

    @property
    def _digits(self) -> dict[str, Any] | None:
        return self.wanted.get("digits")

    @property
    def _least(self) -> int:
        """The minimum number of digits."""
        return 0

    @property
    def _speech(self) -> dict[str, Any] | None:
        return self.wanted.get("speech")

    @property
    def _continuous(self) -> bool:
        return bool(self.wanted.get("continuous") or self.wanted.get("continue"))

    @property
    def _partial(self) -> bool:
        return bool(self.wanted.get("partial_results"))

    def begin(self) -> None:
        if self.wanted.get("start_input_timers"):
            self.start_timer()
        self.listen()

    def listen(self) -> None:
        """Start listening for input."""
        self.ask_party(keys=self._digits is not None, words=self._speech is not None)

    def start_timer(self) -> None:
        """Start the initial timeout, unless the party has already started to enter digits or speak."""
        if not self._input_started:
            seconds = self.wanted.get("initial_timeout") or INITIAL_TIMEOUT
            self.await_party("initial", seconds, self.complete, {"type": "no_input"})

    # -- input ----------------------------------------------------------------------------------------------------------

    def _input(self) -> None:
        """Handle the start of digits or speech."""
        self.cancel("initial")
        if not self._input_started:
            self._input_started = True
            if self.wanted.get("send_start_of_input"):
                self._result({"type": "start_of_input"}, final=None)

    def on_key(self, digit: str) -> None:
        wanted = self._digits
        if wanted is None:
            return
        self._input()
        self.cancel("digit")
        if digit in (wanted.get("terminators") or ""):
            self._typed_all(digit)
            return
        self._typed += digit
        if len(self._typed) >= wanted["max"]:
            self._typed_all("")
            return
        if self._partial:
            self._result({"type": "digit", "params": {"digits": self._typed, "terminator": ""}}, final=False)
        self.await_party("digit", wanted.get("digit_timeout") or DIGIT_TIMEOUT, self._typed_all, "")

    def _typed_all(self, terminator: str) -> None:
        typed = self._typed
        if len(typed) < self._least:
            self.complete({"type": "no_match"})
        else:
            self.complete({"type": "digit", "params": {"digits": typed, "terminator": terminator}})

    def on_words(self, text: str) -> None:
        wanted = self._speech
        if wanted is None or self.waits_for("speech"):
            return
        self._input()
        words = text.split()
        if self._partial and len(words) > 1:
            half = " ".join(words[: len(words) // 2])
            self._result({"type": "speech", "params": {"text": half, "confidence": HALF_SURE}}, final=False)
        silence = wanted.get("end_silence_timeout") or END_SILENCE
        result = {"type": "speech", "params": {"text": text, "confidence": SURE}} if words else {"type": "no_match"}
        self.after("speech", estimate(text) + silence, self.complete, result)

    def on_silence(self) -> None:
        if self.cancel("initial"):
            self.complete({"type": "no_input"})
        elif self.cancel("digit"):
            self._typed_all("")

    # -- results --------------------------------------------------------------------------------------------------------

    def _result(self, result: dict[str, Any], *, final: bool | None) -> None:
        if final is None or not (self._partial or self._continuous):
            self.send_event(result=result)
        else:
            over = final and not self._continuous
            self.send_event(result=result, final=final, state="finished" if over else "collecting")

    def complete(self, result: dict[str, Any]) -> None:
        """Report a complete result. Then stop, or wait for the next input if the collector is continuous."""
        for name in ("initial", "digit", "speech", "reaction"):
            self.cancel(name)
        self._typed, self._input_started = "", False
        if self._continuous:
            self._result(result, final=True)
            self.begin()
        else:
            self.cancel_steps()
            self._result(result, final=True)
            self.drop()

    def finish(self, **members: Any) -> None:
        state = {"state": "finished"} if self._partial or self._continuous else {}
        super().finish(**{"result": {"type": "finished"}, **state, **members})

    def start_input_timers(self, request: CommandRequest) -> None:
        """Handle a ``calling.collect.start_input_timers`` command."""
        request.accept()
        self.start_timer()


@define(eq=False, kw_only=True)
class _Prompt(Playback):
    """A collector's prompt, which is a playback with the same ``control_id``."""

    collector: PromptedCollector

    def played(self) -> None:
        super().played()
        self.collector.prompted()

    def break_down(self, details: Mapping[str, Any]) -> None:
        self.collector.drop()
        super().break_down(details)

    def call_ended(self) -> None:
        self.drop()  # the collector sends the last event


@define(eq=False, kw_only=True)
class PromptedCollector(Collector):
    """A collector that first plays a prompt. It accepts input during the prompt as well."""

    _prompt: _Prompt = field(init=False)

    @property
    def wanted(self) -> dict[str, Any]:
        given = self.params["collect"]
        return {name: given[name] for name in ("digits", "speech", "initial_timeout") if name in given}

    @property
    def _least(self) -> int:
        return int((self._digits or {}).get("min") or 0)

    def begin(self) -> None:
        params: dict[str, Any] = {
            name: self.params[name] for name in ("control_id", "play", "volume") if name in self.params
        }
        self._prompt = _Prompt(
            platform=self.platform, call=self.call, method="calling.play", params=params, collector=self
        )
        self.call.operations.append(self._prompt)
        self._prompt.begin()

    def prompted(self) -> None:
        """Start listening for input after the prompt has ended."""
        if not self.over:
            self.start_timer()
            self.listen()

    def _input(self) -> None:
        self._prompt.finish()
        super()._input()

    def finish(self, **members: Any) -> None:
        self._prompt.finish()
        super().finish(**members)

    def volume(self, request: CommandRequest) -> None:
        """Change the prompt's volume."""
        request.accept()
        self._prompt.params["volume"] = request.params["volume"]


def _look(findings: Findings, wanted: Mapping[str, Any], digits: str, dot: str = "") -> None:
    if wanted.get("digits") is None and wanted.get("speech") is None:
        findings.impossible[f"{dot}digits"] = f"{dot}digits or {dot}speech is required"
    for name, shape in (("digits", digits), ("speech", "collect.speech")):
        if wanted.get(name) is not None:
            findings.look(shape, wanted[name], f"{dot}{name}")


def _check(findings: Findings, params: Mapping[str, Any]) -> None:
    _look(findings, params, "collect.digits")


def _check_prompted(findings: Findings, params: Mapping[str, Any]) -> None:
    findings.look_at_media(params["play"])
    if findings.look("prompt", params["collect"], "collect"):
        _look(findings, params["collect"], "prompt.digits", "collect.")


HANDLERS: Mapping[str, Handler] = {
    "calling.collect": start(Collector, check=_check),
    "calling.collect.start_input_timers": control(Collector, Collector.start_input_timers),
    "calling.collect.stop": control(Collector, stop),
    "calling.play_and_collect": start(PromptedCollector, check=_check_prompted),
    "calling.play_and_collect.stop": control(PromptedCollector, stop),
    "calling.play_and_collect.volume": control(PromptedCollector, PromptedCollector.volume),
}
