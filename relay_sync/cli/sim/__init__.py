"""The ``relay-sync sim`` commands, which use a running simulator.

===============  =====================================================================================================
``finding``      finds the simulator, and makes sure that it wrote the file before it receives the key
``asking``       requests to the control interface, with a time limit for each
``speeches``     the audio that a caller speaks
``calling``      ``relay-sync sim call``: places a call and follows it
``texting``      ``relay-sync sim text``: sends a text message and waits until a client has received it
``listing``      ``relay-sync sim calls`` and ``journal``
===============  =====================================================================================================
"""

from __future__ import annotations

import argparse
import importlib
import sys

from ..mistakes import Unsuccessful
from .finding import find_simulator

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Find the simulator and run the command.

    :param arguments: parsed arguments.
    :return: the exit code.
    :raises Mistake: an argument is invalid.
    :raises Unsuccessful: there is no simulator, it does not answer, or it refuses the request.
    """
    action = importlib.import_module(f"{__package__}.{arguments.action_module}")
    prepared = action.prepare(arguments)  # Report mistakes before anything is sent.
    found = find_simulator(arguments.simulator)
    print(f"simulator: {found.name}", file=sys.stderr, flush=True)
    try:
        return int(action.run(found.control, arguments, prepared))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # The URL may be of another server, or of another version of the simulator.
        raise Unsuccessful(f"the reply of {found.control.url} is not that of a simulator of this version") from error
    finally:
        found.control.close()
