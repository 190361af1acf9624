"""The steps of a page that install an application on a server, played below a folder of their own.

The commands that make files run as they stand, with other paths. What needs root or systemd is played: the test starts the
``ExecStart`` of each unit.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.support import ROOT, deploy_files
from tests.support.pages import blocks

__all__ = ["Installed", "install", "steps"]

#: Commands that make files, which are run; the rest needs root, the network or systemd.
RUN: Final = re.compile(
    r"^(?:sed|echo|sudo cp|sudo install -(?:D -)?m|sudo as-relay python \S+ (?:migrate|createsuperuser)\b)"
)
NOT_RUN: Final = re.compile(
    r"^(?:curl|sudo (?:apt-get|useradd|mkdir|install -d|python3|/srv/relay/\.venv/bin/pip|nano|systemctl|nginx|as-relay"
    r"|runuser)) "
)
#: How as-relay changes the user.
AS: Final = "setpriv --reuid relay --regid relay --init-groups "
#: How the programs of the virtual environment are started here.
PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = {
    "flask": ("-m", "flask"),
    "gunicorn": ("-m", "gunicorn"),
    "relay-sync": ("-m", "relay_sync"),
    "python": (),
}


def steps(page: str) -> list[str]:
    """The commands of the section on production."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8").partition("\n## In production\n")[2]
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    assert lines
    return lines


def below(root: Path, text: str) -> str:
    """A text with the places of the real server below a folder."""
    return re.sub(r"(?<![\w/.}])/(srv|etc|var|usr/local)/", rf"{root}/\1/", text)


@frozen
class Installed:
    """A server's files below a folder."""

    root: Path

    def unit(self, name: str) -> list[str]:
        """What a unit starts, after ``python``."""
        text = (self.root / "etc/systemd/system" / name).read_text(encoding="utf-8")
        program, *arguments = shlex.split(deploy_files.setting("ExecStart", text))
        return [*PROGRAMS[Path(program).name], *arguments]


def install(page: str, checkout: Path, root: Path) -> Installed:
    """Run the commands that make files.

    :param checkout: the application's files, to which those of ``examples/deploy`` are added.
    """
    shutil.copytree(deploy_files.FOLDER, checkout / "examples" / "deploy")
    for folder in (
        "srv/relay",
        "etc/relay",
        "etc/systemd/system",
        "etc/nginx/conf.d",
        "etc/prometheus",
        "usr/local/sbin",
        "var/lib/relay",
    ):
        (root / folder).mkdir(parents=True)
    (root / "srv/relay/.venv").symlink_to(sys.prefix)
    script = root / "usr/local/sbin/as-relay"
    # A superuser without a password: the terminal of a test answers no questions.
    quiet = "createsuperuser --noinput --username op --email op@example.com"
    for line in steps(page):
        if not RUN.match(line):
            assert NOT_RUN.match(line), f"neither run nor known: {line}"
            continue
        command = below(root, line.replace("sudo ", "").replace("createsuperuser", quiet))
        if command.startswith("as-relay "):
            command = f"{script.parent}/{command}"
        subprocess.run(["bash", "-ec", command], cwd=checkout, check=True, timeout=30, stdout=subprocess.DEVNULL)
        if line.endswith("/usr/local/sbin/"):  # the user of the tests plays the user of the services
            text = script.read_text(encoding="utf-8")
            assert text.count(AS) == 1
            text = below(root, text).replace(AS, "")
            script.write_text(text.replace("PYTHONPATH=", f"PYTHONPATH={ROOT}:"), encoding="utf-8")
    for unit in (root / "etc/systemd/system").iterdir():  # what sed wrote into a unit has a place of the real server
        text = unit.read_text(encoding="utf-8")
        unit.write_text(re.sub(r"(?<![\w/])/(srv|var)/", rf"{root}/\1/", text.replace(str(root), "")), encoding="utf-8")
    return Installed(root)
