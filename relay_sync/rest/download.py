"""Download recordings to files, with resumption, size limits and redirect checks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
from attrs import define, evolve, field, frozen

from ..deadline import Deadline
from ..errors import ConnectError, ConnectionLost, ConnectTimeout, DownloadFailed, InvalidParameter, RequestTimeout
from ..hosts.names import is_loopback, place_of
from ..protocol.backoff import retry_delay
from ..threads.growing_files import Growing
from ..threads.timeouts import TimeLeft
from .exchange import LONGEST_PAUSE, Exchange, reading, retry_after
from .pages import is_page, page_in
from .parts import Part, kept
from .progress import Report, shown
from .ranges import Stretch, changed, read_stretch, size_past_the_end, validator, versions_differ
from .reach import Origin, addresses, zone
from .sockets import NotAdmitted, peer

__all__ = ["Download", "Order", "fetch"]

MOST_REDIRECTS: Final = 5
PIECE: Final = 65536
#: Bounds of the interval between requests for a recording that is not available yet, in seconds. A ``Retry-After`` header
#: overrides the upper bound.
SHORTEST_LOOK: Final = 0.2
LONGEST_LOOK: Final = 5.0
_BUSY: Final = frozenset({408, 429, 500, 502, 503, 504})
_ABSENT: Final = frozenset({202, 204, 404, 425})
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


@frozen(kw_only=True)
class Download:
    """A downloaded file.

    :ivar path: path of the file.
    :ivar size: size of the file in bytes.
    :ivar content_type: content type that the server sent, or ``""``.
    :ivar resumed: number of bytes received by an earlier download.
    """

    path: Path
    size: int
    content_type: str = ""
    resumed: int = 0


@frozen(kw_only=True)
class Order:
    """The parameters of ``RestClient.download``."""

    url: str = field(repr=False)
    path: str
    on_progress: Callable[[int, int | None], object] | None = None
    show: bool = False
    max_bytes: int
    resume: bool = True
    wait: float | None = None
    allow_insecure: bool = False
    retries: int = 2


@frozen
class _Place:
    """A URL in a redirect chain.

    :ivar url: the URL.
    :ivar ours: whether all URLs in the chain so far are on the space's host. If not, no credentials are sent.
    :ivar origin: host that sent the redirect to this URL, or ``None`` for the first URL.
    """

    url: str = field(repr=False)
    ours: bool
    origin: Origin | None = None

    def admits(self, address: str) -> bool:
        """Return whether a connection to this address is allowed."""
        return self.origin is None or self.origin.may_lead_to(_host(self.url), address)


class _Busy(Exception):
    """The server is busy or has failed temporarily."""

    def __init__(self, status: int, seconds: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.seconds = seconds


class _Absent(Exception):
    """The recording is not available yet."""

    def __init__(self, what: str, seconds: float | None) -> None:
        super().__init__(what)
        self.what = what
        self.seconds = seconds


class _Broken(Exception):
    """The response body ended early."""


class _Misfit(Exception):
    """The server sent a range that was not requested, or that belongs to a different version of the file."""


def fetch(exchange: Exchange, order: Order, deadline: Deadline) -> Download:
    """Download a file; see ``RestClient.download``."""
    _check_url(order.url, order.allow_insecure, "url")
    target = Path(order.path)
    if not _can_be_file(target):
        raise InvalidParameter("path", order.path, "a file's path in a directory that exists")
    Growing.check(order.path)
    with shown(target.name) if order.show else nullcontext(None) as bar:
        reports = _Reports([report for report in (order.on_progress, bar) if report is not None])
        try:
            with kept(target, order.url, resume=order.resume) as part:
                return _Fetching(exchange, order, deadline, target, part, reports).run()
        except OSError as error:
            # Do not convert errors raised by on_progress or by the SDK.
            if error is reports.error or isinstance(error, (ConnectionError, TimeoutError)):
                raise
            raise DownloadFailed(
                f"{target.name} cannot be written: {error.strerror or error}", url=_shown(order.url)
            ) from error


def _can_be_file(target: Path) -> bool:
    try:
        return target.parent.is_dir() and not target.is_dir()
    except OSError:  # the name may be too long
        return False


@define(eq=False)
class _Reports:
    """Callbacks that receive a download's progress.

    :ivar error: exception raised by a callback, or ``None``. It must propagate to the caller unchanged.
    """

    _reports: list[Report]
    error: Exception | None = None

    def tell(self, size: int, total: int | None) -> None:
        try:
            for report in self._reports:
                report(size, total)
        except Exception as error:
            self.error = error
            raise


@define(eq=False)
class _Fetching:
    _exchange: Exchange
    _order: Order
    _deadline: Deadline
    _target: Path
    _part: Part
    _reports: _Reports
    _left: TimeLeft = field(init=False)  # time to wait for a recording that is not available yet
    _whole: TimeLeft = field(init=False)
    _type: str = ""

    def __attrs_post_init__(self) -> None:
        self._left = TimeLeft(self._order.wait)
        self._whole = TimeLeft(self._deadline.remaining(time.monotonic()))

    def run(self) -> Download:
        resumed, best, failures, looks = self._part.size, -1, 0, 0
        while True:
            try:
                if self._attempt():
                    break
            except _Absent as absent:
                self._look_again(absent, looks)
                looks += 1
            except (_Busy, _Broken, _Misfit, ConnectError, ConnectionLost, RequestTimeout) as error:
                if error is self._reports.error:
                    raise
                # Reset the count after an attempt that made progress, because a long download may be interrupted often.
                failures = 1 if self._part.size > best >= 0 else failures + 1
                best = max(best, self._part.size)
                self._wait(error, failures)
        self._part.move(self._target)
        return Download(path=self._target, size=self._part.size, content_type=self._type, resumed=resumed)

    def _look_again(self, absent: _Absent, looks: int) -> None:
        """Pause before the next request for a recording that is not available yet.

        :param absent: exception from the last request.
        :param looks: number of pauses so far.
        :raises DownloadFailed: ``wait`` is ``None`` or has expired.
        """
        wait, left, whole = self._order.wait, self._left(), self._whole()
        if wait is None or left is None:
            raise self._failed(
                f"{absent.what}; a recording becomes available some time after it ends: pass wait=30 to retry for 30 seconds"
            )
        pause = min(LONGEST_LOOK, SHORTEST_LOOK * 2 ** min(looks, 10), max(left, 0.0))
        if absent.seconds is not None:
            pause = max(SHORTEST_LOOK, absent.seconds)
        if left <= 0 or pause > left or (whole is not None and pause >= whole):
            raise self._failed(f"{absent.what}; the recording was not available within {wait:g} s (wait)")
        self._pause(pause)

    def _pause(self, seconds: float) -> None:
        self._exchange.pause(seconds)
        self._left.waited(seconds)
        self._whole.waited(seconds)

    def _wait(self, error: Exception, failures: int) -> None:
        pause = retry_delay(failures - 1, random.random())
        if isinstance(error, _Busy):
            pause = retry_delay(failures, random.random()) if error.seconds is None else error.seconds
        left = self._whole()
        fatal = isinstance(error, ConnectError) and error.fatal
        if fatal or failures > self._order.retries or pause > LONGEST_PAUSE or (left is not None and pause >= left):
            if isinstance(error, _Busy):
                raise self._failed(f"the server answered {error.status}") from None
            if isinstance(error, _Broken):
                raise ConnectionLost(f"{self._what}: the connection was lost before the end", sent=True) from None
            if isinstance(error, _Misfit):
                raise self._failed("the server sent a range that does not match the earlier bytes") from None
            raise error
        self._pause(pause)

    @property
    def _what(self) -> str:
        return f"download of {_shown(self._order.url)}"

    def _failed(self, why: str) -> DownloadFailed:
        return DownloadFailed(f"{self._what} failed: {why}", url=_shown(self._order.url))

    def _attempt(self) -> bool:
        """Request the missing bytes.

        :return: whether the file is complete now.
        """
        part = self._part
        # Request an uncompressed file. A compressed file could not be resumed or checked against max_bytes.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if part.size and part.validator:
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator}
        else:
            part.restart()
        place = _Place(self._order.url, self._is_own(self._order.url))
        for _ in range(MOST_REDIRECTS + 1):
            try:
                with self._exchange.open(
                    "GET", place.url, self._what, self._deadline, headers=headers, ours=place.ours, admit=place.admits
                ) as response:
                    if response.status_code not in _MOVED or "Location" not in response.headers:
                        return self._take(response)
                    place = self._follow(place, response.headers["Location"])
            except NotAdmitted as refused:
                raise self._led_inward(refused.address) from None
        raise self._failed(f"it was redirected more than {MOST_REDIRECTS} times")

    def _follow(self, place: _Place, location: str) -> _Place:
        """Return a redirect's target.

        :raises DownloadFailed: the redirect must not be followed.
        """
        try:
            there = urljoin(place.url, location)
            _check_url(there, self._order.allow_insecure, "Location")
        except ValueError:
            raise self._failed("it was redirected to a URL that is not accepted") from None
        if urlsplit(place.url).scheme == "https" and urlsplit(there).scheme != "https":
            raise self._failed("redirects from https to http are not followed")
        origin = Origin(_host(place.url), peer(), cache(self._addresses))
        forbidden = origin.forbidden(_host(there))
        if forbidden:
            raise self._led_inward(forbidden)
        return _Place(there, place.ours and self._is_own(there), origin)

    def _addresses(self, host: str) -> list[str]:
        """Return a host's addresses.

        :raises ConnectTimeout: the lookup did not finish within the connect timeout.
        """
        try:
            return addresses(host, self._exchange.time_to_connect(self._deadline))
        except TimeoutError:
            message = f"{self._what}: the name lookup for a redirect did not finish before the timeout"
            raise ConnectTimeout(message) from None

    def _is_own(self, url: str) -> bool:
        """Return whether a URL is on the space's host."""
        return place_of(url) == place_of(self._exchange.base)

    def _led_inward(self, address: str) -> DownloadFailed:
        return self._failed(f"redirects from another host to {address} ({zone(address)}) are not followed")

    def _take(self, response: requests.Response) -> bool:
        part, status, headers = self._part, response.status_code, response.headers
        if status in (200, 206):
            # Check the content type first, because the steps below may discard the bytes received so far.
            self._check_type(headers.get("Content-Type", ""))
            stretch = self._fitting(status, headers)
            coded = headers.get("Transfer-Encoding", "").strip().lower() not in ("", "chunked", "identity")
            if coded or headers.get("Content-Encoding", "identity") not in ("", "identity"):
                raise self._failed("the server compressed the file although the request forbids it")
            part.remember(validator(headers) or part.validator, changed(headers) or part.changed, stretch.total)
            self._receive(response, stretch.end)
            return self._is_whole(stretch)
        pause = retry_after(headers.get("Retry-After", ""))
        if status == 416 and part.size and size_past_the_end(headers) == part.size and part.total in (None, part.size):
            return True
        if status == 416:
            part.restart()
            raise _Misfit
        if status in _ABSENT or (status in _BUSY and pause is not None and self._order.wait is not None):
            raise _Absent(f"the server answered {status}", pause)
        if status in _BUSY:
            raise _Busy(status, pause)
        raise self._failed(f"the server answered {status}")

    def _fitting(self, status: int, headers: Mapping[str, str]) -> Stretch:
        """Return the response's byte range. If it belongs to a new version of the file, discard the earlier bytes.

        :raises _Misfit: the range was not requested, or the headers are inconsistent.
        """
        part = self._part
        stretch = read_stretch(status, headers)
        if stretch is not None and part.size and _goes_on(part, stretch, headers):
            return stretch if stretch.total is not None else evolve(stretch, total=part.total)
        fresh = (
            stretch is not None
            and stretch.start == 0
            and (stretch.total is not None or not stretch.part)
            and not (part.size and _is_the_rest_alone(part, stretch, headers))
        )
        part.restart()
        if stretch is None or not fresh:
            raise _Misfit
        return stretch

    def _receive(self, response: requests.Response, end: int | None) -> None:
        part = self._part
        self._check_size(part.total or 0)
        self._report()
        while True:
            with reading(self._what, sent=True):
                piece = response.raw.read(PIECE)
            if not piece:
                break
            self._check_size(part.size + len(piece))
            page = "" if part.size else page_in(piece)
            if page:
                part.spoiled = True
                raise self._failed(
                    f"the server sent {page} as {_printable(self._type) or 'a file without a content type'}"
                )
            if end is not None and part.size + len(piece) > end:
                part.restart()
                raise _Misfit
            part.write(piece)
            self._report()
        if end is not None and part.size != end:
            raise _Broken

    def _is_whole(self, stretch: Stretch) -> bool:
        part = self._part
        if not part.size:
            raise _Absent("the server sent a file of 0 bytes", None)
        if stretch.total is None or part.size == stretch.total:
            return True
        if not part.validator:  # without a validator, the rest could belong to a different version
            part.restart()
            raise _Misfit
        return False

    def _check_type(self, content_type: str) -> None:
        if is_page(content_type):
            raise self._failed(
                f"the server sent {_printable(content_type)} instead of a recording; check whether the recording still exists"
                " and whether the URL requires a login"
            )
        self._type = content_type

    def _check_size(self, size: int) -> None:
        if size > self._order.max_bytes:
            self._part.spoiled = True
            raise self._failed(f"the file has more than {self._order.max_bytes} bytes (max_bytes)")

    def _report(self) -> None:
        self._reports.tell(self._part.size, self._part.total)


def _goes_on(part: Part, stretch: Stretch, headers: Mapping[str, str]) -> bool:
    """Return whether a range continues the received bytes and belongs to the same version of the file."""
    total = part.total if stretch.total is None else stretch.total
    if not stretch.part or stretch.start != part.size or total is None:
        return False
    return part.total in (None, total) and not versions_differ(part.validator, part.changed, headers)


def _is_the_rest_alone(part: Part, stretch: Stretch, headers: Mapping[str, str]) -> bool:
    """Return whether a response that claims to be the complete file appears to contain only the missing bytes.

    If so, its length does not match the known version of the file.
    """
    if stretch.total is None or part.total is None or versions_differ(part.validator, part.changed, headers):
        return False
    named = bool(validator(headers))
    return stretch.total != part.total if named else stretch.total == part.total - part.size


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:100]


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _check_url(url: str, allow_insecure: bool, name: str) -> None:
    accepted = "an absolute https:// URL without credentials (http:// only for loopback)"
    try:
        parts = urlsplit(url)
        plain = parts.scheme == "http" and (allow_insecure or is_loopback(parts.hostname))
        good = (parts.scheme == "https" or plain) and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.username is not None or parts.password is not None:
        raise InvalidParameter(name, url, accepted, secret=True)


def _shown(url: str) -> str:
    """Return a URL for messages, without credentials and query, which may contain tokens."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
