"""What a client has asked for, so that two clients can be compared: ids are numbered in the order in which they turn up."""

from __future__ import annotations

from typing import Any, Final

from relay_sync.simulator import Simulator

__all__ = ["asked"]

#: Ids that differ from run to run.
_IDS: Final = ("call_id", "node_id", "control_id", "tag")
#: Who asks; and what may come at any time.
_PERSONAL: Final = ("agent", "version")
_ANYTIME: Final = ("signalwire.ping",)


def asked(sim: Simulator) -> list[tuple[str, dict[str, Any]]]:
    """Method and params of every request, in order, without pings and without who asks."""
    names: dict[str, str] = {}
    found: list[tuple[str, dict[str, Any]]] = []
    for entry in sim.journal:
        if entry.direction == "out" and isinstance(entry.frame, dict):
            protocol = (entry.frame.get("result") or {}).get("protocol")
            if isinstance(protocol, str):
                names.setdefault(protocol, "<protocol>")
        if entry.direction != "in" or not entry.method or entry.method in _ANYTIME:
            continue
        for name in _IDS:
            value = entry.params.get(name)
            if isinstance(value, str):
                names.setdefault(value, f"<{name} {sum(one.startswith(f'<{name} ') for one in names.values()) + 1}>")
        found.append((entry.method, _renamed(entry.params, names)))
    return found


def _renamed(params: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {
        name: names.get(value, value) if isinstance(value, str) else value
        for name, value in params.items()
        if name not in _PERSONAL
    }
