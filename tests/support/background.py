"""Functions in threads of their own, and a system that gives no threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from tests.support import PATIENCE

T = TypeVar("T")


class Background(Generic[T]):
    """Run a function in a thread; ``result()`` waits for it and returns or raises what it did."""

    def __init__(self, function: Callable[..., T], *args: Any) -> None:
        self._outcome: tuple[bool, Any] | None = None
        self._done = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(function, args), name="test-background", daemon=True)
        self.thread.start()

    def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        try:
            self._outcome = (True, function(*args))
        except BaseException as error:
            self._outcome = (False, error)
        self._done.set()

    def result(self, timeout: float = PATIENCE) -> T:
        assert self._done.wait(timeout), f"still running after {timeout} s"
        self.thread.join(timeout)
        assert self._outcome is not None
        good, value = self._outcome
        if not good:
            raise value
        result: T = value
        return result

    @property
    def running(self) -> bool:
        return not self._done.is_set()


def until(ready: Callable[[], bool]) -> None:
    """Look every few milliseconds, at what rings no bell."""
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.002)


@contextmanager
def no_threads(prefix: str = "") -> Iterator[None]:
    """Threads whose names begin so cannot be started, as where the system gives none."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith(prefix):
            raise RuntimeError("can't start new thread")
        start(thread)

    threading.Thread.start = refuse  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        threading.Thread.start = start  # type: ignore[method-assign]
