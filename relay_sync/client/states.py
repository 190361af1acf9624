"""Track the connection state and report it to ``on_state``, to observers and in the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..constants import ConnectionState
from ..errors import RelayError
from ..protocol.command import Phase
from ..threads import logs
from ..threads.lanes import InContext
from ..threads.rate_limited_log import RateLimitedLog
from .callbacks import CLIENT_LANE, Callbacks

__all__ = ["States"]

_log = logs.get("relay_sync").later

_PUBLIC: Final[dict[Phase, ConnectionState]] = {
    Phase.IDLE: "idle",
    Phase.READY: "connected",
    Phase.CLOSED: "closed",
    Phase.FAILED: "failed",
}
_LAST: Final = (_PUBLIC[Phase.CLOSED], _PUBLIC[Phase.FAILED])


class States:
    """A client's connection state. Only the IO thread changes it, but any thread may read it.

    :ivar now: current state, with the same values as :attr:`RelayClient.state`.
    """

    def __init__(self, callbacks: Callbacks, on_state: Callable[[ConnectionState], object] | None) -> None:
        self.now: ConnectionState = "idle"
        self._callbacks = callbacks
        self._on_state = None if on_state is None else InContext(on_state)
        self._was_ready = False
        #: The most recently logged connection error, or ``""`` while connected.
        self._no_connection = ""
        self._causes = RateLimitedLog(_log)

    @property
    def over(self) -> bool:
        """Whether the state is ``closed`` or ``failed``."""
        return self.now in _LAST

    def enter(self, phase: Phase) -> str:
        """Update the state for the session's new phase.

        :return: the previous state, which the caller passes to :meth:`say`.
        """
        before = self.now
        self.now = _PUBLIC.get(phase, "reconnecting" if self._was_ready else "connecting")
        if phase is Phase.READY:
            self._was_ready, self._no_connection = True, ""
        return before

    def say(self, before: str, phase: Phase, error: RelayError | None) -> None:
        """Log a state change, and notify observers and ``on_state``."""
        if phase is Phase.FAILED and error is not None and self._was_ready:
            # Before the first connection, connect() raises the error. After that, no thread may be waiting, so log it.
            _log.error("the session is permanently lost: %s", error.message)
        if phase is Phase.BACKING_OFF and error is not None:
            self._say_no_connection(error.message)
        if self.now != before:
            _log.info("relay: %s", self.now)
            if self._callbacks.observers is not None:
                self._callbacks.observers.connection_changed(before, self.now)
            if self._on_state is not None:
                # Final states are always delivered. Other states may be dropped if the queue is full.
                self._callbacks.in_lane(CLIENT_LANE, "on_state handler", self._on_state, self.now, final=self.over)
        if phase in (Phase.CLOSED, Phase.FAILED):
            self._was_ready, self._no_connection = False, ""

    def _say_no_connection(self, why: str) -> None:
        """Log a connection error when it first occurs, then once a minute with the number of attempts."""
        if why != self._no_connection:
            self._no_connection = why
            self._causes.forget()
        due, attempts = self._causes.due(why) is not None, self._causes.count(why)
        if attempts == 1:
            _log.warning("no connection: %s; retrying", why)
        elif due:
            _log.warning("no connection after %d attempts: %s; retrying", attempts, why)
        else:
            _log.debug("no connection (attempt %d): %s", attempts, why)

    def after_fork(self) -> None:
        """Reset the state in a forked child process, which has no connection."""
        self.now = "idle"
        self._was_ready = False
        self._causes = RateLimitedLog(_log)  # another thread may have held the lock of the old object at the fork
