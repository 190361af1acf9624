"""Call methods that play audio and record the call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from ... import events
from ...constants import Gender, MediaDirection
from ...params import nested, values
from ...params.nested import Media, RecordAudio
from ..actions import PlayAction, RecordAction
from .base import ADDRESS, Verbs

__all__ = ["MediaVerbs"]

_MEDIA_DIRECTIONS = get_args(MediaDirection)


class MediaVerbs(Verbs):
    """Methods that play audio and record the call. Several playbacks and recordings can run at the same time."""

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
        on_completed: Callable[[events.PlayEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> PlayAction:
        """Play audio files, text-to-speech, silence or ringtones (``calling.play``).

        :param media: items to play in order, as ``{"type": ..., "params": {...}}``. The types are ``audio`` (``url``), ``tts``
            (``text``, ``language``, ``gender``, ``voice``), ``silence`` (``duration`` in seconds) or ``ringtone`` (``name``,
            ``duration`` in seconds).
        :param volume: volume change in decibels, from -40 to 40; defaults to 0.
        :param direction: who hears the audio: ``listen`` (the party on this call; the default), ``speak`` or ``both``.
        :param loop: number of times to play the list; 0 repeats it until the action is stopped.
        :param language: default language for the ``tts`` items, such as ``en-US``.
        :param gender: default gender for the ``tts`` items: ``female`` or ``male``.
        :param voice: default voice for the ``tts`` items.
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
        on_completed: Callable[[events.PlayEvent], object] | None = None,
    ) -> PlayAction:
        """Convert text to speech and play it.

        This is a shortcut for :meth:`play` with a single ``tts`` item.

        :param text: text to speak.
        :param language: language of the speech, such as ``en-US`` (the platform's default).
        :param gender: ``female`` (the platform's default) or ``male``.
        :param voice: name of the voice, such as ``en-US-Neural2-F``.
        :param volume: volume change in decibels, from -40 to 40; defaults to 0.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        item = nested.media_item("tts", text=text, language=language, gender=gender, voice=voice)
        return self.play([item], volume=volume, on_completed=on_completed)

    def play_audio(
        self, url: str, *, volume: float | None = None, on_completed: Callable[[events.PlayEvent], object] | None = None
    ) -> PlayAction:
        """Play an audio file.

        This is a shortcut for :meth:`play` with a single ``audio`` item.

        :param url: absolute HTTP or HTTPS URL of an MP3 or WAV file.
        :param volume: volume change in decibels, from -40 to 40; defaults to 0.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self.play([nested.media_item("audio", url=url)], volume=volume, on_completed=on_completed)

    def play_silence(
        self, duration: float, *, on_completed: Callable[[events.PlayEvent], object] | None = None
    ) -> PlayAction:
        """Play silence.

        This is a shortcut for :meth:`play` with a single ``silence`` item.

        :param duration: duration in seconds, greater than 0.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self.play([nested.media_item("silence", duration=duration)], on_completed=on_completed)

    def play_ringtone(
        self,
        name: str,
        *,
        duration: float | None = None,
        volume: float | None = None,
        on_completed: Callable[[events.PlayEvent], object] | None = None,
    ) -> PlayAction:
        """Play a country's ringback tone.

        This is a shortcut for :meth:`play` with a single ``ringtone`` item.

        :param name: two-letter country code, such as ``us``, or ``bong`` for a calling-card prompt tone.
        :param duration: duration in seconds, greater than 0.
        :param volume: volume change in decibels, from -40 to 40; defaults to 0.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        item = nested.media_item("ringtone", name=name, duration=duration)
        return self.play([item], volume=volume, on_completed=on_completed)

    def record(
        self,
        audio: RecordAudio | Mapping[str, Any] | None = None,
        *,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: Callable[[events.RecordEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> RecordAction:
        """Record the call (``calling.record``).

        The platform's documentation is inconsistent about the default timeouts and terminators. Set them explicitly if they
        matter.

        :param audio: recording options: ``beep``, ``format`` (``mp3``, ``wav``, ``mp4``), ``stereo``, ``direction`` (``listen``,
            ``speak``, ``both``), ``initial_timeout``, ``end_silence_timeout`` and ``max_length`` in seconds (0: no limit),
            ``terminators`` (keys that end the recording; ``""`` for none), and ``input_sensitivity`` (0 to 100).
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. Its final state is ``finished`` or ``no_input``, and ``url`` is the URL of the recording. If
            the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
