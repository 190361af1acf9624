"""Journal of frames sent and received on RELAY connections."""

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

__all__ = ["Entry", "Journal", "Notice", "Peer", "Reader", "Tell", "masked", "settle_with", "tell_with"]

_T = TypeVar("_T")
#: Passes a live event on, given its kind and a function that returns its members; see ``Feed.tell``.
Tell = Callable[[str, Callable[[], dict[str, Any]]], object]

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
    }
)
_ALL_SECRETS = _SECRETS | {"custom_parameters"}


def masked(value: Any, depth: int = 0, *, custom: bool = False) -> Any:
    """Return a copy of a JSON value that is safe to log.

    Secret members and credentials in URLs are hidden, and deeply nested values are omitted. Custom parameters are treated as
    secret, because they often contain one-time passwords.

    :param custom: whether to show custom parameters, to a reader who has presented the simulator's key.
    """
    if isinstance(value, Mapping | list) and depth > DEEPEST:
        return "<deeper>"
    if isinstance(value, Mapping):
        secrets = _SECRETS if custom else _ALL_SECRETS
        return {
            name: HIDDEN if name in secrets and inner else masked(inner, depth + 1, custom=custom)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [masked(inner, depth + 1, custom=custom) for inner in value]
    if isinstance(value, str) and "@" in value:
        return _USERINFO.sub(f"{HIDDEN}@", value)
    return value


@define(eq=False)
class Peer:
    """The client at the other end of a connection.

    :ivar session: ID of the client's session; ``""`` until the client is connected to one.
    """

    session: str = ""


@frozen(kw_only=True)
class Entry:
    """Frame recorded in the journal.

    A frame's direction is ``"lost"`` if it was not sent because a fault dropped it or the session was disconnected.

    :ivar direction: ``"in"`` from a client, ``"out"`` to a client, or ``"lost"``.
    :ivar time: time when the frame was received or sent, from ``time.monotonic()``.
    :ivar connection: connection number, counted from 1; 0 if there was no connection.
    :ivar frame: parsed JSON, including secrets; ``None`` if the frame is not valid JSON.
    :ivar text: raw text of a frame that is not valid JSON, otherwise empty.
    :ivar peer: internal state of the simulator.
    """

    direction: str
    time: float
    connection: int
    frame: Any = field(repr=masked)
    text: str = field(default="", repr=lambda text: f"<{len(text)} characters>")
    peer: Peer = field(factory=Peer, repr=False, eq=False)

    @property
    def session(self) -> str:
        """The ID of the client's session, as in ``Simulator.sessions``. ``""`` if the connection never had a session."""
        return self.peer.session

    @property
    def method(self) -> str:
        """The JSON-RPC method; ``""`` for a reply."""
        value = self.frame.get("method") if isinstance(self.frame, dict) else None
        return value if isinstance(value, str) else ""

    @property
    def params(self) -> dict[str, Any]:
        """The request's parameters or, for an event, the parameters inside its envelope. ``{}`` if there are none."""
        params = self.frame.get("params") if isinstance(self.frame, dict) else None
        if self.method == "signalwire.event" and isinstance(params, dict):
            params = params.get("params")
        return params if isinstance(params, dict) else {}

    def members(self) -> dict[str, Any]:
        """Return the entry as a JSON object, including secrets."""
        return {
            "time": self.time,
            "direction": self.direction,
            "connection": self.connection,
            "session": self.session,
            "method": self.method,
            "event_type": self.event_type,
            "frame": self.frame,
        }

    @property
    def event_type(self) -> str:
        """The event type; ``""`` if the frame is not an event."""
        if self.method != "signalwire.event":
            return ""
        params = self.frame.get("params")
        return str(params.get("event_type", "")) if isinstance(params, dict) else ""


@frozen(kw_only=True)
class Notice:
    """Warning about a problem that would not raise an error on the platform.

    The simulator records a notice when an audio receiver makes a mistake that causes the platform to drop or garble audio, and
    when a request uses a feature that the simulator does not implement.

    :ivar time: time of the notice, from ``time.monotonic()``.
    :ivar call_id: ID of the call.
    :ivar control_id: control ID of the stream or operation.
    :ivar kind: a kind listed in ``Stream.notices``, ``not carried out``, or ``not opened`` (a conference's stream).
    :ivar text: description of the problem.
    """

    time: float
    call_id: str
    control_id: str
    kind: str
    text: str


@define(eq=False)
class Reader:
    """Incremental reader that returns each entry of a journal once.

    A wait that checks its condition repeatedly uses a reader to examine only new entries instead of the whole journal.
    """

    _journal: Journal
    _seen: int = field(default=0, init=False)

    def fresh(self) -> list[tuple[int, Entry]]:
        """Return the entries added since the last call, with their numbers; see :meth:`Journal.numbered`."""
        found, self._seen = self._journal._since(self._seen)
        return found

    def wait_for(self, look: Callable[[], _T | None], timeout: float, what: str, *, every: float = SLICE) -> _T:
        """Wait like :meth:`Noticeboard.wait_for`. ``look`` is called immediately and after each new entry."""
        return self._journal._board.wait_for(look, timeout, what, every=every)

    def wait_for_entry(self, fits: Callable[[int, Entry], bool], timeout: float) -> Entry:
        """Wait for the next entry for which ``fits(number, entry)`` returns true, and return it.

        :raises WaitTimeout: there was no such entry within ``timeout`` seconds.
        """

        def look() -> Entry | None:
            return next((entry for number, entry in self.fresh() if fits(number, entry)), None)

        return self.wait_for(look, timeout, "a frame in the journal")


@define(eq=False)
class Journal:
    """Journal of the most recent frames, oldest first.

    The journal can be read from any thread. Iteration uses a snapshot.

    :ivar limit: maximum number of frames in the journal.
    :ivar dropped: number of frames removed because the limit was exceeded.
    """

    limit: int = 10_000
    dropped: int = field(default=0, init=False)
    _notices: deque[Notice] = field(factory=lambda: deque(maxlen=MOST_NOTICES), init=False, repr=False)
    _gone: int = field(default=0, init=False, repr=False)  # number of entries removed so far, including by clear()
    _entries: deque[Entry] = field(factory=deque, init=False, repr=False)
    _lock: threading.Lock = field(factory=lambda: threading.Lock(), init=False, repr=False)
    _board: Noticeboard = field(factory=Noticeboard, init=False, repr=False)
    _tell: Tell = field(default=lambda kind, members: None, init=False, repr=False)

    def add(self, direction: str, connection: int, frame: Any, text: str = "", peer: Peer | None = None) -> None:
        """Record a frame.

        :param direction: ``"in"``, ``"out"`` or ``"lost"``; see :class:`Entry`.
        :param connection: connection number; 0 if there is no connection.
        :param frame: parsed JSON; ``None`` if the frame is not valid JSON.
        :param text: raw text of a frame that is not valid JSON.
        :param peer: client at the other end of the connection, or whose session has no connection.
        """
        entry = Entry(
            direction=direction,
            time=time.monotonic(),
            connection=connection,
            frame=frame,
            text=text,
            peer=peer or Peer(),
        )
        with self._lock:
            number = self._gone + len(self._entries)
            self._entries.append(entry)
            if len(self._entries) > self.limit:
                self._entries.popleft()
                self.dropped += 1
                self._gone += 1
        self._board.changed()
        self._tell("frame", lambda: {"number": number, **entry.members()})

    @property
    def notices(self) -> tuple[Notice, ...]:
        """The last 1000 notices about mistakes by audio receivers and about features that the simulator does not implement.

        Each kind of mistake is reported once per stream. Tests of a receiver can assert that there are no notices.
        """
        return tuple(self._notices)

    def notice(self, call_id: str, control_id: str, kind: str, text: str) -> None:
        """Record a notice.

        :param call_id: ID of the call.
        :param control_id: control ID of the stream or operation.
        :param kind: kind of notice; see :class:`Notice`.
        :param text: description of the problem.
        """
        found = Notice(time=time.monotonic(), call_id=call_id, control_id=control_id, kind=kind, text=text)
        self._notices.append(found)
        self._board.changed()
        self._tell("notice", lambda: {"kind": kind, "text": text, "call_id": call_id, "control_id": control_id})

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def requests(self, method: str) -> list[dict[str, Any]]:
        """Return all client requests for a method, as complete frames in order of arrival.

        :param method: RELAY method, such as ``calling.play``.
        """
        given.words("method", method)
        return [entry.frame for entry in self if entry.direction == "in" and entry.method == method]

    def events(self, event_type: str) -> list[dict[str, Any]]:
        """Return the parameters of all events of a type sent to clients, in order.

        :param event_type: event type, such as ``calling.call.play``.
        """
        given.words("event_type", event_type)
        return [entry.params for entry in self if entry.direction == "out" and entry.event_type == event_type]

    def reply_to(self, frame: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the reply to a client's request as a complete frame, or ``None`` if none was sent.

        :param frame: request, as a complete frame.
        """
        number = given.members("frame", frame).get("id")
        for entry in self:
            if entry.direction == "out" and not entry.method and entry.frame and entry.frame.get("id") == number:
                return dict(entry.frame)
        return None

    def wait_for(self, predicate: Callable[[Entry], bool], timeout: float = 5.0) -> Entry:
        """Return the first entry for which ``predicate`` returns true, waiting for it if necessary.

        :param predicate: function called with each :class:`Entry`.
        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: there was no such entry within ``timeout`` seconds.
        """
        given.function("predicate", predicate)
        return Reader(self).wait_for_entry(lambda _, entry: predicate(entry), timeout)

    def numbered(self) -> list[tuple[int, Entry]]:
        """Return all entries with their numbers. An entry's number is the count of entries recorded before it."""
        with self._lock:
            return list(enumerate(self._entries, self._gone))

    @property
    def end(self) -> int:
        """The number that the next entry will have; see :meth:`numbered`."""
        with self._lock:
            return self._gone + len(self._entries)

    def _since(self, number: int) -> tuple[list[tuple[int, Entry]], int]:
        """Return the numbered entries starting at ``number``, and the number that the next new entry will have."""
        with self._lock:
            first = max(number, self._gone)
            found = list(enumerate(itertools.islice(self._entries, first - self._gone, None), first))
            return found, self._gone + len(self._entries)

    def wait_until(self, look: Callable[[list[tuple[int, Entry]]], bool], timeout: float = 5.0) -> None:
        """Wait until ``look`` returns true.

        :param look: function called with the result of :meth:`numbered`.
        :param timeout: maximum time to wait, in seconds.
        :raises WaitTimeout: ``look`` did not return true within ``timeout`` seconds.
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
        """Return all entries as text, one line per entry, with secrets hidden."""
        lines = []
        for entry in self:
            shown = evolve(entry, frame=masked(entry.frame))
            what = json.dumps(shown.frame) if not shown.text else f"{len(shown.text)} characters that are not JSON"
            lines.append(f"{shown.time:.6f} {shown.direction:<4} #{shown.connection} {what}")
        return "\n".join(lines)


def tell_with(journal: Journal, tell: Tell) -> None:
    """Register a function to call with each new entry and notice."""
    journal._tell = tell


def settle_with(journal: Journal, settle: Callable[[], object]) -> None:
    """Register a function to call before each wait on the journal returns; see :class:`Noticeboard`."""
    journal._board.settle = settle
