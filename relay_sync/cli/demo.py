"""The ``relay-sync demo`` command, which makes a simulated call and verifies its audio."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Final

from .._version import __version__
from ..audio import WavAudio, draw_waveform, read_wav
from ..audio.coders import check_available
from ..errors import InvalidParameter, UnsupportedCodec
from ..simulator import speech
from ..simulator.media.formats import Format, parse_codec
from ..simulator.media.voice import Voice, load_voice
from .arguments import CODECS
from .check import differences
from .conversation import PARTIES, Outcome, Scene, converse
from .mistakes import Mistake, Unsuccessful
from .progress import make_progress
from .streams import can_show
from .timeline import MomentLog

__all__ = ["run"]

#: Number of columns used by the labels.
_BESIDE: Final = 10
_NEXT: Final = 'Next:    README.md, "A first program"; every parameter: python -m pydoc relay_sync.Call.stream'


def run(arguments: argparse.Namespace) -> int:
    """Make the call and print the result.

    :param arguments: parsed arguments.
    :return: the exit code 0.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: the call failed, or the received audio differs from the sent audio.
    """
    scene = Scene(
        says=_voice(arguments.says),
        hears=load_voice(speech.greeting(), "hears"),
        track=arguments.track,
        codec=_codec(arguments.codec),
        out=_target(arguments.out),
        fast=arguments.fast,
    )
    print(f"relay-sync {__version__} demo: a phone call on this machine, without an account\n", flush=True)
    timeline = MomentLog()
    before = _version(scene.out)
    try:
        with make_progress(scene.seconds) as progress:
            outcome = converse(scene, timeline, progress)
        return _shown(arguments.out, scene, timeline, outcome)
    except KeyboardInterrupt as end:
        saved = _version(scene.out) != before  # The handler may have saved the file before or after the interrupt.
        end.add_note(f"the audio is in {arguments.out}" if saved else "nothing was saved")
        raise


def _version(path: Path) -> tuple[int, int] | None:
    """Return a value that changes when the file is replaced, or ``None`` if the file does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _shown(out: str, scene: Scene, timeline: MomentLog, outcome: Outcome) -> int:
    recorded = _read_back(scene.out)
    tracks = list(scene.voices)
    print(f"\n{timeline.table()}\n")
    print(_drawn(recorded, [PARTIES[name] for name in tracks]))
    wrong = _judge(outcome, recorded)
    if wrong:
        raise Unsuccessful("the received audio differs from the sent audio: " + "; ".join(wrong))
    print(f"\nChecked: {_count(outcome)}, identical to the sent audio")
    print(f"Audio:   {out} ({_format(recorded, tracks)})")
    print(_NEXT)
    return 0


# -- arguments -----------------------------------------------------------------------------------------------------------


def _voice(path: str | None) -> Voice:
    try:
        voice = load_voice(speech.caller() if path is None else path, "says")
    except InvalidParameter as error:
        raise Mistake("--says", f"{path}: expected {error.accepted}") from error
    except OSError as error:
        raise Mistake("--says", f"{path}: {error.strerror or error}") from error
    if not voice.pcm:
        raise Mistake("--says", f"{path}: the file contains no audio")
    return voice


def _codec(text: str) -> str:
    try:
        wanted: Format = parse_codec(text, 20)
    except ValueError as error:
        raise Mistake("--codec", f"{text!r}: {error}") from error
    if not wanted.playable:
        raise Mistake("--codec", f"{text!r}: expected {CODECS}")
    try:
        check_available(wanted.base)
    except UnsupportedCodec as error:
        raise Mistake("--codec", f"{text!r}: {error}") from error
    return text


def _target(text: str) -> Path:
    """Return the path of the file to save.

    :raises Mistake: the file cannot be written. This is checked before the call is made.
    """
    path = Path(os.path.abspath(text))
    if path.is_dir():
        raise Mistake("--out", f"{text}: is a folder; pass a file")
    if path.exists() and not path.is_file():  # Saving would replace a device or pipe.
        raise Mistake("--out", f"{text}: exists and is not a regular file")
    if not path.parent.is_dir():
        raise Mistake("--out", f"{text}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise Mistake("--out", f"{text}: the folder {path.parent} is not writable")
    return path


# -- result --------------------------------------------------------------------------------------------------------------


def _drawn(recorded: WavAudio, labels: list[str]) -> str:
    """Draw the waveform to fit the terminal's width, using only characters that the encoding supports."""
    width = max(10, min(100, shutil.get_terminal_size().columns) - _BESIDE)
    drawn = draw_waveform(recorded, width=width, labels=labels)
    return drawn if can_show(drawn) else draw_waveform(recorded, width=width, labels=labels, ascii=True)


def _read_back(path: Path) -> WavAudio:
    try:
        return read_wav(path)
    except (OSError, ValueError) as error:
        raise Unsuccessful(f"the audio was saved but cannot be read: {error}") from error


def _judge(outcome: Outcome, recorded: WavAudio) -> list[str]:
    wrong = differences(recorded, outcome.sent)
    if outcome.end_reason != "stopped":
        wrong.append(f"the stream was {outcome.end_reason}, not stopped")
    if outcome.stats.bad_frames:
        wrong.append(f"{outcome.stats.bad_frames} messages could not be decoded")
    return wrong


def _count(outcome: Outcome) -> str:
    samples = sum(len(pcm) // 2 for pcm in outcome.sent.values())
    tracks = "1 track" if len(outcome.sent) == 1 else f"{len(outcome.sent)} tracks"
    return f"{samples:,} samples on {tracks}"


def _format(recorded: WavAudio, tracks: list[str]) -> str:
    who = "mono" if len(tracks) == 1 else "stereo, caller on the left, what the caller hears on the right"
    return f"{recorded.duration:.1f} s, 16-bit PCM, {recorded.sample_rate} Hz, {who}"
