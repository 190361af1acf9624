"""Several processes with a receiver each: who listens where, and what a killed one takes along."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from attrs import define

from relay_sync.audio import read_wav
from relay_sync.simulator import Phone, Simulator
from tests.support.background import until
from tests.support.hosting import PATIENCE, Started
from tests.support.lines import FROM, TO

__all__ = ["PUBLIC_URL", "Several", "listener", "needs_proc", "with_range"]

needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
#: The address of a receiver of several processes, for a proxy that the simulator does without.
PUBLIC_URL: Final = "ws://127.0.0.1:{port}/media/{port}"


def with_range(program: str, ports: range) -> str:
    """A program of a page with a receiver that chooses from these ports."""
    assert program.count("AudioServer()") == 1
    return program.replace("AudioServer()", f"AudioServer(port={ports!r}, public_url={PUBLIC_URL!r})")


def listener(port: int) -> int | None:
    """The ID of the process that listens on a port of 127.0.0.1, if it is one of ours."""
    address = f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    wanted = {f"socket:[{row[9]}]" for row in rows if row[1] == address and row[3] == "0A"}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.readlink(each) in wanted for each in folder.iterdir()):
                return int(folder.parent.name)
        except OSError:  # somebody else's, or it has just ended
            continue
    return None


@define
class Several:
    """Two processes that take calls and save ``*CALL_ID.wav`` of each.

    :ivar restart: starts a process for one that was killed, where nobody else does.
    """

    sim: Simulator
    folder: Path
    ports: range
    restart: Callable[[], object] = lambda: None

    def call_both(self) -> dict[int, Phone]:
        """A call in each process, whose audio flows. :return: the calls by the port that takes their audio."""
        phones = [self.sim.call(to=TO, from_=FROM, says=bytes(16000 * 60)) for _ in range(2)]
        for phone in phones:
            phone.wait_for_stream(timeout=PATIENCE).wait_until("streaming", PATIENCE)
        found = {urlsplit(phone.streams[0].url).port or 0: phone for phone in phones}
        assert len(found) == 2, "each process has a port of its own"
        assert set(found) <= set(self.ports)
        return found

    def hang_up(self, phone: Phone) -> None:
        """End a call when half a second of it has been sent."""
        stream = phone.streams[0]
        until(lambda: stream.frames_sent.get("inbound", 0) >= 25)
        phone.hang_up()

    def saved(self, phone: Phone) -> Path | None:
        return next(self.folder.rglob(f"*{phone.call_id}.wav"), None)

    def check_saved(self, phone: Phone) -> None:
        """All that was sent is in the file, at the latest a moment after the end of the call."""
        sent = phone.streams[0].frames_sent["inbound"] / 50
        until(lambda: self.seconds(phone) == pytest.approx(sent, abs=0.1))

    def seconds(self, phone: Phone) -> float:
        """The length of a call's file; 0 if there is none, or if it has only been created."""
        file = self.saved(phone)
        return 0.0 if file is None or file.stat().st_size <= 44 else read_wav(file).duration

    def kill(self, port: int) -> None:
        """Kill the process that listens on a port, and wait until another has taken its place."""
        pid, connects = listener(port), self._connects
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: listener(port) is None)
        self.restart()
        until(lambda: self._connects > connects)
        self.sim.wait_for_client(2, PATIENCE)

    @property
    def _connects(self) -> int:
        return len(self.sim.journal.requests("signalwire.connect"))

    def check(self) -> None:
        """Take calls in both processes, kill one, and take calls in both again."""
        self.sim.wait_for_client(2, PATIENCE)
        (dying, lost), (port, kept) = sorted(self.call_both().items())
        survivor = listener(port)
        self.kill(dying)
        assert kept.streams[0].state == "streaming", "the other process has not noticed"
        assert listener(port) == survivor
        again = self.call_both()
        assert set(again) == {dying, port}, "the port of the killed process was free for its replacement"
        assert listener(port) == survivor
        for phone in (kept, *again.values()):
            self.hang_up(phone)
            self.check_saved(phone)
        lost.hang_up()
        if self.saved(lost) is not None:  # the receiver records
            assert lost.streams[0].frames_sent["inbound"] / 50 - self.seconds(lost) < 1

    def check_end(self, *processes: Started) -> None:
        """After a graceful end, no process and no port is left."""
        for process in processes:
            process.terminate()
            assert not re.search("Forked|in use|giving up", process.output), process.output
        self.sim.wait_until_gone()
        for port in self.ports:
            socket.create_server(("127.0.0.1", port)).close()
