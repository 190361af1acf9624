"""``relay-sync run``: a client until it is told to stop, in this process or in several."""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Sequence

from ..client.client import RelayClient
from ..errors import AuthenticationError, ConnectError, ConnectTimeout, InvalidParameter, RelayError
from ..threads import logs
from ..threads.signals import Handled
from .mistakes import INTERRUPTED, BrokenProgram, Mistake, Unsuccessful, WrongConfiguration
from .reports import VARIABLE, Reporter
from .streams import standard_streams
from .supervisor import LIFELINE, Supervisor, command_line
from .target import load_client

__all__ = ["log_to_stderr", "run", "serve"]

_log = logs.get("relay_sync")


def run(arguments: argparse.Namespace) -> int:
    """Run the client, or as many processes of it as were asked for.

    :return: 0 after a graceful end. :raises Mistake: an argument cannot be right. :raises Unsuccessful: it cannot be loaded,
        connect or go on.
    """
    options = {"drain": arguments.drain, "log_level": arguments.log_level}
    again = command_line("run", arguments.target, "--drain", str(arguments.drain), "--log-level", arguments.log_level)
    quiet = VARIABLE in os.environ  # the supervisor tells it
    return serve(lambda: load_client(arguments.target, quiet=quiet), again, processes=arguments.processes, **options)


@standard_streams()
def serve(
    make: Callable[[], RelayClient], again: Sequence[str], *, processes: int, drain: float, log_level: str
) -> int:
    """What ``run`` is in every world: a client in this process, or several processes of a command.

    :param make: makes the client. :param again: the command that does the same in one process.
    :param drain: seconds that live calls have at the end; 0 hangs up at once.
    :return: the exit code.
    :raises Mistake: an option cannot be right.
    :raises WrongConfiguration: the client is made with a value that cannot be right, or the processes cannot work with these
        settings.
    :raises Unsuccessful: the client could not connect, or lost its session for good.
    """
    if processes < 1:
        raise Mistake("--processes", f"{processes} is not at least 1")
    if processes > 1 and os.name == "nt":
        raise Mistake("--processes", f"{processes} is not 1: Windows has no signal that lets a process end gracefully")
    if not 0 <= drain < math.inf:
        raise Mistake("--drain", f"{drain:g} is not a number of seconds from 0 on")
    log_to_stderr(log_level)
    if processes > 1:
        try:
            return Supervisor(again, processes, patience=drain).run()
        except OSError as error:
            raise Unsuccessful(f"no process can be started: {error}") from error
    reporter = Reporter()
    try:
        _run_client(_made(make), reporter, drain=drain)
    except BrokenProgram as broken:
        if not reporter.broken(str(broken)):
            raise
        return broken.code
    except (Mistake, WrongConfiguration) as wrong:
        if not reporter.wrong(str(wrong)):
            raise
        return WrongConfiguration.code  # the supervisor prints it, once for all its processes
    except KeyboardInterrupt:
        # Here for every world: what Flask and Django make of it is an abort without a word, or a traceback.
        _log.warning("interrupted")
        return INTERRUPTED
    return 0


def _made(make: Callable[[], RelayClient]) -> RelayClient:
    try:
        return make()
    except InvalidParameter as error:
        raise WrongConfiguration.of(error) from error


def _run_client(client: RelayClient, reporter: Reporter, *, drain: float) -> None:
    """Run it until SIGTERM, Ctrl-C, or the end of the supervisor whose child this is; then let live calls end.

    :param drain: seconds for that; 0 hangs up at once.
    :raises WrongConfiguration: a supervised client whose credentials were refused before it was ever ready.
    :raises Unsuccessful: it could not connect, or lost its session for good.
    """
    _stop_with_parent(client)
    try:
        with _stopped_with_terminal(client):
            client.run(drain=drain or None, hangup_calls=True, on_ready=reporter.ready)
    except RelayError as error:
        # Other connection errors are fatal, such as a host that does not exist: every process would fail in the same way.
        is_wrong = isinstance(error, (AuthenticationError, ConnectError)) and not isinstance(error, ConnectTimeout)
        if is_wrong and reporter.supervised and not reporter.is_ready:
            raise WrongConfiguration(error.message) from error
        raise Unsuccessful(error.message) from error


def _stopped_with_terminal(client: RelayClient) -> Handled:
    """A terminal that is closed ends the client like SIGTERM, unless it is to be ignored (``nohup``)."""
    numbers = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []  # Windows has none
    return Handled(lambda number, frame: client.stop(), *numbers, only_defaults=True)


def _stop_with_parent(client: RelayClient) -> None:
    lifeline = os.environ.pop(LIFELINE, "")
    if not lifeline.isdecimal():
        return

    def watch() -> None:
        # Nothing is ever written: reading returns when the last writer, the supervisor, is no more.
        try:
            os.read(int(lifeline), 1)
        except (OSError, OverflowError):  # no descriptor of ours: there is no supervisor
            return
        client.stop()

    threading.Thread(target=watch, name="relay-run-lifeline", daemon=True).start()


def log_to_stderr(level: str) -> None:
    """Show what this package logs, unless the program has seen to that itself."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"%(asctime)s {os.getpid()} %(levelname)-7s %(name)s: %(message)s"))
    logger = logging.getLogger("relay_sync")
    if not logger.handlers and not logging.getLogger().handlers:
        logger.addHandler(handler)
        logger.setLevel(level.upper())
