"""Routes about the interface itself: the list of all routes, and the OpenAPI description."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from ..openapi import FILE
from ..responses import listed, record
from ..router import Ask, Reply, Route

__all__ = ["about"]


@functools.cache
def _description() -> bytes:
    return FILE.read_bytes()


def _openapi(ask: Ask) -> Reply:
    return 200, _description()


def about(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Return the routes about the interface.

    :param routes: all other routes.
    """
    paths = sorted(f"{route.method} {route.path}" for route in routes)

    def work(ask: Ask) -> Reply:
        return 200, {
            "host": ask.sim.credentials["host"],
            "project": ask.sim.credentials["project"],
            "clients": ask.sim.clients,
            "calls": len(ask.sim.phones),
            "paths": ["GET /", "GET /openapi.json", *paths],
        }

    text, number = {"type": "string"}, {"type": "integer"}
    overview = Route(
        method="GET",
        path="/",
        work=work,
        summary="Show the addresses, the numbers of clients and calls, and all paths",
        status=200,
        result=record(host=text, project=text, clients=number, calls=number, paths=listed(text)),
    )
    description = Route(
        method="GET",
        path="/openapi.json",
        work=_openapi,
        summary="Show this description",
        status=200,
        result={"type": "object"},
        open=True,
    )
    return overview, description
