"""What the commands take: argparse only, so that ``--help`` needs no extra and no time.

Each command is a function here, and a module of its own that is imported when it runs: its ``run(arguments)`` gives the exit
code.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from .._version import __version__

__all__ = ["build_parser", "doctor_options"]

DEFAULT_OUT: Final = "relay-sync-demo.wav"
_DESCRIPTION: Final = "Blocking Python for live phone calls over SignalWire RELAY, and for their audio."
_DEMO: Final = """\
A phone call from beginning to end, on this machine: no account, no network.

A simulated caller dials in and speaks. A blocking handler answers, streams
the call's audio to a receiver in the same process, stops the stream, saves a
WAV and hangs up. What was received must be what was sent, sample for sample.
"""
_DOCTOR: Final = """\
Shows what is configured and where each value came from, and tries it: the name,
the connection and its certificate, the credentials, a command. With --call it
calls somebody, and looks whether the audio of that call arrives here.

Nothing secret is shown. Exit code 1 if something is to mend.
"""
_RUN: Final = """\
Runs a RelayClient until Ctrl-C or SIGTERM, and then lets live calls end: no new
calls, --drain seconds for those that live, and after that they are hung up.
A second Ctrl-C or SIGTERM ends it at once.

With --processes N, N fresh processes each have a connection of their own, and
the platform spreads the calls over them. One that dies is started again.
"""
_LISTEN: Final = """\
Receives what call.stream() sends, until Ctrl-C or SIGTERM: a level meter for
each stream, with frames, gaps and delay, and a WAV for each call if you like.
No account and no code are needed on this side; mistakes are named as they are
seen (wrong codec, byte order, a header in the audio, nothing but silence ...).
"""
_LISTEN_EXAMPLES: Final = """\
examples:
  relay-sync listen                         on ws://127.0.0.1:8765/audio
  relay-sync listen --save calls --port 9000
  RELAY_AUDIO_TOKEN=... relay-sync listen --host 0.0.0.0    behind a TLS proxy
"""
_SIMULATE: Final = """\
Runs the telephone network of relay_sync.simulator until Ctrl-C or SIGTERM: a
RELAY server with its REST interface, and beside it a small HTTP interface to
place calls, press keys and look at what happened, for tests in any language.
docs/simulate.md has the whole of it.

Project and tokens are taken from the environment (SIGNALWIRE_PROJECT_ID,
SIGNALWIRE_API_TOKEN, RELAY_SIMULATOR_CONTROL_TOKEN); those that are not there
are made up, and told by --credentials FILE or --show-tokens.
"""
_EXAMPLES: Final = """\
examples:
  relay-sync demo                           eight seconds, both sides of a call
  relay-sync demo --fast --codec L16        in a blink, and without rounding
  relay-sync demo --says me.wav --track inbound   your voice, the caller alone
"""


def _no_secret(value: str) -> None:
    raise argparse.ArgumentTypeError(
        "other users of this machine can read command lines: give --token-file FILE, or $RELAY_AUDIO_TOKEN"
    )


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Parsed arguments have the name of the ``command`` and of its ``module`` in this package."""
    parser = argparse.ArgumentParser(
        prog="relay-sync",
        description=_DESCRIPTION,
        epilog='Try "relay-sync demo": a call from beginning to end, without an account.',
    )
    parser.add_argument("--version", action="version", version=f"relay-sync {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for add in (_demo, _run, _listen, _doctor, _simulate):
        add(commands)
    return parser


def _demo(commands: Any) -> None:
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
    demo.set_defaults(module="demo")


def _run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="run the client of a program, in one process or several",
        description=_RUN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("target", metavar="TARGET", help="module:client, or module:function() for one that makes it")
    run.add_argument("--processes", metavar="N", type=int, default=1, help="how many processes (default: 1)")
    run.add_argument(
        "--drain",
        metavar="SECONDS",
        type=float,
        default=30.0,
        help="how long live calls may go on after the end was asked for; 0 hangs up at once (default: 30)",
    )
    run.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="what is told on stderr, unless the program sets up logging (default: %(default)s)",
    )
    run.set_defaults(module="run")


def _listen(commands: Any) -> None:
    listen = commands.add_parser(
        "listen",
        help="receive streams: see whether audio arrives, save it",
        description=_LISTEN,
        epilog=_LISTEN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listen.set_defaults(module="listen")
    listen.add_argument(
        "--save", metavar="DIR", help="record each call into DIR/<call id>.wav; never over an existing file"
    )
    listen.add_argument("--port", type=int, default=8765, help="0 takes any free one (default: %(default)s)")
    listen.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    listen.add_argument("--path", default="/audio", help="the only path that takes streams (default: %(default)s)")
    listen.add_argument(
        "--token-file",
        metavar="FILE",
        help="the file of what senders must show (authorization_bearer_token of call.stream); else $RELAY_AUDIO_TOKEN",
    )
    listen.add_argument("--token", type=_no_secret, help=argparse.SUPPRESS)  # else it would be short for --token-file
    listen.add_argument(
        "--reorder",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="put frames back in order within so long (default: 0)",
    )
    listen.add_argument(
        "--l16-byteorder", choices=("little", "big", "auto"), default="auto", help="of L16 audio (default: %(default)s)"
    )


def _doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what is configured, whether it works, and what to do if not",
        description=_DOCTOR,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doctor.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="module:client, to examine that client; left out, what the environment says is examined",
    )
    doctor_options(doctor)
    doctor.set_defaults(module="doctor")


def doctor_options(doctor: argparse.ArgumentParser) -> None:
    """What the doctor can be told in any world."""
    doctor.add_argument("--timeout", metavar="SECONDS", type=float, default=10.0, help="for each step (default: 10)")
    doctor.add_argument("--call", metavar="NUMBER", help="make a test call to this number; somebody has to pick up")
    doctor.add_argument("--from", metavar="NUMBER", dest="from_", help="one of the project's numbers, to call from")
    doctor.add_argument("--port", metavar="N", type=int, default=0, help="where the test call's audio is received")
    doctor.add_argument("--public-url", metavar="URL", help="where the platform reaches that port: wss://...")


def _simulate(commands: Any) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="run the simulator as a server, for tests in any language",
        description=_SIMULATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    simulate.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    simulate.add_argument("--port", type=int, default=0, metavar="N", help="for RELAY and REST (default: a free one)")
    simulate.add_argument(
        "--control-port", type=int, default=0, metavar="N", help="for the control interface (default: a free one)"
    )
    simulate.add_argument(
        "--credentials",
        metavar="FILE",
        help="write how to connect as JSON, tokens included, readable by you alone; removed at the end",
    )
    simulate.add_argument("--show-tokens", action="store_true", help="print the tokens once")
    simulate.add_argument(
        "--fast", action="store_true", help="audio as fast as it is read, and what takes time in a thousandth of it"
    )
    simulate.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="how much faster than real the clock runs (default: 1)"
    )
    simulate.add_argument("--strict", action="store_true", help="refuse unknown parameters")
    simulate.add_argument(
        "--allow-remote", action="store_true", help="let streams and webhooks leave this machine, and --host be another"
    )
    simulate.set_defaults(module="simulate")
