"""The only module that uses websocket-client: dialing, TLS, bytes in and bytes out.

websocket-client builds frames and validates control frames and fragments. It receives whole frames whose sizes were checked here,
so it never waits for bytes and never buffers more than the limit. Plain text frames, which are nearly all frames, bypass it.
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

__all__ = ["Broken", "FedWebSocket", "as_error", "dial", "proxy_for"]

_TEXT: Final = 0x81  # FIN and opcode 1
_KEYS: Final = 4096  # random bytes for mask keys, generated at once
_MAX_FRAGMENTS: Final = 1000
_WRITE_AT_ONCE: Final = 256 * 1024
_NOT_NOW: Final = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: OpenSSL's error names for a peer that does not use TLS.
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})


class Broken(NamedTuple):
    """Why a connection has ended.

    :ivar refused: whether the server closed it with a code that means a refusal, not a restart or an error.
    """

    reason: str
    refused: bool = False


class _Starved(Exception):
    """The parser requested more bytes than the frame has."""


class _Fragments(websocket.continuous_frame):  # type: ignore[misc,unused-ignore]
    """Joins fragments in place. The library would copy the message for each fragment."""

    def add(self, frame: websocket.ABNF) -> None:
        if not frame.fin and not self.cont_data:
            frame.data = bytearray(frame.data)  # type: ignore[assignment,arg-type,unused-ignore]
        super().add(frame)


class FedWebSocket(websocket.WebSocket):  # type: ignore[misc,unused-ignore]
    """A connected WebSocket without I/O of its own: received bytes are passed in, and frames are put into an outbox."""

    def __init__(self, max_message: int, sock: socket.socket | None = None) -> None:
        # UTF-8 is validated by decoding below, which is a thousand times faster than the library's check.
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

    # The two methods of websocket-client to override, unchanged since 2014. A differential fuzz test guards them.

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
        """The connected, non-blocking socket. The code that gets it owns it."""
        assert self.sock is not None
        return self.sock

    @property
    def secure(self) -> bool:
        """Whether the connection uses TLS, which may buffer bytes that a selector does not see."""
        return isinstance(self.sock, ssl.SSLSocket)

    @property
    def holds_bytes(self) -> bool:
        """Whether TLS has buffered bytes that were already read from the kernel."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    @property
    def unfinished(self) -> bool:
        """Whether a message has been received in part."""
        return bool(self._unread) or self._fragments > 0

    def read(self, limit: int) -> bytes | None:
        """Return bytes from the socket: ``b""`` at the end of the stream, ``None`` if there are none now.

        :raises OSError: the connection failed.
        """
        try:
            return self.socket.recv(limit)
        except _NOT_NOW:
            return None

    def write(self, data: bytes | bytearray) -> int:
        """Write bytes to the socket. Return how many it accepted, 0 if none now.

        :raises OSError: the connection failed.
        """
        try:
            with memoryview(data) as view:
                return self.socket.send(view[:_WRITE_AT_ONCE])
        except _NOT_NOW:
            return 0

    def discard(self) -> None:
        """Close the socket of a connection that is not needed."""
        self.socket.close()

    def text_frame(self, text: str) -> None:
        """Put one text message into the outbox.

        Builds the frame directly (RFC 6455, section 5), which is five times faster than the library.
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
        # Generated in batches: a system call per frame would take a fifth of the time of an acknowledgment.
        if self._keys_used >= len(self._keys):
            self._keys = os.urandom(_KEYS)
            self._keys_used = 0
        used = self._keys_used
        self._keys_used = used + 4
        return self._keys[used : used + 4]

    def feed(self, data: bytes) -> tuple[list[str], Broken | None]:
        """Parse bytes from the peer.

        :return: the completed text messages, and why the connection has ended, if it has. Messages completed before the end are
            still returned. Later calls return only the reason.
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
        """Let websocket-client handle control frames, fragments, and masked or invalid frames."""
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
            return None  # a fragment; more will follow
        except Exception as error:  # invalid frames make the library raise many kinds of exceptions
            return self._refuse(1002, f"an invalid WebSocket frame ({type(error).__name__})")
        if kind == websocket.ABNF.OPCODE_CLOSE:
            payload = bytes(whole.data)
            return Broken(_close_reason(payload), refused=_says_no(payload))
        if kind in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
            self._fragments = self._fragments_size = 0
        if kind == websocket.ABNF.OPCODE_TEXT:
            # _parse() handles UnicodeDecodeError.
            messages.append(str(whole.data, "utf-8"))
        return None

    def _refuse(self, code: int, what: str) -> Broken:
        try:
            self.send_close(code)
        except Exception:  # best effort: the connection is closed either way
            pass
        return Broken(f"the server sent {what}")


def _frame_size(data: bytearray, start: int, size: int) -> tuple[int, int]:
    """Return the header size and payload length of the frame at *start*, or (0, 0) if the header is incomplete."""
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
    """Return whether a close code means a policy (1008) or authorization (3000, 3003) refusal, or is private to the service."""
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
    """Open a connection: DNS, TCP, proxy, TLS and the upgrade, blocking, within the deadline as far as the system allows.

    :param opened: called with each new socket, and again when it is connected, so that another thread can shut it down: timeouts
        do not stop a peer that sends single bytes. An exception that it raises ends the attempt.
    :param next_peer: if there is a proxy, called with a description of the peer that must answer next, for error messages.
    :raises ConnectError: with ``fatal`` set if retrying would not help.
    :raises OSError: for all other failures.
    """
    _quieten()
    proxy = proxy_for(config)
    if proxy is None:
        return _dial(config, None, config.address.url, deadline, opened, next_peer)
    next_peer(str(proxy))
    with _told_of(str(proxy)):
        return _dial(config, proxy, f"{config.address.url} through {proxy}", deadline, opened, next_peer)


@contextmanager
def _told_of(peer: str) -> Iterator[None]:
    """Name the peer in network errors."""
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
    """:param peer: a description of the server and the proxy, for error messages."""
    sock = _open(config, proxy, deadline, opened)
    try:
        # Again, now that the socket is connected: a shutdown before that had no effect.
        opened(sock)
        if proxy is not None:
            _tunnel(sock, config, proxy, deadline)
            next_peer(peer)
        with _told_of(peer):
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
    # The handshake is a separate step, so that another thread can shut down the socket during it.
    return begin_tls(context, sock, config.address.host)


def _shake_hands(sock: ssl.SSLSocket, config: Config, peer: str) -> None:
    way = peer.removeprefix(config.address.url)
    try:
        sock.do_handshake()
    except ssl.SSLCertVerificationError as error:
        if are_lacking():  # the certificate authorities are read from files
            raise without_descriptors("the connection", error) from error
        raise _fatal(
            f"the certificate of {config.address.host}{way} is not trusted: {error.verify_message}{_which(sock)}; "
            f"{_decided(config)}for a private authority, pass ca_file (SIGNALWIRE_RELAY_CA_FILE)"
        ) from error
    except ssl.SSLError as error:
        if error.reason in _NO_TLS:
            raise _fatal(f"{peer} does not speak TLS on this port: check host and port") from error
        raise


def _decided(config: Config) -> str:
    """Name the environment variables that override the system's certificate authorities, for the error message."""
    names = () if config.ssl_context is not None else trust_variables()
    return f"the certificate authorities come from {' and '.join(names)}; " if names else ""


def _which(sock: ssl.SSLSocket) -> str:
    """Describe an untrusted certificate, if this Python version exposes it before the handshake completes."""
    try:
        info: dict[str, Any] = sock._sslobj.get_unverified_chain()[0].get_info()  # type: ignore[attr-defined]
        subject, issuer = (_common_name(info[name]) for name in ("subject", "issuer"))
        return f" (it is for {subject!r}, issued by {issuer!r}, valid from {info['notBefore']} to {info['notAfter']})"
    except Exception:  # a private API, and data from the peer
        return ""


def _common_name(parts: Any) -> str:
    names = {name: value for part in parts for name, value in part}
    found = names.get("commonName") or names.get("organizationName") or "?"
    return "".join(filter(str.isprintable, found))[:100]


def _read_head(sock: socket.socket, deadline: Deadline) -> upgrade.Head:
    def receive() -> bytes:
        # Byte by byte, because the bytes after the head belong to TLS or to the WebSocket.
        sock.settimeout(time_left(deadline))
        return sock.recv(1)

    return upgrade.read_head(receive)


def _upgrade(sock: socket.socket, config: Config, deadline: Deadline, peer: str) -> FedWebSocket:
    key = base64.b64encode(os.urandom(16)).decode()
    sock.settimeout(time_left(deadline))
    sock.sendall(upgrade.request(config.address.netloc, key))
    try:
        # Redirects are not followed: credentials are sent to the configured host only.
        upgrade.check(_read_head(sock, deadline), key)
    except upgrade.NoUpgrade as error:
        raise ConnectError(f"{peer} {error}" + ("; check host and port" if error.refused else "")) from error
    sock.setblocking(False)
    return FedWebSocket(config.max_frame, sock)


def proxy_for(config: Config) -> Proxy | None:
    """Return the proxy for the server, or ``None``.

    :raises ConnectError: the proxy setting is invalid.
    """
    try:
        return config.way()
    except Unusable as error:
        raise _fatal(str(error)) from None


def _tunnel(sock: socket.socket, config: Config, proxy: Proxy, deadline: Deadline) -> None:
    target = f"{config.address.host}:{config.address.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    sock.settimeout(time_left(deadline))
    sock.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
    try:
        head = _read_head(sock, deadline)
    except upgrade.NotPlain:
        raise _fatal(f"{proxy} answered with TLS: only plain http:// proxies are supported") from None
    except upgrade.NoUpgrade as error:
        error.refused = False  # the proxy failed; the server was not contacted
        raise ConnectError(f"{proxy} did not answer as a proxy") from error
    if not 200 <= head.status < 300:
        message, final = proxy.refusal(target, head.status, head.reason)
        raise ConnectError(message, fatal=final)


def _quieten() -> None:
    # With tracing enabled, websocket-client logs whole frames and headers, including secrets.
    logger = logging.getLogger("websocket")
    if not any(isinstance(one, _NoSecrets) for one in logger.filters):
        logger.addFilter(_NoSecrets())


class _NoSecrets(logging.Filter):
    """Drops the log records of websocket-client that contain raw frames and headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        message: Any = record.msg
        return not (
            isinstance(message, str) and message.startswith(("++Sent", "++Rcv", "---", "Sec-", "Authorization"))
        )


def as_error(error: BaseException, peer: str) -> ConnectError:
    """Return the public error for a failed connection attempt.

    :param peer: a description of the peer that did not answer.
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
    else:  # not a network failure: a failed import, or an internal error
        found = ConnectError(f"the connection to {peer} failed locally: {type(error).__name__}: {error}", fatal=True)
    found.__cause__ = error
    return found
