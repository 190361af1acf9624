"""Speech services that do what a test tells them: over WebSockets, or with the bytes of a socket."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from tests.support import PATIENCE
from tests.support.tls import CERTIFICATE, tls_context

__all__ = ["RawService", "ScriptedService", "trusting"]


def trusting() -> ssl.SSLContext:
    """A client's settings, which trust the certificate of the tests."""
    return ssl.create_default_context(cafile=str(CERTIFICATE))


class ScriptedService:
    """Runs a function for each WebSocket over TLS, in a thread of its own.

    :param script: the function. The connection is closed when it returns. It may let ``ConnectionClosed`` through.
    """

    def __init__(self, script: Callable[[ServerConnection], object]) -> None:
        def run(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                script(connection)

        self._server = serve(
            run, "127.0.0.1", 0, ssl=tls_context(), compression=None, ping_interval=None, close_timeout=PATIENCE
        )
        self.url = f"wss://localhost:{self._server.socket.getsockname()[1]}/v1/realtime"
        self._thread = threading.Thread(target=self._server.serve_forever, name="scripted-service", daemon=True)
        self._thread.start()

    def __enter__(self) -> ScriptedService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(PATIENCE)


class RawService:
    """Runs a function with the socket of one connection, without TLS.

    :param script: the function. The socket is closed when it returns.
    """

    def __init__(self, script: Callable[[socket.socket], object]) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/v1/realtime"
        self._peer: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="raw-service", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            self._peer, _ = self._listener.accept()
            with self._peer:
                self._script(self._peer)

    def __enter__(self) -> RawService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for sock in (self._listener, self._peer):
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
        self._thread.join(PATIENCE)
