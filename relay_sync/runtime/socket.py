"""The only module that knows websocket-client: dialling, TLS, bytes in and bytes out.

websocket-client does the upgrade, writes frames and judges control frames and fragments. It is fed with whole frames whose
boundaries and announced sizes were checked here, so it never waits for bytes and never buffers more than is allowed; plain
text frames, nearly all there are, take a short way past it.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
import sys
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

import websocket
from attrs import frozen

from ..config import Config
from ..errors import ConnectError, ConnectTimeout
from ..hosts import is_loopback
from ..protocol.deadline import Deadline
from .addresses import open_tcp, time_left

__all__ = ["Broken", "FedWebSocket", "as_error", "dial", "proxy_for"]

_TEXT: Final = 0x81  # FIN and opcode 1
_KEYS: Final = 4096  # bytes of mask keys that are fetched at once
_MAX_FRAGMENTS: Final = 1000
_WRITE_AT_ONCE: Final = 256 * 1024
_NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_PROXY_ANSWER: Final = 16 * 1024


@frozen
class Broken:
    """Why nothing more will come from a connection."""

    reason: str


class _Starved(Exception):
    """The parser asked for more than the frames it was given."""


class _Fragments(websocket.continuous_frame):  # type: ignore[misc,unused-ignore]
    """Joins fragments in place: the library would copy the message once for each of them."""

    def add(self, frame: websocket.ABNF) -> None:
        if not frame.fin and not self.cont_data:
            frame.data = bytearray(frame.data)  # type: ignore[assignment,arg-type,unused-ignore]
        super().add(frame)


class FedWebSocket(websocket.WebSocket):  # type: ignore[misc,unused-ignore]
    """A connected WebSocket that is fed with bytes and fills an outbox; it never touches its socket itself."""

    def __init__(self, max_message: int) -> None:
        # decode() below is the strict check of UTF-8, at a thousandth of the cost of the library's own.
        super().__init__(enable_multithread=False, skip_utf8_validation=True)
        self.cont_frame = _Fragments(fire_cont_frame=False, skip_utf8_validation=True)
        self.outbox: list[bytes] = []
        self._max_message = max_message
        self._unread = bytearray()
        self._serving = memoryview(b"")
        self._fragments = 0
        self._fragments_size = 0
        self._broken: Broken | None = None
        self._keys = b""
        self._keys_used = 0

    # The two seams of websocket-client, unchanged since 2014; a differential fuzz in the tests guards them.

    def _send(self, data: str | bytes) -> int:
        self.outbox.append(data if isinstance(data, bytes) else data.encode("latin-1"))
        return len(data)

    def _recv(self, bufsize: int) -> bytes:
        if not self._serving:
            raise _Starved
        taken = bytes(self._serving[:bufsize])
        self._serving = self._serving[bufsize:]
        return taken

    @property
    def socket(self) -> socket.socket:
        """The connected socket, non-blocking; whoever asks for it owns it."""
        assert self.sock is not None
        return self.sock

    @property
    def secure(self) -> bool:
        """Whether it runs over TLS, which keeps bytes to itself that no selector knows of."""
        return isinstance(self.sock, ssl.SSLSocket)

    @property
    def holds_bytes(self) -> bool:
        """Whether TLS has bytes that were read from the kernel already."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def read(self, limit: int) -> bytes | None:
        """Bytes from the socket; ``b""`` at its end, ``None`` when there are none now.

        :raises OSError: the connection broke.
        """
        try:
            return self.socket.recv(limit)
        except _NOT_NOW:
            return None

    def write(self, data: bytearray) -> int:
        """Hand bytes to the socket; how many it took, 0 when it takes none now.

        :raises OSError: the connection broke.
        """
        try:
            with memoryview(data) as view:
                return self.socket.send(view[:_WRITE_AT_ONCE])
        except _NOT_NOW:
            return 0

    def discard(self) -> None:
        """Close the socket of a connection that nobody wants any more."""
        self.socket.close()

    def text_frame(self, text: str) -> None:
        """Put one text message into the outbox.

        The short way for nearly all that is ever sent; the library's takes five times as long (RFC 6455, section 5).
        """
        data = text.encode()
        size = len(data)
        if size < 126:
            head = bytes((_TEXT, 0x80 | size))
        elif size < 65536:
            head = b"\x81\xfe" + size.to_bytes(2, "big")
        else:
            head = b"\x81\xff" + size.to_bytes(8, "big")
        key = self._mask_key()
        mask = int.from_bytes((key * (size // 4 + 1))[:size], "little")
        self.outbox.append(head + key + (int.from_bytes(data, "little") ^ mask).to_bytes(size, "little"))

    def _mask_key(self) -> bytes:
        # Asking the system for each frame anew would be a fifth of what an acknowledgement costs.
        if self._keys_used >= len(self._keys):
            self._keys = os.urandom(_KEYS)
            self._keys_used = 0
        used = self._keys_used
        self._keys_used = used + 4
        return self._keys[used : used + 4]

    def feed(self, data: bytes) -> tuple[list[str], Broken | None]:
        """Take bytes from the peer.

        :return: the text messages that are complete now, and what ended the connection, if anything did. What was decoded
            before the end is never lost. After the end there is nothing but the end.
        """
        messages: list[str] = []
        if self._broken is None:
            self._broken = self._parse(data, messages)
        return messages, self._broken

    def _parse(self, data: bytes, messages: list[str]) -> Broken | None:
        unread = self._unread
        unread += data
        start = 0
        size = len(unread)
        try:
            while size - start >= 2:
                header, length = _frame_size(unread, start, size)
                if header == 0:
                    break
                if length > self._max_message:
                    return self._refuse(1009, f"a message of {length} bytes; at most {self._max_message} are allowed")
                end = start + header + length
                if end > size:
                    break
                if unread[start] == _TEXT and not unread[start + 1] & 0x80 and not self._fragments:
                    messages.append(str(memoryview(unread)[start + header : end], "utf-8"))
                else:
                    broken = self._slow(bytes(memoryview(unread)[start:end]), length, messages)
                    if broken is not None:
                        return broken
                start = end
        except UnicodeDecodeError:
            return self._refuse(1007, "a text message that is not UTF-8")
        finally:
            del unread[:start]
        return None

    def _slow(self, frame: bytes, length: int, messages: list[str]) -> Broken | None:
        """Control frames, fragments, masked and broken frames: websocket-client judges them."""
        opcode = frame[0] & 0x0F
        if opcode < 8:
            self._fragments += 1
            self._fragments_size += length
            if self._fragments > _MAX_FRAGMENTS or self._fragments_size > self._max_message:
                return self._refuse(1009, "a message in too many fragments, or too large")
        self._serving = memoryview(frame)
        try:
            kind, whole = self.recv_data_frame(control_frame=True)
        except _Starved:
            return None  # a fragment; the message goes on
        except Exception as error:  # the library raises many kinds on hostile frames
            return self._refuse(1002, f"a frame that breaks the protocol ({type(error).__name__})")
        if kind == websocket.ABNF.OPCODE_CLOSE:
            return Broken(_close_reason(bytes(whole.data)))
        if kind in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
            self._fragments = self._fragments_size = 0
        if kind == websocket.ABNF.OPCODE_TEXT:
            # A UnicodeDecodeError is answered by feed().
            messages.append(str(whole.data, "utf-8"))
        return None

    def _refuse(self, code: int, what: str) -> Broken:
        try:
            self.send_close(code)
        except Exception:  # best effort: the connection is over either way
            pass
        return Broken(f"the server sent {what}")


def _frame_size(data: bytearray, start: int, size: int) -> tuple[int, int]:
    """Header size and payload length of the frame that starts there; (0, 0) while the header is incomplete."""
    length = data[start + 1] & 0x7F
    header = 2
    if length == 126:
        header = 4
    elif length == 127:
        header = 10
    if size - start < header:
        return 0, 0
    if header > 2:
        length = int.from_bytes(data[start + 2 : start + header], "big")
    if data[start + 1] & 0x80:
        header += 4
    return header, length


def _close_reason(payload: bytes) -> str:
    if len(payload) < 2:
        return "the server closed the connection"
    reason = payload[2:125].decode("utf-8", "replace")
    code = int.from_bytes(payload[:2], "big")
    return f"the server closed the connection (code {code}{': ' + reason if reason.isprintable() and reason else ''})"


# -- dialling --------------------------------------------------------------------------------------------------------


def dial(config: Config, deadline: Deadline, opened: Callable[[socket.socket], None]) -> FedWebSocket:
    """Open a connection: DNS, TCP, proxy, TLS and the upgrade, blocking, within the deadline as far as the system allows.

    :param opened: told of each socket as soon as it exists, and once more when it is connected, so that another thread can
        shut it down: nothing else ends a peer that drips bytes. What it raises ends the attempt.
    :raises ConnectError: with ``fatal`` set where trying again would not help. :raises OSError: for all else.
    """
    _quieten()
    address = config.address
    proxy = proxy_for(config)
    sock = open_tcp(*(proxy[:2] if proxy else (address.host, address.port)), deadline, opened)
    try:
        # Again, now that it is connected: a shutdown of before had no effect.
        opened(sock)
        if proxy:
            _tunnel(sock, address.host, address.port, proxy[2], deadline)
        if address.secure:
            sock = _secure(sock, config, deadline)
            opened(sock)
            _shake_hands(sock, address.host)
        return _upgrade(sock, config, deadline)
    except BaseException:
        sock.close()
        raise


def _fatal(message: str) -> ConnectError:
    return ConnectError(message, fatal=True)


def _secure(sock: socket.socket, config: Config, deadline: Deadline) -> ssl.SSLSocket:
    context = config.ssl_context
    if context is None:
        context = ssl.create_default_context()
        if config.ca_file:
            try:
                context.load_verify_locations(config.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise _fatal(f"the CA file {config.ca_file!r} cannot be used: {error}") from error
    sock.settimeout(time_left(deadline))
    # The handshake is a step of its own, so that the socket is known, and can be shut down, while it lasts.
    return context.wrap_socket(sock, server_hostname=config.address.host.strip("[]"), do_handshake_on_connect=False)


def _shake_hands(sock: ssl.SSLSocket, host: str) -> None:
    try:
        sock.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise _fatal(
            f"the certificate of {host} is not trusted: {error.verify_message}{_which(sock)}; "
            "for a private authority give ca_file (SIGNALWIRE_RELAY_CA_FILE)"
        ) from error


def _which(sock: ssl.SSLSocket) -> str:
    """Whom a certificate that was not trusted names, as far as this Python tells before a handshake is done."""
    try:
        info: dict[str, Any] = sock._sslobj.get_unverified_chain()[0].get_info()  # type: ignore[attr-defined]
        subject, issuer = (_common_name(info[name]) for name in ("subject", "issuer"))
        return f" (it is for {subject!r}, issued by {issuer!r}, valid from {info['notBefore']} to {info['notAfter']})"
    except Exception:  # not public, and the peer's to fill in
        return ""


def _common_name(parts: Any) -> str:
    names = {name: value for part in parts for name, value in part}
    found = names.get("commonName") or names.get("organizationName") or "?"
    return "".join(filter(str.isprintable, found))[:100]


def _upgrade(sock: socket.socket, config: Config, deadline: Deadline) -> FedWebSocket:
    sock.settimeout(time_left(deadline))
    connection = FedWebSocket(config.max_frame)
    try:
        # No redirects: the credentials go to the host that was asked for, or nowhere.
        connection.connect(  # type: ignore[no-untyped-call]
            config.address.url, socket=sock, suppress_origin=True, redirect_limit=0
        )
    except websocket.WebSocketTimeoutException as error:
        raise ConnectTimeout(f"{config.address.url} did not answer in time") from error
    except websocket.WebSocketException as error:
        response = connection.handshake_response  # there after a redirect, which is not followed
        status = getattr(error, "status_code", response.status if response is not None else None)
        if status is None:
            told = f"did not answer as a WebSocket ({type(error).__name__})"
        else:
            told = f"answered HTTP {int(status)} instead of a WebSocket"
        raise ConnectError(f"{config.address.url} {told}") from error
    sock.setblocking(False)
    return connection


def _environment_proxy(host: str, scheme: str) -> str | None:
    # Beside the environment, Windows and macOS have settings of the system.
    settings = os.name == "nt" or sys.platform == "darwin"
    if not settings and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    import urllib.request  # with all of HTTP and e-mail: half of what dialling would import

    if urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies()
    return found.get(scheme) or found.get("all")


def proxy_for(config: Config) -> tuple[str, int, str] | None:
    """Host, port and credentials of the proxy, if one is to be used. Loopback never goes through one."""
    host = config.address.host
    if is_loopback(host):
        return None
    url = config.proxy
    if url is None:
        url = _environment_proxy(host, "https" if config.address.secure else "http")
    if not url:
        return None
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or 80
    except ValueError:  # its words quote what may be the password
        raise _fatal("the proxy of the environment is no URL: give proxy='http://host:port'") from None
    if parts.scheme != "http" or not parts.hostname:
        raise _fatal("the proxy of the environment is not of the form that is supported: give proxy='http://host:port'")
    credentials = ""
    if parts.username:
        import base64

        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        credentials = base64.b64encode(pair.encode()).decode()
    return parts.hostname, port, credentials


def _tunnel(sock: socket.socket, host: str, port: int, credentials: str, deadline: Deadline) -> None:
    lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
    if credentials:
        lines.append(f"Proxy-Authorization: Basic {credentials}")
    sock.settimeout(time_left(deadline))
    sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    answer = b""
    # Byte by byte: what follows the empty line belongs to TLS.
    while not answer.endswith(b"\r\n\r\n"):
        sock.settimeout(time_left(deadline))
        byte = sock.recv(1)
        if not byte or len(answer) > _PROXY_ANSWER:
            raise ConnectError("the proxy did not answer as one")
        answer += byte
    status = answer.split(b"\r\n", 1)[0].split(b" ")
    if len(status) < 2 or status[1] != b"200":
        told = "".join(filter(str.isprintable, b" ".join(status[1:3]).decode("ascii", "replace")))
        raise ConnectError(f"the proxy refused the connection to {host}:{port} ({told})")


def _quieten() -> None:
    # websocket-client logs whole frames and headers, secrets included, when its own tracing is on.
    logger = logging.getLogger("websocket")
    if not any(isinstance(one, _NoSecrets) for one in logger.filters):
        logger.addFilter(_NoSecrets())


class _NoSecrets(logging.Filter):
    """Drops the lines in which websocket-client prints raw frames and headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        message: Any = record.msg
        return not (
            isinstance(message, str) and message.startswith(("++Sent", "++Rcv", "---", "Sec-", "Authorization"))
        )


def as_error(error: Exception, address: str) -> ConnectError:
    """What a failed dial means to the user."""
    if isinstance(error, ConnectError):
        return error
    found: ConnectError
    if isinstance(error, TimeoutError):
        found = ConnectTimeout(f"{address} did not answer in time")
    else:
        found = ConnectError(f"{address} cannot be reached: {error}")
    found.__cause__ = error
    return found
