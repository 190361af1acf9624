"""Threads with timers where the clock stands still or leaps: what is due comes about, and what lives is not given up."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clocks import leapt, stopped
from faults.script import Peer, ScriptedServer
from support import PATIENCE, Background

from relay_sync import ConnectionLost, RelayClient, RequestTimeout
from relay_sync.runtime import addresses, process
from relay_sync.runtime.lanes import Lanes

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
