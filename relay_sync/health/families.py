"""The metrics, by family. All label values come from the sets listed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from attrs import field, frozen

from ..client.counters import ERROR_KINDS
from ..constants import LATENCY_BOUNDS
from .report import Samples

__all__ = ["BUCKETS", "FAMILIES", "OTHER", "REFUSED", "SUM", "Family", "added", "allowed"]

#: Label value of everything that has none of its own.
OTHER: Final = "other"
#: Kinds of refused connections, as in the statistics of an audio server. The supervisor must not import that package, which needs
#: an extra.
REFUSED: Final = frozenset(
    {
        "accept",
        "bad_header",
        "bad_key",
        "crowd",
        "files",
        "full",
        "http",
        "http_version",
        "large_head",
        "malformed",
        "method",
        "no_connection_header",
        "no_tls",
        "no_token",
        "no_upgrade_header",
        "not_http",
        "page",
        "path",
        "proxy",
        "slow",
        "tls",
        "tls_handshake",
        "token",
        "unproven",
        "upgrade",
        "websocket_version",
        OTHER,
    }
)

#: Label value under which a histogram's samples contain the sum of the observed values.
SUM: Final = "sum"
#: Label values of the latency histogram's buckets.
BUCKETS: Final = (*(f"{bound:g}" for bound in LATENCY_BOUNDS), "+Inf")


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset(values)


@frozen
class Family:
    """Metrics with a common name.

    :ivar name: name without suffix.
    :ivar kind: type in the sense of Prometheus.
    :ivar help: description.
    :ivar label: name of the label that the values have in addition to ``process``, or ``""``.
    :ivar values: allowed values of that label.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    label: str = ""
    values: frozenset[str] = field(default=("",), converter=_names)


_ALL: Final = (
    Family("relay_calls", "gauge", "Live calls."),
    Family(
        "relay_inbound_calls_total",
        "counter",
        "Inbound calls passed to the handler, or returned to the platform.",
        "result",
        ("taken", "returned"),
    ),
    Family("relay_dials_total", "counter", "Dials started, answered or not."),
    Family("relay_handlers", "gauge", "Call handlers that are running."),
    Family("relay_callbacks", "gauge", "Callbacks that are running or waiting.", "state", ("running", "queued")),
    Family("relay_callbacks_dropped_total", "counter", "Callbacks dropped because too many were waiting."),
    Family("relay_commands_pending", "gauge", "Commands that wait for a reply or a connection."),
    Family(
        "relay_command_duration_seconds",
        "histogram",
        "Duration of completed commands, successful or not.",
        "le",
        (*BUCKETS, SUM),
    ),
    Family("relay_command_errors_total", "counter", "Failed commands.", "kind", ERROR_KINDS),
    Family("relay_callback_errors_total", "counter", "Exceptions in handlers and callbacks.", "kind", ERROR_KINDS),
    Family(
        "relay_connection_errors_total",
        "counter",
        "Failed attempts to connect, and lost connections.",
        "kind",
        ERROR_KINDS,
    ),
    Family("relay_reconnects_total", "counter", "Reconnects after a lost connection."),
    Family("relay_messages_total", "counter", "Text messages.", "direction", ("sent", "received")),
    Family("relay_audio_connections", "gauge", "Open connections of audio servers."),
    Family("relay_audio_streams", "gauge", "Live audio streams."),
    Family("relay_audio_streams_waiting", "gauge", "Audio streams that wait for accept()."),
    Family(
        "relay_audio_turn_seconds", "gauge", "Time that the slowest receiving thread last needed for all connections."
    ),
    Family(
        "relay_audio_behind", "gauge", "Audio servers whose receiving thread has been too slow for a second or longer."
    ),
    Family("relay_audio_streams_total", "counter", "Audio streams that have started."),
    Family("relay_audio_frames_total", "counter", "Valid media messages."),
    Family("relay_audio_bytes_total", "counter", "Bytes of audio in these messages."),
    Family("relay_audio_gaps_total", "counter", "Gaps in the audio."),
    Family("relay_audio_missing_seconds_total", "counter", "Audio missing in these gaps."),
    Family("relay_audio_late_frames_total", "counter", "Frames that arrived after later frames."),
    Family("relay_audio_duplicate_frames_total", "counter", "Duplicate frames, which were discarded."),
    Family("relay_audio_bad_frames_total", "counter", "Invalid media messages."),
    Family("relay_audio_dropped_frames_total", "counter", "Frames dropped because a stream's read buffer was full."),
    Family("relay_audio_refused_total", "counter", "Refused connections of audio servers.", "kind", REFUSED),
)

#: The families whose values processes report, by name.
FAMILIES: Final[Mapping[str, Family]] = {family.name: family for family in _ALL}


def allowed(samples: Samples) -> Samples:
    """Return the samples of known families that have a known label value. Another process may have sent anything.

    :param samples: samples to select from.
    """
    return {
        name: {label: value for label, value in samples[name].items() if label in family.values}
        for name, family in FAMILIES.items()
        if name in samples
    }


def added(first: Samples, second: Samples) -> Samples:
    """Add the counters and histograms of two processes. Gauges are left out.

    :param first: samples of one process.
    :param second: samples of the other.
    """
    sums: dict[str, dict[str, float]] = {}
    for name, family in FAMILIES.items():
        if family.kind == "gauge":
            continue
        for samples in (first, second):
            for label, value in samples.get(name, {}).items():
                values = sums.setdefault(name, {})
                values[label] = values.get(label, 0) + value
    return sums
