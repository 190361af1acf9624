"""Wherever Ctrl-C hits a wait for audio or for the simulator, the threads that bring things about go on.

``tests/threads/test_flag.py`` shows the same of the pieces that these are built of.
"""

from __future__ import annotations

import gc
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from relay_sync.audio import AudioServer
from relay_sync.audio.frames import FrameBuffer
from relay_sync.server import Loop, LoopStopped, WebSocketServer
from relay_sync.simulator import Simulator
from relay_sync.simulator.core.noticeboard import Noticeboard
from relay_sync.threads.lanes import Lanes
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.interrupts import interrupt, where_signals_are_seen

pytestmark = pytest.mark.usefixtures("collected")

Two = tuple[Callable[[], object], Callable[[], object]]


def frames_one_by_one() -> Two:
    buffer = FrameBuffer(10_000, sample_rate=8000)
    return lambda: buffer.take("inbound", 0.001), lambda: put(buffer)


def frames_by_the_second() -> Two:
    buffer = FrameBuffer(10_000, sample_rate=8000)
    return lambda: buffer.read("inbound", 2, 0.001), lambda: put(buffer)


def put(buffer: FrameBuffer) -> None:
    buffer.put("inbound", b"\0\0", 0.0, 1)
    buffer.end()


def a_noticeboard() -> Two:
    board, found = Noticeboard(), list[int]()

    def bring() -> None:
        found.append(1)
        board.changed()

    return lambda: board.wait_for(lambda: found or None, 0.001, "it"), bring


def the_end_of_lanes() -> Two:
    lanes = Lanes()
    return lambda: lanes.close(0.001), lambda: lanes.submit("key", lambda: None)


@pytest.mark.parametrize("make", [frames_one_by_one, frames_by_the_second, a_noticeboard, the_end_of_lanes])
def test_wherever_ctrl_c_hits_a_wait_the_other_thread_goes_on(make: Callable[[], Two]) -> None:
    step = 1
    while True:
        wait, arrive = make()
        if not interrupt(step, wait, where_signals_are_seen):
            break
        Background(arrive).result(PATIENCE)
        wait()  # what came is not lost
        step += 1
    assert step > 10


def test_wherever_ctrl_c_hits_one_who_gives_audio_back_no_other_reader_is_left_asleep() -> None:
    step, more = 1, True
    while more:
        buffer = FrameBuffer(10_000, sample_rate=8000)
        other = Background(buffer.read, "inbound", 100, None)
        while not buffer._sleepers:
            assert other.running
        buffer.put("inbound", bytes(20), 0.0, 1)
        more = interrupt(step, lambda: buffer.read("inbound", 10, None), where_signals_are_seen)  # noqa: B023
        buffer.end()
        assert len(other.result(PATIENCE)) <= 20, step
        step += 1
    assert step > 10


def test_ctrl_c_is_lost_nowhere_while_a_frame_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lost.append)
    step, more = 1, True
    while more:
        buffer = FrameBuffer(10_000, sample_rate=8000)
        buffer.put("inbound", b"\0\0", 0.0, 1)
        more = interrupt(step, lambda: buffer.take("inbound", None), where_signals_are_seen)  # noqa: B023
        assert not lost, step
        step += 1
    assert step > 10


def take_and_let_go(lock: Any) -> bool:
    """Whether somebody can have it; on the thread that took it, since most are re-entrant."""
    if not lock.acquire(True, PATIENCE):
        return False
    lock.release()
    return True


def test_wherever_ctrl_c_hits_accept_the_receiver_goes_on() -> None:
    with AudioServer() as audio:
        step = 1
        while interrupt(step, lambda: audio.accept(0.001), where_signals_are_seen):
            Background(audio._changed.ring).result(PATIENCE)
            for lock in (audio._lock, audio._starting):
                assert Background(take_and_let_go, lock).result(2 * PATIENCE)
            step += 1
        assert step > 10


#: Every third or ninth place is enough to hold each step; all of them are visited by the slow tests.
thirds, ninths = (
    pytest.mark.parametrize(
        "step", [1, *(pytest.param(first, marks=pytest.mark.slow) for first in range(2, 1 + stride))]
    )
    for stride in (3, 9)
)


@ninths
def test_wherever_ctrl_c_hits_close_it_can_be_closed_again(step: int, caplog: pytest.LogCaptureFixture) -> None:
    before, more = set(threading.enumerate()), True
    while more:
        audio = AudioServer().start()
        more = interrupt(step, lambda: audio.close(PATIENCE), where_signals_are_seen)  # noqa: B023
        Background(lambda: audio.close(PATIENCE)).result(2 * PATIENCE)  # noqa: B023
        assert set(threading.enumerate()) <= before, f"at place {step}"
        step += 9
    assert step > 50
    assert not caplog.messages


#: What the socket module had just made, and nobody has yet.
forgotten = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@forgotten
@ninths
@pytest.mark.parametrize("use", [AudioServer.start, lambda audio: audio.url, lambda audio: audio.accept(0.001)])
def test_wherever_ctrl_c_hits_the_start_the_receiver_can_be_used(
    use: Callable[[AudioServer], object], step: int, caplog: pytest.LogCaptureFixture
) -> None:
    def survives(step: int) -> bool:
        audio = AudioServer()
        more = interrupt(step, partial(use, audio), where_signals_are_seen)
        started = Background(audio.start).result(PATIENCE)
        with socket.create_connection(("127.0.0.1", started.port), PATIENCE):
            pass
        audio.close(PATIENCE)
        assert set(threading.enumerate()) <= before, f"at place {step}"
        return more

    gc.collect()
    before = set(threading.enumerate())
    while survives(step):
        # The server goes before the next is made: words of an error are looked through for the secrets of each that there is, so
        # that the way to be walked would grow faster than it is walked.
        gc.collect(1)
        step += 9
    assert step > 100
    assert not caplog.messages


@forgotten
@thirds
def test_wherever_ctrl_c_hits_the_start_of_a_simulator_nothing_is_left_of_it(
    step: int, caplog: pytest.LogCaptureFixture
) -> None:
    before = set(threading.enumerate())
    more = True
    while more:
        sim = Simulator()
        more = interrupt(step, sim.start, where_signals_are_seen)
        assert sim._closed or sim._server is None or not more
        sim.close()
        assert set(threading.enumerate()) <= before, f"at place {step}"
        step += 3
    assert step > 100
    assert not caplog.messages


@forgotten
@thirds
def test_wherever_ctrl_c_hits_a_server_that_begins_its_loop_can_close_it(
    step: int, caplog: pytest.LogCaptureFixture
) -> None:
    more = True
    while more:
        loop = Loop("relay-test-interrupted")
        loop.start()
        more = interrupt(step, partial(listening, loop), where_signals_are_seen)
        hosted, watched = loop.call(counted, loop, timeout=PATIENCE)
        loop.stop()
        assert watched == 1 + hosted
        step += 3
    assert step > 50
    assert not caplog.messages


def counted(loop: Loop) -> tuple[int, int]:
    """How many things it is to close, and how many sockets it looks at, its own included."""
    return len(loop._hosted), len(loop._selector.get_map())


def listening(loop: Loop) -> WebSocketServer:
    return WebSocketServer(loop, on_request=lambda _: None, on_open=lambda _: None)


def test_wherever_ctrl_c_hits_a_call_on_a_loop_the_loop_goes_on() -> None:
    loop = Loop("relay-test-interrupted")
    loop.start()
    step = 1
    while interrupt(step, lambda: loop.call(len, "abc", timeout=PATIENCE), where_signals_are_seen):
        assert Background(lambda: loop.call(len, "ab", timeout=PATIENCE)).result(2 * PATIENCE) == 2
        assert not loop._calls
        step += 1
    assert step > 10
    loop.stop()


def test_wherever_a_signal_handler_hits_a_call_on_a_loop_it_can_call_the_loop_as_well() -> None:
    loop, found = Loop("relay-test-interrupted"), list[int]()
    loop.start()

    def handler() -> None:
        found.append(loop.call(len, "ab", timeout=PATIENCE))

    step = 1
    while interrupt(step, lambda: loop.call(len, "abc", timeout=2 * PATIENCE), where_signals_are_seen, handler):
        assert found == [2] * step
        step += 1
    assert step > 10
    loop.stop()


def test_wherever_a_signal_handler_hits_a_call_on_a_loop_it_can_stop_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    step, more = 1, True
    while more:
        loop = Loop("relay-test-interrupted")
        loop.start()
        with suppress(LoopStopped):
            more = interrupt(step, partial(loop.call, len, "abc", timeout=PATIENCE), where_signals_are_seen, loop.stop)
        loop.stop()
        step += 1
    assert step > 10
    assert not caplog.messages
