"""The client: connecting, refusals, running and stopping, commands, and the promises about its threads' ends."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import math
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from relay_sync import (
    AuthenticationError,
    Call,
    CallEnded,
    ClientClosed,
    CommandRefused,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    DialFailed,
    InvalidParameter,
    RelayClient,
    RelayError,
    RequestTimeout,
    StreamAction,
)
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from relay_sync.testing import wait_for_handlers
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import FROM, NOWHERE, TO, Desk, Line, drop, line
from tests.support.scene import event, scene, send
from tests.support.states import wait_for_state
from tests.support.tls import CERTIFICATE, tls_context


def make(sim: Simulator, **options: Any) -> RelayClient:
    return RelayClient(**{**sim.credentials, "contexts": ["default"], **options})


# -- connecting --------------------------------------------------------------------------------------------------------


def test_connect_and_disconnect(sim: Simulator) -> None:
    states: list[str] = []
    client = make(sim, on_state=states.append)
    assert client.state == "idle"
    client.connect()
    assert client.state == "connected"
    assert client.relay_protocol.startswith("signalwire_")
    assert sim.clients == 1
    client.connect()  # harmless
    client.disconnect()
    client.disconnect()  # idempotent
    assert client.state == "closed"
    assert client.relay_protocol == ""
    sim.wait_until_gone()
    assert states == ["connecting", "connected", "closed"]


def test_the_connect_frame(sim: Simulator) -> None:
    with make(sim, contexts=["a", "b"]):
        [frame] = sim.journal.requests("signalwire.connect")
    params = frame["params"]
    assert params["version"] == {"major": 2, "minor": 0, "revision": 0}
    assert params["agent"].startswith("relay_sync/")
    assert params["event_acks"] is True
    assert params["contexts"] == ["a", "b"]
    assert params["authentication"] == {"project": sim.settings.project, "token": sim.settings.token}
    assert set(params) == {"version", "agent", "event_acks", "contexts", "authentication"}


def test_a_jwt_goes_alone() -> None:
    with Simulator(jwt_token="j.w.t") as sim:
        with RelayClient(jwt_token="j.w.t", host=sim.url):
            [frame] = sim.journal.requests("signalwire.connect")
    assert frame["params"]["authentication"] == {"jwt_token": "j.w.t"}


@pytest.mark.parametrize("shape", ["error", "result"])
def test_refused_credentials_raise_at_once_in_both_documented_shapes(shape: str) -> None:
    with Simulator(refuse_with=shape) as sim:
        client = make(sim, token="wrong-token-value")
        for _ in range(2):  # a failed connect leaves nothing behind that would disturb the next
            with pytest.raises(AuthenticationError) as caught:
                client.connect()
            assert "wrong-token-value" not in str(caught.value)
        assert client.state == "failed"
        sim.wait_until_gone()
        with make(sim) as good:  # nor another client
            assert good.state == "connected"


def test_run_raises_refused_credentials(sim: Simulator) -> None:
    with pytest.raises(AuthenticationError):
        make(sim, token="wrong").run()


def test_nobody_there_is_a_timeout_with_its_cause(closed_port: int) -> None:
    client = RelayClient(project="p", token="t", host=f"ws://127.0.0.1:{closed_port}")
    started = time.monotonic()
    with pytest.raises(ConnectTimeout, match="refused") as caught:
        client.connect(timeout=0.3)
    assert time.monotonic() - started < PATIENCE
    assert isinstance(caught.value.__cause__, ConnectError)
    assert isinstance(caught.value, (ConnectionError, TimeoutError))


@pytest.mark.parametrize("how", ["silent", "drips", "garbage", "closes"])
def test_a_server_that_is_none_does_not_hang_connect(how: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            server.settimeout(0.05)
            sockets = []
            while not stop.is_set():
                try:
                    sockets.append(server.accept()[0])
                except TimeoutError:
                    for sock in sockets:
                        try:
                            if how == "drips":
                                sock.send(b"H")
                        except OSError:
                            pass
                    continue
                if how == "garbage":
                    with contextlib.suppress(OSError):  # the client may have left
                        sockets[-1].send(b"\x00\xff nothing of this is HTTP\r\n\r\n")
                elif how == "closes":
                    sockets[-1].close()
            for sock in sockets:
                sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            client = RelayClient(project="p", token="t", host=f"ws://127.0.0.1:{server.getsockname()[1]}")
            started = time.monotonic()
            # Whoever answers with something else than HTTP is asked three times, if that much time is left.
            with pytest.raises(ConnectError if how == "garbage" else ConnectTimeout):
                client.connect(timeout=0.2)
            assert time.monotonic() - started < PATIENCE
        finally:
            stop.set()
            thread.join()


def test_a_server_that_does_not_answer_the_connect_frame(sim: Simulator) -> None:
    sim.drop_reply("signalwire.connect", times=None)
    with pytest.raises(ConnectTimeout):
        make(sim).connect(timeout=0.3)


def test_a_name_that_does_not_exist_raises_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = RelayClient(project="p", token="t", host="no-such-space.example", proxy=None)
    with pytest.raises(ConnectError, match=r"no-such-space\.example") as caught:
        client.connect(timeout=60)
    assert not isinstance(caught.value, ConnectTimeout)
    assert isinstance(caught.value.__cause__, socket.gaierror)
    assert client.state == "failed"


@pytest.fixture
def tls_sim() -> Iterator[Simulator]:
    context = tls_context()
    with Simulator(media="fast", ssl_context=context) as simulator:
        yield simulator


def test_a_certificate_that_is_not_trusted_raises_at_once(tls_sim: Simulator) -> None:
    client = RelayClient(**tls_sim.credentials)
    with pytest.raises(ConnectError, match="SIGNALWIRE_RELAY_CA_FILE") as caught:
        client.connect(timeout=60)
    assert not isinstance(caught.value, ConnectTimeout)
    assert client.state == "failed"


def test_tls_with_an_authority_of_one_s_own(tls_sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting = ssl.create_default_context(cafile=str(CERTIFICATE))
    for how in ({"ca_file": CERTIFICATE}, {"ca_file": str(CERTIFICATE)}, {"ssl_context": trusting}):
        with make(tls_sim, **how) as client:
            assert client.execute("signalwire.ping", {"payload": "x" * 100_000})["payload"] == "x" * 100_000
    monkeypatch.setenv("SIGNALWIRE_RELAY_CA_FILE", str(CERTIFICATE))
    with make(tls_sim) as client:
        drop(tls_sim, client)
        client.execute("signalwire.ping", {})


def test_a_client_may_know_everything_from_the_environment(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port}")  # never for loopback
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("SIGNALWIRE_PROJECT_ID", sim.settings.project)
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", sim.settings.token)
    monkeypatch.setenv("SIGNALWIRE_SPACE", sim.url.removeprefix("ws://"))
    monkeypatch.setenv("SIGNALWIRE_RELAY_SCHEME", "ws")
    monkeypatch.setenv("RELAY_MAX_ACTIVE_CALLS", "1")
    with RelayClient(contexts=["default"]) as client, make(sim, contexts=["other"]):
        assert (client.project, client.host, client.contexts) == (sim.settings.project, "127.0.0.1", ["default"])
        desk = Desk(client)
        sim.call(to=TO, from_=FROM)
        taken = desk.take()
        sim.call(to=TO, from_=FROM)
        sim.journal.wait_for(lambda entry: entry.method == "calling.pass", PATIENCE)
        assert list(client.calls) == [taken.call_id]
        desk.closing.set()


@pytest.mark.parametrize("jwt", [False, True])
def test_a_jwt_of_the_environment(monkeypatch: pytest.MonkeyPatch, jwt: bool) -> None:
    with Simulator(jwt_token="a.b.c") as sim:
        monkeypatch.setenv("SIGNALWIRE_JWT_TOKEN", "a.b.c" if jwt else "d.e.f")
        client = RelayClient(host=sim.url)
        if jwt:
            with client:
                assert client.state == "connected"
        else:
            with pytest.raises(AuthenticationError) as caught:
                client.connect()
            assert "d.e.f" not in str(caught.value)


def test_connect_waits_for_a_server_that_comes_late(free_port: int) -> None:
    client = RelayClient(project="p", token="t", host=f"ws://127.0.0.1:{free_port}")
    connecting = Background(client.connect)
    while client.state != "connecting":
        pass
    with Simulator(port=free_port, project="p", token="t"):
        connecting.result()
        assert client.state == "connected"
        client.disconnect()


def test_a_command_connects_first(sim: Simulator) -> None:
    client = make(sim)
    assert client.execute("signalwire.ping", {}) is not None
    assert client.state == "connected"
    client.disconnect()


def test_a_command_that_connects_first_does_so_within_its_own_deadline(closed_port: int) -> None:
    client = RelayClient(project="p", token="t", host=f"ws://127.0.0.1:{closed_port}")
    with pytest.raises(ConnectTimeout, match="no session"):
        client.execute("signalwire.ping", {}, timeout=0.1)
    with pytest.raises(ConnectTimeout, match="no session"), client.timeout(0.1):
        client.execute("signalwire.ping", {})
    client.disconnect()


def test_on_state_hears_of_a_failure(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    before = set(threading.enumerate())
    client = make(sim, token="wrong", on_state=states.put)
    with pytest.raises(AuthenticationError):
        client.connect()
    client.disconnect()  # returns when callbacks have run and their threads are gone, also where nothing ever came about
    assert [states.get_nowait() for _ in range(2)] == ["connecting", "failed"]
    assert not [
        thread for thread in set(threading.enumerate()) - before if thread.name.startswith(("relay-l", "relay-i"))
    ]


def test_calls_is_a_snapshot(sim: Simulator) -> None:
    with line(sim) as one:
        seen = one.client.calls
        seen.clear()
        assert one.client.calls == {one.call.call_id: one.call}


def test_a_command_on_a_closed_client_says_so(sim: Simulator) -> None:
    client = make(sim)
    client.connect()
    client.disconnect()
    with pytest.raises(ClientClosed, match=r"connect\(\)"):
        client.execute("signalwire.ping", {})
    client.connect()  # and can be used again
    client.execute("signalwire.ping", {})
    client.disconnect()


def test_several_clients_in_one_process(sim: Simulator) -> None:
    with make(sim) as one, make(sim) as two:
        assert one.execute("signalwire.ping", {}) is not None
        assert two.execute("signalwire.ping", {}) is not None
        assert sim.clients == 2
        assert one.relay_protocol != two.relay_protocol


def test_a_second_client_that_takes_the_same_calls_is_pointed_out(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> int:
        return sum("another RelayClient in this process" in record.getMessage() for record in caplog.records)

    with make(sim, contexts=["sales", "default"]):
        with make(sim, contexts=["support"]), RelayClient(**sim.credentials):
            assert told() == 0
        with make(sim, contexts=["default"]) as second:
            assert told() == 1
            drop(sim, second)  # a connection that is repaired is not a new one
            assert told() == 1
    with make(sim, contexts=["default"]):  # the others are closed by now
        assert told() == 1


def test_a_drop_is_repaired_without_run(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    with make(sim, on_state=states.put) as client:
        protocol = client.relay_protocol
        sim.cut()
        wait_for_state(states, "reconnecting")
        assert states.get(timeout=PATIENCE) == "connected"
        assert client.relay_protocol == protocol
        client.execute("signalwire.ping", {})


def test_a_command_without_an_answer_fails_alone(sim: Simulator) -> None:
    with line(sim) as one:
        one.sim.drop_reply("calling.end")
        sim.drop_reply("calling.pass")
        with pytest.raises(RequestTimeout, match=r"calling\.pass"), one.client.timeout(0.05):
            one.call.pass_()
        assert one.client.state == "connected"
        one.client.execute("signalwire.ping", {})
        assert len(sim.journal.requests("signalwire.connect")) == 1


def test_a_half_open_connection_is_found_by_our_own_ping(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    with make(sim, ping_interval=0.1, ping_timeout=0.1, on_state=states.put) as client:
        sim.drop_reply("signalwire.ping", times=None)
        wait_for_state(states, "reconnecting")
        sim.clear_faults()
        client.wait_until_ready(PATIENCE)


def test_a_server_that_restarts_is_followed(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    with make(sim, on_state=states.put) as client:
        sim.restart(False)
        wait_for_state(states, "reconnecting")
        client.wait_until_ready(PATIENCE)
        first, second = sim.journal.requests("signalwire.connect")
        assert "protocol" not in first["params"]
        assert second["params"]["protocol"] == client.relay_protocol
        assert second["params"]["authorization_state"]


# -- commands ----------------------------------------------------------------------------------------------------------


def test_execute_sends_anything_and_returns_the_result(sim: Simulator) -> None:
    with line(sim, answered=False) as one:
        params = {"node_id": one.call.node_id, "call_id": one.call.call_id}
        assert one.client.execute("calling.answer", params)["code"] == "200"
        with pytest.raises(CommandRefused) as caught:
            one.client.execute("calling.levitate", params)
        assert caught.value.code == -32601
        assert caught.value.method == "calling.levitate"


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [("", {}, "method"), (None, {}, "method"), ("x", "y", "params"), ("x", {"a": object()}, "params")],
)
def test_execute_refuses_nonsense(sim: Simulator, method: Any, params: Any, name: str) -> None:
    with make(sim) as client:
        with pytest.raises(InvalidParameter) as caught:
            client.execute(method, params)
        assert caught.value.parameter == name


def test_request_timeout_can_be_set_for_a_block_and_a_thread(sim: Simulator) -> None:
    with make(sim) as client:
        sim.drop_reply("signalwire.ping", times=None)
        with client.timeout(0.05):
            with pytest.raises(RequestTimeout, match=r"0\.05 s"):
                client.execute("signalwire.ping", {})
            with client.timeout(0.02), pytest.raises(RequestTimeout, match=r"0\.02 s"):
                client.execute("signalwire.ping", {})
            with pytest.raises(RequestTimeout, match=r"0\.05 s"):
                client.execute("signalwire.ping", {})
            sim.clear_faults()
            # Another thread is not in the block.
            assert Background(client.execute, "signalwire.ping", {}).result() is not None
        with pytest.raises(InvalidParameter, match="limit"), client.timeout(math.nan):
            pass


@pytest.mark.parametrize(
    ("method", "command"),
    [
        (
            "signalwire.reauthenticate",
            lambda one: one.client.execute("signalwire.reauthenticate", {"authentication": {}}),
        ),
        ("calling.denoise", lambda one: one.call.denoise()),
        ("calling.play", lambda one: one.call.play_silence(1)),
        ("messaging.send", lambda one: one.client.send_message(to_number=TO, from_number=FROM, body="hello")),
        ("calling.dial", lambda one: one.client.dial(to=TO, from_=FROM)),
    ],
)
def test_where_no_time_is_left_for_a_block_nothing_in_it_is_sent(
    sim: Simulator, method: str, command: Callable[[Line], object]
) -> None:
    with line(sim) as one:
        with (
            pytest.raises((RequestTimeout, DialFailed), match="timeout had already expired"),
            one.client.timeout(-0.001),
        ):
            command(one)
        assert sim.journal.requests(method) == []
        with one.client.timeout(math.inf), suppress(CommandRefused):
            command(one)
        assert len(sim.journal.requests(method)) == 1


def test_what_was_sent_and_not_answered_is_lost_and_says_so(sim: Simulator) -> None:
    with line(sim) as one:
        sim.hold("calling.pass")
        waiting = Background(one.call.pass_)
        sim.wait_for_held("calling.pass")
        sim.cut()
        with pytest.raises(ConnectionLost) as caught:
            waiting.result()
        assert caught.value.sent
        assert isinstance(caught.value, ConnectionError)
        one.client.wait_until_ready(PATIENCE)
        assert len(sim.journal.requests("calling.pass")) == 1


def test_what_is_idempotent_is_sent_again(sim: Simulator) -> None:
    with make(sim) as client:
        sim.hold("signalwire.receive", times=1)
        waiting = Background(client.execute, "signalwire.receive", {"contexts": ["more"]})
        sim.wait_for_held("signalwire.receive")
        sim.cut()
        assert waiting.result() is not None
        assert len(sim.journal.requests("signalwire.receive")) == 2


IDEMPOTENT: dict[str, Callable[[Line], object]] = {
    "signalwire.ping": lambda one: one.client.execute("signalwire.ping"),
    "signalwire.receive": lambda one: one.client.receive(["more"]),
    "signalwire.unreceive": lambda one: one.client.unreceive(["more"]),
    "calling.stream.stop": lambda one: core_of(one.call).running(StreamAction)[0].stop(),
    "calling.denoise.stop": lambda one: one.call.denoise_stop(),
    "calling.ai_sidecar.stop": lambda one: one.call.ai_sidecar_stop(),
    "calling.whatever.stop": lambda one: one.client.execute("calling.whatever.stop", {"call_id": one.call.call_id}),
}
NOT_IDEMPOTENT: dict[str, Callable[[Line], object]] = {
    "calling.answer": lambda one: one.call.answer(),
    "calling.end": lambda one: one.call.hangup(),
    "calling.pass": lambda one: one.call.pass_(),
    "calling.stream": lambda one: one.call.stream(NOWHERE),
    "calling.play.pause": lambda one: one.client.execute("calling.play.pause", {"call_id": one.call.call_id}),
    "messaging.send": lambda one: one.client.send_message(
        to_number=TO, from_number=FROM, body="hello", context="default"
    ),
    "calling.unstoppable": lambda one: one.client.execute("calling.unstoppable"),
}


@pytest.mark.parametrize("method", [*IDEMPOTENT, *NOT_IDEMPOTENT])
def test_what_may_be_asked_twice_is_and_nothing_else(sim: Simulator, method: str) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.stream", state="finished", times=None)
        one.call.stream(NOWHERE)
        asked = len(sim.journal.requests(method))
        sim.hold(method, times=1)
        waiting: Background[object] = Background((IDEMPOTENT | NOT_IDEMPOTENT)[method], one)
        sim.wait_for_held(method)
        sim.cut()
        lost = None
        try:
            waiting.result()
        except ConnectionLost as error:
            lost = error
        except CommandRefused:  # the simulator does not know every one of them
            pass
        assert (lost is None) is (method in IDEMPOTENT)
        assert lost is None or lost.sent
        one.client.wait_until_ready(PATIENCE)
        one.client.execute("signalwire.ping", {"payload": "a fence"})
        repeated = [
            frame for frame in sim.journal.requests(method)[asked:] if frame["params"].get("payload") != "a fence"
        ]
        assert len(repeated) == (2 if method in IDEMPOTENT else 1)
        # Asked again with the same id, so that a server may notice, too.
        assert len({frame["id"] for frame in repeated}) == 1


def test_a_newer_token_is_not_shown_twice() -> None:
    with Simulator(jwt_token="a.b.c") as sim, RelayClient(jwt_token="a.b.c", host=sim.url) as client:
        sim.hold("signalwire.reauthenticate", times=1)
        waiting = Background(client.reauthenticate, "d.e.f")
        sim.wait_for_held("signalwire.reauthenticate")
        sim.cut()
        with pytest.raises(ConnectionLost):
            waiting.result()
        assert client.jwt_token == "a.b.c"  # it is not known to be taken


def test_what_could_not_be_sent_waits_for_the_next_session(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    with line(sim, on_state=states.put) as one:
        sim.refuse_connections()
        sim.cut()
        wait_for_state(states, "reconnecting")
        waiting = Background(one.call.hangup)
        with pytest.raises(RequestTimeout, match="no connection"), one.client.timeout(0.05):
            one.call.answer()
        sim.refuse_connections(False)
        waiting.result()
        assert one.call.wait_for_ended(PATIENCE).call_id == one.call.call_id
        # What timed out meanwhile was not sent late.
        assert len(sim.journal.requests("calling.answer")) == 1


def test_64_threads_may_use_one_client(sim: Simulator) -> None:
    with make(sim) as client:
        running = [
            Background(lambda: [client.execute("signalwire.ping", {"payload": str(n)}) for n in range(20)])
            for _ in range(64)
        ]
        for one in running:
            assert [result.get("payload") for result in one.result(30)] == [str(n) for n in range(20)]


# -- inbound calls -----------------------------------------------------------------------------------------------------


def test_no_handler_warns_once_and_passes_the_calls_back(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with make(sim), make(sim) as other:
        desk = Desk(other)
        sim.wait_for_client(2)
        for _ in range(4):
            sim.call(to=TO, from_=FROM)
            desk.take()
        desk.closing.set()
    assert sum("no on_call handler" in record.message for record in caplog.records) == 1


def test_calls_over_max_active_calls_are_passed_back(sim: Simulator) -> None:
    with make(sim, max_active_calls=1) as client, make(sim) as other:
        one, two = Desk(client), Desk(other)
        sim.wait_for_client(2)
        for _ in range(4):
            sim.call(to=TO, from_=FROM)
        first = one.take()
        assert {two.take().call_id for _ in range(3)} == set(other.calls)
        assert set(client.calls) == {first.call_id}
        one.closing.set()
        two.closing.set()


def test_another_call_under_the_id_of_one_whose_end_was_lost_is_taken(sim: Simulator) -> None:
    """The parties tell them apart: state, context and whatever else may differ between repetitions of one offer."""
    with line(sim) as one:
        old = one.call
        params = {"call_id": old.call_id, "node_id": old.node_id, "call_state": "created", "direction": "inbound"}
        again = {**params, "call_state": "ringing", "device": old.device, "segment_id": "other"}
        other = {**params, "device": {"type": "phone", "params": {"from_number": "+15550177", "to_number": TO}}}
        same = old.device["params"]
        for device in (
            {},
            {"type": "phone"},
            {"type": "phone", "params": {}},
            {"type": "phone", "params": {**same, "to_number": "", "timeout": 7}},
        ):
            sim.send_event("calling.call.receive", {**params, "device": device})
        sim.send_event("calling.call.receive", again)
        sim.wait_for_acks()
        assert one.client.calls[old.call_id] is old
        sim.send_event("calling.call.receive", other)
        new = one.desk.take()
        assert new is not old
        assert (new.call_id, new.from_number) == (old.call_id, "+15550177")
        with pytest.raises(CallEnded, match="with the ID of this call"):
            old.wait_for_ended(PATIENCE)
        assert one.client.calls[new.call_id] is new


def test_a_repeated_inbound_call_runs_one_handler(sim: Simulator) -> None:
    sim.duplicate_event("calling.call.receive", same_id=True)
    sim.duplicate_event("calling.call.receive", same_id=False)
    with line(sim) as one:
        _, second = one.another()
        assert second.call_id != one.call.call_id
        sim.wait_for_acks()
        assert one.client.calls == {one.call.call_id: one.call, second.call_id: second}
        assert one.client.calls[one.call.call_id] is one.call
        assert one.client.calls[second.call_id] is second
        handlers = [thread for thread in threading.enumerate() if thread.name.startswith("relay-call")]
        assert len(handlers) == 2
        assert one.desk.calls.empty()


def test_a_second_handler_replaces_the_first(sim: Simulator) -> None:
    with make(sim) as client:
        first, second = Desk(client), Desk(client)
        sim.call(to=TO, from_=FROM)
        assert second.take().state
        assert first.calls.empty()
        second.closing.set()


def test_a_coroutine_handler_is_refused(sim: Simulator) -> None:
    async def handler(call: Call) -> None: ...

    with pytest.raises(InvalidParameter, match="remove async"):
        make(sim).on_call(handler)

    def generator(call: Call) -> Any:
        yield call

    @functools.wraps(generator)
    def run_to_its_end(call: Call) -> None:
        for _ in generator(call):
            pass

    with pytest.raises(InvalidParameter, match="generator and would never run"):
        make(sim).on_call(generator)
    make(sim).on_call(run_to_its_end)
    for nothing in (None, "handler", 5):
        with pytest.raises(InvalidParameter):
            make(sim).on_call(nothing)  # type: ignore[arg-type]


def test_handlers_that_cannot_take_what_they_get_are_refused(sim: Simulator) -> None:
    def nothing() -> None: ...

    with pytest.raises(InvalidParameter, match="a function that accepts call"):
        make(sim).on_call(nothing)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameter, match=r"on_state=.* a function that accepts state"):
        make(sim, on_state=nothing)
    with pytest.raises(InvalidParameter, match=r"on_error=.* a function that accepts error and call"):
        make(sim, on_error=lambda error: None)
    with pytest.raises(InvalidParameter, match=r"handler=.* a function that accepts message"):
        make(sim).on_message(nothing)  # type: ignore[arg-type]


def test_a_handler_that_raises_is_logged_and_its_call_hung_up(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client = make(sim, on_error=lambda error, call: errors.put((error, call)))

    @client.on_call
    def handler(call: Call) -> None:
        raise ZeroDivisionError("in the handler")

    with client:
        phone = sim.call(to=TO, from_=FROM)
        phone.wait_until("ended")
        assert phone.end_reason == "error"
        error, call = errors.get(timeout=PATIENCE)
    assert isinstance(error, ZeroDivisionError)
    assert call.call_id == phone.call_id
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "relay_sync.callbacks"
    assert phone.call_id in record.getMessage()
    assert record.exc_info is not None
    assert record.call_id == phone.call_id  # type: ignore[attr-defined]


def test_a_handler_that_waits_when_the_client_closes_is_no_failure(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client = make(sim, on_error=lambda error, call: errors.put(error))
    waiting = threading.Event()

    @client.on_call
    def handler(call: Call) -> None:
        call.answer()
        waiting.set()
        call.wait_for_ended()

    caplog.set_level(logging.INFO, "relay_sync")
    client.connect()
    sim.call(to=TO, from_=FROM)
    assert waiting.wait(PATIENCE)
    client.disconnect()
    assert isinstance(errors.get(timeout=PATIENCE), ClientClosed)
    told = [record for record in caplog.records if "on_call handler" in record.getMessage()]
    assert [(record.levelno, record.exc_info) for record in told] == [(logging.INFO, None)]
    assert not any("could not be hung up" in record.getMessage() for record in caplog.records)


@pytest.mark.slow
def test_a_handler_that_raises_after_the_client_closed_leaves_its_call_and_says_so(sim: Simulator) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client = make(sim, on_error=lambda error, call: errors.put(error))
    waiting, closed = threading.Event(), threading.Event()
    messages: queue.SimpleQueue[str] = queue.SimpleQueue()

    @client.on_call
    def handler(call: Call) -> None:
        call.answer()
        waiting.set()
        assert closed.wait(PATIENCE)
        raise ValueError("too late")

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("call "):
                messages.put(record.getMessage())

    kept = Kept(logging.WARNING)
    logging.getLogger("relay_sync").addHandler(kept)
    try:
        client.connect()
        sim.call(to=TO, from_=FROM)
        assert waiting.wait(PATIENCE)
        client.disconnect()
        closed.set()
        message = messages.get(timeout=PATIENCE)
    finally:
        logging.getLogger("relay_sync").removeHandler(kept)
    assert "continues: the client was closed before it could hang up" in message
    assert "connect()" not in message


def test_a_handler_that_raises_may_leave_its_call(sim: Simulator) -> None:
    errors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client = make(sim, on_handler_error="leave", on_error=lambda error, call: errors.put(call))

    @client.on_call
    def handler(call: Call) -> None:
        call.answer()
        raise ZeroDivisionError

    with client:
        phone = sim.call(to=TO, from_=FROM)
        call = errors.get(timeout=PATIENCE)
        assert wait_for_handlers(PATIENCE)
        client.execute("signalwire.ping", {})  # whatever the handler's end had caused would be there by now
        assert not sim.journal.requests("calling.end")
        assert phone.state == "answered"
        call.hangup()
        phone.wait_until("ended")


def test_a_handler_that_returns_leaves_the_call_as_it_is(sim: Simulator) -> None:
    returned = threading.Event()
    client = make(sim)

    @client.on_call
    def handler(call: Call) -> None:
        call.answer()
        returned.set()

    with client:
        phone = sim.call(to=TO, from_=FROM)
        assert returned.wait(PATIENCE)
        client.execute("signalwire.ping", {})
        assert phone.state == "answered"


def test_disconnect_says_how_many_calls_go_on(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with line(sim) as one:
        one.client.disconnect()
        assert one.phone.state == "answered"
    assert any("1 live call continues" in record.message for record in caplog.records)


def test_disconnect_can_hang_up_what_lives(sim: Simulator) -> None:
    with line(sim) as one:
        one.another()
        one.desk.closing.set()  # handlers are waited for, and these would stay
        one.client.disconnect(hangup_calls=True)
        assert one.phone.state == "ended"
        assert one.phone.end_reason == "hangup"


def test_disconnect_waits_for_the_ends_of_the_calls_that_it_hangs_up(caplog: pytest.LogCaptureFixture) -> None:
    """They are told after the answers: a tenth of a second later here, as on a real network."""
    with scene() as one:
        peer, call = one.take_call()
        call.answer()
        waiting = Background(call.wait_for_ended, PATIENCE)
        while not core_of(call).readers:
            assert waiting.running
        closing = Background(lambda: one.client.disconnect(hangup_calls=True))
        one.request("calling.end")
        threading.Event().wait(0.1)
        ended = {"call_id": call.call_id, "node_id": "n", "call_state": "ended", "end_reason": "hangup"}
        send(peer, event("ended", "calling.call.state", ended))
        closing.result()
        assert waiting.result().params["end_reason"] == "hangup"
        assert (call.state, call.end_reason) == ("ended", "hangup")
    assert [record.message for record in caplog.records] == []


# -- run and stop ------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(sim: Simulator) -> Iterator[tuple[RelayClient, Background[None]]]:
    client = make(sim)
    background = Background(client.run)
    sim.wait_for_client()
    yield client, background
    client.stop()
    background.result()


def test_run_works_in_any_thread_and_stop_ends_it(running: tuple[RelayClient, Background[None]]) -> None:
    client, background = running
    assert background.running
    client.stop()
    background.result()
    assert client.state == "closed"


def test_stop_from_a_handler_ends_run(sim: Simulator) -> None:
    client = make(sim)

    @client.on_call
    def handler(call: Call) -> None:
        call.answer()
        client.stop()

    background = Background(client.run)
    sim.wait_for_client()
    sim.call(to=TO, from_=FROM)
    background.result()


def test_stop_while_run_is_still_connecting(sim: Simulator) -> None:
    sim.refuse_connections()
    client = make(sim)
    background = Background(client.run)
    while client.state != "connecting":
        pass
    client.stop()
    background.result()
    assert client.state == "closed"


def test_stop_while_run_waits_for_a_connection_that_was_lost(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    client = make(sim, on_state=states.put)
    client.connect()
    sim.refuse_connections()
    sim.cut()
    wait_for_state(states, "reconnecting")
    background = Background(client.run)
    while not client._running:
        pass
    client.stop()
    background.result()
    assert client.state == "closed"


def test_stop_closes_a_client_that_does_not_run(sim: Simulator) -> None:
    client = make(sim)
    client.connect()
    client.stop()
    sim.wait_until_gone()


@pytest.mark.parametrize("hangup_calls", [False, True])
def test_run_leaves_its_calls_alone_unless_told_otherwise(
    sim: Simulator, caplog: pytest.LogCaptureFixture, hangup_calls: bool
) -> None:
    client = make(sim)
    desk = Desk(client)
    background = Background(lambda: client.run(hangup_calls=hangup_calls))
    sim.wait_for_client()
    phone = sim.call(to=TO, from_=FROM)
    desk.take().answer()
    desk.closing.set()  # handlers are waited for, and this one would stay
    client.stop()
    background.result()
    sim.wait_until_gone()
    assert phone.state == ("ended" if hangup_calls else "answered")
    assert any("1 live call continues" in record.message for record in caplog.records) is not hangup_calls


def test_run_survives_drops(sim: Simulator, running: tuple[RelayClient, Background[None]]) -> None:
    client, background = running
    drop(sim, client)
    assert background.running


def test_run_twice(sim: Simulator) -> None:
    client = make(sim)
    for _ in range(2):
        background = Background(client.run)
        sim.wait_for_client()
        client.stop()
        background.result()
        sim.wait_until_gone()


@pytest.mark.parametrize("connected", [False, True])
def test_a_stop_that_comes_before_run_is_not_lost(sim: Simulator, connected: bool) -> None:
    client = make(sim)
    if connected:
        client.connect()
    client.stop()
    Background(client.run).result()
    sim.wait_until_gone()
    # It was obeyed, and those of a client that is closed already mean nothing for the next time.
    client.stop()
    background = Background(client.run)
    sim.wait_for_client()
    client.stop()
    background.result()


def test_connect_forgets_a_stop(sim: Simulator) -> None:
    client = make(sim)
    client.stop()
    client.connect()
    background = Background(client.run)
    while not client._running:
        pass
    assert sim.clients == 1
    assert background.running
    client.stop()
    background.result()


@pytest.mark.usefixtures("soon")
def test_run_raises_when_the_session_is_lost_for_good(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    client = make(sim)
    background = Background(client.run)
    sim.wait_for_client()
    sim.fail("signalwire.connect", -32002, "revoked", times=None)
    sim.cut()
    with pytest.raises(AuthenticationError):
        background.result(30)
    # A program that does not run() hears of it, too.
    (error,) = (record.message for record in caplog.records if record.levelno == logging.ERROR)
    assert error.startswith("the session is permanently lost: the credentials were refused")


def test_disconnect_from_a_handler_does_not_deadlock(sim: Simulator) -> None:
    client = make(sim)
    done = threading.Event()

    @client.on_call
    def handler(call: Call) -> None:
        client.disconnect()
        done.set()

    client.connect()
    sim.call(to=TO, from_=FROM)
    assert done.wait(PATIENCE)
    sim.wait_until_gone()


def test_disconnect_from_a_listener_does_not_wait_for_itself(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.client.link.DRAIN_PATIENCE", 60.0)  # far from the bound below
    with line(sim) as one:
        done = threading.Event()

        def listener(event: Any) -> None:
            one.client.disconnect(timeout=60)
            done.set()

        one.call.on("calling.call.state", listener)
        one.phone.hang_up()
        assert done.wait(PATIENCE)


def test_disconnect_drains_callbacks(sim: Simulator) -> None:
    with line(sim) as one:
        ran: list[int] = []
        gate = threading.Event()
        core_of(one.call).callback("test", gate.wait, PATIENCE)
        for number in range(100):
            core_of(one.call).callback("test", ran.append, number)
        closing = Background(one.client.disconnect, 60.0)
        sim.wait_until_gone()  # the connection is closed; what is queued is still owed
        assert closing.running
        assert ran == []
        gate.set()
        closing.result()
        assert ran == list(range(100))


@pytest.mark.slow
def test_disconnect_gives_callbacks_two_seconds(sim: Simulator) -> None:
    gate = threading.Event()
    with line(sim) as one:
        core_of(one.call).callback("test", gate.wait, 60)
        started = time.monotonic()
        one.client.disconnect(timeout=60)
        assert 1.9 < time.monotonic() - started < 20
        gate.set()


def test_disconnect_is_bounded_when_a_callback_never_returns(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.client.link.DRAIN_PATIENCE", 60.0)  # far from the bound below
    gate = threading.Event()
    with line(sim) as one:
        core_of(one.call).callback("test", gate.wait, 60)
        started = time.monotonic()
        one.client.disconnect(timeout=0.1)
        assert time.monotonic() - started < PATIENCE
        gate.set()


def test_a_client_shows_no_secret(sim: Simulator) -> None:
    with make(sim) as client:
        config = client._link.config
        shown = f"{client!r} {config!r} {vars(config) if hasattr(config, '__dict__') else ''}"
        assert sim.settings.token not in repr(client) + repr(config)
        assert "connected" in shown


def test_no_secret_in_any_log_line(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("relay_sync", "relay_sync.protocol"):
        caplog.set_level(logging.DEBUG, logger=name)
    with line(sim) as one:
        one.call.stream("ws://127.0.0.1:9/x", authorization_bearer_token="bearer-secret-1").wait(PATIENCE)
        one.drop()
        state = sim.journal.requests("signalwire.connect")[1]["params"]["authorization_state"]
    ours = [record for record in caplog.records if record.name.startswith("relay_sync")]
    text = "\n".join(record.getMessage() for record in ours)
    assert "signalwire.connect" in text
    for secret in (sim.settings.token, "bearer-secret-1", state):
        assert secret not in text


def test_every_message_of_the_credentials_says_what_to_do() -> None:
    with pytest.raises(InvalidParameter, match="SIGNALWIRE_PROJECT_ID"):
        RelayClient(token="t", host="ws://127.0.0.1:1")
    with pytest.raises(ValueError, match="SIGNALWIRE_API_TOKEN"):
        RelayClient(project="p", host="ws://127.0.0.1:1")


def test_what_is_refused_is_a_relay_error(sim: Simulator) -> None:
    with pytest.raises(RelayError):
        make(sim, token="wrong").connect()


# -- what a hostile review found ---------------------------------------------------------------------------------------


def test_disconnect_after_a_failed_connect_leaves_no_thread(sim: Simulator) -> None:
    sim.refuse_connections()
    states: list[str] = []
    client = make(sim, on_state=states.append)
    with pytest.raises(ConnectTimeout):
        client.connect(0.1)
    client.disconnect()
    assert not [one.name for one in threading.enumerate() if one.name.startswith(("relay-io", "relay-lane"))]
    assert states[0] == "connecting"


def test_closing_keeps_time_for_the_end_when_calls_do_not_end(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.state", times=None)
        one.client.disconnect(0.5, hangup_calls=True)
        assert one.client.state == "closed"
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("relay-io")]


def test_connect_while_disconnect_is_under_way_ends_the_old_calls(sim: Simulator) -> None:
    for _ in range(10):
        with line(sim) as one:
            waiting = Background(one.call.wait_for_ended)
            first = one.client._link.loop

            def again(client: RelayClient = one.client, before: Any = first) -> None:
                while client._link.loop is before:
                    pass
                while True:
                    try:
                        return client.connect(PATIENCE)
                    except ClientClosed:
                        pass

            connecting = Background(again)
            one.client.disconnect()
            with pytest.raises(ClientClosed):
                waiting.result()
            connecting.result()
            assert one.call.call_id not in one.client.calls


def test_a_logging_handler_that_raises_does_not_end_the_connection(sim: Simulator) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                raise RuntimeError("in a logging handler")

    broken = Broken()
    logging.getLogger("relay_sync").addHandler(broken)
    try:
        with make(sim) as client:
            drop(sim, client)
            client.execute("signalwire.ping", {})
            background = Background(client.run)
            client.execute("signalwire.ping", {})
            while not client._running:
                pass
            client.stop()
            background.result()
    finally:
        logging.getLogger("relay_sync").removeHandler(broken)


def test_the_impatience_of_one_caller_ends_nobody_else_s_connect(sim: Simulator) -> None:
    sim.hold("signalwire.connect")
    client = make(sim)
    patient = Background(client.connect, PATIENCE)
    sim.wait_for_held("signalwire.connect")
    with pytest.raises(ConnectTimeout):
        client.connect(0.1)
    sim.release()
    patient.result()
    assert client.state == "connected"
    client.disconnect()


def test_a_repeated_offer_of_a_call_that_is_over_calls_nobody(sim: Simulator) -> None:
    with line(sim) as one:
        [offer] = sim.journal.events("calling.call.receive")
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        sim.send_event("calling.call.receive", offer)
        one.client.execute("signalwire.ping", {})
        assert one.desk.calls.empty()
        assert one.client.calls == {}


def _turned(value: Any) -> Any:
    """The same members in another order."""
    return {name: _turned(value[name]) for name in reversed(value)} if isinstance(value, dict) else value


def test_the_order_of_members_makes_no_other_offer(sim: Simulator) -> None:
    with line(sim) as one:
        [offer] = sim.journal.events("calling.call.receive")
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        sim.send_event("calling.call.receive", _turned(offer))
        one.client.execute("signalwire.ping", {})
        assert one.desk.calls.empty()


def test_what_a_program_writes_into_a_device_makes_no_other_offer(sim: Simulator) -> None:
    with line(sim) as one:
        [offer] = sim.journal.events("calling.call.receive")
        one.call.device["params"]["from_number"] = "Alice"
        sim.send_event("calling.call.receive", offer)
        one.client.execute("signalwire.ping", {})
        assert one.desk.calls.empty()
        assert one.client.calls == {one.call.call_id: one.call}


def test_a_new_call_under_the_id_of_one_that_is_over_is_taken(sim: Simulator) -> None:
    with line(sim) as one:
        [offer] = sim.journal.events("calling.call.receive")
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        # The same call in another state is the same call still.
        sim.send_event("calling.call.receive", {**offer, "call_state": "ringing"})
        one.client.execute("signalwire.ping", {})
        assert one.desk.calls.empty()
        sim.send_event("calling.call.receive", {**offer, "segment_id": "another"})
        assert one.desk.take().segment_id == "another"


def test_the_ids_of_calls_are_forgotten_with_their_session(sim: Simulator) -> None:
    with line(sim) as one:
        [offer] = sim.journal.events("calling.call.receive")
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        sim.forget_sessions()
        one.drop()
        sim.send_event("calling.call.receive", offer)
        assert one.desk.take().call_id == one.call.call_id


def test_what_is_known_of_a_call_is_not_wiped_by_what_an_event_leaves_out(sim: Simulator) -> None:
    with make(sim) as client:
        desk = Desk(client)
        try:
            sim.send_event("calling.call.receive", {"call_id": "c"})
            call = desk.take()
            assert (call.state, call.direction, call.node_id) == ("created", "inbound", "")
            wanted: list[tuple[dict[str, Any], tuple[str, ...]]] = [
                ({"node_id": "n", "call_state": "ringing"}, ("ringing", "n", "", "")),
                ({"node_id": "", "call_state": "", "answer_time": 5}, ("answered", "n", "", "")),
                ({"segment_id": "s", "node_id": None, "answer_time": 5}, ("answered", "n", "s", "")),
                ({"state": "ending", "end_reason": "busy"}, ("ending", "n", "s", "busy")),
                ({"end_time": 9}, ("ended", "n", "s", "busy")),
            ]
            for params, expected in wanted:
                sim.send_event("calling.call.state", {"call_id": "c", **params})
                sim.wait_for_acks()
                client.execute("signalwire.ping", {})
                assert (call.state, call.node_id, call.segment_id, call.end_reason) == expected
            assert client.calls == {}
        finally:
            desk.closing.set()


def test_sys_exit_in_a_handler_is_told_and_hangs_up(sim: Simulator) -> None:
    errors: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
    client = make(sim, on_error=lambda error, call: errors.put(error))

    @client.on_call
    def handler(call: Call) -> None:
        raise SystemExit(3)

    with client:
        sim.call(to=TO, from_=FROM).wait_until("ended")
        assert isinstance(errors.get(timeout=PATIENCE), SystemExit)


def test_a_client_that_was_stopped_is_closed(sim: Simulator) -> None:
    client = make(sim)
    client.connect()
    client.stop()
    sim.wait_until_gone()
    with pytest.raises(ClientClosed):
        client.execute("signalwire.ping", {})


@pytest.mark.parametrize("code", [404, 410])
def test_a_call_the_server_says_is_gone_ends_for_all_its_waiters(sim: Simulator, code: int) -> None:
    with line(sim) as one:
        waiting = Background(one.call.wait_for_ended)
        reading: Background[list[Any]] = Background(list, one.call.events())
        sim.refuse("calling.end", code, "no such call")
        assert one.call.hangup() == {}
        event = waiting.result()
        assert event.synthetic
        assert event.reason == "call_gone"
        assert reading.result()[-1] is event
        assert one.client.calls == {}


# -- draining ----------------------------------------------------------------------------------------------------------


def test_drain_takes_no_more_calls_and_lets_those_that_live_end(sim: Simulator) -> None:
    with line(sim) as one:
        one.desk.closing.set()  # its handler returns: the call itself lives on
        draining = Background(one.client.drain, PATIENCE)
        assert one.wait_for_request("signalwire.unreceive") == {"contexts": ["default"]}
        # It is not subscribed any more, but an offer may have been on its way.
        sim.send_event("calling.call.receive", {"call_id": "late", "node_id": "n", "call_state": "created"})
        assert one.wait_for_request("calling.pass") == {"call_id": "late", "node_id": "n"}
        assert draining.running
        one.phone.hang_up()
        assert draining.result() is True
        assert one.call.state == "ended"


def test_drain_waits_for_handlers_that_still_work_after_their_call(sim: Simulator) -> None:
    saved, go = threading.Event(), threading.Event()
    client = make(sim)

    @client.on_call
    def handler(call: Call) -> None:
        call.answer()
        call.hangup()
        call.wait_for_ended(PATIENCE)
        go.wait(PATIENCE)
        saved.set()

    with client:
        sim.call(to=TO, from_=FROM).wait_until("ended")
        draining = Background(client.drain, PATIENCE)
        while not client._router.draining:
            pass
        assert draining.running
        go.set()
        assert draining.result() is True
        assert saved.is_set()


def test_drain_hangs_up_what_lives_when_the_time_is_over(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with line(sim) as one:
        one.desk.closing.set()
        assert one.client.drain(0.05) is False
        assert one.phone.state == "ended"
    assert [record.message for record in caplog.records] == ["hanging up 1 call still live after 0.05 s"]


def test_a_handler_can_drain_its_own_client(sim: Simulator) -> None:
    outcome: queue.SimpleQueue[bool] = queue.SimpleQueue()
    client = make(sim)

    @client.on_call
    def handler(call: Call) -> None:
        call.hangup()
        call.wait_for_ended(PATIENCE)
        outcome.put(client.drain(PATIENCE))

    with client:
        sim.call(to=TO, from_=FROM)
        assert outcome.get(timeout=PATIENCE) is True


def test_run_drains_and_takes_calls_again_the_next_time(sim: Simulator) -> None:
    calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
    client = make(sim)

    @client.on_call
    def handler(call: Call) -> None:
        call.answer()
        calls.put(call)

    for _ in range(2):
        running = Background(lambda: client.run(drain=PATIENCE))
        sim.wait_for_client()
        phone = sim.call(to=TO, from_=FROM)
        calls.get(timeout=PATIENCE).wait_for_answered(PATIENCE)
        client.stop()
        sim.journal.wait_for(lambda entry: bool(sim.journal.requests("signalwire.unreceive")), PATIENCE)
        assert running.running
        phone.hang_up()
        running.result()
        sim.wait_until_gone()


def test_the_end_of_run_says_what_it_waits_for(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    client = make(sim)
    desk = Desk(client)
    running = Background(lambda: client.run(drain=PATIENCE))
    sim.wait_for_client()
    phones = [sim.call(to=TO, from_=FROM) for _ in range(2)]
    handlers = ", ".join(f"Desk.handle of call {phone.call_id}" for phone in phones)
    for _ in phones:
        desk.take().answer()
    client.stop()
    wait_for_record(caplog, "to end")  # the command goes out before the calls are counted
    for phone in phones:
        phone.hang_up()
    wait_for_record(caplog, "to return")
    desk.closing.set()
    running.result()
    # No hint at Ctrl-C: it does not reach a thread.
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        f"waiting up to {PATIENCE:g} s for 2 live calls to end",
        f"waiting up to {PATIENCE:.0f} s for 2 handlers of calls ({handlers}) to return",
    ]


def wait_for_record(caplog: pytest.LogCaptureFixture, words: str) -> None:
    end = time.monotonic() + PATIENCE
    while not any(words in record.getMessage() for record in caplog.records):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_drain_without_run_warns_of_nothing(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with line(sim) as one:
        one.desk.closing.set()
        draining = Background(one.client.drain, PATIENCE)
        wait_for_record(caplog, "waiting up to")
        one.phone.hang_up()
        assert draining.result()
    assert [record.levelname for record in caplog.records if "waiting" in record.getMessage()] == ["INFO"]


def test_drain_waits_for_a_dial_of_which_nothing_was_heard_yet(sim: Simulator) -> None:
    # The phone may be about to ring: whoever called must not be gone when somebody answers.
    sim._platform.handlers = {**sim._platform.handlers, "calling.dial": lambda request: request.accept()}
    with make(sim) as client:
        dialing = Background(lambda: client.dial(to=TO, from_=FROM, tag="t"))
        sim.journal.wait_for(lambda entry: bool(sim.journal.requests("calling.dial")), PATIENCE)
        draining = Background(client.drain, PATIENCE)
        sim.journal.wait_for(lambda entry: bool(sim.journal.requests("signalwire.unreceive")), PATIENCE)
        sim.wait_for_acks()
        assert draining.running
        sim.send_event("calling.call.dial", {"tag": "t", "node_id": "n", "dial_state": "failed"})
        with pytest.raises(DialFailed):
            dialing.result()
        assert draining.result() is True


def test_a_client_that_drains_is_subscribed_to_nothing_when_it_comes_back(sim: Simulator) -> None:
    with line(sim) as one:
        one.desk.closing.set()
        sim.hold("signalwire.unreceive")
        draining = Background(one.client.drain, PATIENCE)
        sim.wait_for_held("signalwire.unreceive")
        one.drop()
        assert "contexts" not in sim.journal.requests("signalwire.connect")[-1]["params"]
        # The session may know them still: it is told once more.
        assert one.wait_for_request("signalwire.unreceive", 2) == {"contexts": ["default"]}
        one.phone.hang_up()
        assert draining.result() is True
        assert one.client.contexts == ["default"]
        sim.release("signalwire.unreceive")  # a client that ends waits for the answer


@pytest.mark.parametrize("timeout", [float("nan"), "5", True])
def test_drain_wants_a_time(sim: Simulator, timeout: Any) -> None:
    with pytest.raises(InvalidParameter):
        make(sim).drain(timeout)
    with pytest.raises(InvalidParameter, match="drain"):
        make(sim).run(drain=timeout)


# -- what errors say to do next ----------------------------------------------------------------------------------------


def test_messages_say_what_to_do_next(sim: Simulator, closed_port: int) -> None:
    def told(function: Callable[..., object], *args: Any, **options: Any) -> str:
        with pytest.raises(RelayError) as caught:
            function(*args, **options)
        assert caught.value.message == str(caught.value) or caught.value.code is not None
        return str(caught.value)

    with pytest.raises(ConnectTimeout, match="is a server running at that address"):
        RelayClient(project="p", token="t", host=f"ws://127.0.0.1:{closed_port}").connect(0.1)
    assert "check project and token" in told(make(sim, token="wrong").connect)
    with line(sim) as one:
        call, client = one.call, one.client
        assert "remove async" in told(call.on, "calling.x.y", asyncio.sleep)
        assert "wait again" in told(call.wait_for_ended, 0.01)
        assert "wait again" in told(call.wait_for, "calling.x.y", None, 0.01)
        action = call.stream(NOWHERE)
        action.wait(PATIENCE)
        sim.drop_event("calling.call.stream", state="finished", times=None)
        again = call.stream(NOWHERE)
        assert "stop() it" in told(again.wait, 0.01)
        sim.refuse("calling.stream", 400, "bad codec")
        assert "check the parameters" in told(call.stream, NOWHERE)
        sim.drop_reply("calling.pass")
        with client.timeout(0.05):
            assert "check before you repeat it" in told(call.pass_)
        one.phone.hang_up()
        call.wait_for_ended(PATIENCE)
        assert "no further events" in told(call.wait_for, "calling.x.y")
    assert "call connect() to use it again" in told(client.execute, "signalwire.ping")


def test_a_call_whose_end_was_waited_for_is_not_called_live(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The IO thread sets the state and then takes the call off the table; a wait may return in between."""
    with line(sim) as one:
        monkeypatch.setattr(one.client._router, "call_over", lambda call: None)
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        one.client.disconnect()
    assert "live call" not in caplog.text
