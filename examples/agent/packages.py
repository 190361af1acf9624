"""What to do if a package of the agent is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["needed"]


@contextmanager
def needed() -> Iterator[None]:
    """Context manager in which packages are imported. If one is missing, the error contains the command that installs them."""
    try:
        yield
    except ImportError as missing:
        raise ImportError(
            f'{missing}; in a checkout of relay_sync, pip install -e ".[all,vad]" -r examples/agent/requirements.txt'
        ) from missing
