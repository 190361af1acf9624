"""Every case of ``data/media`` through a real socket: what carriers send, and what they should not send.

See ``data/media/README.md`` for the cases. The expectations in them come from what carriers document.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import random
import re
import socket
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
import websocket

from relay_sync.audio import AudioFrame, AudioServer, AudioStream, StreamStats, codec_for, read_wav
from relay_sync.audio.wav import interleave
from tests.support import DATA

PATIENCE = 20.0
FOLDER = DATA / "media"
CASES = [
    json.loads(line)
    for path in sorted(FOLDER.glob("*.jsonl"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
_SHORT = re.compile(r"@(?:([SB])?([0-9]+)|([ZA]))(?:x([0-9]+))?")


def _sound(text: str) -> bytes:
    """The payload that stands behind a short form."""
    text = text.removeprefix("raw:")
    if text.startswith("hex:"):
        return bytes.fromhex(text[4:])
    if "+" in text:
        return interleave([_sound(part) for part in text.split("+")])
    match = _SHORT.fullmatch(text)
    assert match is not None, text
    size = int(match[4] or 160)
    if match[3]:
        return ((b"\xff\x7f" if match[3] == "Z" else b"\xd5\x55\xd4\x54\xd7") * size)[:size]
    number = int(match[2])
    if match[1]:
        tone = [round(8000 * math.sin(n * number / 40 + 0.3)) for n in range(size // 2)]
        return struct.pack(f"{'<' if match[1] == 'S' else '>'}{size // 2}h", *tone) + b"\0" * (size % 2)
    return bytes((number * 37 + n * 3) % 256 for n in range(size))


def _encoded(text: str) -> str:
    if not text.startswith(("@", "hex:")):
        return text
    encoded = base64.b64encode(_sound(text.removesuffix("~"))).decode()
    return encoded.rstrip("=") if text.endswith("~") else encoded


def _message(item: dict[str, Any]) -> str:
    """A message as it is sent, its audio written out."""
    media = item.get("media")
    if isinstance(media, dict) and isinstance(media.get("payload"), str):
        item = {**item, "media": {**media, "payload": _encoded(media["payload"])}}
    return json.dumps(item, separators=(",", ":"))


def _text(item: dict[str, Any]) -> str:
    if "$repeat" in item:
        return str(item["$repeat"][0]) * int(item["$repeat"][1])
    if "$escaped" in item:
        what = item["what"]
        escaped = "\\/" if what == "/" else f"\\u{ord(what):04x}"
        return _message(item["$escaped"]).replace(what, escaped)
    if "$text" in item:
        inside = _message(item["message"]) if "message" in item else _encoded(item.get("audio", ""))
        return str(item["$text"]).replace("%s", inside)
    return _message(item)


def _frame(peer: websocket.WebSocket, data: bytes, opcode: int, final: bool = True) -> None:
    peer.send_frame(websocket.ABNF(int(final), 0, 0, 0, opcode, 1, data))


def _send(peer: websocket.WebSocket, item: dict[str, Any]) -> None:
    if "$binary" in item:
        peer.send_binary(_sound(item["$binary"]) if item["$binary"] else b"")
    elif "$as_binary" in item:
        peer.send_binary(_message(item["$as_binary"]).encode())
    elif "$bytes" in item:
        peer.send(bytes.fromhex(item["$bytes"]), opcode=1)
    elif "$fragments" in item:
        data, opcode, begin = _message(item["$fragments"]).encode(), 1, 0
        for end in item["at"]:
            _frame(peer, data[begin:end], opcode, False)
            _frame(peer, b"", 9)
            begin, opcode = end, 0
        _frame(peer, data[begin:], 0)
    elif "$close" in item:
        peer.send_close(int(item["$close"]), b"")
    elif "$reset" in item:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # type: ignore[union-attr]
    elif "$cut" not in item:
        peer.send(_text(item))


def _play(audio: AudioServer, case: dict[str, Any], header: dict[str, str] | None = None) -> None:
    """Send a case, and return when the receiver has closed its socket or the case's own end is sent."""
    offers = [case["offers"]] if "offers" in case else None
    peer = websocket.create_connection(audio.url, timeout=PATIENCE, header=header or {}, subprotocols=offers)
    try:
        for item in case["send"]:
            try:
                _send(peer, item)
            except OSError:
                break  # after a stop, or a breach of the protocol, it may be closed already
        if not {"$cut", "$reset"} & case["send"][-1].keys():
            while peer.recv_data()[0] != 8:  # pongs
                pass
    except (OSError, websocket.WebSocketException):
        pass
    finally:
        peer.shutdown()  # type: ignore[no-untyped-call]


def _expected_pcm(stream: AudioStream, sound: str) -> bytes:
    payload = _sound(sound)
    if sound.startswith(("raw:", "@S")):
        return payload
    return codec_for(stream.media_format.encoding, stream.media_format.sample_rate or None).decode(payload)


def _compare(case: dict[str, Any], stream: AudioStream, frames: list[AudioFrame], folder: Path) -> None:
    expect = case["expect"]
    assert stream.end_reason == expect["end"]
    wanted = [(track, _expected_pcm(stream, sound), at) for track, sound, at in expect["frames"]]
    if "frames_not_checked" not in expect:
        assert [(frame.track, frame.data, round(frame.timestamp, 6)) for frame in frames] == [
            (track, pcm, round(at, 6)) for track, pcm, at in wanted
        ]
        assert (stream.stats.frames, stream.stats.dropped) == (len(wanted), 0)
        untroubled = {"gaps": 0, "late": 0, "duplicates": 0, "bad_frames": 0, "missing": 0.0}
        for name, value in {**untroubled, **expect.get("stats", {})}.items():
            assert getattr(stream.stats, name) == pytest.approx(value), name
    for name in ("stream_id", "call_id", "account_id", "custom_parameters"):
        assert getattr(stream, name) == expect.get(name, getattr(stream, name)), name
    if "media_format" in expect:
        form = stream.media_format
        assert [form.encoding, form.sample_rate, form.channels] == expect["media_format"]
    assert list(stream.announced_tracks) == expect.get("tracks", list(stream.announced_tracks))
    assert [[key.digit, key.duration] for key in stream.dtmf] == expect.get("dtmf", [])
    assert list(stream.marks) == expect.get("marks", [])
    if "saved" in expect:
        _compare_file(expect, stream, wanted, folder)


def _compare_file(
    expect: dict[str, Any], stream: AudioStream, wanted: list[tuple[str, bytes, float]], folder: Path
) -> None:
    stream.save(folder / "x.wav")
    saved = read_wav(folder / "x.wav")
    assert [saved.channels, saved.samples] == expect["saved"]
    for track, pcm, _ in wanted:  # each good frame is in the file, on its own side
        if track in ("inbound", "outbound"):
            channel = 1 if saved.channels == 2 and track == "outbound" else 0
            assert pcm in saved.channel(channel)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_case(case: dict[str, Any], caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.DEBUG, "relay_sync"), AudioServer(**case.get("options", {})) as audio:
        _play(audio, case)
        if case["expect"]["end"] is not None:
            stream = audio.accept(PATIENCE)
            assert stream.wait(PATIENCE)
            _compare(case, stream, list(stream), tmp_path)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    for piece in case["expect"].get("warnings", []):
        assert [piece in line for line in lines].count(True) == 1, (piece, lines)
    assert len(lines) == len(case["expect"].get("warnings", [])), lines
    assert not audio._waiting  # the stream that is expected, and no other
    assert "tell-nobody" not in caplog.text


@pytest.mark.traced
def test_all_at_once_on_one_receiver(tmp_path: Path) -> None:
    """No stream is in another's way, however broken that one is."""
    cases = [case for case in CASES if not case.get("options") and case["expect"]["end"] is not None]
    got: dict[int, AudioStream] = {}
    with AudioServer() as audio:
        tokens = [audio._gate.expect(60.0) for _ in cases]  # they tell the sockets apart
        ready = threading.Semaphore(16)

        def play(number: int) -> None:
            with ready:
                _play(audio, cases[number], {"Authorization": f"Bearer {tokens[number][0]}"})

        threads = [threading.Thread(target=play, args=(number,)) for number in range(len(cases))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        for number, (_, expected) in enumerate(tokens):
            assert expected.stream is not None, cases[number]["name"]
            got[number] = expected.stream
            assert got[number].wait(PATIENCE)
    for number, stream in got.items():
        _compare(cases[number], stream, list(stream), tmp_path)


def _spoil(text: str, rng: random.Random) -> str:
    """A message with a few accidents."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(text))
        how = rng.randrange(5)
        if how == 0:
            text = text[:at] + text[at + rng.randint(1, 20) :]
        elif how == 1:
            text = text[:at] + rng.choice('{}[]",:\\\x00é0e-') + text[at:]
        elif how == 2:
            text = text[:at] + text[rng.randrange(len(text)) :]
        elif how == 3:
            text = re.sub(
                r'"[0-9]+"', lambda _: rng.choice(["null", "-1", "1e400", "[]", '"x"', "99999999999"]), text, count=1
            )
        else:
            text = text.replace('"media"', rng.choice(['"dtmf"', '"mark"', "null", '"start"', '"x"']), 1)
        text = text or " "
    return text.replace('"stop"', '"pots"')


@pytest.mark.parametrize("seed", range(8))
def test_no_accident_costs_a_good_frame(seed: int) -> None:
    """Between good frames come messages with accidents of all kinds; some of them are still audio, and the good ones are
    all there, in order."""
    rng = random.Random(seed)
    good = [(rng.randbytes(160), number) for number in range(400)]
    with AudioServer() as audio:
        peer = websocket.create_connection(audio.url, timeout=PATIENCE)
        try:
            peer.send(_message({"event": "start", "start": {"tracks": ["inbound"]}}))
            for payload, number in good:
                text = _message(
                    {
                        "event": "media",
                        "sequenceNumber": str(number + 2),
                        "media": {
                            "track": "inbound",
                            "chunk": str(number + 1),
                            "timestamp": str(20 * number),
                            "payload": base64.b64encode(payload).decode(),
                        },
                    }
                )
                if rng.random() < 0.5:
                    other = text.replace(
                        base64.b64encode(payload).decode(), base64.b64encode(rng.randbytes(160)).decode()
                    )
                    peer.send(_spoil(other, rng))
                peer.send(text)
            peer.send('{"event":"stop"}')
            stream = audio.accept(PATIENCE)
            assert stream.wait(PATIENCE)
        finally:
            peer.shutdown()  # type: ignore[no-untyped-call]
    assert stream.end_reason == "stopped"
    heard = [frame.pcm for frame in stream]
    wanted = [codec_for("PCMU").decode(payload) for payload, _ in good]
    places = iter(heard)
    assert all(pcm in places for pcm in wanted)  # each of them, in order


def test_the_corpus_is_large_and_says_what_it_is_for() -> None:
    assert len(CASES) >= 200
    assert {path.stem for path in FOLDER.glob("*.jsonl")} == {
        *("signalwire", "tolerance", "broken", "time", "wrong", "carriers"),
    }
    assert StreamStats().frames == 0
