"""Sounds that tests tell apart."""

from __future__ import annotations


def tone(samples: int, step: int = 37) -> bytes:
    """A sawtooth: no two frames of it are alike."""
    return b"".join(((index * step) % 20000 - 10000).to_bytes(2, "little", signed=True) for index in range(samples))
