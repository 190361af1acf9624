"""One ``requests.Session`` per thread and process, because sessions are safe neither across threads nor across forks.

A request inside another request needs a second session: a signal handler may send one while its thread is in the middle of
another, and the connection pool's locks are not reentrant.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests

from ..errors import ClientClosed
from ..threads.flag import Flag

__all__ = ["Sessions"]


class _Holder:
    """A thread's session. It closes when the thread ends or the client closes."""

    def __init__(self, session: requests.Session) -> None:
        self.session = session
        self.pid = os.getpid()

    def close(self) -> None:
        """Close the session. Does nothing in a child process: a thread of the parent may have held its locks at the fork."""
        if self.pid == os.getpid():
            self.session.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # the interpreter is shutting down
            pass


class _Mine(threading.local):
    """The holders of one thread: the idle ones, and those with a request in progress by the id of their session."""

    def __init__(self) -> None:
        self.free: list[_Holder] = []
        self.busy: dict[int, _Holder] = {}


class Sessions:
    """The sessions of a client.

    There is no lock, because a fork could copy it while it is held. Threads share only a dictionary, whose single operations are
    atomic.
    """

    def __init__(self, make: Callable[[], requests.Session]) -> None:
        self._make = make
        self._mine = _Mine()
        self._open: dict[int, weakref.ref[_Holder]] = {}
        #: Set by :meth:`close`; interrupts waits.
        self.closed: Flag = Flag()

    @contextmanager
    def taken(self) -> Iterator[requests.Session]:
        """Yield a session of the calling thread for one request. A request inside another gets a second session.

        :raises ClientClosed: the client was closed.
        """
        session = self.get()
        try:
            yield session
        finally:
            self._give_back(session)

    def get(self) -> requests.Session:
        """Return an idle session of the calling thread. Each step is atomic, because a signal handler may run in between."""
        if self.closed.is_set():
            raise ClientClosed("this RestClient was closed; create a new one")
        mine = self._mine
        try:
            holder = mine.free.pop()
        except IndexError:
            holder = self._new()
        if holder.pid != os.getpid():  # created in the parent, before the fork
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
        """Close all sessions. Requests in progress in other threads finish."""
        self.closed.set()
        for reference in list(self._open.values()):
            holder = reference()
            if holder is not None:
                holder.close()
        self._open.clear()
