"""The ``relay-sync run`` command, which runs a client in one or more processes."""

from __future__ import annotations

import argparse
import errno
import logging
import math
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from .. import receivers
from ..client.client import RelayClient
from ..errors import AuthenticationError, ConnectError, InvalidParameter, RelayError
from ..health.address import parse_address
from ..health.single import OwnHealth
from ..health.snapshot import Snapshots
from ..health.verdicts import Overview
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
    """Run the client until it is stopped.

    :param arguments: parsed arguments.
    :return: the exit code, which is 0 after a graceful stop.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: the client cannot be loaded, cannot connect, or lost its session and cannot restore it.
    """
    options = {"drain": arguments.drain, "log_level": arguments.log_level, "health": arguments.health}
    again = command_line("run", arguments.target, "--drain", str(arguments.drain), "--log-level", arguments.log_level)
    quiet = VARIABLE in os.environ  # If there is a supervisor, it prints the error.
    return serve(lambda: load_client(arguments.target, quiet=quiet), again, processes=arguments.processes, **options)


@standard_streams()
def serve(
    make: Callable[[], RelayClient],
    again: Sequence[str],
    *,
    processes: int,
    drain: float,
    log_level: str,
    health: str | None = None,
) -> int:
    """Run a client until it is stopped, in this process or in several child processes.

    The framework integrations also use this function.

    :param make: function that returns the client.
    :param again: command line to start a child process.
    :param processes: number of processes. With 1, the client runs in this process.
    :param drain: maximum time to wait for live calls after a stop request, in seconds. 0 hangs up immediately.
    :param log_level: minimum level of log messages, unless the program configures logging.
    :param health: address at which health checks and metrics are served; ``None`` serves none.
    :return: the exit code.
    :raises Mistake: an option is invalid.
    :raises WrongConfiguration: the client's configuration is invalid, the server rejects it, or a receiver cannot start.
    :raises Unsuccessful: the client cannot connect, or lost its session and cannot restore it.
    """
    if processes < 1:
        raise Mistake.invalid("--processes", processes, "at least 1")
    if processes > 1 and os.name == "nt":
        raise Mistake("--processes", "Windows supports only one process: it has no signal for a graceful stop")
    if not 0 <= drain < math.inf:
        raise Mistake.invalid("--drain", f"{drain:g}", "a non-negative number of seconds")
    log_to_stderr(log_level)
    if processes > 1:
        supervisor = Supervisor(again, processes, patience=drain)
        with _served(health, supervisor.look):
            try:
                return supervisor.run()
            except OSError as error:
                raise Unsuccessful(f"the processes cannot be started: {error}") from error
    own = OwnHealth()
    with _served(health, own.look):
        return _serve_here(make, own if health is not None else None, drain=drain)


@contextmanager
def _served(health: str | None, look: Callable[[], Overview]) -> Iterator[None]:
    """Serve health checks for the duration of the block.

    :param health: address to listen on, or ``None``.
    :param look: function that returns the state of the processes.
    :raises Mistake: the address is invalid or not available.
    """
    if health is None:
        yield
        return
    from ..health.server import HealthServer  # Child processes do not need it.

    try:
        server = HealthServer(*parse_address(health), look)
    except InvalidParameter as error:
        raise Mistake.of(error) from error
    except OSError as error:
        taken = f"{health} is already in use: choose another port, or stop the program that listens there"
        raise Mistake("--health", taken if error.errno == errno.EADDRINUSE else error.strerror or str(error)) from error
    try:
        try:
            server.start()
        except RuntimeError as error:
            raise Unsuccessful(f"the thread for health checks cannot be started: {error}") from error
        yield
    finally:
        server.close()


def _serve_here(make: Callable[[], RelayClient], own: OwnHealth | None, *, drain: float) -> int:
    """Run a client in this process.

    :param make: function that returns the client.
    :param own: receives reports of this process for the health server, if there is one.
    :param drain: maximum time to wait for live calls, in seconds.
    :return: the exit code.
    """
    reporter, lifeline = Reporter(), _lifeline()
    try:
        client = _made(make)
        with _reported(client, reporter, own):
            _run_client(client, reporter, lifeline, drain=drain)
    except BrokenProgram as broken:
        if not reporter.broken(str(broken)):
            raise
        return broken.code
    except (Mistake, WrongConfiguration) as wrong:
        if not reporter.wrong(str(wrong)):
            raise
        return WrongConfiguration.code  # The supervisor prints the message once for all processes.
    except KeyboardInterrupt:
        # Handle the interrupt here, because Flask would print "Aborted!" and Django a traceback.
        _log.warning("interrupted")
        return INTERRUPTED
    return 0


@contextmanager
def _reported(client: RelayClient, reporter: Reporter, own: OwnHealth | None) -> Iterator[None]:
    """Report the state of this process once a second for the duration of the block.

    :param client: client whose connection decides whether the process is ready.
    :param reporter: sends the reports to the supervisor.
    :param own: receives them if the health server runs in this process.
    """
    snapshots = Snapshots(client)
    try:
        try:
            reporter.start(snapshots)
            if own is not None:
                own.start(snapshots)
        except RuntimeError as error:
            raise Unsuccessful(f"the thread for health reports cannot be started: {error}") from error
        yield
    finally:
        reporter.close()
        if own is not None:
            own.close()


def _made(make: Callable[[], RelayClient]) -> RelayClient:
    try:
        return make()
    except InvalidParameter as error:
        raise WrongConfiguration.of(error) from error


def _run_client(client: RelayClient, reporter: Reporter, lifeline: int | None, *, drain: float) -> None:
    """Run the client until SIGTERM, SIGHUP or Ctrl-C, or until the supervisor exits. Then wait for live calls to end.

    The program's receivers are started first.

    :param client: the client.
    :param reporter: sends reports to the supervisor.
    :param lifeline: descriptor that reaches the end of file when the supervisor exits, or ``None``.
    :param drain: maximum time to wait for live calls, in seconds. 0 hangs up immediately.
    :raises WrongConfiguration: a receiver cannot start. Or there is a supervisor, and the first connection failed with a
        permanent error, such as invalid credentials or an unknown host.
    :raises Unsuccessful: the client cannot connect, or lost its session and cannot restore it.
    """
    _stop_with_parent(client, lifeline)
    try:
        receivers.start_all()
    except OSError as error:
        raise WrongConfiguration(f"the program's AudioServer cannot start: {error.strerror or error}") from error
    try:
        with _stopped_with_terminal(client):
            client.run(drain=drain or None, hangup_calls=True, on_ready=reporter.ready)
    except RelayError as error:
        # A fatal error would occur in every process. A lack of file descriptors or threads is not fatal and may be temporary.
        is_wrong = isinstance(error, AuthenticationError) or (isinstance(error, ConnectError) and error.fatal)
        if is_wrong and reporter.supervised and not reporter.is_ready:
            raise WrongConfiguration(error.message) from error
        raise Unsuccessful(error.message) from error


def _stopped_with_terminal(client: RelayClient) -> Handled:
    """Return a context manager that stops the client on SIGHUP, unless the signal is ignored, for example by ``nohup``."""
    numbers = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []  # Windows has no SIGHUP.
    return Handled(lambda number, frame: client.stop(), *numbers, only_defaults=True)


def _lifeline() -> int | None:
    """Return the descriptor that shows when the supervisor exits, if there is one. Programs started here do not inherit it."""
    number = os.environ.pop(LIFELINE, "")
    if not number.isdecimal():
        return None
    try:
        os.set_inheritable(int(number), False)
    except (OSError, OverflowError):  # The descriptor is not open, so there is no supervisor.
        return None
    return int(number)


def _stop_with_parent(client: RelayClient, lifeline: int | None) -> None:
    if lifeline is None:
        return

    def watch() -> None:
        # The supervisor never writes to the pipe, so the only event is that the supervisor exits and the pipe is closed. In a
        # program that gevent has patched, this thread is a greenlet, and os.read() would block all others.
        poll = select.poll()
        poll.register(lifeline, select.POLLIN)
        if any(events & select.POLLNVAL for _, events in poll.poll()):
            _log.error(
                "stopping: the program has closed descriptor %d, which shows when its supervisor exits; a program must close only"
                " descriptors that it has opened",
                lifeline,
            )
        client.stop()

    threading.Thread(target=watch, name="relay-run-lifeline", daemon=True).start()


def log_to_stderr(level: str) -> None:
    """Send log messages of this package to stderr, unless the program has configured logging.

    :param level: minimum level of the messages.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"%(asctime)s {os.getpid()} %(levelname)-7s %(name)s: %(message)s"))
    logger = logging.getLogger("relay_sync")
    if not logger.handlers and not logging.getLogger().handlers:
        logger.addHandler(handler)
        logger.setLevel(level.upper())
