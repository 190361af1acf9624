"""The table of what each detector of speech finds in which noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .figures import Series

__all__ = ["DETECTORS", "HEAD", "cells"]

DETECTORS: Final = ("energy", "silero", "webrtcvad")
HEAD: Final = """\
Detectors hear the 36 utterances of `tests/data/speech`, with pauses of 1.5 s, in 8 kHz mu-law. Noise is added before the audio is
encoded; its level is given relative to the active level of the utterances, and each noise is tried with two seeds. Start and end
are those of the clean audio, so in loud noise some first and last sounds cannot be heard. **energy** and **silero**: the
detectors of this package, behind `stream.utterances()`. **webrtcvad**: `webrtcvad-wheels` in a loop, as programs use it. CPU
includes everything from decoded audio to utterances.

Conversations: 20 at once in one process, and its callers in another process speak in real time. **webrtcvad** is a thread per
connection on the `websockets` sync API there. Times count from the frame that the caller's process sends, and to the frame that
it receives.
"""


def cells(results: Mapping[str, Any]) -> list[str]:
    """A row for each noise: utterances found, found falsely, and split; and 95th percentiles of the errors of starts and ends."""
    found = results.get("detectors", {})
    names = dict.fromkeys(
        figure.removesuffix(", found") for figures in found.values() for figure in figures if figure.endswith(", found")
    )
    if not names:
        return []
    columns = [name for name in DETECTORS if name in found]
    lines = [
        "Each cell: utterances found, found falsely, split; then 95th percentiles of the errors of starts and ends, in ms.",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(_cell(name, found[column]) for column in columns) + " |")
    return lines


def _cell(name: str, figures: Mapping[str, list[float]]) -> str:
    value = {
        figure.removeprefix(f"{name}, "): Series(tuple(values)).median
        for figure, values in figures.items()
        if figure.startswith(f"{name}, ")
    }
    if not value:
        return ""
    if not value["said"]:
        return f"{value['false']:.0f} false"
    text = f"{value['found']:.0f}/{value['said']:.0f}, {value['false']:.0f} false, {value['split']:.0f} split"
    return f"{text}; {value['start p95']:.0f}, {value['end p95']:.0f}" if value["found"] else text
