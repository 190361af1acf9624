"""Routes that place calls, look at them and act for their remote party."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .....threads.timeouts import TimeLeft
from ....core.names import ACTIVITIES
from ....media.stream import STATES as STREAM_STATES
from ....people.phone import STATES, Phone
from .. import requests, responses, script_requests
from ..kinds import one_of
from ..responses import listed, ref
from ..router import TIMEOUT, Ask, Refused, Reply, Route, text_of

__all__ = ["ROUTES"]


def _phone(ask: Ask) -> Phone:
    phone = ask.calls.find(ask.path["id"])
    if phone is None:
        raise Refused(404, "no such call")
    return phone


def _list(ask: Ask) -> Reply:
    return 200, [responses.call(ask.calls.remember(phone)) for phone in ask.sim.phones]


def _place(ask: Ask) -> Reply:
    return 201, responses.call(ask.calls.remember(ask.sim.call(**ask.given)))


def _rest(left: TimeLeft) -> float:
    return max(0.0, left() or 0.0)


def _look(ask: Ask) -> Reply:
    phone, wanted, left = _phone(ask), ask.query, TimeLeft(ask.timeout)  # one timeout for all waits
    if "wait" in wanted:
        phone.wait_until(wanted["wait"], _rest(left))
    if "heard" in wanted:
        phone.wait_until_heard(wanted["heard"], _rest(left))
    if "doing" in wanted:
        phone.wait_until_doing(wanted["doing"], _rest(left))
    if "stream" in wanted:
        phone.wait_for_stream(timeout=_rest(left)).wait_until(wanted["stream"], _rest(left))
    return 200, responses.call(phone)


def _act(act: Callable[..., object]) -> Callable[[Ask], Reply]:
    def work(ask: Ask) -> Reply:
        phone = _phone(ask)
        act(phone, **ask.given)
        return 200, responses.call(phone)

    return work


_Act = tuple[Callable[..., Any], dict[str, requests.Member], dict[str, str], str]
_ACTS: Final[dict[str, _Act]] = {
    "press": (Phone.press, requests.PRESS, {"digits": "1#"}, "Press digits"),
    "say": (Phone.say, requests.SAY, {"text": "yes"}, "Say a sentence, for commands that recognize speech"),
    "hang_up": (Phone.hang_up, requests.HANG_UP, {"reason": "busy"}, "Hang up, unless the call has ended"),
    "answer": (Phone.answer, {}, {}, "Answer a call that the program placed"),
    "keep_silent": (Phone.keep_silent, {}, {}, "Stay silent from now on"),
    "state": (
        Phone.force_state,
        script_requests.STATE,
        {"state": "ended"},
        "Bring a call into a state that neither party has asked for",
    ),
}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/calls",
        work=_list,
        summary="List the calls in progress",
        status=200,
        result=listed(ref("Call")),
    ),
    Route(
        method="POST",
        path="/calls",
        work=_place,
        summary="Place a call",
        body=requests.CALL,
        example={
            "to": "+15550100",
            "from": "+15550199",
            "says": {"speech": "caller"},
            "hangs_up_after_speaking": True,
        },
        status=201,
        result=ref("Call"),
        fails=(404, 409),
        links=True,
    ),
    Route(
        method="GET",
        path="/calls/{id}",
        work=_look,
        summary="Show a call, after waiting for what the query names",
        query=(
            text_of("wait", one_of(*STATES), waits=True),
            text_of("heard", waits=True),
            text_of("doing", one_of(*sorted(ACTIVITIES)), waits=True),
            text_of("stream", one_of(*STREAM_STATES), waits=True),
            TIMEOUT,
        ),
        status=200,
        result=ref("Call"),
        fails=(409,),
    ),
    *(
        Route(
            method="POST",
            path=f"/calls/{{id}}/{name}",
            work=_act(act),
            summary=summary,
            body=members,
            example=example,
            status=200,
            result=ref("Call"),
            fails=(409,),
        )
        for name, (act, members, example, summary) in _ACTS.items()
    ),
)
