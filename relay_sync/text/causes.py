"""The causes of exceptions that Python prints with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["apart", "chain"]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an exception and its causes, down to the original error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def apart(error: BaseException, handled: BaseException | None) -> None:
    """Remove the exception that the caller was already handling from another exception's causes.

    A program may call us where it handles an error of its own, to say it on the telephone perhaps; Python links the two.

    :param handled: the value of ``sys.exception()`` at the start.
    """
    if handled is not None:
        for each in chain(error):
            if each.__context__ is handled:
                each.__context__ = None
