"""A lock that knows whether it is held, and a dictionary that nobody may touch without it: what shows that a lock is missing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any


class KnownLock:
    """Stands in for a lock.

    :ivar taken: how often it was taken.
    """

    def __init__(self, lock: Any = None) -> None:
        self._lock = lock or threading.RLock()
        self._owner: int | None = None
        self._depth = 0
        self.taken = 0

    @property
    def held(self) -> bool:
        """Whether the thread that asks holds it."""
        return self._owner == threading.get_ident()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        taken: bool = self._lock.acquire(blocking, timeout)
        if taken:
            self._owner = threading.get_ident()
            self._depth += 1
            self.taken += 1
        return taken

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
        self._lock.release()

    def __enter__(self) -> KnownLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def _guarded(name: str) -> Callable[..., Any]:
    def method(self: GuardedDict, *args: Any) -> Any:
        assert self.lock.held, f"{name} without the lock"
        return getattr(dict, name)(self, *args)

    return method


class GuardedDict(dict[Any, Any]):
    """A dictionary that fails when it is touched without its lock."""

    def __init__(self, lock: KnownLock, entries: Any = ()) -> None:
        super().__init__(entries)
        self.lock = lock


for _name in (
    *("__contains__", "__delitem__", "__getitem__", "__iter__", "__len__", "__setitem__"),
    *("clear", "copy", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"),
):
    setattr(GuardedDict, _name, _guarded(_name))
