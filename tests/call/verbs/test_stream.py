"""call.stream(): every parameter as the wire and the receiving end see it, and every ending."""

from __future__ import annotations

import http.server
import json
import queue
import threading
import typing
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import pytest

from relay_sync import (
    Call,
    CallEnded,
    ClientClosed,
    CommandRefused,
    ConnectionLost,
    InvalidParameter,
    RequestTimeout,
    StreamAction,
    StreamEvent,
    StreamFailed,
    WaitTimeout,
)
from relay_sync.audio import AudioServer
from relay_sync.call.call import core_of
from relay_sync.client.asked import Asked
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import QUESTIONS
from tests.support.lines import NOWHERE, Line, line

STREAM: Final = "calling.call.stream"


@pytest.fixture
def receiver() -> Iterator[AudioServer]:
    with AudioServer() as server:
        yield server


# -- parameters ------------------------------------------------------------------------------------------------------


def test_every_parameter_is_on_the_wire(on_call: Line, receiver: AudioServer) -> None:
    action = on_call.call.stream(
        receiver.url,
        name="assist",
        codec="pcma@20i",
        track="both",
        status_url="http://127.0.0.1:9/status",
        status_url_method="get",
        authorization_bearer_token="tok-1",
        custom_parameters={"ticket": "7781", "depth": {"n": 1}},
        control_id="S1",
        extra={"async": True},
    )
    [frame] = on_call.sim.journal.requests("calling.stream")
    assert frame == {
        "jsonrpc": "2.0",
        "id": frame["id"],
        "method": "calling.stream",
        "params": {
            "node_id": on_call.phone.node_id,
            "call_id": on_call.phone.call_id,
            "control_id": "S1",
            "url": receiver.url,
            "name": "assist",
            "codec": "PCMA@20i",
            "track": "both_tracks",
            "status_url": "http://127.0.0.1:9/status",
            "status_url_method": "GET",
            "authorization_bearer_token": "tok-1",
            "custom_parameters": {"ticket": "7781", "depth": {"n": 1}},
            "async": True,
        },
    }
    assert isinstance(frame["id"], str)
    assert action.control_id == "S1"


def test_what_is_left_out_is_not_sent(on_call: Line) -> None:
    action = on_call.call.stream(NOWHERE)
    params = on_call.wait_for_request("calling.stream")
    assert set(params) == {"node_id", "call_id", "control_id", "url"}
    assert params["control_id"] == action.control_id
    assert len(action.control_id) == 36


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("inbound", "inbound_track"),
        ("outbound", "outbound_track"),
        ("both", "both_tracks"),
        ("inbound_track", "inbound_track"),
        ("outbound_track", "outbound_track"),
        ("both_tracks", "both_tracks"),
        ("BOTH", "both_tracks"),
    ],
)
def test_track_spellings(on_call: Line, given: str, sent: str) -> None:
    on_call.call.stream(NOWHERE, track=given)
    assert on_call.wait_for_request("calling.stream")["track"] == sent


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("PCMU", "PCMU"),
        ("pcma", "PCMA"),
        ("Opus", "OPUS"),
        ("OPUS@48000h", "OPUS@48000h"),
        ("l16@16000h", "L16@16000h"),
        ("L16@24000H@40I", "L16@24000h@40i"),
        ("g722", "G722"),
        ("PCMU@40i", "PCMU@40i"),
        ("PCMU@1c", "PCMU"),
    ],
)
def test_codec_spellings(on_call: Line, given: str, sent: str) -> None:
    on_call.call.stream(NOWHERE, codec=given)
    assert on_call.wait_for_request("calling.stream")["codec"] == sent


def test_an_unknown_codec_passes_with_one_warning_where_it_was_written(on_call: Line) -> None:
    with pytest.warns(UserWarning, match="SPEEX") as warned:
        on_call.call.stream(NOWHERE, codec="speex@16000h")
    assert [warning.filename for warning in warned] == [__file__]
    assert on_call.wait_for_request("calling.stream")["codec"] == "SPEEX@16000h"


@pytest.mark.parametrize(
    "url",
    [
        "wss://example.com", "wss://example.com:8443/a/b?tenant=1&x=%20", "wss://10.1.2.3/x", "wss://[2001:db8::1]:443/x",
        "WSS://Example.COM/Audio", "ws://127.0.0.1:9/x", "ws://127.9.9.9:9/x", "ws://localhost:9/x", "ws://[::1]:9/x",
    ],
)  # fmt: skip
def test_urls_that_are_accepted_are_sent_as_given(on_call: Line, url: str) -> None:
    on_call.sim.refuse("calling.stream", 400, "not now")  # nothing is to be dialled
    with pytest.raises(CommandRefused):
        on_call.call.stream(url)
    assert on_call.wait_for_request("calling.stream")["url"] == url


@pytest.mark.parametrize("value", ["post", "Post", "POST", "get", "GET"])
def test_status_url_methods_in_any_case(on_call: Line, value: str) -> None:
    on_call.call.stream(NOWHERE, status_url="http://user:pw@127.0.0.1:9/x#rc=1", status_url_method=value)
    params = on_call.wait_for_request("calling.stream")
    assert params["status_url_method"] == value.upper()
    assert params["status_url"] == "http://user:pw@127.0.0.1:9/x#rc=1"


def test_editors_can_offer_the_values() -> None:
    hints = typing.get_type_hints(Call.stream)

    def offered(name: str) -> set[Any]:
        members = typing.get_args(hints[name])
        assert str in members  # anything else may be written, too
        return {word for one in members if typing.get_origin(one) is Literal for word in typing.get_args(one)}

    assert offered("track") == {"inbound", "outbound", "both", "inbound_track", "outbound_track", "both_tracks"}
    assert offered("codec") >= {"PCMU", "PCMA", "OPUS", "L16", "G722"}
    assert offered("status_url_method") == {"GET", "POST"}


def test_a_bearer_prefix_is_taken_off(on_call: Line) -> None:
    on_call.call.stream(NOWHERE, authorization_bearer_token="Bearer abc.def")
    assert on_call.wait_for_request("calling.stream")["authorization_bearer_token"] == "abc.def"


@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "L16", "L16@16000h"])
@pytest.mark.parametrize("track", ["inbound", "outbound", "both"])
def test_what_the_receiving_side_sees(on_call: Line, codec: str, track: str) -> None:
    with AudioServer(token="s3cret") as receiver:
        action = on_call.call.stream(
            receiver.url,
            codec=codec,
            track=track,
            authorization_bearer_token="s3cret",
            custom_parameters={"session_id": "abc123"},
        )
        with receiver.accept(timeout=PATIENCE) as stream:
            assert stream.call_id == on_call.call.call_id
            assert stream.custom_parameters == {"session_id": "abc123"}
            assert stream.media_format.encoding == (
                f"audio/x-{'mulaw' if codec == 'PCMU' else 'alaw'}" if codec[0] == "P" else "audio/x-L16"
            )
            assert stream.media_format.sample_rate == (16000 if "16000" in codec else 8000)
            wanted = {"inbound", "outbound"} if track == "both" else {track}
            [simulated] = on_call.phone.streams
            assert set(simulated.tracks) == wanted
            assert set(stream.announced_tracks) == wanted  # as the start message says
            action.stop()
            assert action.wait(PATIENCE).state == "finished"


def test_the_bearer_token_is_in_the_upgrade_request(on_call: Line) -> None:
    seen: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    class Refuser(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.put(self.headers["Authorization"])
            self.send_error(401)

        def log_message(self, *args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuser) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        url = f"ws://127.0.0.1:{server.server_port}/in"
        action = on_call.call.stream(url, authorization_bearer_token="Bearer tok")
        assert seen.get(timeout=PATIENCE) == "Bearer tok"
        # Anything but 101 is a failed start; the platform has no word for it but "finished".
        assert action.wait(PATIENCE).state == "finished"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("method", [None, "POST", "GET"])
def test_the_status_webhook(on_call: Line, receiver: AudioServer, method: str | None) -> None:
    seen: queue.SimpleQueue[tuple[str, dict[str, Any]]] = queue.SimpleQueue()

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.put(("POST", json.loads(body)))
            self.answer()

        def do_GET(self) -> None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            seen.put(("GET", {name: values[0] for name, values in query.items()}))
            self.answer()

        def answer(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        action = on_call.call.stream(
            receiver.url, status_url=f"http://127.0.0.1:{server.server_port}/hook", status_url_method=method
        )
        first = seen.get(timeout=PATIENCE)
        action.stop()
        second = seen.get(timeout=PATIENCE)
        action.wait(PATIENCE)
        server.shutdown()
        thread.join()
    expected = method or "POST"
    assert (first[0], second[0]) == (expected, expected)
    if expected == "POST":
        states = [body["params"]["state"] for _, body in (first, second)]
        assert first[1]["event_type"] == STREAM
        assert first[1]["params"]["control_id"] == action.control_id
    else:
        states = [fields["state"] for _, fields in (first, second)]
    assert states == ["streaming", "finished"]


BAD: dict[str, list[Any]] = {
    "url": [
        None, 5, "", "not a url", "http://example.com/x", "wss://", "wss:///path", "//host/x", "ws://example.com/x",
        "wss://user:pw@example.com/x", "wss://example.com/x#frag", "wss://exa mple.com/", "wss://example.com:99999/",
        "wss://example.com:0/", "wss://example.com/\r\nX: y", "wss://example.com\\@evil/",
    ],
    "track": ["sideways", "", 1, ["inbound"], "inbound_tracks"],
    "codec": ["", "PC MU", "PCMU@", "PCMU@20", "PCMU@20x", "PCMU@2c", "PCMU@0i", 8, "@20i"],
    "name": ["", 5],
    "status_url": ["", "ftp://example.com", "example.com/x", "http://", 5, "https://exa mple.com"],
    "status_url_method": ["PUT", "", 1],
    "authorization_bearer_token": ["", "Bearer ", "a b", "a\r\nX-Evil: 1", "sch\u00f6n", 5],
    "custom_parameters": ["x=1", ["x"], {1: "x"}, {"x": object()}, {"x": float("nan")}],
    "control_id": ["", 5],
    "on_completed": ["print", 5, lambda: None, lambda event, other: None],
    "extra": ["x", {"url": "wss://other.example.com"}, {"track": "both"}, {"node_id": "x"}, {"call_id": "x"}, {1: 2}],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_wrong_value_is_refused_before_anything_is_sent(quiet_line: Line, name: str, value: Any) -> None:
    before = len(quiet_line.sim.journal.requests("calling.stream"))
    arguments = {"url": "wss://example.com/audio", name: value}
    with pytest.raises(InvalidParameter) as caught:
        quiet_line.call.stream(**arguments)
    assert caught.value.parameter == name
    assert isinstance(caught.value, ValueError)
    assert name in str(caught.value)
    assert caught.value.accepted
    assert caught.value.accepted in str(caught.value)
    # The value is named, unless it may hold a secret; of a mapping, its key or its value.
    shown = caught.value.value
    if shown == "<hidden>":
        assert name in ("url", "status_url", "authorization_bearer_token")
        assert "<hidden>" in str(caught.value)
    else:
        assert repr(shown) in str(caught.value) or str(shown) in str(caught.value)
        assert shown == value or name in ("custom_parameters", "extra")
    quiet_line.client.execute("signalwire.ping", {})  # whatever had been sent would be there by now
    assert len(quiet_line.sim.journal.requests("calling.stream")) == before
    assert not core_of(quiet_line.call).running(StreamAction)
    if name == "authorization_bearer_token" and isinstance(value, str) and len(value) > 3:
        assert value.strip() not in str(caught.value)


@pytest.fixture(scope="module")
def quiet_line() -> Iterator[Line]:
    with Simulator(media="fast") as sim, line(sim) as one:
        yield one


def test_a_coroutine_as_on_completed_is_refused(quiet_line: Line) -> None:
    async def on_completed(event: Any) -> None: ...

    with pytest.raises(InvalidParameter, match="remove async"):
        quiet_line.call.stream("wss://example.com/audio", on_completed=on_completed)


def test_a_misspelt_keyword_is_a_type_error(quiet_line: Line) -> None:
    with pytest.raises(TypeError, match="trakc"):
        quiet_line.call.stream("wss://example.com/audio", trakc="both")  # type: ignore[call-arg]


def test_a_url_with_credentials_does_not_show_them(quiet_line: Line) -> None:
    with pytest.raises(InvalidParameter) as caught:
        quiet_line.call.stream("wss://user:hunter2@example.com/x")
    assert "hunter2" not in str(caught.value) + repr(caught.value)


# -- endings ---------------------------------------------------------------------------------------------------------


class Completed:
    """An on_completed callback that counts."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, event: Any) -> None:
        self.events.put(event)

    def only(self, one: Line) -> Any:
        """The event, after everything in the call's lane that was queued behind it has run."""
        event = self.events.get(timeout=PATIENCE)
        passed = threading.Event()
        core_of(one.call).callback("fence", lambda: passed.set())
        assert passed.wait(PATIENCE)
        assert self.events.empty(), "on_completed ran twice"
        return event


def streaming(one: Line, receiver: AudioServer, **options: Any) -> StreamAction:
    """A stream that flows."""
    with one.call.expect(STREAM, lambda event: event.state == "streaming", PATIENCE):
        return one.call.stream(receiver.url, **options)


def test_a_new_stream_is_starting_then_streaming(on_call: Line, receiver: AudioServer) -> None:
    on_call.sim.drop_event(STREAM, state="streaming")
    assert on_call.call.stream(receiver.url).state == "starting"
    action = streaming(on_call, receiver)
    assert action.state == "streaming"
    assert not action.is_done
    assert not action.completed
    assert action.result is None
    assert action.error is None
    assert action.call is on_call.call


def check_ended(action: StreamAction, waiting: Background[StreamEvent], done: Any, state: str = "finished") -> None:
    event = waiting.result()
    assert event.state == state or event.synthetic
    assert action.wait(0.001) is event  # after the end it answers at once, and the same
    assert action.wait() is event
    assert action.is_done
    assert action.completed
    assert action.result is event
    assert action.error is None
    assert done is event
    assert action.stop() == {}  # harmless after the end


def test_ends_when_stopped(on_call: Line, receiver: AudioServer) -> None:
    completed = Completed()
    action = streaming(on_call, receiver, on_completed=completed)
    waiting = Background(action.wait)
    assert action.stop()["code"] == "200"
    assert action.stop() == {}  # a second stop is harmless and sends nothing
    check_ended(action, waiting, completed.only(on_call))
    assert len(on_call.sim.journal.requests("calling.stream.stop")) == 1
    assert on_call.sim.journal.requests("calling.stream.stop")[0]["params"] == {
        "node_id": on_call.phone.node_id,
        "call_id": on_call.phone.call_id,
        "control_id": action.control_id,
    }


def test_ends_when_the_caller_hangs_up(on_call: Line, receiver: AudioServer) -> None:
    completed = Completed()
    action = streaming(on_call, receiver, on_completed=completed)
    waiting = Background(action.wait)
    on_call.phone.hang_up()
    check_ended(action, waiting, completed.only(on_call))
    assert action.result is not None
    assert not action.result.synthetic


def test_ends_when_the_audio_socket_drops(on_call: Line, receiver: AudioServer) -> None:
    completed = Completed()
    action = streaming(on_call, receiver, on_completed=completed)
    waiting = Background(action.wait)
    receiver.accept(timeout=PATIENCE).close()
    check_ended(action, waiting, completed.only(on_call))


def test_ends_when_the_call_ends_without_a_final_event(sim: Simulator, receiver: AudioServer) -> None:
    with line(sim) as one:
        completed = Completed()
        action = streaming(one, receiver, on_completed=completed)
        sim.drop_event(STREAM, state="finished")
        waiting = Background(action.wait)
        one.phone.hang_up()
        event = waiting.result()
        check_ended(action, waiting := Background(action.wait), completed.only(one))
        assert event.synthetic
        assert event.reason == "call_ended"
        assert isinstance(event, StreamEvent)
        assert event.control_id == action.control_id


def test_wait_timeout_leaves_the_action_alive(on_call: Line, receiver: AudioServer) -> None:
    action = streaming(on_call, receiver)
    for _ in range(3):
        with pytest.raises(WaitTimeout, match="wait again") as caught:
            action.wait(0.01)
        assert isinstance(caught.value, TimeoutError)
    action.stop()
    assert action.wait(PATIENCE).state == "finished"


@pytest.mark.parametrize("state", ["error", "failed", "stopped", "disconnected"])
def test_an_undocumented_failure_ends_it_with_an_error(on_call: Line, receiver: AudioServer, state: str) -> None:
    completed = Completed()
    action = streaming(on_call, receiver, on_completed=completed)
    waiting = Background(action.wait)
    address = {"call_id": on_call.call.call_id, "node_id": on_call.call.node_id, "control_id": action.control_id}
    on_call.sim.send_event(STREAM, {**address, "state": state, "url": receiver.url})
    with pytest.raises(StreamFailed, match=state):
        waiting.result()
    with pytest.raises(StreamFailed):
        action.wait()
    assert isinstance(action.error, StreamFailed)
    assert action.result is completed.only(on_call)


def test_an_unknown_state_does_not_end_it(on_call: Line, receiver: AudioServer) -> None:
    action = streaming(on_call, receiver)
    address = {"call_id": on_call.call.call_id, "node_id": on_call.call.node_id, "control_id": action.control_id}
    with on_call.call.expect(STREAM, timeout=PATIENCE):
        on_call.sim.send_event(STREAM, {**address, "state": "buffering"})
    assert action.state == "buffering"
    assert not action.is_done


@pytest.mark.parametrize("code", [400, 402, 409, 500, "-32001"])
def test_a_refusal_raises_and_there_is_no_action(on_call: Line, code: int | str) -> None:
    on_call.sim.refuse("calling.stream", code, "No")
    completed = Completed()
    with pytest.raises(CommandRefused) as caught:
        on_call.call.stream(NOWHERE, control_id="S1", on_completed=completed)
    assert caught.value.code == int(code)
    assert caught.value.method == "calling.stream"
    assert caught.value.call_id == on_call.call.call_id
    assert "No" in str(caught.value)
    # The id is free again, and nobody is told of an action that never was.
    on_call.call.stream(NOWHERE, control_id="S1")
    assert completed.events.empty()


def test_a_json_rpc_error_raises(on_call: Line) -> None:
    on_call.sim.fail("calling.stream", -32602, "Invalid CallStreamParams")
    with pytest.raises(CommandRefused, match="Invalid CallStreamParams") as caught:
        on_call.call.stream(NOWHERE)
    assert caught.value.code == -32602


@pytest.mark.parametrize("code", [404, 410])
def test_a_call_that_is_gone_gives_an_ended_action(on_call: Line, code: int) -> None:
    for method in ("calling.stream", *QUESTIONS):
        on_call.sim.refuse(method, code, "Call not found")
    completed = Completed()
    action = on_call.call.stream(NOWHERE, on_completed=completed)
    assert (action.is_done, on_call.call.state) == (True, "ended")
    event = action.wait(PATIENCE)
    assert event.synthetic
    assert event.reason == "call_gone"
    assert completed.only(on_call) is event
    assert action.stop() == {}


def test_a_call_that_has_ended_gives_an_ended_action_and_sends_nothing(on_call: Line) -> None:
    on_call.phone.hang_up()
    on_call.call.wait_for_ended(PATIENCE)
    before = len(on_call.sim.journal.requests("calling.stream"))
    completed = Completed()
    action = on_call.call.stream(NOWHERE, on_completed=completed)
    assert action.wait().reason == "call_ended"
    assert completed.only(on_call) is action.result
    assert len(on_call.sim.journal.requests("calling.stream")) == before


def test_disconnect_raises_client_closed_in_every_waiter(on_call: Line, receiver: AudioServer) -> None:
    completed = Completed()
    action = streaming(on_call, receiver, on_completed=completed)
    waiters: list[Background[Any]] = [Background(action.wait), Background(on_call.call.wait_for_ended)]
    on_call.client.disconnect()
    for waiter in waiters:
        with pytest.raises(ClientClosed):
            waiter.result()
    with pytest.raises(ClientClosed):
        action.wait()
    event = completed.events.get(timeout=PATIENCE)
    assert event.synthetic
    assert event.reason == "client_closed"
    assert isinstance(action.error, ClientClosed)


def test_ends_when_the_session_is_lost_for_good(receiver: AudioServer) -> None:
    with Simulator(media="fast", on_bad_resume="fresh") as sim, line(sim) as one:
        completed = Completed()
        action = streaming(one, receiver, on_completed=completed)
        waiting = Background(action.wait)
        sim.forget_sessions()
        sim.cut()
        with pytest.raises(ConnectionLost):
            waiting.result()
        with pytest.raises(ConnectionLost):
            one.call.wait_for_ended(PATIENCE)
        with pytest.raises(ConnectionLost):
            one.call.stream(NOWHERE)
        assert completed.only(one).reason == "session_lost"


def test_survives_a_drop_of_the_relay_connection(on_call: Line, receiver: AudioServer) -> None:
    action = streaming(on_call, receiver)
    waiting = Background(action.wait)
    on_call.drop()
    assert waiting.running
    action.stop()
    assert waiting.result().state == "finished"


def test_a_stream_that_starts_after_the_caller_gave_up_is_stopped(on_call: Line, receiver: AudioServer) -> None:
    on_call.sim.hold("calling.stream")
    with pytest.raises(RequestTimeout), on_call.client.timeout(0.05):
        on_call.call.stream(receiver.url, control_id="late")
    on_call.sim.release("calling.stream")
    assert on_call.wait_for_request("calling.stream.stop")["control_id"] == "late"
    stream = on_call.phone.wait_for_stream()
    stream.wait_until("finished")


def test_a_stream_that_started_when_its_caller_was_just_interrupted_is_stopped(
    on_call: Line, receiver: AudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Asked):
        def wait(self, timeout: float | None, on_timeout: Callable[[], BaseException]) -> Any:
            super().wait(timeout, on_timeout)
            raise KeyboardInterrupt  # the answer is there, and nobody has seen it

    with monkeypatch.context() as patched:
        patched.setattr("relay_sync.client.link.Asked", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            on_call.call.stream(receiver.url, control_id="late")
    assert on_call.wait_for_request("calling.stream.stop")["control_id"] == "late"


def test_a_stream_that_starts_just_when_its_caller_gives_up_is_stopped(
    on_call: Line, receiver: AudioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = threading.get_ident()

    class Impatient(Asked):
        def settled_within(self, timeout: float | None) -> bool:
            return False

        def settle(self, outcome: Any, before_waking: Callable[[], object] | None = None) -> bool:
            first = super().settle(outcome, before_waking)
            if threading.get_ident() == me:  # the caller has given up, and the answer comes before he has said so
                on_call.sim.release("calling.stream")
                on_call.wait_for_request("calling.stream.stop")
            return first

    on_call.sim.hold("calling.stream")
    with monkeypatch.context() as patched:
        patched.setattr("relay_sync.client.link.Asked", Impatient)
        with pytest.raises(RequestTimeout):
            on_call.call.stream(receiver.url, control_id="late")
    assert [frame["params"]["control_id"] for frame in on_call.sim.journal.requests("calling.stream.stop")] == ["late"]


def test_leaving_a_with_block_stops_it(on_call: Line, receiver: AudioServer) -> None:
    with on_call.call.stream(receiver.url) as action:
        ended_inside = action.is_done
    assert (ended_inside, action.is_done) == (False, True)
    assert action.result is not None
    assert action.result.state == "finished"


def test_leaving_a_with_block_never_masks_the_exception_of_its_body(on_call: Line, receiver: AudioServer) -> None:
    on_call.sim.refuse("calling.stream.stop", 500, "broken")
    with pytest.raises(ZeroDivisionError), on_call.call.stream(receiver.url):
        raise ZeroDivisionError


def test_leaving_a_with_block_tells_that_it_could_not_be_stopped(on_call: Line, receiver: AudioServer) -> None:
    on_call.sim.refuse("calling.stream.stop", 500, "broken")
    with pytest.raises(CommandRefused, match="broken"), on_call.call.stream(receiver.url) as action:
        pass
    assert not action.is_done


def test_stop_of_a_stream_the_server_no_longer_knows_is_harmless(on_call: Line, receiver: AudioServer) -> None:
    action = streaming(on_call, receiver)
    on_call.sim.refuse("calling.stream.stop", 404, "no such stream")
    assert action.stop() == {}


def test_stop_that_is_refused_raises(on_call: Line, receiver: AudioServer) -> None:
    action = streaming(on_call, receiver)
    on_call.sim.refuse("calling.stream.stop", 500, "broken")
    with pytest.raises(CommandRefused, match="broken"):
        action.stop()
    assert action.stop()["code"] == "200"


# -- several streams -------------------------------------------------------------------------------------------------


def test_several_streams_on_one_call(on_call: Line, receiver: AudioServer) -> None:
    tracks = ["inbound", "outbound", "inbound"]
    actions = [
        streaming(on_call, receiver, track=track, control_id=f"S{index}", name=f"n{index}")
        for index, track in enumerate(tracks)
    ]
    arrived = [receiver.accept(timeout=PATIENCE) for _ in actions]
    assert len({stream.stream_id for stream in arrived}) == 3
    with on_call.call.expect(STREAM, lambda event: event.state == "finished", PATIENCE) as seen:
        actions[1].stop()
    assert seen.value.control_id == "S1"
    assert seen.value.name == "n1"
    actions[1].wait(PATIENCE)
    assert [action.is_done for action in actions] == [False, True, False]
    on_call.phone.hang_up()
    for action in actions:
        assert action.wait(PATIENCE).control_id == action.control_id


def test_a_control_id_in_use_is_refused(on_call: Line, receiver: AudioServer) -> None:
    first = streaming(on_call, receiver, control_id="S1")
    with pytest.raises(InvalidParameter, match="in use"):
        on_call.call.stream(receiver.url, control_id="S1")
    assert len(on_call.sim.journal.requests("calling.stream")) == 1
    first.stop()
    first.wait(PATIENCE)
    streaming(on_call, receiver, control_id="S1")  # free again
    _, other = on_call.another()
    other.answer()
    other.stream(receiver.url, control_id="S1")  # ids are per call


def test_on_completed_may_block_and_use_the_call(on_call: Line, receiver: AudioServer) -> None:
    done = threading.Event()
    errors: list[BaseException] = []

    def on_completed(event: StreamEvent) -> None:
        try:
            on_call.call.hangup()
            on_call.call.wait_for_ended(PATIENCE)
        except BaseException as error:
            errors.append(error)
        done.set()

    action = streaming(on_call, receiver, on_completed=on_completed)
    action.stop()
    assert done.wait(PATIENCE)
    assert not errors
    assert on_call.call.end_reason == "hangup"


def test_no_warning_for_the_usual_codecs(on_call: Line) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for codec in ("PCMU", "PCMA", "OPUS", "L16", "G722"):
            on_call.call.stream(NOWHERE, codec=codec)


def test_call_ended_is_told_by_reason(on_call: Line) -> None:
    on_call.phone.hang_up()
    with pytest.raises(CallEnded) as caught:
        on_call.call.wait_for(STREAM)
    assert caught.value.end_reason == "hangup"
