"""Run a series of steps to the end even if some of them raise."""

from __future__ import annotations

from types import TracebackType
from typing import Final

__all__ = ["Net"]

_WHAT: Final = "several steps failed"


class Net(list[BaseException]):
    """A context manager that collects exceptions, so that later steps run before the exceptions are raised.

    ::

        net = Net()
        for call in calls:
            with net:
                call.end()
        net.release()
    """

    __slots__ = ()

    def __enter__(self) -> Net:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        self.append(error)
        return True

    def release(self) -> None:
        """Raise the collected exceptions.

        An interrupt such as ``KeyboardInterrupt`` takes precedence. Otherwise, a single error is raised directly, and
        several errors are raised as an ``ExceptionGroup``.
        """
        raised = list(self)
        self.clear()
        for error in raised:
            if not isinstance(error, Exception):
                raise error
        errors = [error for error in raised if isinstance(error, Exception)]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(_WHAT, errors)
