"""Waking a thread that sleeps in a selector."""

from __future__ import annotations

import socket

__all__ = ["WakeUp"]


class WakeUp:
    """Interrupts the ``select()`` of one thread, from any thread or signal handler. Acquires no lock and never blocks.

    :ivar receiver: the socket to register with the selector. When it is readable, the thread calls :meth:`clear`.
    :raises OSError: the process has no free file descriptor.
    """

    __slots__ = ("_pending", "_sender", "receiver")

    def __init__(self) -> None:
        self.receiver: socket.socket
        self.receiver, self._sender = socket.socketpair()
        self.receiver.setblocking(False)
        self._sender.setblocking(False)
        self._pending = False

    def ring(self) -> None:
        """Wake the thread. Call it after the change that the thread should see."""
        # The flag saves a system call if a byte is already on its way. No change is missed: the thread clears the flag before it
        # checks for changes, and callers make the change before they check the flag.
        if self._pending:
            return
        try:
            self._pending = True
            self._sender.send(b"\0")
        except OSError:  # full, so the thread wakes anyway; or closed, so no thread is sleeping
            pass
        except BaseException:  # interrupted: possibly nothing was sent
            self._pending = False
            raise

    def clear(self) -> None:
        """Reset the wake-up. The woken thread calls it before it checks for changes."""
        try:
            self.receiver.recv(64)  # a remaining byte wakes the thread again
        except OSError:
            pass
        self._pending = False

    def close(self) -> None:
        """Close both ends. :meth:`ring` then does nothing."""
        for end in (self.receiver, self._sender):
            try:
                end.close()
            except OSError:  # other code of the process has closed its descriptor
                pass
