"""Faults that are ordered: refused where they could not happen, said whole, and told where they did not happen."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from relay_sync import RelayClient
from relay_sync.errors import InvalidParameter, RelayError
from relay_sync.simulator import Simulator
from relay_sync.simulator.core.faults import MediaFault
from relay_sync.simulator.core.names import BREAKABLE
from relay_sync.simulator.media.disturbance import Disturbance
from relay_sync.testing import simulated
from tests.support.peers import RING, Json, Receiver, address, connected
from tests.support.users_tests import run_pytest

REFUSED: list[tuple[Callable[[Simulator], object], str, str]] = [
    (lambda sim: sim.break_action("calling.answer"), "method", "calling.play"),
    (lambda sim: sim.break_action("calling.play.stop"), "method", "perhaps 'calling.play'"),
    (lambda sim: sim.break_action("calling.recrod"), "method", "'calling.record'"),
    (lambda sim: sim.break_action("calling.stream"), "method", "disturb_stream"),
    (lambda sim: sim.break_action("calling.play", {"x": float("nan")}), "details", "JSON"),
    (lambda sim: sim.refuse("calling.play", 200), "code", "2xx"),
    (lambda sim: sim.refuse("calling.play", "202"), "code", "2xx"),
    (lambda sim: sim.refuse("calling.play", "no"), "code", "whole number"),
    (lambda sim: sim.refuse("calling.play", "--5"), "code", "whole number"),
    (lambda sim: sim.fail("calling.play", "--5"), "code", "whole number"),  # type: ignore[arg-type]
    (lambda sim: sim.fail("calling.play", 1.5), "code", "whole number"),  # type: ignore[arg-type]
    (lambda sim: sim.drop_event("calling.call.play", state="ended"), "state", "finished, paused"),
    (lambda sim: sim.drop_event("calling.call.play", state="finishd"), "state", "perhaps 'finished'"),
    (lambda sim: sim.duplicate_event("calling.call.dial", state="connected"), "state", "answered"),
    (lambda sim: sim.delay_event("calling.call.connect", 1, state="ringing"), "state", "connecting"),
    (lambda sim: sim.disturb_stream("dropp"), "kind", "perhaps 'drop'"),
    (lambda sim: sim.disturb_stream("refuse", error="codec_eror"), "error", "perhaps 'codec_error'"),
    (lambda sim: sim.disturb_stream("gap", at=1.5), "at, count", "whole"),  # type: ignore[arg-type]
    (lambda sim: sim.disturb_stream("gap", at=10**9), "at, count", "whole"),
    (lambda sim: sim.slow_down(61), "seconds", "at most 60"),
    (lambda sim: sim.slow_down(-1), "seconds", "0 or greater"),
]


@pytest.mark.parametrize(("order", "parameter", "words"), REFUSED)
def test_a_fault_that_cannot_happen_is_refused(
    order: Callable[[Simulator], object], parameter: str, words: str
) -> None:
    sim = Simulator()
    with pytest.raises(InvalidParameter) as caught:
        order(sim)
    assert caught.value.parameter == parameter
    assert words in str(caught.value)
    assert sim.faults.unused() == []
    sim.close()


def test_states_that_events_have_are_taken_and_so_are_those_nobody_knows_yet() -> None:
    sim = Simulator()
    sim.drop_event("calling.call.fax", state="page")
    sim.drop_event("calling.call.detect", state="HUMAN")
    sim.drop_event("calling.call.play", state="humming")
    sim.drop_event("calling.call.brand_new", state="ringing")
    assert len(sim.faults.unused()) == 4
    sim.close()


# -- what a broken action may say --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", sorted(BREAKABLE - {"messaging.send"}))
def test_details_of_any_name_are_said(method: str) -> None:
    """Whatever the members are called: as our own parameters are, or as the event's."""
    started: dict[str, Json] = {
        "calling.play": {"play": [{"type": "silence", "params": {"duration": 9}}]},
        "calling.play_and_collect": {
            "play": [{"type": "silence", "params": {"duration": 9}}],
            "collect": {"digits": {"max": 1}},
        },
        "calling.record": {"record": {"audio": {}}},
        "calling.collect": {"digits": {"max": 1}},
        "calling.detect": {"detect": {}},
        "calling.send_digits": {"digits": "1"},
        "calling.tap": {
            "tap": {"type": "audio", "params": {"direction": "both"}},
            "device": {"type": "ws", "params": {"uri": "u"}},
        },
        "calling.dial": {"tag": "t", "devices": [[RING]]},
        "calling.connect": {"devices": [[RING]]},
        "calling.refer": {"device": {"type": "sip", "params": {"to": "sip:a@b.test"}}},
        "calling.join_conference": {"name": "n"},
        "calling.join_room": {"name": "n"},
        "calling.queue.enter": {"queue_name": "q"},
        "calling.send_fax": {"document": "https://x.test/"},
        "calling.pay": {"payment_connector_url": "https://x.test/"},
        "calling.ai_sidecar": {"lang": "en"},
        "calling.live_transcribe": {"action": {"start": {"direction": ["remote-caller"], "lang": "en"}}},
        "calling.live_translate": {
            "action": {"start": {"direction": ["remote-caller"], "from_lang": "en", "to_lang": "es"}}
        },
    }
    names = "self told more state kind name record tap device room_name sip_refer_to params method call relay detect"
    details = {name: f"odd {name}" for name in names.split()}
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        phone = peer.answered()
        sim.break_action(method, details)
        control = {} if method in ("calling.dial", "calling.connect") else {"control_id": "k"}
        reply = peer.ask(method, **{**control, **started.get(method, {}), **address(phone)})
        assert reply["result"]["code"] == "200"
        peer.result("signalwire.ping", payload="all that came of it was sent")
        assert not [entry for entry in sim.journal if entry.direction == "out" and "error" in entry.frame]
        assert phone.activities == []
        if method != "calling.join_conference":  # which has no event for it
            assert "odd told" in json.dumps([entry.params for entry in sim.journal])
        assert sim.faults.unused() == []


@pytest.mark.parametrize("state", ["undelivered", "failed", "odd"])
def test_the_end_of_a_broken_message_is_the_one_that_was_ordered(state: str) -> None:
    with Simulator(media="fast", ping_interval=None) as sim, connected(sim) as peer:
        sim.break_action("messaging.send", {"message_state": state, "reason": "no such number", "segments": 7})
        peer.result("messaging.send", context="default", from_number="+1", to_number="+2", body="hi")
        sim.journal.wait_for(lambda entry: entry.params.get("message_state") == state)
        last = sim.journal.events("messaging.state")[-1]
        assert (last["message_state"], last["reason"], last["segments"]) == (state, "no such number", 7)
        assert "reason" not in sim.journal.events("messaging.state")[0]


# -- audio -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["drop", "reset"])
@pytest.mark.parametrize("at", [0, 10, 200])
def test_a_stream_of_a_silent_party_is_cut_where_it_was_ordered(kind: str, at: int) -> None:
    with Simulator(media="fast", ping_interval=None) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        sim.disturb_stream(kind, at=at)
        assert peer.result("calling.stream", control_id="s", url=receiver.url, **address(phone))["code"] == "200"
        stream = phone.wait_for_stream()
        stream.wait_until("finished")
        assert (stream.end_reason, stream.frames_sent["inbound"]) == ("cut", at)
        assert sim.faults.unused() == []


@pytest.mark.parametrize(("kind", "sent"), [("gap", 12), ("duplicate", 15), ("reorder", 11)])
def test_without_speech_silence_is_said_until_the_fault_has_happened(kind: str, sent: int) -> None:
    with Simulator(media="fast", ping_interval=None) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        sim.disturb_stream(kind, at=10 if kind == "reorder" else 12, count=3)
        peer.result("calling.stream", control_id="s", url=receiver.url, **address(phone))
        stream = phone.wait_for_stream()
        stream.wait_for(lambda one: one.frames_sent["inbound"] == sent)
        peer.result("calling.stream.stop", control_id="s", **address(phone))
        assert stream.frames_sent["inbound"] == sent  # and no more
        assert sim.faults.unused() == []


def test_a_stream_that_ended_before_its_fault_is_told() -> None:
    with Simulator(ping_interval=None) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        sim.disturb_stream("drop", at=50_000)
        sim.disturb_stream("gap", at=0, times=None)
        peer.result("calling.stream", control_id="s", url=receiver.url, **address(phone))
        phone.wait_for_stream().wait_until("streaming")
        phone.hang_up()
        assert sim.faults.unused() == ["disturb_stream('drop', at=50000): the stream ended before"]
        sim.clear_faults()
        assert sim.faults.unused() == []


def test_what_lies_ahead_of_a_disturbed_stream() -> None:
    gap, late = MediaFault(kind="gap", at=2, count=2), MediaFault(kind="reorder", at=5, count=9)
    cut, label = MediaFault(kind="drop", at=4), MediaFault(kind="wrong codec")
    disturbance = Disturbance([gap, late, cut, label])
    assert [len(disturbance.ahead(position)) for position in range(7)] == [3, 3, 3, 3, 2, 1, 0]
    assert disturbance.ends(4) == "drop"
    assert disturbance.ahead(4) == [late]


# -- at the end of a test ----------------------------------------------------------------------------------------------


def leave(sim: Simulator, **how: Any) -> None:
    sim.drop_event("calling.call.record", state="paused", **how)


def fail_once_of(times: int, sim: Simulator, client: RelayClient) -> None:
    sim.fail("signalwire.ping", times=times)
    with suppress(RelayError):
        client.execute("signalwire.ping")


def test_a_fault_that_did_not_happen_is_warned_of() -> None:
    words = r"drop_event\('calling.call.record', state='paused'\): 0 of 1 times"
    with pytest.warns(RuntimeWarning, match=words), simulated() as (sim, _):
        leave(sim)
    with pytest.warns(RuntimeWarning, match=r"hold\('calling.play'\) \(always\): never"), simulated() as (sim, _):
        sim.hold("calling.play")
    with pytest.warns(RuntimeWarning, match="1 of 2 times"), simulated() as (sim, client):
        fail_once_of(2, sim, client)


def test_what_happened_or_was_taken_back_is_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with simulated() as (sim, client):
            leave(sim)
            leave(sim, times=None)
            sim.clear_faults()
            sim.hold("calling.play")
            sim.release()
            sim.fail("signalwire.ping", times=None)
            with pytest.raises(Exception, match="Failed"):
                client.execute("signalwire.ping")


def test_a_test_that_fails_otherwise_is_not_warned_besides() -> None:
    with suppress(LookupError), simulated() as (sim, _):  # a warning would be an error
        leave(sim)
        raise LookupError


@pytest.mark.slow
def test_the_fixture_warns_too(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(
        "def test_it(relay_simulator):\n    relay_simulator.drop_event('calling.call.play')\n", encoding="utf-8"
    )
    told = run_pytest(tmp_path)
    assert "1 passed, 1 warning" in told
    assert "a requested fault did not occur: drop_event('calling.call.play'): 0 of 1 times" in told


def test_a_slow_network_delays_frames_and_keeps_their_order() -> None:
    with Simulator(media="fast") as sim, connected(sim) as peer:
        sim.slow_down(0.3)
        began = time.monotonic()
        slow = peer.post("calling.hangup", call_id="a", node_id="b")
        late = [peer.post("calling.hangup", call_id="a", node_id="b") for _ in range(3)]
        sim.journal.wait_for(lambda entry: len(sim.journal.requests("calling.hangup")) == 4)
        sim.slow_down(0)
        late.append(peer.post("calling.hangup", call_id="a", node_id="b"))
        order: list[str] = []
        while late[-1] not in peer.replies:
            order.append(peer.read()["id"])
        assert [each for each in order if each.startswith("q")] == [slow, *late]
        assert time.monotonic() - began >= 0.3
        began = time.monotonic()
        peer.ask("calling.hangup", call_id="a", node_id="b")
        assert time.monotonic() - began < 0.3
