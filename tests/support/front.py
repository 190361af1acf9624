"""A proxy in front of a receiver that passes requests on, or changes them as a wrong configuration does."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

from tests.support import PATIENCE
from tests.support.scripted_http import read_request

__all__ = ["Front", "certified", "edited"]

#: From the request that came in to the request to send.
Rewrite = Callable[[bytes], bytes]


class Front:
    """Passes connections on to a port of loopback; each has a thread, which ends with :meth:`close`.

    :param rewrite: what becomes of the request. ``None`` passes bytes on without reading them.
    :param context: ends TLS with it. :param onward: speaks TLS to the receiver with it.
    :param passes: whether bytes pass after the upgrade: from the outside, and back.
    :param closes_after: seconds without a byte after which it closes a connection.
    :param passes_answer: whether the response to the upgrade gets out; otherwise, the connection ends instead.
    :param floods: bytes that it sends to the outside over and over, once the upgrade was answered.
    :ivar target: the port of the receiver, which is known later than the front's.
    """

    def __init__(
        self,
        rewrite: Rewrite | None = lambda request: request,
        *,
        context: ssl.SSLContext | None = None,
        onward: ssl.SSLContext | None = None,
        passes: tuple[bool, bool] = (True, True),
        closes_after: float = PATIENCE,
        floods: bytes = b"",
        passes_answer: bool = True,
    ) -> None:
        self._rewrite = rewrite
        self._context = context
        self._onward = onward
        self._passes = passes
        self._closes_after = closes_after
        self._floods = floods
        self._passes_answer = passes_answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.target = 0
        self._closing = False
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name="front", daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(peer,), name="front", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError), peer:
            self._open.add(peer)
            peer.settimeout(PATIENCE)
            if self._context is not None:
                peer = self._context.wrap_socket(peer, server_side=True)
                self._open.add(peer)
            with peer:
                request = b"" if self._rewrite is None else self._rewrite(read_request(peer))
                with socket.create_connection(("127.0.0.1", self.target), timeout=PATIENCE) as plain:
                    onward = plain if self._onward is None else self._onward.wrap_socket(plain)
                    with onward:
                        self._open.add(onward)
                        onward.sendall(request)
                        self._pump(peer, onward)

    def _pump(self, peer: socket.socket, onward: socket.socket) -> None:
        answered = False
        with selectors.DefaultSelector() as selector:
            for each in (peer, onward):
                selector.register(each, selectors.EVENT_READ)
            while (ready := selector.select(0.001 if self._floods else self._closes_after)) or self._floods:
                if answered and self._floods:
                    peer.sendall(self._floods)
                for key, _ in ready:
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    inward = source is peer
                    data = source.recv(65536)
                    while isinstance(source, ssl.SSLSocket) and source.pending():
                        data += source.recv(65536)
                    if not data:
                        return
                    if not answered and not inward and not self._passes_answer:
                        return
                    if not answered or self._passes[0 if inward else 1]:
                        (onward if inward else peer).sendall(data)
                    answered = answered or not inward

    def close(self) -> None:
        self._closing = True
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def __enter__(self) -> Front:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def edited(*without: str, **lines: str) -> Rewrite:
    """Remove header lines that begin so, and replace the named ones."""
    begins = tuple(f"{each}:".encode().lower() for each in (*without, *lines))

    def rewrite(request: bytes) -> bytes:
        first, *fields = request.removesuffix(b"\r\n\r\n").split(b"\r\n")
        kept = [each for each in fields if not each.lower().startswith(begins)]
        added = [f"{name}: {value}".encode() for name, value in lines.items()]
        return b"\r\n".join([first, *kept, *added, b"", b""])

    return rewrite


def certified(name: str) -> ssl.SSLContext:
    """A server's context with a certificate of ``tests/data/tls``."""
    from tests.support import DATA

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(DATA / "tls" / f"{name}.pem")
    return context
