"""The command ``relay-sync``.

================  ==================================================================================================
``__init__``      arguments, help, exit codes
``demo``          ``relay-sync demo``: the arguments checked, one call made, the result printed
``conversation``  the call itself: simulator, client and receiver in one process
``check``         whether what is on disk is what was sent
``timeline``      what happened when, and on which thread
``progress``      the bar, with rich or without
================  ==================================================================================================

Exit codes: 0 all is well; 1 something is wrong, and a line on stderr says what; 2 an argument cannot be right;
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Final

from .._version import __version__
from .mistakes import Mistake, Unsuccessful

__all__ = ["main"]

DEFAULT_OUT: Final = "relay-sync-demo.wav"
INTERRUPTED: Final = 130

_DESCRIPTION: Final = "Blocking Python for live phone calls over SignalWire RELAY, and for their audio."
_DEMO: Final = """\
A phone call from beginning to end, on this machine: no account, no network.

A simulated caller dials in and speaks. A blocking handler answers, streams
the call's audio to a receiver in the same process, stops the stream, saves a
WAV and hangs up. What was received must be what was sent, sample for sample.
"""
_EXAMPLES: Final = """\
examples:
  relay-sync demo                           eight seconds, both sides of a call
  relay-sync demo --fast --codec L16        in a blink, and without rounding
  relay-sync demo --says me.wav --track inbound   your voice, the caller alone
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="relay-sync",
        description=_DESCRIPTION,
        epilog='Try "relay-sync demo": a call from beginning to end, without an account.',
    )
    parser.add_argument("--version", action="version", version=f"relay-sync {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    demo = commands.add_parser(
        "demo",
        help="make a simulated call, stream its audio, leave a WAV",
        description=_DEMO,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument("--says", metavar="FILE", help="what the caller says: a mono WAV at 8, 16, 24 or 48 kHz")
    demo.add_argument(
        "--out",
        metavar="FILE",
        default=DEFAULT_OUT,
        help="where to save the call's audio, replacing what is there (default: ./%(default)s)",
    )
    demo.add_argument(
        "--codec",
        default="PCMU",
        help="PCMU, PCMA or L16, with modifiers: L16@16000h, PCMU@40i (default: %(default)s)",
    )
    demo.add_argument(
        "--track",
        choices=("inbound", "outbound", "both"),
        default="both",
        help="the caller, what the caller hears, or both: stereo, the caller left (default: %(default)s)",
    )
    demo.add_argument("--fast", action="store_true", help="send the audio as fast as it is read, not in real time")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :param argv: the arguments without the program's name; those of the process if left out.
    :return: the exit code; see the module.
    :raises SystemExit: ``--help``, ``--version``, and arguments that are not known.
    """
    _never_choke_on_output()
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 2
    name = f"relay-sync {arguments.command}"
    try:
        return _run(arguments)
    except Mistake as mistake:
        print(f"{name}: error: argument {mistake}\nTry: {name} --help", file=sys.stderr)
        return 2
    except Unsuccessful as failure:
        print(f"{name}: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted, nothing was saved", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # such as "relay-sync demo | head -1"
        # What is still buffered would fail once more while the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments: argparse.Namespace) -> int:
    # Here, since it takes time and an extra that --help and --version need not have.
    try:
        from .demo import run
    except ImportError as missing:
        raise Unsuccessful(str(missing)) from missing
    return run(
        says=arguments.says, out=arguments.out, codec=arguments.codec, track=arguments.track, fast=arguments.fast
    )


def _never_choke_on_output() -> None:
    """Let a terminal that cannot show a character show another one instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
