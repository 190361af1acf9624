"""The OpenAPI description of the control interface, made from its routes.

The file ``openapi.json`` beside this module contains the description. It is served at ``/simulator/openapi.json``, and
``python -m tests.support.openapi`` writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from . import kinds
from .requests import body_schema
from .responses import SCHEMAS
from .router import Route

__all__ = ["FILE", "described", "written"]

#: The file that is served.
FILE: Final = Path(__file__).with_name("openapi.json")

_ABOUT: Final = (
    "Controls the simulator of relay_sync: places calls, acts for their remote party, injects faults and shows what happened."
    " Live events are sent over the WebSocket /simulator/live, whose first message is the key."
)
_ERRORS: Final = {
    400: "invalid request",
    401: "missing or wrong key",
    403: "a web page of another site, or a Host that is not a name of this machine",
    404: "unknown call or other object",
    405: "the path has other methods",
    409: "the state of the call or of another object does not allow the request",
    411: "no Content-Length",
    413: "the body is too large",
    415: "the body is not application/json",
    503: "the simulator is closing, or too many requests are waiting",
    504: "the awaited event did not happen before the timeout",
}
_ALWAYS: Final = (400, 401, 403, 405, 503)
#: Schemas that several operations refer to by name.
_NAMED: Final = {
    "PhoneNumber": kinds.PHONE.schema,
    "Party": kinds.PARTY.schema,
    "Caller": kinds.CALLER.schema,
    "DialedAddress": kinds.DIALED.schema,
    "Sound": kinds.SOUND.schema,
    "Times": kinds.TIMES.schema,
    "Digits": kinds.DIGITS.schema,
}


def _named(value: Any) -> Any:
    """Replace schemas that have a name by references."""
    for name, schema in _NAMED.items():
        if value == schema:
            return {"$ref": f"#/components/schemas/{name}"}
    if isinstance(value, dict):
        return {name: _named(inner) for name, inner in value.items()}
    return [_named(inner) for inner in value] if isinstance(value, list) else value


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _id(route: Route) -> str:
    words = re.findall(r"\w+", route.path.replace("{id}", "one"))
    return "_".join([route.method.lower(), *(words or ["overview"])])


def _operation(route: Route, routes: Iterable[Route]) -> dict[str, Any]:
    parts = re.findall(r"\{(\w+)\}", route.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}} for name in parts
    ]
    parameters += [
        {"name": each.name, "in": "query", "required": each.required, "schema": each.schema} for each in route.query
    ]
    waits = route.waits or any(each.waits for each in route.query)
    codes = {*_ALWAYS, *route.fails, *([404] if parts else []), *([504] if waits else [])}
    codes |= {411, 413, 415} if route.body is not None else set()
    operation: dict[str, Any] = {"operationId": _id(route), "summary": route.summary}
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        needed = any(member.required for member in route.body.values())
        schema = {**body_schema(route.body), **route.more}
        content = _json(_named(schema))
        if route.example:
            content["application/json"]["example"] = route.example
        operation["requestBody"] = {"required": needed, "content": content}
    if route.open:
        operation["security"] = []
        codes -= {401}
    operation["responses"] = {
        str(route.status): _success(route, routes),
        **{str(code): {"$ref": f"#/components/responses/{code}"} for code in sorted(codes)},
    }
    return operation


def _success(route: Route, routes: Iterable[Route]) -> dict[str, Any]:
    if route.status == 204:
        return {"description": "done"}
    response: dict[str, Any] = {"description": "the result", "content": _json(route.result)}
    if route.links:
        response["links"] = {
            _id(each): {"operationId": _id(each), "parameters": {"id": "$response.body#/id"}}
            for each in routes
            if each.path.startswith(f"{route.path}/{{id}}")
        }
    return response


def _response(code: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": _ERRORS[code],
        "content": _json({"$ref": "#/components/schemas/Error"}),
    }
    if code == 405:
        described["headers"] = {"Allow": {"required": True, "schema": {"type": "string"}}}
    return described


def described(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the description of an interface with these routes."""
    routes = list(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, routes)
    return {
        "openapi": "3.1.0",
        "info": {"title": "relay_sync simulator", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/simulator"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {**_NAMED, **SCHEMAS},
            "responses": {str(code): _response(code) for code in _ERRORS},
        },
    }


def written(routes: Iterable[Route]) -> str:
    """Return the description as the text of the file."""
    return json.dumps(described(routes), indent=1) + "\n"
