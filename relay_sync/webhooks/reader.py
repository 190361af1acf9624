"""Parse and verify a callback's HTTP request."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit, urlunsplit

from attrs import evolve

from ..errors import InvalidParameter, WebhookRefused
from ..hosts.names import without_port
from ..hosts.origins import refusal
from ..params import values
from ..threads.table import Recent
from . import forwarded, signatures
from .body import Fields, parse_form, parse_json
from .callbacks import Callback, Dialect, OtherStatus, RecordingStatus, StreamStatus, is_cxml, read
from .forwarded import networks

__all__ = ["Webhooks"]

MAX_BODY: Final = 2**20
MAX_URL: Final = 16384
#: Number of callbacks to remember for detecting repeated deliveries. There is one table for verified callbacks and one for
#: unverified callbacks.
REMEMBERED: Final = 4096
VARIABLE: Final = "SIGNALWIRE_SIGNING_KEY"

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class Webhooks:
    """Parses and verifies the platform's status callbacks. Thread-safe. Create one instance per application.

    :param signing_key: project's signing key, as shown in the dashboard, or several keys during key rotation. This is not the API
        token. Defaults to the environment variable ``SIGNALWIRE_SIGNING_KEY``. Without a key, callbacks are not verified.
    :param public_url: URL at which the platform reaches the application, with scheme, host and an optional path prefix. It is
        required behind a proxy and always recommended, because a request can contain a wrong host.
    :param strict: whether to refuse callbacks without a valid signature. The platform documents signatures for only a few
        kinds of requests. Start without this option and check :attr:`Callback.verified`.
    :param trusted_proxies: addresses and networks of your proxies. If there is no ``public_url``, their ``Forwarded`` and
        ``X-Forwarded-Proto``, ``-Host`` and ``-Port`` headers are used. In this case pass ``peer`` to :meth:`parse`. Defaults to
        none.
    :param trust_forwarded: whether to use these headers from any client. Set this only if clients cannot bypass the proxy and the
        proxy overwrites the headers.
    :param max_body: maximum size of a body, in bytes. Larger requests are refused. Defaults to 1 MiB.
    :raises InvalidParameter: a value is invalid, or ``strict`` is used without a key.
    """

    def __init__(
        self,
        *,
        signing_key: str | Iterable[str] | None = None,
        public_url: str | None = None,
        strict: bool = False,
        trusted_proxies: str | Iterable[str] | None = None,
        trust_forwarded: bool = False,
        max_body: int = MAX_BODY,
    ) -> None:
        if signing_key is None and os.environ.get(VARIABLE):
            signing_key = os.environ[VARIABLE]
        self._keys = _keys(signing_key)
        self._public = _public(public_url)
        if strict and not self._keys:
            raise InvalidParameter("strict", strict, f"False without a signing_key (or {VARIABLE})")
        self.strict = strict
        self.trust_forwarded = trust_forwarded
        self._proxies = networks(trusted_proxies)
        self.max_body: int = values.whole("max_body", max_body, low=1) or MAX_BODY
        # Use separate tables, so that unverified callbacks cannot displace verified ones.
        self._seen: dict[bool | None, Recent[str, str]] = {True: Recent(REMEMBERED), None: Recent(REMEMBERED)}

    def __repr__(self) -> str:
        key = "with a key" if self._keys else "without a key"
        return f"<Webhooks {'strict' if self.strict else 'reporting'}, {key}>"

    def parse(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes = b"",
        *,
        peer: str | None = None,
        remember: bool = True,
        spellings: Sequence[str] = (),
    ) -> StreamStatus | RecordingStatus | OtherStatus:
        """Parse and verify a request.

        :param method: HTTP method, ``GET`` or ``POST``.
        :param url: URL that the server received, including the query. It may be absolute or start with the path.
        :param headers: the headers, as a mapping or as pairs. Names are case-insensitive.
        :param body: the body, as bytes.
        :param peer: address of the connected client, which is compared with ``trusted_proxies``.
        :param remember: whether to remember the callback, so that :attr:`Callback.repeated` is set for the next delivery. If you
            pass ``False``, call :meth:`remember` after handling the callback. If handling fails, a redelivery is then handled
            again.
        :param spellings: alternative spellings of ``url``, if the framework has rewritten it. Any of them may be signed.
        :return: a :class:`StreamStatus`, a :class:`RecordingStatus` or an :class:`OtherStatus`.
        :raises WebhookRefused: the request is not a callback. Also raised if it has no valid signature and either ``strict`` is
            set or another site's web page sent the request (``Origin``). ``status`` is the HTTP status for the response. A
            request's content cannot cause any other exception.
        :raises InvalidParameter: an argument has the wrong type.
        """
        fields_of = _lower(headers)
        seen = self._check(method, url, body)
        others = [self._check(method, each, body) for each in spellings]
        if method.upper() == "GET":
            body = b""
        dialect, members, fields = _members(method.upper(), seen, fields_of.get("content-type", ""), body)
        callback = read(dialect, members)
        if not self._trusts(peer):
            fields_of = {name: value for name, value in fields_of.items() if name not in forwarded.NAMES}
        verified, finding = self._verify([seen, *others], fields_of, body, fields)
        if not verified and self._is_of_another_site(seen, fields_of):
            raise WebhookRefused(
                "the request comes from a web page of another site: the platform sends no Origin header", status=403
            )
        if self.strict and not verified:
            raise WebhookRefused(f"the callback is not verified: {finding}", status=403)
        callback = evolve(callback, verified=verified, finding=finding)
        return evolve(callback, repeated=self._note(callback) if remember else self._knows(callback))

    def remember(self, callback: Callback) -> None:
        """Remember a callback that was handled, so that :attr:`Callback.repeated` is set for the next delivery.

        :param callback: result of ``parse(..., remember=False)``.
        :raises InvalidParameter: ``callback`` is not a callback.
        """
        if not isinstance(callback, Callback):
            raise values.unseen("callback", callback, "a callback that parse() returned")
        self._note(callback)

    def _knows(self, callback: Callback) -> bool:
        return callback.verified is not False and callback.key in self._seen[callback.verified]

    def _note(self, callback: Callback) -> bool:
        """Remember a callback unless its signature is invalid.

        This operation is atomic. If two threads remember the same callback, only one of them gets ``False``.

        :return: whether the callback was already known.
        """
        if callback.verified is False:
            return False
        return self._seen[callback.verified].put(callback.key, callback.key) == callback.key

    def _is_of_another_site(self, seen: SplitResult, headers: Mapping[str, str]) -> bool:
        """Return whether another site's web page sent the request.

        Any web page that a developer visits can send requests to a server on the developer's machine.
        """
        public = None if self._public is None else f"{self._public[0]}://{self._public[1]}"
        host = headers.get("host") or seen.netloc
        return refusal(headers.get("origin"), host, on_loopback=False, public_url=public) is not None

    def _trusts(self, peer: Any) -> bool:
        """Return whether to trust forwarding headers from this peer."""
        if peer is not None and not isinstance(peer, str):
            raise InvalidParameter("peer", peer, "the address of the client that connected, as a string")
        return self.trust_forwarded or (peer is not None and forwarded.contains(self._proxies, peer))

    def _check(self, method: Any, url: Any, body: Any) -> SplitResult:
        if not isinstance(method, str):
            raise InvalidParameter("method", method, "a string")
        if not isinstance(url, str):
            raise InvalidParameter("url", url, "a string")
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise values.unseen("body", body, "the undecoded bytes of the body")
        if method.upper() not in ("GET", "POST"):
            raise WebhookRefused("the method must be GET or POST", status=405)
        if len(body) > self.max_body:
            raise WebhookRefused(f"the body has more than {self.max_body} bytes", status=413)
        if len(url) > MAX_URL:
            raise WebhookRefused(f"the URL has more than {MAX_URL} characters", status=414)
        try:
            parts = urlsplit(url)
            _ = parts.port
            url.encode()
        except ValueError:
            raise WebhookRefused("the URL is malformed") from None
        return parts

    def _verify(
        self, seen: Sequence[SplitResult], headers: Mapping[str, str], body: bytes, fields: Fields | None
    ) -> tuple[bool | None, str]:
        signature = next((headers[name] for name in signatures.HEADERS if headers.get(name)), "")
        sha256 = headers.get(signatures.SHA256_HEADER, "")
        if not signature and not sha256:
            return None, "the request has no signature"
        if not self._keys:
            return None, f"no signing key is configured (signing_key or {VARIABLE})"
        good = signatures.is_genuine(
            self._keys,
            dict.fromkeys(url for each in seen for url in self._urls(each, headers)),
            signature=signature.strip(),
            sha256=sha256.strip(),
            body=bytes(body),
            fields=fields,
        )
        if good:
            return True, "the signature is valid"
        return (
            False,
            "the signature is invalid: the key or public_url differs from the platform's, or another party sent the request",
        )

    def _urls(self, seen: SplitResult, headers: Mapping[str, str]) -> list[str]:
        """Return the URLs that may have been signed."""
        found = []
        if self._public is not None:
            scheme, host, prefix = self._public
            path = seen.path or "/"
            whole = path if not prefix or path == prefix or path.startswith(f"{prefix}/") else prefix + path
            found.append((scheme, host, whole))
            if whole == "/":
                found.append((scheme, host, ""))
        else:
            # If the URL is only a path, the scheme is unknown. Try both schemes, which is safe.
            schemes = [seen.scheme] if seen.scheme else ["https", "http"]
            host = seen.netloc or headers.get("host", "")
            said = [(scheme, _completed(name, host)) for scheme, name in forwarded.places(headers)]
            # If there is an X-Forwarded-Host header but no result, its host is malformed.
            if not said and not headers.get("x-forwarded-host"):
                said = [("", host)]
            reached = [(each, name) for scheme, name in said for each in ([scheme] if scheme else schemes)]
            paths = [seen.path, "" if seen.path else "/"] if seen.path in ("", "/") else [seen.path]
            found += [(scheme, name, path) for scheme, name in reached for path in paths]
        try:
            urls = [urlunsplit((scheme, host, path, seen.query, "")) for scheme, host, path in found]
            return [spelling for url in urls for spelling in signatures.spellings(url)]
        except ValueError:  # the host of the request is malformed
            return []


def _completed(said: str, host: str) -> str:
    """Return the host from a forwarding header. If the header contains only a port, combine the port with the request's host."""
    if not said.startswith(":"):
        return said or host
    return without_port(host) + said


def _keys(given: Any) -> tuple[str, ...]:
    accepted = f"a nonempty string or several, without surrounding blanks (or {VARIABLE})"
    if given is None:
        return ()
    try:
        keys = (given,) if isinstance(given, str) else tuple(given)
    except TypeError:
        raise InvalidParameter("signing_key", given, accepted, secret=True) from None
    if not keys or not all(isinstance(key, str) and key and key == key.strip() for key in keys):
        raise InvalidParameter("signing_key", given, accepted, secret=True)
    return keys


def _public(given: Any) -> tuple[str, str, str] | None:
    url = values.http_url("public_url", given)
    if url is None:
        return None
    if "?" in url or "#" in url:
        accepted = "an absolute http:// or https:// URL without query and fragment"
        raise InvalidParameter("public_url", url, accepted, secret=True)
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path.rstrip("/")


def _lower(headers: Any) -> dict[str, str]:
    try:
        pairs = [(name, value) for name, value in (headers.items() if hasattr(headers, "items") else headers)]
    except (TypeError, ValueError):
        pairs = [("", None)]
    if not all(isinstance(one, str) for pair in pairs for one in pair):
        raise values.unseen("headers", headers, "a mapping of strings, or pairs of strings")
    lower: dict[str, str] = {}
    for name, value in pairs:
        name = name.lower()
        # Join repeated forwarding headers to one list. For other repeated headers, use the last value.
        lower[name] = f"{lower[name]}, {value}" if name in forwarded.NAMES and name in lower else value
    return lower


def _members(
    method: str, url: SplitResult, content_type: str, body: bytes
) -> tuple[Dialect, Mapping[str, Any], Fields | None]:
    """Parse a request.

    :return: the dialect, the callback's members, and the form fields in order, which are needed to verify the signature. The
        fields are ``None`` if the request body is not a form.
    """
    if method == "GET":
        fields = parse_form(url.query)
        if not fields:
            raise WebhookRefused("the GET request has no query, so it contains no callback")
        return *_of_fields(fields), None
    kind = content_type.partition(";")[0].strip().lower()
    labeled_json = kind == "application/json" or kind.endswith("+json")
    if not labeled_json and kind not in ("", "application/x-www-form-urlencoded"):
        raise WebhookRefused("the Content-Type must be JSON or a form", status=415)
    start = bytes(body[:64]).removeprefix(b"\xef\xbb\xbf").lstrip()
    # Look at the body as well, because the Content-Type may be wrong. JSON objects start with a brace, and forms with "name=".
    if start[:1] == b"{" or (labeled_json and not _FORM.match(start)):
        members = parse_json(bytes(body))
        return ("cxml" if is_cxml(members) else "relay"), members, None
    fields = parse_form(bytes(body))
    if not fields:
        raise WebhookRefused("the body is empty, so it contains no callback")
    return *_of_fields(fields), fields


_FORM: Final = re.compile(rb"[A-Za-z0-9_.%+-]+=")


def _of_fields(fields: Fields) -> tuple[Dialect, Mapping[str, Any]]:
    members = dict(fields)
    return ("relay", _unfold(members)) if "event_type" in members else ("cxml", members)


_ENVELOPE: Final = ("event_type", "event_channel", "timestamp", "project_id", "space_id")


def _unfold(query: Mapping[str, str]) -> dict[str, Any]:
    """Convert query fields to an event envelope.

    The platform does not document the format. ``params`` is parsed as JSON, and fields that are not part of the envelope are
    added to ``params``.
    """
    envelope: dict[str, Any] = {name: query[name] for name in _ENVELOPE if name in query}
    rest = {name: value for name, value in query.items() if name not in _ENVELOPE and name != "params"}
    inner = parse_json(query["params"].encode()) if query.get("params") else {}
    return {**envelope, "params": {**rest, **inner}}
