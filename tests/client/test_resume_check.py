"""The roll-call after a resume: each live call is asked about until something is known of it, a bounded number of times.

The clock of the roll-call is moved on by hand: it only knows the time that it is told once a second.
"""

from __future__ import annotations

import queue
import threading
import time

import pytest

from relay_sync import CallEnded, ClientClosed, CommandRefused, ConnectionLost, RelayClient, RelayEvent, RequestTimeout
from relay_sync.call.call import core_of
from relay_sync.client.inquiry import AT_ONCE
from relay_sync.client.resume_check import IF_NOT, PAUSES
from relay_sync.deadline import Deadline
from relay_sync.protocol.command import Phase
from relay_sync.protocol.session import Session
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import mute
from tests.support.lines import Line, line
from tests.support.offline import calls
from tests.support.states import wait_for_state
from tests.support.watch_clock import FIRST, SECOND, Clock

NOTE = "calling.call.refer"


def lose_the_end(one: Line) -> None:
    """The call ends, and nobody is told; then the connection is lost, and comes again."""
    one.sim.drop_event("calling.call.state", times=None)
    one.phone.hang_up()
    one.drop()


def test_a_question_without_an_answer_is_asked_again(sim: Simulator) -> None:
    with line(sim) as one:
        clock = Clock(one)
        waiting = Background(one.call.wait_for_ended)
        sim.drop_reply(FIRST, times=2)
        lose_the_end(one)
        one.wait_for_request(FIRST)
        clock.advance(5.0)
        assert clock.asked() == 1  # it still has time
        clock.advance(6.0)
        clock.advance(PAUSES[0] / 2)
        assert clock.asked() == 1
        clock.advance(PAUSES[0])
        one.wait_for_request(FIRST, 2)
        clock.advance(11.0)
        clock.advance(PAUSES[1] / 2)
        assert clock.asked() == 2
        clock.advance(PAUSES[1])
        assert waiting.result().params["call_state"] == "ended"
        assert one.call.state == "ended"
        assert clock.asked() == 3


def test_it_is_asked_a_bounded_number_of_times(sim: Simulator) -> None:
    with line(sim) as one:
        clock = Clock(one)
        sim.drop_reply(FIRST, times=None)
        one.drop()
        for _ in range(20):
            clock.advance(1000.0)
        assert clock.asked() == 1 + len(PAUSES)
        assert one.call.state == "answered"
        # The next resume begins anew.
        one.drop()
        one.wait_for_request(FIRST, 2 + len(PAUSES))


def test_a_second_question_without_an_answer_has_the_first_asked_again(sim: Simulator) -> None:
    with line(sim) as one:
        clock = Clock(one)
        waiting = Background(one.call.wait_for_ended)
        sim.drop_reply(SECOND)
        lose_the_end(one)
        one.wait_for_request(SECOND, 2)  # the first one answered the call
        clock.advance(11.0)
        clock.advance(1000.0)
        waiting.result()
        assert (clock.asked(FIRST), clock.asked(SECOND)) == (2, 3)


def test_an_event_of_the_call_makes_the_question_needless(sim: Simulator) -> None:
    with line(sim) as one:
        mute(sim)
        clock = Clock(one)
        sim.drop_reply(FIRST)
        one.drop()
        one.wait_for_request(FIRST)
        with one.call.expect(NOTE, timeout=PATIENCE):
            sim.send_event(NOTE, {"call_id": one.call.call_id, "node_id": one.call.node_id, "state": "success"})
        for _ in range(5):
            clock.advance(1000.0)
        assert clock.asked() == 1
        assert one.call.state == "answered"


def test_what_was_heard_of_is_not_asked_about_in_the_first_place(sim: Simulator) -> None:
    """More calls than are asked about at once: those that wait for their turn and are heard of meanwhile are left alone."""
    with line(sim) as one:
        mute(sim)
        clock = Clock(one)
        others = [one.another()[1] for _ in range(AT_ONCE + 3)]
        sim.drop_reply(FIRST, times=None)
        one.drop()
        one.wait_for_request(FIRST, AT_ONCE)
        last = others[-1]
        with last.expect(NOTE, timeout=PATIENCE):
            sim.send_event(NOTE, {"call_id": last.call_id, "node_id": last.node_id, "state": "success"})
        clock.advance(11.0)  # nobody answered: the others' turn
        one.wait_for_request(FIRST, AT_ONCE + 3)
        asked = [frame["params"]["call_id"] for frame in sim.journal.requests(FIRST)]
        assert sorted(asked) == sorted({one.call.call_id, *(call.call_id for call in others)} - {last.call_id})


def test_a_late_answer_counts(sim: Simulator) -> None:
    with line(sim) as one:
        clock = Clock(one)
        sim.hold(FIRST)
        one.drop()
        sim.wait_for_held(FIRST, PATIENCE)
        clock.advance(11.0)
        sim.release(FIRST)
        clock.settle()
        for _ in range(5):
            clock.advance(1000.0)
        assert clock.asked() == 1
        assert one.call.state == "answered"


def test_a_question_that_could_not_be_queued_is_asked_again(sim: Simulator) -> None:
    with line(sim) as one:
        clock = Clock(one)
        waiting = Background(one.call.wait_for_ended)
        sim.drop_event("calling.call.state", times=None)
        one.phone.hang_up()
        loop, board = one.client._link.loop, one.client._router
        assert loop is not None

        def resume() -> None:
            loop.session.congested = True  # as while a megabyte waits to be sent
            board._call_the_roll(Phase.READY)

        clock.on_io_thread(
            resume,
            lambda: setattr(loop.session, "congested", False),
        )
        assert clock.asked() == 0
        assert waiting.running
        clock.advance(1000.0)
        waiting.result()
        assert clock.asked() == 1


def test_nobody_is_asked_about_after_the_end(sim: Simulator) -> None:
    with line(sim) as one:
        clock = Clock(one)
        sim.drop_reply(FIRST)
        one.drop()
        one.wait_for_request(FIRST)
        core_of(one.call).end(CallEnded("it was handed over"))
        one.client._router.let_go(one.call, CallEnded("it was handed over"))
        for _ in range(5):
            clock.advance(1000.0)
        assert clock.asked() == 1


def test_the_pauses_grow() -> None:
    assert list(PAUSES) == sorted(set(PAUSES))
    assert PAUSES[0] >= 1.0
    assert sum(PAUSES) == pytest.approx(65.0)


# -- questions that change nothing --------------------------------------------------------------------------------------


def asked_about(one: Line, *answers: str) -> list[str]:
    """The platform does not know the realm of the first question. What is sent for a live call after a resume.

    :param answers: what is to be waited for besides the first question.
    """
    one.sim.refuse(FIRST, 404, "no such realm", times=None)
    one.sim.journal.clear()
    one.drop()
    for method in (FIRST, *answers):
        one.wait_for_request(method)
    Clock(one).settle()
    sent = [entry.method for entry in one.sim.journal if entry.direction == "in"]
    return [method for method in sent if method.startswith("calling.")]


@pytest.mark.parametrize("switched", ["on by us", "on by others", "off by us", "off"])
def test_noise_suppression_of_a_live_call_stays_as_it_is(sim: Simulator, switched: str) -> None:
    with line(sim) as one:
        if switched.endswith("by us"):
            one.call.denoise()
        if switched == "off by us":
            one.call.denoise_stop()
        if switched == "on by others":
            one.phone._call.features.add("denoised")
        assert asked_about(one, SECOND) == [FIRST, SECOND]
        assert one.phone.denoised == switched.startswith("on")
        assert one.client.calls == {one.call.call_id: one.call}
        assert one.call.state == "answered"


def test_an_answer_whose_event_was_lost_is_an_answer(sim: Simulator) -> None:
    with line(sim, answered=False) as one:
        sim.drop_event("calling.call.state", times=None)
        one.call.answer()
        one.call.denoise()
        assert one.call.state == "ringing"
        assert asked_about(one, SECOND) == [FIRST, SECOND]
        assert one.phone.denoised
        assert one.call.wait_for_answered(PATIENCE).params["call_state"] == "answered"


def test_a_call_that_rings_is_not_answered_by_a_question(sim: Simulator) -> None:
    with line(sim, answered=False) as one:
        assert asked_about(one, IF_NOT) == [FIRST, IF_NOT]
        assert (one.call.state, one.phone.state) == ("ringing", "ringing")
        assert one.client.calls == {one.call.call_id: one.call}


def test_a_question_that_was_lost_with_its_connection_is_not_sent_again_unasked(sim: Simulator) -> None:
    """By the next connection the call may be answered, and have noise reduction that the second question would take back."""
    with line(sim, answered=False) as one:
        sim.refuse(FIRST, 404, "no such realm", times=None)
        sim.drop_reply(IF_NOT)
        one.drop()
        one.wait_for_request(IF_NOT)
        assert asked_about(one, IF_NOT) == [FIRST, IF_NOT]


@pytest.mark.parametrize("reply", ["lost", "good"])
def test_where_nothing_harmless_can_be_asked_the_call_is_left_alone(sim: Simulator, reply: str) -> None:
    with line(sim, answered=False) as one:
        clock = Clock(one)
        if reply == "lost":
            sim.drop_reply("calling.denoise")
            with one.client.timeout(0.05), pytest.raises(RequestTimeout):
                one.call.denoise()
        else:
            told = {"call_id": one.call.call_id, "node_id": one.call.node_id, "denoised": True}
            with one.call.expect("calling.call.denoise", timeout=PATIENCE):
                sim.send_event("calling.call.denoise", told)
        assert asked_about(one) == [FIRST]
        for number in range(len(PAUSES)):
            clock.advance(PAUSES[number] + 1)
            one.wait_for_request(FIRST, number + 2)
        clock.advance(1000)
        assert (clock.asked(), clock.asked(IF_NOT), clock.asked(SECOND)) == (1 + len(PAUSES), 0, 0)
        assert one.client.calls == {one.call.call_id: one.call}


def test_a_refused_denoise_leaves_what_was_known(sim: Simulator) -> None:
    with line(sim) as one:
        sim.refuse("calling.denoise", 400, "no")
        with pytest.raises(CommandRefused):
            one.call.denoise()
        assert core_of(one.call).denoised is None


def test_a_call_that_is_ending_needs_no_second_question(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.state", state="ended", times=None)
        with one.call.expect("calling.call.state", timeout=PATIENCE):
            one.phone.hang_up()
        assert one.call.state == "ending"
        waiting = Background(one.call.wait_for_ended)
        assert asked_about(one) == [FIRST]
        assert waiting.result().reason == "call_gone"


def test_a_call_that_others_control_and_that_rings_is_not_asked_twice(sim: Simulator) -> None:
    with line(sim, answered=False) as one:
        one.call.transfer("https://example.com/swml")
        one.phone._call.features.add("denoised")
        assert asked_about(one) == [FIRST]
        assert one.phone.denoised
        assert one.client.calls == {}


# -- a command that was answered 404 -----------------------------------------------------------------------------------


def gone(one: Line, *methods: str, code: int = 404) -> None:
    for method in methods:
        one.sim.refuse(method, code, "not found", times=None)


@pytest.mark.parametrize("code", [404, 410])
def test_a_verb_returns_when_the_call_has_ended_for_everybody(sim: Simulator, code: int) -> None:
    with line(sim) as one:
        waiting: Background[RelayEvent] = Background(one.call.wait_for_ended)
        reading: Background[list[RelayEvent]] = Background(list, one.call.events())
        other = one.call.record()
        gone(one, "calling.play", FIRST, SECOND, code=code)
        action = one.call.play_tts("hello")
        assert (action.is_done, action.wait(0).reason, action.error) == (True, "call_gone", None)
        assert (one.call.state, one.client.calls, other.is_done) == ("ended", {}, True)
        assert waiting.result().reason == "call_gone"
        assert reading.result()[-1].params["call_state"] == "ended"


def test_a_stop_that_finds_no_call_returns_when_the_call_has_ended(sim: Simulator) -> None:
    with line(sim) as one:
        mute(sim)
        action = one.call.record()
        gone(one, "calling.record.stop", "calling.record.pause", FIRST, SECOND)
        assert action.pause() == {}
        assert (action.is_done, one.call.state) == (True, "ended")
        assert action.stop() == {}


def test_a_stop_that_finds_no_action_leaves_the_call_alone(sim: Simulator) -> None:
    with line(sim) as one:
        mute(sim)
        action = one.call.record()
        gone(one, "calling.record.stop")
        assert action.stop() == {}
        assert (action.is_done, one.call.state) == (True, "answered")


@pytest.mark.parametrize("silent", [FIRST, SECOND])
def test_a_question_without_an_answer_holds_a_verb_no_longer_than_its_command(sim: Simulator, silent: str) -> None:
    with line(sim, request_timeout=0.3) as one:
        gone(one, "calling.play")
        if silent == SECOND:
            gone(one, FIRST)
        sim.drop_reply(silent, times=None)
        action = one.call.play_tts("hello")
        assert isinstance(action.error, CommandRefused)
        assert one.call.state == "answered"


def test_the_end_that_comes_while_a_verb_asks_is_its_answer(sim: Simulator) -> None:
    with line(sim) as one:
        gone(one, "calling.play")
        sim.hold(FIRST)
        verb = Background(one.call.play_tts, "hello")
        sim.wait_for_held(FIRST)
        one.phone.hang_up()
        assert verb.result().wait(0).reason == "call_gone"
        assert one.call.state == "ended"
        sim.release(FIRST)


@pytest.mark.slow
def test_a_transfer_that_is_refused_with_404_leaves_the_call_with_us(sim: Simulator) -> None:
    with line(sim) as one:
        gone(one, "calling.transfer")
        with pytest.raises(CommandRefused, match="the call itself is live"):
            one.call.transfer("context:nowhere")
        assert one.client._router.ours == [one.call]
        one.client.disconnect(hangup_calls=True)
        assert one.call.state == "ended"


def test_a_connection_that_is_lost_while_a_verb_asks_is_asked_again_on_the_next(sim: Simulator) -> None:
    with line(sim) as one:
        gone(one, "calling.play")
        sim.drop_reply(FIRST, times=1)
        verb = Background(one.call.play_tts, "hello")
        one.wait_for_request(FIRST)
        one.drop()
        refused = verb.result().error
        assert isinstance(refused, CommandRefused)
        assert "the call itself is live" in str(refused)
        assert one.call.state == "answered"


def test_a_call_that_ends_while_the_connection_is_lost_ends_the_verb_that_asks(sim: Simulator) -> None:
    with line(sim) as one:
        gone(one, "calling.play")
        sim.drop_reply(FIRST, times=1)
        verb = Background(one.call.play_tts, "hello")
        one.wait_for_request(FIRST)
        lose_the_end(one)
        action = verb.result()
        assert (action.wait(0).reason, action.error, one.call.state) == ("call_gone", None, "ended")


def test_a_verb_that_asks_while_there_is_no_connection_waits_for_one(sim: Simulator) -> None:
    """No longer than its command, which is what the server's word is worth until then."""
    with line(sim, request_timeout=0.5) as one:
        gone(one, "calling.play")
        sim.drop_reply(FIRST, times=1)
        verb = Background(one.call.play_tts, "hello")
        one.wait_for_request(FIRST)
        sim.refuse_connections()
        sim.cut()
        refused = verb.result().error
        assert isinstance(refused, CommandRefused)
        assert "live" not in str(refused)  # nobody knows
        sim.refuse_connections(False)


@pytest.mark.usefixtures("soon")
def test_what_is_waited_for_is_asked_first_and_once_on_the_next_connection(sim: Simulator) -> None:
    states: queue.SimpleQueue[str] = queue.SimpleQueue()
    with line(sim, on_state=states.put) as one:
        _, second = one.another()
        loop, router = one.client._link.loop, one.client._router
        assert loop is not None
        sim.refuse_connections()
        sim.cut()
        wait_for_state(states, "reconnecting")
        told: queue.SimpleQueue[bool] = queue.SimpleQueue()
        unsent: queue.SimpleQueue[int] = queue.SimpleQueue()
        loop.change(lambda session: router.ask_about(second, told.put))
        loop.change(lambda session: loop.change(lambda session: unsent.put(session.unanswered)))
        assert unsent.get(timeout=PATIENCE) == 0  # what waits to be sent holds the call, and so the client
        sim.refuse_connections(False)
        assert told.get(timeout=PATIENCE) is True
        one.wait_for_request(FIRST, 2)
        Clock(one).settle()
        asked = [frame["params"]["call_id"] for frame in sim.journal.requests(FIRST)]
        assert asked == [second.call_id, one.call.call_id]


@pytest.mark.parametrize("end", ["over", "call over"])
def test_nobody_waits_for_a_connection_to_hear_of_a_call_that_is_over(offline: RelayClient, end: str) -> None:
    (call,) = calls(offline, "one")
    if end == "over":
        offline._router.on_session_over(ConnectionLost("another session"), 0)
    else:
        offline._router.let_go(call, CallEnded("it was handed over"))
    told: list[bool] = []
    offline._router.ask_about(call, told.append)
    assert told == [True]


@pytest.mark.usefixtures("slow_after_waking")
@pytest.mark.parametrize("end", ["over", "closed"])
def test_a_verb_that_asks_does_not_outlast_the_session(sim: Simulator, end: str) -> None:
    with line(sim) as one:
        gone(one, "calling.play")
        sim.drop_reply(FIRST, times=1)
        verb = Background(one.call.play_tts, "hello")
        one.wait_for_request(FIRST)
        if end == "over":
            sim.forget_sessions()
            one.drop()
        else:
            one.client.disconnect()
        with pytest.raises(ClientClosed if end == "closed" else ConnectionLost):
            verb.result()


def test_a_verb_that_asks_while_the_client_is_being_closed_finds_the_call_over(sim: Simulator) -> None:
    with line(sim) as one:
        core, loop = core_of(one.call), one.client._link.loop
        busy, go_on = threading.Event(), threading.Event()
        assert loop is not None

        def rest(session: Session) -> None:
            busy.set()
            go_on.wait(PATIENCE)

        loop.change(rest)
        assert busy.wait(PATIENCE)
        one.client.stop()

        def ask() -> object:
            core.line.ask_about(one.call, Deadline.after(time.monotonic(), PATIENCE))
            return core.over

        asking = Background(ask)
        while asking.running and not loop._inbox:
            pass
        go_on.set()
        assert isinstance(asking.result(), ClientClosed)


@pytest.mark.parametrize("phase", [Phase.CLOSED, Phase.FAILED])
def test_after_the_end_of_a_session_nobody_waits_for_an_answer(offline: RelayClient, phase: Phase) -> None:
    (call,) = calls(offline, "one")
    offline._router.on_phase(phase, None)
    told: list[bool] = []
    offline._router.ask_about(call, told.append)  # what came too late for its thread's last turn
    assert told == [False]


def test_a_question_whose_answer_cannot_be_told_keeps_nobody_waiting(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    with line(sim) as one:
        _, second = one.another()
        sim.hold(FIRST)
        told: list[bool] = []

        def fail(known: bool) -> None:
            raise LookupError("nobody there")

        def ask_and_stop() -> None:
            for call, then in ((one.call, fail), (one.call, told.append), (second, told.append)):
                one.client._router.ask_about(call, then)
            one.client._router._give_up_questions()
            assert told == []  # those who are being asked about are not among them
            one.client._router._awaited += [(one.call, fail), (one.call, told.append), (second, told.append)]
            one.client._router._give_up_questions()

        Clock(one).on_io_thread(ask_and_stop)
        assert told == [False, False]
        assert "abandoning questions about calls" in caplog.text
        sim.release(FIRST)
