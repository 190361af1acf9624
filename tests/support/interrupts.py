"""A signal, or another thread's work, at each instruction of a function in turn."""

from __future__ import annotations

import dis
import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from relay_sync import WaitTimeout
from tests.support.background import Background


def everywhere(before: str) -> bool:
    """A place before each instruction: more than there are, for code that has to be safe anywhere."""
    return True


def where_signals_are_seen(before: str) -> bool:
    """A place where the interpreter looks for signals: as a function begins, after a call, on the way back in a loop. ``with`` on
    a lock of the interpreter's own is none.
    """
    return before.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))


def ctrl_c() -> None:
    """What Python's own handler does."""
    raise KeyboardInterrupt


def interrupt(
    step: int,
    function: Callable[[], object],
    counts: Callable[[str], bool] = everywhere,
    handler: Callable[[], object] = ctrl_c,
) -> bool:
    """Run a function, and at its place number ``step`` call a signal handler.

    :param counts: whether a place is one, by the name of the instruction before it.
    :return: whether it came that far.
    """
    count = 0
    last: dict[FrameType, str] = {}

    def look(frame: FrameType) -> None:
        nonlocal count
        before, last[frame] = last.get(frame, "RESUME"), dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if counts(before):
            count += 1
            if count == step:
                handler()

    try:
        by_instructions(function, look)
    except (KeyboardInterrupt, WaitTimeout):
        pass
    return count >= step


def at_step(step: int, name: str, function: Callable[[], object], act: Callable[[], object]) -> bool:
    """Run a function, and have another thread act before its instruction number ``step``.

    :param name: of the function whose instructions count. :return: whether it came that far.
    """
    count = 0

    def look(frame: FrameType) -> None:
        nonlocal count
        if frame.f_code.co_qualname == name:
            count += 1
            if count == step:
                Background(act).result()

    by_instructions(function, look)
    return count >= step


def by_instructions(function: Callable[[], object], look: Callable[[FrameType], object]) -> None:
    """Run a function, and look at each frame before each of its instructions."""

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        frame.f_trace_opcodes = True
        if event == "opcode":
            look(frame)
        return trace

    outer, collects = sys.gettrace(), gc.isenabled()
    gc.disable()  # a collection calls back functions of other libraries, which are no instructions of this one
    sys._getframe().f_trace_opcodes = True  # 3.12 tells of no instructions at all if no frame wants them by now
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(outer)
        if collects:
            gc.enable()
