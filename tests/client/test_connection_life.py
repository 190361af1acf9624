"""A client's connection: made, kept, lost, made again, and given up."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import (
    AuthenticationError,
    ClientClosed,
    ConnectionLost,
    ConnectTimeout,
    RelayClient,
    RelayEvent,
    RequestTimeout,
)
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import mute
from tests.support.faults.proxy import FaultProxy
from tests.support.faults.script import Peer, ScriptedServer, frame
from tests.support.lines import NOWHERE, Line, drop, line
from tests.support.states import wait_for_state
from tests.support.tls import CERTIFICATE

MakeClient = Callable[..., RelayClient]


def test_nothing_is_sent_before_the_session_is_there(sim: Simulator, client: MakeClient) -> None:
    sim.hold("signalwire.connect")
    one = client()
    waiting = Background(one.execute, "signalwire.ping")
    sim.wait_for_held("signalwire.connect", PATIENCE)
    assert one.state == "connecting"
    assert not sim.journal.requests("signalwire.ping")
    sim.release()
    assert waiting.result() is not None


@pytest.mark.slow
def test_refused_credentials_back_off_and_leave_nothing_behind(sim: Simulator, client: MakeClient) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    one = client(on_state=states.put)
    one.connect()
    waiting = Background(one.run)
    sim.fail("signalwire.connect", -32002, "authentication failed: 401", times=None)
    sim.cut()
    wait_for_state(states, "failed")
    with pytest.raises(AuthenticationError):
        waiting.result()
    # The first, a resume that was refused, and three without it.
    assert len(sim.journal.requests("signalwire.connect")) == 5
    sim.clear_faults()
    with client() as other:
        assert other.state == "connected"
    one.connect()
    assert one.state == "connected"


def test_a_lost_socket_is_made_again_and_fails_what_was_under_way(sim: Simulator) -> None:
    with line(sim) as one:
        sim.hold("calling.pass")
        waiting = Background(one.call.pass_)
        sim.wait_for_held("calling.pass")
        drop(sim, one.client)
        with pytest.raises(ConnectionLost):
            waiting.result()
        assert one.client.state == "connected"


def test_a_command_whose_time_is_over_ends_no_newer_connection(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    with line(sim, on_state=states.put) as one:
        sim.refuse_connections()
        sim.cut()
        wait_for_state(states, "reconnecting")
        with pytest.raises(RequestTimeout), one.client.timeout(0.05):
            one.call.denoise()
        sim.refuse_connections(False)
        one.client.wait_until_ready(PATIENCE)
        count = len(sim.journal.requests("signalwire.connect"))
        one.call.denoise()
        assert len(sim.journal.requests("calling.denoise")) == 1
        assert len(sim.journal.requests("signalwire.connect")) == count


def test_a_ping_without_an_answer_closes_nothing_while_the_server_speaks(sim: Simulator) -> None:
    with line(sim, ping_interval=30.0) as one:
        sim.drop_reply("signalwire.ping")
        with pytest.raises(RequestTimeout):
            one.client.execute("signalwire.ping", timeout=0.05)
        assert one.client.execute("signalwire.ping") is not None
        assert len(sim.journal.requests("signalwire.connect")) == 1


def test_run_works_off_the_main_thread_and_stops_during_a_backoff(sim: Simulator, client: MakeClient) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    one = client(on_state=states.put)
    running = Background(one.run)
    sim.wait_for_client(1, PATIENCE)
    sim.refuse_connections()
    sim.cut()
    wait_for_state(states, "reconnecting")
    one.stop()
    running.result()
    assert one.state == "closed"


@pytest.mark.parametrize(
    "frame",
    [
        {"id": "1", "method": "signalwire.event", "params": {"event_type": "calling.call.state", "params": 5}},
        {"id": "2", "method": "signalwire.event", "params": {"event_type": "calling.call.state", "params": ["x"]}},
        {"id": "3", "method": "signalwire.event", "params": "text"},
        {"id": {"un": "hashable"}, "method": "signalwire.event", "params": {"event_type": "calling.call.state"}},
        {"id": ["un", "hashable"], "method": "signalwire.ping"},
        {"id": ["un", "hashable"], "result": {}},
        {"id": "4", "method": ["x"], "params": {}},
        {"id": "5", "method": "signalwire.event", "params": {"event_type": ["x"], "params": {}}},
    ],
    ids=json.dumps,
)
def test_frames_of_wrong_shapes_do_not_end_the_reader(muted: Line, frame: dict[str, Any]) -> None:
    muted.sim.send_raw(json.dumps({"jsonrpc": "2.0", **frame}))
    assert muted.call.denoise()["code"] == "200"
    assert len(muted.sim.journal.requests("signalwire.connect")) == 1


def test_disconnect_tells_waiters_by_an_error_of_ours_and_can_be_undone(muted: Line) -> None:
    waiting = Background(muted.call.wait_for_ended)
    muted.client.disconnect()
    with pytest.raises(ClientClosed):
        waiting.result()
    muted.client.connect()
    assert muted.client.execute("signalwire.ping") is not None
    drop(muted.sim, muted.client)  # and it repairs itself again
    assert muted.client.state == "connected"


def test_a_client_that_could_not_connect_spoils_no_other(sim: Simulator) -> None:
    given = sim.credentials
    with pytest.raises(AuthenticationError):
        RelayClient(project=given["project"], token="wrong", host=given["host"]).connect()
    sim.drop_reply("signalwire.connect")
    late = RelayClient(**given)
    with pytest.raises(ConnectTimeout):
        late.connect(0.1)
    for client in (RelayClient(**given), late):
        with client:
            assert client.execute("signalwire.ping", {}) is not None


def test_disconnect_tells_every_kind_of_waiter_the_same(sim: Simulator) -> None:
    with line(sim) as one:
        sim.hold("calling.pass")
        sim.drop_event("calling.call.stream", state="finished", times=None)

        def expecting() -> None:
            with one.call.expect("calling.x.y"):
                pass

        action = one.call.stream(NOWHERE)
        waiters: list[Background[object]] = [
            Background(action.wait),
            Background(action.wait, 60.0),
            Background(one.call.wait_for_ended),
            Background(one.call.wait_for, "calling.x.y"),
            Background(expecting),
            Background(list, one.call.events()),
            Background(one.call.pass_),
        ]
        sim.wait_for_held("calling.pass")
        one.client.disconnect()
        for waiter in waiters:
            with pytest.raises(ClientClosed, match="closed"):
                waiter.result()


def test_one_thread_alone_uses_the_tls_socket(secure: Simulator) -> None:
    """Eight threads command, and events flood, over one TLS socket: no spurious drop, no answer to the wrong caller."""
    with line(secure, ca_file=CERTIFICATE, ping_interval=60.0) as one:
        mute(secure)
        seen: list[RelayEvent] = []
        one.call.on("calling.call.refer", seen.append)

        def command(name: int) -> None:
            for number in range(40):
                payload = f"{name}-{number}"
                assert one.client.execute("signalwire.ping", {"payload": payload})["payload"] == payload

        running = [Background(command, name) for name in range(8)]
        for number in range(200):
            secure.send_event("calling.call.refer", {"call_id": one.call.call_id, "number": number})
        for each in running:
            each.result(60)
        secure.wait_for_acks(PATIENCE)
        assert len(secure.journal.requests("signalwire.connect")) == 1
        one.client.disconnect()
        assert [event.params["number"] for event in seen] == list(range(200))


@pytest.mark.parametrize("how", ["silent", "drips"])
def test_an_upgrade_that_never_ends_is_given_up(sim: Simulator, how: str) -> None:
    with FaultProxy(sim.port) as proxy:
        if how == "silent":
            proxy.refuse("silent")
        else:
            proxy.shape("down", segment=1, rate=20)  # a byte in time for every read
        client = RelayClient(**proxy.through(sim))
        began = time.monotonic()
        with pytest.raises(ConnectTimeout):
            client.connect(0.3)
        assert time.monotonic() - began < PATIENCE
        client.disconnect()


def test_there_is_a_limit_to_a_message() -> None:
    def script(peer: Peer) -> None:
        peer.welcome()
        if peer.number == 1:
            peer.write(frame(b"", announced=2000))
            peer.until_closed()
        peer.answer(peer.request("signalwire.ping"), {})
        peer.until_closed()

    with ScriptedServer(script) as server, RelayClient(**server.credentials, max_frame=1024) as client:
        assert client.execute("signalwire.ping") == {}


def test_closing_does_not_wait_for_the_peer(sim: Simulator) -> None:
    with FaultProxy(sim.port) as proxy:
        client = RelayClient(**proxy.through(sim))
        client.connect()
        proxy.cut("silent")
        began = time.monotonic()
        client.disconnect(timeout=60)
        assert time.monotonic() - began < PATIENCE


def test_no_thread_polls(sim: Simulator) -> None:
    """Idle, a client has one thread, and that one sleeps."""
    before = set(threading.enumerate())
    with RelayClient(**sim.credentials, ping_interval=60.0) as client:
        client.execute("signalwire.ping")
        assert len([one for one in set(threading.enumerate()) - before if one.name.startswith("relay-io")]) == 1
        others = [
            one for one in set(threading.enumerate()) - before if not one.name.startswith(("relay-io", "relay-lane"))
        ]
        for one in others:  # who dialed is done, and may need a moment to end
            one.join(PATIENCE)
        assert not [one.name for one in others if one.is_alive()]


def test_there_is_one_way_back_only(sim: Simulator) -> None:
    """A drop, a command that finds it and a ping that is due: one new connection, not one for each."""
    with FaultProxy(sim.port) as proxy, RelayClient(**proxy.through(sim), ping_interval=0.05, ping_timeout=0.05) as one:
        proxy.cut("silent")
        running = [Background(one.execute, "signalwire.ping", {"payload": str(n)}) for n in range(8)]
        assert [each.result()["payload"] for each in running] == [str(n) for n in range(8)]
        count = len(sim.journal.requests("signalwire.connect"))
        assert proxy.accepted == count
        assert sim.clients == 1
