"""Rows of the table of verbs: what the far end presses, says and is."""

from __future__ import annotations

from typing import Any

from tests.support.verbs.row import HELLO, STATUS, Json, Row, full_row

FOUR_DIGITS = {"result": {"type": "digit", "params": {"digits": "4821", "terminator": "#"}}}
GOT_DIGITS = (("calling.call.play", {"state": "finished"}), ("calling.call.collect", FOUR_DIGITS))
DIGITS_SHOWN = {"digits": "4821", "terminator": "#", "type": "digit", "text": ""}


def detected(kind: str, *words: str, **more: Any) -> tuple[tuple[str, Json], ...]:
    """Events of a detector."""
    return tuple(
        ("calling.call.detect", {"detect": {"type": kind, "params": {"event": word, **more}}})
        for word in (*words, "finished")
    )


COLLECT = {"digits": {"max": 4, "terminators": "#"}}
INPUT = [
    Row(
        name="play_and_collect",
        args=([HELLO], COLLECT),
        method="calling.play_and_collect",
        params={"play": [{"type": "tts", "params": {"text": "hello"}}], "collect": COLLECT},
        kind="CollectAction",
        events=GOT_DIGITS,
        shows=DIGITS_SHOWN,
    ),
    full_row(
        "play_and_collect-all",
        method="calling.play_and_collect",
        passed={
            "collect": {
                "digits": {"max": 4, "min": 1, "digit_timeout": 2.5, "terminators": "#*"},
                "speech": {
                    "end_silence_timeout": 1,
                    "speech_timeout": 30,
                    "language": "en-US",
                    "hints": ["bill", "sales"],
                    "model": "enhanced",
                    "engine": "Deepgram",
                },
                "initial_timeout": 4,
                "brand_new": 1,
            },
            "volume": 0,
            "status_url": STATUS,
            "control_id": "K1",
        },
        given={"media": [HELLO]},
        sent={"play": [{"type": "tts", "params": {"text": "hello"}}]},
        kind="CollectAction",
        events=(
            (
                "calling.call.collect",
                {"result": {"type": "speech", "params": {"text": "my bill", "confidence": 92.5}}},
            ),
        ),
        shows={"text": "my bill", "confidence": 92.5, "type": "speech", "digits": ""},
    ),
    Row(
        name="prompt_tts",
        kwargs={
            "text": "how many?",
            "collect": COLLECT,
            "language": "en-US",
            "gender": "male",
            "voice": "v",
            "volume": 3,
            "on_completed": print,
        },
        method="calling.play_and_collect",
        params={
            "play": [
                {
                    "type": "tts",
                    "params": {"text": "how many?", "language": "en-US", "gender": "male", "voice": "v"},
                }
            ],
            "collect": COLLECT,
            "volume": 3,
        },
        kind="CollectAction",
        events=GOT_DIGITS,
        shows=DIGITS_SHOWN,
    ),
    Row(
        name="prompt_audio",
        kwargs={
            "url": "https://files.example.test/q.mp3",
            "collect": {"speech": {}},
            "volume": -3,
            "on_completed": print,
        },
        method="calling.play_and_collect",
        params={
            "play": [{"type": "audio", "params": {"url": "https://files.example.test/q.mp3"}}],
            "collect": {"speech": {}},
            "volume": -3,
        },
        kind="CollectAction",
        events=(("calling.call.collect", {"result": {"type": "no_input"}}),),
        shows={"type": "no_input", "text": "", "digits": "", "error": None},
    ),
    Row(
        name="collect",
        kwargs={"digits": {"max": 1}},
        method="calling.collect",
        params={"digits": {"max": 1}},
        kind="StandaloneCollectAction",
        events=(("calling.call.collect", {"result": {"type": "digit", "params": {"digits": "1", "terminator": ""}}}),),
        shows={"digits": "1", "terminator": "", "type": "digit"},
    ),
    full_row(
        "collect-all",
        method="calling.collect",
        passed={
            "digits": {"max": 3},
            "speech": {"language": "en-US"},
            "initial_timeout": 7.5,
            "partial_results": True,
            "continuous": False,
            "send_start_of_input": True,
            "start_input_timers": False,
            "status_url": STATUS,
            "control_id": "C1",
        },
        kind="StandaloneCollectAction",
        events=(
            ("calling.call.collect", {"result": {"type": "start_of_input"}}),
            (
                "calling.call.collect",
                {
                    "result": {"type": "speech", "params": {"text": "I want", "confidence": 71.5}},
                    "state": "collecting",
                    "final": False,
                },
            ),
            (
                "calling.call.collect",
                {
                    "result": {"type": "speech", "params": {"text": "I want to settle my bill", "confidence": 92.3}},
                    "state": "finished",
                    "final": True,
                },
            ),
        ),
        shows={"text": "I want to settle my bill", "confidence": 92.3, "has_started": True, "state": "finished"},
    ),
    Row(
        name="detect",
        args=({"type": "machine", "params": {}},),
        method="calling.detect",
        params={"detect": {"type": "machine", "params": {}}},
        kind="DetectAction",
        events=detected("machine", "MACHINE", "NOT_READY", "READY"),
        shows={"is_machine": True, "is_human": False, "is_ready": True, "state": "finished"},
    ),
    full_row(
        "detect-all",
        method="calling.detect",
        passed={
            "detect": {"type": "machine", "params": {"machine_ready_timeout": 4, "brand_new": 1}},
            "timeout": 0,
            "status_url": STATUS,
            "control_id": "D1",
        },
        kind="DetectAction",
        events=detected("machine", "HUMAN"),
        shows={"is_human": True, "is_machine": False, "is_ready": False, "beep": False},
    ),
    Row(
        name="detect_digit",
        kwargs={"digits": "0123456789#*", "timeout": 10, "on_completed": print},
        method="calling.detect",
        params={"detect": {"type": "digit", "params": {"digits": "0123456789#*"}}, "timeout": 10},
        kind="DetectAction",
        events=detected("digit", "7", "#"),
        shows={"digits": "7#"},
    ),
    Row(
        name="detect_answering_machine",
        method="calling.detect",
        params={"detect": {"type": "machine", "params": {}}},
        kind="DetectAction",
        events=detected("machine", "MACHINE", "READY", beep=True),
        shows={"is_machine": True, "beep": True},
    ),
    Row(
        name="detect_answering_machine-all",
        kwargs={
            "initial_timeout": 4.5,
            "end_silence_timeout": 1,
            "machine_voice_threshold": 1.25,
            "machine_words_threshold": 6,
            "detect_interruptions": True,
            "detect_message_end": False,
            "timeout": 30,
            "on_completed": print,
        },
        method="calling.detect",
        params={
            "detect": {
                "type": "machine",
                "params": {
                    "initial_timeout": 4.5,
                    "end_silence_timeout": 1,
                    "machine_voice_threshold": 1.25,
                    "machine_words_threshold": 6,
                    "detect_interruptions": True,
                    "detect_message_end": False,
                },
            },
            "timeout": 30,
        },
        kind="DetectAction",
        events=detected("machine", "UNKNOWN"),
        shows={"is_machine": False, "is_human": False},
    ),
    Row(
        name="detect_fax",
        kwargs={"tone": "CED", "timeout": 15, "on_completed": print},
        method="calling.detect",
        params={"detect": {"type": "fax", "params": {"tone": "CED"}}, "timeout": 15},
        kind="DetectAction",
        events=detected("fax", "CED"),
        shows={"is_fax": True, "tone": "CED"},
    ),
    Row(
        name="send_digits",
        args=("12w3W#*ABCD",),
        method="calling.send_digits",
        params={"digits": "12w3W#*ABCD"},
        kind="SendDigitsAction",
        events=(("calling.call.send_digits", {"state": "finished"}),),
        shows={"state": "finished"},
    ),
    full_row(
        "send_digits-all",
        method="calling.send_digits",
        passed={"digits": "1", "control_id": "N1"},
        kind="SendDigitsAction",
        events=(("calling.call.send_digits", {"state": "finished"}),),
    ),
    Row(
        name="bind_digit",
        args=("*1", "calling.play"),
        method="calling.bind_digit",
        params={"digits": "*1", "bind_method": "calling.play"},
    ),
    full_row(
        "bind_digit-all",
        method="calling.bind_digit",
        passed={
            "digits": "9",
            "bind_method": "calling.play",
            "realm": "menu",
            "max_triggers": 1,
        },
        given={"bind_params": {"play": [HELLO]}},
        sent={"params": {"play": [{"type": "tts", "params": {"text": "hello"}}]}},
    ),
    Row(name="clear_digit_bindings", method="calling.clear_digit_bindings"),
    full_row("clear_digit_bindings-realm", method="calling.clear_digit_bindings", passed={"realm": "menu"}),
]
