"""The rows of detectors of speech, and of conversations. Each one judges one of the columns."""

from __future__ import annotations

from typing import Final

from .rows import Row

__all__ = ["JUDGED_CELLS", "SPEECH_ROWS"]

#: Cells in which detectors of this package have to find everything.
_CLEAR: Final = ("clean", "white 20 dB")
_LOUD: Final = ("white 5 dB", "pink 5 dB")
_TONES: Final = ("DTMF alone", "ring-back alone")
#: All cells that rows judge.
JUDGED_CELLS: Final = (*_CLEAR, *_LOUD, *_TONES)
#: Where even a thread that reads its own socket is late by more, the machine is too busy to say anything.
_QUIET: Final = ("webrtcvad", 10.0)


def _faultless(client: str, cell: str, title: str) -> Row:
    """The row of the utterances that a detector misses, finds falsely or splits in a cell."""
    return Row(title=title, scenario="detectors", figure=f"{cell}, wrong", unit="", client=client, absolute=0, digits=0)


def _found(client: str, cell: str) -> tuple[Row, ...]:
    """Rows of a cell in which a detector has to find everything."""
    noise = {"clean": "without noise"}.get(cell, cell)
    return (
        _faultless(client, cell, f"utterances missed, found falsely or split, {noise}"),
        *(
            Row(
                title=f"error of the {edge}, p95, {noise}",
                scenario="detectors",
                figure=f"{cell}, {edge} p95",
                unit="ms",
                client=client,
                absolute=120,
                digits=0,
            )
            for edge in ("start", "end")
        ),
    )


def _conversing(client: str) -> tuple[Row, ...]:
    """Rows of 20 conversations with a detector."""
    scenario = "conversations 20"
    return (
        *(
            Row(
                title=title,
                scenario=scenario,
                figure=figure,
                unit="ms",
                client=client,
                absolute=goal,
                calm=_QUIET,
                digits=1,
            )
            for title, figure, goal in (
                ("`recognize` called after the frame with which the silence has lasted, p99", "late p99", 40),
                ("first frame of an answer after its first PCM, p99", "first p99", 30),
            )
        ),
        Row(title="frames lost", scenario=scenario, figure="lost", unit="", client=client, absolute=0, digits=0),
    )


#: Detectors of speech, and conversations. Each row judges one of the columns.
SPEECH_ROWS: Final = (
    *(row for cell in _CLEAR for row in _found("energy", cell)),
    *(row for cell in _LOUD for row in _found("silero", cell)),
    *(
        _faultless(client, cell, f"utterances found in a minute of {cell.removesuffix(' alone')}")
        for cell in _TONES
        for client in ("energy", "silero")
    ),
    Row(title="CPU per second of audio", scenario="detectors", figure="cpu", unit="ms", client="energy", absolute=1),
    Row(title="the same", scenario="detectors", figure="cpu", unit="ms", client="silero", absolute=8),
    *_conversing("energy"),
    *_conversing("silero"),
    Row(
        title="conversations that one core serves",
        scenario="conversations 20",
        figure="each core",
        unit="",
        client="energy",
        more_is_better=True,
        digits=0,
    ),
)
