"""Restores the order of frames that a carrier sends out of order (as Telnyx documents): by chunk, within a track. Pure.

An early frame waits for the missing ones, for *window* seconds at most. Frames without a chunk number, and late frames,
pass at once.
"""

from __future__ import annotations

import heapq

from attrs import define, field

from .messages import Media

__all__ = ["Reorder"]

_MOST = 256  # frames of a track that wait; then the window is over for the oldest
_TRACKS = 8  # that are put in order; more than a few come from no telephone


@define(eq=False)
class _Queue:
    expected: int | None = None
    early: list[tuple[int, int, float, Media]] = field(factory=list)  # a heap: chunk, arrival, deadline, frame


@define(eq=False)
class Reorder:
    """The waiting frames of one stream.

    :param window: seconds.
    """

    window: float
    _queues: dict[str, _Queue] = field(factory=dict)
    _arrivals: int = 0

    @property
    def next_due(self) -> float | None:
        """When :meth:`due` will have something, if nothing comes before; ``None`` where nothing waits."""
        return min((entry[2] for queue in self._queues.values() for entry in queue.early), default=None)

    def push(self, media: Media, now: float) -> list[Media]:
        """Take in a frame.

        :param now: seconds, by any steady clock.
        :return: the frames whose turn it is.
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
        if chunk == expected or (expected is None and chunk <= 1):  # carriers count from 1, some from 0
            queue.expected = chunk + 1
            return [media, *_following(queue)] if queue.early else [media]
        if expected is not None and chunk < expected:
            if expected - chunk > _MOST:  # the carrier's count restarts, or one number was invalid
                queue.expected = chunk + 1
            return [media]
        self._arrivals += 1
        heapq.heappush(queue.early, (chunk, self._arrivals, now + self.window, media))
        return _release(queue, 1) if len(queue.early) > _MOST else []

    def due(self, now: float) -> list[Media]:
        """The frames that have waited long enough, with those before them."""
        ready = []
        for queue in self._queues.values():
            count = sum(entry[2] <= now for entry in queue.early)
            while count > 0:
                released = _release(queue, 1)
                ready += released
                count = sum(entry[2] <= now for entry in queue.early)
        return ready

    def flush(self) -> list[Media]:
        """All that waits, in order: nothing more will come."""
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
