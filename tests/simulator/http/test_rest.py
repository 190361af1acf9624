"""The simulator's REST side, asked by the standard library with requests written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from relay_sync.server.http import Headers, HttpRequest
from relay_sync.simulator import Simulator
from relay_sync.simulator.core.settings import Settings
from tests.support.lines import FROM, NOWHERE, TO, line
from tests.support.peers import Receiver, address, connected
from tests.support.rest_requests import CALLS, ask, command


def test_a_stream_by_rest_on_a_call_that_relay_owns() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        params = {"control_id": "s1", "url": receiver.url, "track": "inbound_track", "name": "n"}
        status, call = command(sim, id=phone.call_id, command="calling.stream", params=params)
        assert status == 200
        assert call["id"] == phone.call_id
        assert (call["status"], call["direction"]) == ("answered", "inbound")
        assert (call["from"], call["to"]) == (FROM, TO)
        event = peer.event("calling.call.stream", "streaming")
        assert event["control_id"] == "s1"
        stop = {"id": phone.call_id, "command": "calling.stream.stop", "params": {"control_id": "s1"}}
        assert command(sim, **stop)[0] == 200
        peer.event("calling.call.stream", "finished")
        assert command(sim, **stop)[0] == 404
        assert [(entry.command, entry.status) for entry in sim.rest_requests] == [
            ("calling.stream", 200),
            ("calling.stream.stop", 200),
            ("calling.stream.stop", 404),
        ]
        assert sim.rest_requests[0].params == params


@pytest.mark.parametrize(
    ("members", "status", "attribute"),
    [
        ({"id": "nobody", "command": "calling.end", "params": {}}, 404, "id"),
        ({"command": "calling.end", "params": {}}, 404, "id"),
        ({"command": "calling.answer", "params": {}}, 422, "command"),
        ({"command": 7}, 422, "command"),
        ({"command": "dial", "params": []}, 422, "params"),
        ({"command": "dial", "params": {"to": TO, "url": "https://x.test/"}}, 422, "from"),
        ({"command": "dial", "params": {"to": TO, "from": FROM}}, 422, "url"),
        ({"command": "update", "params": {"id": "nobody", "status": "completed"}}, 404, "id"),
        ({"command": "update", "params": {"id": "nobody", "status": "gone"}}, 422, "status"),
    ],
)
def test_what_is_refused(sim: Simulator, members: dict[str, Any], status: int, attribute: str) -> None:
    got, body = command(sim, **members)
    assert (got, body["errors"][0]["attribute"]) == (status, attribute)


def test_refusals_on_a_live_call(sim: Simulator) -> None:
    with line(sim) as it:
        stream = {"id": it.phone.call_id, "command": "calling.stream"}
        assert command(sim, **stream, params={"control_id": "a", "url": "https://no"})[0] == 400
        assert command(sim, **stream, params={"url": NOWHERE})[0] == 422
        assert command(sim, **stream, params={"control_id": 1, "url": NOWHERE})[0] == 422
        sim.refuse("calling.stream", 402, "No money")
        status, body = command(sim, **stream, params={"control_id": "a", "url": NOWHERE})
        assert (status, body["errors"][0]["message"]) == (402, "No money")
        sim.fail("calling.stream", -32000, "Gave up")
        assert command(sim, **stream, params={"control_id": "a", "url": NOWHERE})[0] == 422
        sim.drop_reply("calling.end")
        assert command(sim, id=it.phone.call_id, command="calling.end", params={})[0] == 504
        it.phone.wait_until("ended")


#: Numbers that are none, in a command that would be refused otherwise than as no JSON.
ODD = [
    b'{"command": "calling.end", "id": "x", "params": {"x": %s}}' % each for each in (b"NaN", b"-Infinity", b"1e999")
]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, *ODD])
def test_bodies_that_are_no_command(sim: Simulator, body: bytes) -> None:
    assert ask(sim, "POST", CALLS, body)[0] == 400


@pytest.mark.parametrize("credentials", ["", "p:t", ":"])
def test_wrong_credentials(sim: Simulator, credentials: str) -> None:
    status, headers, _ = ask(sim, "POST", CALLS, b"{}", credentials=credentials)
    assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="simulator"')
    assert ask(sim, "POST", CALLS, b"{}", Authorization="Bearer x")[0] == 401
    assert ask(sim, "GET", CALLS)[0] == 405
    assert ask(sim, "GET", "/elsewhere")[0] == 426


def test_a_dial_and_its_end(sim: Simulator) -> None:
    status, call = command(sim, command="dial", params={"to": TO, "from": FROM, "url": "https://x.test/swml"})
    assert (status, call["direction"], call["to"]) == (200, "outbound-api", TO)
    assert [(each.kind, each.call_id) for each in sim.journal.notices] == [("not carried out", call["id"])]
    phone = next(phone for phone in sim.phones if phone.call_id == call["id"])
    phone.wait_until("answered")
    assert command(sim, command="update", params={"id": phone.call_id, "status": "canceled"})[0] == 422
    assert command(sim, command="update", params={"id": phone.call_id, "swml": {"sections": {}}})[0] == 200
    assert command(sim, command="update", params={"id": phone.call_id, "status": "completed"})[0] == 200
    phone.wait_until("ended")
    assert command(sim, command="update", params={"id": phone.call_id, "status": "completed"})[0] == 404


def test_recordings_whole_and_in_part(sim: Simulator) -> None:
    wav = bytes(range(256)) * 10
    url = sim.add_recording(wav)
    start = f"http://127.0.0.1:{sim.port}"
    assert url.startswith(f"{start}/recordings/")
    assert url.endswith(".wav")
    path = url.removeprefix(start)
    status, headers, body = ask(sim, "GET", path)
    assert (status, headers["Content-Type"], body) == (200, "audio/wav", wav)
    tag = headers["ETag"]
    status, headers, body = ask(sim, "HEAD", path)
    assert (status, headers["Content-Length"], body) == (200, "2560", b"")
    status, headers, body = ask(sim, "GET", path, Range="bytes=2550-", If_Range=tag)
    assert (status, headers["Content-Range"], body) == (206, "bytes 2550-2559/2560", wav[2550:])
    assert ask(sim, "GET", path, Range="bytes=0-9")[2] == wav[:10]
    assert ask(sim, "GET", path, Range="bytes=2-", If_Range='"other"')[0] == 200
    assert ask(sim, "GET", path, Range="bytes=2560-")[0] == 416
    assert ask(sim, "POST", path)[0] == 405
    assert ask(sim, "GET", "/recordings/none.wav")[0] == 404


def test_the_oldest_recordings_make_room(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay_sync.simulator.http.recordings.MOST_BYTES", 100)
    urls = [sim.add_recording(bytes(40)) for _ in range(3)]
    found = [ask(sim, "GET", url[url.index("/recordings") :])[0] for url in urls]
    assert found == [404, 200, 200]


def test_what_goes_wrong_after_a_command_was_taken_on(sim: Simulator) -> None:
    with line(sim) as it:
        sim.break_action("calling.play")
        silence = [{"type": "silence", "params": {"duration": 1}}]
        with it.call.expect("calling.call.play", lambda event: event.state == "error", 10):
            params = {"control_id": "p", "play": silence}
            assert command(sim, id=it.phone.call_id, command="calling.play", params=params)[0] == 200


def test_a_call_that_no_client_has_can_be_commanded(sim: Simulator) -> None:
    _, call = command(sim, command="dial", params={"to": TO, "from": FROM, "url": "https://x.test/swml"})
    phone = next(phone for phone in sim.phones if phone.call_id == call["id"])
    phone.wait_until("answered")
    assert command(sim, id=call["id"], command="calling.transfer", params={"dest": "https://x.test/"})[0] == 200
    assert command(sim, id=call["id"], command="calling.end", params={})[0] == 200
    phone.wait_until("ended")


def test_the_way_of_a_command_does_not_matter_to_the_call() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        phone = peer.answered()
        assert command(sim, id=phone.call_id, command="calling.end", params={"reason": "busy"})[0] == 200
        assert peer.event("calling.call.state", "ended")["end_reason"] == "busy"
        assert address(phone)["call_id"] == phone.call_id


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://dev.example.com"}, 401),
        ({"Host": "sim.example.com"}, 401),
        ({"Host": "sim.example.com."}, 401),
        ({"Origin": "https://evil.example"}, 403),
        ({"Host": "evil.example"}, 403),
    ],
)
def test_pages_that_may_come_are_told_what_is_missing(headers: dict[str, str], status: int) -> None:
    """One judgement for all that comes without valid credentials: ``origins`` and ``hosts`` count for commands as well."""
    with Simulator(origins=["https://dev.example.com"], hosts=["sim.example.com"]) as sim:
        assert ask(sim, "POST", CALLS, b"{}", credentials="p:wrong", **headers)[0] == status


@pytest.mark.parametrize("host", ["sim.example.com.", "Sim.example.com", "sim.example.com"])
@pytest.mark.parametrize("asked", ["sim.example.com", "sim.example.com.:80"])
def test_the_simulators_own_name_is_known_with_and_without_its_final_dot(host: str, asked: str) -> None:
    request = HttpRequest(
        method="GET", path="/", query="", headers=Headers([("Host", asked)]), remote="", on_loopback=True
    )
    assert Settings(host=host).page_refusal(request) is None
    assert Settings(host="other.example.com").page_refusal(request) is not None
