"""Client configuration, read from arguments, environment variables and defaults, in this order."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attrs import field, frozen

from .constants import DEFAULT_HOST, MAX_FRAME
from .errors import InvalidParameter
from .hosts.names import USUAL_PORTS, bracketed, is_loopback, is_name, split_authority
from .params.values import may_hold_secrets, seconds
from .text.secrecy import passwords
from .text.surrogates import WHOLE_TEXT, is_text

if TYPE_CHECKING:
    import ssl

    from .hosts.proxies import Proxy

__all__ = ["Address", "Config"]

_HOST_FORMS: Final = "a host as name, name:port or wss://name[:port], without user info, path, query or spaces"
_SCHEME_VARIABLE: Final = "SIGNALWIRE_RELAY_SCHEME"
_SAME_SCHEME: Final = {"http": "ws", "https": "wss"}


class Address(NamedTuple):
    """Address of a RELAY server. RELAY URLs have no path."""

    host: str
    port: int
    secure: bool

    @property
    def url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.host}{self._port}"

    @property
    def netloc(self) -> str:
        """Host and port as sent in the ``Host`` header, without a trailing dot in the host name."""
        return f"{self.host.removesuffix('.')}{self._port}"

    @property
    def _port(self) -> str:
        return "" if self.port == USUAL_PORTS["wss" if self.secure else "ws"] else f":{self.port}"

    @classmethod
    def parse(cls, text: object, *, scheme: str | None = None, allow_insecure: bool = False) -> Address:
        """Parse an address such as ``name``, ``name:port`` or ``wss://name:port``.

        A URL copied from the dashboard, which starts with ``https://`` and may end with a slash, is accepted as well.

        :param text: the address.
        :param scheme: ``ws`` or ``wss``, for an address without a scheme. Defaults to ``wss``.
        :param allow_insecure: whether to accept ``ws`` for hosts other than loopback.
        :raises InvalidParameter: the address is malformed, or ``ws`` is not allowed for it.
        """
        if not isinstance(text, str):
            raise InvalidParameter("host", text, _HOST_FORMS, secret=may_hold_secrets(text))
        shown = _without_userinfo(text)
        rest = text
        scheme = scheme or "wss"
        if "://" in text:
            scheme, rest = text.split("://", 1)
        scheme = scheme.lower()
        scheme = _SAME_SCHEME.get(scheme, scheme)
        if scheme not in ("ws", "wss"):
            raise InvalidParameter("host", shown, "an address with the scheme wss, or ws for loopback")
        try:
            name, given = split_authority(rest.removesuffix("/"))
        except ValueError:
            raise InvalidParameter("host", shown, _HOST_FORMS) from None
        # "%" introduces an IPv6 zone ID, which is only meaningful on one machine.
        if "%" in name or not (":" in name or is_name(name)):
            raise InvalidParameter("host", shown, _HOST_FORMS)
        host, port = bracketed(name), USUAL_PORTS[scheme] if given is None else given
        if port == 0:
            raise InvalidParameter("host", shown, "an address with a port from 1 to 65535")
        if scheme == "ws" and not is_loopback(host):
            if not allow_insecure and "://" not in text:
                accepted = "'wss' ('ws' is only allowed for loopback; see allow_insecure)"
                raise InvalidParameter("host", scheme, accepted, variable=_SCHEME_VARIABLE)
            if not allow_insecure:
                raise InvalidParameter(
                    "host",
                    shown,
                    "a wss:// address (ws:// and http:// are only allowed for loopback; see allow_insecure)",
                )
            warnings.warn(f"connecting to {host} without TLS: the credentials are sent unencrypted", stacklevel=4)
        return cls(host, port, scheme == "wss")


def _without_userinfo(text: str) -> str:
    # The text before "@", the query and the fragment may contain a password, even in a malformed address.
    found = re.match(r"(?:wss?|https?)://", text, re.IGNORECASE)
    scheme = found[0] if found else ""
    rest = text[len(scheme) :]
    if "@" in rest:
        rest = f"***@{rest.rpartition('@')[2]}"
    for mark in "?#":
        before, present, _ = rest.partition(mark)
        rest = f"{before}{present}***" if present else before
    return scheme + rest


def _number(parameter: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidParameter(parameter, value, f"a whole number, {least} or greater")
    return value


def _contexts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    accepted = "a list of non-empty names"
    if isinstance(value, (str, bytes, Mapping)):
        raise InvalidParameter("contexts", value, accepted)
    try:
        names = tuple(value)
    except TypeError:
        raise InvalidParameter("contexts", value, accepted) from None
    if not all(isinstance(name, str) and name for name in names):
        raise InvalidParameter("contexts", value, accepted)
    if not all(map(is_text, names)):
        raise InvalidParameter("contexts", value, f"a list in which each item is {WHOLE_TEXT}")
    return tuple(dict.fromkeys(names))


@frozen(kw_only=True)
class Config:
    """Validated client configuration. Its repr does not include secrets."""

    address: Address
    project: str = field(
        default="", repr=lambda value: f"{value[:4]}..." if len(value) > 12 else "..." if value else "''"
    )
    token: str = field(default="", repr=False)
    jwt_token: str = field(default="", repr=False)
    contexts: tuple[str, ...] = ()
    max_active_calls: int = 1000
    connect_timeout: float = 30.0
    request_timeout: float = 10.0
    ping_interval: float = 15.0
    ping_timeout: float = 5.0
    max_frame: int = MAX_FRAME
    max_queue: int = 500
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    ca_file: str | None = None
    proxy: str | None = field(default=None, repr=False)
    #: Source of each parameter: ``argument``, ``$VARIABLE`` or ``default``.
    origins: Mapping[str, str] = field(factory=dict, repr=False, eq=False)

    @property
    def authentication(self) -> dict[str, str]:
        """The ``authentication`` parameter of ``signalwire.connect``: the project and the token, or the JWT."""
        if self.jwt_token:
            return {"jwt_token": self.jwt_token}
        return {"project": self.project, "token": self.token}

    @property
    def secrets(self) -> tuple[str, ...]:
        """Strings to mask in logs and errors: the client's credentials, and passwords in proxy URLs."""
        proxies = (
            [self.proxy] if self.proxy else [os.environ[name] for name in os.environ if name.lower().endswith("_proxy")]
        )
        return (
            self.token,
            self.jwt_token,
            *(found for url in proxies for found in passwords(url)),
        )

    def way(self) -> Proxy | None:
        """Return the proxy to use for connecting to the server, or ``None``.

        :raises Unusable: the proxy setting is invalid.
        """
        from .hosts.proxies import find_proxy  # Imported late, when the client first connects.

        address = self.address
        return find_proxy(address.host, address.port, secure=address.secure, given=self.proxy)

    def same_account(self, other: Config) -> bool:
        """Return whether another configuration uses the same project and host."""
        return (self.address, self.project, self.jwt_token) == (other.address, other.project, other.jwt_token)

    @classmethod
    def gather(
        cls,
        *,
        project: str | None,
        token: str | None,
        jwt_token: str | None,
        host: str | None,
        contexts: Iterable[str] | None,
        max_active_calls: int | None,
        ca_file: str | os.PathLike[str] | None,
        proxy: str | None,
        allow_insecure: bool,
        environ: Mapping[str, str] | None = None,
        **limits: Any,
    ) -> Config:
        """Create a configuration from arguments and environment variables, and validate it.

        :raises InvalidParameter: a value is invalid. The error names the parameter, and the environment variable if there is one.
        """
        env = os.environ if environ is None else environ
        given = {
            "project": project,
            "token": token,
            "jwt_token": jwt_token,
            "host": host,
            "contexts": contexts,
            "max_active_calls": max_active_calls,
            "ca_file": ca_file,
            "proxy": proxy,
        }
        origins = {name: _origin(name, value, env) for name, value in given.items()}
        with _named(origins):
            project, token, jwt_token = _credentials(env, project, token, jwt_token)
            address = Address.parse(
                host if host is not None else env.get("SIGNALWIRE_SPACE") or DEFAULT_HOST,
                scheme=_scheme(env),
                allow_insecure=allow_insecure,
            )
            if max_active_calls is None:
                max_active_calls = _from_env(env, "RELAY_MAX_ACTIVE_CALLS", "max_active_calls", 1000)
            max_active_calls = _number("max_active_calls", max_active_calls, 1)
            ca_file = _ca_file(ca_file if ca_file is not None else env.get("SIGNALWIRE_RELAY_CA_FILE") or None)
        context = limits.pop("ssl_context", None)
        # Do not import ssl for this check, because it takes longer to import than the rest of this module.
        if context is not None and not callable(getattr(context, "wrap_socket", None)):
            raise InvalidParameter("ssl_context", context, "an ssl.SSLContext or None")
        for name in ("connect_timeout", "request_timeout", "ping_interval", "ping_timeout"):
            limits[name] = seconds(name, limits[name])
        return cls(
            address=address,
            project=project,
            token=token,
            jwt_token=jwt_token,
            contexts=_contexts(contexts),
            max_active_calls=max_active_calls,
            max_frame=_number("max_frame", limits.pop("max_frame"), 1024),
            max_queue=_number("max_queue", limits.pop("max_queue"), 1),
            ssl_context=context,
            ca_file=ca_file,
            proxy=_proxy(proxy),
            origins=origins,
            **limits,
        )


_VARIABLES: Final = {
    "project": "SIGNALWIRE_PROJECT_ID",
    "token": "SIGNALWIRE_API_TOKEN",
    "jwt_token": "SIGNALWIRE_JWT_TOKEN",
    "host": "SIGNALWIRE_SPACE",
    "max_active_calls": "RELAY_MAX_ACTIVE_CALLS",
    "ca_file": "SIGNALWIRE_RELAY_CA_FILE",
}


def _origin(name: str, value: object, env: Mapping[str, str]) -> str:
    if value is not None:
        return "argument"
    variable = _VARIABLES.get(name)
    return f"${variable}" if variable and env.get(variable) else "default"


@contextmanager
def _named(origins: Mapping[str, str]) -> Iterator[None]:
    """Context manager that adds the name of the environment variable to an :class:`InvalidParameter` error."""
    try:
        yield
    except InvalidParameter as error:
        variable = origins.get(error.parameter, "").partition("$")[2]
        if not variable or error.variable or error.value is None:
            raise
        accepted = error.accepted.replace(f" (or {variable})", "")
        secret = error.value == "<hidden>"
        raise InvalidParameter(error.parameter, error.value, accepted, secret=secret, variable=variable) from None


def _scheme(env: Mapping[str, str]) -> str | None:
    scheme = env.get(_SCHEME_VARIABLE) or None
    if scheme is not None and scheme.lower() not in ("ws", "wss"):
        accepted = "'wss', or 'ws' for loopback"
        raise InvalidParameter("host", scheme, accepted, variable=_SCHEME_VARIABLE)
    return scheme


def _first(value: str | None, env: Mapping[str, str], name: str) -> str:
    return value if value is not None else env.get(name, "")


def _ca_file(value: Any) -> str | None:
    if value is None:
        return None
    try:
        path = os.fsdecode(value)
        found = os.path.isfile(path)
    except (TypeError, ValueError):
        found = False
    if not found:
        raise InvalidParameter("ca_file", value, "the path of a PEM file (or SIGNALWIRE_RELAY_CA_FILE)")
    return path


def _from_env(env: Mapping[str, str], name: str, parameter: str, default: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise InvalidParameter(parameter, text, "a whole number, 1 or greater", variable=name)
    return int(text)


def _credentials(
    env: Mapping[str, str], project: str | None, token: str | None, jwt_token: str | None
) -> tuple[str, str, str]:
    explicit = project is not None or token is not None
    found_jwt = jwt_token if jwt_token is not None else ("" if explicit else env.get("SIGNALWIRE_JWT_TOKEN", ""))
    found = {
        "project": (_first(project, env, "SIGNALWIRE_PROJECT_ID"), "SIGNALWIRE_PROJECT_ID"),
        "token": (_first(token, env, "SIGNALWIRE_API_TOKEN"), "SIGNALWIRE_API_TOKEN"),
    }
    for name, (value, variable) in (*found.items(), ("jwt_token", (found_jwt, "SIGNALWIRE_JWT_TOKEN"))):
        given: object = value
        if not isinstance(given, str) or not given.isprintable() or given != given.strip():
            raise InvalidParameter(
                name, given, f"a string without leading or trailing spaces (or {variable})", secret=True
            )
        if not given and not found_jwt and name != "jwt_token":
            without = (
                "to try without an account: relay-sync dev FILE, relay-sync demo, relay_sync.simulator.Simulator and its"
                " credentials, or the settings that relay-sync simulate --show-tokens prints"
            )
            raise InvalidParameter(
                name, None, f"a value, passed here or in the environment variable {variable} ({without})"
            )
    return found["project"][0], found["token"][0], found_jwt


def _proxy(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and value == ""):
        return value
    accepted = 'http://[user:password@]host:port, "" for no proxy, or None for the proxy of the environment'
    if isinstance(value, str) and re.fullmatch(r"http://(?:[^\s/?#@]+@)?[^\s/@?#]+:[0-9]{1,5}/?", value):
        from .hosts.proxies import Unusable, read_proxy

        try:
            read_proxy(value, "proxy")
        except Unusable:
            pass
        else:
            return value
    raise InvalidParameter("proxy", value, accepted, secret=True)
