"""Requests to the simulator's REST side, written by hand with the standard library."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any

from relay_sync.simulator import Simulator

CALLS = "/api/calling/calls"


def ask(
    sim: Simulator,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    credentials: str | None = None,
    **more: str,
) -> tuple[int, http.client.HTTPMessage, bytes]:
    given = f"{sim.settings.project}:{sim.settings.token}" if credentials is None else credentials
    headers = {"Authorization": "Basic " + base64.b64encode(given.encode()).decode()}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def command(sim: Simulator, **members: Any) -> tuple[int, dict[str, Any]]:
    status, _, body = ask(sim, "POST", CALLS, json.dumps(members).encode())
    return status, json.loads(body)
