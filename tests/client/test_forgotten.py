"""Clients that a program forgets, or that it still uses as it ends."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from relay_sync import RelayClient
from relay_sync.simulator import Simulator
from tests.support import PATIENCE, ROOT


def test_nothing_keeps_a_forgotten_client_alive(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    client = RelayClient(**sim.credentials)
    client.connect()
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    sim.wait_until_gone(PATIENCE)


def test_no_thread_is_needed_at_the_interpreter_s_end() -> None:
    """A client that is used while the interpreter ends says what is the matter, and the interpreter ends."""
    code = """
import atexit
from relay_sync import RelayClient, RelayError
from relay_sync.simulator import Simulator
sim = Simulator(media="fast").start()
client = RelayClient(**sim.credentials)
def late():
    try:
        client.execute("signalwire.ping", {}, timeout=5)
        print("answered")
    except RelayError as error:
        print("told", type(error).__name__)
atexit.register(sim.close)
atexit.register(late)
client.connect()
print("connected")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "connected"
    assert done.stdout.splitlines()[1].split()[0] in ("answered", "told")
    assert "Traceback" not in done.stderr
