"""Debian's Prometheus on a free port, and what its API answers."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support import programs
from tests.support.hosting import PATIENCE
from tests.support.ports import hold_port

__all__ = ["api", "prometheus", "wait_for"]


@contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Prometheus with the ``prometheus.yml`` of a folder, where it also writes. :return: its address."""
    program = programs.need("prometheus")
    with hold_port() as held, (folder / "prometheus.log").open("wb") as log:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield address
        finally:
            process.terminate()
            process.wait(PATIENCE)


def api(address: str, path: str) -> Any:
    connection = HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request("GET", f"/api/v1/{path}")
        return json.loads(connection.getresponse().read())["data"]
    finally:
        connection.close()


def wait_for(address: str, query: str, wanted: dict[str, float], folder: Path) -> None:
    """Return once a query has these values, by process."""
    end = time.monotonic() + PATIENCE
    found: dict[str, float] = {}
    while found != wanted:
        assert time.monotonic() < end, f"{query}: {found}\n{(folder / 'prometheus.log').read_text()}"
        time.sleep(0.1)
        try:
            result = api(address, f"query?query={quote(query)}")["result"]
        except (OSError, HTTPException, ValueError):  # it is starting
            continue
        found = {each["metric"].get("process", ""): float(each["value"][1]) for each in result}
