"""What a lock guards is touched by those who hold it, in every class that has one."""

from __future__ import annotations

import functools
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import websocket
from attrs import define, frozen

from relay_sync import ClientClosed, ConnectTimeout, InvalidParameter, Observer, RelayClient, StreamFailed, events
from relay_sync.audio import AudioServer, snapshot
from relay_sync.audio.disk import Disk
from relay_sync.audio.frames import FrameBuffer
from relay_sync.audio.gate import Gate
from relay_sync.audio.recorder import Recorder
from relay_sync.audio.recording_files import spool_file
from relay_sync.audio.snapshot import Snapshot
from relay_sync.audio.speech import Conversation
from relay_sync.audio.speech.speaking_queue import SpeakingQueue
from relay_sync.audio.stream_handlers import StreamHandlers
from relay_sync.audio.totals import Totals
from relay_sync.call.actions.base import Action, RunningAction, StoppableAction
from relay_sync.call.call import core_of
from relay_sync.call.core import CallCore
from relay_sync.cli.listen import _Listening
from relay_sync.cli.meters import PlainDisplay
from relay_sync.cli.reports import VARIABLE, Reporter
from relay_sync.client.counters import Counters
from relay_sync.client.link import Link
from relay_sync.client.messages import Message, MessageDesk
from relay_sync.client.router import Router
from relay_sync.contrib.hosting import Hosted
from relay_sync.events import CallStateEvent
from relay_sync.health.snapshot import Snapshots
from relay_sync.observing.lane import Lane
from relay_sync.observing.observers import Observers
from relay_sync.observing.recorder import CallRecorder
from relay_sync.observing.records import CallRecord
from relay_sync.server import Connection, Loop, LoopStopped, WebSocketServer
from relay_sync.server.http import Headers
from relay_sync.simulator import ControlInterface, Simulator
from relay_sync.simulator.core.accounts import Accounts
from relay_sync.simulator.core.faults import EventFault, Faults, MediaFault, RequestFault
from relay_sync.simulator.core.feed import Feed, LiveEvents
from relay_sync.simulator.core.journal import Journal
from relay_sync.simulator.http.control.known_calls import KnownCalls
from relay_sync.simulator.http.control.workers import Workers
from relay_sync.simulator.http.webhooks import WebhookSender
from relay_sync.simulator.methods.scripts import MethodScript, Scripts
from relay_sync.simulator.people.directory import Directory
from relay_sync.simulator.people.party import Behavior
from relay_sync.simulator.people.post import Post
from relay_sync.threads import logs
from relay_sync.threads.lanes import Lanes
from relay_sync.threads.outcome import Waiter
from relay_sync.threads.rate_limited_log import RateLimitedLog
from relay_sync.threads.table import Recent, Table
from tests.support import PATIENCE
from tests.support.background import no_threads, until
from tests.support.carrier import Carrier
from tests.support.control import Control
from tests.support.guarded import takes_locks, touches
from tests.support.lines import FROM, TO, line
from tests.support.offline import calls, state
from tests.support.party import Party
from tests.support.peers import Hooks

Tools = Callable[[str], Any]


def waiter(tools: Tools) -> None:
    made = Waiter[int]()
    assert (made.settle(1), made.settle(2), made.peek()) == (True, False, 1)


def table(tools: Tools) -> None:
    made = Table[str, str]()
    assert made.put("a", "1") is None
    assert (made.put_if_new("a", "2"), made.put_if_new("b", "2")) == (False, True)
    assert (len(made), "a" in made, made.get("a")) == (2, True, "1")
    assert (made.snapshot(), made.items()) == (["1", "2"], [("a", "1"), ("b", "2")])
    assert (made.take("a"), made.take_if("b", "2"), made.take_all()) == ("1", True, [])


def recent(tools: Tools) -> None:
    made = Recent[str, str](1)
    assert (made.put("a", "1"), made.put("a", "2"), made.put("b", "3")) == (None, "1", "2")
    assert (len(made), "a" in made, made.get("b")) == (1, False, "3")


def lanes(tools: Tools) -> None:
    made, go_on = Lanes(2, patience=PATIENCE, most=1), threading.Event()
    with no_threads():
        made.submit("lane", go_on.wait, PATIENCE)
    assert [made.offer("lane", str), made.offer("lane", str), made.offer("other", str)] == [0, 1, 0]
    assert made.offer("third", str) in (0, 1)
    assert (made.inside, len(made.unfinished()) > 0, made.stalled(time.monotonic(), PATIENCE)) == (False, True, [])
    assert len(made.serving) <= 2
    assert sum(made.load) > 0
    go_on.set()
    assert made.wait_until_idle(PATIENCE)
    assert made.close(PATIENCE)
    made.reopen()


def rate_limited(tools: Tools) -> None:
    made = RateLimitedLog(logs.get("relay_sync"))
    assert [made.due("kind"), made.due("kind"), made.due("other")] == [0, None, 0]
    assert made.count("kind") == 2
    made.forget()


def loop(tools: Tools) -> None:
    made = Loop("relay-test-guarded")
    made.start()
    made.start()
    assert made.call(int, "7", timeout=PATIENCE) == 7
    made.stop(PATIENCE)
    with pytest.raises(LoopStopped):
        made.call(int, timeout=PATIENCE)


def inbox(tools: Tools) -> None:
    made, opened = Loop("relay-test-guarded"), Waiter[Connection]()
    made.start()
    server = WebSocketServer(made, on_request=lambda request: None, on_open=opened.settle)
    peer = websocket.create_connection(f"ws://127.0.0.1:{server.port}/", timeout=PATIENCE)
    try:
        assert opened.wait(PATIENCE, AssertionError).send("hello")
        assert peer.recv() == "hello"
    finally:
        peer.shutdown()  # type: ignore[no-untyped-call]
        made.stop(PATIENCE)


def message(tools: Tools) -> None:
    assert Message().on(print) is print


def desk(tools: Tools) -> None:
    made, one = MessageDesk(), Message(message_id="m", direction="outbound")

    def told(message_id: str, word: str) -> None:
        params = {"message_id": message_id, "message_state": word}
        made.on_event(events.MessageStateEvent.from_params(params), _now)

    with made.sending():
        told("m", "sent")
        made.claim(one, 1)
    assert one.state == "sent"
    made.resumed(0.0)
    made.on_watch(math.inf)
    assert one.is_done
    two = Message(message_id="n", direction="outbound")
    made.claim(two, 1)
    told("n", "delivered")
    assert two.state == "delivered"
    made.end(ClientClosed("over"), 1)


def _now(lane: object, what: str, function: Callable[..., object], *args: Any, final: bool = True) -> None:
    function(*args)


def call(tools: Tools) -> None:
    (one,) = calls(tools("offline"), "c")
    core = core_of(one)
    first, second = (Action[Any](one, "x", None, {}, host=core) for _ in range(2))
    core._register(RunningAction(first))
    with pytest.raises(InvalidParameter):
        core._register(RunningAction(second))
    assert core.running(Action) == [first]
    core.action_ended("x", first)
    core._register(RunningAction(second))
    one.on("calling.call.play", print)
    one.events().close()
    tools("offline")._router.on_event(state("c", "ended"))
    assert second.is_done


def action(tools: Tools) -> None:
    (one,) = calls(tools("offline"), "c")
    made = Action[Any](one, "x", None, {}, host=core_of(one))
    made._hand_out()
    made._end_early("call_gone")
    assert made.is_done


def speaking(tools: Tools) -> None:
    with AudioServer(two_way=True) as made, Party(made) as party:
        with Conversation(party.stream, recognize=str) as talk:
            talk.say(bytes(320))
            assert talk.wait_until_said(PATIENCE)
        assert len(talk.transcript.lines) == 1


def stopping(tools: Tools) -> None:
    with line(tools("sim")) as one:
        playing = one.call.play_silence(60)
        assert (playing.stop()["code"], playing.stop()) == ("200", {})


def client(tools: Tools) -> None:
    sim: Simulator = tools("sim")
    made = RelayClient(**sim.credentials, contexts=["default"])
    made.connect()
    made.disconnect()
    sim.refuse_connections()
    with pytest.raises(ConnectTimeout):
        made.connect(0.05)
    made.disconnect()


def subscribing(tools: Tools) -> None:
    with RelayClient(**tools("sim").credentials) as made:
        made.receive(["more"])
        made.unreceive(["more"])
    made = RelayClient(project="p", jwt_token="eyJ.a.b", host="example.com")
    made._link.use_jwt("eyJ.c.d")
    assert made.jwt_token == "eyJ.c.d"


def link(tools: Tools) -> None:
    subscribing(tools)
    client(tools)  # the last: the simulator refuses connections from then on


def hosted(tools: Tools) -> None:
    sim: Simulator = tools("sim")
    made = Hosted(lambda: RelayClient(**sim.credentials))
    made.start()
    made.start()
    sim.wait_for_client()
    made.stop(0)


def handlers(tools: Tools) -> None:
    done = threading.Event()
    with AudioServer(on_stream=lambda stream: done.set()) as audio:
        carrier = Carrier(audio.url).start()
        assert done.wait(PATIENCE)
        carrier.ws.shutdown()  # type: ignore[no-untyped-call]
        assert audio._handlers is not None
        for thread in audio._handlers._others():
            thread.join(PATIENCE)
        stream: Any = _Stream()
        with no_threads():
            audio._handlers.handle(stream, stream, audio._raised)
        assert stream.closed


@define(eq=False)
class _Stream:
    """One that no handler can be started for, with its core."""

    stream_id: str = "s"
    call_id: str = "c"
    closed: bool = False

    def hang_up(self, abort: bool) -> None:
        self.closed = True


def gate(tools: Tools) -> None:
    made = Gate(None, RateLimitedLog(logs.get("relay_sync.audio")))
    (token, _), (_, second) = made.expect(PATIENCE), made.expect(PATIENCE)
    assert made._allows(token)
    assert made.claim(Headers([("authorization", f"Bearer {token}")])) is not None
    made.forget(second)
    assert made.claim(Headers([("authorization", f"Bearer {token}")])) is None


class Recorded(Observer):
    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def call_ended(self, record: CallRecord) -> None:
        self.records.append(record)


def observing(tools: Tools) -> None:
    made, mine = Observers(), Recorded()
    [call] = calls(tools("offline"), "c")
    take_off = made.add(mine)
    made.call_offered(call)
    made.call_event(call, CallStateEvent.from_params({"call_id": "c", "call_state": "answered"}))
    with made.command("calling.x", {}, "c", None):
        pass
    made.callback_raised("test", "c", ValueError("test"))
    made.call_ended(call, "hangup")
    made.close(PATIENCE)
    take_off()
    assert [record.end_reason for record in mine.records] == ["hangup"]


def observed_client(tools: Tools) -> None:
    made = tools("offline")
    first, second = made.observe(Recorded()), made.observe(Recorded())
    first()
    second()


def observers_lane(tools: Tools) -> None:
    made, user, done = Lane(), Recorded(), threading.Event()
    made.join(user)
    assert made.put(done.set)
    assert (made.leave(user, PATIENCE), done.is_set()) == (True, True)


def audio(tools: Tools) -> None:
    made = AudioServer().start()
    made.observe(Observer())()
    carrier = Carrier(made.url).start()
    stream = made.accept(PATIENCE)
    carrier.ws.shutdown()  # type: ignore[no-untyped-call]
    stream.wait(PATIENCE)
    made.close(PATIENCE)
    with pytest.raises(StreamFailed):
        made.start()


def recorder(tools: Tools) -> None:
    made = Recorder(spool_file, 8000, 1)
    assert not made.add(0, 0, b"\1\2" * 100)
    made.widen(0)
    assert made.settle(PATIENCE)
    made.add(1, 0, b"\3\4" * 100)  # late, so that it becomes a patch
    made.add(0, 100_000, b"\3\4")  # after a long silence
    made.add(0, 200_000, b"\3\4")
    snapshot = made.snapshot()
    assert snapshot is not None
    with snapshot:
        assert snapshot.samples == 100
    made.close()
    assert made.error is None


def disk(tools: Tools) -> None:
    made = Disk("relay-test-disk")
    recording = Recorder(spool_file, 8000, 1)
    made.add(recording)
    assert recording.made(PATIENCE)
    assert made.hurry(recording)
    recording.add(0, 0, b"\1\2")
    assert recording.settle(PATIENCE)
    made.finish(recording)
    assert made.join(PATIENCE)
    recording.close()


def frames(tools: Tools) -> None:
    made = FrameBuffer(1000, sample_rate=8000, max_frames=10)
    made.put("inbound", b"12", 0.0, 1)
    made.put("inbound", b"34", 0.0, 2)
    assert made.read("inbound", 4, PATIENCE) == b"1234"
    feed = made.new_feed("inbound", bool)
    made.add_feed(feed)
    assert feed is not None
    made.put("inbound", b"56", 0.0, 3)
    assert feed.read("inbound", 2, PATIENCE) == b"56"
    made.end()
    made.remove_feed(feed)


def excerpt(tools: Tools) -> None:
    monkeypatch: pytest.MonkeyPatch = tools("monkeypatch")
    made = Recorder(spool_file, 8000, 1)
    made.add(0, 0, b"\1\2\3\4")
    made.flush()
    taken = made.snapshot()
    assert taken is not None
    with taken, monkeypatch.context() as patch:
        patch.setattr(snapshot, "_pread", None)  # as on Windows: the position is shared with whoever writes
        assert taken.excerpt(0, 2) == b"\1\2\3\4"
    made.close()


def listening(tools: Tools) -> None:
    made = _Listening(PlainDisplay(1.0))
    with AudioServer(on_stream=made) as audio:
        carrier = Carrier(audio.url).start()
        while not made.meters:
            assert carrier.ws.connected
        carrier.ws.shutdown()  # type: ignore[no-untyped-call]
    assert (made.meters, made.count) == ([], 1)


def webhooks(tools: Tools) -> None:
    made = WebhookSender()
    with Hooks() as hooks:
        for _ in range(3):
            made.send("lane", hooks.url, "POST", {})
        assert len(made.wait_for(3, PATIENCE)) == 3
    made.close(PATIENCE)


def faults(tools: Tools) -> None:
    made = Faults()
    for fault in (
        RequestFault(kind="drop", method="calling.answer"),
        EventFault(kind="drop", event_type="calling.call.state"),
        MediaFault(kind="lose"),
        MediaFault(kind="swap"),
    ):
        made.add(fault, 1)
    assert made.for_request("calling.answer") is not None
    assert made.for_event("calling.call.state", {}) is not None
    assert len(made.for_stream()) == 2
    made.missed(MediaFault(kind="lose"))
    assert len(made.unused()) == 1
    made.lift("drop")
    made.clear()


def workers(tools: Tools) -> None:
    made, go, done = Workers(name="relay-test", threads=2, queued=1), threading.Event(), threading.Semaphore(0)

    def job() -> None:
        go.wait(PATIENCE)
        done.release()

    assert [made.offer(job) for _ in range(4)] == [True, True, True, False]
    go.set()
    assert all(done.acquire(timeout=PATIENCE) for _ in range(3))
    with no_threads("relay-test"):
        until(lambda: not made.offer(bool))
    made.close(PATIENCE)
    assert not made.offer(bool)


def known_calls(tools: Tools) -> None:
    sim: Simulator = tools("sim")
    with ControlInterface(sim) as server:
        one = Control(server.url, server.key)
        known = one.post("/calls", to=TO, **{"from": FROM})["id"]
        assert one.get(f"/calls/{known}")["number"] == FROM
        assert [each["id"] for each in one.get("/calls")] == [known]


def post(tools: Tools) -> None:
    sim: Simulator = tools("sim")
    sim.expect_message(TO, ends="undelivered")
    sim.expect_message(TO, ends="failed", times=1)
    with RelayClient(**sim.credentials) as client:
        fates = [client.send_message(to_number=TO, from_number=FROM, body="x").wait(PATIENCE) for _ in range(2)]
    assert [event.params["message_state"] for event in fates] == ["failed", "undelivered"]


def directory(tools: Tools) -> None:
    made = Directory()
    always, once = made.add(TO, Behavior(), None), made.add(TO, Behavior(), 1)
    assert [made.take(TO), made.take(TO)] == [once, always]
    made.remove(always)
    assert made.take(TO) is None


def accounts(tools: Tools) -> None:
    made = Accounts("main")
    made.add("one", token="t")
    assert (made.remove("one", token="t"), made.projects) == (True, [])


def scripts(tools: Tools) -> None:
    made, script = Scripts(), MethodScript(events=())
    made.add("calling.play", script, None, None)
    assert (made.has("calling.play", ""), made.take("calling.play", ""), made.clear()) == (True, script, 1)


def live_events(tools: Tools) -> None:
    feed = Feed()
    with LiveEvents(feed, limit=1) as made:
        for _ in range(2):
            feed.tell("kind", dict)
        assert (made.lost, made.read(PATIENCE) is not None, made.take()) == (1, True, None)
        feed.tell("kind", dict)
    assert len(list(made)) == 1


def journal(tools: Tools) -> None:
    made = Journal(limit=1)
    for frame in ({"id": "1"}, {"id": "2"}):
        made.add("in", 1, frame)
    assert ([entry.frame["id"] for entry in made], made.numbered()[0][0], made.dropped) == (["2"], 1, 1)
    assert made._since(0)[1] == made.end == 2
    made.clear()
    assert list(made) == []


def counters(tools: Tools) -> None:
    made = Counters()
    made.count("reconnects")
    made.command_done(0.1, ValueError())
    assert (made.summary().reconnects, made.summary().command_errors) == (1, {"other": 1})


def reporter(tools: Tools) -> None:
    reading, writing = os.pipe()
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv(VARIABLE, str(writing))
            made = Reporter()
        made.ready()
        assert os.read(reading, 100) == b"ready\n"
        made.start(Snapshots(tools("offline")))
        made.close()
        with os.fdopen(os.dup(reading), "rb") as lines:
            while b'"over":true' not in lines.readline():
                pass
    finally:
        os.close(reading)
        os.close(writing)


def totals(tools: Tools) -> None:
    with AudioServer() as server:
        carrier = Carrier(server.url).start()
        try:
            server.accept(PATIENCE)
            assert server.stats().streams == 1
        finally:
            carrier.cut()
        until(lambda: not server.stats().streams)


@frozen
class Lock:
    """A lock, what it guards, and those who do without it.

    :ivar act: has the functions that take it called.
    :ivar names: see :func:`guarded.touches`.
    :ivar free: functions that may touch it without the lock: each looks at one thing, or is called where the others are not.
    """

    kind: type
    act: Callable[[Tools], None]
    names: tuple[str, ...]
    lock: str = "_lock"
    free: tuple[str, ...] = ()


LOCKS = [
    Lock(Waiter, waiter, ("_outcome",), free=("Waiter.peek",)),
    Lock(Table, table, ("_entries",), free=("Table.__len__", "Table.__contains__", "Table.get")),
    Lock(Recent, recent, ("_entries",)),
    Lock(
        Lanes,
        lanes,
        (
            "_lanes",
            "_waiting",
            "_workers",
            "_idle",
            "_starting",
            "_busy_since",
            "_serving",
            "rests=",
            "_refused",
            "_refused_lanes",
            "_closed",
        ),
        free=(
            "Lanes._reset",
            "Lanes.close.<locals>.<lambda>",
            "Lanes.wait_until_idle.<locals>.<lambda>",
            "Lanes._start_worker",  # perhaps on behalf of a thread that holds the lock; it has one of its own
        ),
    ),
    # For the decision who starts a worker; what is decided is undone, or seen, without it.
    Lock(
        Lanes,
        lanes,
        ("_starting",),
        lock="_claim",
        free=("Lanes._start_worker", "Lanes._wants_worker", "Lanes._work"),
    ),
    Lock(RateLimitedLog, rate_limited, ("_kinds",)),
    Lock(Loop, loop, ("_thread", "_stopping="), free=("Loop.call",)),
    Lock(Connection, inbox, ("_inbox", "_inbox_bytes")),
    Lock(Message, message, ("_handlers",)),
    Lock(MessageDesk, desk, ("_in_progress", "_early", "_kept", "_ended", "_over")),
    Lock(CallCore, call, ("operations", "listeners", "readers"), lock="lock", free=("CallCore._apply",)),
    Lock(Action, action, ("_on_completed",), lock="_host.lock"),
    Lock(StoppableAction, stopping, ("_stopped", "_stop_sent"), lock="_stopping"),
    Lock(
        Link,
        link,
        ("_connecting=", "loop=", "_ending=", "_forgotten=", "closed=", "contexts=", "config="),
        free=("Link.reopen",),
    ),
    Lock(Hosted, hosted, ("_client", "_stopping", "_starter"), free=("Hosted.stop",)),
    Lock(
        Observers,
        observing,
        ("_entries=", "_by_method=", "_recorders"),
        # Commands look up one entry only: on their threads a signal handler may wait for the IO thread, which takes the lock.
        free=("Observers.after_fork", "Observers._command_begins", "Observers._failed"),
    ),
    Lock(CallRecorder, observing, ("_commands=",), lock="_counting"),
    Lock(Counters, counters, ("_events", "_errors", "_buckets", "_seconds"), free=("Counters.after_fork",)),
    Lock(Reporter, reporter, ("_unsent",)),
    Lock(Totals, totals, ("_live", "_past")),
    Lock(Router, observed_client, ("observers=",), lock="_observing"),
    Lock(Lane, observers_lane, ("_users",), lock="lock", free=("Lane._reset",)),
    Lock(StreamHandlers, handlers, ("_running",)),
    Lock(Gate, gate, ("_expected",)),
    Lock(AudioServer, audio, ("_loop=",), lock="_starting"),
    Lock(
        AudioServer,
        audio,
        ("_server=", "_closed=", "_sockets=", "_waiting", "_observers="),
        free=("AudioServer._renew", "AudioServer.accept", "AudioServer.accept.<locals>.<lambda>"),
    ),
    Lock(
        Disk,
        disk,
        ("_recorders", "_urgent", "_leaving", "_thread="),
        free=("Disk._has_work",),
    ),
    Lock(Recorder, recorder, ("_start", "_tail", "_pieces", "_patches", "_waiting", "_full", "_old_channel", "_begun")),
    Lock(
        Recorder, recorder, ("_file_channels",), lock="_swap_lock", free=("Recorder._write", "Recorder._write_waiting")
    ),
    Lock(Recorder, recorder, ("_file", "_size", "_finalizer"), lock="_file_lock", free=("Recorder.snapshot",)),
    Lock(
        FrameBuffer,
        frames,
        ("_tracks", "_feeds"),
        lock="_in_one_piece",
        free=("FrameBuffer.put", "FrameBuffer.end"),
    ),
    Lock(SpeakingQueue, speaking, ("_lines",), lock="_writing", free=("SpeakingQueue.lines",)),
    Lock(Snapshot, excerpt, ("_handle",), free=("Snapshot.__exit__",)),
    Lock(_Listening, listening, ("_meters", "count=")),
    Lock(
        WebhookSender,
        webhooks,
        ("_lanes", "_ready", "_threads", "_started", "_waiting", "_closed"),
        free=("WebhookSender._serve",),
    ),
    Lock(Faults, faults, ("_rules", "_missed")),
    Lock(Workers, workers, ("_jobs", "_running")),
    Lock(KnownCalls, known_calls, ("_known",), free=("KnownCalls.find",)),
    Lock(Post, post, ("_rules",)),
    Lock(Directory, directory, ("_phones",)),
    Lock(Accounts, accounts, ("_known=",)),
    Lock(Scripts, scripts, ("_waiting",), free=("Scripts.has",)),
    Lock(Feed, live_events, ("_listeners=",)),
    Lock(
        LiveEvents,
        live_events,
        ("_waiting", "_lost="),
        free=("LiveEvents.__iter__", "LiveEvents.read.<locals>.<lambda>"),
    ),
    Lock(Journal, journal, ("_entries", "_gone", "dropped="), free=("Journal.__len__",)),
]


@functools.cache
def taken() -> dict[tuple[str, str], set[str]]:
    return takes_locks()


@pytest.mark.parametrize("one", LOCKS, ids=lambda one: f"{one.kind.__name__}.{one.lock}-{one.act.__name__}")
def test_what_a_lock_guards_is_touched_under_it(one: Lock, request: pytest.FixtureRequest) -> None:
    with touches(one.kind, one.lock, one.names) as found:
        one.act(request.getfixturevalue)
    assert found.free == set(one.free)
    takers = taken()[one.kind.__name__, one.lock]
    assert takers - found.under == set(), "what they do under the lock was not looked at"


def test_every_lock_is_looked_at() -> None:
    looked_at = {(one.kind.__name__, one.lock) for one in LOCKS}
    assert looked_at == set(taken())
