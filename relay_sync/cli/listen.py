"""The ``relay-sync listen`` command, which receives streams and shows their levels."""

from __future__ import annotations

import argparse
import os
import shutil
import threading
from pathlib import Path
from typing import Final

from ..audio import AudioServer, AudioStream
from ..errors import InvalidParameter
from ..hosts.listening import PortInUse, explained, is_everywhere
from ..text.wording import counted
from ..threads.outcome import wait_for_event
from .ending import stop_flag
from .log_lines import logged_through
from .meters import Display, Meter, make_display
from .mistakes import Mistake, Unsuccessful
from .pictures import StreamPicture
from .streams import can_show, is_lost

__all__ = ["TOKEN_VARIABLE", "run"]

TOKEN_VARIABLE: Final = "RELAY_AUDIO_TOKEN"
_LONGEST_TOKEN: Final = 16 * 1024  # bytes
CLOSING: Final = 10.0  # Time to close streams and files, in seconds.


def run(arguments: argparse.Namespace) -> int:
    """Receive streams until Ctrl-C, SIGTERM or SIGHUP.

    :param arguments: parsed arguments.
    :return: the exit code 0.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: the port is not available, or a recording is incomplete.
    """
    display = make_display()
    listening = _Listening(display)
    audio = _server(arguments, listening)
    with logged_through(display.say), stop_flag(second_raises=True) as stopped:
        try:
            audio.start()
        except OSError as error:
            # The server's own error suggests a port range, which this command does not accept.
            why = explained(error, error.where) if isinstance(error, PortInUse) else error
            raise Unsuccessful(f"port {arguments.port} is not available: {why.strerror or why}") from error
        try:
            with display:
                display.say(_greeting(arguments, audio))
                while not wait_for_event(stopped, display.interval):
                    display.show(listening.meters)
                    if is_lost() and arguments.save is None:  # The output is closed and nothing is saved.
                        break
                display.say("stopping: closing streams and files")
                audio.close(CLOSING)
        finally:
            audio.close(CLOSING)
    display.say(counted(listening.count, "stream"))
    if listening.cut_short:
        lost = counted(listening.cut_short, "recording is", "recordings are")
        raise Unsuccessful(f"{lost} incomplete (see above)")
    return 0


class _Listening:
    """Handler for streams. The receiver calls it in a separate thread for each stream."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._lock = threading.RLock()
        self._meters: list[Meter] = []
        self.count = self.cut_short = 0

    @property
    def meters(self) -> list[Meter]:
        """Level meters for the open streams."""
        with self._lock:
            return list(self._meters)

    def __call__(self, stream: AudioStream) -> None:
        meter, picture = Meter(stream), StreamPicture()
        with self._lock:
            self._meters.append(meter)
            self.count += 1
        form = stream.media_format
        tracks = " and ".join(stream.announced_tracks) or "tracks not announced"
        self._display.say(f"{meter.name}: started, {form.encoding} at {stream.sample_rate} Hz, {tracks}")
        try:
            for frame in stream:
                meter.hear(frame)
                picture.hear(frame)
            stream.wait(CLOSING)
        finally:
            with self._lock:
                self._meters.remove(meter)
                self.cut_short += stream.recording_error is not None
        self._display.say(f"{meter.name}: {stream.end_reason} after {meter.numbers()}{_saved(stream)}{_drawn(picture)}")


def _drawn(picture: StreamPicture) -> str:
    """Return the stream's waveform, in which utterances are marked, on lines of its own; ``""`` if there was no audio."""
    width = min(100, shutil.get_terminal_size().columns)
    drawn = picture.drawn(width, ascii=not can_show("█├"))
    return drawn and f"\n{drawn}"


def _saved(stream: AudioStream) -> str:
    """Return a description of the saved recording, or ``""`` if the stream is not recorded."""
    error, file = stream.recording_error, stream.recorded_to
    if error is None:
        return f"; saved in {file}" if file else ""
    why = error.strerror or error
    return f"; recording cut short, {file} is incomplete: {why}" if file else f"; not saved: {why}"


def _server(arguments: argparse.Namespace, listening: _Listening) -> AudioServer:
    for option in ("save", "path"):
        if getattr(arguments, option) == "":
            raise Mistake(f"--{option}", "must not be empty")
    token, source = _token(arguments.token_file)
    folder = None if arguments.save is None else Path(arguments.save)
    try:
        audio = AudioServer(
            arguments.host,
            arguments.port,
            path=arguments.path,
            token=token,
            record_to=None if folder is None else _escaped(folder) + os.sep + "{call_id}.wav",
            on_stream=listening,
            spool=False,
            reorder_seconds=arguments.reorder,
            l16_byteorder=arguments.l16_byteorder,
        )
    except InvalidParameter as error:
        raise Mistake.of(error, reorder_seconds="--reorder", record_to="--save", token=source) from error
    if folder is not None:  # Create the folder only after the other arguments have been checked.
        _make(folder)
    return audio


def _token(file: str | None) -> tuple[str | None, str]:
    """Return the bearer token and its source.

    The token cannot be given on the command line, because other users of the machine can read it there.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None, f"${TOKEN_VARIABLE}"
    if not file:
        raise Mistake("--token-file", "must not be empty")
    try:
        with open(file, "rb") as source:  # Limit the size, because the file may be a device or a pipe.
            read = source.read(_LONGEST_TOKEN + 1)
        if len(read) > _LONGEST_TOKEN:
            raise Mistake("--token-file", f"{file} has more than {_LONGEST_TOKEN} bytes, which is too long for a token")
        token = read.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Mistake("--token-file", f"{file} cannot be read: {why}") from None
    if not token:
        raise Mistake("--token-file", f"{file} is empty")
    return token, "--token-file"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Mistake("--save", f"{folder}: {error.strerror or error}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Mistake("--save", f"{folder}: the folder is not writable")


def _escaped(folder: Path) -> str:
    return str(folder).replace("{", "{{").replace("}", "}}")


def _greeting(arguments: argparse.Namespace, audio: AudioServer) -> str:
    needed = arguments.token_file is not None or os.environ.get(TOKEN_VARIABLE)
    who = "senders need the bearer token" if needed else "no token: any client that reaches this port can send audio"
    kept = f", saving in {arguments.save}" if arguments.save is not None else ""
    others = " and all other addresses of this machine" if is_everywhere(arguments.host) else ""
    return f"listening on {audio.url}{others}{kept}; {who}; press Ctrl-C to stop"
