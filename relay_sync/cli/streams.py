"""Handling of standard streams that are missing, closed or not writable.

If the program that reads the output exits early, the command discards further output, completes its work and exits with the same
code. Any other write error, such as a full disk, is reported when the command exits.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO, cast

from attrs import define, field

__all__ = ["Output", "can_draw_over", "can_show", "failure", "is_lost", "standard_streams"]

_NAMES: Final = ("stdin", "stdout", "stderr")
#: Values of TERM for terminals that cannot move the cursor.
_DUMB: Final = frozenset({"dumb", "unknown"})


@define(eq=False)
class Output:
    """Wrapper for a text stream that discards output instead of raising an exception if it cannot be written.

    Other attributes are delegated to the wrapped stream.

    :ivar error: first write error, or ``None``.
    """

    _stream: TextIO
    error: Exception | None = field(default=None, init=False)

    def write(self, text: str) -> int:
        """Write text. The text is discarded if it cannot be written."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._lose(error)
            return len(text)

    def writelines(self, lines: Any) -> None:
        """Write a list of lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the buffer. The buffer is discarded if it cannot be written."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        if isinstance(error, UnicodeError):  # The text is invalid. This is the caller's error.
            raise error
        self.error = self.error or error
        # Redirect the stream to the null device. Otherwise, flushing the buffer would fail again when the interpreter exits.
        with suppress(OSError, ValueError, AttributeError):
            _to_null_device(self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Context manager that replaces standard streams that are missing or closed, and wraps the others in :class:`Output`."""
    before = [getattr(sys, name) for name in _NAMES]
    _fill_descriptors()
    opened = [_usable(name, stream) for name, stream in zip(_NAMES, before, strict=True)]
    for name, stream in zip(_NAMES, opened, strict=True):
        setattr(sys, name, stream)
    try:
        yield
    finally:
        for stream in opened[1:]:
            stream.flush()
        for name, original, stream in zip(_NAMES, before, opened, strict=True):
            if getattr(sys, name) is stream:  # The program may have replaced the stream.
                setattr(sys, name, original)


def failure() -> str:
    """Flush standard output and return its write error, or ``""`` if there is none.

    A broken pipe is not an error, because the reader may exit early.
    """
    sys.stdout.flush()
    error = getattr(sys.stdout, "error", None)
    if error is None or isinstance(error, BrokenPipeError):
        return ""
    return str(getattr(error, "strerror", None) or error)


def is_lost() -> bool:
    """Return whether standard output can no longer be written."""
    return getattr(sys.stdout, "error", None) is not None


def can_show(text: str) -> bool:
    """Return whether standard output's encoding supports all characters in the text."""
    encoding = getattr(sys.stdout, "encoding", None)
    try:
        text.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def can_draw_over() -> bool:
    """Return whether standard output is a terminal on which a line can be overwritten."""
    return sys.stdout.isatty() and os.environ.get("TERM", "").lower() not in _DUMB


def _usable(name: str, stream: TextIO | None) -> TextIO:
    if stream is None or stream.closed:
        stream = _null_device("r" if name == "stdin" else "w")
    if name == "stdin" or isinstance(stream, Output):
        return stream
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:  # Replace unsupported characters instead of raising UnicodeEncodeError.
        reconfigure(errors="replace")
    return cast(TextIO, Output(stream))


@functools.cache
def _null_device(mode: str) -> TextIO:
    """Open the null device. It is never closed, because a logging handler may use it until the process exits."""
    return cast(TextIO, open(os.devnull, mode, encoding="utf-8"))


def _fill_descriptors() -> None:
    """Open the null device for any closed file descriptor from 0 to 2.

    Otherwise, the next socket could get one of these descriptors and receive output meant for the terminal.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                _to_null_device(number)


def _to_null_device(number: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened == number:
        os.set_inheritable(opened, True)
        return
    try:
        os.dup2(opened, number)
    finally:
        os.close(opened)
