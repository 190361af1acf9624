"""Forks: the child gets a clean client, the parent's connection does not notice (rule 8)."""

from __future__ import annotations

import faulthandler
import gc
import multiprocessing
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from relay_sync import Forked, Message, RelayClient, WaitTimeout
from relay_sync.audio import AudioServer
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from relay_sync.simulator.server import Credentials
from tests.support import PATIENCE
from tests.support.background import Background
from tests.support.forks import in_child
from tests.support.lines import NOWHERE, Line, line
from tests.support.tls import CERTIFICATE, tls_context

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # Since 3.12 Python warns of every fork in a process with threads; here that is the subject.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def test_rule_8_the_parent_s_connection_does_not_notice(on_call: Line) -> None:
    in_child(lambda: None)
    on_call.client.execute("signalwire.ping", {})
    assert len(on_call.sim.journal.requests("signalwire.connect")) == 1
    on_call.phone.hang_up()
    on_call.call.wait_for_ended(PATIENCE)


def test_rule_8_the_child_does_not_hold_the_parent_s_socket(on_call: Line) -> None:
    loop = on_call.client._link.loop
    assert loop is not None
    assert loop._sock is not None
    number = loop._sock.fileno()
    known = os.fstat(number)

    def child() -> None:
        try:
            now = os.fstat(number)
        except OSError:
            return  # closed, and not used again
        assert (now.st_dev, now.st_ino) != (known.st_dev, known.st_ino)

    in_child(child)
    on_call.client.execute("signalwire.ping", {})


@pytest.mark.parametrize("ends", ["at once", "in order", "after use"])
def test_rule_8_a_child_does_not_end_the_parent_s_tls_session(ends: str) -> None:
    context = tls_context()
    with Simulator(media="fast", ssl_context=context) as sim, line(sim, ca_file=CERTIFICATE) as one:
        if ends == "in order":  # with all that an interpreter does at its end
            _in_order(gc.collect)
        else:
            in_child(lambda: _use(one.client) if ends == "after use" else None)
        one.client.execute("signalwire.ping", {"payload": "x" * 50_000})
        one.phone.hang_up()
        one.call.wait_for_ended(PATIENCE)
        first = [frame for frame in sim.journal.requests("signalwire.connect") if "protocol" in frame["params"]]
        assert not first, "the parent had to connect again"


def _in_order(function: Callable[[], object]) -> None:
    """Run a function in a child that ends as an interpreter does. One that hangs shows where."""

    def run() -> None:
        # The descriptor itself: other threads may hold the lock of what pytest has put in the place of stderr.
        faulthandler.dump_traceback_later(PATIENCE, exit=True, file=2)
        function()

    worker = multiprocessing.get_context("fork").Process(target=run)
    worker.start()
    worker.join(2 * PATIENCE)
    assert worker.exitcode == 0


def _locks() -> list[Any]:
    """The locks of everything that this package has made by now, and that nobody holds."""
    kinds = (type(threading.Lock()), type(threading.RLock()))
    found: dict[int, Any] = {}
    for thing in gc.get_objects():
        if str(type(thing).__module__).startswith("relay_sync"):
            inside = [
                thing,
                *(each for each in gc.get_referents(thing) if isinstance(each, (dict, threading.Condition))),
            ]
            found.update(
                (id(each), each) for one in inside for each in gc.get_referents(one) if isinstance(each, kinds)
            )
    return list(found.values())


def test_rule_8_no_lock_of_ours_that_is_held_at_the_fork_holds_up_the_child(sim: Simulator) -> None:
    held, over = threading.Event(), threading.Event()

    def hold(locks: list[Any]) -> int:
        """As if other threads were in the middle of everything."""
        taken = [lock for lock in locks if lock.acquire(False)]
        held.set()
        over.wait(3 * PATIENCE)
        for lock in taken:
            lock.release()
        return len(taken)

    with line(sim) as one, AudioServer() as audio, audio.listen(one.call) as stream:

        def child() -> None:
            gc.collect()
            assert one.client.state == "idle"
            one.client.disconnect()
            audio.close()
            for use in (one.call.hangup, one.call.wait_for_ended, lambda: audio.url):
                with pytest.raises(Forked):
                    use()
            stream.close()

        holding = Background(hold, _locks())
        try:
            assert held.wait(PATIENCE)
            _in_order(child)
        finally:
            over.set()
        assert holding.result() > 20
        one.client.execute("signalwire.ping")


def test_rule_8_the_parent_s_open_questions_about_its_calls_are_not_the_child_s(on_call: Line) -> None:
    question = "calling.clear_digit_bindings"
    on_call.sim.drop_reply(question, times=None)
    on_call.drop()
    on_call.wait_for_request(question)

    def child() -> None:
        assert on_call.client._router._roll_call is None
        on_call.client.execute("signalwire.ping", {})
        on_call.client.disconnect()

    in_child(child)
    assert on_call.client._router._roll_call is not None


def test_rule_8_the_child_s_client_starts_anew_when_used(on_call: Line) -> None:
    def child() -> None:
        assert on_call.client.state == "idle"
        assert on_call.client.calls == {}
        on_call.client.execute("signalwire.ping", {})
        assert on_call.client.state == "connected"
        on_call.client.disconnect()

    in_child(child)
    on_call.client.execute("signalwire.ping", {})
    assert len(on_call.sim.journal.requests("signalwire.connect")) == 2
    assert on_call.call.state == "answered"


def test_rule_8_what_the_parent_made_raises_forked_in_the_child(on_call: Line) -> None:
    ended = on_call.call.stream(NOWHERE)
    ended.wait(PATIENCE)
    on_call.sim.drop_event("calling.call.stream", state="finished")
    action = on_call.call.stream(NOWHERE)
    events = on_call.call.events()

    def child() -> None:
        for use in (
            action.wait,
            action.stop,
            on_call.call.hangup,
            on_call.call.wait_for_ended,
            lambda: on_call.call.stream(NOWHERE),
            lambda: next(events),
        ):
            with pytest.raises(Forked):
                use()
        assert action.is_done  # whoever asks again and again comes to an end, too
        assert action.completed
        assert isinstance(action.error, Forked)
        assert action.result is None
        assert ended.wait() is ended.result  # what was over before is over here as well
        assert ended.error is None

    in_child(child)
    assert not action.is_done
    assert action.error is None
    with pytest.raises(WaitTimeout):
        action.wait(0.01)


def test_rule_8_locks_that_were_held_at_the_fork_block_nobody_in_the_child(on_call: Line) -> None:
    call, message = on_call.call, Message(message_id="m")
    reading = call.events()
    expecting = call.expect("calling.call.play")
    expecting.__enter__()

    def child() -> None:
        for use in (
            lambda: call.on("calling.call.state", print),
            lambda: call.events(),
            lambda: call.wait_for_ended(),
            lambda: call.queue_leave("support"),
            lambda: call.play_silence(1),
            lambda: message.on(print),
        ):
            with pytest.raises(Forked):
                use()
        reading.close()

    with core_of(call).lock, message._lock:
        in_child(child)
    expecting.__exit__(ValueError, ValueError(), None)


def test_rule_8_a_fork_while_commands_are_under_way(on_call: Line) -> None:
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            on_call.client.execute("signalwire.ping", {})

    workers = [Background(busy) for _ in range(4)]

    def child() -> None:
        on_call.client.execute("signalwire.ping", {})
        on_call.client.disconnect()

    for _ in range(5):
        in_child(child)
    stop.set()
    for worker in workers:
        worker.result()


def test_rule_8_a_child_that_exits_normally_leaves_the_parent_alone(on_call: Line) -> None:
    worker = multiprocessing.get_context("fork").Process(target=_use, args=(on_call.client,))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0
    on_call.client.execute("signalwire.ping", {})


def _use(client: RelayClient) -> None:
    client.execute("signalwire.ping", {})


def test_a_fork_before_connect(sim: Simulator) -> None:
    client = RelayClient(**sim.credentials)

    def child() -> None:
        client.connect()
        client.disconnect()

    in_child(child)
    client.connect()
    client.disconnect()


def test_a_fork_during_connect(sim: Simulator) -> None:
    sim.hold("signalwire.connect")
    client = RelayClient(**sim.credentials)
    connecting = Background(client.connect)
    sim.wait_for_held("signalwire.connect")

    def child() -> None:
        assert client.state == "idle"
        with pytest.raises(Exception, match="no session"):
            client.connect(timeout=0.2)  # the server holds this one's answer, too

    in_child(child)
    sim.release()
    connecting.result()
    client.execute("signalwire.ping", {})
    client.disconnect()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.slow
def test_multiprocessing_pools(sim: Simulator, method: str) -> None:
    credentials = sim.credentials
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_connected_state, [credentials] * 4) == ["connected"] * 4
        pool.close()
        pool.join()


@pytest.mark.slow
def test_a_multiprocessing_child_uses_the_client_of_the_parent_s_module(on_call: Line) -> None:
    """As the workers of a pool do, in the middle of a call of the parent's."""
    context = multiprocessing.get_context("fork")
    told = context.SimpleQueue()

    def work() -> None:
        before = on_call.client.state
        on_call.client.execute("signalwire.ping", {})
        told.put((before, on_call.client.state, len(on_call.client.calls)))

    workers = [context.Process(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [told.get() for _ in workers] == [("idle", "connected", 0)] * 3
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    told.close()
    on_call.client.execute("signalwire.ping", {})
    on_call.phone.hang_up()
    on_call.call.wait_for_ended(PATIENCE)
    assert not [one for one in on_call.sim.journal.requests("signalwire.connect") if "protocol" in one["params"]]


def _connected_state(credentials: Credentials) -> str:
    with RelayClient(**credentials) as client:
        return client.state
