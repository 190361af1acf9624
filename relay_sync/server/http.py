"""Minimal HTTP for a WebSocket server: request and response heads, and complete responses.

``websockets`` performs the upgrade. This module parses the request before the upgrade, and builds responses to refused
requests and to non-WebSocket requests such as health checks. It performs no I/O.
"""

from __future__ import annotations

import binascii
import http
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from attrs import field, frozen

__all__ = [
    "BadRequest",
    "Headers",
    "HttpRequest",
    "Response",
    "body_length",
    "check_upgrade",
    "head_end",
    "parse_request",
    "parse_status",
    "upgrade_head",
]

MAX_HEAD = 16384  # maximum size of the request line and headers together, in bytes; the usual limit of web servers
_TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TARGET = re.compile(r"[\x21-\x7e]+")
_ABSOLUTE = re.compile(r"(?:https?|wss?)://[^/?#]+(?=[/?]|$)", re.IGNORECASE)
_TLS = b"\x16\x03"  # the first bytes of a TLS handshake
_PROXY_1, _PROXY_2 = b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n"
_NO_PROXY_PROTOCOL = (
    "the PROXY protocol is not supported: turn it off for this port in the load balancer (nginx: proxy_protocol,"
    " HAProxy: send-proxy)"
)


class BadRequest(ValueError):
    """An invalid or unsupported request or response head. The message contains no data from the peer.

    :ivar status: the HTTP status of the response.
    :ivar kind: a fixed short name for this kind of problem.
    """

    def __init__(self, status: int, message: str, kind: str = "not HTTP") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class Headers(Mapping[str, str]):
    """Case-insensitive header fields.

    Fields with the same name are combined into one value, joined by ``", "`` (RFC 9110, section 5.2).
    """

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            key = name.lower()
            self._fields[key] = f"{self._fields[key]}, {value}" if key in self._fields else value

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:  # omit the values, which may be secret
        return f"<Headers {', '.join(self._fields)}>"


@frozen(kw_only=True)
class HttpRequest:
    """A request that the server receives before the upgrade.

    :ivar method: the method as sent, such as ``GET`` or ``HEAD``.
    :ivar path: the percent-encoded path, without the query.
    :ivar query: the part after the question mark, or ``""``.
    :ivar headers: the header fields.
    :ivar remote: the peer's address, as ``address:port``.
    :ivar version: ``HTTP/1.1`` or ``HTTP/1.0``.
    :ivar on_loopback: whether the request arrived at an address that only this machine can reach.
    :ivar body: the request body, if the server accepts bodies; see ``WebSocketServer``.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Headers = field(factory=Headers)
    remote: str = ""
    version: str = "HTTP/1.1"
    on_loopback: bool = False
    body: bytes = field(default=b"", repr=lambda body: f"<{len(body)} bytes>")

    @property
    def is_upgrade(self) -> bool:
        """Whether this is a request for a WebSocket upgrade."""
        return "websocket" in _listed(self.headers.get("upgrade", ""))


@frozen
class Response:
    """A complete HTTP response, after which the connection closes."""

    status: int
    headers: Mapping[str, str] = field(factory=dict)
    body: bytes = b""

    def serialize(self, *, head_only: bool = False) -> bytes:
        """Return the response as bytes. If ``head_only`` is true, leave out the body, as required for HEAD."""
        try:
            phrase = http.HTTPStatus(self.status).phrase
        except ValueError:
            phrase = ""
        given = {name.lower() for name in self.headers}
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines.append(f"Content-Length: {len(self.body)}")
        if "connection" not in given:
            lines.append("Connection: close")
        if self.body and "content-type" not in given:
            lines.append("Content-Type: text/plain; charset=utf-8")
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header of the response contains a line break")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        return head if head_only else head + self.body


def head_end(data: bytes | bytearray) -> int:
    """Return the length of the head in ``data``, including the blank line, or -1 if the head is incomplete.

    :raises BadRequest: the head is longer than 16 KiB (status 431), or the data is not HTTP, for example TLS or the
        PROXY protocol (status 400).
    """
    if data and not data[:1].isalpha():
        if _PROXY_2.startswith(data[: len(_PROXY_2)]):
            if len(data) < len(_PROXY_2):
                return -1
            raise BadRequest(400, _NO_PROXY_PROTOCOL, "PROXY")
        if data[:2] == _TLS:
            raise BadRequest(400, "TLS on a port without TLS", "TLS")
        raise BadRequest(400, "not HTTP")
    if data.startswith(_PROXY_1):
        raise BadRequest(400, _NO_PROXY_PROTOCOL, "PROXY")
    end = data.find(b"\r\n\r\n")
    if (len(data) if end < 0 else end) > MAX_HEAD:
        raise BadRequest(431, f"the request has more than {MAX_HEAD} bytes of headers (large cookies?)", "large head")
    return -1 if end < 0 else end + 4


def parse_request(head: bytes, remote: str = "", *, on_loopback: bool = False) -> HttpRequest:
    """Parse a request head, including the blank line.

    :param remote: the peer's address.
    :param on_loopback: whether the request arrived at a loopback address.
    :raises BadRequest: the head is not a valid HTTP request.
    """
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    parts = start.split(" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise BadRequest(400, "not an HTTP request")
    method, target, version = parts
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(505, "only HTTP/1.1 is supported: configure the proxy to use it", "HTTP version")
    absolute = _ABSOLUTE.match(target)
    if absolute is not None:
        target = target[absolute.end() :]
        target = target if target.startswith("/") else "/" + target
    path, _, query = target.partition("?")
    return HttpRequest(
        method=method,
        path=path,
        query=query,
        headers=_parse_fields(lines),
        remote=remote,
        version=version,
        on_loopback=on_loopback,
    )


def _parse_fields(lines: list[str]) -> Headers:
    fields = []
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadRequest(400, "invalid header line", "bad header")
        fields.append((name, value))
    return Headers(fields)


def check_upgrade(request: HttpRequest) -> None:
    """Check that a WebSocket upgrade request is valid (RFC 6455, section 4.2.1).

    :raises BadRequest: the request is not valid. The message names the usual cause.
    """
    headers = request.headers
    if request.version != "HTTP/1.1":
        raise BadRequest(
            400,
            f"an upgrade to WebSocket needs HTTP/1.1, and this is {request.version}: set the proxy to HTTP/1.1 (nginx:"
            " proxy_http_version 1.1;)",
            "HTTP version",
        )
    if "upgrade" not in _listed(headers.get("connection", "")):
        raise BadRequest(
            400,
            "an upgrade to WebSocket needs the header Connection: Upgrade: have the proxy send it (nginx:"
            ' proxy_set_header Connection "upgrade";)',
            "no Connection header",
        )
    if not _is_key(headers.get("sec-websocket-key", "")):
        raise BadRequest(
            400,
            "an upgrade to WebSocket needs a valid Sec-WebSocket-Key: does the proxy forward the Sec-WebSocket headers?",
            "bad key",
        )
    if headers.get("sec-websocket-version", "").strip() != "13":
        raise BadRequest(426, "only version 13 of the WebSocket protocol is supported", "WebSocket version")


def _listed(value: str) -> list[str]:
    """Split a comma-separated header value into lowercase elements."""
    return [each.strip().lower() for each in value.split(",")]


def _is_key(value: str) -> bool:
    try:
        return len(binascii.a2b_base64(value.encode("ascii"), strict_mode=True)) == 16
    except (ValueError, UnicodeError):
        return False


def upgrade_head(request: HttpRequest, subprotocols: Collection[str]) -> bytes:
    """Return an upgrade request's head, reduced to the fields that WebSocket needs.

    Other headers are left out, because an empty, malformed or very long header must not make the ``websockets`` package
    refuse the upgrade. The request must have passed :func:`check_upgrade`.

    :param subprotocols: offered subprotocols to keep.
    """
    offered = [each.strip() for each in request.headers.get("sec-websocket-protocol", "").split(",")]
    kept = [each for each in dict.fromkeys(offered) if each in subprotocols]
    lines = [
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {request.headers['sec-websocket-key']}",
        "Sec-WebSocket-Version: 13",
        *([f"Sec-WebSocket-Protocol: {', '.join(kept)}"] if kept else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def body_length(request: HttpRequest, most: int) -> int:
    """Return the length of the request body in bytes, or 0 if there is no body or the request is an upgrade.

    :param most: maximum body length, in bytes.
    :raises BadRequest: the body is too long (413), its length is missing (411), or its length is invalid (400).
    """
    if request.is_upgrade:
        return 0
    if "transfer-encoding" in request.headers:
        raise BadRequest(411, "Content-Length is required; chunked bodies are not supported")
    text = request.headers.get("content-length", "0")
    if not re.fullmatch("[0-9]{1,15}", text):
        raise BadRequest(400, "invalid Content-Length")
    if int(text) > most:
        raise BadRequest(413, f"the body is larger than {most} bytes")
    return int(text)


def parse_status(head: bytes) -> tuple[int, Headers]:
    """Parse a response head, and return its status code and header fields.

    :raises BadRequest: the head is not a valid HTTP response.
    """
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    match = re.fullmatch(r"HTTP/1\.[01] ([1-5][0-9][0-9])(?: .*)?", start)
    if match is None:
        raise BadRequest(502, "the response is not HTTP")
    return int(match[1]), _parse_fields(lines)
