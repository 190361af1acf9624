"""One line of a kind, and then one a minute that says how many were left out."""

from __future__ import annotations

import logging

import pytest

from relay_sync.threads import logs, rate_limited_log
from relay_sync.threads.rate_limited_log import RateLimitedLog


@pytest.fixture
def limited() -> RateLimitedLog:
    return RateLimitedLog(logs.get("relay_sync"))


def test_a_kind_is_logged_once_a_minute_with_how_many_were_left_out(
    limited: RateLimitedLog, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        limited.warning("slow", "slow: %d", number)
        limited.warning("odd", "100 % odd")
    monkeypatch.setattr(rate_limited_log, "INTERVAL", 0.0)
    limited.warning("slow", "slow: %d", 3)
    limited.warning("slow", "slow: %d", 4)
    limited.warning("odd", "100 % odd")
    assert caplog.messages == [
        "slow: 0",
        "100 % odd",
        "slow: 3; 2 more since the last such message",
        "slow: 4",
        "100 % odd; 2 more since the last such message",
    ]


def test_what_is_forgotten_is_logged_at_once(limited: RateLimitedLog) -> None:
    assert [limited.due("refused") for _ in range(3)] == [0, None, None]
    assert (limited.count("refused"), limited.count("lost")) == (3, 0)
    limited.forget()
    assert limited.count("refused") == 0
    assert limited.due("refused") == 0


def test_an_exception_ends_nothing_but_the_block(limited: RateLimitedLog, caplog: pytest.LogCaptureFixture) -> None:
    for error in (KeyError("first"), KeyError("second"), OSError("third")):
        with limited.caught("internal error"):
            raise error
    assert caplog.messages == ["internal error", "internal error"]
    told = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [str(error) for error in told] == ["'first'", "third"]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    with pytest.raises(KeyboardInterrupt), limited.caught("internal error"):
        raise KeyboardInterrupt
