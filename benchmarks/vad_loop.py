"""Utterances by the detector of WebRTC in a loop, as programs find them without this package."""

from __future__ import annotations

import importlib
from collections import deque
from typing import Any, Final

__all__ = ["VadLoop"]

RATE: Final = 8000
#: Bytes in a frame of 20 ms.
SIZE: Final = 2 * RATE // 50
#: The least tolerant of the detector's modes, from 0 to 3.
_MODE: Final = 3
#: An utterance begins when 9 of 10 frames are speech. It starts with the first of them.
_WINDOW: Final = 10
_VOICED: Final = 9


class VadLoop:
    """Takes frames of 20 ms, and returns an utterance when ``silence`` seconds without speech follow it.

    :param silence: in seconds.
    """

    def __init__(self, silence: float = 0.6) -> None:
        self._vad: Any = importlib.import_module("webrtcvad").Vad(_MODE)
        self._most = round(silence * 50)
        self._last: deque[tuple[int, bool]] = deque(maxlen=_WINDOW)
        self._number = 0
        self._start: int | None = None
        self._end = 0

    def push(self, pcm: bytes) -> tuple[float, float] | None:
        """Take a frame.

        :return: start and end of the utterance that has ended, in seconds.
        """
        voiced = self._vad.is_speech(pcm, RATE)
        number, self._number = self._number, self._number + 1
        if self._start is None:
            self._last.append((number, voiced))
            if sum(each for _, each in self._last) >= _VOICED:
                self._start = next(at for at, each in self._last if each)
                self._end = number + 1
                self._last.clear()
            return None
        if voiced:
            self._end = number + 1
        if number + 1 - self._end < self._most:
            return None
        return self.finish()

    def finish(self) -> tuple[float, float] | None:
        """End the utterance that has not ended, if there is one."""
        if self._start is None:
            return None
        found, self._start = (self._start / 50, self._end / 50), None
        return found
