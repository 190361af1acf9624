"""Frames put back in order, within a window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay_sync.audio.messages import Media
from relay_sync.audio.reorder import Reorder


def _media(chunk: int | None, track: str = "inbound") -> Media:
    return Media(track, b"", chunk=chunk)


def _chunks(frames: list[Media]) -> list[int | None]:
    return [frame.chunk for frame in frames]


def test_what_comes_too_early_waits_for_what_is_missing() -> None:
    order = Reorder(0.2)
    got = [_chunks(order.push(_media(chunk), 0.0)) for chunk in (1, 3, 5, 2, 4, 6)]
    assert got == [[1], [], [], [2, 3], [4, 5], [6]]
    assert order.next_due is None


def test_not_for_longer_than_the_window() -> None:
    order = Reorder(0.2)
    for chunk, now in ((1, 0.0), (4, 0.1), (3, 0.15), (7, 0.25)):
        order.push(_media(chunk), now)
    assert order.next_due == 0.1 + 0.2
    assert _chunks(order.due(0.29)) == []
    assert _chunks(order.due(0.31)) == [3, 4]  # what comes before goes along
    assert _chunks(order.push(_media(2), 0.32)) == [2]  # too late, but not lost
    assert _chunks(order.due(0.5)) == [7]


def test_the_first_frames_may_be_out_of_order() -> None:
    order = Reorder(0.2)
    assert [_chunks(order.push(_media(chunk), 0.0)) for chunk in (2, 1, 3)] == [[], [1, 2], [3]]
    other = Reorder(0.2)
    assert _chunks(other.push(_media(0), 0.0)) == [0]


def test_tracks_do_not_wait_for_each_other_and_frames_without_a_number_do_not_wait() -> None:
    order = Reorder(0.2)
    order.push(_media(1), 0.0)
    order.push(_media(3), 0.0)
    assert _chunks(order.push(_media(1, "outbound"), 0.0)) == [1]
    assert _chunks(order.push(_media(None), 0.0)) == [None]
    assert _chunks(order.flush()) == [3]


@given(st.permutations(range(1, 30)), st.lists(st.integers(1, 29), max_size=5))
def test_whatever_the_order_all_comes_out_in_order(chunks: list[int], again: list[int]) -> None:
    order = Reorder(1.0)
    out = [frame.chunk for chunk in chunks for frame in order.push(_media(chunk), 0.0)]
    assert out + _chunks(order.flush()) == list(range(1, 30))
    assert [_chunks(order.push(_media(chunk), 0.0)) for chunk in again] == [[chunk] for chunk in again]


def test_memory_is_bounded() -> None:
    order = Reorder(1000.0)
    order.push(_media(1), 0.0)
    out = [frame.chunk for chunk in range(3, 2000) for frame in order.push(_media(chunk), 0.0)]
    assert out == list(range(3, 2000))


def test_memory_is_bounded_for_whoever_invents_tracks() -> None:
    order = Reorder(1000.0)
    passed = [order.push(_media(7, f"t{number}"), 0.0) for number in range(1000)]
    assert len(order.flush()) + sum(map(len, passed)) == 1000
    assert len(order._queues) <= 10
    assert [_chunks(order.push(_media(chunk), 0.0)) for chunk in (2, 1)] == [
        [],
        [1, 2],
    ]  # the call's own are put in order


def test_one_number_that_is_nonsense_does_not_end_the_order() -> None:
    order = Reorder(0.2)
    order.push(_media(1), 0.0)
    order.push(_media(99_999), 0.0)
    assert _chunks(order.due(0.3)) == [99_999]
    assert [_chunks(order.push(_media(chunk), 0.4)) for chunk in (3, 5, 4)] == [[3], [], [4, 5]]
