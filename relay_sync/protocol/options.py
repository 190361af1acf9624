"""What a session is told when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from ..constants import AGENT, PROTOCOL_VERSION
from ..secrecy import Secrets

__all__ = ["SessionOptions"]


@frozen(kw_only=True, eq=False)
class SessionOptions:
    """What a session says of itself and how patient it is."""

    authentication: Mapping[str, str] = field(repr=False)
    #: What the client must not show; the session adds what the server gives it.
    secrets: Secrets = field(factory=Secrets, repr=False)
    contexts: tuple[str, ...] = ()
    #: Seconds for the answer to ``signalwire.connect``.
    connect_patience: float = 10.0
    ping_interval: float = 15.0
    ping_timeout: float = 5.0
    max_queue: int = 500
    #: Seconds a session must hold before its loss is treated as the first one again.
    holds_after: float = 10.0
    #: Seconds in which a server that announced its leaving may still answer what is under way, before we take our leave of it.
    farewell_patience: float = 1.0
    #: Seconds it then has until we close.
    leaving_patience: float = 2.0

    def introduction(self, contexts: Iterable[str], protocol: str, state: str) -> dict[str, Any]:
        """The params of ``signalwire.connect``.

        :param protocol: of the session that is to be resumed; ``""``: a new one. :param state: its authorization state.
        """
        params: dict[str, Any] = {
            "version": PROTOCOL_VERSION,
            "agent": AGENT,
            "event_acks": True,
            "authentication": dict(self.authentication),
        }
        if wanted := list(contexts):
            params["contexts"] = wanted
        if protocol:
            params["protocol"] = protocol
            if state:
                params["authorization_state"] = state
        return params
