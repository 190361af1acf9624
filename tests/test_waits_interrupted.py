"""Wherever Ctrl-C hits a wait for audio or for the simulator, the threads that bring things about go on.

``test_runtime_flag.py`` shows the same of the pieces that these are built of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from support import Background, interrupt, where_signals_are_seen

from relay_sync.audio import AudioServer
from relay_sync.audio.frames import FrameBuffer
from relay_sync.audio.waking import Waking
from relay_sync.runtime.lanes import Lanes
from relay_sync.server import Loop
from relay_sync.simulator.waiting import Noticeboard

pytestmark = pytest.mark.usefixtures("collected")

PATIENCE = 10.0
Two = tuple[Callable[[], object], Callable[[], object]]


def frames_one_by_one() -> Two:
    buffer = FrameBuffer(10_000, sample_rate=8000)
    return lambda: buffer.take("inbound", 0.001), lambda: put(buffer)


def frames_by_the_second() -> Two:
    buffer = FrameBuffer(10_000, sample_rate=8000)
    return lambda: buffer.take_bytes("inbound", 2, 0.001), lambda: put(buffer)


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


def test_wherever_ctrl_c_hits_accept_the_receiver_goes_on() -> None:
    with AudioServer() as audio:
        step = 1
        while interrupt(step, lambda: audio.accept(0.001), where_signals_are_seen):
            Background(audio._changed.ring).result(PATIENCE)
            assert Background(audio._lock.acquire, True, PATIENCE).result(PATIENCE + 1)
            audio._lock.release()
            step += 1
        assert step > 10


def test_wherever_ctrl_c_hits_one_who_wakes_the_next_none_is_left_asleep() -> None:
    step, more = 1, True
    while more:
        waking = Waking(Loop("test-waits"))  # it does not run: this thread does what the loop would do
        ears = [threading.Lock() for _ in range(6)]
        for ear in ears:
            ear.acquire()
            waking.add(ear)
        waking._begin()
        more = interrupt(step, waking.next, where_signals_are_seen)
        waking.rest(0)
        assert [number for number, ear in enumerate(ears) if ear.locked()] == [], f"at place {step}"
        step += 1
    assert step > 2
