"""Live calls in an SQLite file. ``control_owner.py`` and ``control_flask.py`` both use this module.

On several machines, use your database server instead. The update in ``claim_stream`` must be atomic.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

#: Columns that the web application shows.
SHOWN: Final = ("call_id", "caller", "since", "control_id")
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS calls (
    call_id TEXT PRIMARY KEY,
    caller TEXT NOT NULL,
    since REAL NOT NULL,
    audio_url TEXT NOT NULL,
    control_id TEXT UNIQUE
)"""


@contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    """Open the file for one transaction. A process that holds the lock delays the others by up to 5 seconds."""
    with closing(sqlite3.connect(os.environ.get("CONTROL_DB", "control.db"), timeout=5)) as database, database:
        database.row_factory = sqlite3.Row
        database.execute(_TABLE)
        yield database


def add(call_id: str, caller: str, audio_url: str) -> None:
    """Add a live call. ``audio_url`` is the address of the receiver for its streams."""
    with _database() as database:
        values = (call_id, caller, time.time(), audio_url)
        database.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?, ?, NULL)", values)


def remove(call_id: str) -> None:
    """Remove a call that has ended."""
    with _database() as database:
        database.execute("DELETE FROM calls WHERE call_id = ?", (call_id,))


def live() -> list[dict[str, Any]]:
    """Return all live calls, the oldest first."""
    with _database() as database:
        return [dict(row) for row in database.execute("SELECT * FROM calls ORDER BY since")]


def find(call_id: str) -> dict[str, Any] | None:
    """Return a live call, or ``None`` if there is no such call."""
    with _database() as database:
        row = database.execute("SELECT * FROM calls WHERE call_id = ?", (call_id,)).fetchone()
        return None if row is None else dict(row)


def claim_stream(call_id: str, control_id: str) -> bool:
    """Store the ID of a call's stream. Return false if the call already has a stream or is not in the table."""
    with _database() as database:
        claim = "UPDATE calls SET control_id = ? WHERE call_id = ? AND control_id IS NULL"
        return database.execute(claim, (control_id, call_id)).rowcount == 1


def release_stream(control_id: str) -> None:
    """Remove the ID of a stream that has ended or was not started."""
    with _database() as database:
        database.execute("UPDATE calls SET control_id = NULL WHERE control_id = ?", (control_id,))
