"""The WebSocket connection: dialing, TLS, reading and writing. This is the only module that uses websocket-client.

Nearly all frames are unfragmented text frames, which this module parses and builds itself. websocket-client handles control
frames and fragments. It receives only complete frames whose size has been checked, so it never waits for bytes and never buffers
more than the limit.
"""

from __future__ import annotations

import base64
import logging
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import websocket

from ..config import Config
from ..deadline import Deadline
from ..errors import ConnectError, ConnectTimeout
from ..hosts.authorities import begin_tls, trust_variables, trusting
from ..hosts.names import unbracketed
from ..hosts.proxies import Proxy, Unusable
from ..threads.descriptors import are_lacking, lack, without_descriptors
from . import upgrade
from .addresses import open_tcp, time_left

__all__ = [
    "NO_TLS",
    "Broken",
    "FedWebSocket",
    "as_error",
    "common_name",
    "dial",
    "presented_chain",
    "proxy_for",
    "read_head",
    "tunnel",
]

_TEXT: Final = 0x81  # FIN and opcode 1
_KEYS: Final = 4096  # number of random bytes to generate at a time, for mask keys
_MAX_FRAGMENTS: Final = 1000
_WRITE_AT_ONCE: Final = 256 * 1024
_NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: The names of OpenSSL errors that are raised if the peer does not use TLS.
NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})


class Broken(NamedTuple):
    """The reason why a connection ended.

    :ivar reason: description for error messages.
    :ivar refused: whether the server's close code means a refusal, rather than a restart or an error.
    """

    reason: str
    refused: bool = False


class _Starved(Exception):
    """The parser requested more bytes than the frame contains."""


class _Fragments(websocket.continuous_frame):  # type: ignore[misc,unused-ignore]
    """Message buffer that appends fragments in place. The library's class copies the message for each fragment."""

    def add(self, frame: websocket.ABNF) -> None:
        if not frame.fin and not self.cont_data:
            frame.data = bytearray(frame.data)  # type: ignore[assignment,arg-type,unused-ignore]
        super().add(frame)


class FedWebSocket(websocket.WebSocket):  # type: ignore[misc,unused-ignore]
    """A WebSocket connection over a non-blocking socket.

    The caller passes received bytes to :meth:`feed` and writes the frames in ``outbox`` to the socket.

    :param max_message: maximum size of a message, in bytes.
    :param sock: connected socket. Tests that only parse frames omit it.
    """

    def __init__(self, max_message: int, sock: socket.socket | None = None) -> None:
        # Skip the library's UTF-8 validation. Decoding the message validates it as well, and is a thousand times faster.
        super().__init__(enable_multithread=False, skip_utf8_validation=True)
        self.cont_frame: _Fragments = _Fragments(fire_cont_frame=False, skip_utf8_validation=True)
        self.outbox: list[bytes] = []
        if sock is not None:
            self.sock: socket.socket = sock
            self.connected: bool = True
        self._max_message = max_message
        self._unread = bytearray()
        self._serving = memoryview(b"")
        self._fragments = 0
        self._fragments_size = 0
        self._broken: Broken | None = None
        self._keys = b""
        self._keys_used = 0

    # These two methods override methods of websocket-client that have not changed since 2014. A differential fuzz test
    # compares this class with the original.

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
        """The connected, non-blocking socket. The caller is responsible for closing it."""
        assert self.sock is not None
        return self.sock

    @property
    def secure(self) -> bool:
        """Whether the connection uses TLS. If so, there may be buffered bytes that a selector cannot detect."""
        return isinstance(self.sock, ssl.SSLSocket)

    @property
    def holds_bytes(self) -> bool:
        """Whether the TLS layer has buffered bytes that were already read from the kernel."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    @property
    def unfinished(self) -> bool:
        """Whether a message has been partially received."""
        return bool(self._unread) or self._fragments > 0

    def read(self, limit: int) -> bytes | None:
        """Read bytes from the socket.

        :param limit: maximum number of bytes.
        :return: the bytes, ``b""`` at the end of the stream, or ``None`` if no bytes are available.
        :raises OSError: the connection failed.
        """
        try:
            return self.socket.recv(limit)
        except _NOT_NOW:
            return None

    def write(self, data: bytes | bytearray) -> int:
        """Write bytes to the socket.

        :return: the number of bytes that were written, which may be 0.
        :raises OSError: the connection failed.
        """
        try:
            with memoryview(data) as view:
                return self.socket.send(view[:_WRITE_AT_ONCE])
        except _NOT_NOW:
            return 0

    def discard(self) -> None:
        """Close the socket. Called when the connection is no longer needed."""
        self.socket.close()

    def text_frame(self, text: str) -> None:
        """Add a text message to the outbox.

        This method builds the frame directly (RFC 6455, section 5), which is five times faster than the library.
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
        # Generate random bytes in batches. A system call per frame would take 20% of the time needed for an acknowledgment.
        if self._keys_used >= len(self._keys):
            self._keys = os.urandom(_KEYS)
            self._keys_used = 0
        used = self._keys_used
        self._keys_used = used + 4
        return self._keys[used : used + 4]

    def feed(self, data: bytes) -> tuple[list[str], Broken | None]:
        """Parse received bytes.

        :return: the completed text messages, and the reason if the connection has ended, otherwise ``None``. Messages completed
            before the end are still returned. Later calls return no messages and the same reason.
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
        """Use websocket-client to handle a control frame, a fragment, or a masked or invalid frame."""
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
            return None  # the message is not complete
        except Exception as error:  # the library raises many kinds of exceptions for invalid frames
            return self._refuse(1002, f"an invalid WebSocket frame ({type(error).__name__})")
        if kind == websocket.ABNF.OPCODE_CLOSE:
            payload = bytes(whole.data)
            return Broken(_close_reason(payload), refused=_says_no(payload))
        if kind in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
            self._fragments = self._fragments_size = 0
        if kind == websocket.ABNF.OPCODE_TEXT:
            # If this raises UnicodeDecodeError, _parse() handles it.
            messages.append(str(whole.data, "utf-8"))
        return None

    def _refuse(self, code: int, what: str) -> Broken:
        try:
            self.send_close(code)
        except Exception:  # the close frame is optional, because the connection is closed either way
            pass
        return Broken(f"the server sent {what}")


def _frame_size(data: bytearray, start: int, size: int) -> tuple[int, int]:
    """Return a frame's header size and payload length, or (0, 0) if the header is incomplete.

    :param start: offset of the frame in ``data``.
    :param size: number of bytes in ``data``.
    """
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


def _says_no(payload: bytes) -> bool:
    """Return whether a close code means a refusal: policy (1008), authorization (3000, 3003) or private (4000 to 4999)."""
    code = int.from_bytes(payload[:2], "big")
    return code in (1008, 3000, 3003) or 4000 <= code < 5000


def _close_reason(payload: bytes) -> str:
    if len(payload) < 2:
        return "the server closed the connection"
    reason = payload[2:125].decode("utf-8", "replace")
    code = int.from_bytes(payload[:2], "big")
    return f"the server closed the connection (code {code}{': ' + reason if reason.isprintable() and reason else ''})"


# -- dialing ---------------------------------------------------------------------------------------------------------


def dial(
    config: Config,
    deadline: Deadline,
    opened: Callable[[socket.socket], None],
    next_peer: Callable[[str], None] = lambda peer: None,
) -> FedWebSocket:
    """Open a connection, including DNS lookup, proxy, TLS and WebSocket upgrade. Blocks until it is established.

    The deadline is not exact: a DNS lookup cannot be interrupted, and a peer that sends single bytes is not stopped by timeouts.

    :param config: client's configuration.
    :param deadline: deadline for the connection.
    :param opened: function that is called with each new socket, and again when the socket is connected. Another thread can
        then shut down the socket to cancel the attempt. The function may also raise to cancel it.
    :param next_peer: function that is called with a description of the peer that must answer next, for error messages. It is only
        called if there is a proxy.
    :raises ConnectError: the attempt failed. ``fatal`` is set if retrying would not help.
    :raises OSError: the attempt failed for a reason not covered by :class:`ConnectError`.
    """
    _quieten()
    proxy = proxy_for(config)
    if proxy is None:
        return _dial(config, None, config.address.url, deadline, opened, next_peer)
    next_peer(str(proxy))
    with _naming(str(proxy)):
        return _dial(config, proxy, f"{config.address.url} through {proxy}", deadline, opened, next_peer)


@contextmanager
def _naming(peer: str) -> Iterator[None]:
    """Convert network errors raised in the block to errors that name the peer."""
    try:
        yield
    except ConnectError:
        raise
    except OSError as error:
        raise as_error(error, peer) from error


def _dial(
    config: Config,
    proxy: Proxy | None,
    peer: str,
    deadline: Deadline,
    opened: Callable[[socket.socket], None],
    next_peer: Callable[[str], None],
) -> FedWebSocket:
    """Open a connection, directly or through a proxy.

    :param peer: description of the server and the proxy, for error messages.
    """
    sock = _open(config, proxy, deadline, opened)
    try:
        # Call opened() again now that the socket is connected. An earlier shutdown had no effect.
        opened(sock)
        if proxy is not None:
            tunnel(sock, f"{config.address.host}:{config.address.port}", proxy, deadline)
            next_peer(peer)
        with _naming(peer):
            if config.address.secure:
                sock = _secure(sock, config, deadline)
                opened(sock)
                _shake_hands(sock, config, peer)
            return _upgrade(sock, config, deadline, peer)
    except BaseException:
        sock.close()
        raise


def _open(
    config: Config, proxy: Proxy | None, deadline: Deadline, opened: Callable[[socket.socket], None]
) -> socket.socket:
    if proxy is None:
        host = config.address.host
        unknown = f"there is no host named {unbracketed(host)!r}: check host (SIGNALWIRE_SPACE)"
        return open_tcp(host, config.address.port, deadline, opened, unknown)
    return open_tcp(proxy.host, proxy.port, deadline, opened, proxy.unknown)


def _fatal(message: str) -> ConnectError:
    return ConnectError(message, fatal=True)


def _secure(sock: socket.socket, config: Config, deadline: Deadline) -> ssl.SSLSocket:
    context = config.ssl_context
    if context is None:
        try:
            context = trusting(config.ca_file)
        except Unusable as error:
            raise _fatal(str(error)) from error
    sock.settimeout(time_left(deadline))
    # This does not start the handshake. The caller first passes the socket to opened(), so that another thread can shut it down.
    return begin_tls(context, sock, config.address.host)


def _shake_hands(sock: ssl.SSLSocket, config: Config, peer: str) -> None:
    way = peer.removeprefix(config.address.url)
    try:
        sock.do_handshake()
    except ssl.SSLCertVerificationError as error:
        if are_lacking():  # without free descriptors, the files with certificate authorities could not be read
            raise without_descriptors("the connection", error) from error
        raise _fatal(
            f"the certificate of {config.address.host}{way} is not trusted: {error.verify_message}{_which(sock)}; "
            f"{_decided(config)}for a private authority, pass ca_file (SIGNALWIRE_RELAY_CA_FILE)"
        ) from error
    except ssl.SSLError as error:
        if error.reason in NO_TLS:
            raise _fatal(f"{peer} does not speak TLS on this port: check host and port") from error
        raise


def _decided(config: Config) -> str:
    """Return a clause for error messages that names the environment variables for certificate authorities.

    :return: the clause, or ``""`` if no such variable is set.
    """
    names = () if config.ssl_context is not None else trust_variables()
    return f"the certificate authorities come from {' and '.join(names)}; " if names else ""


def _which(sock: ssl.SSLSocket) -> str:
    """Return a description of an untrusted certificate, or ``""`` if this Python version does not provide it."""
    try:
        info = presented_chain(sock)[0]
        subject, issuer = (common_name(info[name]) for name in ("subject", "issuer"))
        return f" (it is for {subject!r}, issued by {issuer!r}, valid from {info['notBefore']} to {info['notAfter']})"
    except Exception:  # the data comes from the peer
        return ""


def presented_chain(sock: ssl.SSLSocket) -> list[dict[str, Any]]:
    """Return the certificates that the peer sent, its own first, in the form of ``SSLSocket.getpeercert``.

    :return: the certificates; an empty list if this Python version does not provide them.
    """
    try:
        return [each.get_info() for each in sock._sslobj.get_unverified_chain()]  # type: ignore[attr-defined]
    except Exception:  # this is a private API
        return []


def common_name(parts: Any) -> str:
    """Return the name in the ``subject`` or ``issuer`` of a certificate, without unprintable characters."""
    names = {name: value for part in parts for name, value in part}
    found = names.get("commonName") or names.get("organizationName") or "?"
    return "".join(filter(str.isprintable, found))[:100]


def read_head(sock: socket.socket, deadline: Deadline) -> upgrade.Head:
    """Read the head of an HTTP response, and nothing beyond it.

    :param sock: the socket, which may use TLS.
    :param deadline: deadline for the complete head.
    :raises NoUpgrade: the response is not HTTP, or its head is too long or incomplete.
    :raises OSError: the connection failed, or the deadline has passed.
    """

    def receive() -> bytes:
        # Read single bytes, because the bytes after the head belong to the TLS or WebSocket layer.
        sock.settimeout(time_left(deadline))
        return sock.recv(1)

    return upgrade.read_head(receive)


def _upgrade(sock: socket.socket, config: Config, deadline: Deadline, peer: str) -> FedWebSocket:
    key = base64.b64encode(os.urandom(16)).decode()
    sock.settimeout(time_left(deadline))
    sock.sendall(upgrade.request(config.address.netloc, key))
    try:
        # Do not follow redirects. Credentials must only be sent to the configured host.
        upgrade.check(read_head(sock, deadline), key)
    except upgrade.NoUpgrade as error:
        raise ConnectError(f"{peer} {error}" + ("; check host and port" if error.refused else "")) from error
    sock.setblocking(False)
    return FedWebSocket(config.max_frame, sock)


def proxy_for(config: Config) -> Proxy | None:
    """Return the proxy to use for the server, or ``None``.

    :raises ConnectError: the proxy setting is invalid.
    """
    try:
        return config.way()
    except Unusable as error:
        raise _fatal(str(error)) from None


def tunnel(sock: socket.socket, target: str, proxy: Proxy, deadline: Deadline) -> None:
    """Have an HTTP proxy connect a socket to a server.

    :param sock: socket that is connected to the proxy.
    :param target: host and port of the server.
    :param proxy: the proxy.
    :param deadline: deadline for the proxy's response.
    :raises ConnectError: the proxy refused.
    :raises OSError: the connection to the proxy failed.
    """
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    sock.settimeout(time_left(deadline))
    sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    try:
        head = read_head(sock, deadline)
    except upgrade.NotPlain:
        raise _fatal(f"{proxy} answered with TLS: only plain http:// proxies are supported") from None
    except upgrade.NoUpgrade as error:
        error.refused = False  # the failure is the proxy's, because the server was not contacted
        raise ConnectError(f"{proxy} did not answer as a proxy") from error
    if not 200 <= head.status < 300:
        message, final = proxy.refusal(target, head.status, head.reason)
        raise ConnectError(message, fatal=final)


def _quieten() -> None:
    # If tracing is enabled, websocket-client logs complete frames and headers, including secrets.
    logger = logging.getLogger("websocket")
    if not any(isinstance(one, _NoSecrets) for one in logger.filters):
        logger.addFilter(_NoSecrets())


class _NoSecrets(logging.Filter):
    """Logging filter that drops websocket-client's records containing raw frames or headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        message: Any = record.msg
        return not (
            isinstance(message, str) and message.startswith(("++Sent", "++Rcv", "---", "Sec-", "Authorization"))
        )


def as_error(error: BaseException, peer: str) -> ConnectError:
    """Return the public exception for a failed connection attempt.

    :param peer: description of the peer that was expected to answer.
    """
    if lack(error) is not None:
        return without_descriptors("the connection", error)
    if isinstance(error, ConnectError):
        return error
    found: ConnectError
    if isinstance(error, TimeoutError):
        found = ConnectTimeout(f"{peer} did not answer before the timeout")
    elif isinstance(error, (OSError, ValueError)):
        found = ConnectError(f"{peer} cannot be reached: {error}")
    else:  # this is not a network failure, but a failed import or an internal error
        found = ConnectError(f"the connection to {peer} failed locally: {type(error).__name__}: {error}", fatal=True)
    found.__cause__ = error
    return found
