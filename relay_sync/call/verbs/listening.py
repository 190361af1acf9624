"""Tap, transcribe, translate, echo and denoise the call's audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...params import nested, values
from ..actions import OnCompleted, TapAction, TranscribeAction
from .base import ADDRESS, Verbs

__all__ = ["ListeningVerbs"]


class ListeningVerbs(Verbs):
    """Taps, transcriptions, translations, echo and noise reduction."""

    def tap(
        self,
        tap: Mapping[str, Any],
        device: Mapping[str, Any],
        *,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> TapAction:
        """Copy the call's audio to an RTP address or a WebSocket (``calling.tap``).

        :param tap: ``{"type": "audio", "params": {"direction": "listen" | "speak" | "both"}}``.
        :param device: ``{"type": "rtp", "params": {"addr", "port", "codec", "ptime"}}`` or ``{"type": "ws", "params": {"uri",
            "codec"}}``. The codecs are ``PCMU``, ``PCMA`` and ``OPUS``; ``ptime`` is in milliseconds.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> TranscribeAction:
        """Record and transcribe the call in the background (``calling.transcribe``), one transcription at a time.

        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param status_url: http(s) URL that the platform notifies of state changes and of the text.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; code 409 if a transcription is already running.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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

        The text arrives as :class:`AITranscribeUtteranceEvent` and related events.

        :param action: ``{"start": {"lang": "en-US", "direction": ["remote-caller"], ...}}``, ``"stop"``, ``"summarize"`` or
            ``{"summarize": {...}}``.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
        """Start, stop, summarize or add text to a live translation (``calling.live_translate``).

        The text arrives as :class:`AITranslateDeltaEvent` and related events.

        :param action: ``{"start": {"from_lang": "en-US", "to_lang": "es-ES", "direction": [...], ...}}``, ``"stop"``,
            ``"summarize"`` or ``{"inject": {"message": ..., "direction": ...}}``.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
        """Echo the caller's audio (``calling.echo``). :class:`EchoEvent` reports the start and the end.

        :param timeout: seconds after which the echo ends, 5 to 120.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
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
        :raises CommandRefused: the server rejected the command; code 409 if noise reduction is already on.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        self._core.denoise_asked()
        return self._core.command("calling.denoise")

    def denoise_stop(self) -> dict[str, Any]:
        """Turn noise reduction off (``calling.denoise.stop``).

        :return: the server's reply; ``{}`` if the call has already ended.
        :raises CommandRefused: the server rejected the command; code 409 if noise reduction is already off.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self._core.command("calling.denoise.stop", idempotent=True)
