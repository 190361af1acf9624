"""Build the WebSocket upgrade request and validate the response (RFC 6455, section 4.1).

This module checks the status line and the ``Upgrade``, ``Connection`` and ``Sec-WebSocket-Accept`` headers. It ignores all other
content of the response, including cookies and malformed header lines.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from ..protocol.results import is_server_trouble

__all__ = ["Head", "NoUpgrade", "NotPlain", "accept_value", "check", "read_head", "request", "was_refused"]

#: Maximum size of a response head in bytes, including interim responses.
MAX_HEAD: Final = 256 * 1024
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_STATUS: Final = r"HTTP/[0-9]\.[0-9] +([1-9][0-9]{2})(?: (.*))?"
_END: Final = (b"\n\r\n", b"\n\n")
#: The first bytes of an answer from a TLS server that received plain text. They start an alert or a handshake record.
_TLS: Final = (b"\x15\x03", b"\x16\x03")


class NoUpgrade(ValueError):
    """The response does not complete the upgrade.

    :param message: rest of an error message that starts with the server's address.
    :param refused: whether another attempt is likely to get the same response.
    """

    def __init__(self, message: str, *, refused: bool = True) -> None:
        super().__init__(message)
        self.refused = refused


class NotPlain(NoUpgrade):
    """The peer answered with TLS on a plain connection."""


def was_refused(error: BaseException) -> bool:
    """Return whether a connection attempt failed because the server refused the upgrade."""
    cause = error.__cause__
    return isinstance(cause, NoUpgrade) and cause.refused


class Head(NamedTuple):
    """Status line and headers of a response.

    :ivar status: status code.
    :ivar reason: reason phrase of the status line.
    :ivar fields: header values by lower-case name. Repeated headers are joined with commas.
    """

    status: int
    reason: str
    fields: dict[str, str]

    def tokens(self, name: str) -> list[str]:
        """Return a comma-separated header's elements, in lower case."""
        return [part.strip().lower() for part in self.fields.get(name, "").split(",")]


def request(host: str, key: str, path: str = "/", *further: str) -> bytes:
    """Return the upgrade request.

    :param host: value of the ``Host`` header. It includes the port unless that is the default port of the scheme.
    :param key: value of the ``Sec-WebSocket-Key`` header, which is 16 random bytes in base64.
    :param path: path of the request; RELAY URLs have none.
    :param further: further header lines.
    """
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        *further,
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def read_head(receive: Callable[[], bytes]) -> Head:
    """Read the final response's head, and skip interim responses such as 100 or 103. Do not read beyond the head.

    :param receive: function that returns the next byte, or ``b""`` at the end of the stream.
    :raises NoUpgrade: the response is not HTTP, or its head is too long or incomplete.
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
                raise NotPlain("answered with TLS, but a plain connection was expected")
            left -= 1
            if left < 0:
                raise NoUpgrade(f"did not answer as a WebSocket (the response head exceeds {MAX_HEAD} bytes)")
        head = _parsed(raw.decode("latin-1"))
        if not 100 <= head.status < 200 or head.status == 101:
            return head


def _cut_off(raw: bytes) -> str:
    how = "in the middle of the response" if raw else "without a response"
    return f"did not answer as a WebSocket (the connection was closed {how})"


def _parsed(text: str) -> Head:
    first, *lines = text.replace("\r\n", "\n").split("\n")
    found = re.fullmatch(_STATUS, first)
    if found is None:
        raise NoUpgrade("did not answer as a WebSocket (the response is not HTTP)")
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t"):  # a folded line continues the previous one
            if name:
                fields[name] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower() if colon else ""
        if name:
            fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
    return Head(int(found[1]), found[2] or "", fields)


def accept_value(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` value for a key."""
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode(), usedforsecurity=False).digest()).decode()


def check(head: Head, key: str) -> None:
    """Check that a response completes the upgrade.

    :param key: key of the request.
    :raises NoUpgrade: the status or a header is invalid.
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
        raise NoUpgrade("did not answer as a WebSocket (Sec-WebSocket-Accept is missing or does not match the request)")
