"""The ``relay-sync sim call`` command, which places a call and follows it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from attrs import define, field

from ..mistakes import Unsuccessful, check_positive
from .asking import Control, Refused, segment, submit
from .speeches import read_speech

__all__ = ["prepare", "run"]

#: Interval between requests for the call's state, in seconds.
LOOK: Final = 0.1
#: Time limit for the request that places the call, in seconds. It may carry a large file.
PLACING: Final = 60.0
#: Time after which a call that has not been offered to a client is explained, in seconds.
UNOFFERED: Final = 0.5
#: Time after which an answered call without a stream is explained, if the caller hangs up after speaking, in seconds.
UNSTREAMED: Final = 1.0
#: Why the caller does not speak.
_NO_STREAM: Final = "the program has opened no stream, which a caller needs to speak and then hang up"
#: HTTP status of a request that the call's state does not allow.
CONFLICT: Final = 409
#: Options by the control interface's names of the parameters.
_OPTIONS: Final = {"to": "TO", "from": "--from", "says": "--says", "presses": "--presses", "context": "--context"}


def prepare(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the request that places the call.

    :param arguments: parsed arguments.
    :raises Mistake: an argument is invalid.
    """
    for name in ("timeout", "hangs_up_after"):
        seconds = getattr(arguments, name)
        if seconds is not None:
            check_positive(f"--{name.replace('_', '-')}", seconds)
    body: dict[str, Any] = {"to": arguments.to, "from": arguments.from_, "context": arguments.context}
    speech = read_speech(arguments.says)
    if speech is not None:
        body["says"] = speech
        body["hangs_up_after_speaking"] = arguments.hangs_up_after is None
    if arguments.hangs_up_after is not None:
        body["hangs_up_after"] = arguments.hangs_up_after
    if arguments.presses:
        body["presses"] = arguments.presses
    return body


def run(control: Control, arguments: argparse.Namespace, body: dict[str, Any]) -> int:
    """Place the call, and print what happens until it ends.

    :param control: control interface of the simulator.
    :param arguments: parsed arguments.
    :param body: the request.
    :return: the exit code: 0 if the call was answered and has ended, otherwise 1.
    :raises Mistake: the simulator refuses a parameter.
    :raises Unsuccessful: the simulator cannot be reached, or the call did not end in time.
    """
    call = submit(control, "/calls", body, _OPTIONS, timeout=PLACING)
    call_id = str(call["id"])
    if arguments.no_wait:
        print(json.dumps(call) if arguments.json else call_id, flush=True)
        return 0
    if not arguments.json:
        print(f"call {call_id}: {arguments.from_} calls {arguments.to}, context {arguments.context}", flush=True)
    shown = Shown(quiet=arguments.json, speaks=bool(body.get("hangs_up_after_speaking")))
    try:
        call = _followed(control, call_id, call, shown, arguments.timeout)
    except BaseException:  # Ctrl-C, or the simulator has gone.
        with suppress(Unsuccessful):
            control.post(f"/calls/{segment(call_id)}/hang_up", {})
        raise
    if arguments.json:
        print(json.dumps(call), flush=True)
    if _was_answered(control, call_id):
        return 0
    why = f": {shown.waits}" if shown.waits else ""
    print(f"the call was not answered ({call['end_reason']}){why}", file=sys.stderr, flush=True)
    return 1


def _was_answered(control: Control, call_id: str) -> bool:
    """Return whether a call that has ended was answered, which may have happened between two requests for its state."""
    try:
        control.get(f"/calls/{segment(call_id)}", {"wait": "answered", "timeout": "1"})
    except Refused as refused:
        if refused.status == CONFLICT:
            return False
        raise
    return True


def _followed(control: Control, call_id: str, call: Any, shown: Shown, timeout: float) -> Any:
    """Show the changes of a call until it ends, and return it."""
    end = time.monotonic() + timeout
    while True:
        shown.look(call)
        if call["state"] == "ended":
            return call
        if time.monotonic() >= end:
            why = f"; {shown.waits or shown.unstreamed}" if shown.waits or shown.unstreamed else ""
            raise Unsuccessful(f"the call was hung up, because it is {call['state']} after {timeout:g} s{why}")
        time.sleep(LOOK)
        call = control.get(f"/calls/{segment(call_id)}")


@define(eq=False)
class Shown:
    """Changes of a call that have been printed.

    :ivar quiet: whether to print nothing.
    :ivar speaks: whether the caller hangs up after speaking.
    :ivar waits: why the call has not been offered to a client, or ``""``.
    :ivar unstreamed: why the caller has not spoken, or ``""``.
    """

    quiet: bool
    speaks: bool
    waits: str = field(default="", init=False)
    unstreamed: str = field(default="", init=False)
    _answered: float | None = field(default=None, init=False)
    _began: float = field(factory=time.monotonic, init=False)
    _seen: dict[str, Any] = field(factory=dict, init=False)

    def look(self, call: Mapping[str, Any]) -> None:
        """Print what has changed.

        :param call: the call as the control interface describes it.
        """
        self.waits = str(call["waits"])
        self.unstreamed = self._unstreamed(call)
        for name, what in self._parts(call):
            if self._seen.get(name) != what:
                self._seen[name] = what
                if not self.quiet:
                    print(f"{time.monotonic() - self._began:9.3f} s  {what}", flush=True)

    def _unstreamed(self, call: Mapping[str, Any]) -> str:
        if not self.speaks or call["state"] != "answered" or call["streams"]:
            return ""
        if self._answered is None:
            self._answered = time.monotonic()
        return _NO_STREAM if time.monotonic() - self._answered >= UNSTREAMED else ""

    def _parts(self, call: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Return what the call consists of: a name for each part, and the words for its state."""
        if self.waits and time.monotonic() - self._began >= UNOFFERED:
            yield "waits", f"not offered: {self.waits}"
        if call["state"] != "ended":
            yield "state", str(call["state"])
        if self.unstreamed:
            yield "unstreamed", f"waiting: {self.unstreamed}; use --hangs-up-after to end the call without it"
        for number, stream in enumerate(call["streams"]):
            reason = f" ({stream['end_reason']})" if stream["end_reason"] else ""
            yield f"stream {number}", f"stream to {stream['to']}: {stream['state']}{reason}"
        for number, item in enumerate(call["heard"]):
            yield f"heard {number}", f"heard: {item['words'] or item['type']}"
        if call["digits"]:
            yield "digits", f"received digits: {call['digits']}"
        if call["state"] == "ended":
            yield "state", f"ended ({call['end_reason']})"
