"""Make the report of this process: its clients, its audio servers, its IO threads."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from .. import receivers
from ..threads import logs, sources
from ..threads.pulse import silences
from ..threads.rate_limited_log import RateLimitedLog
from ..threads.sources import Source
from .families import BUCKETS, FAMILIES, OTHER, SUM, added
from .report import Report, Samples

if TYPE_CHECKING:
    from ..audio.stats import AudioServerStats
    from ..client.client import RelayClient
    from ..observing.stats import ClientStats

__all__ = ["Snapshots"]

_log: Final = logs.get("relay_sync.health").later
#: Gauges of which the largest value counts, not the sum.
_LARGEST: Final = frozenset({"relay_audio_turn_seconds"})


class Snapshots:
    """Makes reports of this process. Only one thread may use it at a time.

    :param client: client whose connection decides whether the process accepts calls.
    """

    def __init__(self, client: RelayClient) -> None:
        self._client = client
        #: Latest samples of each client and audio server, by identity.
        self._latest: dict[int, tuple[weakref.ref[Any], Samples]] = {}
        #: Sums of the counters of objects that have been garbage-collected.
        self._past: Samples = {}
        self._troubles = RateLimitedLog(_log)

    def report(self, *, over: bool = False) -> Report:
        """Return the current state of the process.

        :param over: whether the client has been closed and the process is about to exit.
        """
        quiet = silences()
        stats = self._client.stats()
        return Report(
            connected=stats.state == "connected",
            draining=stats.draining,
            over=over,
            threads=len(quiet),
            silent={name: silence for name, silence in quiet.items() if silence},
            samples=self._samples(),
        )

    def _samples(self) -> Samples:
        # Read the list before the statistics, so that an object that is collected in between is counted once.
        for each in sources.clients:
            self._take(each, _of_client)
        for server in receivers.servers():
            self._take(server, _of_server)
        for number, (reference, samples) in list(self._latest.items()):
            if reference() is None:
                del self._latest[number]
                self._past = added(self._past, samples)
        living = [samples for _, samples in self._latest.values()]
        total = self._past
        for samples in living:
            total = added(total, samples)
        return {**total, **_gauges(living)}

    def _take(self, source: Source, read: Any) -> None:
        known = self._latest.get(id(source))
        if known is not None and known[0]() is not source:  # the identity of an object that has been collected
            self._past = added(self._past, known[1])
            del self._latest[id(source)]
        try:
            self._latest[id(source)] = (weakref.ref(source), read(source.stats()))
        except Exception:  # keep the previous values
            self._troubles.fault("the statistics of a client or an audio server cannot be read")


def _gauges(living: Iterable[Samples]) -> Samples:
    found: dict[str, dict[str, float]] = {}
    for samples in living:
        for name, values in samples.items():
            if FAMILIES[name].kind != "gauge":
                continue
            mine = found.setdefault(name, {})
            for label, value in values.items():
                before = mine.get(label, 0)
                mine[label] = max(before, value) if name in _LARGEST else before + value
    return found


def _of_client(stats: object) -> Samples:
    found = cast("ClientStats", stats)
    return {
        "relay_calls": {"": found.live_calls},
        "relay_inbound_calls_total": {"taken": found.calls_taken, "returned": found.calls_returned},
        "relay_dials_total": {"": found.calls_dialed},
        "relay_handlers": {"": found.handlers},
        "relay_callbacks": {"running": found.callbacks_running, "queued": found.callbacks_queued},
        "relay_callbacks_dropped_total": {"": found.callbacks_dropped},
        "relay_commands_pending": {"": found.commands_pending},
        "relay_command_duration_seconds": {
            **dict(zip(BUCKETS, found.latency.counts, strict=True)),
            SUM: found.latency.sum,
        },
        "relay_command_errors_total": found.command_errors,
        "relay_callback_errors_total": found.callback_errors,
        "relay_connection_errors_total": found.connection_errors,
        "relay_reconnects_total": {"": found.reconnects},
        "relay_messages_total": {"sent": found.messages_sent, "received": found.messages_received},
    }


def _of_server(stats: object) -> Samples:
    found = cast("AudioServerStats", stats)
    return {
        "relay_audio_connections": {"": found.connections},
        "relay_audio_streams": {"": found.streams},
        "relay_audio_streams_waiting": {"": found.waiting},
        "relay_audio_turn_seconds": {"": found.turn},
        "relay_audio_behind": {"": int(found.behind)},
        "relay_audio_streams_total": {"": found.streams_started},
        "relay_audio_frames_total": {"": found.frames},
        "relay_audio_bytes_total": {"": found.bytes},
        "relay_audio_gaps_total": {"": found.gaps},
        "relay_audio_missing_seconds_total": {"": found.missing},
        "relay_audio_late_frames_total": {"": found.late},
        "relay_audio_duplicate_frames_total": {"": found.duplicates},
        "relay_audio_bad_frames_total": {"": found.bad_frames},
        "relay_audio_dropped_frames_total": {"": found.dropped},
        "relay_audio_refused_total": _known(found.refused),
    }


def _known(kinds: Mapping[str, int]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for kind, number in kinds.items():
        name = kind if kind in FAMILIES["relay_audio_refused_total"].values else OTHER
        found[name] = found.get(name, 0) + number
    return found
