"""Wherever Ctrl-C hits a wait for audio or for the simulator, the threads that bring things about go on.

``test_runtime_flag.py`` shows the same of the pieces that these are built of.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from support import Background

from relay_sync import WaitTimeout
from relay_sync.audio import AudioServer
from relay_sync.audio.frames import FrameBuffer
from relay_sync.runtime.lanes import Lanes
from relay_sync.simulator.waiting import Noticeboard

PATIENCE = 10.0
Two = tuple[Callable[[], object], Callable[[], object]]


def interrupt(step: int, function: Callable[[], object]) -> bool:
    """Run a function, and raise KeyboardInterrupt at the place number ``step`` where the interpreter looks for signals: as
    a function begins, after a call, on the way back in a loop. ``with`` on a lock of the interpreter's own is none.

    :return: whether it came that far.
    """
    count = 0
    last: dict[FrameType, str] = {}

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        if event == "opcode":
            before, last[frame] = last.get(frame, "RESUME"), dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(("CALL", "RESUME", "JUMP_BACKWARD")):
                count += 1
                if count == step:
                    raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # 3.12 tells of no instructions at all if no frame wants them by now
    sys.settrace(trace)
    try:
        function()
    except (KeyboardInterrupt, WaitTimeout):
        pass
    finally:
        sys.settrace(before)
    return count >= step


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
        if not interrupt(step, wait):
            break
        Background(arrive).result(PATIENCE)
        wait()  # what came is not lost
        step += 1
    assert step > 10


def test_wherever_ctrl_c_hits_accept_the_receiver_goes_on() -> None:
    with AudioServer() as audio:
        step = 1
        while interrupt(step, lambda: audio.accept(0.001)):
            Background(audio._changed.ring).result(PATIENCE)
            assert Background(audio._lock.acquire, True, PATIENCE).result(PATIENCE + 1)
            audio._lock.release()
            step += 1
        assert step > 10
