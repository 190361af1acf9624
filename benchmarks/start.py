"""What a program pays before its first call: importing, and the way to ``on_call``."""

from __future__ import annotations

import compileall
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from .processes import ROOT

__all__ = ["FIRST_CALL", "IMPORTS", "compile_ours", "first_call", "importing"]

IMPORTS: Final = {
    "nothing": "pass",
    "ours": "from relay_sync import RelayClient",
    "ref": "from signalwire.relay import RelayClient",
    "bare": "import json, websocket",
}

_PLAIN: Final = """
import websockets
dial = websockets.connect
websockets.connect = lambda uri, **options: dial(uri.replace("wss:", "ws:"), **{**options, "ssl": None})
"""
_OFFICIAL: Final = """
from signalwire.relay import RelayClient
client = RelayClient(project="bench", token="bench", host="localhost:PORT", contexts=["at-once"])
"""
#: Each prints the monotonic time at which its first call was handed over.
FIRST_CALL: Final = {
    "ours": """
import time
from relay_sync import RelayClient
client = RelayClient(project="bench", token="bench", host="ws://localhost:PORT", contexts=["at-once"])
@client.on_call
def handle(call):
    print(time.monotonic(), flush=True)
    client.stop()
client.run()
""",
    "ref": f"""
import time, os
{_PLAIN}{_OFFICIAL}
@client.on_call
async def handle(call):
    print(time.monotonic(), flush=True)
    os._exit(0)
client.run()
""",
    "bridge": f"""
import asyncio, os, threading, time
{_PLAIN}{_OFFICIAL}
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
done = threading.Event()
def work(call):
    print(time.monotonic(), flush=True)
    done.set()
@client.on_call
async def handle(call):
    threading.Thread(target=work, args=(call,), daemon=True).start()
asyncio.run_coroutine_threadsafe(client.connect(), loop).result()
done.wait()
os._exit(0)
""",
    "bare": """
import json, time, uuid, websocket
ws = websocket.create_connection("ws://localhost:PORT", skip_utf8_validation=True)
ws.send(json.dumps({"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": "signalwire.connect", "params": {
    "version": {"major": 2, "minor": 0, "revision": 0}, "agent": "bare", "event_acks": True,
    "authentication": {"project": "bench", "token": "bench"}, "contexts": ["at-once"]}}))
while True:
    frame = json.loads(ws.recv())
    if frame.get("method") == "signalwire.event":
        ws.send(json.dumps({"jsonrpc": "2.0", "id": frame["id"], "result": {}}))
        if frame["params"]["event_type"] == "calling.call.receive":
            print(time.monotonic(), flush=True)
            break
""",
}


def compile_ours(root: Path = ROOT) -> None:
    """Make byte code as an installer does: where the environment forbids Python to write it, a checkout has none."""
    compileall.compile_dir(root / "relay_sync", quiet=1)


def importing(client: str, root: Path = ROOT) -> dict[str, float]:
    """Milliseconds that a process takes that only imports: by the clock and of a CPU."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS[client]], check=True, cwd=root)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": took * 1e3, "cpu": cpu * 1e3}


def first_call(client: str, port: int, root: Path = ROOT) -> dict[str, float]:
    """Milliseconds from the start of a process to its first call in ``on_call``."""
    code = FIRST_CALL[client].replace("PORT", str(port))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, timeout=60,
    )  # fmt: skip
    return {"wall": (float(done.stdout.split()[0]) - began) * 1e3}
