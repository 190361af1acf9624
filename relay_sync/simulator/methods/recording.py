"""Call recording: ``calling.record`` and its control methods, and ``calling.transcribe``.

As in AsyncAPI, there are no time limits by default, and ``#`` is the terminator. The porting guide lists different defaults.

The following behavior is not documented by SignalWire and may differ on the real platform:

* The simulator serves finished WAV recordings over HTTP, as 16-bit PCM at 8 kHz. A recording contains the audio set with ``says``
  and ``hears``, and everything else that the party hears. See :mod:`relay_sync.simulator.media.hearing`.
* MP3 and MP4 recordings have a URL but no file. Their reported size is 4000 bytes per second.
* Speech and sounds during a pause are not recorded. They are not postponed either: when the pause ends, the recording continues
  with the audio at that moment.
* If the party does not speak within ``initial_timeout``, the recording ends with ``no_input``.
* If the party stops speaking for ``end_silence_timeout`` seconds, the recording ends.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from attrs import define, field

from ...audio.wav import interleave, wav_header
from ..core.schemas import Findings
from ..media.hearing import Ear, Piece, Tape, listen_in, stop_listening
from ..media.live_voice import LiveVoice
from ..media.played import Played
from ..media.sounds import estimate
from ..media.voice import TELEPHONE, mix
from .operation import NetworkOperation, control, start, stop
from .request import CommandRequest, Handler

__all__ = ["FILES_URL", "HANDLERS", "Recording", "Transcription"]

#: Seconds between looks at whether a party speaks with a live voice.
GLANCE: Final = 0.1
FILES_URL = "https://files.simulator.example"
_DEFAULTS: dict[str, Any] = {
    "beep": False,
    "direction": "speak",
    "format": "mp3",
    "stereo": False,
    "terminators": "#",
    "initial_timeout": 0,
    "end_silence_timeout": 0,
    "max_length": 0,
}


def _samples(seconds: float) -> int:
    """Return the number of samples per channel.

    The result is rounded because most durations in hundredths of a second cannot be represented exactly as floats.
    """
    return round(seconds * TELEPHONE)


def _size(seconds: float, audio: Mapping[str, Any]) -> int:
    if audio.get("format") == "wav":
        return 44 + 2 * _samples(seconds) * (2 if audio.get("stereo") else 1)
    return int(seconds * 4_000)


@define(eq=False, kw_only=True)
class _FileRecording(NetworkOperation):
    """An operation that produces an audio file and tracks its duration."""

    recording_id: str = field(factory=lambda: str(uuid.uuid4()), init=False)
    paused: bool = field(default=False, init=False)
    _began: float = field(default=0.0, init=False)
    _since: float = field(default=0.0, init=False)  # start of the current section, on the call's clock
    _recorded: float = field(default=0.0, init=False)  # simulated seconds recorded before the current section

    @property
    def format(self) -> dict[str, Any]:
        """The file format, as reported in events."""
        return {"format": "mp3"}

    @property
    def url(self) -> str:
        """The file's URL, even if the file does not exist."""
        if self.format["format"] == "wav":
            return self.platform.recordings.url(self.recording_id)
        return f"{FILES_URL}/{self.recording_id}.{self.format['format']}"

    @property
    def _runs(self) -> bool:
        """Whether the file's duration is increasing."""
        return not self.paused

    def start_clock(self) -> None:
        """Start or resume measuring the file's duration."""
        self._since = self.call.clock.elapsed
        if not self._began:
            self._began = time.time()

    def stop_clock(self) -> None:
        """Stop measuring the file's duration."""
        self._recorded += self.call.clock.elapsed - self._since

    @property
    def duration(self) -> float:
        """The file's duration in simulated seconds, rounded to hundredths."""
        return round(self._seconds, 2)

    @property
    def _seconds(self) -> float:
        return self._recorded + (self.call.clock.elapsed - self._since if self._runs else 0.0)

    def outcome(self) -> dict[str, Any]:
        """Return the members that describe the file in the last event."""
        seconds = self.duration
        return {
            "url": self.url,
            "recording_id": self.recording_id,
            "duration": seconds,
            "size": _size(seconds, self.format),
            "start_time": round(self._began, 3),
            "end_time": round(self._began + seconds, 3),
        }


@define(eq=False, kw_only=True)
class Recording(_FileRecording):
    """A recording of a call."""

    event_type = "calling.call.record"
    failure: ClassVar[Mapping[str, Any]] = {"state": "no_input"}
    _skips: bool = field(default=False, init=False)  # whether the last pause was omitted from the file
    _speech: Tape = field(factory=Tape, init=False, repr=False)  # the party's recorded speech
    _ear: Ear = field(init=False, repr=False)
    _pieces: list[Piece] = field(factory=list, init=False, repr=False)  # the current section of the configured audio
    _origin: float = field(default=0.0, init=False)  # start of the recording, on the call's clock

    @_ear.default
    def _listening(self) -> Ear:
        return Ear(tape=Tape(), now=lambda: self._seconds)

    @property
    def format(self) -> dict[str, Any]:
        audio = self._audio
        return {name: audio[name] for name in ("format", "direction", "stereo")}

    @property
    def _runs(self) -> bool:
        return not (self.paused and self._skips)

    @property
    def _audio(self) -> dict[str, Any]:
        given = {name: value for name, value in self.params["record"]["audio"].items() if value is not None}
        return {**_DEFAULTS, **given}

    def in_events(self) -> dict[str, Any]:
        return {"record": {"audio": self.format}}

    def begin(self) -> None:
        audio = self._audio
        self.start_clock()
        self._origin = self._since
        self._listen(0.0, 0.0)
        self.send_event(state="recording", url=self.url, recording_id=self.recording_id)
        party = self.call.party
        if audio["beep"]:
            self.play_to_party("beep", Played(type="beep", name="beep", duration=0.5), lambda: None)
        if audio["max_length"]:
            self.after("max_length", audio["max_length"], self.finish)
        if party.behavior.voice.pcm:
            self.after("voice", party.behavior.voice.duration, self._await_silence, self.after)
        elif audio["initial_timeout"]:
            self.await_party("initial", audio["initial_timeout"], self._no_input)
        self._look_at_live_voice()
        if audio["initial_timeout"] or audio["end_silence_timeout"]:  # other recordings do not wait for input
            self.ask_party(keys=False, words=True)

    def _listen(self, position: float, passed: float) -> None:
        """Record the call's audio.

        :param position: current position in the file, in seconds.
        :param passed: simulated seconds since the start of the recording, including pauses.
        """
        if self.format["format"] == "wav":
            says, began = self.call.says, passed
            if isinstance(says, LiveVoice):
                says.remember()
                began = self.call.speak()
            sources = (self._speech, says, began), (self._ear.tape, self.call.hears, passed)
            self._pieces = [tape.put(position, voice, skipped) for tape, voice, skipped in sources]
            listen_in(self.call, self._ear)

    def _stop_listening(self) -> None:
        stop_listening(self.call, self._ear)
        for piece in self._pieces:
            piece.cut(self._seconds)

    def drop(self) -> None:
        stop_listening(self.call, self._ear)
        super().drop()

    def _no_input(self) -> None:
        self.close(state="no_input")

    def _look_at_live_voice(self) -> None:
        """In real time, restart the timer for silence as long as a party speaks with a live voice."""
        says = self.call.says
        if not isinstance(says, LiveVoice) or self.world.settings.media == "fast":
            return
        if says.talking:
            self.cancel("initial")
            self._await_silence(self.await_party)
        self.after("live", GLANCE, self._look_at_live_voice, at_media_speed=False)

    def _await_silence(self, wait: Callable[..., None]) -> None:
        """Start the timer for silence after speech.

        :param wait: scheduling method. A prepared voice uses ``after``, because no other speech follows it. Text from
            :meth:`Phone.say` uses ``await_party``, because the test may make the party speak again.
        """
        silence = self._audio["end_silence_timeout"]
        if silence:
            wait("silence", silence, self.finish)

    def on_words(self, text: str) -> None:
        if not self.paused:
            self.cancel("initial")
            self.after("voice", estimate(text), self._await_silence, self.await_party)

    def on_key(self, digit: str) -> None:
        if digit in self._audio["terminators"]:
            self.finish()

    def on_silence(self) -> None:
        if self.paused:
            return
        silence = self._audio["end_silence_timeout"]
        if self.cancel("initial"):
            self._no_input()
        elif silence and (self.waits_for("silence") or self.waits_for("voice")):
            # Count the whole silence as recorded, although the simulator skips the wait.
            self._recorded += self.left("silence") if self.waits_for("silence") else self.left("voice") + silence
            self.finish()

    def finish(self, **members: Any) -> None:
        outcome = self.outcome()
        if self.format["format"] == "wav":
            self.platform.recordings.add(self.recording_id, self._wav(outcome["duration"]))
        self.close(**{"state": "finished", **outcome, **members})

    def _wav(self, seconds: float) -> bytes:
        """Return the WAV file's contents."""
        count = _samples(min(seconds, self.world.settings.record_seconds))
        says, hears = (tape.render(0, count, TELEPHONE) for tape in (self._speech, self._ear.tape))
        if self.format["stereo"]:
            pcm, channels = interleave([says, hears]), 2
        else:
            pcm, channels = {"speak": says, "listen": hears}.get(self.format["direction"]) or mix(says, hears), 1
        return wav_header(TELEPHONE, channels, len(pcm)) + pcm

    def pause(self, request: CommandRequest) -> None:
        """Pause the recording. Pausing a paused recording has no effect.

        If the behavior is ``silence``, the file contains silence for the duration of the pause. If it is ``skip``, the pause is
        omitted.
        """
        request.accept()
        if self.paused:
            return
        behavior = request.params.get("behavior", "skip")
        self._stop_listening()
        self._skips = behavior == "skip"
        if self._skips:
            self.stop_clock()
            self.pause_timers()
        self.paused: bool = True
        members = {"url": self.url, "recording_id": self.recording_id, "pause_behavior": behavior}
        self.send_event(state="paused", **members)

    def resume(self, request: CommandRequest) -> None:
        """Resume the recording. Resuming a running recording is acknowledged and has no effect."""
        request.accept()
        if not self.paused:
            return
        self.paused = False
        passed = self.call.clock.elapsed - self._origin
        if self._skips:
            self.start_clock()
            self.resume_timers()
            voice = self.call.party.behavior.voice
            if voice.pcm and self.waits_for("voice"):  # the party has continued to speak during the pause
                self.after("voice", max(0.0, voice.duration - passed), self._await_silence, self.after)
        self._listen(self._seconds, passed)
        self.send_event(state="recording", url=self.url, recording_id=self.recording_id)


@define(eq=False, kw_only=True)
class Transcription(_FileRecording):
    """A recording of a call for later transcription."""

    event_type = "calling.call.transcribe"
    failure: ClassVar[Mapping[str, Any]] = {"state": "finished"}

    def begin(self) -> None:
        self.start_clock()
        self.send_event(state="transcribing", recording_id=self.recording_id)

    def finish(self, **members: Any) -> None:
        self.close(**{"state": "finished", **self.outcome(), **members})


def _check(findings: Findings, params: Mapping[str, Any]) -> None:
    if findings.look("record", params["record"], "record"):
        findings.look("record.audio", params["record"]["audio"], "record.audio")


HANDLERS: Mapping[str, Handler] = {
    "calling.record": start(Recording, check=_check),
    "calling.record.pause": control(Recording, Recording.pause),
    "calling.record.resume": control(Recording, Recording.resume),
    "calling.record.stop": control(Recording, stop),
    "calling.transcribe": start(Transcription, only_one="Transcription is already running"),
    "calling.transcribe.stop": control(Transcription, stop),
}
