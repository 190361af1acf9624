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
from ..runtime.flag import Flag

__all__ = ["Sessions"]


class _Holder:
    """A thread's session; goes with the thread, or when the client is closed."""

    def __init__(self, session: requests.Session) -> None:
        self.session = session
        self.pid = os.getpid()
        self.busy = False  # with a request of its thread

    def close(self) -> None:
        """In a child process nothing: it is the parent's, and a thread that is not there may have been using its locks."""
        if self.pid == os.getpid():
            self.session.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # the interpreter is going
            pass


class Sessions:
    """The sessions of a client.

    There is no lock, which a fork might find taken: all that threads share is a dictionary, whose single steps are whole.
    """

    def __init__(self, make: Callable[[], requests.Session]) -> None:
        self._make = make
        self._mine = threading.local()
        self._open: dict[int, weakref.ref[_Holder]] = {}
        #: Set by :meth:`close`; ends waits.
        self.closed = Flag()

    @contextmanager
    def taken(self) -> Iterator[requests.Session]:
        """The calling thread's session, for one request. One in the middle of another gets a session of its own.

        :raises ClientClosed: after :meth:`close`.
        """
        if self.closed.is_set():
            raise ClientClosed("this RestClient was closed; make a new one")
        holder: _Holder | None = getattr(self._mine, "holder", None)
        if holder is None or holder.pid != os.getpid():
            holder = self._mine.holder = self._new()
        elif holder.busy:
            holder = self._new()  # closed when it goes
        try:
            holder.busy = True
            yield holder.session
        finally:
            holder.busy = False

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
