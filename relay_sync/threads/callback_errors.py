"""What user code raised in callbacks and handlers, for whoever wants to know besides the log: tests of users' programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["Listener", "listeners", "tell"]

Listener = Callable[[str, BaseException], object]
#: Each is called in the thread in which it was raised, with what raised ("on_call handler of call ...") and the exception.
listeners: Final[list[Listener]] = []


def tell(what: str, error: BaseException) -> None:
    """Call the listeners."""
    for listener in tuple(listeners):
        listener(what, error)
