"""What a simulator is told when it is made."""

from __future__ import annotations

import secrets
import ssl
import uuid
from typing import Any

from attrs import Attribute, field, frozen

from ..errors import InvalidParameter
from ..origins import check_hosts, check_origins, refusal
from ..server.http import Request

__all__ = ["Settings"]


def _one_of(*allowed: str) -> Any:
    def check(_: object, attribute: Attribute[str], value: str) -> None:
        if value not in allowed:
            raise InvalidParameter(attribute.name, value, " or ".join(map(repr, allowed)))

    return check


def _positive(_: object, attribute: Attribute[float], value: float) -> None:
    if not value > 0:
        raise InvalidParameter(attribute.name, value, "greater than 0")


def _positive_or_none(_: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not value > 0:
        raise InvalidParameter(attribute.name, value, "greater than 0, or None")


def _ptime(_: object, attribute: Attribute[float], value: float) -> None:
    milliseconds = value * 1000
    if not 5 <= milliseconds <= 200 or abs(milliseconds - round(milliseconds)) > 1e-6:
        raise InvalidParameter(attribute.name, value, "whole milliseconds, in seconds, from 0.005 to 0.2")


@frozen(kw_only=True)
class Settings:
    """The parameters of :class:`~relay_sync.simulator.Simulator`, checked; see there for their meaning."""

    host: str = "127.0.0.1"
    port: int = 0
    project: str = field(factory=lambda: str(uuid.uuid4()))
    token: str = field(factory=lambda: "PT" + secrets.token_hex(16), repr=False)
    jwt_token: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    media: str = field(default="realtime", validator=_one_of("realtime", "fast"))
    media_ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    ptime: float = field(default=0.02, validator=_ptime)
    speed: float = field(default=1.0, validator=_positive)
    record_seconds: float = field(default=600.0, validator=_positive)
    dial_timeout: float = field(default=5.0, validator=_positive)
    refuse_with: str = field(default="error", validator=_one_of("error", "result"))
    on_bad_resume: str = field(default="refuse", validator=_one_of("refuse", "fresh"))
    replay_events: bool = False
    finish_streams: bool = True
    status_dialect: str = field(default="relay", validator=_one_of("relay", "cxml"))
    signing_key: str | None = field(default=None, repr=False)
    dial_winner: str = field(default="string", validator=_one_of("string", "boolean"))
    strict: bool = False
    allow_remote: bool = False
    ping_interval: float | None = field(default=10.0, validator=_positive_or_none)
    ping_timeout: float = field(default=10.0, validator=_positive)
    max_frame: int = 10 * 1024 * 1024
    max_connections: int = 1000
    journal_limit: int = 10_000
    origins: frozenset[str] = field(default=(), converter=check_origins)
    hosts: frozenset[str] = field(default=(), converter=check_hosts)
    space: str = field(factory=lambda: str(uuid.uuid4()))
    node: str = field(factory=lambda: f"{uuid.uuid4()}@sim")

    def page_refusal(self, request: Request) -> str | None:
        """Why a request that shows no valid credentials is refused as a web page's; see :func:`relay_sync.origins.refusal`."""
        return refusal(
            request.headers.get("origin"),
            request.headers.get("host"),
            on_loopback=request.on_loopback,
            origins=self.origins,
            hosts=self.hosts | {self.host.lower().removesuffix(".")},
        )
