"""What a client's ``on_state`` is told, put into a queue."""

from __future__ import annotations

import queue
from typing import TypeAlias

from tests.support import PATIENCE

__all__ = ["States", "wait_for_state"]

States: TypeAlias = "queue.SimpleQueue[str]"


def wait_for_state(states: States, wanted: str) -> None:
    """Return once that state has come; what came before it is dropped."""
    while states.get(timeout=PATIENCE) != wanted:
        pass
