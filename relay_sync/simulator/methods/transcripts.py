"""Live transcription and translation: ``calling.live_transcribe`` and ``calling.live_translate``.

The ``action`` parameter is ``start``, ``stop`` or ``summarize``. Translations also support ``inject``. As in AsyncAPI, an action
without options may be a string instead of an object.

The following behavior is not documented by SignalWire and may differ on the real platform:

* Only text from :meth:`Phone.say` is transcribed. Utterance events are sent only if ``live_events`` is true. The default is
  false.
* Text is not really translated. The "translation" is the target language followed by the original text, in brackets.
* The conversation log is sent when the operation ends. It contains a summary if ``ai_summary`` is set.
* ``start`` fails with code 409 if an operation of the same type is already running. Other actions fail with code 404 if there is
  no such operation.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from attrs import define, field

from ..core.world import World
from ..media.played import Played
from ..media.sounds import estimate
from ..people.network import NetworkCall
from .operation import NetworkOperation, launch
from .request import CommandRequest, Handler

__all__ = ["HANDLERS", "LiveTranscription", "LiveTranslation", "call_info", "channel_data"]

SURE = 0.94
SUMMARY = "The simulator has no summary."
PARTY = "remote-caller"


def call_info(world: World, call: NetworkCall) -> dict[str, Any]:
    """Return the ``call_info`` object for AI events."""
    return {
        "call_id": call.call_id,
        "content_type": "text/swaig",
        "content_disposition": "conversation",
        "conversation_type": "voice",
        "project_id": world.settings.project,
        "space_id": world.settings.space,
    }


def channel_data(world: World, call: NetworkCall) -> dict[str, Any]:
    """Return the ``channel_data`` object for AI events."""
    return {
        "SWMLCall": {},
        "SWMLVars": {},
        "call_id": call.call_id,
        "call_start_date": str(call.start_time),
        "call_answer_date": str(call.answer_time),
        "caller_id_name": "",
        "caller_id_number": call.number,
        "content_type": "text/swaig",
        "content_disposition": "channel data",
        "project_id": world.settings.project,
        "space_id": world.settings.space,
    }


@define(eq=False, kw_only=True)
class LiveTranscription(NetworkOperation):
    """A live transcription of a call."""

    options: dict[str, Any] = field(factory=dict)
    _log: list[dict[str, Any]] = field(factory=list, init=False)

    def report(self, name: str, **members: Any) -> None:
        """Send an AI event for the transcription."""
        about = {"call_info": call_info(self.world, self.call), "channel_data": channel_data(self.world, self.call)}
        params = {**self.call.address(), **about, **members}
        self.world.emit(self.call.owner, f"calling.ai.{name}", params)

    @property
    def language(self) -> str:
        """The party's language."""
        return str(self.options["lang"])

    def begin(self) -> None:
        """Start the transcription.

        The party is not asked to speak, because its prepared sentences are reserved for operations that wait for speech.
        """

    def on_words(self, text: str) -> None:
        if not text or PARTY not in self.options["direction"]:
            return
        self._log.append({"role": PARTY, "content": text, "language": self.language, "confidence": SURE})
        if self.options.get("live_events"):
            self.utter(text)

    def utter(self, text: str) -> None:
        """Send an event for one utterance."""
        utterance = {
            "utterance_id": f"u-{len(self._log)}",
            "role": PARTY,
            "content": text,
            "lang": self.language,
            "timestamp": int(time.time() * 1000),
            "confidence": SURE,
            "char_count": len(text),
            "word_count": len(text.split()),
        }
        self.report("transcribe.utterance", confidence=SURE, utterance=utterance)

    def summarize(self) -> None:
        """Send a summary of the conversation so far."""
        self.report("transcribe.live_summarize", conversation_log=self._log, conversation_summary=SUMMARY)

    def log(self) -> None:
        """Send the full conversation log."""
        words = sum(len(entry["content"].split()) for entry in self._log)
        metrics = {
            "total_utterances": len(self._log),
            "remote_caller_turns": len(self._log),
            "remote_caller_words": words,
            "local_caller_turns": 0,
            "local_caller_words": 0,
        }
        summary = {"conversation_summary": SUMMARY} if self.options.get("ai_summary") else {}
        self.report("transcribe.conversation_log", conversation_log=self._log, metrics=metrics, **summary)

    def finish(self, **members: Any) -> None:
        if not self.over:
            self.cancel_steps()
            self.log()
            self.drop()

    def break_down(self, details: Mapping[str, Any]) -> None:
        members = {"error": "transcriber unavailable", "fatal": True, **details}
        self.world.emit(self.call.owner, "calling.error", {**self.call.address(), **members})
        self.drop()


@define(eq=False, kw_only=True)
class LiveTranslation(LiveTranscription):
    """A live translation of a call."""

    _injected: int = field(default=0, init=False)

    @property
    def language(self) -> str:
        return str(self.options["from_lang"])

    def _translated(self, text: str) -> str:
        return f"[{self.options['to_lang']}: {text}]"

    def utter(self, text: str) -> None:
        spoken = {"delta": text, "language": self.language}
        output = {"delta": self._translated(text), "language": self.options["to_lang"]}
        self.report("translate.transcript_delta", input_utterance=spoken, output_utterance=output)

    def _logs(self) -> dict[str, Any]:
        there = [
            {**entry, "content": self._translated(entry["content"]), "language": self.options["to_lang"]}
            for entry in self._log
        ]
        return {"primary_conversation_log": self._log, "secondary_conversation_log": there}

    def summarize(self) -> None:
        self.report("translate.live_summary", **self._logs(), primary_conversation_summary=SUMMARY)

    def log(self) -> None:
        data = {
            "role": PARTY,
            "position": "primary",
            "from_language": self.language,
            "to_language": self.options["to_lang"],
        }
        summary = {"primary_conversation_summary": SUMMARY} if self.options.get("ai_summary") else {}
        self.report("translate.conversation_log", **self._logs(), translate_data={PARTY: data}, **summary)

    def inject(self, wanted: Mapping[str, Any]) -> None:
        """Speak a message from the client to one side of the call. The simulator supports only the party's side."""
        if wanted["direction"] == PARTY:
            text = wanted["message"]
            said = Played(type="tts", text=text, duration=estimate(text))
            self._injected += 1
            self.play_to_party(f"injected {self._injected}", said, lambda: None)


def _active(call: NetworkCall, kind: type[LiveTranscription]) -> LiveTranscription | None:
    """Return the running operation of exactly this class, or ``None``.

    ``isinstance`` is not sufficient because ``LiveTranslation`` is a subclass of ``LiveTranscription``.
    """
    return next((each for each in call.operations if type(each) is kind), None)


def _parsed(action: Any, words: tuple[str, ...]) -> tuple[str, Any]:
    """Return the name and options of an action, or ``""`` and ``None`` if the action is invalid."""
    if isinstance(action, str) and action in words and action != "start":
        return action, {}
    if isinstance(action, dict) and len(action) == 1:
        [(name, options)] = action.items()
        if name in words:
            return name, options
    return "", None


def _handler(kind: type[LiveTranscription], shape: str, words: tuple[str, ...]) -> Handler:
    def handler(request: CommandRequest) -> None:
        name, options = _parsed(request.params["action"], words)
        findings, active = request.findings(), _active(request.call, kind)
        if not name:
            findings.malformed.append(f"action must be one of {', '.join(words)}")
        elif name in ("start", "inject"):
            findings.look(f"{shape}.{name}", options, f"action.{name}")
        if request.reject_if_invalid(findings):
            return
        if request.call.state != "answered":
            request.refuse(409, "Call is not answered")
        elif name == "start":
            if active is not None:
                request.refuse(409, f"{kind.__name__} is already running")
                return
            params = {"status_url": request.params["status_url"]} if "status_url" in request.params else {}
            operation = kind(
                platform=request.platform, call=request.call, method=request.spec.name, params=params, options=options
            )
            launch(request, operation)
        elif active is None:
            request.refuse(404, f"{kind.__name__} not found")
        else:
            request.accept()
            if name == "stop":
                active.stop()
            elif name == "summarize":
                active.summarize()
            elif isinstance(active, LiveTranslation):
                active.inject(options)

    return handler


HANDLERS: Mapping[str, Handler] = {
    "calling.live_transcribe": _handler(LiveTranscription, "transcribe", ("start", "stop", "summarize")),
    "calling.live_translate": _handler(LiveTranslation, "translate", ("start", "stop", "summarize", "inject")),
}
