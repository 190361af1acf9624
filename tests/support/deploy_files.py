"""The files of ``examples/deploy``, read as systemd, Docker and nginx read them."""

from __future__ import annotations

import ast
import json
import re
import shlex
from typing import Any, Final

from tests.support import ROOT

__all__ = [
    "APP",
    "FOLDER",
    "REPOSITORY",
    "compose",
    "dockerfile",
    "drain",
    "exec_form",
    "health_port",
    "option",
    "port_range",
    "scrape_interval",
    "seconds",
    "setting",
    "text",
    "unit",
]

FOLDER: Final = ROOT / "examples" / "deploy"
APP: Final = FOLDER / "app.py"
REPOSITORY: Final = ROOT


def text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def unit(given: str | None = None) -> list[tuple[str, str, str]]:
    """The settings of a unit, by default of ``relay.service``, in order: section, name and value."""
    found, section = [], ""
    for line in (text("relay.service") if given is None else given).splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.append((section, name, value))
    return found


def setting(name: str, given: str | None = None) -> str:
    """The value of a setting that a unit has once, by default ``relay.service``."""
    (value,) = [value for _, each, value in unit(given) if each == name]
    return value


def option(command: list[str], name: str) -> str:
    """The value of an option of a command line."""
    return command[command.index(name) + 1]


def drain() -> float:
    """Seconds that live calls get, in the unit."""
    return float(option(shlex.split(setting("ExecStart")), "--drain"))


def health_port() -> int:
    """Where the unit serves health."""
    return int(option(shlex.split(setting("ExecStart")), "--health").rpartition(":")[2])


def scrape_interval() -> float:
    """Seconds between two requests of Prometheus."""
    (span,) = re.findall(r"^ +scrape_interval: (\w+)$", text("prometheus.yml"), re.MULTILINE)
    return seconds(span)


def seconds(span: str) -> float:
    """A time span as systemd and compose write it: ``140``, ``140s`` or ``2m20s``."""
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s?)?", span)
    assert found is not None, span
    return 60.0 * int(found[1] or 0) + int(found[2] or 0)


def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, in order, each with its arguments."""
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text("Dockerfile"), flags=re.MULTILINE)).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines if line]


def exec_form(instruction: str) -> list[str]:
    """The words of the last ``CMD`` or ``ENTRYPOINT``."""
    words: list[str] = json.loads([arguments for name, arguments in dockerfile() if name == instruction][-1])
    return words


def compose() -> dict[str, Any]:
    import yaml  # an extra of the slow tier

    found: dict[str, Any] = yaml.safe_load(text("compose.yaml"))
    return found


def port_range() -> range:
    """The ports of ``app.py``."""
    for node in ast.walk(ast.parse(APP.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "port":
            value = eval(compile(ast.Expression(node.value), str(APP), "eval"), {"range": range})
            return value if isinstance(value, range) else range(value, value + 1)
    raise AssertionError("app.py has no port=")
