"""Routes that inject faults into replies, events, streams and connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .....errors import InvalidParameter
from ....server import Simulator
from ..requests import CONNECTIONS, FAULTS, LONGEST_PAUSE, Member
from ..router import Ask, Reply, Route, does

__all__ = ["ROUTES"]

#: Connection faults that wait for clients.
_WAITING: Final = {"cut", "ping"}


def _refuse_connections(ask: Ask) -> Reply:
    given = ask.given
    if given.get("how") == "tcp" and given.get("refuse", True) and "seconds" not in given:
        accepted = (
            f"at most {LONGEST_PAUSE:g} seconds with how='tcp': no request can end it, because the port is closed"
        )
        raise InvalidParameter("seconds", None, accepted)
    ask.sim.refuse_connections(**given)
    return 204, None


_SUMMARIES: Final = {
    "refuse": "Answer requests for a method with an error code in the result",
    "fail": "Answer requests for a method with a JSON-RPC error",
    "drop_reply": "Carry out requests for a method without answering",
    "hold": "Hold the replies to requests for a method",
    "release": "Send the replies that are held",
    "break_action": "Make the actions that a method starts fail",
    "drop_event": "Drop events of a type",
    "duplicate_event": "Send events of a type more than once",
    "delay_event": "Delay events of a type",
    "disturb_stream": "Disturb the audio of streams",
    "cut": "Close all RELAY connections without a closing handshake",
    "restart": "Ask all clients to disconnect, as a server does that restarts",
    "forget_sessions": "Expire all sessions",
    "renew_authorization": "Send a new authorization state to every session",
    "refuse_connections": "Refuse new RELAY connections, or accept them again",
    "slow_down": "Delay the frames that are sent to clients",
    "stop_reading": "Stop or resume reading from the RELAY connections",
    "ping": "Ping every client and wait for the replies",
}
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "refuse": {"method": "calling.play", "code": 402, "message": "Insufficient funds", "times": 1},
    "fail": {"method": "calling.play", "code": -32602, "message": "Invalid params"},
    "drop_reply": {"method": "calling.play", "times": 2},
    "hold": {"method": "calling.answer"},
    "release": {"method": "calling.answer"},
    "break_action": {"method": "calling.play"},
    "drop_event": {"event_type": "calling.user_event"},
    "duplicate_event": {"event_type": "calling.user_event", "copies": 2},
    "delay_event": {"event_type": "calling.user_event", "seconds": 0.5},
    "disturb_stream": {"stream": "gap", "at": 50, "count": 5},
    "refuse_connections": {"how": "http", "seconds": 2},
    "slow_down": {"seconds": 0.2},
}
_OWN: Final[dict[str, Callable[[Ask], Reply]]] = {"refuse_connections": _refuse_connections}


def _routes(parent: str, known: dict[str, dict[str, Member]]) -> list[Route]:
    return [
        Route(
            method="POST",
            path=f"/{parent}/{name}",
            work=_OWN.get(name) or does(getattr(Simulator, name)),
            summary=_SUMMARIES[name],
            body=members,
            example=_EXAMPLES.get(name, {}),
            waits=name in _WAITING,
        )
        for name, members in known.items()
    ]


ROUTES: Final[tuple[Route, ...]] = (
    *_routes("faults", FAULTS),
    Route(
        method="DELETE",
        path="/faults",
        work=does(Simulator.clear_faults),
        summary="Cancel faults that have not happened yet",
    ),
    *_routes("connections", CONNECTIONS),
)
