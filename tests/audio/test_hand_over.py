"""What a two-way stream believes of the far side, and what Ctrl-C and the disk cannot break on the way between threads."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay_sync import StreamsTaken, WaitTimeout
from relay_sync.audio import AudioServer, AudioStream, PlaybackResult, read_wav, recorder, speaker, stream_recording
from relay_sync.audio.recorder import Recorder
from relay_sync.server.connection import Connection
from relay_sync.threads import item_log as inbox
from relay_sync.threads.item_log import ItemLog
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.interrupts import interrupt, where_signals_are_seen
from tests.support.tones import tone
from tests.support.two_way_carrier import TwoWayCarrier


@contextmanager
def returning() -> Iterator[AudioStream]:
    """A two-way stream whose far side plays everything at once, and returns each mark."""
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:

        def run() -> None:
            try:
                while True:
                    message = peer.next()
                    if message["event"] == "mark":
                        peer.echo(message["mark"]["name"])
            except Exception:
                pass  # the stream is over

        thread = threading.Thread(target=run)
        thread.start()
        yield peer.stream
        peer.stream.close()
        peer.ws.shutdown()  # type: ignore[no-untyped-call]
        thread.join(PATIENCE)
        assert not thread.is_alive()


# -- how much was heard ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paced", [True, False])
def test_a_pause_of_the_source_is_not_heard(paced: bool) -> None:
    going_on = threading.Event()

    def speech() -> Iterator[bytes]:
        yield tone(800)
        going_on.wait(0.3)  # longer than what was said
        for _ in range(20):
            yield tone(800)

    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        began = time.monotonic()
        playback = peer.stream.play(speech(), wait=False, paced=paced)
        said = 0
        while said < 960:
            message = peer.next()
            if message["event"] == "media":
                said += len(base64.b64decode(message["media"]["payload"]))
        paused = time.monotonic() - began - 0.1
        assert playback.seconds < 0.25
        peer.stream.clear()
        heard = playback.wait(PATIENCE)
        assert paused > 0.15
        assert 0.1 <= heard.seconds < time.monotonic() - began - 0.15
        assert not heard.estimated


def test_unpaced_audio_that_is_only_being_made_has_marks_of_its_own() -> None:
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        came = threading.Event()

        def speech() -> Iterator[bytes]:
            yield tone(4000)
            came.wait(PATIENCE)

        playback = peer.stream.play(speech(), wait=False, paced=False)
        assert peer.next()["event"] == "media"
        peer.echo(peer.next()["mark"]["name"])
        came.set()
        peer.echo(peer.next()["mark"]["name"])
        assert playback.wait(PATIENCE) == PlaybackResult(samples=4000, sample_rate=8000, ended_by="played")


def test_marks_that_do_not_come_back_are_told_of_once_and_the_clock_ends_the_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(speaker, "OVERDUE", 0.05)
    monkeypatch.setattr(speaker, "OVERDUE_AGAIN", 0.02)
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        reckoned = PlaybackResult(samples=800, sample_rate=8000, ended_by="played", estimated=True)
        began = time.monotonic()
        assert peer.stream.play(tone(800), timeout=PATIENCE) == reckoned
        assert time.monotonic() - began >= 0.15
        assert peer.stream.play([tone(400), tone(400)], paced=False, timeout=PATIENCE) == reckoned
        assert peer.stream.wait_for_mark(peer.stream.mark(), PATIENCE)
        assert caplog.text.count("no mark has returned") == 1
        playback = peer.stream.play(tone(8000), wait=False, paced=False)
        peer.stream.clear()
        assert playback.wait(PATIENCE).estimated  # no more is known of this one
        monkeypatch.setattr(speaker, "OVERDUE", PATIENCE)
        peer.echo("a mark, after all")
        assert peer.stream.read_mark(PATIENCE)
        heard = Background(lambda: peer.stream.play(tone(160)))
        while (message := peer.next())["event"] != "clear":
            pass
        while (message := peer.next())["event"] != "mark":
            pass
        peer.echo(message["mark"]["name"])
        assert heard.result(PATIENCE) == PlaybackResult(samples=160, sample_rate=8000, ended_by="played")


def test_marks_that_were_cleared_hold_up_no_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """They were due long after that; where they do not come back, what is played then is not waited for as long."""
    monkeypatch.setattr(speaker, "OVERDUE", 0.05)
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        playback = peer.stream.play(tone(80_000), wait=False, paced=False)
        while (message := peer.next())["event"] != "mark":
            pass
        peer.echo(message["mark"]["name"])
        peer.stream.play(tone(160), wait=False)
        named = peer.stream.mark()
        peer.stream.clear()
        assert playback.wait(PATIENCE).ended_by == "cleared"
        assert not peer.stream.wait_for_mark(named, PATIENCE)
        heard = peer.stream.play(tone(160), timeout=PATIENCE / 4)
        assert heard == PlaybackResult(samples=160, sample_rate=8000, ended_by="played", estimated=True)


def test_marks_that_come_back_late_one_after_the_other_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "OVERDUE", 0.2)
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        playing = Background(lambda: peer.stream.play(tone(16), timeout=PATIENCE))
        began = time.monotonic()
        while time.monotonic() < began + 0.3:
            peer.echo("another")
            peer.stream.read_mark(PATIENCE)
            assert playing.running
        while (message := peer.next())["event"] != "mark":
            pass
        peer.echo(message["mark"]["name"])
        assert not playing.result(PATIENCE).estimated


def test_marks_of_our_own_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "MOST_MARKS", 4)
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        peer.stream.play(tone(44_000), paced=False, wait=False)
        events = [peer.next()["event"] for _ in range(11 + 4 + 1)]
        assert events.count("media") == 11  # half a second each
        assert events[-2:] == ["media", "mark"]  # that of the end always comes


# -- what comes now and then -----------------------------------------------------------------------------------------------


def test_after_thousands_the_next_one_is_still_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    box = ItemLog[int]("mark")
    for number in range(10_000):
        box.put(number)
    assert box.all == tuple(range(10_000 - inbox._KEPT, 10_000))
    assert [box.take(0) for _ in range(10_000)] == list(range(10_000))
    with pytest.raises(WaitTimeout):
        box.take(0)
    for number in range(inbox._UNREAD + 3):
        box.put(number)
    assert box.take(0) == 3  # what nobody takes costs no memory without end


def test_after_thousands_marks_are_still_read_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "MOST_MARKS", 8)
    with returning() as stream:
        for number in range(20):
            name = stream.mark(f"mark {number}")
            assert stream.wait_for_mark(name, PATIENCE)
            assert stream.read_mark(PATIENCE) == name


# -- accept() and on_stream ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("take", [lambda audio: audio.accept(PATIENCE), lambda audio: next(iter(audio))])
def test_accept_beside_on_stream_is_refused(take: Callable[[AudioServer], object]) -> None:
    came = threading.Event()

    def on_stream(stream: AudioStream) -> None:
        came.set()

    with AudioServer(on_stream=on_stream) as audio:
        with pytest.raises(StreamsTaken, match=r"accept\(\) is not available with on_stream"):
            take(audio)
        peer = TwoWayCarrier(audio, accept=False)
        assert came.wait(PATIENCE)
        with pytest.raises(StreamsTaken, match="use one or the other"):
            take(audio)
        peer.ws.close()


# -- a disk that catches up in the last moment -----------------------------------------------------------------------------


def test_a_socket_is_not_paused_for_a_disk_that_has_caught_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The disk writes, and has the socket resumed, between "it is full" and the pause for it."""
    monkeypatch.setattr(recorder, "FULL", 4000)
    monkeypatch.setattr("relay_sync.audio.disk.INTERVAL", 0.01)
    standing, written = threading.Event(), threading.Event()
    write, flush, pause = Recorder._write, Recorder.flush, Connection.pause_reading

    def write_when_allowed(self: Recorder, *args: object) -> None:
        standing.wait(PATIENCE)
        write(self, *args)  # type: ignore[arg-type]

    def flush_and_tell(self: Recorder) -> None:
        flush(self)
        if standing.is_set():
            written.set()

    def pause_late(self: Connection) -> None:
        written.clear()
        standing.set()
        assert written.wait(PATIENCE)
        pause(self)

    monkeypatch.setattr(Recorder, "_write", write_when_allowed)
    monkeypatch.setattr(Recorder, "flush", flush_and_tell)
    monkeypatch.setattr(Connection, "pause_reading", pause_late)
    with AudioServer(record_to=tmp_path / "{call_id}.wav", l16_byteorder="little") as audio:
        peer = TwoWayCarrier(audio, encoding="audio/x-L16")
        payload = base64.b64encode(tone(2400)).decode()
        for number in range(40):
            media = {"track": "inbound", "chunk": str(number + 1), "timestamp": str(300 * number), "payload": payload}
            peer.ws.send(json.dumps({"event": "media", "sequenceNumber": str(number + 2), "media": media}))
        peer.send({"event": "stop", "sequenceNumber": "99"})
        assert peer.stream.wait(PATIENCE)
        assert peer.stream.stats.frames == 40
        peer.ws.close()


def test_audio_that_is_faster_than_any_call_is_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stream_recording, "_AHEAD", 20.0)
    with AudioServer() as audio:
        peer = TwoWayCarrier(audio, encoding="audio/x-L16")
        payload = base64.b64encode(bytes(160_000)).decode()  # ten seconds
        for number in range(6):
            media = {"track": "inbound", "chunk": str(number + 1), "timestamp": f"{number}0000", "payload": payload}
            peer.ws.send(json.dumps({"event": "media", "sequenceNumber": str(number + 2), "media": media}))
        peer.send({"event": "stop", "sequenceNumber": "99"})
        assert peer.stream.wait(PATIENCE)
        assert peer.stream.stats.frames == 6
        with pytest.raises(OSError, match="more audio than the elapsed time"):
            peer.stream.save(tmp_path / "kept.wav")
        assert 20 <= read_wav(tmp_path / "kept.wav").duration <= 31
        assert caplog.text.count("recording stopped") == 1
        peer.ws.close()


# -- Ctrl-C ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda stream: stream.play([tone(8), tone(8)], timeout=PATIENCE),
        lambda stream: stream.play(iter([tone(8)]), wait=False),
        lambda stream: stream.play(tone(8), wait=False),
        lambda stream: stream.mark(),
        lambda stream: stream.send_dtmf("1"),
        lambda stream: stream.clear(),
    ],
    ids=["iterable", "background", "bytes", "mark", "keys", "clear"],
)
@pytest.mark.parametrize("step", [1, *(pytest.param(first, marks=pytest.mark.slow) for first in range(2, 16))])
def test_wherever_ctrl_c_hits_who_speaks_what_is_said_next_is_heard(
    act: Callable[[AudioStream], object], step: int
) -> None:
    with returning() as stream:
        while interrupt(step, lambda: act(stream), where_signals_are_seen):
            heard = Background(lambda: stream.play(tone(8), timeout=PATIENCE)).result(2 * PATIENCE)
            assert heard.complete, f"at place {step}"
            step += 15
    assert step > 20


def test_wherever_ctrl_c_hits_who_sends_what_others_send_is_sent() -> None:
    with AudioServer(two_way=True) as audio, TwoWayCarrier(audio) as peer:
        found = peer.stream._core.speaker
        assert found is not None
        connection, step = found._connection, 1
        while interrupt(step, lambda: connection.send("of who was interrupted"), where_signals_are_seen):
            Background(lambda: connection.send(f"{step}")).result(PATIENCE)  # noqa: B023
            while (text := peer.ws.recv()) != f"{step}":
                assert text == "of who was interrupted"
            step += 1
        assert step > 5
