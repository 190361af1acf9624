"""The order of call and message states, used to detect out-of-order events."""

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
#: Ranks of the states. Later states have higher ranks.
OF_CALLS: Final = {state: rank for rank, state in enumerate(CALL_STATES)}
OF_MESSAGES: Final = {
    **{state: rank for rank, state in enumerate(_ON_ITS_WAY)},
    **dict.fromkeys(MESSAGE_END_STATES, len(_ON_ITS_WAY)),
}


class Standing:
    """A call's or message's progress through its states.

    :param order: rank of each state.
    :param state: initial state, or ``""``.
    """

    __slots__ = ("_order", "_rank")

    def __init__(self, order: Mapping[str, int], state: str = "") -> None:
        self._order = order
        self._rank = order.get(state, -1)

    def takes(self, state: str) -> bool:
        """Record a state reported by the server.

        :param state: state to apply. Unknown states are accepted.
        :return: ``False`` if the state precedes the current one.
        """
        rank = self._order.get(state, self._rank)
        if rank < self._rank:
            return False
        self._rank = rank
        return True


def reaches(seen: str, state: str) -> bool:
    """Return whether a call last seen in the state ``seen`` has reached ``state``."""
    if seen == state:
        return True
    # A later state implies the earlier ones, except that a call may end without being answered.
    if OF_CALLS.get(seen, -1) < OF_CALLS[state]:
        return False
    return state == CALL_STATE_ENDING or seen == CALL_STATE_ANSWERED
