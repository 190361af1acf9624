"""Report exceptions in user callbacks to test tools, in addition to logging them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["Listener", "listeners", "tell"]

Listener = Callable[[str, BaseException], object]
#: Functions to call with the name of a failed callback, such as ``on_call handler of call ...``, and the exception.
#: They run on the thread that raised the exception.
listeners: Final[list[Listener]] = []


def tell(what: str, error: BaseException) -> None:
    """Report an exception to all listeners."""
    for listener in tuple(listeners):
        listener(what, error)
