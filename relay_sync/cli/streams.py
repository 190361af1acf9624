"""The standard streams of this process, which may be absent, closed, full or without a reader.

A command does its work and keeps its exit code even if its output is not read: output that cannot be delivered is dropped. A
failure other than a closed reader, such as a full disk, is reported at the end.
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
#: Terminals that cannot move their cursor.
_DUMB: Final = frozenset({"dumb", "unknown"})


@define(eq=False)
class Output:
    """A wrapper of a text stream whose write methods never raise. All other attributes are those of the stream.

    :ivar error: why output was lost, or ``None``.
    """

    _stream: TextIO
    error: Exception | None = field(default=None, init=False)

    def write(self, text: str) -> int:
        """Write the text, or drop it if it cannot be written."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError) as error:
            self._lose(error)
            return len(text)

    def writelines(self, lines: Any) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the buffer, or drop it if it cannot be written."""
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        if isinstance(error, UnicodeError):  # caused by the text, not by the stream
            raise error
        self.error = self.error or error
        # The buffered output would fail again at interpreter exit.
        with suppress(OSError, ValueError, AttributeError):
            _to_null_device(self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Make the three standard streams usable while the block runs."""
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
            if getattr(sys, name) is stream:  # the program may have replaced it
                setattr(sys, name, original)


def failure() -> str:
    """Return why standard output was lost, or ``""`` if it was delivered or its reader has closed it."""
    sys.stdout.flush()
    error = getattr(sys.stdout, "error", None)
    if error is None or isinstance(error, BrokenPipeError):
        return ""
    return str(getattr(error, "strerror", None) or error)


def is_lost() -> bool:
    """Return whether standard output can no longer be written."""
    return getattr(sys.stdout, "error", None) is not None


def can_show(text: str) -> bool:
    """Return whether the encoding of standard output has all of these characters."""
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
    if reconfigure is not None:  # replace unsupported characters instead of raising
        reconfigure(errors="replace")
    return cast(TextIO, Output(stream))


@functools.cache
def _null_device(mode: str) -> TextIO:
    """Return the null device. It is never closed, because a logging handler may write to it until the process exits."""
    return cast(TextIO, open(os.devnull, mode, encoding="utf-8"))


def _fill_descriptors() -> None:
    """Open closed descriptors 0 to 2. Otherwise the next socket would get that number and receive the printed output."""
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
