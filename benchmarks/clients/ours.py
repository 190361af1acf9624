"""relay_sync, as its documentation says to use it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from relay_sync import Call, RelayClient, RelayError

from . import STREAM_URL

__all__ = ["Ours"]

PATIENCE = 120.0


class Ours:
    """See :class:`benchmarks.clients.Adapter`."""

    def __init__(self, port: int, ca_file: str | None) -> None:
        self.client = RelayClient(
            project="bench",
            token="bench",
            host=f"{'wss' if ca_file else 'ws'}://localhost:{port}",
            contexts=["bench"],
            ca_file=ca_file,
            max_active_calls=100_000,
        )

    def connect(self) -> None:
        self.client.connect()

    def close(self) -> None:
        self.client.disconnect()

    def execute(self, method: str, params: dict[str, object]) -> dict[str, object]:
        return self.client.execute(method, params)

    def sequence(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self.client.execute("bench.echo", {"text": "x"})
            took.append(time.perf_counter() - began)
        return took

    def crowd(self, callers: int, each: int) -> float:
        go = threading.Event()

        def call() -> None:
            go.wait()
            for _ in range(each):
                self.client.execute("bench.echo", {"text": "x"})

        threads = [threading.Thread(target=call, name="bench", daemon=True) for _ in range(callers)]
        for thread in threads:
            thread.start()
        began = time.perf_counter()
        go.set()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    def flood(self, count: int) -> float:
        done = threading.Event()
        seen = 0

        def listen(event: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == count:
                done.set()

        taken: list[Call] = []
        ready = threading.Event()

        @self.client.on_call
        def handle(call: Call) -> None:
            call.on("calling.call.play", listen)
            taken.append(call)
            ready.set()

        self.client.execute("bench.offer", {"count": 1})
        ready.wait(PATIENCE)
        began = time.perf_counter()
        self.client.execute("bench.flood", {"count": count, "call_id": taken[0].call_id})
        done.wait(PATIENCE)
        self.client.execute("bench.acknowledged", {})
        assert seen == count
        return time.perf_counter() - began

    def _calls(self, count: int, handler: Callable[[Call], None]) -> float:
        done = threading.Semaphore(0)

        @self.client.on_call
        def handle(call: Call) -> None:
            handler(call)
            done.release()

        began = time.perf_counter()
        self.client.execute("bench.offer", {"count": count})
        for _ in range(count):
            assert done.acquire(timeout=PATIENCE)
        return time.perf_counter() - began

    def lifecycle(self, count: int) -> float:
        def handle(call: Call) -> None:
            call.answer()
            action = call.stream(STREAM_URL, track="inbound", codec="PCMU")
            action.wait()
            call.hangup()

        return self._calls(count, handle)

    def idle(self, count: int) -> None:
        there = threading.Semaphore(0)

        @self.client.on_call
        def handle(call: Call) -> None:
            there.release()
            call.wait_for_ended()

        self.client.execute("bench.offer", {"count": count})
        for _ in range(count):
            assert there.acquire(timeout=PATIENCE)

    def block(self, count: int, pause: float) -> float:
        return self._calls(count, lambda call: time.sleep(pause))

    def repair(self) -> float:
        cutter = threading.Thread(target=self._cut, name="bench", daemon=True)
        began = time.perf_counter()
        cutter.start()
        cutter.join()
        while True:
            try:
                self.client.execute("bench.echo", {})
            except RelayError:
                continue
            return time.perf_counter() - began

    def _cut(self) -> None:
        try:
            self.client.execute("bench.cut", {})
        except RelayError:
            pass
