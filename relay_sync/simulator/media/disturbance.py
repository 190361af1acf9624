"""Audio faults that a test injects into a stream. This module does no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, get_args

from attrs import define, field

from ..core.faults import MediaFault

__all__ = ["ERRORS", "KINDS", "MOST_FRAMES", "Disturbance", "Kind"]

#: Latest position of a fault, in frame intervals. Without a clock, silence is sent until all faults have occurred.
MOST_FRAMES = 100_000

Kind = Literal["gap", "duplicate", "reorder", "garbage", "drop", "reset", "wrong codec", "refuse"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)

# Values of StreamError in status callbacks, from the vendor's stream page.
ERRORS = (
    "invalid_url",
    "missing_url",
    "invalid_track",
    "codec_error",
    "connection_refused",
    "connection_refused_timeout_or_ssl_error",
    "general_error",
)

_GARBAGE = (
    "",
    '{"event":"media","media":{"track":"inbound","payload":"***"}}',
    "[1,2",
    '{"event":"media"}',
    "null",
    '{"event":"start","start":{}}',
)


@define(eq=False)
class Disturbance:
    """Faults in one stream. A fault's position is a frame interval, counted from 0."""

    faults: Sequence[MediaFault] = ()
    _held: list[tuple[int, list[str]]] = field(factory=list, init=False)
    _ended_by: MediaFault | None = field(default=None, init=False)

    def _of(self, kind: str, position: int) -> MediaFault | None:
        for fault in self.faults:
            if fault.kind == kind and fault.at <= position < fault.at + fault.count:
                return fault
        return None

    @property
    def refused_with(self) -> str:
        """``StreamError`` value for refusing the stream; ``""`` if the stream is accepted."""
        return next((fault.error for fault in self.faults if fault.kind == "refuse"), "")

    @property
    def mislabeled(self) -> bool:
        """Whether the audio is encoded differently than announced."""
        return any(fault.kind == "wrong codec" for fault in self.faults)

    def ends(self, position: int) -> str:
        """Return how the connection ends before an interval: ``drop``, ``reset``, or ``""`` if it continues."""
        self._ended_by = self._of("drop", position) or self._of("reset", position)
        return self._ended_by.kind if self._ended_by is not None else ""

    def skips(self, position: int) -> bool:
        """Return whether an interval is not sent."""
        return self._of("gap", position) is not None

    def around(self, position: int, messages: list[str]) -> list[str]:
        """Apply an interval's faults to its messages, and return the messages to send."""
        out = []
        garbage = self._of("garbage", position)
        if garbage is not None:
            out.append(_GARBAGE[(position - garbage.at) % len(_GARBAGE)])
        late = next((fault for fault in self.faults if fault.kind == "reorder" and fault.at == position), None)
        if late is not None:
            self._held.append((position + late.count, messages))
        else:
            out += messages * 2 if self._of("duplicate", position) else messages
        out += [message for due, held in self._held if due <= position for message in held]
        self._held = [entry for entry in self._held if entry[0] > position]
        return out

    def ahead(self, position: int) -> list[MediaFault]:
        """Return the faults that are still pending or in progress at interval ``position``."""
        several = ("gap", "duplicate", "garbage")
        once = ("drop", "reset", "reorder")
        return [
            fault
            for fault in self.faults
            if (fault.kind in several and position < fault.at + fault.count)
            or (fault.kind in once and position <= fault.at and fault is not self._ended_by)
        ]

    def rest(self) -> list[str]:
        """Return the delayed messages that are still unsent when the stream ends."""
        held, self._held = self._held, []
        return [message for _, messages in held for message in messages]
