"""The sending half of a two-way stream, on the loop thread: the queue of audio, its pace, and how much was heard.

Any thread submits audio; only the loop thread sends. Nothing here blocks: a timer separates packets. Unread data does not
pile up: sending pauses at ``MOST_UNREAD`` bytes, and the queue fails if the remote end reads none of them for
``send_timeout`` seconds.

How much was heard is known from internal marks, one after every half second and one at the end, and in between from the
clock, which advances only while sent audio remains to be played. All marks return when the queue is cleared; marks
that were cleared do not count as heard. If no marks return, the clock alone ends a piece.

Submitting takes no lock, and wakes the loop each time: after a Ctrl-C between any two steps no later caller waits for
anything left behind.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import QueueFull, StreamFailed
from ..threads import logs
from ..threads.outcome import wait_for_event
from .outgoing import clear_line, dtmf_line, mark_line, media_line
from .playback import EndedBy, Piece, SentMark
from .sources import PTIME, Encode

if TYPE_CHECKING:
    from ..server import Connection, Loop, Timer

__all__ = ["Speaker"]

_log = logs.get("relay_sync.audio").later
LEAD = 0.08  # seconds that paced audio is sent ahead, so that short delays here cause no gaps
LATE = 1.0  # seconds of delay after which the pace restarts, instead of a burst
CHECK = 0.5  # seconds of audio between marks of our own
MOST_UNREAD = 256 * 1024  # bytes sent and not taken
MOST_WAITING = 64 * 2**20  # bytes of payloads that wait here
MOST_MARKS = 4096
OVERDUE = 5.0  # seconds that a mark may be late while no other comes back either
OVERDUE_AGAIN = 0.5  # the same, once none has come back in time
_TURN = 32  # messages sent in one turn of the loop
_LOOK = 0.1  # seconds between looks at a far side that does not read
_OURS = "relay-sync:"  # how the names of our own marks begin


class Speaker:
    """Says things on one stream, one after the other.

    :param encoding: makes a new encoder; each piece of audio gets one.
    :param send_timeout: seconds that the far side may
        leave everything unread while something waits to be sent.
    """

    def __init__(
        self,
        loop: Loop,
        connection: Connection,
        stream_id: str,
        sample_rate: int,
        encoding: Callable[[], Encode],
        *,
        send_timeout: float,
    ) -> None:
        self.sample_rate = sample_rate
        self.encoding = encoding
        self.name: str = loop.name
        self._loop = loop
        self._connection = connection
        self._stream_id = stream_id
        self._send_timeout = send_timeout
        self._numbers = itertools.count(1)
        self._over = False
        self._inbox: deque[tuple[Callable[[], object], int]] = deque()  # things to do, and bytes that come with them
        self._named: dict[str, SentMark] = {}  # the user's marks, by name
        # From here on only the loop thread writes.
        self._held = 0  # bytes that wait, those in the inbox left out
        self._queue: deque[Piece | SentMark] = deque()
        self._active: deque[Piece] = deque()  # started, and not yet finished
        self._pending: deque[SentMark] = deque()  # sent, and not yet back
        self._ends_at = 0.0  # when all that was sent will have been played
        self._timer: Timer | None = None
        self._overdue_timer: Timer | None = None
        self._last_echo = 0.0  # when a mark came back, or something had not left yet
        self._deaf = False  # marks that were due have not come back, and none has since
        self._told = False  # of that
        self._stalled: tuple[float, int] | None = None  # since when, and at how many bytes, nothing is taken
        connection.on_drain = self._pump

    # -- for any thread ------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the stream has ended: nothing more is sent."""
        return self._over

    def submit(self, piece: Piece) -> None:
        """Say it after everything else. On a stream that has ended it is over at once.

        :raises QueueFull: too much waits already.
        :raises StreamFailed: the far side does not read.
        """
        self._check_read()
        if self._held + sum(size for _, size in list(self._inbox)) + piece.bytes > MOST_WAITING:
            raise QueueFull("over an hour of audio is queued: wait() for it, or clear() it")
        piece.held, piece.time = piece.bytes, self._loop.time

        def submit() -> None:
            if self._over:
                piece.finish("ended", 0)
            else:
                self._held += piece.held
                self._queue.append(piece)

        self._hand_over(submit, piece.held)

    def nudge(self, piece: Piece) -> None:
        """More of it is there, or its end."""
        if piece.hungry:
            self._loop.call_soon(self._look)

    def mark(self, name: str | None) -> str:
        """Set a mark behind everything else, and return its name."""
        self._check_read()
        name = name or f"mark-{next(self._numbers)}"
        mark = SentMark(name)
        if len(self._queue) + len(self._pending) > 2 * MOST_MARKS or not self._has_room_for(name):
            raise QueueFull("thousands of marks are pending: call wait_for_mark() first")
        self._named.pop(name, None)
        self._named[name] = mark

        def submit() -> None:
            if self._over:
                mark.settle(False)
            else:
                self._queue.append(mark)

        self._hand_over(submit)
        return name

    def _has_room_for(self, name: str) -> bool:
        if name in self._named or len(self._named) < MOST_MARKS:
            return True
        old = next((each for each, mark in list(self._named.items()) if mark.settled.is_set()), None)
        if old is None:
            return False
        self._named.pop(old, None)
        return True

    def named(self, name: str) -> SentMark | None:
        """The mark last set under a name."""
        return self._named.get(name)

    def clear(self, timeout: float) -> None:
        """Drop everything. Returns when what was playing knows it."""
        at = self._loop.time()
        done = SentMark("")  # nothing but a flag that the end of the stream sets as well

        def clear() -> None:
            if not self._over:
                self._cleared(at)
            done.settle(True)

        self._hand_over(clear)
        wait_for_event(done.settled, timeout)

    def press(self, digits: str) -> None:
        """Send DTMF digits immediately."""
        self._check_read()

        def press() -> None:
            for digit in digits:
                self._connection.send(dtmf_line(self._stream_id, digit))

        self._hand_over(press)

    def _check_read(self) -> None:
        if not self._over and self._connection.buffered > 2 * MOST_UNREAD:
            raise StreamFailed("the remote end of the stream does not read")

    def _hand_over(self, act: Callable[[], object], size: int = 0) -> None:
        """Run *act* on the loop thread. On an ended stream it only settles waiting callers, which any thread may do."""
        self._inbox.append((act, size))
        self._loop.call_soon(self._look)
        if self._over:  # in this order it is seen either here or in end()
            self._empty_inbox()

    def _empty_inbox(self) -> None:
        while True:
            try:
                act, _ = self._inbox.popleft()
            except IndexError:
                return
            try:
                act()
            except Exception:
                _log.exception("stream %s: sending audio failed", self._stream_id)

    # -- on the loop thread --------------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._empty_inbox()
        self._pump()

    def _pump(self) -> None:
        """Send what is due, and have a look again when the next is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._over:
            return
        for _ in range(_TURN):
            if not self._queue:
                return
            wait = self._step(self._queue[0], self._loop.time())
            if wait is None:
                return
            if wait:
                self._timer = self._loop.call_later(wait, self._pump)
                return
        self._timer = self._loop.call_later(0.0, self._pump)  # others on this loop want their turn

    def _step(self, item: Piece | SentMark, now: float) -> float | None:
        """One message. Returns after how many seconds the next one is due; ``None``: when something happens."""
        if self._is_stalled(now):
            return _LOOK
        if isinstance(item, SentMark):
            self._queue.popleft()
            self._send_mark(item)
            return 0.0
        if item.done:  # by the feeding thread
            item.waiting.clear()
            self._leave(item)
            self._let_go(item)
            return 0.0
        if not item.waiting:
            return self._at_the_end_of(item)
        if item.clock is None:
            item.anchor = self._begin(item, now)
        if item.hungry or now - (item.anchor + item.sent / self.sample_rate) > LATE:
            item.hungry = False
            item.anchor = max(item.anchor, now - item.sent / self.sample_rate)
        if item.paced:
            due = item.anchor + item.sent / self.sample_rate - LEAD
            if due > now:
                return due - now
        self._say(item, now)
        return 0.0

    def _at_the_end_of(self, item: Piece) -> float | None:
        # The feeding thread checks `hungry` after feeding, and sets `closed` last: in this order nothing is missed.
        item.hungry = True
        closed = item.closed
        if item.waiting:
            return 0.0
        if not closed:
            return None
        self._leave(item)
        if item.clock is None:  # nothing in it
            self._begin(item, self._loop.time())
        self._check(item, last=True)
        return 0.0

    def _begin(self, item: Piece, now: float) -> float:
        begins = max(now, self._ends_at)
        item.clock = (begins, 0)
        self._active.append(item)
        return begins

    def _leave(self, item: Piece) -> None:
        self._queue.popleft()
        self._held = max(0, self._held - item.held)

    def _say(self, item: Piece, now: float) -> None:
        if self._ends_at < now:  # all that was sent has been played: what comes now begins now
            self._ends_at = now
            item.clock = (now, item.sent)
        step = self.sample_rate * PTIME // 1000 if item.paced else None
        payload, samples = item.take(step)
        self._connection.send(media_line(self._stream_id, payload))
        self._ends_at += samples / self.sample_rate
        # Right before the mark of its end none is needed, but whether more comes is not known before.
        if item.sent - item.checked >= CHECK * self.sample_rate and (item.waiting or not item.closed):
            self._check(item, last=False)

    def _check(self, item: Piece, *, last: bool) -> None:
        if not last and len(self._pending) >= MOST_MARKS:
            return  # a far side that returns none costs no memory without end
        item.checked = item.sent
        name = f"{_OURS}{next(self._numbers)}"
        self._send_mark(SentMark(name, piece=item, position=item.sent, last=last))

    def _send_mark(self, mark: SentMark) -> None:
        mark.due = max(self._loop.time(), self._ends_at)
        self._pending.append(mark)
        self._connection.send(mark_line(self._stream_id, mark.name))
        if self._overdue_timer is None:
            self._await_marks()

    def _is_stalled(self, now: float, most: int = MOST_UNREAD) -> bool:
        unread = self._connection.buffered
        if unread <= most:
            self._stalled = None
            return False
        if self._stalled is None or unread != self._stalled[1]:
            self._stalled = (now, unread)
        elif now - self._stalled[0] > self._send_timeout:
            _log.warning("stream %s: the remote end does not read; dropping queued audio", self._stream_id)
            error = StreamFailed(f"the remote end of the stream has read nothing for {self._send_timeout:g} s")
            self._drop(now, "ended", error)
            self._connection.send(clear_line(self._stream_id))  # if it reads again, not that
            self._stalled = None
        return True

    # -- what comes back -----------------------------------------------------------------------------------------------

    @staticmethod
    def made_up(name: str) -> bool:
        """Whether a mark is internal, not set by the user."""
        return name.startswith(_OURS)

    def echoed(self, name: str) -> None:
        """Handle a returned mark."""
        now = self._loop.time()
        self._last_echo, self._deaf = now, False
        found = next((mark for mark in self._pending if mark.name == name), None)
        while found is not None and self._pending:
            mark = self._pending.popleft()  # those before it must have been passed as well
            if not mark.flushed:
                self._passed(mark, now)
            if mark is found:
                break
        if not self._pending and not self._active:  # nothing of what was sent is still to be heard
            self._ends_at = min(self._ends_at, now)

    def _passed(self, mark: SentMark, now: float) -> None:
        mark.settle(True)
        piece = mark.piece
        if piece is None:
            return
        piece.confirm(mark.position, now)
        if mark.last:
            self._let_go(piece)
            piece.finish("played")
            if self._active:
                self._active[0].clock = (now, 0)  # better than what was reckoned

    # -- what does not come back ---------------------------------------------------------------------------------------

    def _await_marks(self) -> None:
        """Have a look when the next mark is overdue, as things are now."""
        if self._pending and not self._over:
            due = max(self._pending[0].due, self._last_echo) + self._patience
            self._overdue_timer = self._loop.call_at(due, self._look_for_marks)
        else:
            self._overdue_timer = None

    @property
    def _patience(self) -> float:
        return OVERDUE_AGAIN if self._deaf else OVERDUE

    def _look_for_marks(self) -> None:
        now = self._loop.time()
        if self._connection.buffered:  # perhaps the mark itself has not left yet
            self._is_stalled(now, 0)
            self._last_echo = now
            self._overdue_timer = self._loop.call_at(now + _LOOK, self._look_for_marks)
            return
        if self._pending and now >= max(self._pending[0].due, self._last_echo) + self._patience:
            self._give_up_marks(now)
        self._await_marks()

    def _give_up_marks(self, now: float) -> None:
        """No mark has come back for so long that none is waited for: what should have been heard by now was, by the clock."""
        if not self._told:
            self._told = True
            _log.warning(
                "stream %s: no mark has returned for %g s, so playback progress is estimated from the"
                " clock: is the stream two-way, and does its carrier return marks?",
                self._stream_id,
                self._patience,
            )
        due = now - self._patience
        self._deaf = True
        while self._pending and self._pending[0].due <= due:
            mark = self._pending.popleft()
            if mark.flushed:
                continue
            mark.settle(True)
            if mark.last and mark.piece is not None:
                self._let_go(mark.piece)
                mark.piece.finish("played", estimated=True)

    def _let_go(self, piece: Piece) -> None:
        if piece in self._active:
            self._active.remove(piece)

    def _cleared(self, at: float) -> None:
        self._drop(at, "cleared", None)
        self._connection.send(clear_line(self._stream_id))

    def _drop(self, at: float, by: EndedBy, error: BaseException | None) -> None:
        """Nothing of what waits or is being played is heard from now on."""
        limits: dict[int, int] = {}
        for mark in self._pending:
            mark.flushed, mark.due = True, min(mark.due, at)  # it comes back at once, if at all
            mark.settle(False)
            if mark.piece is not None:
                limits.setdefault(id(mark.piece), mark.position)
        pieces = [*self._active, *(item for item in self._queue if isinstance(item, Piece))]
        for item in self._queue:
            if isinstance(item, SentMark):
                item.settle(False)
        self._queue.clear()
        self._active.clear()
        self._ends_at = at
        self._held = 0
        if self._overdue_timer is not None:
            self._overdue_timer.cancel()
            self._await_marks()
        for piece in dict.fromkeys(pieces):
            piece.waiting.clear()
            if error is not None:
                piece.fail(error)
            else:
                heard = piece.estimate(at, limits.get(id(piece), piece.sent))
                piece.finish(by, heard, estimated=self._deaf)

    def end(self) -> None:
        """The stream has ended: wake all waiting threads."""
        if self._over:
            return
        self._over = True
        self._empty_inbox()
        self._drop(self._loop.time(), "ended", None)
        self._pending.clear()
        for timer in (self._timer, self._overdue_timer):
            if timer is not None:
                timer.cancel()
