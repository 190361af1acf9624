"""Fixtures for the tests of servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relay_sync.server.loop import Loop
from tests.support import PATIENCE


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop that runs."""
    made = Loop("relay-test-loop")
    made.start()
    yield made
    made.stop(PATIENCE)
