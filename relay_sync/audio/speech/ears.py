"""The side of a conversation that listens: utterances, keys, and when they interrupt what is being said."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from .listening import Listening
from .speaking_queue import SpeakingQueue
from .turns import Interruption
from .utterance import Utterance

__all__ = ["Ears"]


class Ears(Listening):
    """Listens to the party, and interrupts what is being said when the party speaks or presses a key.

    :param core: the internal part of the stream.
    :param interrupt_after: seconds of speech that interrupt; ``None`` if nothing does.
    :param options: the parameters of :class:`Listening`.
    :ivar heard_at: time when speech was last heard.
    :ivar key_at: time when the last key was noticed.
    """

    def __init__(self, core: Any, *, interrupt_after: float | None, **options: Any) -> None:
        super().__init__(core, on_speech=None, who="conversation", **options)
        self.heard_at = self.key_at = 0.0
        self.queue: SpeakingQueue | None = None  # set before the thread starts
        self._after = interrupt_after
        self._taken = self._noticed = self._before = core.dtmf.count
        self._base = 0.0  # speech of the current utterance that was heard before anything was said
        self._pending: deque[Interruption] = deque()  # of the utterance that has not ended
        self._interrupted: dict[int, Interruption] = {}  # by the identity of the utterances in `ready`

    # -- in the thread -------------------------------------------------------------------------------------------------

    def heard(self) -> None:
        """Interrupt what is being said, if there was enough speech, or a key."""
        spoken = self.segmenter.spoken
        if spoken:
            self.heard_at = time.monotonic()
        self.notice_keys()
        if self._after is None or self.queue is None:
            return
        keys, self._base = self._noticed, min(self._base, spoken)
        if not self.queue.active:
            self._base, self._before = spoken, keys
        elif keys > self._before or spoken - self._base >= self._after:
            self._base, self._before = spoken, keys
            interruption = self.queue.interrupt()
            if interruption is not None:
                self._pending.append(interruption)

    def take_over(self, utterance: Utterance) -> None:
        """Note what an utterance has interrupted."""
        interruption = self.take_pending()
        if interruption is not None:
            self._interrupted[id(utterance)] = interruption

    # -- in the thread that iterates -----------------------------------------------------------------------------------

    @property
    def talking(self) -> bool:
        """Whether the party is speaking."""
        return not self.done and self.segmenter.spoken > 0

    def take_pending(self) -> Interruption | None:
        """Take what was interrupted and belongs to no utterance yet."""
        return _joined(_all_of(self._pending))

    def interrupted_by(self, utterance: Utterance) -> Interruption | None:
        """Take what an utterance has interrupted."""
        return self._interrupted.pop(id(utterance), None)

    def give_back(self, interruption: Interruption | None) -> None:
        """Leave an interruption to the next turn."""
        if interruption is not None:
            self._pending.appendleft(interruption)

    def notice_keys(self) -> None:
        """Note the time of a new key."""
        count = self.core.dtmf.count
        if count != self._noticed:
            self._noticed, self.key_at = count, time.monotonic()

    def keys(self, until: float | None = None) -> str:
        """Return the keys that no turn has taken yet.

        :param until: position in seconds up to which they were pressed; ``None`` returns all.
        """
        new = self.core.dtmf.count - self._taken
        events = self.core.dtmf.all[-new:] if new > 0 else ()
        return "".join(event.digit for event in events if until is None or event.at <= until)

    def take_keys(self, keys: str) -> None:
        """Mark keys as taken by a turn."""
        self._taken += len(keys)


def _all_of(pending: deque[Interruption]) -> Iterable[Interruption]:
    while pending:
        try:
            yield pending.popleft()
        except IndexError:  # the other thread was faster
            return


def _joined(found: Iterable[Interruption]) -> Interruption | None:
    """Make one interruption of several, for example because the program spoke again while the party was speaking."""
    each = list(found)
    if not each:
        return None
    return Interruption(
        said=" ".join(one.said for one in each if one.said),
        heard_seconds=sum(one.heard_seconds for one in each),
        of_seconds=sum(one.of_seconds for one in each),
    )
