"""Calls that were returned to clients of the control interface. They stay available after they end."""

from __future__ import annotations

import threading
from typing import Final

from attrs import define, field

from ...people.phone import Phone
from ...server import Simulator

__all__ = ["MOST_KNOWN", "KnownCalls"]

#: Maximum number of calls to keep.
MOST_KNOWN: Final = 1_000


@define(eq=False)
class KnownCalls:
    """Calls by ID. Thread-safe."""

    _sim: Simulator
    _known: dict[str, Phone] = field(factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)

    def remember(self, phone: Phone) -> Phone:
        """Keep a call, and return the object that was kept first for it."""
        with self._lock:
            known = self._known.setdefault(phone.call_id, phone)
            if known.state == "ended" and phone.state != "ended":  # the call's ID was given again
                known = self._known[phone.call_id] = phone
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
            return known

    def find(self, call_id: str) -> Phone | None:
        """Return the call with this ID, whether it is in progress or was kept, or ``None`` if there is no such call."""
        phone = self._known.get(call_id)
        if phone is None or phone.state == "ended":
            phone = next((each for each in self._sim.phones if each.call_id == call_id), phone)
        return None if phone is None else self.remember(phone)
