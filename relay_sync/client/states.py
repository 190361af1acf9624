"""Reports the connection state: in :attr:`RelayClient.state`, to ``on_state``, and in the log."""

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
    """The connection state of one client. Changed on the IO thread, read on any thread.

    :ivar now: ``idle``, ``connecting``, ``connected``, ``reconnecting``, ``closed`` or ``failed``.
    """

    def __init__(self, callbacks: Callbacks, on_state: Callable[[ConnectionState], object] | None) -> None:
        self.now: ConnectionState = "idle"
        self._callbacks = callbacks
        self._on_state = None if on_state is None else InContext(on_state)
        self._was_ready = False
        #: The last logged reason why there is no connection; ``""`` while connected.
        self._no_connection = ""
        self._causes = RateLimitedLog(_log)

    @property
    def over(self) -> bool:
        """Whether the state is final for this connection."""
        return self.now in _LAST

    def enter(self, phase: Phase) -> str:
        """Enter a phase of the session.

        :return: the state before, for :meth:`say`.
        """
        before = self.now
        self.now = _PUBLIC.get(phase, "reconnecting" if self._was_ready else "connecting")
        if phase is Phase.READY:
            self._was_ready, self._no_connection = True, ""
        return before

    def say(self, before: str, phase: Phase, error: RelayError | None) -> None:
        """Log a change of state, and report it to observers and ``on_state``."""
        if phase is Phase.FAILED and error is not None and self._was_ready:
            # connect() raises its failure. After that, no thread may be waiting, so log it.
            _log.error("the session is permanently lost: %s", error.message)
        if phase is Phase.BACKING_OFF and error is not None:
            self._say_no_connection(error.message)
        if self.now != before:
            _log.info("relay: %s", self.now)
            if self._callbacks.observers is not None:
                self._callbacks.observers.connection_changed(before, self.now)
            if self._on_state is not None:
                # Final states are always delivered. Others may be dropped: a late handler would see an outdated state.
                self._callbacks.in_lane(CLIENT_LANE, "on_state handler", self._on_state, self.now, final=self.over)
        if phase in (Phase.CLOSED, Phase.FAILED):
            self._was_ready, self._no_connection = False, ""

    def _say_no_connection(self, why: str) -> None:
        """Log a cause once, then once a minute with the number of attempts."""
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
        """In a child process: start without a connection."""
        self.now = "idle"
        self._was_ready = False
        self._causes = RateLimitedLog(_log)  # another thread may have held its lock at the fork
