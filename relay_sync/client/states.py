"""Says how the connection stands: in :attr:`RelayClient.state`, to ``on_state``, and in the log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ..errors import RelayError
from ..protocol.command import Phase
from ..threads import logs
from ..threads.lanes import InContext
from .callbacks import CLIENT_LANE, Callbacks

__all__ = ["States"]

_log = logs.get("relay_sync").later

#: Seconds after which one reason for having no connection is said again.
REPEATED_AFTER: Final = 60.0
_PUBLIC: Final = {
    Phase.IDLE: "idle",
    Phase.READY: "connected",
    Phase.CLOSED: "closed",
    Phase.FAILED: "failed",
}
_LAST: Final = (_PUBLIC[Phase.CLOSED], _PUBLIC[Phase.FAILED])


class States:
    """The states of one client. Moved on the IO thread, read on any.

    :ivar now: ``idle``, ``connecting``, ``connected``, ``reconnecting``, ``closed`` or ``failed``.
    """

    def __init__(self, callbacks: Callbacks, on_state: Callable[[str], object] | None) -> None:
        self.now = "idle"
        self._callbacks = callbacks
        self._on_state = None if on_state is None else InContext(on_state)
        self._was_ready = False
        #: Why there was no connection last, when that was said, and how many attempts have failed for this reason.
        self._no_connection = ""
        self._said_no_connection = 0.0
        self._attempts = 0

    @property
    def over(self) -> bool:
        """Whether this connection has had its end."""
        return self.now in _LAST

    def enter(self, phase: Phase) -> str:
        """The session moved. :return: the state before; :meth:`say` then says what is new."""
        before = self.now
        self.now = _PUBLIC.get(phase, "reconnecting" if self._was_ready else "connecting")
        if phase is Phase.READY:
            self._was_ready, self._no_connection = True, ""
        return before

    def say(self, before: str, phase: Phase, error: RelayError | None) -> None:
        """Say what is new since a state."""
        if phase is Phase.FAILED and error is not None and self._was_ready:
            # connect() tells its caller; this one nobody may be waiting for.
            _log.error("the session is lost for good: %s", error.message)
        if phase is Phase.BACKING_OFF and error is not None:
            self._say_no_connection(error.message, time.monotonic())
        if self.now != before:
            _log.info("relay: %s", self.now)
            if self._callbacks.observers is not None:
                self._callbacks.observers.connection_changed(before, self.now)
            if self._on_state is not None:
                # The last two are the last word; the others tell of a state that is over by the time a late handler hears of it.
                self._callbacks.in_lane(CLIENT_LANE, "on_state handler", self._on_state, self.now, final=self.over)
        if phase in (Phase.CLOSED, Phase.FAILED):
            self._was_ready, self._no_connection = False, ""

    def _say_no_connection(self, why: str, now: float) -> None:
        """The same cause once, and then once a minute with the number of attempts."""
        if why != self._no_connection:
            self._no_connection, self._attempts, self._said_no_connection = why, 1, now
            _log.warning("no connection: %s; trying again", why)
            return
        self._attempts += 1
        if now >= self._said_no_connection + REPEATED_AFTER:
            self._said_no_connection = now
            _log.warning("no connection after %d attempts: %s; trying again", self._attempts, why)
        else:
            _log.debug("no connection (attempt %d): %s", self._attempts, why)

    def after_fork(self) -> None:
        """In a child: there was no connection yet."""
        self.now = "idle"
        self._was_ready = False
