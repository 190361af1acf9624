"""The ``relay-sync doctor`` command, which shows and tests the configuration and suggests fixes."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Final

from .._version import __version__
from ..client.client import RelayClient, config_of, without_contexts
from ..config import Config
from ..errors import InvalidParameter
from ..hosts.names import is_loopback
from ..text.wording import counted
from . import checkup
from .checkup import Finding
from .early import Interrupted
from .ending import interruptible
from .mistakes import Mistake, Unsuccessful, advice_for, check_port, check_positive
from .streams import standard_streams
from .target import load_client

if TYPE_CHECKING:
    from ..audio import AudioServer

__all__ = ["diagnose", "examine", "run"]

_MARKS: Final = {"ok": "ok  ", "note": "note", "bad": "BAD "}


def run(arguments: argparse.Namespace) -> int:
    """Check a client and print the findings.

    :param arguments: parsed arguments.
    :return: the exit code, which is 0 if no problem was found and 1 otherwise.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: the client cannot be loaded.
    """
    if arguments.audio and not arguments.target:
        raise Mistake("--audio", "name the program too: relay-sync doctor app:client --audio")
    return diagnose(lambda: _loaded(arguments.target) if arguments.target else RelayClient(), arguments)


def _loaded(target: str) -> RelayClient:
    try:
        return load_client(target)
    except SystemExit as end:  # Its exit code may be 0, as if no problem had been found.
        text = f"SystemExit: {end}" if str(end) else "SystemExit"
        raise Unsuccessful(f"{target} cannot be loaded: the program exits ({text})") from end


@standard_streams()
def diagnose(
    make: Callable[[], RelayClient],
    arguments: argparse.Namespace,
    origins: Callable[[], Mapping[str, str]] = dict,
) -> int:
    """Check a client and print the findings. The framework integrations also use this function.

    :param make: function that returns the client.
    :param arguments: options of ``relay-sync doctor``.
    :param origins: function that returns the source of each parameter from a framework's settings.
    :return: the exit code, which is 0 if no problem was found and 1 otherwise.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: the client cannot be loaded.
    """
    check_positive("--timeout", arguments.timeout)
    if bool(arguments.call) != bool(arguments.from_):
        raise Mistake("--call", "pass --call and --from together: the number to call, and the caller ID")
    check_port(arguments.port)
    if not 0 <= arguments.silence < math.inf:
        raise Mistake.invalid("--silence", f"{arguments.silence:g}", "a number of seconds")
    if arguments.silence and not arguments.audio:
        raise Mistake("--silence", "pass it together with --audio")
    try:
        with interruptible():
            return _diagnosed(make, origins, arguments)
    except Interrupted as end:
        # Handle the interrupt here, because Flask would print "Aborted!" and Django a traceback.
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
        _show(Finding("bad", "configuration", problem.message, advice_for(problem)))
        _print_problems("configuration")
        return 1
    return examine(client, arguments, named, receiver)


def _receiver(arguments: argparse.Namespace) -> AudioServer:
    """Create the receiver for the test call without starting it. This validates the options before the checks begin."""
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
    """Run the checks with a client, print the findings and disconnect the client.

    :param client: the client.
    :param arguments: options of ``relay-sync doctor``.
    :param origins: source of each parameter from a framework's settings.
    :param receiver: receiver for the test call, or ``None`` to make no test call.
    :return: the exit code, which is 0 if no problem was found and 1 otherwise.
    """
    _table(config_of(client), origins)
    bad: list[str] = []
    try:
        for finding in chain(_findings(client, arguments, receiver), _audio_findings(client, arguments)):
            _show(finding)
            if finding.verdict == "bad":
                bad.append(finding.what)
    finally:
        client.disconnect(hangup_calls=True)  # The test call is only live at this point if it was interrupted.
    print()
    for finding in checkup.extras():
        _show(finding)
    print(f"\n{counted(len(bad), 'problem')} found (see above)." if bad else "\nNo problems found.")
    if bad:
        _print_problems(", ".join(bad))
    return 1 if bad else 0


def _print_problems(bad: str) -> None:
    """Print the names of the failed checks to stderr."""
    sys.stdout.flush()
    print(f"relay-sync doctor: problems found: {bad}", file=sys.stderr, flush=True)


def _findings(client: RelayClient, arguments: argparse.Namespace, receiver: AudioServer | None) -> Iterator[Finding]:
    """Run the checks in order. Stop after the first failure, because later checks would fail for the same reason."""
    config, timeout = config_of(client), arguments.timeout
    # A call that came here would be taken by the program's handler, and hung up at the end of the checks.
    contexts = without_contexts(client)
    steps: list[Callable[[], Iterable[Finding]]] = [
        checkup.library,
        lambda: [checkup.name(config, timeout)],
        lambda: [checkup.connection(config, timeout)],
        lambda: checkup.session(client, contexts, timeout),
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


def _audio_findings(client: RelayClient, arguments: argparse.Namespace) -> Iterator[Finding]:
    """Check the receivers, which do not depend on the session: they are checked even if an earlier check failed."""
    if not arguments.audio:
        return
    try:
        from .audio_checkup import audio
    except ImportError as missing:
        yield Finding("bad", "audio", str(missing))
        return
    config = config_of(client)
    remote = not is_loopback(config.address.host)
    yield from audio(remote=remote, ca_file=config.ca_file, timeout=arguments.timeout, silence=arguments.silence)


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
