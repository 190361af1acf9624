"""The ``relay-sync`` command.

==================  ==================================================================================================
``__init__``        entry points, which install signal handlers before they import other modules
``early``           signal handling during startup and shutdown
``ending``          signal handling while a command runs
``command``         selects and runs a command, and determines the exit code
``arguments``       command-line options and their help
``mistakes``        exceptions that are reported as a single line, and checks of options
``streams``         handling of standard streams that are missing, closed or not writable
``demo``            ``relay-sync demo``: makes a simulated call and verifies its audio
``conversation``    runs the simulator, the client and the receiver for the demo
``check``           compares the saved audio with the sent audio
``timeline``        logs the demo's steps, with time and thread
``progress``        progress bar, with or without rich
``log_lines``       warnings among the lines that a command prints
``dev``             ``relay-sync dev``: runs a program with the simulator and a telephone in the browser
``guardian``        cleans up if ``relay-sync dev`` is killed
``process_table``   the processes of this machine, to find processes that have left the program's group
``run``             ``relay-sync run``: runs a client in one or more processes
``supervisor``      starts, monitors and stops the processes
``board``           what the supervisor knows of its processes, for health checks
``reports``         status reports from a process to its supervisor
``target``          loads a client from ``module:client``
``doctor``          ``relay-sync doctor``: shows and tests the configuration
``checkup``         the individual checks
``teststream``      the check that makes a test call
``audio_checkup``   the checks of ``doctor --audio``: the way to the program's own receivers
``way_in``          the connection that these checks make, one step at a time
``proxy_mistakes``  usual mistakes in certificates and proxies, and what to change
``listen``          ``relay-sync listen``: receives streams and shows their levels
``meters``          level meters, with or without rich
``pictures``        waveforms of streams, with marks below what was said
``simulate``        ``relay-sync simulate``: runs the simulator as a server
``converse``        ``relay-sync converse``: plays a scenario with a program
``sim``             ``relay-sync sim``: calls and texts a program through a running simulator
``runtime_files``   the files by which ``relay-sync sim`` finds running simulators
==================  ==================================================================================================

Exit codes:

* 0: success. ``run``, ``dev``, ``listen`` and ``simulate`` also exit with 0 after a signal, which is the normal way to stop them.
* 1: failure. A line on stderr gives the reason. The exit code is also 1 if the output cannot be written, for example because the
  disk is full.
* 2: invalid argument or configuration.
* 130, 143, 129: interrupted by SIGINT (Ctrl-C), SIGTERM or SIGHUP.

If the program that reads the output exits early, as in ``relay-sync demo | head -1``, the command continues and the exit code
stays the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from .early import Early

__all__ = ["entry", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments, without the program name. Defaults to the process's arguments.
    :return: the exit code.
    :raises SystemExit: for ``--help``, ``--version`` and unknown arguments.
    """
    with Early() as early:
        return _run(argv, early)


def entry() -> NoReturn:
    """Run the command and exit. Signals that arrive after the command has finished do not change the exit code."""
    early = Early().to_the_end()
    try:
        early.code = _run(None, early)
    except SystemExit as end:  # May be raised by the user's program. Python prints the message.
        early.code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    sys.exit(early.code)


def _run(argv: Sequence[str] | None, early: Early) -> int:
    from .command import run  # Imported late because it is slow.

    return run(argv, early)
