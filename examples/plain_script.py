"""Handle calls in the main thread without ``run()``. The ``on_call`` handler only puts them in a queue.

python examples/plain_script.py --simulate
"""

from __future__ import annotations

import queue

from _network import network, receiver

from relay_sync import Call

calls: queue.SimpleQueue[Call] = queue.SimpleQueue()

with receiver() as audio, network() as client:
    client.on_call(calls.put)
    with client:  # connects, and reconnects automatically
        call = calls.get(timeout=60)
        call.answer()
        action = call.stream(audio.url, codec="PCMU")
        print("the stream ended:", action.wait(timeout=60).state)
        call.wait_for_ended(timeout=60)
        print("the call ended:", call.end_reason)
