"""Run a server's ``on_stream`` handler in a separate thread for each stream."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

from ..deadline import Deadline
from ..threads import callback_errors, logs
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.starting import join_all
from .stream import AudioStream
from .stream_core import StreamCore

__all__ = ["StreamHandlers"]

_log = logs.get("relay_sync.audio").later
_callbacks = logs.get("relay_sync.callbacks").later
_numbers = itertools.count(1)
_NAMED = 10  # maximum number of handlers to list in a log message


class StreamHandlers:
    """Threads that run ``on_stream``. When the handler returns, its stream is closed.

    :param on_stream: the handler.
    :param name: prefix of the thread names.
    :param troubles: logs that no thread is available.
    """

    def __init__(self, on_stream: Callable[[AudioStream], object], name: str, troubles: RateLimitedLog) -> None:
        self._on_stream = on_stream
        self._name = name
        self._troubles = troubles
        # Guards _running; never held while waiting. Reentrant, because a signal handler may close the server.
        self._lock = threading.RLock()
        self._running: dict[threading.Thread, AudioStream] = {}
        self._logged: set[threading.Thread] = set()  # running handlers that join() has logged

    def handle(self, stream: AudioStream, core: StreamCore, raised: Callable[[str, BaseException], object]) -> None:
        """Start the handler for a stream. Never blocks and never raises an exception.

        :param stream: the stream to pass to the handler.
        :param core: the stream's core, which is closed if no thread is available.
        :param raised: called with the call ID and the exception if the handler fails.
        """

        def run() -> None:
            try:
                with stream:
                    self._on_stream(stream)
            except BaseException as error:  # includes SystemExit: sys.exit() ends only the handler
                _callbacks.exception(
                    "the on_stream handler failed for stream %s of call %s",
                    stream.stream_id,
                    stream.call_id,
                    extra={"call_id": stream.call_id},
                )
                callback_errors.tell(f"the on_stream handler of call {stream.call_id}", error)
                raised(stream.call_id, error)
            finally:
                with self._lock:
                    self._running.pop(threading.current_thread(), None)

        thread = threading.Thread(target=run, name=f"{self._name}-stream-{next(_numbers)}", daemon=True)
        with self._lock:
            self._running[thread] = stream
        try:
            thread.start()
        except RuntimeError as error:
            with self._lock:
                self._running.pop(thread, None)
            self._troubles.warning(
                "thread", "no thread available for the on_stream handler; closing the stream: %s", error
            )
            core.hang_up(False)

    def join(self, deadline: Deadline) -> None:
        """Wait for all handlers to return, except a handler that calls this method itself.

        Each handler still running at the deadline is logged once. At interpreter exit, the server waits again.

        :param deadline: when to stop waiting.
        """
        join_all(self._others(), deadline.remaining(time.monotonic()) or 0.0)
        left = {thread: stream for thread, stream in self._others().items() if thread not in self._logged}
        if not left:
            return
        self._logged |= left.keys()
        named = [
            f"{thread.name} (stream {stream.stream_id} of call {stream.call_id})" for thread, stream in left.items()
        ]
        if len(named) > _NAMED:
            named[_NAMED:] = [f"{len(named) - _NAMED} more"]
        what = (
            "an on_stream handler is still running"
            if len(left) == 1
            else f"{len(left)} on_stream handlers are still running"
        )
        _log.warning("%s after close(): %s", what, ", ".join(named))

    def _others(self) -> dict[threading.Thread, AudioStream]:
        with self._lock:
            running = dict(self._running)
        running.pop(threading.current_thread(), None)
        return running
