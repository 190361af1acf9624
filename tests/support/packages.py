"""Python packages that only tests of an example need: what happens where they are missing.

``.ci/run`` installs them. ``python -m tests.support.packages`` prints their names.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import Final

from tests.support import ROOT
from tests.support.programs import give_up

__all__ = ["REQUIREMENTS", "names", "need"]

#: The packages of the example that talks, with their versions.
REQUIREMENTS: Final = ROOT / "examples" / "agent" / "requirements.txt"


def names() -> list[str]:
    """Return the names of the packages."""
    return re.findall(r"^([\w-]+)==[\w.]+$", REQUIREMENTS.read_text(encoding="utf-8"), re.MULTILINE)


def need(*packages: str) -> None:
    """Skip the running test if a package is missing, or fail it if the package is required.

    By default, packages are required if ``CI=true``. ``RELAY_TESTS_REQUIRE`` names them, as it names programs.

    :param packages: names from ``examples/agent/requirements.txt``.
    """
    known = names()
    for name in packages:
        assert name in known, name
        if not is_installed(name):
            give_up(name, known, "pip install -r examples/agent/requirements.txt")


def is_installed(name: str) -> bool:
    """Return whether a distribution is installed."""
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    print(*names())
