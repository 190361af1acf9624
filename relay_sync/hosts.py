"""Hosts and the ways to them, read by one rule for RELAY and REST: loopback, proxies, and the authorities to trust.

Proxies are read as requests and curl read them: ``https_proxy`` for TLS, ``http_proxy`` for plain connections, else
``all_proxy``, in lower or upper case; ``no_proxy`` lists the hosts that are reached without one. Where the environment has no
such variable, Windows and macOS are asked for their own settings.
"""

from __future__ import annotations

import binascii
import ipaddress
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, unquote, urlsplit

from .threads.starting import in_time

if TYPE_CHECKING:
    import socket
    import ssl

_T = TypeVar("_T")

__all__ = [
    "Proxy",
    "Unusable",
    "begin_tls",
    "find_proxy",
    "is_loopback",
    "look_up",
    "read_proxy",
    "split_port",
    "trust_variables",
    "trusting",
]

#: A host and its port, as in a Host header or in ``no_proxy``. An IPv6 literal needs brackets where a port follows.
_HOST_AND_PORT: Final = r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?"
_PROXY_FORM: Final = "http://host:port or http://user:password@host:port"
_NOT_ASCII_HOST: Final = r"[^\x21-\x7e]|[%\\]"
#: Statuses of a proxy after which another attempt may succeed.
_MAY_PASS: Final = frozenset({408, 425, 429})
_BUNDLES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_OPENSSL: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class Unusable(ValueError):
    """A setting of the environment that cannot be used. The message names it and holds no password."""


# -- loopback ----------------------------------------------------------------------------------------------------------


def is_loopback(host: str | None) -> bool:
    """Whether a host name or literal can only mean this machine.

    These can: 127.0.0.0/8 in four decimal numbers, ``::1``, ``::ffff:127.0.0.0/104``, and ``localhost`` with or without a
    trailing dot. Names below ``localhost`` cannot: some resolvers ask the DNS for them.

    :param host: without a port; an IPv6 literal with or without brackets.
    """
    if not host:
        return False
    if host.lower() in ("localhost", "localhost."):
        return True
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        literal = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return False
    if isinstance(literal, ipaddress.IPv4Address):
        return literal.is_loopback and not bracketed
    # Python before 3.13 does not look into addresses of the form ::ffff:127.0.0.1.
    return literal.is_loopback or (literal.ipv4_mapped is not None and literal.ipv4_mapped.is_loopback)


def look_up(host: str, port: int | None, within: float, *, flags: int = 0) -> list[Any]:
    """``socket.getaddrinfo`` for TCP. Nothing can interrupt it, so it looks in a thread of its own; an address needs none.

    :param within: seconds. :raises TimeoutError: it looks longer. :raises OSError: (gaierror) there is no such name.
    :raises UnicodeError: this can be no name.
    """
    import socket

    def ask() -> list[Any]:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return in_time(ask, within, "relay-look-up")
    return ask()


def split_port(text: str) -> tuple[str, int | None]:
    """Split ``host``, ``host:port``, ``[literal]:port`` or a bare IPv6 literal.

    :return: the host without brackets, in lower case; and the port, or ``None`` where there is none.
    :raises ValueError: the text has none of these forms.
    """
    found = re.fullmatch(_HOST_AND_PORT, text)
    if found is None:
        # Two colons and more without brackets: an IPv6 literal, or no host at all.
        return str(ipaddress.IPv6Address(text)), None
    host, port = found[1], None if found[2] is None else int(found[2])
    if host.startswith("["):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    if not host or (port is not None and port > 65535):
        raise ValueError("no host, or no port")
    return host.lower(), port


def _bare(host: str) -> str:
    """A host as names are compared: lower case, without brackets and without the dot that ends a full name."""
    return host.strip("[]").lower().removesuffix(".")


# -- proxies -----------------------------------------------------------------------------------------------------------


class Proxy:
    """An HTTP proxy. Its ``str`` and ``repr`` may be shown to anybody: they leave the credentials out.

    No tuple, whose items are shown by whatever walks one, such as a reporter of errors.

    :ivar source: the variable or parameter that names it.
    """

    __slots__ = ("host", "password", "port", "source", "user")

    def __init__(self, *, host: str, port: int, source: str, user: str = "", password: str = "") -> None:
        self.host = host
        self.port = port
        self.source = source
        self.user = user
        self.password = password

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Proxy) and all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.user))

    def __repr__(self) -> str:
        return f"Proxy(host={self.host!r}, port={self.port!r}, source={self.source!r})"

    def __str__(self) -> str:
        return f"the proxy {self.address} ({self.source})"

    @property
    def address(self) -> str:
        """``http://host:port``, without the credentials."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL, credentials included: never to be shown."""
        if not self.authorization:
            return self.address
        return self.address.replace("//", f"//{quote(self.user, safe='')}:{quote(self.password, safe='')}@", 1)

    @property
    def authorization(self) -> str:
        """The value of ``Proxy-Authorization``; ``""`` where there are no credentials."""
        if not self.user and not self.password:
            return ""
        return f"Basic {binascii.b2a_base64(f'{self.user}:{self.password}'.encode(), newline=False).decode()}"

    def refusal(self, target: str, status: int, reason: str = "") -> tuple[str, bool]:
        """What its answer to ``CONNECT`` means.

        :param reason: its words, which are shortened here.
        :return: a message, and whether another attempt cannot help.
        """
        words = "".join(filter(str.isprintable, reason)).strip()[:100]
        told = f"HTTP {status}{' ' if words else ''}{words}"
        final = (400 <= status < 500 and status not in _MAY_PASS) or status in (501, 505)
        if status == 407 and self.authorization:
            return f"{self} refused the user and password that {self.source} holds ({told})", True
        if status == 407:
            return f"{self} demands a user and password ({told}): give {self.source} as {_PROXY_FORM}", True
        return f"{self} refused the connection to {target} ({told})", final


def find_proxy(
    host: str, port: int, *, secure: bool, given: str | None = None, environ: Mapping[str, str] | None = None
) -> Proxy | None:
    """The proxy on the way to a host, or ``None``. Loopback is always reached without one.

    :param given: the argument ``proxy``: ``""`` means none, ``None`` that the environment decides.
    :param environ: instead of the environment of the process.
    :raises Unusable: the setting that applies is not of a form that is supported.
    """
    if is_loopback(host):
        return None
    if given is not None:
        return read_proxy(given, "proxy") if given else None
    env = os.environ if environ is None else environ
    scheme = "https" if secure else "http"
    if not any(name.lower().endswith("_proxy") and value for name, value in env.items()):
        return _proxy_of_the_system(_bare(host), scheme)
    found = _variable(env, f"{scheme}_proxy") or _variable(env, "all_proxy")
    if found is None or _bypassed(host, port, _no_proxy(env)):
        return None
    name, value = found
    return read_proxy(value, name)


def read_proxy(text: str, source: str) -> Proxy:
    """Read ``http://[user:password@]host[:port]`` or ``[user:password@]host:port``.

    :param source: the variable or parameter, for messages.
    :raises Unusable: it is something else. The message does not quote it: it may hold a password.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname or "", parts.port if parts.port is not None else 80
    except ValueError:
        raise Unusable(f"{source} is no URL of a proxy: give it as {_PROXY_FORM}") from None
    if parts.scheme != "http":
        kind = "a proxy over TLS (https://)" if parts.scheme == "https" else "a proxy of another kind"
        if parts.scheme.startswith("socks"):
            kind = "a SOCKS proxy"
        raise Unusable(f"{source} names {kind}, which is not supported: give it as {_PROXY_FORM}")
    if not host or not port or re.search(_NOT_ASCII_HOST, host):
        raise Unusable(f"{source} is no URL of a proxy: give it as {_PROXY_FORM}")
    return Proxy(
        host=host,
        port=port,
        source=source,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _variable(env: Mapping[str, str], name: str) -> tuple[str, str] | None:
    """A variable's name as written, and its value. In lower case it wins, even where it is empty: that switches it off."""
    if name in env:
        return (name, env[name]) if env[name].strip() else None
    if name == "http_proxy" and "REQUEST_METHOD" in env:
        return None  # in a CGI script HTTP_PROXY is a header of the request
    return next(((each, value) for each, value in env.items() if each.lower() == name and value.strip()), None)


def _no_proxy(env: Mapping[str, str]) -> str:
    # Unlike the others: an empty one in lower case does not hide the one in upper case.
    values = (value for name, value in sorted(env.items(), reverse=True) if name.lower() == "no_proxy")
    return next((value for value in values if value.strip()), "")


def _bypassed(host: str, port: int, patterns: str) -> bool:
    """Whether ``no_proxy`` names a host: by name or suffix, with or without a port, by address or network, or by ``*``."""
    name = _bare(host)
    return any(_matches(name, port, entry) for entry in re.split(r"[,\s]+", patterns) if entry)


def _matches(host: str, port: int, entry: str) -> bool:
    if entry == "*":
        return True
    address = _literal(host)
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(
                entry.replace("[", "").replace("]", ""), False
            )
        except ValueError:
            return False
    try:
        name, only = split_port(entry)
    except ValueError:
        return False
    if only not in (None, port):
        return False
    if address is not None:
        return address == _literal(name)
    name = name.removeprefix("*").lstrip(".").removesuffix(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _proxy_of_the_system(host: str, scheme: str) -> Proxy | None:
    if os.name != "nt" and sys.platform != "darwin":
        return None
    import urllib.request  # with all of HTTP and e-mail: half of what dialling would import

    if urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies()
    value = found.get(scheme) or found.get("all")
    return read_proxy(value, "the system's settings") if value else None


# -- authorities -------------------------------------------------------------------------------------------------------


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """A TLS context that verifies certificates and names.

    Trusted are the system's authorities. ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` take the place of OpenSSL's own files, as
    everywhere in Python. ``REQUESTS_CA_BUNDLE``, or else ``CURL_CA_BUNDLE``, takes the place of all authorities but those
    that the other two name. Where the system has none at all, those of the package certifi are taken.

    :param ca_file: an authority to trust in addition.
    :raises Unusable: one of these files cannot be used.
    """
    import ssl

    bundle = next((name for name in _BUNDLES if os.environ.get(name)), None)
    if bundle is None:
        context = ssl.create_default_context()
        if not trust_variables() and not _knows_authorities(context):
            _add_certifi(context)
    else:
        context = _loaded(bundle, os.environ[bundle], ssl.create_default_context)
        for name in _OPENSSL:
            for path in os.environ.get(name, "").split(os.pathsep):
                if os.path.exists(path):  # OpenSSL passes over one that is missing
                    _loaded(name, path, context.load_verify_locations)
    if ca_file:
        _loaded("ca_file", ca_file, context.load_verify_locations)
    return context


def begin_tls(context: ssl.SSLContext, sock: socket.socket, server_hostname: str | None = None) -> ssl.SSLSocket:
    """Wrap a socket in TLS, without the handshake. Whatever happens, *sock* is used up.

    A connection that its peer has reset meanwhile cannot be wrapped; Python 3.11 then leaves the descriptor to the garbage
    collector, inside an object that only the traceback knows.

    :param server_hostname: the name that the peer has to prove; ``None`` for the side of the server.
    :raises OSError: the connection is gone.
    """
    import ssl

    try:
        return context.wrap_socket(
            sock, server_side=server_hostname is None, do_handshake_on_connect=False, server_hostname=server_hostname
        )
    except BaseException as error:
        sock.close()
        for frame, _ in traceback.walk_tb(error.__traceback__):
            lost = frame.f_locals.get("self")
            if isinstance(lost, ssl.SSLSocket):
                lost.close()
        raise


def trust_variables() -> tuple[str, ...]:
    """The variables that decide which authorities are trusted, where there are any."""
    return tuple(name for name in (*_OPENSSL, *_BUNDLES) if os.environ.get(name))


def _loaded(name: str, path: str, load: Callable[..., _T]) -> _T:
    try:
        return load(capath=path) if os.path.isdir(path) else load(cafile=path)
    except OSError as error:  # an SSLError is one
        raise Unusable(f"{name}={path!r}: no certificates can be read from it ({error.strerror or error})") from error


def _knows_authorities(context: ssl.SSLContext) -> bool:
    import ssl

    if context.cert_store_stats()["x509_ca"]:
        return True
    folder: str | None = ssl.get_default_verify_paths().capath  # read when a certificate is to be verified
    try:
        return folder is not None and bool(os.listdir(folder))
    except OSError:
        return False


def _add_certifi(context: ssl.SSLContext) -> None:
    try:
        import certifi
    except ImportError:
        return
    context.load_verify_locations(certifi.where())
