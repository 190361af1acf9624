"""Audio that is copied, cleaned, sent back or turned into text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...params import nested, values
from ..actions import OnCompleted, TapAction, TranscribeAction
from .base import ADDRESS, Verbs

__all__ = ["ListeningVerbs"]


class ListeningVerbs(Verbs):
    """Taps, transcriptions, echo, noise suppression."""

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
            "codec"}}``; codecs are ``PCMU``, ``PCMA``, ``OPUS``, ``ptime`` is in milliseconds.
        :param status_url: http(s) URL that is told of the states. :param control_id: an id of your own, not in use on this
            call. :param on_completed: called once with the terminal event. :param extra: parameters not known yet.
        :raises InvalidParameter: a value that cannot be right. :raises CommandRefused: the server said no.
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
        """Record and transcribe the call in the background (``calling.transcribe``). One at a time: 409 for a second.

        :param status_url: http(s) URL that is told of the states and of the text. The others as for :meth:`tap`.
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
        """Start, stop or sum up a live transcription (``calling.live_transcribe``). The text comes as
        :class:`AITranscribeUtteranceEvent` and its neighbours.

        :param action: ``{"start": {"lang": "en-US", "direction": ["remote-caller"], ...}}``, ``"stop"``, ``"summarize"``, or
            ``{"summarize": {...}}``.
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
        """Start, stop, sum up or add to a live translation (``calling.live_translate``). The text comes as
        :class:`AITranslateDeltaEvent` and its neighbours.

        :param action: ``{"start": {"from_lang": "en-US", "to_lang": "es-ES", "direction": [...], ...}}``, ``"stop"``,
            ``"summarize"``, or ``{"inject": {"message": ..., "direction": ...}}``.
        :param status_url: http(s) URL that is told of it.
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
        """Send the caller's audio back to him (``calling.echo``); :class:`EchoEvent` tells of its start and end.

        :param timeout: seconds it lasts, 5 to 120. :param status_url: http(s) URL that is told of the states.
        """
        params = {
            "timeout": values.number("timeout", timeout, low=5, high=120),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.command("calling.echo", values.merge_extra(params, extra, ADDRESS))

    def denoise(self) -> dict[str, Any]:
        """Suppress noise (``calling.denoise``); 409 where that is on already."""
        self._core.denoise_asked()
        return self._core.command("calling.denoise")

    def denoise_stop(self) -> dict[str, Any]:
        """Suppress noise no more (``calling.denoise.stop``); 409 where that is off already."""
        return self._core.command("calling.denoise.stop", idempotent=True)
