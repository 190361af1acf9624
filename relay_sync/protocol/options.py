"""The settings of a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..constants import AGENT, PROTOCOL_VERSION
from ..text.secrecy import Secrets

__all__ = ["SessionOptions"]


class SessionOptions:
    """The credentials, contexts and time limits of a session.

    :ivar secrets: secrets to keep out of logs; the session adds secrets issued by the server.
    :ivar connect_patience: seconds to wait for the reply to ``signalwire.connect``.
    :ivar holds_after: seconds after which a session counts as stable, and its loss resets the backoff.
    :ivar farewell_patience: seconds to wait for pending replies after the server announced a disconnect, before the client
        acknowledges the announcement.
    :ivar leaving_patience: seconds that the server then has to close the connection, before the client does.
    """

    # Not an attrs class, which would add half a millisecond to the import.
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
        """Return the params of ``signalwire.connect``.

        :param contexts: the contexts to receive calls and messages from.
        :param protocol: the protocol of the session to resume; ``""`` starts a new one.
        :param state: the authorization state of that session.
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
