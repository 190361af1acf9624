"""Names of code in the prose of pages exist: attributes of the objects that pages talk about, public classes, and commands."""

from __future__ import annotations

import argparse
import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from relay_sync import Call, RelayClient
from relay_sync.audio import AudioServer, AudioStream
from relay_sync.cli.arguments import build_parser
from relay_sync.rest import RestClient
from relay_sync.simulator import Phone, Simulator
from relay_sync.webhooks import Webhooks
from tests.support import ROOT
from tests.support.fields import described
from tests.support.pages import FENCED, PAGES, name_of
from tests.support.public import MODULES

#: What pages call these objects.
OBJECTS: Final[dict[str, type]] = {
    "call": Call,
    "client": RelayClient,
    "audio": AudioServer,
    "stream": AudioStream,
    "rest": RestClient,
    "sim": Simulator,
    "relay_simulator": Simulator,
    "phone": Phone,
    "hooks": Webhooks,
    **{each.__name__: each for each in (Call, RelayClient, AudioServer, RestClient, Simulator, Webhooks)},
}
#: Names that have this form, by page: of files, of the platform, and of what is not public.
OTHERS: Final = {
    "docs/deploy.md": {"TimeoutStopSec"},
    "docs/dev.md": {"--app"},
    "docs/rest.md": {"call.wav"},
    "docs/webhooks.md": {"StreamSid"},
}
_PUBLIC: Final = {name for module in MODULES for name in module.__all__} | set(dir(builtins))
#: It compares the names of the official SDK, and has a test of its own.
_COMPARED: Final = "docs/parity.md"


def has(owner: type, name: str) -> bool:
    """Attributes that a constructor sets are in the docstring of the class."""
    return hasattr(owner, name) or name in described(owner.__doc__ or "")


def options(command: str) -> dict[str, argparse.Action]:
    """The options of a subcommand; a subcommand that does not exist is a ``KeyError``."""
    (commands,) = (each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction))
    found = dict(commands.choices[command]._option_string_actions)
    for each in commands.choices[command]._actions:
        if isinstance(each, argparse._SubParsersAction):  # such as of relay-sync sim
            for action in each.choices.values():
                found.update(action._option_string_actions)
    return found


def unknown(text: str) -> Iterator[str]:
    """The names in the prose of a page that do not exist."""
    # Names of hosts have dots, too.
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"\b[a-z]+\.example\.com\b", "", FENCED.sub("", text))):
        for owner, name in re.findall(r"(?<![\w./-])(\w+)\.([a-z_]\w*)", code):
            if owner in OBJECTS and not has(OBJECTS[owner], name):
                yield f"{owner}.{name}"
        named = re.fullmatch(r"([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?:\(.*\))?", code)
        if named and named[1] not in _PUBLIC:
            yield named[1]
        typed = re.match(r"(?:\.venv/bin/)?relay-sync ([a-z]\S*)(.*)", code)
        if typed:
            try:
                known = options(typed[1])
            except KeyError:
                yield typed[0]
            else:
                yield from (option for option in re.findall(r"(?<!\S)--[\w-]+", typed[2]) if option not in known)


@pytest.mark.parametrize(
    "path",
    [path for path in (*PAGES, ROOT / "CHANGELOG.md") if name_of(path) != _COMPARED],
    ids=name_of,
)
def test_the_names_in_prose_exist(path: Path) -> None:
    assert set(unknown(path.read_text(encoding="utf-8"))) == OTHERS.get(name_of(path), set())


def test_names_that_do_not_exist_are_found() -> None:
    text = (
        "`call.play_tts()`, `call.sing()`, `RelayClient.dial`, `client.dials`, `DialFailed`, `DialFails`, `ValueError`, "
        "`relay-sync run --drain 30 --dry`, `relay-sync walk`, `sim.call(to=...)`\n\n```python\ncall.sing()\n```\n"
    )
    assert list(unknown(text)) == ["call.sing", "client.dials", "DialFails", "--dry", "relay-sync walk"]
