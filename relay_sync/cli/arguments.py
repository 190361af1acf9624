"""Command-line options.

This module imports only argparse and modules that are as light, so ``--help`` is fast and works without optional dependencies.

For each command, a function in this module defines the options. The command itself is in a separate module, which is imported
when the command runs. That module's ``run(arguments)`` function returns the exit code.
"""

from __future__ import annotations

import argparse
from typing import Any, Final

from .._version import __version__
from .mistakes import port_number

__all__ = ["CALLER", "CODECS", "CONTROL_TOKEN", "HEALTH_HELP", "OFFICE", "build_parser", "doctor_options"]

#: Codecs supported by the demo.
CODECS: Final = "PCMU, PCMA, L16, G722 or OPUS"

#: Help text of the option ``--health``, which the framework integrations also have.
HEALTH_HELP: Final = "serve health checks and metrics at this address; a port alone is one of 127.0.0.1 (default: none)"
#: Environment variable with the key of a simulator's control interface.
CONTROL_TOKEN: Final = "RELAY_SIMULATOR_CONTROL_TOKEN"
#: Numbers of the calls that the commands place in the simulator.
CALLER: Final = "+15550199"
OFFICE: Final = "+15550100"
DEFAULT_OUT: Final = "relay-sync-demo.wav"
_DESCRIPTION: Final = "Synchronous Python SDK for SignalWire RELAY: control live calls and stream their audio."
_DEMO: Final = """\
Makes a complete phone call on this machine, without an account or a network.

A simulated caller dials in and speaks. A blocking handler answers, streams
the call's audio to a receiver in the same process, stops the stream, saves a
WAV file and hangs up. The received audio is then compared with the sent audio,
sample by sample.
"""
_DOCTOR: Final = """\
Shows the configuration and the source of each value, then tests it: the host
name, the connection and its certificate, the credentials, and a command. With
--call it also places a call and checks that the audio of that call arrives.

Secrets are not shown. The exit code is 1 if a problem is found.
"""
_RUN: Final = """\
Runs a RelayClient until Ctrl-C or SIGTERM. It then accepts no new calls, waits
up to --drain seconds for live calls to end, and hangs up the remaining ones.
A second Ctrl-C or SIGTERM stops it immediately.

With --processes N, N processes each open a connection, and the platform
distributes calls among them. A process that dies is restarted.

With --health, this command serves /live, /ready and /metrics over HTTP for all
processes. They contain no secrets, but anyone who can connect can read them.
"""
_LISTEN: Final = """\
Receives the audio that call.stream() sends, until Ctrl-C or SIGTERM. It shows
a level meter, frames, gaps and delay for each stream, at the end its waveform
with marks below what was said, and can save a WAV file for each call. No
account and no code are required. Common problems, such as a wrong codec or
byte order, a header in the audio, or silence, are reported.
"""
_LISTEN_EXAMPLES: Final = """\
examples:
  relay-sync listen                         on ws://127.0.0.1:8765/audio
  relay-sync listen --save calls --port 9000
  RELAY_AUDIO_TOKEN=... relay-sync listen --host 0.0.0.0    behind a TLS proxy
"""
_SIMULATE: Final = """\
Runs the simulated telephone network of relay_sync.simulator until Ctrl-C or
SIGTERM: a RELAY server with the REST API, and an HTTP control interface that
places calls, presses keys and inspects the results, for tests in any language.
See docs/simulate.md.

The project and tokens are read from the environment (SIGNALWIRE_PROJECT_ID,
SIGNALWIRE_API_TOKEN, RELAY_SIMULATOR_CONTROL_TOKEN). Missing values are
generated; --credentials FILE writes them and --show-tokens prints them. The
commands "relay-sync sim ..." find the simulator without them.
"""
_DEV: Final = """\
Runs the simulator, your program with the simulator's settings in its
environment, and a telephone in the browser, until Ctrl-C. PROGRAM is one of:

  answer.py ...       a script and its arguments; also manage.py relay
  app:client          the client of a module, as for "relay-sync run"
  flask ...           a command of Flask, such as flask --app app relay run
  -- COMMAND ...      any other command

Options of this command stand before PROGRAM. Arguments in the program's code
take precedence over its environment, so it must not pass project, token and
host to RelayClient.
"""
_DEV_EXAMPLES: Final = """\
examples:
  relay-sync dev answer.py
  relay-sync dev --open --reload answer.py
  relay-sync dev --once answer.py           one call and its timeline
  relay-sync dev flask --app app relay run
  relay-sync dev -- node answer.js
"""
_SIM: Final = """\
Uses a simulator that runs on this machine. The default is the newest that
this user has started with "relay-sync dev" or "relay-sync simulate". The
name of the simulator is printed to stderr.
"""
_SIM_CALL: Final = """\
Places a call to the program under test, shows its states, its streams and what
the caller hears, and exits when it ends. The exit code is 1 if the call was
not answered. Ctrl-C hangs up.
"""
_SIM_CALL_EXAMPLES: Final = """\
examples:
  relay-sync sim call --says caller         speaks for 8 seconds and hangs up
  relay-sync sim call --says me.wav         the same with your own recording
  relay-sync sim call +15550107 --context sales --presses 12#
"""
_CONVERSE: Final = """\
Plays a scenario with a program: a TOML file that says what a caller says and
presses, and what the caller has to hear. Prints a transcript, with what was
expected beside what came. No account and no network are needed.
See docs/scenarios.md.

The exit code is 1 if an expectation was not met, and 2 if the file is wrong.
"""
_EXAMPLES: Final = """\
examples:
  relay-sync demo                           stream both sides of a call for 8 s
  relay-sync demo --fast --codec L16        faster than real time, lossless
  relay-sync demo --says me.wav --track inbound   stream your own recording
"""


def _no_secret(value: str) -> None:
    raise argparse.ArgumentTypeError(
        "other users of this machine can read command lines: use --token-file FILE, or $RELAY_AUDIO_TOKEN"
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser.

    The parsed arguments include ``command``, and ``module``, the name of the module in this package that implements the command.
    """
    parser = argparse.ArgumentParser(
        prog="relay-sync",
        description=_DESCRIPTION,
        epilog='To start, run "relay-sync demo": it makes a complete call and needs no account. For your own program, run'
        ' "relay-sync dev PROGRAM".',
    )
    parser.add_argument("--version", action="version", version=f"relay-sync {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for add in (_demo, _dev, _run, _listen, _doctor, _simulate, _converse, _sim):
        add(commands)
    return parser


def _demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="make a simulated call, stream its audio, save a WAV file",
        description=_DEMO,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    demo.add_argument("--says", metavar="FILE", help="speech of the caller: a mono WAV at 8, 16, 24 or 48 kHz")
    demo.add_argument(
        "--out",
        metavar="FILE",
        default=DEFAULT_OUT,
        help="the WAV file to write, replacing an existing file (default: ./%(default)s)",
    )
    demo.add_argument(
        "--codec",
        default="PCMU",
        help=f"{CODECS}, with modifiers such as L16@16000h or PCMU@40i; G722 and OPUS need PyAV (default: %(default)s)",
    )
    demo.add_argument(
        "--track",
        choices=("inbound", "outbound", "both"),
        default="both",
        help="stream the caller's audio, the audio played to the caller, or both in stereo (default: %(default)s)",
    )
    demo.add_argument("--fast", action="store_true", help="send the audio as fast as possible instead of in real time")
    demo.set_defaults(module="demo")


def _dev(commands: Any) -> None:
    dev = commands.add_parser(
        "dev",
        help="run a program with the simulator and a telephone in the browser",
        usage="relay-sync dev [options] PROGRAM [ARGUMENT ...]",
        description=_DEV,
        epilog=_DEV_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    dev.add_argument("--open", action="store_true", help="open the telephone in the browser")
    dev.add_argument(
        "--reload", action="store_true", help="restart the program when a Python file in this folder changes"
    )
    dev.add_argument(
        "--once",
        action="store_true",
        help="place one call that speaks the included sample, show its timeline, and exit: with 0 if it was answered",
    )
    dev.add_argument(
        "--context", metavar="NAME", default="default", help="context of the call of --once (default: %(default)s)"
    )
    dev.add_argument(
        "--port",
        type=port_number,
        default=0,
        metavar="N",
        help="port of the simulator and the telephone (default: a free one)",
    )
    dev.add_argument(
        "--fast", action="store_true", help="send audio as fast as possible, and run timers 1000 times faster"
    )
    dev.add_argument(
        "--show-tokens",
        action="store_true",
        help="print the telephone's link with its key even if the output is not a terminal",
    )
    dev.add_argument("program", metavar="PROGRAM", nargs=argparse.REMAINDER, help="the program and its arguments")
    dev.set_defaults(module="dev")


def _run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="run the client of a program, in one or several processes",
        description=_RUN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("target", metavar="TARGET", help="module:client, or module:function() that returns the client")
    run.add_argument("--processes", metavar="N", type=int, default=1, help="number of processes (default: 1)")
    run.add_argument(
        "--drain",
        metavar="SECONDS",
        type=float,
        default=30.0,
        help="time for live calls to end after a stop request; 0 hangs up immediately (default: 30)",
    )
    run.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="lowest level logged to stderr, unless the program configures logging (default: %(default)s)",
    )
    run.add_argument("--health", metavar="HOST:PORT", help=HEALTH_HELP)
    run.set_defaults(module="run")


def _listen(commands: Any) -> None:
    listen = commands.add_parser(
        "listen",
        help="receive streams, show their levels, save them",
        description=_LISTEN,
        epilog=_LISTEN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listen.set_defaults(module="listen")
    listen.add_argument(
        "--save", metavar="DIR", help="record each call to DIR/<call ID>.wav; existing files are never overwritten"
    )
    listen.add_argument(
        "--port", type=port_number, default=8765, help="port; 0 selects a free one (default: %(default)s)"
    )
    listen.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    listen.add_argument("--path", default="/audio", help="the only path that accepts streams (default: %(default)s)")
    listen.add_argument(
        "--token-file",
        metavar="FILE",
        help="file with the bearer token that senders must present (authorization_bearer_token of call.stream);"
        " default: $RELAY_AUDIO_TOKEN",
    )
    # Without this option, argparse would accept --token as an abbreviation of --token-file.
    listen.add_argument("--token", type=_no_secret, help=argparse.SUPPRESS)
    listen.add_argument(
        "--reorder",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="how long to wait for frames that arrive out of order (default: 0)",
    )
    listen.add_argument(
        "--l16-byteorder",
        choices=("little", "big", "auto"),
        default="auto",
        help="byte order of L16 audio (default: %(default)s)",
    )


def _doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="show the configuration, test it, and suggest fixes",
        description=_DOCTOR,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    doctor.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="module:client, to check that client; default: the configuration in the environment",
    )
    doctor_options(doctor)
    doctor.set_defaults(module="doctor")


def doctor_options(doctor: argparse.ArgumentParser) -> None:
    """Add the options of ``doctor`` that are also available in the framework integrations.

    :param doctor: parser to add the options to.
    """
    doctor.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=10.0, help="timeout of each step (default: 10)"
    )
    doctor.add_argument(
        "--audio", action="store_true", help="check the way from outside to the AudioServer of the program"
    )
    doctor.add_argument(
        "--silence",
        metavar="SECONDS",
        type=float,
        default=0.0,
        help="with --audio: leave the connection silent for this time, to find proxies that close it (default: 0)",
    )
    doctor.add_argument("--call", metavar="NUMBER", help="make a test call to this number; answer it and speak")
    doctor.add_argument("--from", metavar="NUMBER", dest="from_", help="the caller ID: a number of the project")
    doctor.add_argument(
        "--port",
        metavar="N",
        type=port_number,
        default=0,
        help="port that receives the test call's audio (default: a free one)",
    )
    doctor.add_argument("--public-url", metavar="URL", help="URL at which the platform reaches that port: wss://...")


def _simulate(commands: Any) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="run the simulator as a server, for tests in any language",
        description=_SIMULATE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    simulate.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    simulate.add_argument(
        "--port", type=port_number, default=0, metavar="N", help="port of RELAY, REST and control (default: a free one)"
    )
    simulate.add_argument(
        "--credentials",
        metavar="FILE",
        help="write addresses and tokens as JSON to a file that only you can read; deleted on exit",
    )
    simulate.add_argument(
        "--show-tokens", action="store_true", help="print the tokens, also if the output is not a terminal"
    )
    simulate.add_argument(
        "--fast", action="store_true", help="send audio as fast as possible, and run timers 1000 times faster"
    )
    simulate.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="clock speed relative to real time (default: 1)"
    )
    simulate.add_argument("--strict", action="store_true", help="refuse unknown parameters")
    simulate.add_argument(
        "--acknowledge-only", action="store_true", help="acknowledge requests without carrying them out"
    )
    simulate.add_argument(
        "--accept-any-credentials", action="store_true", help="accept any project with any token, and any JWT"
    )
    simulate.add_argument(
        "--dial-winner",
        choices=("string", "boolean"),
        default="string",
        help="type of dial_winner in events (default: %(default)s)",
    )
    simulate.add_argument(
        "--ping-interval",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds between pings to each client; 0 sends none (default: 10)",
    )
    simulate.add_argument(
        "--journal-limit",
        type=int,
        default=10_000,
        metavar="N",
        help="number of frames to keep in the journal (default: %(default)s)",
    )
    simulate.add_argument(
        "--allow-remote",
        action="store_true",
        help="allow streams and webhooks to other machines, and a --host that is not on loopback",
    )
    simulate.set_defaults(module="simulate")


def _converse(commands: Any) -> None:
    converse = commands.add_parser(
        "converse",
        help="play a scripted conversation with a program, and check what the caller hears",
        description=_CONVERSE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    converse.add_argument("file", metavar="FILE", help="scenario file")
    converse.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        help="module:client, or module:function() that returns the client; default: client in the file",
    )
    converse.add_argument(
        "--voice",
        metavar="NAME",
        help="module:callable that turns text into the caller's speech; default: voice in the file",
    )
    converse.add_argument(
        "--recognizer",
        metavar="NAME",
        help="module:callable that turns what the caller hears into text; default: recognizer in the file",
    )
    converse.set_defaults(module="converse")


def _sim(commands: Any) -> None:
    sim = commands.add_parser(
        "sim",
        help="call or text the program through a running simulator",
        description=_SIM,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sim.set_defaults(module="sim", action=None)
    actions = sim.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    _sim_call(actions)
    _sim_text(actions)
    calls = actions.add_parser("calls", help="list the calls in progress")
    calls.set_defaults(action_module="listing")
    journal = actions.add_parser(
        "journal", help="show the RELAY frames that the program and the simulator have exchanged; secrets are masked"
    )
    journal.add_argument("--method", metavar="NAME", help="only requests with this method, such as calling.play")
    journal.add_argument("--event-type", metavar="NAME", help="only events of this type, such as calling.call.state")
    journal.add_argument("--direction", choices=("in", "out", "lost"), help="only frames in this direction")
    journal.add_argument("--follow", action="store_true", help="continue to show new frames until Ctrl-C")
    journal.set_defaults(action_module="listing")
    for action in actions.choices.values():
        action.add_argument("--json", action="store_true", help="print JSON, for programs")
        action.add_argument(
            "--simulator", metavar="PID|URL", help="the simulator to use (default: the newest one of this user)"
        )


def _parties(action: argparse.ArgumentParser) -> None:
    action.add_argument("--from", dest="from_", metavar="NUMBER", default=CALLER, help="default: %(default)s")
    action.add_argument("--context", metavar="NAME", default="default", help="default: %(default)s")


def _sim_call(actions: Any) -> None:
    call = actions.add_parser(
        "call",
        help="place a call to the program and follow it",
        description=_SIM_CALL,
        epilog=_SIM_CALL_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    call.add_argument("to", metavar="TO", nargs="?", default=OFFICE, help="the called number (default: %(default)s)")
    _parties(call)
    call.add_argument(
        "--says",
        metavar="SPEECH",
        help="greeting or caller (included samples), or a mono WAV at 8, 16, 24 or 48 kHz of at most 64 MiB;"
        " the caller then hangs up (default: silence)",
    )
    call.add_argument("--presses", metavar="DIGITS", help="digits to press when the program collects digits")
    call.add_argument(
        "--hangs-up-after",
        metavar="SECONDS",
        type=float,
        help="when the caller hangs up (default: after speaking; a silent caller does not hang up)",
    )
    call.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=60.0, help="hang up after this time (default: 60)"
    )
    call.add_argument("--no-wait", action="store_true", help="print the ID of the call and exit at once")
    call.set_defaults(action_module="calling")


def _sim_text(actions: Any) -> None:
    text = actions.add_parser("text", help="send a text message to the program, and wait until a client receives it")
    text.add_argument("text", metavar="TEXT", help="the message")
    text.add_argument("--to", metavar="NUMBER", default=OFFICE, help="default: %(default)s")
    _parties(text)
    text.add_argument("--media", metavar="URL", action="append", help="URL of an attachment; may be repeated")
    text.add_argument(
        "--timeout", metavar="SECONDS", type=float, default=5.0, help="time for a client to receive it (default: 5)"
    )
    text.set_defaults(action_module="texting")
