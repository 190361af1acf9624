"""Keep the audio that a party heard, and write both sides of a conversation to a WAV file."""

from __future__ import annotations

import os
from contextlib import ExitStack
from itertools import pairwise
from typing import Final

from ..recorder import Recorder
from ..recording_files import spool_file
from ..snapshot import Snapshot
from ..user_files import replaced
from ..wav import interleave, wav_header

__all__ = ["HeardAudio"]

#: Samples that are copied at a time.
_COPY: Final = 2**18


class HeardAudio:
    """A temporary file with the audio that was heard, at the positions at which it was heard.

    :param received: the recording of the stream, for the other side of the conversation.
    :param sample_rate: sample rate in Hz.
    :param owner: description of the call, for log messages.
    """

    def __init__(self, received: Recorder, sample_rate: int, owner: str) -> None:
        self._received = received
        self._rate = sample_rate
        self._recorder = Recorder(spool_file, sample_rate, 1, owner=owner)
        self._end = 0  # position after the last audio

    def add(self, pcm: bytes, runs: list[tuple[int, float]]) -> None:
        """Write audio that was heard.

        :param pcm: the audio.
        :param runs: for each part that was heard without a gap: its first sample, and its position in seconds.
        """
        length = len(pcm) // 2
        for (first, at), (last, _) in pairwise([*runs, (length, 0.0)]):
            part = pcm[2 * first : 2 * min(last, length)]
            if part:
                position = max(self._end, round(at * self._rate))
                self._recorder.add(0, position, part)
                self._end = position + len(part) // 2
        self._recorder.settle(None)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a stereo file: what was received on the left, what was heard on the right.

        :param path: the file to write.
        :raises OSError: the file cannot be written, or audio is missing.
        """
        recorders = (self._received, self._recorder)
        for each in recorders:
            each.settle(None)
            if each.error is not None:
                raise OSError(f"the audio of the conversation is incomplete: {each.error}") from each.error
        with ExitStack() as stack:
            both = [each.snapshot() for each in recorders]
            for kept in both:
                if kept is not None:
                    stack.enter_context(kept)
            samples = max((kept.samples for kept in both if kept is not None), default=0)
            with replaced(path) as out:
                out.write(wav_header(self._rate, 2, 4 * samples))
                for start in range(0, samples, _COPY):
                    count = min(_COPY, samples - start)
                    out.write(interleave([_mono(kept, start, count) for kept in both]))


def _mono(kept: Snapshot | None, start: int, count: int) -> bytes:
    """Return the first channel of a recording, with silence where it has ended."""
    pcm = b"" if kept is None else kept.excerpt(start, count)
    if kept is not None and kept.channels > 1:
        pcm = memoryview(pcm).cast("H")[:: kept.channels].tobytes()
    return pcm.ljust(2 * count, b"\0")
