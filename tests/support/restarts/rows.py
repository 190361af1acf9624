"""The events that end or replace processes, one for each row of the table, and what becomes of a live call."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from relay_sync.contrib.gunicorn import SHARE
from tests.support import deploy_files
from tests.support.background import Background
from tests.support.hosting import PATIENCE
from tests.support.lines import FROM, TO
from tests.support.ports import hold_range
from tests.support.restarts import stage as stages
from tests.support.restarts.stage import Seen, Stage

__all__ = ["FACTOR", "ROWS", "Row"]

#: Tests shorten the times of the unit, and the supervisor's own, by this factor.
FACTOR: Final = 0.1
#: Seconds that live calls get in the other tests.
DRAIN: Final = 4.0
#: ``relay-sync`` with the supervisor's own time shortened.
SHORTENED: Final = """
import sys
from relay_sync.cli import main, supervisor
supervisor.GRACE *= {factor}
sys.exit(main(sys.argv[1:]))
"""
UNIT_DRAIN: Final = deploy_files.drain() * FACTOR
UNIT_STOP: Final = deploy_files.seconds(deploy_files.setting("TimeoutStopSec")) * FACTOR


@frozen(kw_only=True)
class Row:
    """A row of the table.

    :ivar told: the event, in the words of the page.
    :ivar play: makes it happen, and returns what became of the next call.
    :ivar seen: what the test compares.
    :ivar processes: the numbers of processes with which the row is played.
    :ivar ports: how many ports the receivers share; with 0, each takes any.
    :ivar command: the command line after ``python``, given gunicorn's port and the number of processes.
    """

    told: str
    play: Callable[[Stage], str]
    seen: Seen
    command: Callable[[int, int], list[str]]
    processes: tuple[int, ...] = (1,)
    ports: int = 0
    drain: float = DRAIN
    program: str = stages.PROGRAM
    variables: Mapping[str, str] = field(factory=dict)

    @contextmanager
    def start(self, folder: Path, port: int, processes: int, *, command: list[str] | None = None) -> Iterator[Stage]:
        """The program with a live call.

        :param command: instead of the row's own.
        """
        with ExitStack() as stack:
            variables = dict(self.variables)
            if self.ports:
                held = stack.enter_context(hold_range(self.ports))
                variables["TEST_PORTS"] = f"{held.start} {held.stop}"
            yield stack.enter_context(
                stages.stage(
                    folder,
                    self.program,
                    command or self.command(port, processes),
                    drain=self.drain,
                    clients=processes,
                    variables=variables,
                    port=port,
                )
            )


def run(drain: float, factor: float = 1.0) -> Callable[[int, int], list[str]]:
    """``relay-sync run``."""

    def command(port: int, processes: int) -> list[str]:
        given = ["run", "app:client", "--processes", str(processes), "--drain", str(drain), "--log-level", "info"]
        return ["-c", SHORTENED.format(factor=factor), *given]

    return command


def gunicorn(*arguments: str, worker: str = "gthread", grace: float = DRAIN / SHARE) -> Callable[[int, int], list[str]]:
    """gunicorn with one worker."""

    def command(port: int, processes: int) -> list[str]:
        threads = ("--threads", "4") if worker == "gthread" else ()  # with threads, sync means gthread
        given = ("--bind", f"127.0.0.1:{port}", "--workers", "1", "--worker-class", worker, *threads)
        hooks = ("--config", "python:relay_sync.contrib.gunicorn", "--graceful-timeout", str(round(grace)))
        return ["-m", "gunicorn", *given, *hooks, *arguments, "app:create_app()"]

    return command


# -- relay-sync run ----------------------------------------------------------------------------------------------------


def nobody_takes(st: Stage) -> str:
    """The next call, where no process is left."""
    assert st.next_phone is not None
    assert st.next_phone.state != "answered"
    assert st.owner(st.next_phone) is None
    return stages.WAITS


def sigterm(st: Stage, *, hang_up: bool) -> str:
    st.signal(signal.SIGTERM)
    st.until_draining()
    st.call_again()
    if hang_up:
        st.hang_up()
    else:
        st.until_the_call_ended()
    assert st.until_exit() == 0
    return nobody_takes(st)


def sigterm_twice(st: Stage) -> str:
    st.signal(signal.SIGTERM)
    st.until_draining()
    st.signal(signal.SIGTERM)
    st.until_the_call_ended()
    assert st.until_exit() == 128 + signal.SIGTERM
    st.call_again()
    return nobody_takes(st)


def kill_one_of_two(st: Stage) -> str:
    """The other process keeps its call, and a new one is started."""
    owner = st.owner(st.phone)
    assert owner is not None
    other = st.sim.call(to=TO, from_=FROM)
    st.until(lambda: st.owner(other) not in (None, owner), "the other process takes no call")
    st.signal(signal.SIGKILL, owner)
    st.until_gone(owner)
    st.call_again()
    st.until_taken_by_another(owner)
    st.until(lambda: len(st.pids()) == 3, "no new process is started")
    st.sim.wait_for_client(2, timeout=PATIENCE)
    before = other.streams[0].frames_sent["inbound"]
    st.until(lambda: other.streams[0].frames_sent["inbound"] > before + 10, "the other call's stream stands still")
    return stages.OTHERS_TAKE


def kill_the_only_process(st: Stage) -> str:
    st.signal(signal.SIGKILL)
    st.until_exit()
    st.call_again()
    with st.start_again():
        st.until_taken_by_another(st.started.process.pid)
    return stages.RESTARTED


def kill_the_supervisor(st: Stage) -> str:
    """Its processes see it, and wait for their calls."""
    pids = st.pids()
    st.signal(signal.SIGKILL)
    st.until_draining()
    st.call_again()
    st.hang_up()
    for pid in pids:
        st.until_gone(pid)
    return nobody_takes(st)


def kill_the_supervisor_under_systemd(st: Stage) -> str:
    """With ``KillMode=mixed``, systemd then kills what is left of the unit, and starts it again."""
    pids = st.pids()
    st.signal(signal.SIGKILL)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        st.until_gone(pid)
    st.call_again()
    with st.start_again():
        st.until_taken_by_another(st.started.process.pid)
    return stages.RESTARTED


# -- systemd -----------------------------------------------------------------------------------------------------------


def restart_by_systemd(st: Stage, *, hang_up: bool, within: float) -> str:
    """What ``systemctl restart`` does with the shipped unit: SIGTERM to the main process, SIGKILL to all, start.

    :param within: at most so much of ``TimeoutStopSec`` passes.
    """
    pids = st.pids()
    st.signal(getattr(signal, deploy_files.setting("KillSignal")))
    st.until_draining()
    st.call_again()
    if hang_up:
        st.hang_up()
    else:
        st.until_the_call_ended()
    end = st.began + UNIT_STOP
    while st.started.process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    took = time.monotonic() - st.began
    for pid in {st.started.process.pid, *pids}:
        if stages.is_running(pid):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        st.until_gone(pid)
    assert took <= within * UNIT_STOP + 1, f"the service ended after {took:.1f} of {UNIT_STOP:.1f} s"
    with st.start_again():
        st.until_taken_by_another(st.started.process.pid)
    return stages.RESTARTED


# -- rolling restarts --------------------------------------------------------------------------------------------------


def roll_with_ports_for_both(st: Stage) -> str:
    """New processes first, then SIGTERM to the old ones."""
    owner = st.owner(st.phone)
    with st.start_again():
        st.sim.wait_for_client(4, timeout=PATIENCE)
        st.signal(signal.SIGTERM)
        st.until_draining()
        st.call_again()
        st.until_taken_by_another(owner)
        st.hang_up()
        assert st.until_exit() == 0
    return stages.NEW_TAKES


#: The error, as the page shows it.
TOO_FEW: Final = (
    "relay-sync run: the program's AudioServer cannot start: every port from {} to {} of 127.0.0.1 is already in use: each"
    " process needs a port of its own, and a rolling restart needs twice as many ports as processes"
)


def roll_with_too_few_ports(st: Stage) -> str:
    """The old processes are still there, and should stay."""
    with st.start_again():
        st.event()
        (new,) = st.more
        assert new.process.wait(PATIENCE) == 2
    first, end = st.variables["TEST_PORTS"].split()
    assert TOO_FEW.format(first, int(end) - 1) in new.output.splitlines(), new.output
    assert not st.sim.journal.requests("signalwire.unreceive")
    st.call_again()
    st.until_taken_by_another(None)
    st.hang_up()
    return stages.OLD_TAKES


# -- gunicorn ----------------------------------------------------------------------------------------------------------


def get(st: Stage, path: str) -> None:
    """A request, whatever becomes of it."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{st.port}{path}", timeout=PATIENCE) as answer:
            answer.read()
    except OSError:
        pass


def hup(st: Stage, *, hang_up: bool) -> str:
    owner = st.owner(st.phone)
    assert owner is not None
    st.signal(signal.SIGHUP)
    st.until_draining()
    st.call_again()
    st.until_taken_by_another(owner)
    if hang_up:
        assert st.phone.state == "answered"
        st.hang_up()
    else:
        st.until_the_call_ended()
    st.until_gone(owner)
    return stages.NEW_TAKES


def end_of_a_worker(st: Stage) -> str:
    """SIGTERM, as gunicorn sends it to a worker that is one too many."""
    owner = st.owner(st.phone)
    assert owner is not None
    st.signal(signal.SIGTERM, owner)
    st.until_draining()
    st.call_again()
    st.until_the_call_ended()
    st.until_taken_by_another(owner)
    st.until_gone(owner)
    return stages.REPLACED


def max_requests(st: Stage, *, hang_up: bool) -> str:
    owner = st.owner(st.phone)
    assert owner is not None
    st.event()
    get(st, "/")
    get(st, "/")
    st.until_draining()
    st.call_again()
    if hang_up:
        st.until_the_stream_went_on()
        assert st.next_phone is not None
        assert st.owner(st.next_phone) is None
        st.hang_up()
    else:
        st.until_the_call_ended()
    st.until_taken_by_another(owner)
    st.until_gone(owner)
    return stages.REPLACED


def request_that_blocks(st: Stage, *, hang_up: bool) -> str:
    owner = st.owner(st.phone)
    assert owner is not None
    blocked = Background(get, st, "/block")
    st.until(lambda: "WORKER TIMEOUT" in st.output, "the worker has not timed out")
    st.event()
    st.until_draining()
    st.call_again()
    if hang_up:
        st.hang_up()
    else:
        st.until_the_call_ended()
    st.until_gone(owner)
    st.until_taken_by_another(owner)
    blocked.result()
    return stages.REPLACED


def kill_a_worker(st: Stage) -> str:
    owner = st.owner(st.phone)
    assert owner is not None
    st.signal(signal.SIGKILL, owner)
    st.until_gone(owner)
    st.call_again()
    st.until_taken_by_another(owner)
    return stages.REPLACED


def drained(next_call: str) -> Seen:
    end = stages.CONTINUES_TO_END
    return Seen(stages.CONTINUES, end, stages.COMPLETE, end, next_call)


def hung_up(next_call: str) -> Seen:
    end = stages.CONTINUES_TO_END
    return Seen(stages.HUNG_UP, end, stages.COMPLETE, end, next_call)


def orphaned(next_call: str) -> Seen:
    return Seen(stages.ORPHANED, stages.ENDS_WITH_PROCESS, stages.NEARLY_COMPLETE, stages.GOES_ON, next_call)


WEB: Final[dict[str, Any]] = {"program": stages.WEB}

#: By name, in the order of the page.
ROWS: Final[dict[str, Row]] = {
    "sigterm": Row(
        told="`relay-sync run` receives SIGTERM, and the call ends within `--drain`",
        command=run(60),
        processes=(1, 2),
        play=partial(sigterm, hang_up=True),
        seen=drained(stages.WAITS),
    ),
    "sigterm-long": Row(
        told="`relay-sync run` receives SIGTERM, and the call outlasts `--drain`",
        command=run(DRAIN),
        processes=(1, 2),
        play=partial(sigterm, hang_up=False),
        seen=hung_up(stages.WAITS),
    ),
    "sigterm-twice": Row(
        told="`relay-sync run` receives a second SIGTERM, or Ctrl-C twice",
        command=run(60),
        drain=60,
        processes=(1, 2),
        play=sigterm_twice,
        seen=Seen(
            *(stages.AT_ONCE_HUNG_UP, stages.ENDS_WITH_CALL, stages.COMPLETE, stages.CONTINUES_TO_END, stages.WAITS)
        ),
    ),
    "kill-child": Row(
        told="`kill -9` of one of several processes, or it crashes; the calls of the others continue",
        command=run(60),
        processes=(2,),
        play=kill_one_of_two,
        seen=orphaned(stages.OTHERS_TAKE),
    ),
    "kill-supervisor": Row(
        told="`kill -9` of the supervisor, without a service manager: its processes drain and end",
        command=run(60),
        processes=(2,),
        play=kill_the_supervisor,
        seen=drained(stages.WAITS),
    ),
    "kill-supervisor-systemd": Row(
        told="`kill -9` of the supervisor under systemd, which kills its processes and starts the service again",
        command=run(60),
        processes=(2,),
        play=kill_the_supervisor_under_systemd,
        seen=orphaned(stages.RESTARTED),
    ),
    "kill": Row(
        told="`kill -9` of the only process",
        command=run(60),
        play=kill_the_only_process,
        seen=orphaned(stages.RESTARTED),
    ),
    "systemd": Row(
        told="`systemctl restart relay`, and the call ends within `--drain`",
        command=run(UNIT_DRAIN, FACTOR),
        drain=UNIT_DRAIN,
        processes=(1, 2),
        play=partial(restart_by_systemd, hang_up=True, within=UNIT_DRAIN / UNIT_STOP),
        seen=drained(stages.RESTARTED),
    ),
    "systemd-long": Row(
        told="`systemctl restart relay`, and the call outlasts `--drain`",
        command=run(UNIT_DRAIN, FACTOR),
        drain=UNIT_DRAIN,
        processes=(1, 2),
        play=partial(restart_by_systemd, hang_up=False, within=UNIT_DRAIN / UNIT_STOP),
        seen=hung_up(stages.RESTARTED),
    ),
    "systemd-hangs": Row(
        told="`systemctl restart relay`, and a thread of the program keeps its process from ending: SIGKILL",
        command=run(UNIT_DRAIN, FACTOR),
        drain=UNIT_DRAIN,
        processes=(1, 2),
        play=partial(restart_by_systemd, hang_up=False, within=1.0),
        seen=hung_up(stages.RESTARTED),
        variables={"TEST_HANGS": "yes"},
    ),
    "rolling": Row(
        told="rolling restart, with twice as many ports as processes",
        command=run(60),
        processes=(2,),
        ports=4,
        play=roll_with_ports_for_both,
        seen=drained(stages.NEW_TAKES),
    ),
    "rolling-few": Row(
        told="rolling restart, with as many ports as processes: the new processes end with an error",
        command=run(60),
        processes=(2,),
        ports=2,
        play=roll_with_too_few_ports,
        seen=drained(stages.OLD_TAKES),
    ),
    "gunicorn-hup": Row(
        told="gunicorn receives HUP, and the call ends within 80 % of `--graceful-timeout`",
        command=gunicorn(grace=30),
        play=partial(hup, hang_up=True),
        seen=drained(stages.NEW_TAKES),
        **WEB,
    ),
    "gunicorn-hup-long": Row(
        told="gunicorn receives HUP, and the call lasts longer",
        command=gunicorn(),
        play=partial(hup, hang_up=False),
        seen=hung_up(stages.NEW_TAKES),
        **WEB,
    ),
    "gunicorn-max-requests": Row(
        told="a gunicorn worker reaches `--max-requests`, and the call ends within 80 % of `--graceful-timeout`",
        command=gunicorn("--max-requests", "2", grace=30),
        play=partial(max_requests, hang_up=True),
        seen=drained(stages.REPLACED),
        **WEB,
    ),
    "gunicorn-max-requests-long": Row(
        told="a gunicorn worker reaches `--max-requests`, and the call lasts longer",
        command=gunicorn("--max-requests", "2"),
        play=partial(max_requests, hang_up=False),
        seen=hung_up(stages.REPLACED),
        **WEB,
    ),
    "gunicorn-timeout": Row(
        told="a request blocks a `sync` worker of gunicorn for longer than `--timeout`, and the call ends soon afterward",
        command=gunicorn("--timeout", "5", worker="sync", grace=30),
        play=partial(request_that_blocks, hang_up=True),
        seen=drained(stages.REPLACED),
        **WEB,
    ),
    "gunicorn-timeout-long": Row(
        told="a request blocks a `sync` worker of gunicorn for longer than `--timeout`, and the call lasts longer",
        command=gunicorn("--timeout", "5", worker="sync", grace=30),
        play=partial(request_that_blocks, hang_up=False),
        seen=hung_up(stages.REPLACED),
        **WEB,
    ),
    "gunicorn-kill": Row(
        told="`kill -9` of a gunicorn worker",
        command=gunicorn(),
        play=kill_a_worker,
        seen=orphaned(stages.REPLACED),
        **WEB,
    ),
}
