"""Comparison of call offers that have the same call ID."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..events import CallReceiveEvent
from ..text.json_text import writer

__all__ = ["PARTIES", "Offer"]

#: Device parameters that contain the address of a party, for all types of devices.
PARTIES: Final = ("from_number", "from", "to_number", "to")

_write: Final = writer(sort_keys=True)


class Offer(NamedTuple):
    """The offer of an inbound call.

    :ivar content: hash of the offer's parameters.
    :ivar parties: addresses of the caller and callee. They do not change when the server repeats an offer.
    """

    content: int
    parties: tuple[object, ...]

    @classmethod
    def of(cls, event: CallReceiveEvent) -> Offer:
        """Create an offer from a ``calling.call.receive`` event."""
        params = event.device.get("params")
        named = params if isinstance(params, dict) else {}
        return cls(_content(event), tuple(map(named.get, PARTIES)))

    def is_of_others(self, before: Offer) -> bool:
        """Return whether the offers have different callers or callees. Unknown parties are ignored."""
        pairs = zip(self.parties, before.parties, strict=True)
        return any(one and other and str(one) != str(other) for one, other in pairs)


def _content(event: CallReceiveEvent) -> int:
    """Return a hash of the parameters, except for the call state, which may change when the server repeats an offer."""
    try:
        return hash(_write({**event.params, "call_state": None}))
    except RecursionError:  # nested too deeply
        return hash(event.call_id)
