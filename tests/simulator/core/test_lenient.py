"""Requests that the platform accepts and that a simulator must not refuse."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from relay_sync.errors import InvalidParameter
from relay_sync.simulator import Simulator
from relay_sync.simulator.core.frames import whole_numbers
from relay_sync.simulator.http.control import requests as orders
from tests.support import PATIENCE
from tests.support.lines import FROM, NOWHERE, TO
from tests.support.peers import Peer, address, connected
from tests.support.rest_requests import command

SILENCE = {"type": "silence", "params": {"duration": 60}}
PHONE = {"type": "phone", "params": {"to_number": "+15550111", "from_number": FROM, "timeout": 30}}
SIP = {"type": "sip", "params": {"to": "sip:a@x.test", "timeout": 30, "session_timeout": 600}}
RTP = {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000, "ptime": 20}}
TAPPED = {"type": "audio", "params": {"direction": "both"}}

#: With an integer somewhere, by the schemas.
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("calling.dial", {"tag": "t", "max_duration": 600, "devices": [[PHONE], [SIP]]}),
    ("calling.begin", {"device": PHONE, "max_duration": 600}),
    ("calling.connect", {"max_duration": 600, "devices": [[PHONE]]}),
    ("calling.play", {"control_id": "p", "loop": 2, "volume": 3, "play": [SILENCE]}),
    ("calling.play_and_collect", {"control_id": "q", "play": [SILENCE], "collect": {"digits": {"max": 2, "min": 1}}}),
    ("calling.collect", {"control_id": "c", "digits": {"max": 2, "min": 1, "digit_timeout": 5}}),
    ("calling.detect", {"control_id": "d", "detect": {"type": "machine", "params": {"machine_words_threshold": 6}}}),
    ("calling.tap", {"control_id": "t", "tap": TAPPED, "device": RTP}),
    ("calling.bind_digit", {"digits": "9", "bind_method": "calling.play", "max_triggers": 3}),
    ("calling.join_conference", {"name": "n", "max_participants": 20}),
    ("calling.queue.enter", {"control_id": "e", "queue_name": "q", "wait_time": 5}),
    ("calling.echo", {"timeout": 30}),
]


def floated(value: Any) -> Any:
    """The same JSON as a client with one kind of number writes it."""
    if isinstance(value, dict):
        return {name: floated(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [floated(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize(("method", "params"), REQUESTS, ids=[row[0] for row in REQUESTS])
@pytest.mark.parametrize("wrapped", [False, True], ids=["plain", "execute"])
def test_whole_numbers_may_be_written_with_a_point(method: str, params: dict[str, Any], wrapped: bool) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        where = {} if method in ("calling.dial", "calling.begin") else address(peer.answered())
        given = floated({**where, **params})
        asked = ("signalwire.execute", {"method": method, "params": given}) if wrapped else (method, given)
        result = peer.result(asked[0], **asked[1])
        assert result["code"] == "200"
        sent = [entry.frame for entry in sim.journal if entry.direction == "in"][-1]
        assert ".0" in json.dumps(sent)  # the journal shows what was sent


@pytest.mark.parametrize("value", [1.5, -0.5, 1e-9, "1", True, [1.0]])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        where = address(peer.answered())
        error = peer.ask("calling.play", **where, control_id="p", play=[SILENCE], loop=value)["error"]
        assert error["data"]["errors"] == ["loop must be an integer"]


@pytest.mark.parametrize(
    "version", [{"major": 2.0, "minor": 0.0, "revision": 0.0}, {"major": 3e0, "minor": 0, "revision": 7.0}]
)
def test_a_version_in_floats_connects(version: dict[str, float]) -> None:
    with Simulator() as sim, Peer(sim) as peer:
        assert "result" in peer.connect(version=version)


@pytest.mark.parametrize("major", [2.5, "2", True, 1e300, 9.0, -1.0])
def test_a_version_that_is_none_is_refused(major: Any) -> None:
    with Simulator() as sim, Peer(sim) as peer:
        error = peer.connect(version={"major": major, "minor": 0, "revision": 0})["error"]
        assert error["code"] == -32001


def test_a_request_id_in_floats_is_answered_with_the_same() -> None:
    with Simulator() as sim, connected(sim) as peer:
        peer.send({"jsonrpc": "2.0", "id": 7.0, "method": "signalwire.ping", "params": {"timestamp": 5.0}})
        assert peer.reply(7)["result"] == {"timestamp": 5}


def test_custom_parameters_pass_as_they_came() -> None:
    given = {"loop": 1.0, "custom_parameters": {"price": 1.0}, "deep": [{"port": -2.0, "half": 0.5, "big": 1e20}]}
    assert json.dumps(whole_numbers(given)) == json.dumps(
        {"loop": 1, "custom_parameters": {"price": 1.0}, "deep": [{"port": -2, "half": 0.5, "big": 10**20}]}
    )
    assert math.isinf(whole_numbers(math.inf))
    deep: Any = 1.0
    for _ in range(900):
        deep = [deep]
    whole_numbers(deep)


def test_rest_takes_whole_numbers_with_a_point() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        phone = peer.answered()
        params = {"control_id": "p", "loop": 2.0, "play": [SILENCE]}
        assert command(sim, id=phone.call_id, command="calling.play", params=params)[0] == 200
        params = {"control_id": "c", "digits": {"max": 1.5}}
        assert command(sim, id=phone.call_id, command="calling.collect", params=params)[0] == 422


def test_the_control_interface_takes_whole_numbers_with_a_point() -> None:
    assert orders.bind(orders.FAULTS["duplicate_event"], {"event_type": "e", "copies": 2.0, "times": 1.0}) == {
        "event_type": "e",
        "copies": 2,
        "times": 1,
    }
    assert orders.bind(orders.FAULTS["refuse"], {"method": "m", "code": 404.0}) == {"method": "m", "code": 404}
    # What is passed on to a client passes as it came: a test may want to send exactly this.
    event = orders.bind(orders.EVENT, {"event_type": "e", "params": {"duration": 2.0}})
    assert isinstance(event["params"]["duration"], float)
    with pytest.raises(InvalidParameter, match="copies"):
        orders.bind(orders.FAULTS["duplicate_event"], {"event_type": "e", "copies": 1.5})


@pytest.mark.parametrize("params", [{}, {"direction": "both"}])
def test_a_tap_need_not_say_its_direction(params: dict[str, str]) -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        tap = {"type": "audio", "params": params}
        device = {"type": "ws", "params": {"uri": NOWHERE}}
        result = peer.result("calling.tap", control_id="t", tap=tap, device=device, **address(peer.answered()))
        assert result["code"] == "200"
        assert peer.event("calling.call.tap", "tapping")["tap"] == tap


def test_a_message_without_a_context_is_told_in_the_default_one() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        result = peer.result("messaging.send", from_number=FROM, to_number=TO, body="hi")
        assert result["code"] == "200"
        event = peer.event("messaging.state")
        assert (event["context"], event["message_id"]) == ("default", result["message_id"])
        assert peer.result("messaging.send", context="", from_number=FROM, to_number=TO, body="hi")["code"] == "400"


@pytest.mark.parametrize(
    ("method", "params"),
    [("calling.record", {"record": {"audio": {}}}), ("calling.play", {"play": [SILENCE]})],
)
def test_pausing_and_resuming_twice_changes_nothing(method: str, params: dict[str, Any]) -> None:
    with Simulator() as sim, connected(sim) as peer:
        where = {**address(peer.answered()), "control_id": "k"}
        assert peer.result(method, **where, **params)["code"] == "200"
        for command_name in ("resume", "pause", "pause", "resume", "resume", "stop"):
            assert peer.result(f"{method}.{command_name}", **where)["code"] == "200"
        event = method.replace("calling.", "calling.call.")
        busy = "recording" if method == "calling.record" else "playing"
        sim.journal.wait_for(lambda entry: entry.params.get("state") == "finished", PATIENCE)
        assert [told["state"] for told in sim.journal.events(event)] == [busy, "paused", busy, "finished"]


def test_a_ringtone_may_leave_its_length_out_with_null() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        ring = {"type": "ringtone", "params": {"name": "us", "duration": None}}
        where = address(peer.answered())
        assert peer.result("calling.play", **where, control_id="p", play=[ring])["code"] == "200"
        peer.event("calling.call.play", "finished")
