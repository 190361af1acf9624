"""Whom a session is for, and what it may be told while it runs: other contexts, and a newer JWT."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import attrs

from ..call.verbs import parameters
from ..config import Config
from ..constants import METHOD_REAUTHENTICATE, METHOD_RECEIVE, METHOD_UNRECEIVE
from ..errors import AuthenticationError, CommandRefused, InvalidParameter
from ..protocol.command import Phase, loosely
from ..protocol.results import Outcome, refuses_credentials
from ..threads import logs
from ..threads.living import Living

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ..connection.io_loop import Loop
    from ..protocol.session import Session
    from ..text.secrecy import Secrets

__all__ = ["Subscribing"]

_log = logs.get("relay_sync")

#: The clients of this process, as long as somebody holds them.
_clients: Final[Living[Subscribing]] = Living()


class Subscribing:
    """The part of :class:`RelayClient` that changes a running session."""

    if TYPE_CHECKING:
        _config: Config
        _contexts: dict[str, None]
        _lock: AbstractContextManager[bool]
        _loop: Loop | None
        _secrets: Secrets

        def _command(
            self,
            method: str,
            params: Mapping[str, Any],
            *,
            idempotent: bool = False,
            on_reply: Callable[[Outcome, int], object] | None = None,
        ) -> dict[str, Any]: ...

    def _note_others(self) -> None:
        """Say so when another client of this process takes the same calls: perhaps a notebook's cell left it behind."""
        _clients.add(self)
        for other in _clients:
            if other is self:
                continue
            shared = self._contexts.keys() & other._contexts.keys()
            if shared and other._loop is not None and other._loop.alive and self._config.same_account(other._config):
                _log.later.warning(
                    "another RelayClient of this process is connected for the contexts %s: each call comes to one of the two; "
                    "disconnect() the one that is not wanted (an earlier run of a notebook's cell?)",
                    ", ".join(sorted(shared)),
                )
                return

    @property
    def token(self) -> str:
        """The project's API token, as given; ``""`` where a JWT is used."""
        return self._config.token

    @property
    def jwt_token(self) -> str:
        """The JWT in use; ``""`` where there is none."""
        return self._config.jwt_token

    def receive(self, contexts: Iterable[str]) -> None:
        """Take inbound calls and messages of these contexts as well, from now on and after every reconnection.

        :param contexts: names. :raises CommandRefused: the server said no (402: not paid for); nothing has changed.
        """
        names = parameters.texts("contexts", contexts, optional=False) or []
        self._change_contexts(METHOD_RECEIVE, names, lambda known: known.update(dict.fromkeys(names)))

    def unreceive(self, contexts: Iterable[str]) -> None:
        """Take inbound calls and messages of these contexts no more.

        :param contexts: names. :raises CommandRefused: the server said no; nothing has changed.
        """
        names = parameters.texts("contexts", contexts, optional=False) or []

        def forget(known: dict[str, None]) -> None:
            for name in names:
                known.pop(name, None)

        self._change_contexts(METHOD_UNRECEIVE, names, forget)

    def _change_contexts(self, method: str, names: list[str], change: Callable[[dict[str, None]], None]) -> None:
        def apply(client: Subscribing, outcome: Outcome, session: int) -> None:
            if isinstance(outcome, dict):
                client._subscribe(change)

        self._command(method, {"contexts": names}, idempotent=True, on_reply=loosely(apply, self))

    def _subscribe(self, change: Callable[[dict[str, None]], None]) -> None:
        """On the IO thread, as the replies come: they stand in the order in which the server has carried out what was asked."""
        with self._lock:  # held for long only where the connection before is over, and has no replies
            known = dict(self._contexts)
            change(known)
            self._contexts = known
            loop = self._loop
        if loop is not None:
            loop.change(lambda session: change(session.contexts))

    def reauthenticate(self, jwt_token: str) -> None:
        """Show the server a newer JWT, before the old one expires; reconnections use it too.

        Where there is no session for the moment, or none any more because the old one has expired, the connection is made
        with the newer one.

        :param jwt_token: of the same project. :raises InvalidParameter: the client was not made with a JWT.
        :raises AuthenticationError: the server refuses it; the session goes on with the old one.
        """
        if not self._config.jwt_token:
            raise InvalidParameter("jwt_token", jwt_token, "used on a client that was made with a JWT", secret=True)
        given: Any = jwt_token
        if not isinstance(given, str) or not given or not given.isprintable() or " " in given:
            raise InvalidParameter("jwt_token", jwt_token, "a JWT: text without blanks", secret=True)
        before, loop = self._config.jwt_token, self._loop
        if loop is None or not loop.alive or loop.session.phase is not Phase.READY:
            self._use_jwt(jwt_token)

        def apply(client: Subscribing, outcome: Outcome, session: int) -> None:
            if isinstance(outcome, dict):
                client._use_jwt(jwt_token)

        try:
            self._command(
                METHOD_REAUTHENTICATE,
                {"authentication": {"jwt_token": jwt_token}},
                on_reply=loosely(apply, self),
            )
        except CommandRefused as error:
            self._use_jwt(before)
            if not refuses_credentials(error.code):
                raise
            raise AuthenticationError(error.code, error.message, method=METHOD_REAUTHENTICATE) from error

    def _use_jwt(self, jwt_token: str) -> None:
        """For the connections to come. On any thread: what the server has agreed to is noted as its reply comes."""
        if jwt_token == self._config.jwt_token:
            return
        self._secrets.learn(jwt_token)

        def renew(session: Session) -> None:
            session.options.authentication = {"jwt_token": jwt_token}

        with self._lock:
            self._config = attrs.evolve(self._config, jwt_token=jwt_token)
            loop = self._loop
        if loop is not None:
            loop.change(renew)
