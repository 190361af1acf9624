"""Signals. Receivers run where blocking is allowed; what they raise is logged and hurts nobody.

``call_received``
    a call came in: in its handler's thread, before the handler; sent with ``call``
``call_ended``
    it is over: in the call's lane; sent with ``call`` and ``event``
``stream_status``
    the platform told a stream's status by webhook: in the request; sent with ``callback``
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = ["call_ended", "call_received", "stream_status"]

call_received = Signal()
call_ended = Signal()
stream_status = Signal()
