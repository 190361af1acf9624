"""Waking a thread that sleeps in a selector."""

from __future__ import annotations

import socket

__all__ = ["WakeUp"]


class WakeUp:
    """Ends the ``select()`` of one thread, from any other thread and from signal handlers. Takes no lock and never blocks.

    :ivar receiver: to be registered with the selector; when it is readable, the thread calls :meth:`clear`.
    :raises OSError: the process has no file descriptor left.
    """

    __slots__ = ("_pending", "_sender", "receiver")

    def __init__(self) -> None:
        self.receiver: socket.socket
        self.receiver, self._sender = socket.socketpair()
        self.receiver.setblocking(False)
        self._sender.setblocking(False)
        self._pending = False

    def ring(self) -> None:
        """Wake the thread. To be called after the change that it is to see."""
        # The flag spares a system call when a byte is already on its way. The thread clears it before it looks at what has
        # changed, and callers make the change before they look at the flag: nothing is left lying.
        if self._pending:
            return
        try:
            self._pending = True
            self._sender.send(b"\0")
        except OSError:  # full, which wakes as well; or closed, when nobody sleeps any more
            pass
        except BaseException:  # interrupted: perhaps nothing was sent
            self._pending = False
            raise

    def clear(self) -> None:
        """On the thread that woke, before it looks at what has changed."""
        try:
            self.receiver.recv(64)  # any byte that is left wakes it again
        except OSError:
            pass
        self._pending = False

    def close(self) -> None:
        """Close both ends; :meth:`ring` does nothing from now on."""
        for end in (self.receiver, self._sender):
            try:
                end.close()
            except OSError:  # somebody else of this process has closed its descriptor
                pass
