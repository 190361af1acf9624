"""Run connection attempts in short-lived threads named ``relay-dial-N.M``."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..config import Config
from ..deadline import Deadline
from ..errors import ConnectError
from ..threads import logs, process
from .library import check_library, unusable

if TYPE_CHECKING:
    from .transport import FedWebSocket

__all__ = ["ConnectAttempt", "dispose"]


def dispose(sock: socket.socket) -> None:
    """Close a socket in a forked child process, without a shutdown or TLS close alert, which would affect the parent."""
    try:
        descriptor = sock.detach()
    except OSError:
        return
    if descriptor >= 0:
        os.close(descriptor)


class ConnectAttempt:
    """One connection attempt. It runs in a separate thread because a DNS lookup cannot be interrupted.

    :param config: client's configuration.
    :param name: name of the thread.
    :param done: function that is called on the new thread with the connection or the error.
    """

    def __init__(
        self, config: Config, name: str, done: Callable[[ConnectAttempt, FedWebSocket | ConnectError], None]
    ) -> None:
        deadline = Deadline.after(time.monotonic(), config.connect_timeout)
        self.gives_up: float = deadline.at or 0.0
        #: A description of the peer whose answer is awaited, for error messages.
        self.peer: str = config.address.url
        self._done = done
        self._generation = process.generation()
        self._config = config
        self._deadline = deadline
        self._name = name
        #: All sockets of the attempt. There may be several, because addresses are tried in parallel and TLS wraps its socket.
        self._socks: list[socket.socket] = []
        self._abandoned = False

    def start(self) -> None:
        try:
            threading.Thread(target=self._run, name=self._name, daemon=True).start()
        except Exception as error:
            self._done(self, ConnectError(f"cannot start a thread to connect: {error}"))

    def _run(self) -> None:
        with logs.shared():
            outcome = self._outcome()
        if process.generation() == self._generation:
            self._done(self, outcome)

    def _outcome(self) -> FedWebSocket | ConnectError:
        try:
            check_library()
            # Imported here because TLS and websocket-client take longer to import than the rest of the package.
            from .transport import as_error, dial
        except BaseException as error:  # an unrelated module with the same name may raise anything, even SystemExit
            return unusable(error)
        try:
            return dial(self._config, self._deadline, self._opened, self._next_peer)
        except BaseException as error:
            return as_error(error, self.peer)

    def _next_peer(self, peer: str) -> None:
        self.peer = peer

    def _opened(self, sock: socket.socket) -> None:
        if sock not in self._socks:
            self._socks.append(sock)
        if self._abandoned:
            raise TimeoutError("the attempt was abandoned")

    def abandon(self) -> None:
        self._abandoned = True
        for sock in list(self._socks):
            try:
                # Use the plain socket method for TLS sockets too. It does not touch TLS state that the dial thread may be using.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    def dispose(self) -> None:
        for sock in list(self._socks):
            dispose(sock)
