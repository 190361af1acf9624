"""Timelines of turns, in a terminal and in a notebook."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.audio.speech import Transcript, TranscriptLine

LINES = (
    TranscriptLine(who="agent", start=0.0, end=2.0, text="How can I help?", heard_seconds=2.0, of_seconds=2.0),
    TranscriptLine(who="caller", start=2.5, end=4.0, text="<hello>"),
    TranscriptLine(who="agent", start=4.5, end=5.5, text="Our opening hours", heard_seconds=1.0, of_seconds=3.0),
    TranscriptLine(who="caller", start=5.25, end=5.25, keys="1"),
    TranscriptLine(who="agent", start=6.0, end=8.0, heard_seconds=2.0, of_seconds=2.0),
)
TALK = Transcript(LINES)


def test_a_timeline_has_a_row_for_each_side() -> None:
    assert TALK.timeline(16).splitlines() == [
        "caller       ███  ▲",
        "agent   ████     ██░████",
        "        0          8.0 s",
    ]


def test_a_timeline_in_ascii_shows_what_was_not_heard() -> None:
    cut = Transcript(LINES[:3])
    assert cut.timeline(15, ascii=True).splitlines() == [
        "caller       ###",
        "agent   ####     ##....",
        "        0         7.5 s",
    ]


def test_a_timeline_of_nothing() -> None:
    assert Transcript(()).timeline(20).splitlines() == ["caller", "agent", f"{'':8}0{'0.0 s':>19}"]
    assert "nothing has been said yet" in Transcript(())._repr_html_()
    with pytest.raises(ValueError, match="width"):
        TALK.timeline(0)


def test_the_timeline_of_a_notebook() -> None:
    shown = TALK._repr_html_()
    tree = ElementTree.fromstring(f"<div>{shown}</div>")
    titles = [each.text for each in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == [
        "2.5 s: <hello>",
        "5.2 s: [keys 1]",
        "0.0 s: How can I help?",
        "4.5 s: Our opening hours [heard 1.0 of 3.0 s]",
        "5.5 s: Our opening hours [not heard]",
        "6.0 s: (no words)",
    ]
    assert "2.5 s, caller" in "".join(tree.itertext())


SPANS = st.tuples(st.floats(0, 100), st.floats(0, 100), st.sampled_from(["caller", "agent"]), st.floats(0, 9))


@given(st.lists(SPANS, max_size=12), st.integers(1, 120))
def test_a_timeline_fits(spans: list[tuple[float, float, str, float]], width: int) -> None:
    lines = tuple(
        TranscriptLine(
            who="caller" if who == "caller" else "agent",
            start=start,
            end=start + length,
            heard_seconds=0.0,
            of_seconds=of,
        )
        for start, length, who, of in spans
    )
    drawn = Transcript(lines).timeline(width).splitlines()
    assert len(drawn) == 3
    assert all(len(row) <= 8 + width for row in drawn[:2])
    ElementTree.fromstring(f"<div>{Transcript(lines)._repr_html_()}</div>")


def test_a_timeline_of_no_time() -> None:
    line = TranscriptLine(who="caller", start=0.0, end=5e-324, text="hello")
    assert Transcript((line,)).timeline(10).splitlines()[0] == "caller  █"
