"""Values that are refused before anything is sent."""

from __future__ import annotations

import pytest

from relay_sync import (
    InvalidParameter,
)
from relay_sync.simulator import Simulator
from tests.support import PATIENCE
from tests.support.lines import line


def test_nonsense_does_not_go_to_the_wire(sim: Simulator) -> None:
    with line(sim) as one:
        with pytest.raises(InvalidParameter, match="url='not a url'"):
            one.call.stream("not a url", track="sideways")
        with pytest.raises(InvalidParameter, match="track='sideways'"):
            one.call.stream("wss://example.com/audio", track="sideways")
        with pytest.raises(TypeError):
            one.call.stream("wss://example.com/audio", trakc="inbound")  # type: ignore[call-arg]
        assert not sim.journal.requests("calling.stream")
        assert one.call.wait_for_answered(PATIENCE).params
