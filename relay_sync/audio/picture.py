"""Render recorded audio as HTML for notebooks, with a player and a waveform. The HTML contains no scripts."""

from __future__ import annotations

import base64
import html
import sys
from array import array
from collections.abc import Callable, Sequence

from ..notebook_html import LINES, TEXT, axis
from .wav import wav_header

__all__ = ["PLAYED", "html_picture", "peaks_of", "svg_waveform"]

PLAYED = 60.0  # maximum seconds in the player, because a notebook stores the audio in its file
_COLUMNS = 600
_HEIGHT = 48  # height of one channel, in px
_LOOKED_AT = 4000  # maximum samples to read per column, which bounds the work for long recordings
_QUIET = 64

#: A channel, and the start and end of an utterance on it, in seconds.
Spoken = tuple[int, float, float]
Excerpt = Callable[[int, int], bytes]


def peaks_of(excerpt: Excerpt, samples: int, channels: int, columns: int = _COLUMNS) -> list[list[int]]:
    """Return each channel's peak amplitudes, one per column.

    :param excerpt: function that reads interleaved PCM, given the first sample and the number of samples.
    :param samples: number of samples per channel.
    :param channels: number of channels.
    :param columns: number of time spans to divide the audio into.
    """
    peaks: list[list[int]] = [[] for _ in range(channels)]
    for column in range(columns):
        start, end = (
            column * samples // columns,
            max((column + 1) * samples // columns, column * samples // columns + 1),
        )
        part = array("h", excerpt(start, min(end - start, _LOOKED_AT)))
        if sys.byteorder == "big":
            part.byteswap()
        for index, channel in enumerate(peaks):
            side = part[index::channels]
            channel.append(max(max(side), -min(side)) if side else 0)
    return peaks


def svg_waveform(
    peaks: Sequence[Sequence[int]], labels: Sequence[str], seconds: float, spoken: Sequence[Spoken] = ()
) -> str:
    """Return a waveform as inline SVG, with one band per channel and a time axis. All channels use the same scale.

    Utterances have a shaded background.
    """
    loudest = max([_QUIET, *(peak for channel in peaks for peak in channel)])
    width = max([1, *(len(channel) for channel in peaks)])
    height = _HEIGHT * max(1, len(peaks))
    # The inner <svg> is stretched to the width of the page; text in it would be distorted.
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="{height + 18}" role="img"'
        f' style="display:block;{TEXT}" aria-label="waveform, {seconds:.1f} s">'
        f'<svg viewBox="0 0 {width} {height}" width="100%" height="{height}" preserveAspectRatio="none">'
    ]
    for channel_index, start, end in spoken:
        if channel_index < len(peaks) and seconds > 0:
            first, last = (max(0.0, min(1.0, at / seconds)) * width for at in (start, end))
            parts.append(
                f'<rect x="{first:.1f}" y="{_HEIGHT * channel_index + 1}" width="{max(1.0, last - first):.1f}"'
                f' height="{_HEIGHT - 2}" fill="{LINES[channel_index % 2]}" fill-opacity="0.2">'
                f"<title>utterance, {start:.2f} to {end:.2f} s</title></rect>"
            )
    for index, channel in enumerate(peaks):
        middle = _HEIGHT * index + _HEIGHT // 2
        bars = []
        for x, peak in enumerate(channel):
            half = (peak / loudest) ** 0.5 * (_HEIGHT / 2 - 2) if peak >= _QUIET else 0.0
            bars.append(f"M{x}.5 {middle - half:.1f}V{middle + half + 0.5:.1f}")
        label = html.escape(labels[index] if index < len(labels) else str(index + 1))
        parts.append(f'<path d="{"".join(bars)}" stroke="{LINES[index % 2]}" fill="none"><title>{label}</title></path>')
    return "".join([*parts, "</svg>", axis(seconds, height + 1), "</svg>"])


def html_picture(
    excerpt: Excerpt,
    *,
    samples: int,
    channels: int,
    sample_rate: int,
    labels: Sequence[str] = (),
    spoken: Sequence[Spoken] = (),
) -> str:
    """Return HTML with a player and a waveform, in which utterances are marked.

    If the recording is longer than a minute, the player contains only the first minute, and a note mentions ``save()``.
    """
    seconds = samples / sample_rate
    played = min(samples, round(PLAYED * sample_rate))
    pcm = excerpt(0, played)
    wav = wav_header(sample_rate, channels, len(pcm)) + pcm
    source = "data:audio/wav;base64," + base64.b64encode(wav).decode("ascii")
    more = f"<div>the first {PLAYED:g} of {seconds:.1f} s; save() writes all of it</div>" if played < samples else ""
    drawn = svg_waveform(peaks_of(excerpt, samples, channels), labels, seconds, spoken)
    names = "".join(
        f'<span style="margin-right:16px"><span style="color:{LINES[index % 2]}">&#9632;</span> {html.escape(label)}</span>'
        for index, label in enumerate(labels)
    )
    player = (
        f'<audio controls preload="metadata" style="display:block;margin:4px 0;max-width:100%" src="{source}"></audio>'
    )
    return f"{player}{more}{drawn}<div>{names}</div>"
