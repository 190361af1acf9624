"""Find the simulator that a command uses."""

from __future__ import annotations

import os
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from ...hosts.names import place_of
from ...hosts.proof import is_proof, new_challenge
from ..arguments import CONTROL_TOKEN
from ..mistakes import Mistake, Unsuccessful
from ..runtime_files import FolderRefused, RunningSimulator, find_files, forget
from .asking import Control

__all__ = ["Found", "find_simulator"]

#: Time limit for the proof that a process is the simulator that wrote a file, in seconds.
_PROOF: Final = 3.0
_START: Final = 'start one with "relay-sync dev PROGRAM" or "relay-sync simulate"'


@frozen
class Found:
    """The simulator that a command uses.

    :ivar control: its control interface.
    :ivar name: description for people.
    """

    control: Control
    name: str


def find_simulator(given: str | None) -> Found:
    """Return the simulator that an argument names, or the newest one.

    :param given: process ID or URL of a simulator, or ``None`` for the newest simulator of this user.
    :raises Mistake: the argument is invalid.
    :raises Unsuccessful: there is no such simulator.
    """
    if given is not None and not given.isdecimal():
        return _at(_control_url(given))
    for running in _files():
        if given is not None and running.pid != int(given):
            continue
        if _is_itself(running):
            return _found(running)
        forget(running)
        if given is not None:
            raise Unsuccessful(f"the simulator of process {given} does not answer at {running.control}")
    if given is not None:
        raise Unsuccessful(f"process {given} is not a simulator of this user; {_START}")
    raise Unsuccessful(f"no simulator is running; {_START}, or pass --simulator URL")


def _files() -> list[RunningSimulator]:
    try:
        return find_files()
    except FolderRefused as refused:
        raise Unsuccessful(str(refused)) from None


def _at(url: str) -> Found:
    for running in _files():
        if running.control == url and _is_itself(running):
            return _found(running)
    key = os.environ.get(CONTROL_TOKEN, "")
    if not key:
        raise Mistake("--simulator", f"{url}: no file has the key of this simulator; set {CONTROL_TOKEN} to it")
    if not key.isascii() or not key.isprintable():
        raise Mistake(f"${CONTROL_TOKEN}", "must be printable ASCII characters")
    return Found(Control(url, key), url)


def _found(running: RunningSimulator) -> Found:
    return Found(Control(running.control, running.key), f"{running.control}, process {running.pid}: {running.command}")


def _is_itself(running: RunningSimulator) -> bool:
    """Return whether the program at the URL proves that it knows the ID in the file. The key is not sent."""
    challenge, control = new_challenge(), Control(running.control)
    try:
        answer = control.get("/identity", {"challenge": challenge}, timeout=_PROOF)
    except Unsuccessful:
        return False
    finally:
        control.close()
    return isinstance(answer, dict) and is_proof(answer.get("proof"), running.id, challenge)


def _control_url(given: str) -> str:
    """Return the URL of the control interface. The path may be missing.

    :raises Mistake: the text is neither a process ID nor a URL, or it contains a key, which other users could read.
    """
    expected = "a process ID, or a URL such as http://127.0.0.1:8080"
    try:
        parts = urlsplit(given)
        place = place_of(given)
    except ValueError:
        parts, place = urlsplit(""), None
    if parts.fragment or parts.query or "@" in parts.netloc:
        raise Mistake(
            "--simulator",
            f"a key in the URL can be read by other users of this machine: pass the URL only up to the port, and set"
            f" {CONTROL_TOKEN}",
        )
    if place is None or parts.scheme not in ("http", "https"):
        raise Mistake.invalid("--simulator", repr(given), expected)
    path = parts.path.rstrip("/") or "/simulator"
    return f"{parts.scheme}://{parts.netloc}{path}"
