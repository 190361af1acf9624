"""What the far end presses, says and is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from ...errors import InvalidParameter
from ...params import nested, values
from ...params.nested import CollectOptions, DetectOptions, DigitsOptions, Media, SpeechOptions
from ..actions import CollectAction, DetectAction, OnCompleted, SendDigitsAction, StandaloneCollectAction
from .base import ADDRESS, Verbs

__all__ = ["InputVerbs"]


class InputVerbs(Verbs):
    """Collectors, detectors, keys."""

    def play_and_collect(
        self,
        media: Iterable[Media],
        collect: CollectOptions | Mapping[str, Any],
        *,
        volume: float | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> CollectAction:
        """Play a prompt and collect keys or speech (``calling.play_and_collect``).

        :param media: the prompt, as for ``play``.
        :param collect: ``digits`` (``max``, ``min``, ``digit_timeout`` in seconds, ``terminators``), ``speech`` (``language``,
            ``hints``, ``end_silence_timeout`` and ``speech_timeout`` in seconds, ``model``) or both; ``initial_timeout`` in
            seconds until the first of it must come (the platform's default is 4).
        :param volume: of the prompt, decibels, -40 to 40. :param status_url: http(s) URL that is told of the result.
        :param control_id: an id of your own, not in use on this call. :param on_completed: called once with the terminal
            event. :param extra: parameters that this SDK does not know yet.
        :return: an action that ends with the result of the input, or with an error if the prompt cannot be played.
        :raises InvalidParameter: a value that cannot be right. :raises CommandRefused: the server said no.
        """
        params = {
            "play": nested.media("media", media),
            "collect": nested.collect("collect", collect),
            "volume": values.number("volume", volume, low=-40, high=40),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.start(
            CollectAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )

    def prompt_tts(
        self,
        text: str,
        collect: CollectOptions | Mapping[str, Any],
        *,
        language: str | None = None,
        gender: Literal["male", "female"] | str | None = None,
        voice: str | None = None,
        volume: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> CollectAction:
        """Say a text and collect: :meth:`play_and_collect` with one item, as ``play_tts`` makes it."""
        said = {"text": text, "language": language, "gender": gender, "voice": voice}
        return self.play_and_collect(
            [{"type": "tts", "params": said}], collect, volume=volume, on_completed=on_completed
        )

    def prompt_audio(
        self,
        url: str,
        collect: CollectOptions | Mapping[str, Any],
        *,
        volume: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> CollectAction:
        """Play a file and collect: :meth:`play_and_collect` with one item, as ``play_audio`` makes it."""
        file = {"type": "audio", "params": {"url": url}}
        return self.play_and_collect([file], collect, volume=volume, on_completed=on_completed)

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
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> StandaloneCollectAction:
        """Collect keys or speech without playing anything (``calling.collect``).

        :param digits: and :param speech: as for :meth:`play_and_collect`; one of them is needed.
        :param initial_timeout: seconds until input must begin. :param partial_results: report results that may still change.
        :param continuous: go on after each result, until stopped. :param send_start_of_input: report when input begins.
        :param start_input_timers: let the clock of ``initial_timeout`` run at once; otherwise the action's
            ``start_input_timers()`` starts it. The others are those of :meth:`play_and_collect`.
        :return: an action that ends with the first final result, or with ``continuous`` when it is stopped.
        """
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
        return self._core.start(
            StandaloneCollectAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )

    def detect(
        self,
        detect: DetectOptions | Mapping[str, Any],
        *,
        timeout: float | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> DetectAction:
        """Start a detector (``calling.detect``).

        :param detect: ``{"type": "machine" | "fax" | "digit", "params": {...}}``.
        :param timeout: seconds it runs at most, on the platform; its default is 30. This is no limit for the answer to the
            command. :param status_url: http(s) URL that is told of results.
        :param control_id: an id of your own, not in use on this call. :param on_completed: called once with the terminal
            event. :param extra: parameters that this SDK does not know yet.
        :return: an action; ``wait_for_result()`` waits for the first result, ``wait()`` for the end.
        """
        params = {
            "detect": nested.detect("detect", detect),
            "timeout": values.number("timeout", timeout, low=0),
            "status_url": values.http_url("status_url", status_url),
        }
        return self._core.start(
            DetectAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )

    def detect_digit(
        self, *, digits: str | None = None, timeout: float | None = None, on_completed: OnCompleted | None = None
    ) -> DetectAction:
        """Listen for keys: :meth:`detect` of type ``digit``.

        :param digits: the keys to listen for, ``0-9``, ``*``, ``#``; all if left out. :param timeout: seconds.
        """
        wanted = {"digits": digits}
        return self.detect({"type": "digit", "params": wanted}, timeout=timeout, on_completed=on_completed)

    def detect_answering_machine(
        self,
        *,
        initial_timeout: float | None = None,
        end_silence_timeout: float | None = None,
        machine_voice_threshold: float | None = None,
        machine_words_threshold: int | None = None,
        detect_interruptions: bool | None = None,
        detect_message_end: bool | None = None,
        timeout: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> DetectAction:
        """Tell persons from answering machines: :meth:`detect` of type ``machine``.

        :param initial_timeout: seconds to wait for a voice. :param end_silence_timeout: seconds of silence that end one.
        :param machine_voice_threshold: seconds of voice that make it a machine. :param machine_words_threshold: words that do.
        :param detect_interruptions: go on looking when it is interrupted. :param detect_message_end: report when the
            greeting is over (``READY``). :param timeout: seconds in all.
        """
        wanted = {
            "initial_timeout": initial_timeout,
            "end_silence_timeout": end_silence_timeout,
            "machine_voice_threshold": machine_voice_threshold,
            "machine_words_threshold": machine_words_threshold,
            "detect_interruptions": detect_interruptions,
            "detect_message_end": detect_message_end,
        }
        return self.detect({"type": "machine", "params": wanted}, timeout=timeout, on_completed=on_completed)

    def detect_fax(
        self,
        *,
        tone: Literal["CED", "CNG"] | str | None = None,
        timeout: float | None = None,
        on_completed: OnCompleted | None = None,
    ) -> DetectAction:
        """Listen for a fax machine: :meth:`detect` of type ``fax``.

        :param tone: ``CED`` (of the called machine) or ``CNG`` (of the calling one). :param timeout: seconds.
        """
        return self.detect({"type": "fax", "params": {"tone": tone}}, timeout=timeout, on_completed=on_completed)

    def send_digits(
        self,
        digits: str,
        *,
        control_id: str | None = None,
        on_completed: OnCompleted | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> SendDigitsAction:
        """Press keys into the call (``calling.send_digits``).

        :param digits: ``0-9``, ``*``, ``#``, ``A-D``, and as pauses ``w`` (0.5 s) and ``W`` (1 s).
        :return: an action that ends when they are sent. It can also be read like the server's reply, which is what the
            official SDK returns here.
        """
        params = {"digits": values.dtmf("digits", digits, pauses=True, optional=False)}
        return self._core.start(
            SendDigitsAction,
            values.merge_extra(params, extra, ADDRESS),
            control_id=control_id,
            on_completed=on_completed,
        )

    def bind_digit(
        self,
        digits: str,
        bind_method: str,
        *,
        bind_params: Mapping[str, Any] | None = None,
        realm: str | None = None,
        max_triggers: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Have the platform run a method whenever the far end presses keys (``calling.bind_digit``).

        :param digits: the keys. :param bind_method: a RELAY method such as ``calling.play``, with :param bind_params: as its
            params. :param realm: a name by which bindings can be cleared together. :param max_triggers: how often, at least 1.
        """
        params = {
            "digits": values.dtmf("digits", digits, optional=False),
            "bind_method": values.text("bind_method", bind_method, optional=False),
            "params": values.json_object("bind_params", bind_params),
            "realm": values.text("realm", realm),
            "max_triggers": values.whole("max_triggers", max_triggers, low=1),
        }
        return self._core.command("calling.bind_digit", values.merge_extra(params, extra, ADDRESS))

    def clear_digit_bindings(
        self, *, realm: str | None = None, extra: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Take digit bindings back (``calling.clear_digit_bindings``).

        :param realm: only those of this realm; all if left out.
        """
        params = {"realm": values.text("realm", realm)}
        return self._core.command("calling.clear_digit_bindings", values.merge_extra(params, extra, ADDRESS))
