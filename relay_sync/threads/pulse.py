"""How long the IO threads of this process have not answered a wake-up.

A thread that runs an event loop enters :func:`answering` for as long as it runs. A health check calls :func:`silences`
regularly. A wake-up is queued only then, so a process without health checks has no extra work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from .living import Living
from .process import generation

__all__ = ["answering", "silences"]

#: Maximum time that one look adds to a silence, in seconds. After the machine or the process was suspended, the clock may have
#: advanced by hours in which no thread could run.
LONGEST_LOOK: Final = 1.5


class Pulse:
    """The wake-ups of one thread, and whether it has answered them.

    :ivar name: name of the thread.
    :param name: name of the thread.
    :param post: function that queues a function for the thread and wakes it. It must not block.
    """

    def __init__(self, name: str, post: Callable[[Callable[..., None]], object]) -> None:
        self.name: str = name
        self._post = post
        self._generation = generation()
        self._waiting = False
        self._silent = 0.0
        self._looked = 0.0
        #: Whether the thread has ended, so that no answer is expected.
        self.over: bool = False

    @property
    def ours(self) -> bool:
        """Whether the thread is one of this process, and still runs."""
        return not self.over and self._generation == generation()

    def silence(self) -> float:
        """Return for how long the thread has not answered, in seconds. If it has answered, wake it again.

        Only one thread may call this method.
        """
        now = time.monotonic()
        if self._waiting:
            self._silent += min(now - self._looked, LONGEST_LOOK)
        else:
            self._silent, self._waiting = 0.0, True
            self._post(self._answer)
        self._looked = now
        return self._silent

    def _answer(self, *_: Any) -> None:
        self._waiting = False


_pulses: Final[Living[Pulse]] = Living()


@contextmanager
def answering(name: str, post: Callable[[Callable[..., None]], object]) -> Iterator[None]:
    """Expect the current thread to answer wake-ups for the duration of the block.

    :param name: name of the thread.
    :param post: function that queues a function for the thread and wakes it. It must not block.
    """
    pulse = Pulse(name, post)
    _pulses.add(pulse)
    try:
        yield
    finally:
        pulse.over = True


def silences() -> dict[str, float]:
    """Return for how long each IO thread of this process has not answered a wake-up, in seconds, by the thread's name.

    The result is exact to the interval between two calls. Only one thread may call this function.
    """
    return {pulse.name: pulse.silence() for pulse in _pulses if pulse.ours}
