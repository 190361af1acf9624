"""The clients that are compared, behind one interface; each is imported only in the process that runs it."""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol, cast

__all__ = ["NAMES", "STREAM_URL", "Adapter", "make"]

#: Name on the command line: module, class and what it is.
_CLIENTS: Final = {
    "ours": ("ours", "Ours", "relay_sync"),
    "ref": ("official", "Reference", "signalwire-sdk in its own idiom, asyncio"),
    "bridge": ("official", "Bridge", "signalwire-sdk, its loop in a thread, a thread per call"),
    "bare": ("bare", "Bare", "websocket-client and json"),
}
NAMES: Final = {name: told for name, (_, _, told) in _CLIENTS.items()}
STREAM_URL: Final = "wss://audio.example.com/stream"


class Adapter(Protocol):
    """What a client must be able to do to be compared. Times are seconds, taken in the client's own idiom."""

    def connect(self) -> None: ...

    def close(self) -> None: ...

    def execute(self, method: str, params: dict[str, object]) -> dict[str, object]:
        """One command and its result."""

    def sequence(self, count: int) -> list[float]:
        """So many commands one after another; how long each took."""

    def crowd(self, callers: int, each: int) -> float:
        """So many callers at once, each with so many commands one after another."""

    def flood(self, count: int) -> float:
        """So many events to one listener of one call, acknowledged."""

    def lifecycle(self, count: int) -> float:
        """So many calls offered at once: answer, stream, wait for its end, hang up; until the last one is done."""

    def idle(self, count: int) -> None:
        """So many calls whose handlers wait for the end of the call; returns when all of them do."""

    def block(self, count: int, pause: float) -> float:
        """So many handlers that block for so long; until the last one is done."""

    def repair(self) -> float:
        """Have the connection cut; until a command works again."""


def make(name: str, port: int, ca_file: str | None = None) -> Adapter:
    """A client for the server at this port; TLS if there is a certificate to trust."""
    module, kind, _ = _CLIENTS[name]
    made = getattr(import_module(f".{module}", __name__), kind)(port, ca_file)
    return cast("Adapter", made)
