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
    """Remove the exception that the caller is handling from the causes of another exception.

    A program may use the client inside an ``except`` block, for example to announce the error on a call. Python then
    links the two exceptions although they are unrelated.

    :param error: exception to change.
    :param handled: value of ``sys.exception()`` before the operation started.
    """
    if handled is not None:
        for each in chain(error):
            if each.__context__ is handled:
                each.__context__ = None
