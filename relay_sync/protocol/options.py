"""Settings of a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..constants import AGENT, PROTOCOL_VERSION
from ..text.secrecy import Secrets

__all__ = ["SessionOptions"]


class SessionOptions:
    """Credentials, contexts and time limits of a session.

    :ivar authentication: credentials for ``signalwire.connect``.
    :ivar secrets: secrets to mask in logs. The session adds the secrets issued by the server.
    :ivar contexts: contexts to receive calls and messages from.
    :ivar connect_patience: maximum time to wait for the reply to ``signalwire.connect``, in seconds.
    :ivar ping_interval: time without a reply after which the client sends a ping, in seconds.
    :ivar ping_timeout: time to wait for the reply to a ping, in seconds.
    :ivar max_queue: maximum number of commands that wait for a session.
    :ivar holds_after: how long a session must last to be considered stable, in seconds. Losing a stable session resets
        the backoff.
    :ivar farewell_patience: maximum time to wait for pending replies before acknowledging the server's disconnect
        announcement, in seconds.
    :ivar leaving_patience: time to wait for the server to close the connection after acknowledging its disconnect
        announcement, in seconds.
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

        :param contexts: contexts to receive calls and messages from.
        :param protocol: protocol of the session to resume; ``""`` starts a new session.
        :param state: authorization state of the session to resume.
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
