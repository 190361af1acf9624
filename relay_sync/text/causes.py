"""The chain of causes that Python prints with an exception."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["apart", "chain"]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes, down to the original exception."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def apart(error: BaseException, handled: BaseException | None) -> None:
    """Remove the exception being handled from another exception's causes.

    A program may use the client inside an ``except`` block, for example to announce the error on a call. If the client
    then raises another exception, Python links the two even though they are unrelated.

    :param error: exception to change.
    :param handled: value of ``sys.exception()`` before the operation started.
    """
    if handled is not None:
        for each in chain(error):
            if each.__context__ is handled:
                each.__context__ = None
