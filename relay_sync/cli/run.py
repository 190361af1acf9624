"""``relay-sync run``: run a client until it is stopped, in this process or in several."""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Sequence

from ..client.client import RelayClient
from ..errors import AuthenticationError, ConnectError, InvalidParameter, RelayError
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
    """Run the client in this process, or in several processes.

    :return: 0 after a graceful stop.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: the client cannot be loaded, cannot connect, or lost its session permanently.
    """
    options = {"drain": arguments.drain, "log_level": arguments.log_level}
    again = command_line("run", arguments.target, "--drain", str(arguments.drain), "--log-level", arguments.log_level)
    quiet = VARIABLE in os.environ  # the supervisor prints the error
    return serve(lambda: load_client(arguments.target, quiet=quiet), again, processes=arguments.processes, **options)


@standard_streams()
def serve(
    make: Callable[[], RelayClient], again: Sequence[str], *, processes: int, drain: float, log_level: str
) -> int:
    """Run a client in this process, or several processes of a command, under any framework.

    :param make: returns the client.
    :param again: the command that does the same in one process.
    :param processes: number of processes.
    :param drain: seconds for live calls to end after a stop request; 0 hangs up immediately.
    :param log_level: lowest level to log, unless the program configures logging.
    :return: the exit code.
    :raises Mistake: an option is invalid.
    :raises WrongConfiguration: the client is created with an invalid value, or no process can work with these settings.
    :raises Unsuccessful: the client could not connect, or lost its session permanently.
    """
    if processes < 1:
        raise Mistake("--processes", f"{processes} is not at least 1")
    if processes > 1 and os.name == "nt":
        raise Mistake("--processes", f"{processes} is not 1: Windows has no signal that stops a process gracefully")
    if not 0 <= drain < math.inf:
        raise Mistake("--drain", f"{drain:g} is not a finite number of seconds of at least 0")
    log_to_stderr(log_level)
    if processes > 1:
        try:
            return Supervisor(again, processes, patience=drain).run()
        except OSError as error:
            raise Unsuccessful(f"the processes cannot be started: {error}") from error
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
        return WrongConfiguration.code  # the supervisor prints it once for all processes
    except KeyboardInterrupt:
        # Handled here, because Flask and Django would print an abort or a traceback.
        _log.warning("interrupted")
        return INTERRUPTED
    return 0


def _made(make: Callable[[], RelayClient]) -> RelayClient:
    try:
        return make()
    except InvalidParameter as error:
        raise WrongConfiguration.of(error) from error


def _run_client(client: RelayClient, reporter: Reporter, *, drain: float) -> None:
    """Run the client until SIGTERM, Ctrl-C, or the end of the supervisor, then let live calls end.

    :param drain: seconds for live calls to end; 0 hangs up immediately.
    :raises WrongConfiguration: a supervised client failed permanently before its first connection, for example because of
        refused credentials or an unknown host.
    :raises Unsuccessful: the client could not connect, or lost its session permanently.
    """
    _stop_with_parent(client)
    try:
        with _stopped_with_terminal(client):
            client.run(drain=drain or None, hangup_calls=True, on_ready=reporter.ready)
    except RelayError as error:
        # Every process would fail in the same way. A lack of descriptors or threads is not fatal: it may pass.
        is_wrong = isinstance(error, AuthenticationError) or (isinstance(error, ConnectError) and error.fatal)
        if is_wrong and reporter.supervised and not reporter.is_ready:
            raise WrongConfiguration(error.message) from error
        raise Unsuccessful(error.message) from error


def _stopped_with_terminal(client: RelayClient) -> Handled:
    """Stop the client on SIGHUP (the terminal was closed) as on SIGTERM, unless it is ignored (``nohup``)."""
    numbers = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []  # Windows has none
    return Handled(lambda number, frame: client.stop(), *numbers, only_defaults=True)


def _stop_with_parent(client: RelayClient) -> None:
    lifeline = os.environ.pop(LIFELINE, "")
    if not lifeline.isdecimal():
        return

    def watch() -> None:
        # Nothing is ever written: read() returns when the last writer, the supervisor, has exited.
        try:
            os.read(int(lifeline), 1)
        except (OSError, OverflowError):  # not an open descriptor: there is no supervisor
            return
        client.stop()

    threading.Thread(target=watch, name="relay-run-lifeline", daemon=True).start()


def log_to_stderr(level: str) -> None:
    """Log the messages of this package to stderr, unless the program configures logging.

    :param level: the lowest level.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"%(asctime)s {os.getpid()} %(levelname)-7s %(name)s: %(message)s"))
    logger = logging.getLogger("relay_sync")
    if not logger.handlers and not logging.getLogger().handlers:
        logger.addHandler(handler)
        logger.setLevel(level.upper())
