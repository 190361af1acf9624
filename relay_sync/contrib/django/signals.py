"""Signals for calls and status callbacks.

Receivers may block. An exception in a receiver is logged and does not affect other receivers.

``call_received``
    An inbound call arrived. Sent with ``call``, in the thread of its handler, before the handler runs.
``call_ended``
    The platform reported the end of such a call. Sent with ``call`` and ``event``, in the call's lane. It is not sent if the
    platform reports no end: the call was returned to the platform, its session was lost, or the client closed. There are no
    signals for calls that this process dials, nor for calls without a handler and a receiver; use :meth:`relay_sync.Call.on`.

Signals for status callbacks are sent in the request that delivers the callback, with ``callback``, a
:class:`relay_sync.webhooks.Callback`:

``status_received``
    Every status callback, after the signal of its kind.
``stream_status``, ``recording_status``
    A stream or a recording, with a :class:`~relay_sync.webhooks.StreamStatus` or a :class:`~relay_sync.webhooks.RecordingStatus`.
``call_status``, ``message_status``
    A call (including its actions) or a message, with an :class:`~relay_sync.webhooks.OtherStatus`.
``other_status``
    Any other subject, with an :class:`~relay_sync.webhooks.OtherStatus`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.dispatch import Signal

from ...threads import logs
from ...webhooks.callbacks import Kind

__all__ = [
    "call_ended",
    "call_received",
    "call_status",
    "message_status",
    "of_kind",
    "other_status",
    "recording_status",
    "status_received",
    "stream_status",
]

_log = logs.get("relay_sync").later


class _Signal(Signal):
    """A signal that logs failing receivers with the logger of this package instead of Django's."""

    def __init__(self) -> None:
        super().__init__()
        self._when_connected: Callable[[], object] | None = None

    def call_when_connected(self, function: Callable[[], object]) -> None:
        """Call a function whenever a receiver is connected from now on."""
        self._when_connected = function

    def connect(self, *args: Any, **options: Any) -> None:
        super().connect(*args, **options)
        if self._when_connected is not None:
            self._when_connected()

    def _log_robust_failure(self, receiver: Callable[..., object], error: Exception) -> None:
        name = getattr(receiver, "__qualname__", repr(receiver))
        _log.error("a receiver of a relay_sync signal raised: %s", name, exc_info=error)


call_received: Final[_Signal] = _Signal()
call_ended: Final[Signal] = _Signal()
status_received: Final[Signal] = _Signal()
stream_status: Final[Signal] = _Signal()
recording_status: Final[Signal] = _Signal()
call_status: Final[Signal] = _Signal()
message_status: Final[Signal] = _Signal()
other_status: Final[Signal] = _Signal()

#: The signal for each kind of status callback.
of_kind: Final[Mapping[Kind, Signal]] = {
    "stream": stream_status,
    "recording": recording_status,
    "call": call_status,
    "message": message_status,
    "other": other_status,
}
