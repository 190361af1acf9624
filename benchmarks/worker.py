"""One client, one scenario, one process: prints the figures as the last line. For ``python -m benchmarks`` to start."""

from __future__ import annotations

import json
import logging
import sys

from .clients import make
from .scenarios import run

__all__ = ["main"]


def main() -> None:
    """``python -m benchmarks.worker '{"client": ..., "scenario": ..., "port": ..., "ca_file": ..., "options": {...}}'``"""
    given = json.loads(sys.argv[1])
    # Cuts are meant here.
    logging.disable(logging.CRITICAL)
    client = make(given["client"], given["port"], given.get("ca_file"))
    figures = run(client, given["client"], given["scenario"], given["options"])
    print("figures " + json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
