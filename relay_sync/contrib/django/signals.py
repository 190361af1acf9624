"""Signals for calls and status callbacks.

Receivers may block. If a receiver raises, the exception is logged and the other receivers still run.

``call_received``
    Sent when an inbound call arrives, with the argument ``call``. Receivers run in the handler's thread, before the handler.
``call_ended``
    Sent when the platform reports the end of an inbound call, with the arguments ``call`` and ``event``. Receivers run in one of
    the call's event listeners. The signal is not sent if the call was returned to the platform, if the session was lost, or if
    the client was closed, because the platform does not report the end in these cases.

These signals are not sent for outbound calls. Use :meth:`relay_sync.Call.on` instead. They are also not sent for inbound calls
without a handler or receiver, which are returned to the platform.

Signals for status callbacks are sent during the request that delivers the callback, with the argument ``callback``:

``status_received``
    Sent for every status callback, after the more specific signal. ``callback`` is a :class:`relay_sync.webhooks.Callback`.
``stream_status``
    Sent for streams, with a :class:`relay_sync.webhooks.StreamStatus`.
``recording_status``
    Sent for recordings, with a :class:`relay_sync.webhooks.RecordingStatus`.
``call_status``
    Sent for calls and their actions, with an :class:`relay_sync.webhooks.OtherStatus`.
``message_status``
    Sent for messages, with an :class:`relay_sync.webhooks.OtherStatus`.
``other_status``
    Sent for all other callbacks, with an :class:`relay_sync.webhooks.OtherStatus`.
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
    """Signal that logs receivers' exceptions to the ``relay_sync`` logger instead of Django's."""

    def __init__(self) -> None:
        super().__init__()
        self._when_connected: Callable[[], object] | None = None

    def call_when_connected(self, function: Callable[[], object]) -> None:
        """Set a function to call each time a receiver is connected."""
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

#: Signal for each kind of status callback.
of_kind: Final[Mapping[Kind, Signal]] = {
    "stream": stream_status,
    "recording": recording_status,
    "call": call_status,
    "message": message_status,
    "other": other_status,
}
