"""``relay-sync simulate``: the simulator as a server, until it is told to stop."""

from __future__ import annotations

import argparse
import errno
import json
import os
import secrets
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from ..errors import InvalidParameter
from ..hosts import is_loopback
from ..runtime.signals import Handled
from ..simulator import Simulator
from ..simulator.remote import ControlServer
from .mistakes import Mistake, Unsuccessful

__all__ = ["run"]

CONTROL_TOKEN: Final = "RELAY_SIMULATOR_CONTROL_TOKEN"
_LOOK: Final = 0.1  # seconds between two looks at whether to stop


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C.

    :return: 0. :raises Mistake: an argument cannot be right. :raises Unsuccessful: the address cannot be had.
    """
    _check(arguments)
    stop = _Stop()
    with stop, _simulator(arguments) as simulator:
        try:
            control = ControlServer(
                simulator,
                host=arguments.host,
                port=arguments.control_port,
                token=os.environ.get(CONTROL_TOKEN) or secrets.token_urlsafe(24),
            )
        except OSError as error:
            raise Unsuccessful(f"port {arguments.control_port} cannot be had: {error.strerror or error}") from error
        with control, _written(arguments.credentials, simulator, control):
            _announce(arguments, simulator, control)
            stop.wait()
    _say("stopped")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    for name in ("port", "control_port"):
        if not 0 <= getattr(arguments, name) < 65536:
            raise Mistake(f"--{name.replace('_', '-')}", f"{getattr(arguments, name)} is not from 0 to 65535")
    if not is_loopback(arguments.host) and not arguments.allow_remote:
        raise Mistake("--host", f"{arguments.host} is not on loopback; add --allow-remote if you mean it")
    told = arguments.credentials or arguments.show_tokens
    if not told and not (os.environ.get("SIGNALWIRE_API_TOKEN") and os.environ.get(CONTROL_TOKEN)):
        raise Mistake(
            "--credentials",
            f"missing: give a file, or --show-tokens, or both SIGNALWIRE_API_TOKEN and {CONTROL_TOKEN} in the"
            " environment; nobody could connect otherwise",
        )


@contextmanager
def _simulator(arguments: argparse.Namespace) -> Iterator[Simulator]:
    try:
        simulator = Simulator(
            host=arguments.host,
            port=arguments.port,
            project=os.environ.get("SIGNALWIRE_PROJECT_ID") or None,
            token=os.environ.get("SIGNALWIRE_API_TOKEN") or None,
            signing_key=os.environ.get("SIGNALWIRE_SIGNING_KEY") or None,
            media="fast" if arguments.fast else "realtime",
            speed=arguments.speed,
            strict=arguments.strict,
            allow_remote=arguments.allow_remote,
        )
    except InvalidParameter as wrong:
        raise Mistake(f"--{wrong.parameter.replace('_', '-')}", wrong.message) from wrong
    try:
        simulator.start()
    except OSError as error:
        raise Unsuccessful(f"port {arguments.port} cannot be had: {error.strerror or error}") from error
    try:
        yield simulator
    finally:
        simulator.close()


@contextmanager
def _written(path: str | None, simulator: Simulator, control: ControlServer) -> Iterator[None]:
    """The file that tells how to connect, while it is true."""
    if path is None:
        yield
        return
    file = Path(path)
    told = {**simulator.credentials, "control": control.url, "control_token": control.token}
    still_ours = False
    try:
        _write_privately(file, json.dumps(told, indent=2) + "\n")
        ours = file.open("rb")  # as long as it is open, no other file is taken for it
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
        if still_ours:  # another simulator may have written its own in the meantime
            file.unlink(missing_ok=True)


def _write_privately(file: Path, text: str) -> None:
    """Write a file for nobody else's eyes, which is complete as soon as it is there. A link is replaced, not followed.

    :raises OSError: it cannot be written, or what is there is no file.
    """
    if file.exists() and not file.is_file():  # a device or a pipe would be replaced
        raise FileExistsError(errno.EEXIST, "it exists and is not a regular file")
    number, young = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # exclusively, and 0600
    try:
        with os.fdopen(number, "w") as out:
            out.write(text)
        os.replace(young, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(young)
        raise


def _announce(arguments: argparse.Namespace, simulator: Simulator, control: ControlServer) -> None:
    given = simulator.credentials
    if arguments.show_tokens:
        token, secret = given["token"], control.token
    else:
        where = f"in {arguments.credentials}" if arguments.credentials else "from the environment"
        token = secret = f"({where})"
    _say(f"SIGNALWIRE_SPACE={given['host']}")
    _say(f"SIGNALWIRE_PROJECT_ID={given['project']}")
    _say(f"SIGNALWIRE_API_TOKEN={token}")
    _say(f"RELAY_SIMULATOR_CONTROL={control.url}")
    _say(f"{CONTROL_TOKEN}={secret}")
    _say("ready; Ctrl-C or SIGTERM ends it")


def _say(line: str) -> None:
    print(line, flush=True)


class _Stop:
    """SIGTERM and Ctrl-C as a wish that is looked at now and then: the end is the usual one for a server, no interruption."""

    def __init__(self) -> None:
        self._wanted = False
        self._handled = Handled(self._want, signal.SIGINT, signal.SIGTERM)

    def _want(self, number: int, frame: FrameType | None) -> None:
        self._wanted = True

    def __enter__(self) -> _Stop:
        self._handled.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._handled.put_back()

    def wait(self) -> None:
        """Return once one of them came."""
        while not self._wanted:
            time.sleep(_LOOK)
