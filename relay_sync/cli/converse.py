"""The ``relay-sync converse`` command, which plays a scenario file against a program."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from .. import receivers
from ..client.client import RelayClient, config_of, has_call_handler
from ..errors import InvalidParameter, RelayError
from ..scenarios import Report, Scenario, ScenarioMistake, play, read
from ..scenarios.functions import error_text, look_in
from ..simulator import Simulator
from ..testing import HandlerErrors, collected, environment_of, wait_for_handlers
from ..text.wording import counted
from .mistakes import Mistake, Unsuccessful, WrongConfiguration
from .run import log_to_stderr
from .target import load_client

__all__ = ["run"]

#: Seconds of audio that the simulator keeps: longer than any scenario.
_KEPT: Final = 12 * 3600.0
#: Seconds that handlers have to finish after the call has ended.
_HANDLERS: Final = 15.0


def run(arguments: argparse.Namespace) -> int:
    """Play a scenario, and print what happened.

    :param arguments: parsed arguments.
    :return: the exit code 0.
    :raises Mistake: an argument is invalid.
    :raises WrongConfiguration: the scenario file is wrong, or the program does not connect to the simulator.
    :raises Unsuccessful: an expectation was not met, or the program cannot be loaded or connect.
    """
    log_to_stderr("warning")
    try:
        scenario = read(arguments.file)
        report, errors = _played(arguments, scenario)
    except ScenarioMistake as wrong:
        raise WrongConfiguration(str(wrong)) from wrong
    except InvalidParameter as error:
        raise Mistake.of(error) from error
    print(report.table(shutil.get_terminal_size((100, 24)).columns))
    if not report:
        raise Unsuccessful("the scenario was not met (see above)")
    if errors:
        raise Unsuccessful(
            f"{counted(len(errors), 'exception')} in the program: {errors[0].where}: {errors[0].error!r}"
        )
    return 0


def _played(arguments: argparse.Namespace, scenario: Scenario) -> tuple[Report, HandlerErrors]:
    target = arguments.target or scenario.client
    if not target:
        raise Mistake(
            "TARGET", f'which program? pass module:client, or write client = "module:client" in {scenario.file}'
        )
    look_in(os.path.dirname(scenario.file))
    with (
        Simulator(record_seconds=_KEPT) as simulator,
        environment_of(simulator),
        _no_arguments(),
        collected() as errors,
        _connected(_loaded(target, arguments, scenario), target, simulator),
    ):
        print(f"{scenario.file}: {scenario.from_} calls {scenario.to}, answered by {target}\n", flush=True)
        report = play(scenario, simulator, voice=arguments.voice, recognizer=arguments.recognizer)
        errors.stop_expecting_calls()
    return report, errors


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hide the arguments of this command from the program, which may parse its own."""
    before = sys.argv
    sys.argv = before[:1]
    try:
        yield
    finally:
        sys.argv = before


def _loaded(target: str, arguments: argparse.Namespace, scenario: Scenario) -> RelayClient:
    """Load the program's client. If it is named in the file, mistakes name the line."""
    try:
        return load_client(target)
    except Mistake as mistake:
        if arguments.target:
            raise
        raise ScenarioMistake(scenario.file, scenario.lines["client"], f"client: {mistake.why}") from mistake
    except SystemExit as end:  # Its exit code may be 0, as if the scenario had been played and met.
        raise Unsuccessful(f"{target} cannot be loaded: the program exits ({error_text(end)})") from end


@contextmanager
def _connected(client: RelayClient, target: str, simulator: Simulator) -> Iterator[RelayClient]:
    """Connect the program's client for the duration of the block."""
    address = config_of(client).address.url
    if address != simulator.url:
        raise WrongConfiguration(
            f"{target} connects to {address}, not to the simulator: leave project, token and host out of RelayClient(),"
            " so that it reads them from the environment"
        )
    if not has_call_handler(client):
        raise WrongConfiguration(f"{target} has no on_call handler, so nothing answers the caller")
    try:
        receivers.start_all()
        client.connect()
    except RelayError as error:
        raise Unsuccessful(f"{target} cannot connect to the simulator: {error}") from error
    except OSError as error:
        raise WrongConfiguration(f"the program's AudioServer cannot start: {error.strerror or error}") from error
    try:
        yield client
        # A handler may still be in a recognizer, whose native code would end the process with an error on exit.
        wait_for_handlers(_HANDLERS)
    finally:
        client.disconnect(hangup_calls=True)
