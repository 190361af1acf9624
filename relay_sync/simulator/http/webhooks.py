"""Status webhooks: events that are also sent over HTTP.

The body of a ``POST`` is the event's envelope as JSON, without the JSON-RPC wrapper (documented). The encoding for ``GET`` is not
documented; the simulator sends flat query parameters: the members of the envelope and of its ``params``, with values other than
strings as JSON.

Requests connect directly, never through a proxy, and only to loopback hosts unless remote hosts are allowed. The webhooks of one
lane (such as a stream) are sent in order; lanes do not wait for each other.

With a signing key, requests have a header ``X-SignalWire-Signature``: the hex HMAC-SHA1 of URL and body; for ``GET``, of the URL
with its query. Forms (cXML) are signed by their fields: the base64 HMAC-SHA1 of the URL followed by each name and value, sorted
by name. The vendor's documentation does not say which status callbacks the platform signs.
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
TIMEOUTS = (2.0, 5.0)  # seconds to connect and to respond, as on the platform
MOST_WAITING = 10_000


@frozen(kw_only=True)
class Delivery:
    """One webhook and its outcome.

    :ivar body: the event's envelope, or the fields of a form.
    :ivar form: whether the body is a form.
    :ivar status: HTTP status of the response, or ``None``.
    :ivar error: why there was no response.
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
        signed = re.sub("//[^/@]*@", "//", url, count=1)  # the signature does not cover credentials
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
    """Send one webhook, and return its outcome. Never raises, whatever the endpoint does."""
    try:
        written = session.prepare_request(_written(item, key))
        with session.send(written, timeout=TIMEOUTS, allow_redirects=False, stream=True) as answer:
            return evolve(item, status=answer.status_code)
    except Exception as error:
        return evolve(item, error=type(error).__name__)


@define(eq=False)
class WebhookSender:
    """Sends webhooks on daemon threads, which start on demand and stop when no webhook is left. :meth:`close` waits for them.

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
        """Queue a webhook behind the others of its lane. Returns at once.

        :param lane: webhooks of the same lane are sent in order.
        :param form: send the body as form fields instead of JSON.
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
        except RuntimeError:  # thread limit: the other threads, or the next webhook, take over
            self._threads.discard(thread)
            self._troubles.warning("threads", "cannot start a thread for status webhooks")

    def _work(self) -> None:
        try:
            with _session() as session:
                self._serve(lambda item: _deliver(session, item, self.signing_key))
        except BaseException as error:  # requests cannot be imported: waits for a webhook must see the error
            why = f"cannot use requests: {type(error).__name__}: {error}"
            self._serve(lambda item: evolve(item, error=why))
        self._board.changed()

    def _serve(self, deliver: Callable[[Delivery], Delivery]) -> None:
        while (lane := self._next()) is not None:
            self._done(deliver(self._lanes[lane][0]))
            self._step(lane)

    def _next(self) -> str | None:
        """Return a lane to serve. With no work left, remove the thread from the list under the same lock, and return ``None``."""
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
            kind = f"{delivery.error} at {urlsplit(where).netloc}"  # one log line for all events to an unreachable host
            self._troubles.warning(kind, "cannot deliver status webhook to %s: %s", where, delivery.error)
        self.deliveries.append(delivery)
        self._board.changed()

    def wait_for(self, count: int, timeout: float = 5.0) -> list[Delivery]:
        """Return the webhooks so far, once there are at least ``count``.

        :raises InvalidParameter: ``count`` is not a whole number of at least 0.
        :raises WaitTimeout: there were fewer after ``timeout`` seconds.
        """
        given.number("count", count)
        return self._board.wait_for(
            lambda: list(self.deliveries) if len(self.deliveries) >= count else None, timeout, f"{count} webhooks"
        )

    def close(self, timeout: float) -> None:
        """Accept no further webhooks, and wait up to ``timeout`` seconds for the current ones."""
        with self._lock:
            self._closed = True
            threads = list(self._threads)
        join_all(threads, timeout)
