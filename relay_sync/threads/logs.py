"""Logging for threads that must not wait for logging handlers.

Logging handlers and filters are user code. They may block, raise, or use the client. Records logged on a user's thread
are written immediately. Records are passed to a background thread instead if they come from a thread that other threads
depend on (``with shared():``), from code that holds a lock, or from code that must not be delayed (``log.later``). The
background thread, ``relay-log``, runs only while there are records to write. Exceptions raised by handlers are never
propagated.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any, Final

from ..text.secrecy import conceal
from . import starting

__all__ = ["Log", "after_fork", "flush", "get", "pass_on", "shared"]

#: Maximum number of queued records. Further records are dropped and counted.
MOST_WAITING: Final = 10_000
#: Time that the thread waits for another record before it exits, in seconds. Most records arrive in groups.
LINGER: Final = 0.05
#: Maximum time that a public call waits at its end for its records to be written, in seconds.
FLUSH_PATIENCE: Final = 0.25
#: Record attributes that describe when and on which thread a record was logged.
_MOMENT: Final = (
    "created", "msecs", "relativeCreated", "thread", "threadName", "process", "processName", "taskName", "exc_text",
)  # fmt: skip

_sharing: set[int] = set()


class _Desk:
    """The queue of records and the thread that writes them.

    The thread that logs never waits for a lock, so this class is safe in signal handlers and across forks.
    """

    def __init__(self) -> None:
        self._lines: deque[tuple[Context, logging.Logger, logging.LogRecord]] = deque()
        self._left_out = 0
        self._busy = threading.Lock()  # used as an atomic flag; held while a thread writes
        self._thread: threading.Thread | None = None
        self._ear = threading.Lock()  # the thread sleeps on this lock; releasing it wakes the thread
        self._hurry = False  # exit as soon as all records are written
        self._since: float | None = None  # when the current record was passed to the handlers

    def hand_over(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        """Queue a record without blocking. Records are written in the order of these calls."""
        if len(self._lines) >= MOST_WAITING:
            self._left_out += 1
            return
        self._lines.append((copy_context(), logger, record))
        if self._busy.locked():
            self._ring()
            return
        try:
            starting.uninterrupted(self._begin)
        except RuntimeError:  # no thread is available; retry with the next record or flush
            pass

    def _begin(self) -> None:
        """Start the thread. This runs in ``uninterrupted``, because Ctrl-C on the main thread could leave the flag held."""
        if not self._busy.acquire(blocking=False):
            self._ring()
            return
        self._hurry = False
        self._ear = threading.Lock()  # created here because gevent may have patched threading since the import
        self._ear.acquire()
        self._thread = thread = threading.Thread(target=self._write, name="relay-log", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._busy.release()
            raise

    def _write(self) -> None:
        """Write records until none are left. The caller holds the flag."""
        while True:
            self._drain()
            if not self._hurry and self._ear.acquire(timeout=LINGER):
                continue
            self._busy.release()
            # A record queued just before the release did not start another thread, because the flag was held.
            if not self._lines or not self._busy.acquire(blocking=False):
                return

    def _ring(self) -> None:
        try:
            if self._ear.locked():
                self._ear.release()
        except RuntimeError:  # another thread has released it
            pass

    def _drain(self) -> None:
        while self._lines:
            self._since = time.monotonic()
            context, logger, record = self._lines.popleft()
            try:
                context.run(_write, logger, record)
            except BaseException:  # the thread must survive
                _complain()
            self._since = None
        left_out, self._left_out = self._left_out, 0
        if left_out:
            logger = logging.getLogger("relay_sync")
            message = "dropped %d log records: the logging handlers are too slow"
            self._lines.append(
                (Context(), logger, _record(logger, logging.WARNING, message, (left_out,), None, None, 1))
            )

    def forget(self) -> None:
        self._lines.clear()

    def flush(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while self._lines or self._since is not None:
            thread, since = self._thread, self._since
            if thread is threading.current_thread():
                return False
            now = time.monotonic()
            if now >= end or (since is not None and now - since >= timeout):
                return False  # a handler is blocked, perhaps forever; do not delay every later call
            self._hurry = True
            self._ring()
            if self._busy.acquire(blocking=False):  # no thread could be started
                self._write()
            elif thread is not None and thread.ident is not None:
                thread.join(end - now)
                if thread.is_alive():
                    end = now  # the timeout has expired, even if the clock stands still
            else:
                time.sleep(0.001)  # the thread is starting
        thread, self._hurry = self._thread, True
        self._ring()
        if thread is not None and thread is not threading.current_thread() and thread.ident is not None:
            thread.join(max(0.0, end - time.monotonic()))
        return True


_desk = _Desk()


@contextmanager
def shared() -> Iterator[None]:
    """Inside the block, pass this thread's records to the background thread, because other threads depend on this one."""
    me = threading.get_ident()
    _sharing.add(me)
    try:
        yield
    finally:
        _sharing.discard(me)


def flush(timeout: float = FLUSH_PATIENCE) -> bool:
    """Wait until all queued records have been written. Give up if a handler blocks for ``timeout`` seconds.

    :param timeout: maximum time to wait, in seconds.
    :return: whether all records have been written.
    """
    return _desk.flush(timeout)


def after_fork() -> None:
    """Discard the queue in a child process. The parent writes the queued records."""
    global _desk
    _desk.forget()
    _desk = _Desk()
    _sharing.clear()


def pass_on(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Log another library's record as if it came from this package."""
    if threading.get_ident() in _sharing:
        conceal(record)
        _desk.hand_over(logger, record)
    else:
        _write(logger, record)


class Log:
    """A thin wrapper around a standard logger, with the :class:`logging.Logger` methods that this package uses."""

    __slots__ = ("_hands_over", "_logger")

    def __init__(self, logger: logging.Logger, hands_over: bool = False) -> None:
        self._logger = logger
        self._hands_over = hands_over

    @property
    def later(self) -> Log:
        """The same log, with all records passed to the background thread."""
        return Log(self._logger, True)

    def isEnabledFor(self, level: int) -> bool:
        """Return whether records of this level are written.

        This method acquires no lock. ``Logger.isEnabledFor`` may acquire the logging module's lock, and code that
        configures logging may use the client while it holds that lock.
        """
        own = logger = self._logger
        while not logger.level and logger.parent is not None:
            # This is getEffectiveLevel(), inlined because it runs for every frame.
            logger = logger.parent
        return level >= logger.level and level > own.manager.disable and not own.disabled

    def debug(self, message: str, *args: object, **more: Any) -> None:
        self._say(logging.DEBUG, message, args, **more)

    def info(self, message: str, *args: object, **more: Any) -> None:
        self._say(logging.INFO, message, args, **more)

    def warning(self, message: str, *args: object, **more: Any) -> None:
        self._say(logging.WARNING, message, args, **more)

    def error(self, message: str, *args: object, **more: Any) -> None:
        self._say(logging.ERROR, message, args, **more)

    def exception(self, message: str, *args: object, **more: Any) -> None:
        self._say(logging.ERROR, message, args, **{"exc_info": True, **more})

    def log(self, level: int, message: str, *args: object, **more: Any) -> None:
        self._say(level, message, args, **more)

    def _say(
        self,
        level: int,
        message: str,
        args: tuple[object, ...],
        exc_info: Any = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        if not self.isEnabledFor(level):
            return
        try:
            record = _record(self._logger, level, message, args, exc_info, extra, 3)
            if self._hands_over or threading.get_ident() in _sharing:
                conceal(record)  # do this now, while the owner of the secrets still exists
                _desk.hand_over(self._logger, record)
            else:
                _write(self._logger, record)
        except Exception:
            _complain()


def get(name: str) -> Log:
    """Return the log for the standard logger with this name."""
    return Log(logging.getLogger(name))


def _record(
    logger: logging.Logger,
    level: int,
    message: str,
    args: tuple[object, ...],
    exc_info: Any,
    extra: Mapping[str, object] | None,
    depth: int,
) -> logging.LogRecord:
    """Create a log record that points to the calling code.

    :param depth: number of stack frames between this function and the calling code.
    """
    frame = sys._getframe(depth)
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    elif exc_info and not isinstance(exc_info, tuple):
        exc_info = sys.exc_info()
    code = frame.f_code
    record = logging.LogRecord(
        logger.name, level, code.co_filename, frame.f_lineno, message, args, exc_info or None, code.co_name
    )
    record.__dict__.update(extra or _call_named(message, args))
    return record


def _as_users_expect(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record as created by the user's record factory, with its original time and thread."""
    factory = logging.getLogRecordFactory()
    if factory is logging.LogRecord:
        return record
    original = record.__dict__
    made = factory(
        record.name, record.levelno, record.pathname, record.lineno, record.msg, record.args, record.exc_info, record.funcName,
        None,
    )  # fmt: skip
    made.__dict__.update(
        {name: value for name, value in original.items() if name in _MOMENT or name not in made.__dict__}
    )
    return made


def _write(logger: logging.Logger, record: logging.LogRecord) -> None:
    try:
        if logger.isEnabledFor(record.levelno):
            logger.handle(_as_users_expect(record))
    except Exception:
        _complain()


def _complain() -> None:
    """Print the current exception in the same format as ``logging``."""
    if logging.raiseExceptions and sys.stderr is not None:
        try:
            sys.stderr.write("--- Logging error ---\n")
            traceback.print_exc(file=sys.stderr)
        except Exception:  # there is no output left to report to
            pass


def _call_named(message: str, args: tuple[object, ...]) -> dict[str, object]:
    """Return ``call_id`` for a record about a call: the argument that follows the word "call" in the message."""
    before, found, _ = message.partition("call %s")
    place = before.count("%")
    return {"call_id": args[place]} if found and place < len(args) else {}
