"""Observers of an audio server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import Call, InvalidParameter, Observer, RelayClient
from relay_sync.audio import AudioServer, AudioStream
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.lines import FROM, TO

MakeClient = Callable[..., RelayClient]


class Streams(Observer):
    """Writes down what becomes of streams."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

    def stream_started(self, stream: AudioStream) -> None:
        self.told.put(("started", stream.call_id, threading.current_thread().name))

    def stream_ended(self, stream: AudioStream) -> None:
        self.told.put(("ended", stream.call_id, stream.end_reason))

    def callback_raised(self, where: str, error: BaseException) -> None:
        self.told.put((where, error))

    def take(self) -> tuple[Any, ...]:
        return self.told.get(timeout=PATIENCE)


def test_streams_are_told_of(sim: Simulator, client: MakeClient) -> None:
    streams, made = Streams(), client()
    with AudioServer() as audio:
        remove = audio.observe(streams)

        @made.on_call
        def handle(call: Call) -> None:
            call.answer()
            audio.listen(call).close()
            call.hangup()

        made.connect()
        phone = sim.call(to=TO, from_=FROM)
        assert streams.take() == ("started", phone.call_id, "relay-observers")
        assert streams.take()[:2] == ("ended", phone.call_id)
        remove()
        remove()
        phone.wait_until("ended", PATIENCE)
        second = sim.call(to=TO, from_=FROM)
        second.wait_until("ended", PATIENCE)
    assert streams.told.empty()


def test_what_a_handler_of_streams_raises_is_told_and_closing_waits_for_that(
    sim: Simulator, client: MakeClient
) -> None:
    error, streams, made = ValueError("mine"), Streams(), client()

    def fail(stream: AudioStream) -> None:
        raise error

    with AudioServer(on_stream=fail) as audio:
        audio.observe(streams)

        @made.on_call
        def handle(call: Call) -> None:
            call.answer()
            call.stream(audio.url)

        made.connect()
        phone = sim.call(to=TO, from_=FROM)
        started = streams.take()
    assert started[:2] == ("started", phone.call_id)
    told = {streams.told.get_nowait()[0] for _ in range(2)}
    assert told == {f"the on_stream handler of call {phone.call_id}", "ended"}
    phone.hang_up()
    phone.wait_until("ended", PATIENCE)


def test_only_an_observer_observes_audio() -> None:
    server = AudioServer()
    with pytest.raises(InvalidParameter, match="observer"):
        server.observe(RelayClient)  # type: ignore[arg-type]
