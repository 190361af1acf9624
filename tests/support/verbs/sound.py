"""Rows of the table of verbs: answering and hanging up, streams, playing, recording, listening."""

from __future__ import annotations

from tests.support.verbs.row import HELLO, STATUS, Row, full_row

FINISHED_PLAY = (("calling.call.play", {"state": "playing"}), ("calling.call.play", {"state": "finished"}))
FINISHED_STREAM = (("calling.call.stream", {"state": "streaming"}), ("calling.call.stream", {"state": "finished"}))

CONTROL = [
    Row(name="answer", method="calling.answer"),
    full_row(
        "answer-all",
        method="calling.answer",
        passed={"max_duration": 60},
        given={"codecs": ["PCMU", "opus"]},
        sent={"codecs": ["PCMU", "OPUS"]},
    ),
    Row(name="hangup", method="calling.end", params={"reason": "hangup"}),
    Row(name="hangup-reason", kwargs={"reason": "busy"}, method="calling.end", params={"reason": "busy"}),
    Row(name="pass_", method="calling.pass"),
]

STREAM = [
    Row(
        name="stream",
        args=("wss://media.example.test/in",),
        method="calling.stream",
        params={"url": "wss://media.example.test/in"},
        kind="StreamAction",
        events=FINISHED_STREAM,
        shows={"state": "finished"},
    ),
    full_row(
        "stream-all",
        method="calling.stream",
        passed={
            "url": "wss://media.example.test/in",
            "name": "assist",
            "status_url": STATUS,
            "custom_parameters": {"ticket": "7781"},
            "control_id": "S1",
        },
        given={
            "codec": "opus@48000h",
            "track": "both",
            "status_url_method": "get",
            "authorization_bearer_token": "Bearer abc",
            "extra": {"brand_new": True},
        },
        sent={
            "codec": "OPUS@48000h",
            "track": "both_tracks",
            "status_url_method": "GET",
            "authorization_bearer_token": "abc",
            "brand_new": True,
        },
        kind="StreamAction",
        events=FINISHED_STREAM,
    ),
]

MEDIA = [
    Row(
        name="play",
        args=([HELLO],),
        method="calling.play",
        params={"play": [{"type": "tts", "params": {"text": "hello"}}]},
        kind="PlayAction",
        events=FINISHED_PLAY,
        shows={"state": "finished"},
    ),
    full_row(
        "play-all",
        method="calling.play",
        passed={
            "volume": -6.5,
            "direction": "both",
            "loop": 0,
            "language": "en-GB",
            "gender": "male",
            "voice": "en-GB-News-J",
            "status_url": STATUS,
            "control_id": "P1",
        },
        given={
            "media": [
                {"type": "audio", "params": {"url": "https://files.example.test/a.mp3"}},
                {"type": "silence", "params": {"duration": 0.5}},
                {"type": "ringtone", "params": {"name": "us", "duration": 3}},
                {"type": "hologram", "params": {"depth": 3}},
            ]
        },
        sent={
            "play": [
                {"type": "audio", "params": {"url": "https://files.example.test/a.mp3"}},
                {"type": "silence", "params": {"duration": 0.5}},
                {"type": "ringtone", "params": {"name": "us", "duration": 3}},
                {"type": "hologram", "params": {"depth": 3}},
            ]
        },
        kind="PlayAction",
        events=FINISHED_PLAY,
    ),
    Row(
        name="play_tts",
        args=("hello",),
        method="calling.play",
        params={"play": [{"type": "tts", "params": {"text": "hello"}}]},
        kind="PlayAction",
        events=FINISHED_PLAY,
    ),
    Row(
        name="play_tts-all",
        kwargs={
            "text": "hallo",
            "language": "de-DE",
            "gender": "female",
            "voice": "de-DE-Standard-A",
            "volume": 4,
            "on_completed": print,
        },
        method="calling.play",
        params={
            "play": [
                {
                    "type": "tts",
                    "params": {
                        "text": "hallo",
                        "language": "de-DE",
                        "gender": "female",
                        "voice": "de-DE-Standard-A",
                    },
                }
            ],
            "volume": 4,
        },
        kind="PlayAction",
        events=FINISHED_PLAY,
    ),
    Row(
        name="play_audio",
        kwargs={"url": "https://files.example.test/a.wav", "volume": 40, "on_completed": print},
        method="calling.play",
        params={"play": [{"type": "audio", "params": {"url": "https://files.example.test/a.wav"}}], "volume": 40},
        kind="PlayAction",
        events=FINISHED_PLAY,
    ),
    Row(
        name="play_silence",
        kwargs={"duration": 1.5, "on_completed": print},
        method="calling.play",
        params={"play": [{"type": "silence", "params": {"duration": 1.5}}]},
        kind="PlayAction",
        events=FINISHED_PLAY,
    ),
    Row(
        name="play_ringtone",
        kwargs={"name": "IT", "duration": 6, "volume": -40, "on_completed": print},
        method="calling.play",
        params={"play": [{"type": "ringtone", "params": {"name": "it", "duration": 6}}], "volume": -40},
        kind="PlayAction",
        events=FINISHED_PLAY,
    ),
    Row(
        name="record",
        method="calling.record",
        params={"record": {"audio": {}}},
        kind="RecordAction",
        events=(
            ("calling.call.record", {"state": "recording", "url": "https://files.example.test/1.mp3", "record": {}}),
            ("calling.call.record", {"state": "finished", "duration": 12.48, "size": 49920, "record": {}}),
        ),
        shows={"state": "finished", "url": "https://files.example.test/1.mp3", "duration": 12.48, "size": 49920},
    ),
    full_row(
        "record-all",
        method="calling.record",
        passed={"status_url": STATUS, "control_id": "R1"},
        given={
            "audio": {
                "beep": True,
                "format": "wav",
                "stereo": True,
                "direction": "both",
                "initial_timeout": 0,
                "end_silence_timeout": 2.5,
                "max_length": 60,
                "terminators": "#*",
                "input_sensitivity": 44,
                "brand_new": "yes",
            }
        },
        sent={
            "record": {
                "audio": {
                    "beep": True,
                    "format": "wav",
                    "stereo": True,
                    "direction": "both",
                    "initial_timeout": 0,
                    "end_silence_timeout": 2.5,
                    "max_length": 60,
                    "terminators": "#*",
                    "input_sensitivity": 44,
                    "brand_new": "yes",
                }
            }
        },
        kind="RecordAction",
        events=(("calling.call.record", {"state": "no_input", "record": {"audio": {"format": "wav"}}}),),
        shows={"state": "no_input", "url": "", "duration": 0.0, "size": 0},
    ),
]

RTP = {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000, "codec": "PCMU", "ptime": 20}}
TAPPED = {"type": "audio", "params": {"direction": "both"}}
LISTENING = [
    Row(
        name="tap",
        args=(TAPPED, RTP),
        method="calling.tap",
        params={
            "tap": {"type": "audio", "params": {"direction": "both"}},
            "device": {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000, "codec": "PCMU", "ptime": 20}},
        },
        kind="TapAction",
        events=(
            ("calling.call.tap", {"state": "tapping", "tap": TAPPED, "device": RTP}),
            ("calling.call.tap", {"state": "finished", "tap": TAPPED, "device": RTP}),
        ),
        shows={"state": "finished", "source_device": {}},
    ),
    full_row(
        "tap-all",
        method="calling.tap",
        passed={
            "tap": {"type": "audio", "params": {"direction": "speak"}},
            "device": {"type": "ws", "params": {"uri": "wss://media.example.test/tap", "codec": "OPUS"}},
            "status_url": STATUS,
            "control_id": "T1",
        },
        kind="TapAction",
        events=(("calling.call.tap", {"state": "finished"}),),
    ),
    Row(
        name="transcribe",
        method="calling.transcribe",
        kind="TranscribeAction",
        events=(
            ("calling.call.transcribe", {"state": "transcribing", "recording_id": "f20b"}),
            (
                "calling.call.transcribe",
                {
                    "state": "finished",
                    "recording_id": "f20b",
                    "url": "https://files.example.test/tr.mp3",
                    "duration": 31.0,
                    "size": 124000,
                },
            ),
        ),
        shows={
            "url": "https://files.example.test/tr.mp3",
            "recording_id": "f20b",
            "duration": 31.0,
            "size": 124000,
        },
    ),
    full_row(
        "transcribe-all",
        method="calling.transcribe",
        passed={"control_id": "X1", "status_url": STATUS},
        kind="TranscribeAction",
        events=(("calling.call.transcribe", {"state": "finished"}),),
    ),
    full_row(
        "live_transcribe",
        method="calling.live_transcribe",
        passed={"action": {"start": {"lang": "en-US", "direction": ["remote-caller"], "live_events": True}}},
    ),
    Row(name="live_transcribe-stop", args=("stop",), method="calling.live_transcribe", params={"action": "stop"}),
    full_row(
        "live_translate",
        method="calling.live_translate",
        passed={
            "action": {"start": {"from_lang": "en-US", "to_lang": "es-ES", "direction": ["local-caller"]}},
            "status_url": STATUS,
        },
    ),
    Row(name="echo", method="calling.echo"),
    full_row("echo-all", method="calling.echo", passed={"timeout": 120, "status_url": STATUS}),
    Row(name="denoise", method="calling.denoise"),
    Row(name="denoise_stop", method="calling.denoise.stop"),
]
