"""Lines for the log, from threads that must never wait for a handler of it.

Logging handlers and filters are user code: they block, raise, and use the client. What a verb has to say in the user's thread
is written there and then. What is said in a thread that others wait for (``with shared():``), under a lock, or before something
that must not wait (``log.later``), is handed over to a thread ``relay-log``, which is there only while there is something to
write, and a moment longer. Nothing that a handler raises gets any further, on either way.
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

#: Lines that may wait for a slow handler; what comes then is left out, and counted.
MOST_WAITING: Final = 10_000
#: Seconds that the thread waits for more, since most lines do not come alone.
LINGER: Final = 0.05
#: Seconds that the end of a public call waits at most until what was said before is written.
FLUSH_PATIENCE: Final = 0.25
#: What belongs to the thread and the moment that something was said in, whoever writes it.
_MOMENT: Final = (
    "created", "msecs", "relativeCreated", "thread", "threadName", "process", "processName", "taskName", "exc_text",
)  # fmt: skip

_sharing: set[int] = set()


class _Desk:
    """Where lines wait, and the thread that writes them. No lock is waited for: a signal or a fork may come at any time."""

    def __init__(self) -> None:
        self._lines: deque[tuple[Context, logging.Logger, logging.LogRecord]] = deque()
        self._left_out = 0
        self._busy = threading.Lock()  # a flag that is taken in one step: whoever has it writes
        self._thread: threading.Thread | None = None
        self._ear = threading.Lock()  # what the thread sleeps on; to let go of it wakes it
        self._hurry = False  # whether it is to end as soon as all is written
        self._since: float | None = None  # when the handlers were given the line that they have now

    def hand_over(self, logger: logging.Logger, record: logging.LogRecord) -> None:
        """Write a line soon, in the order of these calls; never blocks."""
        if len(self._lines) >= MOST_WAITING:
            self._left_out += 1
            return
        self._lines.append((copy_context(), logger, record))
        if self._busy.locked():
            self._ring()
            return
        try:
            starting.uninterrupted(self._begin)
        except RuntimeError:  # no thread now, or none any more: with the next line, or at the next flush
            pass

    def _begin(self) -> None:
        """On the main thread a Ctrl-C in here would leave the flag taken."""
        if not self._busy.acquire(blocking=False):
            self._ring()
            return
        self._hurry = False
        self._ear = threading.Lock()  # made now: gevent may have patched after the import
        self._ear.acquire()
        self._thread = thread = threading.Thread(target=self._write, name="relay-log", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._busy.release()
            raise

    def _write(self) -> None:
        """Held: the flag."""
        while True:
            self._drain()
            if not self._hurry and self._ear.acquire(timeout=LINGER):
                continue
            self._busy.release()
            # What came in between found the flag taken.
            if not self._lines or not self._busy.acquire(blocking=False):
                return

    def _ring(self) -> None:
        try:
            if self._ear.locked():
                self._ear.release()
        except RuntimeError:  # somebody else rang
            pass

    def _drain(self) -> None:
        while self._lines:
            self._since = time.monotonic()
            context, logger, record = self._lines.popleft()
            try:
                context.run(_write, logger, record)
            except BaseException:  # nothing ends this thread
                _complain()
            self._since = None
        left_out, self._left_out = self._left_out, 0
        if left_out:
            logger = logging.getLogger("relay_sync")
            told = "%d lines of the log were left out: its handlers are too slow"
            self._lines.append((Context(), logger, _record(logger, logging.WARNING, told, (left_out,), None, None, 1)))

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
                return False  # a handler blocks, perhaps for ever: others are not to pay for that again and again
            self._hurry = True
            self._ring()
            if self._busy.acquire(blocking=False):  # no thread could be started
                self._write()
            elif thread is not None and thread.ident is not None:
                thread.join(end - now)
                if thread.is_alive():
                    end = now  # time is up, even where the clock stands still
            else:
                time.sleep(0.001)  # it is just being started
        thread, self._hurry = self._thread, True
        self._ring()
        if thread is not None and thread is not threading.current_thread() and thread.ident is not None:
            thread.join(max(0.0, end - time.monotonic()))
        return True


_desk = _Desk()


@contextmanager
def shared() -> Iterator[None]:
    """Others wait for what this thread does: inside, lines are handed over."""
    me = threading.get_ident()
    _sharing.add(me)
    try:
        yield
    finally:
        _sharing.discard(me)


def flush(timeout: float = FLUSH_PATIENCE) -> bool:
    """Wait until what was handed over is written, for so many seconds at most, and no longer for a handler that blocks.

    :return: whether it is.
    """
    return _desk.flush(timeout)


def after_fork() -> None:
    """In a child: what waits is the parent's to write."""
    global _desk
    _desk.forget()
    _desk = _Desk()
    _sharing.clear()


def pass_on(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Write the record of another library as if this package had said it here."""
    if threading.get_ident() in _sharing:
        conceal(record)
        _desk.hand_over(logger, record)
    else:
        _write(logger, record)


class Log:
    """Says something to a standard logger; its methods are those of :class:`logging.Logger`."""

    __slots__ = ("_hands_over", "_logger")

    def __init__(self, logger: logging.Logger, hands_over: bool = False) -> None:
        self._logger = logger
        self._hands_over = hands_over

    @property
    def later(self) -> Log:
        """The same for code that must not wait for a handler: what is said is handed over on any thread."""
        return Log(self._logger, True)

    def isEnabledFor(self, level: int) -> bool:
        """Whether a line of this level is written. Takes no lock, which the logger's own method does now and then: who sets up
        logging holds it, and may use the client meanwhile.
        """
        own = logger = self._logger
        while not logger.level and logger.parent is not None:  # as getEffectiveLevel(): this is asked of every frame
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
                conceal(record)  # here, while whose secrets they are is certainly there
                _desk.hand_over(self._logger, record)
            else:
                _write(self._logger, record)
        except Exception:
            _complain()


def get(name: str) -> Log:
    """What is said to the standard logger of this name."""
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
    """:param depth: how many calls above this one the line is said."""
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
    """The record as a factory of the user's makes it, with the moment at which it was said."""
    factory = logging.getLogRecordFactory()
    if factory is logging.LogRecord:
        return record
    told = record.__dict__
    made = factory(
        record.name, record.levelno, record.pathname, record.lineno, record.msg, record.args, record.exc_info, record.funcName,
        None,
    )  # fmt: skip
    made.__dict__.update({name: value for name, value in told.items() if name in _MOMENT or name not in made.__dict__})
    return made


def _write(logger: logging.Logger, record: logging.LogRecord) -> None:
    try:
        if logger.isEnabledFor(record.levelno):
            logger.handle(_as_users_expect(record))
    except Exception:
        _complain()


def _complain() -> None:
    """What a handler raised is told as logging itself tells what goes wrong in one."""
    if logging.raiseExceptions and sys.stderr is not None:
        try:
            sys.stderr.write("--- Logging error ---\n")
            traceback.print_exc(file=sys.stderr)
        except Exception:  # there is nobody left to tell
            pass


def _call_named(message: str, args: tuple[object, ...]) -> dict[str, object]:
    """The id of the call that a line is about, for ``call_id``: what stands after the word "call"."""
    before, found, _ = message.partition("call %s")
    place = before.count("%")
    return {"call_id": args[place]} if found and place < len(args) else {}
