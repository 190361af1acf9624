"""What went over the RELAY connections, both ways, for a test to look at."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from attrs import define, evolve, field, frozen

from . import given
from .noticeboard import SLICE, Noticeboard

__all__ = ["Entry", "Journal", "Notice", "Reader", "masked", "settle_with"]

_T = TypeVar("_T")

HIDDEN = "<hidden>"
DEEPEST = 40
MOST_NOTICES = 1000

_USERINFO = re.compile(r"(?<=://)[^/?#\s]+@")
_SECRETS = frozenset(
    {
        "token",
        "jwt_token",
        "dpop_token",
        "authorization",
        "authorization_state",
        "authorization_bearer_token",
        "password",
        "post_prompt_auth_password",
        "credential",
        "custom_parameters",
    }
)


def masked(value: Any, depth: int = 0) -> Any:
    """A copy of a JSON value with the contents of secret members hidden, the credentials in URLs, and what is nested deeper
    than anyone reads.

    Custom parameters count as secret, since a one-time password often travels there.
    """
    if isinstance(value, Mapping | list) and depth > DEEPEST:
        return "<deeper>"
    if isinstance(value, Mapping):
        return {
            name: HIDDEN if name in _SECRETS and inner else masked(inner, depth + 1) for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner, depth + 1) for inner in value]
    if isinstance(value, str) and "@" in value:
        return _USERINFO.sub(f"{HIDDEN}@", value)
    return value


@frozen(kw_only=True)
class Entry:
    """One frame.

    :ivar direction: ``"in"`` from a client, ``"out"`` to a client, ``"lost"`` for what a client should have got but
        was not sent (a dropped reply or event, or an event for a session without a socket).
    :ivar time: ``time.monotonic()`` when it was read or handed to the socket.
    :ivar connection: a number per socket, counted from 1; 0 where there was none.
    :ivar frame: the parsed JSON, secrets included; ``None`` if it was not JSON.
    :ivar text: the raw text, only where it was not JSON.
    """

    direction: str
    time: float
    connection: int
    frame: Any = field(repr=masked)
    text: str = field(default="", repr=lambda text: f"<{len(text)} characters>")

    @property
    def method(self) -> str:
        """The JSON-RPC method, or ``""`` for a reply."""
        value = self.frame.get("method") if isinstance(self.frame, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the request, or of the event inside it; ``{}`` if there are none."""
        params = self.frame.get("params") if isinstance(self.frame, dict) else None
        if self.method == "signalwire.event" and isinstance(params, dict):
            params = params.get("params")
        return params if isinstance(params, dict) else {}

    @property
    def event_type(self) -> str:
        """The type of the event it carries, or ``""``."""
        if self.method != "signalwire.event":
            return ""
        params = self.frame.get("params")
        return str(params.get("event_type", "")) if isinstance(params, dict) else ""


@frozen(kw_only=True)
class Notice:
    """Something that a receiver of audio did, and that the platform would spoil without a word; or that a program asked for, and
    that the simulator does not do.

    :ivar time: ``time.monotonic()``. :ivar call_id: of the call that was streamed. :ivar control_id: of the stream.
    :ivar kind: see ``Stream.notices``; or ``not carried out``, ``not opened`` (the stream of a conference).
    :ivar text: the same in words.
    """

    time: float
    call_id: str
    control_id: str
    kind: str
    text: str


@define(eq=False)
class Reader:
    """Reads a journal on: each entry is handed out once. Waiting for one entry then costs no more than the journal is
    long, however often it is looked into.
    """

    _journal: Journal
    _seen: int = field(default=0, init=False)

    def fresh(self) -> list[tuple[int, Entry]]:
        """The entries that have come since the last look, with their numbers; see :meth:`Journal.numbered`."""
        found, self._seen = self._journal._since(self._seen)
        return found

    def wait_for(self, look: Callable[[], _T | None], timeout: float, what: str, *, every: float = SLICE) -> _T:
        """As :meth:`Noticeboard.wait_for`: ``look``, which reads on, is asked now, and whenever an entry comes."""
        return self._journal._board.wait_for(look, timeout, what, every=every)

    def wait_for_entry(self, fits: Callable[[int, Entry], bool], timeout: float) -> Entry:
        """The next entry that fits; ``fits`` gets its number as well.

        :raises WaitTimeout: none came within ``timeout`` seconds.
        """

        def look() -> Entry | None:
            return next((entry for number, entry in self.fresh() if fits(number, entry)), None)

        return self.wait_for(look, timeout, "a frame in the journal")


@define(eq=False)
class Journal:
    """The last frames, oldest first. Safe to read from any thread; iterating gives a snapshot.

    :ivar limit: how many are kept. ``dropped`` counts those that are gone.
    """

    limit: int = 10_000
    dropped: int = field(default=0, init=False)
    _notices: deque[Notice] = field(factory=lambda: deque(maxlen=MOST_NOTICES), init=False, repr=False)
    _gone: int = field(default=0, init=False, repr=False)  # how many have ever left, forgotten ones included
    _entries: deque[Entry] = field(factory=deque, init=False, repr=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)
    _board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)

    def add(self, direction: str, connection: int, frame: Any, text: str = "") -> None:
        """Write one frame down."""
        entry = Entry(direction=direction, time=time.monotonic(), connection=connection, frame=frame, text=text)
        with self._lock:
            self._entries.append(entry)
            if len(self._entries) > self.limit:
                self._entries.popleft()
                self.dropped += 1
                self._gone += 1
        self._board.changed()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What receivers of audio did wrong, each kind once a stream, and what was asked for and is not done here; the last
        thousand. A test of a receiver may demand that there are none.
        """
        return tuple(self._notices)

    def notice(self, call_id: str, control_id: str, kind: str, text: str) -> None:
        """Write one down."""
        found = Notice(time=time.monotonic(), call_id=call_id, control_id=control_id, kind=kind, text=text)
        self._notices.append(found)
        self._board.changed()

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def requests(self, method: str) -> list[dict[str, Any]]:
        """The frames in which clients asked for ``method``, whole, in order."""
        given.words("method", method)
        return [entry.frame for entry in self if entry.direction == "in" and entry.method == method]

    def events(self, event_type: str) -> list[dict[str, Any]]:
        """The inner parameters of the events of a type that were sent, in order."""
        given.words("event_type", event_type)
        return [entry.params for entry in self if entry.direction == "out" and entry.event_type == event_type]

    def reply_to(self, frame: Mapping[str, Any]) -> dict[str, Any] | None:
        """The reply that was sent to a client's request, whole, or ``None``."""
        number = given.members("frame", frame).get("id")
        for entry in self:
            if entry.direction == "out" and not entry.method and entry.frame and entry.frame.get("id") == number:
                return dict(entry.frame)
        return None

    def wait_for(self, predicate: Callable[[Entry], bool], timeout: float = 5.0) -> Entry:
        """The first entry, past or to come, for which ``predicate`` is true.

        :raises WaitTimeout: none came within ``timeout`` seconds.
        """
        given.function("predicate", predicate)
        return Reader(self).wait_for_entry(lambda _, entry: predicate(entry), timeout)

    def numbered(self) -> list[tuple[int, Entry]]:
        """The entries, each with its number: how many came before it, those that are gone included."""
        with self._lock:
            return list(enumerate(self._entries, self._gone))

    def _since(self, number: int) -> tuple[list[tuple[int, Entry]], int]:
        """The numbered entries from a number on, and the number of the next one to come."""
        with self._lock:
            first = max(number, self._gone)
            found = list(enumerate(itertools.islice(self._entries, first - self._gone, None), first))
            return found, self._gone + len(self._entries)

    def wait_until(self, look: Callable[[list[tuple[int, Entry]]], bool], timeout: float = 5.0) -> None:
        """Return once ``look`` is true of the numbered entries.

        :raises WaitTimeout: it was not within ``timeout`` seconds.
        """
        given.function("look", look)
        self._board.wait_for(lambda: look(self.numbered()), timeout, "a frame in the journal")

    def clear(self) -> None:
        """Forget everything so far."""
        with self._lock:
            self._gone += len(self._entries)
            self._entries.clear()
            self._notices.clear()
            self.dropped = 0

    def dump(self) -> str:
        """All of it as lines of JSON, secrets hidden, to be printed or kept."""
        lines = []
        for entry in self:
            shown = evolve(entry, frame=masked(entry.frame))
            what = json.dumps(shown.frame) if not shown.text else f"{len(shown.text)} characters that are not JSON"
            lines.append(f"{shown.time:.6f} {shown.direction:<4} #{shown.connection} {what}")
        return "\n".join(lines)


def settle_with(journal: Journal, settle: Callable[[], object]) -> None:
    """Have those who wait for an entry go on when ``settle`` returns; see :class:`Noticeboard`."""
    journal._board.settle = settle
