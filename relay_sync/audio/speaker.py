"""Send audio on a two-way stream, and track how much of it was heard.

Any thread may submit audio, but only the loop thread sends it. The loop thread never blocks: timers pace the packets. If the
remote end stops reading, sending pauses at ``MOST_UNREAD`` buffered bytes, and the queued audio fails after ``send_timeout``
seconds.

The speaker measures progress with internal marks, which it sends after every half second of audio and at the end of each piece.
Between marks, progress is estimated from the clock. Clearing the queue makes the carrier return all pending marks, so they
do not count as heard. If the carrier returns no marks, a piece ends when its duration has elapsed.

Submitting audio acquires no lock and always wakes the loop. Pressing Ctrl-C at any point does not affect later callers.
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
LEAD = 0.08  # seconds that paced audio is sent ahead of time, so that short delays cause no gaps
LATE = 1.0  # seconds of delay after which pacing restarts; shorter delays are made up for
CHECK = 0.5  # seconds of audio between internal marks
MOST_UNREAD = 256 * 1024  # buffered bytes at which sending pauses
MOST_WAITING = 64 * 2**20  # maximum bytes of queued payloads
MOST_MARKS = 4096  # maximum number of pending marks
OVERDUE = 5.0  # seconds to wait for a mark after it is due, or after the last returned mark
OVERDUE_AGAIN = 0.5  # the same, after marks have failed to return
_TURN = 32  # maximum number of messages to send in one turn of the loop
_POLL = 0.1  # seconds between checks of a remote end that is not reading
_OURS = "relay-sync:"  # prefix of the names of internal marks


class Speaker:
    """Audio sender for a two-way stream. Pieces of audio are played in the order they were submitted.

    :param loop: the loop whose thread sends the audio.
    :param connection: the stream's connection.
    :param stream_id: the carrier's ID for the stream.
    :param sample_rate: the codec's sample rate in Hz.
    :param encoding: creates an encoder for a piece of audio.
    :param send_timeout: maximum time that the remote end may leave buffered data unread, in seconds.
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
        self._inbox: deque[tuple[Callable[[], object], int]] = deque()  # actions and their payload sizes
        self._named: dict[str, SentMark] = {}  # the user's marks, by name
        # Only the loop thread changes the attributes below.
        self._held = 0  # bytes of queued payloads, without the inbox
        self._queue: deque[Piece | SentMark] = deque()
        self._active: deque[Piece] = deque()  # pieces that have started and not finished
        self._pending: deque[SentMark] = deque()  # marks that were sent and have not returned
        self._ends_at = 0.0  # time at which all audio sent so far will have been played
        self._timer: Timer | None = None
        self._overdue_timer: Timer | None = None
        self._last_echo = 0.0  # time when a mark last returned, or when sent data was last seen in the buffer
        self._deaf = False  # whether marks were overdue and none has returned since
        self._warned = False  # whether missing marks were logged
        self._stalled: tuple[float, int] | None = (
            None  # time when the remote end stopped reading, and the bytes buffered then
        )
        connection.on_drain = self._pump

    # -- for any thread ------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether the stream has ended."""
        return self._over

    def submit(self, piece: Piece) -> None:
        """Add a piece of audio to the queue. If the stream has ended, the piece finishes immediately.

        :raises QueueFull: too much audio is queued.
        :raises StreamFailed: the remote end is not reading data.
        """
        self._check_peer_reads()
        if self._held + sum(size for _, size in list(self._inbox)) + piece.bytes > MOST_WAITING:
            raise QueueFull("64 MiB of audio is queued: wait() for it, or clear() it")
        piece.held, piece.time = piece.bytes, self._loop.time

        def submit() -> None:
            if self._over:
                piece.finish("ended", 0)
            else:
                self._held += piece.held
                self._queue.append(piece)

        self._hand_over(submit, piece.held)

    def nudge(self, piece: Piece) -> None:
        """Resume sending a piece after payloads were added or the piece was closed."""
        if piece.hungry:
            self._loop.call_soon(self._look)

    def mark(self, name: str | None) -> str:
        """Add a mark to the queue.

        :param name: name of the mark; ``None`` generates a name.
        :return: the name.
        :raises QueueFull: too many marks are pending.
        :raises StreamFailed: the remote end is not reading data.
        """
        self._check_peer_reads()
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
        """Return the latest mark with this name, or ``None`` if there is none."""
        return self._named.get(name)

    def clear(self, timeout: float) -> None:
        """Discard all queued audio, and wait until the affected playbacks have finished.

        :param timeout: maximum time to wait, in seconds.
        """
        at = self._loop.time()
        done = SentMark("")  # used only as a flag

        def clear() -> None:
            if not self._over:
                self._cleared(at)
            done.settle(True)

        self._hand_over(clear)
        wait_for_event(done.settled, timeout)

    def press(self, digits: str) -> None:
        """Send DTMF digits immediately."""
        self._check_peer_reads()

        def press() -> None:
            for digit in digits:
                self._connection.send(dtmf_line(self._stream_id, digit))

        self._hand_over(press)

    def _check_peer_reads(self) -> None:
        if not self._over and self._connection.buffered > 2 * MOST_UNREAD:
            raise StreamFailed("the remote end of the stream is not reading data")

    def _hand_over(self, act: Callable[[], object], size: int = 0) -> None:
        """Run ``act`` on the loop thread.

        If the stream has ended, ``act`` runs on the calling thread, because the loop may have stopped. In that case,
        ``act`` only notifies waiting threads.
        """
        self._inbox.append((act, size))
        self._loop.call_soon(self._look)
        if self._over:  # checked after appending: end() processes earlier entries
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
        """Send the messages that are due, and schedule the next one."""
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
        self._timer = self._loop.call_later(0.0, self._pump)  # let the loop serve other connections first

    def _step(self, item: Piece | SentMark, now: float) -> float | None:
        """Process the first item of the queue, sending at most one message and a mark.

        :return: seconds until the next step; ``None`` to wait for an event.
        """
        if self._is_stalled(now):
            return _POLL
        if isinstance(item, SentMark):
            self._queue.popleft()
            self._send_mark(item)
            return 0.0
        if item.done:  # the feeding thread has failed
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
        # The feeding thread adds payloads or sets `closed`, and then checks `hungry`. Setting `hungry` before looking at
        # them avoids a race.
        item.hungry = True
        closed = item.closed
        if item.waiting:
            return 0.0
        if not closed:
            return None
        self._leave(item)
        if item.clock is None:  # an empty piece
            self._begin(item, self._loop.time())
        self._send_progress_mark(item, last=True)
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
        pause = self._ends_at < now
        if pause:  # all audio sent before has been played, so this audio starts now
            self._ends_at = now
            item.clock = (now, item.sent)
        if item.on_sound is not None and (pause or not item.sent):
            item.on_sound(item.sent, self._ends_at - now)
        step = self.sample_rate * PTIME // 1000 if item.paced else None
        payload, samples = item.take(step)
        self._connection.send(media_line(self._stream_id, payload))
        self._ends_at += samples / self.sample_rate
        # A piece that is known to be complete here gets its final mark instead.
        if item.sent - item.checked >= CHECK * self.sample_rate and (item.waiting or not item.closed):
            self._send_progress_mark(item, last=False)

    def _send_progress_mark(self, item: Piece, *, last: bool) -> None:
        if not last and len(self._pending) >= MOST_MARKS:
            return  # limits memory if the remote end returns no marks
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
            _log.warning("stream %s: the remote end is not reading data; dropping queued audio", self._stream_id)
            error = StreamFailed(f"the remote end of the stream has not read any data for {self._send_timeout:g} s")
            self._drop(now, "ended", error)
            # If the remote end starts to read again, it should discard the audio.
            self._connection.send(clear_line(self._stream_id))
            self._stalled = None
        return True

    # -- returned marks ------------------------------------------------------------------------------------------------

    @staticmethod
    def is_internal(name: str) -> bool:
        """Return whether a mark is internal rather than set by the user."""
        return name.startswith(_OURS)

    def echoed(self, name: str) -> None:
        """Handle a returned mark."""
        now = self._loop.time()
        self._last_echo, self._deaf = now, False
        found = next((mark for mark in self._pending if mark.name == name), None)
        while found is not None and self._pending:
            mark = self._pending.popleft()  # marks are played in order, so earlier marks were reached, too
            if not mark.flushed:
                self._passed(mark, now)
            if mark is found:
                break
        if not self._pending and not self._active:  # all audio sent so far has been heard
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
                self._active[0].clock = (now, 0)  # more accurate than the calculated start

    # -- missing marks -------------------------------------------------------------------------------------------------

    def _await_marks(self) -> None:
        """Schedule a check for when the next mark becomes overdue."""
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
        if self._connection.buffered:  # the mark itself may still be in the buffer
            self._is_stalled(now, 0)
            self._last_echo = now
            self._overdue_timer = self._loop.call_at(now + _POLL, self._look_for_marks)
            return
        if self._pending and now >= max(self._pending[0].due, self._last_echo) + self._patience:
            self._give_up_marks(now)
        self._await_marks()

    def _give_up_marks(self, now: float) -> None:
        """Stop waiting for overdue marks, and assume that the audio before them has been played."""
        if not self._warned:
            self._warned = True
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
        """Discard all queued and active audio.

        :param at: time at which playback stopped.
        :param by: result of the affected playbacks.
        :param error: exception for the affected playbacks; ``None`` if they return a result.
        """
        limits: dict[int, int] = {}
        for mark in self._pending:
            mark.flushed, mark.due = True, min(mark.due, at)  # the carrier returns cleared marks immediately
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
        """Finish all playbacks and wake waiting threads when the stream has ended."""
        if self._over:
            return
        self._over = True
        self._empty_inbox()
        self._drop(self._loop.time(), "ended", None)
        self._pending.clear()
        for timer in (self._timer, self._overdue_timer):
            if timer is not None:
                timer.cancel()
