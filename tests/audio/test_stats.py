"""What a receiver counts, over all of its streams and connections."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import websocket

from relay_sync.audio import AudioServer, AudioServerStats, AudioStream
from relay_sync.audio.gate import REFUSAL_KINDS
from relay_sync.audio.stats import Counts
from relay_sync.audio.totals import Totals
from tests.support import PATIENCE
from tests.support.background import Background, until
from tests.support.carrier import PAYLOADS, Carrier
from tests.support.forks import holds_in_child

Dial = Callable[..., Carrier]


def streamed(audio: AudioServer, carrier: Carrier, chunks: list[int]) -> AudioStream:
    """Send a stream of these frames, and return it when all of them were received."""
    carrier.start()
    stream = audio.accept(PATIENCE)
    for chunk in chunks:
        carrier.media(PAYLOADS[chunk], chunk=chunk)
    carrier.stop()
    assert stream.wait(PATIENCE)
    return stream


def test_the_counts_of_streams_are_summed_while_they_live_and_afterwards(audio: AudioServer, dial: Dial) -> None:
    assert audio.stats() == AudioServerStats()
    one = dial(audio).start(call_id="one")
    first = audio.accept(PATIENCE)
    one.speech()
    until(lambda: first.stats.frames == 50)
    assert (audio.stats().streams, audio.stats().frames) == (1, 50)
    two = dial(audio).start(call_id="two")
    second = audio.accept(PATIENCE)
    two.speech()
    until(lambda: second.stats.frames == 50)
    both = audio.stats()
    assert (both.connections, both.streams, both.streams_started, both.waiting) == (2, 2, 2, 0)
    assert (both.frames, both.bytes, both.gaps, both.dropped) == (100, 16000, 0, 0)
    one.stop()
    assert first.wait(PATIENCE)
    until(lambda: audio.stats().streams == 1)
    assert attrs.evolve(audio.stats(), turn=0.0) == attrs.evolve(both, turn=0.0, connections=1, streams=1)
    two.stop()
    assert second.wait(PATIENCE)
    until(lambda: audio.stats().connections == 0)
    assert (audio.stats().streams, audio.stats().frames) == (0, 100)


def test_gaps_that_late_frames_fill_stay_counted(audio: AudioServer, dial: Dial) -> None:
    stream = streamed(audio, dial(audio), [1, 2, 5, 3, 4, 4, 9])
    assert stream.stats.gaps == 1
    assert stream.stats.missing == pytest.approx(0.06)
    stats = audio.stats()
    assert stats.gaps == 2
    assert stats.missing == pytest.approx(0.1)
    assert (stats.late, stats.duplicates, stats.frames) == (2, 1, 6)


def test_bad_messages_count_even_before_a_stream_starts(audio: AudioServer, dial: Dial) -> None:
    carrier = dial(audio)
    carrier.ws.send("no JSON")
    carrier.ws.send("[]")
    until(lambda: audio.stats().bad_frames == 2)
    carrier.cut()
    until(lambda: not audio.stats().connections)
    stats = audio.stats()
    assert (stats.bad_frames, stats.streams_started, stats.streams) == (2, 0, 0)


def test_dropped_frames(dial: Dial) -> None:
    with AudioServer(buffer_seconds=0.2) as audio:
        streamed(audio, dial(audio), list(range(1, 41)))
        assert audio.stats().dropped == 30


def test_streams_wait_until_they_are_accepted(audio: AudioServer, dial: Dial) -> None:
    audio.start()
    audio._gate.tokenless = True
    dial(audio).start()
    until(lambda: audio.stats().waiting == 1)
    audio.accept(PATIENCE)
    assert audio.stats().waiting == 0


def test_refused_connections_count_by_kind(dial: Dial) -> None:
    with AudioServer(token="right", path="/audio") as audio:
        for path, token in (("/audio", None), ("/audio", "wrong"), ("/else", "right"), ("/else/twice", "right")):
            header = {} if token is None else {"Authorization": f"Bearer {token}"}
            with pytest.raises(websocket.WebSocketBadStatusException):
                websocket.create_connection(f"ws://127.0.0.1:{audio.port}{path}", timeout=PATIENCE, header=header)
        for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"PROXY TCP4 1 2 3 4\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as peer:
                peer.sendall(text)
                while peer.recv(1000):
                    pass
        assert audio.stats().refused == {"no_token": 1, "token": 1, "path": 2, "http": 1, "tls": 1, "proxy": 1}
        stream = streamed(audio, dial(audio, token="right"), [1])
        assert stream.stats.frames == 1
        assert sum(audio.stats().refused.values()) == 7
        assert "no_token" in str(audio.stats())


def test_accepted_connections_without_a_token_are_not_refused(audio: AudioServer, dial: Dial) -> None:
    streamed(audio, dial(audio), [1])
    assert audio.stats().refused == {}


def test_hostile_peers_add_no_kinds(audio: AudioServer) -> None:
    heads = [
        b"GET /%d HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
        b"GET /%d HTTP/9.9\r\n\r\n",
        b"POST /%d HTTP/1.1\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
        b"%d\r\n\r\n",
        b"GET /audio HTTP/1.1\r\nHost: x\r\nOrigin: https://n%d.example\r\nUpgrade: websocket\r\n\r\n",
        b"GET /audio HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Key: %d\r\n\r\n",
        b"GET /audio HTTP/1.1\r\nbad header %d\r\n\r\n",
    ]
    for number in range(70):
        with socket.create_connection(("127.0.0.1", audio.port), PATIENCE) as peer:
            peer.sendall(heads[number % len(heads)] % number)
            while peer.recv(1000):
                pass
    refused = audio.stats().refused
    assert sum(refused.values()) == 70
    assert len(refused) <= len(heads)
    assert "other" not in refused


def test_unknown_kinds_are_one_kind(audio: AudioServer) -> None:
    audio.start()
    for number in range(50):
        audio._gate.refused("peer", f"kind {number}", "why")
    assert audio.stats().refused == {"other": 50}


def test_names_of_kinds_are_words() -> None:
    names = {kind.replace(" ", "_").lower() for kind in REFUSAL_KINDS}
    assert len(names) == len(REFUSAL_KINDS)
    assert all(name.isidentifier() for name in names)


@pytest.mark.slow
def test_the_counters_of_a_closed_server_stay(dial: Dial) -> None:
    with AudioServer() as audio:
        streamed(audio, dial(audio), [1, 2, 3])
        dial(audio).start()
        audio.accept(PATIENCE)
    until(lambda: audio.stats().streams == 0)
    assert audio.stats() == AudioServerStats(streams_started=2, frames=3, bytes=480)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_counts_from_zero() -> None:
    audio = AudioServer()

    def counts() -> bool:
        with audio:
            carrier = Carrier(audio.url)
            streamed(audio, carrier, [1])
            carrier.ws.shutdown()  # type: ignore[no-untyped-call]
            return audio.stats().frames == 1

    holds_in_child(counts)
    assert audio.stats() == AudioServerStats()


class Given:
    """The part of a receiver that is summed."""

    def __init__(self) -> None:
        self.core = None
        self.counts = Counts()


def test_sums_never_decrease_while_streams_end() -> None:
    totals, over = Totals(), False

    def work() -> None:
        for _ in range(3000):
            receiver: Any = Given()
            totals.opened(receiver)
            receiver.counts.frames += 1
            receiver.counts.frames += 1
            totals.ended(receiver)
            totals.ended(receiver)  # has no effect

    def watch() -> bool:
        last = 0
        while not over:
            now = totals.summary().frames
            assert now >= last
            last = now
        return True

    watching = Background(watch)
    Background(work).result(60)
    over = True
    assert watching.result(60)
    assert totals.summary() == AudioServerStats(frames=6000)


def test_stats_print_as_a_table_and_can_be_pickled() -> None:
    stats = AudioServerStats(streams=2, frames=1000, gaps=1, missing=0.02, refused={"path": 3}, behind=True, turn=0.03)
    text = str(stats)
    assert "streams      2 live, 0 started, 0 waiting" in text
    assert "turn         30.0 ms (behind)" in text
    assert "gaps         1 (0.02 s missing)" in text
    assert "refused      3 path" in text
    assert stats._repr_html_().count("<tr>") == len(stats.rows)
    assert pickle.loads(pickle.dumps(stats)) == stats
