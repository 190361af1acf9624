"""What a reply means is applied when it arrives: before the events behind it, and also where nobody waits for it any more."""

from __future__ import annotations

import gc
import os
import queue
import signal
import weakref
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from relay_sync import Call, CallEnded, CommandRefused, ConnectionLost, RelayClient, RequestTimeout
from relay_sync.call.call import core_of
from relay_sync.events import RelayEvent
from relay_sync.testing import wait_for_handlers
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.faults.script import Peer
from tests.support.lines import FROM, TO
from tests.support.offline import calls
from tests.support.scene import OFFER, Json, Scene, event, refusal, result, scene, send, silent

#: Seconds after which callers give up. A busy machine must have sent the command by then.
SHORT = 0.25


def again(name: str = "again") -> Json:
    return event(name, "calling.call.receive", OFFER)


@pytest.mark.parametrize("by", ["verb", "execute"])
def test_a_call_that_was_passed_may_be_offered_again_right_behind_the_reply(by: str) -> None:
    with scene(**{"pass": lambda request: [result(request), again()]}) as one:
        _, call = one.take_call()
        if by == "verb":
            call.pass_()
        else:
            one.client.execute("calling.pass", {"node_id": "n", "call_id": "call-1"})
        second = one.offered()
        assert second is not call
        assert one.client.calls == {"call-1": second}
        with pytest.raises(CallEnded, match="returned to the platform"):
            call.wait_for_answered(PATIENCE)


@pytest.mark.parametrize("method", ["pass", "transfer"])
def test_an_offer_may_overtake_the_reply(method: str) -> None:
    with scene(**{method: lambda request: [again(), result(request)]}) as one:
        _, call = one.take_call()
        assert (call.pass_() if method == "pass" else call.transfer("context:other"))["code"] == "200"
        second = one.offered()
        assert one.client.calls == {"call-1": second}
        assert not core_of(second).handed_over


@pytest.mark.parametrize("method", ["pass", "transfer"])
def test_a_refusal_leaves_the_call_here_before_a_repeated_offer_is_looked_at(method: str) -> None:
    with scene(**{method: lambda request: [refusal(request, "409"), again()]}) as one:
        _, call = one.take_call()
        with pytest.raises(CommandRefused):
            call.pass_() if method == "pass" else call.transfer("context:other")
        one.settle()
        assert one.client.calls == {"call-1": call}
        assert one.client._router.ours == [call]
        assert one.calls.empty()


@pytest.mark.parametrize("method", ["pass", "transfer"])
def test_a_reply_that_comes_when_its_caller_gave_up_means_the_same(method: str) -> None:
    with scene(**{method: lambda request: []}) as one:
        peer, call = one.take_call()
        with one.client.timeout(SHORT), pytest.raises(RequestTimeout):
            call.pass_() if method == "pass" else call.transfer("context:other")
        assert one.client._router.ours == [call]  # as far as is known
        send(peer, result(one.request(f"calling.{method}")))
        one.settle()
        assert one.client._router.ours == []
        assert one.client.calls == ({} if method == "pass" else {"call-1": call})
        send(peer, again())
        assert one.offered() is not call


@pytest.mark.parametrize("method", ["calling.pass", "calling.transfer"])
def test_a_reply_whose_call_nobody_holds_any_more_means_nothing(offline: RelayClient, method: str) -> None:
    (call,) = calls(offline, "one")
    core, known = core_of(call), weakref.ref(call)
    meaning = core.meaning(method, {})
    assert meaning is not None
    offline._router.let_go(call, CallEnded("it is gone"))
    assert wait_for_handlers(PATIENCE)
    del call
    gc.collect()
    assert known() is None
    meaning({"code": "200"}, 1)
    assert not core.given_away


def test_a_late_refusal_means_nothing() -> None:
    with scene(transfer=lambda request: []) as one:
        peer, call = one.take_call()
        with one.client.timeout(SHORT), pytest.raises(RequestTimeout):
            call.transfer("context:other")
        send(peer, refusal(one.request("calling.transfer"), "400"))
        one.settle()
        assert one.client._router.ours == [call]


def test_an_event_of_a_conference_right_behind_the_reply_reaches_the_call() -> None:
    def joined(request: Json) -> list[Json]:
        told = {"conference_id": "room", "name": "x", "status": "conference-start"}
        return [result(request, conference_id="room"), event("started", "calling.conference", told)]

    with scene(join_conference=joined) as one:
        _, call = one.take_call()
        with call.expect("calling.conference", timeout=PATIENCE) as seen:
            call.join_conference("x")
        assert seen.value.params["status"] == "conference-start"


@pytest.mark.parametrize("code", ["200", "409"])
def test_what_is_known_of_noise_suppression(code: str) -> None:
    def answer(request: Json) -> list[Json]:
        return [result(request) if code == "200" else refusal(request, code)]

    with scene(denoise=answer, **{"denoise.stop": answer}) as one:
        peer, call = one.take_call()
        assert core_of(call).denoised is None
        for verb, known in ((call.denoise, True), (call.denoise_stop, False)):
            with nullcontext() if code == "200" else pytest.raises(CommandRefused):
                verb()
            assert core_of(call).denoised is known
        told = {"call_id": "call-1", "node_id": "n", "denoised": True}
        send(peer, event("on", "calling.call.denoise", told))
        one.settle()
        assert core_of(call).denoised is True


def test_a_message_is_followed_from_its_reply_on() -> None:
    def states(request: Json) -> list[Json]:
        told = [
            event(state, "messaging.state", {"message_id": "m", "message_state": state})
            for state in ("initiated", "sent", "delivered")
        ]
        return [told[0], result(request, message_id="m"), *told[1:]]

    with scene(send=states) as one:
        completed: queue.SimpleQueue[RelayEvent] = queue.SimpleQueue()
        message = one.client.send_message(to_number=TO, from_number=FROM, body="x", on_completed=completed.put)
        assert message.wait(PATIENCE).params["message_state"] == "delivered"
        assert (message.message_id, message.state, message.error) == ("m", "delivered", None)
        assert completed.get(timeout=PATIENCE) is message.result


def test_a_message_whose_reply_was_not_waited_for_is_not_told_of() -> None:
    with scene(send=lambda request: []) as one:
        completed: queue.SimpleQueue[RelayEvent] = queue.SimpleQueue()
        with one.client.timeout(SHORT), pytest.raises(RequestTimeout):
            one.client.send_message(to_number=TO, from_number=FROM, body="x", on_completed=completed.put)
        told = event("told", "messaging.state", {"message_id": "m", "message_state": "delivered"})
        send(one.peer(), result(one.request("messaging.send"), message_id="m"), told)
        one.settle()
        one.client.disconnect()  # callbacks have run
        assert completed.empty()


def test_a_leg_right_behind_the_refusal_of_its_dial_belongs_to_nobody() -> None:
    def refused(request: Json) -> list[Json]:
        leg = {"call_id": "leg", "node_id": "n", "tag": request["params"]["tag"], "call_state": "created"}
        return [refusal(request, "402"), event("leg", "calling.call.state", leg)]

    with scene(dial=refused) as one:
        with pytest.raises(CommandRefused):
            one.client.dial(to=TO, from_=FROM)
        one.settle()
        assert one.client.calls == {}


def test_a_meaning_that_fails_hurts_its_own_command_only() -> None:
    def fails(outcome: object, session: int) -> None:
        raise LookupError("ours")

    with scene() as one:
        with pytest.raises(LookupError, match="ours"):
            one.client._link.command("calling.x", {}, on_reply=fails)
        state = one.client.state
        one.settle()
        assert (state, one.client.state) == ("connected", "connected")


def test_an_action_that_started_after_its_caller_gave_up_is_stopped() -> None:
    with scene(play=lambda request: []) as one:
        peer, call = one.take_call()
        with one.client.timeout(SHORT), pytest.raises(RequestTimeout):
            call.play_tts("hello")
        request = one.request("calling.play")
        send(peer, result(request))
        assert one.request("calling.play.stop")["params"]["control_id"] == request["params"]["control_id"]
        assert not core_of(call).operations


def test_many_commands_are_answered_in_their_order() -> None:
    """Each caller is told what was said to him, and meanings are applied in the order of the replies."""
    meant: list[str] = []
    with scene(x=lambda request: [result(request, said=request["params"]["n"])]) as one:
        asked = [
            Background(
                lambda n: one.client._link.command("calling.x", {"n": n}, on_reply=lambda outcome, _: meant.append(n)),
                n,
            )
            for n in map(str, range(20))
        ]
        assert [each.result()["said"] for each in asked] == [str(n) for n in range(20)]
        sent = []
        while not one.requests.empty():
            sent.append(one.requests.get()["params"].get("n"))
        assert meant == sent


def test_a_transfer_by_execute_means_the_same() -> None:
    with scene() as one:
        _, call = one.take_call()
        one.client.execute("calling.transfer", {"node_id": "n", "call_id": "call-1", "dest": "context:other"})
        assert one.client._router.ours == []
        assert one.client.calls == {"call-1": call}


# -- conferences ---------------------------------------------------------------------------------------------------------


def of_conference(status: str, **more: str) -> Json:
    return event(f"c {status}", "calling.conference", {"conference_id": "c", "status": status, **more})


def leaves(one: Scene, peer: Peer, call: Call) -> None:
    call.leave_conference("c")


def leaves_by_execute(one: Scene, peer: Peer, call: Call) -> None:
    params = {"node_id": "n", "call_id": call.call_id, "conference_id": "c"}
    one.client.execute("calling.leave_conference", params)


def was_put_out(one: Scene, peer: Peer, call: Call) -> None:
    one.answers["leave_conference"] = lambda request: [refusal(request, "404")]
    call.leave_conference("c")


def is_told_that_it_left(one: Scene, peer: Peer, call: Call) -> None:
    send(peer, of_conference("participant-leave", call_id=call.call_id))


def is_told_of_the_end(one: Scene, peer: Peer, call: Call) -> None:
    send(peer, of_conference("conference-end"))


def gives_up_leaving(one: Scene, peer: Peer, call: Call) -> None:
    one.answers["leave_conference"] = lambda request: []
    with one.client.timeout(SHORT), pytest.raises(RequestTimeout):
        call.leave_conference("c")
    send(peer, result(one.request("calling.leave_conference")))


@pytest.mark.parametrize(
    "how", [leaves, leaves_by_execute, was_put_out, is_told_that_it_left, is_told_of_the_end, gives_up_leaving]
)
def test_a_conference_that_was_left_is_let_go(how: Callable[[Scene, Peer, Call], None]) -> None:
    with scene(join_conference=lambda request: [result(request, conference_id="c")]) as one:
        peer, call = one.take_call()
        call.join_conference("weekly")
        how(one, peer, call)
        one.settle()
        assert core_of(call).conferences == frozenset()
        heard: list[RelayEvent] = []
        call.on("calling.conference", heard.append)
        send(peer, of_conference("participant-mute"))
        one.settle()
        call.join_conference("weekly")
        with call.expect("calling.conference", timeout=PATIENCE) as seen:
            send(peer, of_conference("conference-start"))
        assert seen.value.params["status"] == "conference-start"
        one.client.disconnect()
        assert [each.params["status"] for each in heard] == ["conference-start"]


def test_a_call_stays_in_its_conference_where_others_leave_or_it_is_not_let_go() -> None:
    def refuse(request: Json) -> list[Json]:
        return [refusal(request, "500")]

    with scene(join_conference=lambda request: [result(request, conference_id="c")], leave_conference=refuse) as one:
        peer, call = one.take_call()
        call.join_conference("weekly")
        with pytest.raises(CommandRefused):
            call.leave_conference("c")
        send(peer, of_conference("participant-leave"), of_conference("participant-leave", call_id="another"))
        one.settle()
        assert core_of(call).conferences == {"c"}


# -- actions whose start was not answered --------------------------------------------------------------------------------


def gives_up(one: Scene, call: Call, start: Callable[[], object], cut: Callable[[], object]) -> None:
    with one.client.timeout(SHORT), pytest.raises(RequestTimeout):
        start()
    cut()


def is_interrupted(one: Scene, call: Call, start: Callable[[], object], cut: Callable[[], object]) -> None:
    def press() -> None:
        while one.requests.empty():
            pass
        os.kill(os.getpid(), signal.SIGINT)

    pressing = Background(press)
    with pytest.raises(KeyboardInterrupt):
        start()
    pressing.result()
    cut()


def is_told_that_it_was_lost(one: Scene, call: Call, start: Callable[[], object], cut: Callable[[], object]) -> None:
    starting = Background(start)
    while one.requests.empty():
        assert starting.running
    cut()
    with pytest.raises(ConnectionLost) as caught:
        starting.result()
    assert caught.value.sent


HOW = pytest.mark.parametrize("how", [gives_up, is_interrupted, is_told_that_it_was_lost])


@HOW
@pytest.mark.parametrize(("method", "stop"), [("record", "record.stop"), ("queue.enter", "queue.leave")])
def test_what_may_have_started_when_the_connection_went_is_stopped(
    method: str, stop: str, how: Callable[..., None], soon: None
) -> None:
    with scene(**{method: silent}) as one:
        peer, call = one.take_call()
        start = call.record if method == "record" else lambda: call.queue_enter("support")
        how(one, call, start, lambda: one.cut(peer))
        begun = one.request(f"calling.{method}")["params"]
        one.go_on()
        stopped = one.request(f"calling.{stop}")["params"]
        assert stopped == {key: begun[key] for key in stopped}
        assert one.came(f"calling.{method}") == []


@HOW
def test_nothing_is_stopped_in_another_session(how: Callable[..., None], soon: None) -> None:
    with scene(play=silent) as one:
        peer, call = one.take_call()
        how(one, call, lambda: call.play([{"type": "silence", "params": {"duration": 1}}]), lambda: one.cut(peer))
        one.go_on("another")
        assert one.came("calling.play.stop") == []


def test_what_was_not_sent_is_not_stopped(soon: None) -> None:
    with scene() as one:
        peer, call = one.take_call()
        one.cut(peer)
        with one.client.timeout(SHORT), pytest.raises(RequestTimeout):
            call.record()
        one.go_on()
        assert one.came("calling.record.stop") == []


# -- contexts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "wanted"), [("receive", ["default", "more"]), ("unreceive", [])])
def test_a_subscription_whose_caller_gave_up_counts_when_its_reply_comes(
    verb: str, wanted: list[str], soon: None
) -> None:
    with scene(**{verb: silent}) as one:
        peer = one.peer()
        with one.client.timeout(SHORT), pytest.raises(RequestTimeout):
            getattr(one.client, verb)(["more" if verb == "receive" else "default"])
        assert one.client.contexts == ["default"]
        send(peer, result(one.request(f"signalwire.{verb}")))
        one.settle()
        assert one.client.contexts == wanted
        loop = one.client._link.loop
        assert loop is not None
        assert list(loop.session.contexts) == wanted


def test_subscriptions_of_two_threads_count_in_the_order_of_the_replies() -> None:
    held: list[Json] = []

    def hold(request: Json) -> list[Json]:
        held.append(request)
        return []

    with scene(receive=hold, unreceive=hold) as one:
        peer = one.peer()
        taking = Background(one.client.receive, ["more"])
        one.request("signalwire.receive")
        leaving = Background(one.client.unreceive, ["more"])
        one.request("signalwire.unreceive")
        send(peer, *map(result, held))
        taking.result()
        leaving.result()
        assert one.client.contexts == ["default"]
