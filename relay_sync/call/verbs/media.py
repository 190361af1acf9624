"""Play audio into the call, and record the call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ...params import nested, values
from ...params.nested import Media, RecordAudio
from ..actions import OnCompleted, PlayAction, RecordAction
from .base import ADDRESS, Verbs

__all__ = ["Gender", "MediaDirection", "MediaVerbs"]

Gender = Literal["male", "female"]
MediaDirection = Literal["listen", "speak", "both"]
_MEDIA_DIRECTIONS = ("listen", "speak", "both")


class MediaVerbs(Verbs):
    """``calling.play`` and ``calling.record``. Several of each may run on one call."""

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
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> PlayAction:
        """Play a list of media into the call (``calling.play``).

        :param media: items to play in order, each ``{"type": ..., "params": {...}}``: ``audio`` (``url``), ``tts`` (``text``,
            ``language``, ``gender``, ``voice``), ``silence`` (``duration`` in seconds) or ``ringtone`` (``name``, ``duration`` in
            seconds).
        :param volume: volume in decibels, -40 to 40; 0 (the default) leaves the sound unchanged.
        :param direction: who hears it: ``listen`` (the party on this call; the default), ``speak`` or ``both``.
        :param loop: how many times to play the list; 0 repeats until stopped.
        :param language: default language of the ``tts`` items, such as ``en-US``.
        :param gender: default gender of the ``tts`` items: ``female`` or ``male``.
        :param voice: default voice of the ``tts`` items.
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
            "play": nested.media("media", media),
            "volume": values.number("volume", volume, low=-40, high=40),
            "direction": values.choice("direction", direction, _MEDIA_DIRECTIONS),
            "loop": values.whole("loop", loop, low=0),
            "language": values.text("language", language),
            "gender": values.choice("gender", gender, ("male", "female")),
            "voice": values.text("voice", voice),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.start(
            PlayAction, values.merge_extra(params, extra, ADDRESS), control_id=control_id, on_completed=on_completed
        )

    def play_tts(
        self,
        text: str,
        *,
        language: str | None = None,
        gender: Gender | str | None = None,
        voice: str | None = None,
        volume: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> PlayAction:
        """Speak text; the same as :meth:`play` with one item.

        :param text: the text to speak.
        :param language: language of the speech, such as ``en-US`` (the platform's default).
        :param gender: ``female`` (the platform's default) or ``male``.
        :param voice: a voice of the platform, such as ``en-US-Neural2-F``.
        :param volume: volume in decibels, -40 to 40; 0 (the default) leaves the sound unchanged.
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        said = {"text": text, "language": language, "gender": gender, "voice": voice}
        return self.play([{"type": "tts", "params": said}], volume=volume, on_completed=on_completed)

    def play_audio(
        self, url: str, *, volume: float | None = None, on_completed: OnCompleted | None = None
    ) -> PlayAction:
        """Play an audio file: :meth:`play` with one item.

        :param url: absolute http(s) URL of an MP3 or WAV file.
        :param volume: volume in decibels, -40 to 40; 0 (the default) leaves the sound unchanged.
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self.play([{"type": "audio", "params": {"url": url}}], volume=volume, on_completed=on_completed)

    def play_silence(self, duration: float, *, on_completed: OnCompleted | None = None) -> PlayAction:
        """Play silence: :meth:`play` with one item.

        :param duration: seconds, more than 0.
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self.play([{"type": "silence", "params": {"duration": duration}}], on_completed=on_completed)

    def play_ringtone(
        self,
        name: str,
        *,
        duration: float | None = None,
        volume: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> PlayAction:
        """Play a country's ringback tone: :meth:`play` with one item.

        :param name: two-letter country code, such as ``us``, or ``bong``.
        :param duration: seconds, more than 0.
        :param volume: volume in decibels, -40 to 40; 0 (the default) leaves the sound unchanged.
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        tone = {"name": name, "duration": duration}
        return self.play([{"type": "ringtone", "params": tone}], volume=volume, on_completed=on_completed)

    def record(
        self,
        audio: RecordAudio | Mapping[str, Any] | None = None,
        *,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RecordAction:
        """Record the call (``calling.record``).

        The vendor documents the defaults of the timeouts and terminators inconsistently: set them explicitly where they matter.

        :param audio: options: ``beep``, ``format`` (``mp3``, ``wav``, ``mp4``), ``stereo``, ``direction`` (``listen``, ``speak``,
            ``both``), ``initial_timeout``, ``end_silence_timeout`` and ``max_length`` in seconds (0: no limit), ``terminators``
            (keys that end the recording; ``""`` for none), ``input_sensitivity`` (0 to 100).
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action. It ends as ``finished`` or ``no_input``; its ``url`` locates the recording.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {
            "record": {"audio": nested.record("audio", audio)},
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.start(
            RecordAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )
