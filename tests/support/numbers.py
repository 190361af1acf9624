"""Numbers that are none."""

from __future__ import annotations

#: What Python's reader takes for numbers, and JSON has not, or which becomes infinity; and one that no float holds.
NO_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"]
HUGE = "1" + "0" * 400
