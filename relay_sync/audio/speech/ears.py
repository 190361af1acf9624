"""The side of a conversation that listens: utterances, keys, and when they interrupt what is being said."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

from ...threads import logs
from ...threads.outcome import wait_until
from . import listening
from .listening import Listening
from .speaking_queue import SpeakingQueue
from .turns import Interruption
from .utterance import Utterance

__all__ = ["Ears"]

_log = logs.get("relay_sync.audio").later

#: Seconds without audio after which a party that was speaking counts as silent. Its utterance continues when audio arrives again.
_GAP: Final = 1.0


class Ears(Listening):
    """Listens to the party, and interrupts what is being said when the party speaks or presses a key.

    :param core: the internal part of the stream.
    :param interrupt_after: seconds of speech that interrupt; ``None`` if nothing does.
    :param options: the parameters of :class:`Listening`.
    :ivar taken: number of keys that belong to earlier turns, or were pressed before the conversation.
    :ivar heard_at: time when speech was last heard.
    :ivar key_at: time when the last key was noticed.
    :ivar recognizing: whether an utterance is being recognized.
    """

    def __init__(self, core: Any, *, interrupt_after: float | None, **options: Any) -> None:
        super().__init__(core, track="inbound", on_speech=None, who="conversation", **options)
        self.heard_at: float = 0.0
        self.key_at: float = 0.0
        self.recognizing: bool = False
        self.queue: SpeakingQueue | None = None  # set before the thread starts
        self._after = interrupt_after
        self.taken: int = core.dtmf.count
        self._noticed = self._before = self.taken
        self._base = 0.0  # speech of the current utterance that was heard before anything was said
        self._pending: deque[Interruption] = deque()  # of the utterance that has not ended
        self._interrupted: dict[int, Interruption] = {}  # by the identity of the utterances in `ready`

    def start(self) -> None:
        """Take the track, start the thread, and have the stream ring for keys. See :meth:`Listening.start`."""
        super().start()
        self.core.bell = self.bell

    def stop(self) -> None:
        """End the thread without waiting for it."""
        if self.core.bell is self.bell:
            self.core.bell = None
        super().stop()

    # -- in the thread -------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Number of utterances for which there is room. An utterance that is being recognized waits no longer."""
        return super().room + self.recognizing

    def run(self) -> None:
        """Find utterances until the stream ends. A recognizer that does not return after that is reported."""
        super().run()
        # Utterances that are ready may be recognized next.
        wait_until(lambda: self.closed or not (self.recognizing or self.ready), self.bell, listening.GRACE)
        if self.recognizing and not self.closed:
            _log.warning(
                "recognize() of call %s has not returned %g s after the end of the stream",
                self.call_id,
                listening.GRACE,
            )

    def heard(self) -> None:
        """Interrupt what is being said, if there was enough speech, or a key."""
        spoken = self.segmenter.spoken
        if spoken:
            self.heard_at = time.monotonic()
        self.notice_keys()
        if self._after is None or self.queue is None:
            return
        keys, self._base = self._noticed, min(self._base, spoken)
        if not self.queue.active or self.feed.catching_up:  # what was said before the conversation interrupts nothing
            self._base, self._before = spoken, keys
        elif keys > self._before or spoken - self._base >= self._after:
            self._base, self._before = spoken, keys
            interruption = self.queue.interrupt()
            if interruption is not None:
                self._pending.append(interruption)

    def take_over(self, utterance: Utterance) -> None:
        """Note what an utterance has interrupted."""
        count, interruption = self.pending
        if interruption is not None:
            self._interrupted[id(utterance)] = interruption
            self.drop_pending(count)

    # -- in the thread that iterates -----------------------------------------------------------------------------------

    @property
    def talking(self) -> bool:
        """Whether the party is speaking. While no audio arrives, for example on hold, it is not."""
        return not self.done and self.segmenter.spoken > 0 and time.monotonic() < self.heard_at + _GAP

    @property
    def pending(self) -> tuple[int, Interruption | None]:
        """What was interrupted and belongs to no utterance yet, and how many interruptions that are."""
        found = tuple(self._pending)
        return len(found), _joined(found)

    def drop_pending(self, count: int) -> None:
        """Forget the first interruptions that belong to no utterance."""
        for _ in range(min(count, len(self._pending))):
            self._pending.popleft()

    def interrupted_by(self, utterance: Utterance) -> Interruption | None:
        """Return what an utterance has interrupted."""
        return self._interrupted.get(id(utterance))

    def forget(self, utterance: Utterance, *, failed: bool = False) -> None:
        """Remove an utterance that was returned, or could not be recognized.

        :param failed: whether the next turn says what it has interrupted.
        """
        if self.ready and self.ready[0] is utterance:
            self.ready.popleft()
        interruption = self._interrupted.pop(id(utterance), None)
        if interruption is not None and failed:
            self._pending.appendleft(interruption)
        self.bell.ring()

    def notice_keys(self) -> None:
        """Note the time of a new key."""
        count = self.core.dtmf.count
        if count != self._noticed:
            self._noticed, self.key_at = count, time.monotonic()

    def keys(self, until: float | None = None) -> str:
        """Return the keys that no turn has taken yet.

        :param until: position in seconds up to which they were pressed; ``None`` returns all.
        """
        new = self.core.dtmf.count - self.taken
        events = self.core.dtmf.all[-new:] if new > 0 else ()
        return "".join(event.digit for event in events if until is None or event.at <= until)


def _joined(found: tuple[Interruption, ...]) -> Interruption | None:
    """Make one interruption of several, for example because the program spoke again while the party was speaking."""
    if not found:
        return None
    return Interruption(
        said=" ".join(one.said for one in found if one.said),
        heard_seconds=sum(one.heard_seconds for one in found),
        of_seconds=sum(one.of_seconds for one in found),
    )
