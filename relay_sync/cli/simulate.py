"""The ``relay-sync simulate`` command, which runs the simulator as a server."""

from __future__ import annotations

import argparse
import errno
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..errors import InvalidParameter
from ..hosts.names import is_loopback
from ..simulator import Simulator
from ..simulator.http.control.server import ControlServer
from ..threads import file_lock
from ..threads.outcome import wait_for_event
from .ending import stop_flag
from .mistakes import Mistake, Unsuccessful

__all__ = ["run"]

_IN_USE: Final = "was written by a simulator that is still running"
_NOT_OURS: Final = "the file exists and was not written by relay-sync simulate"
#: Keys in the credentials file.
_MEMBERS: Final = {"project", "token", "host", "control", "control_token"}
#: Maximum size of the credentials file, in bytes.
_LONGEST: Final = 64 * 1024
CONTROL_TOKEN: Final = "RELAY_SIMULATOR_CONTROL_TOKEN"


def run(arguments: argparse.Namespace) -> int:
    """Run the simulator until SIGTERM, Ctrl-C or SIGHUP.

    :param arguments: parsed arguments.
    :return: the exit code 0.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: a port is not available, or the credentials file cannot be written.
    """
    _check(arguments)
    with stop_flag() as stopped, _simulator(arguments) as simulator:
        try:
            control = ControlServer(
                simulator,
                host=arguments.host,
                port=arguments.control_port,
                token=_setting(CONTROL_TOKEN) or secrets.token_urlsafe(24),
            )
        except OSError as error:
            raise Unsuccessful(f"port {arguments.control_port} is not available: {error.strerror or error}") from error
        with control, _written(arguments.credentials, simulator, control):
            _announce(arguments, simulator, control)
            wait_for_event(stopped, None)
    _say("stopped")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    for name in ("port", "control_port"):
        port = getattr(arguments, name)
        if not 0 <= port < 65536:
            raise Mistake.invalid(f"--{name.replace('_', '-')}", port, "a number from 0 to 65535")
    if not is_loopback(arguments.host) and not arguments.allow_remote:
        raise Mistake("--host", f"{arguments.host} is not on loopback; add --allow-remote to allow it")
    if arguments.credentials:
        _check_file(Path(arguments.credentials), arguments.credentials)
    for name in ("SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN", CONTROL_TOKEN):
        _setting(name)
    published = arguments.credentials or arguments.show_tokens
    if not published and not (os.environ.get("SIGNALWIRE_API_TOKEN") and os.environ.get(CONTROL_TOKEN)):
        raise Mistake(
            "--credentials",
            f"missing: pass --credentials FILE or --show-tokens, or set SIGNALWIRE_API_TOKEN and {CONTROL_TOKEN};"
            " otherwise clients have no way to get the generated tokens",
        )


def _setting(name: str) -> str | None:
    """Return the value of an environment variable, or ``None`` if it is not set.

    :raises Mistake: the value contains spaces or unprintable characters, which are not allowed in the shell assignment that is
        printed.
    """
    value = os.environ.get(name) or None
    if value is not None and (not value.isprintable() or " " in value):
        raise Mistake(f"${name}", "must be printable, without spaces and line breaks")
    return value


def _check_file(file: Path, given: str) -> None:
    if not file.parent.is_dir():
        raise Mistake("--credentials", f"{given}: the folder {file.parent} does not exist")
    if os.path.lexists(file) and not _is_ours(file):
        raise Mistake("--credentials", f"{given}: {_NOT_OURS}; remove it, or pass another file")


@contextmanager
def _simulator(arguments: argparse.Namespace) -> Iterator[Simulator]:
    try:
        simulator = Simulator(
            host=arguments.host,
            port=arguments.port,
            project=_setting("SIGNALWIRE_PROJECT_ID"),
            token=_setting("SIGNALWIRE_API_TOKEN"),
            signing_key=os.environ.get("SIGNALWIRE_SIGNING_KEY") or None,
            media="fast" if arguments.fast else "realtime",
            speed=arguments.speed,
            strict=arguments.strict,
            allow_remote=arguments.allow_remote,
        )
    except InvalidParameter as wrong:
        raise Mistake.of(wrong, signing_key="$SIGNALWIRE_SIGNING_KEY") from wrong
    try:
        simulator.start()
    except OSError as error:
        raise Unsuccessful(f"port {arguments.port} is not available: {error.strerror or error}") from error
    try:
        yield simulator
    finally:
        simulator.close()


@contextmanager
def _written(path: str | None, simulator: Simulator, control: ControlServer) -> Iterator[None]:
    """Write the credentials file, and delete it at the end of the ``with`` block."""
    if path is None:
        yield
        return
    file = Path(path)
    content = {**simulator.credentials, "control": control.url, "control_token": control.token}
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


def _announce(arguments: argparse.Namespace, simulator: Simulator, control: ControlServer) -> None:
    given = simulator.credentials
    where = f"see {arguments.credentials}" if arguments.credentials else "from the environment"

    def secret(name: str, value: str) -> str:
        # The lines are pasted into a shell, so a hidden token is a comment.
        return f"{name}={value}" if arguments.show_tokens else f"# {name}: {where}"

    _say(f"SIGNALWIRE_SPACE={given['host']}")
    _say(f"SIGNALWIRE_PROJECT_ID={given['project']}")
    _say(secret("SIGNALWIRE_API_TOKEN", given["token"]))
    _say(f"RELAY_SIMULATOR_CONTROL={control.url}")
    _say(secret(CONTROL_TOKEN, control.token))
    _say("ready; press Ctrl-C or send SIGTERM to stop")


def _say(line: str) -> None:
    print(line, flush=True)
