"""Sets of RELAY methods with a special effect on a call."""

from __future__ import annotations

from typing import Final

__all__ = ["ATTENDS", "GIVES_AWAY", "OF_THE_CALL", "ends_something"]

#: Methods for which the error code 404 means that the call no longer exists.
OF_THE_CALL: Final = frozenset({"calling.answer", "calling.end", "calling.pass"})
#: Methods that transfer control of the call to another client or application.
GIVES_AWAY: Final = frozenset({"calling.pass", "calling.transfer"})
#: Methods that accept, reject or redirect an inbound call.
ATTENDS: Final = OF_THE_CALL | {
    "calling.connect",
    "calling.join_conference",
    "calling.join_room",
    "calling.queue.enter",
    "calling.refer",
    "calling.transfer",
}
_ENDS_SOMETHING: Final = frozenset(
    {
        "calling.clear_digit_bindings",
        "calling.disconnect",
        "calling.leave_conference",
        "calling.leave_room",
        "calling.queue.leave",
    }
)


def ends_something(method: str) -> bool:
    """Return whether a method stops or removes something. If so, a 404 error means that there is nothing to stop."""
    return method in _ENDS_SOMETHING or method.endswith(".stop")
