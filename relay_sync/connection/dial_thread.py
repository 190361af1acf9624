"""One connection attempt, in a short-lived thread named ``relay-dial-N.M``."""

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
    """Close a copy of a socket without notifying its peer: no shutdown, no TLS close. For child processes after a fork."""
    try:
        descriptor = sock.detach()
    except OSError:
        return
    if descriptor >= 0:
        os.close(descriptor)


class ConnectAttempt:
    """One connection attempt, in a separate thread, because a DNS lookup cannot be interrupted."""

    def __init__(
        self, config: Config, name: str, done: Callable[[ConnectAttempt, FedWebSocket | ConnectError], None]
    ) -> None:
        deadline = Deadline.after(time.monotonic(), config.connect_timeout)
        self.gives_up: float = deadline.at or 0.0
        #: A description of the peer that must answer next, for error messages.
        self.peer: str = config.address.url
        self._done = done
        self._generation = process.generation()
        self._config = config
        self._deadline = deadline
        self._name = name
        #: Every socket of the attempt: addresses are tried in parallel, and TLS wraps a socket in another one.
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
        except BaseException as error:  # an unrelated module of that name may raise anything, even SystemExit
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
                # The plain method, also for TLS: a mere system call that does not touch the dial thread's TLS state.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    def dispose(self) -> None:
        for sock in list(self._socks):
            dispose(sock)
