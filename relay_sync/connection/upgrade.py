"""The upgrade from HTTP to WebSocket: what is asked, and which answers are taken (RFC 6455, section 4.1).

Of an answer's head only what decides is looked at: status, ``Upgrade``, ``Connection`` and ``Sec-WebSocket-Accept``. Nothing
else in it can end a connection: no cookie, encoding, folded line or line without a colon.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from ..protocol.results import is_server_trouble

__all__ = ["Head", "NoUpgrade", "NotPlain", "accept_value", "check", "read_head", "request", "was_refused"]

#: Bytes that a head may have, interim answers included.
MAX_HEAD: Final = 256 * 1024
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STATUS: Final = r"HTTP/[0-9]\.[0-9] +([1-9][0-9]{2})(?: (.*))?"
_END: Final = (b"\n\r\n", b"\n\n")
#: How a TLS record of a server begins that was spoken to in plain text: an alert, or a handshake.
_TLS: Final = (b"\x15\x03", b"\x16\x03")


class NoUpgrade(ValueError):
    """The answer is no upgrade. The message goes on where the server's address ends.

    :param refused: whether the next attempt is likely to be answered alike.
    """

    def __init__(self, message: str, *, refused: bool = True) -> None:
        super().__init__(message)
        self.refused = refused


class NotPlain(NoUpgrade):
    """The answer is TLS where plain text was expected."""


def was_refused(error: BaseException) -> bool:
    """Whether a dial failed because the server, or whoever is there in its place, answered and said no."""
    cause = error.__cause__
    return isinstance(cause, NoUpgrade) and cause.refused


class Head(NamedTuple):
    """The head of an answer.

    :ivar reason: the words of the status line.
    :ivar fields: names in lower case; repeated ones joined with commas.
    """

    status: int
    reason: str
    fields: dict[str, str]

    def tokens(self, name: str) -> list[str]:
        """The values of a field that is a list, in lower case."""
        return [part.strip().lower() for part in self.fields.get(name, "").split(",")]


def request(host: str, key: str) -> bytes:
    """The request for an upgrade.

    :param host: with its port, where that is not the scheme's own.
    :param key: 16 random bytes in base64.
    """
    lines = [
        "GET / HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def read_head(receive: Callable[[], bytes]) -> Head:
    """Read the head of an answer, and not a byte of what follows.

    Interim answers (100, 103) are passed over.

    :param receive: the next byte, or ``b""`` at the end.
    :raises NoUpgrade: this is no HTTP, the head is too long, or it ends too early.
    """
    left = MAX_HEAD
    while True:
        raw = bytearray()
        while not raw.endswith(_END) and not (len(raw) <= 2 and raw.endswith(b"\n")):
            byte = receive()
            if not byte:
                raise NoUpgrade(_cut_off(bytes(raw)), refused=False)
            raw += byte
            if raw.startswith(_TLS):
                raise NotPlain("answered with TLS, where a plain connection was expected")
            left -= 1
            if left < 0:
                raise NoUpgrade(f"did not answer as a WebSocket (its head has more than {MAX_HEAD} bytes)")
        head = _parsed(raw.decode("latin-1"))
        if not 100 <= head.status < 200 or head.status == 101:
            return head


def _cut_off(raw: bytes) -> str:
    how = "in the middle of its answer" if raw else "without an answer"
    return f"did not answer as a WebSocket (the connection was closed {how})"


def _parsed(text: str) -> Head:
    first, *lines = text.replace("\r\n", "\n").split("\n")
    found = re.fullmatch(_STATUS, first)
    if found is None:
        raise NoUpgrade("did not answer as a WebSocket (this is no HTTP)")
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t"):  # a folded line goes on where the one before it ended
            if name:
                fields[name] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
    return Head(int(found[1]), found[2] or "", fields)


def accept_value(key: str) -> str:
    """The ``Sec-WebSocket-Accept`` that belongs to a key."""
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()


def check(head: Head, key: str) -> None:
    """Take an answer as the upgrade that was asked for.

    :raises NoUpgrade: it is something else.
    """
    if head.status != 101:
        raise NoUpgrade(
            f"answered HTTP {head.status} instead of a WebSocket", refused=not is_server_trouble(head.status)
        )
    for name, wanted in (("Upgrade", "websocket"), ("Connection", "upgrade")):
        if wanted not in head.tokens(name.lower()):
            raise NoUpgrade(f"did not answer as a WebSocket (HTTP 101 without {name}: {wanted})")
    accepted = {part.strip() for part in head.fields.get("sec-websocket-accept", "").split(",")}
    if accepted != {accept_value(key)}:
        raise NoUpgrade(
            "did not answer as a WebSocket (its Sec-WebSocket-Accept is missing, or is not the answer to this request)"
        )
