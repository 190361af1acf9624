"""Routes that set up the telephone network, and that send messages, tasks and events."""

from __future__ import annotations

import itertools
from typing import Any, Final

from ....server import Simulator
from .. import requests
from ..responses import record
from ..router import Ask, Reply, Route, does

__all__ = ["ROUTES"]


def _message(ask: Ask) -> Reply:
    return 201, {"id": ask.sim.message(**ask.given)}


#: Ways in which a phone does not answer. A phone has at most one of them.
_ENDS: Final = ("busy", "no_answer", "declines", "unreachable")


def _not_both(one: str, other: str) -> dict[str, Any]:
    """Return the schema of objects in which two members are not both true."""
    return {"not": {"properties": {name: {"const": True} for name in (one, other)}, "required": [one, other]}}


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="POST",
        path="/phones",
        work=does(Simulator.expect_phone),
        summary="Set the behavior of the phone at a number when it is called",
        body=requests.PHONE,
        example={"number": "+15550101", "answers_after": 2, "presses": "1", "times": "always"},
        more={"allOf": [_not_both(*pair) for pair in itertools.combinations(_ENDS, 2)]},
    ),
    Route(
        method="POST",
        path="/sounds",
        work=does(Simulator.expect_sound),
        summary="Set the sound at a URL",
        body=requests.SOUND,
        example={"url": "https://example.com/welcome.mp3", "sound": 2.5},
    ),
    Route(
        method="POST",
        path="/messages",
        work=_message,
        summary="Send a text message to the program",
        body=requests.MESSAGE,
        example={"to": "+15550100", "from": "+15550199", "body": "Are you open today?"},
        status=201,
        result=record(id={"type": "string"}),
    ),
    Route(
        method="POST",
        path="/tasks",
        work=does(Simulator.task),
        summary="Send a task to the program",
        body=requests.TASK,
        example={"message": {"action": "call back", "number": "+15550199"}},
    ),
    Route(
        method="POST",
        path="/events",
        work=does(Simulator.send_event),
        summary="Send an event to the program",
        body=requests.EVENT,
        example={"event_type": "calling.user_event", "params": {"name": "example"}},
        fails=(404,),
    ),
)
