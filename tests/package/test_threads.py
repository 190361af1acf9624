"""The promises about threads (rules 1 to 8): what runs where, in which order, and what cannot block whom."""

from __future__ import annotations

import contextvars
import logging
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from relay_sync import Call, RelayClient, RelayEvent, StreamAction, WrongThread
from relay_sync.call.call import core_of
from relay_sync.simulator import Simulator
from relay_sync.threads import process
from relay_sync.threads.lanes import MOST_WAITING
from tests.support import PATIENCE, ROOT
from tests.support.background import Background, no_threads
from tests.support.lines import FROM, NOWHERE, TO, Desk, Line, line

STATE: Final = "calling.call.state"


def make(sim: Simulator, **options: Any) -> RelayClient:
    return RelayClient(**{**sim.credentials, "contexts": ["default"], **options})


def told(done: list[str], what: str) -> Callable[[RelayEvent], None]:
    """A callback that notes that it ran."""
    return lambda event: done.append(what)


def send(one: Line, event_type: str, **params: Any) -> None:
    one.sim.send_event(event_type, {"call_id": one.call.call_id, "node_id": one.call.node_id, **params})


# -- rule 1: state first, then callbacks are queued, then waiters wake -----------------------------------------------------


@pytest.mark.usefixtures("slow_after_waking")
def test_rule_1_whoever_wakes_finds_the_control_id_free_and_the_callback_queued(on_call: Line) -> None:
    done: list[str] = []
    for number in (1, 2):
        action = on_call.call.detect({"type": "digit"}, control_id="D1", on_completed=told(done, f"completed {number}"))
        action.stop()
        assert action.wait(PATIENCE).event == "finished"
        core_of(on_call.call).callback("test", done.append, f"queued {number}")
    on_call.client.disconnect()
    assert done == ["completed 1", "queued 1", "completed 2", "queued 2"]


@pytest.mark.usefixtures("slow_after_waking")
def test_rule_1_a_listener_that_is_added_after_an_event_does_not_hear_of_it(on_call: Line) -> None:
    heard: list[str] = []
    with on_call.call.expect("calling.call.refer", timeout=PATIENCE):
        send(on_call, "calling.call.refer")
    on_call.call.on("calling.call.refer", lambda event: heard.append(event.event_type))
    on_call.client.disconnect()
    assert heard == []


@pytest.mark.usefixtures("slow_after_waking")
@pytest.mark.parametrize("by", ["its own event", "the end of the call"])
def test_rule_1_a_listener_that_is_added_after_an_action_does_not_hear_of_its_end(on_call: Line, by: str) -> None:
    heard: list[str] = []
    action = on_call.call.detect({"type": "digit"})
    if by == "its own event":
        action.stop()
    else:
        on_call.sim.drop_event("calling.call.detect", times=None)
        on_call.phone.hang_up()
    assert action.wait(PATIENCE).synthetic == (by == "the end of the call")
    for event_type in ("calling.call.detect", "calling.call.state"):
        on_call.call.on(event_type, lambda event: heard.append(event.event_type))
    on_call.client.disconnect()
    assert heard == []


@pytest.mark.usefixtures("slow_after_waking")
def test_rule_1_whoever_waited_for_all_calls_finds_them_ended(on_call: Line) -> None:
    on_call.desk.closing.set()  # its handler returns
    on_call.phone.hang_up()
    assert on_call.client.drain(PATIENCE)
    assert on_call.call.state == "ended"


@pytest.mark.usefixtures("slow_after_waking")
def test_rule_1_whoever_waited_for_the_end_of_the_session_finds_its_state(sim: Simulator) -> None:
    states: list[str] = []
    client = make(sim, on_state=states.append)
    client.connect()
    client.stop()
    assert client._router.stopped.wait(PATIENCE)
    assert client.state == "closed"
    client.disconnect()
    assert states[-1] == "closed"


def test_rule_1_a_stop_that_is_noticed_late_wakes_nobody_before_the_state_says_so(sim: Simulator) -> None:
    client = make(sim)
    client.connect()
    woken: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def stop(session: object) -> None:
        client.stop()
        client._router.on_poke()  # an older one, that this stop overtook
        woken.put(client._router.stopped.is_set())

    loop = client._link.loop
    assert loop is not None
    loop.change(stop)
    assert not woken.get(timeout=PATIENCE)
    assert client._router.stopped.wait(PATIENCE)
    assert client.state == "closed"
    client.disconnect()


def test_rule_1_whoever_wakes_sees_a_call_at_least_as_new_as_the_event(on_call: Line) -> None:
    seen: queue.SimpleQueue[tuple[str, bool, str]] = queue.SimpleQueue()
    actions: queue.SimpleQueue[StreamAction] = queue.SimpleQueue()

    def completed(event: Any) -> None:
        # May run before stream() has returned: the queue waits for that.
        seen.put(("completed", actions.get(timeout=PATIENCE).is_done, on_call.call.state))

    action = on_call.call.stream(NOWHERE, on_completed=completed)
    actions.put(action)
    action.wait(PATIENCE)
    assert seen.get(timeout=PATIENCE) == ("completed", True, "answered")
    waiting = Background(lambda: (on_call.call.wait_for_ended(), on_call.call.state, on_call.call.end_reason))
    on_call.call.on(STATE, lambda event: seen.put((event.call_state, True, on_call.call.state)))
    on_call.phone.hang_up()
    assert waiting.result()[1:] == ("ended", "hangup")
    order = ["ending", "ended"]
    for state in order:
        heard, _, at_that_time = seen.get(timeout=PATIENCE)
        assert heard == state
        assert order.index(at_that_time) >= order.index(state)


# -- rule 2: verbs inside callbacks work; a callback that raises hurts nobody ---------------------------------------------


def test_rule_2_a_blocking_verb_works_in_every_kind_of_callback(sim: Simulator) -> None:
    results: queue.SimpleQueue[str] = queue.SimpleQueue()
    client = make(sim)

    def pinging(name: str) -> None:
        client.execute("signalwire.ping", {})
        results.put(name)

    states = make(sim, on_state=lambda state: pinging(f"state {state}") if state == "connected" else None)

    @client.on_call
    def handler(call: Call) -> None:
        call.on(STATE, lambda event: pinging("listener"))
        call.answer()
        call.stream(NOWHERE, on_completed=lambda event: pinging("on_completed")).wait(PATIENCE)
        pinging("handler")

    with client, states:
        sim.call(to=TO, from_=FROM)
        missing = {"listener", "on_completed", "handler", "state connected"}
        while missing:
            missing.discard(results.get(timeout=PATIENCE))


def test_rule_2_a_callback_that_raises_is_logged_with_its_call_and_hurts_nobody(
    on_call: Line, caplog: pytest.LogCaptureFixture
) -> None:
    heard = threading.Event()

    def broken(event: Any) -> None:
        raise ZeroDivisionError("in a listener")

    on_call.call.on("calling.x.y", broken)
    on_call.call.on("calling.x.y", lambda event: heard.set())
    send(on_call, "calling.x.y")
    assert heard.wait(PATIENCE)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert on_call.call.call_id in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    on_call.client.execute("signalwire.ping", {})


def test_an_on_error_that_raises_hurts_nobody_either(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    def on_error(error: BaseException, call: Call | None) -> None:
        raise KeyError("in on_error")

    with line(sim, on_error=on_error) as one:
        heard = threading.Event()
        one.call.on("calling.x.y", lambda event: 1 / 0)
        one.call.on("calling.x.y", lambda event: heard.set())
        send(one, "calling.x.y")
        assert heard.wait(PATIENCE)
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors[1] == "on_error raised an exception"


@pytest.mark.parametrize("way_out", [KeyError, SystemExit])
def test_an_on_error_that_raises_does_not_keep_a_call_from_being_hung_up(
    sim: Simulator, caplog: pytest.LogCaptureFixture, way_out: type[BaseException]
) -> None:
    def on_error(error: BaseException, call: Call | None) -> None:
        raise way_out

    client = make(sim, on_error=on_error)
    client.on_call(lambda call: 1 / 0)
    with client:
        sim.call(to=TO, from_=FROM).wait_until("ended")


def test_a_listener_that_leaves_by_sys_exit_is_reported_like_any_other(
    sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    errors: queue.SimpleQueue[tuple[BaseException, Call | None]] = queue.SimpleQueue()
    with line(sim, on_error=lambda error, call: errors.put((error, call))) as one:
        one.call.on("calling.x.y", lambda event: sys.exit(1))
        send(one, "calling.x.y")
        error, call = errors.get(timeout=PATIENCE)
        assert isinstance(error, SystemExit)
        assert call is one.call
    assert one.call.call_id in caplog.text


def test_a_handler_that_raises_is_seen_without_any_logging_set_up() -> None:
    program = """
from relay_sync import RelayClient
from relay_sync.simulator import Simulator
with Simulator() as sim, RelayClient(**sim.credentials, contexts=["default"]) as client:
    client.on_call(lambda call: call.anwser())
    sim.call(to="+15550100", from_="+15550199").wait_until("ended")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "AttributeError" in done.stderr
    assert "anwser" in done.stderr


# -- rule 3: order within a call, none across calls -----------------------------------------------------------------------


def test_rule_3_callbacks_of_a_call_run_one_at_a_time_in_order(on_call: Line) -> None:
    ran: list[int] = []
    inside = threading.Lock()
    done = threading.Event()

    def listener(event: Any) -> None:
        assert inside.acquire(blocking=False)
        ran.append(event.params["n"])
        inside.release()
        if event.params["n"] == 499:
            done.set()

    on_call.call.on("calling.x.y", listener)
    for number in range(500):
        send(on_call, "calling.x.y", n=number)
    assert done.wait(PATIENCE)
    assert ran == list(range(500))


def test_blocked_callbacks_delay_no_other_call(on_call: Line) -> None:
    gate = threading.Event()
    blocked: queue.SimpleQueue[str] = queue.SimpleQueue()

    def block(event: Any) -> None:
        blocked.put(event.call_id)
        gate.wait(PATIENCE)

    others = [on_call.another()[1] for _ in range(12)]
    for other in others:
        other.on("calling.x.y", block)
        on_call.sim.send_event("calling.x.y", {"call_id": other.call_id, "node_id": other.node_id})
    assert {blocked.get(timeout=PATIENCE) for _ in others} == {other.call_id for other in others}
    heard = threading.Event()
    on_call.call.on("calling.x.y", lambda event: heard.set())
    send(on_call, "calling.x.y")
    assert heard.wait(PATIENCE)  # while twelve callbacks block
    on_call.client.execute("signalwire.ping", {})
    gate.set()


def test_twenty_handlers_block_side_by_side(sim: Simulator) -> None:
    barrier = threading.Barrier(20)
    client = make(sim)

    @client.on_call
    def handler(call: Call) -> None:
        barrier.wait(PATIENCE)  # returns only when all twenty are inside
        call.hangup()

    with client:
        phones = [sim.call(to=TO, from_=FROM) for _ in range(20)]
        for phone in phones:
            phone.wait_until("ended")


@pytest.mark.slow
def test_a_lane_stalled_for_over_five_seconds_is_named(on_call: Line, caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()
    on_call.call.on("calling.x.y", lambda event: gate.wait(30))
    send(on_call, "calling.x.y")
    end = time.monotonic() + 15
    while not any("has been running" in record.message for record in caplog.records) and time.monotonic() < end:
        gate.wait(0.1)
    gate.set()
    [record] = [record for record in caplog.records if "has been running" in record.message]
    assert on_call.call.call_id in record.message


@pytest.mark.slow
def test_a_flood_of_events_fills_no_memory_and_hides_no_end(on_call: Line, caplog: pytest.LogCaptureFixture) -> None:
    """A listener that does not come back: 10,000 callbacks wait for it, the rest is left out, and ends are told."""
    gate = threading.Event()
    seen: list[RelayEvent] = []
    ends: list[RelayEvent] = []

    def slow_listener(event: RelayEvent) -> None:
        gate.wait(60)
        seen.append(event)

    call = on_call.call
    call.on("calling.x.y", slow_listener)
    call.on("calling.call.state", ends.append)
    on_call.sim.drop_event("calling.call.stream", state="finished")
    call.stream(NOWHERE, on_completed=ends.append)
    for number in range(12_000):
        send(on_call, "calling.x.y", number=number)
    on_call.sim.wait_for_acks(60)
    assert len(on_call.client._router.callbacks.lanes._lanes[call.call_id]) <= MOST_WAITING + 1
    on_call.phone.hang_up()
    call.wait_for_ended(PATIENCE)
    on_call.client.execute("signalwire.ping")  # nobody else is harmed
    assert Background(on_call.client.disconnect, 1.0).result() is None
    gate.set()
    assert on_call.client._router.callbacks.lanes.close(60)
    assert [event.params["number"] for event in seen] == list(range(MOST_WAITING + 1))
    assert [(event.event_type, event.synthetic) for event in ends] == [
        ("calling.call.stream", True),
        ("calling.call.state", False),
    ]
    [record] = [record for record in caplog.records if "new ones are dropped" in record.getMessage()]
    assert call.call_id in record.getMessage()
    assert "slow_listener" in record.getMessage()


# -- rule 4: register before you send --------------------------------------------------------------------------------------


def test_rule_4_an_event_that_overtakes_the_reply_is_not_missed(on_call: Line) -> None:
    on_call.sim.hold("calling.stream")
    starting = Background(on_call.call.stream, NOWHERE)
    on_call.sim.journal.wait_for(lambda entry: entry.params.get("state") == "finished", PATIENCE)
    on_call.sim.wait_for_held("calling.stream")
    on_call.sim.wait_for_acks()
    assert starting.running
    on_call.sim.release("calling.stream")
    action = starting.result()
    assert action.is_done
    assert action.wait().state == "finished"


# -- rule 5: no deadlock on the IO thread ----------------------------------------------------------------------------------


def test_rule_5_a_blocking_verb_on_the_io_thread_raises(on_call: Line) -> None:
    outcome: queue.SimpleQueue[Any] = queue.SimpleQueue()
    action = on_call.call.stream(NOWHERE)
    verbs: list[Callable[[], object]] = [
        on_call.call.hangup,
        on_call.call.wait_for_ended,
        lambda: list(on_call.call.events()),
        on_call.client.connect,
        on_call.client.disconnect,
        on_call.client.run,
        lambda: on_call.client.execute("signalwire.ping", {}),
    ]

    def on_io_thread(session: Any) -> None:
        assert threading.get_ident() in process.io_threads
        for verb in verbs:
            try:
                outcome.put(verb())
            except BaseException as error:
                outcome.put(error)

    assert on_call.client._link.loop is not None
    on_call.client._link.loop.change(on_io_thread)
    for _ in verbs:
        assert isinstance(outcome.get(timeout=PATIENCE), WrongThread)
    action.wait(PATIENCE)
    on_call.client.execute("signalwire.ping", {})


# -- rule 6: Ctrl-C ends any blocking wait ----------------------------------------------------------------------------------

INTERRUPTED = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit "ignored"
sys.path.insert(0, {root!r})
from tests.support.lines import line, NOWHERE
from relay_sync.simulator import Simulator
with Simulator(media="fast") as sim, line(sim) as one:
    sim.drop_reply("calling.pass", times=None)
    sim.drop_event("calling.call.stream", state="finished", times=None)
    action = one.call.stream(NOWHERE)
    waits = {{
        "wait_for_ended": one.call.wait_for_ended,
        "action.wait": action.wait,
        "action.wait(timeout)": lambda: action.wait(60),
        "wait_for": lambda: one.call.wait_for("calling.x.y"),
        "events": lambda: next(one.call.events()),
        "command": one.call.pass_,
    }}
    for name, wait in waits.items():
        try:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            wait()
        except KeyboardInterrupt:
            print(name, "interrupted")
    one.client.execute("signalwire.ping", {{}})
    print("usable")
"""


@pytest.mark.traced
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent the POSIX way")
@pytest.mark.parametrize("sliced", [False, True])
def test_rule_6_ctrl_c_ends_any_blocking_wait(sliced: bool) -> None:
    program = INTERRUPTED.format(root=str(ROOT))
    if sliced:  # as on Windows before 3.14
        program = "import relay_sync.threads.outcome as w; w.SLICE = 0.05\n" + program
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [
        "wait_for_ended interrupted",
        "action.wait interrupted",
        "action.wait(timeout) interrupted",
        "wait_for interrupted",
        "events interrupted",
        "command interrupted",
        "usable",
    ]


START_INTERRUPTED = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit "ignored"
sys.path.insert(0, {root!r})
from tests.support.lines import line
from relay_sync.audio import AudioServer
from relay_sync.simulator import Simulator
with Simulator(media="fast") as sim, AudioServer() as audio, line(sim) as one:
    sim.hold("calling.stream")
    def interrupt():
        sim.wait_for_held("calling.stream")
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        one.call.stream(audio.url, control_id="late", on_completed=print)
    except KeyboardInterrupt:
        print("interrupted")
    sim.release("calling.stream")
    print(one.wait_for_request("calling.stream.stop")["control_id"], "is stopped")
    one.phone.wait_for_stream().wait_until("finished")
    sim.wait_for_acks()
    one.call.stream(audio.url, control_id="late").stop()
    print("the id is free")
"""


@pytest.mark.traced
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent the POSIX way")
def test_rule_6_a_stream_that_starts_after_its_verb_was_interrupted_is_stopped() -> None:
    program = START_INTERRUPTED.format(root=str(ROOT))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\nlate is stopped\nthe id is free\n"), done.stderr


RUNNING = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit "ignored"
from relay_sync import RelayClient
from relay_sync.simulator import Simulator
number = getattr(signal, sys.argv[1])
with Simulator() as sim:
    client = RelayClient(**sim.credentials, contexts=["default"])
    def send():
        sim.wait_for_client(timeout=30)
        os.kill(os.getpid(), number)
    threading.Thread(target=send).start()
    before = signal.getsignal(number)
    client.run()
    assert signal.getsignal(number) == before
    assert client.state == "closed"
    print("returned")
"""


@pytest.mark.traced
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent the POSIX way")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_run_returns_after_one_signal_and_puts_the_handlers_back(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUNNING, name], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "returned\n"), done.stderr


def test_run_leaves_a_handler_of_the_user_alone(sim: Simulator) -> None:
    def mine(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGTERM, mine)
    try:
        client = make(sim)
        running = Background(_stop_when_connected, sim, client)
        client.run()
        assert running.result() is mine
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop_when_connected(sim: Simulator, client: RelayClient) -> Any:
    """What handled SIGTERM while the client ran."""
    sim.wait_for_client()
    handler = signal.getsignal(signal.SIGTERM)
    client.stop()
    return handler


# -- rule 7: ends ------------------------------------------------------------------------------------------------------------


def test_rule_7_disconnect_leaves_no_thread_of_ours(sim: Simulator) -> None:
    before = set(threading.enumerate())
    with line(sim) as one:
        told = threading.Event()
        one.call.stream(NOWHERE, on_completed=lambda event: told.set()).wait(PATIENCE)
        assert told.wait(PATIENCE)
        assert any(thread.name.startswith("relay-lane") for thread in threading.enumerate())  # it stays for a while
        one.desk.closing.set()
        one.client.disconnect()
        left = {
            thread.name for thread in set(threading.enumerate()) - before if not thread.name.startswith("relay-call")
        }
        assert not left


def test_rule_7_a_forgotten_client_ends_with_a_warning(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    import gc
    import weakref

    client = make(sim)

    @client.on_call
    def handler(call: Call) -> None:
        print(client)  # noqa: F821 - holds the client: the cycle must not keep it alive

    client.connect()
    gone = weakref.ref(client)
    del client, handler
    gc.collect()
    assert gone() is None
    sim.wait_until_gone()
    assert any("keep a reference" in record.message for record in caplog.records)


@pytest.mark.traced
def test_rule_7_stop_is_safe_in_a_signal_handler_while_the_main_thread_waits() -> None:
    program = """
import os, signal, threading
from relay_sync import RelayClient, ClientClosed
from relay_sync.simulator import Simulator
with Simulator() as sim:
    client = RelayClient(**sim.credentials, contexts=["default"])
    signal.signal(signal.SIGUSR1, lambda *args: client.stop())
    got = threading.Event()
    calls = []
    @client.on_call
    def handle(call):
        calls.append(call)
        got.set()
        call.client._router.stopped.wait(30)
    client.connect()
    sim.call(to="+15550100", from_="+15550199")
    got.wait(30)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    try:
        calls[0].wait_for_ended()
    except ClientClosed:
        print("closed")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "closed\n"), done.stderr


@pytest.mark.traced
def test_the_interpreter_exits_without_disconnect() -> None:
    program = """
from relay_sync import RelayClient
from relay_sync.simulator import Simulator
sim = Simulator().start()
client = RelayClient(**sim.credentials, contexts=["default"])
client.connect()
print("leaving")
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "leaving\n", "")
    assert time.monotonic() - started < 10


# -- what user code sees of its surroundings ---------------------------------------------------------------------------------


def test_user_code_never_runs_on_the_io_thread(sim: Simulator) -> None:
    names: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def note(what: str) -> None:
        names.put((what, threading.current_thread().name))

    client = make(sim, on_state=lambda state: note("on_state"), on_error=lambda error, call: note("on_error"))

    @client.on_call
    def handler(call: Call) -> None:
        note("handler")
        call.on(STATE, lambda event: note("listener"))
        call.answer()
        call.stream(NOWHERE, on_completed=lambda event: note("on_completed")).wait(PATIENCE)
        raise ZeroDivisionError

    client.connect()
    sim.call(to=TO, from_=FROM).wait_until("ended")
    client.disconnect()
    seen = {}
    while not names.empty():
        what, name = names.get()
        seen[what] = name.rpartition("-")[0]
    assert seen == {
        "on_state": "relay-lane",
        "on_error": "relay-call",
        "handler": "relay-call",
        "listener": "relay-lane",
        "on_completed": "relay-lane",
    }


def test_context_variables_are_copied_into_handlers_and_callbacks(sim: Simulator) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")
    seen: queue.SimpleQueue[str] = queue.SimpleQueue()
    client = make(sim)
    tenant.set("acme")

    @client.on_call
    def handler(call: Call) -> None:
        seen.put(tenant.get())
        tenant.set("inside")
        call.on(STATE, lambda event: seen.put(tenant.get()))
        call.answer()

    tenant.set("later")
    with client:
        sim.call(to=TO, from_=FROM)
        assert seen.get(timeout=PATIENCE) == "acme"
        assert seen.get(timeout=PATIENCE) == "inside"
    assert tenant.get() == "later"


def test_threads_have_names_and_owners(on_call: Line) -> None:
    names = {thread.name.rpartition("-")[0] for thread in threading.enumerate() if thread.name.startswith("relay-")}
    assert {"relay-io", "relay-call"} <= names
    assert names <= {"relay-io", "relay-call", "relay-lane", "relay-sim", "relay-dial"}


def test_no_thread_for_a_handler_passes_the_call_on(sim: Simulator) -> None:
    with make(sim) as client, make(sim) as other:
        desk, second = Desk(client), Desk(other)
        sim.wait_for_client(2)
        with no_threads("relay-call"):
            sim.call(to=TO, from_=FROM)
            sim.journal.wait_for(lambda entry: entry.method == "calling.pass", PATIENCE)
        assert client.execute("signalwire.ping", {}) is not None
        desk.closing.set()
        second.closing.set()


# -- where it runs -----------------------------------------------------------------------------------------------------------

IN_A_LOOP = """
import asyncio
from relay_sync import RelayClient
from relay_sync.simulator import Simulator

async def main():
    # Blocking calls inside a running loop (a notebook cell, an async view) work; they block the loop, as any blocking call.
    with Simulator() as sim, RelayClient(**sim.credentials, contexts=["default"]) as client:
        client.execute("signalwire.ping", {})
        print(await asyncio.to_thread(lambda: client.state))
        pings = [asyncio.to_thread(client.execute, "signalwire.ping", {"payload": str(n)}) for n in range(20)]
        assert [one["payload"] for one in await asyncio.gather(*pings)] == [str(n) for n in range(20)]
        # A handler blocks in its own thread, and a coroutine of the loop waits for what it found.
        loop, found = asyncio.get_running_loop(), asyncio.Queue()
        @client.on_call
        def handle(call):
            call.answer()
            call.wait_for_answered(30)
            loop.call_soon_threadsafe(found.put_nowait, call)
        sim.call(to="+15550100", from_="+15550199")
        call = await asyncio.wait_for(found.get(), 30)
        await asyncio.to_thread(call.hangup)
        print((await asyncio.to_thread(call.wait_for_ended, 30)).end_reason)

asyncio.run(main())
"""


@pytest.mark.traced
def test_it_works_inside_a_running_event_loop() -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_LOOP], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "connected\nhangup\n", "")


INTERRUPTED_IN_A_LOOP = """
import asyncio, os, signal, sys, threading, time
from relay_sync import RelayClient
from relay_sync.simulator import Simulator
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit "ignored"
tasks = []

def interrupt_twice(sim):
    if sys.argv[1] == "connecting":
        sim.wait_for_held("signalwire.connect")
    else:
        sim.wait_for_client(timeout=30)
    os.kill(os.getpid(), signal.SIGINT)
    while not tasks[0].cancelling():  # the first one only asks the loop, which is blocked, to cancel its task
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)

async def main(client):
    tasks.append(asyncio.current_task())
    client.run()

with Simulator() as sim:
    if sys.argv[1] == "connecting":
        sim.hold("signalwire.connect")
    client = RelayClient(**sim.credentials)
    threading.Thread(target=interrupt_twice, args=(sim,)).start()
    try:
        asyncio.run(main(client))
    except KeyboardInterrupt:
        print("interrupted", client.state)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent the POSIX way")
@pytest.mark.parametrize("moment", ["connecting", "connected"])
def test_ctrl_c_ends_run_inside_an_event_loop_as_it_ends_anything_that_blocks_there(moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_A_LOOP, moment], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "interrupted closed\n"), done.stderr
