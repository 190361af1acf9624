"""A recording into a file: resumed where it broke, within limits, and complete or not there."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from attrs import define, field, frozen

from ..errors import ConnectError, ConnectionLost, DownloadFailed, InvalidParameter, RequestTimeout
from ..hosts import is_loopback
from ..protocol.backoff import retry_delay
from ..protocol.deadline import Deadline
from .exchange import LONGEST_PAUSE, Exchange, reading, retry_after
from .progress import Report, shown

__all__ = ["Download", "Order", "fetch"]

MOST_REDIRECTS: Final = 5
PIECE: Final = 65536
_RANGE: Final = re.compile(r"bytes (?:([0-9]{1,15})-[0-9]{1,15}|\*)/([0-9]{1,15}|\*)")
#: Media types of what some servers send with a status of 200 instead of a recording: a page to log in, or what went wrong.
_WORDS: Final = re.compile(r"text/html|[a-z]+/(?:.+\+)?(?:json|xml)")
_PAGE: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_BUSY: Final = frozenset({408, 429, 500, 502, 503, 504})
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


@frozen(kw_only=True)
class Download:
    """A file that was saved.

    :ivar path: where. :ivar size: bytes. :ivar content_type: as the server said, or ``""``.
    :ivar resumed: bytes that an earlier attempt had left.
    """

    path: Path
    size: int
    content_type: str = ""
    resumed: int = 0


@frozen(kw_only=True)
class Order:
    """What is to be fetched, and how; the parameters of ``RestClient.download``."""

    url: str = field(repr=False)
    path: str
    on_progress: Callable[[int, int | None], object] | None = None
    show: bool = False
    max_bytes: int
    resume: bool = True
    allow_insecure: bool = False
    retries: int = 2


class _Busy(Exception):
    """The server asks for patience."""

    def __init__(self, status: int, seconds: float | None) -> None:
        super().__init__(status)
        self.status = status
        self.seconds = seconds


class _Broken(Exception):
    """The body ended before its end."""


def fetch(exchange: Exchange, order: Order, deadline: Deadline) -> Download:
    """Save it; see ``RestClient.download``."""
    _check_url(order.url, order.allow_insecure, "url")
    target = Path(order.path)
    if not _can_be_file(target):
        raise InvalidParameter("path", order.path, "a file's path in a directory that exists")
    with shown(target.name) if order.show else nullcontext(None) as bar:
        reports = [report for report in (order.on_progress, bar) if report is not None]
        try:
            with _kept(target, order) as part:
                return _Fetching(exchange, order, deadline, target, part, reports).run()
        except OSError as error:
            if isinstance(error, (ConnectionError, TimeoutError)):  # the SDK's own
                raise
            raise DownloadFailed(
                f"{target.name} cannot be written: {error.strerror or error}", url=_shown(order.url)
            ) from error


def _can_be_file(target: Path) -> bool:
    try:
        return "\0" not in str(target) and target.parent.is_dir() and not target.is_dir()
    except OSError:  # a name that is too long
        return False


def _opened(path: Path, flags: int) -> int:
    # In a directory that others can write to, a link of theirs would lead to a file of ours.
    return os.open(path, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o666)


@contextmanager
def _kept(target: Path, order: Order) -> Iterator[_Part]:
    """The file that grows. It stays for another attempt if it can be taken up again, and else goes."""
    if order.resume:
        path = target.with_name(f"{target.name}.part")
        file = os.fdopen(_opened(path, os.O_RDWR), "r+b")
        part = _Part(path, file, hashlib.sha256(order.url.encode()).hexdigest())
    else:
        number, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
        part = _Part(Path(name), os.fdopen(number, "w+b"), "")
    try:
        part.begin()
        yield part
    finally:
        part.end()


@define(eq=False)
class _Part:
    """What is there so far, and in a note beside it by what the server knows it again."""

    path: Path
    _file: IO[bytes]
    _origin: str
    size: int = 0
    validator: str = ""
    spoiled: bool = False
    moved: bool = False

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def begin(self) -> None:
        """Look at what an earlier attempt has left."""
        try:
            note = json.loads(self._note.read_bytes()) if self._origin else {}
        except (OSError, ValueError):
            note = {}
        if isinstance(note, dict) and note.get("origin") == self._origin and isinstance(note.get("validator"), str):
            self.validator = note["validator"]
            self.size = self._file.seek(0, os.SEEK_END) if self.validator else 0
        self.restart(self.size)

    def restart(self, size: int = 0) -> None:
        """Go on after so many bytes."""
        self._file.seek(size)
        self._file.truncate()
        self.size = size

    def remember(self, validator: str) -> None:
        """Note down what has to be the same next time."""
        if validator == self.validator:
            return
        self.validator = validator
        if validator and self._origin:
            with os.fdopen(_opened(self._note, os.O_WRONLY | os.O_TRUNC), "w") as note:
                note.write(json.dumps({"origin": self._origin, "validator": validator}))

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self.size += len(piece)

    def move(self, target: Path) -> None:
        """It is complete."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self.path, target)
        self.moved = True

    def end(self) -> None:
        self._file.close()
        useless = self.moved or self.spoiled or not self.validator or not self.size or not self._origin
        if useless:
            self._note.unlink(missing_ok=True)
            if not self.moved:
                self.path.unlink(missing_ok=True)


@define(eq=False)
class _Fetching:
    _exchange: Exchange
    _order: Order
    _deadline: Deadline
    _target: Path
    _part: _Part
    _reports: list[Report]
    _total: int | None = None
    _type: str = ""

    def run(self) -> Download:
        resumed, failures, before = self._part.size, 0, -1
        while True:
            try:
                self._attempt()
                break
            except (_Busy, _Broken, ConnectError, ConnectionLost, RequestTimeout) as error:
                # An attempt that got further is no failure: a long file may break often.
                failures = 1 if self._part.size > before >= 0 else failures + 1
                before = self._part.size
                self._wait(error, failures)
        self._part.move(self._target)
        return Download(path=self._target, size=self._part.size, content_type=self._type, resumed=resumed)

    def _wait(self, error: Exception, failures: int) -> None:
        pause = retry_delay(failures - 1, random.random())
        if isinstance(error, _Busy):
            pause = retry_delay(failures, random.random()) if error.seconds is None else error.seconds
        left = self._deadline.remaining(time.monotonic())
        fatal = isinstance(error, ConnectError) and error.fatal
        if fatal or failures > self._order.retries or pause > LONGEST_PAUSE or (left is not None and pause >= left):
            if isinstance(error, _Busy):
                raise self._failed(f"the server answered {error.status}") from None
            if isinstance(error, _Broken):
                raise ConnectionLost(f"{self._what}: the connection was lost before the end", sent=True) from None
            raise error
        self._exchange.pause(pause)

    @property
    def _what(self) -> str:
        return f"download of {_shown(self._order.url)}"

    def _failed(self, why: str) -> DownloadFailed:
        return DownloadFailed(f"{self._what} failed: {why}", url=_shown(self._order.url))

    def _attempt(self) -> None:
        part = self._part
        # Compressed bytes could be neither counted against the limit nor taken up in the middle.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if part.size and part.validator:
            headers |= {"Range": f"bytes={part.size}-", "If-Range": part.validator}
        else:
            part.restart()
        url = self._order.url
        for _ in range(MOST_REDIRECTS + 1):
            ours = _origin(urlsplit(url)) == _origin(urlsplit(self._exchange.base))
            with self._exchange.open("GET", url, self._what, self._deadline, headers=headers, ours=ours) as response:
                if response.status_code not in _MOVED or "Location" not in response.headers:
                    self._take(response)
                    return
                url = self._follow(url, response.headers["Location"])
        raise self._failed(f"it is passed on more than {MOST_REDIRECTS} times")

    def _follow(self, url: str, location: str) -> str:
        try:
            there = urljoin(url, location)
            _check_url(there, self._order.allow_insecure, "Location")
        except ValueError:
            raise self._failed("it is passed on to a URL that is not taken") from None
        return there

    def _take(self, response: requests.Response) -> None:
        part, status = self._part, response.status_code
        if status in (200, 206):
            # Before anything is dropped that was there already.
            self._check_type(response.headers.get("Content-Type", ""))
        where = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if status == 206 and where is not None and where[1] == str(part.size):
            self._total = None if where[2] == "*" else int(where[2])
        elif status == 200:
            length = response.headers.get("Content-Length", "")
            self._total = int(length) if re.fullmatch("[0-9]{1,15}", length) else None
            part.restart()
        elif status in (206, 416):
            if status == 416 and where is not None and where[2] == str(part.size) and part.size:
                return  # all of it was there
            part.restart()
            part.validator = ""
            raise _Broken
        elif status in _BUSY:
            raise _Busy(status, retry_after(response.headers.get("Retry-After", "")))
        else:
            raise self._failed(f"the server answered {status}")
        if response.headers.get("Content-Encoding", "identity") not in ("", "identity"):
            raise self._failed("the server compresses, although it was asked not to")
        part.remember(_validator(response.headers))
        self._receive(response)

    def _receive(self, response: requests.Response) -> None:
        part = self._part
        self._check_size(self._total or 0)
        self._report()
        while True:
            with reading(self._what, sent=True):
                piece = response.raw.read(PIECE)
            if not piece:
                break
            self._check_size(part.size + len(piece))
            if not part.size and _PAGE.match(piece):
                part.spoiled = True
                raise self._failed(f"the server sent an HTML page as {_printable(self._type) or 'a file of no type'}")
            part.write(piece)
            self._report()
        if self._total is not None and part.size != self._total:
            raise _Broken

    def _check_type(self, content_type: str) -> None:
        if _WORDS.fullmatch(content_type.partition(";")[0].strip().lower()):
            raise self._failed(
                f"the server sent {_printable(content_type)} instead of a recording: see whether it is still there, and whether "
                "who asks has to log in"
            )
        self._type = content_type

    def _check_size(self, size: int) -> None:
        if size > self._order.max_bytes:
            self._part.spoiled = True
            raise self._failed(f"it has more than {self._order.max_bytes} bytes (max_bytes)")

    def _report(self) -> None:
        for report in self._reports:
            report(self._part.size, self._total)


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:100]


def _validator(headers: Any) -> str:
    """By what the server knows a file again, byte by byte: a strong ETag, or else the time of its last change."""
    tag = str(headers.get("ETag", ""))
    return tag if tag.startswith('"') else str(headers.get("Last-Modified", ""))


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, (parts.hostname or "").rstrip("."), parts.port or (443 if parts.scheme == "https" else 80)


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
    """What of a URL may be told: everything but its query, where tokens travel."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
