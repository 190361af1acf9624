"""In a notebook: cells that connect, wait, are interrupted, are run again, and a kernel that is restarted.

The simulator stays on this side, as the platform would; the cells run in a kernel of their own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import define, field

from relay_sync.simulator import Simulator
from tests.support.lines import FROM, TO
from tests.support.notebooks import notebook_client

nbclient = pytest.importorskip("nbclient", reason="notebooks need the extra slow")
nbformat = pytest.importorskip("nbformat", reason="notebooks need the extra slow")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

#: Seconds for a cell; a kernel needs some of them to start on a busy machine.
PATIENCE = 60.0

CONNECT = """
import asyncio, queue, threading
from relay_sync import RelayClient

client = RelayClient(**credentials, contexts=["default"])
calls = queue.SimpleQueue()

@client.on_call
def handle(call):
    call.answer()
    calls.put(call)

client.connect()
print(client.state)
"""
#: Tells the other side, by a ping, once the kernel's main thread is inside one of our waits: now it may be interrupted.
TELL_WHEN_WAITING = """
def tell_when_waiting():
    import sys, time
    main = threading.main_thread().ident
    def where():
        frame = innermost = sys._current_frames()[main]
        while frame is not None and "relay_sync" not in frame.f_code.co_filename:
            frame = frame.f_back
        return frame is not None and (id(innermost), innermost.f_lasti)
    still = 0
    while still < 10:  # standing still inside of a call of ours
        before = where()
        time.sleep(0.002)
        still = still + 1 if before and where() == before else 0
    try:
        client.execute("signalwire.ping", {"payload": "waiting"})
    except Exception:  # the interrupt may have closed the client before the answer came
        pass

threading.Thread(target=tell_when_waiting, daemon=True).start()
"""


@define(eq=False)
class Notebook:
    """A notebook whose cells are run one by one; each gives what it printed, or raises what ended it."""

    sim: Simulator
    runner: Any
    count: int = field(default=0)

    async def cell(self, source: str) -> str:
        made = nbformat.v4.new_code_cell(source)
        self.runner.nb.cells.append(made)
        self.count += 1
        await self.runner.async_execute_cell(made, self.count - 1)
        return "".join(output["text"] for output in made.outputs if output.output_type == "stream")

    async def start(self) -> None:
        """What every fresh kernel needs before the first cell of a test."""
        await self.cell(f"credentials = {self.sim.credentials!r}")

    async def interrupted(self, source: str) -> str:
        """Run a cell that waits, and press the interrupt button once it does: what it printed, or its traceback."""
        asked = len(self.sim.journal.requests("signalwire.ping"))
        running = asyncio.create_task(self.cell(TELL_WHEN_WAITING + source))
        await self.until(lambda: len(self.sim.journal.requests("signalwire.ping")) > asked)
        await self.runner.km.interrupt_kernel()
        try:
            return await running
        except nbclient.exceptions.CellExecutionError as error:
            return str(error.ename)

    async def until(self, condition: Callable[[], bool]) -> None:
        await asyncio.to_thread(self.sim.journal.wait_for, lambda entry: condition(), PATIENCE)

    async def restart(self) -> None:
        await self.runner.km.restart_kernel()
        await self.runner.kc.wait_for_ready(timeout=PATIENCE)
        await self.start()


@asynccontextmanager
async def opened(sim: Simulator) -> AsyncIterator[Notebook]:
    runner = notebook_client(nbformat.v4.new_notebook(), timeout=PATIENCE)
    async with runner.async_setup_kernel():
        notebook = Notebook(sim, runner)
        await notebook.start()
        yield notebook


def in_notebook(sim: Simulator, story: Callable[[Notebook], Awaitable[None]]) -> None:
    async def tell() -> None:
        async with opened(sim) as notebook:
            await story(notebook)

    asyncio.run(tell())


def test_cells_connect_take_a_call_and_are_interrupted(sim: Simulator) -> None:
    async def story(notebook: Notebook) -> None:
        assert await notebook.cell(CONNECT) == "connected\n"
        phone = sim.call(to=TO, from_=FROM)
        assert await notebook.cell("call = calls.get(timeout=30); call.wait_for_answered(30); print(call.state)") == (
            "answered\n"
        )
        # Every kind of wait ends with the interrupt button, and nothing else does.
        assert await notebook.interrupted("call.wait_for_ended()") == "KeyboardInterrupt"
        sim.drop_event("calling.call.stream", state="finished", times=None)
        await notebook.cell('action = call.stream("ws://127.0.0.1:9/audio")')
        assert await notebook.interrupted("action.wait()") == "KeyboardInterrupt"
        assert await notebook.interrupted("for event in call.events(): pass") == "KeyboardInterrupt"
        sim.drop_reply("calling.pass", times=None)
        assert await notebook.interrupted("call.pass_()") == "KeyboardInterrupt"
        # The next cells go on where that one was left.
        assert await notebook.cell("print(client.state, call.state, action.is_done)") == "connected answered False\n"
        assert await notebook.cell("call.hangup(); print(call.wait_for_ended(30).end_reason)") == "hangup\n"
        assert phone.state == "ended"
        assert await notebook.cell("print(action.wait(30).reason)") == "call_ended\n"
        await notebook.cell("client.disconnect()")

    in_notebook(sim, story)


def test_cells_run_inside_an_event_loop_and_may_await_threads(sim: Simulator) -> None:
    async def story(notebook: Notebook) -> None:
        await notebook.cell(CONNECT)
        assert await notebook.cell("print(asyncio.get_running_loop().is_running())") == "True\n"
        assert await notebook.cell('print(client.execute("signalwire.ping", {"payload": "a"})["payload"])') == "a\n"
        awaited = 'print((await asyncio.to_thread(client.execute, "signalwire.ping", {"payload": "b"}))["payload"])'
        assert await notebook.cell(awaited) == "b\n"

    in_notebook(sim, story)


def test_run_ends_with_the_interrupt_button_and_can_be_run_again(sim: Simulator) -> None:
    async def story(notebook: Notebook) -> None:
        await notebook.cell(CONNECT)
        for _ in range(2):
            assert await notebook.interrupted("client.run(); print(client.state)") == "closed\n"
            assert await notebook.cell("client.connect(); print(client.state)") == "connected\n"

    in_notebook(sim, story)


def test_a_cell_run_again_leaves_no_second_client_behind(sim: Simulator) -> None:
    async def story(notebook: Notebook) -> None:
        for _ in range(3):
            assert (await notebook.cell(CONNECT)).endswith("connected\n")
        await asyncio.to_thread(sim.wait_for_client, 1)
        await asyncio.to_thread(only_one_client, sim)
        # Calls come to the handler of the cell that was run last.
        sim.call(to=TO, from_=FROM)
        assert await notebook.cell("call = calls.get(timeout=30); print(call.client is client)") == "True\n"

    in_notebook(sim, story)


def only_one_client(sim: Simulator) -> None:
    """The server hears of the end of the others a little later than they."""
    end = time.monotonic() + PATIENCE
    while sim.clients != 1:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_client_that_an_interrupted_cell_left_behind_is_pointed_out(sim: Simulator) -> None:
    async def story(notebook: Notebook) -> None:
        await notebook.cell(CONNECT)
        sim.call(to=TO, from_=FROM)
        await notebook.cell("call = calls.get(timeout=30)")
        await notebook.interrupted("call.wait_for_ended()")  # the traceback holds the call, and the call its client
        assert "another RelayClient in this process is connected" in await notebook.cell(CONNECT)
        await notebook.cell("call.client.disconnect()")
        await asyncio.to_thread(only_one_client, sim)
        assert await notebook.cell("client.disconnect()\n" + CONNECT) == "connected\n"
        await asyncio.to_thread(only_one_client, sim)

    in_notebook(sim, story)


def test_a_kernel_that_is_restarted_leaves_nothing_and_starts_anew(sim: Simulator) -> None:
    async def story(notebook: Notebook) -> None:
        await notebook.cell(CONNECT)
        sim.call(to=TO, from_=FROM)
        await notebook.cell("call = calls.get(timeout=30)")
        await notebook.restart()
        await asyncio.to_thread(sim.wait_until_gone)
        assert await notebook.cell(CONNECT) == "connected\n"

    in_notebook(sim, story)
