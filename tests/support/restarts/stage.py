"""A live call whose program is restarted: the program in processes of its own, and what it and the simulator see of the call."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from relay_sync.audio import read_wav
from relay_sync.simulator import Simulator
from relay_sync.simulator.people.phone import Phone
from tests.support import ROOT
from tests.support.hosting import PATIENCE, Started, environment, launched
from tests.support.lines import FROM, TO

#: Seconds that live calls get in tests.
DRAIN: Final = 4.0
#: Less than this share of the drain time is "at once".
AT_ONCE: Final = 0.5
#: Seconds of audio that may be missing at the end of a file after SIGKILL: what was on its way to the disk.
UNWRITTEN: Final = 1.0

# What the table says.
CONTINUES: Final = "continues until the caller hangs up"
HUNG_UP: Final = "is hung up when the time is over"
AT_ONCE_HUNG_UP: Final = "is hung up immediately"
ORPHANED: Final = "stays connected without a handler; the caller hears silence"
CONTINUES_TO_END: Final = "continues until the call ends"
ENDS_WITH_CALL: Final = "ends with the call"
ENDS_WITH_PROCESS: Final = "ends with the process"
COMPLETE: Final = "complete"
NEARLY_COMPLETE: Final = "playable; less than a second is missing"
GOES_ON: Final = "continues as long as the call"


WAITS: Final = "waits for the next start"
RESTARTED: Final = "waits for the restart, then is taken"
OTHERS_TAKE: Final = "is taken by another process"
NEW_TAKES: Final = "is taken by a new process, at once"
OLD_TAKES: Final = "is taken by an old process"
REPLACED: Final = "with one worker, waits for its replacement"

CALLS: Final = """
import os, sys
from relay_sync import Call
from relay_sync.audio import AudioServer

with open("pids", "a") as file:
    file.write(f"{os.getpid()}\\n")

def say(*words):
    print("said", *words, flush=True)

ports = os.environ.get("TEST_PORTS")
audio = AudioServer(port=range(*map(int, ports.split())) if ports else 0, record_to="{call_id}.wav")

def handle(call: Call) -> None:
    call.answer()
    call.record(audio={"format": "wav"})
    with audio.listen(call, track="both") as stream:
        say("took", call.call_id, os.getpid())
        stream.wait()
    say("done", call.call_id, os.getpid())
    if os.environ.get("TEST_HANGS"):
        import threading, time
        threading.Thread(target=time.sleep, args=(600,)).start()
"""
PROGRAM: Final = (
    CALLS
    + """
from relay_sync import RelayClient

client = RelayClient(contexts=["default"], connect_timeout=20)
client.on_call(handle)
"""
)
WEB: Final = (
    CALLS
    + """
import time
from flask import Flask
from relay_sync.contrib.flask import Relay

relay = Relay(contexts=["default"])
relay.on_call(handle)

def create_app() -> Flask:
    app = Flask(__name__)
    app.config["RELAY_SYNC"] = {}
    relay.init_app(app)
    app.add_url_rule("/", "index", lambda: "hello")
    app.add_url_rule("/block", "block", lambda: time.sleep(60) or "")
    return app
"""
)


@frozen
class Seen:
    """What became of a live call, its stream, its recordings, and of a call that came afterward."""

    call: str
    stream: str
    file: str
    recording: str
    next_call: str


@define(eq=False)
class Stage:
    """A program with a live call that is streamed and recorded twice: into a file, and by the platform."""

    sim: Simulator
    folder: Path
    started: Started
    phone: Phone
    drain: float
    command: list[str]
    variables: Mapping[str, str]
    port: int
    began: float = field(default=0.0, init=False)  # time of the event
    ended: float = field(default=0.0, init=False)  # time at which the call was seen to have ended
    by_caller: bool = field(default=False, init=False)
    frames: int = field(default=0, init=False)  # sent at the event
    next_phone: Phone | None = field(default=None, init=False)
    more: list[Started] = field(factory=list, init=False)

    # -- what is looked at -----------------------------------------------------------------------------------------

    @property
    def output(self) -> str:
        return self.started.output + "".join(each.output for each in self.more)

    def owner(self, phone: Phone) -> int | None:
        """The process that took a call."""
        found = re.search(rf"said took {phone.call_id} (\d+)", self.output)
        return int(found[1]) if found else None

    def handler_returned(self) -> bool:
        return f"said done {self.phone.call_id}" in self.output

    def pids(self) -> list[int]:
        """All processes that have loaded the program so far."""
        return [int(line) for line in (self.folder / "pids").read_text(encoding="utf-8").split()]

    def sent(self) -> int:
        return self.phone.wait_for_stream().frames_sent["inbound"]

    def until(self, ready: Callable[[], object], what: str) -> None:
        """Wait until it is so. :param what: what is waited for, if it never is."""
        end = time.monotonic() + PATIENCE
        while not ready():
            assert time.monotonic() < end, f"{what}\n{self.output}"
            time.sleep(0.01)

    # -- what is done ----------------------------------------------------------------------------------------------

    def event(self) -> None:
        """Note that the event of the row happens now."""
        self.began, self.frames = time.monotonic(), self.sent()

    def signal(self, number: int, pid: int | None = None) -> None:
        """Send a signal, which is the event of the row unless one was sent before."""
        if not self.began:
            self.event()
        os.kill(self.started.process.pid if pid is None else pid, number)

    def until_draining(self) -> None:
        """Return once a process has refused further calls: from then on, it waits for the ones that it has."""
        journal = self.sim.journal
        self.until(lambda: journal.requests("signalwire.unreceive"), "no process waits for its calls")

    def until_the_stream_went_on(self) -> None:
        before = self.sent()
        self.until(lambda: self.sent() > before + 10, "the stream stands still")

    def hang_up(self) -> None:
        """The caller ends the call, as most do."""
        self.until_the_stream_went_on()
        self.by_caller = True
        self.phone.hang_up()

    def until_the_call_ended(self) -> None:
        self.phone.wait_until("ended", self.drain + PATIENCE)
        self.ended = time.monotonic()

    def until_gone(self, pid: int) -> None:
        self.until(lambda: not is_running(pid), f"process {pid} is still running")

    def until_exit(self) -> int:
        return self.started.process.wait(self.drain + PATIENCE)

    def call_again(self) -> None:
        """Another call comes in."""
        self.next_phone = self.sim.call(to=TO, from_=FROM)

    @contextmanager
    def start_again(self) -> Iterator[None]:
        """The same command once more, as a service manager gives it."""
        folder = self.folder / "again"
        folder.mkdir()
        path = os.pathsep.join([str(self.folder), str(ROOT)])
        with launched(folder, {**self.variables, "PYTHONPATH": path}, *self.command) as started:
            self.more.append(started)
            yield
            if started.process.poll() is not None:
                return
            started.process.send_signal(signal.SIGTERM)
            self.until(lambda: "for 1 live call" in started.output, "the next call is not waited for")
            started.process.send_signal(signal.SIGTERM)
            started.process.wait(PATIENCE)

    def until_taken_by_another(self, before: int | None) -> None:
        """Return once the next call has been taken. :param before: the process that must not take it."""
        phone = self.next_phone
        assert phone is not None
        self.until(lambda: self.owner(phone), "the next call is not taken")
        assert self.owner(phone) != before

    # -- what was seen ---------------------------------------------------------------------------------------------

    def seen(self, next_call: str) -> Seen:
        """What became of everything, by what both sides see.

        :param next_call: what became of the next call, which each row sees for itself.
        """
        return Seen(self._call(), self._stream(), self._file(), self._recording(), next_call)

    def _call(self) -> str:
        if self.by_caller:
            self.until(self.handler_returned, "the handler has not returned")
            return CONTINUES
        if self.phone.state != "ended":
            assert not self.handler_returned()
            return ORPHANED
        assert self.phone.end_reason == "hangup"
        if self.ended - self.began < AT_ONCE * self.drain:
            return AT_ONCE_HUNG_UP
        return HUNG_UP

    def _stream(self) -> str:
        stream = self.phone.streams[0]
        self.until(lambda: stream.over, "the stream goes on")
        if self.phone.state != "ended":
            return ENDS_WITH_PROCESS
        if not self.by_caller and self.ended - self.began < AT_ONCE * self.drain:
            return ENDS_WITH_CALL  # perhaps before another frame was sent
        assert self.sent() > self.frames
        return CONTINUES_TO_END

    def _file(self) -> str:
        path = self.folder / f"{self.phone.call_id}.wav"
        missing = 0.02 * self.sent() - read_wav(path).duration
        if self.phone.state == "ended" and missing < 0.05:
            return COMPLETE
        assert missing < UNWRITTEN, f"{missing:.2f} s are missing"
        return NEARLY_COMPLETE

    def _recording(self) -> str:
        if self.phone.state == "ended":
            assert not self.phone.recorded
            return CONTINUES_TO_END
        assert self.phone.recorded
        return GOES_ON


def is_running(pid: int) -> bool:
    """Whether a process runs. One that has exited may never be collected, if its parent was killed."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


@contextmanager
def stage(
    folder: Path,
    program: str,
    command: list[str],
    *,
    drain: float,
    clients: int,
    variables: Mapping[str, str],
    port: int,
) -> Iterator[Stage]:
    """Start a program, and place a call that is taken, streamed and recorded.

    :param clients: how many connections the program has when it is ready.
    :param port: where a web server was told to serve.
    """
    (folder / "app.py").write_text(program, encoding="utf-8")
    with Simulator() as sim:
        given = {**environment(sim, PYTHONPATH=str(ROOT), PYTHONUNBUFFERED="1"), **variables}
        with launched(folder, given, *command) as started:
            try:
                sim.wait_for_client(clients, timeout=PATIENCE)
                phone = sim.call(to=TO, from_=FROM)
                phone.wait_until("answered", PATIENCE)
                phone.wait_for_stream(timeout=PATIENCE).wait_until("streaming", PATIENCE)
                one = Stage(sim, folder, started, phone, drain, command, given, port)
                one.until(lambda: one.owner(phone) is not None and phone.recorded, "the call is not taken")
                one.until_the_stream_went_on()
                yield one
            finally:
                for file in folder.rglob("pids"):
                    for pid in map(int, file.read_text(encoding="utf-8").split()):
                        if is_running(pid):
                            os.kill(pid, signal.SIGKILL)
