"""Collect input, detect answering machines, send digits."""

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
    """Verbs for DTMF digits, speech and detectors."""

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
        """Play a prompt and collect digits or speech (``calling.play_and_collect``).

        :param media: items to play in order, each ``{"type": ..., "params": {...}}``: ``audio`` (``url``), ``tts`` (``text``,
            ``language``, ``gender``, ``voice``), ``silence`` (``duration`` in seconds) or ``ringtone`` (``name``, ``duration`` in
            seconds).
        :param collect: a mapping with ``digits`` (``max``, ``min``, ``digit_timeout`` in seconds, ``terminators``), ``speech``
            (``language``, ``hints``, ``model``, ``engine``, ``end_silence_timeout`` and ``speech_timeout`` in seconds) or both,
            and ``initial_timeout``: seconds to wait for the first input (the platform's default is 4).
        :param volume: volume in decibels, -40 to 40; 0 (the default) leaves the sound unchanged.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action. It ends with the result of the input, or with an error if the prompt cannot be played.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
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
        """Speak a text and collect input: :meth:`play_and_collect` with one text.

        :param text: the text to speak.
        :param collect: a mapping with ``digits`` (``max``, ``min``, ``digit_timeout`` in seconds, ``terminators``), ``speech``
            (``language``, ``hints``, ``model``, ``engine``, ``end_silence_timeout`` and ``speech_timeout`` in seconds) or both,
            and ``initial_timeout``: seconds to wait for the first input (the platform's default is 4).
        :param language: language of the speech, such as ``en-US`` (the platform's default).
        :param gender: ``female`` (the platform's default) or ``male``.
        :param voice: a voice of the platform, such as ``en-US-Neural2-F``.
        :param volume: volume in decibels, -40 to 40; 0 (the default) leaves the sound unchanged.
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action. It ends with the result of the input, or with an error if the prompt cannot be played.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
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
        """Play an audio file and collect input: :meth:`play_and_collect` with one file.

        :param url: absolute http(s) URL of an MP3 or WAV file.
        :param collect: a mapping with ``digits`` (``max``, ``min``, ``digit_timeout`` in seconds, ``terminators``), ``speech``
            (``language``, ``hints``, ``model``, ``engine``, ``end_silence_timeout`` and ``speech_timeout`` in seconds) or both,
            and ``initial_timeout``: seconds to wait for the first input (the platform's default is 4).
        :param volume: volume in decibels, -40 to 40; 0 (the default) leaves the sound unchanged.
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action. It ends with the result of the input, or with an error if the prompt cannot be played.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
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
        """Collect digits or speech without playing a prompt (``calling.collect``). Pass ``digits``, ``speech`` or both.

        :param digits: a mapping with ``max``, ``digit_timeout`` (seconds) and ``terminators``.
        :param speech: a mapping with ``language``, ``hints``, ``model``, ``engine``, ``end_silence_timeout`` and
            ``speech_timeout`` (seconds).
        :param initial_timeout: seconds to wait for the first input; the platform's default is 4.
        :param partial_results: whether to report results that may still change.
        :param continuous: whether to keep collecting after each result, until stopped.
        :param send_start_of_input: whether to report the start of input.
        :param start_input_timers: whether ``initial_timeout`` starts running at once; if not, call the action's
            ``start_input_timers()``.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action. It ends with the first final result or, with ``continuous``, when it is stopped.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
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
        :param timeout: seconds that the detector runs at most; the platform's default is 30. 0 sets no limit.
        :param status_url: http(s) URL that the platform notifies of state changes.
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action; ``wait_for_result()`` waits for the first result, ``wait()`` for the end.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
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
        """Detect DTMF tones; the same as :meth:`detect` of type ``digit``.

        :param digits: the digits to detect, of ``0-9``, ``*``, ``#``; all of them by default.
        :param timeout: seconds that the detector runs at most; the platform's default is 30. 0 sets no limit.
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action; ``wait_for_result()`` waits for the first result, ``wait()`` for the end.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
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
        """Tell people from answering machines: :meth:`detect` of type ``machine``.

        :param timeout: seconds that the detector runs at most; the platform's default is 30. 0 sets no limit.
        :param initial_timeout: seconds to wait for a voice.
        :param end_silence_timeout: seconds of silence that end a greeting.
        :param machine_voice_threshold: seconds of continuous voice from which the callee is considered a machine.
        :param machine_words_threshold: number of words from which the callee is considered a machine, at least 1.
        :param detect_interruptions: whether to continue the detection when it is interrupted.
        :param detect_message_end: whether to report the end of the greeting (``READY``).
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action; ``wait_for_result()`` waits for the first result, ``wait()`` for the end.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
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
        """Detect a fax machine: :meth:`detect` of type ``fax``.

        :param tone: ``CED`` (sent by a called machine) or ``CNG`` (sent by a calling machine).
        :param timeout: seconds that the detector runs at most; the platform's default is 30. 0 sets no limit.
        :param on_completed: called once with the terminal event, however the action ends.
        :return: the running action; ``wait_for_result()`` waits for the first result, ``wait()`` for the end.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
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
        """Send DTMF tones (``calling.send_digits``).

        :param digits: ``0-9``, ``*``, ``#``, ``A-D``, and the pauses ``w`` (0.5 s) and ``W`` (1 s).
        :param control_id: id of the new action, unique on this call; defaults to a generated UUID.
        :param on_completed: called once with the terminal event, however the action ends.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the running action; it ends when the digits have been sent. You can also index it like the server's reply, which
            the official SDK returns here.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
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
        """Make the platform run a method each time the remote party presses a digit sequence (``calling.bind_digit``).

        :param digits: the digit sequence, of ``0-9``, ``*``, ``#``, ``A-D``.
        :param bind_method: the RELAY method to run, such as ``calling.play``.
        :param bind_params: parameters of that method.
        :param realm: name of a group of bindings that can be cleared together.
        :param max_triggers: how many times the binding fires, at least 1.
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
        """Remove digit bindings (``calling.clear_digit_bindings``).

        :param realm: the group of bindings to remove; all bindings by default.
        :param extra: additional wire parameters that this SDK does not define.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: a value is invalid; nothing was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection closed before the reply arrived; ``sent`` tells whether the command may have been
            received.
        :raises NotConnected: the call's session is over; nothing was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"realm": values.text("realm", realm)}
        return self._core.command("calling.clear_digit_bindings", values.merge_extra(params, extra, ADDRESS))
