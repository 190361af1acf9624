"""Commands for audio and input, which start an action or control a running one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from attrs import field, frozen

from ..constants import Codec, Gender, MediaDirection, Track
from ..errors import CommandRefused, InvalidParameter
from ..params import nested, values
from ..params.nested import DetectOptions, DigitsOptions, Media, RecordAudio, SpeechOptions
from ..protocol.results import is_gone
from .replies import CallInfo

__all__ = ["ControlIds", "MediaCommands", "RemoteAction"]

_DIRECTIONS = get_args(MediaDirection)


class Commands:
    """Attributes and methods that the mix-ins require."""

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
    """Commands that control a running action by its ``control_id``. Any process may have started the action.

    The ``*_stop`` commands are safe to repeat, so the client retries them if the reply is lost. If the action has ended, all
    commands raise :class:`relay_sync.CommandRefused` with code 404.
    """

    def _control(self, command: str, control_id: str, *, repeatable: bool = False, **more: Any) -> CallInfo:
        params = {"control_id": values.text("control_id", control_id, optional=False), **more}
        return self._command(command, params, repeatable=repeatable)

    def stream_stop(self, control_id: str) -> CallInfo:
        """Stop a stream (``calling.stream.stop``).

        :param control_id: ``control_id`` of the stream.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the stream has ended.
        """
        return self._control("calling.stream.stop", control_id, repeatable=True)

    def play_stop(self, control_id: str) -> CallInfo:
        """Stop a playback (``calling.play.stop``).

        :param control_id: ``control_id`` of the playback.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the playback has ended.
        """
        return self._control("calling.play.stop", control_id, repeatable=True)

    def play_pause(self, control_id: str) -> CallInfo:
        """Pause a playback (``calling.play.pause``).

        :param control_id: ``control_id`` of the playback.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the playback has ended.
        """
        return self._control("calling.play.pause", control_id)

    def play_resume(self, control_id: str) -> CallInfo:
        """Resume a playback (``calling.play.resume``).

        :param control_id: ``control_id`` of the playback.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the playback has ended.
        """
        return self._control("calling.play.resume", control_id)

    def play_volume(self, control_id: str, volume: float) -> CallInfo:
        """Change the volume of a playback (``calling.play.volume``).

        :param control_id: ``control_id`` of the playback.
        :param volume: volume change in decibels, from -40 to 40. 0 leaves the audio unchanged.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the playback has ended.
        """
        loudness = values.number("volume", volume, low=-40, high=40, optional=False)
        return self._control("calling.play.volume", control_id, volume=loudness)

    def record_stop(self, control_id: str) -> CallInfo:
        """Stop a recording (``calling.record.stop``).

        :param control_id: ``control_id`` of the recording.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the recording has ended.
        """
        return self._control("calling.record.stop", control_id, repeatable=True)

    def record_pause(self, control_id: str, behavior: Literal["skip", "silence"] | str | None = None) -> CallInfo:
        """Pause a recording (``calling.record.pause``).

        :param control_id: ``control_id`` of the recording.
        :param behavior: ``skip`` to omit the pause from the recording, which is the platform's default, or ``silence`` to record
            silence.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the recording has ended.
        """
        chosen = values.choice("behavior", behavior, ("skip", "silence"))
        return self._control("calling.record.pause", control_id, behavior=chosen)

    def record_resume(self, control_id: str) -> CallInfo:
        """Resume a recording (``calling.record.resume``).

        :param control_id: ``control_id`` of the recording.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the recording has ended.
        """
        return self._control("calling.record.resume", control_id)

    def collect_stop(self, control_id: str) -> CallInfo:
        """Stop collecting input (``calling.collect.stop``).

        :param control_id: ``control_id`` of the collect action.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the collect action has ended.
        """
        return self._control("calling.collect.stop", control_id, repeatable=True)

    def collect_start_input_timers(self, control_id: str) -> CallInfo:
        """Start the input timers of a collect action (``calling.collect.start_input_timers``).

        Use this method if the action was started with ``start_input_timers=False``.

        :param control_id: ``control_id`` of the collect action.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the collect action has ended.
        """
        return self._control("calling.collect.start_input_timers", control_id)

    def detect_stop(self, control_id: str) -> CallInfo:
        """Stop a detector (``calling.detect.stop``).

        :param control_id: ``control_id`` of the detector.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the detector has ended.
        """
        return self._control("calling.detect.stop", control_id, repeatable=True)

    def tap_stop(self, control_id: str) -> CallInfo:
        """Stop a tap (``calling.tap.stop``).

        :param control_id: ``control_id`` of the tap.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the tap has ended.
        """
        return self._control("calling.tap.stop", control_id, repeatable=True)

    def transcribe_stop(self, control_id: str) -> CallInfo:
        """Stop a transcription (``calling.transcribe.stop``).

        :param control_id: ``control_id`` of the transcription.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the transcription has ended.
        """
        return self._control("calling.transcribe.stop", control_id, repeatable=True)

    def ai_stop(self, control_id: str) -> CallInfo:
        """Stop an AI agent (``calling.ai.stop``).

        :param control_id: ``control_id`` of the agent.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the agent has ended.
        """
        return self._control("calling.ai.stop", control_id, repeatable=True)

    def send_fax_stop(self, control_id: str) -> CallInfo:
        """Stop sending a fax (``calling.send_fax.stop``).

        :param control_id: ``control_id`` of the fax.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the fax has ended.
        """
        return self._control("calling.send_fax.stop", control_id, repeatable=True)

    def receive_fax_stop(self, control_id: str) -> CallInfo:
        """Stop receiving a fax (``calling.receive_fax.stop``).

        :param control_id: ``control_id`` of the fax.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call or the fax has ended.
        """
        return self._control("calling.receive_fax.stop", control_id, repeatable=True)


@frozen(eq=False, kw_only=True)
class RemoteAction:
    """An action that was started over HTTP. Any process that knows the ``control_id`` can stop the action.

    :ivar call: call on which the action runs.
    :ivar control_id: ID of the action.
    :ivar command: name of the command that started the action, such as ``calling.stream``.
    :ivar info: platform's record of the call when the action started.
    """

    call: Commands = field(repr=lambda call: call.call_id)
    control_id: str
    command: str
    info: CallInfo = field(repr=False)

    def stop(self) -> CallInfo | None:
        """Stop the action. Stopping an action that has ended is not an error.

        :return: the platform's record of the call, or ``None`` if the action or the call has already ended.
        :raises CommandRefused: the server rejected the command for a different reason.
        """
        try:
            return self.call._command(f"{self.command}.stop", {"control_id": self.control_id}, repeatable=True)
        except CommandRefused as error:
            if not is_gone(error):
                raise
            return None


class MediaCommands(Commands):
    """Commands that start an action, with the same parameters and checks as the methods of ``Call``."""

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
        codec: Codec | str | None = None,
        track: Track | str | None = None,
        status_url: str | None = None,
        status_url_method: Literal["GET", "POST"] | str | None = None,
        authorization_bearer_token: str | None = None,
        custom_parameters: Mapping[str, Any] | None = None,
        control_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Start streaming the call's audio to a WebSocket (``calling.stream``). A call may have several streams.

        HTTP clients receive no events, so pass ``status_url`` to be notified when the stream ends.

        :param url: absolute URL of the receiver, ``wss://host[:port]/path``. ``ws://`` is allowed for loopback hosts only.
        :param name: label that is included in the stream's events.
        :param codec: ``PCMU``, ``PCMA``, ``OPUS``, ``L16`` or ``G722`` in upper or lower case. A sample rate and a
            packet duration may follow, as in ``L16@16000h@40i``. Defaults to the codec of the call.
        :param track: ``inbound``: the audio of the remote party; ``outbound``: the audio that this party hears;
            or ``both``. The default is ``inbound``.
        :param status_url: HTTP or HTTPS URL that the platform notifies of the states ``streaming`` and ``finished``.
        :param status_url_method: HTTP method of these notifications: ``POST``, which is the default, or ``GET``.
        :param authorization_bearer_token: token that is sent as ``Authorization: Bearer ...`` in the upgrade request.
        :param custom_parameters: JSON object that is sent to the receiver in the ``start`` message. Use string values, because
            other values may be changed.
        :param control_id: ID for the new action, which must be unique within the call. Defaults to a generated UUID.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the action. Stop it with :meth:`RemoteAction.stop`, or by its ``control_id``.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
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
        direction: MediaDirection | str | None = None,
        loop: int | None = None,
        language: str | None = None,
        gender: Gender | str | None = None,
        voice: str | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RemoteAction:
        """Play a list of media into the call (``calling.play``).

        :param media: items to play in order, each of the form ``{"type": ..., "params": {...}}``. The types and parameters
            are ``audio`` (``url``), ``tts`` (``text``, ``language``, ``gender``, ``voice``), ``silence`` (``duration`` in
            seconds) and ``ringtone`` (``name``, ``duration`` in seconds).
        :param volume: volume change in decibels, from -40 to 40. Defaults to 0, which leaves the audio unchanged.
        :param direction: side that hears the audio: ``listen`` for the remote party, which is the default, ``speak`` for the
            other side, or ``both``.
        :param loop: number of times to play the list. 0 repeats it until the playback is stopped.
        :param language: default language of ``tts`` items, such as ``en-US``.
        :param gender: default gender of ``tts`` items: ``female`` or ``male``.
        :param voice: default voice of ``tts`` items.
        :param status_url: HTTP or HTTPS URL that the platform notifies of state changes.
        :param control_id: ID for the new action, which must be unique within the call. Defaults to a generated UUID.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the action. Stop it with :meth:`RemoteAction.stop`, or by its ``control_id``.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
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
        """Record the call (``calling.record``). The notification to ``status_url`` contains the recording's URL.

        SignalWire's documentation of the default timeouts and terminators is inconsistent. Set them explicitly if your
        application depends on them.

        :param audio: recording options: ``beep``, ``format`` (``mp3``, ``wav`` or ``mp4``), ``stereo``, ``direction``
            (``listen``, ``speak`` or ``both``), ``initial_timeout``, ``end_silence_timeout`` and ``max_length`` (in seconds, 0
            for no limit), ``terminators`` (the digits that end the recording, or ``""``) and ``input_sensitivity`` (0 to 100).
        :param status_url: HTTP or HTTPS URL that the platform notifies of state changes.
        :param control_id: ID for the new action, which must be unique within the call. Defaults to a generated UUID.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the action. Stop it with :meth:`RemoteAction.stop`, or by its ``control_id``.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
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
        """Collect digits or speech without playing a prompt (``calling.collect``). Pass ``digits``, ``speech`` or both.

        The platform sends the results to ``status_url``.

        :param digits: options for digits: a mapping with ``max``, ``digit_timeout`` (in seconds) and ``terminators``.
        :param speech: options for speech: a mapping with ``language``, ``hints``, ``model``, ``engine``,
            ``end_silence_timeout`` and ``speech_timeout`` (in seconds).
        :param initial_timeout: time to wait for the first input, in seconds. The platform's default is 4.
        :param partial_results: whether to report interim results, which may still change.
        :param continuous: whether to continue after each result until the action is stopped.
        :param send_start_of_input: whether to report the start of input.
        :param start_input_timers: whether to start the ``initial_timeout`` timer immediately. If false, call
            :meth:`collect_start_input_timers` to start it.
        :param status_url: HTTP or HTTPS URL that the platform notifies of state changes.
        :param control_id: ID for the new action, which must be unique within the call. Defaults to a generated UUID.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the action. Stop it with :meth:`RemoteAction.stop`, or by its ``control_id``.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        if digits is None and speech is None:
            raise InvalidParameter("digits", digits, "digits, speech or both")
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
        """Start a detector (``calling.detect``). The platform sends the results to ``status_url``.

        :param detect: the detector, as ``{"type": "machine" | "fax" | "digit", "params": {...}}``.
        :param timeout: maximum running time of the detector, in seconds. The platform's default is 30. 0 means no limit.
        :param status_url: HTTP or HTTPS URL that the platform notifies of state changes.
        :param control_id: ID for the new action, which must be unique within the call. Defaults to a generated UUID.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the action. Stop it with :meth:`RemoteAction.stop`, or by its ``control_id``.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
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
        """Copy the call's audio to an RTP address or a WebSocket (``calling.tap``).

        :param tap: audio to copy, as ``{"type": "audio", "params": {"direction": "listen" | "speak" | "both"}}``.
        :param device: the destination, as ``{"type": "rtp", "params": {"addr", "port", "codec", "ptime"}}`` or ``{"type": "ws",
            "params": {"uri", "codec"}}``. The codec is ``PCMU``, ``PCMA`` or ``OPUS``, and ``ptime`` is in milliseconds.
        :param status_url: HTTP or HTTPS URL that the platform notifies of state changes.
        :param control_id: ID for the new action, which must be unique within the call. Defaults to a generated UUID.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the action. Stop it with :meth:`RemoteAction.stop`, or by its ``control_id``.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
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
        """Record and transcribe the call in the background (``calling.transcribe``).

        A call can have only one transcription at a time.

        :param control_id: ID for the new action, which must be unique within the call. Defaults to a generated UUID.
        :param status_url: HTTP or HTTPS URL to which the platform sends state changes and the transcript.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the action. Stop it with :meth:`RemoteAction.stop`, or by its ``control_id``.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended, or 409 if a transcription
            is already running.
        """
        params = {"status_url": values.http_url("status_url", status_url)}
        return self._start("calling.transcribe", params, extra, control_id)

    def live_transcribe(self, action: Mapping[str, Any] | str, *, extra: Mapping[str, Any] | None = None) -> CallInfo:
        """Start, stop or summarize a live transcription (``calling.live_transcribe``).

        :param action: operation: ``{"start": {"lang": "en-US", "direction": ["remote-caller"], ...}}``, ``"stop"``,
            ``"summarize"`` or ``{"summarize": {...}}``.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        params = {"action": nested.live_action("action", action, nested.TRANSCRIPTION)}
        return self._command("calling.live_transcribe", params, extra)

    def live_translate(
        self,
        action: Mapping[str, Any] | str,
        *,
        status_url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> CallInfo:
        """Start, stop or summarize a live translation, or inject text into it (``calling.live_translate``).

        :param action: operation: ``{"start": {"from_lang": "en-US", "to_lang": "es-ES", "direction": [...], ...}}``,
            ``"stop"``, ``"summarize"`` or ``{"inject": {"message": ..., "direction": ...}}``.
        :param status_url: HTTP or HTTPS URL that the platform notifies of state changes.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the platform's record of the call.
        :raises InvalidParameter: a value is invalid. Nothing was sent.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        params = {
            "action": nested.live_action("action", action, nested.TRANSLATION),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._command("calling.live_translate", params, extra)

    def denoise(self) -> CallInfo:
        """Turn noise reduction on (``calling.denoise``).

        :return: the platform's record of the call.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        return self._command("calling.denoise")

    def denoise_stop(self) -> CallInfo:
        """Turn noise reduction off (``calling.denoise.stop``).

        :return: the platform's record of the call.
        :raises CommandRefused: the server rejected the command. The code is 404 if the call has ended.
        """
        return self._command("calling.denoise.stop", repeatable=True)
