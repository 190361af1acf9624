"""The ``relay-sync dev`` command, which runs a program with the simulator and a telephone in the browser.

=============  =======================================================================================================
``printer``    lines of the program and of this command
``target``     the program that the arguments name
``settings``   the program's environment
``session``    runs the program until Ctrl-C, or for one call
``process``    the program's process, and all processes that it starts
``advice``     advice for programs that do not receive the calls of the simulator
``once``       the call of ``--once``
``reload``     changed files, for ``--reload``
``browser``    opens the telephone, for ``--open``
``stopping``   signals that end the command
=============  =======================================================================================================
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ...simulator import ControlInterface, Simulator
from ..guardian import Guardian
from ..log_lines import logged_through
from ..mistakes import Mistake, Unsuccessful, check_port
from ..runtime_files import announced
from ..simulate import started
from .advice import is_covered
from .browser import opened
from .printer import Printer
from .session import Session
from .settings import AUDIO_URL, foreign_audio_url, program_environment
from .stopping import stopping
from .target import find_target

if TYPE_CHECKING:
    from .reload import Changes

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Run the program until a signal, or for one call.

    :param arguments: parsed arguments.
    :return: the exit code: 0 after a signal, unless the program had failed.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: the port is not available, the program cannot be started, or the call of ``--once`` failed.
    """
    if os.name != "posix":
        raise Mistake("PROGRAM", 'needs process groups, which this system does not have; use "relay-sync simulate"')
    target = find_target(arguments.program)
    check_port(arguments.port)
    changes = _changes() if arguments.reload and not arguments.once else None
    printer = Printer(target.name)
    with ExitStack() as stack:
        stop = stack.enter_context(stopping())
        stack.enter_context(logged_through(printer.say, is_covered))
        made = Simulator(port=arguments.port, media="fast" if arguments.fast else "realtime")
        simulator = stack.enter_context(started(made, arguments.port))
        control = stack.enter_context(ControlInterface(simulator))
        command = shlex.join(["relay-sync", "dev", *arguments.program])
        stack.enter_context(announced(control.url, control.key, simulator.instance_id, command, printer.say))
        guardian = _guardian(stack)
        session = Session(
            target=target,
            environment=program_environment(simulator, control.url, control.key),
            simulator=simulator,
            printer=printer,
            stop=stop,
            guardian=guardian,
        )
        host = foreign_audio_url()
        if host:
            printer.say(f"{AUDIO_URL} is not passed to the program, because the simulator does not connect to {host}")
        if arguments.once:
            return session.once(arguments.context, fast=arguments.fast)
        printer.say(_telephone(control, is_shown=sys.stdout.isatty() or arguments.show_tokens))
        if changes is not None:
            stack.callback(changes.close)
            _start(changes)
            session.changes = changes
        if arguments.open:
            session.browser = _open_browser(control.link, stack, printer, guardian)
        return session.run()


def _changes() -> Changes:
    try:
        from .reload import Changes  # Requires the cli extra.
    except ImportError as missing:
        raise Unsuccessful(str(missing)) from missing
    return Changes(Path.cwd())


def _start(changes: Changes) -> None:
    try:
        changes.start()
    except RuntimeError as error:
        raise Unsuccessful(f"the thread that watches files cannot be started: {error}") from error


def _telephone(control: ControlInterface, *, is_shown: bool) -> str:
    if is_shown:
        return f"telephone: {control.link}"
    # A log may be read by others. A terminal is not.
    link = control.link.partition("#")[0]
    return f"telephone: {link}, whose key is not written to a log or a pipe; use --open, or --show-tokens to print it"


def _guardian(stack: ExitStack) -> Guardian:
    try:
        guardian = Guardian()
    except OSError as error:
        raise Unsuccessful(f"the process that watches this one cannot be started: {error.strerror or error}") from None
    stack.callback(guardian.close)
    return guardian


def _open_browser(link: str, stack: ExitStack, printer: Printer, guardian: Guardian) -> subprocess.Popen[bytes] | None:
    try:
        return stack.enter_context(opened(link, guardian))
    except OSError as error:
        printer.say(f"no browser could be opened ({error.strerror or error}); open the link of the telephone")
        return None
