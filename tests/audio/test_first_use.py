"""An ``AudioServer`` starts when it is first used, whatever its first use is, and on the side of a fork where that is."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
import websocket

from relay_sync import Forked, InvalidParameter, StreamFailed
from relay_sync.audio import AudioServer
from relay_sync.audio.messages import MediaFormat, start_message
from relay_sync.testing import simulated
from tests.support import PATIENCE
from tests.support.forks import holds_in_child, needs_fork, quiet_fork


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


class NoCall:
    """A call whose stream or connection fails as soon as it is asked for."""

    state = "answered"

    def stream(self, **options: Any) -> Any:
        raise RuntimeError("no stream")

    def connect(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("no connection")

    def disconnect(self) -> None:
        raise RuntimeError("not connected")

    def on(self, event_type: str, handler: object) -> None:
        pass


def _accept(audio: AudioServer) -> None:
    with pytest.raises(TimeoutError):
        audio.accept(0)


def _listen(audio: AudioServer) -> None:
    with pytest.raises(RuntimeError, match="no stream"):
        audio.listen(NoCall())


def _connect(audio: AudioServer) -> None:
    with pytest.raises(RuntimeError, match="no connection"):
        audio.connect(NoCall())


def _port(audio: AudioServer) -> None:
    assert audio.port


def _url(audio: AudioServer) -> None:
    assert audio.url.startswith("ws://127.0.0.1:")


USES: dict[str, Callable[[AudioServer], object]] = {
    "listen": _listen,
    "connect": _connect,
    "device": lambda audio: audio.device(),
    "accept": _accept,
    "url": _url,
    "port": _port,
    "start": lambda audio: audio.start(),
    "with": lambda audio: audio.__enter__(),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("public", [True, False])
def test_its_first_use_starts_it(use: str, public: bool, free_port: int) -> None:
    audio = AudioServer(port=free_port, public_url=f"ws://127.0.0.1:{free_port}/audio" if public else None)
    try:
        repr(audio)
        assert not is_open(free_port)
        USES[use](audio)
        assert is_open(free_port)
    finally:
        audio.close()


def test_what_is_refused_before_anything_is_sent_starts_nothing(free_port: int) -> None:
    audio = AudioServer(port=free_port, public_url=f"ws://127.0.0.1:{free_port}/audio")
    with pytest.raises(InvalidParameter, match="timeout"):
        audio.listen(NoCall(), timeout="soon")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match="expires"):
        audio.device(expires=0)
    with pytest.raises(InvalidParameter, match="url"):
        audio.connect(NoCall(), url="wss://elsewhere.example.com")  # type: ignore[call-arg]
    assert not is_open(free_port)
    audio.close()


@pytest.mark.parametrize("use", ["listen", "connect", "device", "url", "accept"])
def test_a_port_that_is_taken_is_the_error_of_whoever_uses_it(use: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        audio = AudioServer(port=port, public_url=f"ws://127.0.0.1:{port}/audio")
        with pytest.raises(OSError, match="in use"):
            USES[use](audio) if use != "accept" else audio.accept(0)
    USES[use](audio)  # the port is free now: the failed attempt has left nothing behind
    audio.close()


@pytest.mark.parametrize("use", ["listen", "connect", "device", "url", "port", "start"])
def test_a_closed_one_says_so(use: str) -> None:
    audio = AudioServer(public_url="ws://127.0.0.1:9/audio")
    audio.close()
    with pytest.raises(StreamFailed, match="was closed"):
        USES[use](audio)


def test_a_handler_hears_through_a_server_that_nobody_started(free_port: int) -> None:
    audio = AudioServer(port=free_port, public_url=f"ws://127.0.0.1:{free_port}/audio")
    heard = threading.Event()
    with simulated() as (sim, client):

        @client.on_call
        def handle(call: Any) -> None:
            call.answer()
            with audio.listen(call):
                heard.set()
            call.hangup()

        sim.call(to="+15550100", from_="+15550199", hangs_up_after=5).wait_until("ended", PATIENCE)
    audio.close()
    assert heard.is_set()


# -- forks -------------------------------------------------------------------------------------------------------------


def _hears(audio: AudioServer) -> bool:
    """Whether a stream that is sent to it arrives."""
    peer = websocket.create_connection(audio.url, timeout=PATIENCE)
    message = start_message(
        stream_id="s", account_id="a", call_id="c", tracks=["inbound"], media_format=MediaFormat("audio/x-mulaw")
    )
    peer.send(message)
    try:
        return audio.accept(PATIENCE).call_id == "c"
    finally:
        peer.shutdown()  # type: ignore[no-untyped-call]


@needs_fork
@quiet_fork
@pytest.mark.parametrize("use", ["listen", "device", "accept", "url", "start"])
def test_one_that_was_made_before_a_fork_starts_in_the_child(use: str, free_port: int) -> None:
    audio = AudioServer(port=free_port, public_url=f"ws://127.0.0.1:{free_port}/audio")

    def child() -> bool:
        USES[use](audio)
        fine = _hears(audio)
        audio.close()
        return fine

    holds_in_child(child)
    holds_in_child(child)  # the next worker, say
    assert not is_open(free_port)
    USES[use](audio)
    assert _hears(audio)
    audio.close()


@needs_fork
@quiet_fork
def test_one_that_was_made_before_two_forks_starts_in_the_grandchild_and_none_that_started_in_between() -> None:
    idle, used = AudioServer(), AudioServer()

    def grandchild() -> bool:
        with pytest.raises(Forked):
            used.start()
        with idle:
            return _hears(idle)

    def child() -> bool:
        with used:
            holds_in_child(grandchild)
            return _hears(used)

    holds_in_child(child)
    with used, idle:
        assert _hears(used)
        assert _hears(idle)


@needs_fork
@quiet_fork
@pytest.mark.parametrize("use", ["listen", "connect", "device", "accept", "url", "port", "start"])
def test_one_that_was_started_before_a_fork_says_so_in_the_child(use: str) -> None:
    with AudioServer(public_url="ws://127.0.0.1:9/audio") as audio:

        def child() -> bool:
            with pytest.raises(Forked, match="before the fork"):
                audio.accept(0) if use == "accept" else USES[use](audio)
            return True

        holds_in_child(child)


# -- close() while it starts -------------------------------------------------------------------------------------------


def test_closing_does_not_wait_for_a_start_that_hangs(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    looked_up, go = threading.Event(), threading.Event()
    found: list[object] = []
    audio = AudioServer("audio.example.com", free_port)

    def slow_look_up(*args: Any, **options: Any) -> Any:
        looked_up.set()
        assert go.wait(PATIENCE)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0))]

    def use() -> None:
        with pytest.raises(StreamFailed, match="was closed") as caught:
            audio.accept(PATIENCE)
        found.append(caught.value)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", slow_look_up)
        user = threading.Thread(target=use)
        user.start()
        assert looked_up.wait(PATIENCE)
        closer = threading.Thread(target=audio.close)
        closer.start()
        closer.join(PATIENCE)
        ended = not closer.is_alive()
        go.set()
        user.join(PATIENCE)
    assert ended
    assert found
    assert not is_open(free_port)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs SIGUSR1")
@pytest.mark.parametrize("within", ["socketpair", "create_server"])
def test_a_signal_handler_may_close_what_its_thread_just_starts(within: str, monkeypatch: pytest.MonkeyPatch) -> None:
    audio = AudioServer()
    original = getattr(socket, within)
    told: list[str] = []

    def interrupted(*args: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGUSR1)
        return original(*args, **options)

    def handle(*_: object) -> None:
        monkeypatch.undo()
        with pytest.raises(StreamFailed, match="still starting") as caught:
            print(audio.url)
        told.append(str(caught.value))
        audio.close(1.0)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        monkeypatch.setattr(socket, within, interrupted)
        with pytest.raises(StreamFailed, match="was closed"):
            audio.start()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert told
    assert not [thread for thread in threading.enumerate() if thread.name == audio._name]


@needs_fork
@quiet_fork
def test_a_lock_that_was_held_at_the_fork_is_free_in_the_child() -> None:
    audio = AudioServer()
    with audio._starting, audio._lock:  # another thread is just about to look at it
        holds_in_child(lambda: audio.start() is audio)
    audio.close()


@needs_fork
@quiet_fork
def test_one_whose_start_has_failed_starts_in_the_child() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        audio = AudioServer(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            audio.start()
    holds_in_child(lambda: _hears(audio))
