"""The official SDK: in its own idiom, and bridged from threads as blocking programs must use it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import websockets
from signalwire.relay import RelayClient

from . import STREAM_URL

__all__ = ["Bridge", "Reference"]

PATIENCE = 120.0


class Official:
    """What both share: the client and its loop. It speaks ``wss://`` only, so plain sockets need a word with its dialling."""

    def __init__(self, port: int, ca_file: str | None) -> None:
        if ca_file:
            os.environ["SIGNALWIRE_RELAY_CA_FILE"] = ca_file
        else:
            dial = websockets.connect

            def plain(uri: str, **options: Any) -> Any:
                return dial(uri.replace("wss://", "ws://", 1), **{**options, "ssl": None})

            websockets.connect = plain  # type: ignore[assignment,misc]
        self.loop = asyncio.new_event_loop()
        self.client: Any = RelayClient(
            project="bench", token="bench", host=f"localhost:{port}", contexts=["bench"], max_active_calls=100_000
        )

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the loop and wait for it."""
        return self.loop.run_until_complete(work)

    def connect(self) -> None:
        self.run(self.client.connect())

    def close(self) -> None:
        self.run(self.client.disconnect())

    def execute(self, method: str, params: dict[str, object]) -> dict[str, object]:
        result: dict[str, object] = self.run(self.client.execute(method, params))
        return result

    async def _repair(self) -> float:
        began = time.perf_counter()
        try:
            await self.client.execute("bench.cut", {})
        except Exception:
            pass
        while True:
            try:
                await self.client.execute("bench.echo", {})
            except Exception:
                await asyncio.sleep(0.001)
                continue
            return time.perf_counter() - began

    async def _run_and_repair(self) -> float:
        # Only run() mends a connection.
        running = asyncio.ensure_future(self.client._run_forever())
        while not self.client.relay_protocol:  # noqa: ASYNC110 - it has no event for that
            await asyncio.sleep(0.001)
        try:
            return await self._repair()
        finally:
            await self.client.disconnect()
            await running


class Reference(Official):
    """See :class:`benchmarks.clients.Adapter`."""

    def sequence(self, count: int) -> list[float]:
        async def work() -> list[float]:
            took = []
            for _ in range(count):
                began = time.perf_counter()
                await self.client.execute("bench.echo", {"text": "x"})
                took.append(time.perf_counter() - began)
            return took

        took: list[float] = self.run(work())
        return took

    def crowd(self, callers: int, each: int) -> float:
        async def call() -> None:
            for _ in range(each):
                await self.client.execute("bench.echo", {"text": "x"})

        async def work() -> float:
            began = time.perf_counter()
            await asyncio.gather(*(call() for _ in range(callers)))
            return time.perf_counter() - began

        took: float = self.run(work())
        return took

    def flood(self, count: int) -> float:
        async def work() -> float:
            done, ready = asyncio.Event(), asyncio.Event()
            seen = 0
            taken: list[Any] = []

            def listen(event: Any) -> None:
                nonlocal seen
                seen += 1
                if seen == count:
                    done.set()

            async def handle(call: Any) -> None:
                call.on("calling.call.play", listen)
                taken.append(call)
                ready.set()

            self.client.on_call(handle)
            await self.client.execute("bench.offer", {"count": 1})
            await ready.wait()
            began = time.perf_counter()
            await self.client.execute("bench.flood", {"count": count, "call_id": taken[0].call_id})
            await done.wait()
            await self.client.execute("bench.acknowledged", {})
            return time.perf_counter() - began

        took: float = self.run(work())
        return took

    def _calls(self, count: int, handler: Callable[[Any], Coroutine[Any, Any, None]]) -> float:
        async def work() -> float:
            done = asyncio.Semaphore(0)

            async def handle(call: Any) -> None:
                await handler(call)
                done.release()

            self.client.on_call(handle)
            began = time.perf_counter()
            await self.client.execute("bench.offer", {"count": count})
            for _ in range(count):
                await done.acquire()
            return time.perf_counter() - began

        took: float = self.run(work())
        return took

    def lifecycle(self, count: int) -> float:
        async def handle(call: Any) -> None:
            await call.answer()
            action = await call.stream(STREAM_URL, track="inbound_track", codec="PCMU")
            await action.wait()
            await call.hangup()

        return self._calls(count, handle)

    def idle(self, count: int) -> None:
        async def work() -> None:
            there = asyncio.Semaphore(0)

            async def handle(call: Any) -> None:
                there.release()
                await call.wait_for_ended()

            self.client.on_call(handle)
            await self.client.execute("bench.offer", {"count": count})
            for _ in range(count):
                await there.acquire()

        self.run(work())

    def block(self, count: int, pause: float) -> float:
        async def handle(call: Any) -> None:
            time.sleep(pause)  # noqa: ASYNC251 - what a blocking library does in a handler

        return self._calls(count, handle)

    def repair(self) -> float:
        took: float = self.run(self._run_and_repair())
        return took


class Bridge(Official):
    """See :class:`benchmarks.clients.Adapter`. The loop lives in a thread, each call gets one, each verb is waited for."""

    def __init__(self, port: int, ca_file: str | None) -> None:
        super().__init__(port, ca_file)
        threading.Thread(target=self.loop.run_forever, name="bench-loop", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def sequence(self, count: int) -> list[float]:
        took = []
        for _ in range(count):
            began = time.perf_counter()
            self.run(self.client.execute("bench.echo", {"text": "x"}))
            took.append(time.perf_counter() - began)
        return took

    def crowd(self, callers: int, each: int) -> float:
        go = threading.Event()

        def call() -> None:
            go.wait()
            for _ in range(each):
                self.run(self.client.execute("bench.echo", {"text": "x"}))

        threads = [threading.Thread(target=call, name="bench", daemon=True) for _ in range(callers)]
        for thread in threads:
            thread.start()
        began = time.perf_counter()
        go.set()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    def _handle_with(self, handler: Callable[[Any], None]) -> None:
        async def handle(call: Any) -> None:
            threading.Thread(target=handler, args=(call,), name="bench-call", daemon=True).start()

        self.client.on_call(handle)

    def flood(self, count: int) -> float:
        done, ready = threading.Event(), threading.Event()
        seen = 0
        taken: list[Any] = []

        def listen(event: Any) -> None:
            nonlocal seen
            seen += 1
            if seen == count:
                done.set()

        def handle(call: Any) -> None:
            call.on("calling.call.play", listen)
            taken.append(call)
            ready.set()

        self._handle_with(handle)
        self.execute("bench.offer", {"count": 1})
        ready.wait(PATIENCE)
        began = time.perf_counter()
        self.execute("bench.flood", {"count": count, "call_id": taken[0].call_id})
        done.wait(PATIENCE)
        self.execute("bench.acknowledged", {})
        return time.perf_counter() - began

    def _calls(self, count: int, handler: Callable[[Any], None]) -> float:
        done = threading.Semaphore(0)

        def handle(call: Any) -> None:
            handler(call)
            done.release()

        self._handle_with(handle)
        began = time.perf_counter()
        self.execute("bench.offer", {"count": count})
        for _ in range(count):
            assert done.acquire(timeout=PATIENCE)
        return time.perf_counter() - began

    def lifecycle(self, count: int) -> float:
        def handle(call: Any) -> None:
            self.run(call.answer())
            action = self.run(call.stream(STREAM_URL, track="inbound_track", codec="PCMU"))
            self.run(action.wait())
            self.run(call.hangup())

        return self._calls(count, handle)

    def idle(self, count: int) -> None:
        there = threading.Semaphore(0)

        def handle(call: Any) -> None:
            there.release()
            self.run(call.wait_for_ended())

        self._handle_with(handle)
        self.execute("bench.offer", {"count": count})
        for _ in range(count):
            assert there.acquire(timeout=PATIENCE)

    def block(self, count: int, pause: float) -> float:
        return self._calls(count, lambda call: time.sleep(pause))

    def repair(self) -> float:
        raise NotImplementedError("only run() mends a connection, and it needs the main thread")
