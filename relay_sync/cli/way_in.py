"""The connection that the platform opens for a stream, made from this machine one step at a time."""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from ..connection import upgrade
from ..connection.addresses import AddressInfo, connect_any, time_left
from ..connection.transport import FedWebSocket, read_head, tunnel
from ..deadline import Deadline
from ..hosts.authorities import begin_tls
from ..hosts.listening import shown_address
from ..hosts.names import USUAL_PORTS, bare, bracketed, look_up
from ..hosts.proxies import Proxy, find_proxy
from ..text.secrecy import hide

__all__ = ["Answer", "Lost", "Silent", "WayIn", "printable"]

#: Maximum number of bytes of a response's body to read: enough to recognize an error page.
MOST_BODY: Final = 4096
_BODY_PATIENCE: Final = 1.0  # maximum time to wait for the body of a refusal, in seconds
#: Maximum number of addresses of a name to try separately.
MOST_ADDRESSES: Final = 8
_ADDRESS_PATIENCE: Final = 3.0  # maximum time to wait for one address of several, in seconds
_MOST_MESSAGE: Final = 2**20  # maximum size of a received message, in bytes
#: Maximum number of characters of the peer's words to print.
SHOWN: Final = 200


class Lost(Exception):
    """The connection ended, or a message could not be sent or received in time."""


class Silent(Lost):
    """No message arrived in time. The connection is still open."""


@frozen
class Answer:
    """Response to the upgrade request.

    :ivar status: the HTTP status.
    :ivar fields: header values by lower-case name.
    :ivar body: the beginning of the body; empty after a successful upgrade.
    """

    status: int
    fields: Mapping[str, str]
    body: str = ""


class WayIn:
    """One connection from the outside to a receiver. Each step may raise and has a timeout of its own.

    :param url: the ``ws://`` or ``wss://`` URL that the platform would open.
    :param timeout: timeout of each step, in seconds.
    :ivar url: the URL.
    :ivar timeout: timeout of each step, in seconds.
    :ivar host: host name or address in the URL.
    :ivar port: port in the URL, or the scheme's default port.
    :ivar path: path in the URL.
    :ivar secure: whether the URL requires TLS.
    :ivar proxy: proxy of this machine's environment through which the connection is opened, or ``None``.
    :raises Unusable: the proxy setting in the environment is invalid.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        self.url: str = url
        self.timeout: float = timeout
        self.host: str = bare(parts.hostname or "")
        self.secure: bool = parts.scheme == "wss"
        self.port: int = parts.port or USUAL_PORTS[parts.scheme]
        self.path: str = parts.path or "/"
        self.proxy: Proxy | None = find_proxy(self.host, self.port, secure=self.secure)
        self._sock: socket.socket | None = None
        self._ws: FedWebSocket | None = None
        self._messages: list[str] = []

    @property
    def address(self) -> str:
        """Host and port."""
        return shown_address((self.host, self.port))

    @property
    def place(self) -> str:
        """Host and port, as in a ``Host`` header: without the scheme's default port."""
        usual = USUAL_PORTS["wss" if self.secure else "ws"]
        return bracketed(self.host) + ("" if self.port == usual else f":{self.port}")

    def resolve(self) -> list[AddressInfo]:
        """Look up the host.

        :return: the addresses, each once.
        :raises OSError: the name does not exist, or the lookup took too long.
        :raises UnicodeError: the host is not a valid name.
        """
        return list({info[4][0]: info for info in look_up(self.host, self.port, self.timeout)}.values())

    def connect(self, addresses: list[AddressInfo]) -> None:
        """Open the TCP connection, through the proxy if there is one.

        :param addresses: addresses to try. They are ignored if there is a proxy, which looks up the host itself.
        :raises RelayError: the proxy refused.
        :raises OSError: no address accepts connections; if there is a proxy, none of its addresses does.
        :raises UnicodeError: the proxy's host is not a valid name.
        """
        deadline = self._deadline()
        if self.proxy is not None:
            addresses = look_up(self.proxy.host, self.proxy.port, self.timeout)
        self._sock = connect_any(addresses, deadline)
        if self.proxy is not None:
            tunnel(self._sock, self.address, self.proxy, deadline)

    def silent_among(self, addresses: list[AddressInfo]) -> list[tuple[str, str]]:
        """Try each address separately.

        :return: the addresses that do not accept connections, and why. Addresses to which this machine has no route are left out.
        """
        found = []
        for info in addresses[:MOST_ADDRESSES] if len(addresses) > 1 else []:
            try:
                connect_any([info], Deadline.after(time.monotonic(), min(self.timeout, _ADDRESS_PATIENCE))).close()
            except ConnectionRefusedError:
                found.append((str(info[4][0]), "it refuses connections"))
            except TimeoutError:
                found.append((str(info[4][0]), "it does not answer"))
            except OSError:  # no route, as for IPv6 in many networks
                pass
        return found

    def secured(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Return the socket with TLS, before the handshake, which the caller performs.

        :param context: TLS context.
        :raises OSError: the connection is closed.
        """
        sock = self._open_socket()
        sock.settimeout(self.timeout)
        self._sock = secured = begin_tls(context, sock, self.host)
        return secured

    def trusted_by(self, context: ssl.SSLContext, addresses: list[AddressInfo]) -> bool:
        """Open another connection, and return whether its certificate is trusted.

        :param context: the context that decides.
        :param addresses: as for :meth:`connect`.
        :raises RelayError: the proxy refused.
        :raises OSError: the connection failed.
        """
        other = WayIn(self.url, self.timeout)
        try:
            other.connect(addresses)
            other.secured(context).do_handshake()
        except ssl.SSLCertVerificationError:
            return False
        finally:
            other.close()
        return True

    def upgrade(self, token: str) -> Answer:
        """Ask for the WebSocket.

        :param token: bearer token to present.
        :raises NoUpgrade: the response is not HTTP, or it is a 101 response that is no WebSocket.
        :raises OSError: the connection failed, or no response arrived in time.
        """
        sock, deadline = self._open_socket(), self._deadline()
        key = base64.b64encode(os.urandom(16)).decode()
        sock.settimeout(time_left(deadline))
        try:
            sock.sendall(upgrade.request(self.place, key, self.path, f"Authorization: Bearer {token}"))
        except TimeoutError:
            raise
        except OSError:
            # The peer has closed the connection. It may have said why: with TLS 1.3, a refusal comes after the handshake.
            pass
        head = read_head(sock, deadline)
        if head.status != 101:
            return Answer(head.status, head.fields, self._body(sock, head.fields.get("content-length", "")))
        upgrade.check(head, key)
        self._ws = FedWebSocket(_MOST_MESSAGE, sock)
        return Answer(head.status, head.fields)

    def send(self, *messages: str) -> None:
        """Send text messages.

        :raises Lost: the connection is closed, or the peer does not read.
        """
        ws, deadline = self._open_websocket(), self._deadline()
        for message in messages:
            ws.text_frame(message)
        try:
            self._flush(ws, deadline)
        except OSError as error:  # includes TimeoutError: the peer does not read
            raise Lost(str(error)) from error

    def receive(self, timeout: float) -> str:
        """Return the next text message.

        :param timeout: maximum time to wait, in seconds.
        :raises Lost: the connection was closed, or no message arrived in time.
        """
        ws = self._open_websocket()
        deadline = Deadline.after(time.monotonic(), timeout)
        try:
            while not self._messages:
                ws.socket.settimeout(time_left(deadline))
                data = ws.read(65536)
                if data == b"":
                    raise Lost("the connection was closed without a close frame")
                self._messages, broken = ws.feed(data or b"")
                self._flush(ws, deadline)
                if broken is not None and not self._messages:
                    raise Lost(broken.reason)
        except TimeoutError as error:
            raise Silent(f"nothing arrived within {timeout:g} s") from error
        except OSError as error:
            raise Lost(str(error)) from error
        return self._messages.pop(0)

    def close(self) -> None:
        """Close the connection."""
        if self._sock is not None:
            self._sock.close()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _deadline(self) -> Deadline:
        return Deadline.after(time.monotonic(), self.timeout)

    def _open_socket(self) -> socket.socket:
        assert self._sock is not None, "connect() comes first"
        return self._sock

    def _open_websocket(self) -> FedWebSocket:
        assert self._ws is not None, "upgrade() comes first"
        return self._ws

    def _flush(self, ws: FedWebSocket, deadline: Deadline) -> None:
        while ws.outbox:
            ws.socket.settimeout(time_left(deadline))
            written = ws.write(ws.outbox[0])
            ws.outbox[0] = ws.outbox[0][written:]
            if not ws.outbox[0]:
                del ws.outbox[0]

    def _body(self, sock: socket.socket, length: str) -> str:
        """Return the beginning of a refusal's body. An incomplete body is enough."""
        body = bytearray()
        most = min(int(length), MOST_BODY) if re.fullmatch("[0-9]{1,9}", length) else MOST_BODY
        deadline = Deadline.after(time.monotonic(), min(_BODY_PATIENCE, self.timeout))
        try:
            while len(body) < most:
                sock.settimeout(time_left(deadline))
                data = sock.recv(MOST_BODY)
                if not data:
                    break
                body += data
        except OSError:  # a kept-alive connection stays open after the body
            pass
        return body.decode("utf-8", "replace")


def printable(words: object, *, most: int = SHOWN) -> str:
    """Return the peer's words without secrets and unprintable characters.

    :param words: the words.
    :param most: maximum number of characters; the rest is left out.
    """
    # Hide first: the beginning of a secret would not be recognized as one.
    return hide("".join(filter(str.isprintable, str(words))))[:most]
