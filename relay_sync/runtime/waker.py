"""What wakes a thread that sleeps in a selector."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Waker"]


class Waker:
    """A selector that waits for this to be readable is woken by :meth:`ring`.

    A pipe, which takes less than half the time of a pair of sockets; where selectors take nothing but sockets (Windows), such a
    pair. Both ends are objects that know when they are closed: a bare descriptor may belong to another file by then.

    :raises OSError: no more file descriptors.
    """

    def __init__(self) -> None:
        self._in: io.FileIO | socket.socket
        self._out: io.FileIO | socket.socket
        self._take: Callable[[int], object]
        self._give: Callable[[bytes], object]
        if os.name == "nt":
            self._in, self._out = socket.socketpair()
            self._in.setblocking(False)
            self._out.setblocking(False)
            self._take, self._give = self._in.recv, self._out.send
            return
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self._in, self._out = io.FileIO(reading, "rb"), io.FileIO(writing, "wb")
        self._take, self._give = self._in.read, self._out.write

    def fileno(self) -> int:
        """For selectors."""
        return self._in.fileno()

    def ring(self) -> None:
        """Wake the thread. No lock, no wait; safe in signal handlers. Where it is full, or closed, nobody needs to be woken."""
        try:
            self._give(b"\0")
        except (OSError, ValueError):
            pass

    def clear(self) -> None:
        """Take what has rung; any byte that is left wakes the thread again."""
        try:
            self._take(4096)
        except (OSError, ValueError):
            pass

    def close(self) -> None:
        """Close both ends; also where somebody else of this process has closed their descriptors."""
        for end in (self._in, self._out):
            with suppress(OSError):
                end.close()
