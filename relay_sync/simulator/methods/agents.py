"""AI agents: ``calling.ai`` and its control methods, ``calling.amazon_bedrock``, and the observer ``calling.ai_sidecar``.

The simulator has no language model. The following behavior is not documented by SignalWire and may differ on the real platform:

* An agent responds to the party's speech with the text ``You said: ...``. It responds to ``user`` messages in the same way,
  speaks ``assistant`` messages, and ignores ``system`` messages.
* An agent on hold ignores speech. If the client specifies a ``timeout``, the hold ends after that many seconds.
* When an agent ends, the client receives ``calling.ai.stop``, then ``post_prompt`` if it was requested, and finally
  ``calling.call.ai``. Bedrock agents do not send the last event.
* Agent commands fail with code 404 if the call has no agent.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import define, field

from ..media.played import Played
from ..media.sounds import estimate
from ..people.party import REACTION
from .operation import NetworkOperation, control, running, start, stop
from .request import CommandRequest, Handler
from .transcripts import call_info, channel_data

__all__ = ["HANDLERS", "Agent", "BedrockAgent", "Sidecar"]


def _milliseconds() -> int:
    return int(time.time() * 1000)


@define(eq=False, kw_only=True)
class Agent(NetworkOperation):
    """An AI agent on a call."""

    event_type = "calling.call.ai"
    on_hold: bool = field(default=False, init=False)
    _began: int = field(factory=_milliseconds, init=False)

    def report(self, name: str, **members: Any) -> None:
        """Send an AI event. These events do not have a ``control_id``."""
        self.world.emit(self.call.owner, f"calling.ai.{name}", {**self.call.address(), **members})

    def begin(self) -> None:
        self.report("start")
        self.ask_party(keys=False, words=True)

    def on_words(self, text: str) -> None:
        if self.on_hold:
            return
        self.report("user_speaking")
        words = text.split()
        if len(words) > 1:
            self.report("partial_result", text=" ".join(words[: len(words) // 2]), barged=False)
        if words:
            self.report("speech_detect", text=text)
            self.after("answer", estimate(text) + REACTION, self.say, f"You said: {text}")

    def say(self, text: str) -> None:
        """Speak text to the party."""
        self.report("response", response=text)
        self.report("begin_speaking")
        self.report("response_utterance", utterance=text)
        said = Played(type="tts", text=text, duration=estimate(text))
        self.play_to_party("spoken", said, partial(self._spoken, text))

    def _spoken(self, text: str) -> None:
        self.report("completion", text=text, type="normal")
        self.ask_party(keys=False, words=True)

    def _stopped(self) -> None:
        self.report("stop", start_time=self._began, end_time=_milliseconds(), wallet_paused_sec=0)
        if self.params.get("post_prompt"):
            self.report("post_prompt", summary="The simulator has no summary.")

    def finish(self, **members: Any) -> None:
        self._stopped()
        super().finish(**members)

    def break_down(self, details: Mapping[str, Any]) -> None:
        members = {"error": "model unavailable", "fatal": True, **details}
        self.world.emit(self.call.owner, "calling.error", {**self.call.address(), **members})
        self.close(state="error")

    def hold(self, request: CommandRequest) -> None:
        """Put the agent on hold."""
        request.accept()
        self.on_hold = True
        self.cancel("answer")
        timeout = request.params.get("timeout", "")
        if request.params.get("prompt"):
            self.say(request.params["prompt"])
        if timeout.isascii() and timeout.isdigit() and int(timeout):
            self.await_others("hold", int(timeout), self._released)

    def unhold(self, request: CommandRequest) -> None:
        """Take the agent off hold."""
        request.accept()
        self._released()
        if request.params.get("prompt"):
            self.say(request.params["prompt"])

    def _released(self) -> None:
        self.cancel("hold")
        self.on_hold = False

    def message(self, request: CommandRequest) -> None:
        """Handle a ``calling.ai_message`` command."""
        request.accept()
        text, role = request.params.get("message_text", ""), request.params.get("role", "system")
        if text and role == "user":
            self.on_words(text)
        elif text and role == "assistant":
            self.say(text)


@define(eq=False, kw_only=True)
class BedrockAgent(Agent):
    """An Amazon Bedrock agent. It has no ``control_id``, and its last event is ``calling.ai.stop``."""

    def close(self, **members: Any) -> None:
        self.drop()


@define(eq=False, kw_only=True)
class Sidecar(NetworkOperation):
    """An AI observer that listens to a call without speaking."""

    event_type = "calling.ai.sidecar"
    _ticks: int = field(default=0, init=False)

    def report(self, kind: str, /, **members: Any) -> None:
        """Send a sidecar event."""
        self._ticks += 1
        event = {
            "type": kind,
            "tick_id": self._ticks,
            "ts": _milliseconds(),
            "channel_data": channel_data(self.world, self.call),
            **members,
        }
        address = self.call.address()
        params = {**address, "call_info": call_info(self.world, self.call), "sidecar_event": event}
        self.world.emit(self.call.owner, self.event_type, params)

    def begin(self) -> None:
        self.report("start")

    def on_words(self, text: str) -> None:
        if text:
            self.report("turn", text=text)
            self.report("insight", text=f"The caller said: {text}")

    def ask(self, request: CommandRequest) -> None:
        """Answer a question from the client."""
        ask_id = str(uuid.uuid4())
        request.accept()
        text = request.params["text"]
        self.report("ask_request", ask_id=ask_id, text=text)
        self.after(ask_id, REACTION, self._answer, ask_id, text)

    def _answer(self, ask_id: str, text: str) -> None:
        self.report("ask_answer", ask_id=ask_id, response=f"You asked: {text}")

    def poke(self, request: CommandRequest) -> None:
        """Accept a hint from the client and send an insight."""
        request.accept()
        self.report("insight", text=request.params["text"], triggered_by="poke")

    def status(self, request: CommandRequest) -> None:
        """Confirm that the sidecar is running."""
        request.accept()

    def finish(self, **members: Any) -> None:
        if not self.over:
            self.cancel_steps()
            self.report("stop", reason="stopped")
            self.report("final", summary="The simulator has no summary.")
            self.drop()

    def break_down(self, details: Mapping[str, Any]) -> None:
        self.report("error", **{"error_reason": "model unavailable", **details})
        self.drop()


def _to_agent(act: Any) -> Handler:
    def handler(request: CommandRequest) -> None:
        agent = running(request.call, Agent)
        if agent is None:
            request.refuse(404, "Agent not found")
        else:
            act(agent, request)

    return handler


def _message(request: CommandRequest) -> None:
    findings, reset = request.findings(), request.params.get("reset")
    if isinstance(reset, dict):
        findings.look("ai.reset", reset, "reset")
    if not request.reject_if_invalid(findings):
        _to_agent(Agent.message)(request)


_ONE_AGENT = "An agent is already on the call"

HANDLERS: Mapping[str, Handler] = {
    "calling.ai": start(Agent, only_one=_ONE_AGENT),
    "calling.ai.stop": control(Agent, stop),
    "calling.ai_hold": _to_agent(Agent.hold),
    "calling.ai_unhold": _to_agent(Agent.unhold),
    "calling.ai_message": _message,
    "calling.amazon_bedrock": start(BedrockAgent, only_one=_ONE_AGENT),
    "calling.ai_sidecar": start(Sidecar, only_one="A sidecar is already on the call"),
    "calling.ai_sidecar.ask": control(Sidecar, Sidecar.ask),
    "calling.ai_sidecar.poke": control(Sidecar, Sidecar.poke),
    "calling.ai_sidecar.status": control(Sidecar, Sidecar.status),
    "calling.ai_sidecar.stop": control(Sidecar, stop),
}
