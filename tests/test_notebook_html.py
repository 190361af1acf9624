"""What notebooks show of a client, a call and an action: well-formed, escaped, and true."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest

from relay_sync import Call, RelayClient
from relay_sync.audio.picture import html_picture
from relay_sync.audio.stats import StreamStats
from relay_sync.call.call import core_of
from relay_sync.call.core import REMEMBERED_EVENTS
from relay_sync.notebook_html import BARS, LINES, MOST_ROWS, Moment, axis, panel, table, timeline
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.lines import FROM, TO, line

SVG = "{http://www.w3.org/2000/svg}"


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
    shown = read(f"<div>{timeline(moments, now=10.0, over=False)}</div>")
    inside = [each.text for each in shown.iter(f"{SVG}text") if each.get("style") == "fill:#fff"]
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
    bars = list(shown.iter(f"{SVG}rect"))
    assert len(bars) == MOST_ROWS
    for bar in bars:
        assert 0 <= float(bar.attrib["x"].rstrip("%")) < 100


@pytest.mark.parametrize("moments", [[], [Moment(5.0, "calling.call.state", "ringing")]])
@pytest.mark.parametrize("over", [False, True])
def test_short_lives(moments: list[Moment], over: bool) -> None:
    assert read(f"<div>{timeline(moments, now=5.0, over=over)}</div>") is not None


def test_a_call_keeps_its_beginning_and_its_latest_events(client: Callable[..., RelayClient]) -> None:
    call = Call(client(), "c", "n", state="created")
    from relay_sync.events import parse_event

    for number in range(3 * REMEMBERED_EVENTS):
        core_of(call).on_event(
            parse_event({"event_type": "calling.call.play", "params": {"call_id": "c", "control_id": str(number)}})
        )
    assert core_of(call).history[0].state == "created"
    assert core_of(call).history[-1].control_id == str(3 * REMEMBERED_EVENTS - 1)
    assert len(core_of(call).history) <= REMEMBERED_EVENTS


# -- on any page -------------------------------------------------------------------------------------------------------

LIGHT, DARK = "#ffffff", "#111111"  # of notebooks, within a shade
LIFE = [
    *(Moment(float(number), "calling.call.state", state) for number, state in enumerate(BARS)),
    Moment(9.0, "calling.call.play", "playing", "a-play"),
]


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As the accessibility guidelines for web content define it, from 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("color", [*BARS.values(), *LINES])
def test_bars_and_lines_stand_out_on_light_and_dark_and_so_does_the_text_on_them(color: str) -> None:
    assert contrast(color, LIGHT) >= 3
    assert contrast(color, DARK) >= 3
    assert contrast(color, "#ffffff") >= 4.5


def pictures() -> dict[str, str]:
    wave = html_picture(
        lambda start, count: bytes(4 * count),
        samples=16000,
        channels=2,
        sample_rate=8000,
        labels=("inbound", "outbound"),
    )
    return {
        "timeline": timeline(LIFE, now=20.0, over=False),
        "empty timeline": timeline([], now=20.0, over=False),
        "waveform": wave.replace(' controls preload="metadata"', ""),
        "table": table([("state", "connected")]),
        "panel": panel("Call", table([("state", "answered")])),
        "stats": StreamStats()._repr_html_(),
    }


@pytest.mark.parametrize("name", list(pictures()))
def test_text_has_the_color_of_the_page(name: str) -> None:
    """Also that of SVG, which is black if nothing is said."""
    root = read(f"<div>{pictures()[name]}</div>".replace("></audio>", "/>"))
    parents = {child: parent for parent in root.iter() for child in parent}
    for each in root.iter():
        for color in re.findall(r"(?:color|fill|stroke)[:=]\"?([^;\"]+)", each.get("style") or ""):
            assert color in ("currentColor", "#fff", *LINES), color
        if each.tag == f"{SVG}text" and each.get("style") != "fill:#fff":
            above = [each]
            while above[-1] in parents:
                above.append(parents[above[-1]])
            assert any("fill:currentColor" in (one.get("style") or "") for one in above), each.text


def test_text_on_a_bar_is_inside_it_on_a_narrow_page() -> None:
    root = read(f"<div>{timeline(LIFE, now=20.0, over=False)}</div>")
    bars = {bar.attrib["x"]: float(bar.attrib["width"].rstrip("%")) for bar in root.iter(f"{SVG}rect")}
    texts = [each for each in root.iter(f"{SVG}text") if each.get("style") == "fill:#fff"]
    assert texts
    for each in texts:
        assert bars[each.attrib["x"]] / 100 * (420 - 160) > 6 * len(each.text or "")


def test_nothing_is_wider_than_the_page() -> None:
    for name, shown in pictures().items():
        for width in re.findall(r"(?<!-)width=\"(\d+)\"", shown):
            assert int(width) <= 160, name
        assert "px" not in "".join(re.findall(r"(?<!max-)width:([^;\"]+)", shown)), name


def test_tables_look_alike() -> None:
    styles = [set(re.findall(r"<t[hd] style=\"([^\"]+)\"", pictures()[name])) for name in ("table", "panel", "stats")]
    assert styles[0] == styles[1] == styles[2]


@pytest.mark.parametrize(
    ("seconds", "marks"),
    [
        (0.0, ["0 s"]),
        (0.004, ["0 s", "0.001 s", "0.002 s", "0.003 s", "0.004 s"]),
        (3.6, ["0 s", "1 s", "2 s", "3 s"]),
        (8.1, ["0 s", "2 s", "4 s", "6 s", "8 s"]),
        (20.0, ["0 s", "5 s", "10 s", "15 s", "20 s"]),
        (90.0, ["0 s", "30 s", "1:00", "1:30"]),
        (3600.0, ["0 s", "15:00", "30:00", "45:00", "1:00:00"]),
    ],
)
def test_time_has_marks(seconds: float, marks: list[str]) -> None:
    drawn = axis(seconds, 0)
    assert re.findall(r"<text [^>]+>([^<]+)<", drawn) == marks


@pytest.mark.parametrize("exponent", range(-4, 9))
@pytest.mark.parametrize("part", [1.0, 1.7, 3.3, 6.01, 9.99])
def test_marks_are_few_and_within_the_drawing(exponent: int, part: float) -> None:
    places = [float(place) for place in re.findall(r"<text x=\"([0-9.]+)%", axis(part * 10**exponent, 0))]
    assert 1 <= len(places) <= 6
    assert all(0 <= place <= 100.01 for place in places)


def test_the_waveform_has_a_time_axis() -> None:
    assert re.findall(r"<text [^>]+>([^<]+)<", pictures()["waveform"]) == ["0 s", "0.5 s", "1 s", "1.5 s", "2 s"]
