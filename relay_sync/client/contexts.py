"""Change a running session's contexts and JWT."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..constants import METHOD_REAUTHENTICATE, METHOD_RECEIVE, METHOD_UNRECEIVE
from ..errors import AuthenticationError, CommandRefused, InvalidParameter
from ..params import values
from ..protocol.command import Phase, loosely
from ..protocol.results import Outcome, refuses_credentials

if TYPE_CHECKING:
    from .link import Link

__all__ = ["Subscribing"]


class Subscribing:
    """Methods of :class:`RelayClient` that change a running session's contexts and JWT."""

    if TYPE_CHECKING:
        _link: Link

    @property
    def token(self) -> str:
        """The project's API token, or ``""`` if the client uses a JWT."""
        return self._link.config.token

    @property
    def jwt_token(self) -> str:
        """The current JWT, or ``""`` if the client uses an API token."""
        return self._link.config.jwt_token

    def receive(self, contexts: Iterable[str]) -> None:
        """Subscribe to additional contexts, to receive their inbound calls and messages.

        The client renews the subscriptions each time it reconnects.

        :param contexts: names of the contexts.
        :raises CommandRefused: the server rejected the command, for example with code 402 (payment required). The
            subscriptions are unchanged.
        """
        names = values.texts("contexts", contexts, optional=False) or []
        self._change_contexts(METHOD_RECEIVE, names, lambda known: known.update(dict.fromkeys(names)))

    def unreceive(self, contexts: Iterable[str]) -> None:
        """Unsubscribe from contexts, to stop receiving their inbound calls and messages.

        :param contexts: names of the contexts.
        :raises CommandRefused: the server rejected the command. The subscriptions are unchanged.
        """
        names = values.texts("contexts", contexts, optional=False) or []

        def forget(known: dict[str, None]) -> None:
            for name in names:
                known.pop(name, None)

        self._change_contexts(METHOD_UNRECEIVE, names, forget)

    def _change_contexts(self, method: str, names: list[str], change: Callable[[dict[str, None]], None]) -> None:
        def apply(link: Link, outcome: Outcome, session: int) -> None:
            if isinstance(outcome, dict):
                link.subscribe(change)

        self._link.command(method, {"contexts": names}, idempotent=True, on_reply=loosely(apply, self._link))

    def reauthenticate(self, jwt_token: str) -> None:
        """Replace the JWT before it expires.

        The server updates the current session, and later connections use the new JWT. If there is no session, for example because
        the old JWT has expired, the next connection uses the new JWT.

        :param jwt_token: JWT of the same project.
        :raises InvalidParameter: the client was not created with a JWT, or the value is not a string, or it contains spaces.
        :raises AuthenticationError: the server rejected the JWT. The session continues with the old JWT.
        """
        if not self._link.config.jwt_token:
            raise InvalidParameter("jwt_token", jwt_token, "a client that was created with a JWT", secret=True)
        given: Any = jwt_token
        if not isinstance(given, str) or not given or not given.isprintable() or " " in given:
            raise InvalidParameter("jwt_token", jwt_token, "a JWT (a string without spaces)", secret=True)
        link = self._link
        before, loop = link.config.jwt_token, link.loop
        if loop is None or not loop.alive or loop.session.phase is not Phase.READY:
            link.use_jwt(jwt_token)

        def apply(link: Link, outcome: Outcome, session: int) -> None:
            if isinstance(outcome, dict):
                link.use_jwt(jwt_token)

        try:
            link.command(
                METHOD_REAUTHENTICATE,
                {"authentication": {"jwt_token": jwt_token}},
                on_reply=loosely(apply, link),
            )
        except CommandRefused as error:
            link.use_jwt(before)
            if not refuses_credentials(error.code):
                raise
            raise AuthenticationError(error.code, error.message, method=METHOD_REAUTHENTICATE) from error
