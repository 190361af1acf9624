"""A fork in the middle of an import of ours: the child would wait for a lock that nobody holds any more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks as POSIX has them")

PROGRAM = """
import importlib.machinery, os, sys, threading
from relay_sync import RelayClient
from relay_sync.threads import process
from relay_sync.simulator import Simulator

name, patience = sys.argv[1], float(sys.argv[2])
under_way, go_on = threading.Event(), threading.Event()

class Gate:
    def find_spec(self, wanted, path=None, target=None):
        if wanted != name or under_way.is_set():
            return None
        found = importlib.machinery.PathFinder.find_spec(wanted, path, target)
        execute = found.loader.exec_module

        def exec_module(module):
            under_way.set()
            go_on.wait(60)
            execute(module)

        found.loader.exec_module = exec_module
        return found

# What the simulator has imported as well; the client has not been used yet.
for module in [each for each in sys.modules if (each + ".").startswith((name + ".", "relay_sync.connection.transport."))]:
    del sys.modules[module]
    parent, _, last = module.rpartition(".")
    if hasattr(sys.modules.get(parent), last):
        delattr(sys.modules[parent], last)
sys.meta_path.insert(0, Gate())
process.IMPORT_PATIENCE = patience
look = process._importing

def looked():
    try:
        return look()
    finally:
        if patience > 1:
            go_on.set()  # the import goes on once somebody waits for it

process._importing = looked
with Simulator() as sim:
    client = RelayClient(**sim.credentials, connect_timeout=20)
    connecting = threading.Thread(target=client.connect, daemon=True)
    connecting.start()
    assert under_way.wait(20)
    child = os.fork()
    if child == 0:
        try:
            if patience > 1:
                client.connect()
            os._exit(0)
        finally:
            os._exit(1)
    go_on.set()
    _, status = os.waitpid(child, 0)
    connecting.join(20)
    client.disconnect()
    print("child", status, "parent", connecting.is_alive())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "patience"),
    [
        pytest.param("websocket", 20, id="in a thread of ours"),
        pytest.param("relay_sync.connection.io_loop", 20, id="in the user's thread"),
        pytest.param("websocket", 0.01, id="one that does not come to an end"),
    ],
)
def test_a_fork_waits_for_an_import_that_is_under_way(name: str, patience: float) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, str(patience)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "child 0 parent False\n", done.stderr
