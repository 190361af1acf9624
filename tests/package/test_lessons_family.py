"""What fails in libraries of this kind, in those that consume the audio, and what users ask for: each has a test named after it,
here, or in the file where it belongs (:data:`ELSEWHERE`)."""

from __future__ import annotations

import ast
import gc
import logging
import queue
import ssl
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

import relay_sync
from relay_sync import Call, ConnectTimeout, RelayClient, RelayEvent
from relay_sync.protocol import frames
from relay_sync.simulator import Simulator
from tests.support import DATA, PATIENCE, ROOT
from tests.support.background import Background
from tests.support.far_end import mute
from tests.support.faults.proxy import FaultProxy
from tests.support.faults.script import Peer, ScriptedServer, frame
from tests.support.lines import Line, line

CERTIFICATE = DATA / "tls" / "cert.pem"

#: Rows whose tests are in the files they belong to.
ELSEWHERE: Final = {
    # The family.
    "kazoo: no fork story": "client/test_forks.py::test_rule_8_the_child_s_client_starts_anew_when_used",
    "others: a child process ends the parent's TLS session": (
        "client/test_forks.py::test_rule_8_a_child_does_not_end_the_parent_s_tls_session"
    ),
    "others: close() from a callback joins itself": (
        "client/test_client.py::test_disconnect_from_a_listener_does_not_wait_for_itself"
    ),
    # Who consumes the audio.
    "receivers are asynchronous": "package/test_architecture.py::test_nothing_is_asynchronous",
    "one bad frame ends the call": "audio/test_server.py::test_bad_messages_cost_nothing_but_themselves",
    "the recording is lost when stop never comes": "audio/test_wav.py::test_the_header_is_right_after_every_write",
    "both tracks mixed into noise": "audio/test_wav.py::test_a_stereo_recording_keeps_the_tracks_apart",
    "user exceptions vanish": "client/test_client.py::test_a_handler_that_raises_is_logged_and_its_call_hung_up",
    "nobody ships a simulator": "simulator/methods/test_calling.py",
    "resamplers answer in bursts": "audio/test_dsp.py",
    "silence without an error: a container in the payload": (
        "audio/test_server.py::test_a_container_instead_of_audio_is_pointed_out"
    ),
    "silence without an error: the byte order": "audio/test_server.py::test_a_wrong_byte_order_is_pointed_out",
    "a receiver in threads of its own beside WSGI": "contrib/test_flask.py::test_gunicorn",
    # What users ask for.
    "no event loop": "package/test_architecture.py::test_nothing_is_asynchronous",
    "reconnects that do not stop delivering": "client/test_reconnect.py::test_nothing_is_lost_when_a_server_leaves",
    "testing without an account": "test_testing.py",
    "Django": "contrib/test_django.py::test_gunicorn",
    "Flask": "contrib/test_flask.py::test_gunicorn",
    "webhook signatures behind proxies": "webhooks/test_webhooks.py::test_a_prefix_that_the_proxy_takes_off",
    "an exit that always exits": "package/test_threads.py::test_the_interpreter_exits_without_disconnect",
    "limits on every wait": "faults/test_table.py::test_the_user_sees",
    "no secrets in logs": "client/test_client.py::test_no_secret_in_any_log_line",
    "fork safety": "client/test_forks.py::test_multiprocessing_pools",
    "no race between event and listener": (
        "call/test_call.py::test_expect_sees_an_event_that_came_before_the_verb_returned"
    ),
    "no duplicates": "client/test_reconnect.py::test_events_are_applied_once_over_a_drop",
}


@pytest.mark.parametrize("row", ELSEWHERE)
def test_each_row_has_a_test_that_is_there(row: str) -> None:
    file, _, name = ELSEWHERE[row].partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    found = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert name in found if name else any(one.startswith("test_") for one in found)


@pytest.fixture
def secure() -> Iterator[Simulator]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_name("key.pem"))
    with Simulator(media="fast", ssl_context=context) as sim:
        yield sim


@pytest.fixture
def on_call(sim: Simulator) -> Iterator[Line]:
    with line(sim) as one:
        mute(sim)
        yield one


# -- websocket-client --------------------------------------------------------------------------------------------------


def test_family_websocket_client_one_thread_alone_uses_the_tls_socket(secure: Simulator) -> None:
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
def test_family_websocket_client_an_upgrade_that_never_ends_is_given_up(sim: Simulator, how: str) -> None:
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


def test_family_websocket_client_there_is_a_limit_to_a_message() -> None:
    def script(peer: Peer) -> None:
        peer.welcome()
        if peer.number == 1:
            peer.write(frame(b"", announced=2000))
            peer.until_closed()
        peer.answer(peer.request("signalwire.ping"), {})
        peer.until_closed()

    with ScriptedServer(script) as server, RelayClient(**server.credentials, max_frame=1024) as client:
        assert client.execute("signalwire.ping") == {}


def test_family_websocket_client_closing_does_not_wait_for_the_peer(sim: Simulator) -> None:
    with FaultProxy(sim.port) as proxy:
        client = RelayClient(**proxy.through(sim))
        client.connect()
        proxy.cut("silent")
        began = time.monotonic()
        client.disconnect(timeout=60)
        assert time.monotonic() - began < PATIENCE


def test_family_websocket_client_its_tracing_shows_no_secret(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("websocket", "relay_sync", "relay_sync.protocol"):
        caplog.set_level(logging.DEBUG, logger=name)
    with line(sim) as one:
        one.drop()
    assert "signalwire.connect" in caplog.text
    assert sim.settings.token not in caplog.text


# -- Slack's socket mode -----------------------------------------------------------------------------------------------


def test_family_slack_callbacks_of_a_call_keep_their_order(on_call: Line) -> None:
    seen: list[int] = []
    on_call.call.on("calling.call.refer", lambda event: seen.append(event.params["number"]))
    for number in range(100):
        on_call.sim.send_event("calling.call.refer", {"call_id": on_call.call.call_id, "number": number})
    on_call.sim.wait_for_acks(PATIENCE)
    on_call.client.disconnect()
    assert seen == list(range(100))


def test_family_slack_no_thread_polls(sim: Simulator) -> None:
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


def test_family_slack_there_is_one_way_back_only(sim: Simulator) -> None:
    """A drop, a command that finds it and a ping that is due: one new connection, not one for each."""
    with FaultProxy(sim.port) as proxy, RelayClient(**proxy.through(sim), ping_interval=0.05, ping_timeout=0.05) as one:
        proxy.cut("silent")
        running = [Background(one.execute, "signalwire.ping", {"payload": str(n)}) for n in range(8)]
        assert [each.result()["payload"] for each in running] == [str(n) for n in range(8)]
        count = len(sim.journal.requests("signalwire.connect"))
        assert proxy.accepted == count
        assert sim.clients == 1


def test_family_slack_frames_are_not_written_out_for_a_log_that_is_off(
    on_call: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    real = frames.Masked.__str__

    def spied(self: frames.Masked) -> str:
        written.append("x")
        return real(self)

    monkeypatch.setattr(frames.Masked, "__str__", spied)
    logger = logging.getLogger("relay_sync.protocol")
    assert logger.level == logging.NOTSET  # which a comparison would take for "log everything"
    on_call.call.denoise()
    assert written == []
    logger.setLevel(logging.DEBUG)
    try:
        on_call.call.denoise()
    finally:
        logger.setLevel(logging.NOTSET)
    assert written


# -- paho --------------------------------------------------------------------------------------------------------------


def test_family_paho_waiting_in_a_callback_for_what_it_was_told_of_is_no_deadlock(on_call: Line) -> None:
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    action = on_call.call.play_silence(60)

    def listener(event: RelayEvent) -> None:
        done.put(action.wait(PATIENCE))

    on_call.call.on("calling.call.play", listener)
    told = {"call_id": on_call.call.call_id, "node_id": on_call.call.node_id, "control_id": action.control_id}
    on_call.sim.send_event("calling.call.play", {**told, "state": "finished"})
    assert done.get(timeout=PATIENCE).state == "finished"


def test_family_paho_an_exception_in_a_callback_ends_no_thread(on_call: Line) -> None:
    def listener(event: RelayEvent) -> None:
        raise ZeroDivisionError

    on_call.call.on("calling.call.refer", listener)
    for _ in range(3):
        on_call.sim.send_event("calling.call.refer", {"call_id": on_call.call.call_id})
    on_call.sim.wait_for_acks(PATIENCE)
    assert on_call.call.denoise()["code"] == "200"
    assert len(on_call.sim.journal.requests("signalwire.connect")) == 1


# -- kazoo, and others ---------------------------------------------------------------------------------------------------


def test_family_kazoo_listeners_run_off_the_io_thread(on_call: Line) -> None:
    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    on_call.call.on("calling.call.refer", lambda event: names.put(threading.current_thread().name))
    on_call.sim.send_event("calling.call.refer", {"call_id": on_call.call.call_id})
    assert names.get(timeout=PATIENCE).startswith("relay-lane-")


def test_family_others_nothing_keeps_a_forgotten_client_alive(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    client = RelayClient(**sim.credentials)
    client.connect()
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    sim.wait_until_gone(PATIENCE)


def test_family_others_no_thread_is_needed_at_the_interpreter_s_end() -> None:
    """A client that is used while the interpreter ends says what is the matter, and the interpreter ends."""
    code = """
import atexit
from relay_sync import RelayClient, RelayError
from relay_sync.simulator import Simulator
sim = Simulator(media="fast").start()
client = RelayClient(**sim.credentials)
def late():
    try:
        client.execute("signalwire.ping", {}, timeout=5)
        print("answered")
    except RelayError as error:
        print("told", type(error).__name__)
atexit.register(sim.close)
atexit.register(late)
client.connect()
print("connected")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "connected"
    assert done.stdout.splitlines()[1].split()[0] in ("answered", "told")
    assert "Traceback" not in done.stderr


def test_audio_nothing_needs_what_python_313_took_away() -> None:
    for path in Path(relay_sync.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {"audioop", "telnetlib", "cgi"} & set(names), path


def test_lesson_16_nobody_is_left_ringing_and_no_late_winner_hears_silence(sim: Simulator) -> None:
    from tests.support.exchange import Exchange

    mute(sim)
    with RelayClient(**sim.credentials) as client:
        exchange = Exchange(sim, client)
        dialling = exchange.dial(to="+15550100022", tag="t")
        exchange.leg("t", "rings", "ringing")
        exchange.moved("t", "failed", reason="noAnswer")
        with pytest.raises(relay_sync.DialFailed):
            dialling.result()
        exchange.wait_for_end("rings")
        exchange.leg("t", "late-0", "answered")
        exchange.wait_for_end("late-0")
        exchange.answered("t", "late-1")
        exchange.wait_for_end("late-1")
        # One that has ended already needs no end, and the tag is free for another dial.
        exchange.leg("t", "over", "ended")
        again = exchange.dial(to="+15550100022", tag="t")
        exchange.leg("t", "ours", "answered")
        exchange.answered("t", "ours")
        assert again.result().call_id == "ours"
        # A loser that turns up after the winner is hung up, too, and the winner's news are his own.
        exchange.answered("t", "ours")
        exchange.leg("t", "loser", "ringing")
        exchange.wait_for_end("loser")
        assert set(client.calls) == {"ours"}
        assert set(exchange.ends()) == {"rings", "late-0", "late-1", "loser"}


def test_lesson_17_actions_end_by_what_their_events_carry(on_call: Line) -> None:
    call: Call = on_call.call
    address = {"call_id": call.call_id, "node_id": call.node_id}
    fax, pay, collect = call.receive_fax(), call.pay("https://example.com/pay"), call.collect(speech={})
    told: list[tuple[Any, str, dict[str, Any]]] = [
        (collect, "calling.call.collect", {"result": {"type": "start_of_input"}}),
        (fax, "calling.call.fax", {"fax": {"type": "finished", "params": {"pages": 1}}}),
        (pay, "calling.call.pay", {"result": "success"}),
    ]
    for action, event_type, params in told:
        on_call.sim.send_event(event_type, {**address, "control_id": action.control_id, **params})
    assert fax.wait(PATIENCE).type == "finished"
    assert pay.wait(PATIENCE).result == "success"
    assert not collect.is_done
