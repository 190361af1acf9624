"""Wake a thread that is blocked in a selector."""

from __future__ import annotations

import socket

__all__ = ["WakeUp"]


class WakeUp:
    """Wakes a thread that is blocked in ``select()``.

    It can be used in any thread and in signal handlers, because it acquires no lock and never blocks.

    :ivar receiver: socket to register with the selector. When it becomes readable, the thread calls :meth:`clear`.
    :raises OSError: the process has run out of file descriptors.
    """

    __slots__ = ("_pending", "_sender", "receiver")

    def __init__(self) -> None:
        self.receiver: socket.socket
        self.receiver, self._sender = socket.socketpair()
        self.receiver.setblocking(False)
        self._sender.setblocking(False)
        self._pending = False

    def ring(self) -> None:
        """Wake the thread. Call this after the change that the thread should notice."""
        # The flag saves a system call if a byte is already on its way. No change is missed, because the thread clears
        # the flag before it checks for changes, and callers make the change before they check the flag.
        if self._pending:
            return
        try:
            self._pending = True
            self._sender.send(b"\0")
        except OSError:
            # The buffer is full, so the thread wakes up anyway, or the socket is closed, so no thread is waiting.
            pass
        except BaseException:  # interrupted before the byte was sent, perhaps
            self._pending = False
            raise

    def clear(self) -> None:
        """Reset the wake-up. The thread calls this before it checks for changes."""
        try:
            self.receiver.recv(64)  # a byte that remains wakes the thread again
        except OSError:
            pass
        self._pending = False

    def close(self) -> None:
        """Close both sockets. Later calls of :meth:`ring` do nothing."""
        for end in (self.receiver, self._sender):
            try:
                end.close()
            except OSError:  # other code in the process has closed the descriptor
                pass
