"""Commands on sound and input: what starts an action, and what controls one by its ``control_id``."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import field, frozen

from ..errors import CommandRefused, InvalidParameter
from ..params import nested, values
from ..params.nested import DetectOptions, DigitsOptions, Media, RecordAudio, SpeechOptions
from ..protocol.results import is_gone
from .replies import CallInfo

__all__ = ["ControlIds", "MediaCommands", "RemoteAction"]

_DIRECTIONS = ("listen", "speak", "both")


class Commands:
    """What the mix-ins need of the call."""

    call_id: str

    def _command(
        self,
        command: str,
        params: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
        *,
        repeatable: bool = False,
    ) -> CallInfo:
        raise NotImplementedError


class ControlIds(Commands):
    """Control of what runs on the call, whoever started it and wherever: all it takes is the ``control_id``.

    A ``*_stop`` may be sent again safely, and is where the answer is lost. Where the action is over, each raises
    :class:`~relay_sync.CommandRefused` with code 404.
    """

    def _control(self, command: str, control_id: str, *, repeatable: bool = False, **more: Any) -> CallInfo:
        params = {"control_id": values.text("control_id", control_id, optional=False), **more}
        return self._command(command, params, repeatable=repeatable)

    def stream_stop(self, control_id: str) -> CallInfo:
        """Stop a stream (``calling.stream.stop``)."""
        return self._control("calling.stream.stop", control_id, repeatable=True)

    def play_stop(self, control_id: str) -> CallInfo:
        """Stop a playback (``calling.play.stop``)."""
        return self._control("calling.play.stop", control_id, repeatable=True)

    def play_pause(self, control_id: str) -> CallInfo:
        """Pause a playback (``calling.play.pause``)."""
        return self._control("calling.play.pause", control_id)

    def play_resume(self, control_id: str) -> CallInfo:
        """Go on with a playback (``calling.play.resume``)."""
        return self._control("calling.play.resume", control_id)

    def play_volume(self, control_id: str, volume: float) -> CallInfo:
        """Change the loudness of a playback (``calling.play.volume``).

        :param volume: decibels, -40 to 40.
        """
        loudness = values.number("volume", volume, low=-40, high=40, optional=False)
        return self._control("calling.play.volume", control_id, volume=loudness)

    def record_stop(self, control_id: str) -> CallInfo:
        """Finish a recording (``calling.record.stop``)."""
        return self._control("calling.record.stop", control_id, repeatable=True)

    def record_pause(self, control_id: str, behavior: Literal["skip", "silence"] | str | None = None) -> CallInfo:
        """Pause a recording (``calling.record.pause``).

        :param behavior: ``skip`` leaves the pause out (the platform's default), ``silence`` records silence.
        """
        chosen = values.choice("behavior", behavior, ("skip", "silence"))
        return self._control("calling.record.pause", control_id, behavior=chosen)

    def record_resume(self, control_id: str) -> CallInfo:
        """Go on with a recording (``calling.record.resume``)."""
        return self._control("calling.record.resume", control_id)

    def collect_stop(self, control_id: str) -> CallInfo:
        """Stop a collector (``calling.collect.stop``)."""
        return self._control("calling.collect.stop", control_id, repeatable=True)

    def collect_start_input_timers(self, control_id: str) -> CallInfo:
        """Let a collector's time run from now on (``calling.collect.start_input_timers``)."""
        return self._control("calling.collect.start_input_timers", control_id)

    def detect_stop(self, control_id: str) -> CallInfo:
        """Stop a detector (``calling.detect.stop``)."""
        return self._control("calling.detect.stop", control_id, repeatable=True)

    def tap_stop(self, control_id: str) -> CallInfo:
        """Stop a tap (``calling.tap.stop``)."""
        return self._control("calling.tap.stop", control_id, repeatable=True)

    def transcribe_stop(self, control_id: str) -> CallInfo:
        """Stop a transcription (``calling.transcribe.stop``)."""
        return self._control("calling.transcribe.stop", control_id, repeatable=True)

    def ai_stop(self, control_id: str) -> CallInfo:
        """Send an AI agent away (``calling.ai.stop``)."""
        return self._control("calling.ai.stop", control_id, repeatable=True)

    def send_fax_stop(self, control_id: str) -> CallInfo:
        """Stop sending a fax (``calling.send_fax.stop``)."""
        return self._control("calling.send_fax.stop", control_id, repeatable=True)

    def receive_fax_stop(self, control_id: str) -> CallInfo:
        """Stop receiving a fax (``calling.receive_fax.stop``)."""
        return self._control("calling.receive_fax.stop", control_id, repeatable=True)


@frozen(eq=False, kw_only=True)
class RemoteAction:
    """Something that was started on a call. Its ``control_id`` is all that another process needs to stop it.

    :ivar call: the call. :ivar control_id: its id. :ivar command: what started it, such as ``calling.stream``.
    :ivar info: the platform's record of the call at that time.
    """

    call: Commands = field(repr=lambda call: call.call_id)
    control_id: str
    command: str
    info: CallInfo = field(repr=False)

    def stop(self) -> CallInfo | None:
        """End it. Harmless where it has ended, or the call has: then ``None`` is returned."""
        try:
            return self.call._command(f"{self.command}.stop", {"control_id": self.control_id}, repeatable=True)
        except CommandRefused as error:
            if not is_gone(error):
                raise
            return None


class MediaCommands(Commands):
    """What starts an action. Parameters and checks are those of the verbs of the same names."""

    def _start(
        self, command: str, params: Mapping[str, Any], extra: Mapping[str, Any] | None, control_id: str | None
    ) -> RemoteAction:
        name = values.text("control_id", control_id) or str(uuid.uuid4())
        info = self._command(command, {**params, "control_id": name}, extra)
        return RemoteAction(call=self, control_id=name, command=command, info=info)

    def stream(
        self,
        url: str,
        *,
        name: str | None = None,
        codec: str | None = None,
        track: Literal["inbound", "outbound", "both", "inbound_track", "outbound_track", "both_tracks"]
        | str
        | None = None,
        status_url: str | None = None,
        status_url_method: Literal["GET", "POST"] | str | None = None,
        authorization_bearer_token: str | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        control_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Start streaming the call's audio to a WebSocket (``calling.stream``).

        :param url: absolute ``wss://host[:port]/path``; ``ws://`` only for loopback. :param name: a label, echoed in events.
        :param codec: ``PCMU``, ``PCMA``, ``OPUS``, ``L16``, ``G722`` with ``@<hz>h`` and ``@<ms>i`` behind it.
        :param track: ``inbound`` (what the party on this call says; the default), ``outbound`` (what it hears), ``both``.
        :param status_url: http(s) URL that is told of ``streaming`` and ``finished``; :param status_url_method: by ``POST``
            (the default) or ``GET``. It is the only way to hear of its end here.
        :param authorization_bearer_token: the bare token that the platform sends to ``url``.
        :param custom_parameters: JSON object that the far end gets in its ``start`` message.
        :param control_id: an id of your own, not in use on this call; a UUID4 if left out. :param extra: parameters that
            this SDK does not know yet.
        """
        params = {
            "url": values.stream_url(url),
            "name": values.text("name", name),
            "codec": values.codec(codec),
            "track": values.track(track),
            "status_url": values.http_url("status_url", status_url),
            "status_url_method": values.choice("status_url_method", status_url_method, ("GET", "POST")),
            "authorization_bearer_token": values.bearer_token(authorization_bearer_token),
            "custom_parameters": values.json_object("custom_parameters", custom_parameters),
        }
        return self._start("calling.stream", params, extra, control_id)

    def play(
        self,
        media: Iterable[Media],
        *,
        volume: float | None = None,
        direction: Literal["listen", "speak", "both"] | str | None = None,
        loop: int | None = None,
        language: str | None = None,
        gender: Literal["male", "female"] | str | None = None,
        voice: str | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Play a list of things into the call (``calling.play``). Parameters as for ``Call.play``."""
        params = {
            "play": nested.media("media", media),
            "volume": values.number("volume", volume, low=-40, high=40),
            "direction": values.choice("direction", direction, _DIRECTIONS),
            "loop": values.whole("loop", loop, low=0),
            "language": values.text("language", language),
            "gender": values.choice("gender", gender, ("male", "female")),
            "voice": values.text("voice", voice),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._start("calling.play", params, extra, control_id)

    def record(
        self,
        audio: RecordAudio | Mapping[str, Any] | None = None,
        *,
        status_url: str | None = None,
        control_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Record the call (``calling.record``). Parameters as for ``Call.record``; ``status_url`` is told where it is."""
        params = {
            "record": {"audio": nested.record("audio", audio)},
            "status_url": values.http_url("status_url", status_url),
        }
        return self._start("calling.record", params, extra, control_id)

    def collect(
        self,
        *,
        digits: DigitsOptions | Mapping[str, Any] | None = None,
        speech: SpeechOptions | Mapping[str, Any] | None = None,
        initial_timeout: float | None = None,
        partial_results: bool | None = None,
        continuous: bool | None = None,
        send_start_of_input: bool | None = None,
        start_input_timers: bool | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Collect keys or speech (``calling.collect``). Parameters as for ``Call.collect``."""
        if digits is None and speech is None:
            raise InvalidParameter("digits", digits, "given, or speech, or both")
        params = {
            "digits": nested.digits("digits", digits),
            "speech": nested.speech("speech", speech),
            "initial_timeout": values.number("initial_timeout", initial_timeout, above=0),
            "partial_results": values.flag("partial_results", partial_results),
            "continuous": values.flag("continuous", continuous),
            "send_start_of_input": values.flag("send_start_of_input", send_start_of_input),
            "start_input_timers": values.flag("start_input_timers", start_input_timers),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._start("calling.collect", params, extra, control_id)

    def detect(
        self,
        detect: DetectOptions | Mapping[str, Any],
        *,
        timeout: float | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Start a detector (``calling.detect``). Parameters as for ``Call.detect``."""
        params = {
            "detect": nested.detect("detect", detect),
            "timeout": values.number("timeout", timeout, low=0),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._start("calling.detect", params, extra, control_id)

    def tap(
        self,
        tap: Mapping[str, Any],
        device: Mapping[str, Any],
        *,
        status_url: str | None = None,
        control_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Copy the call's audio to an RTP address or a WebSocket (``calling.tap``). Parameters as for ``Call.tap``."""
        params = {
            "tap": nested.tap("tap", tap),
            "device": nested.tap_device("device", device),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._start("calling.tap", params, extra, control_id)

    def transcribe(
        self,
        *,
        control_id: str | None = None,
        status_url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Transcribe the call in the background (``calling.transcribe``); ``status_url`` is told the text."""
        params = {"status_url": values.http_url("status_url", status_url)}
        return self._start("calling.transcribe", params, extra, control_id)

    def live_transcribe(self, action: Mapping[str, Any] | str, *, extra: Mapping[str, Any] | None = None) -> CallInfo:
        """Start, stop or sum up a live transcription (``calling.live_transcribe``). As ``Call.live_transcribe``."""
        params = {"action": nested.live_action("action", action, nested.TRANSCRIPTION)}
        return self._command("calling.live_transcribe", params, extra)

    def live_translate(
        self,
        action: Mapping[str, Any] | str,
        *,
        status_url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> CallInfo:
        """Start, stop, sum up or add to a live translation (``calling.live_translate``). As ``Call.live_translate``."""
        params = {
            "action": nested.live_action("action", action, nested.TRANSLATION),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._command("calling.live_translate", params, extra)

    def denoise(self) -> CallInfo:
        """Suppress noise (``calling.denoise``)."""
        return self._command("calling.denoise")

    def denoise_stop(self) -> CallInfo:
        """Suppress noise no more (``calling.denoise.stop``)."""
        return self._command("calling.denoise.stop", repeatable=True)
