"""Connection and session methods: ``signalwire.connect``, pings, contexts and reauthentication."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from typing import Any

from ..core.session import ServerSession
from .request import CommandRequest, Handler

__all__ = ["HANDLERS"]

NEWEST_MAJOR = 4  # AsyncAPI allows major versions up to 4 and the minor version 0
UNAUTHORIZED = "authentication failed: 401 Unauthorized"


def _same(given: Any, wanted: str | None) -> bool:
    return (
        isinstance(given, str)
        and wanted is not None
        and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass"))
    )


def _welcome(request: CommandRequest, authentication: Mapping[str, Any]) -> bool:
    """Return whether the credentials are valid. JWTs are compared as strings and are not decoded."""
    settings = request.world.settings
    if "jwt_token" in authentication:
        project = authentication.get("project", settings.project)
        return _same(authentication["jwt_token"], settings.jwt_token) and project == settings.project
    right_project = _same(authentication.get("project"), settings.project)
    return _same(authentication.get("token"), settings.token) and right_project


def _unauthorized(request: CommandRequest) -> None:
    """Reject the credentials with the error configured by ``refuse_with``.

    The error is either JSON-RPC error -32002, which the real servers send, or a result with code 401, as described in AsyncAPI.
    """
    if request.world.settings.refuse_with == "result":
        request.refuse(401, "Unauthorized")
    else:
        request.fail(-32002, UNAUTHORIZED, {"signalwire_error_code": "AUTH_REQUIRED"})


def _version_problem(version: Mapping[str, Any]) -> str | None:
    numbers = [version.get(name) for name in ("major", "minor", "revision")]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in numbers):
        return "Unsupported version: major, minor and revision must be integers"
    if not 0 <= version["major"] <= NEWEST_MAJOR or version["minor"] != 0:
        return f"Unsupported version: {version['major']}.{version['minor']} (up to {NEWEST_MAJOR}.0)"
    return None


def _connect(request: CommandRequest) -> None:
    params = request.params
    findings = request.findings()
    findings.look("connect.version", params["version"], "version")
    findings.look("connect.authentication", params["authentication"], "authentication")
    if request.reject_if_invalid(findings):
        return
    if request.client.session is not None:
        # The error for a second handshake on the same socket is not documented.
        request.fail(-32600, "Invalid Request: this socket is already connected")
        return
    problem = _version_problem(params["version"])
    if problem is not None:
        request.fail(-32001, problem)
    elif "authorization_state" in params and "protocol" not in params:
        request.fail(-32602, "Invalid ConnectParams", {"signalwire_error_code": "INVALID_PARAMS"})
    elif not _welcome(request, params["authentication"]):
        _unauthorized(request)
    else:
        _admit(request)


def _admit(request: CommandRequest) -> None:
    world, params = request.world, request.params
    wanted = [*params.get("contexts", ()), *params.get("topics", ())]  # "topics" is the newer name for contexts
    session = _resumed(request)
    restored = session is not None
    if session is None:
        if "protocol" in params and world.settings.on_bad_resume == "refuse":
            _unauthorized(request)
            return
        session = world.sessions.open(world.settings.project, wanted, params["version"]["major"])
    elif "contexts" in params or "topics" in params:
        session.contexts = set(wanted)
    world.attach(request.client, session)
    request.reply(
        {
            "protocol": session.protocol,
            "identity": session.identity,
            "authorization": {"project": session.project, "expires_at": None},
            "ice_servers": [],
            "sessionid": str(uuid.uuid5(uuid.NAMESPACE_OID, session.protocol)),
            "session_restored": restored,
        }
    )
    if not restored or "authorization_state" not in params:
        world.announce(session)
    request.platform.ready(session)


def _resumed(request: CommandRequest) -> ServerSession | None:
    """Return the session to resume, or ``None`` if the protocol is unknown or the ``authorization_state`` does not match.

    A known protocol is accepted without an ``authorization_state``, as on SignalWire's own test server.
    """
    params = request.params
    session = request.world.sessions.find(params.get("protocol", ""))
    if session is None or not _same(
        params.get("authorization_state", session.authorization_state), session.authorization_state
    ):
        return None
    return session


def _ping(request: CommandRequest) -> None:
    request.reply({name: request.params[name] for name in ("timestamp", "payload") if name in request.params})


def _contexts(params: Mapping[str, Any]) -> set[str]:
    single = {params["context"]} if "context" in params else set()
    return single | set(params.get("contexts", ()))


def _receive(request: CommandRequest) -> None:
    session = request.session
    if session.major >= NEWEST_MAJOR:
        request.fail(-32001, "contexts cannot be changed at run time on protocol 4.0")
        return
    contexts = _contexts(request.params)
    if not contexts:
        request.refuse(400, "contexts must not be empty", {"contexts": "contexts must not be empty"})
        return
    session.contexts |= contexts
    request.accept()
    request.platform.ready(session)


def _unreceive(request: CommandRequest) -> None:
    if request.session.major >= NEWEST_MAJOR:
        request.fail(-32001, "contexts cannot be changed at run time on protocol 4.0")
        return
    request.session.contexts -= _contexts(request.params)
    request.accept()


def _reauthenticate(request: CommandRequest) -> None:
    """Accept a new JWT for a connected session. The result follows SignalWire's schema."""
    findings = request.findings()
    if not findings.look("connect.authentication", request.params["authentication"], "authentication"):
        request.reject_if_invalid(findings)
        return
    if "jwt_token" not in request.params["authentication"] or not _welcome(request, request.params["authentication"]):
        _unauthorized(request)
        return
    request.reply({"authorization": {"project": request.session.project, "expires_at": None}, "ice_servers": []})


HANDLERS: Mapping[str, Handler] = {
    "signalwire.connect": _connect,
    "signalwire.ping": _ping,
    "signalwire.receive": _receive,
    "signalwire.unreceive": _unreceive,
    "calling.receive": _receive,
    "signalwire.reauthenticate": _reauthenticate,
}
