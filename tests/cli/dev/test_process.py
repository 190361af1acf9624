"""The process of a program, and its output."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from relay_sync.cli.dev.process import ProgramProcess
from relay_sync.threads.flag import Flag
from tests.support.background import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are listed only there")


@contextmanager
def many_descriptors() -> Iterator[None]:
    """The next descriptor is 1024 or more, as in a process with so many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 4096), hard))
    held = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while held[-1] < 1024:
            held.append(os.dup(held[0]))
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_output_is_read_whatever_the_numbers_of_its_descriptors() -> None:
    found: list[str] = []
    with many_descriptors():
        program = ProgramProcess.start([sys.executable, "-c", "print('here')"], dict(os.environ), found.append)
        try:
            until(lambda: found == ["here"])
        finally:
            assert program.stop(Flag(), after_signal=lambda: None, on_late=lambda seconds: None) in (0, -15)
