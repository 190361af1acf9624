"""Routes for tests that write the server's side themselves: credentials, sessions, frames and scripts."""

from __future__ import annotations

from typing import Final

from .....errors import InvalidParameter
from ....server import Simulator
from .. import responses, script_requests
from ..kinds import NAME
from ..responses import listed, record, ref
from ..router import Ask, Refused, Reply, Route, does, text_of

__all__ = ["ROUTES"]


def _sessions(ask: Ask) -> Reply:
    return 200, [responses.session(each) for each in ask.sim.sessions]


def _add_call(ask: Ask) -> Reply:
    try:
        phone = ask.sim.add_call(session=ask.path["id"], **ask.given)
    except InvalidParameter as wrong:
        if wrong.parameter != "session":
            raise
        raise Refused(404, "no such session") from None
    return 201, responses.call(ask.calls.remember(phone))


def _frame(ask: Ask) -> Reply:
    return 200, {"sent": ask.sim.send_frame(**ask.given)}


def _clear(ask: Ask) -> Reply:
    ask.sim.clear_scripts(ask.query.get("session"))
    return 204, None


def _projects(ask: Ask) -> Reply:
    return 200, {"projects": ask.sim.projects}


def _remove_project(ask: Ask) -> Reply:
    if ask.given["project"] not in ask.sim.projects:
        raise Refused(404, "no such project")
    ask.sim.remove_project(**ask.given)
    return 204, None


def _modes(ask: Ask) -> Reply:
    sim = ask.sim
    return 200, {
        "acknowledge_only": sim.acknowledges_only,
        "accept_any_credentials": sim.accepts_any_credentials,
    }


def _set_modes(ask: Ask) -> Reply:
    if "acknowledge_only" in ask.given:
        ask.sim.acknowledge_only(ask.given["acknowledge_only"])
    if "accept_any_credentials" in ask.given:
        ask.sim.accept_any_credentials(ask.given["accept_any_credentials"])
    return _modes(ask)


_MODES: Final = record(acknowledge_only={"type": "boolean"}, accept_any_credentials={"type": "boolean"})

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/sessions",
        work=_sessions,
        summary="List the sessions of the connected clients",
        status=200,
        result=listed(ref("Session")),
    ),
    Route(
        method="POST",
        path="/sessions/{id}/calls",
        work=_add_call,
        summary="Add a call that a session's client controls, without sending an event",
        body=script_requests.ADD_CALL,
        status=201,
        result=ref("Call"),
        fails=(409,),
    ),
    Route(
        method="POST",
        path="/frames",
        work=_frame,
        summary="Send any frame to one session or to all",
        body=script_requests.FRAME,
        example={"frame": {"jsonrpc": "2.0", "id": "1", "method": "signalwire.ping", "params": {}}},
        status=200,
        result=record(sent={"type": "integer"}),
        fails=(404,),
    ),
    Route(
        method="POST",
        path="/scripts",
        work=does(Simulator.script),
        summary="Script the reply to a method and the events after it",
        body=script_requests.SCRIPT,
        more=script_requests.EVENTS_HAVE_TYPES,
        example={
            "method": "calling.play",
            "events": [{"params": {"state": "playing"}, "at": 0.001}, {"params": {"state": "finished"}, "at": 0.005}],
        },
        fails=(404,),
    ),
    Route(
        method="DELETE",
        path="/scripts",
        work=_clear,
        summary="Remove the scripts that have not been used",
        query=(text_of("session", NAME),),
    ),
    Route(
        method="POST",
        path="/dials",
        work=does(Simulator.script_dial),
        summary="Script the course of a dial",
        body=script_requests.DIAL,
        example={"winner": {"id": "the-winner"}, "losers": [{"id": "too-late", "states": ["created", "ended"]}]},
        fails=(404, 409),
    ),
    Route(
        method="GET",
        path="/projects",
        work=_projects,
        summary="List the projects that clients may connect to",
        status=200,
        result=record(projects=listed({"type": "string"})),
    ),
    Route(
        method="POST",
        path="/projects",
        work=does(Simulator.add_project),
        summary="Accept further credentials",
        body=script_requests.PROJECT,
        more=script_requests.HAS_SECRET,
        example={"project": "second-project", "token": "PT-second"},
    ),
    Route(
        method="POST",
        path="/projects/remove",
        work=_remove_project,
        summary="Reject credentials from now on",
        body=script_requests.PROJECT,
        example={"project": "third-project"},
        fails=(404,),
    ),
    Route(
        method="GET",
        path="/modes",
        work=_modes,
        summary="Show what the simulator does with all requests",
        status=200,
        result=_MODES,
    ),
    Route(
        method="POST",
        path="/modes",
        work=_set_modes,
        summary="Set what the simulator does with all requests",
        body=script_requests.MODES,
        example={"acknowledge_only": False},
        status=200,
        result=_MODES,
    ),
)
