"""REST API for calls: ``POST /api/calling/calls`` with a body ``{"id", "command", "params"}`` and HTTP Basic authentication.

Commands are executed by the same handlers as RELAY requests. The documented responses are status 200 with a call object, and
400, 401, 404, 422 and 500 with ``errors``. Where the documentation is incomplete, the simulator behaves as follows:

* If a call does not exist or has ended, or an action is not running, the response is 404. If RELAY refuses the command with
  another code, such as 409, the response is 422 and the error contains that code.
* ``dial`` calls the phone configured with ``Simulator.expect_phone``. The call's events are not sent to any client, and the
  document in ``url`` or ``swml`` is not executed. ``update`` ends the call if it contains a ``status``; a document has no
  effect.
* Faults for a RELAY method also apply to the corresponding REST command. If the reply is dropped or held, the response is 504.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any, cast

from attrs import define, field

from ...params.parties import is_caller, is_party
from ...protocol.depth import is_deeper
from ...server import http
from ...text.json_text import read_strictly
from ..core.frames import whole_numbers
from ..core.method_table import METHODS, Method, parse_table
from ..core.not_carried_out import NOT_CARRIED_OUT, not_carried_out
from ..core.session import ClientSocket, ServerSession
from ..core.world import World
from ..methods import scripted
from ..methods.hunt import Hunt, Leg
from ..methods.request import CommandRequest, Platform
from ..people.network import NetworkCall, device

__all__ = ["Rest"]

PLACE = "/api/calling/calls"
MOST_BODY = 2**20
DEEPEST = 64

# Commands that do not exist in RELAY or have a different name there.
_OWN = parse_table("""
dial | | | from!:s to!:s caller_id:s url:s swml:s|o fallback_url:s status_url:s status_events:as url_method:s codecs:s|as
update | | | id!:s url:s swml:s|o fallback_url:s status:s{canceled,completed}
""")
_WORDS = """
calling.end calling.transfer calling.disconnect calling.join_conference calling.play calling.play.pause
calling.play.resume calling.play.stop calling.play.volume calling.record calling.record.pause calling.record.resume
calling.record.stop calling.collect calling.collect.stop calling.collect.start_input_timers calling.detect
calling.detect.stop calling.tap calling.tap.stop calling.transcribe calling.transcribe.stop calling.stream
calling.stream.stop calling.denoise calling.denoise.stop calling.ai_hold calling.ai_unhold calling.ai_message
calling.ai.stop calling.live_transcribe calling.live_translate calling.send_fax.stop calling.receive_fax.stop
calling.refer calling.user_event
"""
_ON_CALLS = frozenset(_WORDS.split())


class Refusal(Exception):
    """Error response to a command."""

    def __init__(self, status: int, message: str, *, code: str = "", attribute: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.errors: list[dict[str, str]] = [
            {"type": "validation_error", "code": code or str(status), "message": message}
        ]
        if attribute:
            self.errors[0]["attribute"] = attribute


@define(eq=False, kw_only=True)
class _Command(CommandRequest):
    """Command request that stores its reply for the HTTP response."""

    outcome: dict[str, Any] | None = field(default=None, init=False)

    @property
    def session(self) -> ServerSession:
        """The session that controls the call, or a placeholder if there is none."""
        settings = self.world.settings
        return self.call.owner or ServerSession(project=settings.project, protocol="rest", identity="rest")

    @property
    def sender(self) -> ServerSession | None:
        """The session that controls the call, if there is one."""
        return self.call.owner

    def reply(self, result: dict[str, Any]) -> None:
        self.outcome = result

    def fail(self, code: int, message: str, data: Any = None) -> None:
        found = data.get("errors") if isinstance(data, dict) else None
        self.outcome = {"code": "422", "message": "; ".join(found) if isinstance(found, list) else message}


@define(eq=False)
class Rest:
    """Handler for REST API requests. Runs on the loop thread."""

    _platform: Platform = field(repr=False)

    @property
    def _world(self) -> World:
        return self._platform.world

    def answer(self, request: http.HttpRequest) -> tuple[Any, http.Response]:
        """Return the parsed body of a request and the response. The body is ``None`` if it could not be parsed."""
        body = None
        try:
            if request.method != "POST":
                return None, http.Response(405, {"Allow": "POST"}, b"commands require POST\n")
            self._check_credentials(request)
            body = _read(request.body)
            return body, _json(200, self._work(body))
        except Refusal as refusal:
            more = {"WWW-Authenticate": 'Basic realm="simulator"'} if refusal.status == 401 else {}
            return body, _json(refusal.status, {"errors": refusal.errors}, more)

    def _check_credentials(self, request: http.HttpRequest) -> None:
        if not self.knows_credentials(request):
            raise Refusal(401, "Unauthorized", code="unauthorized")

    def knows_credentials(self, request: http.HttpRequest) -> bool:
        """Return whether a request contains valid credentials: a project ID and one of its tokens."""
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            project, _, token = base64.b64decode(given.strip(), validate=True).decode().partition(":")
        except ValueError:
            return False
        return self._world.accounts.project_of({"project": project, "token": token}) is not None

    def _work(self, body: Mapping[str, Any]) -> dict[str, Any]:
        command, params = body.get("command"), body.get("params", {})
        if not isinstance(params, dict):
            raise Refusal(422, "params must be an object", attribute="params")
        if command == "dial":
            return _described(self._dial(params))
        if command == "update":
            return _described(self._update(params))
        if not isinstance(command, str) or command not in _ON_CALLS:
            raise Refusal(422, "command is not supported", code="unsupported_command", attribute="command")
        call = self._find(body.get("id"))
        self._carry_out(METHODS[command], call, params)
        return _described(call)

    def _find(self, call_id: Any) -> NetworkCall:
        call = self._platform.network.calls.get(call_id) if isinstance(call_id, str) else None
        if call is None or call.over:
            raise Refusal(404, "Call not found", code="not_found", attribute="id")
        return call

    def _carry_out(self, spec: Method, call: NetworkCall, params: dict[str, Any]) -> None:
        fault = self._world.faults.for_request(spec.name)
        if fault is not None and fault.kind in ("refuse", "fail"):
            status = int(fault.code)
            raise Refusal(status if 400 <= status < 600 else 422, fault.message, code=str(status))
        addressed = {**params, "node_id": call.node_id, "call_id": call.call_id}
        _check(spec, addressed, strict=self._world.settings.strict)
        command = _Command(
            platform=self._platform,
            client=cast(ClientSocket, None),
            request_id="",
            spec=spec,
            params=addressed,
            fault=fault,
            addressed=call,
        )
        scripted.carry_out(command)
        outcome = command.outcome or {"code": "500", "message": "the simulator did not answer the command"}
        code = str(outcome.get("code", "200"))
        if not code.startswith("2"):
            status = int(code) if code in ("400", "404", "500") else 422
            raise Refusal(status, str(outcome.get("message", "")), code=code)
        if fault is not None and fault.kind in ("drop", "hold"):
            raise Refusal(504, "the reply was dropped or held by an injected fault")

    def _dial(self, params: dict[str, Any]) -> NetworkCall:
        _check(_OWN["dial"], params, strict=self._world.settings.strict)
        _check_document(params)
        for name, good in (("to", is_party), ("from", is_caller)):
            if not good(params[name]):
                why = f"{name} is not a telephone number or a SIP address"
                raise Refusal(422, why, code="invalid_parameter", attribute=name)
        leg = Leg(platform=self._platform, device=device(params["to"], params["from"]), owner=None)
        Hunt([[leg]], lambda _: None, lambda _: None).begin()
        self._note_ignored("dial", leg.call, params)
        return leg.call

    def _note_ignored(self, command: str, call: NetworkCall, params: Mapping[str, Any]) -> None:
        """Add a notice to the journal for each parameter that has no effect."""
        for text in not_carried_out(command, params):
            self._world.journal.notice(call.call_id, "", NOT_CARRIED_OUT, text)

    def _update(self, params: dict[str, Any]) -> NetworkCall:
        _check(_OWN["update"], params, strict=self._world.settings.strict)
        call = self._find(params["id"])
        status = params.get("status")
        if status is None:
            _check_document(params)
            self._note_ignored("update", call, params)
        elif status == "canceled" and call.state == "answered":
            raise Refusal(422, "the call is answered: expected status 'completed'", attribute="status")
        else:
            self._platform.network.end(call, "cancel" if status == "canceled" else "hangup", "outbound")
        return call


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = whole_numbers(read_strictly(body.decode())) if not is_deeper(body, DEEPEST) else None
    except ValueError:
        raise Refusal(400, "the body is not valid JSON", code="bad_request") from None
    if not isinstance(found, dict):
        raise Refusal(400, "the body is not a JSON object", code="bad_request")
    return found


def _check(spec: Method, params: dict[str, Any], *, strict: bool) -> None:
    for problem in spec.malformed(params, strict=strict):
        attribute, _, why = problem.partition(" ")
        code = "missing_required_parameter" if why == "is required" else "invalid_parameter"
        raise Refusal(422, problem, code=code, attribute=attribute)
    for attribute, problem in spec.impossible(params).items():
        raise Refusal(422, problem, code="invalid_parameter", attribute=attribute)


def _check_document(params: Mapping[str, Any]) -> None:
    if ("url" in params) == ("swml" in params):
        raise Refusal(
            422, "exactly one of url and swml is required", code="missing_required_parameter", attribute="url"
        )


def _described(call: NetworkCall) -> dict[str, Any]:
    """Return a call as a REST API object. Durations and charges are placeholders."""
    numbers = call.device["params"]
    return {
        "id": call.call_id,
        "from": numbers.get("from_number", numbers.get("from")),
        "to": numbers.get("to_number", numbers.get("to")),
        "direction": "outbound-api" if call.direction == "outbound" else "inbound",
        "status": call.state,
        "source": "realtime_api",
        "type": "relay_sip_call" if call.device["type"] == "sip" else "relay_pstn_call",
        "url": None,
        "charge": 0,
        "charge_details": [],
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(call.start_time / 1000)),
        "duration": None,
        "duration_ms": None,
        "billing_ms": None,
        "parent_id": None,
    }


def _json(status: int, body: dict[str, Any], more: Mapping[str, str] | None = None) -> http.Response:
    headers = {"Content-Type": "application/json", **(more or {})}
    return http.Response(status, headers, json.dumps(body).encode())
