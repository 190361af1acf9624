"""Buffer outgoing frames until the socket accepts them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ..protocol.command import Command

__all__ = ["OUTBOX_LIMIT", "OUTBOX_STOP", "Outbox"]

#: Number of buffered bytes above which the client accepts no new commands.
OUTBOX_LIMIT: Final = 1024 * 1024
#: Number of buffered bytes above which the client stops reading, so that the peer cannot cause further acknowledgments.
OUTBOX_STOP: Final = 4 * OUTBOX_LIMIT

Write = Callable[[bytes | bytearray], int]
_Leaving = tuple[int, int, Command]


class Outbox:
    """A connection's buffer for outgoing bytes.

    The outbox updates ``Command.moved_at`` when any of the command's bytes are written. The timeout for the reply starts when the
    last byte is written.
    """

    def __init__(self) -> None:
        self._unsent = bytearray()
        #: Whether bytes are still buffered after the last flush.
        self.behind: bool = False
        #: Total number of bytes added to the outbox so far.
        self._put = 0
        #: Commands that are not completely written, each with the stream position of its end and its size in bytes.
        self._leaving: deque[_Leaving] = deque()
        #: Total size of the commands in ``_leaving``, in bytes.
        self._commands = 0
        #: Commands in the frames for the next :meth:`flush`, each with the 1-based index of its frame.
        self._fresh: deque[tuple[int, Command]] = deque()

    def __len__(self) -> int:
        return len(self._unsent)

    @property
    def caused(self) -> int:
        """Number of buffered bytes that are responses to the peer, such as acknowledgments of events."""
        return len(self._unsent) - self._commands

    def expect(self, command: Command, frames: list[bytes]) -> None:
        """Record that the last of these frames contains a command."""
        self._fresh.append((len(frames), command))

    def take(self, frames: list[bytes]) -> None:
        """Add frames to the buffer, and clear the list."""
        end, fresh = self._put, self._fresh
        if fresh:
            for number, frame in enumerate(frames, 1):
                end += len(frame)
                if fresh and fresh[0][0] == number:
                    self._leaving.append((end, len(frame), fresh.popleft()[1]))
                    self._commands += len(frame)
        before = len(self._unsent)
        self._unsent += b"".join(frames)
        self._put += len(self._unsent) - before
        frames.clear()

    def flush(self, frames: list[bytes], write: Write, now: float) -> bool:
        """Write buffered bytes, then new frames, until the socket accepts no further bytes. Buffer the rest.

        :param frames: new frames. The list is cleared.
        :param write: function that writes bytes to the socket and returns the number of bytes written.
        :param now: current time.
        :return: whether any bytes were written.
        """
        written = 0
        if not self.behind:
            # Fast path: with an empty buffer, the socket nearly always accepts all frames at once.
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            written = write(data)
            if written == len(data):
                self._put += written
                while self._fresh:
                    self._fresh.popleft()[1].moved_at = now
                frames.clear()
                return True
        self.take(frames)
        moved = self.write(write, now, written)
        self.behind = len(self._unsent) > 0
        return moved

    def write(self, write: Write, now: float, already_written: int = 0) -> bool:
        """Write as many buffered bytes as the socket accepts, and update the affected commands.

        :param write: function that writes bytes to the socket and returns the number of bytes written.
        :param now: current time.
        :param already_written: number of buffered bytes that the caller has written.
        :return: whether any bytes were written, by this method or by the caller.
        """
        unsent, before = self._unsent, len(self._unsent)
        del unsent[:already_written]
        try:
            while unsent and (sent := write(unsent)):
                del unsent[:sent]
        finally:
            written = self._put - len(unsent)
            while self._leaving and self._leaving[0][0] <= written:
                _, size, command = self._leaving.popleft()
                self._commands -= size
                command.moved_at = now
        moved = len(unsent) < before
        if moved:
            for _, _, command in self._leaving:
                command.moved_at = now
        return moved
