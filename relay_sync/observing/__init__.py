"""Observers: whoever wants to know what a client and an audio server do, and the record of a call.

``observer`` (what users override), ``records`` (what is left of a call), ``recorder`` (collects it), ``lane`` (the thread that
calls observers), ``observers`` (the part that a client or an audio server holds).
"""

from __future__ import annotations

from .observer import Observer
from .records import CallRecord, RecordingRecord, StreamRecord

__all__ = ["CallRecord", "Observer", "RecordingRecord", "StreamRecord"]
