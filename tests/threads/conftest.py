"""Fixtures for the tests of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from relay_sync.threads import process


@pytest.fixture
def on_io_thread() -> Iterator[None]:
    """The test runs on what counts as an IO thread."""
    process.io_threads.add(threading.get_ident())
    yield
    process.io_threads.discard(threading.get_ident())
