"""Connection and session methods: ``signalwire.connect``, pings, contexts and reauthentication."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...hosts.proof import same_secret
from ..core.session import ServerSession
from .request import CommandRequest, Handler

__all__ = ["HANDLERS"]

NEWEST_MAJOR = 4  # AsyncAPI allows major versions up to 4 and the minor version 0
UNAUTHORIZED = "authentication failed: 401 Unauthorized"


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
    elif (project := request.world.accounts.project_of(params["authentication"])) is None:
        _unauthorized(request)
    else:
        _admit(request, project)


def _admit(request: CommandRequest, project: str) -> None:
    world, params = request.world, request.params
    wanted = [*params.get("contexts", ()), *params.get("topics", ())]  # "topics" is the newer name for contexts
    session = _resumed(request, project)
    restored = session is not None
    if session is None:
        if "protocol" in params and world.settings.on_bad_resume == "refuse":
            _unauthorized(request)
            return
        session = world.sessions.open(project, wanted, params["version"]["major"])
    elif "contexts" in params or "topics" in params:
        session.contexts = set(wanted)
    world.attach(request.client, session)
    request.reply(
        {
            "protocol": session.protocol,
            "identity": session.identity,
            "authorization": {"project": session.project, "expires_at": None},
            "ice_servers": [],
            "sessionid": session.session_id,
            "session_restored": restored,
        }
    )
    if not restored or "authorization_state" not in params:
        world.announce(session)
    request.platform.ready(session)


def _resumed(request: CommandRequest, project: str) -> ServerSession | None:
    """Return the session to resume, or ``None`` if the project has no session with this protocol or the
    ``authorization_state`` does not match.

    A known protocol is accepted without an ``authorization_state``, as on SignalWire's own test server.
    """
    params = request.params
    session = request.world.sessions.find(params.get("protocol", ""))
    if session is None or session.project != project:
        return None
    state = params.get("authorization_state", session.authorization_state)
    return session if same_secret(state, session.authorization_state) else None


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
    authentication = request.params["authentication"]
    project = request.world.accounts.project_of(authentication) if "jwt_token" in authentication else None
    if project != request.session.project:
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
