"""Run the ``relay-sync`` command with ``python -m relay_sync``."""

from __future__ import annotations

from .cli import entry

if __name__ == "__main__":
    entry()
