"""The environment of the program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from ...hosts.names import is_loopback
from ...simulator import Simulator
from ...testing import MISLEADING, variables_of
from ..arguments import CONTROL_TOKEN

__all__ = ["AUDIO_URL", "foreign_audio_url", "foreign_host", "program_environment"]

#: Variable by which the programs of this documentation receive the public URL of their AudioServer.
AUDIO_URL: Final = "AUDIO_URL"
CONTROL_URL: Final = "RELAY_SIMULATOR_CONTROL"


def foreign_host(url: str) -> str:
    """Return the host of a URL if it is another machine, to which the simulator does not connect, or ``""``."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return ""
    return "" if host is None or is_loopback(host) else host


def foreign_audio_url() -> str:
    """Return the host of ``AUDIO_URL`` if it is another machine, or ``""``."""
    return foreign_host(os.environ.get(AUDIO_URL, ""))


def program_environment(simulator: Simulator, control: str, key: str) -> Mapping[str, str]:
    """Return the environment of the program: that of this process, with the settings of the simulator.

    Settings of the platform are left out. The simulator does not connect to other machines, so ``AUDIO_URL`` is left out if it is
    the URL of one.

    :param simulator: the simulator.
    :param control: URL of its control interface.
    :param key: key of its control interface.
    """
    found = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    if foreign_audio_url():
        found.pop(AUDIO_URL, None)
    found.update(variables_of(simulator))
    found.update({CONTROL_URL: control, CONTROL_TOKEN: key})
    found.setdefault("PYTHONUNBUFFERED", "1")  # Otherwise, Python programs print to a pipe only when a buffer is full.
    return found
