"""Routes that show what the simulator and its clients have done."""

from __future__ import annotations

from typing import Any, Final

from ....core.journal import Reader
from .. import responses
from ..kinds import one_of
from ..responses import listed, record, ref
from ..router import TIMEOUT, Ask, Query, Reply, Route, number_of, text_of

__all__ = ["MOST_ENTRIES", "ROUTES"]

#: Maximum number of journal entries in a response.
MOST_ENTRIES: Final = 1_000


def _clients(ask: Ask) -> Reply:
    if ask.query.get("count"):
        ask.sim.wait_for_client(ask.query["count"], ask.timeout)
    return 200, {"clients": ask.sim.clients}


def _journal(ask: Ask) -> Reply:
    since, journal = ask.query.get("since", 0), ask.sim.journal
    wanted = {name: ask.query[name] for name in ("direction", "method", "event_type", "session") if ask.query.get(name)}

    def fits(number: int, entry: Any) -> bool:
        return number >= since and all(getattr(entry, name) == value for name, value in wanted.items())

    if "wait" in ask.query:
        Reader(journal).wait_for_entry(fits, ask.timeout)
    entries = [(number, entry) for number, entry in journal.numbered() if fits(number, entry)][:MOST_ENTRIES]
    following = max([since, *(number + 1 for number, _ in entries)])
    return 200, {"entries": [responses.entry(*each) for each in entries], "next": following, "end": journal.end}


def _forget(ask: Ask) -> Reply:
    ask.sim.journal.clear()
    return 204, None


def _webhooks(ask: Ask) -> Reply:
    found = ask.sim.webhooks.wait_for(ask.query.get("count", 0), ask.timeout)
    return 200, [responses.delivery(each) for each in found]


def _rest(ask: Ask) -> Reply:
    return 200, [responses.rest_request(each) for each in ask.sim.rest_requests]


_COUNT: Final[Query] = number_of("count", waits=True)
_INTEGER: Final = {"type": "integer"}

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        method="GET",
        path="/clients",
        work=_clients,
        summary="Count the connected clients, after waiting for a number of them",
        query=(_COUNT, TIMEOUT),
        status=200,
        result=record(clients=_INTEGER),
    ),
    Route(
        method="GET",
        path="/journal",
        work=_journal,
        summary="Show frames of the RELAY connections, after waiting for the first one",
        query=(
            number_of("since"),
            text_of("direction", one_of("in", "out", "lost")),
            text_of("method"),
            text_of("event_type"),
            text_of("session"),
            text_of("wait", waits=True),
            TIMEOUT,
        ),
        status=200,
        result=record(entries=listed(ref("Entry")), next=_INTEGER, end=_INTEGER),
    ),
    Route(method="DELETE", path="/journal", work=_forget, summary="Delete the frames"),
    Route(
        method="GET",
        path="/webhooks",
        work=_webhooks,
        summary="Show the status webhooks, after waiting for a number of them",
        query=(_COUNT, TIMEOUT),
        status=200,
        result=listed(ref("Delivery")),
    ),
    Route(
        method="GET",
        path="/rest",
        work=_rest,
        summary="Show the requests to the REST interface",
        status=200,
        result=listed(ref("RestRequest")),
    ),
)
