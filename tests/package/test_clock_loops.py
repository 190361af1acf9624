"""Threads with timers where the clock stands still or leaps: what is due comes about, and what lives is not given up."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync import ConnectionLost, RelayClient, RequestTimeout
from relay_sync.connection import addresses
from relay_sync.server import Loop, WebSocketServer
from relay_sync.simulator import Simulator
from relay_sync.threads import process
from relay_sync.threads.lanes import Lanes
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.clocks import leapt, stopped
from tests.support.faults.script import Peer, ScriptedServer
from tests.support.lines import line

pytestmark = pytest.mark.usefixtures("soon")


def _goes_on(peer: Peer) -> None:
    """A server that is sane."""
    peer.welcome()
    _answers(peer)


def _answers(peer: Peer) -> None:
    while True:
        request = peer.receive()
        if "method" in request:
            peer.answer(request, {"code": "200", "message": "OK"})


def _falls_silent(peer: Peer) -> None:
    peer.welcome()
    peer.until_closed()


def _hears_nothing(peer: Peer) -> None:
    peer.welcome()
    peer.answer(peer.request("signalwire.ping"), {})
    while True:  # it talks whenever it is asked something, and answers nothing
        if "method" in peer.receive():
            peer.event("calling.call.state", {})


def _lets_nobody_in(peer: Peer) -> None:
    peer.upgrade()
    peer.until_closed()


def _upgrades_nobody(peer: Peer) -> None:
    peer.until_closed()


def _hangs_up(peer: Peer) -> None:
    pass


@pytest.mark.parametrize("first", [_falls_silent, _hears_nothing, _lets_nobody_in, _upgrades_nobody, _hangs_up])
def test_a_server_that_is_no_good_is_left_although_the_clock_stands_still(first: Callable[[Peer], None]) -> None:
    scripts: Iterator[Callable[[Peer], None]] = iter([first, _hangs_up, _hangs_up])
    back = threading.Event()

    def serve(peer: Peer) -> None:
        script = next(scripts, None)
        if script is None:
            back.set()
            _goes_on(peer)
        else:
            script(peer)

    with ScriptedServer(serve) as server:
        client = RelayClient(**server.credentials, ping_interval=0.05, ping_timeout=0.05, connect_timeout=0.1)
        try:
            with stopped():
                connecting = Background(client.connect, PATIENCE)
                assert back.wait(PATIENCE)
                connecting.result()
                assert client.execute("any.thing", timeout=PATIENCE) == {"code": "200", "message": "OK"}
        finally:
            client.disconnect()


def test_whoever_asks_again_and_again_does_not_put_off_what_is_due() -> None:
    """Each command wakes the IO thread, so that none of its sleeps lasts its whole time."""
    peers: queue.SimpleQueue[Peer] = queue.SimpleQueue()

    def serve(peer: Peer) -> None:
        peer.welcome()
        peers.put(peer)
        if peer.number == 1:
            peer.until_closed()
        else:
            _answers(peer)

    with (
        ScriptedServer(serve) as server,
        RelayClient(**server.credentials, ping_interval=0.2, ping_timeout=0.2) as client,
    ):
        peers.get(timeout=PATIENCE)
        with stopped():
            for _ in range(50):
                try:
                    client.execute("any.thing", timeout=0.06)
                    break
                except (RequestTimeout, ConnectionLost):
                    pass
            assert peers.get(timeout=PATIENCE).number == 2


def test_after_a_leap_of_the_clock_the_next_ping_decides() -> None:
    pinged: queue.SimpleQueue[tuple[Peer, dict[str, Any]]] = queue.SimpleQueue()

    def serve(peer: Peer) -> None:
        peer.welcome()
        while True:
            request = peer.receive()
            if "method" not in request:
                continue
            if request["method"] == "signalwire.ping":
                pinged.put((peer, request))
            else:
                peer.answer(request, {"code": "200", "message": "OK"})

    with (
        ScriptedServer(serve) as server,
        RelayClient(**server.credentials, ping_interval=0.05, ping_timeout=0.4) as client,
    ):
        first, _ = pinged.get(timeout=PATIENCE)
        with leapt():
            peer, request = pinged.get(timeout=PATIENCE)
            assert peer is first
            peer.answer(request, {})
            assert client.execute("any.thing", timeout=PATIENCE)
            # Nobody answers this one: that decides it.
            assert pinged.get(timeout=PATIENCE)[0] is first
            assert pinged.get(timeout=PATIENCE)[0] is not first


def test_an_idle_worker_leaves_where_the_clock_stands_still() -> None:
    with stopped():
        lanes = Lanes(patience=0.01)
        done = threading.Event()
        lanes.submit("lane", done.set)
        assert done.wait(PATIENCE)
        left = threading.Event()
        while lanes.workers and not left.wait(0.001):
            pass
    assert lanes.workers == 0


def test_a_silent_address_is_passed_over_where_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "HEAD_START", 0.01)
    with stopped(), addresses._Race(lambda sock: None) as race, socket.socket() as silent:
        race._running.append(silent)
        assert Background(race._wait, 0.01).result(PATIENCE) is None
        race._running.clear()


def test_a_fork_waits_no_longer_for_an_import_where_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "IMPORT_PATIENCE", 0.02)
    monkeypatch.setattr(process, "_importing", lambda: True)
    with stopped():
        Background(process._before_fork).result(PATIENCE)


# -- the loop of servers -----------------------------------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop("relay-test-loop")
    made.start()
    yield made
    made.stop(PATIENCE)


def test_timers_of_a_loop_fire_in_time_where_the_clock_stands_still(loop: Loop) -> None:
    fired: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()

    def fire(name: str) -> None:
        fired.put((name, loop.time()))
        if name == "b":
            loop.call_later(0.01, fire, "c")

    with stopped():
        began = loop.time()
        for name, delay in (("b", 0.03), ("d", 0.06), ("a", 0.01)):
            loop.call_later(delay, fire, name)
        got = [fired.get(timeout=PATIENCE) for _ in range(4)]
    assert [name for name, _ in got] == ["a", "b", "c", "d"]
    for (_, at), delay in zip(got, (0.01, 0.03, 0.04, 0.06), strict=True):
        assert began + delay <= at + 1e-6 < began + delay + 0.02 + 1e-6


def test_a_loop_that_waits_does_not_spin_where_the_clock_stands_still(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns, select, done = [], loop._selector.select, threading.Event()

    def counted(timeout: float | None) -> Any:
        turns.append(1)
        return select(timeout)

    monkeypatch.setattr(loop._selector, "select", counted)
    with stopped():
        loop.call_later(0.2, done.set)
        assert done.wait(PATIENCE)
    assert len(turns) < 20


def test_a_leap_of_the_clock_brings_no_timer_on(loop: Loop) -> None:
    began, fired = time.perf_counter(), queue.SimpleQueue[float]()
    loop.call_later(0.15, lambda: fired.put(time.perf_counter() - began))
    loop.call(lambda: None, timeout=PATIENCE)
    with leapt():
        loop.call_later(0.2, fired.put, 0.2)  # from here, where the loop may not have noticed
        assert fired.get(timeout=PATIENCE) >= 0.15
        assert fired.get(timeout=PATIENCE) == 0.2
    # It has gone back, now.
    loop.call_later(0.01, fired.put, 2.0)
    assert fired.get(timeout=PATIENCE) == 2.0


def test_a_server_closes_whoever_does_not_ask_for_anything_where_the_clock_stands_still(loop: Loop) -> None:
    server = WebSocketServer(loop, on_request=lambda request: None, on_open=lambda connection: None, open_timeout=0.05)
    try:
        with stopped(), socket.create_connection(("127.0.0.1", server.port), PATIENCE) as stranger:
            stranger.sendall(b"GET / HT")
            assert stranger.recv(100) == b""
    finally:
        server.close()


def test_what_happens_in_a_call_of_the_simulator_happens_where_the_clock_stands_still(sim: Simulator) -> None:
    with line(sim) as one, stopped():
        for _ in range(3):
            assert Background(one.call.play_silence(0.02).wait, PATIENCE).result().state == "finished"
