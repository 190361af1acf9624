"""Whatever goes on on a call has an end from every state: told once, in order, before the end of its call."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from attrs import evolve, field, frozen

from relay_sync.simulator import Phone, Simulator
from relay_sync.simulator.core.names import ACTIVITIES
from tests.support.peers import NUMBER, RING, Json, Peer, Receiver, address, connected

AGES: Json = {"type": "silence", "params": {"duration": 1000}}
LISTEN: Json = {"direction": ["remote-caller"], "lang": "en", "from_lang": "en", "to_lang": "es"}
ALL = {"status_callback_event_type": "relay"}


@frozen(kw_only=True)
class Going:
    """Something that goes on, in one of its states.

    :ivar begun: what the event that says so has in it; ``None``: nothing does. :ivar then: more commands, or what the party
        does, to bring it into its state.
    :ivar of: the type of its events. :ivar ends: what the last of them has in it.
    :ivar stop: the command that ends it, if there is one.
    :ivar stays: where it leads the call, so that this is not transferred; ``""`` if it may be.
    """

    name: str
    method: str
    params: Json = field(factory=dict)
    of: str
    begun: Json | None = None
    then: Callable[[Peer, Phone], object] = lambda peer, phone: None
    ends: Json
    stop: tuple[str, Json] | None = None
    stays: str = ""


def state(word: str) -> Json:
    return {"state": word}


def joined(peer: Peer, phone: Phone) -> None:
    """The agent that rings picks up."""
    next(each for each in peer.sim.phones if each.number == NUMBER).answer()
    peer.sim.journal.wait_for(lambda entry: entry.params.get("connect_state") == "connected")


def command(method: str, **params: Any) -> Callable[[Peer, Phone], object]:
    return lambda peer, phone: peer.result(method, **params, **address(phone))


def prompt_is_over(peer: Peer, phone: Phone) -> None:
    peer.sim.journal.wait_for(
        lambda entry: entry.event_type == "calling.call.play" and entry.params["state"] == "finished"
    )


K: Json = {"control_id": "k"}
ASKING = {"collect": {"digits": {"max": 4}, "initial_timeout": 1000}}
PLAY = Going(
    name="play",
    method="calling.play",
    params={**K, "play": [AGES]},
    of="calling.call.play",
    begun=state("playing"),
    ends=state("finished"),
    stop=("calling.play.stop", K),
)
RECORD = Going(
    name="record",
    method="calling.record",
    params={**K, "record": {"audio": {}}},
    of="calling.call.record",
    begun=state("recording"),
    ends=state("finished"),
    stop=("calling.record.stop", K),
)
COLLECT = Going(
    name="collect",
    method="calling.collect",
    params={**K, "digits": {"max": 4}},
    of="calling.call.collect",
    ends={"result": {"type": "finished"}},
    stop=("calling.collect.stop", K),
)
PROMPT = Going(
    name="prompt, playing",
    method="calling.play_and_collect",
    params={**K, "play": [AGES], **ASKING},
    of="calling.call.collect",
    ends={"result": {"type": "finished"}},
    stop=("calling.play_and_collect.stop", K),
)
CONNECT = Going(
    name="connect, ringing",
    method="calling.connect",
    params={"devices": [[RING]]},
    of="calling.call.connect",
    begun={"connect_state": "connecting"},
    ends={"connect_state": "failed", "failed_reason": "cancel"},
    stop=("calling.disconnect", {}),
)
AI = Going(
    name="ai",
    method="calling.ai",
    params=K,
    of="calling.call.ai",
    ends=state("finished"),
    stop=("calling.ai.stop", K),
)
GOING = [
    PLAY,
    evolve(PLAY, name="play, paused", then=command("calling.play.pause", **K)),
    RECORD,
    evolve(RECORD, name="record, paused", then=command("calling.record.pause", **K)),
    Going(
        name="transcribe",
        method="calling.transcribe",
        params=K,
        of="calling.call.transcribe",
        begun=state("transcribing"),
        ends=state("finished"),
        stop=("calling.transcribe.stop", K),
    ),
    COLLECT,
    evolve(
        COLLECT,
        name="collect, half typed",
        params={**K, "digits": {"max": 4}, "partial_results": True},
        then=lambda peer, phone: phone.press("1"),
        ends={"result": {"type": "finished"}, "state": "finished"},
    ),
    evolve(
        COLLECT,
        name="collect, continuous",
        params={**K, "digits": {"max": 1}, "continuous": True},
        then=lambda peer, phone: phone.press("1"),
        ends={"result": {"type": "finished"}, "state": "finished"},
    ),
    PROMPT,
    evolve(PROMPT, name="prompt, half typed", then=lambda peer, phone: phone.press("1")),
    evolve(
        PROMPT,
        name="prompt, played",
        params={**K, "play": [{"type": "silence", "params": {"duration": 0.001}}], **ASKING},
        then=prompt_is_over,
    ),
    Going(
        name="detect",
        method="calling.detect",
        params={**K, "detect": {"type": "digit"}},
        of="calling.call.detect",
        ends={"detect": {"type": "digit", "params": {"event": "finished"}}},
        stop=("calling.detect.stop", K),
    ),
    Going(
        name="send_digits",
        method="calling.send_digits",
        params={**K, "digits": "W" * 99},
        of="calling.call.send_digits",
        ends=state("finished"),
    ),
    Going(
        name="tap",
        method="calling.tap",
        params={
            **K,
            "tap": {"type": "audio", "params": {"direction": "both"}},
            "device": {"type": "ws", "params": {"uri": "u"}},
        },
        of="calling.call.tap",
        begun=state("tapping"),
        ends=state("finished"),
        stop=("calling.tap.stop", K),
    ),
    Going(name="echo", method="calling.echo", of="calling.call.echo", begun=state("echoing"), ends=state("finished")),
    CONNECT,
    evolve(CONNECT, name="connect, joined", then=joined, ends={"connect_state": "disconnected"}, stays="bridge"),
    evolve(
        CONNECT,
        name="connect, a stream that never opens, and then a phone",
        params={"devices": [[{"type": "stream", "params": {"url": "NOWHERE"}}], [RING]]},
    ),
    Going(
        name="refer",
        method="calling.refer",
        params={"device": {"type": "sip", "params": {"to": "sip:bob@example.com"}}},
        of="calling.call.refer",
        begun=state("inProgress"),
        ends=state("cancel"),
    ),
    Going(
        name="conference",
        method="calling.join_conference",
        params={"name": "weekly", "record": "record-from-start", **ALL},
        of="calling.conference",
        begun={"status": "record-start"},
        ends={"status": "conference-end", "size": 0},
        stop=("calling.leave_conference", {"conference_id": "ID"}),
        stays="conference",
    ),
    Going(
        name="room",
        method="calling.join_room",
        params={"name": "r"},
        of="calling.call.room",
        begun={"join_status": "joined"},
        ends={"join_status": "leave"},
        stop=("calling.leave_room", {}),
    ),
    Going(
        name="queue",
        method="calling.queue.enter",
        params={**K, "queue_name": "q"},
        of="calling.call.queue",
        begun={"status": "enqueue"},
        ends={"status": "leave"},
        stop=("calling.queue.leave", {**K, "queue_name": "q"}),
    ),
    Going(
        name="send_fax",
        method="calling.send_fax",
        params={**K, "document": "https://x.test/a.pdf"},
        of="calling.call.fax",
        ends={},
        stop=("calling.send_fax.stop", K),
    ),
    Going(
        name="receive_fax",
        method="calling.receive_fax",
        params=K,
        of="calling.call.fax",
        ends={},
        stop=("calling.receive_fax.stop", K),
    ),
    Going(
        name="pay",
        method="calling.pay",
        params={**K, "payment_connector_url": "https://x.test/"},
        of="calling.call.pay",
        begun={"for": "payment-card-number"},
        ends={},
        stop=("calling.pay.stop", K),
    ),
    AI,
    evolve(AI, name="ai, on hold", then=command("calling.ai_hold", timeout="1000")),
    Going(name="bedrock", method="calling.amazon_bedrock", of="calling.ai.stop", ends={}),
    Going(
        name="sidecar",
        method="calling.ai_sidecar",
        params={**K, "lang": "en"},
        of="calling.ai.sidecar",
        ends={},
        stop=("calling.ai_sidecar.stop", K),
    ),
    Going(
        name="live_transcribe",
        method="calling.live_transcribe",
        params={"action": {"start": LISTEN}},
        of="calling.ai.transcribe.conversation_log",
        ends={},
        stop=("calling.live_transcribe", {"action": "stop"}),
    ),
    Going(
        name="live_translate",
        method="calling.live_translate",
        params={"action": {"start": LISTEN}},
        of="calling.ai.translate.conversation_log",
        ends={},
        stop=("calling.live_translate", {"action": "stop"}),
    ),
    Going(
        name="stream, opening",
        method="calling.stream",
        params={**K, "url": "NOWHERE"},
        of="calling.call.stream",
        ends=state("finished"),
        stop=("calling.stream.stop", K),
    ),
]
ENDS = ["stop", "our hang-up", "the party's hang-up", "transfer", "session lost", "told of the call alone"]
CASES = [(going, end) for going in GOING for end in ENDS if end != "stop" or going.stop is not None]


@pytest.fixture(scope="module")
def nowhere() -> Iterator[str]:
    """The address of a receiver that never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"


def filled(params: Json, nowhere: str) -> Json:
    """With the address that is not known before."""
    if params.get("url") == "NOWHERE":
        return {**params, "url": nowhere}
    if "NOWHERE" in str(params):
        return {**params, "devices": [[{"type": "stream", "params": {"url": nowhere}}], *params["devices"][1:]]}
    return params


def has(event: Json, wanted: Json) -> bool:
    return all(event.get(name) == value for name, value in wanted.items())


def replies(sim: Simulator, peer: Peer) -> None:
    """Each request has had one reply, and none that the simulator failed on it."""
    ids = [entry.frame["id"] for entry in sim.journal if entry.direction == "in" and entry.method]
    told = [entry.frame for entry in sim.journal if entry.direction == "out" and not entry.method]
    assert sorted(ids) == sorted(reply["id"] for reply in told)
    assert not [reply for reply in told if "error" in reply]


def test_everything_that_goes_on_is_in_the_table() -> None:
    assert {each.method for each in GOING} == (ACTIVITIES - {"calling.bind_digit"}) | {"calling.stream"}


@pytest.mark.parametrize(("going", "end"), CASES, ids=[f"{going.name}: {end}" for going, end in CASES])
def test_it_ends_once_and_in_order(going: Going, end: str, nowhere: str) -> None:
    with ExitStack() as stack:
        finish = end != "told of the call alone"
        sim = stack.enter_context(Simulator(ping_interval=None, finish_streams=finish))
        sim.expect_phone(NUMBER, answers_after=None)
        sim.expect_phone("sip:bob@example.com", answers_after=None)
        peer = stack.enter_context(connected(sim))
        phone = peer.answered()
        where = address(phone)
        assert peer.result(going.method, **filled(going.params, nowhere), **where)["code"] == "200"
        if going.begun is not None:
            assert any(has(event, going.begun) for event in sim.journal.events(going.of))
        going.then(peer, phone)
        before = len(sim.journal.events(going.of))
        ended = end in ("our hang-up", "the party's hang-up", "told of the call alone")
        if end == "stop" and going.stop is not None:
            method, params = going.stop
            ids = [event["conference_id"] for event in sim.journal.events("calling.conference")]
            params = {name: ids[0] if value == "ID" else value for name, value in params.items()}
            assert peer.result(method, **params, **where)["code"] == "200"
        elif end == "transfer":
            result = peer.result("calling.transfer", dest="https://x.test/", **where)
            if going.stays:
                assert (result["code"], going.stays in result["message"]) == ("409", True)
                assert len(sim.journal.events(going.of)) == before
                return
            assert result["code"] == "200"
        elif end == "session lost":
            sim.cut()
            sim.forget_sessions()
            phone.hang_up()
        elif end == "our hang-up":
            assert peer.result("calling.end", **where)["code"] == "200"
        else:
            phone.hang_up()
        assert phone.activities == []
        assert all(stream.over for stream in phone.streams)
        last = sim.journal.events(going.of)[before:]
        if end in ("session lost", "told of the call alone") and going.name != "conference":
            assert last == []
        elif end != "session lost":
            assert has(last[-1], going.ends)
            assert sum(has(event, going.ends) for event in last if going.ends) <= 1
        if ended:
            assert sim.journal.events("calling.call.state")[-1]["call_state"] == "ended"
            types = [entry.event_type for entry in sim.journal if entry.direction == "out" and entry.event_type]
            assert types[-1] == "calling.call.state"
        if end != "session lost":
            replies(sim, peer)
        assert [each for each in sim.phones if each.number == NUMBER and end != "stop"] == []


def test_a_conference_that_its_chair_leaves_is_left_by_all_before_it_ends() -> None:
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        chair, one, two = (peer.answered() for _ in range(3))
        for phone in (chair, one, two):
            peer.result("calling.join_conference", name="w", end_on_exit=phone is chair, **ALL, **address(phone))
        sim.journal.clear()
        chair.hang_up()
        told = [(each["status"], each["size"], each["call_id"]) for each in sim.journal.events("calling.conference")]
        left = [phone.call_id for phone in (chair, one, two)]
        assert list(dict.fromkeys(told)) == [
            *(("participant-leave", 2 - number, call_id) for number, call_id in enumerate(left)),
            ("conference-end", 0, chair.call_id),
        ]
        assert [each[0] for each in told[-3:]] == ["conference-end"] * 3  # one for each that was there
        assert (one.state, one.activities, two.activities) == ("answered", [], [])
        assert peer.result("calling.join_conference", name="w", **ALL, **address(one))["code"] == "200"
        assert sim.journal.events("calling.conference")[-1]["status"] == "participant-join"


@pytest.mark.parametrize("there", ["call", "queue"])
@pytest.mark.parametrize("first", [True, False])
def test_a_group_in_which_one_answers_at_once(there: str, first: bool) -> None:
    """The others of the group were not tried, or are given up; the command has one reply."""
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        expected = sim.expect_phone(NUMBER, answers_after=None)
        one, two = peer.answered(), peer.answered()
        peer.result("calling.queue.enter", control_id="q", queue_name="q", **address(one))
        place = {"call": address(one), "queue": {"queue_name": "q", "node_id": one.node_id}}[there]
        group = [{"type": there, "params": place}, RING]
        peer.result("calling.connect", devices=[group if first else group[::-1]], **address(two))
        told = [event["connect_state"] for event in sim.journal.events("calling.call.connect")]
        assert told == ["connecting", "connected"]
        assert [leg.state for leg in expected.calls] == ([] if first else ["ended"])
        peer.result("calling.disconnect", **address(two))
        replies(sim, peer)


def test_the_longest_time_of_a_bridge_begins_when_it_is_joined() -> None:
    with Simulator(ping_interval=None, speed=100) as sim, connected(sim) as peer:
        sim.expect_phone(NUMBER, answers_after=10)
        phone = peer.answered()
        peer.result("calling.connect", devices=[[RING]], max_duration=5, **address(phone))
        sim.journal.wait_for(lambda entry: entry.params.get("connect_state") == "disconnected")
        told = [event["connect_state"] for event in sim.journal.events("calling.call.connect")]
        assert told == ["connecting", "connected", "disconnected"]


def test_a_handler_that_fails_after_its_reply_does_not_reply_again(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(request: Any) -> None:
        request.accept()
        raise LookupError

    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        phone = peer.answered()
        sim._platform.handlers = {**sim._platform.handlers, "calling.hold": wrong}
        assert peer.result("calling.hold", **address(phone))["code"] == "200"
        assert peer.result("signalwire.ping", payload="?") == {"payload": "?"}
        replies(sim, peer)
    assert "failed on a request" in caplog.text


# -- taken, and carried out or told ------------------------------------------------------------------------------------

BOB = "sip:bob@example.com"


def refer(peer: Peer, phone: Phone) -> None:
    assert (
        peer.result("calling.refer", device={"type": "sip", "params": {"to": BOB}}, **address(phone))["code"] == "200"
    )


def refer_events(sim: Simulator) -> list[tuple[str, str]]:
    told = sim.journal.events("calling.call.refer")
    return [(each["state"], each.get("sip_notify_response_code", "")) for each in told]


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda phone: phone.answer(), ("success", "200")),
        (lambda phone: phone.hang_up("decline"), ("cancel", "603")),
        (lambda phone: phone.hang_up("busy"), ("busy", "486")),
    ],
)
def test_the_target_of_a_refer_is_moved_by_hand(act: Callable[[Phone], None], told: tuple[str, str]) -> None:
    with Simulator(media="fast", ping_interval=None) as sim, connected(sim) as peer:
        expected = sim.expect_phone(BOB, answers_after=None)
        phone = peer.answered()
        refer(peer, phone)
        target = expected.wait_for_call()
        target.wait_until("ringing")
        assert (refer_events(sim), phone.state, target.number) == ([("inProgress", "")], "answered", BOB)
        act(target)
        assert refer_events(sim) == [("inProgress", ""), told]
        assert (phone.state, target.state) == (("ended", "answered") if told[0] == "success" else ("answered", "ended"))
        states = sim.journal.events("calling.call.state")
        assert {each["call_id"] for each in states} == {phone.call_id}  # the call to the target is no client's


def test_a_refer_that_nobody_picks_up_in_time_and_one_whose_party_leaves() -> None:
    with Simulator(media="fast", speed=1000, ping_interval=None) as sim, connected(sim) as peer:
        sim.expect_phone(BOB, answers_after=None)
        phone = peer.answered()
        refer(peer, phone)
        sim.journal.wait_for(lambda entry: entry.params.get("state") == "noAnswer")
        assert (refer_events(sim)[-1], phone.state) == (("noAnswer", "480"), "answered")
    with Simulator(media="fast", ping_interval=None) as sim, connected(sim) as peer:
        expected = sim.expect_phone(BOB, answers_after=None)
        phone = peer.answered()
        refer(peer, phone)
        expected.wait_for_call().wait_until("ringing")
        phone.hang_up()
        assert refer_events(sim) == [("inProgress", ""), ("cancel", "")]
        assert (expected.calls[0].state, sim.phones) == ("ended", [])


def test_the_stream_of_a_conference_is_opened_and_lasts_until_the_call_leaves() -> None:
    with Simulator(ping_interval=None) as sim, connected(sim) as peer, Receiver() as receiver:
        phone = peer.answered()
        stream = {"url": receiver.url, "realtime": True, "custom_parameters": {"a": "b"}, "name": "n"}
        assert peer.result("calling.join_conference", name="w", stream=stream, **ALL, **address(phone))["code"] == "200"
        opened = phone.wait_for_two_way_stream()
        opened.wait_until("streaming")
        media = receiver.next()
        media.wait_for(1, "start")
        assert media.of("start")[0]["start"]["customParameters"] == {"a": "b"}
        conference_id = sim.journal.events("calling.conference")[0]["conference_id"]
        assert peer.result("calling.leave_conference", conference_id=conference_id, **address(phone))["code"] == "200"
        assert media.closed.wait(10)
        assert (media.code, opened.state) == (1000, "finished")
        assert sim.journal.events("calling.call.stream") == []
        assert sim.journal.notices == ()


def test_the_stream_of_a_conference_that_cannot_be_opened_is_told(closed_port: int) -> None:
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        phone = peer.answered()
        for wrong, code in (({"url": "https://x.test/"}, "400"), ({"url": "ws://127.0.0.1:9/", "codec": "MP3"}, "400")):
            result = peer.result("calling.join_conference", name="w", stream=wrong, **address(phone))
            assert (result["code"], next(iter(result["data"])).startswith("stream.")) == (code, True)
        for malformed in MALFORMED:
            error = peer.ask("calling.join_conference", name="w", stream=malformed, **address(phone))["error"]
            assert error["code"] == -32602
        there = {"url": f"ws://127.0.0.1:{closed_port}/"}
        assert peer.result("calling.join_conference", name="w", stream=there, **address(phone))["code"] == "200"
        phone.streams[0].wait_until("finished")
        [notice] = sim.journal.notices
        assert (notice.kind, notice.call_id, "'w' was not opened" in notice.text) == ("not opened", phone.call_id, True)
        assert phone.activities == ["calling.join_conference"]


MALFORMED: list[Any] = ["x", {}, [1], 7]
NOT_DONE: list[tuple[str, Json, str]] = [
    ("calling.join_conference", {"name": "w", "wait_url": "https://x.test/"}, "wait_url"),
    ("calling.join_conference", {"name": "w", "status_callback": "https://x.test/"}, "status_callback"),
    ("calling.join_conference", {"name": "w", "recording_status_callback": "https://x.test/"}, "recording_status"),
    ("calling.queue.enter", {**K, "queue_name": "q", "whisper_url": "https://x.test/"}, "whisper_url"),
    ("calling.transfer", {"dest": "https://x.test/"}, "dest"),
    (
        "calling.connect",
        {"devices": [[RING], [{**RING, "params": {**RING["params"], "confirm": "https://x.test/"}}]]},
        "confirm of a device",
    ),
]


@pytest.mark.parametrize(("method", "params", "name"), NOT_DONE, ids=[row[2] for row in NOT_DONE])
def test_what_nothing_comes_of_is_told(method: str, params: Json, name: str) -> None:
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        phone = peer.answered()
        assert peer.result(method, **params, **address(phone))["code"] == "200"
        [notice] = sim.journal.notices
        assert (notice.kind, notice.call_id) == ("not carried out", phone.call_id)
        assert notice.text.startswith(f"{method}: {name}")


def test_what_is_carried_out_leaves_no_notice() -> None:
    with Simulator(ping_interval=None) as sim, connected(sim) as peer:
        phone = peer.answered()
        given = {"name": "w", "beep": "true", "status_callback": "https://x.test/", **ALL}
        assert peer.result("calling.join_conference", **given, **address(phone))["code"] == "200"
        other = peer.answered()
        assert peer.result("calling.transfer", dest="context:other", **address(other))["code"] == "200"
        assert sim.journal.notices == ()
