"""The receiver of media streams, measured from inside: CPU and context switches per frame, time in transit, memory per stream.

``python -m benchmarks.audio '{"receiver": "ours", "streams": 60, "speaking": 60, "seconds": 5}'`` starts the sender itself.
Each stream is read to its end, frame by frame, by a thread or a task of its own. With ``"calls": true``, function calls are
counted instead (:func:`calls_per_frame`).
"""

from __future__ import annotations

import inspect
import json
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

from .figures import percentile
from .processes import ROOT, worker
from .receivers import RECEIVERS, hints, missing
from .scenarios import memory
from .sender import SAMPLED

__all__ = ["calls_per_frame", "main", "measure"]


class Tally:
    """What arrived, and when."""

    def __init__(self) -> None:
        self.arrivals: dict[str, list[float]] = {}
        self.phases: dict[str, int] = {}
        self.frames: dict[str, int] = {}
        self.begun = threading.Semaphore(0)
        self.done = threading.Semaphore(0)

    def heard(self, stream: str, number: int) -> None:
        if number == -1:
            self.arrivals[stream] = []
            self.phases[stream] = int(stream) % SAMPLED
            self.frames[stream] = 0
            self.begun.release()
        elif number == -2:
            self.done.release()
        else:
            self.frames[stream] += 1
            if number % SAMPLED == self.phases[stream]:
                self.arrivals[stream].append(time.monotonic())

    @property
    def total(self) -> int:
        return sum(self.frames.values())


class Behind:
    """Looks ten times a second whether a receiver is behind."""

    def __init__(self, is_behind: Callable[[], bool]) -> None:
        self.ever = False
        self._is_behind = is_behind

    def watch(self, over: threading.Event) -> None:
        sys.setprofile(None)  # asking is not part of a frame's way, so Calls does not count it
        while not over.wait(0.1):
            self.ever = self.ever or self._is_behind()


class Calls:
    """Counts function calls in threads that are started after :meth:`install`, while ``active`` is true.

    Resuming a generator or a coroutine counts as a call.
    """

    def __init__(self) -> None:
        self.active = False
        # Appending is atomic, which adding to a counter is not.
        self._seen: list[tuple[str, CodeType, str]] = []

    def install(self) -> None:
        threading.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if self.active and event in ("call", "c_call"):
            self._seen.append((event, frame.f_code, getattr(argument, "__qualname__", "")))

    def figures(self) -> dict[str, Any]:
        """Return the calls per frame of ``python`` and ``c`` functions, and as ``top`` those of each function.

        :raises RuntimeError: no frame arrived while calls were counted.
        """
        counts = Counter(self._seen)
        frames = counts["call", Tally.heard.__code__, ""]
        if not frames:
            raise RuntimeError("no frame arrived while calls were counted")
        kinds = Counter(event for event, _, _ in self._seen)
        top = [
            (f"{callee} in {_place(code)}" if event == "c_call" else _place(code), count / frames)
            for (event, code, callee), count in counts.most_common()
            if count / frames >= 0.05
        ]
        return {"python": kinds["call"] / frames, "c": kinds["c_call"] / frames, "top": top}


def _place(code: CodeType) -> str:
    return f"{code.co_qualname} ({Path(code.co_filename).name})"


def _switches() -> tuple[int, int]:
    """Return the voluntary and the forced context switches of this process so far."""
    import resource  # not on Windows

    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nvcsw, usage.ru_nivcsw


def measure(
    receiver: str,
    *,
    streams: int,
    speaking: int,
    seconds: float,
    mode: str = "frames",
    settle: float = 1.0,
    calls: Calls | None = None,
    gate: int | None = None,
) -> dict[str, float]:
    """Measure a receiver with so many streams, of which some speak for so long in real time.

    Context switches, and calls if ``calls`` is given, are counted in the third quarter, when the streams run steadily.

    :param gate: local port at which the sender waits for a byte before it speaks.
    """
    tally = Tally()
    url, close, is_behind = RECEIVERS[receiver](tally.heard, mode)
    before = memory()
    told: dict[str, Any] = {}
    given: dict[str, Any] = {
        "url": url, "streams": streams, "speaking": speaking, "seconds": seconds, "settle": settle,
    }  # fmt: skip
    if gate is not None:
        given["gate"] = gate
    thread = threading.Thread(
        target=lambda: told.update(worker("sender", given, timeout=seconds * 4 + 120)), name="bench-sender", daemon=True
    )
    thread.start()
    for _ in range(streams):
        assert tally.begun.acquire(timeout=60)
    there = memory()
    behind, over = Behind(is_behind), threading.Event()
    watching = threading.Thread(target=behind.watch, args=(over,), name="bench-behind", daemon=True)
    watching.start()
    cpu, began = time.process_time(), time.monotonic()
    # In the middle of it: by then buffers have the size they stay at.
    time.sleep(settle + seconds / 2)
    middle = memory()
    steady, switches = tally.total, _switches()
    if calls is not None:
        calls.active = True
    time.sleep(seconds / 4)
    if calls is not None:
        calls.active = False
    steady = max(1, tally.total - steady)
    voluntary, forced = ((now - then) / steady for now, then in zip(_switches(), switches, strict=True))
    for _ in range(streams):
        assert tally.done.acquire(timeout=seconds * 4 + 60)
    spent, wall = time.process_time() - cpu, time.monotonic() - began
    late = memory()
    over.set()
    watching.join(60)
    thread.join(60)
    close()
    frames = tally.total
    transit = [
        there - sent
        for stream, times in told["sent"].items()
        for there, sent in zip(tally.arrivals.get(stream, ()), times, strict=False)
    ]
    return {
        "cpu": spent / max(1, frames) * 1e6,
        "share": spent / min(wall, told["wall"]),
        "p50": percentile(transit, 50) * 1e3,
        "p99": percentile(transit, 99) * 1e3,
        "voluntary": voluntary,
        "forced": forced,
        "lost": float(told["messages"] - frames),
        "behind": float(behind.ever),
        "sender": told["cpu"],
        "each": (there - before) / streams,
        "grown": (late - middle) / streams,
    }


def calls_per_frame(
    receiver: str, *, streams: int = 20, seconds: float = 4.0, root: Path = ROOT
) -> tuple[float, float, list[tuple[str, float]]]:
    """Count the function calls that a receiver makes per frame, in a process of its own.

    The count includes resumed generators and coroutines, and the benchmark's own call that notes the frame. It does not depend on
    the speed of the machine; on a busy machine it was up to one call higher.

    :param streams: number of streams, all of which speak.
    :param seconds: how long they speak. Calls are counted in the third quarter of that time. With less than three seconds,
        the count includes checks that relay_sync makes in the first second of a stream.
    :param root: the folder that has ``benchmarks`` and ``relay_sync``.
    :return: calls of Python functions and of C functions, both per frame, and those of each function, the most frequent first.
        A C function is listed for each Python function that calls it.
    :raises RuntimeError: the process failed, or no frame arrived.
    """
    given = {"receiver": receiver, "calls": True, "streams": streams, "speaking": streams, "seconds": seconds}
    found = worker("audio", given, root=root)
    return found["python"], found["c"], [(name, count) for name, count in found["top"]]


USAGE: Final = f"""\
usage: python -m benchmarks.audio '{{"receiver": NAME, "streams": N, "speaking": N, "seconds": S}}'
       NAME is {", ".join(RECEIVERS)}.
       Optional: "calls": true counts function calls, "mode": "pieces" reads half a second at a time.
"""


def main() -> None:
    """The receiver process."""
    logging.disable(logging.CRITICAL)
    try:
        given = json.loads(sys.argv[1])
        receiver = given.pop("receiver")
        inspect.signature(measure).bind(receiver, **given | {"calls": None})
    except (IndexError, KeyError, TypeError, AttributeError, ValueError) as error:
        sys.exit(f"{USAGE}\n{type(error).__name__}: {error}")
    if receiver not in RECEIVERS:
        sys.exit(f"{USAGE}\nthere is no receiver {receiver!r}")
    for hint in hints([receiver]):
        print(hint, file=sys.stderr)
    if missing(receiver):
        sys.exit(1)
    calls = None
    if given.pop("calls", False):
        calls = Calls()
        calls.install()
    figures: dict[str, Any] = measure(receiver, **given, calls=calls)
    if calls is not None:
        threading.setprofile(None)
        figures = calls.figures()
    print("figures " + json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
