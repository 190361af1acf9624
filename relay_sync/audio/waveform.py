"""Draw a waveform in a terminal."""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Sequence

from .wav import WavAudio, read_wav

__all__ = ["draw_waveform"]

#: Characters for zero to eight eighths of a line. The ASCII variant is for terminals and logs without block characters.
_BLOCKS = " ▁▂▃▄▅▆▇█"
_PLAIN = " .:-=+*%#"
_QUIET = 64  # amplitude below which nothing is drawn, to hide the noise of an idle line
_LABELS: dict[int, tuple[str, ...]] = {1: ("",), 2: ("left", "right")}


def draw_waveform(
    source: WavAudio | str | os.PathLike[str] | bytes,
    *,
    width: int = 72,
    height: int = 2,
    sample_rate: int = 8000,
    labels: Sequence[str] | None = None,
    ascii: bool = False,
) -> str:
    """Draw an audio waveform with block characters, followed by a line with the duration.

    Each column shows the peak amplitude of its time span. All channels use the same square-root scale, so that quiet speech
    remains visible.

    :param source: a WAV file, its path, or mono 16-bit little-endian PCM.
    :param width: width of the waveform in columns.
    :param height: number of lines per channel.
    :param sample_rate: sample rate in Hz, if ``source`` is PCM.
    :param labels: labels of the channels, such as ``("inbound", "outbound")``.
    :param ascii: whether to use only ASCII characters, for terminals without block characters.
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
    names = list(labels)
    names += [""] * (source.channels - len(names))
    margin = max(len(name) for name in names)
    margin += 1 if margin else 0
    columns = [_peaks(source.channel(index), width) for index in range(source.channels)]
    loudest = max([_QUIET, *(peak for channel in columns for peak in channel)])
    blocks = _PLAIN if ascii else _BLOCKS
    lines = []
    for name, peaks in zip(names, columns, strict=False):
        levels = [0 if peak < _QUIET else max(1, round((peak / loudest) ** 0.5 * height * 8)) for peak in peaks]
        for row in range(height - 1, -1, -1):
            label = name if row == height - 1 else ""
            drawn = "".join(blocks[min(8, max(0, level - 8 * row))] for level in levels)
            lines.append(f"{label:<{margin}}{drawn}".rstrip())
    end = f"{source.duration:.1f} s"
    lines.append(f"{'':<{margin}}0{end:>{max(width - 1, len(end) + 1)}}")
    return "\n".join(lines)


def _peaks(pcm: bytes, width: int) -> list[int]:
    """Return the peak amplitudes of ``width`` time spans."""
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    count = len(samples)
    peaks = []
    for column in range(width):
        part = samples[column * count // width : max((column + 1) * count // width, column * count // width + 1)]
        peaks.append(max(max(part), -min(part)) if part else 0)
    return peaks
