"""The receiver and the life of its process: exit without a goodbye, and forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import websocket

from relay_sync import Observer
from relay_sync.audio import AudioServer, read_wav
from relay_sync.audio.messages import MediaFormat, media_message, start_message, stop_message
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.forks import holds_in_child, raises_forked

_FORGETFUL = """
import sys
from relay_sync.audio import AudioServer
audio = AudioServer(record_to=sys.argv[1]).start()
print(audio.port, flush=True)
stream = audio.accept(20)
for number in range(10):
    stream.read_frame(20)
print("heard", flush=True)
"""


def _start() -> str:
    return start_message(
        stream_id="s", account_id="a", call_id="c", tracks=["inbound"], media_format=MediaFormat("audio/x-mulaw")
    )


def _media(number: int) -> str:
    return media_message(
        track="inbound", sequence=number + 2, chunk=number + 1, timestamp=20 * number, payload=bytes(160)
    )


def test_leaving_without_a_goodbye_loses_no_audio(tmp_path: Path) -> None:
    """The process ends while the stream goes on: what was heard is in the file."""
    command = [sys.executable, "-c", _FORGETFUL, str(tmp_path / "x.wav")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        peer = websocket.create_connection(f"ws://127.0.0.1:{int(program.stdout.readline())}/audio", timeout=PATIENCE)
        peer.send(_start())
        for number in range(10):
            peer.send(_media(number))
        assert program.stdout.readline() == "heard\n"
        assert peer.recv_data()[0] == 8
        assert program.wait(PATIENCE) == 0
        peer.shutdown()  # type: ignore[no-untyped-call]
    assert read_wav(tmp_path / "x.wav").samples == 1600


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_the_parents_streams_alone() -> None:
    with AudioServer() as audio:
        peer = websocket.create_connection(audio.url, timeout=PATIENCE)
        peer.send(_start())
        stream = audio.accept(PATIENCE)
        port = audio.port

        def child() -> bool:
            fine = raises_forked(audio.accept, audio.start, stream.wait, stream.read_frame, lambda: stream.read(1))
            fine = fine and raises_forked(lambda: stream.save(os.devnull))
            stream.close()
            audio.close()
            with AudioServer() as own:  # a child's own server is no trouble
                return fine and own.port != port and stream.end_reason is None

        holds_in_child(child)
        peer.send(_media(0))
        assert stream.read_frame(PATIENCE) is not None
        peer.send(stop_message(sequence=3))
        assert stream.wait(PATIENCE)
        assert stream.end_reason == "stopped"
        peer.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_may_observe_the_parents_server_though_a_thread_there_was_busy_with_it() -> None:
    held, entered = threading.Event(), threading.Event()
    with AudioServer() as audio:

        def hold() -> None:
            with audio._lock:
                entered.set()
                held.wait(PATIENCE)

        holding = Background(hold)
        assert entered.wait(PATIENCE)
        holds_in_child(lambda: callable(audio.observe(Observer())))
        held.set()
        holding.result()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_lives_on_does_not_hold_the_port() -> None:
    audio = AudioServer().start()
    port = audio.port
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        os.close(go[1])
        os.write(ready[1], b"x")
        os.read(go[0], 1)  # until the parent is through
        os._exit(0)
    try:
        assert os.read(ready[0], 1)
        audio.close()
        with AudioServer(port=port) as again:
            assert again.port == port
    finally:
        for handle in (*ready, *go):
            os.close(handle)
        os.waitpid(child, 0)
