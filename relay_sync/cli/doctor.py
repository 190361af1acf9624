"""``relay-sync doctor``: what is configured and from where, whether it works, and what to do if not."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from .._version import __version__
from ..client.client import RelayClient, config_of
from ..config import Config
from ..errors import InvalidParameter
from . import checkup
from .checkup import Finding
from .early import Interrupted
from .ending import interruptible
from .mistakes import Mistake, Unsuccessful
from .streams import standard_streams
from .target import load_client

if TYPE_CHECKING:
    from ..audio import AudioServer

__all__ = ["diagnose", "examine", "run"]

_ADVICE: Final = (
    "SIGNALWIRE_PROJECT_ID, SIGNALWIRE_API_TOKEN and SIGNALWIRE_SPACE are in the dashboard under API;"
    ' without an account "relay-sync simulate --show-tokens" prints some that work'
)
_MARKS: Final = {"ok": "ok  ", "note": "note", "bad": "BAD "}


def run(arguments: argparse.Namespace) -> int:
    """Examine a client and say what was found.

    :return: 0 if nothing is bad, else 1. :raises Mistake: an argument cannot be right. :raises Unsuccessful: the client that
        was named cannot be loaded.
    """
    return diagnose(lambda: load_client(arguments.target) if arguments.target else RelayClient(), arguments)


@standard_streams()
def diagnose(
    make: Callable[[], RelayClient],
    arguments: argparse.Namespace,
    origins: Callable[[], Mapping[str, str]] = dict,
) -> int:
    """What the doctor is in every world.

    :param make: makes the client. :param arguments: the options of ``relay-sync doctor``.
    :param origins: gives, by parameter, the name of the settings that it came from, where a framework has some.
    :return: 0 if nothing is bad, else 1. :raises Mistake: an argument cannot be right. :raises Unsuccessful: the client that
        was named cannot be loaded.
    """
    if not 0 < arguments.timeout < math.inf:
        raise Mistake("--timeout", f"{arguments.timeout:g} is not a number of seconds above 0")
    if bool(arguments.call) != bool(arguments.from_):
        raise Mistake("--call", "it goes together with --from: the number to call, and one of yours to call from")
    if not 0 <= arguments.port < 65536:
        raise Mistake("--port", f"{arguments.port} is not from 0 to 65535")
    try:
        with interruptible():
            return _diagnosed(make, origins, arguments)
    except Interrupted as end:
        # Here for every world, as in ``serve``.
        print("\ndoctor: interrupted", file=sys.stderr)
        return end.code


def _diagnosed(
    make: Callable[[], RelayClient], origins: Callable[[], Mapping[str, str]], arguments: argparse.Namespace
) -> int:
    receiver = _receiver(arguments) if arguments.call else None
    print(f"relay-sync {__version__} doctor, Python {sys.version.split()[0]}\n", flush=True)
    try:
        client = make()
        named = origins()
    except InvalidParameter as problem:
        _show(Finding("bad", "configuration", problem.message, _ADVICE if problem.value is None else ""))
        _tell("configuration")
        return 1
    return examine(client, arguments, named, receiver)


def _receiver(arguments: argparse.Namespace) -> AudioServer:
    """What the audio of the test call will come to, not started: its options are checked before anything is done."""
    try:
        from ..audio import AudioServer
    except ImportError as missing:
        raise Unsuccessful(str(missing)) from missing
    try:
        return AudioServer(port=arguments.port, public_url=arguments.public_url)
    except InvalidParameter as error:
        raise Mistake.of(error) from error


def examine(
    client: RelayClient,
    arguments: argparse.Namespace,
    origins: Mapping[str, str],
    receiver: AudioServer | None = None,
) -> int:
    """Examine this client, and disconnect it. :return: 0 if nothing is bad, else 1."""
    _table(config_of(client), origins)
    bad: list[str] = []
    try:
        for finding in _findings(client, arguments, receiver):
            _show(finding)
            if finding.verdict == "bad":
                bad.append(finding.what)
    finally:
        client.disconnect(hangup_calls=True)  # there is one only if the test call was interrupted
    print()
    for finding in checkup.extras():
        _show(finding)
    print(f"\n{'All is well.' if not bad else f'{len(bad)} to mend: see above.'}")
    if bad:
        _tell(", ".join(bad))
    return 1 if bad else 0


def _tell(bad: str) -> None:
    """Exit code 1 has its line on stderr, also where nobody reads the rest."""
    sys.stdout.flush()
    print(f"relay-sync doctor: to mend: {bad}", file=sys.stderr, flush=True)


def _findings(client: RelayClient, arguments: argparse.Namespace, receiver: AudioServer | None) -> Iterator[Finding]:
    """One step after the other; where one is bad, the later ones could only say the same again."""
    config, timeout = config_of(client), arguments.timeout
    steps: list[Callable[[], Iterable[Finding]]] = [
        checkup.library,
        lambda: [checkup.name(config, timeout)],
        lambda: [checkup.connection(config, timeout)],
        lambda: checkup.session(client, timeout),
    ]
    if receiver is not None:
        steps.append(lambda: _test_stream(client, arguments, receiver))
    for step in steps:
        worst = ""
        for finding in step():
            yield finding
            worst = "bad" if finding.verdict == "bad" else worst
        if worst:
            return


def _test_stream(client: RelayClient, arguments: argparse.Namespace, receiver: AudioServer) -> Iterator[Finding]:
    from .teststream import test_stream

    return test_stream(client, arguments, receiver)


def _table(config: Config, origins: Mapping[str, str]) -> None:
    rows = [(name, value, origins.get(name, origin)) for name, value, origin in checkup.values(config)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, origin in rows:
        print(f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {origin}")
    print(flush=True)


def _show(finding: Finding) -> None:
    print(f"  {_MARKS[finding.verdict]}  {finding.what}: {finding.seen}", flush=True)
    if finding.advice:
        print(f"        -> {finding.advice}", flush=True)
