"""What notebooks show of a client, a call and an action: well-formed, escaped, and true."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from support import FROM, PATIENCE, TO, line

from relay_sync import Call
from relay_sync.call import REMEMBERED_EVENTS
from relay_sync.markup import MOST_ROWS, Moment, panel, table, timeline
from relay_sync.simulator import Simulator


def read(markup: str) -> ElementTree.Element:
    """Well-formed, whoever wrote the texts in it."""
    return ElementTree.fromstring(markup)


def words(markup: str) -> str:
    return " ".join(" ".join(read(markup).itertext()).split())


def test_a_call_is_shown_with_its_timeline(sim: Simulator) -> None:
    with line(sim) as one:
        shown = one.call._repr_html_()
        assert "answered" in words(shown)
        assert f"from_number {FROM}" in words(shown)
        assert f"to_number {TO}" in words(shown)
        with one.call.expect("calling.call.play", lambda event: event.state == "finished", PATIENCE):
            action = one.call.play_silence(1)
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        shown = words(one.call._repr_html_())
        for text in ("ended (hangup)", f"play {action.control_id[:8]}", "finished", "ringing", "context default"):
            assert text in shown, shown
        about = words(action._repr_html_())
        assert "PlayAction" in about
        assert "ended by its own event" in about


def test_a_client_is_shown_with_its_calls_and_without_secrets(sim: Simulator) -> None:
    with line(sim) as one:
        shown = words(one.client._repr_html_())
        assert "state connected" in shown
        assert f"call {one.call.call_id} inbound, answered" in shown
        assert sim.settings.token not in one.client._repr_html_()


def test_an_action_that_its_call_ended(sim: Simulator) -> None:
    with line(sim) as one:
        sim.drop_event("calling.call.record", times=None)
        action = one.call.record()
        one.phone.hang_up()
        action.wait(PATIENCE)
        assert "synthetic, call_ended" in words(action._repr_html_())


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b", '"quoted"', "\N{GREEK SMALL LETTER OMEGA}"])
def test_what_others_wrote_is_text(text: str) -> None:
    moments = [Moment(0.0, f"calling.call.{text}", text, text), Moment(1.0, text, text)]
    shown = panel(text, table([(text, text)]), timeline(moments, now=2.0, over=False))
    assert text in words(shown)
    assert "<script" not in shown


def test_bars_that_are_wide_enough_tell_their_state() -> None:
    moments = [
        Moment(0.0, "calling.call.state", "ringing"),
        Moment(0.1, "calling.call.state", "answered"),
        Moment(0.2, "calling.call.play", "playing", "a-play"),
        Moment(8.0, "calling.call.play", "finished", "a-play"),
    ]
    picture = read(f"<div>{timeline(moments, now=10.0, over=False)}</div>").find("{http://www.w3.org/2000/svg}svg")
    assert picture is not None
    inside = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text") if each.get("fill") == "#fff"]
    assert inside == ["answered", "playing"]


def test_actions_whose_ids_begin_alike_have_rows_of_their_own() -> None:
    moments = [
        Moment(1.0, "calling.call.state", "answered"),
        Moment(2.0, "calling.call.play", "playing", "greeting-one"),
        Moment(3.0, "calling.call.play", "playing", "greeting-two"),
        Moment(4.0, "calling.call.play", "finished", "greeting-one"),
    ]
    shown = words(f"<div>{timeline(moments, now=5.0, over=False)}</div>")
    picture = shown.partition("events")[0]
    assert picture.count("play greeting") == 2
    assert "play playing, 1.000 s" in picture
    assert "play playing, 2.000 s" in picture


def test_a_long_life_has_bounds() -> None:
    moments = [Moment(float(number), "calling.call.play", "playing", f"{number:08}") for number in range(500)]
    shown = read(f"<div>{timeline(moments, now=600.0, over=False)}</div>")
    picture = shown.find("{http://www.w3.org/2000/svg}svg")
    assert picture is not None
    assert len(picture.findall("{http://www.w3.org/2000/svg}rect")) == MOST_ROWS
    for bar in picture.findall("{http://www.w3.org/2000/svg}rect"):
        assert 0 <= float(bar.attrib["x"]) <= 640


@pytest.mark.parametrize("moments", [[], [Moment(5.0, "calling.call.state", "ringing")]])
@pytest.mark.parametrize("over", [False, True])
def test_short_lives(moments: list[Moment], over: bool) -> None:
    assert read(f"<div>{timeline(moments, now=5.0, over=over)}</div>") is not None


def test_a_call_keeps_its_beginning_and_its_latest_events() -> None:
    client: Any = None
    call = Call(client, "c", "n", state="created")
    from relay_sync.events import parse_event

    for number in range(3 * REMEMBERED_EVENTS):
        call._on_event(
            parse_event({"event_type": "calling.call.play", "params": {"call_id": "c", "control_id": str(number)}})
        )
    assert call._history[0].state == "created"
    assert call._history[-1].control_id == str(3 * REMEMBERED_EVENTS - 1)
    assert len(call._history) <= REMEMBERED_EVENTS
