"""Answering machine, fax and digit detection: ``calling.detect``.

A detector sends an event for each result, followed by ``finished``. The following behavior is not documented by SignalWire and
may differ on the real platform:

* A person is detected after one second. The detector then finishes.
* A machine is also detected after one second. When the greeting ends, the detector reports ``READY``, with ``beep`` if the
  machine plays a beep. If ``detect_message_end`` is false, the detector does not wait for the greeting.
* Any other party is reported as ``UNKNOWN`` after ``initial_timeout``, which defaults to 4.5 seconds.
* A fax machine sends a ``CED`` tone when it is called, and a ``CNG`` tone when it is the caller. A detector configured for the
  other tone finds nothing.
* A digit detector reports each requested digit until it is stopped or its ``timeout`` expires. The timeout defaults to 30
  seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import define

from ..core.schemas import Findings
from ..people.party import REACTION
from .collecting import Collector
from .operation import NetworkOperation, control, start, stop
from .paying import Payment
from .request import Handler

__all__ = ["HANDLERS", "Detector"]

FIRST_LOOK = 1.0
GREETING = 4.0
INITIAL_TIMEOUT = 4.5
TIMEOUT = 30.0


@define(eq=False, kw_only=True)
class Detector(NetworkOperation):
    """A running detector."""

    event_type = "calling.call.detect"

    @property
    def _kind(self) -> str:
        return str(self.params["detect"].get("type", "machine"))

    @property
    def _options(self) -> dict[str, Any]:
        found: dict[str, Any] = self.params["detect"].get("params") or {}
        return found

    def _found(self, event: str, **more: Any) -> None:
        self.send_event(detect={"type": self._kind, "params": {"event": event, **more}})

    def begin(self) -> None:
        wait = self.await_party if self._kind == "digit" else self.after
        given = self.params.get("timeout")
        wait("timeout", TIMEOUT if given is None else given, self.finish)
        kind, who = self._kind, self.call.party.behavior.answered_by
        if kind == "digit":
            self._borrow()
        elif kind == "fax" and who == "fax":
            tone = "CED" if self.call.direction == "outbound" else "CNG"
            if (self._options.get("tone") or tone) == tone:
                self.after("look", FIRST_LOOK, self._last_word, tone)
        elif kind == "machine" and who == "human":
            self.after("look", FIRST_LOOK, self._last_word, "HUMAN")
        elif kind == "machine" and who == "machine":
            self.after("look", FIRST_LOOK, self._machine)
        elif kind == "machine":
            self.after("look", self._options.get("initial_timeout") or INITIAL_TIMEOUT, self._last_word, "UNKNOWN")

    def _borrow(self) -> None:
        """Make the party press its next digits for this detector.

        If another operation asks for digits while the detector is running, it receives the same digits.
        """
        party = self.call.party
        if party.presses and not party.shared_digits:
            party.shared_digits = party.presses.popleft()
            self.after("reaction", REACTION, self._overhear)

    def _overhear(self) -> None:
        party, call = self.call.party, self.call
        asked = any(isinstance(each, (Collector, Payment)) for each in call.operations)
        if party.shared_digits and not asked:
            self.platform.network.press(call, party.shared_digits)

    def drop(self) -> None:
        if self._kind == "digit":
            self.call.party.shared_digits = ""
        super().drop()

    def _last_word(self, word: str, **more: Any) -> None:
        self._found(word, **more)
        self.finish()

    def _machine(self) -> None:
        self._found("MACHINE")
        if self._options.get("detect_message_end") is not False:
            self.after("look", GREETING, self._ready)
        else:
            self.finish()

    def _ready(self) -> None:
        self._last_word("READY", **({"beep": True} if self.call.party.behavior.beep else {}))

    def on_key(self, digit: str) -> None:
        if self._kind == "digit" and digit in (self._options.get("digits") or "0123456789*#"):
            self._found(digit)

    def on_silence(self) -> None:
        if self._kind == "digit":
            self.finish()

    def break_down(self, details: Mapping[str, Any]) -> None:
        self.close(**(details or {"detect": {"type": self._kind, "params": {"event": "error"}}}))

    def finish(self, **members: Any) -> None:
        super().finish(**{"detect": {"type": self._kind, "params": {"event": "finished"}}, **members})


def _check(findings: Findings, params: Mapping[str, Any]) -> None:
    detect = params["detect"]
    if findings.look("detect", detect, "detect") and detect.get("params") is not None:
        findings.look("detect.params", detect["params"], "detect.params")


HANDLERS: Mapping[str, Handler] = {
    "calling.detect": start(Detector, check=_check),
    "calling.detect.stop": control(Detector, stop),
}
