"""Call methods that tap, transcribe, translate, echo and denoise the audio."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import events
from ...params import nested, values
from ..actions import TapAction, TranscribeAction
from .base import ADDRESS, Verbs

__all__ = ["ListeningVerbs"]


class ListeningVerbs(Verbs):
    """Methods for taps, transcription, translation, echo and noise reduction."""

    def tap(
        self,
        tap: Mapping[str, Any],
        device: Mapping[str, Any],
        *,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: Callable[[events.TapEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> TapAction:
        """Send a copy of the call's audio to an RTP address or a WebSocket (``calling.tap``).

        :param tap: audio to tap: ``{"type": "audio", "params": {"direction": "listen" | "speak" | "both"}}``.
        :param device: destination: ``{"type": "rtp", "params": {"addr", "port", "codec", "ptime"}}`` or ``{"type": "ws",
            "params": {"uri", "codec"}}``. The codec is ``PCMU``, ``PCMA`` or ``OPUS``, and ``ptime`` is in milliseconds.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "tap": nested.tap("tap", tap),
            "device": nested.tap_device("device", device),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.start(
            TapAction, values.merge_extra(params, extra, ADDRESS), control_id=control_id, on_completed=on_completed
        )

    def transcribe(
        self,
        *,
        control_id: str | None = None,
        status_url: str | None = None,
        on_completed: Callable[[events.TranscribeEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> TranscribeAction:
        """Record and transcribe the call in the background (``calling.transcribe``).

        A call can have only one transcription at a time.

        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param status_url: HTTP or HTTPS URL that receives status callbacks and the transcript.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command. The code is 409 if a transcription is already running.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"status_url": values.http_url("status_url", status_url)}
        return self._core.start(
            TranscribeAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )

    def live_transcribe(
        self, action: Mapping[str, Any] | str, *, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Start, stop or summarize a live transcription (``calling.live_transcribe``).

        The transcript arrives as :class:`AITranscribeUtteranceEvent` and related events.

        :param action: action to perform: ``{"start": {"lang": "en-US", "direction": ["remote-caller"], ...}}``, ``"stop"``,
            ``"summarize"`` or ``{"summarize": {...}}``.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"action": nested.live_action("action", action, nested.TRANSCRIPTION)}
        return self._core.command("calling.live_transcribe", values.merge_extra(params, extra, ADDRESS))

    def live_translate(
        self,
        action: Mapping[str, Any] | str,
        *,
        status_url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Start, stop or summarize a live translation, or add a message to it (``calling.live_translate``).

        The translation arrives as :class:`AITranslateDeltaEvent` and related events.

        :param action: action to perform: ``{"start": {"from_lang": "en-US", "to_lang": "es-ES", "direction": [...], ...}}``,
            ``"stop"``, ``"summarize"`` or ``{"inject": {"message": ..., "direction": ...}}``.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "action": nested.live_action("action", action, nested.TRANSLATION),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.live_translate", values.merge_extra(params, extra, ADDRESS))

    def echo(
        self,
        *,
        timeout: float | None = None,
        status_url: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Play the caller's audio back to the caller (``calling.echo``).

        The platform sends an :class:`EchoEvent` when the echo starts and when it ends.

        :param timeout: maximum duration of the echo, in seconds, from 5 to 120.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "timeout": values.number("timeout", timeout, low=5, high=120),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.echo", values.merge_extra(params, extra, ADDRESS))

    def denoise(self) -> dict[str, Any]:
        """Turn noise reduction on (``calling.denoise``).

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command. The code is 409 if noise reduction is already on.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        self._core.denoise_asked()
        return self._core.command("calling.denoise")

    def denoise_stop(self) -> dict[str, Any]:
        """Turn noise reduction off (``calling.denoise.stop``).

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command. The code is 409 if noise reduction is already off.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.denoise.stop", idempotent=True)
