"""How a call is offered: what tells its offer from that of another call under the same id. Pure."""

from __future__ import annotations

import marshal
from typing import Any, Final, NamedTuple

from .events import CallReceiveEvent

__all__ = ["PARTIES", "Offer"]

#: What tells who speaks with whom, whatever the kind of device.
PARTIES: Final = ("from_number", "from", "to_number", "to")


class Offer(NamedTuple):
    """How a call was offered.

    :ivar content: tells it from offers of other calls.
    :ivar device: who calls whom; one call has the same parties in every repetition of its offer.
    """

    content: int
    device: dict[str, Any]

    @classmethod
    def of(cls, event: CallReceiveEvent) -> Offer:
        """What an event offers."""
        return tuple.__new__(cls, (_content(event), event.device))

    def is_of_others(self, before: Offer) -> bool:
        """Whether a party that both offers name is another one."""
        pairs = zip(self._parties(), before._parties(), strict=True)
        return any(one and other and one != other for one, other in pairs)

    def _parties(self) -> list[str]:
        params = self.device.get("params")
        named = params if isinstance(params, dict) else {}
        return [str(named.get(name) or "") for name in PARTIES]


def _content(event: CallReceiveEvent) -> int:
    """What tells one offer from another. The state is left out: it may move between repetitions."""
    told = sorted({**event.params, "call_state": None}.items())
    try:
        return hash(marshal.dumps(told, 2))  # equal values are written equally, at a third of what JSON takes
    except ValueError:  # it is nested too deeply to be written
        return hash(event.call_id)
