"""Frames that could not be written to a connection yet, and the commands among them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ..protocol.command import Command

__all__ = ["OUTBOX_LIMIT", "OUTBOX_STOP", "Outbox"]

#: Bytes that may wait. Beyond this, no new commands are accepted.
OUTBOX_LIMIT: Final = 1024 * 1024
#: Bytes beyond which reading stops as well: the peer must accept pending acknowledgments before it can cause more.
OUTBOX_STOP: Final = 4 * OUTBOX_LIMIT

Write = Callable[[bytes | bytearray], int]
_Leaving = tuple[int, int, Command]


class Outbox:
    """The outbox of one connection.

    Each command learns when its last byte was passed to the system: the time limit for its reply starts then.
    """

    def __init__(self) -> None:
        self._unsent = bytearray()
        #: Whether the last flush left bytes behind.
        self.behind: bool = False
        #: Total number of bytes ever added.
        self._put = 0
        #: Commands with unwritten bytes: the end position, the size, the command.
        self._leaving: deque[_Leaving] = deque()
        #: Total size of those commands, in bytes.
        self._commands = 0
        #: Commands among the frames of the next :meth:`flush`, each with the 1-based position of its frame.
        self._fresh: deque[tuple[int, Command]] = deque()

    def __len__(self) -> int:
        return len(self._unsent)

    @property
    def caused(self) -> int:
        """Number of waiting bytes that the peer has caused, such as acknowledgments of its events."""
        return len(self._unsent) - self._commands

    def expect(self, command: Command, frames: list[bytes]) -> None:
        """Note that the last of these frames is a command."""
        self._fresh.append((len(frames), command))

    def take(self, frames: list[bytes]) -> None:
        """Add new frames, and empty their list."""
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
        """Write the waiting bytes, then the new frames, as far as the socket accepts them.

        :return: whether anything was written.
        """
        gone = 0
        if not self.behind:
            # If nothing is waiting, the socket nearly always accepts all frames at once. The rest is kept.
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            gone = write(data)
            if gone == len(data):
                self._put += gone
                while self._fresh:
                    self._fresh.popleft()[1].moved_at = now
                frames.clear()
                return True
        self.take(frames)
        moved = self.write(write, now, gone)
        self.behind = len(self._unsent) > 0
        return moved

    def write(self, write: Write, now: float, gone: int = 0) -> bool:
        """Write as much as the socket accepts, and set the time on commands that were written completely.

        :param gone: bytes that have already been written.
        :return: whether anything was written.
        """
        unsent, before = self._unsent, len(self._unsent)
        del unsent[:gone]
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
