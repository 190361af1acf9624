"""Fixtures for the tests of audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from relay_sync.audio import AudioServer
from tests.support.carrier import Carrier


@pytest.fixture
def audio() -> Iterator[AudioServer]:
    """A receiver that listens."""
    with AudioServer() as server:
        yield server


@pytest.fixture
def dial() -> Iterator[Callable[..., Carrier]]:
    """Connect carriers to a receiver, at its own URL or another one; whatever becomes of them, they are gone at the end."""
    made: list[Carrier] = []

    def make(server: AudioServer, **options: Any) -> Carrier:
        made.append(Carrier(options.pop("url", server.url), **options))
        return made[-1]

    yield make
    for carrier in made:
        carrier.ws.shutdown()  # type: ignore[no-untyped-call]
