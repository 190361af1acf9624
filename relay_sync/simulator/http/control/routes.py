"""Control API routes and their handlers."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from ....errors import InvalidParameter
from ...core.journal import Reader
from ...people.phone import Phone
from ...server import Simulator
from . import requests, responses

__all__ = ["Desk", "Refused", "Reply"]

MOST_TOLD: Final = 1_000
LONGEST_WAIT: Final = 60.0
PATIENCE: Final = 10.0

Reply = tuple[int, Any]
Work = Callable[..., Reply]


class Refused(Exception):
    """Error response to a control request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Desk:
    """Handler for control API requests. Thread-safe."""

    def __init__(self, simulator: Simulator) -> None:
        self._sim = simulator
        self._known: dict[str, Phone] = {}  # calls returned to clients, kept after they end
        self._lock = threading.Lock()  # guards _known
        one = "([^/]+)"
        table: list[tuple[str, str, Work]] = [
            ("GET", "/", self._overview),
            ("GET", "/calls", self._calls),
            ("POST", "/calls", self._call),
            ("GET", f"/calls/{one}", self._look),
            ("POST", f"/calls/{one}/(press|say|hang_up|answer|keep_silent)", self._act),
            ("POST", "/phones", self._phone),
            ("POST", "/sounds", self._sound),
            ("POST", "/messages", self._message),
            ("POST", "/tasks", self._task),
            ("GET", "/clients", self._clients),
            ("GET", "/journal", self._journal),
            ("DELETE", "/journal", self._forget),
            ("GET", "/webhooks", self._webhooks),
            ("GET", "/rest", self._rest),
            ("POST", f"/faults/{one}", self._fault),
            ("DELETE", "/faults", self._no_faults),
            ("POST", f"/connections/{one}", self._connection),
            ("POST", "/events", self._event),
        ]
        self._table = [(method, re.compile(path), work) for method, path, work in table]

    def work(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply:
        """Handle a request and return the response status and body.

        :raises Refused: the path, the method or the call is unknown.
        :raises InvalidParameter: the query or the body is invalid.
        """
        allowed = []
        for known, pattern, work in self._table:
            match = pattern.fullmatch(path)
            if match is not None and known == method:
                return work(*map(unquote, match.groups()), query=query, body=body)
            if match is not None:
                allowed.append(known)
        if allowed:
            raise Refused(405, f"use {' or '.join(allowed)} for this path")
        raise Refused(404, "no such path; GET / lists all paths")

    # -- queries -------------------------------------------------------------------------------------------------------

    def _overview(self, query: Mapping[str, str], body: Any) -> Reply:
        sim = self._sim
        paths = sorted({f"{method} {path.pattern.replace('([^/]+)', '<id>')}" for method, path, _ in self._table})
        return 200, {
            "host": sim.credentials["host"],
            "project": sim.credentials["project"],
            "clients": sim.clients,
            "calls": len(sim.phones),
            "paths": paths,
        }

    def _calls(self, query: Mapping[str, str], body: Any) -> Reply:
        return 200, [responses.call(self._remember(phone)) for phone in self._sim.phones]

    def _look(self, call_id: str, query: Mapping[str, str], body: Any) -> Reply:
        phone = self._find(call_id)
        wait, timeout = _only(query, "wait", "heard", "doing", "stream"), _timeout(query)
        if "wait" in wait:
            phone.wait_until(wait["wait"], timeout)
        if "heard" in wait:
            phone.wait_until_heard(wait["heard"], timeout)
        if "doing" in wait:
            phone.wait_until_doing(wait["doing"], timeout)
        if "stream" in wait:
            phone.wait_for_stream(timeout=timeout).wait_until(wait["stream"], timeout)
        return 200, responses.call(phone)

    def _clients(self, query: Mapping[str, str], body: Any) -> Reply:
        wanted = _whole(_only(query, "count"), "count", 0)
        if wanted:
            self._sim.wait_for_client(wanted, _timeout(query))
        return 200, {"clients": self._sim.clients}

    def _journal(self, query: Mapping[str, str], body: Any) -> Reply:
        asked = _only(query, "since", "direction", "method", "event_type", "wait")
        since = _whole(asked, "since", 0)
        journal = self._sim.journal
        wanted = {name: asked[name] for name in ("direction", "method", "event_type") if asked.get(name)}

        def fits(number: int, entry: Any) -> bool:
            return number >= since and all(getattr(entry, name) == value for name, value in wanted.items())

        if "wait" in asked:
            Reader(journal).wait_for_entry(fits, _timeout(query))
        entries = [(number, entry) for number, entry in journal.numbered() if fits(number, entry)]
        following = max([since, *(number + 1 for number, _ in entries[:MOST_TOLD])])
        return 200, {"entries": [responses.entry(*each) for each in entries[:MOST_TOLD]], "next": following}

    def _forget(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.journal.clear()
        return 204, None

    def _webhooks(self, query: Mapping[str, str], body: Any) -> Reply:
        count = _whole(_only(query, "count"), "count", 0)
        return 200, [responses.delivery(each) for each in self._sim.webhooks.wait_for(count, _timeout(query))]

    def _rest(self, query: Mapping[str, str], body: Any) -> Reply:
        return 200, [responses.rest_request(each) for each in self._sim.rest_requests]

    # -- actions -------------------------------------------------------------------------------------------------------

    def _call(self, query: Mapping[str, str], body: Any) -> Reply:
        return 201, responses.call(self._remember(self._sim.call(**requests.bind(requests.CALL, body))))

    def _act(self, call_id: str, what: str, query: Mapping[str, str], body: Any) -> Reply:
        phone = self._find(call_id)
        members = {"press": requests.PRESS, "say": requests.SAY, "hang_up": requests.HANG_UP}.get(what, {})
        getattr(phone, what)(**requests.bind(members, body))
        return 200, responses.call(phone)

    def _phone(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.expect_phone(**requests.bind(requests.PHONE, body))
        return 204, None

    def _sound(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.expect_sound(**requests.bind(requests.SOUND, body))
        return 204, None

    def _message(self, query: Mapping[str, str], body: Any) -> Reply:
        return 201, {"id": self._sim.message(**requests.bind(requests.MESSAGE, body))}

    def _task(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.task(**requests.bind(requests.TASK, body))
        return 204, None

    def _fault(self, name: str, query: Mapping[str, str], body: Any) -> Reply:
        return self._do(requests.FAULTS, name, body)

    def _connection(self, name: str, query: Mapping[str, str], body: Any) -> Reply:
        return self._do(requests.CONNECTIONS, name, body)

    def _do(self, known: Mapping[str, Any], name: str, body: Any) -> Reply:
        if name not in known:
            raise Refused(404, f"no such action: expected one of {', '.join(known)}")
        getattr(self._sim, name)(**requests.bind(known[name], body))
        return 204, None

    def _no_faults(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.clear_faults()
        return 204, None

    def _event(self, query: Mapping[str, str], body: Any) -> Reply:
        self._sim.send_event(**requests.bind(requests.EVENT, body))
        return 204, None

    # -- calls by ID ---------------------------------------------------------------------------------------------------

    def _remember(self, phone: Phone) -> Phone:
        with self._lock:
            known = self._known.setdefault(phone.call_id, phone)
            if len(self._known) > MOST_TOLD:
                del self._known[next(iter(self._known))]
            return known

    def _find(self, call_id: str) -> Phone:
        phone = self._known.get(call_id)
        if phone is None:
            phone = next((each for each in self._sim.phones if each.call_id == call_id), None)
        if phone is None:
            raise Refused(404, "no such call")
        return self._remember(phone)


def _only(query: Mapping[str, str], *names: str) -> dict[str, str]:
    for name in query:
        if name not in (*names, "timeout"):
            raise InvalidParameter("query", name, f"one of {', '.join((*names, 'timeout'))}")
    return {name: query[name] for name in names if name in query}


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidParameter(name, text, "a whole number, 0 or greater")
    return int(text)


def _timeout(query: Mapping[str, str]) -> float:
    text = query.get("timeout", str(PATIENCE))
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text) or float(text) > LONGEST_WAIT:
        raise InvalidParameter("timeout", text, f"at most {LONGEST_WAIT:g} seconds")
    return float(text)
