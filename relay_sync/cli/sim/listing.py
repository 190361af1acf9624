"""The ``relay-sync sim calls`` and ``relay-sync sim journal`` commands, which show the state of a simulator."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from ...text.wording import counted
from ..streams import is_lost
from ..way_in import printable
from .asking import Control

__all__ = ["prepare", "run"]

#: Interval between requests for new journal entries, in seconds.
LOOK: Final = 0.25
#: Maximum number of entries in a response.
PAGE: Final = 1_000
_FILTERS: Final = ("method", "event_type", "direction")
_ARROWS: Final = {"in": "program ->", "out": "<- platform", "lost": "lost"}


def prepare(arguments: argparse.Namespace) -> None:
    """Do nothing: argparse has checked the arguments.

    :param arguments: parsed arguments.
    """


def run(control: Control, arguments: argparse.Namespace, prepared: None) -> int:
    """Print the calls or the journal.

    :param control: control interface of the simulator.
    :param arguments: parsed arguments.
    :param prepared: not used.
    :return: the exit code 0.
    :raises Unsuccessful: the simulator cannot be reached.
    """
    return _calls(control, arguments) if arguments.action == "calls" else _journal(control, arguments)


def _calls(control: Control, arguments: argparse.Namespace) -> int:
    calls = control.get("/calls")
    if arguments.json:
        print(json.dumps(calls), flush=True)
        return 0
    for call in calls:
        streams = counted(len(call["streams"]), "stream")
        waits = f"; {call['waits']}" if call["waits"] else ""
        print(f"{call['id']}  {call['number']:<16} {call['state']:<9} {streams}{waits}")
    print(counted(len(calls), "call in progress", "calls in progress"), flush=True)
    return 0


def _journal(control: Control, arguments: argparse.Namespace) -> int:
    wanted = {name: getattr(arguments, name) for name in _FILTERS if getattr(arguments, name)}
    since = 0
    while True:
        page = control.get("/journal", {**wanted, "since": str(since)})
        for entry in page["entries"]:
            print(json.dumps(entry) if arguments.json else _line(entry), flush=arguments.follow)
        since = int(page["next"])
        if len(page["entries"]) >= PAGE:
            continue
        if not arguments.follow or is_lost():
            return 0
        time.sleep(LOOK)


def _line(entry: Mapping[str, Any]) -> str:
    """Return a journal entry in one line."""
    frame = entry["frame"]
    what = printable(entry["event_type"] or entry["method"] or "reply")
    if isinstance(frame, dict):
        inner = frame.get("params") if entry["method"] else frame.get("result", frame.get("error"))
        if entry["event_type"] and isinstance(inner, dict):
            inner = inner.get("params")
        content = json.dumps(inner)
    else:
        content = "not JSON"
    return f"{entry['number']:>6}  {_ARROWS.get(entry['direction'], entry['direction']):<11}  {what}  {content}"
