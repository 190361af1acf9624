"""Simulator methods for tests that write the server's side themselves: credentials, sessions, frames and scripts.

All methods are thread-safe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from ..errors import InvalidParameter
from ..params import values
from .core import given
from .core.names import check_method
from .core.session import ClientSocket, Session
from .core.world import World
from .methods.request import Platform
from .methods.scripts import DialScript, MethodScript, ScriptedEvent, ScriptedLeg, usual_event

__all__ = ["Scripting"]

_T = TypeVar("_T")


def _all(name: str, value: Any, kind: type[_T]) -> tuple[_T, ...]:
    if (
        not isinstance(value, Sequence)
        or isinstance(value, str | bytes)
        or not all(isinstance(each, kind) for each in value)
    ):
        raise values.unseen(name, value, f"a list of {kind.__name__} objects")
    return tuple(value)


class Scripting:
    """:class:`Simulator` mixin with methods for credentials, sessions, frames and scripts."""

    _world: World
    _platform: Platform

    def _do(self, fn: Callable[..., _T], *args: Any, timeout: float = 5.0) -> _T:
        raise NotImplementedError

    def _connected(self) -> list[ClientSocket]:
        raise NotImplementedError

    # -- credentials ---------------------------------------------------------------------------------------------------

    @property
    def projects(self) -> list[str]:
        """The projects that clients may connect to, in the order in which they were added."""
        return self._world.accounts.projects

    def add_project(self, project: str, *, token: str | None = None, jwt_token: str | None = None) -> None:
        """Accept clients that present these credentials, in addition to those of :attr:`credentials`.

        A project can have several tokens and JWTs. Clients of different projects cannot control each other's calls.

        :param project: project ID.
        :param token: API token of the project, also for the REST API; ``None`` adds none.
        :param jwt_token: JWT that clients may present instead, compared as an opaque string; ``None`` adds none.
        :raises InvalidParameter: a value is invalid, or neither a token nor a JWT is given.
        """
        project = values.text("project", project, optional=False) or ""
        token, jwt_token = values.secret("token", token), values.secret("jwt_token", jwt_token)
        if token is None and jwt_token is None:
            raise InvalidParameter("token", None, "a token or a JWT of the project")
        self._world.accounts.add(project, token=token, jwt_token=jwt_token)

    def remove_project(self, project: str, *, token: str | None = None, jwt_token: str | None = None) -> None:
        """Reject these credentials from now on. Connected clients stay connected.

        :param project: project ID.
        :param token: token to remove; ``None`` removes none.
        :param jwt_token: JWT to remove; ``None`` removes none. Without a token and a JWT, the whole project is removed.
        :raises InvalidParameter: a value is invalid, or the project does not have these credentials.
        """
        project = values.text("project", project, optional=False) or ""
        token, jwt_token = values.secret("token", token), values.secret("jwt_token", jwt_token)
        if not self._world.accounts.remove(project, token=token, jwt_token=jwt_token):
            raise given.Unknown("project", project, "a project that has these credentials")

    @property
    def accepts_any_credentials(self) -> bool:
        """Whether clients may present any credentials."""
        return self._world.accounts.accepts_any

    def accept_any_credentials(self, accept: bool = True) -> None:
        """Accept clients that present any project with any token, or any JWT, or only known credentials again.

        A session then belongs to the project that its client presents. Without a project, it belongs to the simulator's.

        :param accept: whether to accept any credentials.
        """
        self._world.accounts.accepts_any = given.yes("accept", accept)

    # -- sessions and frames -------------------------------------------------------------------------------------------

    @property
    def sessions(self) -> list[Session]:
        """The sessions of all connected clients, in the order in which the clients connected."""
        found = [(client.number, client.session) for client in self._connected()]
        return [
            Session(
                session_id=session.session_id,
                project=session.project,
                identity=session.identity,
                contexts=tuple(sorted(session.contexts)),
                connection=number,
            )
            for number, session in found
            if session is not None
        ]

    def send_frame(self, frame: Any, *, session: str | None = None, timeout: float = 5.0) -> int:
        """Send any JSON as a frame, and record it in the journal.

        The frame is sent unchanged, and event faults do not apply to it. If it is a request with an ID, such as an event,
        :meth:`wait_for_acks` also waits for its reply.

        :param frame: frame to send, usually a JSON-RPC object.
        :param session: ID of the session that receives the frame; see :attr:`sessions`. ``None`` sends it to all connected
            clients.
        :param timeout: maximum time to wait for the frame to be sent, in seconds.
        :return: number of clients that the frame was sent to; 0 if the session is not connected.
        :raises InvalidParameter: the session is unknown, or the frame cannot be serialized to JSON.
        :raises WaitTimeout: the simulator did not send the frame within ``timeout`` seconds.
        """
        given.json("frame", frame)
        if session is not None:
            given.name_of("session", session)
        asks = isinstance(frame, dict) and "method" in frame and isinstance(frame.get("id"), str)

        def send() -> int:
            chosen = self._connected()
            if session is not None:
                client = self._world.named_session(session).client
                chosen = [client] if client is not None else []
            for each in chosen:
                (self._world.request if asks else self._world.write)(each, frame)
            return len(chosen)

        return self._do(send, timeout=timeout)

    # -- scripts -------------------------------------------------------------------------------------------------------

    @property
    def acknowledges_only(self) -> bool:
        """Whether requests without a script are only validated and acknowledged."""
        return self._platform.scripts.acknowledge_only

    def acknowledge_only(self, only: bool = True) -> None:
        """Acknowledge requests without carrying them out, or carry them out again.

        Parameters are still validated, and requests for unknown calls fail. Sessions, contexts and pings work as usual. The test
        sends all events itself, with scripts or :meth:`send_event`.

        :param only: whether requests are only acknowledged.
        """
        self._platform.scripts.acknowledge_only = given.yes("only", only)

    def script(
        self,
        method: str,
        events: Sequence[ScriptedEvent] = (),
        *,
        reply: Mapping[str, Any] | None = None,
        session: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Reply to requests for a method and send events after the reply, instead of carrying them out.

        ::

            sim.script(
                "calling.play",
                [ScriptedEvent({"state": "playing"}, at=0.001), ScriptedEvent({"state": "finished"}, at=0.005)],
            )

        Parameters are still validated, and requests for unknown calls fail. A fault that refuses the request comes first and
        does not use the script. Scripts with a limit are used first, in the order they were added; a script for a session
        precedes scripts for all sessions.

        :param method: RELAY method, such as ``calling.play``.
        :param events: events to send to the client that sent the request.
        :param reply: result to reply with; ``None`` is the method's usual acknowledgment.
        :param session: ID of the session whose requests are scripted; ``None`` scripts the requests of all sessions.
        :param times: number of requests that use this script; ``None`` applies it to all requests.
        :raises InvalidParameter: a value is invalid, or an event needs an ``event_type`` because the method sends no events.
        """
        check_method(method)
        steps = _all("events", events, ScriptedEvent)
        if not usual_event(method) and not all(step.event_type for step in steps):
            raise InvalidParameter("events", method, "an event_type for each event: the method has no usual event")
        result = None if reply is None else values.json_object("reply", reply, optional=False)
        self._add(method, MethodScript(events=steps, reply=result), session, times)

    def script_dial(
        self,
        winner: ScriptedLeg | None,
        *,
        losers: Sequence[ScriptedLeg] = (),
        reason: str = "noAnswer",
        delay: float = 0.001,
        dialing: bool = True,
        tag: str | None = None,
        node_id: str | None = None,
        device: Mapping[str, Any] | None = None,
        session: str | None = None,
        times: int | None = 1,
    ) -> None:
        """Decide the course of dials: the call IDs and states of all legs, and which leg wins.

        ::

            sim.script_dial(ScriptedLeg("the-winner"), losers=[ScriptedLeg("too-late", ("created", "ended"))])

        The legs are calls that the client can control. The dial is refused with code 409 if one of the call IDs belongs to
        another call at that time.

        :param winner: leg that wins the dial. With ``None``, the dial fails.
        :param losers: all other legs.
        :param reason: reason in the dial's last event, if it fails.
        :param delay: time from the last state of all legs to the dial's last event, in seconds.
        :param dialing: whether the dial begins with an event whose state is ``dialing``.
        :param tag: tag in all events; ``None`` is the tag of the request.
        :param node_id: node ID of the calls; ``None`` is the simulator's.
        :param device: device in all events, with the members ``type`` and ``params``; ``None`` is the request's first device.
        :param session: ID of the session whose dials are scripted; ``None`` scripts the dials of all sessions.
        :param times: number of dials that use this script; ``None`` applies it to all dials.
        :raises InvalidParameter: a value is invalid, or a script with fixed call IDs applies to more than one dial.
        """
        if winner is not None and not isinstance(winner, ScriptedLeg):
            raise values.unseen("winner", winner, "a ScriptedLeg or None")
        script = DialScript(
            winner=winner,
            losers=_all("losers", losers, ScriptedLeg),
            tag=None if tag is None else given.words("tag", tag),
            node_id=None if node_id is None else given.name_of("node_id", node_id),
            device=None if device is None else _device(device),
            dialing=given.yes("dialing", dialing),
            reason=given.words("reason", reason),
            delay=given.seconds("delay", delay),
        )
        fixed = [leg.call_id for leg in script.legs if leg.call_id is not None]
        if len(set(fixed)) < len(fixed):
            raise given.Taken("losers", fixed, "a different call ID for each leg")
        if fixed and times != 1:
            raise given.Taken("times", times, "1 for a script with given call IDs, which are unique")
        self._add("calling.dial", script, session, times)

    def _add(self, method: str, script: MethodScript | DialScript, session: str | None, times: int | None) -> None:
        limit = given.times(times)
        chosen = None if session is None else given.name_of("session", session)
        if chosen is not None:
            self._do(self._world.named_session, chosen)
        self._platform.scripts.add(method, script, chosen, limit)

    def clear_scripts(self, session: str | None = None) -> None:
        """Remove the scripts that have not been used.

        :param session: ID of the session whose scripts are removed; ``None`` removes all scripts.
        """
        self._platform.scripts.clear(None if session is None else given.name_of("session", session))


def _device(value: Any) -> dict[str, Any]:
    found = values.json_object("device", value, optional=False) or {}
    if not isinstance(found.get("type"), str) or not isinstance(found.get("params"), dict):
        raise InvalidParameter("device", found, "an object with the members type and params")
    return found
