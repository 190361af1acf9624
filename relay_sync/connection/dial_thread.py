"""One attempt to open a connection, in a short-lived thread of its own, ``relay-dial-N.M``."""

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
    """Give up a copy of a socket without a word to its peer: no shutdown, no TLS goodbye. For children of a fork."""
    try:
        descriptor = sock.detach()
    except OSError:
        return
    if descriptor >= 0:
        os.close(descriptor)


class ConnectAttempt:
    """One attempt to open a connection, in a thread of its own: nothing else can be interrupted in a DNS look-up."""

    def __init__(
        self, config: Config, name: str, done: Callable[[ConnectAttempt, FedWebSocket | ConnectError], None]
    ) -> None:
        deadline = Deadline.after(time.monotonic(), config.connect_timeout)
        self.gives_up: float = deadline.at or 0.0
        #: Who has to answer next, in words for errors.
        self.peer: str = config.address.url
        self._done = done
        self._generation = process.generation()
        self._config = config
        self._deadline = deadline
        self._name = name
        #: All of them: several addresses are tried side by side, and TLS wraps one in another.
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
            # Imported here, not with the package: TLS and websocket-client cost more than all else together.
            from .transport import as_error, dial
        except BaseException as error:  # another module of that name may do anything, such as end the program
            return unusable(error)
        try:
            return dial(self._config, self._deadline, self._opened, self._towards)
        except BaseException as error:
            return as_error(error, self.peer)

    def _towards(self, peer: str) -> None:
        self.peer = peer

    def _opened(self, sock: socket.socket) -> None:
        if sock not in self._socks:
            self._socks.append(sock)
        if self._abandoned:
            raise TimeoutError("given up")

    def abandon(self) -> None:
        self._abandoned = True
        for sock in list(self._socks):
            try:
                # The plain method, also for TLS: only the system call, nothing of the dial thread's objects.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                pass

    def dispose(self) -> None:
        for sock in list(self._socks):
            dispose(sock)
