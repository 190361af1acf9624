"""Play into the call, and record it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ...params import nested, values
from ...params.nested import Media, RecordAudio
from ..actions import OnCompleted, PlayAction, RecordAction
from .base import ADDRESS, Verbs

__all__ = ["Direction", "Gender", "MediaVerbs"]

Gender = Literal["male", "female"]
Direction = Literal["listen", "speak", "both"]
_DIRECTIONS = ("listen", "speak", "both")


class MediaVerbs(Verbs):
    """``calling.play`` and ``calling.record``. Several of each may run on one call."""

    def play(
        self,
        media: Iterable[Media],
        *,
        volume: float | None = None,
        direction: Direction | str | None = None,
        loop: int | None = None,
        language: str | None = None,
        gender: Gender | str | None = None,
        voice: str | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> PlayAction:
        """Play a list of things into the call, and return a handle on that (``calling.play``).

        :param media: what to play, one after the other: ``{"type": ..., "params": {...}}`` with ``audio`` (``url``), ``tts``
            (``text``, ``language``, ``gender``, ``voice``), ``silence`` (``duration`` in seconds) or ``ringtone`` (``name``,
            ``duration`` in seconds).
        :param volume: decibels, -40 to 40. :param direction: who hears it: ``listen`` (the party on this call; the default),
            ``speak``, ``both``.
        :param loop: how often; 0 plays without end. :param language: and :param gender: and :param voice: of all texts.
        :param status_url: http(s) URL that is told of the states.
        :param control_id: an id of your own, not in use on this call. :param on_completed: called once with the terminal
            event, however the action ends. :param extra: parameters that this SDK does not know yet.
        :raises InvalidParameter: a value that cannot be right; nothing was sent.
        :raises CommandRefused: the server said no; there is no action then.
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
        """Say a text: :meth:`play` with one item.

        :param language: such as ``en-US``, the platform's default. :param gender: ``female`` (the platform's default) or
            ``male``. :param voice: a voice of the platform, such as ``en-US-Neural2-F``. :param volume: decibels, -40 to 40.
        """
        said = {"text": text, "language": language, "gender": gender, "voice": voice}
        return self.play([{"type": "tts", "params": said}], volume=volume, on_completed=on_completed)

    def play_audio(
        self, url: str, *, volume: float | None = None, on_completed: OnCompleted | None = None
    ) -> PlayAction:
        """Play a file: :meth:`play` with one item.

        :param url: absolute http(s) URL of an MP3 or WAV. :param volume: decibels, -40 to 40.
        """
        return self.play([{"type": "audio", "params": {"url": url}}], volume=volume, on_completed=on_completed)

    def play_silence(self, duration: float, *, on_completed: OnCompleted | None = None) -> PlayAction:
        """Play silence: :meth:`play` with one item.

        :param duration: seconds, more than 0.
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
        """Play the ringback tone of a country: :meth:`play` with one item.

        :param name: two letters, such as ``us``, or ``bong``. :param duration: seconds, more than 0. :param volume: decibels.
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
        """Record the call, and return a handle on that (``calling.record``).

        :param audio: options: ``beep``, ``format`` (``mp3``, ``wav``, ``mp4``), ``stereo``, ``direction`` (``listen``,
            ``speak``, ``both``), ``initial_timeout``, ``end_silence_timeout`` and ``max_length`` in seconds (0: no limit),
            ``terminators`` (keys that end it; ``""`` for none), ``input_sensitivity`` (0 to 100). Sources disagree on the
            platform's defaults for the timeouts and terminators: give those that matter.
        :param status_url: http(s) URL that is told of the states. The others are those of :meth:`play`.
        :return: an action that ends ``finished`` or ``no_input``; its ``url`` is where the recording is.
        :raises InvalidParameter: a value that cannot be right. :raises CommandRefused: the server said no.
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
