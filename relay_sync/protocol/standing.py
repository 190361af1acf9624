"""The order of the states of calls and messages, for events that come in another one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..constants import (
    CALL_STATE_ANSWERED,
    CALL_STATE_ENDING,
    CALL_STATES,
    MESSAGE_END_STATES,
    MESSAGE_STATE_INITIATED,
    MESSAGE_STATE_QUEUED,
    MESSAGE_STATE_SENT,
)

__all__ = ["OF_CALLS", "OF_MESSAGES", "Standing", "reaches"]

_ON_ITS_WAY: Final = (MESSAGE_STATE_QUEUED, MESSAGE_STATE_INITIATED, MESSAGE_STATE_SENT)
#: What follows on what, by rank.
OF_CALLS: Final = {state: rank for rank, state in enumerate(CALL_STATES)}
OF_MESSAGES: Final = {
    **{state: rank for rank, state in enumerate(_ON_ITS_WAY)},
    **dict.fromkeys(MESSAGE_END_STATES, len(_ON_ITS_WAY)),
}


class Standing:
    """How far something has come.

    :param order: the ranks of its states.
    :param state: the first one, or ``""``.
    """

    __slots__ = ("_order", "_rank")

    def __init__(self, order: Mapping[str, int], state: str = "") -> None:
        self._order = order
        self._rank = order.get(state, -1)

    def takes(self, state: str) -> bool:
        """Take in a state that was told: whether it is no step back. One that is not known is taken as it comes."""
        rank = self._order.get(state, self._rank)
        if rank < self._rank:
            return False
        self._rank = rank
        return True


def reaches(seen: str, state: str) -> bool:
    """Whether a call that was seen in one state has reached another."""
    if seen == state:
        return True
    # Later states imply earlier ones, but a call that is ending need never have been answered.
    if OF_CALLS.get(seen, -1) < OF_CALLS[state]:
        return False
    return state == CALL_STATE_ENDING or seen == CALL_STATE_ANSWERED
