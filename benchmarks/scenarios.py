"""What is measured: small functions over a connected client. Each returns figures by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from .clients import Adapter
from .figures import percentile

__all__ = ["SCENARIOS", "memory", "peak", "reset_peak"]

Figures = dict[str, float]


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1])
    raise LookupError(name)


def memory() -> float:
    """Resident now, KiB."""
    return _status("VmRSS:")


def peak() -> float:
    """The most that was resident since :func:`reset_peak`, KiB."""
    return _status("VmHWM:")


def reset_peak() -> None:
    """Start :func:`peak` anew."""
    Path("/proc/self/clear_refs").write_text("5")


def commands(client: Adapter, *, count: int) -> Figures:
    """Commands one after another."""
    began = time.process_time()
    took = client.sequence(count)
    cpu = time.process_time() - began
    return {
        "rate": count / sum(took),
        "p50": percentile(took, 50) * 1e3,
        "p90": percentile(took, 90) * 1e3,
        "p99": percentile(took, 99) * 1e3,
        "cpu": cpu / count * 1e6,
        "wall": sum(took),
    }


def crowd(client: Adapter, *, callers: int, each: int) -> Figures:
    """Many callers at once."""
    began = time.process_time()
    took = client.crowd(callers, each)
    return {
        "rate": callers * each / took,
        "cpu": (time.process_time() - began) / (callers * each) * 1e6,
        "wall": took,
    }


def events(client: Adapter, *, count: int) -> Figures:
    """Events to one listener, each acknowledged."""
    began = time.process_time()
    took = client.flood(count)
    return {"rate": count / took, "cpu": (time.process_time() - began) / count * 1e6, "wall": took}


def calls(client: Adapter, *, count: int) -> Figures:
    """Calls at once: answer, stream, finished, hang up."""
    before = memory()
    reset_peak()
    began = time.process_time()
    took = client.lifecycle(count)
    return {
        "seconds": took,
        "cpu": (time.process_time() - began) / count * 1e6,
        "peak": (peak() - before) / 1024,
        "left": (memory() - before) / count,
        "wall": took,
    }


def idle(client: Adapter, *, count: int) -> Figures:
    """Calls whose handlers are blocked in ``wait_for_ended``."""
    before = memory()
    client.idle(count)
    time.sleep(0.2)
    return {"each": (memory() - before) / count}


def blocked(client: Adapter, *, count: int, pause: float) -> Figures:
    """Handlers that block."""
    return {"seconds": client.block(count, pause)}


def cut(client: Adapter) -> Figures:
    """From a cut of the TCP connection to a command that works."""
    return {"seconds": client.repair()}


def soak(client: Adapter, *, count: int, events_per_second: float) -> Figures:
    """Commands one after another while events flow; how often the connection was lost."""
    client.execute("bench.drip", {"rate": events_per_second})
    before = _connections(client)
    took: list[float] = []
    failures = 0
    while len(took) < count:
        step = min(5000, count - len(took))
        try:
            took += client.sequence(step)
        except Exception:
            failures += 1
            if failures > 1000:
                raise
        print(f"progress {len(took)}", flush=True)
    lost = _connections(client) - before
    client.execute("bench.drip", {"rate": 0})
    return {
        "lost": max(lost, failures),
        "rate": count / sum(took),
        "p99": percentile(took, 99) * 1e3,
        "wall": sum(took),
    }


def _connections(client: Adapter) -> float:
    found = client.execute("bench.cpu", {})["connections"]
    assert isinstance(found, int)
    return float(found)


SCENARIOS: Final[dict[str, Callable[..., Figures]]] = {
    "commands": commands,
    "crowd": crowd,
    "events": events,
    "calls": calls,
    "idle": idle,
    "blocked": blocked,
    "cut": cut,
    "soak": soak,
}
#: Where the client is not connected beforehand: it must be its own ``run()`` that does.
UNCONNECTED: Final = frozenset({("cut", "ref")})


def run(client: Adapter, name: str, scenario: str, options: dict[str, Any]) -> Figures:
    """One scenario with one client; adds the server's share of a CPU in ``server``."""
    if (scenario, name) in UNCONNECTED:
        return SCENARIOS[scenario](client, **options)
    client.connect()
    try:
        before = _server_cpu(client)
        figures = SCENARIOS[scenario](client, **options)
        if "wall" in figures:
            figures["server"] = (_server_cpu(client) - before) / figures.pop("wall")
        return figures
    finally:
        client.close()


def _server_cpu(client: Adapter) -> float:
    found = client.execute("bench.cpu", {})["cpu"]
    assert isinstance(found, float)
    return found
