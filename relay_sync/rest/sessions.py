"""One ``requests.Session`` per thread and process: they are made neither for several threads nor for forks.

Nor for a request in the middle of another: a signal handler may send one on top of what its own thread is busy with, and the
pool of connections has locks that a thread cannot take twice.
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
    """A thread's session; goes with the thread, or when the client is closed."""

    def __init__(self, session: requests.Session) -> None:
        self.session = session
        self.pid = os.getpid()

    def close(self) -> None:
        """In a child process nothing: it is the parent's, and a thread that is not there may have been using its locks."""
        if self.pid == os.getpid():
            self.session.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # the interpreter is going
            pass


class _Mine(threading.local):
    """What one thread has: holders without a request, and those with one, by the number of their session."""

    def __init__(self) -> None:
        self.free: list[_Holder] = []
        self.busy: dict[int, _Holder] = {}


class Sessions:
    """The sessions of a client.

    There is no lock, which a fork might find taken: all that threads share is a dictionary, whose single steps are whole.
    """

    def __init__(self, make: Callable[[], requests.Session]) -> None:
        self._make = make
        self._mine = _Mine()
        self._open: dict[int, weakref.ref[_Holder]] = {}
        #: Set by :meth:`close`; ends waits.
        self.closed: Flag = Flag()

    @contextmanager
    def taken(self) -> Iterator[requests.Session]:
        """A session of the calling thread, for one request. One in the middle of another gets a session of its own.

        :raises ClientClosed: after :meth:`close`.
        """
        session = self.get()
        try:
            yield session
        finally:
            self._give_back(session)

    def get(self) -> requests.Session:
        """One that the calling thread has no request on; each step is whole, for a signal handler may come in between."""
        if self.closed.is_set():
            raise ClientClosed("this RestClient was closed; make a new one")
        mine = self._mine
        try:
            holder = mine.free.pop()
        except IndexError:
            holder = self._new()
        if holder.pid != os.getpid():  # of the parent, before the fork
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
        """Close them all. A request that is under way in another thread is left to end."""
        self.closed.set()
        for reference in list(self._open.values()):
            holder = reference()
            if holder is not None:
                holder.close()
        self._open.clear()
