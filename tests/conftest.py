"""Fixtures for all tests, and the check that no test leaves a thread or a socket behind."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from relay_sync import RelayClient
from relay_sync.protocol import session
from relay_sync.protocol.backoff import retry_delay
from relay_sync.rest import download
from relay_sync.simulator import Simulator
from relay_sync.testing import variables_of, wait_for_handlers
from relay_sync.threads import logs
from relay_sync.threads.flag import Bell

if TYPE_CHECKING:
    from tests.support.lines import Line

# Before any of it is imported: fixtures here import what they need of it themselves.
pytest.register_assert_rewrite("tests.support")

#: Seconds that threads and sockets of a test may take to go once it is over.
PATIENCE = 10.0
_TESTS = Path(__file__).resolve().parent
_DESCRIPTORS = "/proc/self/fd"

MakeClient = Callable[..., RelayClient]


def pytest_configure() -> None:
    """Give the programs that tests start the default signals: a background job ignores SIGINT, ``nohup`` ignores SIGHUP, and both
    are inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGHUP", "SIGTERM"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            # A handler that does nothing ignores it here; a program that is started has the default again.
            signal.signal(number, lambda *_: None)
    # A machine that has other work to do takes longer than hypothesis gives an example.
    # The slow tier tries more examples, with --hypothesis-profile=thorough.
    hypothesis.settings.register_profile("patient", deadline=None, max_examples=30)
    hypothesis.settings.register_profile("thorough", deadline=None, max_examples=150)
    hypothesis.settings.load_profile("patient")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Let each process of pytest-xdist import a share of the modules first. Otherwise each of them rewrites the assertions of all
    modules, at the same time; so it reads most of them from the cache. This matters in a fresh checkout.
    """
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if not count or [Path(name).resolve() for name in session.config.args] != [_TESTS]:
        return
    for path in sorted(_TESTS.rglob("test_*.py"))[int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")) :: count]:
        with suppress(Exception, pytest.skip.Exception):  # Collecting reports it.
            importlib.import_module(".".join(("tests", *path.relative_to(_TESTS).with_suffix("").parts)))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests marked ``static``, ``traced`` or ``alone`` are slow as well."""
    if any(item.get_closest_marker(name) for name in ("static", "traced", "alone")):
        item.add_marker("slow")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Take the tests out of the garbage collector's sight: there are thousands, and a collection traverses all of them."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """With ``-v``, show the properties that tests recorded, such as parts that have grown large."""
    if terminalreporter.verbosity < 1:
        return
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            terminalreporter.write_line(f"{name}: {text}")


def _open_sockets() -> set[str]:
    """The kernel's names of this process's sockets; empty where the system does not tell (only Linux does)."""
    found: set[str] = set()
    try:
        numbers = os.listdir(_DESCRIPTORS)
    except OSError:
        return found
    for number in numbers:
        try:
            target = os.readlink(f"{_DESCRIPTORS}/{number}")
        except OSError:  # the descriptor of the listing itself
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test after which a thread named ``relay-*`` or a socket is still there."""
    threads, sockets = set(threading.enumerate()), _open_sockets()
    yield
    deadline = time.monotonic() + PATIENCE
    left = [thread for thread in threading.enumerate() if thread not in threads]
    for thread in left:
        if thread.name.startswith("relay-") and thread.is_alive():  # not: one that a thread which ends is just starting
            thread.join(max(0.0, deadline - time.monotonic()))
    alive = [thread.name for thread in left if thread.is_alive() and thread.name.startswith("relay-")]
    assert not alive, f"threads left behind: {', '.join(alive)}"
    if _open_sockets() - sockets:
        gc.collect()  # a socket that only waits for the collector warns by itself
    # The server of a module may still be closing its side.
    while _open_sockets() - sockets and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not _open_sockets() - sockets, "sockets left open"


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """Has whatever was said before it is looked at: what threads of ours say, another thread writes."""
    handler = caplog.handler

    def written(self: pytest.LogCaptureFixture) -> Any:
        logs.flush(PATIENCE)
        return handler

    monkeypatch.setattr(pytest.LogCaptureFixture, "handler", property(written))
    return caplog


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A simulator that sends media as fast as it is read."""
    with Simulator(media="fast") as simulator:
        yield simulator


@pytest.fixture
def client(sim: Simulator) -> Iterator[MakeClient]:
    """Make clients of :func:`sim`, not yet connected; whatever becomes of them, they are disconnected at the end."""
    made: list[RelayClient] = []

    def make(**options: Any) -> RelayClient:
        given: dict[str, Any] = {**sim.credentials, "contexts": ["default"], **options}
        made.append(RelayClient(**given))
        return made[-1]

    yield make
    for each in made:
        each.disconnect()


@pytest.fixture
def on_call(sim: Simulator) -> Iterator[Line]:
    """A call that has been answered, parked in its handler."""
    from tests.support.lines import line

    with line(sim) as one:
        yield one


@pytest.fixture
def muted(on_call: Line) -> Line:
    """The same, on a simulator that from now on tells nothing by itself."""
    from tests.support.far_end import mute

    mute(on_call.sim)
    return on_call


@pytest.fixture
def account(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """The environment leads whoever looks there to :func:`sim`."""
    for name, value in variables_of(sim).items():
        monkeypatch.setenv(name, value)
    return sim


@pytest.fixture
def offline() -> Iterator[RelayClient]:
    """A client that is not connected: the test says what its IO thread would, see :mod:`tests.support.offline`."""
    client = RelayClient(project="p", token="t", host="example.com")
    client.on_call(lambda call: None)
    yield client
    wait_for_handlers(PATIENCE)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses connections, and that no other process can have meanwhile."""
    from tests.support.ports import hold_port  # after its assertions were registered

    with hold_port() as sock:
        yield sock.getsockname()[1]


@pytest.fixture
def peers() -> Iterator[list[Any]]:
    """Sockets to close at the end, whatever happens."""
    import websocket

    made: list[Any] = []
    yield made
    for peer in made:
        (peer.shutdown if isinstance(peer, websocket.WebSocket) else peer.close)()


@pytest.fixture
def free_port(closed_port: int) -> int:
    """A port for a server that is to be started, and that nobody else is given meanwhile."""
    return closed_port


@pytest.fixture
def ports() -> Iterator[range]:
    """Ports in a row, for two processes and the two that replace them."""
    from tests.support.ports import hold_range

    with hold_range(4) as held:
        yield held


@pytest.fixture
def slow_after_waking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads other than the main one rest when they have woken somebody: what they do after that comes late."""
    ring = Bell.ring

    def ring_and_rest(self: Bell) -> None:
        ring(self)
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.02)  # the subject is time

    monkeypatch.setattr(Bell, "ring", ring_and_rest)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts to connect again come after a tenth of their time: for tests in which that time is not the subject."""
    for module in (session, download):
        monkeypatch.setattr(module, "retry_delay", lambda failures, random: retry_delay(failures, random) / 10)


@pytest.fixture
def collected() -> None:
    """What earlier tests left to the collector is gone: each client that is still there makes each exception cost a little."""
    gc.collect()
