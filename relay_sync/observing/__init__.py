"""Observers of a client or an audio server, and the records of calls.

``observer`` (the base class that users derive from), ``records`` (the summary of a call), ``recorder`` (collects its data),
``lane`` (the thread that calls observers), ``observers`` (the observers of one client or audio server).
"""

from __future__ import annotations

from .observer import Observer
from .records import CallRecord, RecordingRecord, StreamRecord

__all__ = ["CallRecord", "Observer", "RecordingRecord", "StreamRecord"]
