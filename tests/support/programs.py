"""Programs of the system that slow tests start, such as nginx: where they are, and what happens where they are missing.

``.ci/run`` uses this module as a command: ``python -m tests.support.programs missing`` prints the Debian packages to install,
``names`` prints all names, and ``used FILE`` prints how many tests used each program.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NoReturn

import pytest
from attrs import frozen

__all__ = ["PROGRAMS", "Program", "find", "give_up", "missing", "need", "used"]

#: Names of programs, separated by spaces, whose absence fails a test instead of skipping it. By default, these are all programs
#: if ``CI=true``, and otherwise none.
REQUIRE: Final = "RELAY_TESTS_REQUIRE"
#: A file to which each use is appended. A file, because tests run in several processes.
USED: Final = "RELAY_TESTS_USED"
#: Where Debian keeps programs that are not on the ``PATH`` of ordinary users.
ELSEWHERE: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@frozen
class Program:
    """A program of the system, or a module of one.

    :ivar package: the Debian package that contains it.
    :ivar file: where a module is; a program is searched for by its name.
    """

    package: str
    file: str | None = None


PROGRAMS: Final[Mapping[str, Program]] = {
    "nginx": Program("nginx"),
    # nginx's module that sends the PROXY protocol, which is one of the mistakes that the receiver reports.
    "nginx-stream": Program("libnginx-mod-stream", "/usr/lib/nginx/modules/ngx_stream_module.so"),
    "prometheus": Program("prometheus"),
    "promtool": Program("prometheus"),
    "systemd-analyze": Program("systemd"),
    "chromium": Program("chromium"),
}


def find(name: str) -> Path | None:
    """Return the path of a program, or ``None`` if it is not installed."""
    file = PROGRAMS[name].file
    if file is None:
        file = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *ELSEWHERE]))
    return None if file is None or not os.path.exists(file) else Path(file)


def need(name: str) -> Path:
    """Return the path of an installed program, for a test that starts it.

    Without the program, the test is skipped, or fails if the program is required. The use is counted for the test that is
    running, so each test calls this function itself or through a fixture of its own.

    :param name: a key of :data:`PROGRAMS`.
    """
    path = find(name)
    if path is None:
        give_up(name, PROGRAMS, f"apt-get install {PROGRAMS[name].package}")
    file = os.environ.get(USED)
    if file:
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        with open(file, "a", encoding="utf-8") as uses:  # one short write, so lines of two processes do not mix
            uses.write(f"{name}\t{test}\n")
    return path


def missing() -> list[str]:
    """Return the Debian packages of all programs that are not installed."""
    return list(dict.fromkeys(program.package for name, program in PROGRAMS.items() if find(name) is None))


def used(file: Path) -> list[str]:
    """Return one line for each program: the number of tests that used it."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    uses = {tuple(line.split("\t", 1)) for line in lines}
    counts = {name: sum(each[0] == name for each in uses) for name in PROGRAMS}
    return [f"{name}: used by {count} test{'' if count == 1 else 's'}" for name, count in counts.items()]


def give_up(name: str, known: Iterable[str], command: str) -> NoReturn:
    """Skip the running test because something is missing, or fail it if that is required.

    :param name: what is missing.
    :param known: all names, which are required by default if ``CI=true``.
    :param command: the command that installs it.
    """
    text = f"{name} is missing: type {command}"
    if name in _required(known):
        pytest.fail(text)
    pytest.skip(text)


def _required(known: Iterable[str]) -> list[str]:
    given = os.environ.get(REQUIRE)
    if given is None:
        return list(known) if os.environ.get("CI") == "true" else []
    return given.split()


def main(arguments: list[str]) -> int:
    match arguments:
        case ["missing"]:
            print(*missing())
        case ["names"]:
            print(*PROGRAMS)
        case ["used", file]:
            print(*used(Path(file)), sep="\n")
        case _:
            print("usage: python -m tests.support.programs missing | names | used FILE", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
