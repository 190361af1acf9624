"""Whole messages taken straight out of what a socket gave; everything else is left to the protocol library. Pure.

Nearly every frame that a server gets is a whole text message: masked, not fragmented, short. Taking it needs a few bytes of
its head (RFC 6455, 5.2), a tenth of what a general parser does. Control frames, fragments, long messages and whatever is
unusual or wrong go to the protocol byte for byte, in order, so that all rules and limits stay in one place.
"""

from __future__ import annotations

from collections.abc import Iterator

from .library import apply_mask

__all__ = ["Splitter"]

HELD = 4096  # bytes of an incomplete frame that wait here for the rest; longer ones wait in the protocol
_TEXT, _BINARY = 0x81, 0x82  # final, no extension
_USUAL = b"\x81\xfe"  # a text, masked, of 126 to 65,535 bytes


class Splitter:
    """Splits the bytes of one connection, from a client to a server.

    :param longest: bytes of a message that may be taken here.
    """

    __slots__ = ("_fragmented", "_longest", "_owed", "_rest")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""  # the beginning of a frame
        self._owed = 0  # bytes still to come of a frame whose beginning the protocol has
        self._fragmented = False  # within a message of several frames

    def whole_text(self, data: bytes) -> bytes | None:
        """The text, where *data* is just one message of the usual kind and size; else nothing has happened."""
        if data[:2] != _USUAL or len(data) != 8 + int.from_bytes(data[2:4], "big"):
            return None
        if self._rest or self._owed or self._fragmented or len(data) - 8 > self._longest:
            return None
        return apply_mask(data[8:], data[4:8])

    def split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """What came, in order: ``(1, text)`` and ``(2, bytes)`` are whole messages, ``(0, bytes)`` is for the protocol."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        position, length = 0, len(data)
        if self._owed:
            position = min(self._owed, length)
            self._owed -= position
            yield 0, data[:position]
        while position < length:
            kind, begin, end = self._frame(data, position, length)
            if end > length and end - position <= HELD and end - begin <= self._longest:
                self._rest = data[position:]  # incomplete
                return
            start, position = position, end
            if kind and end <= length:
                yield kind, apply_mask(data[begin:end], data[begin - 4 : begin])
                continue
            self._follow(data[start])
            self._owed = max(0, end - length)
            yield 0, data[start:end]

    def _frame(self, data: bytes, position: int, length: int) -> tuple[int, int, int]:
        """Kind, and where the payload begins and ends; an incomplete head is that of an incomplete frame."""
        begin = position + 2
        if begin > length:
            return 0, length, length + 1
        size = data[position + 1]
        masked = size & 0x80
        size &= 0x7F
        if size > 125:
            width = 2 if size == 126 else 8
            if begin + width > length:
                return 0, length, length + 1
            size = int.from_bytes(data[begin : begin + width], "big")
            begin += width
        if masked:
            begin += 4
        first = data[position]
        whole = (first in (_TEXT, _BINARY)) and masked and not self._fragmented and size <= self._longest
        return (first & 0x0F if whole else 0), begin, begin + size

    def _follow(self, first: int) -> None:
        """Store whether the next frame belongs to a started message."""
        opcode, final = first & 0x0F, first & 0x80
        if opcode in (1, 2):
            self._fragmented = not final
        elif opcode == 0 and final:
            self._fragmented = False
