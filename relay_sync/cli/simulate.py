"""The ``relay-sync simulate`` command, which runs the simulator as a server."""

from __future__ import annotations

import argparse
import errno
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..errors import InvalidParameter
from ..hosts.names import is_loopback
from ..simulator import ControlInterface, Simulator
from ..threads import file_lock
from ..threads.outcome import wait_for_event
from .arguments import CONTROL_TOKEN
from .ending import stop_flag
from .mistakes import Mistake, Unsuccessful, check_port
from .runtime_files import announced

__all__ = ["run", "started"]

_IN_USE: Final = "was written by a simulator that is still running"
_NOT_OURS: Final = "the file exists and was not written by relay-sync simulate"
#: Keys in the credentials file.
_MEMBERS: Final = {"project", "token", "host", "control", "control_token"}
#: Maximum size of the credentials file, in bytes.
_LONGEST: Final = 64 * 1024


def run(arguments: argparse.Namespace) -> int:
    """Run the simulator until SIGTERM, Ctrl-C or SIGHUP.

    :param arguments: parsed arguments.
    :return: the exit code 0.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: a port is not available, or the credentials file cannot be written.
    """
    _check(arguments)
    with stop_flag() as stopped, started(_simulator(arguments), arguments.port) as simulator:
        with (
            ControlInterface(simulator, key=_setting(CONTROL_TOKEN)) as control,
            _written(arguments.credentials, simulator, control),
            announced(control.url, control.key, simulator.instance_id, "relay-sync simulate", _note),
        ):
            _announce(arguments, simulator, control)
            wait_for_event(stopped, None)
    _say("stopped")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    check_port(arguments.port)
    if not is_loopback(arguments.host) and not arguments.allow_remote:
        raise Mistake("--host", f"{arguments.host} is not on loopback; add --allow-remote to allow it")
    if arguments.credentials:
        _check_file(Path(arguments.credentials), arguments.credentials)
    for name in ("SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN", CONTROL_TOKEN):
        _setting(name)


def _setting(name: str) -> str | None:
    """Return the value of an environment variable, or ``None`` if it is not set.

    :raises Mistake: the value contains spaces, unprintable characters or, in the key of the control interface, characters
        other than ASCII. They are not allowed in the shell assignment that is printed, or in a header.
    """
    value = os.environ.get(name) or None
    if value is not None and (not value.isprintable() or " " in value):
        raise Mistake(f"${name}", "must be printable, without spaces and line breaks")
    if value is not None and name == CONTROL_TOKEN and not value.isascii():
        raise Mistake(f"${name}", "must consist of ASCII characters, because it is sent in a header")
    return value


def _check_file(file: Path, given: str) -> None:
    if not file.parent.is_dir():
        raise Mistake("--credentials", f"{given}: the folder {file.parent} does not exist")
    if os.path.lexists(file) and not _is_ours(file):
        raise Mistake("--credentials", f"{given}: {_NOT_OURS}; remove it, or pass another file")


@contextmanager
def started(simulator: Simulator, port: int) -> Iterator[Simulator]:
    """Start a simulator, and close it at the end of the ``with`` block.

    :param simulator: the simulator.
    :param port: its port, for the message.
    :raises Unsuccessful: the port is not available.
    """
    try:
        simulator.start()
    except OSError as error:
        raise Unsuccessful(f"port {port} is not available: {error.strerror or error}") from error
    try:
        yield simulator
    finally:
        simulator.close()


def _simulator(arguments: argparse.Namespace) -> Simulator:
    try:
        return Simulator(
            host=arguments.host,
            port=arguments.port,
            project=_setting("SIGNALWIRE_PROJECT_ID"),
            token=_setting("SIGNALWIRE_API_TOKEN"),
            signing_key=os.environ.get("SIGNALWIRE_SIGNING_KEY") or None,
            media="fast" if arguments.fast else "realtime",
            speed=arguments.speed,
            strict=arguments.strict,
            acknowledge_only=arguments.acknowledge_only,
            accept_any_credentials=arguments.accept_any_credentials,
            dial_winner=arguments.dial_winner,
            ping_interval=arguments.ping_interval or None,
            journal_limit=arguments.journal_limit,
            allow_remote=arguments.allow_remote,
        )
    except InvalidParameter as wrong:
        raise Mistake.of(wrong, signing_key="$SIGNALWIRE_SIGNING_KEY") from wrong


@contextmanager
def _written(path: str | None, simulator: Simulator, control: ControlInterface) -> Iterator[None]:
    """Write the credentials file, and delete it at the end of the ``with`` block."""
    if path is None:
        yield
        return
    file = Path(path)
    content = {**simulator.credentials, "control": control.url, "control_token": control.key}
    still_ours = False
    try:
        if _is_in_use(file):
            _say(f"{path} {_IN_USE}; it now contains the credentials of this one")
        _write_privately(file, json.dumps(content, indent=2) + "\n")
        ours = file.open("rb")  # Keep the file open, so that its inode number is not reused.
        file_lock.lock(ours)
    except OSError as error:
        raise Unsuccessful(f"{path} cannot be written: {error.strerror or error}") from error
    try:
        with ours:
            try:
                yield
            finally:
                with suppress(OSError):
                    still_ours = os.path.samestat(os.lstat(file), os.fstat(ours.fileno()))
    finally:
        if still_ours:  # Another simulator may have replaced the file.
            file.unlink(missing_ok=True)


def _write_privately(file: Path, text: str) -> None:
    """Write a file atomically, with read permission for the current user only.

    An existing file is replaced only if it was written by a simulator. A simulator that is killed leaves its file behind.

    :raises OSError: the file cannot be written, or a file exists that was not written by a simulator.
    """
    number, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # Creates the file with mode 0600.
    try:
        with os.fdopen(number, "w") as out:
            out.write(text)
        if _is_ours(file):
            os.replace(temporary, file)
        else:
            _place(temporary, file)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _place(temporary: str, file: Path) -> None:
    """Rename the temporary file.

    :raises FileExistsError: the destination exists.
    """
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, _NOT_OURS) from None
    except OSError:  # The file system does not support hard links. Create the destination exclusively, then replace it.
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.replace(temporary, file)


def _is_ours(file: Path) -> bool:
    """Return whether one of this user's simulators wrote the file.

    It must be a regular file owned by the user, and contain a JSON object with exactly the expected keys.
    """
    try:
        about = os.lstat(file)
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LONGEST or about.st_uid != _user():
            return False
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and set(content) == _MEMBERS


def _is_in_use(file: Path) -> bool:
    """Return whether the simulator that wrote the file is still running and holds its lock."""
    if not _is_ours(file):  # Do not open other files: opening a pipe without a writer would block.
        return False
    try:
        with file.open("rb") as there:
            return not file_lock.lock(there)
    except OSError:
        return False


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # On Windows, st_uid is always 0.


def _announce(arguments: argparse.Namespace, simulator: Simulator, control: ControlInterface) -> None:
    given = simulator.credentials
    # A log may be read by others. A terminal is not.
    is_shown = arguments.show_tokens or (sys.stdout.isatty() and not arguments.credentials)

    def secret(name: str, value: str) -> str:
        where = "from the environment" if os.environ.get(name) else "generated; --show-tokens prints it"
        if arguments.credentials:
            where = f"see {arguments.credentials}"
        # The lines are pasted into a shell, so a hidden token is a comment.
        return f"{name}={value}" if is_shown else f"# {name}: {where}"

    _say(f"SIGNALWIRE_SPACE={given['host']}")
    _say(f"SIGNALWIRE_PROJECT_ID={given['project']}")
    _say(secret("SIGNALWIRE_API_TOKEN", given["token"]))
    _say(f"RELAY_SIMULATOR_CONTROL={control.url}")
    _say(secret(CONTROL_TOKEN, control.key))
    _say("ready; press Ctrl-C or send SIGTERM to stop")


def _note(line: str) -> None:
    print(f"# {line}", file=sys.stderr, flush=True)


def _say(line: str) -> None:
    print(line, flush=True)
