"""Call methods that collect input, run detectors and send digits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from ... import events
from ...constants import Gender
from ...errors import InvalidParameter
from ...params import nested, values
from ...params.nested import CollectOptions, DetectOptions, DigitsOptions, Media, SpeechOptions
from ..actions import CollectAction, DetectAction, SendDigitsAction, StandaloneCollectAction
from .base import ADDRESS, Verbs

__all__ = ["InputVerbs"]


class InputVerbs(Verbs):
    """Methods for DTMF digits, speech and detectors."""

    def play_and_collect(
        self,
        media: Iterable[Media],
        collect: CollectOptions | Mapping[str, Any],
        *,
        volume: float | None = None,
        status_url: str | None = None,
        control_id: str | None = None,
        on_completed: Callable[[events.CollectEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> CollectAction:
        """Play a prompt and collect digits or speech (``calling.play_and_collect``).

        :param media: items to play in order, as ``{"type": ..., "params": {...}}``. The types are ``audio`` (``url``), ``tts``
            (``text``, ``language``, ``gender``, ``voice``), ``silence`` (``duration`` in seconds) or ``ringtone`` (``name``,
            ``duration`` in seconds).
        :param collect: mapping with ``digits`` (``max``, ``min``, ``digit_timeout``, ``terminators``), ``speech``
            (``language``, ``hints``, ``model``, ``engine``, ``end_silence_timeout``, ``speech_timeout``) or both, and
            ``initial_timeout``, the time to wait for the first input (4 s by default). All timeouts are in seconds.
        :param volume: volume change in decibels, from -40 to 40; defaults to 0.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. It ends with the collected input, or with an error if the prompt cannot be played. If the
            call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
        gender: Gender | str | None = None,
        voice: str | None = None,
        volume: float | None = None,
        on_completed: Callable[[events.CollectEvent], object] | None = None,
    ) -> CollectAction:
        """Speak a prompt and collect input.

        This is a shortcut for :meth:`play_and_collect` with a single ``tts`` item.

        :param text: text to speak.
        :param collect: mapping with ``digits`` (``max``, ``min``, ``digit_timeout``, ``terminators``), ``speech``
            (``language``, ``hints``, ``model``, ``engine``, ``end_silence_timeout``, ``speech_timeout``) or both, and
            ``initial_timeout``, the time to wait for the first input (4 s by default). All timeouts are in seconds.
        :param language: language of the speech, such as ``en-US`` (the platform's default).
        :param gender: ``female`` (the platform's default) or ``male``.
        :param voice: name of the voice, such as ``en-US-Neural2-F``.
        :param volume: volume change in decibels, from -40 to 40; defaults to 0.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. It ends with the collected input, or with an error if the prompt cannot be played. If the
            call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        item = nested.media_item("tts", text=text, language=language, gender=gender, voice=voice)
        return self.play_and_collect([item], collect, volume=volume, on_completed=on_completed)

    def prompt_audio(
        self,
        url: str,
        collect: CollectOptions | Mapping[str, Any],
        *,
        volume: float | None = None,
        on_completed: Callable[[events.CollectEvent], object] | None = None,
    ) -> CollectAction:
        """Play an audio file and collect input.

        This is a shortcut for :meth:`play_and_collect` with a single ``audio`` item.

        :param url: absolute HTTP or HTTPS URL of an MP3 or WAV file.
        :param collect: mapping with ``digits`` (``max``, ``min``, ``digit_timeout``, ``terminators``), ``speech``
            (``language``, ``hints``, ``model``, ``engine``, ``end_silence_timeout``, ``speech_timeout``) or both, and
            ``initial_timeout``, the time to wait for the first input (4 s by default). All timeouts are in seconds.
        :param volume: volume change in decibels, from -40 to 40; defaults to 0.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. It ends with the collected input, or with an error if the prompt cannot be played. If the
            call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        item = nested.media_item("audio", url=url)
        return self.play_and_collect([item], collect, volume=volume, on_completed=on_completed)

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
        on_completed: Callable[[events.CollectEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> StandaloneCollectAction:
        """Collect digits or speech without playing a prompt (``calling.collect``).

        At least one of ``digits`` and ``speech`` is required.

        :param digits: options for digits, with ``max``, ``digit_timeout`` (in seconds) and ``terminators``.
        :param speech: options for speech, with ``language``, ``hints``, ``model``, ``engine``, ``end_silence_timeout`` and
            ``speech_timeout`` (both in seconds).
        :param initial_timeout: maximum time to wait for the first input, in seconds; the platform's default is 4.
        :param partial_results: whether to report partial results, which may still change.
        :param continuous: whether to continue collecting after a result, until the action is stopped.
        :param send_start_of_input: whether to report when input starts.
        :param start_input_timers: whether the initial timeout starts immediately. If not, start it with the action's
            ``start_input_timers()``.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. It ends with the first final result, or, if ``continuous`` is set, when it is stopped. If the
            call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
        on_completed: Callable[[events.DetectEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> DetectAction:
        """Start a detector (``calling.detect``).

        :param detect: type and options of the detector: ``{"type": "machine" | "fax" | "digit", "params": {...}}``.
        :param timeout: maximum time to run the detector, in seconds; 0 means no limit. The platform's default is 30.
        :param status_url: HTTP or HTTPS URL that receives status callbacks.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. ``wait_for_result()`` waits for the first result, and ``wait()`` waits until the detector
            ends. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
        self,
        *,
        digits: str | None = None,
        timeout: float | None = None,
        on_completed: Callable[[events.DetectEvent], object] | None = None,
    ) -> DetectAction:
        """Detect DTMF digits.

        This is a shortcut for :meth:`detect` with the type ``digit``.

        :param digits: digits to detect, from ``0-9``, ``*`` and ``#``; defaults to all of them.
        :param timeout: maximum time to run the detector, in seconds; 0 means no limit. The platform's default is 30.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. ``wait_for_result()`` waits for the first result, and ``wait()`` waits until the detector
            ends. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self.detect(nested.detector("digit", digits=digits), timeout=timeout, on_completed=on_completed)

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
        on_completed: Callable[[events.DetectEvent], object] | None = None,
    ) -> DetectAction:
        """Detect whether a human or an answering machine answered.

        This is a shortcut for :meth:`detect` with the type ``machine``.

        :param timeout: maximum time to run the detector, in seconds; 0 means no limit. The platform's default is 30.
        :param initial_timeout: maximum time to wait for a voice, in seconds.
        :param end_silence_timeout: duration of the silence that marks the end of a greeting, in seconds.
        :param machine_voice_threshold: duration of continuous speech after which the callee is considered a machine, in seconds.
        :param machine_words_threshold: number of words after which the callee is considered a machine, at least 1.
        :param detect_interruptions: whether to continue detecting after an interruption.
        :param detect_message_end: whether to report the end of the greeting, as ``READY``.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. ``wait_for_result()`` waits for the first result, and ``wait()`` waits until the detector
            ends. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        wanted = nested.detector(
            "machine",
            initial_timeout=initial_timeout,
            end_silence_timeout=end_silence_timeout,
            machine_voice_threshold=machine_voice_threshold,
            machine_words_threshold=machine_words_threshold,
            detect_interruptions=detect_interruptions,
            detect_message_end=detect_message_end,
        )
        return self.detect(wanted, timeout=timeout, on_completed=on_completed)

    def detect_fax(
        self,
        *,
        tone: Literal["CED", "CNG"] | str | None = None,
        timeout: float | None = None,
        on_completed: Callable[[events.DetectEvent], object] | None = None,
    ) -> DetectAction:
        """Detect a fax machine.

        This is a shortcut for :meth:`detect` with the type ``fax``.

        :param tone: tone to detect: ``CED`` (sent by the called machine) or ``CNG`` (sent by the calling machine).
        :param timeout: maximum time to run the detector, in seconds; 0 means no limit. The platform's default is 30.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :return: the running action. ``wait_for_result()`` waits for the first result, and ``wait()`` waits until the detector
            ends. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        return self.detect(nested.detector("fax", tone=tone), timeout=timeout, on_completed=on_completed)

    def send_digits(
        self,
        digits: str,
        *,
        control_id: str | None = None,
        on_completed: Callable[[events.SendDigitsEvent], object] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> SendDigitsAction:
        """Send DTMF tones (``calling.send_digits``).

        :param digits: digits to send, from ``0-9``, ``*``, ``#`` and ``A-D``. ``w`` pauses for 0.5 s and ``W`` for 1 s.
        :param control_id: ID of the new action, unique within the call; defaults to a random UUID.
        :param on_completed: function to call with the final event when the action ends, whether or not it succeeded.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the running action. It ends when the digits have been sent. The action can be indexed like the server's reply,
            for compatibility with the official SDK. If the call has already ended, the returned action has ended too.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command; no action was started.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
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
        """Bind a digit sequence to a RELAY method (``calling.bind_digit``).

        The platform executes the method each time the remote party enters the sequence.

        :param digits: digit sequence, from ``0-9``, ``*``, ``#`` and ``A-D``.
        :param bind_method: RELAY method to execute, such as ``calling.play``.
        :param bind_params: parameters of the method.
        :param realm: name of a group of bindings that can be removed together.
        :param max_triggers: maximum number of times to trigger the binding, at least 1.
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

        :param realm: group of bindings to remove; defaults to all bindings.
        :param extra: additional command parameters, for options that this method does not support.
        :return: the server's reply; ``{}`` if the call has already ended.
        :raises InvalidParameter: an argument is invalid; no command was sent.
        :raises CommandRefused: the server rejected the command.
        :raises ConnectionLost: the connection was lost before the reply arrived. ``sent`` is true if the command may have reached
            the server.
        :raises NotConnected: the call's session has ended; no command was sent.
        :raises RequestTimeout: the server did not reply within the request timeout.
        """
        params = {"realm": values.text("realm", realm)}
        return self._core.command("calling.clear_digit_bindings", values.merge_extra(params, extra, ADDRESS))
