"""Which calls a client may end, and what it says of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..constants import CALL_STATE_ENDED
from ..errors import CallEnded

if TYPE_CHECKING:
    from ..call.call import Call

__all__ = ["is_ours", "what_becomes"]


def is_ours(call: Call) -> bool:
    """Whether a call lives and this client controls it: what may be hung up without its user's word is asked here alone."""
    # One whose state is "ended" may be in the table for another moment: the IO thread sets the state first.
    over = call.state == CALL_STATE_ENDED or isinstance(call._over, CallEnded)
    return not (over or call._handed_over)


def what_becomes(call: Call, hang_up: bool) -> str:
    """What becomes of a call whose handler raised, in words; nothing of one that is over."""
    if call._over is not None:
        return ""
    if call._handed_over:
        return "; the call was handed over, and goes on"
    return "; the call is hung up" if hang_up else "; the call is left as it is"
