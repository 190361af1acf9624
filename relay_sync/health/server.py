"""A small HTTP server for health checks, built on the standard library.

One thread accepts connections and closes them. Each request has a thread of its own. The number of connections is limited, and
each has a deadline, so that clients that are slow, silent or too many can neither block the server nor use up threads.
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from ..hosts.listening import listen, shown_address
from ..threads import logs, process, starting
from ..threads.flag import Flag
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.wake_up import WakeUp
from .pages import Page, page, text_page
from .verdicts import Overview

__all__ = ["HealthServer"]

_log = logs.get("relay_sync.health").later

#: Maximum number of open connections. When there are more, the oldest is closed.
MOST_CONNECTIONS: Final = 8
#: Maximum duration of a connection, in seconds.
DEADLINE: Final = 5.0
#: Time to wait when the system provides no descriptor or thread, in seconds.
PAUSE: Final = 0.1


class HealthServer:
    """HTTP server with the pages ``/live``, ``/ready`` and ``/metrics``. Its responses contain no secrets.

    :ivar addresses: addresses that it listens on, as ``address:port``.
    :param host: address or name to listen on.
    :param port: port to listen on; 0 selects a free one.
    :param look: function that returns the current state of the processes. Several threads may call it at the same time.
    :raises OSError: the address is in use or not available. The message contains the address.
    """

    def __init__(self, host: str, port: int, look: Callable[[], Overview]) -> None:
        self._look = look
        self._listeners = listen(host, port)
        self.addresses: tuple[str, ...] = tuple(shown_address(each.getsockname()) for each in self._listeners)
        self._closing = Flag()
        #: Rings when a connection is done.
        self._freed = Flag()
        #: Connections, and when each is closed at the latest. Only the accepting thread changes it.
        self._open: dict[socket.socket, float] = {}
        #: Connections that have been answered.
        self._done: deque[socket.socket] = deque()
        self._number = 0
        self._troubles = RateLimitedLog(_log)
        self._selector = selectors.DefaultSelector()
        self._wake_up = WakeUp()
        self._selector.register(self._wake_up.receiver, selectors.EVENT_READ)
        for listener in self._listeners:
            self._selector.register(listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="relay-health", daemon=True)

    def __repr__(self) -> str:
        return f"<HealthServer {', '.join(self.addresses)}>"

    def start(self) -> None:
        """Start the thread. A server can be started only once.

        :raises RuntimeError: the system cannot start a thread.
        """
        process.watch(self)
        try:
            starting.uninterrupted(self._thread.start)
        except RuntimeError:
            self._release()
            raise
        _log.info("health: listening on %s", ", ".join(f"http://{address}" for address in self.addresses))

    def close(self, timeout: float = 2.0) -> None:
        """Close all connections and stop. Idempotent.

        :param timeout: maximum time to wait for the thread, in seconds.
        """
        self._closing.set()
        self._freed.set()
        self._wake_up.ring()
        if self._thread.ident is None:
            self._release()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def at_exit(self, timeout: float) -> None:
        """Close the server at interpreter exit.

        :param timeout: maximum time to wait for the thread, in seconds.
        """
        self.close(timeout)

    def after_fork(self) -> None:
        """Close the copied sockets in a forked child. The parent's server is not affected."""
        self._closing.set()
        self._release()

    # -- the accepting thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with logs.shared():
            while not self._closing.is_set():
                try:
                    self._turn()
                except Exception:
                    self._troubles.fault("internal error of the health server")
                    self._closing.wait(PAUSE)
            for connection in list(self._open):
                _end(connection)
            self._release()

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            if key.fileobj is self._wake_up.receiver:
                self._wake_up.clear()
            else:
                self._accept(key.fileobj)
        while self._done:
            self._close(self._done.popleft())
        now = time.monotonic()
        for connection, deadline in list(self._open.items()):
            if deadline <= now:
                _end(connection)  # wakes its thread, which ends, unless it is waiting for the page
                self._open[connection] = now + PAUSE

    def _patience(self) -> float | None:
        """Return the time until a connection must be closed, in seconds."""
        return max(0.0, min(self._open.values()) - time.monotonic()) if self._open else None

    def _accept(self, listener: Any) -> None:
        try:
            connection, address = listener.accept()
        except BlockingIOError:  # the client has gone
            return
        except OSError as error:
            if error.errno in (errno.ECONNABORTED, errno.EPROTO):
                return
            self._troubles.warning("accept", "the health server cannot accept a connection: %s", error)
            self._closing.wait(PAUSE)
            return
        self._make_room()
        self._open[connection] = time.monotonic() + DEADLINE
        self._number += 1
        thread = threading.Thread(
            target=self._answer, args=(connection, address), name=f"relay-health-{self._number}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            self._close(connection)
            self._troubles.warning("thread", "the health server cannot start a thread: %s", error)
            self._closing.wait(PAUSE)

    def _make_room(self) -> None:
        while len(self._open) >= MOST_CONNECTIONS and not self._closing.is_set():
            self._freed.clear()
            if not self._done:
                _end(next(iter(self._open)))
                self._freed.wait(PAUSE)
            while self._done:
                self._close(self._done.popleft())

    def _close(self, connection: socket.socket) -> None:
        self._open.pop(connection, None)
        _close_now(connection)

    def _release(self) -> None:
        """Close all sockets of this process."""
        for each in (*self._open, *self._listeners):
            _close_now(each)
        self._open.clear()
        with suppress(OSError, RuntimeError):
            self._selector.close()
        self._wake_up.close()

    # -- the threads of requests ---------------------------------------------------------------------------------------

    def _answer(self, connection: socket.socket, address: Any) -> None:
        with logs.shared():
            try:
                _Handler(connection, address, self)  # type: ignore[arg-type]
            except (OSError, ValueError):  # the client has gone, or its time is over
                pass
            except Exception:
                self._troubles.fault("internal error in a health check")
            finally:
                _end(connection)
                self._done.append(connection)
                self._freed.set()
                self._wake_up.ring()

    def page(self, path: str) -> Page:
        """Return the page at a path.

        :param path: request target.
        """
        try:
            return page(path, self._look)
        except Exception:
            self._troubles.fault("internal error in a health check")
            return text_page(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; the log contains the traceback\n")


def _end(connection: socket.socket) -> None:
    """End a connection, which wakes a thread that reads or writes it. Only the accepting thread closes the socket."""
    with suppress(OSError):  # the client has ended it
        connection.shutdown(socket.SHUT_RDWR)


def _close_now(connection: socket.socket) -> None:
    """Close a socket, even if files that a request has made of it are still open."""
    with suppress(OSError):
        socket.close(connection.detach())


class _Handler(BaseHTTPRequestHandler):
    """Serves one request. The base class parses it."""

    protocol_version = "HTTP/1.1"
    #: Timeout of each read and write in seconds. The accepting thread limits the duration of the connection.
    timeout = DEADLINE
    server: HealthServer  # type: ignore[assignment]

    def do_GET(self) -> None:
        self._send(self.server.page(self.path))

    def do_HEAD(self) -> None:
        self._send(self.server.page(self.path))

    def version_string(self) -> str:
        return "relay-sync"

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        # The base class repeats what the client has sent.
        status = HTTPStatus(code)
        if status == HTTPStatus.NOT_IMPLEMENTED:  # the base class has no other response to an unknown method
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self._send(text_page(status, f"{status.phrase}\n"))

    def _send(self, sent: Page) -> None:
        body = sent.text.encode(errors="replace")
        self.send_response(sent.status, sent.status.phrase)
        self.send_header("Content-Type", sent.kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if sent.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: checks come every few seconds."""
