"""Reorder frames that arrive out of order.

Telnyx documents that frames may arrive out of order. Each track's frames are sorted by chunk number. A frame that arrives too
early is held until the missing frames arrive or the window has elapsed. Late frames and frames without a chunk number
are delivered immediately.
"""

from __future__ import annotations

import heapq

from attrs import define, field

from .messages import Media

__all__ = ["Reorder"]

_MOST = 256  # maximum number of held frames per track; beyond it the first one is delivered
_TRACKS = 8  # maximum number of tracks to reorder; real streams have at most two


@define(eq=False)
class _Queue:
    expected: int | None = None
    early: list[tuple[int, int, float, Media]] = field(factory=list)  # heap of (chunk, arrival, deadline, frame)


@define(eq=False)
class Reorder:
    """Reorder buffer for one stream.

    :param window: maximum time to hold a frame, in seconds.
    """

    window: float
    _queues: dict[str, _Queue] = field(factory=dict)
    _arrivals: int = 0

    @property
    def next_due(self) -> float | None:
        """When to call :meth:`due`: the earliest deadline among the held frames; ``None`` if no frame is held."""
        return min((entry[2] for queue in self._queues.values() for entry in queue.early), default=None)

    def push(self, media: Media, now: float) -> list[Media]:
        """Add a frame.

        :param media: the frame.
        :param now: the current time in seconds, on any monotonic clock.
        :return: the frames to deliver, in order.
        """
        chunk = media.chunk
        if chunk is None:
            return [media]
        queue = self._queues.get(media.track)
        if queue is None:
            if len(self._queues) >= _TRACKS and media.track not in ("inbound", "outbound"):
                return [media]
            queue = self._queues[media.track] = _Queue()
        expected = queue.expected
        if chunk == expected or (expected is None and chunk <= 1):  # most carriers count from 1, some from 0
            queue.expected = chunk + 1
            return [media, *_following(queue)] if queue.early else [media]
        if expected is not None and chunk < expected:
            if expected - chunk > _MOST:  # the carrier's counter restarted, or an earlier number was wrong
                queue.expected = chunk + 1
            return [media]
        self._arrivals += 1
        heapq.heappush(queue.early, (chunk, self._arrivals, now + self.window, media))
        return _release(queue, 1) if len(queue.early) > _MOST else []

    def due(self, now: float) -> list[Media]:
        """Return frames whose deadline has passed, along with the held frames that precede or directly follow them."""
        ready = []
        for queue in self._queues.values():
            count = sum(entry[2] <= now for entry in queue.early)
            while count > 0:
                released = _release(queue, 1)
                ready += released
                count = sum(entry[2] <= now for entry in queue.early)
        return ready

    def flush(self) -> list[Media]:
        """Return all held frames in order, because the stream has ended."""
        return [media for queue in self._queues.values() for media in _release(queue, len(queue.early))]


def _release(queue: _Queue, count: int) -> list[Media]:
    released = []
    for _ in range(count):
        if not queue.early:
            break
        chunk, _, _, media = heapq.heappop(queue.early)
        queue.expected = chunk + 1
        released.append(media)
    return released + _following(queue)


def _following(queue: _Queue) -> list[Media]:
    ready = []
    while queue.early and queue.expected is not None and queue.early[0][0] <= queue.expected:
        chunk, _, _, media = heapq.heappop(queue.early)
        queue.expected = max(queue.expected, chunk + 1)
        ready.append(media)
    return ready
