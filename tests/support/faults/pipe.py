"""One direction of a proxied connection: bytes in on one side, and out on the other when their time has come."""

from __future__ import annotations

import socket
import struct
from typing import Final

from attrs import define, field

from tests.support.faults.fault import Corrupt, Shape

__all__ = ["Pipe", "apply_corruption", "reset"]

#: What a pipe keeps of a sender that is faster than its reader, beside what the kernel keeps.
KEPT: Final = 64 * 1024
_PLAIN: Final = Shape()


@define(eq=False)
class Pipe:
    """From one socket to another. It never waits; its owner asks what it wants."""

    source: socket.socket
    sink: socket.socket
    shape: Shape = _PLAIN
    #: Take nothing from the source, send nothing to the sink.
    stalled: bool = False
    #: Take everything from the source, and let it vanish.
    swallows: bool = False
    #: Nothing more is taken on for the sink: the source has ended, or the connection was cut.
    ended: bool = False
    #: The source has said that nothing more comes.
    source_ended: bool = False
    #: The sink has been told of the end.
    finished: bool = False
    _waiting: bytearray = field(factory=bytearray, init=False, repr=False)
    _since: float = field(default=0.0, init=False)
    _next: float = field(default=0.0, init=False)

    @property
    def wants_to_read(self) -> bool:
        # After a cut the rest is read, and dropped: a socket that is closed on unread bytes resets its connection.
        return not self.source_ended and not self.stalled and (self.swallows or self.ended or len(self._waiting) < KEPT)

    def due(self) -> float | None:
        """When the next bytes may leave; ``None`` while there are none, or none may."""
        if not self._waiting or self.stalled or self.swallows:
            return None
        return max(self._next, self._since + self.shape.hold)

    def take(self, now: float, corruptions: list[Corrupt]) -> bool:
        """Read once. ``False`` when the connection broke."""
        try:
            data = self.source.recv(KEPT)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not data:
            self.ended = self.source_ended = True
        elif not self.swallows and not self.ended:
            if not self._waiting:
                self._since = now
            self._waiting += apply_corruption(data, corruptions)
        return True

    def give(self, now: float, most: int | None) -> int:
        """Write once, at most so many bytes; how many were.

        :raises OSError: the reader is gone.
        """
        size = len(self._waiting)
        rate, segment = self.shape.rate, self.shape.segment
        if segment is not None:
            size = min(size, segment)
        if rate is not None:
            # A tenth of a second's worth at a time, and at least a byte.
            size = min(size, max(1, int(rate / 10)))
        if most is not None:
            size = min(size, most)
        try:
            sent = self.sink.send(memoryview(bytes(self._waiting[:size])))
        except (BlockingIOError, InterruptedError):
            return 0
        del self._waiting[:sent]
        if rate is not None:
            self._next = now + sent / rate
        if self.shape.hold and self._waiting:
            self._since = min(self._since, now - self.shape.hold)  # they belong together
        return sent

    def cut(self) -> None:
        """Nothing more passes; the sink is told of an end."""
        self._waiting.clear()
        self.ended, self.stalled = True, False
        self.finish()

    def finish(self) -> None:
        """Pass the end on, once everything before it has left."""
        if self.ended and not self.finished and not self._waiting and not self.swallows and not self.stalled:
            self.finished = True
            try:
                self.sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass


def apply_corruption(data: bytes, corruptions: list[Corrupt]) -> bytes:
    """The bytes with what is due changed in them; the list is left with what is still to come."""
    out = bytearray(data)
    left: list[Corrupt] = []
    for one in corruptions:
        start, stop = one.skip, min(one.skip + one.count, len(out))
        for place in range(start, stop):
            out[place] ^= one.mask
        done = max(0, stop - start)
        if done < one.count:
            left.append(Corrupt(one.direction, max(0, one.skip - len(out)), one.count - done, one.mask))
    corruptions[:] = left
    return bytes(out)


def reset(sock: socket.socket) -> None:
    """Close a socket so that its peer sees a reset connection."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass
    sock.close()
