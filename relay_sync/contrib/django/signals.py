"""Signals. Receivers run where blocking is allowed; what they raise is logged and does not affect other receivers.

``call_received``
    a call came in: in its handler's thread, before the handler; sent with ``call``
``call_ended``
    such a call is over, as the platform tells: in the call's lane; sent with ``call`` and ``event``. Not where nothing tells of
    the end: the call was passed back, its session was lost, or the client was closed. Nor are there signals for calls that
    this process dials, or that nobody takes: :meth:`relay_sync.Call.on` listens to those

Status callbacks, in the request that brings them, each sent with ``callback``, a :class:`relay_sync.webhooks.Callback`:

``status_received``
    every one, after the signal of its kind
``stream_status``, ``recording_status``
    a stream or a recording: :class:`~relay_sync.webhooks.StreamStatus`, :class:`~relay_sync.webhooks.RecordingStatus`
``call_status``, ``message_status``
    a call (also what its actions do) or a message: :class:`~relay_sync.webhooks.OtherStatus`
``other_status``
    anything else: :class:`~relay_sync.webhooks.OtherStatus`
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
    """One whose failing receivers are logged with all else of this package, and not by Django as well."""

    def __init__(self) -> None:
        super().__init__()
        self._when_connected: Callable[[], object] | None = None

    def call_when_connected(self, function: Callable[[], object]) -> None:
        """Have a function called after each receiver that is connected from now on."""
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
