"""Connections that go and come back: what is resumed, what is kept, what is told, and what a leaving server is still asked."""

from __future__ import annotations

import logging
import queue
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import pytest

from relay_sync import (
    AuthenticationError,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    NotConnected,
    RelayClient,
    RelayEvent,
)
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.faults.proxy import FaultProxy
from tests.support.lines import FROM, NOWHERE, TO, Desk, drop, line
from tests.support.states import States, wait_for_state
from tests.support.tls import CERTIFICATE

MakeClient = Callable[..., RelayClient]


def connects(sim: Simulator) -> list[dict[str, Any]]:
    return [frame["params"] for frame in sim.journal.requests("signalwire.connect")]


def wait_for_connects(sim: Simulator, count: int) -> None:
    sim.journal.wait_for(lambda entry: len(connects(sim)) >= count, PATIENCE)


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("soon")
def test_a_session_is_resumed_with_the_latest_state(sim: Simulator, client: MakeClient) -> None:
    one = client()
    one.connect()
    drop(sim, one)
    sim.renew_authorization()
    sim.wait_for_acks(PATIENCE)
    drop(sim, one)
    fresh, first, second = connects(sim)
    assert "protocol" not in fresh
    assert "authorization_state" not in fresh
    assert first["protocol"] == second["protocol"] == one.relay_protocol
    assert first["authorization_state"] != second["authorization_state"]


def test_a_refused_resume_leads_to_a_new_session_that_knows_nothing_of_the_old(sim: Simulator) -> None:
    with line(sim) as one:
        old = one.client.relay_protocol
        one.client.receive(["office"])
        waiting = Background(one.call.wait_for_ended)
        sim.forget_sessions()
        sim.cut()
        with pytest.raises(ConnectionLost, match="new session"):
            waiting.result()
        one.client.wait_until_ready(PATIENCE)
        assert one.client.relay_protocol not in ("", old)
        assert one.client.calls == {}
        _, refused, fresh = connects(sim)
        assert refused["protocol"] == old
        assert "protocol" not in fresh
        assert "authorization_state" not in fresh
        assert fresh["contexts"] == ["default", "office"]
        # And it takes calls, of the contexts of run time too.
        sim.call(to=TO, from_=FROM, context="office")
        assert one.desk.take().context == "office"
        drop(sim, one.client)
        assert connects(sim)[-1]["protocol"] == one.client.relay_protocol


def test_a_command_for_a_call_of_the_old_session_was_not_sent(sim: Simulator) -> None:
    with line(sim) as one:
        sim.forget_sessions()
        one.drop()
        with pytest.raises(ConnectionLost) as caught:
            one.call.denoise()
        assert not caught.value.sent
        assert not sim.journal.requests("calling.denoise")


def test_a_call_of_a_session_that_is_over_is_not_connected(sim: Simulator) -> None:
    """Whatever is asked of it: nothing is sent, and no session is made for it."""
    with line(sim) as one:
        stream = one.call.stream(NOWHERE)
        waiting = Background(one.call.wait_for_ended)
        sim.forget_sessions()
        one.drop()
        with pytest.raises(ConnectionLost):
            waiting.result()
        before = len(sim.journal)
        asked: list[Callable[[], object]] = [
            one.call.answer,
            one.call.hangup,
            one.call.denoise,
            lambda: one.call.play_tts("hello"),
            lambda: one.call.stream(NOWHERE),
            lambda: one.call.transfer("context:office"),
        ]
        for ask in asked:
            with pytest.raises(NotConnected, match="new session") as caught:
                ask()
            assert not caught.value.sent
        assert stream.stop() == {}
        assert not [entry for entry in list(sim.journal)[before:] if entry.method.startswith("calling.")]


@pytest.mark.parametrize("replay", [True, False])
def test_events_are_applied_once_over_a_drop(replay: bool) -> None:
    """A server may send again what it sent before the drop, and what it could not send."""
    with Simulator(media="fast", replay_events=replay) as sim, line(sim) as one:
        seen: list[RelayEvent] = []
        one.call.on("calling.call.refer", seen.append)
        sim.duplicate_event("calling.call.refer", same_id=True, times=None)
        sim.refuse_connections()
        sim.cut()
        sim.send_event("calling.call.refer", {"call_id": one.call.call_id, "number": 1})
        sim.refuse_connections(False)
        sim.wait_for_client(1, PATIENCE)
        with one.call.expect("calling.call.refer", lambda event: event.params["number"] == 2, PATIENCE):
            sim.send_event("calling.call.refer", {"call_id": one.call.call_id, "number": 2})
        one.client.disconnect()  # callbacks have run
        assert [event.params["number"] for event in seen] == ([1, 2] if replay else [2])


@pytest.mark.slow
def test_calls_and_streams_survive_many_drops(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        action = one.call.stream(NOWHERE)
        for number in range(3):
            one.drop(reset=bool(number % 2))
        assert not action.is_done
        assert one.client.calls == {one.call.call_id: one.call}
        one.phone.hang_up()
        assert one.call.wait_for_ended(PATIENCE).call_id == one.call.call_id
        assert action.wait(PATIENCE).reason == "call_ended"


# -- a server that leaves ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restart", [False, True])
def test_a_leaving_server_answers_what_is_under_way(sim: Simulator, restart: bool) -> None:
    with line(sim) as one:
        sim.hold("calling.denoise")
        waiting = Background(one.call.denoise)
        sim.wait_for_held("calling.denoise", PATIENCE)
        sim.restart(restart)
        assert sim.clients == 1  # it is still there, for the answer
        sim.release()
        assert waiting.result()["code"] == "200"
        wait_for_connects(sim, 2)
        assert len(sim.journal.requests("calling.denoise")) == 1
    assert ("protocol" in connects(sim)[1]) is not restart


def test_nothing_is_lost_when_a_server_leaves(sim: Simulator) -> None:
    """Events until the last moment, commands from then on, the call, its action: all as if nothing had been."""
    with line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        action = one.call.stream(NOWHERE)
        sim.hold("calling.denoise")
        under_way = Background(one.call.denoise)
        sim.wait_for_held("calling.denoise", PATIENCE)
        seen: list[RelayEvent] = []
        one.call.on("calling.call.refer", seen.append)
        sim.restart(False)
        with one.call.expect("calling.call.refer", None, PATIENCE):
            sim.send_event("calling.call.refer", {"call_id": one.call.call_id, "number": 1})
        later = [Background(one.client.execute, "signalwire.ping", {"payload": str(n)}) for n in range(10)]
        sim.release()
        assert under_way.result()["code"] == "200"
        assert [each.result()["payload"] for each in later] == [str(n) for n in range(10)]
        assert len(sim.journal.requests("signalwire.ping")) == 10
        assert not action.is_done
        one.phone.hang_up()
        action.wait(PATIENCE)
        one.client.disconnect()
        assert [event.params["number"] for event in seen] == [1]


def test_a_restart_costs_the_calls_and_nothing_else(sim: Simulator) -> None:
    """``restart: true`` asks for a new session: its calls are out of reach; what is not for them is sent into the new one."""
    states: States = queue.SimpleQueue()
    with line(sim, on_state=states.put) as one:
        wait_for_state(states, "connected")
        one.client.receive(["office"])
        old = one.client.relay_protocol
        ended = Background(one.call.wait_for_ended)
        sim.hold("calling.denoise")
        under_way = Background(one.call.denoise)
        sim.wait_for_held("calling.denoise", PATIENCE)
        sim.restart(True, patience=PATIENCE)
        queued = Background(one.client.execute, "signalwire.ping", {"payload": "kept"})
        while one.client._link.loop is not None and one.client._link.loop.session.unanswered < 2:
            assert queued.running
        sim.release()
        under_way.result()
        assert queued.result() == {"payload": "kept"}
        with pytest.raises(ConnectionLost):
            ended.result()
        wait_for_state(states, "connected")
        assert one.client.relay_protocol != old
        assert connects(sim)[-1]["contexts"] == ["default", "office"]
        sim.call(to=TO, from_=FROM)
        assert one.desk.take().call_id != one.call.call_id


@pytest.mark.slow
def test_servers_that_leave_one_after_another(sim: Simulator) -> None:
    with line(sim) as one:
        for _ in range(3):
            before = len(connects(sim))
            sim.restart(False)
            wait_for_connects(sim, before + 1)
            one.client.wait_until_ready(PATIENCE)
        assert one.call.denoise()["code"] == "200"


# -- what makes a connection impossible for a while ----------------------------------------------------------------------


class Resolver:
    """The system's resolver, which can be made to fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = socket.getaddrinfo
        self.number: int | None = None
        self.asked = 0
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.asked += 1
        if self.number is not None:
            raise socket.gaierror(self.number, "the resolver says no")
        return self._real(*args, **options)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_a_resolver_that_fails_later_is_asked_again(
    sim: Simulator, client: MakeClient, resolver: Resolver, number: int
) -> None:
    one = client()
    one.connect()
    resolver.number = number
    before = resolver.asked
    sim.cut()
    while resolver.asked < before + 2:
        assert one.state != "failed"
    resolver.number = None
    one.wait_until_ready(PATIENCE)
    assert one.execute("signalwire.ping") is not None


def test_a_name_that_does_not_exist_is_told_at_once_and_a_busy_resolver_in_time(
    client: MakeClient, resolver: Resolver
) -> None:
    resolver.number = socket.EAI_NONAME
    with pytest.raises(ConnectError, match="no host named") as caught:
        client().connect(PATIENCE)
    assert not isinstance(caught.value, ConnectTimeout)
    resolver.number = socket.EAI_AGAIN
    with pytest.raises(ConnectTimeout, match="the resolver says no"):
        client().connect(0.2)


def test_a_refused_connection_is_not_blamed_on_the_timeout(closed_port: int) -> None:
    with pytest.raises(ConnectTimeout, match=r"refused.*; is a server running at that address\?$"):
        RelayClient(project="p", token="t", host=f"ws://127.0.0.1:{closed_port}").connect(0.3)


def test_an_untrusted_certificate_is_told_at_once_and_by_name(secure: Simulator) -> None:
    with pytest.raises(ConnectError, match="'relay-sync test certificate'") as caught:
        RelayClient(**secure.credentials).connect(PATIENCE)
    assert not isinstance(caught.value, ConnectTimeout)
    assert secure.settings.token not in str(caught.value)
    assert "SIGNALWIRE_RELAY_CA_FILE" in str(caught.value)


@pytest.mark.slow
def test_a_certificate_that_is_not_trusted_any_more_is_tried_again(
    secure: Simulator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An authority is exchanged: the file that names it may come a moment late."""
    trusted = tmp_path / "ca.pem"
    shutil.copy(CERTIFICATE, trusted)
    with RelayClient(**secure.credentials, ca_file=trusted) as one:
        protocol = one.relay_protocol
        shutil.copy(certifi.where(), trusted)
        secure.cut()
        deadline = time.monotonic() + PATIENCE
        while "is not trusted" not in caplog.text:
            assert time.monotonic() < deadline
        assert one.state == "reconnecting"
        shutil.copy(CERTIFICATE, trusted)
        one.wait_until_ready(PATIENCE)
        assert one.relay_protocol == protocol
    assert "'relay-sync test certificate'" in caplog.text


@pytest.mark.slow
def test_credentials_that_are_refused_for_a_moment_are_tried_again(sim: Simulator, client: MakeClient) -> None:
    states: States = queue.SimpleQueue()
    one = client(on_state=states.put)
    one.connect()
    wait_for_state(states, "connected")
    # The resume, and two attempts without it: one refusal short of the end.
    sim.fail("signalwire.connect", -32002, "authentication failed: 401", times=3)
    sim.cut()
    wait_for_state(states, "connected")
    assert len(connects(sim)) == 5


@pytest.mark.slow
def test_credentials_that_stay_refused_end_it_and_say_so(sim: Simulator, client: MakeClient) -> None:
    one = client()
    one.connect()
    waiting = Background(one.run)
    sim.fail("signalwire.connect", -32002, "authentication failed: 401", times=None)
    sim.cut()
    with pytest.raises(AuthenticationError, match="401"):
        waiting.result()


# -- silence -----------------------------------------------------------------------------------------------------------


def test_a_half_open_connection_is_found_in_the_time_that_was_asked_for(sim: Simulator) -> None:
    """Nothing comes, nothing is told, and the kernel sees no fault: only our own question finds it."""
    states: States = queue.SimpleQueue()
    options: dict[str, Any] = {"ping_interval": 0.3, "ping_timeout": 0.4, "on_state": states.put}
    with FaultProxy(sim.port) as proxy, RelayClient(**proxy.through(sim), **options) as one:
        wait_for_state(states, "connected")
        began = time.monotonic()
        proxy.cut("silent")
        wait_for_state(states, "reconnecting")
        found = time.monotonic() - began
        assert found > 0.3  # not before it was asked for
        assert found < 10.0
        wait_for_state(states, "connected")
        assert one.execute("signalwire.ping") is not None


def test_a_connection_on_which_something_comes_is_not_given_up(sim: Simulator) -> None:
    options: dict[str, Any] = {"ping_interval": 0.3, "ping_timeout": 0.6}
    with FaultProxy(sim.port) as proxy, RelayClient(**proxy.through(sim), **options) as one:
        sim.drop_reply("signalwire.ping", times=None)
        for _ in range(50):
            time.sleep(0.02)  # the subject is time: longer in all than both together, and far shorter each
            sim.send_raw("{}")
        assert one.state == "connected"
        assert len(connects(sim)) == 1


def test_a_server_that_talks_and_does_not_hear_us_is_found(sim: Simulator) -> None:
    """Half a connection: what the server says arrives, what we say does not. Without this, commands fail one by one for ever."""
    states: States = queue.SimpleQueue()
    options: dict[str, Any] = {"ping_interval": 0.2, "ping_timeout": 0.4, "on_state": states.put}
    with FaultProxy(sim.port) as proxy, RelayClient(**proxy.through(sim), **options) as one:
        wait_for_state(states, "connected")
        one.execute("signalwire.ping")
        proxy.cut("deaf")
        params = {"node_id": "n", "call_id": "c"}
        waiting = Background(lambda: one.execute("calling.denoise", params, timeout=PATIENCE))
        while waiting.running:
            sim.send_raw("{}")
            time.sleep(0.02)  # the subject is time
        with pytest.raises(ConnectionLost, match=r"does not receive ours while calling\.denoise was pending") as lost:
            waiting.result()
        assert lost.value.sent
        wait_for_state(states, "reconnecting")
        wait_for_state(states, "connected")
        assert one.execute("signalwire.ping") is not None


@pytest.mark.slow
def test_a_connection_under_heavy_traffic_is_not_given_up(sim: Simulator) -> None:
    """For twice as long as a deaf server would need to be found; our pings are answered among thousands of events."""
    states: list[str] = []
    options: dict[str, Any] = {"ping_interval": 0.3, "ping_timeout": 1.0, "on_state": states.append}
    with RelayClient(**sim.credentials, **options) as one:
        one.execute("signalwire.ping")
        text = "x" * 1000
        end = time.monotonic() + 2 * (3 * 0.3 + 1.0)
        while time.monotonic() < end:
            for _ in range(50):
                sim.send_event("calling.call.refer", {"call_id": "nobody", "text": text})
            sim.wait_for_acks(PATIENCE)
        assert states == ["connecting", "connected"]


@pytest.mark.slow
def test_attempts_come_apart(sim: Simulator, client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    """The first at once, the next within a second, two, four; a line in the log for each, and a warning for each new cause."""
    caplog.set_level(logging.DEBUG, logger="relay_sync")
    with FaultProxy(sim.port) as proxy:
        one = client(host=proxy.url)
        one.connect()
        proxy.refuse("reset")
        proxy.cut("reset")
        proxy.wait_for(lambda: proxy.accepted >= 4, "the third attempt in vain")
        proxy.refuse(None)
        one.wait_until_ready(PATIENCE)
        one.disconnect()
    lines = [record for record in caplog.records if "no connection" in record.getMessage()]
    assert 4 <= len(lines) <= 6
    causes = [record.getMessage() for record in lines if record.levelno == logging.WARNING]
    assert 2 <= len(causes) == len(set(causes)) <= 3  # the cut, and what the attempts met


def test_a_desk_is_not_told_twice_of_a_call_that_was_offered_before_a_drop(sim: Simulator) -> None:
    with line(sim) as one:
        [offer] = sim.journal.events("calling.call.receive")
        one.drop()
        sim.send_event("calling.call.receive", offer)
        one.client.execute("signalwire.ping")
        desk: Desk = one.desk
        assert desk.calls.empty()
