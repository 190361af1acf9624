"""The receiver in the long run: hours, killed processes, readers that are slow. Each in real processes and sockets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import websocket

from relay_sync.audio import AudioServer, AudioStream, codec_for, read_wav, stream_recording
from relay_sync.audio.messages import MediaFormat, media_message, start_message, stop_message

PATIENCE = 60.0
PAYLOADS = [bytes((number * 7 + byte) % 256 for byte in range(160)) for number in range(100)]

_RECEIVER = """
import sys, threading
from relay_sync.audio import AudioServer
audio = AudioServer(record_to=sys.argv[1] + "/{call_id}.wav").start()
print(audio.port, flush=True)
threading.Event().wait()
"""


def _start(call_id: str = "call", tracks: tuple[str, ...] = ("inbound",)) -> str:
    return start_message(
        stream_id="s", account_id="a", call_id=call_id, tracks=tracks, media_format=MediaFormat("audio/x-mulaw")
    )


def _media(number: int, track: str = "inbound") -> str:
    return media_message(
        track=track,
        sequence=number + 2,
        chunk=number + 1,
        timestamp=20 * number,
        payload=PAYLOADS[number % len(PAYLOADS)],
    )


@contextmanager
def _peer(url: str) -> Iterator[websocket.WebSocket]:
    peer = websocket.create_connection(url, timeout=PATIENCE)
    try:
        yield peer
    finally:
        peer.shutdown()  # type: ignore[no-untyped-call]


def _frames_of(path: Path) -> int:
    with wave.open(str(path)) as file:
        frames: int = file.getnframes()
    return frames


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_killed_receiver_leaves_all_but_the_last_second(tmp_path: Path) -> None:
    """Two calls in real time, both tracks; the process gets SIGKILL in the middle. No exit handler runs, no file is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", _RECEIVER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as victim:
        assert victim.stdout is not None
        url = f"ws://127.0.0.1:{int(victim.stdout.readline())}/audio"
        with _peer(url) as one, _peer(url) as other:
            for name, peer in (("one", one), ("other", other)):
                peer.send(_start(name, ("inbound", "outbound")))
            began = time.monotonic()
            for number in range(150):  # 3 s
                time.sleep(max(0.0, began + number * 0.02 - time.monotonic()))
                for peer in (one, other):
                    for track in ("inbound", "outbound"):
                        peer.send(_media(number, track))
            victim.send_signal(signal.SIGKILL)
            victim.wait(PATIENCE)
    for name in ("one", "other"):
        path = tmp_path / f"{name}.wav"
        samples = _frames_of(path)  # the standard library reads it, so its sizes are right
        assert samples >= 2 * 8000
        saved = read_wav(path)
        assert saved.channels == 2
        expected = codec_for("PCMU").decode(b"".join(PAYLOADS))  # 2 s
        # In the last second, one track may have been written further than the other.
        assert saved.channel(0)[: len(expected)] == saved.channel(1)[: len(expected)] == expected


def _resident() -> int:
    """Bytes of memory that this process has."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux to see its memory")
def test_two_hours_at_flat_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hours of both tracks, as fast as they can be received, recorded, and read by somebody who keeps up."""
    monkeypatch.setattr(stream_recording, "_AHEAD", 2 * 3600.0)  # no call is so fast: its recording would stop
    seconds, batch = 2 * 3600, 500  # frames per batch: ten seconds
    heard = [0]

    def read(stream: AudioStream) -> None:
        for frame in stream:
            heard[0] += frame.samples

    with AudioServer(record_to=tmp_path / "{call_id}.wav", buffer_seconds=5) as audio, _peer(audio.url) as peer:
        peer.send(_start("long", ("inbound", "outbound")))
        stream = audio.accept(PATIENCE)
        reader = threading.Thread(target=read, args=(stream,))
        reader.start()
        sizes = []
        for begin in range(0, seconds * 50, batch):
            for number in range(begin, begin + batch):
                peer.send(_media(number))
                peer.send(_media(number, "outbound"))
            while stream.stats.frames < 2 * (begin + batch):
                time.sleep(0.001)
            if begin % (50 * 360) == 0:  # every six minutes of the call
                sizes.append(_resident())
        peer.send(stop_message(sequence=10**6))
        assert stream.wait(PATIENCE)
        reader.join(PATIENCE)
    stats = stream.stats
    assert (stats.frames, stats.gaps, stats.duplicates, stats.seconds) == (2 * seconds * 50, 0, 0, float(seconds))
    assert heard[0] + 160 * stats.dropped == 2 * seconds * 8000
    assert _frames_of(tmp_path / "long.wav") == seconds * 8000
    growth = max(sizes[2:]) - sizes[1]
    print(
        f"memory after 12 minutes {sizes[1] / 2**20:.1f} MiB, at most {growth / 2**20:+.2f} MiB until the second hour's end"
    )
    assert growth < 4 * 2**20


def test_a_slow_reader_hurts_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """One reader takes a frame and then sleeps for ever; the others, and the recording, get everything in time."""
    with AudioServer(buffer_seconds=0.5) as audio, _peer(audio.url) as slow, _peer(audio.url) as quick:
        slow.send(_start("slow"))
        sluggard = audio.accept(PATIENCE)
        quick.send(_start("quick"))
        brisk = audio.accept(PATIENCE)
        slow.send(_media(0))
        assert sluggard.read_frame(PATIENCE) is not None
        for number in range(1, 200):  # four seconds, of which half a second is kept
            slow.send(_media(number))
        for number in range(200):
            quick.send(_media(number))
            frame = brisk.read_frame(PATIENCE)
            assert frame is not None
            assert round(frame.timestamp * 50) == number
        slow.send(stop_message(sequence=500))
        assert sluggard.wait(PATIENCE)
        assert [round(frame.timestamp * 50) for frame in sluggard] == [*range(175, 200)]  # the newest
        assert (sluggard.stats.dropped, brisk.stats.dropped) == (174, 0)
        assert sluggard.stats.seconds == 4.0
    lines = [record.getMessage() for record in caplog.records if record.name == "relay_sync.audio"]
    assert len([line for line in lines if "the reader is more than 0.5 s behind" in line]) == 1


def test_nobody_is_reproached_for_not_reading_at_all(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever only records reads nothing."""
    with AudioServer(buffer_seconds=0.1) as audio, _peer(audio.url) as peer:
        peer.send(_start())
        for number in range(50):
            peer.send(_media(number))
        peer.send(stop_message(sequence=99))
        stream = audio.accept(PATIENCE)
        assert stream.wait(PATIENCE)
        assert stream.stats.dropped == 45
    assert not [record for record in caplog.records if record.name == "relay_sync.audio"]


def test_nobody_is_reproached_for_reading_one_of_two_tracks(caplog: pytest.LogCaptureFixture) -> None:
    with AudioServer(buffer_seconds=0.1) as audio, _peer(audio.url) as peer:
        peer.send(_start(tracks=("inbound", "outbound")))
        stream = audio.accept(PATIENCE)
        inbound = stream.tracks("inbound")
        for number in range(50):
            peer.send(_media(number))
            assert round(next(inbound).timestamp * 50) == number
            peer.send(_media(number, "outbound"))
        peer.send(stop_message(sequence=99))
        assert stream.wait(PATIENCE)
        assert stream.stats.dropped == 45
    assert not [record for record in caplog.records if record.name == "relay_sync.audio"]
