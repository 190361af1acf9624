"""Health checks as a probe or Prometheus makes them, and processes for the health server to show."""

from __future__ import annotations

import re
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from attrs import frozen

from relay_sync.health.report import Report
from relay_sync.health.verdicts import Overview, ProcessHealth
from tests.support import PATIENCE

#: A line of metrics: name, labels, value.
_SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-z]+="[^"\\]*",?)+)\} ([0-9.e+-]+)')


@frozen
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: str


def ask(address: str, path: str, method: str = "GET", **headers: str) -> Answer:
    """Make one request.

    :param address: ``host:port``.
    """
    connection = HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=headers)
        response: HTTPResponse = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read().decode())
    finally:
        connection.close()


def series(text: str) -> dict[str, float]:
    """The values of metrics, by name and labels; fails on a line that is no metric."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))", line), line
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample is not None, line
        name = f"{sample[1]}{{{sample[2]}}}"
        assert name not in found, f"twice: {name}"
        found[name] = float(sample[3])
    return found


def process(number: int = 0, **changes: Any) -> ProcessHealth:
    """A process that is connected and has just reported, or what differs from it."""
    report = Report(connected=True, threads=1)
    return ProcessHealth(**{"number": number, "pid": 100 + number, "age": 90.0, "report": report, **changes})


def overview(*processes: ProcessHealth, **changes: Any) -> Overview:
    """These processes."""
    return Overview(processes=processes, **changes)
