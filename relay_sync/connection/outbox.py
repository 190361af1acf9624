"""What is to be written to a connection and could not be yet, and which commands are in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ..protocol.command import Command

__all__ = ["OUTBOX_LIMIT", "OUTBOX_STOP", "Outbox"]

#: Bytes that may wait; with more of them, nothing new is taken.
OUTBOX_LIMIT: Final = 1024 * 1024
#: Beyond this the peer is not read either: it must take our acknowledgements before it may cause more of them.
OUTBOX_STOP: Final = 4 * OUTBOX_LIMIT

Write = Callable[[bytes | bytearray], int]
_Leaving = tuple[int, int, Command]


class Outbox:
    """Of one connection. A command is told when its last byte was handed to the system: its answer has its time from then on."""

    def __init__(self) -> None:
        self._unsent = bytearray()
        #: Whether something was left when it was flushed last.
        self.behind: bool = False
        #: Bytes that were ever put in.
        self._put = 0
        #: Commands whose last bytes are in it: where they end, their sizes.
        self._leaving: deque[_Leaving] = deque()
        #: Bytes of those commands.
        self._commands = 0
        #: Commands among the frames that :meth:`flush` will be given, by how many frames there were with theirs.
        self._fresh: deque[tuple[int, Command]] = deque()

    def __len__(self) -> int:
        return len(self._unsent)

    @property
    def caused(self) -> int:
        """Bytes that are no commands of ours: acknowledgements of what the peer has sent."""
        return len(self._unsent) - self._commands

    def expect(self, command: Command, frames: list[bytes]) -> None:
        """The last one of these frames is a command."""
        self._fresh.append((len(frames), command))

    def take(self, frames: list[bytes]) -> None:
        """Take the frames that have been made since, and empty their list."""
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
        """Write what is kept, and behind it the frames that have been made since, as far as that goes.

        :return: whether anything was written.
        """
        gone = 0
        if not self.behind:
            # Where nothing is kept, nearly always all of the frames go at once; what does not is taken.
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
        """Write as much as goes, and tell the commands that have left.

        :param gone: bytes that were written already.
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
