"""Observers without a client: calls and events as far as they are read, and an observer that writes down what it is told."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from relay_sync import CallRecord, Observer
from relay_sync.observing.observers import Observers
from tests.support import PATIENCE

__all__ = ["Happened", "Leg", "Notes", "settled"]


@frozen
class Leg:
    """As much of a call as is read of it."""

    call_id: str = "c1"
    context: str = "office"
    tag: str = "t"
    direction: str = "inbound"
    from_number: str = "+15550199"
    to_number: str = "+15550100"


@frozen
class Happened:
    event_type: str
    params: Mapping[str, Any] = {}
    url: str = ""
    duration: float = 0.0
    size: int = 0


class Notes(Observer):
    """Writes down what it is told, and by which thread."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.threads: set[str] = set()

    def note(self, *what: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.told.append(what)

    def call_offered(self, call: Any) -> None:
        self.note("offered", call.call_id)

    def call_event(self, call: Any, event: Any) -> None:
        self.note("event", event.event_type)

    def call_ended(self, record: CallRecord) -> None:
        self.note("ended", record)

    def connection_changed(self, old: str, new: str) -> None:
        self.note(old, new)


def settled(observers: Observers) -> None:
    """All that was said has been delivered."""
    observers.close(PATIENCE)
    observers.open()
