"""Write the OpenAPI description of the simulator's control interface: ``python -m tests.support.openapi``.

Not a test. ``tests/simulator/http/test_openapi.py`` compares the file with the routes.
"""

from __future__ import annotations

from relay_sync.simulator.http.control import openapi
from relay_sync.simulator.http.control.routes import ROUTES

if __name__ == "__main__":
    openapi.FILE.write_text(openapi.written(ROUTES), encoding="utf-8")
