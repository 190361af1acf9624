"""Extract complete messages from received bytes, without a general frame parser where possible.

Nearly every frame that a server receives is a complete text message: masked, unfragmented and short. Such a frame can
be recognized from the first bytes of its header (RFC 6455, section 5.2) at a tenth of a general parser's cost. All
other data (control frames, fragments, long messages, and unusual or invalid frames) is passed to the protocol library
unchanged and in order. The library alone therefore enforces the protocol's rules and limits.
"""

from __future__ import annotations

from collections.abc import Iterator

from .library import apply_mask

__all__ = ["Splitter"]

HELD = 4096  # maximum size of an incomplete frame to buffer here; longer ones are buffered by the protocol library
_TEXT, _BINARY = 0x81, 0x82  # final frame without extensions
_USUAL = b"\x81\xfe"  # a masked text frame of 126 to 65,535 bytes


class Splitter:
    """Message extractor for the bytes that one client sends to a server.

    :param longest: maximum size of an extracted message, in bytes.
    """

    __slots__ = ("_fragmented", "_longest", "_owed", "_rest")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = b""  # the start of an incomplete frame
        self._owed = 0  # remaining bytes of a frame whose start was passed to the protocol
        self._fragmented = False  # inside a fragmented message

    @property
    def between(self) -> bool:
        """Whether the next byte begins a message."""
        return not (self._rest or self._owed or self._fragmented)

    def size_of_text(self, data: bytes) -> int:
        """Return the size of ``data`` if it begins with a usual text message's header and ends with that message, otherwise 0.

        Other data of the same size that begins with the same header is then one text message as well.
        """
        size = len(data)
        usual = data[:2] == _USUAL and size >= 8 and size == 8 + int.from_bytes(data[2:4], "big") <= self._longest + 8
        return size if usual else 0

    def split(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the received data in order.

        ``(1, text)`` and ``(2, bytes)`` are complete messages. ``(0, bytes)`` is data for the protocol library.
        """
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
        """Return the frame's kind and where its payload starts and ends.

        If the header is incomplete, the returned end lies beyond the data, as for any incomplete frame.
        """
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
        """Record whether the next frame continues a fragmented message."""
        opcode, final = first & 0x0F, first & 0x80
        if opcode in (1, 2):
            self._fragmented = not final
        elif opcode == 0 and final:
            self._fragmented = False
