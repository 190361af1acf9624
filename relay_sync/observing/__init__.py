"""Observers for clients and audio servers.

=============  =====================================================================================================
``observer``   the base class for observers
``records``    the summary of a call, which observers receive when the call ends
``recorder``   collects the data for the summary
``lane``       the thread that calls observers
``observers``  the observers registered with one client or audio server
``stats``      the statistics of a client
=============  =====================================================================================================
"""

from __future__ import annotations

from .observer import Observer
from .records import CallRecord, RecordingRecord, StreamRecord

__all__ = ["CallRecord", "Observer", "RecordingRecord", "StreamRecord"]
