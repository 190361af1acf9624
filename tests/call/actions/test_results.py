"""What actions make of their events: results that are kept, partial ones, and members wherever they sit."""

from __future__ import annotations

from typing import Any

import pytest

from relay_sync import ActionFailed, DetectEvent, PayEvent, StandaloneCollectAction, WaitTimeout
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.far_end import settle, tell
from tests.support.lines import Line

TTS = {"type": "tts", "params": {"text": "hello"}}


def collected(kind: str, /, state: str | None = None, final: bool | None = None, **params: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"result": {"type": kind, **({"params": params} if params else {})}}
    if state is not None:
        told["state"] = state
    if final is not None:
        told["final"] = final
    return told


def test_continuous_collect_goes_on_until_it_is_stopped(muted: Line) -> None:
    action: StandaloneCollectAction = muted.call.collect(speech={}, continuous=True, partial_results=True)
    told = [
        collected("start_of_input"),
        collected("speech", "collecting", False, text="one", confidence=50),
        collected("speech", "collecting", True, text="one two", confidence=90),
        collected("no_input", "collecting", True),
        collected("speech", None, True, text="three", confidence=80),
    ]
    for params in told:
        tell(muted, action, "calling.call.collect", params)
    settle(muted)
    assert not action.is_done
    assert action.has_started
    assert [one.text for one in action.partials] == ["one"]
    assert [one.text for one in action.results] == ["one two", "", "three"]
    assert action.text == "three"
    action.stop()
    tell(muted, action, "calling.call.collect", collected("finished", "finished"))
    assert action.wait(PATIENCE).type == "finished"
    assert action.text == "three"
    assert len(action.results) == 3


def test_the_old_name_of_continuous_works_alike(muted: Line) -> None:
    action = muted.call.collect(digits={"max": 1}, extra={"continue": True})
    tell(muted, action, "calling.call.collect", collected("digit", digits="1", terminator=""))
    settle(muted)
    assert not action.is_done
    assert action.digits == "1"


def test_partial_results_do_not_end_a_collector(muted: Line) -> None:
    action = muted.call.collect(speech={}, partial_results=True)
    tell(muted, action, "calling.call.collect", collected("speech", final=False, text="I", confidence=1))
    tell(muted, action, "calling.call.collect", collected("speech", "collecting", text="I want", confidence=1))
    settle(muted)
    assert not action.is_done
    assert action.text == ""
    assert [one.text for one in action.partials] == ["I", "I want"]
    tell(muted, action, "calling.call.collect", collected("speech", final=True, text="I want it", confidence=93))
    assert action.wait(PATIENCE).text == "I want it"
    assert action.text == "I want it"
    assert action.confidence == 93.0


def test_a_prompt_that_was_played_is_no_end(muted: Line) -> None:
    action = muted.call.prompt_tts("how many?", {"digits": {"max": 1}})
    tell(muted, action, "calling.call.play", {"state": "playing"})
    tell(muted, action, "calling.call.play", {"state": "finished"})
    tell(muted, action, "calling.call.collect", collected("start_of_input"))
    settle(muted)
    assert not action.is_done
    tell(muted, action, "calling.call.collect", collected("no_match"))
    assert action.wait(PATIENCE).type == "no_match"
    assert (action.type, action.digits, action.text) == ("no_match", "", "")


@pytest.mark.parametrize(
    "odd",
    [
        {"result": None},
        {"result": []},
        {"result": {"type": 7}},
        {},
        {"result": {"type": "speech", "params": 5}, "final": False},
    ],
)
def test_odd_collect_events_do_no_harm(muted: Line, odd: dict[str, Any]) -> None:
    action = muted.call.collect(speech={})
    tell(muted, action, "calling.call.collect", odd)
    settle(muted)
    assert not action.is_done
    tell(muted, action, "calling.call.collect", collected("speech", text="yes", confidence="high"))
    assert action.wait(PATIENCE).text == "yes"
    assert action.confidence == 0.0


def detected(word: str, kind: str = "machine", **more: Any) -> dict[str, Any]:
    return {"detect": {"type": kind, "params": {"event": word, **more}}}


def test_detect_keeps_the_first_result_and_the_end_apart(muted: Line) -> None:
    action = muted.call.detect_answering_machine()
    first = Background(action.wait_for_result, PATIENCE)
    tell(muted, action, "calling.call.detect", detected("MACHINE"))
    found = first.result()
    assert found.event == "MACHINE"
    assert action.first is found
    assert action.is_machine
    assert not action.is_done
    with pytest.raises(WaitTimeout):
        action.wait(0.01)
    tell(muted, action, "calling.call.detect", detected("NOT_READY"))
    tell(muted, action, "calling.call.detect", detected("READY", beep=True))
    tell(muted, action, "calling.call.detect", detected("finished"))
    end = action.wait(PATIENCE)
    assert end.event == "finished"
    assert action.wait_for_result(0) is found
    assert [one.event for one in action.results] == ["MACHINE", "NOT_READY", "READY"]
    assert action.beep
    assert action.is_ready


def test_detect_that_finds_nothing(muted: Line) -> None:
    action = muted.call.detect_fax()
    first = Background(action.wait_for_result, PATIENCE)
    tell(muted, action, "calling.call.detect", {"detect": {}})
    tell(muted, action, "calling.call.detect", detected("finished", "fax"))
    end = first.result()
    assert isinstance(end, DetectEvent)
    assert end is action.result
    assert action.first is None
    assert (action.is_fax, action.tone, action.results) == (False, "", [])


def test_detect_that_ends_with_its_call_or_an_error(muted: Line) -> None:
    action = muted.call.detect_digit()
    other = muted.call.detect_digit()
    tell(muted, other, "calling.call.detect", detected("error", "digit"))
    with pytest.raises(ActionFailed):
        other.wait_for_result(PATIENCE)
    first = Background(action.wait_for_result, PATIENCE)
    muted.phone.hang_up()
    assert first.result().reason == "call_ended"


URL = "https://files.example.test/rec.mp3"


@pytest.mark.parametrize(
    "params",
    [
        {"url": URL, "duration": 2.5, "size": 900, "record": {"audio": {"format": "mp3"}}},
        {"record": {"url": URL, "duration": 2.5, "size": 900}},
        {"record": {"audio": {"url": URL, "duration": 2.5, "size": 900}}},
        {"url": URL, "duration": "2.5", "size": 900.0, "record": []},
    ],
)
def test_a_recording_s_members_are_found_wherever_they_sit(muted: Line, params: dict[str, Any]) -> None:
    action = muted.call.record()
    assert (action.url, action.duration, action.size) == ("", 0.0, 0)
    tell(muted, action, "calling.call.record", {"state": "finished", **params})
    event = action.wait(PATIENCE)
    assert (event.url, event.duration, event.size) == (URL, 2.5, 900)
    assert (action.url, action.duration, action.size) == (URL, 2.5, 900)


def test_a_recording_s_url_may_be_in_the_reply(muted: Line) -> None:
    muted.sim.hold("calling.record")
    starting = Background(muted.call.record)
    muted.sim.wait_for_held("calling.record")
    request = muted.sim.journal.requests("calling.record")[0]
    muted.sim.send_raw(
        f'{{"jsonrpc":"2.0","id":"{request["id"]}","result":{{"code":"200","message":"Recording","url":"{URL}"}}}}'
    )
    assert starting.result().url == URL


def test_tap_tells_where_the_media_come_from(muted: Line) -> None:
    muted.sim.hold("calling.tap")
    tap = {"type": "audio", "params": {"direction": "both"}}
    starting = Background(muted.call.tap, tap, {"type": "rtp", "params": {"addr": "192.0.2.9", "port": 4000}})
    muted.sim.wait_for_held("calling.tap")
    request = muted.sim.journal.requests("calling.tap")[0]
    muted.sim.send_raw(
        f'{{"jsonrpc":"2.0","id":"{request["id"]}","result":'
        '{"code":"200","source_device":{"type":"rtp","params":{"addr":"198.51.100.7","port":1}}}}'
    )
    assert starting.result().source_device == {"type": "rtp", "params": {"addr": "198.51.100.7", "port": 1}}


def test_pages_of_a_fax_are_counted(muted: Line) -> None:
    action = muted.call.receive_fax()
    tell(muted, action, "calling.call.fax", {"fax": {"type": "page", "params": {"number": 1}}})
    tell(muted, action, "calling.call.fax", {"fax": {"type": "page"}})
    settle(muted)
    assert (action.pages, action.state, action.is_done, action.success) == (2, "page", False, False)
    tell(muted, action, "calling.call.fax", {"fax": {"type": "finished", "params": {"success": "yes"}}})
    action.wait(PATIENCE)
    assert (action.pages, action.success, action.document) == (2, False, "")


def test_card_data_does_not_show(muted: Line) -> None:
    action = muted.call.pay("https://pay.example.test/")
    tell(muted, action, "calling.call.pay", {"result": "success", "payment_card_number": "4242424242424242"})
    event = action.wait(PATIENCE)
    assert isinstance(event, PayEvent)
    assert event.payment_card_number == "4242424242424242"
    assert "4242" not in repr(event)
    assert "4242" not in repr(action)


def test_queue_leave_uses_the_action_s_id(muted: Line) -> None:
    action = muted.call.queue_enter("support")
    other = muted.call.queue_enter("sales")
    muted.call.queue_leave("support")
    sent = muted.wait_for_request("calling.queue.leave")
    assert sent["control_id"] == action.control_id != other.control_id
    muted.call.queue_leave("nowhere")
    unknown = muted.wait_for_request("calling.queue.leave", 2)["control_id"]
    assert unknown not in (action.control_id, other.control_id)
    tell(muted, action, "calling.call.queue", {"status": "leave", "position": 0})
    assert action.wait(PATIENCE).status == "leave"
    assert not other.is_done


def test_queue_and_digits_read_like_the_reply(muted: Line) -> None:
    for action in (muted.call.queue_enter("support"), muted.call.send_digits("1")):
        assert action["code"] == "200"
        assert action.get("control_id") == action.control_id
        assert action.get("nothing", 5) == 5
        assert "message" in action
        assert bool(action)
        with pytest.raises(KeyError):
            action["nothing"]
