"""The ``relay-sync sim text`` command, which sends a text message to the program."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, Final

from ..mistakes import Mistake, Unsuccessful, check_positive
from .asking import Control, submit

__all__ = ["prepare", "run"]

#: Interval between requests for the journal, in seconds.
LOOK: Final = 0.1
_DELIVERIES: Final = {"direction": "out", "event_type": "messaging.receive"}
_OPTIONS: Final = {"to": "--to", "from": "--from", "body": "TEXT", "context": "--context", "media": "--media"}


def prepare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the request that sends the message.

    :param arguments: parsed arguments.
    :raises Mistake: an argument is invalid.
    """
    check_positive("--timeout", arguments.timeout)
    if not arguments.text and not arguments.media:
        raise Mistake("TEXT", "must not be empty without --media")
    body: dict[str, Any] = {"to": arguments.to, "from": arguments.from_, "context": arguments.context}
    if arguments.text:
        body["body"] = arguments.text
    if arguments.media:
        body["media"] = arguments.media
    return body


def run(control: Control, arguments: argparse.Namespace, body: dict[str, Any]) -> int:
    """Send the message, and wait until a client has received it.

    :param control: control interface of the simulator.
    :param arguments: parsed arguments.
    :param body: the request.
    :return: the exit code 0.
    :raises Mistake: the simulator refuses a parameter.
    :raises Unsuccessful: the simulator cannot be reached, or no client received the message in time.
    """
    message_id = str(submit(control, "/messages", body, _OPTIONS)["id"])
    if not _is_received(control, message_id, arguments.timeout):
        raise Unsuccessful(
            f"message {message_id} was not received within {arguments.timeout:g} s: no client has subscribed to context"
            f" {arguments.context!r}; the message waits for one"
        )
    print(json.dumps({"id": message_id}) if arguments.json else f"message {message_id} was received", flush=True)
    return 0


def _is_received(control: Control, message_id: str, timeout: float) -> bool:
    """Wait for the event that delivers the message to a client. Return whether it was sent in time."""
    end, since = time.monotonic() + timeout, 0
    while True:
        page = control.get("/journal", {**_DELIVERIES, "since": str(since)})
        for entry in page["entries"]:
            if entry["frame"]["params"]["params"].get("message_id") == message_id:
                return True
        since = int(page["next"])
        if time.monotonic() >= end:
            return False
        time.sleep(LOOK)
