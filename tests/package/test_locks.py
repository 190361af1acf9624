"""A signal handler runs on top of whatever the main thread is doing, also under our locks, and may use everything."""

from __future__ import annotations

import ast
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from relay_sync import CommandRefused, ConnectError, RelayClient
from relay_sync.audio.gate import Gate
from relay_sync.call.call import core_of
from relay_sync.client.messages import Message, MessageDesk
from relay_sync.contrib.hosting import Hosted
from relay_sync.rest import RestClient
from relay_sync.simulator import Simulator
from relay_sync.threads import logs
from relay_sync.threads.lanes import Lanes
from relay_sync.threads.outcome import Waiter
from relay_sync.threads.rate_limited_log import RateLimitedLog
from relay_sync.webhooks import Webhooks
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.lines import line
from tests.support.modules import MODULES, name_of, tree

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")

#: The locks that a thread may not take twice, and why no signal handler does.
PLAIN = {
    "audio/frames.py": "what one sleeper waits for: nobody else takes it",
    "threads/logs.py": "a flag that nobody waits for, and what the thread that writes sleeps on",
    "threads/flag.py": "what one sleeper waits for: nobody else takes it",
    "threads/starting.py": "what one caller waits for: nobody else takes it",
}
PLAIN_KINDS = ("threading.Lock", "_thread.allocate_lock", "threading.Semaphore", "threading.BoundedSemaphore")
#: These make a plain lock, unless they are given another.
MAKE_PLAIN = ("threading.Event", "threading.Condition")


@pytest.mark.static
def test_every_lock_is_reentrant_or_said_to_be_nobody_else_s() -> None:
    """Anything else stops a program for good when its signal handler touches what the main thread is touching."""
    plain = set()
    for path in MODULES:
        name = name_of(path)
        if name.startswith("simulator/"):  # its locks are those of tests
            continue
        for node in ast.walk(tree(path)):
            named = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
            if named in PLAIN_KINDS:
                plain.add(name)
            if isinstance(node, ast.Call) and not node.args and ast.unparse(node.func) in MAKE_PLAIN:
                plain.add(name)
    assert plain == set(PLAIN)


@contextmanager
def on_signal(function: Callable[[], object]) -> Iterator[list[Any]]:
    """What ``SIGUSR1`` does on the main thread, and what came of it; the test fails where that waits for itself."""
    came: list[Any] = []

    def stuck(number: int, frame: object) -> None:
        raise AssertionError("the signal handler waits for the code under it")

    before = [
        (number, signal.signal(number, handler))
        for number, handler in (
            (signal.SIGUSR1, lambda number, frame: came.append(function())),
            (signal.SIGALRM, stuck),
        )
    ]
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield came
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before:
            signal.signal(number, handler)


def under(lock: Any, function: Callable[[], object]) -> Any:
    """What a signal handler gets from a function that takes a lock which the main thread holds at this moment."""
    with on_signal(function) as came, lock:
        signal.raise_signal(signal.SIGUSR1)
    assert len(came) == 1
    return came[0]


@posix
def test_a_signal_handler_uses_a_call_under_the_call_s_lock(sim: Simulator) -> None:
    with line(sim) as one:
        call = one.call
        reader = under(core_of(call).lock, call.events)
        assert under(core_of(call).lock, lambda: call.on("calling.call.state", print)) is print
        action = under(core_of(call).lock, lambda: call.play_silence(60))
        assert action in under(core_of(call).lock, lambda: core_of(call).running(type(action)))
        under(core_of(call).lock, action.stop)
        under(core_of(call).lock, lambda: one.client._router.callback(call, "test", list))
        assert under(one.client._link._lock, one.client.connect) is None
        under(core_of(call).lock, reader.close)
        assert core_of(call).readers == ()


def test_a_send_holds_nothing_that_the_answer_to_another_needs() -> None:
    """A signal handler may send on top of it, and nobody lets go of a lock then before the IO thread had its answer."""
    desk = MessageDesk()

    def send() -> None:
        with desk.sending():
            pass

    with desk._lock:  # as the IO thread may
        Background(send).result()


@posix
def test_a_signal_handler_uses_messages_callbacks_and_waits() -> None:
    desk, message = MessageDesk(), Message(message_id="m", direction="outbound")
    with desk.sending():
        under(desk._lock, lambda: desk.claim(message, 1))
    assert desk._in_progress == {"m": message}
    assert under(message._lock, lambda: message.on(print)) is print
    waiter = Waiter[int]()
    assert under(waiter._lock, lambda: waiter.settle(5)) is True
    assert waiter.peek() == 5
    lanes, done = Lanes(), Waiter[None]()
    under(lanes._lock, lambda: lanes.submit("lane", done.settle, None))
    done.wait(PATIENCE, lambda: AssertionError("the callback did not run"))
    assert under(lanes._lock, lambda: lanes.close(0.0)) in (True, False)
    lanes.close(PATIENCE)


@posix
def test_a_signal_handler_uses_hosts_webhooks_and_gates(sim: Simulator) -> None:
    made: list[RelayClient] = []

    def make() -> RelayClient:
        if not made:  # the signal comes while the client is being made
            made.append(RelayClient(**sim.credentials))
            signal.raise_signal(signal.SIGUSR1)
            return made[0]
        made.append(RelayClient(**sim.credentials))
        return made[1]

    hosted = Hosted(make)
    with on_signal(lambda: hosted.client) as came:
        client = hosted.client
    assert came == [client], "both were given the same client"
    hooks = Webhooks()
    memory = hooks._seen[None]
    headers: dict[str, str] = {}
    request = ("GET", "/status?CallSid=c&CallStatus=ringing", headers)
    under(memory._lock, lambda: hooks.remember(hooks.parse(*request, remember=False)))
    assert under(memory._lock, lambda: hooks.parse(*request)).repeated is True
    gate = Gate(None, RateLimitedLog(logs.get("relay_sync.audio")))
    token, expected = under(gate._lock, lambda: gate.expect(PATIENCE))
    assert gate._allows(token)
    under(gate._lock, lambda: gate.forget(expected))
    assert not gate._allows(token)


@posix
def test_what_a_signal_handler_adds_between_two_steps_stays(sim: Simulator) -> None:
    """The list of readers is looked through, and then replaced: a handler may add one in between."""
    with line(sim) as one:
        call = one.call
        told: list[str] = []

        class Signalling(dict[str, Any]):
            def get(self, key: str, default: Any = None) -> Any:
                if core_of(call).listeners is self:
                    signal.raise_signal(signal.SIGUSR1)
                return super().get(key, default)

        core_of(call).listeners = Signalling()

        def theirs() -> None:
            core_of(call).listeners = dict(core_of(call).listeners)
            call.on("calling.call.state", lambda event: told.append("theirs"))

        with on_signal(theirs):
            call.on("calling.call.state", lambda event: told.append("mine"))
        assert len(core_of(call).listeners["calling.call.state"]) == 2

        readers: list[Any] = []
        once = [signal.SIGUSR1]

        def signals() -> None:
            if once:
                signal.raise_signal(once.pop())

        core_of(call).readers = (signals,)  # type: ignore[assignment]  # stands where a reader that is gone may be
        with on_signal(lambda: readers.append(call.events())):
            readers.append(call.events())
        one.phone.hang_up()
        for reader in readers:
            assert [event.event_type for event in reader][-1] == "calling.call.state"
    assert sorted(set(told)) == ["mine", "theirs"]


@posix
def test_a_signal_handler_sends_a_request_in_the_middle_of_another(
    sim: Simulator, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pool of connections, which is not ours, has locks that are not reentrant; and what is known of the one request is
    not that of the other.
    """
    get = queue.LifoQueue._get
    due: list[bool] = []

    def in_the_middle(pool: queue.LifoQueue[Any]) -> Any:
        if due:
            due.clear()
            signal.raise_signal(signal.SIGUSR1)
        return get(pool)

    monkeypatch.setattr(queue.LifoQueue, "_get", in_the_middle)
    with (
        RestClient(**sim.credentials) as rest,
        RestClient("p", "t", f"ws://127.0.0.1:{closed_port}", retries=0) as lost,
    ):

        def refused() -> int | None:
            with pytest.raises(CommandRefused) as caught:
                rest.call("c").hangup()
            return caught.value.code

        with on_signal(refused) as came:
            due.append(True)
            assert refused() == 404
            due.append(True)
            with pytest.raises(ConnectError):  # nothing of this one was sent
                lost.call("c").hangup()
        assert came == [404, 404]
        assert refused() == 404
