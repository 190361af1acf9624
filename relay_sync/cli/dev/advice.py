"""Advice for programs that ``relay-sync dev`` runs and that do not receive the calls of the simulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import define, field

from ...simulator import Entry, Simulator
from ...simulator.core.journal import Reader
from .process import shown_exit
from .settings import foreign_host

__all__ = ["Adviser", "is_covered"]

#: Time after the start of the program in which a client should connect, in seconds.
CONNECTING: Final = 5.0
#: Time that a call may wait for a client without advice, in seconds.
OFFERING: Final = 0.3
#: Maximum number of problems to remember.
MOST_ADVISED: Final = 1_000
_WINS: Final = "arguments to RelayClient win over the environment that dev sets"
_CONNECT: Final = "signalwire.connect"


@define(eq=False)
class Adviser:
    """Compares what happens in the simulator with what a working program does, and gives advice once for each problem.

    :param simulator: the simulator.
    :param name: name of the program.
    :param advise: called with each piece of advice.
    :param on_connected: called when the first client of a run of the program has connected.

    :ivar is_once: whether there is only the call of ``--once``, whose end tells why it waited.
    :ivar connected: whether a client has connected since the program was started.
    """

    _simulator: Simulator
    _name: str
    _advise: Callable[[str], None]
    _on_connected: Callable[[], None]
    is_once: bool = field(default=False, init=False)
    connected: bool = field(default=False, init=False)
    _refused: bool = field(default=False, init=False)
    _started: float | None = field(default=None, init=False)  # Monotonic time; None once there is nothing to wait for.
    _reader: Reader = field(init=False)
    _connecting: set[tuple[int, str]] = field(factory=set, init=False)  # Connection and ID of unanswered requests.
    _waiting: dict[str, float] = field(factory=dict, init=False)  # Time at which each call was first seen to wait.
    _advised: set[str] = field(factory=set, init=False)

    @_reader.default
    def _new_reader(self) -> Reader:
        return Reader(self._simulator.journal)

    def program_started(self) -> None:
        """Start to wait for a client of the program."""
        self.look()
        self.connected = self._refused = False
        self._started = time.monotonic()
        self._connecting.clear()

    def program_ended(self, code: int) -> str:
        """Return advice if no client of the program had connected, or ``""``.

        :param code: exit code of the program.
        """
        self.look()
        self._started = None
        if self.connected:
            return ""
        how = f"{self._name} ended with {shown_exit(code)} before a client connected"
        if self._refused:
            return f"{how}: {_WINS}"
        if code == 0:
            return f"{how}: call client.run(), which waits for calls"
        return (
            f"{how}: see its output in the terminal; if it could not connect, remove project, token and host, because"
            f" {_WINS}"
        )

    def look(self) -> None:
        """Check what has happened since the last call of this method."""
        for _, entry in self._reader.fresh():
            self._look_at(entry)
        self._look_at_calls()
        if self._started is not None and time.monotonic() - self._started >= CONNECTING:
            self._started = None
            if not self.connected and not self._refused:
                self._advise(
                    f"no client has connected within {CONNECTING:g} s of the start of {self._name}: if it is not still"
                    f" starting, remove project, token and host, because {_WINS}; the program must also call run() or"
                    " connect()"
                )

    def _look_at(self, entry: Entry) -> None:
        if entry.direction == "in":
            if entry.method == _CONNECT:
                self._connecting.add((entry.connection, str(entry.frame.get("id"))))
            for url in _stream_urls(entry):
                self._look_at_stream(url)
        elif not entry.method and isinstance(entry.frame, dict):
            request = entry.connection, str(entry.frame.get("id"))
            if request in self._connecting:
                self._connecting.discard(request)
                self._answered(entry.frame)

    def _answered(self, frame: dict[str, Any]) -> None:
        """Take note of the reply to a client that wants to connect."""
        result = frame.get("result")
        if isinstance(result, dict) and "protocol" in result:
            if not self.connected:
                self.connected = True
                self._on_connected()
        elif not self._refused:
            self._refused = True
            self._advise(f"a client with other credentials was refused: {_WINS}, so remove project and token from them")

    def _look_at_stream(self, url: str) -> None:
        host = foreign_host(url)
        if host:
            self._once(
                f"stream {host}",
                f"a stream to {host} was not opened, because the simulator connects only to this machine: pass the URL of"
                " an AudioServer without a public_url",
            )

    def _look_at_calls(self) -> None:
        now, waiting = time.monotonic(), {}
        for phone in self._simulator.phones:
            reason = phone.waits_because
            if not reason:
                continue
            waiting[phone.call_id] = since = self._waiting.get(phone.call_id, now)
            if now - since >= OFFERING and self.connected and not self.is_once:
                self._once(
                    f"call {phone.call_id}",
                    f"the call from {phone.number} waits: {reason}; call one of these, or add the context to the contexts"
                    " of RelayClient",
                )
        self._waiting = waiting

    def _once(self, what: str, text: str) -> None:
        if what not in self._advised:
            if len(self._advised) >= MOST_ADVISED:
                self._advised.clear()
            self._advised.add(what)
            self._advise(text)


def is_covered(message: str) -> bool:
    """Return whether a warning of the simulator is about a problem for which the adviser has better advice.

    :param message: the warning.
    """
    waiting = message.startswith("the call from ") and " is waiting: no client " in message
    remote = message.startswith("no stream to ") and ": the receiver is not on loopback" in message
    return waiting or remote


def _stream_urls(entry: Entry) -> Iterator[str]:
    """Yield the URLs to which a command asks the platform to stream."""
    if entry.method == "calling.stream":
        yield str(entry.params.get("url", ""))
    elif entry.method == "calling.connect":
        yield from _device_urls(entry.params.get("devices"))


def _device_urls(devices: Any) -> Iterator[str]:
    if isinstance(devices, list):
        for each in devices:
            yield from _device_urls(each)
    elif isinstance(devices, dict) and devices.get("type") == "stream" and isinstance(devices.get("params"), dict):
        yield str(devices["params"].get("url", ""))
