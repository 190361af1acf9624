"""The journal of the frames on RELAY connections, in both directions, for tests."""

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
    """Return a copy of a JSON value without the contents of secret members, credentials in URLs, and levels nested too deeply to
    read.

    Custom parameters count as secret, because they often carry one-time passwords.
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

    A frame is ``"lost"`` if it was not sent to its client: a dropped reply or event, or an event for a session without a socket.

    :ivar direction: ``"in"`` from a client, ``"out"`` to a client, or ``"lost"``.
    :ivar time: ``time.monotonic()`` when the frame was read or passed to the socket.
    :ivar connection: number of the socket, counted from 1; 0 where there was none.
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
        """The parameters of the request, or of the event in it; ``{}`` if there are none."""
        params = self.frame.get("params") if isinstance(self.frame, dict) else None
        if self.method == "signalwire.event" and isinstance(params, dict):
            params = params.get("params")
        return params if isinstance(params, dict) else {}

    @property
    def event_type(self) -> str:
        """The type of the event in the frame, or ``""``."""
        if self.method != "signalwire.event":
            return ""
        params = self.frame.get("params")
        return str(params.get("event_type", "")) if isinstance(params, dict) else ""


@frozen(kw_only=True)
class Notice:
    """A mistake of an audio receiver that the platform would silently drop or garble, or a request that the simulator does not
    implement.

    :ivar time: ``time.monotonic()`` of the notice.
    :ivar call_id: id of the call.
    :ivar control_id: control id of the stream or operation.
    :ivar kind: see ``Stream.notices``; or ``not carried out``, ``not opened`` (the stream of a conference).
    :ivar text: description of the mistake.
    """

    time: float
    call_id: str
    control_id: str
    kind: str
    text: str


@define(eq=False)
class Reader:
    """Reads a journal incrementally: each entry is returned once. Waiting for an entry then costs at most the journal's
    length,
    however often the condition is checked.
    """

    _journal: Journal
    _seen: int = field(default=0, init=False)

    def fresh(self) -> list[tuple[int, Entry]]:
        """Return the entries since the last call, with their numbers; see :meth:`Journal.numbered`."""
        found, self._seen = self._journal._since(self._seen)
        return found

    def wait_for(self, look: Callable[[], _T | None], timeout: float, what: str, *, every: float = SLICE) -> _T:
        """Wait as :meth:`Noticeboard.wait_for` does; ``look``, which reads further, is called now and for each new entry."""
        return self._journal._board.wait_for(look, timeout, what, every=every)

    def wait_for_entry(self, fits: Callable[[int, Entry], bool], timeout: float) -> Entry:
        """Wait for the next entry for which ``fits(number, entry)`` is true.

        :raises WaitTimeout: there was none within ``timeout`` seconds.
        """

        def look() -> Entry | None:
            return next((entry for number, entry in self.fresh() if fits(number, entry)), None)

        return self.wait_for(look, timeout, "a frame in the journal")


@define(eq=False)
class Journal:
    """The last frames, oldest first. May be read from any thread; iteration runs over a snapshot.

    :ivar limit: number of frames kept.
    :ivar dropped: number of frames dropped beyond the limit.
    """

    limit: int = 10_000
    dropped: int = field(default=0, init=False)
    _notices: deque[Notice] = field(factory=lambda: deque(maxlen=MOST_NOTICES), init=False, repr=False)
    _gone: int = field(default=0, init=False, repr=False)  # removed so far, by clear() too
    _entries: deque[Entry] = field(factory=deque, init=False, repr=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)
    _board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)

    def add(self, direction: str, connection: int, frame: Any, text: str = "") -> None:
        """Record a frame.

        :param direction: ``"in"``, ``"out"`` or ``"lost"``; see :class:`Entry`.
        :param connection: number of the socket; 0 for none.
        :param frame: the parsed JSON; ``None`` if it is not JSON.
        :param text: the raw text, if it is not JSON.
        """
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
        """The mistakes of audio receivers, one per kind and stream, and requests that the simulator does not implement: the last
        1000. A
        test of a receiver may assert that there are none.
        """
        return tuple(self._notices)

    def notice(self, call_id: str, control_id: str, kind: str, text: str) -> None:
        """Record a notice.

        :param call_id: id of the call.
        :param control_id: control id of the stream or operation.
        :param kind: kind of the notice; see :class:`Notice`.
        :param text: description.
        """
        found = Notice(time=time.monotonic(), call_id=call_id, control_id=control_id, kind=kind, text=text)
        self._notices.append(found)
        self._board.changed()

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def requests(self, method: str) -> list[dict[str, Any]]:
        """Return the requests of clients for a method, as whole frames, in order.

        :param method: RELAY method, such as ``calling.play``.
        """
        given.words("method", method)
        return [entry.frame for entry in self if entry.direction == "in" and entry.method == method]

    def events(self, event_type: str) -> list[dict[str, Any]]:
        """Return the inner parameters of the sent events of a type, in order.

        :param event_type: type of the events, such as ``calling.call.play``.
        """
        given.words("event_type", event_type)
        return [entry.params for entry in self if entry.direction == "out" and entry.event_type == event_type]

    def reply_to(self, frame: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the reply that was sent to a client's request, as a whole frame, or ``None``.

        :param frame: the request, as a whole frame.
        """
        number = given.members("frame", frame).get("id")
        for entry in self:
            if entry.direction == "out" and not entry.method and entry.frame and entry.frame.get("id") == number:
                return dict(entry.frame)
        return None

    def wait_for(self, predicate: Callable[[Entry], bool], timeout: float = 5.0) -> Entry:
        """Return the first entry for which ``predicate`` is true; wait for it if necessary.

        :param predicate: called with each :class:`Entry`.
        :param timeout: seconds to wait.
        :raises WaitTimeout: there was no such entry within ``timeout`` seconds.
        """
        given.function("predicate", predicate)
        return Reader(self).wait_for_entry(lambda _, entry: predicate(entry), timeout)

    def numbered(self) -> list[tuple[int, Entry]]:
        """Return the entries, each with its number: how many preceded it, dropped ones included."""
        with self._lock:
            return list(enumerate(self._entries, self._gone))

    def _since(self, number: int) -> tuple[list[tuple[int, Entry]], int]:
        """Return the numbered entries from a number on, and the number of the next entry."""
        with self._lock:
            first = max(number, self._gone)
            found = list(enumerate(itertools.islice(self._entries, first - self._gone, None), first))
            return found, self._gone + len(self._entries)

    def wait_until(self, look: Callable[[list[tuple[int, Entry]]], bool], timeout: float = 5.0) -> None:
        """Wait until ``look`` is true of the numbered entries.

        :param look: called with the result of :meth:`numbered`.
        :param timeout: seconds to wait.
        :raises WaitTimeout: it was not true within ``timeout`` seconds.
        """
        given.function("look", look)
        self._board.wait_for(lambda: look(self.numbered()), timeout, "a frame in the journal")

    def clear(self) -> None:
        """Remove all entries and notices."""
        with self._lock:
            self._gone += len(self._entries)
            self._entries.clear()
            self._notices.clear()
            self.dropped = 0

    def dump(self) -> str:
        """Return all entries as lines of JSON, with secrets hidden."""
        lines = []
        for entry in self:
            shown = evolve(entry, frame=masked(entry.frame))
            what = json.dumps(shown.frame) if not shown.text else f"{len(shown.text)} characters that are not JSON"
            lines.append(f"{shown.time:.6f} {shown.direction:<4} #{shown.connection} {what}")
        return "\n".join(lines)


def settle_with(journal: Journal, settle: Callable[[], object]) -> None:
    """Let waits for entries return once ``settle`` has returned; see :class:`Noticeboard`."""
    journal._board.settle = settle
