"""Manage one ``requests.Session`` per thread and process.

Sessions must not be shared between threads or used after a fork. If a signal handler sends a request while its thread is in the
middle of another request, it gets a second session, because the connection pool's locks are not reentrant.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING

import requests

from ..errors import ClientClosed
from ..threads.flag import Flag
from .sockets import TimedAdapter

if TYPE_CHECKING:
    import ssl

__all__ = ["DirectSession", "Sessions", "detached_session"]


class DirectSession(requests.Session):
    """A session that ignores redirects. By default, requests reads the entire body of a redirect response."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def detached_session(context: Callable[[], ssl.SSLContext]) -> DirectSession:
    """Return a session that keeps no cookies, and for which requests reads no proxy, no authorities and no ``~/.netrc``.

    Its user selects the proxy and the certificate authorities.

    :param context: function that returns the context for TLS.
    """
    session = DirectSession()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, TimedAdapter(context))
    return session


class _Holder:
    """A thread's session. It is closed when the thread ends or the client is closed."""

    def __init__(self, session: requests.Session) -> None:
        self.session = session
        self.pid = os.getpid()

    def close(self) -> None:
        """Close the session. Does nothing in a forked child process, where the session's locks may never be released."""
        if self.pid == os.getpid():
            self.session.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # the interpreter is shutting down
            pass


class _Mine(threading.local):
    """A thread's idle sessions, and its busy sessions by their ``id()``."""

    def __init__(self) -> None:
        self.free: list[_Holder] = []
        self.busy: dict[int, _Holder] = {}


class Sessions:
    """A client's sessions. Thread-safe.

    This class uses no lock, because a fork could copy a lock that is held. The threads share only a dict, and every operation on
    it is atomic.

    :param make: function that creates a session.
    """

    def __init__(self, make: Callable[[], requests.Session]) -> None:
        self._make = make
        self._mine = _Mine()
        self._open: dict[int, weakref.ref[_Holder]] = {}
        #: A flag that :meth:`close` sets to interrupt waits.
        self.closed: Flag = Flag()

    @contextmanager
    def taken(self) -> Iterator[requests.Session]:
        """Yield a session for one request. A nested request on the same thread gets a second session.

        :raises ClientClosed: the client was closed.
        """
        session = self.get()
        try:
            yield session
        finally:
            self._give_back(session)

    def get(self) -> requests.Session:
        """Return one of the calling thread's idle sessions, or create a session.

        Each step is atomic, because a signal handler may run between any two of them.
        """
        if self.closed.is_set():
            raise ClientClosed("this RestClient was closed; create a new one")
        mine = self._mine
        try:
            holder = mine.free.pop()
        except IndexError:
            holder = self._new()
        if holder.pid != os.getpid():  # the session was created in the parent process
            holder = self._new()
        mine.busy[id(holder.session)] = holder
        return holder.session

    def _give_back(self, session: requests.Session) -> None:
        holder = self._mine.busy.pop(id(session), None)
        if holder is not None:
            self._mine.free.append(holder)

    def _new(self) -> _Holder:
        holder = _Holder(self._make())
        number, others = id(holder), self._open
        others[number] = weakref.ref(holder, lambda _: others.pop(number, None))
        return holder

    def close(self) -> None:
        """Close all sessions. Requests in progress on other threads are not interrupted."""
        self.closed.set()
        for reference in list(self._open.values()):
            holder = reference()
            if holder is not None:
                holder.close()
        self._open.clear()
