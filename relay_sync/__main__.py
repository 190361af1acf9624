"""``python -m relay_sync`` is ``relay-sync``."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
