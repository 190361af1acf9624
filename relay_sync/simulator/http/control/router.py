"""Routes of the control interface: which requests there are, and what each accepts.

A :class:`Route` is data. The :class:`Router` finds the route of a request and checks the request against it. The route's function
then translates the checked values to calls of :class:`relay_sync.simulator.Simulator`, and its result to a response.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from attrs import field, frozen

from ....errors import InvalidParameter
from ...server import Simulator
from .kinds import TEXT, Kind
from .known_calls import KnownCalls
from .requests import Member, bind

__all__ = [
    "LONGEST_WAIT",
    "PATIENCE",
    "TIMEOUT",
    "Ask",
    "Query",
    "Refused",
    "Reply",
    "Route",
    "Router",
    "allow",
    "does",
    "number_of",
    "text_of",
]

#: Default and maximum of ``timeout``, in seconds.
PATIENCE: Final = 10.0
LONGEST_WAIT: Final = 60.0
#: Maximum of query parameters that are integers.
_MOST_NUMBER: Final = 10**9 - 1

#: Status and JSON body of a response. 204 has no body.
Reply = tuple[int, Any]
Work = Callable[["Ask"], Reply]


class Refused(Exception):
    """An error response to a request.

    :ivar status: HTTP status.
    :ivar headers: additional response headers.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status: int = status
        self.headers: Mapping[str, str] = headers or {}


@frozen(kw_only=True)
class Query:
    """A query parameter.

    :ivar check: function that converts the text, given the name and the text.
    :ivar schema: JSON Schema of the converted values.
    :ivar waits: whether a request with this parameter waits for something.
    :ivar required: whether the parameter must be present.
    """

    name: str
    check: Callable[[str, str], Any]
    schema: Mapping[str, Any] = field(repr=False)
    waits: bool = False
    required: bool = False


@frozen(kw_only=True)
class Ask:
    """A request that fits its route.

    :ivar sim: the simulator.
    :ivar calls: calls by ID, including calls that have ended.
    :ivar path: the variable parts of the path, by name.
    :ivar query: the query parameters that are present, converted.
    :ivar given: the members of the body, converted, by the names of the parameters of the simulator's method.
    """

    sim: Simulator
    calls: KnownCalls
    path: Mapping[str, str]
    query: Mapping[str, Any]
    given: dict[str, Any] = field(repr=False)

    @property
    def timeout(self) -> float:
        """Maximum time to wait, in seconds."""
        return float(self.query.get("timeout", PATIENCE))


@frozen(kw_only=True)
class Route:
    """One operation of the control interface.

    :ivar method: HTTP method.
    :ivar path: path below ``/simulator``, with variable parts in braces, such as ``/calls/{id}``.
    :ivar work: function that carries out the request. It runs on a thread of its own and may block.
    :ivar summary: what the request does, for the description of the interface.
    :ivar body: members of the request body; ``None`` if there is no body.
    :ivar example: example of a request body.
    :ivar more: further members of the body's JSON Schema, for conditions that the simulator's method checks.
    :ivar query: accepted query parameters.
    :ivar waits: whether each request waits for something, even without a query parameter that makes it wait.
    :ivar status: status of a successful response.
    :ivar result: JSON Schema of a successful response; empty if there is no body.
    :ivar fails: statuses of further error responses, which do not follow from the other members.
    :ivar links: whether the ``id`` in the response is that of the paths below this one.
    :ivar open: whether no key is needed.
    """

    method: str
    path: str
    work: Work = field(repr=False)
    summary: str
    body: Mapping[str, Member] | None = field(default=None, repr=False)
    example: Mapping[str, Any] = field(factory=dict, repr=False)
    more: Mapping[str, Any] = field(factory=dict, repr=False)
    query: tuple[Query, ...] = field(default=(), repr=False)
    waits: bool = False
    status: int = 204
    result: Mapping[str, Any] = field(factory=dict, repr=False)
    fails: tuple[int, ...] = ()
    links: bool = False
    open: bool = False

    @property
    def pattern(self) -> re.Pattern[str]:
        """Regular expression for the path, with a group for each variable part."""
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path)))

    def read_query(self, text: str) -> dict[str, Any]:
        """Return the converted query parameters.

        :param text: query string, without the question mark.
        :raises Refused: the query string is malformed.
        :raises InvalidParameter: a parameter is unknown, repeated, missing or invalid.
        """
        try:
            pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=20)
        except ValueError:
            raise Refused(400, "the query is invalid") from None
        known = {each.name: each for each in self.query}
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name not in known:
                raise InvalidParameter(
                    "query", name, f"one of {', '.join(known)}" if known else "no query: this path has no parameters"
                )
            if name in found:
                raise InvalidParameter(name, value, "a parameter that occurs once")
            found[name] = known[name].check(name, value)
        for each in self.query:
            if each.required and each.name not in found:
                raise InvalidParameter(each.name, None, "a value in the query")
        return found

    def read_body(self, body: Any) -> dict[str, Any]:
        """Return the converted members of the body.

        :param body: parsed JSON.
        :raises InvalidParameter: a member is unknown, missing or invalid.
        """
        return {} if self.body is None else bind(self.body, body)

    def must_wait(self, query: Mapping[str, Any]) -> bool:
        """Return whether a request with these parameters waits for something.

        :param query: query parameters that are present.
        """
        return self.waits or any(each.waits and each.name in query for each in self.query)


class Router:
    """Finds the route of a request.

    :ivar routes: all routes.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: tuple[Route, ...] = tuple(routes)
        self._table = [(route.pattern, route) for route in self.routes]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of a request and the variable parts of its path.

        :param method: HTTP method. HEAD has the route of GET.
        :param path: percent-encoded path below ``/simulator``.
        :raises Refused: there is no such path, or it has another method.
        """
        matches = self._matches(path)
        if not matches:
            raise Refused(404, "no such path; GET /simulator lists all paths")
        wanted = "GET" if method == "HEAD" else method
        for route, match in matches:
            if route.method == wanted:
                return route, {name: unquote(value) for name, value in match.groupdict().items()}
        allowed = [route.method for route, _ in matches]
        raise Refused(405, f"use {' or '.join(allowed)} for this path", {"Allow": allow(allowed)})

    def methods(self, path: str) -> list[str]:
        """Return the methods of the routes with this path; none if there is no such path.

        :param path: percent-encoded path below ``/simulator``.
        """
        return [route.method for route, _ in self._matches(path)]

    def _matches(self, path: str) -> list[tuple[Route, re.Match[str]]]:
        found = ((route, pattern.fullmatch(path)) for pattern, route in self._table)
        return [(route, match) for route, match in found if match is not None]


def allow(methods: Iterable[str]) -> str:
    """Return the ``Allow`` header for the methods of a path's routes."""
    found = dict.fromkeys(methods)
    return ", ".join([*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"])


def does(act: Callable[..., object]) -> Work:
    """Return the work of a route that calls a method with the members of the body. The response has no body.

    :param act: method of ``Simulator``.
    """

    def work(ask: Ask) -> Reply:
        act(ask.sim, **ask.given)
        return 204, None

    return work


def _whole_number(name: str, text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InvalidParameter(name, text, f"a whole number from 0 to {_MOST_NUMBER}")
    return int(text)


def number_of(name: str, *, waits: bool = False) -> Query:
    """Return a query parameter that is an integer, 0 or greater.

    :param waits: whether a request with this parameter waits for something.
    """
    schema = {"type": "integer", "minimum": 0, "maximum": _MOST_NUMBER}
    return Query(name=name, check=_whole_number, schema=schema, waits=waits)


def text_of(name: str, kind: Kind = TEXT, *, waits: bool = False, required: bool = False) -> Query:
    """Return a query parameter that is a text.

    :param kind: kind of text.
    :param waits: whether a request with this parameter waits for something.
    :param required: whether the parameter must be present.
    """
    return Query(name=name, check=kind, schema=kind.schema, waits=waits, required=required)


def _timeout(name: str, text: str) -> float:
    number = r"([0-9]{1,3}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE]-?[0-9]{1,3})?"
    if not re.fullmatch(number, text) or not 0 <= float(text) <= LONGEST_WAIT:
        raise InvalidParameter(name, text, f"at most {LONGEST_WAIT:g} seconds")
    return float(text)


#: Query parameter of requests that wait.
TIMEOUT: Final = Query(
    name="timeout",
    check=_timeout,
    schema={"type": "number", "minimum": 0, "maximum": LONGEST_WAIT, "default": PATIENCE},
)
