"""What the simulator makes of the rest of a call's verbs, and of people who are moved by hand: real clients, real sockets."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from relay_sync import CallEnded, CommandRefused, RelayClient, WaitTimeout, devices
from relay_sync.audio.wav import read_wav
from relay_sync.simulator import Simulator, speech
from relay_sync.simulator.methods.recording import _size
from tests.support import PATIENCE
from tests.support.lines import Desk, Line, line

TTS = {"type": "tts", "params": {"text": "Welcome to the bank, please listen"}}
LONG = {"type": "silence", "params": {"duration": 1000}}


@pytest.fixture
def one(sim: Simulator) -> Iterator[Line]:
    with line(sim) as found:
        yield found


@pytest.fixture
def slow() -> Iterator[Line]:
    """A call on which nothing comes to its end by itself."""
    with Simulator() as sim, line(sim) as found:
        yield found


def told(one: Line, event_type: str, member: str = "state") -> list[Any]:
    return [params.get(member) for params in one.sim.journal.events(event_type)]


def results(one: Line, count: int) -> None:
    """Return once that many events of collectors were sent."""
    one.sim.journal.wait_for(lambda _: len(one.sim.journal.events("calling.call.collect")) >= count, PATIENCE)


# -- people who are moved by hand --------------------------------------------------------------------------------------


def test_keys_that_are_pressed_by_hand_and_keys_that_come_too_early(slow: Line) -> None:
    slow.phone.press("99")
    action = slow.call.collect(digits={"max": 4, "terminators": "#"})
    slow.phone.press("12")
    assert not action.is_done
    slow.phone.press("3#")
    action.wait(PATIENCE)
    assert (action.digits, action.terminator) == ("123", "#")


def test_somebody_who_stops_in_the_middle(slow: Line) -> None:
    action = slow.call.collect(digits={"max": 4})
    slow.phone.press("12")
    slow.phone.keep_silent()
    action.wait(PATIENCE)
    assert (action.digits, action.terminator) == ("12", "")


def test_somebody_who_never_starts(slow: Line) -> None:
    action = slow.call.collect(digits={"max": 4}, initial_timeout=60)
    slow.phone.keep_silent()
    with pytest.raises(WaitTimeout):
        action.wait(0)  # its clock does not run yet
    action.start_input_timers()
    slow.phone.keep_silent()
    action.wait(PATIENCE)
    assert action.type == "no_input"


def test_a_prompt_is_interrupted(slow: Line) -> None:
    action = slow.call.play_and_collect([LONG], {"digits": {"max": 1}})
    slow.phone.press("7")
    action.wait(PATIENCE)
    assert action.digits == "7"
    assert told(slow, "calling.call.play") == ["playing", "finished"]


def test_a_prompt_that_cannot_be_played(one: Line) -> None:
    one.sim.expect_sound("https://media.test/gone.mp3")
    action = one.call.prompt_audio("https://media.test/gone.mp3", {"digits": {"max": 1}})
    with pytest.raises(Exception, match="error"):
        action.wait(PATIENCE)
    assert told(one, "calling.call.play") == ["playing", "error"]
    assert one.sim.journal.events("calling.call.collect") == []
    assert one.phone.activities == []


def test_a_prompt_is_stopped(slow: Line) -> None:
    action = slow.call.play_and_collect([LONG], {"digits": {"max": 1}})
    action.volume(3)
    action.stop()
    assert action.wait(PATIENCE).type == "finished"
    assert told(slow, "calling.call.play") == ["playing", "finished"]


def test_noise_is_no_match_and_words_are_heard_by_hand(one: Line) -> None:
    noise = one.call.collect(speech={})
    one.phone.say("")
    noise.wait(PATIENCE)
    assert noise.type == "no_match"
    words = one.call.collect(speech={}, digits={"max": 1})
    one.phone.say("operator please")
    words.wait(PATIENCE)
    assert words.text == "operator please"


def test_a_continuous_collector_goes_on_until_it_is_stopped(one: Line) -> None:
    action = one.call.collect(speech={}, continuous=True)
    for number, text in enumerate(("one", "two"), 1):
        one.phone.say(text)
        results(one, number)
    assert not action.is_done
    action.stop()
    assert action.wait(PATIENCE).type == "finished"
    assert [result.text for result in action.results] == ["one", "two"]
    assert told(one, "calling.call.collect", "final") == [True, True, None]


# -- sound -------------------------------------------------------------------------------------------------------------


def test_playback_is_paused_and_goes_on(slow: Line) -> None:
    action = slow.call.play([LONG])
    action.resume()  # it plays: accepted, and nothing changes
    action.pause()
    action.pause()
    action.volume(-3)
    action.resume()
    action.stop()
    assert action.wait(PATIENCE).state == "finished"
    assert told(slow, "calling.call.play") == ["playing", "paused", "playing", "finished"]


def test_an_endless_playback_ends_with_its_stop(one: Line) -> None:
    action = one.call.play([TTS], loop=0)
    one.sim._platform.network.calls[one.call.call_id].board.wait_for(
        lambda: any(item.times > 3 for item in one.phone.heard), PATIENCE, "to be played again and again"
    )
    action.stop()
    action.wait(PATIENCE)
    assert len(one.phone.heard) == 1


def test_a_sound_lasts_as_long_as_it_is(sim: Simulator, one: Line) -> None:
    sim.expect_sound("https://media.test/short.wav", 0.5)
    sim.expect_sound("https://media.test/voice.wav", speech.caller())
    media = [
        {"type": "audio", "params": {"url": f"https://media.test/{name}.wav"}} for name in ("short", "voice", "what")
    ]
    one.call.play([*media, {"type": "ringtone", "params": {"name": "us", "duration": 2}}]).wait(PATIENCE)
    lengths = [item.duration for item in one.phone.heard]
    assert lengths[0] == 0.5
    voice = read_wav(speech.caller())
    assert lengths[1] == pytest.approx(len(voice.pcm) / 2 / voice.sample_rate)
    assert lengths[2:] == [3.0, 2.0]
    assert [item.words for item in one.phone.heard][-1] == "us"


def test_a_recording_is_paused_and_ended_by_a_key(slow: Line) -> None:
    action = slow.call.record({"format": "mp3", "terminators": "*"})
    action.pause("silence")
    action.resume()
    slow.phone.press("#")
    assert slow.phone.recorded
    slow.phone.press("*")
    assert action.wait(PATIENCE).state == "finished"
    assert told(slow, "calling.call.record") == ["recording", "paused", "recording", "finished"]
    assert told(slow, "calling.call.record", "pause_behavior")[1] == "silence"


@pytest.mark.parametrize("stereo", [False, True])
def test_a_recording_can_be_fetched(sim: Simulator, stereo: bool) -> None:
    pcm = bytes(range(256)) * 64
    with line(sim, says=pcm, hears=pcm) as one:
        action = one.call.record(
            {"format": "wav", "stereo": stereo, "direction": "both", "end_silence_timeout": 1, "initial_timeout": 5}
        )
        action.wait(PATIENCE)
        answer = requests.get(action.url, timeout=PATIENCE)
    assert answer.headers["Content-Type"] == "audio/wav"
    assert len(answer.content) == action.size
    audio = read_wav(io.BytesIO(answer.content))
    assert (audio.channels, audio.sample_rate) == (2 if stereo else 1, 8000)
    assert len(audio.pcm) / 2 / audio.channels / 8000 == pytest.approx(action.duration, abs=0.01)


def test_states_go_to_the_status_url_as_well(sim: Simulator, one: Line) -> None:
    one.call.record({"max_length": 1}, status_url="http://127.0.0.1:9/status")
    sent = sim.webhooks.wait_for(2, PATIENCE)
    assert {delivery.url for delivery in sent} == {"http://127.0.0.1:9/status"}
    assert [delivery.body["params"]["state"] for delivery in sent] == ["recording", "finished"]


# -- features ----------------------------------------------------------------------------------------------------------


def test_switches(one: Line) -> None:
    one.call.hold()
    assert one.phone.on_hold
    with pytest.raises(CommandRefused, match="already on hold"):
        one.call.hold()
    one.call.unhold()
    one.call.denoise()
    with pytest.raises(CommandRefused) as caught:
        one.call.denoise()
    assert caught.value.code == 409
    one.call.denoise_stop()
    assert told(one, "calling.call.hold") == ["hold", "unhold"]
    assert told(one, "calling.call.denoise", "denoised") == [True, False]
    assert (one.phone.on_hold, one.phone.denoised) == (False, False)


def test_echo_and_the_one_transcription(one: Line) -> None:
    with one.call.expect("calling.call.echo", lambda event: event.state == "finished", PATIENCE):
        one.call.echo(timeout=5)
        one.phone.keep_silent()
    assert told(one, "calling.call.echo") == ["echoing", "finished"]
    action = one.call.transcribe()
    with pytest.raises(CommandRefused) as caught:
        one.call.transcribe()
    assert caught.value.code == 409
    action.stop()
    action.wait(PATIENCE)
    assert action.recording_id


@pytest.mark.parametrize(
    ("phone", "state", "code"),
    [({}, "success", "200"), ({"busy": True}, "busy", "486"), ({"no_answer": True}, "noAnswer", "480")],
)
def test_a_refer(sim: Simulator, one: Line, phone: dict[str, Any], state: str, code: str) -> None:
    sim.expect_phone("sip:bob@example.test", **phone)
    with one.call.expect("calling.call.refer", lambda event: event.state == state, PATIENCE) as seen:
        one.call.refer(devices.sip("sip:bob@example.test"))
    assert seen.value.sip_notify_response_code == code
    assert told(one, "calling.call.refer") == ["inProgress", state]
    if state == "success":
        one.call.wait_for_ended(PATIENCE)


def test_a_user_event_comes_back_to_the_call(one: Line) -> None:
    with one.call.expect("calling.user_event", timeout=PATIENCE) as seen:
        one.call.user_event(event={"type": "cart-updated", "items": 3})
    assert seen.value.params["items"] == 3


def test_a_call_is_handed_over(sim: Simulator, one: Line) -> None:
    with RelayClient(**sim.credentials, contexts=["billing"]) as other:
        desk = Desk(other)
        one.call.transfer("context:billing")
        taken = desk.take()
        assert (taken.call_id, taken.state) == (one.call.call_id, "answered")
        taken.play_tts("Billing speaking").wait(PATIENCE)
        assert one.call.play_tts("Hello?").wait(PATIENCE).reason == "call_gone"
        assert one.phone.wait_until_heard("Billing").text == "Billing speaking"
        desk.closing.set()


def test_a_call_that_is_ending_is_offered_to_nobody(sim: Simulator, one: Line) -> None:
    call = one.phone._call
    one.call.transfer("context:billing")
    other = RelayClient(**sim.credentials, contexts=["billing"])
    desk = Desk(other)
    call.state = "ending"
    with other:
        other.execute("signalwire.ping")
    assert len(sim.journal.events("calling.call.receive")) == 1
    call.state = "answered"
    with other:
        assert desk.take().call_id == call.call_id
        desk.closing.set()


def test_what_was_handed_over_is_not_hung_up_and_may_come_back(one: Line) -> None:
    one.desk.closing.set()
    one.call.transfer("https://example.test/swml")
    offer = {"call_id": one.call.call_id, "node_id": one.call.node_id, "call_state": "answered"}
    params = {"event_type": "calling.call.receive", "context": "billing", "params": offer}
    one.sim.send_raw(json.dumps({"jsonrpc": "2.0", "id": "e2", "method": "signalwire.event", "params": params}))
    back = one.desk.take()
    assert back is not one.call
    with pytest.raises(CallEnded, match="handed over"):
        one.call.wait_for_ended(PATIENCE)
    one.sim.refuse("calling.transfer", 400, "no such place")
    with pytest.raises(CommandRefused):
        back.transfer("context:nowhere")
    assert one.client._router.ours == [back]
    one.sim._platform.handlers = {**one.sim._platform.handlers, "calling.transfer": lambda request: request.accept()}
    back.transfer("context:somewhere")
    assert one.client.drain(PATIENCE) is True
    one.client.disconnect(hangup_calls=True)
    assert not one.sim.journal.requests("calling.end")


def test_keys_reach_the_party_and_bound_keys_run_a_method(one: Line) -> None:
    one.call.send_digits("1w2W#").wait(PATIENCE)
    assert one.phone.digits == "12#"
    one.call.bind_digit("*1", "calling.play", bind_params={"play": [TTS]}, realm="menu", max_triggers=1)
    one.call.bind_digit("*2", "calling.end")
    one.phone.press("9*1")
    one.phone.wait_until_heard("Welcome")
    one.phone.press("*1")
    one.call.clear_digit_bindings(realm="other")
    one.phone.press("*2")
    one.call.wait_for_ended(PATIENCE)
    assert len(one.phone.heard) == 1


def test_cleared_bindings_do_nothing(one: Line) -> None:
    one.call.bind_digit("1", "calling.end", realm="menu")
    one.call.clear_digit_bindings(realm="menu")
    one.phone.press("1")
    one.call.denoise()
    assert one.phone.state == "answered"


# -- places where calls meet -------------------------------------------------------------------------------------------


def test_a_conference(one: Line) -> None:
    phone, other = one.another()
    other.answer()
    other.wait_for_answered(PATIENCE)
    wants: dict[str, Any] = {"status_callback_event_type": "relay", "status_callback_event": "start end join leave"}
    one.call.join_conference("weekly", **wants)
    other.join_conference("weekly", muted=True, max_participants=2)
    events = one.sim.journal.events("calling.conference")
    assert [event["status"] for event in events] == ["conference-start", "participant-join", "participant-join"]
    assert (events[2]["call_id"], events[2]["muted"], events[2]["size"]) == (phone.call_id, True, 2)
    conference_id = events[0]["conference_id"]
    other.hold()  # was not asked for: "hold" is not among the events
    assert len(one.sim.journal.events("calling.conference")) == 3
    with pytest.raises(CommandRefused, match="already"):
        one.call.join_conference("weekly")
    other.leave_conference(conference_id)
    assert other.leave_conference("elsewhere") == {}
    with one.call.expect("calling.conference", lambda event: event.status == "conference-end", PATIENCE) as seen:
        one.call.leave_conference(conference_id)
    assert seen.value.params["reason_ended"] == "last-participant-left"
    leaves = [event for event in one.sim.journal.events("calling.conference") if event["status"] == "participant-leave"]
    assert [event["call_id"] for event in leaves] == [phone.call_id, one.call.call_id]


def test_a_conference_tells_who_is_on_hold(one: Line) -> None:
    one.call.join_conference("weekly", status_callback_event_type="relay", status_callback_event="hold,mute")
    one.call.hold()
    one.call.unhold()
    events = one.sim.journal.events("calling.conference")
    assert [(event["status"], event["hold"]) for event in events] == [
        ("participant-hold", True),
        ("participant-unhold", False),
    ]


def test_a_conference_that_is_full_and_one_that_ends_with_its_chair(one: Line) -> None:
    phone, other = one.another()
    other.answer()
    other.wait_for_answered(PATIENCE)
    one.call.join_conference("small", max_participants=1, end_on_exit=True, record="record-from-start")
    with pytest.raises(CommandRefused, match="full"):
        other.join_conference("small")
    one.call.join_room("standup")
    one.call.leave_room()
    assert told(one, "calling.call.room", "join_status") == ["joined", "leave"]
    assert phone.activities == []
    assert one.sim.journal.events("calling.conference") == []


def test_a_queue_and_who_takes_a_call_out_of_it(one: Line) -> None:
    waiting = one.call.queue_enter("support")
    phone, behind = one.another()
    behind.answer()
    behind.wait_for_answered(PATIENCE)
    second = behind.queue_enter("support")
    with behind.expect("calling.call.queue", lambda event: event.status == "stats", PATIENCE) as seen:
        _, agent = one.another()
        agent.answer()
        agent.wait_for_answered(PATIENCE)
        with agent.expect("calling.call.connect", lambda event: event.connect_state == "connected", PATIENCE) as joined:
            agent.connect([[devices.queue("support", agent.node_id)]])
    waiting.wait(PATIENCE)
    assert waiting.was_dequeued
    assert joined.value.peer["call_id"] == one.call.call_id
    assert (seen.value.position, seen.value.size) == (1, 1)
    behind.queue_leave("support")
    second.wait(PATIENCE)
    assert not second.was_dequeued
    assert phone.activities == []


# -- agents and transcripts --------------------------------------------------------------------------------------------


def test_an_agent_is_talked_to(one: Line) -> None:
    with pytest.raises(CommandRefused, match="Agent not found; the call itself is live"):
        one.call.ai_message(message_text="hello")
    action = one.call.ai(prompt={"text": "be kind"}, post_prompt={"text": "sum up"})
    one.phone.say("book a table")
    one.phone.wait_until_heard("You said: book a table")
    one.call.ai_message(message_text="Anything else?", role="assistant")
    one.phone.wait_until_heard("Anything else?")
    one.call.ai_hold(timeout="30", prompt="One moment")
    one.phone.say("hello?")
    one.call.ai_unhold(prompt="Back again")
    one.phone.wait_until_heard("Back again")
    action.stop()
    assert action.wait(PATIENCE).state == "finished"
    names = [entry.event_type for entry in one.sim.journal if entry.event_type.startswith("calling.ai.")]
    assert names[:4] == [
        "calling.ai.start",
        "calling.ai.user_speaking",
        "calling.ai.partial_result",
        "calling.ai.speech_detect",
    ]
    assert names[-2:] == ["calling.ai.stop", "calling.ai.post_prompt"]
    assert "You said: hello?" not in [item.words for item in one.phone.heard]


def test_bedrock_never_says_that_it_has_finished(one: Line) -> None:
    one.call.amazon_bedrock(prompt={"text": "be kind"})
    with one.call.expect("calling.ai.response_utterance", timeout=PATIENCE):
        one.phone.say("hi")
    one.phone.hang_up()
    assert len(one.sim.journal.events("calling.ai.stop")) == 1
    assert one.sim.journal.events("calling.call.ai") == []


def test_a_sidecar_is_asked(one: Line) -> None:
    one.call.ai_sidecar("en-US")
    one.phone.say("I am undecided")
    with one.call.expect(
        "calling.ai.sidecar", lambda event: event.sidecar_event["type"] == "ask_answer", PATIENCE
    ) as seen:
        one.call.ai_sidecar_ask("what does he want?")
    assert seen.value.sidecar_event["response"] == "You asked: what does he want?"
    one.call.ai_sidecar_poke("hurry")
    one.call.ai_sidecar_status()
    one.call.ai_sidecar_stop()
    kinds = [event["sidecar_event"]["type"] for event in one.sim.journal.events("calling.ai.sidecar")]
    assert kinds == ["start", "turn", "insight", "ask_request", "ask_answer", "insight", "stop", "final"]


def test_what_is_said_is_written_down(one: Line) -> None:
    start = {"lang": "en-US", "direction": ["remote-caller"], "live_events": True, "ai_summary": True}
    one.call.live_transcribe({"start": start})
    with pytest.raises(CommandRefused, match="already running"):
        one.call.live_transcribe({"start": start})
    with one.call.expect("calling.ai.transcribe.utterance", timeout=PATIENCE) as seen:
        one.phone.say("Table for two please.")
    assert seen.value.utterance["content"] == "Table for two please."
    one.call.live_transcribe("summarize")
    with one.call.expect("calling.ai.transcribe.conversation_log", timeout=PATIENCE) as log:
        one.call.live_transcribe("stop")
    assert [entry["content"] for entry in log.value.conversation_log] == ["Table for two please."]
    assert log.value.metrics["total_utterances"] == 1
    assert log.value.conversation_summary
    assert len(one.sim.journal.events("calling.ai.transcribe.live_summarize")) == 1


def test_what_is_said_is_translated(one: Line) -> None:
    start = {"from_lang": "en-US", "to_lang": "es-ES", "direction": ["remote-caller"], "live_events": True}
    one.call.live_translate({"start": start})
    with one.call.expect("calling.ai.translate.transcript_delta", timeout=PATIENCE) as seen:
        one.phone.say("book a table")
    assert seen.value.output_utterance == {"delta": "[es-ES: book a table]", "language": "es-ES"}
    one.call.live_translate({"inject": {"message": "un momento", "direction": "remote-caller"}})
    one.phone.wait_until_heard("un momento")
    with one.call.expect("calling.ai.translate.conversation_log", timeout=PATIENCE) as log:
        one.phone.hang_up()
    assert log.value.primary_conversation_log[0]["content"] == "book a table"


@pytest.mark.parametrize("stereo", [False, True])
def test_a_recording_has_the_size_that_is_told_whatever_its_length(stereo: bool) -> None:
    for hundredths in range(1, 1000):
        size = _size(hundredths / 100, {"format": "wav", "stereo": stereo})
        assert size == 44 + 160 * hundredths * (2 if stereo else 1)
