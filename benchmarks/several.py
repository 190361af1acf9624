"""From one receiver to two: whether processes side by side disturb each other.

``python -m benchmarks.several '{}'`` first looks for the number of streams with which one receiver falls behind. Then it measures
one receiver with 60 % of them and two receivers with 60 % each, in turns, and at last the number with which two fall behind.
"""

from __future__ import annotations

import inspect
import json
import os
import socket
import statistics
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from .processes import worker

__all__ = ["falls_behind", "limit", "main", "measure"]

#: Milliseconds. A receiver whose 99th percentile takes longer counts as behind, even if its loop keeps up.
LATE: Final = 50.0
#: Seconds to open all streams of a trial.
PATIENCE: Final = 120.0

Figures = dict[str, float]


def falls_behind(found: Figures) -> bool:
    """Whether a receiver had too many streams."""
    return found["behind"] > 0 or found["lost"] > 0 or found["p99"] > LATE


def limit(behind: Callable[[int], bool], first: int, most: int, halvings: int = 2) -> int:
    """Return the smallest number of streams found to be too many, or ``most`` if that is not too many.

    :param behind: tries a number of streams.
    :param first: the number to try first. Each further one is half as large again, until one is too many.
    :param halvings: how often the interval between the last good number and the first bad one is halved.
    """
    good, count = 0, min(first, most)
    while not behind(count):
        if count >= most:
            return most
        good, count = count, min(most, count + max(1, count // 2))
    bad = count
    for _ in range(halvings):
        middle = (good + bad) // 2
        if middle in (good, bad):
            break
        if behind(middle):
            bad = middle
        else:
            good = middle
    return bad


def side_by_side(processes: int, streams: int, seconds: float, settle: float) -> list[Figures]:
    """Measure receivers at the same time, each with a sender of its own. The senders begin together."""
    with socket.create_server(("127.0.0.1", 0)) as gate, ThreadPoolExecutor(processes) as pool:
        gate.settimeout(PATIENCE)
        given: dict[str, Any] = {
            "receiver": "ours",
            "streams": streams,
            "speaking": streams,
            "seconds": seconds,
            "settle": settle,
            "gate": gate.getsockname()[1],
        }
        opening = threading.Thread(target=_open, args=(gate, processes), name="bench-gate", daemon=True)
        opening.start()
        found = list(pool.map(lambda _: worker("audio", given), range(processes)))
        opening.join(PATIENCE)
    return found


def _open(gate: socket.socket, senders: int) -> None:
    """Let the senders go once all of them have opened their streams."""
    waiting: list[socket.socket] = []
    try:
        while len(waiting) < senders:
            waiting.append(gate.accept()[0])
        for one in waiting:
            one.sendall(b"\n")
    except OSError:  # one of them failed, which its worker reports
        pass
    finally:
        for one in waiting:
            one.close()


def measure(
    *,
    first: int = 300,
    most: int = 1500,
    share: float = 0.6,
    pairs: int = 3,
    seconds: float = 4.0,
    settle: float = 1.0,
) -> Figures:
    """Measure one receiver beside two.

    :param first: number of streams to try first.
    :param most: number of streams of a receiver that is not exceeded.
    :param share: load of each receiver, as a share of the number with which a single one falls behind.
    :param pairs: how often one and two are measured in turns. The figures are medians.
    :param seconds: how long the streams speak.
    :param settle: seconds between opening the streams and speaking.
    """

    def behind(processes: int, streams: int) -> bool:
        return any(map(falls_behind, side_by_side(processes, streams, seconds, settle)))

    alone = limit(lambda streams: behind(1, streams), first, most)
    load = max(1, int(alone * share))
    one: list[Figures] = []
    two: list[list[Figures]] = []
    for _ in range(pairs):
        one += side_by_side(1, load, seconds, settle)
        two.append(side_by_side(2, load, seconds, settle))
    middle = statistics.median
    cpu = [(found["cpu"], statistics.mean(each["cpu"] for each in both)) for found, both in zip(one, two, strict=True)]
    sender = middle(sum(each["sender"] for each in both) for both in two)
    return {
        "limit": alone,
        "load": load,
        "cpu one": middle(single for single, _ in cpu),
        "cpu": middle(both for _, both in cpu),
        "growth": middle(both / single for single, both in cpu),
        "p99": middle(max(each["p99"] for each in both) for both in two),
        "lost": sum(each["lost"] for both in two for each in both),
        "sender": sender,
        "left": len(os.sched_getaffinity(0)) - sender,
        "need": 2 * middle(found["share"] for found in one),
        "limit two": limit(lambda streams: behind(2, streams), load, most),
    }


USAGE: Final = """\
usage: python -m benchmarks.several '{"first": N, "most": N, "share": 0.6, "pairs": N, "seconds": S, "settle": S}'
       All of them are optional.
"""


def main() -> None:
    """The process that starts all others."""
    try:
        given = json.loads(sys.argv[1])
        inspect.signature(measure).bind(**given)
    except (IndexError, TypeError, ValueError) as error:
        sys.exit(f"{USAGE}\n{type(error).__name__}: {error}")
    print("figures " + json.dumps(measure(**given)), flush=True)


if __name__ == "__main__":
    main()
