"""Reports exceptions of user callbacks and handlers to listeners in addition to the log, for tests of users' programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["Listener", "listeners", "tell"]

Listener = Callable[[str, BaseException], object]
#: Each is called on the thread that raised, with the name of the callback ("on_call handler of call ...") and the exception.
listeners: Final[list[Listener]] = []


def tell(what: str, error: BaseException) -> None:
    """Call the listeners."""
    for listener in tuple(listeners):
        listener(what, error)
