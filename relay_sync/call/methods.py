"""The effects of commands on the call that they address, by method."""

from __future__ import annotations

from typing import Final

__all__ = ["ATTENDS", "GIVES_AWAY", "OF_THE_CALL", "ends_something"]

#: Methods whose 404 always refers to the call itself.
OF_THE_CALL: Final = frozenset({"calling.answer", "calling.end", "calling.pass"})
#: Methods after which others control the call.
GIVES_AWAY: Final = frozenset({"calling.pass", "calling.transfer"})
#: Methods that accept, reject or redirect an offered call.
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
    """Return whether a method ends something: if that does not exist, there is nothing left to do."""
    return method in _ENDS_SOMETHING or method.endswith(".stop")
