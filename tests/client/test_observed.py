"""Observers of a client, against the simulator."""

from __future__ import annotations

import collections
import itertools
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC
from typing import Any

import pytest

from relay_sync import (
    Call,
    CallRecord,
    ClientClosed,
    CommandRefused,
    DialFailed,
    InvalidParameter,
    Message,
    MessageNotFollowed,
    Observer,
    RelayClient,
    RelayEvent,
)
from relay_sync.client.messages import MessageDesk
from relay_sync.observing.observers import Observers
from relay_sync.simulator import Simulator
from tests.support import PATIENCE, ROOT
from tests.support.forks import in_child
from tests.support.interrupts import at_step
from tests.support.lines import FROM, TO, drop
from tests.support.offline import calls, state

MakeClient = Callable[..., RelayClient]


class Notes(Observer):
    """Writes down what it is told of calls, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.records: queue.SimpleQueue[CallRecord] = queue.SimpleQueue()
        self.threads: set[str] = set()

    def note(self, *what: Any) -> None:
        self.threads.add(threading.current_thread().name)
        self.told.append(what)

    def call_offered(self, call: Call) -> None:
        self.note("offered", call.call_id)

    def call_started(self, call: Call) -> None:
        self.note("started", call.call_id)

    def call_event(self, call: Call, event: RelayEvent) -> None:
        self.note(event.event_type, call.call_id)

    def call_ended(self, record: CallRecord) -> None:
        self.note("ended", record.call_id)
        self.records.put(record)

    def record(self) -> CallRecord:
        return self.records.get(timeout=PATIENCE)

    def of(self, call_id: str) -> list[str]:
        return [what for what, whose in self.told if whose == call_id]


class Texts(Observer):
    """Keeps the messages that it is told of."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def message_changed(self, message: Message) -> None:
        self.told.put(message)


class States(Observer):
    """Writes down how the connection stands."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def connection_changed(self, old: str, new: str) -> None:
        self.told.append((old, new))


def hang_up_at_once(call: Call) -> None:
    call.answer()
    call.play_tts("Hello.").wait(PATIENCE)
    call.hangup()


# -- calls -------------------------------------------------------------------------------------------------------------


def test_what_happens_to_a_call_is_told_in_order(sim: Simulator, client: MakeClient) -> None:
    notes, made = Notes(), client()
    made.observe(notes)
    made.on_call(hang_up_at_once)
    made.connect()
    phone = sim.call(to=TO, from_=FROM)
    record = notes.record()
    told = notes.of(phone.call_id)
    assert told[:2] == ["offered", "started"]
    assert told[-2:] == ["calling.call.state", "ended"]
    assert "calling.call.play" in told
    assert set(told[2:-1]) <= {"calling.call.state", "calling.call.play"}
    assert notes.threads == {"relay-observers"}
    assert record.offered_at is not None
    assert record.answered_at is not None
    assert record.ended_at is not None
    assert record.offered_at <= record.answered_at <= record.ended_at
    assert record.ended_at.tzinfo is UTC
    assert record == CallRecord(
        call_id=phone.call_id,
        direction="inbound",
        from_=FROM,
        to=TO,
        context="default",
        offered_at=record.offered_at,
        answered_at=record.answered_at,
        ended_at=record.ended_at,
        end_reason="hangup",
        commands=3,
    )


def test_a_record_has_streams_recordings_and_errors(sim: Simulator, client: MakeClient) -> None:
    notes, made = Notes(), client()
    made.observe(notes, keep=("custom_parameters.campaign",))

    @made.on_call
    def handle(call: Call) -> None:
        call.answer()
        given = {"campaign": "spring", "pin": "4711"}
        url = "ws://127.0.0.1:9/audio?key=1"
        call.stream(url, codec="PCMU", track="both", authorization_bearer_token="b-4711-t", custom_parameters=given)
        call.record().stop()
        with pytest.raises(CommandRefused):
            made.execute("calling.play", {"call_id": call.call_id, "node_id": call.node_id, "play": "4711"})
        raise LookupError("4711")

    made.connect()
    sim.call(to=TO, from_=FROM)
    record = notes.record()
    (stream,), (recording,) = record.streams, record.recordings
    assert (stream.url, stream.codec, stream.track) == ("ws://127.0.0.1:9/audio", "PCMU", "both")
    assert stream.custom_parameters == {"campaign": "spring"}
    assert recording.state == "finished"
    assert recording.url
    play, handler = record.errors
    assert play.startswith("calling.play: CommandRefused")
    assert handler == "the on_call handler: LookupError"
    assert record.end_reason == "error"
    assert record.commands == 6
    assert "4711" not in str(record)
    assert CallRecord.from_dict(record.to_dict()) == record


def test_a_dial_starts_with_the_leg_that_answers(sim: Simulator, client: MakeClient) -> None:
    sim.expect_phone("+15550111", busy=True)
    sim.expect_phone("+15550112")
    notes, made = Notes(), client()
    made.observe(notes)
    with pytest.raises(DialFailed):
        made.dial(to="+15550111", from_=FROM)
    lost = notes.record()
    call = made.dial(to="+15550112", from_=FROM, tag="mine")
    call.hangup()
    won = notes.record()
    assert (lost.direction, lost.end_reason, lost.answered_at) == ("outbound", "busy", None)
    assert notes.of(lost.call_id)[0] == "offered"
    assert "started" not in notes.of(lost.call_id)
    assert (won.call_id, won.to, won.tag, won.end_reason) == (call.call_id, "+15550112", "mine", "hangup")
    told = notes.of(call.call_id)
    assert told[0] == "offered"
    assert told.count("started") == 1
    assert told[-1] == "ended"


def test_a_call_that_is_passed_back_has_an_end(sim: Simulator, client: MakeClient) -> None:
    notes, made = Notes(), client()
    made.observe(notes)
    made.connect()
    phone = sim.call(to=TO, from_=FROM)  # there is no handler
    record = notes.record()
    assert (record.call_id, record.end_reason) == (phone.call_id, "released")
    assert notes.of(phone.call_id) == ["offered", "ended"]
    phone.hang_up()


def test_whatever_becomes_of_calls_side_by_side_each_has_its_first_and_its_last_word(
    sim: Simulator, client: MakeClient
) -> None:
    notes, made, numbers = Notes(), client(), itertools.count()
    made.observe(notes)

    @made.on_call
    def handle(call: Call) -> None:
        match next(numbers) % 4:
            case 0:
                call.pass_()
            case 1:
                hang_up_at_once(call)
            case 2:
                raise LookupError("mine")
            case 3:
                call.answer()
                call.wait_for_ended()

    made.connect()
    phones = [sim.call(to=TO, from_=FROM) for _ in range(16)]
    ended = [notes.record() for _ in range(12)]
    made.disconnect()
    ended += [notes.records.get_nowait() for _ in range(4)]
    assert {record.call_id for record in ended} == {phone.call_id for phone in phones}
    reasons = collections.Counter(record.end_reason for record in ended)
    assert reasons == {"released": 4, "hangup": 4, "error": 4, "client_closed": 4}
    for phone in phones:
        told = notes.of(phone.call_id)
        assert told[:2] == ["offered", "started"]
        assert told[-1] == "ended"
        assert told.count("ended") == 1
        phone.hang_up()


def test_closing_ends_the_records_of_live_calls_and_waits_for_them(sim: Simulator, client: MakeClient) -> None:
    notes, made, began = Notes(), client(), threading.Event()
    made.observe(notes)

    @made.on_call
    def handle(call: Call) -> None:
        call.answer()
        began.set()
        call.wait_for_ended()

    made.connect()
    phone = sim.call(to=TO, from_=FROM)
    assert began.wait(PATIENCE)
    made.disconnect()
    record = notes.records.get_nowait()
    assert (record.call_id, record.end_reason) == (phone.call_id, "client_closed")
    phone.hang_up()


def test_an_observer_that_comes_late_has_a_record_of_what_is_known(sim: Simulator, client: MakeClient) -> None:
    notes, made, began, go = Notes(), client(), threading.Event(), threading.Event()

    @made.on_call
    def handle(call: Call) -> None:
        call.answer()
        began.set()
        go.wait(PATIENCE)
        call.hangup()

    made.connect()
    sim.call(to=TO, from_=FROM)
    assert began.wait(PATIENCE)
    made.observe(notes)
    go.set()
    record = notes.record()
    assert (record.from_, record.offered_at, record.commands, record.end_reason) == (FROM, None, 1, "hangup")


def test_a_call_that_ends_while_its_first_observer_is_added_leaves_no_record_behind(offline: RelayClient) -> None:
    step, more = 0, True
    while more:
        step += 1
        (call,) = calls(offline, f"call-{step}")
        removers: list[Callable[[], None]] = []

        def observe(removers: list[Callable[[], None]] = removers) -> None:
            removers.append(offline.observe(Notes()))

        def end(call: Call = call) -> None:
            offline._router.on_event(state(call.call_id, "ended"))

        more = at_step(step, "Router.observe", observe, end)
        if not more:
            end()
        observers = offline._router.observers
        assert observers is not None
        assert observers._recorders == {}
        removers[0]()
        assert offline._router.observers is None
    assert step > 10


def test_one_that_was_refused_is_asked_nothing(offline: RelayClient) -> None:
    with pytest.raises(InvalidParameter):
        offline.observe(object())  # type: ignore[arg-type]
    assert offline._router.observers is None


def test_one_that_was_taken_off_hears_nothing(sim: Simulator, client: MakeClient) -> None:
    notes, others, made = Notes(), Notes(), client()
    remove = made.observe(notes)
    made.observe(others)
    made.on_call(hang_up_at_once)
    made.connect()
    remove()
    remove()
    sim.call(to=TO, from_=FROM)
    others.record()
    assert notes.told == []


def test_without_any_left_nobody_is_asked_any_more(sim: Simulator, client: MakeClient) -> None:
    """All parts of the client look at it, and forget it: the cost is that of a client that never had one."""
    notes, made = Notes(), client()
    first, second = made.observe(Notes()), made.observe(Notes())
    made.on_call(hang_up_at_once)
    made.connect()
    first()
    second()
    assert not any(thread.name == "relay-observers" for thread in threading.enumerate())
    phone = sim.call(to=TO, from_=FROM)
    phone.wait_until("ended", PATIENCE)
    assert not any(thread.name == "relay-observers" for thread in threading.enumerate())
    made.observe(notes)
    sim.call(to=TO, from_=FROM)
    assert notes.record().end_reason == "hangup"


# -- commands, callbacks, messages, the connection -----------------------------------------------------------------------


def test_commands_are_timed_and_surrounded_in_the_thread_that_waits(sim: Simulator, client: MakeClient) -> None:
    class Commands(Observer):
        def __init__(self) -> None:
            self.around: list[tuple[Any, ...]] = []
            self.done: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()

        @contextmanager
        def around_command(self, method: str, call: Call | None) -> Iterator[None]:
            self.around.append((method, call, threading.current_thread()))
            try:
                yield
            except CommandRefused as error:
                self.around.append((method, error))
                raise

        def command_done(self, method: str, call_id: str, seconds: float, error: BaseException | None) -> None:
            self.done.put((method, call_id, 0 < seconds < PATIENCE, type(error)))

    commands, made, calls = Commands(), client(), []
    made.observe(commands)

    @made.on_call
    def handle(call: Call) -> None:
        calls.append((call, threading.current_thread()))
        call.answer()
        with pytest.raises(CommandRefused):
            call.play_tts("Hello.")
        call.hangup()

    sim.refuse("calling.play", 500, "no")
    made.connect()
    phone = sim.call(to=TO, from_=FROM)
    told = [commands.done.get(timeout=PATIENCE) for _ in range(3)]
    ((call, thread),) = calls
    assert told == [
        ("calling.answer", phone.call_id, True, type(None)),
        ("calling.play", phone.call_id, True, CommandRefused),
        ("calling.end", phone.call_id, True, type(None)),
    ]
    assert commands.around[0] == ("calling.answer", call, thread)
    assert [step[0] for step in commands.around] == ["calling.answer", "calling.play", "calling.play", "calling.end"]
    made.execute("signalwire.ping")
    assert commands.done.get(timeout=PATIENCE)[:2] == ("signalwire.ping", "")
    assert commands.around[-1][:2] == ("signalwire.ping", None)


def test_a_handler_runs_inside_of_what_observers_put_around_it(sim: Simulator, client: MakeClient) -> None:
    """Traces need that: what is set around it is there in the handler, and in the threads that it hands its context to."""
    span: ContextVar[str] = ContextVar("span", default="")
    steps: queue.SimpleQueue[Any] = queue.SimpleQueue()
    error = LookupError("mine")

    class Spans(Observer):
        @contextmanager
        def around_handler(self, call: Call) -> Iterator[None]:
            before = span.set(call.call_id)
            try:
                yield
            except LookupError as raised:
                steps.put(raised)
            finally:
                span.reset(before)
                steps.put(threading.current_thread())

        def callback_raised(self, where: str, error: BaseException) -> None:
            steps.put((where, error))

    made = client()
    made.observe(Spans())

    @made.on_call
    def handle(call: Call) -> None:
        steps.put(threading.current_thread())
        steps.put(span.get())
        raise error

    made.connect()
    phone = sim.call(to=TO, from_=FROM)
    told = [steps.get(timeout=PATIENCE) for _ in range(5)]
    assert told[0] is told[3]
    assert told[1:3] == [phone.call_id, error]
    assert told[4] == (f"the on_call handler of call {phone.call_id}", error)
    phone.wait_until("ended", PATIENCE)


def test_an_observer_that_fails_everywhere_changes_nothing(sim: Simulator, client: MakeClient) -> None:
    class Failing(Observer):
        def __getattribute__(self, name: str) -> Any:
            if name in vars(Observer) and not name.startswith("_") and name != "dropped":
                return failing
            return super().__getattribute__(name)

    def failing(*_args: object) -> Any:
        raise RuntimeError("observer")

    notes, made = Notes(), client()
    made.observe(Failing())
    made.observe(notes)
    made.on_call(hang_up_at_once)
    made.connect()
    sim.call(to=TO, from_=FROM)
    record = notes.record()
    assert (record.end_reason, record.commands, record.errors) == ("hangup", 3, ())


def test_messages_are_told_of(sim: Simulator, client: MakeClient) -> None:
    texts, made = Texts(), client()
    made.observe(texts)
    made.on_message(lambda message: None)
    made.connect()
    sent = made.send_message(to_number=TO, from_number=FROM, body="Hello.")
    sent.wait(PATIENCE)
    seen = [texts.told.get(timeout=PATIENCE) for _ in range(2)]
    assert seen == [sent, sent]
    sim.message(to=TO, from_=FROM, body="Hi.")
    while (message := texts.told.get(timeout=PATIENCE)) is sent:
        pass
    assert (message.direction, message.body, message.state) == ("inbound", "Hi.", "received")


def test_messages_whose_fate_stays_unknown_are_told_of() -> None:
    texts, observers, desk = Texts(), Observers(), MessageDesk()
    desk.observers = observers
    observers.add(texts)
    unnamed, lost = Message(), Message()
    desk.taken(unnamed, {}, 1)
    desk.taken(lost, {"message_id": "m"}, 1)
    desk.end(ClientClosed("closed"), 1)
    observers.close(PATIENCE)
    told = [texts.told.get_nowait() for _ in range(texts.told.qsize())]
    assert told == [unnamed, lost, lost]
    assert isinstance(unnamed.error, MessageNotFollowed)
    assert isinstance(lost.error, ClientClosed)


def test_the_connection_is_told_of_in_order(sim: Simulator, client: MakeClient) -> None:
    states, made = States(), client()
    made.observe(states)
    made.connect()
    drop(sim, made)
    made.disconnect()
    assert states.told == [
        ("idle", "connecting"),
        ("connecting", "connected"),
        ("connected", "reconnecting"),
        ("reconnecting", "connected"),
        ("connected", "closed"),
    ]
    made.connect()
    made.disconnect()
    assert states.told[5:] == [("closed", "connecting"), ("connecting", "connected"), ("connected", "closed")]


# -- life --------------------------------------------------------------------------------------------------------------


def test_no_thread_before_the_connection_and_none_after_it(client: MakeClient) -> None:
    def there() -> bool:
        return any(thread.name == "relay-observers" for thread in threading.enumerate())

    made = client()
    made.observe(Notes())
    assert not there()
    made.connect()
    assert there()
    made.disconnect()
    assert not there()


def test_an_observer_may_close_the_client(client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    class Closing(Observer):
        def connection_changed(self, old: str, new: str) -> None:
            if new == "connected":
                made.disconnect()
                done.set()

    made = client()
    made.observe(Closing())
    made.connect()
    assert done.wait(PATIENCE)
    assert "observers have not" not in caplog.text


def test_a_child_starts_anew_with_the_same_observers(client: MakeClient) -> None:
    states, made = States(), client()
    made.observe(states)
    made.connect()

    def child() -> None:
        states.told.clear()
        made.connect()
        made.disconnect()
        assert states.told == [("idle", "connecting"), ("connecting", "connected"), ("connected", "closed")]

    in_child(child)


@pytest.mark.slow
def test_the_end_of_the_process_is_told(sim: Simulator) -> None:
    """Nobody closes the client: the process does, and no thread can be started any more then."""
    program = """
import sys, threading
from relay_sync import Observer, RelayClient

class Ended(Observer):
    def call_ended(self, record):
        print(record.end_reason, flush=True)

began = threading.Event()
client = RelayClient(*sys.argv[1:3], host=sys.argv[3], contexts=["default"])
client.observe(Ended())

@client.on_call
def handle(call):
    call.answer()
    began.set()
    call.wait_for_ended()

client.connect()
print("ready", flush=True)
began.wait(10)
"""
    given = sim.credentials
    command = [sys.executable, "-c", program, given["project"], given["token"], given["host"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        phone = sim.call(to=TO, from_=FROM)
        out, _ = process.communicate(timeout=PATIENCE)
    assert out == "client_closed\n"
    phone.hang_up()


def test_who_asks_for_nothing_loads_nothing() -> None:
    code = "import sys; from relay_sync import RelayClient; print('relay_sync.observing' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
