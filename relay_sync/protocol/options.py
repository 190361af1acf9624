"""What a session is told when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..constants import AGENT, PROTOCOL_VERSION
from ..text.secrecy import Secrets

__all__ = ["SessionOptions"]


class SessionOptions:
    """What a session says of itself and how patient it is.

    :ivar secrets: what the client must not show; the session adds what the server gives it.
    :ivar connect_patience: seconds for the answer to ``signalwire.connect``.
    :ivar holds_after: seconds a session must hold before its loss is treated as the first one again.
    :ivar farewell_patience: seconds in which a server that announced its leaving may still answer what is under way, before we
        take our leave of it.
    :ivar leaving_patience: seconds it then has until we close.
    """

    # Written by hand: attrs takes half a millisecond to make it, for every program.
    def __init__(
        self,
        *,
        authentication: Mapping[str, str],
        secrets: Secrets | None = None,
        contexts: tuple[str, ...] = (),
        connect_patience: float = 10.0,
        ping_interval: float = 15.0,
        ping_timeout: float = 5.0,
        max_queue: int = 500,
        holds_after: float = 10.0,
        farewell_patience: float = 1.0,
        leaving_patience: float = 2.0,
    ) -> None:
        self.authentication = authentication
        self.secrets: Secrets = Secrets() if secrets is None else secrets
        self.contexts = contexts
        self.connect_patience = connect_patience
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.max_queue = max_queue
        self.holds_after = holds_after
        self.farewell_patience = farewell_patience
        self.leaving_patience = leaving_patience

    def introduction(self, contexts: Iterable[str], protocol: str, state: str) -> dict[str, Any]:
        """The params of ``signalwire.connect``.

        :param protocol: of the session that is to be resumed; ``""``: a new one.
        :param state: its authorization state.
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
