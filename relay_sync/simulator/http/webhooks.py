"""Delivery of status webhooks, which report events over HTTP.

The body of a ``POST`` request is the event's envelope as JSON, without the JSON-RPC frame, as documented. The encoding of
``GET`` requests is not documented. The simulator sends the members of the envelope and its ``params`` as query parameters, and
encodes all values except strings as JSON.

Requests bypass proxies. Unless remote hosts are allowed, they are sent only to loopback addresses. Webhooks in the same lane,
such as all webhooks for a stream, are delivered in order. Lanes are independent of each other.

If a signing key is set, requests have an ``X-SignalWire-Signature`` header with the hex-encoded HMAC-SHA1 of the URL and the
body. For ``GET``, the signature covers the URL with its query. For forms (cXML), the header contains the base64-encoded
HMAC-SHA1 of the URL followed by each field's name and value, sorted by name. The vendor does not document which status
callbacks the platform signs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from attrs import define, evolve, field, frozen

from ...hosts.names import is_loopback
from ...threads.logs import get as log_of
from ...threads.rate_limited_log import RateLimitedLog
from ...threads.starting import join_all
from ..core import given
from ..core.noticeboard import Noticeboard
from ..core.urls import place

if TYPE_CHECKING:
    import requests

__all__ = ["Delivery", "WebhookSender"]

_log = log_of("relay_sync.simulator").later
TIMEOUTS = (2.0, 5.0)  # timeouts for connecting and for the response, in seconds, as on the platform
MOST_WAITING = 10_000


@frozen(kw_only=True)
class Delivery:
    """Webhook and the outcome of its delivery.

    :ivar body: the event's envelope, or form fields.
    :ivar form: whether the body is a form.
    :ivar status: HTTP response status; ``None`` if there was no response.
    :ivar error: reason why there was no response; ``""`` if there was one.
    """

    url: str = field(repr=place)
    method: str
    body: dict[str, Any] = field(repr=False)
    form: bool = False
    status: int | None = None
    error: str = ""


def _flat(body: dict[str, Any]) -> dict[str, str]:
    members = {name: value for name, value in body.items() if name != "params"} | body.get("params", {})
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in members.items()}


def _written(item: Delivery, key: str) -> requests.Request:
    import requests

    if item.method == "GET":
        url = requests.Request("GET", item.url, params=_flat(item.body)).prepare().url or item.url
        body, headers = b"", {}
    elif item.form:
        url, body = item.url, urlencode(item.body).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
    else:
        url = item.url
        body, headers = json.dumps(item.body).encode(), {"Content-Type": "application/json"}
    if key:
        signed = re.sub("//[^/@]*@", "//", url, count=1)  # credentials are not signed
        headers["X-SignalWire-Signature"] = _signature(key, signed, body, item)
    return requests.Request(item.method, url, headers, data=body)


def _signature(key: str, url: str, body: bytes, item: Delivery) -> str:
    if item.form and item.method == "POST":
        whole = url + "".join(f"{name}{item.body[name]}" for name in sorted(item.body))
        return base64.b64encode(hmac.new(key.encode(), whole.encode(), hashlib.sha1).digest()).decode()
    return hmac.new(key.encode(), url.encode() + body, hashlib.sha1).hexdigest()


def _session() -> requests.Session:
    import requests

    session = requests.Session()
    session.trust_env = False
    return session


def _deliver(session: requests.Session, item: Delivery, key: str = "") -> Delivery:
    """Send a webhook and return it with its outcome. Never raises."""
    try:
        written = session.prepare_request(_written(item, key))
        with session.send(written, timeout=TIMEOUTS, allow_redirects=False, stream=True) as answer:
            return evolve(item, status=answer.status_code)
    except Exception as error:
        return evolve(item, error=type(error).__name__)


@define(eq=False)
class WebhookSender:
    """Sends webhooks on daemon threads.

    Threads are started on demand and stop when the queue is empty. :meth:`close` waits for them.

    :ivar most_threads: maximum number of threads.
    """

    allow_remote: bool = False
    most_threads: int = 8
    signing_key: str = field(default="", repr=False)
    deliveries: deque[Delivery] = field(factory=lambda: deque(maxlen=1_000), init=False, repr=False)
    _lanes: dict[str, deque[Delivery]] = field(factory=dict, init=False, repr=False)
    _ready: deque[str] = field(factory=deque, init=False, repr=False)
    _threads: set[threading.Thread] = field(factory=set, init=False, repr=False)
    _started: int = field(default=0, init=False)
    _waiting: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)
    _board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)
    _troubles: RateLimitedLog = field(factory=lambda: RateLimitedLog(_log), init=False, repr=False)

    def send(self, lane: str, url: str, method: str, body: dict[str, Any], *, form: bool = False) -> None:
        """Queue a webhook for delivery and return immediately.

        :param lane: lane name. Webhooks in the same lane are sent in order.
        :param form: whether to send the body as form fields instead of JSON.
        """
        item = Delivery(url=url, method=method, body=body, form=form)
        if not self.allow_remote and not is_loopback(urlsplit(url).hostname):
            self._done(evolve(item, error="not on loopback"))
            return
        with self._lock:
            if self._closed or self._waiting >= MOST_WAITING:
                return
            self._waiting += 1
            if lane in self._lanes:
                self._lanes[lane].append(item)
                return
            self._lanes[lane] = deque([item])
            self._ready.append(lane)
            if len(self._threads) < self.most_threads:
                self._start_thread()

    def _start_thread(self) -> None:
        self._started += 1
        thread = threading.Thread(target=self._work, name=f"relay-sim-webhook-{self._started}", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # thread limit reached; another thread or the next webhook continues
            self._threads.discard(thread)
            self._troubles.warning("threads", "cannot start a thread for status webhooks")

    def _work(self) -> None:
        try:
            with _session() as session:
                self._serve(lambda item: _deliver(session, item, self.signing_key))
        except BaseException as error:  # requests cannot be imported; report it as the outcome of each webhook
            why = f"cannot use requests: {type(error).__name__}: {error}"
            self._serve(lambda item: evolve(item, error=why))
        self._board.changed()

    def _serve(self, deliver: Callable[[Delivery], Delivery]) -> None:
        while (lane := self._next()) is not None:
            self._done(deliver(self._lanes[lane][0]))
            self._step(lane)

    def _next(self) -> str | None:
        """Return the next lane to process. If there is none, unregister the current thread and return ``None``.

        Both happen under the same lock. Otherwise :meth:`send` could rely on a thread that is about to stop.
        """
        with self._lock:
            if self._ready:
                return self._ready.popleft()
            self._threads.discard(threading.current_thread())
            return None

    def _step(self, lane: str) -> None:
        with self._lock:
            items = self._lanes[lane]
            items.popleft()
            self._waiting -= 1
            if items:
                self._ready.append(lane)
            else:
                del self._lanes[lane]

    def _done(self, delivery: Delivery) -> None:
        if delivery.error:
            where = place(delivery.url)
            kind = f"{delivery.error} at {urlsplit(where).netloc}"  # log an unreachable host once, not for every event
            self._troubles.warning(kind, "cannot deliver status webhook to %s: %s", where, delivery.error)
        self.deliveries.append(delivery)
        self._board.changed()

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Delivery]:
        """Wait until at least ``count`` webhooks have been sent or have failed, and return all of them.

        :raises InvalidParameter: ``count`` is not an integer of at least 0.
        :raises WaitTimeout: there were fewer webhooks after ``timeout`` seconds.
        """
        given.number("count", count)
        return self._board.wait_for(
            lambda: list(self.deliveries) if len(self.deliveries) >= count else None, timeout, f"{count} webhooks"
        )

    def close(self, timeout: float) -> None:
        """Stop accepting webhooks and wait up to ``timeout`` seconds for the queued webhooks to be sent."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
        join_all(threads, timeout)
