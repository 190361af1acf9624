"""Commands by REST to a call that another process owns, beside the same commands of its owner.

``python -m benchmarks.by_rest '{"count": N}'`` starts a simulator and an owner, each in a process of its own. The owner answers
a call and plays silence to it. The command is the volume of that playback.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from .figures import percentile
from .processes import helper

__all__ = ["main", "measure"]

PATIENCE: Final = 30.0
#: Seconds that the owner plays, and waits at most.
SILENCE: Final = 3600.0


def _took(count: int, command: Callable[[float], object]) -> list[float]:
    """Return the milliseconds of each command. The first ones, which warm up, are left out."""
    took = []
    for number in range(-max(1, count // 10), count):
        began = time.perf_counter()
        command(float(number % 10))
        if number >= 0:
            took.append((time.perf_counter() - began) * 1e3)
    return took


def _simulate() -> None:
    from relay_sync.simulator import Simulator

    with Simulator() as sim:
        print(json.dumps(sim.credentials), flush=True)
        sim.wait_for_client(timeout=PATIENCE)
        sim.call(to="+15550100", from_="+15550199")
        sys.stdin.read()


def _own(credentials: dict[str, Any], count: int) -> None:
    from relay_sync import Call, RelayClient

    client, over = RelayClient(**credentials, contexts=["default"]), threading.Event()

    @client.on_call
    def handle(call: Call) -> None:
        call.answer()
        action = call.play_silence(SILENCE)
        took = _took(count, action.volume)
        print(json.dumps({"call": call.call_id, "control": action.control_id, "took": took}), flush=True)
        over.wait(SILENCE)

    with client:
        sys.stdin.read()
        over.set()


def measure(count: int) -> dict[str, float]:
    """Measure so many commands of the owner, then as many by REST from this process."""
    from relay_sync.rest import RestClient

    with helper("by_rest", "simulator") as told:
        credentials = json.loads(told)
        with helper("by_rest", "owner", told, str(count)) as owned, RestClient(**credentials) as rest:
            owner: dict[str, Any] = json.loads(owned)
            call = rest.call(owner["call"])
            took = _took(count, lambda volume: call.play_volume(owner["control"], volume))
    return {
        "p50": percentile(took, 50),
        "p99": percentile(took, 99),
        "own p50": percentile(owner["took"], 50),
        "own p99": percentile(owner["took"], 99),
    }


def main() -> None:
    """One of the three processes."""
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "simulator":
        _simulate()
    elif sys.argv[1] == "owner":
        _own(json.loads(sys.argv[2]), int(sys.argv[3]))
    else:
        print("figures " + json.dumps(measure(**json.loads(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
