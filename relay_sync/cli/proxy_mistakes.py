"""Recognize the usual mistakes in the way to a receiver: in its certificate, and in the proxy in front of it."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from ..connection.transport import NO_TLS, common_name, presented_chain
from ..connection.upgrade import NotPlain, NoUpgrade
from ..hosts.names import bare
from .way_in import Answer, WayIn, printable

__all__ = [
    "Misrouted",
    "Place",
    "is_a_receiver",
    "of_answer",
    "of_certificate",
    "of_handshake",
    "of_no_answer",
    "seconds_left",
]

#: OpenSSL's verification errors (``X509_V_ERR_...``).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_SELF_SIGNED: Final = 18
_SELF_SIGNED_IN_CHAIN: Final = 19
_NO_ISSUER: Final = frozenset({20, 21})
_OTHER_NAME: Final = frozenset({62, 64})
#: Further names of the error that OpenSSL raises if the peer does not use TLS.
_NO_TLS: Final = NO_TLS | {"PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_UPGRADE: Final = (
    'nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
)


class Misrouted(NamedTuple):
    """A mistake, described from the outside.

    :ivar seen: description of what was seen.
    :ivar advice: what to change, or ``""``.
    """

    seen: str
    advice: str = ""


class Place(NamedTuple):
    """What the way should lead to.

    :ivar path: path that the receiver accepts.
    :ivar listens: address and port that the receiver listens on.
    :ivar ports: description of the ports among which a proxy chooses by the URL, or ``""`` if it does not.
    """

    path: str
    listens: str
    ports: str = ""

    @property
    def every_port(self) -> str:
        """The end of an advice about the proxy's target, or ``""`` if there is only one port."""
        return f"; it must name every port of {self.ports}" if self.ports else ""


# -- TLS ---------------------------------------------------------------------------------------------------------------


def of_certificate(error: ssl.SSLCertVerificationError, sock: ssl.SSLSocket, host: str) -> Misrouted:
    """Describe why a certificate was not accepted.

    :param error: error of the handshake.
    :param sock: socket after the handshake.
    :param host: host name that the certificate should be for.
    """
    chain = presented_chain(sock)
    own = chain[0] if chain else {}
    issuer = common_name(own.get("issuer", ())) if own else "?"
    code = error.verify_code
    if code == _EXPIRED:
        late = next((each for each in chain if seconds_left(each) < 0), own)
        return Misrouted(
            f"the certificate of {_subject(late)} expired on {late.get('notAfter', '?')}",
            "renew it, then reload the proxy, which keeps using the old certificate until then",
        )
    if code == _NOT_YET_VALID:
        return Misrouted(
            f"the certificate is valid only from {own.get('notBefore', '?')}",
            "check the clock of this machine; otherwise install a certificate that is valid now",
        )
    if code in _OTHER_NAME:
        names = ", ".join(dict.fromkeys(_names(own))) or "?"
        return Misrouted(
            f"the certificate is for {printable(names)}, not for {host}",
            f"get a certificate for {host}, and check that server_name and ssl_certificate are in the same server block",
        )
    if code == _SELF_SIGNED:
        return Misrouted(
            "the certificate is self-signed, so the platform does not trust it",
            "get a certificate from a public certificate authority, such as Let's Encrypt",
        )
    if code in _NO_ISSUER and len(chain) <= 1:
        return Misrouted(
            f"the server sends only its own certificate, issued by {issuer!r}, without the intermediate certificate",
            "nginx: ssl_certificate must name the full chain (fullchain.pem, not cert.pem); browsers hide this mistake,"
            " because they add missing certificates",
        )
    if code in _NO_ISSUER or code == _SELF_SIGNED_IN_CHAIN:
        last = common_name(chain[-1].get("issuer", ())) if chain else issuer
        return Misrouted(
            f"the certificate comes from {last!r}, an authority that is not trusted",
            "the platform trusts public certificate authorities only; is there a proxy in between that inspects TLS?",
        )
    return Misrouted(f"the certificate is not trusted: {printable(error.verify_message)}")


def of_handshake(error: OSError, place: str) -> Misrouted:
    """Describe why a TLS handshake failed for another reason than the certificate.

    :param error: error of the handshake.
    :param place: host and port.
    """
    if isinstance(error, TimeoutError):
        return Misrouted(
            f"{place} accepts connections, but does not answer the TLS handshake",
            "does a TLS server listen on this port? A proxy that passes TLS through must reach one",
        )
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS:
        return Misrouted(
            f"{place} answers without TLS (plain HTTP)",
            "nginx: listen 443 ssl; with ssl_certificate and ssl_certificate_key in the same server block",
        )
    if "ALERT" in reason or "UNRECOGNIZED" in reason:
        return Misrouted(
            f"{place} refused the TLS handshake ({reason.lower().replace('_', ' ')})",
            "nginx: check server_name, ssl_protocols and ssl_verify_client; the platform presents no client certificate",
        )
    return Misrouted(
        f"{place} closed the connection during the TLS handshake ({printable(error.strerror or error)})",
        "check server_name and ssl_certificate (nginx: ssl_reject_handshake), and that the tunnel or proxy is running",
    )


def seconds_left(certificate: Mapping[str, Any]) -> float:
    """Return how long a certificate is still valid, in seconds; infinite if its end is not known."""
    try:
        return ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    except (KeyError, ValueError):
        return math.inf


def _subject(certificate: Mapping[str, Any]) -> str:
    return repr(common_name(certificate.get("subject", ())))


def _names(certificate: Mapping[str, Any]) -> list[str]:
    return [str(name) for _, name in certificate.get("subjectAltName", ())] or [_subject(certificate)]


# -- HTTP --------------------------------------------------------------------------------------------------------------


def of_answer(answer: Answer, inside: Collection[str], place: Place, url: str) -> Misrouted:
    """Describe why an upgrade was refused.

    What the receiver in this process has refused since then shows what arrived. If it has refused nothing, nothing arrived.

    :param answer: the response.
    :param inside: kinds of peers that the receiver in this process refused since the request was sent.
    :param place: what the URL should lead to.
    :param url: the URL.
    """
    for kind, (statuses, seen, advice) in _ARRIVED.items():
        if kind in inside and (not statuses or answer.status in statuses):
            filled = advice.format(path=place.path, listens=place.listens)
            return Misrouted(f"HTTP {answer.status}: {seen}".format(path=place.path), filled)
    return _elsewhere(answer, place, url)


#: What arrived in this process, by kind of refusal: statuses that the receiver or the proxy then answers, what was seen, and
#: the advice.
_ARRIVED: Final[Mapping[str, tuple[frozenset[int], str, str]]] = {
    "no Upgrade header": (
        frozenset({400, 404, 405, 426}),
        "the request arrived in this program without the header Upgrade: websocket",
        f"have the proxy forward the upgrade ({_UPGRADE})",
    ),
    "HTTP version": (
        frozenset({400, 426, 505}),
        "the request arrived in this program as HTTP/1.0",
        f"have the proxy use HTTP/1.1 ({_UPGRADE})",
    ),
    "no Connection header": (
        frozenset({400, 426}),
        "the request arrived in this program without the header Connection: Upgrade",
        f"have the proxy send it ({_UPGRADE})",
    ),
    "http": (
        frozenset({400, 404, 405, 426}),
        "the request arrived in this program as plain HTTP, without the WebSocket headers",
        f"have the proxy forward the upgrade ({_UPGRADE})",
    ),
    "bad key": (
        frozenset({400}),
        "the request arrived in this program without the Sec-WebSocket headers",
        "have the proxy forward all headers that begin with Sec-WebSocket",
    ),
    "path": (
        frozenset({404}),
        "the request arrived in this program with another path than {path}",
        "have the proxy pass the path on unchanged (nginx: proxy_pass without a path, not even /, behind the port), or pass"
        " path= to AudioServer with the path that arrives",
    ),
    "no token": (
        frozenset({401}),
        "the request arrived in this program without the Authorization header",
        'have the proxy forward it (nginx: remove proxy_set_header Authorization "" and auth_basic from this location)',
    ),
    "malformed": (
        frozenset({401}),
        "the request arrived in this program with a changed Authorization header",
        "have the proxy forward the Authorization header unchanged",
    ),
    "token": (
        frozenset({401, 403}),
        "the request arrived in this program with another token than this command sent",
        "the proxy replaces the Authorization header: have it forward the header unchanged",
    ),
    "page": (
        frozenset({403}),
        "the request arrived in this program without its token, and with a Host that is not accepted",
        "have the proxy forward the Authorization header; then Host and Origin are not checked",
    ),
    "TLS": (
        frozenset({400, 502}),
        "the proxy speaks TLS to this program, which listens without TLS",
        "nginx: proxy_pass http://{listens}; with http, or pass ssl_context to AudioServer",
    ),
    "no TLS": (
        frozenset({400, 502}),
        "the proxy connects without TLS to this program, which listens with TLS",
        "nginx: proxy_pass https://{listens}; with https, or remove ssl_context from AudioServer",
    ),
    "PROXY": (
        frozenset(),
        "the proxy sends the PROXY protocol, which this program does not read",
        "nginx: remove proxy_protocol on; from the server that connects to {listens}",
    ),
    "full": (
        frozenset({503}),
        "this program has as many connections as max_connections allows",
        "raise max_connections of AudioServer, or run more processes",
    ),
}


def of_no_answer(error: NoUpgrade | OSError, inside: Collection[str], place: Place, way: WayIn) -> Misrouted:
    """Describe why there was no usable response to the upgrade request. The receiver in this process may know the reason.

    :param error: error of the request.
    :param inside: as for :func:`of_answer`.
    :param place: as for :func:`of_answer`.
    :param way: the connection.
    """
    for kind in ("PROXY", "TLS", "no TLS"):
        if kind in inside:
            _, seen, advice = _ARRIVED[kind]
            return Misrouted(seen, advice.format(path=place.path, listens=place.listens))
    or_tls = "" if way.secure else "; if this port expects TLS, begin public_url with wss://"
    if isinstance(error, NotPlain):
        return Misrouted("this port expects TLS", "begin public_url with wss://")
    if isinstance(error, NoUpgrade):
        return Misrouted(
            f"the server {error}", f"check that an HTTP proxy or this program listens on that port{or_tls}"
        )
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        return of_handshake(error, way.address)
    if isinstance(error, TimeoutError):
        return Misrouted(
            f"no response to the upgrade within {way.timeout:g} s",
            f"check that the proxy can reach {place.listens}, and a firewall in between",
        )
    return Misrouted(f"the connection failed: {error.strerror or error}", f"check the log of the proxy{or_tls}")


def _elsewhere(answer: Answer, place: Place, url: str) -> Misrouted:
    """Describe a response of which the receiver in this process knows nothing."""
    status, fields = answer.status, answer.fields
    if status in _REDIRECTS:
        return _redirected(answer, url)
    if status == 400 and "HTTPS port" in answer.body:
        return Misrouted("HTTP 400: this port expects TLS", "begin public_url with wss://")
    if status == 400 and "SSL certificate" in answer.body:
        return Misrouted(
            "HTTP 400: the proxy asks for a client certificate",
            "nginx: ssl_verify_client off; for this server. The platform presents no client certificate",
        )
    if status == 401 and fields.get("www-authenticate", "").lower().startswith("basic"):
        return Misrouted(
            "HTTP 401: the proxy asks for a user and a password",
            "nginx: auth_basic off; for this location. The receiver checks a token of its own",
        )
    if is_a_receiver(answer):
        return Misrouted(
            f"HTTP {status}: another process with an AudioServer answered, which does not know the token of this process",
            f"if it is the running program, stop it and try again; otherwise, proxy_pass for {place.path} must lead to"
            f" {place.listens}{place.every_port}",
        )
    return _of_status(status, place)


def _of_status(status: int, place: Place) -> Misrouted:
    """Describe a response about which only its status is known."""
    if status in (401, 403):
        return Misrouted(
            f"HTTP {status}: the request did not arrive in this program",
            "the proxy or something in front of it refuses it: check deny, allow, auth_request and the firewall's rules",
        )
    if status == 404:
        return Misrouted(
            f"HTTP 404: the request did not arrive in this program: no route for {place.path}",
            f"nginx: add a location for {place.path} with proxy_pass to {place.listens}{place.every_port}",
        )
    if status == 502 or 520 <= status <= 526:
        return Misrouted(
            f"HTTP {status}: the proxy could not connect to the program behind it, or got no HTTP from it",
            f"have the proxy connect to {place.listens}{place.every_port}; in a container, 127.0.0.1 is the container itself",
        )
    if status == 503:
        return Misrouted(
            "HTTP 503: the proxy has no server that it may use, or limits connections",
            f"nginx: check limit_conn, limit_req and the upstream; it must lead to {place.listens}",
        )
    if status == 504:
        return Misrouted(
            "HTTP 504: the proxy got no answer from the program behind it",
            f"check the address in proxy_pass (this program listens on {place.listens}), and a firewall in between",
        )
    if 200 <= status < 300:
        return Misrouted(
            f"HTTP {status}: a web server answered, not the program",
            f"nginx: add a location for {place.path} with proxy_pass to {place.listens}; {_UPGRADE}",
        )
    if status in (400, 405, 426):
        return Misrouted(
            f"HTTP {status}: the request did not arrive in this program; another server refused the upgrade",
            f"check that proxy_pass leads to {place.listens}, and have each proxy on the way forward the upgrade ({_UPGRADE})",
        )
    return Misrouted(
        f"HTTP {status}: the request did not arrive in this program",
        f"check the log of the proxy; {place.path} must lead to {place.listens}",
    )


def is_a_receiver(answer: Answer) -> bool:
    """Return whether an :class:`AudioServer` of another process refused the token."""
    return (answer.status == 401 and _asks_for_token(answer)) or (answer.status == 403 and "token" in answer.body)


def _asks_for_token(answer: Answer) -> bool:
    """Return whether a response asks for a bearer token."""
    return answer.fields.get("www-authenticate", "").strip().lower().startswith("bearer")


def _redirected(answer: Answer, url: str) -> Misrouted:
    asked = urlsplit(url)
    try:
        target = urlsplit(answer.fields.get("location", "").partition("?")[0])
        host = bare(target.hostname or asked.hostname or "")
    except ValueError:
        target, host = urlsplit(""), ""
    place = target.netloc.rpartition("@")[2]  # without a password
    shown = printable(urlunsplit((target.scheme, place, target.path, "", ""))) or "nowhere"
    seen = f"HTTP {answer.status}: redirected to {shown}; the platform does not follow redirects"
    same_host = host == bare(asked.hostname or "")
    if same_host and target.path == f"{asked.path}/":
        return Misrouted(
            seen, f"nginx: write location {asked.path} without a slash at the end, or add the slash to public_url"
        )
    if same_host and target.path == asked.path and target.scheme in ("https", "wss"):
        return Misrouted(seen, "this is the port for plain HTTP: use wss:// and the port for TLS in public_url")
    return Misrouted(
        seen, "put an address that does not redirect into public_url, or exclude this path from the redirect"
    )
