"""Call commands over HTTP: the documented ones, as the verbs send them, and what becomes of them on a bad line."""

from __future__ import annotations

import contextlib
import gc
import inspect
import json
import os
import random
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from relay_sync import (
    AuthenticationError,
    Call,
    ClientClosed,
    CommandRefused,
    ConnectError,
    ConnectionLost,
    ConnectTimeout,
    InvalidParameter,
    RequestTimeout,
)
from relay_sync.rest import CallInfo, RemoteAction, RemoteCall, RestClient, exchange
from relay_sync.rest.exchange import Answer, _retry_in, retry_after
from relay_sync.rest.replies import refusal
from relay_sync.simulator import Simulator
from relay_sync.webhooks import StreamStatus, Webhooks
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.forks import in_child
from tests.support.lines import FROM, NOWHERE, TO, Line, line
from tests.support.peers import Hooks, Receiver
from tests.support.scripted_http import (
    OK,
    Act,
    Scripted,
    answer,
    drip,
    hang_up,
    read_request,
    scripted_client,
    select_closed,
)
from tests.support.tls import CERTIFICATE, tls_context

WAV = [{"type": "silence", "params": {"duration": 1}}]
DEVICE = {"type": "sip", "params": {"to": "sip:a@b.test", "from": "sip:c@d.test"}}
AUDIO = {"type": "audio", "params": {"direction": "both"}}
RTP = {"type": "rtp", "params": {"addr": "127.0.0.1", "port": 9000}}
MACHINE = {"type": "machine", "params": {"initial_timeout": 4.5}}

#: Every documented command of the description, and a call of the method that sends it.
COMMANDS: dict[str, Callable[[RemoteCall], object]] = {
    "update": lambda call: call.update(url="https://x.test/swml", fallback_url="https://x.test/else"),
    "calling.transfer": lambda call: call.transfer("https://x.test/swml"),
    "calling.disconnect": lambda call: call.disconnect(reason="done"),
    "calling.join_conference": lambda call: call.join_conference("team", muted=True, status_callback_method="get"),
    "calling.play": lambda call: call.play(WAV, volume=3, direction="both", loop=2, control_id="c"),
    "calling.play.pause": lambda call: call.play_pause("c"),
    "calling.play.resume": lambda call: call.play_resume("c"),
    "calling.play.volume": lambda call: call.play_volume("c", -3.5),
    "calling.play.stop": lambda call: call.play_stop("c"),
    "calling.record": lambda call: call.record({"format": "wav", "stereo": True}, control_id="r"),
    "calling.record.pause": lambda call: call.record_pause("r", "silence"),
    "calling.record.resume": lambda call: call.record_resume("r"),
    "calling.record.stop": lambda call: call.record_stop("r"),
    "calling.collect": lambda call: call.collect(digits={"max": 4}, continuous=False, control_id="k"),
    "calling.collect.start_input_timers": lambda call: call.collect_start_input_timers("k"),
    "calling.collect.stop": lambda call: call.collect_stop("k"),
    "calling.detect": lambda call: call.detect(MACHINE, timeout=30, control_id="d"),
    "calling.detect.stop": lambda call: call.detect_stop("d"),
    "calling.tap": lambda call: call.tap(AUDIO, RTP, control_id="t"),
    "calling.tap.stop": lambda call: call.tap_stop("t"),
    "calling.transcribe": lambda call: call.transcribe(status_url="https://x.test/told", control_id="w"),
    "calling.transcribe.stop": lambda call: call.transcribe_stop("w"),
    "calling.stream": lambda call: call.stream(
        NOWHERE,
        name="n",
        codec="pcmu@40i",
        track="both",
        status_url_method="get",
        authorization_bearer_token="Bearer abc",
        custom_parameters={"a": 1},
        control_id="s",
    ),
    "calling.stream.stop": lambda call: call.stream_stop("s"),
    "calling.denoise": lambda call: call.denoise(),
    "calling.denoise.stop": lambda call: call.denoise_stop(),
    "calling.ai_hold": lambda call: call.ai_hold(timeout=300, prompt="wait"),
    "calling.ai_unhold": lambda call: call.ai_unhold(prompt="here we are"),
    "calling.ai_message": lambda call: call.ai_message(role="SYSTEM", message_text="be brief"),
    "calling.ai.stop": lambda call: call.ai_stop("a"),
    "calling.live_transcribe": lambda call: call.live_transcribe(
        {"start": {"lang": "en-US", "direction": ["remote-caller"]}}
    ),
    "calling.live_translate": lambda call: call.live_translate("stop", status_url="https://x.test/told"),
    "calling.send_fax.stop": lambda call: call.send_fax_stop("f"),
    "calling.receive_fax.stop": lambda call: call.receive_fax_stop("g"),
    "calling.refer": lambda call: call.refer(DEVICE, status_url="https://x.test/told"),
    "calling.user_event": lambda call: call.user_event(event={"action": "custom"}),
    "calling.end": lambda call: call.hangup("busy"),
}

#: What some of them look like on the wire, from the description's examples and tables.
ON_THE_WIRE: dict[str, dict[str, Any]] = {
    "calling.stream": {
        "url": NOWHERE,
        "name": "n",
        "codec": "PCMU@40i",
        "track": "both_tracks",
        "status_url_method": "GET",
        "authorization_bearer_token": "abc",
        "custom_parameters": {"a": 1},
        "control_id": "s",
    },
    "calling.stream.stop": {"control_id": "s"},
    "calling.record": {"record": {"audio": {"format": "wav", "stereo": True}}, "control_id": "r"},
    "calling.record.pause": {"control_id": "r", "behavior": "silence"},
    "calling.play.volume": {"control_id": "c", "volume": -3.5},
    "calling.detect": {"detect": MACHINE, "timeout": 30, "control_id": "d"},
    "calling.ai_hold": {"timeout": "300", "prompt": "wait"},
    "calling.ai_message": {"role": "system", "message_text": "be brief"},
    "calling.refer": {"device": DEVICE, "status_url": "https://x.test/told"},
    "calling.end": {"reason": "busy"},
    "calling.denoise": {},
}


@pytest.fixture
def rest(sim: Simulator) -> Iterator[RestClient]:
    with RestClient(**sim.credentials) as made:
        yield made


def test_every_documented_command_goes_out_as_it_should(sim: Simulator, rest: RestClient) -> None:
    with line(sim) as it:
        call = rest.call(it.call.call_id)
        for send in COMMANDS.values():
            with contextlib.suppress(CommandRefused):  # some of what is stopped here never ran
                send(call)
        entries = sim.rest_requests
    assert [entry.command for entry in entries] == list(COMMANDS)
    for entry in entries:
        assert entry.path == "/api/calling/calls"
        assert entry.body.get("id", entry.params.get("id")) == it.call.call_id
        assert entry.params == ON_THE_WIRE.get(entry.command, entry.params)
        assert entry.status in (200, 404), entry


def test_the_verbs_of_a_call_send_the_same(sim: Simulator, rest: RestClient) -> None:
    """Where ``Call`` has a verb of that name, RELAY gets the parameters that REST gets."""
    with line(sim) as it:
        pair = [it.call, _answered(it)]
        compared = 0
        for command, send in COMMANDS.items():
            verb = "hangup" if command == "calling.end" else command.removeprefix("calling.").replace(".", "_")
            if not hasattr(Call, verb):
                continue
            compared += 1
            mine, other = [_answered(it), _answered(it)] if command in LAST else pair
            for call in (rest.call(other.call_id), mine):
                with contextlib.suppress(CommandRefused):
                    send(call)  # type: ignore[arg-type]
            by_rest = sim.rest_requests[-1]
            by_relay = dict(sim.journal.requests(command)[-1]["params"])
            assert (by_relay.pop("call_id"), by_relay.pop("node_id")) == (mine.call_id, mine.node_id)
            assert (by_rest.command, by_rest.params) == (command, by_relay)
    assert compared == 20


#: What ends a call, or takes it away.
LAST = ("calling.transfer", "calling.refer", "calling.end")


def _answered(it: Line) -> Call:
    _, call = it.another()
    with call.expect("calling.call.state", lambda event: event.call_state == "answered", PATIENCE):
        call.answer()
    return call


def test_names_and_parameters_are_those_of_the_verbs() -> None:
    shared = [name for name in vars(Call) | _inherited(Call) if not name.startswith("_") and hasattr(RemoteCall, name)]
    assert len(shared) >= 20
    for name in shared:
        if not inspect.isfunction(getattr(Call, name)):
            continue
        wanted = {
            each.name: (each.kind, each.default)
            for each in inspect.signature(getattr(Call, name)).parameters.values()
            if each.name != "on_completed"
        }
        found = {
            each.name: (each.kind, each.default)
            for each in inspect.signature(getattr(RemoteCall, name)).parameters.values()
        }
        assert found == wanted, name


def _inherited(kind: type) -> dict[str, Any]:
    return {name: value for base in kind.__mro__ for name, value in vars(base).items()}


def test_a_stream_on_a_call_that_another_client_owns(sim: Simulator, rest: RestClient) -> None:
    with Receiver() as receiver, Hooks() as hooks, line(sim) as it:
        with it.call.expect("calling.call.stream", lambda event: event.state == "streaming", PATIENCE) as started:
            action = rest.call(it.call.call_id).stream(receiver.url, track="inbound", status_url=hooks.url)
        assert started.value.control_id == action.control_id
        assert (action.command, action.info.status, action.info.from_) == ("calling.stream", "answered", FROM)
        with it.call.expect("calling.call.stream", lambda event: event.state == "finished", PATIENCE):
            info = rest.call(it.call.call_id).stream_stop(action.control_id)  # as another web request would
        assert info.call_id == it.call.call_id
        assert action.stop() is None
        with pytest.raises(CommandRefused) as caught:
            rest.call(it.call.call_id).stream_stop(action.control_id)
        assert (caught.value.code, caught.value.method) == (404, "calling.stream.stop")
        assert caught.value.call_id == it.call.call_id
        told = [Webhooks().parse(*hooks.raw.get(timeout=PATIENCE)) for _ in range(2)]
    for callback, state in zip(told, ["streaming", "finished"], strict=True):
        assert isinstance(callback, StreamStatus)
        assert (callback.state, callback.control_id) == (state, action.control_id)


def test_a_dial_and_its_call(sim: Simulator, rest: RestClient) -> None:
    call = rest.dial(
        to=TO, from_=FROM, swml={"sections": {"main": []}}, status_events=["Answered", "ended"], codecs=["PCMU"]
    )
    assert sim.rest_requests[-1].body == {
        "command": "dial",
        "params": {
            "to": TO,
            "from": FROM,
            "swml": {"sections": {"main": []}},
            "status_events": ["answered", "ended"],
            "codecs": ["PCMU"],
        },
    }
    assert isinstance(call.info, CallInfo)
    assert (call.info.call_id, call.info.direction, call.info.to) == (call.call_id, "outbound-api", TO)
    sim.phones[0].wait_until("answered")
    assert call.update(status="completed").status == "ended"
    assert sim.rest_requests[-1].body == {"command": "update", "params": {"id": call.call_id, "status": "completed"}}
    with pytest.raises(CommandRefused, match="Call not found") as caught:
        call.hangup()
    assert caught.value.code == 404


def test_a_command_without_a_method(sim: Simulator, rest: RestClient) -> None:
    with line(sim) as it:
        rest.command("calling.end", {"reason": "hangup"}, call_id=it.call.call_id, timeout=5)
        it.phone.wait_until("ended")
    with pytest.raises(CommandRefused, match="not supported"):
        rest.command("calling.unheard_of")


@pytest.mark.parametrize(
    ("attempt", "parameter"),
    [
        (lambda rest: rest.call(""), "call_id"),
        (lambda rest: rest.call("c").stream("https://x.test"), "url"),
        (lambda rest: rest.call("c").stream("wss://x.test", track="sideways"), "track"),
        (lambda rest: rest.call("c").stream("wss://x.test", extra={"control_id": "x"}), "extra"),
        (lambda rest: rest.call("c").stream("wss://x.test", control_id=""), "control_id"),
        (lambda rest: rest.call("c").stream_stop(""), "control_id"),
        (lambda rest: rest.call("c").play_volume("c", None), "volume"),
        (lambda rest: rest.call("c").record_pause("c", "loudly"), "behavior"),
        (lambda rest: rest.call("c").collect(), "digits"),
        (lambda rest: rest.call("c").transfer(""), "dest"),
        (lambda rest: rest.call("c").update(), "url"),
        (lambda rest: rest.call("c").update(url="https://x.test", swml="{}"), "url"),
        (lambda rest: rest.call("c").user_event(), "event"),
        (lambda rest: rest.dial(to=TO, from_=FROM), "url"),
        (lambda rest: rest.dial(to="", from_=FROM, url="https://x.test"), "to"),
        (lambda rest: rest.command("x", {"a": {1}}), "params"),
        (lambda rest: rest.command("x", timeout="5"), "timeout"),
    ],
)
def test_what_cannot_be_right_is_not_sent(
    sim: Simulator, rest: RestClient, attempt: Callable[[RestClient], object], parameter: str
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        attempt(rest)
    assert caught.value.parameter == parameter
    assert sim.rest_requests == []


# -- credentials and hosts ---------------------------------------------------------------------------------------------


def test_wrong_credentials(sim: Simulator) -> None:
    with RestClient("p", "tell-nobody", sim.url) as rest, pytest.raises(AuthenticationError) as caught:
        rest.call("c").hangup()
    assert (caught.value.code, caught.value.method, caught.value.call_id) == (401, "calling.end", "c")
    assert "tell-nobody" not in str(caught.value)


def test_credentials_of_the_environment(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    given = sim.credentials
    monkeypatch.setenv("SIGNALWIRE_PROJECT_ID", given["project"])
    monkeypatch.setenv("SIGNALWIRE_API_TOKEN", given["token"])
    monkeypatch.setenv("SIGNALWIRE_SPACE", given["host"])
    with RestClient() as rest, pytest.raises(CommandRefused, match="Call not found"):
        rest.call("c").hangup()


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("space.signalwire.com", "https://space.signalwire.com"),
        ("space.signalwire.com:8443", "https://space.signalwire.com:8443"),
        ("https://space.signalwire.com/", "https://space.signalwire.com"),
        ("wss://space.signalwire.com", "https://space.signalwire.com"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
    ],
)
def test_hosts(host: str, shown: str) -> None:
    with RestClient("project", "tell-nobody", host) as rest:
        assert repr(rest) == f"<RestClient {shown}>"


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        ({"host": None}, "host"),
        ({"host": "http://space.signalwire.com"}, "host"),
        ({"host": "https://space.signalwire.com/path"}, "host"),
        ({"host": "user:tell-nobody@space.signalwire.com"}, "host"),
        ({"token": ""}, "token"),
        ({"read_timeout": 0}, "read_timeout"),
        ({"retries": -1}, "retries"),
        ({"ca_file": "/nowhere"}, "ca_file"),
        ({"proxy": "x"}, "proxy"),
    ],
)
def test_options_that_cannot_be_right(options: dict[str, Any], parameter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIGNALWIRE_PROJECT_ID", "SIGNALWIRE_API_TOKEN", "SIGNALWIRE_SPACE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidParameter) as caught:
        RestClient(**{"project": "p", "token": "t", "host": "space.signalwire.com", **options})
    assert caught.value.parameter == parameter
    assert "tell-nobody" not in str(caught.value)


# -- a bad line --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"]
)
def test_a_peer_that_drips_is_given_up_at_the_deadline(first: bytes) -> None:
    with Scripted(drip(first)) as server, scripted_client(server, request_timeout=0.3, read_timeout=5) as rest:
        began = time.monotonic()
        with pytest.raises(RequestTimeout, match=r"calling\.end"):
            rest.call("c").hangup()
        assert time.monotonic() - began < PATIENCE / 2


def test_a_peer_that_says_nothing_is_given_up_after_the_read_timeout() -> None:
    def act(peer: socket.socket) -> None:
        select_closed(peer, PATIENCE)

    with Scripted(act) as server, scripted_client(server, read_timeout=0.1) as rest, pytest.raises(RequestTimeout):
        rest.call("c").hangup()


def test_a_peer_that_answers_late_and_falls_silent_has_what_is_left_of_the_time() -> None:
    """Not the whole time once more: one read has what the deadline leaves, however patient the connection is."""
    limit = 0.6

    def act(peer: socket.socket) -> None:
        select_closed(peer, 0.9 * limit)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
        select_closed(peer, PATIENCE)

    with Scripted(act) as server, scripted_client(server, request_timeout=limit, read_timeout=5) as rest:
        began = time.monotonic()
        with pytest.raises(RequestTimeout, match=r"calling\.end"):
            rest.call("c").hangup()
        assert limit - 0.01 <= time.monotonic() - began < 1.5 * limit


def test_a_stop_is_sent_again_when_its_answer_is_lost() -> None:
    with Scripted(hang_up, answer(503, Retry_After="0"), OK) as server, scripted_client(server) as rest:
        assert rest.call("c").stream_stop("s").status == "answered"
        assert server.served == 3
        bodies = {server.requests.get().partition(b"\r\n\r\n")[2] for _ in range(3)}
    assert [json.loads(body) for body in bodies] == [
        {"id": "c", "command": "calling.stream.stop", "params": {"control_id": "s"}}
    ]


@pytest.mark.parametrize("act", [hang_up, answer(503, Retry_After="0"), answer(500), answer(502)])
def test_what_must_not_happen_twice_is_not_sent_again(act: Act) -> None:
    with Scripted(act, OK) as server, scripted_client(server) as rest:
        with pytest.raises((ConnectionLost, CommandRefused)) as caught:
            rest.dial(to=TO, from_=FROM, url="https://x.test/")
        if isinstance(caught.value, ConnectionLost):
            assert caught.value.sent
        assert server.served == 1


def test_what_the_server_says_it_did_not_take_is_sent_again() -> None:
    with Scripted(answer(429, Retry_After="0"), OK) as server, scripted_client(server) as rest:
        assert rest.dial(to=TO, from_=FROM, url="https://x.test/").call_id == "c"
        assert server.served == 2


def test_before_it_is_sent_again_there_is_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.1)  # of a second, after the first failure
    for act in (answer(429), answer(503)):
        with Scripted(act, OK) as server, scripted_client(server) as rest:
            began = time.monotonic()
            assert rest.call("c").stream_stop("s").status == "answered"
            assert (server.served, time.monotonic() - began >= 0.1) == (2, True)


def _answered_with(status: int, **headers: str) -> Answer:
    return Answer(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=b"")


@pytest.mark.parametrize(
    ("outcome", "repeatable", "pauses"),
    [
        # After 0, 1, 2, 4 and 9 failures, where the jitter is at its half.
        (ConnectError("x"), False, [0.025, 0.5, 1.0, 4.0, 15.0]),
        (ConnectError("x", fatal=True), True, [None] * 5),
        (ConnectionLost("x", sent=True), True, [0.025, 0.5, 1.0, 4.0, 15.0]),
        (ConnectionLost("x", sent=True), False, [None] * 5),
        (RequestTimeout("x"), True, [0.025, 0.5, 1.0, 4.0, 15.0]),
        (RequestTimeout("x"), False, [None] * 5),
        (_answered_with(429), False, [0.5, 1.0, 2.0, 8.0, 15.0]),
        (_answered_with(503), True, [0.5, 1.0, 2.0, 8.0, 15.0]),
        (_answered_with(503), False, [None] * 5),
        (_answered_with(200), True, [None] * 5),
        (_answered_with(429, Retry_After="1"), False, [1.0] * 5),
        (_answered_with(503, Retry_After="7"), True, [7.0] * 5),
        (_answered_with(503, Retry_After="7"), False, [None] * 5),
    ],
)
def test_how_long_the_pauses_are(
    outcome: Answer | exchange.Failed, repeatable: bool, pauses: list[float | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.5)
    assert [_retry_in(outcome, failures, repeatable) for failures in (0, 1, 2, 4, 9)] == pauses
    monkeypatch.setattr(random, "random", lambda: 0.0)
    if "Retry-After" not in getattr(outcome, "headers", {}):
        assert {_retry_in(outcome, failures, repeatable) for failures in range(9)} <= {0.0, None}


def test_repetitions_are_bounded() -> None:
    with Scripted(*[answer(429, Retry_After="0")] * 4) as server, scripted_client(server, retries=2) as rest:
        with pytest.raises(CommandRefused) as caught:
            rest.call("c").stream_stop("s")
        assert (caught.value.code, server.served) == (429, 3)


@pytest.mark.parametrize("wait", ["31", "3600", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_a_pause_that_is_too_long_is_not_made(wait: str) -> None:
    with Scripted(answer(503, Retry_After=wait), OK) as server, scripted_client(server) as rest:
        with pytest.raises(CommandRefused):
            rest.call("c").stream_stop("s")
        assert server.served == 1


def test_retry_after() -> None:
    assert retry_after("7") == 7.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert retry_after("Wed, 21 Oct 2015 07:28:00") == 0.0
    assert (retry_after("Fri, 31 Dec 2999 23:59:59 GMT") or 0) > 1e9
    for text in ("", "soon", "-1", "1.5", "\xb2"):
        assert retry_after(text) is None


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with RestClient("p", "t", f"ws://127.0.0.1:{port}", retries=1) as rest:
        with pytest.raises(ConnectError, match=r"calling\.end: no connection") as caught:
            rest.call("c").hangup()
        assert not caught.value.fatal
        assert caught.value.__cause__ is None


def test_a_name_that_does_not_exist_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def unknown(*args: Any, **options: Any) -> Any:
        asked.append(args)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with RestClient("p", "t", "space.invalid") as rest, pytest.raises(ConnectError) as caught:
        rest.call("c").hangup()
    assert caught.value.fatal
    assert len(asked) == 1


def test_no_connection_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*args: Any, **options: Any) -> Any:
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", hangs)
    with RestClient("p", "t", "ws://127.0.0.1:1", retries=0) as rest, pytest.raises(ConnectTimeout):
        rest.call("c").hangup()


@pytest.mark.parametrize(("whole", "connect"), [(1.5, 5.0), (5.0, 1.5)])
def test_a_connection_has_no_more_time_than_the_request(
    monkeypatch: pytest.MonkeyPatch, whole: float, connect: float
) -> None:
    given: list[float] = []

    def hangs(address: object, timeout: float, *args: Any, **options: Any) -> Any:
        given.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr("urllib3.util.connection.create_connection", hangs)
    with RestClient("p", "t", "ws://127.0.0.1:1", retries=0, request_timeout=whole, connect_timeout=connect) as rest:
        with pytest.raises(ConnectTimeout):
            rest.call("c").hangup()
    assert [1.0 < each <= 1.5 for each in given] == [True]


def test_an_answer_without_end_is_read_so_far_and_no_further() -> None:
    def act(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b" " * (exchange.MAX_ANSWER + 65536))
        select_closed(peer, PATIENCE)

    with Scripted(act) as server, scripted_client(server, request_timeout=PATIENCE / 2) as rest:
        assert rest.call("c").hangup().call_id == "c"


def test_of_many_reasons_five_are_told() -> None:
    body = json.dumps({"errors": [{"message": f"reason {number}"} for number in range(1, 9)]}).encode()
    told = refusal(422, body, command="dial").message
    assert [f"reason {number}" in told for number in range(1, 9)] == [True] * 5 + [False] * 3


def test_a_certificate_that_is_not_trusted() -> None:
    context = tls_context()
    with Simulator(media="fast", ssl_context=context) as sim, RestClient(**sim.credentials) as rest:
        with pytest.raises(ConnectError, match="no TLS connection") as caught:
            rest.call("c").hangup()
        assert caught.value.fatal
    with Simulator(media="fast", ssl_context=context) as sim:
        given = sim.credentials
        host = given["host"].replace("127.0.0.1", "localhost")
        with RestClient(given["project"], given["token"], host, ca_file=CERTIFICATE) as rest:
            with pytest.raises(CommandRefused, match="Call not found"):
                rest.call("c").hangup()


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (answer(302, Location="https://elsewhere.test/"), "does not follow"),
        (answer(404, b"<html>"), "is host the name of the space"),
        (
            answer(422, b'{"errors":[{"message":"must be a URL","attribute":"url"},{"message":"x"}]}'),
            "url: must be a URL; x",
        ),
        (answer(422, b'{"errors":{"message":"x"}}'), "no reason"),
        (answer(400, b'{"message":"because"}'), "because"),
        (answer(500, b"[" * 100_000), "no reason"),
        (answer(403), "permission"),
    ],
)
def test_refusals_in_words(act: Act, words: str) -> None:
    with Scripted(act) as server, scripted_client(server, retries=0) as rest:
        with pytest.raises(CommandRefused, match=words) as caught:
            rest.call("c").hangup()
        assert caught.value.code is not None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"not json", b'{"id":7,"duration":"x","status":null}', b"x" * 3_000_000]
)
def test_a_success_that_cannot_be_read_is_one(body: bytes) -> None:
    with Scripted(answer(200, body)) as server, scripted_client(server) as rest:
        info = rest.call("c").hangup()
    assert (info.call_id, info.status, info.duration) == ("c", "", None)


def test_a_web_page_is_no_success() -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=utf-8\r\nContent-Length: 4\r\n\r\n<p/>"
    with Scripted(lambda peer: peer.sendall(page)) as server, scripted_client(server) as rest:
        with pytest.raises(CommandRefused, match="is host the name of the space"):
            rest.call("c").hangup()


HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def after(*interim: bytes) -> Act:
    """Answer with success after interim answers."""

    def act(peer: socket.socket) -> None:
        peer.sendall(b"".join(interim))
        OK(peer)

    return act


@pytest.mark.parametrize(
    "interim",
    [
        [HINTS],
        [PROCESSING],
        [CONTINUE],
        [CONTINUE, PROCESSING, HINTS, HINTS],
        [b"HTTP/1.1 199 New\r\n\r\n"],
        100 * [PROCESSING],
    ],
    ids=["103", "102", "100", "mixed", "199", "a hundred"],
)
def test_an_interim_answer_is_not_the_answer(interim: list[bytes]) -> None:
    with Scripted(after(*interim)) as server, scripted_client(server) as rest:
        assert rest.call("c").hangup().status == "answered"
        assert server.served == 1


@pytest.mark.parametrize("interim", [HINTS, CONTINUE])
def test_interim_answers_without_end_are_given_up(interim: bytes) -> None:
    with Scripted(after(*101 * [interim])) as server, scripted_client(server) as rest:
        with pytest.raises(ConnectionLost) as caught:
            rest.dial(to=TO, from_=FROM, url="https://x.test/doc")
        assert caught.value.sent
        assert server.served == 1


def test_an_interim_answer_on_a_connection_that_stays_open() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    def act(peer: socket.socket) -> None:
        for _ in range(2):
            peer.sendall(HINTS + whole)
            read_request(peer)
        peer.sendall(HINTS + whole)

    with Scripted(act) as server, scripted_client(server) as rest:
        for _ in range(3):
            assert rest.call("c").hangup().members == {}


def test_switching_protocols_is_an_answer() -> None:
    with Scripted(answer(101)) as server, scripted_client(server) as rest, pytest.raises(CommandRefused, match="101"):
        rest.call("c").hangup()


class Secure:
    """A TLS server that does to its one connection what it is told, with the socket below the TLS as well."""

    def __init__(self, act: Callable[[ssl.SSLSocket, socket.socket], None]) -> None:
        self._act = act
        self._context = tls_context()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"https://localhost:{self._listener.getsockname()[1]}"
        self.connections = 0
        self._thread = threading.Thread(target=self._serve, name="secure", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                self.connections += 1
                with plain, plain.dup() as below, contextlib.suppress(OSError):
                    plain.settimeout(PATIENCE)
                    with self._context.wrap_socket(plain, server_side=True) as secure:
                        self._act(secure, below)

    def __enter__(self) -> Secure:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)


IN_THE_CLEAR = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"


def _answered_in_the_clear(secure: ssl.SSLSocket, below: socket.socket) -> None:
    read_request(secure)
    below.sendall(IN_THE_CLEAR)


def _cut_off(secure: ssl.SSLSocket, below: socket.socket) -> None:
    read_request(secure)
    below.shutdown(socket.SHUT_RDWR)


def _broken_in_the_head(secure: ssl.SSLSocket, below: socket.socket) -> None:
    read_request(secure)
    secure.sendall(b"HTTP/1.1 200 OK\r\n")
    below.sendall(IN_THE_CLEAR)


def _broken_in_the_body(secure: ssl.SSLSocket, below: socket.socket) -> None:
    read_request(secure)
    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    below.sendall(IN_THE_CLEAR)


@pytest.mark.parametrize("act", [_answered_in_the_clear, _cut_off, _broken_in_the_head, _broken_in_the_body])
def test_tls_that_breaks_after_a_request_was_sent(act: Callable[[ssl.SSLSocket, socket.socket], None]) -> None:
    with Secure(act) as server, RestClient("p", "t", server.host, ca_file=CERTIFICATE) as rest:
        with pytest.raises(ConnectionLost) as caught:
            rest.dial(to=TO, from_=FROM, url="https://x.test/doc")
        assert caught.value.sent
        assert server.connections == 1


def test_tls_that_breaks_at_the_second_request_of_a_connection() -> None:
    def act(secure: ssl.SSLSocket, below: socket.socket) -> None:
        read_request(secure)
        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        read_request(secure)
        below.sendall(IN_THE_CLEAR)

    with Secure(act) as server, RestClient("p", "t", server.host, ca_file=CERTIFICATE) as rest:
        assert rest.call("c").hangup().members == {}
        with pytest.raises(ConnectionLost) as caught:
            rest.call("c").hangup()
        assert caught.value.sent
        assert server.connections == 1


def test_a_stop_is_sent_again_when_tls_broke() -> None:
    acts = [_answered_in_the_clear]

    def act(secure: ssl.SSLSocket, below: socket.socket) -> None:
        if acts:
            acts.pop()(secure, below)
        else:
            read_request(secure)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with Secure(act) as server, RestClient("p", "t", server.host, ca_file=CERTIFICATE) as rest:
        assert rest.call("c").stream_stop("s").members == {}
        assert server.connections == 2


def test_a_connection_that_breaks_before_tls_is_there_was_none() -> None:
    """Nothing was sent, so even a dial is tried again."""

    def reset(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted = []

        def serve() -> None:
            for _ in range(2):
                peer, _address = listener.accept()
                accepted.append(1)
                peer.recv(1)
                reset(peer)
                peer.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with RestClient("p", "t", f"https://localhost:{listener.getsockname()[1]}", retries=1) as rest:
            with pytest.raises(ConnectError, match="no connection") as caught:
                rest.dial(to=TO, from_=FROM, url="https://x.test/doc")
            assert not caught.value.fatal
        thread.join(PATIENCE)
        assert len(accepted) == 2


# -- threads, forks, closing -------------------------------------------------------------------------------------------


def session_of(rest: RestClient) -> requests.Session:
    """That of the calling thread."""
    with rest._exchange._sessions.taken() as session:
        return session


def test_each_thread_has_a_session_of_its_own(sim: Simulator, rest: RestClient) -> None:
    sessions = rest._exchange._sessions
    mine = session_of(rest)
    assert session_of(rest) is mine
    others = [Background(session_of, rest) for _ in range(3)]
    found = {id(each.result()) for each in others}
    assert id(mine) not in found
    del others
    gc.collect()
    assert len(sessions._open) == 1  # those of threads that are gone are gone


def test_use_from_many_threads(sim: Simulator, rest: RestClient) -> None:
    def refused() -> int | None:
        with pytest.raises(CommandRefused) as caught:
            rest.call("c").hangup()
        return caught.value.code

    assert [each.result() for each in [Background(refused) for _ in range(8)]] == [404] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_use_after_a_fork(sim: Simulator, rest: RestClient) -> None:
    before = session_of(rest)

    def use() -> None:
        with pytest.raises(CommandRefused) as caught:
            rest.call("c").hangup()
        assert caught.value.code == 404
        assert session_of(rest) is not before

    in_child(use)
    assert session_of(rest) is before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("ends", ["closed", "collected"])
def test_a_fork_while_another_thread_is_in_the_middle_of_a_request(sim: Simulator, ends: str) -> None:
    rest = RestClient(**sim.credentials)
    held, over = threading.Event(), threading.Event()

    def request() -> None:
        with session_of(rest).get_adapter("http://").poolmanager.pools.lock:  # type: ignore[attr-defined]
            held.set()
            over.wait(PATIENCE)

    def end() -> None:
        if ends == "closed":
            rest.close()
            return
        for reference in rest._exchange._sessions._open.values():
            holder = reference()
            if holder is not None:
                holder.__del__()

    busy = Background(request)
    assert held.wait(PATIENCE)
    try:
        in_child(end)
    finally:
        over.set()
        busy.result()
        rest.close()


def test_a_closed_client(sim: Simulator) -> None:
    rest = RestClient(**sim.credentials)
    call = rest.call("c")
    rest.close()
    rest.close()
    assert repr(rest).endswith(" closed>")
    with pytest.raises(ClientClosed):
        call.hangup()


def test_closing_ends_a_pause() -> None:
    with Scripted(answer(503, Retry_After="20")) as server, scripted_client(server, request_timeout=60) as rest:
        waiting = Background(rest.call("c").stream_stop, "s")
        server.requests.get(timeout=PATIENCE)
        rest.close()
        with pytest.raises((ClientClosed, ConnectionLost)):
            waiting.result()


def test_actions_show_what_they_are(sim: Simulator, rest: RestClient) -> None:
    with line(sim) as it:
        action = rest.call(it.call.call_id).play(WAV, control_id="p")
        assert isinstance(action, RemoteAction)
        assert repr(action) == f"RemoteAction(call={it.call.call_id}, control_id='p', command='calling.play')"
