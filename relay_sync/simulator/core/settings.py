"""Simulator settings."""

from __future__ import annotations

import secrets
import ssl
import uuid
from typing import Any

from attrs import Attribute, field, frozen

from ...errors import InvalidParameter
from ...hosts.names import bare
from ...hosts.origins import refusal
from ...params.allowed import check_hosts, check_origins
from ...server.http import HttpRequest
from ...text.wording import either
from . import given

__all__ = ["Settings"]


def _one_of(*allowed: str) -> Any:
    def check(_: object, attribute: Attribute[str], value: str) -> None:
        if value not in allowed:
            raise InvalidParameter(attribute.name, value, either(allowed))

    return check


def _is_positive(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and float(value) > 0
    except OverflowError:
        return False


def _positive(_: object, attribute: Attribute[float], value: float) -> None:
    if not _is_positive(value):
        raise InvalidParameter(attribute.name, value, "a number greater than 0")


def _speed(_: object, attribute: Attribute[float], value: float) -> None:
    if not _is_positive(value) or not 0.001 <= value <= 1_000_000:  # limits of the clock
        raise InvalidParameter(attribute.name, value, "a number from 0.001 to 1000000")


def _positive_or_none(_: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not _is_positive(value):
        raise InvalidParameter(attribute.name, value, "a number greater than 0 or None")


def _ptime(_: object, attribute: Attribute[float], value: float) -> None:
    milliseconds = value * 1000 if _is_positive(value) and value < 1 else 0
    if not 5 <= milliseconds <= 200 or abs(milliseconds - round(milliseconds)) > 1e-6:
        raise InvalidParameter(attribute.name, value, "0.005 to 0.2 seconds, in whole milliseconds")


def _whole(low: int, high: int = 10**9) -> Any:
    def check(_: object, attribute: Attribute[int], value: Any) -> None:
        given.number(attribute.name, value, low, high)

    return check


def _flag(_: object, attribute: Attribute[bool], value: Any) -> None:
    given.yes(attribute.name, value)


def _host(_: object, attribute: Attribute[str], value: Any) -> None:
    if not given.is_whole_text(value) or "\0" in value:
        raise InvalidParameter(attribute.name, value, "an address or a name of this machine")


def _secret(_: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not (value and given.is_whole_text(value)):
        raise InvalidParameter(attribute.name, value, "text that is not empty, or None", secret=True)


def _context(_: object, attribute: Attribute[Any], value: Any) -> None:
    if value is not None and not isinstance(value, ssl.SSLContext):
        raise InvalidParameter(attribute.name, value, "an ssl.SSLContext, or None")


@frozen(kw_only=True)
class Settings:
    """Validated parameters for :class:`relay_sync.simulator.Simulator`, which documents them."""

    host: str = field(default="127.0.0.1", validator=_host)
    port: int = field(default=0, validator=_whole(0, 65535))
    project: str = field(factory=lambda: str(uuid.uuid4()), validator=_secret)
    token: str = field(factory=lambda: "PT" + secrets.token_hex(16), repr=False, validator=_secret)
    jwt_token: str | None = field(default=None, repr=False, validator=_secret)
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False, validator=_context)
    media: str = field(default="realtime", validator=_one_of("realtime", "fast"))
    media_ssl_context: ssl.SSLContext | None = field(default=None, repr=False, validator=_context)
    ptime: float = field(default=0.02, validator=_ptime)
    speed: float = field(default=1.0, validator=_speed)
    record_seconds: float = field(default=600.0, validator=_positive)
    dial_timeout: float = field(default=5.0, validator=_positive)
    refuse_with: str = field(default="error", validator=_one_of("error", "result"))
    on_bad_resume: str = field(default="refuse", validator=_one_of("refuse", "fresh"))
    replay_events: bool = field(default=False, validator=_flag)
    finish_streams: bool = field(default=True, validator=_flag)
    status_dialect: str = field(default="relay", validator=_one_of("relay", "cxml"))
    signing_key: str | None = field(default=None, repr=False, validator=_secret)
    dial_winner: str = field(default="string", validator=_one_of("string", "boolean"))
    strict: bool = field(default=False, validator=_flag)
    accept_any_credentials: bool = field(default=False, validator=_flag)
    acknowledge_only: bool = field(default=False, validator=_flag)
    allow_remote: bool = field(default=False, validator=_flag)
    ping_interval: float | None = field(default=10.0, validator=_positive_or_none)
    ping_timeout: float = field(default=10.0, validator=_positive)
    max_frame: int = field(default=10 * 1024 * 1024, validator=_whole(1))
    max_connections: int = field(default=1000, validator=_whole(1))
    journal_limit: int = field(default=10_000, validator=_whole(0))
    origins: frozenset[str] = field(default=(), converter=check_origins)
    hosts: frozenset[str] = field(default=(), converter=check_hosts)
    space: str = field(factory=lambda: str(uuid.uuid4()))
    node: str = field(factory=lambda: f"{uuid.uuid4()}@sim")

    def page_refusal(self, request: HttpRequest) -> str | None:
        """Return the reason to refuse a request without valid credentials, or ``None`` if the request is allowed.

        Requests from other sites' web pages are refused; see :mod:`relay_sync.hosts.origins`.
        """
        return refusal(
            request.headers.get("origin"),
            request.headers.get("host"),
            on_loopback=request.on_loopback,
            origins=self.origins,
            hosts=self.hosts | {bare(self.host)},
        )
