"""How a call is offered: what distinguishes its offer from that of another call with the same id. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..events import CallReceiveEvent
from ..text.json_text import writer

__all__ = ["PARTIES", "Offer"]

#: The members that name the parties, for all kinds of devices.
PARTIES: Final = ("from_number", "from", "to_number", "to")

_write: Final = writer(sort_keys=True)


class Offer(NamedTuple):
    """How a call was offered.

    :ivar content: a hash that distinguishes the offer from those of other calls.
    :ivar parties: caller and callee; they are the same in every repetition of a call's offer.
    """

    content: int
    parties: tuple[object, ...]

    @classmethod
    def of(cls, event: CallReceiveEvent) -> Offer:
        """Return the offer in an event."""
        params = event.device.get("params")
        named = params if isinstance(params, dict) else {}
        return cls(_content(event), tuple(map(named.get, PARTIES)))

    def is_of_others(self, before: Offer) -> bool:
        """Return whether a party that both offers name differs."""
        pairs = zip(self.parties, before.parties, strict=True)
        return any(one and other and str(one) != str(other) for one, other in pairs)


def _content(event: CallReceiveEvent) -> int:
    """Return what distinguishes one offer from another. The state is left out: it may change between repetitions."""
    try:
        return hash(_write({**event.params, "call_state": None}))
    except RecursionError:  # nested too deeply to be serialized
        return hash(event.call_id)
