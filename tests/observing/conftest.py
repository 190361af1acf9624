"""Observers of nobody in particular."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relay_sync.observing.observers import Observers
from tests.support import PATIENCE


@pytest.fixture
def observers() -> Iterator[Observers]:
    made = Observers()
    yield made
    made.close(PATIENCE)
