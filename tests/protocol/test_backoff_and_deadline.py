"""Backoff and deadlines."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay_sync.deadline import Deadline
from relay_sync.protocol.backoff import FIRST_JITTER, LONGEST, failures_after, retry_delay

steady = settings(derandomize=True, deadline=None)
UNIT = st.floats(0, 1, exclude_max=True)
TIMES = st.floats(0, 1e9)


@pytest.mark.parametrize(
    ("failures", "most"),
    [(-1, 0.05), (0, 0.05), (1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 30), (7, 30), (1000, 30), (10**9, 30)],
)
def test_the_limit_doubles_up_to_half_a_minute(failures: int, most: float) -> None:
    assert retry_delay(failures, 0.0) == 0.0
    assert retry_delay(failures, 0.5) == pytest.approx(most / 2)
    assert retry_delay(failures, math.nextafter(1.0, 0.0)) == pytest.approx(most)


@steady
@given(st.integers(-5, 10**6), UNIT)
def test_a_delay_is_never_negative_and_never_too_long(failures: int, random: float) -> None:
    delay = retry_delay(failures, random)
    assert 0 <= delay < LONGEST
    if failures <= 0:
        assert delay <= FIRST_JITTER


@steady
@given(st.integers(0, 100), UNIT)
def test_more_failures_never_wait_less(failures: int, random: float) -> None:
    assert retry_delay(failures + 1, random) >= retry_delay(failures, random)


@steady
@given(st.integers(0, 100), UNIT, UNIT)
def test_the_whole_range_is_used(failures: int, one: float, other: float) -> None:
    """Full jitter: many clients that lost the same server do not come back together."""
    assert (retry_delay(failures, one) <= retry_delay(failures, other)) is (one <= other) or one == other


@pytest.mark.parametrize(
    ("failures", "held", "left"),
    [(6, 0.0, 6), (6, 1.9, 6), (6, 2.0, 2), (6, 4.5, 3), (6, 9.9, 4), (1, 9.9, 1), (0, 5.0, 0)],
)
def test_after_a_session_that_held_for_a_moment_the_wait_is_no_longer_than_it_was(
    failures: int, held: float, left: int
) -> None:
    assert failures_after(failures, held) == left
    assert held < 2 or retry_delay(left, 0.999) <= held


def test_a_deadline_counts_down_and_passes() -> None:
    deadline = Deadline.after(100.0, 5.0)
    assert deadline == Deadline(105.0)
    assert (deadline.remaining(101.0), deadline.passed(101.0)) == (4.0, False)
    assert (deadline.remaining(105.0), deadline.passed(105.0)) == (0.0, True)
    assert (deadline.remaining(999.0), deadline.passed(999.0)) == (0.0, True)


@steady
@given(TIMES, TIMES)
def test_without_a_limit_it_never_passes(start: float, now: float) -> None:
    deadline = Deadline.after(start, None)
    assert deadline.remaining(now) is None
    assert not deadline.passed(now)


@steady
@given(TIMES, st.floats(-10, 1e6), TIMES)
def test_nothing_remains_exactly_when_it_has_passed(start: float, timeout: float, now: float) -> None:
    deadline = Deadline.after(start, timeout)
    left = deadline.remaining(now)
    assert left is not None
    assert left >= 0
    assert deadline.passed(now) is (left == 0)


def test_a_deadline_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Deadline(1.0).at = 2.0  # type: ignore[misc]
