"""Frames in the log: never a secret, and not written out where nobody reads them."""

from __future__ import annotations

import logging

import pytest

from relay_sync.protocol import frames
from relay_sync.simulator import Simulator
from tests.support.lines import Line, line


def test_its_tracing_shows_no_secret(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("websocket", "relay_sync", "relay_sync.protocol"):
        caplog.set_level(logging.DEBUG, logger=name)
    with line(sim) as one:
        one.drop()
    assert "signalwire.connect" in caplog.text
    assert sim.settings.token not in caplog.text


def test_frames_are_not_written_out_for_a_log_that_is_off(muted: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    real = frames.Masked.__str__

    def spied(self: frames.Masked) -> str:
        written.append("x")
        return real(self)

    monkeypatch.setattr(frames.Masked, "__str__", spied)
    logger = logging.getLogger("relay_sync.protocol")
    assert logger.level == logging.NOTSET  # which a comparison would take for "log everything"
    muted.call.denoise()
    assert written == []
    logger.setLevel(logging.DEBUG)
    try:
        muted.call.denoise()
    finally:
        logger.setLevel(logging.NOTSET)
    assert written
