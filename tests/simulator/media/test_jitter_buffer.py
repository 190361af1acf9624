"""Where a jitter buffer puts what arrives: the depth, its growth, the trimming, gaps. Time is a number here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay_sync.simulator.media.jitter_buffer import DEEPEST, LONGEST, SHORTEST, WINDOW, JitterBuffer
from tests.support.tones import tone

RATE = 8000
FRAME = RATE // 50


def filled(buffer: JitterBuffer, frames: int, *, start: int = 0, ahead: int = 0, drift: float = 0.0) -> list[int]:
    """Supply and render frames in turn, ``ahead`` frames early; return how far each was from being rendered."""
    far = []
    for index in range(start, start + frames):
        now = round((index - ahead) * FRAME * (1 - drift))
        buffer.rendered = now + FRAME
        end = buffer.take(tone(FRAME, index % 90 + 1), None, now)
        far.append(end - FRAME - buffer.rendered)
    return far


def test_regular_frames_are_rendered_whole_and_in_order() -> None:
    buffer = JitterBuffer(RATE, 5.0)
    assert set(filled(buffer, 500)) == {round(SHORTEST * RATE)}
    assert (buffer.late, buffer.trimmed) == (0, 0)
    first = 499 * FRAME + FRAME + round(SHORTEST * RATE)
    assert buffer.cut(first, FRAME) == tone(FRAME, 499 % 90 + 1)
    assert buffer.cut(first - FRAME, FRAME) == tone(FRAME, 498 % 90 + 1)
    assert buffer.cut(first + FRAME, FRAME) == bytes(2 * FRAME)


def test_late_frames_deepen_the_buffer_up_to_a_limit_and_calm_makes_it_shallow_again() -> None:
    buffer = JitterBuffer(RATE, 5.0)
    now, depths = 0, []
    for _ in range(10):
        now += RATE  # a second in which nothing arrived
        buffer.rendered = now
        depths.append(buffer.take(tone(FRAME), None, now) - FRAME - now)
    assert depths[:3] == [round(each * RATE) for each in (SHORTEST, 0.04, 0.06)]
    assert depths[-1] == round(DEEPEST * RATE)
    assert buffer.late == 9
    for _ in range(50 * 60):
        now += FRAME
        buffer.rendered = now
        end = buffer.take(tone(FRAME), None, now)
    assert end - FRAME - now <= round((SHORTEST + 0.01) * RATE)
    assert buffer.late == 9


def test_a_buffer_that_was_filled_at_the_start_does_not_stay_full() -> None:
    buffer = JitterBuffer(RATE, 5.0)
    for _ in range(10):
        buffer.take(tone(FRAME), None, 0)  # 0.2 s at once
    far = filled(buffer, 200)
    assert max(far) > round(0.15 * RATE)
    assert far[-1] <= round((SHORTEST + 0.01) * RATE)
    assert buffer.trimmed > 0.1 * RATE
    assert buffer.late == 0


@pytest.mark.traced
def test_a_clock_that_is_a_little_faster_does_not_fill_the_buffer() -> None:
    buffer = JitterBuffer(RATE, 5.0)
    far = filled(buffer, 50 * 600, drift=0.001)
    assert max(far) < (SHORTEST + 0.01 + 0.001 * 2 * WINDOW + 0.021) * RATE
    assert buffer.trimmed > 0


def test_a_burst_drops_the_oldest_audio() -> None:
    buffer = JitterBuffer(RATE, 5.0)
    ends = [buffer.take(tone(FRAME), None, 0) for _ in range(500)]
    assert max(ends) <= LONGEST * RATE + 2 * FRAME


def test_samples_that_the_sender_skipped_are_silence() -> None:
    buffer = JitterBuffer(RATE, 5.0)
    end = buffer.take(tone(FRAME), 1000, 0)
    assert buffer.take(tone(FRAME), 1000 + 2 * FRAME, FRAME) == end + 2 * FRAME
    assert buffer.cut(end - FRAME, 3 * FRAME) == tone(FRAME) + bytes(2 * FRAME) + tone(FRAME)


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 100_000), st.none() | st.integers(0, 10**9)), max_size=60)
)
def test_whatever_arrives_the_buffer_is_bounded_and_never_in_the_past(steps: list[tuple[int, int, int | None]]) -> None:
    buffer = JitterBuffer(RATE, 1.0)
    now = 0
    for count, passed, at in steps:
        now += passed
        end = buffer.take(tone(count), at, now)
        assert now <= end - count <= now + LONGEST * RATE + 1
        assert len(buffer._pcm) <= 2 * (1.0 + LONGEST + 1.0) * RATE + 2 * count
        assert len(buffer.cut(end - 300, 300)) == 600
