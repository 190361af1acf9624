"""Unique IDs for frames and controls."""

from __future__ import annotations

import os

__all__ = ["new_id"]


def new_id() -> str:
    """Return a version 4 UUID as a string. This is four times as fast as ``uuid.uuid4``."""
    number = os.urandom(16)
    digits = number.hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[number[8] & 3]}{digits[17:20]}-{digits[20:]}"
