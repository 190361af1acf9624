"""What a session is told when it is made."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from ..secrecy import Secrets

__all__ = ["SessionOptions"]


@frozen(kw_only=True)
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
