"""Compute and compare callback signatures.

The platform computes signatures as follows:

* For JSON bodies, it sends HMAC-SHA1(key, URL + body) in hex. A second header contains the SHA-256 equivalent.
* For forms, it sends HMAC-SHA1(key, URL + names and values of all fields, sorted by name) in base64.
* For GET requests, it signs the URL only. The encoding is not documented, so both hex and base64 are accepted.
* A URL may contain a ``bodySHA256`` parameter, a SHA-256 digest of the body in hex. The signature may then cover only the URL.
  The body is verified against the digest.

The signed URL is the URL that is configured on the platform. Behind a proxy, the server sees a different URL.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from ..hosts.names import USUAL_PORTS, without_port

__all__ = ["HEADERS", "SHA256_HEADER", "is_genuine", "sign_form", "sign_json", "sign_json_sha256", "spellings"]

#: The headers that may contain the signature. The second one is the header that Twilio's libraries read.
HEADERS: Final = ("x-signalwire-signature", "x-twilio-signature")
SHA256_HEADER: Final = "x-signalwire-sha256-signature"

Fields = Sequence[tuple[str, str]]


def sign_json(key: str, url: str, body: bytes) -> str:
    """Return a JSON body's signature, an HMAC-SHA1 in lower-case hex."""
    return hmac.new(key.encode(), _bytes(url) + body, hashlib.sha1).hexdigest()


def sign_json_sha256(key: str, url: str, body: bytes) -> str:
    """Return a JSON body's signature, an HMAC-SHA256 in lower-case hex."""
    return hmac.new(key.encode(), _bytes(url) + body, hashlib.sha256).hexdigest()


def sign_form(key: str, url: str, fields: Fields) -> str:
    """Return a form's signature, an HMAC-SHA1 in base64.

    Fields with blank values are included. Fields with the same name keep their order.
    """
    signed = url + "".join(name + value for name, value in sorted(fields, key=lambda field: field[0]))
    return base64.b64encode(hmac.new(key.encode(), _bytes(signed), hashlib.sha1).digest()).decode()


def spellings(url: str) -> list[str]:
    """Return all equivalent spellings of a URL, because any of them may have been signed.

    The spellings differ in the port (explicit or omitted), the credentials (included or omitted) and the host's case.
    """
    parts = urlsplit(url)
    usual = USUAL_PORTS.get(parts.scheme)
    credentials, at, place = parts.netloc.rpartition("@")
    places = [place]
    if parts.port is not None:
        places.append(without_port(place))
    elif usual is not None:
        places.append(f"{place.rstrip(':')}:{usual}")
    places += [each.lower() for each in places if each != each.lower()]
    found = [f"{credentials}{at}{each}" for each in places] + (places if at else [])
    return [urlunsplit((parts.scheme, each, *parts[2:])) for each in found]


def is_genuine(
    keys: Iterable[str],
    urls: Iterable[str],
    *,
    signature: str,
    sha256: str,
    body: bytes,
    fields: Fields | None,
) -> bool:
    """Return whether a request was signed with one of the keys for one of the URLs.

    If both signatures are present, both must be valid. Comparing signatures takes the same time whether or not they match.

    :param keys: signing keys.
    :param urls: URLs that may have been signed.
    :param signature: value of one of :data:`HEADERS`, or ``""``.
    :param sha256: value of :data:`SHA256_HEADER`, or ``""``.
    :param body: body of the request.
    :param fields: form fields in the body, or ``None`` if the body is JSON or empty.
    """
    genuine = False
    for key in keys:
        for url in urls:
            good = bool(signature or sha256)
            if signature:
                # Do not use any(), which would stop at the first match.
                good &= sum(_same(signature, wanted) for wanted in _accepted(key, url, body, fields)) > 0
            if sha256:
                good &= _same(sha256, sign_json_sha256(key, url, body))
            genuine |= good and _body_is_that_of(url, body)
    return genuine


def _accepted(key: str, url: str, body: bytes, fields: Fields | None) -> list[str]:
    if fields is not None:
        return [sign_form(key, url, fields)]
    accepted = [sign_json(key, url, body)]
    if not body or _stated_digests(url):  # the URL represents the whole request, or contains a digest of the body
        accepted.append(sign_form(key, url, ()))
    return accepted


def _stated_digests(url: str) -> list[str]:
    query = urlsplit(url).query
    return [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "bodySHA256"]


def _body_is_that_of(url: str, body: bytes) -> bool:
    return all(_same(stated.lower(), hashlib.sha256(body).hexdigest()) for stated in _stated_digests(url))


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(_bytes(given), wanted.encode())


def _bytes(text: str) -> bytes:
    # Servers decode invalid bytes to surrogates. Such text matches no signature, but must not raise an exception.
    return text.encode("utf-8", "surrogatepass")
