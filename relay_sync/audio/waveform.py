"""Draw a waveform in a terminal."""

from __future__ import annotations

import math
import os
import sys
from array import array
from collections.abc import Sequence

from .wav import WavAudio, read_wav

__all__ = ["columns_of", "draw_peaks", "draw_waveform", "peak", "time_axis"]

#: Characters for zero to eight eighths of a line. The ASCII variant is for terminals and logs without block characters.
_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN = " .:-=+*%#"
_QUIET = 64  # amplitude below which nothing is drawn, to hide the noise of an idle line
#: Beginning, middle and end of the mark of an utterance, and a mark that is one column wide.
_MARKS = "├─┤│"
_PLAIN_MARKS = "|-||"
_LABELS: dict[int, tuple[str, ...]] = {1: ("",), 2: ("left", "right")}


def draw_waveform(
    source: WavAudio | str | os.PathLike[str] | bytes,
    *,
    width: int = 72,
    height: int = 2,
    sample_rate: int = 8000,
    labels: Sequence[str] | None = None,
    ascii: bool = False,
    spoken: Sequence[Sequence[tuple[float, float]]] = (),
) -> str:
    """Draw an audio waveform with block characters, followed by a line with the duration.

    Each column shows the peak amplitude of its time span. All channels use the same square-root scale, so that quiet speech
    remains visible. Utterances are marked below their channel.

    :param source: a WAV file, its path, or mono 16-bit little-endian PCM.
    :param width: width of the waveform in columns.
    :param height: number of lines per channel.
    :param sample_rate: sample rate in Hz, if ``source`` is PCM.
    :param labels: labels of the channels, such as ``("inbound", "outbound")``.
    :param ascii: whether to use only ASCII characters, for terminals without block characters.
    :param spoken: for each channel, the start and end of its utterances in seconds, such as
        ``[[(said.start, said.end) for said in found]]``.
    :raises ValueError: ``width`` or ``height`` is less than 1, or the file is not a readable WAV file.
    """
    if width < 1 or height < 1:
        raise ValueError("width and height must be at least 1")
    if isinstance(source, (str, os.PathLike)):
        source = read_wav(source)
    elif isinstance(source, bytes):
        source = WavAudio(pcm=source[: len(source) & ~1], sample_rate=sample_rate, channels=1)
    if labels is None:
        labels = _LABELS.get(source.channels) or [str(number + 1) for number in range(source.channels)]
    columns = [_peaks(source.channel(index), width) for index in range(source.channels)]
    return draw_peaks(columns, source.duration, height=height, labels=labels, ascii=ascii, spoken=spoken)


def draw_peaks(
    columns: Sequence[Sequence[int]],
    seconds: float,
    *,
    height: int = 2,
    labels: Sequence[str] = (),
    ascii: bool = False,
    spoken: Sequence[Sequence[tuple[float, float]]] = (),
) -> str:
    """Draw a waveform whose peak amplitudes are known.

    :param columns: peak amplitude of each column, for each channel. All channels have the same number of columns.
    :param seconds: duration of the audio.
    :param height: number of lines per channel.
    :param labels: labels of the channels.
    :param ascii: whether to use only ASCII characters.
    :param spoken: for each channel, the start and end of its utterances in seconds.
    """
    names = list(labels)
    names += [""] * (len(columns) - len(names))
    margin = max(len(name) for name in names)
    margin += 1 if margin else 0
    width = max(len(channel) for channel in columns)
    marks = _PLAIN_MARKS if ascii else _MARKS
    loudest = max([_QUIET, *(peak for channel in columns for peak in channel)])
    blocks = _PLAIN if ascii else _BLOCKS
    lines = []
    for index, (name, peaks) in enumerate(zip(names, columns, strict=False)):
        levels = [0 if peak < _QUIET else max(1, round((peak / loudest) ** 0.5 * height * 8)) for peak in peaks]
        for row in range(height - 1, -1, -1):
            label = name if row == height - 1 else ""
            drawn = "".join(blocks[min(8, max(0, level - 8 * row))] for level in levels)
            lines.append(f"{label:<{margin}}{drawn}".rstrip())
        if index < len(spoken) and spoken[index]:
            lines.append(f"{'':<{margin}}{_marked(spoken[index], seconds, width, marks)}".rstrip())
    return "\n".join([*lines, time_axis(margin, width, seconds)])


def time_axis(margin: int, width: int, seconds: float) -> str:
    """Return the line below a picture, with its start and its duration.

    :param margin: number of columns to the left of the picture.
    :param width: number of columns of the picture.
    :param seconds: duration of the picture.
    """
    end = f"{seconds:.1f} s"
    return f"{'':<{margin}}0{end:>{max(width - 1, len(end) + 1)}}"


def columns_of(start: float, end: float, seconds: float, width: int) -> tuple[int, int]:
    """Return the first and the last column of a time span in a picture.

    :param start: start of the span in seconds.
    :param end: end of the span in seconds.
    :param seconds: duration of the picture.
    :param width: number of columns.
    """
    scale = width / seconds if seconds > 1e-9 else 0.0  # with less, it may be infinite
    first = max(0, min(width - 1, int(start * scale)))
    return first, max(first, min(width, math.ceil(end * scale - 1e-9)) - 1)


def _marked(spoken: Sequence[tuple[float, float]], seconds: float, width: int, marks: str) -> str:
    """Return a line with a mark for each utterance."""
    line = [" "] * width
    for start, end in spoken:
        first, last = columns_of(start, end, seconds, width)
        line[first : last + 1] = marks[0] + marks[1] * (last - first - 1) + marks[2] if last > first else marks[3]
    return "".join(line)


def peak(pcm: bytes) -> int:
    """Return the peak amplitude of 16-bit little-endian mono PCM.

    :param pcm: the audio.
    """
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return max(max(samples), -min(samples)) if samples else 0


def _peaks(pcm: bytes, width: int) -> list[int]:
    """Return the peak amplitudes of ``width`` time spans."""
    count = len(pcm) // 2
    peaks = []
    for column in range(width):
        first = column * count // width
        peaks.append(peak(pcm[2 * first : 2 * max((column + 1) * count // width, first + 1)]))
    return peaks
